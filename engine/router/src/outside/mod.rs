//! Requests outside any dialog that are no INVITE: MESSAGE, PUBLISH, SUBSCRIBE, REFER, OPTIONS to a number,
//! INFO. They are routed as calls are, and leave under an identity of ours.
//!
//! Most are one exchange: two transactions and nothing between them, so that no table entry is needed.
//! SUBSCRIBE and REFER make a subscription, which has two dialogs and a lifetime, and is an entry beside the
//! calls. What requests the router answers itself is in `local`, subscriptions inside calls are the calls'.

mod methods;
mod outgoing;
mod pair;
mod subscription;

use std::net::SocketAddr;

use stack::{ClientId, Flow, Outbox, ServerId, Time, Token};
use wire::{Message, Method, Uri};

use self::outgoing::Outgoing;
use crate::call::{After, Changes, Refusal, relay_response};
use crate::calls::{CallId, Calls};
use crate::core::{Core, Purpose, User, Waiting};
use crate::entry::Entry;
use crate::identity;
use crate::local;
use crate::rdb::Matcher;
use crate::steer::Crossed;

pub use methods::Methods;
pub(crate) use subscription::Subscription;

/// A request outside any dialog, of a method that is passed on. Without `calls` no subscription is made.
///
/// # Errors
/// The answer to a request that is not passed on.
#[expect(clippy::too_many_arguments, reason = "a request and its surroundings")]
pub(crate) fn receive(
    core: &mut Core,
    calls: Option<&mut Calls>,
    matcher: &mut Matcher,
    now: Time,
    source: Flow,
    server: ServerId,
    request: &Message<'_>,
    out: &mut Outbox,
) -> Result<(), Refusal> {
    if is_for_router(request) {
        local::answer(core, now, server, request, out);
        return Ok(());
    }
    let outgoing = match Outgoing::find(core, matcher, now, (source, server), request) {
        Ok(Some(outgoing)) => outgoing,
        Err(refusal) if refusal.code != 404 || request.method() != Method::Options => {
            return Err(refusal);
        }
        // Nobody else is there to say what it can do (RFC 3261 11.2).
        _ => {
            local::answer(core, now, server, request, out);
            return Ok(());
        }
    };
    match request.method() {
        Method::Subscribe | Method::Refer => subscribe(core, calls, now, &outgoing, out),
        _ => exchange(core, now, &outgoing, out),
    }
}

/// RFC 3261 11: OPTIONS without a user asks the router; so does one that may go no further (11.2).
fn is_for_router(request: &Message<'_>) -> bool {
    let names_nobody = || Uri::parse(request.request_uri()).is_ok_and(|uri| uri.user.is_empty());
    request.method() == Method::Options && (request.max_forwards() == Ok(Some(0)) || names_nobody())
}

/// Passes a request on whose answer ends it.
fn exchange(
    core: &mut Core,
    now: Time,
    outgoing: &Outgoing<'_, '_>,
    out: &mut Outbox,
) -> Result<(), Refusal> {
    let tag = core.own_tag();
    let mut dialog = outgoing.dialog(core, &tag)?;
    let user = User {
        call: CallId::NONE,
        purpose: Purpose::Exchange(outgoing.server, outgoing.is_steered()),
    };
    let contact = outgoing.request.header(wire::HeaderName::Contact);
    let contact = contact.map(|_| &tag);
    let sent = outgoing.send(core, now, &mut dialog, user, contact, out);
    dialog.release(&mut core.pool);
    sent.map(|_| ())
}

/// Passes a request on that makes a subscription.
fn subscribe(
    core: &mut Core,
    calls: Option<&mut Calls>,
    now: Time,
    outgoing: &Outgoing<'_, '_>,
    out: &mut Outbox,
) -> Result<(), Refusal> {
    let drains = calls.is_none();
    let room = calls.and_then(|calls| Some((calls.reserve_subscription()?, calls)));
    let Some((id, calls)) = room else {
        core.counters.subscriptions_limited += 1;
        if !drains {
            core.limit_reached("subscriptions", core.limits.subscriptions);
        }
        return Err(Refusal::at_limit(core));
    };
    let subscription = Subscription::start(core, now, id, outgoing, out)?;
    core.counters.subscriptions_started += 1;
    calls.insert(Entry::Subscription(Box::new(subscription)));
    Ok(())
}

