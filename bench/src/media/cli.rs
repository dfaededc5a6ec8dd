//! What the media commands take.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cli::{LoadArgs, SUITE_TICK_US, positive};
use crate::media::generator::Rhythm;
use crate::media::packet::BYTES_MIN;
use crate::media::relay::Layout;
use crate::media::servers::Contender;

/// `media`, `media-compare`.
#[derive(Args, Clone, Debug)]
pub(crate) struct MediaArgs {
    /// The floor alone: the reactor relaying unread, without SIP.
    #[arg(long, conflicts_with = "compare")]
    pub(crate) floor: bool,
    /// Floor, router and rtpengine in interleaved rounds.
    #[arg(long)]
    pub(crate) compare: bool,
    /// Only these of the contenders.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) only: Vec<Contender>,
    /// Calls, all of them up during the whole measurement.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) calls: u16,
    /// RTP packets per second of each stream; every call has one each way.
    #[arg(long, default_value_t = 50.0, value_parser = positive)]
    pub(crate) pps: f64,
    /// Bytes of an RTP packet, header included.
    #[arg(long, default_value_t = 172, value_parser = clap::value_parser!(u16).range(BYTES_MIN as i64..=1_400))]
    pub(crate) bytes: u16,
    /// Seconds of media, warm-up included.
    #[arg(long, default_value_t = 14.0, value_parser = positive)]
    pub(crate) duration: f64,
    /// Seconds at the beginning that are not measured. By default beyond the 3 s in which relays learn where packets come from.
    #[arg(long, default_value_t = 4.0)]
    pub(crate) warmup: f64,
    /// Calls per second beside those with media, on the same shard (the router alone).
    #[arg(long, value_name = "RATE", value_parser = positive, conflicts_with_all = ["floor", "compare"])]
    pub(crate) caps: Option<f64>,
    /// Where the router writes its own latencies, every second, as `tipring report` reads them.
    #[arg(long, value_name = "DIR")]
    pub(crate) latency: Option<PathBuf>,
    /// Rounds; the table shows medians.
    #[arg(long, default_value_t = 1)]
    pub(crate) rounds: usize,
    /// Calls set up, and later ended, per second.
    #[arg(long, default_value_t = 500.0, value_parser = positive)]
    pub(crate) rate: f64,
    /// Pairs of media sockets of all callers, and as many of all callees.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) lanes: u16,
    /// First port of the relay under test, an even one; it gets four a call and a few more. Below the range the kernel hands
    /// out itself.
    #[arg(long, value_name = "PORT", default_value_t = 10_000, value_parser = even)]
    pub(crate) port_first: u16,
    /// The router's binary.
    #[arg(long, value_name = "FILE", default_value = "target/release/tipring")]
    pub(crate) router: PathBuf,
    /// rtpengine's binary.
    #[arg(long, value_name = "FILE", default_value = "rtpengine")]
    pub(crate) rtpengine: PathBuf,
    /// CPU the servers are pinned to.
    #[arg(long, default_value_t = 0)]
    pub(crate) server_cpu: usize,
    /// Where the router listens for SIP and rtpengine for its control protocol.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:5070")]
    pub(crate) target: SocketAddr,
    /// Where the router's metrics are.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:9070")]
    pub(crate) metrics: SocketAddr,
    /// Where the raw runs are stored, in a directory of their own.
    #[arg(long, value_name = "DIR", default_value = "bench/runs")]
    pub(crate) runs: PathBuf,
    /// File for the interval log of delays, tagged by contender, as `tipring report` reads it.
    #[arg(long, value_name = "FILE")]
    pub(crate) hlog: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

impl MediaArgs {
    /// Who is measured.
    pub(crate) fn contenders(&self) -> &'static [Contender] {
        match (self.floor, self.compare) {
            (true, _) => &[Contender::Floor],
            (false, true) => &Contender::ALL,
            (false, false) => &[Contender::Tipring],
        }
    }

    /// How packets are sent. They leave in bursts, as a network card's interrupts deliver them.
    pub(crate) fn rhythm(&self) -> Rhythm {
        Rhythm {
            packets_per_second: self.pps,
            bytes: self.bytes.into(),
            warmup_s: self.warmup.clamp(0.0, self.duration / 2.0),
            duration_s: self.duration,
            tick: Duration::from_micros(self.load.tick_us.unwrap_or(SUITE_TICK_US)),
        }
    }
}

/// RTP has even ports (RFC 3550 11).
fn even(text: &str) -> Result<u16, String> {
    match text.parse::<u16>() {
        Ok(port) if port > 0 && port % 2 == 0 => Ok(port),
        _ => Err("an even port is wanted".to_owned()),
    }
}

/// `relay`.
#[derive(Args, Clone, Debug)]
pub(crate) struct RelayArgs {
    /// Where to listen.
    #[arg(long, value_name = "IP")]
    pub(crate) address: IpAddr,
    /// First port; a call takes four.
    #[arg(long, value_name = "PORT")]
    pub(crate) port_first: u16,
    /// Calls.
    #[arg(long)]
    pub(crate) calls: u16,
    /// RTP addresses of the callers, each call's by its number in turn; RTCP goes one port above.
    #[arg(long, value_name = "IP:PORT", value_delimiter = ',', required = true)]
    pub(crate) callers: Vec<SocketAddr>,
    /// The same of the callees.
    #[arg(long, value_name = "IP:PORT", value_delimiter = ',', required = true)]
    pub(crate) callees: Vec<SocketAddr>,
}

impl RelayArgs {
    /// The sockets these words describe.
    pub(crate) fn layout(&self) -> Layout {
        Layout {
            address: self.address,
            port_first: self.port_first,
            calls: self.calls,
            peers: [self.callers.clone(), self.callees.clone()],
        }
    }
}
