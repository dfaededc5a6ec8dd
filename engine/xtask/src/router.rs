//! The router under test: its configuration written to a directory, the process started, waited for
//! until it answers OPTIONS, and ended in the end. What it routes is the caller's business.

use crate::failure::{Failure, check};
use crate::house;
use crate::spawned::Spawned;
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How long a router may take from start to its first answer.
const READY: Duration = Duration::from_secs(10);
/// How long a signal may take to show in the log.
const HEEDED: Duration = Duration::from_secs(2);
/// How long after SIGTERM a router without calls may live. A call that leaked keeps it for `drain_s`
/// (30 s), so a late end is the sign of a leak.
const ENDED: Duration = Duration::from_secs(8);

/// What a router is started with.
#[derive(Debug)]
pub(crate) struct Setup<'a> {
    /// The binary.
    pub(crate) program: &'a Path,
    /// Where the configuration and the log go.
    pub(crate) directory: &'a Path,
    /// Number of shards.
    pub(crate) shards: usize,
    /// The routing DB.
    pub(crate) rdb: &'a Value,
    /// Tables and keys laid over the generated configuration.
    pub(crate) settings: &'a toml::Table,
    /// Variables of its environment; `{router_port}` stands for the port of its IPv4 listener.
    pub(crate) environment: &'a [(String, String)],
}

/// A router that runs and answers.
#[derive(Debug)]
pub(crate) struct Router {
    process: RefCell<Spawned>,
    program: PathBuf,
    environment: Vec<(String, String)>,
    directory: PathBuf,
    terminated: Cell<bool>,
    /// Its IPv4 listener.
    pub(crate) address: SocketAddr,
    /// Its IPv6 listener.
    pub(crate) address_v6: SocketAddr,
}

impl Router {
    /// Writes the configuration, starts the process and waits until it answers.
    pub(crate) fn start(setup: &Setup<'_>) -> Result<Router, Failure> {
        let address = house::free_address(Ipv4Addr::LOCALHOST.into())?;
        let address_v6 = house::free_address(Ipv6Addr::LOCALHOST.into())?;
        write(setup.directory, "rdb.json", &setup.rdb.to_string())?;
        let config = configuration(setup, &[address, address_v6]);
        write(setup.directory, "tipring.toml", &config.to_string())?;
        let port = address.port().to_string();
        let filled =
            |(name, text): &(String, String)| (name.clone(), text.replace("{router_port}", &port));
        let environment: Vec<_> = setup.environment.iter().map(filled).collect();
        let process = spawn(setup.program, setup.directory, &environment)?;
        let router = Router {
            process: RefCell::new(process),
            program: setup.program.to_owned(),
            environment,
            directory: setup.directory.to_owned(),
            terminated: Cell::new(false),
            address,
            address_v6,
        };
        router.wait_until_it_answers()?;
        Ok(router)
    }

    /// Whether it runs, or was told to end.
    pub(crate) fn is_well(&self) -> bool {
        self.terminated.get() || self.process.borrow_mut().is_running()
    }

    /// Kills it (SIGKILL) and starts it again with the same configuration: all that it knew is lost.
    pub(crate) fn kill_and_restart(&self) -> Result<(), Failure> {
        self.process.borrow().signal("KILL");
        let _ = self.process.borrow_mut().wait(ENDED)?;
        let process = spawn(&self.program, &self.directory, &self.environment)?;
        self.process.replace(process);
        self.wait_until_it_answers()
    }

    /// Tells it to end (SIGTERM): it drains.
    pub(crate) fn terminate(&self) {
        self.terminated.set(true);
        self.signal("TERM");
    }

    /// Gives it another routing DB, whatever the text is, and tells it to read it (SIGHUP).
    pub(crate) fn reload(&self, rdb: &str) -> Result<(), Failure> {
        write(&self.directory, "rdb.json", rdb)?;
        self.signal("HUP");
        Ok(())
    }

    /// Sends a signal and waits for the log line that every reload and drain writes, and a little longer,
    /// until the shards have heard of it.
    fn signal(&self, name: &str) {
        let log = self.directory.join("router.log");
        let length = || std::fs::metadata(&log).map_or(0, |log| log.len());
        let before = length();
        self.process.borrow().signal(name);
        let until = Instant::now() + HEEDED;
        while length() == before && Instant::now() < until {
            thread::sleep(Duration::from_millis(10));
        }
        thread::sleep(Duration::from_millis(200));
    }

    /// Ends it with SIGTERM. No call is left, so it must end soon, with success, and without a panic.
    pub(crate) fn stop(mut self) -> Result<(), Failure> {
        check(self.is_well(), || "the router died".into())?;
        if !self.terminated.get() {
            self.process.borrow().signal("TERM");
        }
        let ended = self.process.get_mut().wait(ENDED).map_err(|_| {
            Failure::Check(format!(
                "the router lives {ENDED:?} after SIGTERM: a leaked call?"
            ))
        })?;
        check(ended.success(), || format!("the router ended with {ended}"))?;
        let log = std::fs::read_to_string(self.directory.join("router.log")).unwrap_or_default();
        check(!log.contains("panicked"), || {
            "the router's log shows a panic".into()
        })
    }

