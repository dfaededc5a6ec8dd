//! `tipring-sim`: runs simulations by seed and says which went wrong.
//!
//! It is a tool at a terminal, not a pure room: it reads the clock for its rate, runs threads and prints.
#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    reason = "a tool: the rate of seeds is measured by the clock, and seeds run on threads"
)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool: what it prints is what it is for"
)]

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Instant;

use clap::Parser;
use tipring_sim::{Plan, Played, Run, Scene, play, run};

/// A line of progress comes after so many seeds.
const REPORT_EVERY: u64 = 5_000;

/// Plays simulated calls through real shards in virtual time and checks what happened.
#[derive(Clone, Debug, Parser)]
#[command(name = "tipring-sim", version)]
struct Options {
    /// How many seeds to run.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Run this one alone.
    #[arg(long)]
    seed: Option<u64>,
    /// Play only the worlds of calls, or only the scenes, of the seeds.
    #[arg(long, value_enum)]
    only: Option<Sort>,
    /// Print the plan and every message with its virtual time.
    #[arg(long)]
    trace: bool,
    /// Stop after so many seeds that went wrong.
    #[arg(long, default_value_t = 20)]
    failures: usize,
    /// Threads that run seeds; one for each core when not given.
    #[arg(long)]
    threads: Option<usize>,
}

/// A seed is two worlds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Sort {
    /// Callers and callees, with media.
    Calls,
    /// Phones that transfer, subscribe, and are behind a proxy.
    Scenes,
}

fn main() -> ExitCode {
    let mut options = Options::parse();
    if let Some(seed) = options.seed {
        (options.first, options.seeds) = (seed, 1);
    }
    let (begin, mut tally) = (Instant::now(), Tally::default());
    for outcome in start(&options) {
        print!("{}", outcome.text);
        tally.add(&outcome.tally);
        if tally.seeds.is_multiple_of(REPORT_EVERY) || std::io::stderr().is_terminal() {
            let rate = tally.seeds as f64 / begin.elapsed().as_secs_f64().max(1e-9);
            let (seeds, wrong, all) = (tally.seeds, tally.wrong, options.seeds);
            eprint!("\r{seeds} of {all} seeds, {wrong} went wrong, {rate:.0} seeds/s");
        }
        if tally.wrong >= options.failures {
            break;
        }
    }
    eprintln!();
    tally.print(begin.elapsed().as_secs_f64());
    ExitCode::from(u8::from(tally.wrong > 0))
}

/// What is kept of a run: its figures, and what there is to be said.
struct Outcome {
    tally: Tally,
    text: String,
}

/// Runs the seeds on several threads, which stop when nobody listens any more.
fn start(options: &Options) -> Receiver<Outcome> {
    let cores = || thread::available_parallelism().map_or(1, usize::from);
    let threads = options.threads.unwrap_or_else(cores);
    let next = Arc::new(AtomicU64::new(options.first));
    let (sender, receiver) = channel();
    for _ in 0..threads {
        let (options, next, sender) = (options.clone(), next.clone(), sender.clone());
        thread::spawn(move || run_seeds(&options, &next, &sender));
    }
    receiver
}

fn run_seeds(options: &Options, next: &AtomicU64, sender: &Sender<Outcome>) {
    let end = options.first.saturating_add(options.seeds);
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end || sender.send(play_seed(options, seed)).is_err() {
            return;
        }
    }
}

fn play_seed(options: &Options, seed: u64) -> Outcome {
    let mut outcome = Outcome {
        tally: Tally {
            seeds: 1,
            ..Tally::default()
        },
        text: String::new(),
    };
    if options.only != Some(Sort::Scenes) {
        play_calls(options, seed, &mut outcome);
    }
    if options.only != Some(Sort::Calls) {
        play_scene(options, seed, &mut outcome);
    }
    outcome.tally.wrong = outcome.tally.wrong.min(1);
    outcome
}

fn play_calls(options: &Options, seed: u64, outcome: &mut Outcome) {
    let plan = Plan::random(seed);
    let run = run(&plan);
    if options.trace {
        outcome.text += &format!("{plan:#?}\n{}\n", run.trace());
    }
    if !run.findings.is_empty() {
        outcome.blame(seed, "calls", &run.verdict());
    }
    outcome.tally.add(&Tally::of(&run));
}

fn play_scene(options: &Options, seed: u64, outcome: &mut Outcome) {
    let scene = Scene::random(seed);
    let played = play(&scene);
    if options.trace {
        outcome.text += &format!("{scene:#?}\n{}\n", played.trace());
    }
    if !played.findings.is_empty() {
        outcome.blame(seed, "scenes", &played.verdict());
    }
    outcome.tally.add(&Tally::of_scene(&played));
}

impl Outcome {
    fn blame(&mut self, seed: u64, sort: &str, verdict: &str) {
        self.tally.wrong += 1;
        let command = format!("tipring-sim --seed {seed} --only {sort} --trace");
        self.text += &format!("seed {seed} went wrong ({command})\n{verdict}");
    }
}

#[derive(Default)]
struct Tally {
    seeds: u64,
    wrong: usize,
    calls: u64,
    answered: u64,
    datagrams: u64,
    packets: u64,
    handed_over: u64,
}

impl Tally {
    fn of(run: &Run) -> Tally {
        let counters = run.counters.iter();
        Tally {
            seeds: 0,
            wrong: 0,
            datagrams: run.tape.len() as u64,
            packets: run.packets.len() as u64,
            calls: run.agents.len() as u64 / 2,
            answered: counters.clone().map(|of| of.calls_answered).sum(),
            handed_over: counters.map(|of| of.foreign).sum(),
        }
    }

    fn of_scene(played: &Played) -> Tally {
        let counters = played.counters.iter();
        let invites = played.lived.iter().map(|it| u64::from(it.invites));
        Tally {
            calls: invites.sum(),
            answered: counters.clone().map(|of| of.calls_answered).sum(),
            datagrams: played.tape.len() as u64,
            handed_over: counters.map(|of| of.foreign).sum(),
            ..Tally::default()
        }
    }

    fn add(&mut self, other: &Tally) {
        self.seeds += other.seeds;
        self.wrong += other.wrong;
        self.calls += other.calls;
        self.answered += other.answered;
        self.datagrams += other.datagrams;
        self.packets += other.packets;
        self.handed_over += other.handed_over;
    }

    fn print(&self, seconds: f64) {
        let Tally {
            seeds,
            wrong,
            calls,
            answered,
            datagrams,
            packets,
            handed_over,
        } = self;
        let rate = *seeds as f64 / seconds.max(1e-9);
        println!(
            "{seeds} seeds, {wrong} went wrong; {calls} calls, {answered} answered, {datagrams} \
             datagrams, {packets} packets, {handed_over} handed over; {seconds:.1} s, {rate:.0} seeds/s"
        );
    }
}
