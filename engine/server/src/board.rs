//! The notice board of a shard: a copy of its numbers, pinned up once a second by its thread and read
//! by whoever wants to. The shard never waits for a reader.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What a shard and its reactor have counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Snapshot {
    /// Goes up with each publication: the sign of life the watchdog looks for.
    pub(crate) beat: u64,
    /// The shard's counters.
    pub(crate) shard: shard::Counters,
    /// The reactor's.
    pub(crate) reactor: reactor::Counters,
    /// Datagrams the kernel dropped because a socket's buffer was full.
    pub(crate) kernel_drops: u64,
    /// The same on media ports, as far as they were asked.
    pub(crate) media_kernel_drops: u64,
    /// Datagrams handed over to the shard they belong to.
    pub(crate) handed_over: u64,
    /// Datagrams lost because that shard's mailbox was full.
    pub(crate) hand_over_refused: u64,
    /// Times the latencies of an interval could not be handed to the housekeeping when it ended.
    pub(crate) latency_delayed: u64,
    /// Words for the control thread that were lost because it was behind.
    pub(crate) news_lost: u64,
    /// Records of calls handed to the housekeeping.
    pub(crate) records: u64,
    /// Those that were lost because it was behind.
    pub(crate) records_lost: u64,
    /// Copies of SIP messages handed over for the collector.
    pub(crate) hep_sent: u64,
    /// Those that were dropped: no room, or too long.
    pub(crate) hep_dropped: u64,
    /// What went on since the copy before.
    pub(crate) pace: Pace,
}

/// How fast a shard went between two copies: exact, since it looks at its own clock.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Pace {
    /// Thousandths of the time in which it had something to do.
    pub(crate) busy_permille: u64,
    /// Calls started.
    pub(crate) calls_per_s: f64,
    /// Datagrams received.
    pub(crate) datagrams_per_s: f64,
}

impl Snapshot {
    /// What went on in this time, since `before`.
    pub(crate) fn pace_since(&self, before: &Snapshot, time: Duration) -> Pace {
        let idle = self.reactor.idle_ns.saturating_sub(before.reactor.idle_ns);
        let busy = time.saturating_sub(Duration::from_nanos(idle)).as_micros() as u64;
        let per_s = |now: u64, then: u64| {
            let rate = now.saturating_sub(then) as f64 / time.as_secs_f64().max(1e-3);
            (rate * 10.0).round() / 10.0
        };
        Pace {
            busy_permille: busy * 1_000 / (time.as_micros() as u64).max(1),
            calls_per_s: per_s(self.shard.calls_started, before.shard.calls_started),
            datagrams_per_s: per_s(self.reactor.datagrams_in, before.reactor.datagrams_in),
        }
    }
}

/// One shard's board.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board(Arc<Mutex<Snapshot>>);

impl Board {
    /// Pins a new copy up, unless a reader is just looking; then the next one is newer anyway.
    pub(crate) fn publish(&self, snapshot: &Snapshot) {
        if let Ok(mut pinned) = self.0.try_lock() {
            *pinned = *snapshot;
        }
    }

    /// The latest copy.
    pub(crate) fn read(&self) -> Snapshot {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pace_is_of_the_time_between_two_copies() {
        let at = |idle_ns, calls_started, datagrams_in| {
            let mut snapshot = Snapshot::default();
            snapshot.reactor.idle_ns = idle_ns;
            snapshot.shard.calls_started = calls_started;
            snapshot.reactor.datagrams_in = datagrams_in;
            snapshot
        };
        let (before, now) = (at(500, 10, 100), at(1_500_000_500, 25, 100));
        let pace = now.pace_since(&before, Duration::from_secs(2));
        assert_eq!(pace.busy_permille, 250);
        assert_eq!((pace.calls_per_s, pace.datagrams_per_s), (7.5, 0.0));
        let asleep = now.pace_since(&before, Duration::from_secs(1));
        assert_eq!(asleep.busy_permille, 0, "it cannot be idle for longer");
        assert_eq!(now.pace_since(&now, Duration::ZERO), Pace::default());
    }

    #[test]
    fn a_reader_sees_the_latest_and_never_stops_the_writer() {
        let board = Board::default();
        board.publish(&Snapshot {
            beat: 1,
            ..Snapshot::default()
        });
        assert_eq!(board.read().beat, 1);
        let reading = board.0.lock().unwrap();
        board.publish(&Snapshot {
            beat: 2,
            ..Snapshot::default()
        });
        drop(reading);
        assert_eq!(board.read().beat, 1);
        board.publish(&Snapshot {
            beat: 3,
            ..Snapshot::default()
        });
        assert_eq!(board.clone().read().beat, 3);
    }
}
