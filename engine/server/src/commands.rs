//! What each command does, short of carrying calls: it loads, asks the rooms below, and prints.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};

use reactor::{affinity, probe};
use router::rdb::{self, Table};

use crate::cli;
use crate::config::{self, Config, Environment, LoadError, Loaded, Origin};
use crate::housekeeping::journal;
use crate::launch::{self, Engine, LaunchError, Steered};
use crate::letter::Notice;
use crate::{
    doctor, effective, housekeeping, keys, lent_ports, logging, modes, plan, report, service,
    supervisor, top,
};

/// Does what was asked and says how it went.
pub(crate) fn execute(command: cli::Command) -> ExitCode {
    match command {
        cli::Command::Run(arguments) => run(arguments),
        cli::Command::Check(arguments) => check(arguments.config.as_deref()),
        cli::Command::Route(arguments) => route(&arguments),
        cli::Command::Doctor(arguments) => doctor(arguments.config.as_deref()),
        cli::Command::Report(arguments) => match report::report(&arguments) {
            Ok(text) => say(&text),
            Err(error) => fail(&error),
        },
        cli::Command::Top(arguments) => match top::top(&arguments) {
            Ok(text) => say(&text),
            Err(error) => fail(&error),
        },
        cli::Command::Journal(cli::Journal::Inspect(arguments)) => inspect(&arguments),
        cli::Command::Config(cli::Config::Schema) => say(&schema()),
        cli::Command::Config(cli::Config::Default) => say(config::BUILT_IN),
        cli::Command::Version => say(&format!("tipring {}\n", env!("CARGO_PKG_VERSION"))),
    }
}

/// The configuration as it stands in the file, or built in, and in this process's environment.
fn load(path: Option<&Path>) -> Result<Loaded, LoadError> {
    config::load(path, &Environment::of_process())
}

/// Prints. A reader that has gone away (`tipring check | head`) is no error of ours.
fn say(text: &str) -> ExitCode {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    ExitCode::SUCCESS
}

/// Says why it did not work.
fn fail(reason: &dyn std::fmt::Display) -> ExitCode {
    let _ = writeln!(std::io::stderr().lock(), "{reason}");
    ExitCode::FAILURE
}

// --- run

fn run(arguments: cli::Run) -> ExitCode {
    let loaded = match load(arguments.config.as_deref()) {
        Ok(loaded) => loaded,
        Err(error) => return fail(&error),
    };
    logging::start(&loaded.config.log, arguments.verbose);
    match start(&loaded, arguments.sip_trace) {
        Ok((engine, notices)) => {
            announce(&loaded, &engine);
            service::ready("running");
            supervisor::supervise(engine, loaded, arguments.config, &notices)
        }
        Err(error) => fail(&format!(
            "error: {error}\n`tipring doctor` shows what this machine allows"
        )),
    }
}

fn start(loaded: &Loaded, sip_trace: bool) -> Result<(Engine, Receiver<Notice>), LaunchError> {
    let (tell, notices) = mpsc::channel();
    supervisor::take_signals(tell.clone()).map_err(LaunchError::Thread)?;
    Ok((launch::launch(loaded, sip_trace, tell)?, notices))
}

fn announce(loaded: &Loaded, engine: &Engine) {
    let udp = &loaded.config.udp;
    if let (Steered::HandOver(reason), config::SteeringMode::Auto) = (&engine.steered, udp.steering)
    {
        tracing::warn!(
            reason,
            "no steering in the kernel: shards hand datagrams over"
        );
    }
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        config = %loaded.origin,
        shards = engine.shards.len(),
        cpus = ?engine.places.iter().flatten().collect::<Vec<_>>(),
        listen = ?engine.addresses,
        steering = engine.steered.name(),
        coalesce = config::word(&udp.coalesce),
        media_pairs = engine.media_pairs,
        rdb = %loaded.rdb,
        records = loaded.table.len(),
        environment = loaded.overrides.variables().join(" "),
        "started"
    );
    for mode in modes::sentences(&loaded.config) {
        tracing::info!("{mode}");
    }
    for warning in modes::warnings(&loaded.config) {
        tracing::warn!("{warning}");
    }
    warn_of_records(loaded);
}

