//! `cargo xtask clients`: clients we did not write use the router. sipsak asks it with OPTIONS and sends a
//! MESSAGE through it; a baresip
//! calls another baresip through it, is answered, and hangs up; one hears its own tone from the echo number;
//! two hear each other's through steerMedia. All are Debian packages.

use crate::agent::Agent;
use crate::baresip::{ESTABLISHED, Phone};
use crate::failure::{Failure, check};
use crate::house;
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
/// The numbers: Bob's, Bob's with media through the router, and the echo.
const NUMBER: &str = "12345";
const STEERED: &str = "12346";
const ECHO: &str = "12347";
/// The tones that Alice and Bob play, in hertz.
const ALICES_TONE: u32 = 440;
const BOBS_TONE: u32 = 880;
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
    let bob = house::free_address(BOB)?;
    let router = start_router(&program, &directory, bob)?;
    let outcomes = [
        ("sipsak_options", sipsak(router.address, &directory)),
        (
            "sipsak_message",
            sipsak_message(router.address, bob, &directory),
        ),
        (
            "baresip_calls_baresip",
            baresip_call(router.address, bob, &directory),
        ),
        (
            "baresip_hears_its_echo",
            baresip_echo(router.address, &directory),
        ),
        (
            "baresips_talk_through_router",
            baresips_talk(router.address, bob, &directory),
        ),
        ("router_ends", router.stop()),
    ];
    Ok(tell(&outcomes))
}

/// What to install, with the package's name.
fn missing_programs(has: impl Fn(&str) -> bool) -> Vec<String> {
    let wanted = [("sipsak", "sipsak"), ("baresip", "baresip-core")];
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

fn start_router(program: &Path, directory: &Path, bob: SocketAddr) -> Result<Router, Failure> {
    let rdb = routes(bob);
    let loopback = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    let first = house::free_ports(&loopback, 2 * MEDIA_PAIRS)?;
    let ports = format!("{first}-{}", first + 2 * MEDIA_PAIRS - 1);
    let mut settings = toml::Table::new();
    settings.insert(
        "media".into(),
        toml::Table::from_iter([("ports".into(), ports.into())]).into(),
    );
    Router::start(&Setup {
        program,
        directory,
        shards: 2,
        rdb: &rdb,
        settings: &settings,
        environment: &[],
    })
}

/// The routing DB of the three numbers.
fn routes(bob: SocketAddr) -> Value {
    let record = |number: &str, flow: &str, steered: bool| {
        json!({
            "userpartPattern": format!("^{number}$"),
            "routingRecord": {
                "outRuriHostport": bob.to_string(), "outCallFlow": flow, "steerMedia": steered,
            },
        })
    };
    json!([
        record(NUMBER, "Transparent", false),
        record(STEERED, "Transparent", true),
        record(ECHO, "EchoResponder", false),
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
fn baresip_call(router: SocketAddr, bob: SocketAddr, directory: &Path) -> Result<(), Failure> {
    let bob = answering("bob", (NUMBER, bob), directory, None);
    let _bob = ready(&bob)?;
    let alice = calling("alice", directory, None)?;
    let mut call = dial(&alice, NUMBER, router, CALL_S)?;
    alice.says(ESTABLISHED)?;
    bob.says(ESTABLISHED)?;
    call.wait(Duration::from_secs(u64::from(CALL_S) + 10))?;
    bob.says("terminated (duration")
}

/// Alice dials the echo and hears her own tone.
fn baresip_echo(router: SocketAddr, directory: &Path) -> Result<(), Failure> {
    let alice = calling("echo-alice", directory, Some(ALICES_TONE))?;
    let mut call = dial(&alice, ECHO, router, TALK_S)?;
    alice.says(ESTABLISHED)?;
    call.wait(Duration::from_secs(u64::from(TALK_S) + 10))?;
    alice.heard(ALICES_TONE)
}

/// Alice dials Bob, the media passes through the router: each hears the other's tone.
fn baresips_talk(router: SocketAddr, bob: SocketAddr, directory: &Path) -> Result<(), Failure> {
    let bob = answering("talk-bob", (STEERED, bob), directory, Some(BOBS_TONE));
    let _bob = ready(&bob)?;
    let alice = calling("talk-alice", directory, Some(ALICES_TONE))?;
    let mut call = dial(&alice, STEERED, router, TALK_S)?;
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

fn calling<'a>(
    name: &'a str,
    directory: &'a Path,
    plays: Option<u32>,
) -> Result<Phone<'a>, Failure> {
    let address = house::free_address(ALICE)?;
    Ok(Phone {
        name,
        address,
        account: format!("<sip:alice@{address}>;regint=0\n"),
        directory,
        plays,
    })
}

/// Starts a phone that answers.
fn ready(phone: &Phone<'_>) -> Result<Spawned, Failure> {
    let running = phone.start(&[])?;
    phone.says("baresip is ready")?;
    Ok(running)
}

/// Starts a phone that calls and hangs up after `seconds`.
fn dial(
    phone: &Phone<'_>,
    number: &str,
    router: SocketAddr,
    seconds: u32,
) -> Result<Spawned, Failure> {
    let dialled = format!("/dial sip:{number}@{router}");
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
        let missing = missing_programs(|program| program == "sipsak");
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
        let routes = routes("127.0.0.32:5070".parse().unwrap());
        let flows: Vec<&Value> = (0..3)
            .map(|n| &routes[n]["routingRecord"]["outCallFlow"])
            .collect();
        assert_eq!(flows, ["Transparent", "Transparent", "EchoResponder"]);
        assert_eq!(routes[1]["routingRecord"]["steerMedia"], true);
    }
}
