//! The timers of all transactions of a shard, by name: which duration each has and where it waits.
//!
//! Timers of fixed duration queue and are never cancelled: when one comes up, its transaction is gone or
//! in a state whose table ignores it. Only the repeating ones (A, E, G and the 2xx) lie on the wheel. The
//! first deadline of all is kept at hand, because the layer is asked for it after every datagram.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::Time;
use crate::slab::Id;
use crate::timer::{Fifo, TimerKey, Wheel};

/// The timer values of RFC 3261 17, table 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerConfig {
    /// Estimate of the round-trip time: first retransmission, and 64 times this for every giving up.
    pub t1: Duration,
    /// Longest retransmission interval for non-INVITE requests and INVITE responses.
    pub t2: Duration,
    /// How long a message may stay in the network.
    pub t4: Duration,
    /// A 100 is sent this long after an INVITE unless it is answered before; zero sends it at once.
    pub trying: Duration,
}

impl Default for TimerConfig {
    /// 500 ms, 4 s and 5 s (RFC 3261 table 4), and 200 ms (17.2.1).
    fn default() -> TimerConfig {
        TimerConfig {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            trying: Duration::from_millis(200),
        }
    }
}

impl TimerConfig {
    /// RFC 3261 17.1.1.2: timer B and its equals.
    fn giving_up(&self) -> Duration {
        self.t1 * 64
    }

    /// RFC 4320 4.1: how long a client's timer E takes to be set to T2.
    fn until_t2(&self) -> Duration {
        let (mut interval, mut sum) = (self.t1, self.t1);
        while interval * 2 < self.t2 {
            interval *= 2;
            sum += interval;
        }
        sum
    }

    /// The interval before the retransmission after `count` others.
    fn interval(&self, wake: Wake, count: u8) -> Duration {
        let doubled = self.t1 * (1 << count.min(16));
        // RFC 3261 17.1.1.2: timer A doubles without bound; timer B ends it.
        if wake == Wake::TimerA {
            doubled
        } else {
            doubled.min(self.t2)
        }
    }
}

/// Why the transaction layer wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Wake {
    /// INVITE client: the INVITE is retransmitted.
    TimerA,
    /// INVITE client: nobody answered.
    TimerB,
    /// INVITE client: no more copies of the failure are expected.
    TimerD,
    /// Non-INVITE client: the request is retransmitted.
    TimerE,
    /// Non-INVITE client: nobody answered.
    TimerF,
    /// INVITE server: the failure is retransmitted.
    TimerG,
    /// INVITE server: nobody acknowledged the failure.
    TimerH,
    /// INVITE server: no more copies of the ACK are expected.
    TimerI,
    /// Non-INVITE server: no more copies of the request are expected.
    TimerJ,
    /// Non-INVITE client: no more copies of the response are expected.
    TimerK,
    /// INVITE server: no more copies of the accepted INVITE are expected (RFC 6026).
    TimerL,
    /// INVITE client: no more 2xx are expected (RFC 6026).
    TimerM,
    /// INVITE server: time to send a 100.
    Trying,
    /// Non-INVITE server: time to send a 100 (RFC 4320).
    TryingLate,
    /// INVITE server: the 2xx is retransmitted (RFC 3261 13.3.1.4).
    Success,
    /// INVITE client: no final response came after the CANCEL (RFC 3261 9.1).
    Cancel,
    /// No timer: the wheel sorts a coarse slot into finer ones.
    Cascade,
}

impl Wake {
    /// How many reasons there are.
    pub const COUNT: usize = Wake::ALL.len();

    /// Every reason, in order.
    pub const ALL: [Wake; 17] = [
        Wake::TimerA,
        Wake::TimerB,
        Wake::TimerD,
        Wake::TimerE,
        Wake::TimerF,
        Wake::TimerG,
        Wake::TimerH,
        Wake::TimerI,
        Wake::TimerJ,
        Wake::TimerK,
        Wake::TimerL,
        Wake::TimerM,
        Wake::Trying,
        Wake::TryingLate,
        Wake::Success,
        Wake::Cancel,
        Wake::Cascade,
    ];

