//! The search for the highest rate a server carries: double until a step fails, then halve the gap between the best rate that
//! passed and the lowest that failed.

/// Steps at most, whatever the answers.
const STEPS_MAX: usize = 24;

/// A search between rates, driven by "passed" and "failed".
#[derive(Clone, Debug)]
pub(crate) struct Search {
    passed: f64,
    failed: Option<f64>,
    next: f64,
    ceiling: f64,
    /// The search ends when the gap is this share of the rate.
    precision: f64,
    steps: usize,
}

impl Search {
    /// Begins at `first` calls per second and goes no higher than `ceiling`.
    pub(crate) fn new(first: f64, ceiling: f64, precision: f64) -> Search {
        Search {
            passed: 0.0,
            failed: None,
            next: first,
            ceiling,
            precision,
            steps: 0,
        }
    }

    /// The rate to try now; `None` when the answer is known well enough.
    pub(crate) fn rate(&self) -> Option<f64> {
        let gap = self
            .failed
            .map_or(f64::INFINITY, |failed| failed - self.passed);
        let known = gap <= self.precision * self.passed.max(1.0) || self.passed >= self.ceiling;
        (!known && self.steps < STEPS_MAX).then_some(self.next)
    }

    /// Says how the last `rate` did.
    pub(crate) fn record(&mut self, passed: bool) {
        self.steps += 1;
        if passed {
            self.passed = self.next;
        } else {
            self.failed = Some(self.next);
        }
        self.next = match self.failed {
            None => (self.next * 2.0).min(self.ceiling),
            Some(failed) => (self.passed + failed) / 2.0,
        };
    }

    /// The highest rate that passed; zero when none did.
    pub(crate) fn best(&self) -> f64 {
        self.passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn search(limit: f64) -> (f64, usize) {
        let mut search = Search::new(1_000.0, 200_000.0, 0.02);
        let mut steps = 0;
        while let Some(rate) = search.rate() {
            search.record(rate <= limit);
            steps += 1;
        }
        (search.best(), steps)
    }

    #[test]
    fn the_ceiling_ends_the_search() {
        assert_eq!(search(1e9).0, 200_000.0);
    }

    #[test]
    fn a_server_that_never_passes_ends_it_too() {
        let (best, steps) = search(0.0);
        assert_eq!(best, 0.0);
        assert!(steps <= STEPS_MAX);
    }

    proptest! {
        #[test]
        fn the_limit_is_found_to_the_precision(limit in 10f64..190_000.0) {
            let (best, steps) = search(limit);
            prop_assert!(best <= limit && best >= limit * 0.975, "{best} of {limit}");
            prop_assert!(steps <= STEPS_MAX);
        }
    }
}
