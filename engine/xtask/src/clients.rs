//! `cargo xtask clients`: clients we did not write use the router. sipsak asks it with OPTIONS and sends a
//! MESSAGE through it; a baresip calls another baresip through it, is answered, and hangs up; one hears its
//! own tone from the echo number; two hear each other's through steerMedia; they and linphonec hold calls,
//! send digits and transfer; two register and call each other. All are Debian packages.

mod midcall;
mod registered;
mod transfers;

use crate::agent::Agent;
use crate::baresip::{ESTABLISHED, Phone};
use crate::failure::{Failure, check};
use crate::house;
use crate::linphone::Linphone;
use crate::metrics::Total;
use crate::router::{Router, Setup};
use crate::spawned::{Spawned, is_installed};
use clap::Args;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The caller's and the callee's addresses.
const ALICE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 31));
const BOB: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 32));
/// Carol's address, and that of a caller whose transfers the router carries out.
const CAROL: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 33));
const TRANSFERORS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 34));
/// The numbers: Bob's, Bob's with media through the router, the echo, and Carol's.
const NUMBER: &str = "12345";
const STEERED: &str = "12346";
const ECHO: &str = "12347";
const CAROLS: &str = "12348";
/// The tones that Alice, Bob and Carol play, in hertz.
const ALICES_TONE: u32 = 440;
const BOBS_TONE: u32 = 880;
const CAROLS_TONE: u32 = 1320;
/// Seconds after which the calling baresip hangs up and ends: without and with sound.
const CALL_S: u32 = 4;
const TALK_S: u32 = 7;
/// Pairs of media ports of the router.
const MEDIA_PAIRS: u16 = 16;

/// How to run the clients.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The router's binary.
    #[arg(long)]
    router: PathBuf,
    /// Only the checks whose names contain this.
    #[arg(long, default_value = "")]
    only: String,
}

/// Runs each client; true when all passed.
pub(crate) fn run(options: &Options) -> Result<bool, Failure> {
    let missing = missing_programs(is_installed);
    check(missing.is_empty(), || missing.join("; "))?;
    let directory = house::logs().join("clients");
    let _ = std::fs::remove_dir_all(&directory);
    make(&directory)?;
    let program = std::path::absolute(&options.router).map_err(Failure::machine(format!(
        "no path {}",
        options.router.display()
    )))?;
    let metrics = house::free_address(Ipv4Addr::LOCALHOST.into())?;
    let (bob, carol) = (house::free_address(BOB)?, house::free_address(CAROL)?);
    let router = start_router(&program, &directory, (bob, carol), metrics)?;
    let stage = Stage {
        router: router.address,
        metrics,
        directory: &directory,
        bob,
        carol,
    };
    let mut outcomes: Vec<(&str, Result<(), Failure>)> = CHECKS
        .iter()
        .filter(|(name, _)| name.contains(&options.only))
        .map(|(name, check)| (*name, check(&stage)))
        .collect();
    outcomes.push(("router_ends", router.stop()));
    Ok(tell(&outcomes))
}

/// What is done at a stage, and is as it must be.
type Check = fn(&Stage<'_>) -> Result<(), Failure>;

/// All that the clients do, each with its name.
const CHECKS: &[(&str, Check)] = &[
    ("sipsak_options", |it| sipsak(it.router, it.directory)),
    ("sipsak_message", |it| {
        sipsak_message(it.router, it.bob, it.directory)
    }),
    ("baresip_calls_baresip", baresip_call),
    ("baresip_hears_its_echo", baresip_echo),
    ("baresips_talk_through_router", baresips_talk),
    ("baresip_holds_and_resumes", |it| midcall::hold(it, false)),
    ("baresip_holds_steered_call", |it| midcall::hold(it, true)),
    ("baresip_sends_digits_rfc4733", midcall::digits_as_events),
    ("linphone_sends_digits_info", midcall::digits_as_info),
    ("baresip_transfers_blind", transfers::blind),
    ("router_carries_out_transfer", transfers::blind_handled),
    ("linphone_transfers_attended", transfers::attended),
    ("baresips_register_md5", registered::register),
    ("baresips_call_by_address", registered::call_each_other),
];

/// The router and the places around it.
struct Stage<'a> {
    router: SocketAddr,
    /// Where the router tells its counters.
    metrics: SocketAddr,
    directory: &'a Path,
    bob: SocketAddr,
    carol: SocketAddr,
}

