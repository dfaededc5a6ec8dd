//! Whether the streams of an owner still carry something. One timer a stream, armed when it should carry
//! packets and looked at when it runs out; packets arm nothing.
//!
//! An owner is told of silence once, and only when every one of its streams that should carry packets is
//! silent: a call whose camera is covered but whose voices go on is not over.

use std::time::Duration;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use stack::Time;
use stack::timer::{TimerKey, Wheel};

use crate::per_pair::PerPair;

/// A stream as its silence is watched. Streams of one owner form a ring.
#[derive(Clone, Copy, Debug, Default)]
struct Watched {
    owner: u64,
    next: u32,
    previous: u32,
    timer: Option<TimerKey>,
    /// Since when it should carry packets.
    since: Option<Time>,
}

/// The watch over all streams of a shard, by slot.
#[derive(Debug)]
pub(crate) struct Silence {
    limit: Option<Duration>,
    watched: PerPair<Watched>,
    /// A stream of each owner.
    owners: HashMap<u64, u32, FixedState>,
    wheel: Wheel<u32>,
}

impl Silence {
    /// A watch over `slots` streams; without a limit nothing is ever silent.
    pub(crate) fn new(now: Time, limit: Option<Duration>, slots: usize) -> Silence {
        // Twice the room, so that the map never grows for the traces that removed owners leave.
        let owners = HashMap::with_capacity_and_hasher(slots * 2, FixedState::default());
        Silence {
            limit,
            watched: PerPair::new(slots, Watched::default),
            owners,
            wheel: Wheel::new(now),
        }
    }

    /// A stream was opened.
    pub(crate) fn join(&mut self, slot: u32, owner: u64) {
        let first = *self.owners.entry(owner).or_insert(slot);
        let previous = if first == slot {
            slot
        } else {
            self.at(first).previous
        };
        *self.at_mut(slot) = Watched {
            owner,
            next: first,
            previous,
            ..Watched::default()
        };
        self.at_mut(previous).next = slot;
        self.at_mut(first).previous = slot;
    }

    /// Whose stream it is.
    pub(crate) fn owner(&self, slot: u32) -> u64 {
        self.at(slot).owner
    }

    /// A stream was closed.
    pub(crate) fn leave(&mut self, slot: u32) {
        self.rest(slot);
        let Watched {
            owner,
            next,
            previous,
            ..
        } = *self.at(slot);
        self.at_mut(previous).next = next;
        self.at_mut(next).previous = previous;
        if next == slot {
            self.owners.remove(&owner);
        } else {
            self.owners.insert(owner, next);
        }
    }

    /// A stream should carry packets, or (held, or without an address) need not. The count begins when
    /// it should and did not before.
    pub(crate) fn expect(&mut self, now: Time, slot: u32, expected: bool) {
        let Some(limit) = self.limit else { return };
        if !expected {
            self.rest(slot);
        } else if self.at(slot).since.is_none() {
            self.wheel.pass(now);
            let timer = self.wheel.arm(now + limit, slot);
            let watched = self.at_mut(slot);
            watched.since = Some(now);
            watched.timer = Some(timer);
        }
    }

    fn rest(&mut self, slot: u32) {
        self.at_mut(slot).since = None;
        if let Some(timer) = self.at_mut(slot).timer.take() {
            self.wheel.cancel(timer);
        }
    }

