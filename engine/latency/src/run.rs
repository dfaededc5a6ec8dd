//! A run: the intervals of one or more logs, of one process or several, sorted into series. Merging is
//! adding counts, so that the percentiles of a merged series are exact, where averaging those of its
//! parts would not be.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::MergeError;
use crate::log_reader::{Interval, Log};
use crate::metric::Metric;
use crate::set::Histogram;

/// Which intervals count.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only these metrics; empty: all.
    pub metrics: Vec<String>,
    /// Only these sources (`s0`); empty: all.
    pub sources: Vec<String>,
    /// Only intervals that begin this long or longer after the run's first.
    pub from: Option<Duration>,
    /// Only intervals that begin before this, after the run's first.
    pub until: Option<Duration>,
}

/// The intervals of a run.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// What a report calls it.
    pub name: String,
    /// Begin of its first interval, since 1970.
    pub start: Duration,
    /// From there to the end of its last.
    pub length: Duration,
    /// Its intervals, by time.
    pub intervals: Vec<Interval>,
}

impl Run {
    /// The run that these logs are of, as far as the filter lets through. Times of the filter count from
    /// the first interval of all.
    pub fn new(name: &str, logs: Vec<Log>, filter: &Filter) -> Run {
        let mut intervals: Vec<Interval> = logs.into_iter().flat_map(|log| log.intervals).collect();
        intervals.sort_by_key(|one| one.start);
        let zero = intervals.first().map_or(Duration::ZERO, |one| one.start);
        intervals.retain(|one| filter.passes(one, one.start.saturating_sub(zero)));
        let start = intervals.first().map_or(zero, |one| one.start);
        let end = intervals.iter().map(Interval::end).max().unwrap_or(start);
        Run {
            name: name.to_owned(),
            start,
            length: end.saturating_sub(start),
            intervals,
        }
    }

    /// The metrics there are: a shard's in their own order, then others by name.
    pub fn metrics(&self) -> Vec<&str> {
        let mut found: Vec<&str> = self.intervals.iter().map(|one| &*one.metric).collect();
        found.sort_by_key(|name| (place(name), *name));
        found.dedup();
        found
    }

    /// The sources that have this metric, `s2` before `s10`.
    pub fn sources(&self, metric: &str) -> Vec<&str> {
        let of_metric = self.intervals.iter().filter(|one| one.metric == metric);
        let mut found: Vec<&str> = of_metric.map(|one| &*one.source).collect();
        found.sort_by_key(|name| (name.len(), *name));
        found.dedup();
        found
    }

    /// Everything of a metric in one histogram; of one source, or of all.
    ///
    /// # Errors
    /// [`MergeError`]: values of one log do not fit the range of another.
    pub fn merged(&self, metric: &str, source: Option<&str>) -> Result<Histogram, MergeError> {
        let wanted = |one: &&Interval| {
            one.metric == metric && source.is_none_or(|source| one.source == source)
        };
        merge(self.intervals.iter().filter(wanted))
    }

    /// A metric over time: the histograms of all sources merged for each slice of the length that most
    /// intervals have, and the slice's begin after the run's.
    ///
    /// # Errors
    /// As [`Run::merged`].
    pub fn over_time(&self, metric: &str) -> Result<Vec<(Duration, Histogram)>, MergeError> {
        let slice = self.slice(metric).as_secs_f64().max(1e-3);
        let mut slices: BTreeMap<u64, Vec<&Interval>> = BTreeMap::new();
        for one in self.intervals.iter().filter(|one| one.metric == metric) {
            let after = one.start.saturating_sub(self.start).as_secs_f64();
            // Shards begin an interval with the first turn after its time, so somewhat late.
            slices
                .entry((after / slice + 0.25) as u64)
                .or_default()
                .push(one);
        }
        let merged = |(number, of): (u64, Vec<&Interval>)| {
            let begin = Duration::from_secs_f64(number as f64 * slice);
            Ok((begin, merge(of.into_iter())?))
        };
        slices.into_iter().map(merged).collect()
    }

    /// The median length of a metric's intervals.
    fn slice(&self, metric: &str) -> Duration {
        let of_metric = self.intervals.iter().filter(|one| one.metric == metric);
        let mut lengths: Vec<Duration> = of_metric.map(|one| one.length).collect();
        lengths.sort();
        lengths.get(lengths.len() / 2).copied().unwrap_or_default()
    }
}

impl Filter {
    fn passes(&self, one: &Interval, after: Duration) -> bool {
        let listed = |list: &[String], name: &String| list.is_empty() || list.contains(name);
        listed(&self.metrics, &one.metric)
            && listed(&self.sources, &one.source)
            && self.from.is_none_or(|from| after >= from)
            && self.until.is_none_or(|until| after < until)
    }
}

impl Interval {
    pub(crate) fn end(&self) -> Duration {
        self.start.saturating_add(self.length)
    }
}

