//! Whether a new request is taken in when there is more to do than the shard can: looked at before it
//! costs a transaction. Requests inside a dialog, ACK, CANCEL and responses never come here; what a call
//! is and where it goes is not known here.

mod controller;
pub(crate) mod entrance;
mod feedback;
mod memory;
#[cfg(test)]
mod model;
mod priority;
mod sieve;
#[cfg(test)]
mod tests;

use std::time::Duration;

use stack::Time;
use stack::transport::identity;
use wire::{Message, Method};

use self::controller::{Calls, Change, Controller};
use self::memory::Memory;
use self::sieve::{Sieving, sieve};

pub(crate) use self::feedback::{Feedback, OFFER};
pub use self::priority::{PriorityNumbers, ResourcePriorities};
pub use self::sieve::Sieve;

/// When new calls are refused because the shard is overloaded.
#[derive(Clone, Debug, PartialEq)]
pub struct Overload {
    /// How long a shard may be without one free moment before it begins to refuse; `None`: it never does.
    pub target: Option<Duration>,
    /// Calls that are taken all the same, up to the limits.
    pub priority: PriorityNumbers,
    /// Answers of 503 for each call that is taken. What comes beyond them is dropped without an answer
    /// (RFC 3261 21.5.4), since it would be paid for with calls.
    pub refusals_per_call: f64,
    /// What marks further ones, when a trusted peer says so. The network cannot see it, so that nothing is left
    /// to be dropped there while there are any: see [`Sieve`].
    pub resource_priorities: ResourcePriorities,
}

impl Default for Overload {
    fn default() -> Overload {
        Overload {
            target: Some(Duration::from_millis(20)),
            priority: PriorityNumbers::default(),
            refusals_per_call: 0.4,
            resource_priorities: ResourcePriorities::default(),
        }
    }
}

/// What becomes of a new request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is taken in.
    Admit,
    /// It gets 503.
    Refuse,
    /// It gets nothing.
    Drop,
}

/// What was decided so far, as plain numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AdmissionCounters {
    /// New requests that could have been turned away: INVITE and others that begin something.
    pub offered: u64,
    /// Of these: answered 503 because the shard was overloaded.
    pub refused: u64,
    /// Of these: dropped.
    pub dropped: u64,
    /// Of these: priority calls taken in while others were turned away.
    pub priority: u64,
    /// Times the shard became overloaded.
    pub overloads: u64,
    /// 1 while it is.
    pub overloaded: u64,
    /// New calls a second that are taken at this moment; 0 while all are.
    pub rate: u64,
    /// Microseconds since the shard had last nothing to do.
    pub behind_us: u64,
    /// 1 while the network is asked to leave some new calls out.
    pub sieving: u64,
}

/// Seconds' worth of refusals that may be answered at once.
const REFUSALS_AT_ONCE_S: f64 = 0.02;
/// Refusals a second there are always, so that those who call a shard that can take nothing are told.
const REFUSALS_MIN: f64 = 200.0;

/// The door of one shard. Tell it of the time that passes ([`Admission::note`]) and ask it for each new
/// request ([`Admission::admit`]).
#[derive(Debug)]
pub(crate) struct Admission {
    controller: Option<Controller>,
    refused: Memory,
    settings: Overload,
    refusals: f64,
    refilled: Time,
    /// Requests taken in that were no INVITE: over at once, for what the controller knows.
    others: u64,
    admitted: u64,
    sieving: Sieving,
    counters: AdmissionCounters,
}

impl Admission {
    pub(crate) fn new(settings: Overload, now: Time) -> Admission {
        Admission {
            controller: settings.target.map(|target| Controller::new(target, now)),
            refused: Memory::default(),
            settings,
            refusals: 0.0,
            refilled: now,
            others: 0,
            admitted: 0,
            sieving: Sieving::new(now),
            counters: AdmissionCounters::default(),
        }
    }

    /// What was decided so far, and where the controller stands.
    pub(crate) fn counters(&self) -> AdmissionCounters {
        let rate = self.controller.as_ref().and_then(Controller::rate);
        let behind = self.controller.as_ref().map(Controller::behind);
        AdmissionCounters {
            overloaded: u64::from(rate.is_some()),
            rate: rate.map_or(0, |rate| rate as u64),
            sieving: u64::from(self.sieving.is_on()),
            behind_us: behind.map_or(0, |behind| behind.as_micros() as u64),
            ..self.counters
        }
    }