fn warn_of_records(loaded: &Loaded) {
    for remark in loaded.table.warnings() {
        tracing::warn!("{}: {remark}", loaded.rdb);
    }
    if let Some(warning) = plan::media_warning(&loaded.config, loaded) {
        tracing::warn!("{warning}");
    }
}

// --- check

fn check(path: Option<&Path>) -> ExitCode {
    match load(path) {
        Ok(loaded) => match loaded.key_file().map(|file| keys::read(&file)) {
            Some(Err(error)) => fail(&format!("error: {error}")),
            _ => say(&summary(&loaded)),
        },
        Err(error) => fail(&error),
    }
}

/// What a configuration amounts to on this machine.
fn summary(loaded: &Loaded) -> String {
    let config = &loaded.config;
    let mut out = String::new();
    let mut line = |what: &str, value: &dyn std::fmt::Display| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{what:<10}{value}");
    };
    line("config", &loaded.origin);
    line("shards", &shards(loaded));
    for listen in &config.listen {
        let advertised = listen.advertise.as_ref();
        let advertised = advertised.map(|host| format!(", advertised as {host}"));
        line(
            "listen",
            &format!("udp {}{}", listen.address, advertised.unwrap_or_default()),
        );
    }
    for peer in &config.peer {
        let media = peer.media.as_ref();
        let media = media.map(|mode| format!(", media {}", config::word(mode)));
        let networks: Vec<String> = peer.addresses.iter().map(ToString::to_string).collect();
        line(
            "peer",
            &format!(
                "{} ({}{}{}): {}",
                peer.name,
                config::word(&peer.class),
                media.unwrap_or_default(),
                if peer.trusted { ", trusted" } else { "" },
                networks.join(", ")
            ),
        );
    }
    line(
        "udp",
        &format!(
            "coalesce {}, steering {}",
            config::word(&config.udp.coalesce),
            config::word(&config.udp.steering)
        ),
    );
    line("media", &media(config));
    let limits = &config.limits;
    line(
        "limits",
        &format!(
            "{} calls, {} transactions",
            limits.calls, limits.transactions
        ),
    );
    let metrics = config
        .metrics
        .address
        .map_or("off".to_owned(), |address| format!("http://{address}"));
    line("metrics", &metrics);
    line("journal", &journal_sentence(loaded));
    line(
        "rdb",
        &format!("{}, {}", loaded.rdb, records(&loaded.table)),
    );
    for mode in modes::sentences(config) {
        line("mode", &mode);
    }
    for warning in modes::warnings(config) {
        line("warning", &warning);
    }
    for remark in loaded.table.warnings() {
        line("warning", &format!("{}: {remark}", loaded.rdb));
    }
    if let Some(warning) = plan::media_warning(&loaded.config, loaded) {
        line("warning", &warning);
    }
    if let Some(warning) = lent_ports::warning(config) {
        line("warning", &warning);
    }
    format!(
        "{out}\n{}\n\nok\n",
        effective::table(&config::settings(loaded))
    )
}

fn media(config: &Config) -> String {
    let media = &config.media;
    let Some(ports) = media.ports else {
        return "off".to_owned();
    };
    let show = |address: &config::MediaAddress| match address.advertise {
        Some(advertise) => format!("{} advertised as {advertise}", address.bind),
        None => address.bind.to_string(),
    };
    let addresses = media.addresses(&config.listen);
    let addresses: Vec<String> = addresses.iter().map(show).collect();
    format!(
        "ports {ports} at {}, latching {}, timeout {} s",
        addresses.join(" and "),
        config::word(&media.latching),
        media.timeout_s
    )
}

