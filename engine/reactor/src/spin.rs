//! Whether to look at the ring for a while before sleeping. A spin pays only when work comes within
//! it, so the rule is the record of the last waits: nearly all of them must have been that short.
//! Bursts with pauses between them, and an idle reactor, sleep at once and burn nothing.

use std::time::{Duration, Instant};

/// Of the last eight waits this many must have been short enough for a spin to bridge. With fewer,
/// bursts every 500 us end in a spin for nothing each: at 10,000 calls a second that cost 6 us a call.
const SHORT_WAITS: u32 = 7;

/// The spinning habit of one reactor.
#[derive(Debug)]
pub(crate) struct Spin {
    limit: Duration,
    /// The last eight waits, newest in the lowest bit; 1 for one that a spin bridged, or would have.
    waits: u8,
}

impl Spin {
    pub(crate) fn new(limit: Duration) -> Spin {
        Spin { limit, waits: 0 }
    }

    /// The instant to spin until, when spinning is likely to pay.
    pub(crate) fn until(&self, deadline: Option<Instant>) -> Option<Instant> {
        if !self.is_enabled() || self.waits.count_ones() < SHORT_WAITS {
            return None;
        }
        let end = Instant::now() + self.limit;
        Some(deadline.map_or(end, |deadline| deadline.min(end)))
    }

    /// A spin ended with work.
    pub(crate) fn note_paid(&mut self) {
        self.note(true);
    }

    /// A sleep lasted this long and ended with work (or did not). The spin before it, if any, was in vain.
    pub(crate) fn note_sleep(&mut self, slept: Duration, found_work: bool, spun: bool) {
        self.note(found_work && !spun && slept <= self.limit);
    }

    pub(crate) fn is_enabled(&self) -> bool {
        !self.limit.is_zero()
    }

    fn note(&mut self, short: bool) {
        self.waits = self.waits << 1 | u8::from(short);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_micros(30);

    fn dense() -> Spin {
        let mut spin = Spin::new(LIMIT);
        for _ in 0..8 {
            spin.note_sleep(LIMIT, true, false);
        }
        spin
    }

    #[test]
    fn a_run_of_short_sleeps_with_work_makes_it_spin() {
        let mut spin = Spin::new(LIMIT);
        for _ in 1..SHORT_WAITS {
            spin.note_sleep(LIMIT, true, false);
            assert_eq!(spin.until(None), None);
        }
        spin.note_sleep(LIMIT, true, false);
        assert!(spin.until(None).is_some());
    }

    #[test]
    fn two_waits_in_vain_end_the_habit_and_paid_spins_keep_it() {
        let mut spin = dense();
        spin.note_sleep(LIMIT, true, true);
        assert!(spin.until(None).is_some());
        spin.note_sleep(LIMIT * 100, true, false);
        assert_eq!(spin.until(None), None);

        let mut spin = dense();
        for _ in 0..100 {
            spin.note_paid();
            assert!(spin.until(None).is_some());
        }
    }

    #[test]
    fn bursts_with_pauses_never_spin() {
        let mut spin = Spin::new(LIMIT);
        for _ in 0..20 {
            for slept in [LIMIT / 2, LIMIT / 2, LIMIT / 2, LIMIT * 15] {
                spin.note_sleep(slept, true, false);
                assert_eq!(spin.until(None), None);
            }
        }
    }

    #[test]
    fn the_deadline_cuts_the_spin() {
        let spin = dense();
        let deadline = Instant::now();
        assert_eq!(spin.until(Some(deadline)), Some(deadline));
    }

    #[test]
    fn zero_never_spins() {
        let mut spin = Spin::new(Duration::ZERO);
        for _ in 0..8 {
            spin.note_sleep(Duration::ZERO, true, false);
        }
        assert_eq!(spin.until(None), None);
    }
}
