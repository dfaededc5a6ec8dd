//! The names, units and explanations of what Prometheus sees, as one table, and the copy from the
//! shards' boards to the metrics facade. The hot path knows none of this: it counts in plain cells.

mod auth;
mod counters;
pub(crate) mod histograms;
mod levels;
#[cfg(test)]
mod page;
mod traffic;

use metrics::{Counter, Gauge, Label, Unit};

use crate::board::Snapshot;
use crate::config::Limits;
use levels::LEVELS;

/// What only grows.
fn counters() -> impl Iterator<Item = &'static Metric> + Clone {
    let traffic = traffic::COUNTERS.into_iter().flatten();
    counters::COUNTERS
        .iter()
        .chain(auth::COUNTERS)
        .chain(traffic)
}

/// One line of the exposition, for each shard.
struct Metric {
    name: &'static str,
    /// A label beside `shard`, for metrics that come in several kinds.
    label: Option<(&'static str, &'static str)>,
    unit: Unit,
    help: &'static str,
    read: fn(&Snapshot) -> u64,
}

const fn count(name: &'static str, help: &'static str, read: fn(&Snapshot) -> u64) -> Metric {
    Metric {
        name,
        label: None,
        unit: Unit::Count,
        help,
        read,
    }
}

const fn bytes(name: &'static str, help: &'static str, read: fn(&Snapshot) -> u64) -> Metric {
    Metric {
        name,
        label: None,
        unit: Unit::Bytes,
        help,
        read,
    }
}

const fn kind(
    name: &'static str,
    label: (&'static str, &'static str),
    help: &'static str,
    read: fn(&Snapshot) -> u64,
) -> Metric {
    Metric {
        name,
        label: Some(label),
        unit: Unit::Count,
        help,
        read,
    }
}

/// A configured bound, for the whole engine: its name, what it says, its value.
type Bound = (&'static str, &'static str, usize);

/// The configured bounds of the above.
fn bounds(limits: &Limits) -> [Bound; 5] {
    let calls = (
        "tipring_calls_limit",
        "limits.calls, of all shards together.",
        limits.calls,
    );
    let help = "limits.transactions, of all shards together, for server and for client ones.";
    let transactions = ("tipring_transactions_limit", help, limits.transactions);
    let help = "limits.subscriptions, of all shards together.";
    let subscriptions = ("tipring_subscriptions_limit", help, limits.subscriptions);
    let help = "limits.registrations, the same for every shard.";
    let registrations = ("tipring_registrations_limit", help, limits.registrations);
    let help = "limits.bindings, the same for every shard.";
    let bindings = ("tipring_bindings_limit", help, limits.bindings);
    [calls, transactions, subscriptions, registrations, bindings]
}

/// Numbers of the process: name, what it says.
const INFO: (&str, &str) = ("tipring_info", "Always 1; the version is a label.");
const BUILD: (&str, &str) = (
    "tipring_build_info",
    "Always 1; labels say what runs: version, architecture, and whether with the checks of a test build.",
);
const RESIDENT: (&str, &str) = (
    "tipring_resident_memory_bytes",
    "Memory of the process that is in RAM.",
);

fn register_process() {
    let version = env!("CARGO_PKG_VERSION");
    metrics::gauge!(INFO.0, "version" => version).set(1.0);
    metrics::describe_gauge!(INFO.0, Unit::Count, INFO.1);
    let checks = if cfg!(debug_assertions) { "on" } else { "off" };
    metrics::gauge!(BUILD.0, "version" => version, "arch" => std::env::consts::ARCH, "checks" => checks)
        .set(1.0);
    metrics::describe_gauge!(BUILD.0, Unit::Count, BUILD.1);
    metrics::describe_gauge!(RESIDENT.0, Unit::Bytes, RESIDENT.1);
}

/// Tells how much memory the process has. proc_pid_status(5): VmRSS is in KiB.
pub(crate) fn copy_memory() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<f64>().ok());
    if let Some(kib) = kib {
        metrics::gauge!(RESIDENT.0).set(kib * 1_024.0);
    }
}

fn register_bounds(limits: &Limits) {
    for (name, help, bound) in bounds(limits) {
        metrics::describe_gauge!(name, Unit::Count, help);
        metrics::gauge!(name).set(bound as f64);
    }
}

