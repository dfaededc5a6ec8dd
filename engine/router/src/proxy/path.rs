//! The way a request is to take (RFC 3261 16.4, 16.12): which Route values are ours, and what is left of the
//! path when they are taken off. Whether they were ever handed out by us is proven by a keyed hash of the
//! Call-ID in the user part, so that a Route of a stranger's making opens no relay.

use smallvec::SmallVec;
use wire::{HeaderName, Message, NameAddr, Scheme, Uri, print};

use super::flows::Flows;
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
    /// The flows that it brought along.
    pub(super) flows: Flows,
}

impl<'m> Path<'m> {
    pub(super) fn of(core: &Core, request: &Message<'m>) -> Path<'m> {
        let mut path = Path {
            uri: request.request_uri(),
            routes: request.values(HeaderName::Route).collect(),
            listener: None,
            proven: false,
            flows: Flows::default(),
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
        if own.proven && !own.flows.is_empty() {
            self.flows = own.flows;
        }
    }
}

/// A URI that names us.
#[derive(Clone, Copy, Debug)]
struct Own {
    listener: u16,
    proven: bool,
    flows: Flows,
}

impl Own {
    fn read(core: &Core, uri: &[u8], call_id: &[u8]) -> Option<Own> {
        let uri = Uri::parse(uri).ok()?;
        if uri.scheme != Scheme::Sip {
            return None;
        }
        let listener = core.doors.named(uri.host, uri.port)?;
        let user = uri.user.strip_prefix(USER);
        let (digits, flows) = user
            .and_then(|user| user.split_at_checked(DIGITS))
            .unwrap_or_default();
        let holds = |proof| match flows.is_empty() {
            true => core.proofs.path.holds(call_id, proof),
            false => core.proofs.path.holds(&with_flows(call_id, flows), proof),
        };
        let proven = read_hash(digits).is_some_and(holds);
        Some(Own {
            listener,
            proven,
            flows: Flows::read(flows).filter(|_| proven).unwrap_or_default(),
        })
    }
}

/// What proves flows: no Call-ID has a line's end in it.
fn with_flows(call_id: &[u8], flows: &[u8]) -> Vec<u8> {
    [call_id, b"\n", flows].concat()
}

/// A Record-Route line with which this door stays in the path of a dialog (RFC 3261 16.6 step 4).
pub(super) fn record_route(
    out: &mut Vec<u8>,
    door: &Door,
    proofs: &Proofs,
    call_id: &[u8],
    flows: &Flows,
) {
    out.extend_from_slice(b"Record-Route: <sip:");
    out.extend_from_slice(USER);
    if flows.is_empty() {
        print::hex(out, proofs.path.of(call_id), DIGITS);
    } else {
        let mut text = Vec::new();
        flows.print(&mut text);
        let proof = proofs.path.of(&with_flows(call_id, &text));
        print::hex(out, proof, DIGITS);
        out.extend_from_slice(&text);
    }
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