/// A final answer to a request that was passed on. It crosses even when its subscription is gone.
pub(crate) fn on_answer(
    core: &mut Core,
    calls: &mut Calls,
    now: Time,
    user: User,
    (source, response): (Flow, &Message<'_>),
    out: &mut Outbox,
) {
    // RFC 4320 4.1: who waits has its 100 from us.
    if response.code() < 200 {
        return;
    }
    let subscription = calls.subscription_mut(user.call);
    let after = match (user.purpose, subscription) {
        (Purpose::Subscribe(server), Some(subscription)) => {
            subscription.on_first_answer(core, now, server, (source, response), out)
        }
        (Purpose::Subscribed(from, server), Some(subscription)) => {
            subscription.on_answer(core, now, (from, server), (source, response), out)
        }
        (Purpose::Subscribe(server) | Purpose::Subscribed(_, server), None)
        | (Purpose::Exchange(server, _), _) => {
            let withheld = matches!(user.purpose, Purpose::Exchange(_, true)) && response.has_sdp();
            let body = if withheld {
                Crossed::Withheld
            } else {
                Crossed::AsIs
            };
            let tag = core.own_tag();
            pass(core, now, server, &tag, (source, response), body, out);
            After::Keep
        }
        _ => After::Keep,
    };
    finish(core, calls, now, user.call, after);
}

/// The far side's answer on the transaction it is for.
fn pass(
    core: &mut Core,
    now: Time,
    server: ServerId,
    tag: &Token,
    (source, response): (Flow, &Message<'_>),
    body: Crossed,
    out: &mut Outbox,
) {
    let steered = matches!(body, Crossed::Withheld);
    let receiver = core
        .transactions
        .server_flow(server)
        .map(|flow| flow.remote.ip());
    let veil = identity::between(core, source.remote.ip(), receiver);
    let changes = Changes::hiding(veil.and_then(|veil| veil.hides(response, steered)));
    relay_response(core, now, server, tag, response, &changes, body, out);
}

/// No answer came to a request that was passed on (408, which nobody is sent: RFC 4320 4.2), or it could not
/// be sent (503).
pub(crate) fn on_failed(
    core: &mut Core,
    calls: &mut Calls,
    now: Time,
    (client, user): (ClientId, User),
    code: u16,
    out: &mut Outbox,
) {
    let (Purpose::Exchange(server, _)
    | Purpose::Subscribe(server)
    | Purpose::Subscribed(_, server)) = user.purpose
    else {
        return;
    };
    core.refuse(now, server, code, b"", out);
    let after = match (user.purpose, calls.subscription_mut(user.call)) {
        (Purpose::Subscribe(_), Some(_)) => After::Remove,
        (_, Some(subscription)) => subscription.on_failed(core, now, client, code),
        _ => After::Keep,
    };
    finish(core, calls, now, user.call, after);
}

/// The name that a request waited for is known to have this address, or none.
pub(crate) fn on_resolved(
    core: &mut Core,
    calls: &mut Calls,
    now: Time,
    waiter: &Waiting,
    remote: Option<SocketAddr>,
    out: &mut Outbox,
) {
    let Waiting {
        user,
        client,
        listener,
        ..
    } = *waiter;
    let Some(remote) = remote else {
        core.transactions.fail(now, client);
        return on_failed(core, calls, now, (client, user), 503, out);
    };
    let flow = Flow { listener, remote };
    if let Some(subscription) = calls.subscription_mut(user.call) {
        subscription.notifier_found(flow);
    }
    core.transactions.destination_found(now, client, flow, out);
}

fn finish(core: &mut Core, calls: &mut Calls, now: Time, id: CallId, after: After) {
    if after == After::Remove
        && let Some(entry) = calls.remove(id)
    {
        entry.release(core, now);
    }
}
