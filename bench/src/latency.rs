//! Latency of calls as HDR histograms: one over the run, one for each second (the .hlog interval log). Every value counts from
//! the scheduled time of its call, which is the correction for coordinated omission: a generator or server that falls behind
//! makes the waiting visible instead of asking less often.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use latency::{Header, LogWriter, Set, Span};
use serde::Serialize;

/// Shortest and longest latency told apart, in nanoseconds; longer ones count as the longest.
const RANGE_NS: (u64, u64) = (1_000, 100_000_000_000);
const INTERVAL_NS: u64 = 1_000_000_000;
/// Names of a call's latencies in the interval log.
const LOGGED: [&str; 2] = ["setup", "pdd"];

/// A histogram for one of `RANGE_NS`, to three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(RANGE_NS.0, RANGE_NS.1, 3).expect("the bounds are sound")
}

/// Latencies second by second, for the interval log.
pub(crate) struct Intervals {
    names: &'static [&'static str],
    current: Set,
    start_ns: u64,
    full: Vec<(Span, Set)>,
    started: SystemTime,
}

impl Intervals {
    /// No latencies of these names yet; times count from `started`, and the first interval begins at `start_ns`.
    pub(crate) fn new(
        names: &'static [&'static str],
        started: SystemTime,
        start_ns: u64,
    ) -> Intervals {
        Intervals {
            names,
            current: Set::new(names),
            start_ns,
            full: Vec::new(),
            started,
        }
    }

    /// Counts a latency of the name at `index`, in nanoseconds.
    pub(crate) fn record(&mut self, index: usize, latency_ns: u64, now_ns: u64) {
        if now_ns >= self.start_ns + INTERVAL_NS {
            self.close(now_ns);
        }
        self.current.record(index, latency_ns, 1);
    }

    /// Ends the current interval.
    pub(crate) fn close(&mut self, now_ns: u64) {
        if !self.current.is_empty() {
            let span = Span {
                start: Duration::from_nanos(self.start_ns),
                length: Duration::from_nanos(now_ns.saturating_sub(self.start_ns)),
            };
            let full = std::mem::replace(&mut self.current, Set::new(self.names));
            self.full.push((span, full));
        }
        self.start_ns = now_ns;
    }
}

/// Writes runs as one interval log, each tagged with its source: values in nanoseconds, as `tipring report` and the tools of
/// HdrHistogram read them.
pub(crate) fn write_log(runs: &[(&str, &Intervals)], out: impl Write) -> io::Result<()> {
    let started = runs.iter().map(|(_, intervals)| intervals.started).min();
    let base = started.unwrap_or(SystemTime::UNIX_EPOCH);
    let header = Header {
        comment: "tipring-bench: calls from their scheduled INVITE to 200 (setup) and 180 (pdd), media packets from sending to arrival",
        started: base,
        base,
    };
    let mut log = LogWriter::begin(out, &header).map_err(io::Error::other)?;
    for (source, intervals) in runs {
        let offset = intervals.started.duration_since(base).unwrap_or_default();
        for (span, set) in &intervals.full {
            let start = span.start + offset;
            let span = Span { start, ..*span };
            log.write_set(source, span, set).map_err(io::Error::other)?;
        }
    }
    log.into_inner().flush()
}

/// The same to a file, its directory made first.
pub(crate) fn write_log_file(path: &Path, runs: &[(&str, &Intervals)]) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    write_log(runs, BufWriter::new(File::create(path)?))
}

/// What is measured about the calls of one run.
pub(crate) struct Latency {
    /// Scheduled time to the 200 of the INVITE.
    setup: Histogram<u64>,
    /// Scheduled time to the first 180 (post-dial delay).
    pdd: Histogram<u64>,
    intervals: Intervals,
    /// Calls scheduled earlier than this are not measured (warm-up).
    measured_from_ns: u64,
}

impl Latency {
    /// Nothing measured yet; times count from `started`, and calls scheduled before `measured_from_ns` will not be measured.
    pub(crate) fn new(started: SystemTime, measured_from_ns: u64) -> Latency {
        Latency {
            setup: histogram(),
            pdd: histogram(),
            intervals: Intervals::new(&LOGGED, started, measured_from_ns),
            measured_from_ns,
        }
    }

    /// The INVITE scheduled for `scheduled_ns` got its 200.
    pub(crate) fn answered(&mut self, scheduled_ns: u64, now_ns: u64) {
        if scheduled_ns < self.measured_from_ns {
            return;
        }
        let latency = now_ns.saturating_sub(scheduled_ns);
        self.setup.saturating_record(latency);
        self.intervals.record(0, latency, now_ns);
    }

