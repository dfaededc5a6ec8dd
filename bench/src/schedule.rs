//! When calls are due: evenly spaced from a start, fixed before the run, so that a slow answer never delays the next call and
//! latency can be measured from the time a call *should* have left.

/// An open-loop schedule of evenly spaced events.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    start_ns: u64,
    rate: f64,
    total: u64,
    next: u64,
}

impl Schedule {
    /// `total` events at `rate` a second, the first at `start_ns`.
    pub(crate) fn new(start_ns: u64, rate: f64, total: u64) -> Schedule {
        Schedule {
            start_ns,
            rate,
            total,
            next: 0,
        }
    }

    /// A schedule that is over.
    pub(crate) fn none() -> Schedule {
        Schedule::new(0, 1.0, 0)
    }

    fn at(&self, event: u64) -> u64 {
        self.start_ns + (event as f64 / self.rate * 1e9) as u64
    }

    /// When the next event is due; `None` after the last.
    pub(crate) fn next_ns(&self) -> Option<u64> {
        (self.next < self.total).then(|| self.at(self.next))
    }

    /// Takes the next event if it is due: its scheduled time.
    pub(crate) fn due(&mut self, now_ns: u64) -> Option<u64> {
        let at = self.next_ns().filter(|&at| at <= now_ns)?;
        self.next += 1;
        Some(at)
    }

    /// Leaves out the events still to come.
    pub(crate) fn stop(&mut self) {
        self.total = self.next;
    }

    /// Whether the last event was taken.
    pub(crate) fn is_over(&self) -> bool {
        self.next >= self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn events_keep_their_times_when_taken_late() {
        let mut schedule = Schedule::new(1_000, 1_000.0, 3);
        assert_eq!(schedule.due(999), None);
        assert_eq!(schedule.due(1_000), Some(1_000));
        assert_eq!(schedule.due(1_000), None);
        assert_eq!(schedule.due(9_000_000), Some(1_001_000));
        assert_eq!(schedule.due(9_000_000), Some(2_001_000));
        assert_eq!(schedule.due(9_000_000), None);
        assert!(schedule.is_over());
    }

    #[test]
    fn a_stopped_schedule_has_no_more_events() {
        let mut schedule = Schedule::new(0, 10.0, 100);
        assert!(schedule.due(0).is_some());
        schedule.stop();
        assert!(schedule.is_over() && schedule.next_ns().is_none());
    }

    proptest! {
        #[test]
        fn a_second_holds_exactly_the_rate(rate in 1u32..200_000, seconds in 1u64..4) {
            let mut schedule = Schedule::new(0, f64::from(rate), u64::MAX);
            let taken = std::iter::from_fn(|| schedule.due(seconds * 1_000_000_000 - 1)).count();
            prop_assert_eq!(taken as u64, u64::from(rate) * seconds);
        }
    }
}