    /// The reason as a counter label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Wake::TimerA => "timer_a",
            Wake::TimerB => "timer_b",
            Wake::TimerD => "timer_d",
            Wake::TimerE => "timer_e",
            Wake::TimerF => "timer_f",
            Wake::TimerG => "timer_g",
            Wake::TimerH => "timer_h",
            Wake::TimerI => "timer_i",
            Wake::TimerJ => "timer_j",
            Wake::TimerK => "timer_k",
            Wake::TimerL => "timer_l",
            Wake::TimerM => "timer_m",
            Wake::Trying => "trying",
            Wake::TryingLate => "trying_late",
            Wake::Success => "success",
            Wake::Cancel => "cancel",
            Wake::Cascade => "cascade",
        }
    }

    /// Whether the timer belongs to a client transaction.
    pub(super) fn is_client(self) -> bool {
        use Wake::{Cancel, TimerA, TimerB, TimerD, TimerE, TimerF, TimerK, TimerM};
        matches!(
            self,
            TimerA | TimerB | TimerD | TimerE | TimerF | TimerK | TimerM | Cancel
        )
    }

    fn queue(self) -> Queue {
        match self {
            Wake::Trying => Queue::Trying,
            Wake::TryingLate => Queue::TryingLate,
            Wake::TimerI | Wake::TimerK => Queue::T4,
            Wake::TimerD => Queue::D,
            _ => Queue::GivingUp,
        }
    }
}

/// The fixed durations.
#[derive(Clone, Copy)]
enum Queue {
    Trying,
    TryingLate,
    T4,
    D,
    GivingUp,
}

const QUEUES: usize = 5;

/// How many alarms of a queue are looked at ahead of time at once: more misses than a core can have in
/// flight, and few enough that what they fetched is still there when they are due.
pub(super) const AHEAD: usize = 32;
/// Alarms of a shorter queue name transactions that are in the cache anyway.
const AHEAD_QUEUE_MIN: usize = 4096;

/// Whose timer it is and which: eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Alarm {
    generation: NonZeroU32,
    wake_and_slot: u32,
}

impl Alarm {
    /// Slots have 24 bits (`Token::SLOTS`), which leaves eight for the reason.
    fn new(wake: Wake, id: Id) -> Alarm {
        debug_assert!(id.slot < 1 << 24);
        Alarm {
            generation: id.generation,
            wake_and_slot: (wake as u32) << 24 | id.slot,
        }
    }

    pub(super) fn id(self) -> Id {
        Id {
            slot: self.wake_and_slot & 0xff_ffff,
            generation: self.generation,
        }
    }

    pub(super) fn wake(self) -> Wake {
        let index = (self.wake_and_slot >> 24) as usize;
        Wake::ALL.get(index).copied().unwrap_or(Wake::Cascade)
    }
}

/// Every armed timer.
#[derive(Debug)]
pub(super) struct Alarms {
    config: TimerConfig,
    queues: [Fifo<Alarm>; QUEUES],
    /// How many of a queue's first alarms were looked at ahead of time.
    seen: [usize; QUEUES],
    wheel: Wheel<Alarm>,
    /// The first deadline and the queue it is in; `QUEUES` is the wheel.
    earliest: Option<(Time, usize)>,
}

impl Alarms {
    pub(super) fn new(config: TimerConfig, now: Time) -> Alarms {
        // A T1 of zero would retransmit without end.
        let config = TimerConfig {
            t1: config.t1.max(Duration::from_millis(1)),
            ..config
        };
        // RFC 3261 17.1.1.2: timer D is at least 32 s, whatever T1 is here.
        let timer_d = config.giving_up().max(Duration::from_secs(32));
        let durations = [
            config.trying,
            config.until_t2(),
            config.t4,
            timer_d,
            config.giving_up(),
        ];
        Alarms {
            config,
            queues: durations.map(Fifo::new),
            seen: [0; QUEUES],
            wheel: Wheel::new(now),
            earliest: None,
        }
    }

