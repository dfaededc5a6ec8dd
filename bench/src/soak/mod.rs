//! `soak`: the router under mixed load for a long time. Good calls, half of them with steered media, beside whatever a network
//! throws at a router; then silence until every transaction has lingered out. Its memory must be what it was after the first,
//! short stretch of the same load, and its tables must be empty.

mod noise;
mod report;

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::Args;

use crate::caller::Hold;
use crate::cli::{LoadArgs, positive, settle};
use crate::drive::{Progress, drain, drops_since};
use crate::load::{Load, LoadOptions};
use crate::metrics::{self, Metrics};
use crate::probe::Probe;
use crate::report::write_json;
use crate::schedule::Schedule;
use crate::servers::{Launch, Server};
use crate::suite::run_directory;
use noise::Noise;
use report::{Sample, SoakReport};

/// Silence after load: transactions linger 64*T1 = 32 s, some for two such times (a 2xx nobody ACKs, then the BYE nobody answers).
const LINGER: Duration = Duration::from_secs(110);
/// The last calls may take this long to end.
const DRAIN_NS: u64 = 34_000_000_000;
/// The memory is read this often.
const SAMPLE_NS: u64 = 60_000_000_000;
/// Gauges that must read 0 after the silence.
const TABLES: [&str; 4] = [
    "tipring_calls",
    "tipring_server_transactions",
    "tipring_client_transactions",
    "tipring_media_streams",
];

/// `soak`.
#[derive(Args, Clone, Debug)]
pub(crate) struct SoakArgs {
    /// Minutes of load.
    #[arg(long, default_value_t = 30.0, value_parser = positive)]
    pub(crate) minutes: f64,
    /// Minutes of the same load before the memory is read the first time.
    #[arg(long, default_value_t = 3.0, value_parser = positive)]
    pub(crate) warm: f64,
    /// Calls per second.
    #[arg(long, default_value_t = 500.0, value_parser = positive)]
    pub(crate) rate: f64,
    /// Seconds from ACK to BYE.
    #[arg(long, default_value_t = 2.0, value_parser = positive)]
    pub(crate) hold: f64,
    /// Datagrams of noise per second: half-open calls, strays, garbage, requests that are refused.
    #[arg(long, default_value_t = 200.0, value_parser = positive)]
    pub(crate) noise: f64,
    /// Growth of the memory that is allowed, in percent. Tables keep the size of their fullest moment, which a
    /// stall of the machine may bring at any time; what leaks with each call is more than this in half an hour.
    #[arg(long, default_value_t = 3.0)]
    pub(crate) growth: f64,
    /// The router's binary.
    #[arg(long, value_name = "FILE", default_value = "target/release/tipring")]
    pub(crate) router: PathBuf,
    /// Shards of the router.
    #[arg(long, default_value_t = 2)]
    pub(crate) shards: u8,
    /// Where the router listens.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:5070")]
    pub(crate) target: SocketAddr,
    /// Where it tells its metrics.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:9071")]
    pub(crate) metrics: SocketAddr,
    /// Its media ports.
    #[arg(long, value_name = "LOW-HIGH", default_value = "20000-27999")]
    pub(crate) media: String,
    /// Where the run is stored, in a directory of its own.
    #[arg(long, value_name = "DIR", default_value = "bench/runs")]
    pub(crate) runs: PathBuf,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

impl SoakArgs {
    fn options(&self) -> LoadOptions {
        let hold = Hold::For((self.hold * 1e9) as u64);
        let tick = Duration::from_micros(self.load.tick_us.unwrap_or(1_000));
        LoadOptions {
            tick,
            ..self.load.options(self.target, hold, Duration::ZERO)
        }
    }
}

/// Runs the soak; success when good calls were carried, the tables are empty and the memory is what it was.
pub(crate) fn run(args: &SoakArgs) -> io::Result<ExitCode> {
    settle(args.load.cpu);
    let directory = run_directory(&args.runs, "soak");
    let mut soak = Soak::start(args, &directory)?;
    soak.stretch("warm up", args.warm)?;
    let begin = soak.silence()?;
    soak.stretch("soak", args.minutes)?;
    let end = soak.silence()?;
    let report = soak.report(begin, end);
    report.print(&mut io::stdout().lock())?;
    write_json(&directory, "soak.json", &report)?;
    Ok(if report.passed() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    })
}

struct Soak<'a> {
    args: &'a SoakArgs,
    // Before the server, so that nobody is called when it goes.
    load: Load,
    noise: Noise,
    probe: Probe,
    begun: crate::probe::Snapshot,
    samples: Vec<Sample>,
    _server: Server,
}

