//! Requests and events as they come to the proxy from the router: what a route has it forward, what a
//! dialog's path leads through it, and what belongs to a transaction it made.

use std::net::SocketAddr;

use stack::{Flow, Outbox, ServerId, Time};
use wire::{Message, Method, Uri};

use super::admission::{self, Admitted};
use super::back::Heard;
use super::best::told;
use super::context::{Candidate, Candidates, New, ResponseContext, TargetUri, Terms};
use super::onward::{Kind, Onward};
use super::path::{Path, may_be_ours};
use crate::call::{After, Refusal};
use crate::calls::{CallId, Calls};
use crate::core::{Core, Purpose, User, Waiting};
use crate::entry::Entry;
use crate::rdb::{Proxied, Route};
use crate::target::{rewritten, written};

/// A request and its transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrived<'a, 'm> {
    pub(crate) request: &'a Message<'m>,
    pub(crate) source: Flow,
    pub(crate) server: ServerId,
}

/// What the routing DB says of it.
#[derive(Debug)]
pub(crate) struct Routed<'a, 'r> {
    pub(crate) route: Route<'r>,
    pub(crate) proxied: &'a Proxied,
    pub(crate) uri: &'a Uri<'a>,
    pub(crate) user: &'a str,
}

/// Forwards a request that its route has proxied. `Some` is a context to be stored under the id that
/// `calls` reserves; a request with one target that is no INVITE needs none.
///
/// # Errors
/// How the request is answered when it was not forwarded.
pub(crate) fn start(
    core: &mut Core,
    calls: &mut Calls,
    now: Time,
    arrived: Arrived<'_, '_>,
    routed: Routed<'_, '_>,
    out: &mut Outbox,
) -> Result<Option<Entry>, Refusal> {
    core.transactions.allow_copies(arrived.server);
    let path = Path::of(core, arrived.request);
    let admitted = Admitted::check(core, arrived.request, &path)?;
    let record = routed.route.record;
    let terms = Terms {
        no_answer: record.no_answer,
        no_18x: record.no_18x,
        recurse: routed.proxied.recurse,
        kind: Kind::Routed,
    };
    let candidates = candidates(core, arrived, routed);
    forward_to(
        core, calls, now, arrived, &path, admitted, candidates, terms, out,
    )
}

/// The targets of the record as Request-URIs.
fn candidates(core: &mut Core, arrived: Arrived<'_, '_>, mut routed: Routed<'_, '_>) -> Candidates {
    let mut found = Candidates::new();
    for branch in &routed.proxied.targets {
        let (_, host_port) = written(&branch.target, arrived.source);
        let uri = (arrived.request.request_uri(), routed.uri);
        let route = (routed.user, &mut routed.route);
        let text = rewritten(core, route, &branch.out_user, uri, &host_port);
        found.push(Candidate {
            uri: TargetUri::from_slice(&text),
            q: branch.q,
        });
    }
    found
}

#[expect(
    clippy::too_many_arguments,
    reason = "a request and all that was found out about it"
)]
fn forward_to(
    core: &mut Core,
    calls: &mut Calls,
    now: Time,
    arrived: Arrived<'_, '_>,
    path: &Path<'_>,
    admitted: Admitted,
    candidates: Candidates,
    terms: Terms,
    out: &mut Outbox,
) -> Result<Option<Entry>, Refusal> {
    let Arrived {
        request,
        source,
        server,
    } = arrived;
    let is_plain = request.method() != Method::Invite && !terms.recurse;
    if let ([only], true) = (candidates.as_slice(), is_plain) {
        let onward = Onward::new(request, source, path, &only.uri, terms.kind, admitted);
        let user = User {
            call: CallId::NONE,
            purpose: Purpose::Onward(server),
        };
        let sent = onward.send(core, now, user, out);
        return sent.map(|_| None).map_err(Refusal::from);
    }
    let Some(id) = calls.reserve() else {
        core.limit_reached("calls", calls.limit());
        return Err(Refusal::at_limit(core));
    };
    let new = New {
        id,
        server,
        source,
        request,
        path,
        admitted,
        candidates,
        terms,
    };
    let started = ResponseContext::start(core, now, new, out);
    started.map(|context| Some(Entry::Proxy(context)))
}