fn journal_sentence(loaded: &Loaded) -> String {
    match loaded.journal_directory() {
        Some(directory) => format!(
            "{}, written every {} ms",
            directory.display(),
            loaded.config.journal.commit_ms
        ),
        None if !loaded.config.journal.enabled => "off".to_owned(),
        None => "off: journal.directory is not set, and there is no STATE_DIRECTORY".to_owned(),
    }
}

fn records(table: &Table) -> String {
    match table.len() {
        1 => "1 record".to_owned(),
        records => format!("{records} records"),
    }
}

fn shards(loaded: &Loaded) -> String {
    let allowed = affinity::allowed_cpus().unwrap_or_default();
    match plan::places(&loaded.config, &allowed) {
        Ok(places) => {
            let cpus: Vec<String> = places.iter().flatten().map(usize::to_string).collect();
            format!("{} on CPUs {}", places.len(), cpus.join(" "))
        }
        Err(error) => format!("not on this machine: {error}"),
    }
}

// --- route

fn route(arguments: &cli::Route) -> ExitCode {
    match table(arguments.rdb.clone(), arguments.config.as_deref()) {
        Ok((table, modes)) => explain(&table, &modes, &arguments.number),
        Err(error) => fail(&error),
    }
}

/// The routing DB, and what the configuration around it does to calls.
fn table(
    rdb: Option<PathBuf>,
    path: Option<&Path>,
) -> Result<(Arc<Table>, Vec<String>), LoadError> {
    match rdb {
        Some(rdb) => Ok((config::load_rdb(&Origin::File(rdb))?, Vec::new())),
        None => load(path).map(|loaded| (loaded.table, modes::sentences(&loaded.config))),
    }
}

fn explain(table: &Arc<Table>, modes: &[String], number: &str) -> ExitCode {
    let explanation = rdb::explain(table, number);
    let modes: String = modes
        .iter()
        .map(|mode| format!("\n  mode          {mode}"))
        .collect();
    say(&format!("{explanation}{modes}\n"));
    match explanation.winner {
        Some(_) => ExitCode::SUCCESS,
        None => ExitCode::FAILURE,
    }
}

// --- doctor, config

fn doctor(path: Option<&Path>) -> ExitCode {
    let loaded = match load(path) {
        Ok(loaded) => loaded,
        Err(error) => return fail(&error),
    };
    let allowed = affinity::allowed_cpus().unwrap_or_default();
    let shards = plan::places(&loaded.config, &allowed).map_or(1, |places| places.len());
    let (reactor, udp) = (
        plan::reactor(&loaded.config, shards),
        plan::udp(&loaded.config),
    );
    let mut findings = probe::findings(&reactor, &udp, shards);
    let logs = loaded.latency_directory();
    findings.extend(logs.map(|directory| housekeeping::finding(&directory)));
    findings.extend(lent_ports::finding(&loaded.config));
    let journal = loaded.journal_directory();
    findings.extend(journal.map(|directory| journal::finding(&directory)));
    say(&format!(
        "{}\n\n{}\n{}",
        doctor::table(&findings),
        doctor::verdict(&findings),
        lines(&modes::sentences(&loaded.config))
    ));
    match findings
        .iter()
        .any(|finding| finding.severity == probe::Severity::Fail)
    {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

// --- journal

fn inspect(arguments: &cli::Inspect) -> ExitCode {
    let form = journal::Form {
        json: arguments.json,
        records: arguments.records,
    };
    match journal::inspect(&arguments.path, form) {
        Ok((text, true)) => say(&text),
        Ok((text, false)) => {
            say(&text);
            ExitCode::FAILURE
        }
        Err(error) => fail(&error),
    }
}

fn lines(sentences: &[String]) -> String {
    sentences
        .iter()
        .map(|sentence| format!("{sentence}\n"))
        .collect()
}

fn schema() -> String {
    let schema = schemars::schema_for!(config::Config);
    // A schema is made of strings, numbers and maps with string keys, which always have a JSON form.
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}
