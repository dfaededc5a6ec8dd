//! The last minutes of the router's numbers, one sample a second, so that who begins to look sees how it got here.
//! A ring of fixed length; older samples are Prometheus' business.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use utoipa::ToSchema;

use crate::engine::{Latency, ShardStats};

/// Five minutes.
const SAMPLES: usize = 300;
/// What the router adds to the set-up of a call.
const SET_UP: &str = "invite_in_to_out";

/// The numbers at one time.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Sample {
    /// When, in milliseconds of Unix time.
    pub(crate) at_unix_ms: u64,
    /// Calls started a second.
    pub(crate) calls_per_s: f64,
    /// Calls in progress.
    pub(crate) calls: u64,
    /// 99 of 100 INVITEs left within so many microseconds, on the slowest shard; null: there were none.
    pub(crate) set_up_p99_us: Option<f64>,
    /// Users that are registered.
    pub(crate) registered_users: usize,
}

impl Sample {
    pub(crate) fn of(
        at_unix_ms: u64,
        shards: &[ShardStats],
        latencies: &[Latency],
        registered_users: usize,
    ) -> Sample {
        let set_up = latencies.iter().filter(|latency| latency.metric == SET_UP);
        Sample {
            at_unix_ms,
            calls_per_s: shards.iter().map(|shard| shard.calls_per_s).sum(),
            calls: shards.iter().map(|shard| shard.calls).sum(),
            set_up_p99_us: set_up.map(|latency| latency.p99_us).reduce(f64::max),
            registered_users,
        }
    }
}

/// The ring.
#[derive(Debug, Default)]
pub(crate) struct History(Mutex<VecDeque<Sample>>);

impl History {
    /// Notes a sample; the oldest one goes when there are too many.
    pub(crate) fn note(&self, sample: Sample) {
        self.with(|samples| {
            samples.push_back(sample);
            if samples.len() > SAMPLES {
                samples.pop_front();
            }
        });
    }

    /// All of them, oldest first.
    pub(crate) fn samples(&self) -> Vec<Sample> {
        self.with(|samples| samples.iter().cloned().collect())
    }

    fn with<T>(&self, act: impl FnOnce(&mut VecDeque<Sample>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(shard: u8, metric: &'static str, p99_us: f64) -> Latency {
        Latency {
            shard,
            metric,
            p50_us: 1.0,
            p99_us,
            p999_us: 1_000.0,
            max_us: 1_000.0,
        }
    }

    #[test]
    fn a_sample_is_of_all_shards() {
        let shard = ShardStats {
            calls: 3,
            calls_per_s: 2.5,
            ..ShardStats::default()
        };
        let latencies = [
            latency(0, SET_UP, 20.0),
            latency(1, SET_UP, 30.0),
            latency(1, "turn", 90.0),
        ];
        let sample = Sample::of(7, &[shard, shard], &latencies, 4);
        assert_eq!((sample.calls, sample.calls_per_s), (6, 5.0));
        assert_eq!(sample.set_up_p99_us, Some(30.0));
        let idle = Sample::of(7, &[shard], &latencies[2..], 4);
        assert_eq!(idle.set_up_p99_us, None);
    }

    #[test]
    fn the_last_minutes_are_kept() {
        let history = History::default();
        (0..1_000).for_each(|at| history.note(Sample::of(at, &[], &[], 0)));
        let samples = history.samples();
        assert_eq!((samples.len(), samples[0].at_unix_ms), (SAMPLES, 700));
        assert_eq!(samples[SAMPLES - 1].at_unix_ms, 999);
    }
}
