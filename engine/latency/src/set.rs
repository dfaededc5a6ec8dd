//! A histogram for each of a fixed list of names, allocated once and used again and again.

/// Counts of nanoseconds.
pub type Histogram = hdrhistogram::Histogram<u64>;

/// Shortest latency told from zero. Two readings of the clock differ by half of it when nothing
/// happens between them. It also puts everything below 131 us into 16 KiB of counts, in steps of
/// 64 ns, so that recording touches few cache lines.
pub const LOWEST_NS: u64 = 64;

/// Longest latency; longer ones count as this. One minute.
pub const HIGHEST_NS: u64 = 60_000_000_000;

/// Significant digits: what tools and readers of HDR logs expect. A histogram is 168 KiB then; with two
/// digits it would be 24 KiB, but the steps of a percentile would be as large as the differences that
/// are looked for.
const DIGITS: u8 = 3;

/// An empty histogram of the range all of ours have.
pub fn histogram() -> Histogram {
    Histogram::new_with_bounds(LOWEST_NS, HIGHEST_NS, DIGITS).expect("the bounds are constants")
}

/// Histograms of one interval, one for each name.
#[derive(Clone, Debug)]
pub struct Set {
    names: &'static [&'static str],
    histograms: Box<[Histogram]>,
}

impl Set {
    /// Empty histograms for these names.
    pub fn new(names: &'static [&'static str]) -> Set {
        Set {
            names,
            histograms: names.iter().map(|_| histogram()).collect(),
        }
    }

    /// Counts `times` latencies of `ns` under the name at `index`; an index beyond the names counts
    /// nothing. Allocates nothing.
    pub fn record(&mut self, index: usize, ns: u64, times: u64) {
        if times == 0 {
            return;
        }
        if let Some(histogram) = self.histograms.get_mut(index) {
            // Within the bounds it cannot fail.
            let _ = histogram.record_n(ns.min(HIGHEST_NS), times);
        }
    }

    /// Empties every histogram that is not empty; the memory stays.
    pub fn reset(&mut self) {
        let used = self.histograms.iter_mut().filter(|one| !one.is_empty());
        used.for_each(Histogram::reset);
    }

    /// Nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.histograms.iter().all(Histogram::is_empty)
    }

    /// Names and histograms, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Histogram)> {
        self.names.iter().copied().zip(&self.histograms)
    }

    /// The histogram at `index`.
    pub fn get(&self, index: usize) -> Option<&Histogram> {
        self.histograms.get(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_counted_and_forgotten() {
        let mut set = Set::new(&["a", "b"]);
        set.record(1, 1_000_000, 3);
        set.record(1, 5_000_000, 0);
        set.record(2, 1, 1);
        assert_eq!(set.get(0).map(Histogram::len), Some(0));
        assert_eq!(set.get(1).map(Histogram::len), Some(3));
        assert!(set.get(2).is_none() && !set.is_empty());
        set.reset();
        assert!(set.is_empty());
        assert_eq!(set.get(1).map(Histogram::len), Some(0));
    }

    #[test]
    fn too_long_and_too_short_are_kept_at_the_ends() {
        let mut set = Set::new(&["a"]);
        set.record(0, u64::MAX, 1);
        set.record(0, 0, 1);
        let histogram = set.get(0).unwrap();
        assert_eq!((histogram.len(), histogram.min()), (2, 0));
        assert!(histogram.max() >= HIGHEST_NS);
    }

    /// The figures of the comments above.
    #[test]
    fn memory_is_what_was_reckoned() {
        assert_eq!(histogram().distinct_values() * 8 / 1024, 168);
        let two = Histogram::new_with_bounds(LOWEST_NS, HIGHEST_NS, 2).unwrap();
        assert_eq!(two.distinct_values() * 8 / 1024, 24);
        let finest = histogram().equivalent_range(131_000);
        assert_eq!(finest, 64);
    }
}
