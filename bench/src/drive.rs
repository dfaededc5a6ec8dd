//! Drives a load through its phases (warm-up, measured time, the last calls' end) and measures the server meanwhile.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::caller::Hold;
use crate::io::{interrupted, thread_cpu_ns};
use crate::latency::{Intervals, write_log_file};
use crate::load::{Load, LoadOptions};
use crate::probe::{Probe, Snapshot};
use crate::report::{Drops, Own, Report};
use crate::schedule::Schedule;

/// After an interrupt the live calls get this long to end.
const INTERRUPTED_DRAIN_NS: u64 = 2_000_000_000;
/// How often the progress bar moves.
const PROGRESS_NS: u64 = 250_000_000;

/// The phases of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Calls per second.
    pub(crate) rate: f64,
    /// How long calls are started, warm-up included.
    pub(crate) duration: Duration,
    /// How long the last calls may take to end.
    pub(crate) drain: Duration,
}

/// Server and generator at one moment of the run.
struct Mark {
    at_ns: u64,
    server: Snapshot,
    cpu_ns: u64,
    busy_ns: u64,
    attempts: u64,
    answered: u64,
    completed: u64,
}

impl Mark {
    fn take(load: &Load, probe: &Probe) -> Mark {
        let tally = &load.counted.tally;
        Mark {
            at_ns: load.now_ns(),
            server: probe.snapshot(),
            cpu_ns: thread_cpu_ns(),
            busy_ns: load.busy_ns,
            attempts: tally.attempts,
            answered: tally.answered,
            completed: tally.completed,
        }
    }

    fn seconds_since(&self, earlier: &Mark) -> f64 {
        (self.at_ns - earlier.at_ns) as f64 / 1e9
    }

    /// Calls carried since `earlier`: the mean of those begun and those ended, which differ by what was under way.
    fn calls_since(&self, earlier: &Mark) -> f64 {
        let begun = self.attempts - earlier.attempts;
        let ended = self.completed - earlier.completed;
        (begun + ended) as f64 / 2.0
    }
}

/// Runs the plan to its end (or the interrupt) and reports. With `directory`, writes the interval log there too.
pub(crate) fn run(
    options: &LoadOptions,
    plan: &Plan,
    probe: &Probe,
    directory: Option<&Path>,
) -> io::Result<(Report, Intervals)> {
    let before = probe.snapshot();
    let mut load = Load::open(options)?;
    let total = (plan.rate * plan.duration.as_secs_f64()).round() as u64;
    let mut starts = Schedule::new(load.now_ns(), plan.rate, total);
    let mut no_releases = Schedule::new(0, 1.0, 0);
    let (warmup_ns, mut begin) = (options.warmup.as_nanos() as u64, None);
    let mut progress = Progress::new("calls", total);
    while !starts.is_over() && !interrupted() {
        let now_ns = load.turn(&mut starts, &mut no_releases)?;
        if begin.is_none() && now_ns >= warmup_ns {
            begin = Some(Mark::take(&load, probe));
        }
        progress.show(now_ns, load.counted.tally.attempts);
    }
    let end = Mark::take(&load, probe);
    drain(&mut load, plan.drain.as_nanos() as u64)?;
    progress.finish();
    load.abandon();
    let begin = begin.unwrap_or_else(|| Mark {
        server: before.clone(),
        ..empty_mark()
    });
    let report = report(options, plan, &load, &before, (&begin, &end), probe);
    let now_ns = load.now_ns();
    let intervals = load.counted.latency.into_intervals(now_ns);
    if let Some(directory) = directory {
        write_log_file(&directory.join("setup.hlog"), &[("calls", &intervals)])?;
    }
    Ok((report, intervals))
}

fn empty_mark() -> Mark {
    let nothing = Probe::new(None, 0).snapshot();
    Mark {
        at_ns: 0,
        server: nothing,
        cpu_ns: 0,
        busy_ns: 0,
        attempts: 0,
        answered: 0,
        completed: 0,
    }
}

/// Lets live calls end by themselves, for so long at most.
pub(crate) fn drain(load: &mut Load, limit_ns: u64) -> io::Result<()> {
    let begun_ns = load.now_ns();
    let (mut no_starts, mut no_releases) = (Schedule::new(0, 1.0, 0), Schedule::new(0, 1.0, 0));
    while load.live() > 0 {
        let limit_ns = if interrupted() {
            limit_ns.min(INTERRUPTED_DRAIN_NS)
        } else {
            limit_ns
        };
        let now_ns = load.turn(&mut no_starts, &mut no_releases)?;
        if now_ns >= begun_ns + limit_ns {
            break;
        }
    }
    Ok(())
}

fn report(
    options: &LoadOptions,
    plan: &Plan,
    load: &Load,
    before: &Snapshot,
    (begin, end): (&Mark, &Mark),
    probe: &Probe,
) -> Report {
    let (seconds, calls) = (end.seconds_since(begin), end.calls_since(begin));
    let (datagrams_sent, sends_refused) = load.sent();
    let per_call = |ns: u64| ns as f64 / 1e3 / calls.max(1.0);
    Report {
        target: options.target.to_string(),
        callers: options.callers,
        callees: options.callees.len(),
        hold_s: if let Hold::For(ns) = options.hold {
            ns as f64 / 1e9
        } else {
            0.0
        },
        tick_us: options.tick.as_micros(),
        segment: options.segment,
        rate: plan.rate,
        rate_answered: (end.answered - begin.answered) as f64 / seconds.max(1e-9),
        rate_completed: (end.completed - begin.completed) as f64 / seconds.max(1e-9),
        measured_s: seconds,
        interrupted: interrupted(),
        tally: load.counted.tally.clone(),
        drops: drops_since(load, before, &probe.snapshot()),
        setup: load.counted.latency.setup(),
        pdd: load.counted.latency.pdd(),
        server: end.server.usage_since(&begin.server, calls, seconds),
        generator: Own {
            cpu_us_per_call: per_call(end.cpu_ns - begin.cpu_ns),
            busy_us_per_call: per_call(end.busy_ns - begin.busy_ns),
            busy_share: (end.busy_ns - begin.busy_ns) as f64 / 1e9 / seconds.max(1e-9),
            datagrams_sent,
            datagrams_received: load.counted.received,
            sends_refused,
        },
    }
}

/// Drops at our sockets since they were opened and at the server's since `before`.
pub(crate) fn drops_since(load: &Load, before: &Snapshot, after: &Snapshot) -> Drops {
    let (caller, callee) = load.drops();
    let (server, receive_buffer_errors) = after.drops_since(before);
    Drops {
        caller,
        callee,
        server,
        receive_buffer_errors,
    }
}

/// A progress bar on a terminal, nothing elsewhere.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    next_ns: u64,
}

impl Progress {
    /// A bar from nothing to `total`.
    pub(crate) fn new(what: &'static str, total: u64) -> Progress {
        let style = "{msg:>8} [{bar:40}] {pos}/{len} {per_sec} {eta}";
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total).with_message(what);
            bar.set_style(ProgressStyle::with_template(style).expect("the template is sound"));
            bar
        });
        Progress { bar, next_ns: 0 }
    }

    /// Moves the bar, four times a second at most.
    pub(crate) fn show(&mut self, now_ns: u64, position: u64) {
        if let Some(bar) = self.bar.as_ref().filter(|_| now_ns >= self.next_ns) {
            bar.set_position(position);
            self.next_ns = now_ns + PROGRESS_NS;
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
