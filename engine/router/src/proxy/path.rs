//! The way a request is to take (RFC 3261 16.4, 16.12): which Route values are ours, and what is left of the
//! path when they are taken off. Whether they were ever handed out by us is proven by a keyed hash of the
//! Call-ID in the user part, so that a Route of a stranger's making opens no relay.

use smallvec::SmallVec;
use wire::{HeaderName, Message, NameAddr, Scheme, Uri, print};

use crate::core::{Core, Door};
use crate::proofs::{DIGITS, Proofs, read_hash};

/// How the user of our Record-Route begins; no tag of ours does.
const USER: &[u8] = b"tprp";

/// A request's way without what of it was ours.
#[derive(Debug)]
pub(crate) struct Path<'m> {
    /// The Request-URI; where a strict router had put ours, the one it stood for.
    pub(super) uri: &'m [u8],
    /// The Route values ahead.
    pub(super) routes: SmallVec<[&'m [u8]; 4]>,
    /// The listener that the last of our own Routes names (RFC 5658 4: it faces the next hop).
    pub(super) listener: Option<u16>,
    /// One of those was handed out by us for this Call-ID.
    pub(super) proven: bool,
}

impl<'m> Path<'m> {
    pub(super) fn of(core: &Core, request: &Message<'m>) -> Path<'m> {
        let mut path = Path {
            uri: request.request_uri(),
            routes: request.values(HeaderName::Route).collect(),
            listener: None,
            proven: false,
        };
        let call_id = request.call_id();
        // RFC 3261 16.4: the upstream element is a strict router; the last Route is the Request-URI.
        if let Some(own) = Own::read(core, path.uri, call_id).filter(|own| own.proven)
            && let Some(last) = path.routes.pop()
        {
            path.uri = NameAddr::parse(last).map_or(last, |address| address.uri);
            path.pass(own);
        }
        while let Some(own) = path.first_own(core, call_id) {
            path.routes.remove(0);
            path.pass(own);
        }
        path
    }

    fn first_own(&self, core: &Core, call_id: &[u8]) -> Option<Own> {
        let address = NameAddr::parse(self.routes.first()?).ok()?;
        Own::read(core, address.uri, call_id)
    }

    fn pass(&mut self, own: Own) {
        self.listener = Some(own.listener);
        self.proven |= own.proven;
    }
}

/// A URI that names us.
#[derive(Clone, Copy, Debug)]
struct Own {
    listener: u16,
    proven: bool,
}

impl Own {
    fn read(core: &Core, uri: &[u8], call_id: &[u8]) -> Option<Own> {
        let uri = Uri::parse(uri).ok()?;
        if uri.scheme != Scheme::Sip {
            return None;
        }
        let listener = core.doors.named(uri.host, uri.port)?;
        let proof = uri.user.strip_prefix(USER).and_then(read_hash);
        let proven = proof.is_some_and(|proof| core.proofs.path.holds(call_id, proof));
        Some(Own { listener, proven })
    }
}

/// A Record-Route line with which this door stays in the path of a dialog (RFC 3261 16.6 step 4).
pub(super) fn record_route(out: &mut Vec<u8>, door: &Door, proofs: &Proofs, call_id: &[u8]) {
    out.extend_from_slice(b"Record-Route: <sip:");
    out.extend_from_slice(USER);
    print::hex(out, proofs.path.of(call_id), DIGITS);
    out.push(b'@');
    out.extend_from_slice(&door.host_port);
    out.extend_from_slice(b";lr>\r\n");
}

/// Whether a request can be inside a dialog we are in the path of: a look that costs next to nothing, for
/// every request there is.
pub(super) fn may_be_ours(request: &Message<'_>) -> bool {
    let uri = request.request_uri();
    let user = uri.get(b"sip:".len()..).unwrap_or_default();
    request.header(HeaderName::Route).is_some() || user.starts_with(USER)
}
