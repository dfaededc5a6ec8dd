//! Whether to look at the ring for a while before sleeping. Spinning pays only while arrivals are
//! closer together than a few spins; the rule is that the last wait says so. An idle reactor stops
//! at its first long sleep and burns nothing after it.

use std::time::{Duration, Instant};

/// A sleep of up to this many spins still counts as dense traffic: one, since only such a gap would have
/// been bridged. With four, bursts every 500 us cost 3 us of spinning per call.
const DENSE_SPINS: u32 = 1;

/// The spinning habit of one reactor.
#[derive(Debug)]
pub(crate) struct Spin {
    limit: Duration,
    worthwhile: bool,
}

impl Spin {
    pub(crate) fn new(limit: Duration) -> Spin {
        Spin {
            limit,
            worthwhile: false,
        }
    }

    /// The instant to spin until, when spinning is likely to pay.
    pub(crate) fn until(&self, deadline: Option<Instant>) -> Option<Instant> {
        if !self.worthwhile {
            return None;
        }
        let end = Instant::now() + self.limit;
        Some(deadline.map_or(end, |deadline| deadline.min(end)))
    }

    /// A sleep lasted this long and ended with work (or did not).
    pub(crate) fn note_sleep(&mut self, slept: Duration, found_work: bool) {
        self.worthwhile = found_work && slept <= self.limit * DENSE_SPINS && !self.limit.is_zero();
    }

    pub(crate) fn is_enabled(&self) -> bool {
        !self.limit.is_zero()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_micros(30);

    #[test]
    fn short_sleeps_with_work_make_it_spin() {
        let mut spin = Spin::new(LIMIT);
        assert_eq!(spin.until(None), None);
        spin.note_sleep(LIMIT, true);
        assert!(spin.until(None).is_some());
        spin.note_sleep(LIMIT, false);
        assert_eq!(spin.until(None), None);
    }

    #[test]
    fn a_long_sleep_ends_the_habit() {
        let mut spin = Spin::new(LIMIT);
        spin.note_sleep(LIMIT, true);
        spin.note_sleep(LIMIT * 100, true);
        assert_eq!(spin.until(None), None);
    }

    #[test]
    fn the_deadline_cuts_the_spin() {
        let mut spin = Spin::new(LIMIT * 1000);
        spin.note_sleep(LIMIT, true);
        let deadline = Instant::now();
        assert_eq!(spin.until(Some(deadline)), Some(deadline));
    }

    #[test]
    fn zero_never_spins() {
        let mut spin = Spin::new(Duration::ZERO);
        spin.note_sleep(Duration::ZERO, true);
        assert_eq!(spin.until(None), None);
    }
}