/// The path of a request inside a dialog that was made through this proxy (RFC 3261 16.12); `None` for
/// every other.
pub(crate) fn own_path<'m>(core: &Core, request: &Message<'m>) -> Option<Path<'m>> {
    if !may_be_ours(request) || request.to_tag().is_none() {
        return None;
    }
    Some(Path::of(core, request)).filter(|path| path.proven)
}

/// Forwards a request inside a dialog. `Some` as for [`start`].
///
/// # Errors
/// As for [`start`].
pub(crate) fn receive_in_dialog(
    core: &mut Core,
    calls: &mut Calls,
    now: Time,
    arrived: Arrived<'_, '_>,
    path: &Path<'_>,
    out: &mut Outbox,
) -> Result<Option<Entry>, Refusal> {
    let admitted = Admitted::check(core, arrived.request, path)?;
    let terms = Terms {
        no_answer: None,
        no_18x: None,
        recurse: false,
        kind: Kind::InDialog,
    };
    let uri = TargetUri::from_slice(path.uri);
    let candidates = Candidates::from_elem(Candidate { uri, q: 0 }, 1);
    forward_to(
        core, calls, now, arrived, path, admitted, candidates, terms, out,
    )
}

/// Forwards the ACK for a 2xx. Nothing ever answers an ACK: one that cannot go is dropped.
pub(crate) fn ack(
    core: &mut Core,
    now: Time,
    source: Flow,
    path: &Path<'_>,
    request: &Message<'_>,
    out: &mut Outbox,
) {
    if let Some(admitted) = admission::ack(core, request) {
        let onward = Onward::new(request, source, path, path.uri, Kind::InDialog, admitted);
        onward.send_ack(core, now, out);
    }
}

/// A response on a transaction of the proxy; what becomes of the context its user names.
pub(crate) fn on_answer(
    core: &mut Core,
    calls: &mut Calls,
    now: Time,
    user: User,
    (source, response): (Flow, &Message<'_>),
    out: &mut Outbox,
) -> After {
    match user.purpose {
        Purpose::Branch(server, index) => {
            let heard = Heard::new(core, source, server, response);
            match calls.context_mut(user.call) {
                Some(context) => return context.on_response(core, now, index, heard, out),
                // RFC 3261 16.7 step 5: every 2xx goes back, also when the context is gone.
                None if (200..300).contains(&response.code()) => {
                    heard.forward(core, now, server, out);
                }
                None => {}
            }
        }
        Purpose::Onward(server) if response.code() == 503 => {
            core.refuse(now, server, told(503), b"", out);
        }
        Purpose::Onward(server) => {
            Heard::new(core, source, server, response).forward(core, now, server, out);
        }
        _ => {}
    }
    After::Keep
}

/// A transaction of the proxy ended without a response: 408, or 503 when nobody could be reached. A 408
/// to another method than INVITE is not sent (RFC 4320 4.2).
pub(crate) fn on_failed(
    core: &mut Core,
    calls: &mut Calls,
    now: Time,
    user: User,
    code: u16,
    out: &mut Outbox,
) -> After {
    match user.purpose {
        Purpose::Branch(_, index) => {
            if let Some(context) = calls.context_mut(user.call) {
                return context.on_failed(core, now, index, code, out);
            }
        }
        Purpose::Onward(server) => core.refuse(now, server, told(code), b"", out),
        _ => {}
    }
    After::Keep
}

/// The name that a request of the proxy waited for has this address, or none.
pub(crate) fn found(
    core: &mut Core,
    calls: &mut Calls,
    now: Time,
    waiter: &Waiting,
    remote: Option<SocketAddr>,
    out: &mut Outbox,
) -> After {
    let Some(remote) = remote else {
        core.transactions.fail(now, waiter.client);
        return on_failed(core, calls, now, waiter.user, 503, out);
    };
    let flow = Flow {
        listener: waiter.listener,
        remote,
    };
    core.transactions
        .destination_found(now, waiter.client, flow, out);
    After::Keep
}

/// The client cancels (RFC 3261 16.10): it gets its 200 at once, and whoever has not answered a CANCEL.
pub(crate) fn on_cancel(
    core: &mut Core,
    calls: &mut Calls,
    now: Time,
    cancel: ServerId,
    id: CallId,
    request: &Message<'_>,
    out: &mut Outbox,
) {
    let tag = core.own_tag();
    core.answer(now, cancel, (200, ""), &tag, b"", out);
    if let Some(context) = calls.context_mut(id) {
        context.on_cancel(core, now, request, out);
    }
}
