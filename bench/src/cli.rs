//! The command line: what each command takes, and the values it is turned into.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser};

use crate::caller::Hold;
use crate::io::{pin, sharpen_sleep, watch_interrupts};
use crate::load::LoadOptions;
use crate::media::cli::{MediaArgs, RelayArgs};
use crate::overload::OverloadArgs;
use crate::register::RegisterArgs;
use crate::servers::Contender;
use crate::soak::{self, SoakArgs};
use crate::{calls, floor, hold, media, overload, register, suite};

/// Turn of the generator in a suite: at 10,000 calls per second 35 datagrams reach the server at a time.
pub(crate) const SUITE_TICK_US: u64 = 500;

/// Loads a SIP server as caller and callee at once, and measures what it costs.
#[derive(Debug, Parser)]
#[command(name = "tipring-bench", version)]
pub(crate) enum Command {
    /// Calls at a fixed rate, or the search for the highest one.
    Calls(CallsArgs),
    /// Builds calls up, holds them, tears them down: what a held call costs in memory.
    Hold(HoldArgs),
    /// What the datagrams of a call cost when they are forwarded unread, on the server's core.
    Floor(SuiteArgs),
    /// The router against the floor, without and with coalescing, in interleaved rounds: one table.
    Suite(SuiteArgs),
    /// The same with Kamailio beside it, stateful and stateless.
    Compare(SuiteArgs),
    /// Multiples of what the router carries, with admission control and without: its goodput.
    Overload(OverloadArgs),
    /// Forwards datagrams between callers and callee unread, until interrupted (the server side of `floor`).
    Reflect(ReflectArgs),
    /// Calls with RTP both ways through the router: loss, added delay, jitter, and what a relayed packet costs.
    Media(MediaArgs),
    /// The same as `media --compare`.
    MediaCompare(MediaArgs),
    /// Mixed load for a long time; then the router's memory must be what it was.
    Soak(SoakArgs),
    /// Phones that register, with and without digest and journal: what a REGISTER costs; Kamailio's registrar beside it; or very
    /// many bindings, and a restart with them.
    Register(RegisterArgs),
    /// Relays media unread between fixed addresses, until interrupted (the server side of `media --floor`).
    Relay(RelayArgs),
}

/// Where calls go and how the generator works; common to every command that makes calls.
#[derive(Args, Clone, Debug)]
pub(crate) struct LoadArgs {
    /// The callee's addresses, one socket each.
    #[arg(
        long,
        value_name = "IP:PORT",
        value_delimiter = ',',
        default_value = "127.0.0.1:5090"
    )]
    pub(crate) callee: Vec<SocketAddr>,
    /// Sockets of the caller.
    #[arg(long, default_value_t = 4)]
    pub(crate) callers: usize,
    /// The caller's own address; by default loopback for a loopback target.
    #[arg(long, value_name = "IP")]
    pub(crate) local: Option<IpAddr>,
    /// The called user; every `#` is a digit of the call's number.
    #[arg(long, default_value = "1555#######")]
    pub(crate) user: String,
    /// CPU to pin the generator to.
    #[arg(long, default_value_t = 1)]
    pub(crate) cpu: usize,
    /// Length of a generator turn in microseconds: it sends and receives once per tick. 0 polls without pause. By default 0,
    /// and 500 in floor, suite and compare.
    #[arg(long)]
    pub(crate) tick_us: Option<u64>,
    /// Send and receive one datagram at a time: no UDP_SEGMENT, no UDP_GRO.
    #[arg(long)]
    pub(crate) no_segment: bool,
    /// Calls at a time at most.
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) calls_max: usize,
}

impl LoadArgs {
    /// The options of a load against `target`.
    pub(crate) fn options(&self, target: SocketAddr, hold: Hold, warmup: Duration) -> LoadOptions {
        LoadOptions {
            target,
            callers: self.callers.clamp(1, 1024),
            callees: self.callee.clone(),
            local: self.local.unwrap_or_else(|| local_for(target)),
            user: self.user.clone(),
            hold,
            segment: !self.no_segment,
            tick: Duration::from_micros(self.tick_us.unwrap_or(0)),
            calls_max: self.calls_max,
            warmup,
            media: [Vec::new(), Vec::new()],
        }
    }
}

/// This host's own address towards a server on this host.
pub(crate) fn local_for(target: SocketAddr) -> IpAddr {
    match target.ip() {
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    }
}

/// `calls`.
#[derive(Args, Debug)]
pub(crate) struct CallsArgs {
    /// The server, or the callee's own address to measure the generator alone.
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) target: SocketAddr,
    /// Calls per second; with --max where the search begins.
    #[arg(long, default_value_t = 1_000.0, value_parser = positive)]
    pub(crate) rate: f64,
    /// Seconds in which calls are started (with --max, of each step).
    #[arg(long, default_value_t = 10.0, value_parser = positive)]
    pub(crate) duration: f64,
    /// Seconds at the beginning that are not measured.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) warmup: f64,
    /// Seconds from ACK to BYE.
    #[arg(long, default_value_t = 0.0)]
    pub(crate) hold: f64,
    /// Directory for report.json and setup.hlog.
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
    /// File for the interval log of latencies, as `tipring report` reads it.
    #[arg(long, value_name = "FILE")]
    pub(crate) hlog: Option<PathBuf>,
    /// The server's process; what it has forked counts too.
    #[arg(long, value_name = "PID")]
    pub(crate) server_pid: Option<u32>,
    /// Search the highest rate with under 0.1 % failures and no drops.
    #[arg(long)]
    pub(crate) max: bool,
    /// With --max: rate never exceeded.
    #[arg(long, default_value_t = 150_000.0, value_parser = positive)]
    pub(crate) ceiling: f64,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

