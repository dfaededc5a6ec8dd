//! Intervals that stand out: those whose p99 or maximum lies far from what is usual for their series,
//! by median and median absolute deviation, which a few bad intervals do not move.

use std::time::Duration;

use serde::Serialize;

use crate::error::MergeError;
use crate::run::Run;
use crate::set::Histogram;

/// Fewer intervals than this say nothing about what is usual.
const INTERVALS_MIN: usize = 8;

/// Deviations from the median, of the size of a standard deviation, that stand out. The maxima of
/// latencies spread widely, so it is more than the three of text books.
const DEVIATIONS: f64 = 6.0;

/// What the median absolute deviation is multiplied with to be a standard deviation, were the values
/// normally distributed.
const MAD_TO_SIGMA: f64 = 1.4826;

/// In a very even series a small step is many deviations; below twice the usual nobody cares.
const TIMES: f64 = 2.0;

/// Below this many values a p99 is just one of the largest; their maximum is looked at alone.
const COUNT_MIN: u64 = 100;

/// The rule, for a report's reader.
pub(crate) const RULE: &str =
    "p99 or max above twice the median of all intervals and above it by 6 deviations (1.4826 MAD)";

/// An interval that stands out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outlier {
    /// The metric.
    pub metric: String,
    /// `p99` or `max`.
    pub what: &'static str,
    /// Begin of the interval after the run's, seconds.
    pub at_s: f64,
    /// What it was, nanoseconds.
    pub value_ns: u64,
    /// What is usual, the median: nanoseconds.
    pub usual_ns: u64,
}

/// The intervals of a metric, all sources together, that stand out.
///
/// # Errors
/// [`MergeError`]
pub(crate) fn of_metric(run: &Run, metric: &str) -> Result<Vec<Outlier>, MergeError> {
    let slices = run.over_time(metric)?;
    let mut found = Vec::new();
    let p99 = |one: &Histogram| (one.len() >= COUNT_MIN).then(|| one.value_at_quantile(0.99));
    let max = |one: &Histogram| (!one.is_empty()).then(|| one.max());
    collect(&mut found, metric, "p99", &values(&slices, p99));
    collect(&mut found, metric, "max", &values(&slices, max));
    found.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    Ok(found)
}

fn values(
    slices: &[(Duration, Histogram)],
    of: impl Fn(&Histogram) -> Option<u64>,
) -> Vec<(Duration, u64)> {
    let value = |(at, one): &(Duration, Histogram)| Some((*at, of(one)?));
    slices.iter().filter_map(value).collect()
}

fn collect(found: &mut Vec<Outlier>, metric: &str, what: &'static str, values: &[(Duration, u64)]) {
    let Some((usual, bound)) = bound(values.iter().map(|(_, value)| *value).collect()) else {
        return;
    };
    let out = values.iter().filter(|(_, value)| *value as f64 > bound);
    found.extend(out.map(|(at, value)| Outlier {
        metric: metric.to_owned(),
        what,
        at_s: at.as_secs_f64(),
        value_ns: *value,
        usual_ns: usual,
    }));
}

/// The median and what is too much; `None` for too few values.
fn bound(mut values: Vec<u64>) -> Option<(u64, f64)> {
    if values.len() < INTERVALS_MIN {
        return None;
    }
    let usual = median(&mut values);
    let mut deviations: Vec<u64> = values.iter().map(|value| value.abs_diff(usual)).collect();
    let sigma = median(&mut deviations) as f64 * MAD_TO_SIGMA;
    let usual_ns = usual as f64;
    Some((usual, (usual_ns + DEVIATIONS * sigma).max(TIMES * usual_ns)))
}

fn median(values: &mut [u64]) -> u64 {
    values.sort_unstable();
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tests::{interval, run};

    fn found(maxima: &[u64]) -> Vec<(u64, &'static str)> {
        let intervals = maxima.iter().enumerate().map(|(index, max)| {
            // 200 values of 10 us and a few of the maximum: it is no p99.
            let mut us = vec![10; 200];
            us.push(*max);
            interval("s0", "turn", 10 * index as u64, &us)
        });
        let run = run("", intervals.collect());
        let found = of_metric(&run, "turn").unwrap();
        found
            .iter()
            .map(|one| (one.at_s as u64, one.what))
            .collect()
    }

    #[test]
    fn one_stall_stands_out() {
        let steady = [50, 52, 48, 51, 49, 53, 50, 47, 50, 51];
        assert_eq!(found(&steady), []);
        let mut stalled = steady;
        stalled[6] = 900;
        assert_eq!(found(&stalled), [(60, "max")]);
    }

    #[test]
    fn what_is_usually_wide_does_not_stand_out() {
        assert_eq!(found(&[50, 300, 90, 200, 60, 150, 400, 80, 120, 350]), []);
        // Six deviations, but not twice as much.
        assert_eq!(found(&[50, 50, 50, 50, 50, 50, 50, 50, 90]), []);
    }

    #[test]
    fn few_intervals_say_nothing() {
        assert_eq!(found(&[50, 50, 50, 50, 50, 50, 5_000]), []);
    }

    #[test]
    fn a_p99_stands_out_only_when_it_is_one() {
        let slow = |count: usize| {
            let mut intervals: Vec<_> = (0..9)
                .map(|index| interval("s0", "turn", 10 * index, &vec![10; 200]))
                .collect();
            intervals.push(interval("s0", "turn", 90, &vec![500; count]));
            let found = of_metric(&run("", intervals), "turn").unwrap();
            found.iter().map(|one| one.what).collect::<Vec<_>>()
        };
        assert_eq!(slow(100), ["p99", "max"]);
        assert_eq!(slow(99), ["max"]);
    }
}
