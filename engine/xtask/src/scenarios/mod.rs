//! `cargo xtask scenarios`: plays what sipp-scenarios/manifest.toml lists, a few at a time, one line each.

pub(crate) mod manifest;
mod rules;
mod scripts;
pub(crate) mod sipp;
mod stage;
mod trace;

use crate::failure::Failure;
use crate::house;
use crate::spawned;
use clap::Args;
use manifest::Scenario;
use stage::House;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

/// How to play the scenarios.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The router's binary.
    #[arg(long, required_unless_present_any = ["direct", "table"])]
    router: Option<PathBuf>,
    /// Let caller and callee talk without a router: shows that the scenario files themselves are right.
    #[arg(long, conflicts_with = "router")]
    direct: bool,
    /// Print the README's table instead of playing.
    #[arg(long)]
    table: bool,
    /// Play only scenarios whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// How many scenarios run at once.
    #[arg(long, default_value_t = 4)]
    jobs: usize,
    /// Shards of the router.
    #[arg(long, default_value_t = 2)]
    shards: usize,
    /// Keep all logs in this directory (else: those of failed scenarios, under target/scenario-logs).
    #[arg(long)]
    keep_logs: Option<PathBuf>,
}

/// Plays the chosen scenarios; true when all passed.
pub(crate) fn run(options: &Options) -> Result<bool, Failure> {
    let scenarios = manifest::read(&house::scenarios().join("manifest.toml"))?.scenario;
    if options.table {
        print_table(&scenarios);
        return Ok(true);
    }
    if !spawned::is_installed("sipp") {
        return Err(Failure::Check(
            "sipp is not installed (Debian: apt install sip-tester)".into(),
        ));
    }
    let house = house_of(options)?;
    let chosen: Vec<&Scenario> = scenarios.iter().filter(|s| options.chooses(s)).collect();
    let (alone, together): (Vec<&Scenario>, Vec<&Scenario>) = chosen.iter().partition(|s| s.alone);
    let passed = play_all(&house, &alone, 1) + play_all(&house, &together, options.jobs);
    println!("{passed} passed, {} failed", chosen.len() - passed);
    Ok(passed == chosen.len() && passed > 0)
}

impl Options {
    fn chooses(&self, scenario: &Scenario) -> bool {
        let playable = !self.direct || (scenario.direct && scenario.is_played_by_sipp());
        playable
            && self
                .only
                .as_ref()
                .is_none_or(|part| scenario.name.contains(part.as_str()))
    }
}

fn house_of(options: &Options) -> Result<House, Failure> {
    let absolute = |path: &PathBuf| {
        std::path::absolute(path).map_err(Failure::machine(format!("no path {}", path.display())))
    };
    let router = options.router.as_ref().map(absolute).transpose()?;
    if let Some(missing) = router.as_ref().filter(|path| !path.is_file()) {
        return Err(Failure::Check(format!(
            "there is no router at {}",
            missing.display()
        )));
    }
    let logs = options.keep_logs.as_ref().map(absolute).transpose()?;
    let keep = logs.is_some();
    Ok(House {
        router,
        shards: options.shards,
        logs: logs.unwrap_or_else(house::logs),
        keep,
    })
}

/// Plays with up to `jobs` at once; returns how many passed.
fn play_all(house: &House, scenarios: &[&Scenario], jobs: usize) -> usize {
    let next = AtomicUsize::new(0);
    let passed = AtomicUsize::new(0);
    let work = || {
        while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
            passed.fetch_add(
                usize::from(play_and_tell(house, scenario)),
                Ordering::Relaxed,
            );
        }
    };
    thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, scenarios.len().max(1)) {
            scope.spawn(work);
        }
    });
    passed.into_inner()
}

fn play_and_tell(house: &House, scenario: &Scenario) -> bool {
    let start = Instant::now();
    let outcome = stage::play(house, scenario);
    let seconds = start.elapsed().as_secs_f32();
    match &outcome {
        Ok(()) => println!("{:<34} ok     {seconds:5.1} s", scenario.name),
        Err(failure) => println!(
            "{:<34} FAILED {seconds:5.1} s  {failure}\n{:41}logs: {}",
            scenario.name,
            "",
            house.logs.join(&scenario.name).display()
        ),
    }
    outcome.is_ok()
}

fn print_table(scenarios: &[Scenario]) {
    println!("| scenario | caller, callee | what it proves | RFC |\n|---|---|---|---|");
    for scenario in scenarios {
        println!("{}", table_row(scenario));
    }
}

/// The scenario's row in sipp-scenarios/README.md.
fn table_row(scenario: &Scenario) -> String {
    let file = |folder: &str, name: &Option<String>| match name.as_deref() {
        Some("stock") => format!("stock {}", if folder == "caller" { "uac" } else { "uas" }),
        Some(name) => format!("{folder}/{name}.xml"),
        None => "none".into(),
    };
    let players = match &scenario.script {
        Some(script) => format!("script `{script}`"),
        None => {
            format!(
                "{}, {}",
                file("caller", &scenario.caller),
                file("callee", &scenario.callee)
            )
        }
    };
    let Scenario {
        name, proves, rfc, ..
    } = scenario;
    format!("| {name} | {players} | {proves} | {rfc} |")
}
