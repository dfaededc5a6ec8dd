//! The one clock of a shard: monotonic time as nanoseconds since a zero chosen at the engine's start, which is the
//! form the pure rooms take, and back to an `Instant` for waiting.

use std::time::{Duration, Instant};

/// A start and the monotonic clock. Copies share the start, so all shards speak of the same times.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    /// What it said then.
    start_ns: u64,
}

impl Clock {
    /// A clock whose zero is now.
    pub fn start() -> Clock {
        Clock::start_at(0)
    }

    /// A clock that says `ns` now: its zero is so long ago.
    pub fn start_at(ns: u64) -> Clock {
        Clock {
            start: Instant::now(),
            start_ns: ns,
        }
    }

    /// What it said at its start.
    pub fn start_ns(&self) -> u64 {
        self.start_ns
    }

    /// Nanoseconds since its zero. Enough for 584 years.
    pub fn now_ns(&self) -> u64 {
        self.start_ns + self.start.elapsed().as_nanos() as u64
    }

    /// The instant when it says `ns`, to wait for; not before its start.
    pub fn instant(&self, ns: u64) -> Instant {
        self.start + Duration::from_nanos(ns.saturating_sub(self.start_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_and_its_nanoseconds_agree() {
        let clock = Clock::start_at(7_000_000_000);
        let before = clock.now_ns();
        let instant = clock.instant(before);
        assert!(instant <= Instant::now());
        assert_eq!(
            instant.duration_since(clock.instant(0)).as_nanos() as u64,
            before - 7_000_000_000
        );
    }
}