/// Handles for every metric of every shard, registered once.
pub(crate) struct Gauges {
    counters: Vec<Vec<Counter>>,
    levels: Vec<Vec<Gauge>>,
}

impl Gauges {
    /// Registers and describes everything with the recorder that is installed.
    pub(crate) fn register(shards: usize, limits: &Limits) -> Gauges {
        for metric in counters() {
            metrics::describe_counter!(metric.name, metric.unit, metric.help);
        }
        for metric in LEVELS {
            metrics::describe_gauge!(metric.name, metric.unit, metric.help);
        }
        register_bounds(limits);
        register_process();
        let counter =
            |shard, metric: &Metric| metrics::counter!(metric.name, labels(shard, metric));
        let level = |shard, metric: &Metric| metrics::gauge!(metric.name, labels(shard, metric));
        Gauges {
            counters: per_shard(shards, counters(), counter),
            levels: per_shard(shards, LEVELS.iter(), level),
        }
    }

    /// Copies one shard's numbers.
    pub(crate) fn copy(&self, shard: usize, snapshot: &Snapshot) {
        let (Some(counters), Some(levels)) = (self.counters.get(shard), self.levels.get(shard))
        else {
            return;
        };
        for (metric, handle) in self::counters().zip(counters) {
            handle.absolute((metric.read)(snapshot));
        }
        for (metric, handle) in LEVELS.iter().zip(levels) {
            handle.set((metric.read)(snapshot) as f64);
        }
    }
}

fn per_shard<H>(
    shards: usize,
    table: impl Iterator<Item = &'static Metric> + Clone,
    make: impl Fn(usize, &Metric) -> H,
) -> Vec<Vec<H>> {
    (0..shards)
        .map(|shard| table.clone().map(|metric| make(shard, metric)).collect())
        .collect()
}

fn labels(shard: usize, metric: &Metric) -> Vec<Label> {
    let kind = metric
        .label
        .map(|(key, value)| Label::from_static_parts(key, value));
    std::iter::once(Label::new("shard", shard.to_string()))
        .chain(kind)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics_exporter_prometheus::PrometheusBuilder;
    use std::collections::BTreeMap;

    fn exposition(snapshot: &Snapshot) -> String {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            let gauges = Gauges::register(2, &Limits::default());
            gauges.copy(1, snapshot);
        });
        recorder.handle().render()
    }

    #[test]
    fn a_snapshot_is_exposed_with_help_and_labels() {
        let mut snapshot = Snapshot {
            kernel_drops: 3,
            ..Snapshot::default()
        };
        snapshot.shard.media.dropped_stranger = 4;
        snapshot.shard.media.pairs = 9;
        snapshot.shard.calls = 7;
        snapshot.shard.transactions.strays.other_shard = 5;
        let text = exposition(&snapshot);
        for line in [
            "# TYPE tipring_kernel_drops_total counter",
            "tipring_kernel_drops_total{shard=\"1\"} 3",
            "tipring_kernel_drops_total{shard=\"0\"} 0",
            "tipring_strays_total{shard=\"1\",reason=\"other_shard\"} 5",
            "tipring_media_dropped_total{shard=\"1\",reason=\"stranger\"} 4",
            "tipring_media_port_pairs{shard=\"1\"} 9",
            "tipring_calls{shard=\"1\"} 7",
            "tipring_calls_limit 250000",
            "# HELP tipring_calls Calls in progress.",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line}\nnot in\n{text}"
            );
        }
    }

    #[test]
    fn names_follow_the_rules_and_say_one_thing() {
        let mut seen = BTreeMap::new();
        for metric in counters().chain(LEVELS) {
            assert!(metric.name.starts_with("tipring_"), "{}", metric.name);
            let is_counter = counters().any(|counter| counter.name == metric.name);
            assert_eq!(
                is_counter,
                metric.name.ends_with("_total"),
                "{}",
                metric.name
            );
            let help = seen
                .entry((metric.name, metric.label))
                .or_insert(metric.help);
            assert!(
                std::ptr::eq(*help, metric.help) && help.ends_with('.'),
                "{}",
                metric.name
            );
        }
        assert_eq!(
            seen.len(),
            counters().count() + LEVELS.len(),
            "a name and label appear twice"
        );
    }
}
