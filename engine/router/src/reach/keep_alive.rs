//! Whether contacts still answer: the owner of an address-of-record asks each of its contacts with OPTIONS (RFC 3261 11),
//! on the way that a call would take, and tells the location service what came of it.
//!
//! The table is gone through part by part, once in the interval, so that the questions are spread over it whenever the
//! contacts came; nothing is kept for a contact that is not being asked at the moment.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use hashbrown::HashMap;
use stack::{ClientId, Flow, Outbox, Time, Token, sip_hash};
use wire::{Method, NameAddr, Uri, Values};

use super::ContactKeepAlive;
use super::targets::{Way, can_be_called};
use crate::application_server::print_options;
use crate::calls::CallId;
use crate::core::{Core, Destination, Purpose, User, Waiting};
use crate::location::{Aor, SEGMENTS};

/// A turn sends a burst of questions at most so often.
const BREATH: Duration = Duration::from_millis(10);
/// So few steps a round is made in, while there are few contacts.
const STEPS_MIN: usize = 16;

/// A contact to be asked, or that was.
#[derive(Clone, Debug)]
struct Asked {
    aor: Aor,
    contact: Box<[u8]>,
}

/// How far the round is.
#[derive(Debug, Default)]
pub(crate) struct KeepAlive {
    /// The part of the table that comes next.
    segment: usize,
    /// Those of the last parts that are to be asked.
    queue: VecDeque<Asked>,
    /// When the next part is due.
    step: Time,
    /// When there is something to do, while there are contacts.
    due: Time,
    /// Under a hash of theirs: no contact is asked twice at a time.
    asked: HashMap<u32, Asked>,
}

fn settings(core: &Core) -> Option<ContactKeepAlive> {
    core.registrar.settings()?.reach.keep_alive
}

/// When to ask the next ones; `None` while nobody is to be asked.
pub(crate) fn poll_timeout(core: &Core) -> Option<Time> {
    let idle = core.location.is_empty() || settings(core).is_none();
    (!idle).then_some(core.keep_alive.due)
}

/// Asks whom it is time to ask.
pub(crate) fn handle_timeout(core: &mut Core, now: Time, out: &mut Outbox) {
    let Some(settings) = settings(core) else {
        return;
    };
    if poll_timeout(core).is_none_or(|due| due > now) {
        return;
    }
    if core.keep_alive.queue.is_empty() && core.keep_alive.step <= now {
        take_step(core, now, settings.every);
    }
    let a_breath = settings.per_second.max(1).div_ceil(100);
    for _ in 0..a_breath {
        let Some(next) = core.keep_alive.queue.pop_front() else {
            break;
        };
        ask(core, now, next, out);
    }
    let keep_alive = &mut core.keep_alive;
    // Rounded up as the burst is: few a second are asked one by one.
    let pause = BREATH.max(Duration::from_secs(a_breath.into()) / settings.per_second.max(1));
    keep_alive.due = match keep_alive.queue.is_empty() {
        true => keep_alive.step.max(now + pause),
        false => now + pause,
    };
}

/// Puts the contacts of the next parts of the table on the list.
fn take_step(core: &mut Core, now: Time, every: Duration) {
    let breaths = (every.as_millis() / BREATH.as_millis()).max(1) as usize;
    let most = SEGMENTS.min(breaths.next_power_of_two()).max(STEPS_MIN);
    let wanted = core.location.counters().registrations as usize;
    let steps = wanted.next_power_of_two().clamp(STEPS_MIN, most);
    let parts = SEGMENTS / steps;
    let Core {
        location,
        keep_alive,
        ..
    } = core;
    for _ in 0..parts {
        let segment = keep_alive.segment;
        keep_alive.segment = (segment + 1) % SEGMENTS;
        for registration in location.owned(segment) {
            let bindings = registration.bindings.iter();
            let bindings = bindings.filter(|it| it.expires > now && can_be_called(&it.contact));
            keep_alive.queue.extend(bindings.map(|it| Asked {
                aor: registration.aor.clone(),
                contact: it.contact.clone(),
            }));
        }
    }
    keep_alive.step = now + every / steps as u32;
}

fn number_of(core: &Core, asked: &Asked) -> u32 {
    let text = [asked.aor.as_str().as_bytes(), b"\n", &asked.contact].concat();
    sip_hash(&text, [core.location.key(), 1]) as u32
}

