//! What became of a stretch of registrations: counts, causes of failure, and the times to the answer.

use std::borrow::Cow;
use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::latency::{Percentiles, histogram};

/// Counts of one stretch.
pub(crate) struct Tally {
    /// Registrations begun.
    pub(crate) attempts: u64,
    /// Those that came to no good end, and why.
    pub(crate) failed: u64,
    pub(crate) failures: BTreeMap<Cow<'static, str>, u64>,
    /// Challenges that were answered with a proof.
    pub(crate) challenges: u64,
    pub(crate) retransmissions: u64,
    /// Answers to what was answered already.
    pub(crate) late: u64,
    /// Messages that answer nothing of this run, and datagrams that are none.
    pub(crate) unexpected: u64,
    times: Histogram<u64>,
}

impl Tally {
    /// Nothing happened yet.
    pub(crate) fn new() -> Tally {
        Tally {
            attempts: 0,
            failed: 0,
            failures: BTreeMap::new(),
            challenges: 0,
            retransmissions: 0,
            late: 0,
            unexpected: 0,
            times: histogram(),
        }
    }

    /// Registrations answered as they should.
    pub(crate) fn answered(&self) -> u64 {
        self.times.len()
    }

    /// The registration that should have begun at `begun_ns` has its 200.
    pub(crate) fn answer(&mut self, begun_ns: u64, now_ns: u64) {
        self.times
            .saturating_record(now_ns.saturating_sub(begun_ns));
    }

    /// So many have failed.
    pub(crate) fn fail(&mut self, cause: impl Into<Cow<'static, str>>, count: u64) {
        if count > 0 {
            self.failed += count;
            *self.failures.entry(cause.into()).or_default() += count;
        }
    }

    /// From the scheduled REGISTER to the 200, challenges included.
    pub(crate) fn times(&self) -> Percentiles {
        Percentiles::of(&self.times)
    }
}
