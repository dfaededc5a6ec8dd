//! The journal as Prometheus sees it.

use metrics::{Counter, Gauge, Unit};

use crate::housekeeping::journal::{Figures, Numbers};

type Count = (&'static str, Unit, &'static str, fn(&Numbers) -> u64);
type Level = (&'static str, Unit, &'static str, fn(&Numbers) -> f64);

const COUNTS: [Count; 9] = [
    (
        "tipring_journal_records_total",
        Unit::Count,
        "Changes of bindings and of the directory that are on the disk.",
        |n| n.records,
    ),
    (
        "tipring_journal_bytes_total",
        Unit::Bytes,
        "Bytes written to the journal, snapshots included.",
        |n| n.bytes,
    ),
    (
        "tipring_journal_commits_total",
        Unit::Count,
        "Groups of changes made durable with one fdatasync.",
        |n| n.commits,
    ),
    (
        "tipring_journal_failures_total",
        Unit::Count,
        "Tries to write the journal that failed. Should stay 0.",
        |n| n.failures,
    ),
    (
        "tipring_journal_snapshots_total",
        Unit::Count,
        "Snapshots that took the place of logs.",
        |n| n.snapshots,
    ),
    (
        "tipring_journal_snapshot_failures_total",
        Unit::Count,
        "Snapshots that could not be written; the logs grow until one can. Should stay 0.",
        |n| n.snapshot_failures,
    ),
    (
        "tipring_journal_too_long_total",
        Unit::Count,
        "Bindings too long for a record. Should stay 0.",
        |n| n.too_long,
    ),
    (
        "tipring_journal_restored_expired_total",
        Unit::Count,
        "Bindings that had run out while the router was down.",
        |n| n.expired,
    ),
    (
        "tipring_journal_damaged_bytes_total",
        Unit::Bytes,
        "Bytes of the journal that could not be read at the start: a write cut short, or a damaged disk.",
        |n| n.damaged_bytes,
    ),
];

const LEVELS: [Level; 5] = [
    (
        "tipring_journal_failing",
        Unit::Count,
        "1 while the journal cannot be written: what changes now would be lost with the process.",
        |n| f64::from(u8::from(n.failing)),
    ),
    (
        "tipring_journal_waiting",
        Unit::Count,
        "Changes that are not on the disk yet.",
        |n| n.waiting as f64,
    ),
    (
        "tipring_journal_behind_seconds",
        Unit::Seconds,
        "How long the oldest of them has waited.",
        |n| n.behind_s,
    ),
    (
        "tipring_journal_log_bytes",
        Unit::Bytes,
        "Logs since the last snapshot, which a start must read.",
        |n| n.log_bytes as f64,
    ),
    (
        "tipring_journal_restored_bindings",
        Unit::Count,
        "Bindings that were there after the start.",
        |n| n.restored as f64,
    ),
];

/// Handles for each number, and where they come from.
pub(crate) struct JournalGauges {
    counters: Vec<Counter>,
    gauges: Vec<Gauge>,
    figures: Figures,
}

impl JournalGauges {
    /// Registers and describes everything with the recorder that is installed.
    pub(crate) fn register(figures: Figures) -> JournalGauges {
        let counters = COUNTS.iter().map(|(name, unit, help, _)| {
            metrics::describe_counter!(*name, *unit, *help);
            metrics::counter!(*name)
        });
        let gauges = LEVELS.iter().map(|(name, unit, help, _)| {
            metrics::describe_gauge!(*name, *unit, *help);
            metrics::gauge!(*name)
        });
        JournalGauges {
            counters: counters.collect(),
            gauges: gauges.collect(),
            figures,
        }
    }

    /// Copies the latest numbers.
    pub(crate) fn copy(&self) {
        let numbers = self.figures.read();
        for (counter, (.., of)) in self.counters.iter().zip(&COUNTS) {
            counter.absolute(of(&numbers));
        }
        for (gauge, (.., of)) in self.gauges.iter().zip(&LEVELS) {
            gauge.set(of(&numbers));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics_exporter_prometheus::PrometheusBuilder;

    #[test]
    fn every_number_is_exposed_with_its_help() {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            JournalGauges::register(Figures::default()).copy();
        });
        let text = recorder.handle().render();
        let names = COUNTS
            .iter()
            .map(|row| row.0)
            .chain(LEVELS.iter().map(|row| row.0));
        for name in names {
            assert!(text.contains(&format!("\n{name} 0\n")), "{name}: {text}");
            assert!(text.contains(&format!("# HELP {name} ")), "{name}");
        }
    }
}