fn place(metric: &str) -> usize {
    let known = Metric::NAMES.iter().position(|name| *name == metric);
    known.unwrap_or(Metric::NAMES.len())
}

fn merge<'i>(intervals: impl Iterator<Item = &'i Interval>) -> Result<Histogram, MergeError> {
    let mut all: Option<Histogram> = None;
    for one in intervals {
        match &mut all {
            None => all = Some(one.histogram.clone()),
            Some(all) => all.add(&one.histogram).map_err(MergeError)?,
        }
    }
    Ok(all.unwrap_or_else(crate::histogram))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An interval of ten seconds at `at_s` with these values in microseconds.
    pub(crate) fn interval(source: &str, metric: &str, at_s: u64, us: &[u64]) -> Interval {
        let mut histogram = crate::histogram();
        histogram.auto(true);
        for us in us {
            histogram.record(us * 1_000).unwrap();
        }
        Interval {
            source: source.to_owned(),
            metric: metric.to_owned(),
            start: Duration::from_secs(1_000_000 + at_s),
            length: Duration::from_secs(10),
            histogram,
        }
    }

    pub(crate) fn run(name: &str, intervals: Vec<Interval>) -> Run {
        let log = Log {
            intervals,
            truncated: false,
        };
        Run::new(name, vec![log], &Filter::default())
    }

    proptest! {
        /// Two shards and two files, in any distribution: merged is as if recorded in one histogram.
        #[test]
        fn merged_is_the_sum(values in prop::collection::vec((0..4usize, 1..5_000_000u64), 1..200)) {
            let mut parts = vec![Vec::new(); 4];
            values.iter().for_each(|(part, us)| parts[*part].push(*us));
            let log = |from: usize| Log {
                intervals: (from..from + 2)
                    .map(|part| interval(&format!("s{}", part % 2), "turn", part as u64, &parts[part]))
                    .collect(),
                truncated: false,
            };
            let run = Run::new("all", vec![log(0), log(2)], &Filter::default());
            let all: Vec<u64> = values.iter().map(|(_, us)| *us).collect();
            let merged = run.merged("turn", None).unwrap();
            prop_assert_eq!(&merged, &interval("", "", 0, &all).histogram);
            let counts: u64 = ["s0", "s1"]
                .map(|source| run.merged("turn", Some(source)).unwrap().len())
                .iter()
                .sum();
            prop_assert_eq!(counts, merged.len());
        }
    }

    #[test]
    fn series_are_in_a_steady_order() {
        let run = run(
            "",
            vec![
                interval("s10", "turn", 0, &[1]),
                interval("s2", "turn", 0, &[1]),
                interval("", "setup", 0, &[1]),
                interval("s2", "invite_in_to_out", 0, &[1]),
            ],
        );
        assert_eq!(run.metrics(), ["invite_in_to_out", "turn", "setup"]);
        assert_eq!(run.sources("turn"), ["s2", "s10"]);
    }

    #[test]
    fn a_filter_lets_through_what_it_names() {
        let all = vec![
            interval("s0", "turn", 0, &[1]),
            interval("s1", "turn", 10, &[1, 2]),
            interval("s0", "rtp_residence", 20, &[1, 2, 3]),
            interval("s0", "turn", 30, &[1, 2, 3, 4]),
        ];
        let left = |filter: Filter| -> Vec<u64> {
            let log = Log {
                intervals: all.clone(),
                truncated: false,
            };
            let run = Run::new("", vec![log], &filter);
            run.intervals
                .iter()
                .map(|one| one.histogram.len())
                .collect()
        };
        let names = |name: &str| vec![name.to_owned()];
        assert_eq!(left(Filter::default()), [1, 2, 3, 4]);
        assert_eq!(
            left(Filter {
                metrics: names("turn"),
                ..Filter::default()
            }),
            [1, 2, 4]
        );
        assert_eq!(
            left(Filter {
                sources: names("s0"),
                ..Filter::default()
            }),
            [1, 3, 4]
        );
        let (from, until) = (Some(Duration::from_secs(10)), Some(Duration::from_secs(30)));
        assert_eq!(
            left(Filter {
                from,
                until,
                ..Filter::default()
            }),
            [2, 3]
        );
    }

    #[test]
    fn intervals_of_several_shards_lie_beside_each_other() {
        let mut late = interval("s1", "turn", 10, &[7]);
        late.start += Duration::from_millis(900);
        let run = run(
            "",
            vec![
                interval("s0", "turn", 0, &[1]),
                interval("s1", "turn", 0, &[2]),
                interval("s0", "turn", 10, &[5]),
                late,
                interval("s0", "turn", 30, &[9]),
            ],
        );
        let slices = run.over_time("turn").unwrap();
        let found: Vec<_> = slices
            .iter()
            .map(|(at, all)| (at.as_secs(), all.len()))
            .collect();
        assert_eq!(found, [(0, 2), (10, 2), (30, 1)]);
        assert_eq!(run.length, Duration::from_secs(40));
    }
}
