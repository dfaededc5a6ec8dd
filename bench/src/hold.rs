//! `hold`: builds calls up, holds them, tears them down, and reads the server's memory between, to learn what a held call costs.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use crate::caller::Hold;
use crate::cli::{HoldArgs, settle};
use crate::drive::{Progress, drain, drops_since};
use crate::io::interrupted;
use crate::load::{Load, LoadOptions};
use crate::probe::Probe;
use crate::report::{Drops, mebibytes, write_json};
use crate::schedule::Schedule;
use crate::tally::Tally;

/// Memory is judged no earlier than this after the last call was set up: transactions linger for 64*T1 (timers J, K, L, M), and
/// their last ones were begun by the ACK and its retransmissions.
const LINGER_S: f64 = 70.0;
const DRAIN_NS: u64 = 34_000_000_000;

/// How many calls, how fast, how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HoldPlan {
    pub(crate) calls: u64,
    /// Calls set up, and later ended, per second.
    pub(crate) rate: f64,
    pub(crate) held: Duration,
}

/// What held calls cost.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct HoldReport {
    pub(crate) calls: u64,
    /// Calls that were up during the hold.
    pub(crate) held: u64,
    pub(crate) held_s: f64,
    /// Whether the hold was long enough for lingering transactions to be gone.
    pub(crate) settled: bool,
    pub(crate) resident_before: u64,
    pub(crate) resident_built: u64,
    pub(crate) resident_held: u64,
    pub(crate) resident_after: u64,
    /// Growth from before to the end of the hold, per held call.
    pub(crate) bytes_per_held_call: f64,
    /// CPU seconds per second while nothing happened.
    pub(crate) cpu_share_held: Option<f64>,
    pub(crate) interrupted: bool,
    pub(crate) tally: Tally,
    pub(crate) drops: Drops,
}

/// Runs the command; success when no call failed.
pub(crate) fn run(args: &HoldArgs) -> io::Result<ExitCode> {
    settle(args.load.cpu);
    let probe = Probe::new(args.server_pid, args.target.port());
    let held = Duration::from_secs_f64(args.hold);
    let plan = HoldPlan {
        calls: args.calls,
        rate: args.rate,
        held,
    };
    let options = args
        .load
        .options(args.target, Hold::UntilReleased, Duration::ZERO);
    let report = hold(&options, &plan, &probe)?;
    report.print(&mut io::stdout().lock())?;
    if let Some(directory) = &args.report {
        write_json(directory, "hold.json", &report)?;
    }
    Ok(if report.tally.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    })
}

/// Builds up, holds, tears down.
pub(crate) fn hold(
    options: &LoadOptions,
    plan: &HoldPlan,
    probe: &Probe,
) -> io::Result<HoldReport> {
    let calls_max = (plan.calls as usize)
        .saturating_add(1_000)
        .max(options.calls_max);
    let options = LoadOptions {
        calls_max,
        hold: Hold::UntilReleased,
        ..options.clone()
    };
    let before = probe.snapshot();
    let mut load = Load::open(&options)?;
    build_up(&mut load, plan)?;
    let built = probe.snapshot();
    let held = load.counted.tally.answered - load.counted.tally.completed;
    let held_s = wait(&mut load, plan.held)?;
    let end = probe.snapshot();
    tear_down(&mut load, plan)?;
    load.abandon();
    let after = probe.snapshot();
    let (resident_before, resident_held) = (before.resident_bytes(), end.resident_bytes());
    let growth = resident_held as f64 - resident_before as f64;
    Ok(HoldReport {
        calls: plan.calls,
        held,
        held_s,
        settled: held_s >= LINGER_S,
        resident_before,
        resident_built: built.resident_bytes(),
        resident_held,
        resident_after: after.resident_bytes(),
        bytes_per_held_call: growth / held.max(1) as f64,
        cpu_share_held: end.usage_since(&built, 1.0, held_s).cpu_share,
        interrupted: interrupted(),
        tally: load.counted.tally.clone(),
        drops: drops_since(&load, &before, &after),
    })
}

fn no_schedule() -> Schedule {
    Schedule::new(0, 1.0, 0)
}

fn build_up(load: &mut Load, plan: &HoldPlan) -> io::Result<()> {
    let mut progress = Progress::new("build up", plan.calls);
    let mut starts = Schedule::new(load.now_ns(), plan.rate, plan.calls);
    let mut deadline_ns = u64::MAX;
    while !interrupted() && load.now_ns() < deadline_ns {
        let now_ns = load.turn(&mut starts, &mut no_schedule())?;
        let tally = &load.counted.tally;
        progress.show(now_ns, tally.answered);
        if starts.is_over() && tally.answered + tally.failed >= tally.attempts {
            break;
        }
        if starts.is_over() && deadline_ns == u64::MAX {
            deadline_ns = now_ns + DRAIN_NS;
        }
    }
    progress.finish();
    Ok(())
}

/// Holds for so long, serving retransmissions; returns the seconds held.
fn wait(load: &mut Load, held: Duration) -> io::Result<f64> {
    let mut progress = Progress::new("hold", held.as_secs());
    let begun_ns = load.now_ns();
    let elapsed = |load: &Load| load.now_ns() - begun_ns;
    while !interrupted() && elapsed(load) < held.as_nanos() as u64 {
        let now_ns = load.turn(&mut no_schedule(), &mut no_schedule())?;
        progress.show(now_ns, elapsed(load) / 1_000_000_000);
        // Nobody is in a hurry now, and the server's idle CPU is being measured.
        std::thread::sleep(Duration::from_millis(1));
    }
    progress.finish();
    Ok(elapsed(load) as f64 / 1e9)
}

fn tear_down(load: &mut Load, plan: &HoldPlan) -> io::Result<()> {
    let total = load.live() as u64;
    let mut progress = Progress::new("end", total);
    let mut releases = Schedule::new(load.now_ns(), plan.rate, total);
    while !releases.is_over() {
        let now_ns = load.turn(&mut no_schedule(), &mut releases)?;
        progress.show(now_ns, total.saturating_sub(load.live() as u64));
    }
    progress.finish();
    drain(load, DRAIN_NS)
}

impl HoldReport {
    /// Prints the report for people.
    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let tally = &self.tally;
        writeln!(
            out,
            "calls      {} attempts, {} held for {:.0} s, {} completed, {} failed{}",
            tally.attempts,
            self.held,
            self.held_s,
            tally.completed,
            tally.failed,
            if self.interrupted {
                " (interrupted)"
            } else {
                ""
            }
        )?;
        for (cause, calls) in &tally.failures {
            writeln!(out, "           {calls} x {cause}")?;
        }
        writeln!(
            out,
            "trouble    {} retransmissions; drops: caller {}, callee {}, server {}",
            tally.retransmissions.total(),
            self.drops.caller,
            self.drops.callee,
            self.drops.server
        )?;
        writeln!(
            out,
            "RSS        before {:.1} MiB, built {:.1}, held {:.1}, after {:.1}",
            mebibytes(self.resident_before),
            mebibytes(self.resident_built),
            mebibytes(self.resident_held),
            mebibytes(self.resident_after)
        )?;
        if let Some(share) = self.cpu_share_held {
            writeln!(
                out,
                "idle       {:.3} % of a core while held",
                share * 100.0
            )?;
        }
        let note = if self.settled {
            ""
        } else {
            " (held under 70 s: lingering transactions count)"
        };
        writeln!(
            out,
            "per call   {:.0} bytes resident{note}",
            self.bytes_per_held_call
        )
    }
}
