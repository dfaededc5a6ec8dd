//! The percentiles a report shows.

use serde::Serialize;

use crate::set::Histogram;

/// Percentiles of one histogram, nanoseconds. Each is the highest value that the histogram does not
/// tell from the true one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Percentiles {
    /// Values recorded.
    pub count: u64,
    /// Half are at most this.
    pub p50_ns: u64,
    /// 9 of 10.
    pub p90_ns: u64,
    /// 99 of 100.
    pub p99_ns: u64,
    /// 999 of 1,000.
    pub p99_9_ns: u64,
    /// 9,999 of 10,000.
    pub p99_99_ns: u64,
    /// All.
    pub max_ns: u64,
}

impl Percentiles {
    /// Titles of the columns after the count.
    pub(crate) const TITLES: [&'static str; 6] = ["p50", "p90", "p99", "p99.9", "p99.99", "max"];

    /// Those of a histogram; all zero when it is empty.
    pub fn of(histogram: &Histogram) -> Percentiles {
        let at = |quantile| histogram.value_at_quantile(quantile);
        Percentiles {
            count: histogram.len(),
            p50_ns: at(0.5),
            p90_ns: at(0.9),
            p99_ns: at(0.99),
            p99_9_ns: at(0.999),
            p99_99_ns: at(0.9999),
            max_ns: histogram.max(),
        }
    }

    /// The values, in the order of the titles.
    pub(crate) fn values(&self) -> [u64; 6] {
        [
            self.p50_ns,
            self.p90_ns,
            self.p99_ns,
            self.p99_9_ns,
            self.p99_99_ns,
            self.max_ns,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_thousand_steps() {
        let mut histogram = crate::histogram();
        for us in 1..=10_000u64 {
            histogram.record(us * 1_000).unwrap();
        }
        let found = Percentiles::of(&histogram);
        assert_eq!(found.count, 10_000);
        let wanted = [
            5_000_000, 9_000_000, 9_900_000, 9_990_000, 9_999_000, 10_000_000,
        ];
        for (found, wanted) in found.values().into_iter().zip(wanted) {
            assert!(histogram.equivalent(found, wanted), "{found} for {wanted}");
        }
        assert_eq!(Percentiles::of(&crate::histogram()), Percentiles::default());
    }
}