    /// Arms a timer of fixed duration.
    #[expect(
        clippy::indexing_slicing,
        reason = "there is a queue for each value of `Queue`"
    )]
    pub(super) fn arm(&mut self, now: Time, wake: Wake, id: Id) {
        let at = wake.queue() as usize;
        let queue = &mut self.queues[at];
        queue.push(now, Alarm::new(wake, id));
        if queue.len() == 1 {
            let first = queue.next_deadline();
            self.note(first, at);
        }
    }

    /// Arms a repeating timer, after `count` retransmissions.
    pub(super) fn repeat(&mut self, now: Time, wake: Wake, id: Id, count: u8) -> TimerKey {
        self.arm_wheel(now, self.config.interval(wake, count), Alarm::new(wake, id))
    }

    /// Arms a repeating timer for T2.
    pub(super) fn repeat_slowly(&mut self, now: Time, wake: Wake, id: Id) -> TimerKey {
        self.arm_wheel(now, self.config.t2, Alarm::new(wake, id))
    }

    fn arm_wheel(&mut self, now: Time, interval: Duration, alarm: Alarm) -> TimerKey {
        self.wheel.pass(now);
        let key = self.wheel.arm(now + interval, alarm);
        self.note(self.wheel.next_deadline(), QUEUES);
        key
    }

    pub(super) fn cancel(&mut self, key: TimerKey) {
        self.wheel.cancel(key);
        if self.earliest.is_some_and(|(_, queue)| queue == QUEUES) {
            self.earliest = self.find_earliest();
        }
    }

    /// The earliest time at which there is something to do.
    pub(super) fn next(&self) -> Option<(Time, Wake)> {
        let (deadline, queue) = self.earliest?;
        let alarm = match self.queues.get(queue) {
            Some(queue) => queue.peek(),
            None => self.wheel.peek().and_then(|(_, alarm)| alarm),
        };
        Some((deadline, alarm.map_or(Wake::Cascade, |alarm| alarm.wake())))
    }

    /// Takes the next timer due at `now`; over all queues, in the order of their deadlines.
    #[inline]
    pub(super) fn expire(&mut self, now: Time) -> Option<Alarm> {
        while let Some((deadline, queue)) = self.due(now) {
            let due = self.expire_from(queue, deadline);
            self.earliest = self.find_earliest();
            if due.is_some() {
                return due;
            }
        }
        None
    }

    fn expire_from(&mut self, queue: usize, deadline: Time) -> Option<Alarm> {
        let Some(fifo) = self.queues.get_mut(queue) else {
            return self.wheel.expire(deadline).map(|(_, alarm)| alarm);
        };
        if let Some(seen) = self.seen.get_mut(queue) {
            *seen = seen.saturating_sub(1);
        }
        fifo.expire(deadline)
    }

    /// When the next timer due at `now` heads a long queue and was not seen before: it and those behind
    /// it, due or not, so that what they name can be fetched together.
    pub(super) fn look_ahead(&mut self, now: Time) -> impl Iterator<Item = Alarm> {
        let queue = self.due(now).map_or(QUEUES, |(_, queue)| queue);
        let unseen = self.seen.get_mut(queue).filter(|seen| **seen == 0);
        let fifo = self.queues.get(queue).zip(unseen);
        let fifo = fifo.filter(|(fifo, _)| fifo.len() >= AHEAD_QUEUE_MIN);
        let coming = fifo.map(|(fifo, seen)| {
            *seen = AHEAD;
            fifo.iter().take(AHEAD).copied()
        });
        coming.into_iter().flatten()
    }

    /// Whether something is to be done: one comparison.
    #[inline]
    pub(super) fn is_due(&self, now: Time) -> bool {
        self.due(now).is_some()
    }

    fn due(&self, now: Time) -> Option<(Time, usize)> {
        self.earliest.filter(|(deadline, _)| *deadline <= now)
    }

    /// The first deadline of a queue is this.
    fn note(&mut self, deadline: Option<Time>, queue: usize) {
        let first = deadline.map(|deadline| (deadline, queue));
        self.earliest = first.into_iter().chain(self.earliest).min();
    }

    fn find_earliest(&self) -> Option<(Time, usize)> {
        let queued = self.queues.iter().map(Fifo::next_deadline).zip(0..);
        let all = queued.chain([(self.wheel.next_deadline(), QUEUES)]);
        all.filter_map(|(deadline, queue)| Some((deadline?, queue)))
            .min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(slot: u32) -> Id {
        Id {
            slot,
            generation: NonZeroU32::MIN,
        }
    }

    #[test]
    fn every_reason_survives_packing() {
        for (index, wake) in Wake::ALL.into_iter().enumerate() {
            assert_eq!(wake as usize, index);
            let alarm = Alarm::new(wake, id(0xff_fffe));
            assert_eq!((alarm.wake(), alarm.id()), (wake, id(0xff_fffe)));
        }
    }

    #[test]
    fn timer_e_reaches_t2_after_three_and_a_half_seconds() {
        let config = TimerConfig::default();
        assert_eq!(config.until_t2(), Duration::from_millis(3500));
        let slow = TimerConfig {
            t1: Duration::from_secs(4),
            ..config
        };
        assert_eq!(slow.until_t2(), Duration::from_secs(4));
    }

    #[test]
    fn intervals_double_and_all_but_a_stop_at_t2() {
        let config = TimerConfig::default();
        let intervals = |wake| {
            (0..6)
                .map(|count| config.interval(wake, count).as_millis())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            intervals(Wake::TimerA),
            [500, 1000, 2000, 4000, 8000, 16_000]
        );
        assert_eq!(intervals(Wake::TimerG), [500, 1000, 2000, 4000, 4000, 4000]);
    }

    #[test]
    fn queues_and_wheel_expire_in_one_order() {
        let mut alarms = Alarms::new(TimerConfig::default(), Time::ZERO);
        alarms.arm(Time::ZERO, Wake::TimerB, id(1));
        alarms.repeat(Time::ZERO, Wake::TimerA, id(2), 0);
        alarms.arm(Time::ZERO, Wake::Trying, id(3));
        alarms.arm(Time::ZERO, Wake::TimerK, id(4));
        assert_eq!(
            alarms.next(),
            Some((Time::from_nanos(200_000_000), Wake::Trying))
        );
        let late = Time::ZERO + Duration::from_secs(60);
        let order: Vec<_> = std::iter::from_fn(|| alarms.expire(late))
            .map(Alarm::wake)
            .collect();
        assert_eq!(
            order,
            [Wake::Trying, Wake::TimerA, Wake::TimerK, Wake::TimerB]
        );
        assert_eq!(alarms.next(), None);
    }

    #[test]
    fn the_next_deadline_follows_every_change() {
        let mut alarms = Alarms::new(TimerConfig::default(), Time::ZERO);
        let mut random = crate::Random::new(1);
        let (mut now, mut keys) = (Time::ZERO, Vec::new());
        for round in 0..20_000 {
            now = now + Duration::from_millis(random.next_u64() % 40);
            match random.next_u64() % 6 {
                0 => alarms.arm(now, Wake::TimerB, id(round)),
                1 => alarms.arm(now, Wake::Trying, id(round)),
                2 => alarms.arm(now, Wake::TimerI, id(round)),
                3 => keys.push(alarms.repeat(now, Wake::TimerA, id(round), 2)),
                4 if !keys.is_empty() => {
                    let at = random.next_u64() as usize % keys.len();
                    alarms.cancel(keys.swap_remove(at));
                }
                _ => while alarms.expire(now).is_some() {},
            }
            assert_eq!(alarms.earliest, alarms.find_earliest());
        }
    }

    #[test]
    fn a_long_queue_is_looked_at_ahead_in_runs_without_a_gap() {
        let mut alarms = Alarms::new(TimerConfig::default(), Time::ZERO);
        let late = Time::ZERO + Duration::from_secs(60);
        alarms.arm(Time::ZERO, Wake::Trying, id(0));
        assert_eq!(alarms.look_ahead(late).count(), 0);
        alarms.expire(late).unwrap();
        let many = AHEAD_QUEUE_MIN as u32 + AHEAD as u32;
        for slot in 0..many {
            alarms.arm(Time::ZERO, Wake::TimerB, id(slot));
        }
        assert_eq!(alarms.look_ahead(Time::ZERO).count(), 0);
        let mut seen = Vec::new();
        for slot in 0..many {
            seen.extend(alarms.look_ahead(late).map(|alarm| alarm.id().slot));
            assert!(many - slot < AHEAD_QUEUE_MIN as u32 || seen.contains(&slot));
            assert_eq!(alarms.expire(late).map(Alarm::id), Some(id(slot)));
        }
        assert!(seen.into_iter().eq(0..2 * AHEAD as u32));
    }

    #[test]
    fn timer_d_is_never_below_32_seconds() {
        let quick = TimerConfig {
            t1: Duration::from_millis(10),
            ..TimerConfig::default()
        };
        let mut alarms = Alarms::new(quick, Time::ZERO);
        alarms.arm(Time::ZERO, Wake::TimerD, id(1));
        assert_eq!(
            alarms.next(),
            Some((Time::ZERO + Duration::from_secs(32), Wake::TimerD))
        );
    }
}
