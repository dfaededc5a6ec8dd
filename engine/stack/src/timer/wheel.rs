//! The hierarchical timer wheel: eight levels of 64 slots, one millisecond a tick on the lowest.
//!
//! A timer lies on the level of the highest base-64 digit in which its tick differs from the current
//! one. So everything on a level is due before anything on the level above, no level ever wraps, and
//! the next slot due is the lowest bit of the first level that is not empty.

use crate::Time;
use crate::slab::{Id, NIL, Slab};

/// Nanoseconds in a tick.
const TICK: u64 = 1_000_000;
/// Bits of a tick's number that one level looks at.
const DIGIT_BITS: u32 = 6;
const SLOTS: usize = 1 << DIGIT_BITS;
/// Eight levels span 2^48 ticks: more than the 2^45 milliseconds a [`Time`] can hold.
const LEVELS: usize = 8;

/// Names an armed timer. After the timer fired or was cancelled the key finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerKey(Id);

/// Timers of any duration; arming and cancelling cost the same however many wait.
///
/// A timer fires at the first millisecond that is not before its deadline; those of one millisecond
/// fire in the order in which they were armed.
#[derive(Debug)]
pub struct Wheel<T> {
    /// Every tick before this one is done.
    tick: u64,
    nodes: Slab<Node<T>>,
    occupied: [u64; LEVELS],
    lists: Box<[List; LEVELS * SLOTS]>,
}

#[derive(Debug)]
struct Node<T> {
    payload: T,
    deadline: Time,
    previous: u32,
    next: u32,
    place: Place,
}

#[derive(Clone, Copy, Debug)]
struct List {
    first: u32,
    last: u32,
}

const EMPTY: List = List {
    first: NIL,
    last: NIL,
};

/// A slot of a level.
#[derive(Clone, Copy, Debug)]
struct Place {
    level: u8,
    slot: u8,
}

impl Place {
    /// Where `tick` lies when `current` is the tick of now. Needs `current <= tick`.
    fn of(tick: u64, current: u64) -> Place {
        let differing = (tick ^ current) | 1;
        let level = (u64::BITS - 1 - differing.leading_zeros()) / DIGIT_BITS;
        let slot = (tick >> (level * DIGIT_BITS)) as usize % SLOTS;
        Place {
            level: level as u8,
            slot: slot as u8,
        }
    }

    fn list(self) -> usize {
        (usize::from(self.level) * SLOTS + usize::from(self.slot)) % (LEVELS * SLOTS)
    }

    fn bit(self) -> u64 {
        1 << (self.slot % 64)
    }

    /// The first tick of the slot, on a wheel whose current tick is `current`.
    fn start(self, current: u64) -> u64 {
        let shift = u32::from(self.level) * DIGIT_BITS;
        let above = current >> (shift + DIGIT_BITS) << (shift + DIGIT_BITS);
        above | u64::from(self.slot) << shift
    }
}

#[expect(
    clippy::indexing_slicing,
    reason = "`Place::list` is a remainder of the number of lists; a level is a digit of a tick, and \
              there are as many levels as a tick has digits"
)]
impl<T> Wheel<T> {
    /// An empty wheel that begins at `now`.
    #[must_use]
    pub fn new(now: Time) -> Wheel<T> {
        Wheel {
            tick: now.as_nanos() / TICK,
            nodes: Slab::with_capacity(0),
            occupied: [0; LEVELS],
            lists: Box::new([EMPTY; LEVELS * SLOTS]),
        }
    }

    /// Arms a timer. One whose deadline has passed fires at the next [`Wheel::expire`].
    pub fn arm(&mut self, deadline: Time, payload: T) -> TimerKey {
        let place = self.place(deadline);
        let previous = self.lists[place.list()].last;
        let node = Node {
            payload,
            deadline,
            previous,
            next: NIL,
            place,
        };
        let id = self.nodes.insert(node);
        self.append(id.slot, previous, place);
        TimerKey(id)
    }

    /// Takes a timer off; `None` when it fired or was cancelled before.
    pub fn cancel(&mut self, key: TimerKey) -> Option<T> {
        let node = self.nodes.remove(key.0)?;
        self.unlink(&node);
        Some(node.payload)
    }

