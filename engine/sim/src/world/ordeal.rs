//! What befalls the router's machine and the ways to it: its clock leaps, it stands still and finds all
//! that came meanwhile in its sockets, old datagrams come again, the network says of living parties that they are not
//! there. When, is chosen here; what comes of it is the router's.

use std::time::Duration;

use stack::{Flow, Time};

use super::{Arrival, World};
use crate::tape::Crossing;

/// One of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ordeal {
    /// The router's clock leaps.
    Leap(Duration),
    /// The router stands still.
    Pause(Duration),
    /// An old datagram comes again.
    Ghost,
    /// ICMP says that a living party is not there.
    FalseAlarm,
}

/// The router's clock against that of the world.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    /// So far ahead it is.
    ahead: Duration,
    /// Until then nothing moves in the router.
    still_until: Time,
}

impl Clock {
    /// What the router's clock says now.
    pub(super) fn router_time(self, now: Time) -> Time {
        now + self.ahead
    }

    /// When in the world the router's clock will say this, and the router looks at it.
    pub(super) fn world_time(self, due: Time) -> Time {
        let since = due.duration_since(Time::ZERO);
        let due = Time::ZERO + since.saturating_sub(self.ahead);
        due.max(self.still_until)
    }
}

impl World<'_> {
    pub(super) fn plan_ordeals(&mut self) {
        let Some(plan) = &self.plan.ordeal else {
            return;
        };
        let leaps = plan.leaps.iter().map(|(at, by)| (*at, Ordeal::Leap(*by)));
        let pauses = plan.pauses.iter().map(|(at, by)| (*at, Ordeal::Pause(*by)));
        for (at, ordeal) in leaps.chain(pauses) {
            self.agenda.plan(Time::ZERO + at, Arrival::Ordeal(ordeal));
        }
        let sudden = [
            (plan.ghosts, Ordeal::Ghost),
            (plan.alarms, Ordeal::FalseAlarm),
        ];
        for (count, ordeal) in sudden {
            for _ in 0..count {
                let at = Time::ZERO + self.draw.millis(0, 90_000);
                self.agenda.plan(at, Arrival::Ordeal(ordeal));
            }
        }
    }

    /// What comes to a router that stands still waits, and is then found in some order.
    pub(super) fn hold(&mut self, arrival: Arrival) -> Option<Arrival> {
        let at_router = !matches!(
            arrival,
            Arrival::Agent { .. } | Arrival::Heard { .. } | Arrival::Ordeal(_)
        );
        if !at_router || self.now >= self.clock.still_until {
            return Some(arrival);
        }
        let later = Duration::from_micros(self.draw.between(0, 50));
        let at = self.clock.still_until + later;
        self.agenda.plan(at, arrival);
        None
    }

    pub(super) fn befall(&mut self, ordeal: Ordeal) {
        match ordeal {
            Ordeal::Leap(by) => self.clock.ahead += by,
            Ordeal::Pause(by) => self.clock.still_until = self.now + by,
            Ordeal::Ghost => self.raise_ghost(),
            Ordeal::FalseAlarm => self.alarm_falsely(),
        }
    }

    fn raise_ghost(&mut self) {
        let old: Vec<&Crossing> = self
            .tape
            .iter()
            .filter(|old| old.received().is_some())
            .collect();
        if old.is_empty() {
            return;
        }
        let old = self.draw.pick(&old);
        let Ok(heard) = &old.heard else { return };
        let bytes = [heard.head.as_slice(), &heard.body].concat();
        let flow = Flow {
            listener: old.listener,
            remote: old.remote,
        };
        self.agenda.plan(self.now, Arrival::Router { flow, bytes });
    }

    fn alarm_falsely(&mut self) {
        let (shards, agents) = (self.shards.len() as u64, self.agents.len() as u64);
        let shard = self.draw.between(0, shards - 1) as usize;
        let agent = self.draw.between(0, agents - 1) as usize;
        let remote = self.agents[agent].identity.address;
        self.agenda
            .plan(self.now, Arrival::Unreachable { shard, remote });
    }
}
