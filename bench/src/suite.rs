//! `floor`, `suite` and `compare`: contenders under the same load in interleaved rounds, so that what disturbs the machine
//! disturbs all of them; medians in one table, every round's report stored.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use comfy_table::{Table, presets};
use serde::Serialize;

use crate::caller::Hold;
use crate::cli::{SuiteArgs, settle};
use crate::drive::{self, Plan};
use crate::hold::{HoldPlan, HoldReport, hold};
use crate::io::interrupted;
use crate::latency::{Intervals, write_log_file};
use crate::probe::Probe;
use crate::report::{Report, write_json};
use crate::servers::{Contender, Server};

/// The last calls of a round may take this long to end.
const DRAIN: Duration = Duration::from_secs(10);
/// Set-up rate of held calls, well within what any contender carries.
const HOLD_RATE: f64 = 5_000.0;

/// Median figures of one contender.
#[derive(Clone, Debug, Serialize)]
struct Row {
    contender: &'static str,
    rounds: usize,
    cpu_us_per_call: f64,
    cpu_us_min: f64,
    cpu_us_max: f64,
    /// CPU per call against the floor's median.
    ratio: Option<f64>,
    /// Calls per second one core would carry at this cost.
    caps_per_core: f64,
    p50_us: f64,
    p99_9_us: f64,
    /// Over all rounds.
    failed: u64,
    retransmissions: u64,
    drops: u64,
    generator_busy_share: f64,
    bytes_per_held_call: Option<f64>,
}

/// Everything a suite found.
#[derive(Serialize)]
struct SuiteReport {
    rate: f64,
    rows: Vec<Row>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<HoldReport>,
}

/// Runs the contenders; success when no call failed and nothing was dropped.
pub(crate) fn run(args: &SuiteArgs, name: &str, contenders: &[Contender]) -> io::Result<ExitCode> {
    settle(args.load.cpu);
    let wanted = |contender: &&Contender| args.only.is_empty() || args.only.contains(contender);
    let contenders: Vec<Contender> = contenders.iter().filter(wanted).copied().collect();
    let directory = run_directory(&args.runs, name);
    let mut reports: Vec<(Contender, Report)> = Vec::new();
    let mut intervals: Vec<(&str, Intervals)> = Vec::new();
    for round in 1..=args.rounds.max(1) {
        for &contender in &contenders {
            if interrupted() {
                break;
            }
            note(&format!(
                "round {round} of {}: {}",
                args.rounds,
                contender.name()
            ));
            let place = directory.join(format!("{}-{round}", contender.name()));
            let (report, seconds) = measure(contender, args, &place)?;
            reports.push((contender, report));
            intervals.push((contender.name(), seconds));
        }
    }
    let hold = match args
        .held
        .filter(|_| contenders.contains(&Contender::Coalescing) && !interrupted())
    {
        Some(calls) => Some(measure_held(args, calls, &directory.join("hold"))?),
        None => None,
    };
    if let Some(path) = &args.hlog {
        let runs: Vec<_> = intervals.iter().map(|(name, i)| (*name, i)).collect();
        write_log_file(path, &runs)?;
    }
    let rows = rows(&contenders, &reports, hold.as_ref());
    writeln!(io::stdout(), "{}", table(&rows))?;
    let clean = rows.iter().all(|row| row.failed == 0 && row.drops == 0);
    write_json(
        &directory,
        "summary.json",
        &SuiteReport {
            rate: args.rate,
            rows,
            hold,
        },
    )?;
    writeln!(
        io::stdout(),
        "at {:.0} calls per second; raw run in {}",
        args.rate,
        directory.display()
    )?;
    Ok(if clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    })
}

/// Says on a terminal what is going on.
pub(crate) fn note(text: &str) {
    if io::stderr().is_terminal() {
        eprintln!("{text}");
    }
}

/// A directory named by the time, so that names sort.
pub(crate) fn run_directory(runs: &Path, name: &str) -> PathBuf {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    runs.join(format!("{}-{name}", timestamp(now.as_secs())))
}

