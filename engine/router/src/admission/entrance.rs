//! Where the door meets the rest of the router: a request is let in, refused or dropped before it costs a
//! transaction, and neighbours that speak of overload are told and heard (RFC 7339).

use std::net::SocketAddr;
use std::time::Duration;

use stack::transport::{STATELESS_TAG, identity, stateless_response_telling};
use stack::{Flow, Outbox, Time};
use wire::{Message, Method};

use super::{Verdict, begins_something};
use crate::config::Event;
use crate::core::Core;
use crate::local;

/// Whether a well-formed request goes on to its transaction. If not it has been answered, or is dropped.
pub(crate) fn passes(
    core: &mut Core,
    now: Time,
    source: Flow,
    request: &Message<'_>,
    out: &mut Outbox,
) -> bool {
    if is_stateless_ack(request) {
        core.counters.stateless_acks += 1;
        return false;
    }
    tell_load(core, source.remote);
    let (admission, transactions) = (&mut core.admission, &mut core.transactions);
    let is_trusted = || core.peers.of(source.remote.ip()).trusted;
    let verdict = admission.admit(now, request, is_trusted, || transactions.holds(request));
    if verdict == Verdict::Refuse {
        refuse(core, source, request, out);
    }
    verdict == Verdict::Admit
}

/// RFC 3261 8.2.7: what answers without state absorbs the ACK, too.
fn is_stateless_ack(request: &Message<'_>) -> bool {
    request.method() == Method::Ack
        && request
            .to_tag()
            .is_some_and(|tag| tag.starts_with(STATELESS_TAG))
}

/// The responses to this peer's requests say how loaded this shard is, if it is one that listens.
fn tell_load(core: &mut Core, peer: SocketAddr) {
    if core.peers.any_speaks_of_overload() {
        let load = match core.peers.of(peer.ip()).overload_control {
            true => core.feedback.text(),
            false => b"",
        };
        core.transactions.tell_load(load);
    }
}

/// 503 without a transaction. Every copy of the request gets the same answer (RFC 3261 8.2.7), the time
/// to come back included: it is drawn from what the copies have in common.
///
/// RFC 7339 5.10.2 would have no Retry-After here; RFC 3261 21.5.4 recommends one, and clients that
/// know no other way need it. `limits.retry_after_s = 0` follows RFC 7339.
pub(crate) fn refuse(core: &mut Core, source: Flow, request: &Message<'_>, out: &mut Outbox) {
    let draw = identity(request);
    let retry_after = local::retry_after_spread(core.limits.retry_after_s, draw);
    let load = core.load_told(Some(source.remote.ip()));
    stateless_response_telling(request, source, 503, b"", &retry_after, load, out);
}

/// A turn of the shard's thread begins; before it there was nothing to do for `idle`.
pub(crate) fn note_load(core: &mut Core, now: Time, idle: Duration) {
    let ended = core.counters.calls_ended + core.counters.calls_failed;
    let change = core.admission.note(now, idle, ended);
    let rate = core.admission.rate();
    if core.peers.any_speaks_of_overload() {
        let offered = core.admission.counters().offered;
        core.feedback.look(now, offered, rate);
        if core.feedback.asks() {
            core.admission.hold(now);
        }
    }
    if let Some(sieve) = core.admission.look_at_sieve(now) {
        core.events.push_back(Event::Sieve(sieve.map(Box::new)));
    }
    if let Some(begins) = change {
        let counters = core.admission.counters();
        core.events.push_back(Event::Overload {
            begins,
            rate: rate.map_or(0, |rate| rate as u64),
            turned_away: counters.refused + counters.dropped,
        });
    }
}

/// A server's response came; what it says of its load counts for the next calls to it.
pub(crate) fn hear(core: &mut Core, now: Time, server: SocketAddr, response: &Message<'_>) {
    if !core.peers.speaks_of_overload(server.ip()) {
        return;
    }
    if let Ok(via) = response.top_via() {
        core.feedback.hear(now, server, &via);
    }
}

/// Whether a request that begins something is not to be sent to `server`, because it has asked for fewer. What
/// belongs to something that has begun, and priority calls, are sent all the same (RFC 7339 5.10.1).
pub(crate) fn withholds(
    core: &mut Core,
    now: Time,
    source: Flow,
    server: SocketAddr,
    request: &Message<'_>,
) -> bool {
    let is_trusted = || core.peers.of(source.remote.ip()).trusted;
    if core.feedback.servers() == 0
        || !begins_something(request)
        || core.admission.has_priority(request, is_trusted)
    {
        return false;
    }
    let draw = core.random.next_u64();
    let withheld = core.feedback.withholds(now, server, draw);
    core.counters.calls_withheld += u64::from(withheld);
    withheld
}
