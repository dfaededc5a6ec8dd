//! `overload`: what a router completes when more is offered than it can carry. First the highest rate it carries is sought (or
//! given), then each multiple of it is offered in interleaved rounds, with admission control and without, to a router started
//! afresh each time. The load is open: nobody slows down and a refused call is not tried again.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::Args;
use comfy_table::{Table, presets};
use serde::Serialize;

use crate::caller::Hold;
use crate::cli::{SuiteArgs, settle};
use crate::drive::{self, Plan};
use crate::io::interrupted;
use crate::probe::Probe;
use crate::quota::Quota;
use crate::report::{Report, write_json};
use crate::search::Search;
use crate::servers::{Launch, Server, callee, router_config, routing};
use crate::suite::{median, note, run_directory};

/// What is late by so much has failed.
const DRAIN: Duration = Duration::from_secs(5);
/// Precision of the search for the rate that is carried.
const PRECISION: f64 = 0.05;
/// A rate is carried when so large a share of its calls is completed.
const CARRIED: f64 = 0.99;

/// `overload`.
#[derive(Args, Clone, Debug)]
pub(crate) struct OverloadArgs {
    /// Multiples of the sustainable rate that are offered.
    #[arg(long, value_delimiter = ',', default_value = "1,2,4,10")]
    times: Vec<f64>,
    /// The sustainable rate in calls per second; sought when not given.
    #[arg(long)]
    sustainable: Option<f64>,
    /// Per cent of a CPU the router may use: ten times the rate of a whole one is more than a generator makes.
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u64).range(1..=100))]
    quota: u64,
    /// Leave the runs without admission control out.
    #[arg(long)]
    only_with: bool,
    #[command(flatten)]
    suite: SuiteArgs,
}

/// One run.
struct Run {
    times: f64,
    with_control: bool,
    report: Report,
}

/// Medians of the runs of one multiple.
#[derive(Clone, Debug, Serialize)]
struct Row {
    control: bool,
    times: f64,
    offered: f64,
    goodput: f64,
    /// Against the highest goodput with control.
    share_of_peak: f64,
    refused_503: f64,
    failed_otherwise: f64,
    p50_ms: f64,
    p99_ms: f64,
    server_cpu_percent: f64,
    invites_again: f64,
    others_again: f64,
    server_drops: f64,
    generator_busy_percent: f64,
}

/// Everything that was found.
#[derive(Serialize)]
struct OverloadReport {
    sustainable: f64,
    quota_percent: u64,
    rows: Vec<Row>,
    runs: Vec<Report>,
}

/// Runs the command; success when the goodput at every multiple is 90 % of the peak or more.
pub(crate) fn run(args: &OverloadArgs) -> io::Result<ExitCode> {
    settle(args.suite.load.cpu);
    let directory = run_directory(&args.suite.runs, "overload");
    let sustainable = match args.sustainable {
        Some(rate) => rate,
        None => seek(args, &directory)?,
    };
    let mut runs = Vec::new();
    for round in 1..=args.suite.rounds.max(1) {
        for &times in &args.times {
            for with_control in [true, false] {
                if interrupted() || (args.only_with && !with_control) {
                    continue;
                }
                note(&format!(
                    "round {round}: {times} x {sustainable:.0}/s, control {with_control}"
                ));
                let place = directory.join(format!("{times}x-{with_control}-{round}"));
                let report = measure(args, times * sustainable, with_control, &place)?;
                runs.push(Run {
                    times,
                    with_control,
                    report,
                });
            }
        }
    }
    let rows = rows(&runs);
    writeln!(io::stdout(), "{}", table(&rows))?;
    writeln!(
        io::stdout(),
        "sustainable {sustainable:.0}/s with {} % of a CPU; raw runs in {}",
        args.quota,
        directory.display()
    )?;
    let held = rows
        .iter()
        .filter(|row| row.control)
        .all(|row| row.share_of_peak >= 0.9);
    let report = OverloadReport {
        sustainable,
        quota_percent: args.quota,
        rows,
        runs: runs.into_iter().map(|run| run.report).collect(),
    };
    write_json(&directory, "overload.json", &report)?;
    Ok(if held {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    })
}

/// The highest rate that is carried without anybody turned away.
fn seek(args: &OverloadArgs, directory: &Path) -> io::Result<f64> {
    let mut search = Search::new(
        args.suite.rate * args.quota as f64 / 100.0,
        200_000.0,
        PRECISION,
    );
    while let Some(rate) = search.rate().filter(|_| !interrupted()) {
        let report = measure(
            args,
            rate,
            false,
            &directory.join(format!("seek-{rate:.0}")),
        )?;
        let completed = report.tally.completed as f64 / report.tally.attempts.max(1) as f64;
        let in_time = report.tally.retransmissions.total() == 0;
        note(&format!(
            "{rate:.0}/s: {:.1} % completed",
            completed * 100.0
        ));
        search.record(completed >= CARRIED && in_time);
    }
    Ok(search.best())
}

