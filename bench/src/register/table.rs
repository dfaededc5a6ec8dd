//! Medians over the rounds, a row for each registrar and stretch.

use comfy_table::{Table, presets};
use serde::Serialize;

use super::RoundReport;
use super::load::StretchReport;
use super::registrars::Registrar;
use crate::suite::median;

/// Median figures of one registrar in one stretch.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    registrar: &'static str,
    stretch: &'static str,
    rounds: usize,
    cpu_us_per_registration: f64,
    cpu_us_min: f64,
    cpu_us_max: f64,
    /// Registrations per second one core would carry at this cost.
    per_core: f64,
    p50_us: f64,
    p99_us: f64,
    p99_9_us: f64,
    /// Over all rounds.
    failed: u64,
    retransmissions: u64,
    challenges: u64,
    drops: u64,
    bytes_per_binding: f64,
    generator_busy_share: f64,
    load_average: f64,
}

/// The rows of those who were measured.
pub(crate) fn rows(registrars: &[Registrar], rounds: &[RoundReport]) -> Vec<Row> {
    let mut rows = Vec::new();
    for registrar in registrars {
        let own: Vec<&RoundReport> = rounds
            .iter()
            .filter(|round| round.registrar == registrar.name())
            .collect();
        let stretches = own.first().map_or(0, |round| round.stretches.len());
        rows.extend((0..stretches).map(|at| row(&own, at)));
    }
    rows
}

/// The row of the stretch at this place in these rounds of one registrar, of which there is one at least.
fn row(own: &[&RoundReport], at: usize) -> Row {
    let stretches = || own.iter().map(|round| &round.stretches[at]);
    let of = |figure: fn(&StretchReport) -> f64| median(stretches().map(figure));
    let sum = |figure: fn(&StretchReport) -> u64| stretches().map(figure).sum();
    let cost = |it: &StretchReport| it.server.cpu_us_per_call.unwrap_or(f64::NAN);
    let cpu_us_per_registration = of(cost);
    Row {
        registrar: own[0].registrar,
        stretch: own[0].stretches[at].name,
        rounds: own.len(),
        cpu_us_per_registration,
        cpu_us_min: stretches().map(cost).fold(f64::INFINITY, f64::min),
        cpu_us_max: stretches().map(cost).fold(0.0, f64::max),
        per_core: 1e6 / cpu_us_per_registration,
        p50_us: of(|it| it.times.p50_us),
        p99_us: of(|it| it.times.p99_us),
        p99_9_us: of(|it| it.times.p99_9_us),
        failed: sum(|it| it.failed),
        retransmissions: sum(|it| it.retransmissions),
        challenges: sum(|it| it.challenges),
        drops: sum(|it| it.server_drops + it.own_drops),
        bytes_per_binding: median(own.iter().map(|round| round.bytes_per_binding)),
        generator_busy_share: of(|it| it.generator_busy_share),
        load_average: median(own.iter().filter_map(|round| round.load_average)),
    }
}

/// The same for people.
pub(crate) fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header([
        "",
        "",
        "CPU us/REG",
        "min-max",
        "REG/s/core",
        "p50 us",
        "p99 us",
        "p99.9 us",
        "failed",
        "again",
        "401",
        "drops",
        "RSS B/binding",
        "generator",
        "load",
    ]);
    for row in rows {
        table.add_row([
            row.registrar.to_owned(),
            row.stretch.to_owned(),
            format!("{:.2}", row.cpu_us_per_registration),
            format!("{:.1}-{:.1}", row.cpu_us_min, row.cpu_us_max),
            format!("{:.0}", row.per_core),
            format!("{:.0}", row.p50_us),
            format!("{:.0}", row.p99_us),
            format!("{:.0}", row.p99_9_us),
            row.failed.to_string(),
            row.retransmissions.to_string(),
            row.challenges.to_string(),
            row.drops.to_string(),
            format!("{:.0}", row.bytes_per_binding),
            format!("{:.0} %", row.generator_busy_share * 100.0),
            format!("{:.1}", row.load_average),
        ]);
    }
    table
}
