//! The latest interval's percentiles of every shard, for whoever scrapes them.

use std::sync::{Arc, Mutex, PoisonError};

use latency::{Histogram, Metric, Set};

/// What is told of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantile {
    /// Half of the values are at most this.
    P50,
    /// 99 of 100.
    P99,
    /// 999 of 1,000.
    P999,
    /// All.
    Max,
}

impl Quantile {
    /// All of them.
    pub(crate) const ALL: [Quantile; 4] =
        [Quantile::P50, Quantile::P99, Quantile::P999, Quantile::Max];

    /// As a label's value.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Quantile::P50 => "0.5",
            Quantile::P99 => "0.99",
            Quantile::P999 => "0.999",
            Quantile::Max => "1",
        }
    }

    fn of(self, histogram: &Histogram) -> u64 {
        match self {
            Quantile::P50 => histogram.value_at_quantile(0.5),
            Quantile::P99 => histogram.value_at_quantile(0.99),
            Quantile::P999 => histogram.value_at_quantile(0.999),
            Quantile::Max => histogram.max(),
        }
    }
}

/// Seconds by metric and quantile; NaN where nothing was measured.
pub(crate) type Summary = [[f64; 4]; 7];

/// The latencies of a shard since its start, in buckets, for each metric.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Spread {
    /// How many lie above the bound before and not above this one; in the last place those above all.
    pub(crate) counts: [u64; 18],
    /// All of them together, in seconds.
    pub(crate) sum_s: f64,
}

impl Spread {
    /// Upper bounds: from a turn that had one message to read to one that holds a call up.
    pub(crate) const BOUNDS_NS: [u64; 17] = [
        1_000,
        2_000,
        5_000,
        10_000,
        20_000,
        50_000,
        100_000,
        200_000,
        500_000,
        1_000_000,
        2_000_000,
        5_000_000,
        10_000_000,
        20_000_000,
        50_000_000,
        100_000_000,
        1_000_000_000,
    ];

    /// Adds an interval. Values are told by their histogram to three digits.
    fn add(&mut self, histogram: &Histogram) {
        for step in histogram.iter_recorded() {
            let (ns, times) = (step.value_iterated_to(), step.count_at_value());
            let place = Self::BOUNDS_NS.partition_point(|bound| *bound < ns);
            self.counts[place] += times;
            self.sum_s += ns as f64 / 1e9 * times as f64;
        }
    }
}

/// The summaries of all shards, renewed by the housekeeping and read by the control thread.
#[derive(Clone, Debug)]
pub(crate) struct Summaries(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    shards: Vec<Summary>,
    spreads: Vec<[Spread; 7]>,
    lost: u64,
}

impl Summaries {
    /// Nothing measured on any shard yet.
    pub(crate) fn new(shards: usize) -> Summaries {
        let nothing = [[f64::NAN; 4]; 7];
        Summaries(Arc::new(Mutex::new(State {
            shards: vec![nothing; shards],
            spreads: vec![[Spread::default(); 7]; shards],
            lost: 0,
        })))
    }

    /// Takes over an interval.
    pub(crate) fn renew(&self, shard: usize, set: &Set) {
        let summary = summarize(set);
        self.with(|state| {
            if let Some(place) = state.shards.get_mut(shard) {
                *place = summary;
            }
            let spreads = state.spreads.get_mut(shard).into_iter().flatten();
            for (spread, (_, histogram)) in spreads.zip(set.iter()) {
                spread.add(histogram);
            }
        });
    }

    /// An interval could not be written.
    pub(super) fn count_lost(&self) {
        self.with(|state| state.lost += 1);
    }

    /// Intervals that could not be written.
    pub(crate) fn lost(&self) -> u64 {
        self.with(|state| state.lost)
    }

    /// The latest of every shard.
    pub(crate) fn read(&self) -> Vec<Summary> {
        self.with(|state| state.shards.clone())
    }

    /// The latencies of every shard since its start.
    pub(crate) fn spreads(&self) -> Vec<[Spread; 7]> {
        self.with(|state| state.spreads.clone())
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn summarize(set: &Set) -> Summary {
    let of = |metric: Metric| match set.get(metric.index()).filter(|one| !one.is_empty()) {
        Some(histogram) => Quantile::ALL.map(|quantile| quantile.of(histogram) as f64 / 1e9),
        None => [f64::NAN; 4],
    };
    Metric::ALL.map(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_told_in_seconds() {
        let summaries = Summaries::new(2);
        assert!(summaries.read()[1][0][0].is_nan());
        let mut set = Set::new(&Metric::NAMES);
        for us in 1..=1_000 {
            set.record(Metric::Turn.index(), us * 1_000, 1);
        }
        summaries.renew(1, &set);
        summaries.renew(7, &set);
        summaries.count_lost();
        let read = summaries.read();
        let turn = read[1][Metric::Turn.index()];
        for (found, wanted) in turn.iter().zip([0.0005, 0.00099, 0.000999, 0.001]) {
            assert!((found / wanted - 1.0).abs() < 0.002, "{turn:?}");
        }
        assert!(read[1][Metric::RtpResidence.index()][3].is_nan());
        assert!(read[0][Metric::Turn.index()][3].is_nan());
        assert_eq!(summaries.lost(), 1);
    }

    #[test]
    fn intervals_add_up_in_buckets() {
        let summaries = Summaries::new(1);
        let mut set = Set::new(&Metric::NAMES);
        set.record(Metric::Turn.index(), 900, 2);
        set.record(Metric::Turn.index(), 30_000, 3);
        set.record(Metric::Turn.index(), 2_000_000_000, 1);
        summaries.renew(0, &set);
        summaries.renew(0, &set);
        let spread = summaries.spreads()[0][Metric::Turn.index()];
        assert_eq!(
            (spread.counts[0], spread.counts[5], spread.counts[17]),
            (4, 6, 2)
        );
        assert_eq!(spread.counts.iter().sum::<u64>(), 12);
        assert!(
            (spread.sum_s / 4.000_181_6 - 1.0).abs() < 0.01,
            "{spread:?}"
        );
    }
}