impl<'a> Stage<'a> {
    /// A Bob that answers calls to one of his numbers.
    fn bob(&self, name: &'a str, number: &str, plays: Option<u32>) -> Phone<'a> {
        answering(name, (number, self.bob), self.directory, plays)
    }

    /// A Carol that answers.
    fn carol(&self, name: &'a str, plays: Option<u32>) -> Phone<'a> {
        answering(name, (CAROLS, self.carol), self.directory, plays)
    }

    /// An Alice that calls.
    fn alice(&self, name: &'a str, plays: Option<u32>) -> Result<Phone<'a>, Failure> {
        self.alice_at(name, ALICE, plays)
    }

    /// The same with this address.
    fn alice_at(
        &self,
        name: &'a str,
        ip: IpAddr,
        plays: Option<u32>,
    ) -> Result<Phone<'a>, Failure> {
        let address = house::free_address(ip)?;
        Ok(Phone {
            name,
            address,
            account: format!("<sip:alice@{address}>;regint=0\n"),
            directory: self.directory,
            plays,
        })
    }

    /// A linphonec that answers at an address, or that calls from one of Alice's.
    fn linphone(
        &self,
        name: &'a str,
        user: &'a str,
        answers_at: Option<SocketAddr>,
    ) -> Result<Linphone<'a>, Failure> {
        let address = answers_at.map_or_else(|| house::free_address(ALICE), Ok)?;
        Ok(Linphone {
            name,
            user,
            address,
            proxy: self.router,
            media_port: house::free_ports(&[address.ip()], 2)?,
            answers: answers_at.is_some(),
            directory: self.directory,
        })
    }

    /// A number at the router.
    fn uri(&self, number: &str) -> String {
        format!("sip:{number}@{}", self.router)
    }

    /// Dials a number on the console of a baresip.
    fn call(&self, console: &Spawned, number: &str) -> Result<(), Failure> {
        console.types(&format!("/dial {}\n", self.uri(number)))
    }

    /// What is typed at a linphonec to dial a number.
    fn linphone_call(&self, number: &str) -> String {
        format!("call {}\n", self.uri(number))
    }

    /// Waits until the router has this many calls.
    fn calls(&self, count: u64) -> Result<(), Failure> {
        let calls = Total {
            name: "tipring_calls",
            label: "",
        };
        calls.becomes(self.metrics, count)
    }

    /// Waits until the router has none.
    fn is_quiet(&self) -> Result<(), Failure> {
        self.calls(0)
    }
}

/// What to install, with the package's name.
fn missing_programs(has: impl Fn(&str) -> bool) -> Vec<String> {
    let wanted = [
        ("sipsak", "sipsak"),
        ("baresip", "baresip-core"),
        ("linphonec", "linphone-cli"),
    ];
    let missing = wanted.iter().filter(|(program, _)| !has(program));
    missing
        .map(|(p, package)| format!("{p} is not installed (apt install {package})"))
        .collect()
}

fn tell(outcomes: &[(&str, Result<(), Failure>)]) -> bool {
    for (name, outcome) in outcomes {
        match outcome {
            Ok(()) => println!("{name:<34} ok"),
            Err(failure) => println!("{name:<34} FAILED  {failure}"),
        }
    }
    let passed = outcomes
        .iter()
        .filter(|(_, outcome)| outcome.is_ok())
        .count();
    println!("{passed} passed, {} failed", outcomes.len() - passed);
    passed == outcomes.len()
}

fn start_router(
    program: &Path,
    directory: &Path,
    (bob, carol): (SocketAddr, SocketAddr),
    metrics: SocketAddr,
) -> Result<Router, Failure> {
    let rdb = routes(bob, carol);
    let loopback = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    let first = house::free_ports(&loopback, 2 * MEDIA_PAIRS)?;
    let ports = format!("{first}-{}", first + 2 * MEDIA_PAIRS - 1);
    let one = |key: &str, value: toml::Value| toml::Table::from_iter([(key.to_owned(), value)]);
    let mut transferors = toml::toml! {
        name = "transferors"
        class = "phone"
        transfers = "handle"
    };
    let at = vec![toml::Value::from(TRANSFERORS.to_string())];
    transferors.insert("addresses".into(), at.into());
    let mut settings = toml::Table::from_iter([
        ("media".to_owned(), one("ports", ports.into()).into()),
        (
            "metrics".to_owned(),
            one("address", metrics.to_string().into()).into(),
        ),
        ("peer".to_owned(), vec![transferors].into()),
    ]);
    settings.extend(registered::settings());
    Router::start(&Setup {
        program,
        directory,
        shards: 2,
        rdb: &rdb,
        settings: &settings,
        environment: &[],
    })
}

/// The routing DB of the four numbers.
fn routes(bob: SocketAddr, carol: SocketAddr) -> Value {
    let record = |number: &str, target: SocketAddr, flow: &str, steered: bool| {
        json!({
            "userpartPattern": format!("^{number}$"),
            "routingRecord": {
                "outRuriHostport": target.to_string(), "outCallFlow": flow, "steerMedia": steered,
            },
        })
    };
    json!([
        record(NUMBER, bob, "Transparent", false),
        record(STEERED, bob, "Transparent", true),
        record(ECHO, bob, "EchoResponder", false),
        record(CAROLS, carol, "Transparent", false),
    ])
}

/// sipsak ends with 0 when its OPTIONS gets a 200.
fn sipsak(router: SocketAddr, directory: &Path) -> Result<(), Failure> {
    let line = format!("-v -H {ALICE} -s sip:{router}");
    let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let mut sipsak = Spawned::start("sipsak", "sipsak".as_ref(), &arguments, directory)?;
    let ended = sipsak.wait(Duration::from_secs(10))?;
    check(ended.success(), || {
        format!("sipsak ended with {ended}: see sipsak.log")
    })
}

/// sipsak ends with 0 when its MESSAGE gets a 200, which Bob gives when he has its text. The MESSAGE is in a
/// file: sipsak 0.9.8 crashes when it is to write one itself (-M).
fn sipsak_message(router: SocketAddr, bob: SocketAddr, directory: &Path) -> Result<(), Failure> {
    let bob = Agent::bind_at("bob", bob, router)?;
    let file = directory.join("message.sip");
    // sipsak writes the Via.
    let message = format!(
        "MESSAGE sip:{NUMBER}@{router} SIP/2.0\r\nFrom: <sip:alice@{ALICE}>;tag=alice\r\n\
         To: <sip:{NUMBER}@{router}>\r\nCall-ID: message@{ALICE}\r\nCSeq: 1 MESSAGE\r\n\
         Max-Forwards: 70\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nHello Bob"
    );
    std::fs::write(&file, message).map_err(Failure::machine("cannot write a MESSAGE"))?;
    let line = format!("-v -H {ALICE} -s sip:{NUMBER}@{router} -f");
    let mut arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
    arguments.push(file.display().to_string());
    let mut sipsak = Spawned::start("sipsak-message", "sipsak".as_ref(), &arguments, directory)?;
    let seen = bob.expect_request("MESSAGE")?;
    check(seen.body.contains("Hello Bob"), || {
        format!("the MESSAGE says {:?}", seen.body)
    })?;
    bob.answer(&seen, 200, "bob-tag", "")?;
    let ended = sipsak.wait(Duration::from_secs(10))?;
    check(ended.success(), || {
        format!("sipsak ended with {ended}: see sipsak-message.log")
    })
}

/// Alice dials Bob through the router: both say that the call is up, and Bob that it ended.
fn baresip_call(stage: &Stage<'_>) -> Result<(), Failure> {
    let bob = stage.bob("bob", NUMBER, None);
    let _bob = bob.ready()?;
    let alice = stage.alice("alice", None)?;
    let mut call = dial(&alice, &stage.uri(NUMBER), CALL_S)?;
    alice.says(ESTABLISHED)?;
    bob.says(ESTABLISHED)?;
    call.wait(Duration::from_secs(u64::from(CALL_S) + 10))?;
    bob.says("terminated (duration")
}

/// Alice dials the echo and hears her own tone.
fn baresip_echo(stage: &Stage<'_>) -> Result<(), Failure> {
    let alice = stage.alice("echo-alice", Some(ALICES_TONE))?;
    let mut call = dial(&alice, &stage.uri(ECHO), TALK_S)?;
    alice.says(ESTABLISHED)?;
    call.wait(Duration::from_secs(u64::from(TALK_S) + 10))?;
    alice.heard(ALICES_TONE)
}

/// Alice dials Bob, the media passes through the router: each hears the other's tone.
fn baresips_talk(stage: &Stage<'_>) -> Result<(), Failure> {
    let bob = stage.bob("talk-bob", STEERED, Some(BOBS_TONE));
    let _bob = bob.ready()?;
    let alice = stage.alice("talk-alice", Some(ALICES_TONE))?;
    let mut call = dial(&alice, &stage.uri(STEERED), TALK_S)?;
    alice.says(ESTABLISHED)?;
    bob.says(ESTABLISHED)?;
    call.wait(Duration::from_secs(u64::from(TALK_S) + 10))?;
    bob.says("terminated (duration")?;
    alice.heard(BOBS_TONE)?;
    bob.heard(ALICES_TONE)
}

fn answering<'a>(
    name: &'a str,
    (number, address): (&str, SocketAddr),
    directory: &'a Path,
    plays: Option<u32>,
) -> Phone<'a> {
    Phone {
        name,
        address,
        account: format!("<sip:{number}@{address}>;regint=0;answermode=auto\n"),
        directory,
        plays,
    }
}

