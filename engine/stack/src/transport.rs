//! The transport rules of RFC 3261 18 that need no socket: where a response goes, and the response
//! that needs no transaction.

use std::hash::BuildHasher;
use std::net::SocketAddr;

use foldhash::fast::FixedState;
use wire::{HeaderName, Host, Message, Method, Via, print};

use crate::{Flow, Outbox};

/// The port of a sent-by without one (RFC 3261 18.1.1, UDP and TCP).
const DEFAULT_PORT: u16 = 5060;

/// Where a response over UDP goes (RFC 3261 18.2.2, RFC 3581 4), for a request with this top Via that
/// came from `source`.
///
/// `source` is what goes into `received`, so a `received` the sender wrote itself has no say. A `maddr`
/// that is a name is passed over: nothing here resolves names.
#[must_use]
pub fn response_destination(via: &Via<'_>, source: SocketAddr) -> SocketAddr {
    let port = via.port.unwrap_or(DEFAULT_PORT);
    match (via.maddr, via.rport) {
        (Some(Host::Ip(address)), _) => SocketAddr::new(address, port),
        (_, Some(_)) => source,
        _ => SocketAddr::new(source.ip(), port),
    }
}

/// How the To tag of such a response begins. No dialog and no transaction of ours has one like it.
pub const STATELESS_TAG: &[u8] = b"tprs";

/// Key of the tag below. It need not be secret: such a tag stands for no state that a guess could reach.
const TAG_KEY: u64 = 0x7469_7072_696e_6731;

/// Prints a response to a request that gets no transaction (RFC 3261 8.2.7), with `extra` complete
/// header lines and no body; an empty `reason` means the standard phrase.
///
/// The To tag is a keyed hash of what is the same in every copy of the request, so each copy gets the
/// same one. Nothing is printed for an ACK, which is never answered.
pub fn stateless_response(
    request: &Message<'_>,
    source: Flow,
    code: u16,
    reason: &[u8],
    extra: &[u8],
    out: &mut Outbox,
) {
    stateless_response_telling(request, source, code, reason, extra, b"", out);
}

/// The same, telling a client that asks the `load` of this server (`wire::print::response_head_telling`).
pub fn stateless_response_telling(
    request: &Message<'_>,
    source: Flow,
    code: u16,
    reason: &[u8],
    extra: &[u8],
    load: &[u8],
    out: &mut Outbox,
) {
    if request.method() == Method::Ack {
        return;
    }
    let remote = request.top_via().map_or(source.remote, |via| {
        response_destination(&via, source.remote)
    });
    out.push(Flow { remote, ..source }, |bytes| {
        print::status_line(bytes, code, reason);
        print::response_head_telling(bytes, request, source.remote, load);
        if code > 100 && request.to_tag().is_none() {
            bytes.extend_from_slice(b";tag=");
            bytes.extend_from_slice(STATELESS_TAG);
            print::hex(bytes, identity(request), 16);
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(extra);
        print::end(bytes, b"");
    });
}

/// A number that all copies of a request have in common, and hardly any other request has.
#[must_use]
pub fn identity(request: &Message<'_>) -> u64 {
    let via = request.header(HeaderName::Via);
    let cseq = request.header(HeaderName::CSeq);
    FixedState::with_seed(TAG_KEY).hash_one((request.call_id(), request.from_tag(), via, cseq))
}
