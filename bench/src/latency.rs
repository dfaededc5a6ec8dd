//! Latency of calls as HDR histograms: one over the run, one for each second (the .hlog interval log). Every value counts from
//! the scheduled time of its call, which is the correction for coordinated omission: a generator or server that falls behind
//! makes the waiting visible instead of asking less often.

use std::io::Write;
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use serde::Serialize;

/// Shortest and longest latency told apart, in nanoseconds; longer ones count as the longest.
const RANGE_NS: (u64, u64) = (1_000, 100_000_000_000);
const INTERVAL_NS: u64 = 1_000_000_000;

/// A histogram for one of `RANGE_NS`, to three digits.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(RANGE_NS.0, RANGE_NS.1, 3).expect("the bounds are sound")
}

/// What is measured about the calls of one run.
pub(crate) struct Latency {
    /// Scheduled time to the 200 of the INVITE.
    setup: Histogram<u64>,
    /// Scheduled time to the first 180 (post-dial delay).
    pdd: Histogram<u64>,
    interval: Histogram<u64>,
    interval_start_ns: u64,
    intervals: Vec<(u64, u64, Histogram<u64>)>,
    started: SystemTime,
    /// Calls scheduled earlier than this are not measured (warm-up).
    measured_from_ns: u64,
}

impl Latency {
    /// Nothing measured yet; times count from `started`, and calls scheduled before `measured_from_ns` will not be measured.
    pub(crate) fn new(started: SystemTime, measured_from_ns: u64) -> Latency {
        Latency {
            setup: histogram(),
            pdd: histogram(),
            interval: histogram(),
            interval_start_ns: measured_from_ns,
            intervals: Vec::new(),
            started,
            measured_from_ns,
        }
    }

    /// The INVITE scheduled for `scheduled_ns` got its 200.
    pub(crate) fn answered(&mut self, scheduled_ns: u64, now_ns: u64) {
        if scheduled_ns < self.measured_from_ns {
            return;
        }
        if now_ns >= self.interval_start_ns + INTERVAL_NS {
            self.close_interval(now_ns);
        }
        let latency = now_ns.saturating_sub(scheduled_ns);
        self.setup.saturating_record(latency);
        self.interval.saturating_record(latency);
    }

    /// The same INVITE got its first 180.
    pub(crate) fn ringing(&mut self, scheduled_ns: u64, now_ns: u64) {
        if scheduled_ns >= self.measured_from_ns {
            self.pdd
                .saturating_record(now_ns.saturating_sub(scheduled_ns));
        }
    }

    fn close_interval(&mut self, now_ns: u64) {
        if !self.interval.is_empty() {
            let full = std::mem::replace(&mut self.interval, histogram());
            self.intervals.push((self.interval_start_ns, now_ns, full));
        }
        self.interval_start_ns = now_ns;
    }

    /// Percentiles of INVITE to 200.
    pub(crate) fn setup(&self) -> Percentiles {
        Percentiles::of(&self.setup)
    }

    /// Percentiles of INVITE to 180.
    pub(crate) fn pdd(&self) -> Percentiles {
        Percentiles::of(&self.pdd)
    }

    /// Writes the interval log (HdrHistogram's V2 format, values in nanoseconds, maxima in milliseconds).
    pub(crate) fn write_log(&mut self, now_ns: u64, out: &mut impl Write) -> std::io::Result<()> {
        self.close_interval(now_ns);
        let mut serializer = V2DeflateSerializer::new();
        let mut log = IntervalLogWriterBuilder::new()
            .add_comment("setup latency, INVITE scheduled to 200 received, in nanoseconds")
            .with_start_time(self.started)
            .with_base_time(self.started)
            .with_max_value_divisor(1e6)
            .begin_log_with(out, &mut serializer)?;
        for (start_ns, end_ns, histogram) in &self.intervals {
            let start = Duration::from_nanos(*start_ns);
            let length = Duration::from_nanos(end_ns - start_ns);
            log.write_histogram(histogram, start, length, Tag::new("setup"))
                .map_err(|e| std::io::Error::other(format!("{e:?}")))?;
        }
        Ok(())
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
    fn of(histogram: &Histogram<u64>) -> Percentiles {
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
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

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

    #[test]
    fn the_interval_log_reads_back() {
        let mut latency = latency(0);
        for second in 0..3u64 {
            for call in 0..10 {
                let at = second * INTERVAL_NS + call * 1_000_000;
                latency.answered(at, at + 2_000_000);
            }
        }
        let mut bytes = Vec::new();
        latency.write_log(3 * INTERVAL_NS, &mut bytes).unwrap();
        let intervals: Vec<_> = IntervalLogIterator::new(&bytes)
            .filter_map(|entry| match entry.unwrap() {
                LogEntry::Interval(interval) => {
                    Some((interval.tag().unwrap().as_str(), interval.max()))
                }
                _ => None,
            })
            .collect();
        assert_eq!(intervals.len(), 3);
        assert!(
            intervals
                .iter()
                .all(|&(tag, max)| tag == "setup" && (2.0..2.01).contains(&max))
        );
    }
}