/// `hold`.
#[derive(Args, Debug)]
pub(crate) struct HoldArgs {
    /// The server, or the callee's own address.
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) target: SocketAddr,
    /// Calls to hold.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) calls: u64,
    /// Calls set up, and later ended, per second.
    #[arg(long, default_value_t = 5_000.0, value_parser = positive)]
    pub(crate) rate: f64,
    /// Seconds to hold; under 70 the memory of lingering transactions counts too.
    #[arg(long, default_value_t = 75.0, value_parser = positive)]
    pub(crate) hold: f64,
    /// Directory for hold.json.
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
    /// The server's process.
    #[arg(long, value_name = "PID")]
    pub(crate) server_pid: Option<u32>,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

/// `floor`, `suite` and `compare`: servers started here, each on the server's core, in interleaved rounds.
#[derive(Args, Clone, Debug)]
pub(crate) struct SuiteArgs {
    /// The router's binary.
    #[arg(long, value_name = "FILE", default_value = "target/release/tipring")]
    pub(crate) router: PathBuf,
    /// Kamailio's binary.
    #[arg(long, value_name = "FILE", default_value = "kamailio")]
    pub(crate) kamailio: PathBuf,
    /// Directory of Kamailio's configurations.
    #[arg(long, value_name = "DIR", default_value = "bench/kamailio")]
    pub(crate) kamailio_configs: PathBuf,
    /// Only these of the contenders.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) only: Vec<Contender>,
    /// CPU the servers are pinned to.
    #[arg(long, default_value_t = 0)]
    pub(crate) server_cpu: usize,
    /// Where the servers listen.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:5070")]
    pub(crate) target: SocketAddr,
    /// Rounds; the table shows medians.
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: usize,
    /// Calls per second.
    #[arg(long, default_value_t = 10_000.0, value_parser = positive)]
    pub(crate) rate: f64,
    /// Seconds of each contender in each round, warm-up included.
    #[arg(long, default_value_t = 10.0, value_parser = positive)]
    pub(crate) duration: f64,
    /// Seconds at the beginning that are not measured.
    #[arg(long, default_value_t = 2.0)]
    pub(crate) warmup: f64,
    /// The router's timers.trying_ms; 0 has it answer each INVITE with its own 100, so that a call is 14 datagrams.
    #[arg(long, default_value_t = 0)]
    pub(crate) trying_ms: u64,
    /// Also hold this many calls on the router once, for the bytes a held call costs.
    #[arg(long, value_name = "CALLS")]
    pub(crate) held: Option<u64>,
    /// Seconds to hold them.
    #[arg(long, default_value_t = 75.0, value_parser = positive)]
    pub(crate) hold: f64,
    /// Where the raw runs are stored, in a directory of their own.
    #[arg(long, value_name = "DIR", default_value = "bench/runs")]
    pub(crate) runs: PathBuf,
    /// File for the interval log of all rounds, tagged by contender, as `tipring report` reads it.
    #[arg(long, value_name = "FILE")]
    pub(crate) hlog: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

/// `reflect`.
#[derive(Args, Debug)]
pub(crate) struct ReflectArgs {
    /// Where to listen.
    #[arg(long, value_name = "IP:PORT")]
    listen: SocketAddr,
    /// The callee.
    #[arg(long, value_name = "IP:PORT")]
    callee: SocketAddr,
}

impl SuiteArgs {
    /// The options of the load on each contender. Datagrams come in bursts, as a network card's interrupts deliver them.
    pub(crate) fn options(&self, hold: Hold, warmup: Duration) -> LoadOptions {
        let tick = Duration::from_micros(self.load.tick_us.unwrap_or(SUITE_TICK_US));
        LoadOptions {
            tick,
            ..self.load.options(self.target, hold, warmup)
        }
    }
}

pub(crate) fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number > 0.0 => Ok(number),
        _ => Err("a number above zero is wanted".to_owned()),
    }
}

/// Pins the generator's thread; a CPU that is not there is a warning, since the figures lose their meaning but not all use.
pub(crate) fn settle(cpu: usize) {
    if let Err(error) = pin(cpu) {
        eprintln!("tipring-bench: not pinned to CPU {cpu}: {error}");
    }
    sharpen_sleep();
}

/// Runs the command.
pub(crate) fn run(command: &Command) -> io::Result<ExitCode> {
    watch_interrupts();
    match command {
        Command::Calls(args) => calls::run(args),
        Command::Hold(args) => hold::run(args),
        Command::Floor(args) => suite::run(args, "floor", &[Contender::Floor]),
        Command::Suite(args) => suite::run(args, "suite", &Contender::SUITE),
        Command::Compare(args) => suite::run(args, "compare", &Contender::ALL),
        Command::Overload(args) => overload::run(args),
        Command::Media(args) => media::run(args, args.contenders()),
        Command::MediaCompare(args) => media::run(args, &media::servers::Contender::ALL),
        Command::Soak(args) => soak::run(args),
        Command::Register(args) => register::run(args),
        Command::Relay(args) => media::relay::relay(&args.layout()).map(|()| ExitCode::SUCCESS),
        Command::Reflect(args) => {
            floor::reflect(args.listen, args.callee).map(|()| ExitCode::SUCCESS)
        }
    }
}
