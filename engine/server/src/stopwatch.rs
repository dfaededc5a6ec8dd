//! Where a shard's latencies are recorded: histograms its thread owns, and the exchange of a full set
//! for an empty one when an interval is over. Recording never waits and allocates nothing; while no
//! empty set is at hand the interval goes on.

use std::time::Duration;

use latency::{Metric, Set};
use rtrb::{Consumer, Producer, RingBuffer};
use shard::Progress;
use stack::Time;

/// Sets that are on their way besides the one being recorded in: one is written while another comes.
const SPARE_SETS: usize = 2;

/// One interval of a shard, on its way to whoever writes it.
pub(crate) struct Lap {
    /// What was recorded.
    pub(crate) set: Box<Set>,
    /// From when.
    pub(crate) from: Time,
    /// Until when.
    pub(crate) until: Time,
}

/// The other end: where laps come out and empty sets go back.
pub(crate) struct Laps {
    full: Consumer<Lap>,
    empty: Producer<Box<Set>>,
}

impl Laps {
    /// The oldest lap.
    pub(crate) fn next(&mut self) -> Option<Lap> {
        self.full.pop().ok()
    }

    /// Gives a set back, emptied here.
    pub(crate) fn give_back(&mut self, mut set: Box<Set>) {
        set.reset();
        // There is room for every set there is; when the shard is gone the set is, too.
        let _ = self.empty.push(set);
    }
}

/// What a shard records with. The last lap is handed over when it is dropped.
#[derive(Default)]
pub(crate) struct Stopwatch(Option<Running>);

struct Running {
    set: Box<Set>,
    seen: Progress,
    interval: Duration,
    /// When this lap began, and when it is to end.
    begun: Time,
    ends: Time,
    /// The end of the last turn.
    last: Time,
    delayed: u64,
    full: Producer<Lap>,
    empty: Consumer<Box<Set>>,
}

impl Stopwatch {
    /// A stopwatch with laps of `interval`, and where they come out.
    pub(crate) fn start(interval: Duration) -> (Stopwatch, Laps) {
        let (mut give, empty) = RingBuffer::new(SPARE_SETS + 1);
        let (full, take) = RingBuffer::new(SPARE_SETS + 1);
        for _ in 0..SPARE_SETS {
            let _ = give.push(new_set());
        }
        let running = Running {
            set: new_set(),
            seen: Progress::default(),
            interval,
            begun: Time::ZERO,
            ends: Time::ZERO + interval,
            last: Time::ZERO,
            delayed: 0,
            full,
            empty,
        };
        let laps = Laps {
            full: take,
            empty: give,
        };
        (Stopwatch(Some(running)), laps)
    }

    /// Whether anything is recorded.
    pub(crate) fn is_running(&self) -> bool {
        self.0.is_some()
    }

    /// Times a lap should have ended and there was no empty set to go on with.
    pub(crate) fn delayed(&self) -> u64 {
        self.0.as_ref().map_or(0, |running| running.delayed)
    }

    /// Records one latency.
    pub(crate) fn note(&mut self, metric: Metric, from: Time, to: Time) {
        if let Some(running) = &mut self.0 {
            running.record(metric, between(from, to), 1);
        }
    }

    /// Records a wait that somebody else measured, if it was.
    pub(crate) fn note_wait(&mut self, metric: Metric, waited: Option<Duration>) {
        if let (Some(running), Some(waited)) = (&mut self.0, waited) {
            let ns = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
            running.record(metric, ns, 1);
        }
    }

    /// A turn that began at `begun` is over at `end`, its datagrams left at `sent`, and it brought the
    /// counters to `progress`.
    pub(crate) fn end_turn(&mut self, begun: Time, sent: Time, end: Time, progress: Progress) {
        let Some(running) = &mut self.0 else { return };
        let to_out = between(begun, sent);
        let seen = std::mem::replace(&mut running.seen, progress);
        let passed_on = [
            (Metric::InviteInToOut, progress.invites, seen.invites),
            (Metric::RequestInToOut, progress.requests, seen.requests),
            (Metric::RtpResidence, progress.media, seen.media),
        ];
        for (metric, now, before) in passed_on {
            running.record(metric, to_out, now.saturating_sub(before));
        }
        running.record(Metric::Turn, between(begun, end), 1);
        running.last = end;
        if end >= running.ends {
            running.end_lap();
        }
    }
}

impl Running {
    fn record(&mut self, metric: Metric, ns: u64, times: u64) {
        self.set.record(metric.index(), ns, times);
    }

    fn end_lap(&mut self) {
        let Ok(empty) = self.empty.pop() else {
            self.delayed += 1;
            self.ends = self.last + self.interval;
            return;
        };
        let set = std::mem::replace(&mut self.set, empty);
        self.hand_over(set);
        self.begun = self.last;
        self.ends = next_end(self.last, self.interval);
    }

