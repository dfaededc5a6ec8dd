//! The one clock of a shard: monotonic time as nanoseconds since the engine's start, which is the
//! form the pure rooms take, and back to an `Instant` for waiting.

use std::time::{Duration, Instant};

/// A start and the monotonic clock. Copies share the start, so all shards speak of the same times.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock whose zero is now.
    pub fn start() -> Clock {
        Clock {
            start: Instant::now(),
        }
    }

    /// Nanoseconds since the start. Enough for 584 years.
    pub fn now_ns(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    /// The instant `ns` nanoseconds after the start, to wait for.
    pub fn instant(&self, ns: u64) -> Instant {
        self.start + Duration::from_nanos(ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_and_its_nanoseconds_agree() {
        let clock = Clock::start();
        let before = clock.now_ns();
        let instant = clock.instant(before);
        assert!(instant <= Instant::now());
        assert_eq!(
            instant.duration_since(clock.instant(0)).as_nanos() as u64,
            before
        );
    }
}