/// Starts a phone that calls and hangs up after `seconds`.
fn dial(phone: &Phone<'_>, uri: &str, seconds: u32) -> Result<Spawned, Failure> {
    let dialled = format!("/dial {uri}");
    phone.start(&["-t".into(), seconds.to_string(), "-e".into(), dialled])
}

fn make(directory: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(directory).map_err(Failure::machine(format!(
        "cannot make {}",
        directory.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_client_is_named_with_its_package() {
        let missing = missing_programs(|program| program != "baresip");
        assert_eq!(
            missing,
            ["baresip is not installed (apt install baresip-core)"]
        );
        assert!(missing_programs(|_| true).is_empty());
    }

    #[test]
    fn one_failure_fails_all() {
        assert!(tell(&[("a", Ok(()))]));
        assert!(!tell(&[
            ("a", Ok(())),
            ("b", Err(Failure::Timeout("x".into())))
        ]));
    }

    #[test]
    fn each_number_has_its_route() {
        let (bob, carol) = ("127.0.0.32:5070", "127.0.0.33:5071");
        let routes = routes(bob.parse().unwrap(), carol.parse().unwrap());
        let flows: Vec<&Value> = (0..3)
            .map(|n| &routes[n]["routingRecord"]["outCallFlow"])
            .collect();
        assert_eq!(flows, ["Transparent", "Transparent", "EchoResponder"]);
        assert_eq!(routes[1]["routingRecord"]["steerMedia"], true);
        assert_eq!(routes[3]["routingRecord"]["outRuriHostport"], carol);
    }
}
