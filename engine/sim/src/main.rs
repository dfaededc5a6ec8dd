//! `tipring-sim`: runs simulations by seed and says which went wrong.
//!
//! It is a tool at a terminal, not a pure room: it reads the clock for its rate and prints.
#![allow(
    clippy::disallowed_methods,
    reason = "a tool: the rate of seeds is measured by the clock"
)]
#![allow(
    clippy::print_stdout,
    reason = "a tool: what it prints is what it is for"
)]

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use tipring_sim::{Plan, Run, run};

/// Plays simulated calls through real shards in virtual time and checks what happened.
#[derive(Debug, Parser)]
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
    /// Print the plan and every message with its virtual time.
    #[arg(long)]
    trace: bool,
    /// Stop after so many seeds that went wrong.
    #[arg(long, default_value_t = 20)]
    failures: usize,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let seeds = match options.seed {
        Some(seed) => seed..=seed,
        None => options.first..=options.first + options.seeds.saturating_sub(1),
    };
    let (begin, mut tally) = (Instant::now(), Tally::default());
    for seed in seeds {
        let plan = Plan::random(seed);
        let outcome = run(&plan);
        if options.trace {
            println!("{plan:#?}\n{}", outcome.trace());
        }
        tally.count(&outcome);
        if !outcome.findings.is_empty() {
            print!(
                "seed {seed} went wrong (tipring-sim --seed {seed} --trace)\n{}",
                outcome.verdict()
            );
            if tally.wrong >= options.failures {
                break;
            }
        }
    }
    tally.print(begin.elapsed().as_secs_f64());
    ExitCode::from(u8::from(tally.wrong > 0))
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
    fn count(&mut self, run: &Run) {
        self.seeds += 1;
        self.wrong += usize::from(!run.findings.is_empty());
        self.datagrams += run.tape.len() as u64;
        self.packets += run.packets.len() as u64;
        self.calls += run.agents.len() as u64 / 2;
        for counters in &run.counters {
            self.answered += counters.calls_answered;
            self.handed_over += counters.foreign;
        }
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
