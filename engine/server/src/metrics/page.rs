//! What is written about metrics, held against the code: docs/METRICS.md and the dashboard for Grafana.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::Value;

use super::{Gauges, copy_memory, histograms};
use crate::board::Snapshot;
use crate::config::Limits;
use crate::housekeeping::Summaries;
use crate::journal_metrics::JournalGauges;
use crate::latency_metrics::LatencyGauges;

const PAGE: &str = "../../docs/METRICS.md";
const DASHBOARD: &str = "../../tuning/grafana/tipring.json";
const BEGIN: &str = "<!-- The table is written by the test metrics::page; see above. -->\n";

/// What is told of metrics with one name.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    help: String,
    labels: BTreeMap<String, BTreeSet<String>>,
}

/// Everything that can be scraped, from a scrape.
fn catalogue() -> BTreeMap<String, Family> {
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || {
        Gauges::register(1, &Limits::default()).copy(0, &Snapshot::default());
        LatencyGauges::register(1, Summaries::new(1)).copy();
        JournalGauges::register(Default::default()).copy();
        copy_memory();
        for (name, label, help) in control::METRICS {
            metrics::describe_counter!(name, help);
            match label {
                "" => metrics::counter!(name),
                label => metrics::counter!(name, label => ""),
            }
            .absolute(0);
        }
    });
    let spreads = Summaries::new(1).spreads();
    let text = recorder.handle().render() + &histograms::render(&[Snapshot::default()], &spreads);
    let mut families = BTreeMap::<String, Family>::new();
    for line in text.lines() {
        let (what, rest) = match line.strip_prefix("# ") {
            Some(comment) => comment.split_once(' ').expect(line),
            None => ("", line),
        };
        let end = rest.find([' ', '{']).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        match what {
            "HELP" => families.entry(name.into()).or_default().help = rest[1..].into(),
            "TYPE" => families.entry(name.into()).or_default().kind = rest[1..].into(),
            _ if name.is_empty() => {}
            _ => note_labels(&mut families, name, rest),
        }
    }
    families
}

fn note_labels(families: &mut BTreeMap<String, Family>, name: &str, rest: &str) {
    let name = match families.contains_key(name) {
        true => name,
        false => part_of(name),
    };
    let family = families.get_mut(name).expect(name);
    let labels = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
    for label in labels.into_iter().flat_map(|(labels, _)| labels.split(',')) {
        let (key, value) = label.split_once('=').expect(label);
        let values = family.labels.entry(key.into()).or_default();
        values.insert(value.trim_matches('"').into());
    }
}

/// The histogram that this series is of.
fn part_of(name: &str) -> &str {
    let suffixes = ["_bucket", "_sum", "_count"];
    let stripped = suffixes.iter().find_map(|end| name.strip_suffix(end));
    stripped.unwrap_or(name)
}

fn table() -> String {
    let mut table = "\n| Name | Kind | Labels | What it says |\n|---|---|---|---|\n".to_owned();
    for (name, family) in catalogue() {
        let labels: Vec<String> = family.labels.iter().map(show).collect();
        let (kind, help) = (family.kind, family.help.replace('|', "\\|"));
        let labels = labels.join("; ");
        writeln!(table, "| `{name}` | {kind} | {labels} | {help} |").expect("a string");
    }
    table
}

fn show((key, values): (&String, &BTreeSet<String>)) -> String {
    let obvious = ["shard", "le", "version", "arch", "checks"].contains(&key.as_str());
    let listed: Vec<&str> = values.iter().map(String::as_str).collect();
    match listed.join(", ") {
        listed if !obvious && !listed.is_empty() => format!("{key}: {listed}"),
        _ => key.clone(),
    }
}

#[test]
fn the_page_has_every_metric() {
    let page = std::fs::read_to_string(PAGE).expect(PAGE);
    let (head, found) = page.split_once(BEGIN).expect("the line before the table");
    if std::env::var_os("WRITE_METRICS").is_some() {
        std::fs::write(PAGE, format!("{head}{BEGIN}{}", table())).expect(PAGE);
        return;
    }
    let (wanted, found): (BTreeSet<_>, BTreeSet<_>) = (
        table().lines().map(String::from).collect(),
        found.lines().map(String::from).collect(),
    );
    let differ: Vec<_> = wanted.symmetric_difference(&found).collect();
    assert!(
        differ.is_empty(),
        "docs/METRICS.md is behind the code; with WRITE_METRICS=1 this test writes it: {differ:#?}"
    );
}

#[test]
fn everything_says_what_it_is() {
    let families = catalogue();
    assert!(families.len() > 100, "{}", families.len());
    for (name, family) in families {
        assert!(
            !family.kind.is_empty() && family.help.ends_with('.'),
            "{name}: {family:?}"
        );
    }
}

/// Every text with this key, wherever it is.
fn texts<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get(key).and_then(Value::as_str));
            fields.values().for_each(|value| texts(value, key, found));
        }
        Value::Array(values) => values.iter().for_each(|value| texts(value, key, found)),
        _ => {}
    }
}

/// The names of metrics in an expression.
fn names(expression: &str) -> impl Iterator<Item = &str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = expression.split(move |c| !is_name(c));
    words.filter(|word| word.starts_with("tipring_"))
}

#[test]
fn the_dashboard_asks_for_what_there_is() {
    let text = std::fs::read_to_string(DASHBOARD).expect(DASHBOARD);
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let families = catalogue();
    let mut asked = Vec::new();
    texts(&dashboard, "expr", &mut asked);
    texts(&dashboard, "query", &mut asked);
    let used: BTreeSet<&str> = asked.iter().flat_map(|text| names(text)).collect();
    assert!(used.len() > 30, "{used:?}");
    for name in used {
        let base = part_of(name);
        let of_histogram = base != name
            && families
                .get(base)
                .is_some_and(|family| family.kind == "histogram");
        assert!(
            families.contains_key(name) || of_histogram,
            "{name}: there is none"
        );
    }
}

#[test]
fn names_are_found_in_expressions() {
    let found: Vec<&str> = names("rate(tipring_a_total{x=\"tipring_b\"}[1m])/tipring_c").collect();
    assert_eq!(found, ["tipring_a_total", "tipring_b", "tipring_c"]);
}