    /// When to look next.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.wheel.next_deadline()
    }

    /// The next owner that has fallen silent, and one of its streams. `heard` tells when a stream had its
    /// last packet.
    pub(crate) fn expire(&mut self, now: Time, heard: impl Fn(u32) -> Time) -> Option<(u64, u32)> {
        let limit = self.limit?;
        while let Some((_, slot)) = self.wheel.expire(now) {
            self.at_mut(slot).timer = None;
            let due = self.last_heard(slot, &heard) + limit;
            if due <= now {
                self.quiet(slot);
                return Some((self.at(slot).owner, slot));
            }
            let timer = self.wheel.arm(due, slot);
            self.at_mut(slot).timer = Some(timer);
        }
        None
    }

    /// When the streams of this one's owner that should carry packets last did, or began to.
    fn last_heard(&self, slot: u32, heard: impl Fn(u32) -> Time) -> Time {
        let heard = |slot: u32| Some(self.at(slot).since?.max(heard(slot)));
        self.ring(slot).filter_map(heard).max().unwrap_or_default()
    }

    /// The owner has been told: the timers of its other streams need not run.
    fn quiet(&mut self, slot: u32) {
        let mut at = slot;
        loop {
            if let Some(timer) = self.at_mut(at).timer.take() {
                self.wheel.cancel(timer);
            }
            at = self.at(at).next;
            if at == slot {
                return;
            }
        }
    }

    fn ring(&self, slot: u32) -> impl Iterator<Item = u32> {
        let following = move |at: &u32| Some(self.at(*at).next).filter(|next| *next != slot);
        std::iter::successors(Some(slot), following)
    }

    fn at(&self, slot: u32) -> &Watched {
        &self.watched[slot]
    }

    fn at_mut(&mut self, slot: u32) -> &mut Watched {
        &mut self.watched[slot]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: u64) -> Time {
        Time::from_nanos(second * 1_000_000_000)
    }

    fn watch() -> Silence {
        let mut silence = Silence::new(Time::ZERO, Some(Duration::from_secs(10)), 8);
        for (slot, owner) in [(0, 7), (1, 7), (2, 8), (3, 7)] {
            silence.join(slot, owner);
        }
        silence
    }

    #[test]
    fn an_owner_is_silent_when_all_its_streams_are_and_told_once() {
        let mut silence = watch();
        silence.expect(second(0), 0, true);
        silence.expect(second(0), 1, true);
        let heard = |slot| if slot == 1 { second(5) } else { Time::ZERO };
        assert_eq!(silence.expire(second(10), heard), None);
        assert_eq!(silence.expire(second(14), heard), None);
        assert!(
            silence
                .expire(second(15), heard)
                .is_some_and(|(owner, _)| owner == 7)
        );
        assert_eq!(silence.expire(second(99), heard), None);
        assert_eq!(silence.next_deadline(), None);
    }

    #[test]
    fn a_held_stream_is_not_silent_and_counts_anew_afterwards() {
        let mut silence = watch();
        silence.expect(second(0), 2, true);
        silence.expect(second(5), 2, false);
        assert_eq!(silence.expire(second(50), |_| Time::ZERO), None);
        silence.expect(second(50), 2, true);
        silence.expect(second(55), 2, true);
        assert_eq!(silence.expire(second(59), |_| Time::ZERO), None);
        assert_eq!(silence.expire(second(60), |_| Time::ZERO), Some((8, 2)));
    }

    #[test]
    fn a_stream_that_need_not_carry_anything_does_not_count() {
        let mut silence = watch();
        silence.expect(second(0), 0, true);
        assert_eq!(silence.expire(second(10), |_| Time::ZERO), Some((7, 0)));
    }

    #[test]
    fn closed_streams_leave_the_ring_in_any_order() {
        for order in [[0, 1, 3], [3, 1, 0], [1, 3, 0]] {
            let mut silence = watch();
            for slot in order {
                silence.expect(second(0), slot, true);
            }
            for slot in order {
                silence.leave(slot);
                assert!(silence.owners.get(&7).is_none_or(|first| *first != slot));
            }
            assert_eq!((silence.owners.len(), silence.wheel.len()), (1, 0));
        }
    }

    #[test]
    fn without_a_limit_nothing_is_watched() {
        let mut silence = Silence::new(Time::ZERO, None, 1);
        silence.join(0, 1);
        silence.expect(Time::ZERO, 0, true);
        assert_eq!(silence.next_deadline(), None);
    }
}
