//! `calls`: a rate for a while, or the search for the highest rate.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use crate::caller::Hold;
use crate::cli::{CallsArgs, settle};
use crate::drive::{self, Plan};
use crate::io::interrupted;
use crate::latency::{Intervals, write_log_file};
use crate::probe::Probe;
use crate::report::{Report, write_json};
use crate::search::Search;

/// The last calls of a run may take this long beyond their hold: 64*T1 and a little.
const DRAIN: Duration = Duration::from_secs(34);
/// The same for a step of a search, where what is late has failed.
const STEP_DRAIN: Duration = Duration::from_secs(5);
/// Share of the rate to which the search is precise.
const PRECISION: f64 = 0.02;

/// Runs the command; success when every call completed (with --max, when some rate passed).
pub(crate) fn run(args: &CallsArgs) -> io::Result<ExitCode> {
    settle(args.load.cpu);
    let probe = Probe::new(args.server_pid, args.target.port());
    if args.max {
        return search(args, &probe);
    }
    let (report, intervals) = once(args, &probe, args.rate, DRAIN)?;
    if let Some(path) = &args.hlog {
        write_log_file(path, &[("calls", &intervals)])?;
    }
    report.print(&mut io::stdout().lock())?;
    if let Some(directory) = &args.report {
        write_json(directory, "report.json", &report)?;
    }
    Ok(if report.tally.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    })
}

fn once(
    args: &CallsArgs,
    probe: &Probe,
    rate: f64,
    drain: Duration,
) -> io::Result<(Report, Intervals)> {
    let hold = Duration::from_secs_f64(args.hold);
    let warmup = Duration::from_secs_f64(args.warmup.min(args.duration / 2.0));
    let options = args
        .load
        .options(args.target, Hold::For(hold.as_nanos() as u64), warmup);
    let duration = Duration::from_secs_f64(args.duration);
    let plan = Plan {
        rate,
        duration,
        drain: hold + drain,
    };
    drive::run(&options, &plan, probe, args.report.as_deref())
}

/// What a search found.
#[derive(Serialize)]
struct SearchReport {
    /// Highest rate that passed.
    best: f64,
    steps: Vec<Report>,
}

fn search(args: &CallsArgs, probe: &Probe) -> io::Result<ExitCode> {
    let mut search = Search::new(args.rate, args.ceiling, PRECISION);
    let mut steps = Vec::new();
    while let Some(rate) = search.rate().filter(|_| !interrupted()) {
        let (report, _) = once(args, probe, rate, STEP_DRAIN)?;
        search.record(report.carried());
        print_step(&report)?;
        steps.push(report);
    }
    let found = SearchReport {
        best: search.best(),
        steps,
    };
    writeln!(
        io::stdout(),
        "highest rate carried: {:.0} calls per second",
        found.best
    )?;
    if let Some(directory) = &args.report {
        write_json(directory, "search.json", &found)?;
    }
    Ok(if found.best > 0.0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    })
}

fn print_step(report: &Report) -> io::Result<()> {
    let verdict = if report.carried() {
        "carried"
    } else {
        "not carried"
    };
    writeln!(
        io::stdout(),
        "{:8.0}/s {verdict}: {:.0}/s answered, {} failed, {} drops, {} retransmissions, p99.9 {:.0} us, \
         generator {:.0} % busy{}",
        report.rate,
        report.rate_answered,
        report.tally.failed,
        report.drops.total(),
        report.tally.retransmissions.total(),
        report.setup.p99_9_us,
        report.generator.busy_share * 100.0,
        report
            .server
            .cpu_us_per_call
            .map_or(String::new(), |us| format!(", server {us:.2} us per call"))
    )
}