    /// A turn begins at `now`, before which there was nothing to do for `idle`; `ended` calls are over
    /// since the start. Says whether overload has begun (true) or ended.
    pub(crate) fn note(&mut self, now: Time, idle: Duration, ended: u64) -> Option<bool> {
        let calls = Calls {
            begun: self.admitted,
            ended: ended.saturating_add(self.others),
        };
        match self.controller.as_mut()?.note(now, idle, calls) {
            Change::None => None,
            Change::Begins => {
                self.counters.overloads += 1;
                Some(true)
            }
            Change::Ends => Some(false),
        }
    }

    /// What the network is to leave out from `now` on, if that is to change; `Some(None)` is nothing.
    pub(crate) fn look_at_sieve(&mut self, now: Time) -> Option<Option<Sieve>> {
        if !self.settings.resource_priorities.is_empty() {
            return None;
        }
        let limited = self.rate().is_some();
        let (came, dropped) = (self.counters.offered, self.counters.dropped);
        let passing = self.sieving.look(now, came, dropped, limited)?;
        Some(sieve(passing, &self.settings.priority))
    }

    fn refusals_a_second(&self, rate: f64) -> f64 {
        (rate * self.settings.refusals_per_call).max(REFUSALS_MIN)
    }

    /// New calls a second at this moment, while they are limited.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.controller.as_ref()?.rate()
    }

    /// Clients hold back by themselves: overload is not over, though nobody is turned away.
    pub(crate) fn hold(&mut self, now: Time) {
        if let Some(controller) = &mut self.controller {
            controller.hold(now);
        }
    }

    /// Whether the request is one that goes before others. `is_trusted` says whether its sender may mark it.
    pub(crate) fn has_priority(
        &self,
        request: &Message<'_>,
        is_trusted: impl FnOnce() -> bool,
    ) -> bool {
        self.settings.priority.go_for(request)
            || self.settings.resource_priorities.mark(request) && is_trusted()
    }

    /// Decides on a request that begins something. `is_trusted` is as in [`Admission::has_priority`];
    /// `is_known` tells a copy of one that was taken in: those go on to their transaction.
    pub(crate) fn admit(
        &mut self,
        now: Time,
        request: &Message<'_>,
        is_trusted: impl FnOnce() -> bool,
        is_known: impl FnOnce() -> bool,
    ) -> Verdict {
        if !begins_something(request) {
            return Verdict::Admit;
        }
        let limited = self.rate().is_some();
        if limited && is_known() {
            return Verdict::Admit;
        }
        let verdict = match limited {
            true => {
                let has_priority = self.has_priority(request, is_trusted);
                self.decide(now, identity(request), has_priority)
            }
            false => self.take_in(),
        };
        let is_other = verdict == Verdict::Admit && request.method() != Method::Invite;
        self.others += u64::from(is_other);
        verdict
    }

    /// Decides on a request that nobody knows, by the number its copies have in common.
    fn decide(&mut self, now: Time, identity: u64, has_priority: bool) -> Verdict {
        let Some(controller) = self.controller.as_mut().filter(|it| it.rate().is_some()) else {
            return self.take_in();
        };
        if has_priority {
            self.counters.priority += 1;
            return self.take_in();
        }
        match !self.refused.has(identity) && controller.take(now) {
            true => self.take_in(),
            false => self.turn_away(now, identity),
        }
    }

    fn take_in(&mut self) -> Verdict {
        self.counters.offered += 1;
        self.admitted += 1;
        Verdict::Admit
    }

    fn turn_away(&mut self, now: Time, identity: u64) -> Verdict {
        self.counters.offered += 1;
        let a_second = self.refusals_a_second(self.rate().unwrap_or_default());
        let seconds = now.duration_since(self.refilled).as_secs_f64();
        self.refilled = now;
        let most = a_second * REFUSALS_AT_ONCE_S;
        self.refusals = (self.refusals + a_second * seconds).min(most);
        if self.refusals < 1.0 {
            self.counters.dropped += 1;
            return Verdict::Drop;
        }
        self.refusals -= 1.0;
        self.refused.keep(identity);
        self.counters.refused += 1;
        Verdict::Refuse
    }
}

/// Requests that begin a call or another piece of work. OPTIONS is left out: it asks whether this router
/// lives, and a refusal would be taken for a no.
fn begins_something(request: &Message<'_>) -> bool {
    let begins = matches!(
        request.method(),
        Method::Invite
            | Method::Message
            | Method::Subscribe
            | Method::Publish
            | Method::Refer
            | Method::Register
    );
    begins && request.to_tag().is_none()
}
