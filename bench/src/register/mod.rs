//! `register`: phones that register and register again at a fixed rate, each with a binding of its own, against the router
//! with and without digest and journal, and with `--compare` against Kamailio's registrar, in interleaved rounds. With
//! `--bindings` very many bindings on the router alone: what one costs in memory, and how long a restart takes.

mod digest;
mod load;
mod many;
mod phones;
mod registrars;
mod table;
mod tally;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::cli::{SUITE_TICK_US, local_for, positive, settle};
use crate::io::interrupted;
use crate::probe::Probe;
use crate::procfs::load_average;
use crate::report::write_json;
use crate::servers::{Launch, Server};
use crate::suite::{note, run_directory};
use digest::Algorithm;
use load::{RegisterLoad, RegisterOptions, Stretch, StretchReport};
use phones::Errand;
use registrars::Registrar;

/// `register`.
#[derive(Args, Clone, Debug)]
pub(crate) struct RegisterArgs {
    /// Kamailio's registrar too.
    #[arg(long)]
    pub(crate) compare: bool,
    /// Hold so many bindings, one of each of so many users, on the router with its journal; kill it and start it again.
    #[arg(long, value_name = "BINDINGS")]
    pub(crate) bindings: Option<u32>,
    /// Users that register.
    #[arg(long, default_value_t = 100_000)]
    pub(crate) users: u32,
    /// Phones of each user.
    #[arg(long, default_value_t = 1)]
    pub(crate) contacts: u32,
    /// Registrations per second.
    #[arg(long, default_value_t = 5_000.0, value_parser = positive)]
    pub(crate) rate: f64,
    /// Seconds of refreshes, after every phone has registered.
    #[arg(long, default_value_t = 20.0, value_parser = positive)]
    pub(crate) duration: f64,
    /// Rounds; the table shows medians.
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: usize,
    /// The digest's hash function.
    #[arg(long, value_name = "NAME", default_value = "MD5")]
    pub(crate) algorithm: Algorithm,
    /// Only these.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) only: Vec<Registrar>,
    /// Shards of the router. More than one is not pinned to the server's CPU.
    #[arg(long, default_value_t = 1)]
    pub(crate) shards: u16,
    /// The router's binary.
    #[arg(long, value_name = "FILE", default_value = "target/release/tipring")]
    pub(crate) router: PathBuf,
    /// Kamailio's binary.
    #[arg(long, value_name = "FILE", default_value = "kamailio")]
    pub(crate) kamailio: PathBuf,
    /// Directory of Kamailio's configurations.
    #[arg(long, value_name = "DIR", default_value = "bench/kamailio")]
    pub(crate) kamailio_configs: PathBuf,
    /// CPU the servers are pinned to.
    #[arg(long, default_value_t = 0)]
    pub(crate) server_cpu: usize,
    /// CPU of the generator.
    #[arg(long, default_value_t = 1)]
    pub(crate) cpu: usize,
    /// Where the servers listen.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:5070")]
    pub(crate) target: SocketAddr,
    /// Sockets of the phones.
    #[arg(long, default_value_t = 4)]
    pub(crate) sockets: usize,
    /// Length of a generator turn in microseconds.
    #[arg(long, default_value_t = SUITE_TICK_US)]
    pub(crate) tick_us: u64,
    /// Where the raw runs are stored, in a directory of their own.
    #[arg(long, value_name = "DIR", default_value = "bench/runs")]
    pub(crate) runs: PathBuf,
}

/// How many phones of how many users.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PhoneCount {
    users: u32,
    contacts: u32,
    count: u32,
}

impl RegisterArgs {
    fn phones(&self) -> PhoneCount {
        let contacts = self.contacts.max(1);
        let users = match self.bindings {
            Some(bindings) => bindings.div_ceil(contacts),
            None => self.users,
        };
        PhoneCount {
            users: users.max(1),
            contacts,
            count: users.max(1).saturating_mul(contacts),
        }
    }

    fn options(&self, registrar: Registrar) -> RegisterOptions {
        let phones = self.phones();
        RegisterOptions {
            target: self.target,
            local: SocketAddr::new(local_for(self.target), 0),
            sockets: self.sockets.clamp(1, 1024),
            phones: (phones.count, phones.contacts),
            algorithm: registrar.asks_for_proof().then_some(self.algorithm),
            tick: Duration::from_micros(self.tick_us),
        }
    }

