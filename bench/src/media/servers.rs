//! The relays that are compared, each started on the server's core with a configuration of its own.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::Command;

use clap::ValueEnum;

use crate::media::beside;
use crate::media::cli::MediaArgs;
use crate::media::relay::{Layout, SOCKETS_PER_CALL};
use crate::servers::{Launch, Server};

/// Ports beyond what the calls need, for whoever does not give a port back at once.
const SPARE_PORTS: u16 = 256;

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Contender {
    /// The reactor alone.
    Floor,
    /// The router with steerMedia.
    Tipring,
    /// rtpengine in userspace, one worker thread.
    Rtpengine,
}

impl Contender {
    /// What `media-compare` compares.
    pub(crate) const ALL: [Contender; 3] =
        [Contender::Floor, Contender::Tipring, Contender::Rtpengine];

    /// The name in tables, tags and paths.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Contender::Floor => "floor",
            Contender::Tipring => "tipring",
            Contender::Rtpengine => "rtpengine",
        }
    }

    /// Starts it; `media` are the RTP addresses of callers and callees.
    pub(crate) fn start(
        self,
        args: &MediaArgs,
        media: &[Vec<SocketAddr>; 2],
        directory: &Path,
    ) -> io::Result<Server> {
        fs::create_dir_all(directory)?;
        let directory = directory.canonicalize()?;
        let port = args.target.port();
        let (command, ports) = match self {
            Contender::Floor => relay(args, media)?,
            Contender::Tipring => (router(args, &directory)?, port..=port),
            Contender::Rtpengine => (rtpengine(args)?, port..=port),
        };
        Server::launch(Launch {
            name: self.name(),
            command,
            ports,
            server_cpu: Some(args.server_cpu),
            own_cpu: args.load.cpu,
            directory: &directory,
        })
    }
}

/// The floor's sockets for these calls.
pub(crate) fn layout(args: &MediaArgs, media: &[Vec<SocketAddr>; 2]) -> Layout {
    Layout {
        address: args.target.ip(),
        port_first: args.port_first,
        calls: args.calls,
        peers: media.clone(),
    }
}

/// The ports a relay may use for media.
///
/// # Errors
/// There are not so many.
pub(crate) fn media_ports(args: &MediaArgs) -> io::Result<RangeInclusive<u16>> {
    let wanted = u32::from(args.calls) * u32::from(SOCKETS_PER_CALL) + u32::from(SPARE_PORTS);
    let last = u32::from(args.port_first) + wanted - 1;
    match u16::try_from(last) {
        Ok(last) => Ok(args.port_first..=last),
        Err(_) => Err(io::Error::other(format!(
            "{} calls need {wanted} ports from {}",
            args.calls, args.port_first
        ))),
    }
}

fn relay(
    args: &MediaArgs,
    media: &[Vec<SocketAddr>; 2],
) -> io::Result<(Command, RangeInclusive<u16>)> {
    let sockets = layout(args, media).sockets();
    let sockets = sockets.ok_or_else(|| io::Error::other("more calls than there are ports"))?;
    let [callers, callees] = media.each_ref().map(|addresses| {
        let words: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        words.join(",")
    });
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg("relay")
        .args(["--address", &args.target.ip().to_string()])
        .args(["--port-first", &args.port_first.to_string()])
        .args(["--calls", &args.calls.to_string()])
        .args(["--callers", &callers, "--callees", &callees]);
    Ok((command, args.port_first..=args.port_first + (sockets - 1)))
}

fn router(args: &MediaArgs, directory: &Path) -> io::Result<Command> {
    let callee = args.load.callee.first();
    let callee = callee.ok_or_else(|| io::Error::other("calls need a callee"))?;
    let rdb = directory.join("rdb.json");
    fs::write(&rdb, routing(*callee, beside::callee(args)?))?;
    let config = directory.join("tipring.toml");
    fs::write(&config, router_config(args, media_ports(args)?, &rdb))?;
    let mut command = Command::new(&args.router);
    command.arg("run").arg("--config").arg(config);
    Ok(command)
}

fn routing(callee: SocketAddr, beside: SocketAddr) -> String {
    let pattern = beside::PATTERN;
    format!(
        "[{{\"userpartPattern\": \"{pattern}\", \"routingRecord\": {{\"outRuriHostport\": \"{beside}\"}}}},\n \
         {{\"userpartPattern\": \"^.*$\", \"routingRecord\": {{\"outRuriHostport\": \"{callee}\", \"steerMedia\": true}}}}]\n"
    )
}