/// Seconds since 1970 as `20260131T235959Z` (days to a date by the civil calendar's 400-year cycle).
fn timestamp(seconds: u64) -> String {
    let (days, second) = ((seconds / 86_400) as i64, seconds % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

fn measure(
    contender: Contender,
    args: &SuiteArgs,
    place: &Path,
) -> io::Result<(Report, Intervals)> {
    let server = Server::start(contender, args, place)?;
    let probe = Probe::new(Some(server.pid()), args.target.port());
    let warmup = Duration::from_secs_f64(args.warmup.clamp(0.0, args.duration / 2.0));
    let options = args.options(Hold::For(0), warmup);
    let duration = Duration::from_secs_f64(args.duration);
    let plan = Plan {
        rate: args.rate,
        duration,
        drain: DRAIN,
    };
    let (report, intervals) = drive::run(&options, &plan, &probe, Some(place))?;
    write_json(place, "report.json", &report)?;
    Ok((report, intervals))
}

fn measure_held(args: &SuiteArgs, calls: u64, place: &Path) -> io::Result<HoldReport> {
    note(&format!("holding {calls} calls"));
    let server = Server::start(Contender::Coalescing, args, place)?;
    let probe = Probe::new(Some(server.pid()), args.target.port());
    let options = args.options(Hold::UntilReleased, Duration::ZERO);
    let held = Duration::from_secs_f64(args.hold);
    let plan = HoldPlan {
        calls,
        rate: HOLD_RATE,
        held,
    };
    let report = hold(&options, &plan, &probe)?;
    write_json(place, "hold.json", &report)?;
    Ok(report)
}

/// The middle value; of an even number the mean of the two in the middle.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[middle],
        _ => (values[middle - 1] + values[middle]) / 2.0,
    }
}

fn rows(
    contenders: &[Contender],
    reports: &[(Contender, Report)],
    hold: Option<&HoldReport>,
) -> Vec<Row> {
    let cost = |report: &Report| report.server.cpu_us_per_call.unwrap_or(f64::NAN);
    let of = |wanted: Contender| {
        reports
            .iter()
            .filter(move |(c, _)| *c == wanted)
            .map(|(_, report)| report)
    };
    let floor = of(Contender::Floor)
        .next()
        .map(|_| median(of(Contender::Floor).map(cost)));
    let present = contenders
        .iter()
        .copied()
        .filter(|&contender| of(contender).next().is_some());
    present
        .map(|contender| {
            let own = || of(contender);
            let cpu_us_per_call = median(own().map(cost));
            Row {
                contender: contender.name(),
                rounds: own().count(),
                cpu_us_per_call,
                cpu_us_min: own().map(cost).fold(f64::INFINITY, f64::min),
                cpu_us_max: own().map(cost).fold(0.0, f64::max),
                ratio: floor.map(|floor| cpu_us_per_call / floor),
                caps_per_core: 1e6 / cpu_us_per_call,
                p50_us: median(own().map(|r| r.setup.p50_us)),
                p99_9_us: median(own().map(|r| r.setup.p99_9_us)),
                failed: own().map(|r| r.tally.failed).sum(),
                retransmissions: own().map(|r| r.tally.retransmissions.total()).sum(),
                drops: own().map(|r| r.drops.total()).sum(),
                generator_busy_share: median(own().map(|r| r.generator.busy_share)),
                bytes_per_held_call: hold
                    .filter(|_| contender == Contender::Coalescing)
                    .map(|hold| hold.bytes_per_held_call),
            }
        })
        .collect()
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header([
        "",
        "CPU us/call",
        "min-max",
        "x floor",
        "CAPS/core",
        "p50 us",
        "p99.9 us",
        "failed",
        "again",
        "drops",
        "B/held call",
        "generator",
    ]);
    for row in rows {
        table.add_row([
            row.contender.to_owned(),
            format!("{:.2}", row.cpu_us_per_call),
            format!("{:.1}-{:.1}", row.cpu_us_min, row.cpu_us_max),
            row.ratio
                .map_or("-".to_owned(), |ratio| format!("{ratio:.2}")),
            format!("{:.0}", row.caps_per_core),
            format!("{:.0}", row.p50_us),
            format!("{:.0}", row.p99_9_us),
            row.failed.to_string(),
            row.retransmissions.to_string(),
            row.drops.to_string(),
            row.bytes_per_held_call
                .map_or("-".to_owned(), |bytes| format!("{bytes:.0}")),
            format!("{:.0} %", row.generator_busy_share * 100.0),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_ignores_one_disturbed_round() {
        assert_eq!(median([30.0, 10.0, 900.0].into_iter()), 30.0);
        assert_eq!(median([10.0, 20.0].into_iter()), 15.0);
        assert!(median(std::iter::empty()).is_nan());
    }

    #[test]
    fn timestamps_are_calendar_dates() {
        assert_eq!(timestamp(0), "19700101T000000Z");
        assert_eq!(timestamp(951_782_399), "20000228T235959Z");
        assert_eq!(timestamp(951_782_400), "20000229T000000Z");
        assert_eq!(timestamp(1_767_225_599), "20251231T235959Z");
    }
}