impl Soak<'_> {
    fn start<'a>(args: &'a SoakArgs, directory: &Path) -> io::Result<Soak<'a>> {
        crate::io::raise_open_files()?;
        fs::create_dir_all(directory)?;
        let directory = directory.canonicalize()?;
        let noise = Noise::open(args.target)?;
        let server = Server::launch(Launch {
            name: "tipring",
            command: router(args, noise.callees(), &directory)?,
            ports: args.target.port()..=args.target.port(),
            server_cpu: None,
            own_cpu: args.load.cpu,
            directory: &directory,
        })?;
        let probe = Probe::new(Some(server.pid()), args.target.port());
        Ok(Soak {
            args,
            load: Load::open(&args.options())?,
            noise,
            begun: probe.snapshot(),
            probe,
            samples: Vec::new(),
            _server: server,
        })
    }

    /// Load for so many minutes, then the end of its calls.
    fn stretch(&mut self, what: &'static str, minutes: f64) -> io::Result<()> {
        let total = (self.args.rate * minutes * 60.0) as u64;
        let begun_ns = self.load.now_ns();
        let mut starts = Schedule::new(begun_ns, self.args.rate, total);
        let noise_total = (self.args.noise * minutes * 60.0) as u64;
        let mut noises = Schedule::new(begun_ns, self.args.noise, noise_total);
        let mut progress = Progress::new(what, total);
        let mut next_sample_ns = begun_ns;
        while !starts.is_over() && !crate::io::interrupted() {
            let now_ns = self.load.turn(&mut starts, &mut Schedule::none())?;
            self.noise.turn(now_ns, &mut noises);
            if now_ns >= next_sample_ns {
                next_sample_ns = now_ns + SAMPLE_NS;
                self.sample(what);
            }
            progress.show(now_ns, self.load.counted.tally.attempts);
        }
        progress.finish();
        drain(&mut self.load, DRAIN_NS)
    }

    fn sample(&mut self, what: &'static str) {
        self.samples.push(Sample {
            at_s: self.load.now_ns() as f64 / 1e9,
            what,
            resident: self.probe.snapshot().resident_bytes(),
        });
    }

    /// Waits until everything has lingered out; returns the memory and the tables.
    fn silence(&mut self) -> io::Result<(u64, Metrics)> {
        let until_ns = self.load.now_ns() + LINGER.as_nanos() as u64;
        let mut progress = Progress::new("silence", LINGER.as_secs());
        while self.load.now_ns() < until_ns && !crate::io::interrupted() {
            let now_ns = self
                .load
                .turn(&mut Schedule::none(), &mut Schedule::none())?;
            self.noise.turn(now_ns, &mut Schedule::none());
            progress.show(
                now_ns,
                LINGER.as_secs() - (until_ns.saturating_sub(now_ns)) / 1_000_000_000,
            );
        }
        progress.finish();
        self.sample("silence");
        let tables = metrics::read(self.args.metrics, "tipring_")?;
        Ok((self.probe.snapshot().resident_bytes(), tables))
    }

    fn report(mut self, begin: (u64, Metrics), end: (u64, Metrics)) -> SoakReport {
        self.load.abandon();
        let now = self.probe.snapshot();
        let left = |metrics: &Metrics| {
            let read = |&name: &&str| Some((name.to_owned(), *metrics.get(name)?));
            TABLES.iter().filter_map(read).collect()
        };
        SoakReport {
            minutes: self.args.minutes,
            rate: self.args.rate,
            noise: self.noise.sent().clone(),
            resident_begin: begin.0,
            resident_end: end.0,
            growth_allowed: self.args.growth / 100.0,
            tables_end: left(&end.1),
            samples: std::mem::take(&mut self.samples),
            interrupted: crate::io::interrupted(),
            tally: self.load.counted.tally.clone(),
            drops: drops_since(&self.load, &self.begun, &now),
            cpu_share: now
                .usage_since(&self.begun, 1.0, self.load.now_ns() as f64 / 1e9)
                .cpu_share,
        }
    }
}

/// The router. Numbers that begin with 1 are good calls, with 8 lead to a callee whose caller has fallen silent, with 9 where
/// nobody answers; those that end with an even digit are steered.
fn router(
    args: &SoakArgs,
    [answering, void]: [SocketAddr; 2],
    directory: &Path,
) -> io::Result<Command> {
    let callee = args.load.callee.first();
    let callee = callee.ok_or_else(|| io::Error::other("calls need a callee"))?;
    let rdb = directory.join("rdb.json");
    let record = |pattern: &str, to: SocketAddr, more: &str| {
        format!(
            "{{\"userpartPattern\": \"{pattern}\", \"routingRecord\": {{\"outRuriHostport\": \"{to}\"{more}}}}}"
        )
    };
    let steered = ", \"steerMedia\": true";
    let records = [
        record("^9", void, ""),
        record("^8.*[02468]$", answering, steered),
        record("^8", answering, ""),
        record("^1.*[02468]$", *callee, steered),
        record("^1", *callee, ""),
    ];
    fs::write(&rdb, format!("[{}]\n", records.join(",\n ")))?;
    let config = directory.join("tipring.toml");
    let (shards, target, media, metrics) = (args.shards, args.target, &args.media, args.metrics);
    let text = format!(
        "[engine]\nshards = {shards}\n\n[[listen]]\ntransport = \"udp\"\naddress = \"{target}\"\n\n\
         [media]\nports = \"{media}\"\n\n[routing]\nrdb = \"{}\"\n\n[metrics]\naddress = \"{metrics}\"\n",
        rdb.display()
    );
    fs::write(&config, text)?;
    let mut command = Command::new(&args.router);
    command.arg("run").arg("--config").arg(config);
    Ok(command)
}
