//! Histograms as Prometheus reads them, printed here: the facade knows none whose buckets are counted elsewhere.

use std::fmt::Write as _;

use latency::Metric;
use shard::Durations;

use crate::board::Snapshot;
use crate::housekeeping::Spread;

/// A family: its name and what it says.
struct Family {
    /// Its name, to which `_bucket`, `_sum` and `_count` are added.
    name: &'static str,
    /// What it says.
    help: &'static str,
}

const RINGING: Family = Family {
    name: "tipring_post_dial_delay_seconds",
    help: "From an INVITE to the first ringing its caller heard of. Calls are timed with http.address or cdr.directory.",
};
const SETUP: Family = Family {
    name: "tipring_call_setup_seconds",
    help: "From an INVITE to its 2xx, the ringing included. Calls are timed with http.address or cdr.directory.",
};
const LATENCY: Family = Family {
    name: "tipring_latency_histogram_seconds",
    help: "Latencies inside the router since its start, by metric: tipring_latency_seconds is of the last interval.",
};

/// The text of all histograms; `spreads` by shard, when latencies are measured.
pub(crate) fn render(shards: &[Snapshot], spreads: &[[Spread; 7]]) -> String {
    let mut text = String::new();
    let durations = |pick: fn(&Snapshot) -> &Durations| shards.iter().map(pick).enumerate();
    print_durations(&mut text, &RINGING, durations(|s| &s.shard.rang_after));
    print_durations(&mut text, &SETUP, durations(|s| &s.shard.answered_after));
    if !spreads.is_empty() {
        head(&mut text, &LATENCY);
    }
    for (shard, spreads) in spreads.iter().enumerate() {
        for (metric, spread) in Metric::ALL.into_iter().zip(spreads) {
            let labels = format!("shard=\"{shard}\",metric=\"{}\"", metric.name());
            let bounds = Spread::BOUNDS_NS.map(|ns| ns as f64 / 1e9);
            print(
                &mut text,
                LATENCY.name,
                &labels,
                &bounds,
                &spread.counts,
                spread.sum_s,
            );
        }
    }
    text
}

fn head(text: &mut String, family: &Family) {
    let (name, help) = (family.name, family.help);
    // Printing into a string cannot fail, here and below.
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} histogram\n");
}

fn print_durations<'a>(
    text: &mut String,
    family: &Family,
    shards: impl Iterator<Item = (usize, &'a Durations)>,
) {
    head(text, family);
    let bounds = Durations::BOUNDS_MS.map(|ms| ms as f64 / 1e3);
    for (shard, durations) in shards {
        let labels = format!("shard=\"{shard}\"");
        let sum_s = durations.sum_ms as f64 / 1e3;
        print(
            text,
            family.name,
            &labels,
            &bounds,
            &durations.counts,
            sum_s,
        );
    }
}

/// One histogram. Buckets are told cumulated; the last count is of what passed every bound.
fn print(text: &mut String, name: &str, labels: &str, bounds: &[f64], counts: &[u64], sum_s: f64) {
    let mut so_far = 0;
    let bounds = bounds.iter().map(f64::to_string);
    for (bound, count) in bounds.chain(["+Inf".to_owned()]).zip(counts) {
        so_far += count;
        let _ = writeln!(text, "{name}_bucket{{{labels},le=\"{bound}\"}} {so_far}");
    }
    let _ = writeln!(text, "{name}_sum{{{labels}}} {sum_s}");
    let _ = writeln!(text, "{name}_count{{{labels}}} {so_far}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulated_and_end_with_all() {
        let mut snapshot = Snapshot::default();
        snapshot.shard.answered_after.counts[1] = 3;
        snapshot.shard.answered_after.counts[14] = 2;
        snapshot.shard.answered_after.sum_ms = 130_021;
        let mut spreads = [Spread::default(); 7];
        spreads[Metric::Turn.index()].counts[0] = 7;
        spreads[Metric::Turn.index()].sum_s = 0.000_002;
        let text = render(&[Snapshot::default(), snapshot], &[spreads]);
        for line in [
            "# TYPE tipring_call_setup_seconds histogram",
            "tipring_call_setup_seconds_bucket{shard=\"1\",le=\"0.005\"} 0",
            "tipring_call_setup_seconds_bucket{shard=\"1\",le=\"0.01\"} 3",
            "tipring_call_setup_seconds_bucket{shard=\"1\",le=\"60\"} 3",
            "tipring_call_setup_seconds_bucket{shard=\"1\",le=\"+Inf\"} 5",
            "tipring_call_setup_seconds_sum{shard=\"1\"} 130.021",
            "tipring_call_setup_seconds_count{shard=\"1\"} 5",
            "tipring_post_dial_delay_seconds_count{shard=\"0\"} 0",
            "tipring_latency_histogram_seconds_bucket{shard=\"0\",metric=\"turn\",le=\"0.000001\"} 7",
            "tipring_latency_histogram_seconds_sum{shard=\"0\",metric=\"turn\"} 0.000002",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!render(&[], &[]).contains("tipring_latency"));
    }
}
