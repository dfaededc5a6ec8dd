//! `register --bindings`: very many bindings on the router with its journal. They register, their memory is read, the router
//! is killed (SIGKILL) and started again: the time from its start to the first query that is answered with a binding, the
//! memory of bindings alone (no transaction has ever been), and whether every phone asked for is still there.

use std::io::{self, Write};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use memchr::memmem;
use serde::Serialize;

use super::load::{RegisterLoad, Stretch, StretchReport};
use super::phones::{DOMAIN, Errand, user_name};
use super::registrars::Registrar;
use super::{RegisterArgs, verdict};
use crate::cli::local_for;
use crate::probe::Probe;
use crate::procfs::load_average;
use crate::report::{mebibytes, write_json};
use crate::servers::{Server, wait_free};
use crate::suite::{note, run_directory};

/// The goal for a start with a million bindings.
const START_GOAL_S: f64 = 3.0;
/// Longer than the journal waits before it writes, and than the write takes.
const WRITTEN: Duration = Duration::from_secs(3);
/// Phones asked for after the restart, evenly spread.
const ASKED: u32 = 20_000;
/// How long the first answer is waited for.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Between two queries while nobody answers.
const PATIENCE: Duration = Duration::from_millis(5);

/// What so many bindings cost.
#[derive(Clone, Debug, Serialize)]
struct ManyReport {
    users: u32,
    bindings: u32,
    shards: u16,
    /// With the users and no binding.
    resident_empty: u64,
    /// When all had registered, transactions that linger among it.
    resident_registered: u64,
    /// After the restart, when the first query was answered.
    resident_restarted: u64,
    /// Growth from empty to restarted, per binding.
    bytes_per_binding: f64,
    /// The same for each shard's copy.
    bytes_per_binding_and_shard: f64,
    journal_bytes: u64,
    /// From the start of the process with no binding to its first answer, whatever it says.
    start_empty_s: f64,
    /// From the start of the process to the first answer that names a binding.
    restart_s: f64,
    load_average: Option<f64>,
    registered: StretchReport,
    asked: StretchReport,
}

/// Runs the command; success when all bindings were made, none is lost, and the start met its goal.
pub(super) fn run(args: &RegisterArgs) -> io::Result<ExitCode> {
    let directory = run_directory(&args.runs, "bindings");
    std::fs::create_dir_all(&directory)?;
    let directory = directory.canonicalize()?;
    let report = measure(args, &directory)?;
    report.print(&mut io::stdout().lock())?;
    write_json(&directory, "bindings.json", &report)?;
    let clean = report.registered.failed == 0 && report.asked.failed == 0;
    Ok(verdict(clean && report.restart_s < START_GOAL_S))
}

fn measure(args: &RegisterArgs, directory: &Path) -> io::Result<ManyReport> {
    let (phones, port) = (args.phones(), args.target.port());
    let (server, start_empty_s) = start(args, directory, "SIP/2.0 200")?;
    let probe = Probe::new(Some(server.pid()), port);
    let resident_empty = probe.snapshot().resident_bytes();
    let mut load = RegisterLoad::open(&args.options(Registrar::TipringJournal))?;
    note(&format!("{} bindings register", phones.count));
    let registered = load.run(&args.first(), &probe)?;
    std::thread::sleep(WRITTEN);
    let resident_registered = probe.snapshot().resident_bytes();
    server.kill()?;
    let journal_bytes = bytes_of(&directory.join("journal"))?;
    let (server, restart_s) = start(args, directory, "\r\nContact: ")?;
    let probe = Probe::new(Some(server.pid()), port);
    // Before the queries, whose transactions linger.
    let resident_restarted = probe.snapshot().resident_bytes();
    note("they are asked for");
    let asked = load.run(&query(args), &probe)?;
    let grown = resident_restarted as f64 - resident_empty as f64;
    let bytes_per_binding = grown / f64::from(phones.count);
    Ok(ManyReport {
        users: phones.users,
        bindings: phones.count,
        shards: args.shards,
        resident_empty,
        resident_registered,
        resident_restarted,
        bytes_per_binding,
        bytes_per_binding_and_shard: bytes_per_binding / f64::from(args.shards.max(1)),
        journal_bytes,
        start_empty_s,
        restart_s,
        load_average: load_average(),
        registered,
        asked,
    })
}

fn query(args: &RegisterArgs) -> Stretch {
    let phones = args.phones().count;
    let asked = phones.min(ASKED);
    Stretch {
        name: "query",
        errand: Errand::Query,
        count: u64::from(asked),
        rate: args.rate.min(5_000.0),
        step: phones / asked,
    }
}

/// Starts the router; the seconds until it answers a query for the last user with `words` in it.
fn start(args: &RegisterArgs, directory: &Path, words: &str) -> io::Result<(Server, f64)> {
    let mut launch = args.launch(Registrar::TipringJournal, directory)?;
    let socket = UdpSocket::bind(SocketAddr::new(local_for(args.target), 0))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let user = user_name(args.phones().users - 1);
    wait_free(&launch.ports)?;
    let begun = Instant::now();
    let mut server = Server::spawn(&mut launch)?;
    let mut cseq = 0;
    while begun.elapsed() < START_LIMIT {
        cseq += 1;
        let query = asking(&user, cseq, socket.local_addr()?);
        // Nobody listens there yet: an ICMP error of an earlier one is no answer.
        let _ = socket.send_to(query.as_bytes(), args.target);
        let mut answer = [0; 2_000];
        let answered = socket.recv(&mut answer).unwrap_or(0);
        if memmem::find(&answer[..answered], words.as_bytes()).is_some() {
            return Ok((server, begun.elapsed().as_secs_f64()));
        }
        if answered == 0 {
            server.still_runs(&launch)?;
            std::thread::sleep(PATIENCE / 5);
        }
    }
    Err(io::Error::other(format!(
        "the router does not answer with {words:?} for {START_LIMIT:?}"
    )))
}

fn asking(user: &str, cseq: u32, local: SocketAddr) -> String {
    let run = local.port();
    format!(
        "REGISTER sip:{DOMAIN} SIP/2.0\r\n\
         Via: SIP/2.0/UDP {local};rport;branch=z9hG4bKask-{run}-{cseq}\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:{user}@{DOMAIN}>;tag=ask\r\n\
         To: <sip:{user}@{DOMAIN}>\r\n\
         Call-ID: ask-{run}@bench\r\n\
         CSeq: {cseq} REGISTER\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

/// Bytes of all files of a directory.
fn bytes_of(directory: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(directory)? {
        sum += entry?.metadata()?.len();
    }
    Ok(sum)
}

impl ManyReport {
    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        self.registered.print(out)?;
        self.asked.print(out)?;
        writeln!(
            out,
            "RSS        {} users {:.1} MiB; with {} bindings registered {:.1}, restarted {:.1}",
            self.users,
            mebibytes(self.resident_empty),
            self.bindings,
            mebibytes(self.resident_registered),
            mebibytes(self.resident_restarted)
        )?;
        writeln!(
            out,
            "binding    {:.0} bytes resident, {:.0} for each of {} shards; journal {:.1} MiB",
            self.bytes_per_binding,
            self.bytes_per_binding_and_shard,
            self.shards,
            mebibytes(self.journal_bytes)
        )?;
        writeln!(
            out,
            "start      {:.2} s with no binding, {:.2} s with all (goal: under {START_GOAL_S} s); load average {:.1}",
            self.start_empty_s,
            self.restart_s,
            self.load_average.unwrap_or(f64::NAN)
        )
    }
}