fn router_config(args: &MediaArgs, ports: RangeInclusive<u16>, rdb: &Path) -> String {
    let (cpu, target, metrics) = (args.server_cpu, args.target, args.metrics);
    let (address, first, last) = (target.ip(), ports.start(), ports.end());
    let all = if address.is_ipv4() { 32 } else { 128 };
    let latency = args
        .latency
        .as_ref()
        .and_then(|path| std::path::absolute(path).ok());
    let latency = latency.map_or(String::new(), |path| {
        format!(
            "\n[latency]\ndirectory = \"{}\"\ninterval_s = 1\n",
            path.display()
        )
    });
    format!(
        "[engine]\nshards = 1\ncpus = [{cpu}]\n\n\
         [[listen]]\ntransport = \"udp\"\naddress = \"{target}\"\n\n\
         [media]\nports = \"{first}-{last}\"\n\n\
         [[peer]]\nname = \"load\"\naddresses = [\"{address}/{all}\"]\nclass = \"trunk\"\n\n\
         [routing]\nrdb = \"{}\"\n\n\
         [metrics]\naddress = \"{metrics}\"\n{latency}",
        rdb.display()
    )
}

fn rtpengine(args: &MediaArgs) -> io::Result<Command> {
    let ports = media_ports(args)?;
    let mut command = Command::new(&args.rtpengine);
    command
        // No kernel module: every packet passes through the process.
        .arg("--table=-1")
        .arg(format!("--interface={}", args.target.ip()))
        .arg(format!("--listen-ng={}", args.target))
        .args([
            "-m",
            &ports.start().to_string(),
            "-M",
            &ports.end().to_string(),
        ])
        // One worker, as the router has one shard; nothing logged but errors; not the distribution's configuration.
        .args(["--num-threads=1", "--log-level=3", "--config-file=none"])
        .args(["--foreground", "--log-stderr"]);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli;
    use clap::Parser;

    fn args(words: &[&str]) -> MediaArgs {
        let words = ["tipring-bench", "media"].iter().chain(words);
        match cli::Command::parse_from(words) {
            cli::Command::Media(args) => args,
            _ => unreachable!("the words say media"),
        }
    }

    fn words(command: &Command) -> Vec<String> {
        let words = command.get_args();
        words
            .map(|word| word.to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn the_words_choose_the_contenders() {
        assert_eq!(args(&[]).contenders(), [Contender::Tipring]);
        assert_eq!(args(&["--floor"]).contenders(), [Contender::Floor]);
        assert_eq!(args(&["--compare"]).contenders(), Contender::ALL);
        for contender in Contender::ALL {
            assert_eq!(Contender::from_str(contender.name(), false), Ok(contender));
        }
    }

    #[test]
    fn every_contender_gets_the_same_ports() {
        let args = args(&["--calls", "500", "--port-first", "12000"]);
        assert_eq!(media_ports(&args).unwrap(), 12_000..=14_255);
        let config = router_config(&args, media_ports(&args).unwrap(), Path::new("/x"));
        assert!(config.contains("ports = \"12000-14255\""), "{config}");
        let words = words(&rtpengine(&args).unwrap());
        assert!(
            words
                .windows(4)
                .any(|w| w == ["-m", "12000", "-M", "14255"])
        );
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let (_, ports) = relay(&args, &[vec![address(2)], vec![address(4)]]).unwrap();
        assert_eq!(ports, 12_000..=13_999);
    }

    #[test]
    fn too_many_calls_for_the_ports_are_refused() {
        assert!(media_ports(&args(&["--calls", "16000"])).is_err());
    }

    #[test]
    fn rtpengine_stays_in_userspace_with_one_worker() {
        let words = words(&rtpengine(&args(&[])).unwrap());
        for word in [
            "--table=-1",
            "--num-threads=1",
            "--listen-ng=127.0.0.1:5070",
        ] {
            assert!(words.iter().any(|w| w == word), "{word} in {words:?}");
        }
    }

    #[test]
    fn the_route_steers_media_to_the_callee() {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let routing = routing(address(5090), address(5095));
        let routing: serde_json::Value = serde_json::from_str(&routing).unwrap();
        let beside = &routing[0]["routingRecord"];
        assert_eq!(beside["outRuriHostport"], "127.0.0.1:5095");
        assert!(beside["steerMedia"].is_null());
        let record = &routing[1]["routingRecord"];
        assert_eq!(record["outRuriHostport"], "127.0.0.1:5090");
        assert_eq!(record["steerMedia"], true);
    }
}