    /// The same INVITE got its first 180.
    pub(crate) fn ringing(&mut self, scheduled_ns: u64, now_ns: u64) {
        if scheduled_ns >= self.measured_from_ns {
            let latency = now_ns.saturating_sub(scheduled_ns);
            self.pdd.saturating_record(latency);
            self.intervals.record(1, latency, now_ns);
        }
    }

    /// Percentiles of INVITE to 200.
    pub(crate) fn setup(&self) -> Percentiles {
        Percentiles::of(&self.setup)
    }

    /// Percentiles of INVITE to 180.
    pub(crate) fn pdd(&self) -> Percentiles {
        Percentiles::of(&self.pdd)
    }

    /// What goes into the interval log, ended at `now_ns`.
    pub(crate) fn into_intervals(mut self, now_ns: u64) -> Intervals {
        self.intervals.close(now_ns);
        self.intervals
    }
}

/// Percentiles of one latency, in microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize, PartialEq)]
pub(crate) struct Percentiles {
    pub(crate) count: u64,
    pub(crate) mean_us: f64,
    pub(crate) p50_us: f64,
    pub(crate) p90_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p99_9_us: f64,
    pub(crate) p99_99_us: f64,
    pub(crate) max_us: f64,
}

impl Percentiles {
    /// Of a histogram of nanoseconds.
    pub(crate) fn of(histogram: &Histogram<u64>) -> Percentiles {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Percentiles {
            count: histogram.len(),
            mean_us: histogram.mean() / 1e3,
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p99_9_us: at(0.999),
            p99_99_us: at(0.9999),
            max_us: histogram.max() as f64 / 1e3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Schedule;

    fn latency(measured_from_ns: u64) -> Latency {
        Latency::new(SystemTime::UNIX_EPOCH, measured_from_ns)
    }

    #[test]
    fn a_stall_is_seen_by_every_call_that_waited_through_it() {
        let mut latency = latency(0);
        let mut schedule = Schedule::new(0, 1_000.0, 1_000);
        // The server answers within 10 us, but everything stands still from 500 ms to 600 ms.
        let mut now = 0;
        while !schedule.is_over() {
            now = if (500_000_000..600_000_000).contains(&now) {
                600_000_000
            } else {
                now
            };
            while let Some(scheduled) = schedule.due(now) {
                latency.answered(scheduled, now + 10_000);
            }
            now += 1_000_000;
        }
        let setup = latency.setup();
        assert_eq!(setup.count, 1_000);
        assert!(setup.p50_us < 11.0, "{setup:?}");
        // A tenth of the calls were due in the stall; measured from their sending they would all show 10 us.
        assert!(
            (45_000.0..56_000.0).contains(&(setup_at(&latency, 0.95))),
            "{setup:?}"
        );
        assert!(setup.max_us > 99_000.0, "{setup:?}");
    }

    fn setup_at(latency: &Latency, quantile: f64) -> f64 {
        latency.setup.value_at_quantile(quantile) as f64 / 1e3
    }

    #[test]
    fn warm_up_calls_are_not_measured() {
        let mut latency = latency(1_000);
        latency.answered(999, 50_000);
        latency.ringing(999, 50_000);
        assert_eq!((latency.setup().count, latency.pdd().count), (0, 0));
        latency.answered(1_000, 51_000);
        assert_eq!(latency.setup().count, 1);
    }

    fn calls(started: SystemTime, seconds: u64) -> Intervals {
        let mut latency = Latency::new(started, 0);
        for second in 0..seconds {
            for call in 0..10 {
                let at = second * INTERVAL_NS + call * 1_000_000;
                latency.answered(at, at + 2_000_000);
            }
        }
        latency.into_intervals(seconds * INTERVAL_NS)
    }

    #[test]
    fn the_interval_log_reads_back() {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let later = start + Duration::from_secs(100);
        let (first, second) = (calls(start, 3), calls(later, 1));
        let mut bytes = Vec::new();
        write_log(&[("floor", &first), ("tipring", &second)], &mut bytes).unwrap();
        let log = latency::Log::read(&bytes).unwrap();
        let seen: Vec<_> = log
            .intervals
            .iter()
            .map(|i| (&i.source[..], &i.metric[..], i.start.as_secs()))
            .collect();
        let begun = 1_700_000_000;
        assert_eq!(
            seen,
            [
                ("floor", "setup", begun),
                ("floor", "setup", begun + 1),
                ("floor", "setup", begun + 2),
                ("tipring", "setup", begun + 100)
            ]
        );
        let max = log.intervals[0].histogram.max();
        assert!((2_000_000..2_010_000).contains(&max), "{max}");
    }
}