    fn wait_until_it_answers(&self) -> Result<(), Failure> {
        let until = Instant::now() + READY;
        while Instant::now() < until {
            check(self.process.borrow_mut().is_running(), || {
                "the router did not start: see router.log".into()
            })?;
            if answers(self.address)? {
                return Ok(());
            }
        }
        Err(Failure::Timeout("the router's first answer".into()))
    }
}

fn spawn(
    program: &Path,
    directory: &Path,
    environment: &[(String, String)],
) -> Result<Spawned, Failure> {
    let arguments = ["run", "--config", "tipring.toml"].map(str::to_owned);
    let command = (program.as_os_str(), &arguments[..]);
    Spawned::start_with("router", command, directory, environment)
}

/// Whether whoever listens at `address` answers one OPTIONS within 100 ms.
pub(crate) fn answers(address: SocketAddr) -> Result<bool, Failure> {
    let machine = || Failure::machine("asking whether the router is ready");
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(machine())?;
    let wait = Some(Duration::from_millis(100));
    socket.set_read_timeout(wait).map_err(machine())?;
    let own = socket.local_addr().map_err(machine())?;
    let ping = format!(
        "OPTIONS sip:{address} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKready{port}\r\n\
         From: <sip:ready@{own}>;tag=r\r\nTo: <sip:{address}>\r\nCall-ID: ready-{port}\r\n\
         CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
        port = own.port()
    );
    let mut buffer = [0; 2048];
    let _ = socket.send_to(ping.as_bytes(), address);
    let answered = socket
        .recv(&mut buffer)
        .is_ok_and(|n| buffer[..n].starts_with(b"SIP/2.0 "));
    if !answered {
        // A refused port answers at once with an ICMP error: do not spin on it.
        thread::sleep(Duration::from_millis(20));
    }
    Ok(answered)
}

fn configuration(setup: &Setup<'_>, listeners: &[SocketAddr]) -> toml::Table {
    let mut config = toml::toml! {
        [engine]
        drain_s = 30

        [routing]
        rdb = "rdb.json"
    };
    if let Some(toml::Value::Table(engine)) = config.get_mut("engine") {
        let shards = i64::try_from(setup.shards).unwrap_or(1);
        engine.insert("shards".into(), shards.into());
    }
    config.insert(
        "listen".into(),
        listeners.iter().map(listener).collect::<Vec<_>>().into(),
    );
    overlay(&mut config, setup.settings);
    config
}

fn listener(address: &SocketAddr) -> toml::Value {
    let mut table = toml::Table::new();
    table.insert("transport".into(), "udp".into());
    table.insert("address".into(), address.to_string().into());
    toml::Value::Table(table)
}

/// Lays `over` upon `base`, table by table, key by key.
fn overlay(base: &mut toml::Table, over: &toml::Table) {
    for (key, value) in over {
        match (base.get_mut(key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) => overlay(below, above),
            _ => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
}

fn write(directory: &Path, name: &str, text: &str) -> Result<(), Failure> {
    let path = directory.join(name);
    std::fs::write(&path, text)
        .map_err(Failure::machine(format!("cannot write {}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(settings: &toml::Table) -> toml::Table {
        let setup = Setup {
            program: Path::new("tipring"),
            directory: Path::new("."),
            shards: 2,
            rdb: &Value::Null,
            settings,
            environment: &[],
        };
        configuration(
            &setup,
            &[
                "127.0.0.1:5060".parse().unwrap(),
                "[::1]:5060".parse().unwrap(),
            ],
        )
    }

    #[test]
    fn settings_lie_over_the_generated_keys() {
        let config = configured(&toml::toml! {
            [engine]
            drain_s = 1
            [timers]
            t1_ms = 100
        });
        assert_eq!(config["engine"]["drain_s"].as_integer(), Some(1));
        assert_eq!(config["engine"]["shards"].as_integer(), Some(2));
        assert_eq!(config["timers"]["t1_ms"].as_integer(), Some(100));
        assert_eq!(config["routing"]["rdb"].as_str(), Some("rdb.json"));
    }

    #[test]
    fn the_printed_configuration_reads_back() {
        let config = configured(&toml::Table::new());
        let back: toml::Table = config.to_string().parse().unwrap();
        assert_eq!(back, config);
        assert_eq!(back["listen"][1]["address"].as_str(), Some("[::1]:5060"));
    }

    #[test]
    fn nobody_answers_on_a_free_port() {
        let address = house::free_address(Ipv4Addr::LOCALHOST.into()).unwrap();
        assert!(!answers(address).unwrap());
    }
}
