//! Event packages of the users of local domains: the router is notifier (RFC 6665) of what they have registered (`reg`,
//! RFC 3680), of what waits for them (`message-summary`, RFC 3842), and of what they publish (RFC 3903) of their presence
//! (RFC 3856) and dialogs (RFC 4235). Each subscription lives on the shard its Call-ID names; the state is on every shard.
//! Subscriptions to anybody else are passed on, and are `outside`'s.

mod asked;
mod counters;
mod documents;
mod notifier;
mod package;
mod publications;
mod publish;
mod reginfo;
mod settings;
mod state_agent;
mod summary;
mod xml;

use stack::{ClientId, Flow, Outbox, ServerId, Time};
use wire::{Message, Method};

use self::package::Package;
use self::publications::Resource;
use crate::call::{After, Refusal};
use crate::calls::{CallId, Calls};
use crate::core::Core;
use crate::entry::Entry;
use crate::local;
use crate::location::Aor;
use crate::registrar;

pub use counters::EventsCounters;
pub(crate) use notifier::Notifier;
pub(crate) use package::ALLOW_EVENTS;
pub use settings::{EventsSettings, Watchers};
pub(crate) use state_agent::{Published, StateAgent};
pub use summary::{MessageCounts, MessageWaiting};

/// Whether the router is notifier of anything.
pub(crate) fn is_on(core: &Core) -> bool {
    core.state_agent.settings().is_some() && registrar::is_on(core)
}

/// Whether a request outside any dialog is for the notifier or state agent of a user.
pub(crate) fn takes(core: &Core, request: &Message<'_>) -> bool {
    matches!(request.method(), Method::Subscribe | Method::Publish)
        && is_on(core)
        && asked::user_of(core, request.request_uri()).is_some()
}

/// A SUBSCRIBE or PUBLISH for a user. Without `calls` no subscription is made.
pub(crate) fn receive(
    core: &mut Core,
    calls: Option<&mut Calls>,
    now: Time,
    source: Flow,
    server: ServerId,
    request: &Message<'_>,
    out: &mut Outbox,
) {
    let Some(aor) = asked::user_of(core, request.request_uri()) else {
        return;
    };
    let publishes = request.method() == Method::Publish;
    // RFC 3261 8.2.2.3: nothing is understood that may be required.
    let done = local::refuse_unknown(request.values(wire::HeaderName::Require)).and_then(|()| {
        match publishes {
            true => publish::receive(core, now, server, request, aor, out),
            false => subscribe(core, calls, now, (source, server), request, aor, out),
        }
    });
    let counters = &mut core.counters.events;
    let counter = match (publishes, done.is_ok()) {
        (true, true) => &mut counters.published,
        (true, false) => &mut counters.publish_refused,
        (false, true) => &mut counters.subscribed,
        (false, false) => &mut counters.subscribe_refused,
    };
    *counter += 1;
    if let Err(refusal) = done {
        core.refuse_with(now, server, &refusal, out);
    }
}

fn subscribe(
    core: &mut Core,
    calls: Option<&mut Calls>,
    now: Time,
    (source, server): (Flow, ServerId),
    request: &Message<'_>,
    aor: Aor,
    out: &mut Outbox,
) -> Result<(), Refusal> {
    let settings = core.state_agent.settings().cloned().unwrap_or_default();
    let resource = (aor, Package::subscribed(request)?);
    let (aor, package) = &resource;
    asked::check_subscriber(core, &settings, request, (aor, *package))?;
    if !package.is_acceptable(request) {
        return Err(Refusal::code(406));
    }
    let seconds = asked::interval(&settings, request)?;
    let id = calls.and_then(|calls| Some((calls.reserve_subscription()?, calls)));
    let Some((id, calls)) = id.filter(|_| core.state_agent.has_room(&resource)) else {
        core.counters.subscriptions_limited += 1;
        return Err(Refusal::at_limit(core));
    };
    let mut notifier = Notifier::new(core, now, id, source, request, resource)?;
    let after = notifier.accept(core, now, server, seconds, out);
    if after == After::Remove {
        notifier.release(core);
        return Ok(());
    }
    heed(core, notifier.resource(), id);
    calls.insert(Entry::Notifier(Box::new(notifier)));
    Ok(())
}

/// Changes of this are to be told to this subscription.
fn heed(core: &mut Core, resource: &Resource, id: CallId) {
    core.state_agent.add_subscriber(resource, id);
    if resource.1 == Package::Reg {
        core.location.watch(&resource.0);
    }
}

/// The subscription is over.
fn forget(core: &mut Core, resource: &Resource, id: CallId) {
    let was_last = core.state_agent.remove_subscriber(resource, id);
    if was_last && resource.1 == Package::Reg {
        core.location.unwatch(&resource.0);
    }
}

/// Tells all subscribers of what has changed since the last time.
pub(crate) fn tell_changes(core: &mut Core, calls: &mut Calls, now: Time, out: &mut Outbox) {
    while let Some(aor) = core.location.poll_watched() {
        core.state_agent.note((aor, Package::Reg));
    }
    while let Some(resource) = core.state_agent.poll_changed() {
        for id in core.state_agent.subscribers(&resource).to_vec() {
            let notifier = calls.notifier_mut(id);
            let after = notifier.map(|notifier| notifier.on_change(core, now, out));
            finish(core, calls, now, id, after);
        }
    }
}

/// The final answer to a NOTIFY of ours, or the code that stands for none.
pub(crate) fn on_answer(
    core: &mut Core,
    calls: &mut Calls,
    now: Time,
    (id, client): (CallId, ClientId),
    code: u16,
    out: &mut Outbox,
) {
    if code < 200 {
        return;
    }
    let notifier = calls.notifier_mut(id);
    let after = notifier.map(|notifier| notifier.on_answer(core, now, client, code, out));
    finish(core, calls, now, id, after);
}

fn finish(core: &mut Core, calls: &mut Calls, now: Time, id: CallId, after: Option<After>) {
    if after == Some(After::Remove)
        && let Some(entry) = calls.remove(id)
    {
        entry.release(core, now);
    }
}

/// What another shard has taken in.
pub(crate) fn hear(core: &mut Core, published: &Published) {
    if core.state_agent.takes(published) {
        core.state_agent.publish(published);
    } else {
        core.counters.events.dropped += 1;
    }
}

/// What waits for a user, as the control side counts it; `None`: it counts no more.
pub(crate) fn set_mailbox(core: &mut Core, aor: &Aor, waiting: Option<MessageWaiting>) {
    let known = registrar::is_user(&core.directory, aor) || waiting.is_none();
    let kept = known && core.state_agent.set_mailbox(aor, waiting);
    core.counters.events.dropped += u64::from(!kept);
}

/// Other domains or users: subscriptions to who is gone end, and what waits for him is forgotten.
pub(crate) fn on_directory(core: &mut Core) {
    let directory = std::sync::Arc::clone(&core.directory);
    let agent = &mut core.state_agent;
    agent.retain_mailboxes(|aor| registrar::is_user(&directory, aor));
    agent.note_gone(|aor| !registrar::is_user(&directory, aor));
}

/// Does what is due.
pub(crate) fn handle_timeout(core: &mut Core, now: Time) {
    core.state_agent.expire(now);
    while let Some(published) = core.state_agent.poll_repeat(now) {
        publish::tell(core, &published);
    }
}