    /// Every phone registers for the first time.
    fn first(&self) -> Stretch {
        Stretch {
            name: "new",
            errand: Errand::Register,
            count: u64::from(self.phones().count),
            rate: self.rate,
            step: 1,
        }
    }

    /// They register again, each in its turn.
    fn again(&self) -> Stretch {
        Stretch {
            name: "refresh",
            count: (self.rate * self.duration).round() as u64,
            ..self.first()
        }
    }

    fn launch<'a>(&self, registrar: Registrar, directory: &'a Path) -> io::Result<Launch<'a>> {
        Ok(Launch {
            name: registrar.name(),
            command: registrar.command(self, directory)?,
            ports: self.target.port()..=self.target.port(),
            server_cpu: (self.shards == 1).then_some(self.server_cpu),
            own_cpu: self.cpu,
            directory,
        })
    }
}

/// One registrar in one round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RoundReport {
    registrar: &'static str,
    users: u32,
    bindings: u32,
    algorithm: Option<Algorithm>,
    stretches: Vec<StretchReport>,
    /// Growth of the resident memory while the phones registered, per binding; transactions that linger are in it.
    bytes_per_binding: f64,
    /// Processes that wanted a CPU over the last minute, when the round ended.
    load_average: Option<f64>,
}

/// Runs the command; success when nothing failed and nothing was dropped.
pub(crate) fn run(args: &RegisterArgs) -> io::Result<ExitCode> {
    settle(args.cpu);
    if args.bindings.is_some() {
        return many::run(args);
    }
    let chosen: &[Registrar] = match args.compare {
        true => &Registrar::ALL,
        false => &Registrar::OWN,
    };
    let chosen = chosen
        .iter()
        .filter(|one| args.only.is_empty() || args.only.contains(one));
    let chosen: Vec<Registrar> = chosen.copied().collect();
    let directory = run_directory(&args.runs, "register");
    let mut rounds: Vec<RoundReport> = Vec::new();
    for round in 1..=args.rounds.max(1) {
        for &registrar in &chosen {
            if interrupted() {
                break;
            }
            note(&format!(
                "round {round} of {}: {}",
                args.rounds,
                registrar.name()
            ));
            let place = directory.join(format!("{}-{round}", registrar.name()));
            rounds.push(measure(registrar, args, &place)?);
        }
    }
    let rows = table::rows(&chosen, &rounds);
    let out = &mut io::stdout().lock();
    writeln!(out, "{}", table::table(&rows))?;
    writeln!(
        out,
        "{} users, {} phones of each, {:.0} registrations per second; raw run in {}",
        args.phones().users,
        args.phones().contacts,
        args.rate,
        directory.display()
    )?;
    write_json(&directory, "summary.json", &rows)?;
    let stretches = || rounds.iter().flat_map(|round| &round.stretches);
    Ok(verdict(stretches().all(StretchReport::is_clean)))
}

fn verdict(clean: bool) -> ExitCode {
    match clean {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(2),
    }
}

fn measure(registrar: Registrar, args: &RegisterArgs, place: &Path) -> io::Result<RoundReport> {
    std::fs::create_dir_all(place)?;
    let place = place.canonicalize()?;
    let server = Server::launch(args.launch(registrar, &place)?)?;
    let probe = Probe::new(Some(server.pid()), args.target.port());
    let options = args.options(registrar);
    let mut load = RegisterLoad::open(&options)?;
    let stretches = vec![
        load.run(&args.first(), &probe)?,
        load.run(&args.again(), &probe)?,
    ];
    let phones = args.phones();
    let report = RoundReport {
        registrar: registrar.name(),
        users: phones.users,
        bindings: phones.count,
        algorithm: options.algorithm,
        bytes_per_binding: grown(&stretches[0]) / f64::from(phones.count),
        stretches,
        load_average: load_average(),
    };
    write_json(&place, "report.json", &report)?;
    let out = &mut io::stdout().lock();
    writeln!(out, "== {}", registrar.name())?;
    for stretch in &report.stretches {
        stretch.print(out)?;
    }
    Ok(report)
}

fn grown(stretch: &StretchReport) -> f64 {
    let server = &stretch.server;
    server.resident_bytes_after as f64 - server.resident_bytes_before as f64
}
