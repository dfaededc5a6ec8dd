//! Starts the servers a suite compares, each pinned to the server's core with a configuration of its own, and ends them again.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::cli::SuiteArgs;
use crate::io::{pin, terminate, unpin};
use crate::procfs::{is_bound, process_tree};

/// How long a server may take to listen.
const START_LIMIT: Duration = Duration::from_secs(10);
/// How long it may take to end before it is killed.
const END_LIMIT: Duration = Duration::from_secs(5);
/// What a server gets after it listens, to finish its start.
const SETTLE: Duration = Duration::from_millis(300);

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Contender {
    /// The reflector: the datagrams alone.
    Floor,
    /// The router, every datagram sent by itself.
    #[value(name = "tipring")]
    Plain,
    /// The router with UDP_SEGMENT towards trunks.
    #[value(name = "tipring-coalescing")]
    Coalescing,
    /// Kamailio as a stateful record-routing proxy, one child.
    KamailioStateful,
    /// Kamailio as a stateless forwarder, one child.
    KamailioStateless,
}

impl Contender {
    /// What `suite` compares.
    pub(crate) const SUITE: [Contender; 3] =
        [Contender::Floor, Contender::Plain, Contender::Coalescing];
    /// What `compare` compares.
    pub(crate) const ALL: [Contender; 5] = [
        Contender::Floor,
        Contender::Plain,
        Contender::Coalescing,
        Contender::KamailioStateful,
        Contender::KamailioStateless,
    ];

    /// The name in tables and paths.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Contender::Floor => "floor",
            Contender::Plain => "tipring",
            Contender::Coalescing => "tipring-coalescing",
            Contender::KamailioStateful => "kamailio-stateful",
            Contender::KamailioStateless => "kamailio-stateless",
        }
    }

    /// The command that starts it, with its configuration written into `directory`.
    fn command(self, args: &SuiteArgs, directory: &Path) -> io::Result<Command> {
        match self {
            Contender::Floor => reflector(args),
            Contender::Plain => router(args, "off", directory),
            Contender::Coalescing => router(args, "trunks", directory),
            Contender::KamailioStateful => Ok(kamailio(args, "stateful.cfg", directory)),
            Contender::KamailioStateless => Ok(kamailio(args, "stateless.cfg", directory)),
        }
    }
}

pub(crate) fn callee(args: &SuiteArgs) -> io::Result<SocketAddr> {
    let first = args.load.callee.first().copied();
    first.ok_or_else(|| io::Error::other("a suite needs a callee"))
}

fn reflector(args: &SuiteArgs) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    let (listen, callee) = (args.target.to_string(), callee(args)?.to_string());
    command.args(["reflect", "--listen", &listen, "--callee", &callee]);
    Ok(command)
}

fn router(args: &SuiteArgs, coalesce: &str, directory: &Path) -> io::Result<Command> {
    fs::create_dir_all(directory)?;
    fs::write(directory.join("rdb.json"), routing(callee(args)?))?;
    let config = directory.join("tipring.toml");
    fs::write(
        &config,
        router_config(args, coalesce, &directory.join("rdb.json")),
    )?;
    let mut command = Command::new(&args.router);
    command.arg("run").arg("--config").arg(config);
    Ok(command)
}

pub(crate) fn routing(callee: SocketAddr) -> String {
    format!(
        "[{{\"userpartPattern\": \"^.*$\", \"routingRecord\": {{\"outRuriHostport\": \"{callee}\"}}}}]\n"
    )
}

pub(crate) fn router_config(args: &SuiteArgs, coalesce: &str, rdb: &Path) -> String {
    let (cpu, target, trying_ms) = (args.server_cpu, args.target, args.trying_ms);
    format!(
        "[engine]\nshards = 1\ncpus = [{cpu}]\n\n\
         [[listen]]\ntransport = \"udp\"\naddress = \"{target}\"\n\n\
         [udp]\ncoalesce = \"{coalesce}\"\n\n\
         [[peer]]\nname = \"load\"\naddresses = [\"127.0.0.0/8\"]\nclass = \"trunk\"\n\n\
         [routing]\nrdb = \"{}\"\n\n\
         [timers]\ntrying_ms = {trying_ms}\n",
        rdb.display()
    )
}

fn kamailio(args: &SuiteArgs, config: &str, directory: &Path) -> Command {
    let callee = args
        .load
        .callee
        .first()
        .map(ToString::to_string)
        .unwrap_or_default();
    let mut command = Command::new(&args.kamailio);
    command
        .arg("-f")
        .arg(args.kamailio_configs.join(config))
        // fm is its fast allocator; Debian's default (qm, with checks) costs it two to three times the CPU.
        .args(["-x", "fm", "-DD", "-E", "-n", "1", "-m", "2048", "-M", "32"])
        // Its probing for a receive buffer stops at 256 KiB by itself, which a pause of 3 ms fills.
        .args(["-b", "16777216"])
        .args(["-l", &format!("udp:{}", args.target)])
        .args(["-A", &format!("CALLEE=\"sip:{callee}\"")])
        .arg("-Y")
        .arg(directory);
    command
}

/// A running server; it ends when this is dropped.
pub(crate) struct Server {
    child: Child,
}

/// How a server is started.
pub(crate) struct Launch<'a> {
    pub(crate) name: &'a str,
    pub(crate) command: Command,
    /// UDP ports it will listen on: none of them bound before, the last one bound when it is ready.
    pub(crate) ports: RangeInclusive<u16>,
    /// The only CPU it may use; none: any.
    pub(crate) server_cpu: Option<usize>,
    /// Where this thread belongs.
    pub(crate) own_cpu: usize,
    /// Where its output goes (server.log).
    pub(crate) directory: &'a Path,
}

