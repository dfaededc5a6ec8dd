//! Where the guard meets the rest of the router: what it rejects is answered or dropped, and what the
//! router refused is told to it.

use std::hash::BuildHasher;
use std::net::SocketAddr;

use foldhash::fast::FixedState;
use stack::transport::stateless_response;
use stack::{Flow, Outbox, ServerId, Time};
use wire::{HeaderName, Message, Method, NameAddr, Uri};

use super::{Ban, Reaction, Rejection};
use crate::admission;
use crate::application_server;
use crate::config::Event;
use crate::core::{Core, EVENTS_MAX};

/// Whether a request without a To tag goes on. If not it has been answered, or is dropped.
pub(crate) fn passes(
    core: &mut Core,
    now: Time,
    source: Flow,
    request: &Message<'_>,
    out: &mut Outbox,
) -> bool {
    // RFC 3261 17.1.1.3: nothing answers an ACK, so it does no harm.
    if request.method() == Method::Ack {
        return true;
    }
    match judge(core, now, source.remote, request) {
        Ok(()) => true,
        Err(rejection) => {
            react(core, now, source, request, rejection, out);
            false
        }
    }
}

fn judge(
    core: &mut Core,
    now: Time,
    source: SocketAddr,
    request: &Message<'_>,
) -> Result<(), Rejection> {
    let is_scanner = core.guard.is_scanner(request);
    if !(is_scanner || core.guard.remembers()) || is_exempt(core, source) {
        return Ok(());
    }
    if is_scanner {
        core.guard.note_scanner();
        return Err(Rejection::Scanner);
    }
    // What has a transaction was let in before, and so was the INVITE that a CANCEL is for.
    match core.transactions.holds(request) {
        true => Ok(()),
        false => core.guard.judge(now, source.ip(), request.method()),
    }
}

/// Whether a request goes on that names a dialog there is none of: not if its source is banned.
pub(crate) fn passes_without_dialog(
    core: &mut Core,
    now: Time,
    source: SocketAddr,
    request: &Message<'_>,
) -> bool {
    request.method() == Method::Ack
        || core.transactions.holds(request)
        || is_exempt(core, source)
        || !core.guard.is_banned(now, source.ip())
}

/// Those who are known to mean well: configured ones, and the application server.
pub(crate) fn is_exempt(core: &Core, source: SocketAddr) -> bool {
    core.peers.of(source.ip()).exempt
        || core.guard.allows(source.ip())
        || application_server::sends_from(core, source)
}

fn react(
    core: &mut Core,
    now: Time,
    source: Flow,
    request: &Message<'_>,
    rejection: Rejection,
    out: &mut Outbox,
) {
    match core.guard.reaction(now, source.remote.ip(), rejection) {
        Reaction::Drop => {}
        Reaction::Answer(503) => admission::entrance::refuse(core, source, request, out),
        Reaction::Answer(code) => stateless_response(request, source, code, b"", b"", out),
    }
}

/// An INVITE of one who may be anybody is refused once for each time it comes; to other requests this is nothing.
///
/// RFC 3261 17.2.1 would have the refusal repeated until its ACK comes. 26.3.2.4 says what that is good for
/// when the source address is another's: ten datagrams to a victim for each one sent. The sender loses nothing:
/// having had no provisional response it sends the INVITE again (17.1.1.2), as with a stateless server (8.2.7).
pub(crate) fn answer_carefully(core: &mut Core, source: Flow, server: ServerId) {
    if core.guard.settings().refuse_once && !is_exempt(core, source.remote) {
        core.transactions.refuse_once(server);
    }
}

/// What the router has just refused counts against its sender.
pub(crate) fn note(core: &mut Core, now: Time, source: Flow, request: Option<&Message<'_>>) {
    let Some(code) = core.refused_with.take() else {
        return;
    };
    let source = source.remote;
    let in_call = request.is_some_and(|it| it.to_tag().is_some()) && code != 481;
    if in_call || !is_failure(code) || !core.guard.remembers() || is_exempt(core, source) {
        return;
    }
    let number = request.filter(|it| it.method() == Method::Invite && is_about_number(code));
    let number = number.and_then(|it| Some(hash(Uri::parse(it.request_uri()).ok()?.user)));
    let ban = core.guard.note_failure(now, source.ip(), number);
    announce(core, ban);
}

/// A callee's server said that the number a call was for does not exist.
pub(crate) fn note_answer(core: &mut Core, now: Time, caller: SocketAddr, answer: &Message<'_>) {
    if !is_about_number(answer.code()) || !core.guard.remembers() || is_exempt(core, caller) {
        return;
    }
    let called = answer.header(HeaderName::To).map(NameAddr::parse);
    if let Some(Ok(called)) = called {
        let ban = core
            .guard
            .note_failure(now, caller.ip(), Some(hash(called.uri)));
        announce(core, ban);
    }
}

/// Somebody tried a secret, and it was wrong. That is not among the refusals seen by [`note`]: a challenge by
/// itself is no failure.
pub(crate) fn note_wrong_secret(core: &mut Core, now: Time, source: SocketAddr) {
    if core.guard.remembers() && !is_exempt(core, source) {
        let ban = core.guard.note_failure(now, source.ip(), None);
        announce(core, ban);
    }
}

fn announce(core: &mut Core, ban: Option<Ban>) {
    if let Some(ban) = ban.filter(|_| core.events.len() < EVENTS_MAX) {
        core.events.push_back(Event::Banned(ban));
    }
}

/// Refusals for which the sender is to blame: not those that negotiate (credentials, intervals, media), nor those
/// that tell of a callee or of a race.
fn is_failure(code: u16) -> bool {
    let negotiates = matches!(code, 401 | 407 | 415 | 422 | 423 | 488);
    let tells = matches!(code, 408 | 480 | 482 | 486 | 487 | 491);
    matches!(code, 400..=499) && !negotiates && !tells
}

/// RFC 3261 21.4.5, 21.4.9, 21.4.22, 21.6.3: the number does not exist.
fn is_about_number(code: u16) -> bool {
    matches!(code, 404 | 410 | 484 | 604)
}

/// The key need not be secret: who makes numbers collide only hides that he tried them, and his refused
/// requests count all the same.
fn hash(number: &[u8]) -> u64 {
    FixedState::with_seed(0).hash_one(number)
}
