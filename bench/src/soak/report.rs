//! What a soak found.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use crate::report::{Drops, mebibytes};
use crate::tally::Tally;

/// One good call of so many may be refused: a machine that takes its CPU away for a moment overloads the router.
const CALLS_PER_FAILURE: u64 = 100_000;
/// Growth below this is the allocator's, in bytes.
const GROWTH_MIN: u64 = 256 << 10;

/// The memory at one moment.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Sample {
    pub(crate) at_s: f64,
    pub(crate) what: &'static str,
    pub(crate) resident: u64,
}

/// One run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SoakReport {
    pub(crate) minutes: f64,
    pub(crate) rate: f64,
    /// Noise by kind.
    pub(crate) noise: BTreeMap<&'static str, u64>,
    /// Resident bytes after the warm-up and its silence, and after the soak and its.
    pub(crate) resident_begin: u64,
    pub(crate) resident_end: u64,
    /// Share of `resident_begin`.
    pub(crate) growth_allowed: f64,
    /// What the tables still hold at the end.
    pub(crate) tables_end: BTreeMap<String, f64>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) interrupted: bool,
    pub(crate) tally: Tally,
    pub(crate) drops: Drops,
    /// CPU seconds per second over the whole run, silences included.
    pub(crate) cpu_share: Option<f64>,
}

impl SoakReport {
    fn growth(&self) -> u64 {
        self.resident_end.saturating_sub(self.resident_begin)
    }

    /// Whether nothing was lost on the way and nothing stayed behind.
    pub(crate) fn passed(&self) -> bool {
        let allowed = (self.resident_begin as f64 * self.growth_allowed) as u64;
        let empty =
            !self.tables_end.is_empty() && self.tables_end.values().all(|&left| left == 0.0);
        let carried = self.tally.failed <= self.tally.attempts / CALLS_PER_FAILURE;
        !self.interrupted && carried && empty && self.growth() <= allowed.max(GROWTH_MIN)
    }

    /// Prints the report for people.
    pub(crate) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let (tally, drops) = (&self.tally, &self.drops);
        for sample in &self.samples {
            let resident = mebibytes(sample.resident);
            writeln!(
                out,
                "{:7.0} s  {:<8} {resident:9.2} MiB",
                sample.at_s, sample.what
            )?;
        }
        writeln!(
            out,
            "calls      {} attempts, {} completed, {} failed, {} retransmissions",
            tally.attempts,
            tally.completed,
            tally.failed,
            tally.retransmissions.total()
        )?;
        for (cause, calls) in &tally.failures {
            writeln!(out, "           {calls} x {cause}")?;
        }
        let noise: Vec<String> = self
            .noise
            .iter()
            .map(|(kind, sent)| format!("{sent} x {kind}"))
            .collect();
        writeln!(out, "noise      {}", noise.join(", "))?;
        writeln!(
            out,
            "drops      caller {}, callee {}, server {}; RcvbufErrors {}",
            drops.caller, drops.callee, drops.server, drops.receive_buffer_errors
        )?;
        for (table, left) in &self.tables_end {
            writeln!(out, "left       {left} in {table}")?;
        }
        writeln!(
            out,
            "RSS        {:.2} MiB after the warm-up, {:.2} MiB after {} minutes at {:.0}/s: {}",
            mebibytes(self.resident_begin),
            mebibytes(self.resident_end),
            self.minutes,
            self.rate,
            if self.passed() { "passed" } else { "FAILED" }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(begin: u64, end: u64, left: f64, failed: u64) -> SoakReport {
        SoakReport {
            minutes: 1.0,
            rate: 1.0,
            noise: BTreeMap::new(),
            resident_begin: begin,
            resident_end: end,
            growth_allowed: 0.01,
            tables_end: BTreeMap::from([("tipring_calls".to_owned(), left)]),
            samples: Vec::new(),
            interrupted: false,
            tally: Tally {
                failed,
                ..Tally::default()
            },
            drops: Drops::default(),
            cpu_share: None,
        }
    }

    #[test]
    fn a_leak_a_leftover_or_a_failed_call_fails_the_soak() {
        let mib = 1 << 20;
        assert!(report(100 * mib, 101 * mib, 0.0, 0).passed());
        assert!(report(100 * mib, 90 * mib, 0.0, 0).passed());
        assert!(!report(100 * mib, 102 * mib, 0.0, 0).passed());
        assert!(!report(100 * mib, 100 * mib, 1.0, 0).passed());
        assert!(!report(100 * mib, 100 * mib, 0.0, 1).passed());
        let unread = SoakReport {
            tables_end: BTreeMap::new(),
            ..report(mib, mib, 0.0, 0)
        };
        assert!(!unread.passed(), "tables nobody read are not empty");
    }
}