impl Server {
    /// Starts a contender and waits until it listens. Its output goes to server.log in `directory`.
    pub(crate) fn start(
        contender: Contender,
        args: &SuiteArgs,
        directory: &Path,
    ) -> io::Result<Server> {
        fs::create_dir_all(directory)?;
        let directory = directory.canonicalize()?;
        let port = args.target.port();
        Server::launch(Launch {
            name: contender.name(),
            command: contender.command(args, &directory)?,
            ports: port..=port,
            server_cpu: Some(args.server_cpu),
            own_cpu: args.load.cpu,
            directory: &directory,
        })
    }

    /// Starts a server and waits until it listens.
    pub(crate) fn launch(mut launch: Launch<'_>) -> io::Result<Server> {
        wait_free(&launch.ports)?;
        let mut server = Server::spawn(&mut launch)?;
        server.wait_listening(&launch)?;
        Ok(server)
    }

    /// Starts a server, whose ports are free, and does not wait for it.
    pub(crate) fn spawn(launch: &mut Launch<'_>) -> io::Result<Server> {
        fs::create_dir_all(launch.directory)?;
        let log = File::create(launch.directory.join("server.log"))?;
        let command = &mut launch.command;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let child = spawn_pinned(command, launch.server_cpu, launch.own_cpu)?;
        Ok(Server { child })
    }

    /// The server's first process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it (SIGKILL): it has no time to write anything.
    pub(crate) fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// The error of a server that ended by itself.
    pub(crate) fn still_runs(&mut self, launch: &Launch<'_>) -> io::Result<()> {
        match self.child.try_wait()? {
            Some(status) => Err(failure(launch, &format!("ended with {status}"))),
            None => Ok(()),
        }
    }

    fn wait_listening(&mut self, launch: &Launch<'_>) -> io::Result<()> {
        let begun = Instant::now();
        let last = *launch.ports.end();
        while !is_bound(last..=last) {
            self.still_runs(launch)?;
            if begun.elapsed() > START_LIMIT {
                return Err(failure(launch, "does not listen"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(SETTLE);
        Ok(())
    }
}

fn failure(launch: &Launch<'_>, what: &str) -> io::Error {
    let log: PathBuf = launch.directory.join("server.log");
    let (name, log) = (launch.name, fs::read_to_string(log).unwrap_or_default());
    io::Error::other(format!("{name} {what}:\n{log}"))
}

/// Waits until nobody listens on the ports: a ring that is torn down lets go of its sockets some time after its process ended.
pub(crate) fn wait_free(ports: &RangeInclusive<u16>) -> io::Result<()> {
    let begun = Instant::now();
    while is_bound(ports.clone()) {
        if begun.elapsed() > END_LIMIT {
            return Err(io::Error::other(format!("a port of {ports:?} is in use")));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Spawns a child that is on the server's core from its first instruction: it inherits the affinity of this thread, which goes
/// there and back.
fn spawn_pinned(
    command: &mut Command,
    server_cpu: Option<usize>,
    own_cpu: usize,
) -> io::Result<Child> {
    match server_cpu {
        Some(cpu) => pin(cpu)?,
        None => unpin()?,
    }
    let child = command.spawn();
    pin(own_cpu)?;
    child.map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("{}: {error}", command.get_program().display()),
        )
    })
}

impl Drop for Server {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        let forked = process_tree(self.child.id());
        terminate(&self.child);
        let begun = Instant::now();
        while begun.elapsed() < END_LIMIT {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(20)),
                Ok(Some(_)) | Err(_) => return,
            }
        }
        eprintln!("tipring-bench: server {forked:?} does not end and is killed");
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli;
    use clap::Parser;

    fn args(words: &[&str]) -> SuiteArgs {
        let words = ["tipring-bench", "suite"].iter().chain(words);
        match cli::Command::parse_from(words) {
            cli::Command::Suite(args) => args,
            _ => unreachable!("the words say suite"),
        }
    }

    #[test]
    fn the_router_gets_the_configuration_it_documents() {
        let args = args(&["--trying-ms", "200", "--target", "127.0.0.1:7000"]);
        let text = router_config(&args, "trunks", Path::new("/x/rdb.json"));
        for line in [
            "shards = 1",
            "cpus = [0]",
            "address = \"127.0.0.1:7000\"",
            "coalesce = \"trunks\"",
            "class = \"trunk\"",
            "rdb = \"/x/rdb.json\"",
            "trying_ms = 200",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn contenders_are_named_on_the_command_line_as_in_the_table() {
        for contender in Contender::ALL {
            assert_eq!(Contender::from_str(contender.name(), false), Ok(contender));
        }
    }

    #[test]
    fn every_call_is_routed_to_the_callee() {
        let routing: serde_json::Value =
            serde_json::from_str(&routing("127.0.0.1:5090".parse().unwrap())).unwrap();
        assert_eq!(
            routing[0]["routingRecord"]["outRuriHostport"],
            "127.0.0.1:5090"
        );
        assert_eq!(routing[0]["userpartPattern"], "^.*$");
    }

    #[test]
    fn kamailio_runs_one_child_towards_the_callee() {
        let command = kamailio(&args(&[]), "stateful.cfg", Path::new("/x"));
        let words: Vec<_> = command
            .get_args()
            .map(|a| a.to_string_lossy().into_owned())
            .collect();
        assert!(words.windows(2).any(|w| w == ["-n", "1"]));
        assert!(
            words
                .windows(2)
                .any(|w| w == ["-A", "CALLEE=\"sip:127.0.0.1:5090\""])
        );
        assert!(words.windows(2).any(|w| w == ["-l", "udp:127.0.0.1:5070"]));
    }
}