    fn hand_over(&mut self, set: Box<Set>) {
        let lap = Lap {
            set,
            from: self.begun,
            until: self.last,
        };
        // There is room for every set there is.
        let _ = self.full.push(lap);
    }
}

impl Drop for Stopwatch {
    fn drop(&mut self) {
        if let Some(mut running) = self.0.take()
            && !running.set.is_empty()
        {
            let last = std::mem::replace(&mut running.set, Box::new(Set::new(&[])));
            running.hand_over(last);
        }
    }
}

/// Its memory touched now, so that the first record of a value is no page fault.
fn new_set() -> Box<Set> {
    let mut set = Set::new(&Metric::NAMES);
    for metric in Metric::ALL {
        set.record(metric.index(), 0, 1);
    }
    set.reset();
    Box::new(set)
}

fn between(from: Time, to: Time) -> u64 {
    to.as_nanos().saturating_sub(from.as_nanos())
}

/// The next multiple of the interval since the engine's start, so that the laps of all shards lie beside
/// each other.
fn next_end(now: Time, interval: Duration) -> Time {
    let interval = u64::try_from(interval.as_nanos())
        .unwrap_or(u64::MAX)
        .max(1);
    let laps = now.as_nanos() / interval + 1;
    Time::from_nanos(laps.saturating_mul(interval))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(ms: u64) -> Time {
        Time::from_nanos(ms * 1_000_000)
    }

    fn progress(invites: u64, requests: u64, media: u64) -> Progress {
        Progress {
            invites,
            requests,
            media,
        }
    }

    fn counts(lap: &Lap) -> Vec<u64> {
        lap.set
            .iter()
            .map(|(_, histogram)| histogram.len())
            .collect()
    }

    #[test]
    fn what_a_turn_passed_on_is_recorded_as_often() {
        let (mut stopwatch, mut laps) = Stopwatch::start(SECOND);
        stopwatch.end_turn(at(10), at(11), at(13), progress(2, 5, 0));
        stopwatch.end_turn(at(20), at(21), at(21), progress(2, 6, 40));
        stopwatch.note(Metric::TimerLateness, at(10), at(15));
        stopwatch.note_wait(Metric::KernelQueueWait, Some(Duration::from_millis(7)));
        stopwatch.note_wait(Metric::KernelQueueWait, None);
        assert!(laps.next().is_none());
        stopwatch.end_turn(at(1_000), at(1_001), at(1_001), progress(2, 6, 40));
        let lap = laps.next().expect("a lap");
        assert_eq!(counts(&lap), [2, 6, 3, 0, 1, 1, 40]);
        assert_eq!((lap.from, lap.until), (Time::ZERO, at(1_001)));
        let max = |metric: Metric| lap.set.get(metric.index()).map(|one| one.max() / 1_000_000);
        assert_eq!(max(Metric::InviteInToOut), Some(1));
        assert_eq!(max(Metric::Turn), Some(3));
        assert_eq!(max(Metric::TimerLateness), Some(5));
        assert_eq!(max(Metric::KernelQueueWait), Some(7));
    }

    #[test]
    fn a_writer_that_is_behind_makes_laps_longer_and_loses_nothing() {
        let (mut stopwatch, mut laps) = Stopwatch::start(SECOND);
        for turn in 1..=5 {
            let now = at(turn * 1_000);
            stopwatch.end_turn(now, now, now, progress(turn, turn, 0));
        }
        assert_eq!(stopwatch.delayed(), 3);
        let (first, second) = (laps.next().unwrap(), laps.next().unwrap());
        assert!(laps.next().is_none());
        assert_eq!((second.from, second.until), (at(1_000), at(2_000)));
        laps.give_back(first.set);
        laps.give_back(second.set);
        stopwatch.end_turn(at(6_000), at(6_000), at(6_000), progress(6, 6, 0));
        let third = laps.next().unwrap();
        assert_eq!((third.from, third.until), (at(2_000), at(6_000)));
        assert_eq!(counts(&third)[0], 4);
    }

    #[test]
    fn laps_end_together_on_all_shards() {
        let ten = Duration::from_secs(10);
        assert_eq!(next_end(at(10_400), ten), at(20_000));
        assert_eq!(next_end(at(20_000), ten), at(30_000));
    }

    #[test]
    fn the_last_lap_comes_out_at_the_end() {
        let (mut stopwatch, mut laps) = Stopwatch::start(SECOND);
        stopwatch.end_turn(at(10), at(11), at(12), progress(1, 1, 0));
        drop(stopwatch);
        let lap = laps.next().expect("the last lap");
        assert_eq!((lap.until, counts(&lap)[0]), (at(12), 1));
        let (idle, mut laps) = Stopwatch::start(SECOND);
        drop(idle);
        assert!(laps.next().is_none());
    }

    #[test]
    fn one_that_does_not_run_records_nothing() {
        let mut stopwatch = Stopwatch::default();
        stopwatch.end_turn(at(10), at(11), at(12), progress(1, 1, 0));
        assert!(!stopwatch.is_running());
    }
}