/// Asks a contact that is still there and owes no answer.
fn ask(core: &mut Core, now: Time, asked: Asked, out: &mut Outbox) {
    let registration = core.location.of(asked.aor.as_str());
    let bindings = registration.iter().flat_map(|it| it.bindings.iter());
    let binding = bindings
        .filter(|it| it.expires > now)
        .find(|it| it.contact == asked.contact);
    let Some(way) = binding.map(Way::of) else {
        return;
    };
    let number = number_of(core, &asked);
    if core.keep_alive.asked.contains_key(&number) {
        return;
    }
    core.counters.reach.probes += 1;
    match send(core, now, &asked, &way, number, out) {
        true => drop(core.keep_alive.asked.insert(number, asked)),
        false => note(core, now, &asked, false),
    }
}

/// Sends OPTIONS; false when no transaction is free or nothing leads there.
fn send(
    core: &mut Core,
    now: Time,
    asked: &Asked,
    way: &Way,
    number: u32,
    out: &mut Outbox,
) -> bool {
    let (listener, destination) = next_hop(core, now, asked, way);
    let user = User {
        call: CallId::NONE,
        purpose: Purpose::Contact(number),
    };
    let names = [core.own_tag(), core.own_tag()];
    let mut routes = Vec::new();
    if !way.path.is_empty() {
        wire::print::header(&mut routes, "Route", &way.path);
    }
    let listener = match &destination {
        Destination::Known(remote) => core.listener_for(remote.ip(), listener),
        _ => Some(listener),
    };
    let Some(listener) = listener else {
        return false;
    };
    let Core {
        doors,
        transactions,
        names: resolver,
        ..
    } = core;
    let door = doors.of(listener);
    let print = |out: &mut Vec<u8>, branch: &Token| {
        print_options(out, door, (&asked.contact, &routes), &names, branch);
    };
    match destination {
        Destination::Known(remote) => {
            let flow = Flow { listener, remote };
            let sent = transactions.request(now, flow, Method::Options, user, print, out);
            sent.is_some()
        }
        Destination::Waiting(name, port) => {
            let sent = transactions.request_waiting(now, Method::Options, user, print, out);
            if let Some(client) = sent {
                let waiting = Waiting {
                    user,
                    client,
                    listener,
                    port,
                };
                resolver.wait(&name, waiting);
            }
            sent.is_some()
        }
        Destination::None => false,
    }
}

/// As a call goes: to where it registered from, to the first of its Path, or to its own URI.
fn next_hop(core: &mut Core, now: Time, asked: &Asked, way: &Way) -> (u16, Destination) {
    let listener = way.source.listener;
    if way.at_source {
        return (listener, Destination::Known(way.source.remote));
    }
    let first = Values::new(&way.path).next();
    let route = first.and_then(|value| NameAddr::parse(value).ok());
    let uri = route.map_or(&*asked.contact, |address| address.uri);
    let destination = match Uri::parse(uri) {
        Ok(uri) => core.locate_uri(now, &uri),
        Err(_) => Destination::None,
    };
    (listener, destination)
}

/// The name a question waited for has this address, or none.
pub(crate) fn found(
    core: &mut Core,
    now: Time,
    (waiter, number): (&Waiting, u32),
    remote: Option<SocketAddr>,
    out: &mut Outbox,
) {
    let client: ClientId = waiter.client;
    match remote {
        Some(remote) => {
            let flow = Flow {
                listener: waiter.listener,
                remote,
            };
            core.transactions.destination_found(now, client, flow, out);
        }
        None => {
            core.transactions.fail(now, client);
            on_failed(core, now, number);
        }
    }
}

/// An answer. Whatever a user agent answers shows that it is there; 408 and 430 are what a proxy on the way says of one
/// that is not (RFC 5626 5.3.1), as no user agent does to OPTIONS (RFC 4320 4.1).
pub(crate) fn on_answer(core: &mut Core, now: Time, number: u32, code: u16) {
    if code >= 200 {
        conclude(core, now, number, !matches!(code, 408 | 430));
    }
}

/// There will be no answer.
pub(crate) fn on_failed(core: &mut Core, now: Time, number: u32) {
    conclude(core, now, number, false);
}

fn conclude(core: &mut Core, now: Time, number: u32, answered: bool) {
    if let Some(asked) = core.keep_alive.asked.remove(&number) {
        note(core, now, &asked, answered);
    }
}

fn note(core: &mut Core, now: Time, asked: &Asked, answered: bool) {
    core.counters.reach.probes_failed += u64::from(!answered);
    let Some(settings) = settings(core) else {
        return;
    };
    let (aor, contact) = (&asked.aor, &asked.contact);
    let failures = settings.failures.max(1);
    let changed = core
        .location
        .note_reachability(now, aor, contact, answered, failures);
    match changed {
        Some(true) => core.counters.reach.lost += 1,
        Some(false) => core.counters.reach.restored += 1,
        None => {}
    }
}