    /// A time not later than the first deadline (rounded up to a millisecond) at which
    /// [`Wheel::expire`] has something to do; `None` when no timer is armed.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.first().map(|place| self.due(place))
    }

    /// [`Wheel::next_deadline`] and the payload that fires then, or `None` in its place when the wheel
    /// must first sort the timers of a coarser slot.
    #[must_use]
    pub fn peek(&self) -> Option<(Time, Option<&T>)> {
        let place = self.first()?;
        let first = self
            .lists
            .get(place.list())
            .and_then(|list| self.nodes.at(list.first));
        Some((
            self.due(place),
            first.filter(|_| place.level == 0).map(|node| &node.payload),
        ))
    }

    /// Takes the next timer that is due at `now`, with the deadline it was armed for. After `None`,
    /// [`Wheel::next_deadline`] is later than `now`.
    pub fn expire(&mut self, now: Time) -> Option<(Time, T)> {
        let now = now.as_nanos() / TICK;
        while let Some(place) = self.first() {
            let start = place.start(self.tick);
            if start > now {
                break;
            }
            self.tick = start;
            if place.level == 0 {
                return self.pop(place);
            }
            self.cascade(place);
        }
        self.tick = self.tick.max(now);
        None
    }

    /// Lets time pass that has nothing due in it, so that timers armed from now on land near. Does
    /// nothing when a timer waits for [`Wheel::expire`].
    pub fn pass(&mut self, now: Time) {
        let now = now.as_nanos() / TICK;
        if self
            .first()
            .is_none_or(|place| place.start(self.tick) > now)
        {
            self.tick = self.tick.max(now);
        }
    }

    /// How many timers are armed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether none is armed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn place(&self, deadline: Time) -> Place {
        Place::of(deadline.as_nanos().div_ceil(TICK).max(self.tick), self.tick)
    }

    fn due(&self, place: Place) -> Time {
        Time::from_nanos(place.start(self.tick).saturating_mul(TICK))
    }

    /// The slot that is due first.
    fn first(&self) -> Option<Place> {
        let level = self.occupied.iter().position(|slots| *slots != 0)?;
        let slot = self.occupied[level].trailing_zeros();
        Some(Place {
            level: level as u8,
            slot: slot as u8,
        })
    }

    fn pop(&mut self, place: Place) -> Option<(Time, T)> {
        let id = self.nodes.id_at(self.lists[place.list()].first)?;
        let node = self.nodes.remove(id)?;
        self.unlink(&node);
        Some((node.deadline, node.payload))
    }

    /// Spreads the timers of a coarse slot, whose time has come, over the levels below.
    fn cascade(&mut self, place: Place) {
        let mut slot = std::mem::replace(&mut self.lists[place.list()], EMPTY).first;
        self.occupied[usize::from(place.level)] &= !place.bit();
        while let Some(deadline) = self.nodes.at(slot).map(|node| node.deadline) {
            let finer = self.place(deadline);
            let previous = self.lists[finer.list()].last;
            let Some(node) = self.nodes.at_mut(slot) else {
                break;
            };
            let next = node.next;
            (node.previous, node.next, node.place) = (previous, NIL, finer);
            self.append(slot, previous, finer);
            slot = next;
        }
    }

    /// Makes a node, whose own links are set, the last of a list whose last was `previous`.
    fn append(&mut self, slot: u32, previous: u32, place: Place) {
        let list = &mut self.lists[place.list()];
        list.last = slot;
        if previous == NIL {
            list.first = slot;
            self.occupied[usize::from(place.level)] |= place.bit();
        } else if let Some(before) = self.nodes.at_mut(previous) {
            before.next = slot;
        }
    }

    /// Closes the gap a removed node leaves.
    fn unlink(&mut self, node: &Node<T>) {
        let Node {
            previous,
            next,
            place,
            ..
        } = *node;
        let list = &mut self.lists[place.list()];
        if previous == NIL {
            list.first = next;
        } else if let Some(before) = self.nodes.at_mut(previous) {
            before.next = next;
        }
        if next == NIL {
            list.last = previous;
        } else if let Some(after) = self.nodes.at_mut(next) {
            after.previous = previous;
        }
        if list.first == NIL {
            self.occupied[usize::from(place.level)] &= !place.bit();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn millis(ms: u64) -> Time {
        Time::from_nanos(ms * TICK)
    }

    #[test]
    fn fires_in_order_of_deadline() {
        let mut wheel = Wheel::new(Time::ZERO);
        for ms in [5000, 1, 64, 63, 4096, 500] {
            wheel.arm(millis(ms), ms);
        }
        let mut fired = Vec::new();
        while let Some((deadline, ms)) = wheel.expire(millis(10_000)) {
            assert_eq!(deadline, millis(ms));
            fired.push(ms);
        }
        assert_eq!(fired, [1, 63, 64, 500, 4096, 5000]);
        assert!(wheel.is_empty());
    }

    #[test]
    fn never_fires_before_its_deadline() {
        let mut wheel = Wheel::new(Time::ZERO);
        wheel.arm(Time::from_nanos(TICK + 1), ());
        assert_eq!(wheel.expire(Time::from_nanos(2 * TICK - 1)), None);
        assert_eq!(wheel.next_deadline(), Some(millis(2)));
        assert_eq!(
            wheel.expire(millis(2)),
            Some((Time::from_nanos(TICK + 1), ()))
        );
    }

    #[test]
    fn passing_time_skips_nothing() {
        let mut wheel = Wheel::new(Time::ZERO);
        wheel.arm(millis(100), 'x');
        wheel.pass(millis(63));
        assert_eq!(wheel.next_deadline(), Some(millis(64)));
        wheel.pass(millis(5000));
        assert_eq!(wheel.next_deadline(), Some(millis(64)));
        assert_eq!(wheel.expire(millis(5000)), Some((millis(100), 'x')));
        wheel.pass(millis(5000));
        wheel.arm(millis(5001), 'y');
        assert_eq!(wheel.peek(), Some((millis(5001), Some(&'y'))));
    }

    #[test]
    fn a_passed_deadline_fires_at_once() {
        let mut wheel = Wheel::new(millis(70));
        assert_eq!(wheel.expire(millis(1000)), None);
        wheel.arm(millis(3), 'x');
        assert_eq!(wheel.expire(millis(1000)), Some((millis(3), 'x')));
    }

    #[test]
    fn a_cancelled_timer_is_gone_and_its_key_stale() {
        let mut wheel = Wheel::new(Time::ZERO);
        let key = wheel.arm(millis(9), 'a');
        assert_eq!(wheel.cancel(key), Some('a'));
        let other = wheel.arm(millis(9), 'b');
        assert_eq!(wheel.cancel(key), None);
        assert_eq!(wheel.next_deadline(), Some(millis(9)));
        assert_eq!(wheel.cancel(other), Some('b'));
        assert_eq!(wheel.next_deadline(), None);
    }

    #[test]
    fn peek_knows_the_payload_of_the_next_tick_only() {
        let mut wheel = Wheel::new(Time::ZERO);
        wheel.arm(millis(70), 'z');
        assert_eq!(wheel.peek(), Some((millis(64), None)));
        assert_eq!(wheel.expire(millis(64)), None);
        assert_eq!(wheel.peek(), Some((millis(70), Some(&'z'))));
    }

    #[test]
    fn the_end_of_time_can_be_armed() {
        let mut wheel = Wheel::new(Time::ZERO);
        let key = wheel.arm(Time::from_nanos(u64::MAX), 'e');
        assert_eq!(wheel.expire(millis(1 << 40)), None);
        assert_eq!(wheel.cancel(key), Some('e'));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Arm { after: u64 },
        Cancel { which: usize },
        Advance { by: u64 },
    }

    fn step() -> impl Strategy<Value = Step> {
        let duration = prop_oneof![
            0..200 * TICK,
            (0..64_u64).prop_map(|at| at * 64 * TICK),
            0..40_000 * TICK,
            0..u64::MAX / 4
        ];
        prop_oneof![
            4 => duration.clone().prop_map(|after| Step::Arm { after }),
            2 => any::<usize>().prop_map(|which| Step::Cancel { which }),
            2 => duration.prop_map(|by| Step::Advance { by }),
        ]
    }

    proptest! {
        /// Against a sorted map keyed by (tick, order of arming).
        #[test]
        fn behaves_like_a_sorted_map(start in 0..u64::MAX / 8, steps in prop::collection::vec(step(), 1..200)) {
            let mut now = Time::from_nanos(start);
            let mut wheel = Wheel::new(now);
            let mut model = BTreeMap::new();
            let mut keys = Vec::new();
            for (order, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Arm { after } => {
                        let deadline = Time::from_nanos(now.as_nanos().saturating_add(after));
                        let tick = deadline.as_nanos().div_ceil(TICK);
                        keys.push((wheel.arm(deadline, order), (tick, order)));
                        model.insert((tick, order), deadline);
                    }
                    Step::Cancel { which } if !keys.is_empty() => {
                        let (key, place) = keys[which % keys.len()];
                        let expected = model.remove(&place).map(|_| place.1);
                        prop_assert_eq!(wheel.cancel(key), expected);
                    }
                    Step::Cancel { .. } => {}
                    Step::Advance { by } => {
                        now = Time::from_nanos(now.as_nanos().saturating_add(by).min(u64::MAX / 2));
                        while let Some(fired) = wheel.expire(now) {
                            let ((tick, order), deadline) = model.pop_first().unwrap();
                            prop_assert!(tick <= now.as_nanos() / TICK);
                            prop_assert_eq!(fired, (deadline, order));
                        }
                        let left = model.first_key_value();
                        prop_assert!(left.is_none_or(|((tick, _), _)| *tick > now.as_nanos() / TICK));
                        prop_assert!(wheel.next_deadline().is_none_or(|next| next > now));
                    }
                }
                let earliest = model.first_key_value().map(|((tick, _), _)| tick * TICK);
                match (wheel.next_deadline(), earliest) {
                    (Some(next), Some(earliest)) => prop_assert!(next.as_nanos() <= earliest),
                    (next, earliest) => prop_assert_eq!(next.is_none(), earliest.is_none()),
                }
                prop_assert_eq!(wheel.len(), model.len());
            }
        }
    }
}