/// One run against a router of its own.
fn measure(args: &OverloadArgs, rate: f64, with_control: bool, place: &Path) -> io::Result<Report> {
    let suite = &args.suite;
    fs::create_dir_all(place)?;
    let place = place.canonicalize()?;
    let port = suite.target.port();
    // Declared first, so that it goes last: a group goes when nobody is in it.
    let quota;
    let server = Server::launch(Launch {
        name: "tipring",
        command: router(suite, with_control, &place)?,
        ports: port..=port,
        server_cpu: Some(suite.server_cpu),
        own_cpu: suite.load.cpu,
        directory: &place,
    })?;
    quota = match args.quota {
        100 => None,
        percent => Some(Quota::limit(server.pid(), percent)?),
    };
    let probe = Probe::new(Some(server.pid()), port);
    let warmup = Duration::from_secs_f64(suite.warmup.clamp(0.0, suite.duration / 2.0));
    let plan = Plan {
        rate,
        duration: Duration::from_secs_f64(suite.duration),
        drain: DRAIN,
    };
    let options = suite.options(Hold::For(0), warmup);
    let (report, _) = drive::run(&options, &plan, &probe, Some(&place))?;
    quota.as_ref().map_or(Ok(()), Quota::lift)?;
    drop(server);
    write_json(&place, "report.json", &report)?;
    Ok(report)
}

fn router(args: &SuiteArgs, with_control: bool, directory: &Path) -> io::Result<Command> {
    let rdb = directory.join("rdb.json");
    fs::write(&rdb, routing(callee(args)?))?;
    let config = directory.join("tipring.toml");
    let text = router_config(args, "trunks", &rdb);
    fs::write(
        &config,
        format!("{text}\n[overload]\nenabled = {with_control}\n"),
    )?;
    let mut command = Command::new(&args.router);
    command.arg("run").arg("--config").arg(config);
    Ok(command)
}

fn rows(runs: &[Run]) -> Vec<Row> {
    let mut kinds: Vec<(bool, f64)> = Vec::new();
    for run in runs {
        if !kinds.contains(&(run.with_control, run.times)) {
            kinds.push((run.with_control, run.times));
        }
    }
    kinds.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.total_cmp(&b.1)));
    let mut rows: Vec<Row> = kinds.into_iter().map(|kind| row(runs, kind)).collect();
    let of_control = rows.iter().filter(|row| row.control).map(|row| row.goodput);
    let peak = of_control.fold(f64::MIN_POSITIVE, f64::max);
    rows.iter_mut()
        .for_each(|row| row.share_of_peak = row.goodput / peak);
    rows
}

fn row(runs: &[Run], (control, times): (bool, f64)) -> Row {
    let own = || {
        let of_kind = move |run: &&Run| run.with_control == control && run.times == times;
        runs.iter().filter(of_kind).map(|run| &run.report)
    };
    let of = |read: fn(&Report) -> f64| median(own().map(read));
    Row {
        control,
        times,
        offered: of(|r| r.rate),
        goodput: of(|r| r.rate_completed),
        share_of_peak: 0.0,
        refused_503: of(|r| share(r, refused(r))),
        failed_otherwise: of(|r| share(r, r.tally.failed - refused(r))),
        p50_ms: of(|r| r.setup.p50_us / 1e3),
        p99_ms: of(|r| r.setup.p99_us / 1e3),
        server_cpu_percent: of(|r| r.server.cpu_share.unwrap_or(0.0) * 100.0),
        invites_again: of(|r| r.tally.retransmissions.invite_sent as f64),
        others_again: of(|r| {
            (r.tally.retransmissions.total() - r.tally.retransmissions.invite_sent) as f64
        }),
        server_drops: of(|r| r.drops.server as f64),
        generator_busy_percent: of(|r| r.generator.busy_share * 100.0),
    }
}

fn refused(report: &Report) -> u64 {
    report
        .tally
        .failures
        .get("INVITE 503")
        .copied()
        .unwrap_or(0)
}

fn share(report: &Report, calls: u64) -> f64 {
    calls as f64 / report.tally.attempts.max(1) as f64
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header([
        "control",
        "offered",
        "calls/s",
        "goodput/s",
        "of peak",
        "503",
        "failed",
        "p50 ms",
        "p99 ms",
        "CPU",
        "INVITE again",
        "others",
        "drops",
        "generator",
    ]);
    for row in rows {
        table.add_row([
            if row.control { "on" } else { "off" }.to_owned(),
            format!("{} x", row.times),
            format!("{:.0}", row.offered),
            format!("{:.0}", row.goodput),
            format!("{:.0} %", row.share_of_peak * 100.0),
            format!("{:.0} %", row.refused_503 * 100.0),
            format!("{:.0} %", row.failed_otherwise * 100.0),
            format!("{:.1}", row.p50_ms),
            format!("{:.1}", row.p99_ms),
            format!("{:.0} %", row.server_cpu_percent),
            format!("{:.0}", row.invites_again),
            format!("{:.0}", row.others_again),
            format!("{:.0}", row.server_drops),
            format!("{:.0} %", row.generator_busy_percent),
        ]);
    }
    table
}
