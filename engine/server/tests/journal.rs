//! The journal from end to end: who has registered is still there after kill -9, in the middle of a storm too; who may use a journal; and
//! what the commands say of it.

// Sockets are what these tests are about.
#![allow(clippy::disallowed_methods)]

mod lab;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lab::{Desk, Engine, Phone, config, tipring, tipring_with};

const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;
const PATIENCE: Duration = Duration::from_secs(20);

const SITE: &str = "[journal]\ndirectory = \"state/journal\"\ncommit_ms = 5\n[auth]\nregister = false\n\
                    [[domain]]\nname = \"example.com\"\nusers = [{ username = \"1001\", secret = \"a\" }]\n";

/// Registers a phone for 1001; the phone, which keeps its port while it is there, and the contacts the router tells.
fn register(engine: &Engine, phone: &str) -> (Phone, Vec<String>) {
    let phone = Phone::new(engine.address, phone);
    phone.request("REGISTER", "sip:example.com", "<sip:1001@example.com>", 1);
    let answer = phone.wait_for("200");
    let lines = answer.echoed(&["Contact"]);
    let contacts = lines.lines().map(str::to_owned).collect();
    (phone, contacts)
}

/// What `journal inspect` says is in force.
fn bindings(desk: &Desk) -> Option<u64> {
    let (_, out, _) = tipring(
        &["journal", "inspect", "--json", "state/journal"],
        &desk.path("."),
    );
    let all: serde_json::Value = serde_json::from_str(&out).ok()?;
    all["in_force"]["bindings"].as_u64()
}

fn wait_for_bindings(desk: &Desk, wanted: u64) {
    let until = Instant::now() + PATIENCE;
    while bindings(desk) != Some(wanted) {
        assert!(Instant::now() < until, "{:?} bindings", bindings(desk));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_binding_survives_kill_9() {
    let desk = Desk::new();
    let mut engine = Engine::start(&desk, SITE);
    let (first_phone, told) = register(&engine, "first");
    let first = first_phone.address().to_string();
    assert!(told.len() == 1 && told[0].contains(&first), "{told:?}");
    wait_for_bindings(&desk, 1);
    engine.signal(SIGKILL);
    engine.end();

    let mut engine = Engine::start(&desk, SITE);
    let read = engine.said("\"message\":\"journal read\"").expect("said");
    assert!(read.contains("\"bindings\":1"), "{read}");
    let (second_phone, told) = register(&engine, "second");
    let second = second_phone.address().to_string();
    let has = |address: &str| told.iter().any(|contact| contact.contains(address));
    assert!(told.len() == 2 && has(&first) && has(&second), "{told:?}");
    // The orderly end writes what waits.
    engine.signal(SIGTERM);
    assert_eq!(engine.end().code(), Some(0));
    assert_eq!(bindings(&desk), Some(2));
}

/// Users of each phone of the storm.
const USERS: usize = 2_000;
const PHONES: usize = 4;

fn storm_user(phone: usize, user: usize) -> String {
    format!("p{phone}u{user}")
}

/// Asks the router something of a user until it answers, or until `over`; without a contact what it knows.
fn ask(
    socket: &UdpSocket,
    (router, user, cseq, contact): (SocketAddr, &str, u32, &str),
    over: &AtomicBool,
) -> Option<String> {
    let own = socket.local_addr().expect("bound");
    let request = format!(
        "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{user}-{cseq}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:{user}@example.com>;tag=a\r\nTo: <sip:{user}@example.com>\r\n\
         Call-ID: {user}-{own}\r\nCSeq: {cseq} REGISTER\r\n{contact}Content-Length: 0\r\n\r\n"
    );
    let mut bytes = [0; 2_000];
    while !over.load(Ordering::Relaxed) {
        socket.send_to(request.as_bytes(), router).expect("sent");
        let Ok((length, _)) = socket.recv_from(&mut bytes) else {
            continue;
        };
        let answer = String::from_utf8_lossy(bytes.get(..length).expect("received"));
        if answer.contains(&format!("branch=z9hG4bK{user}-{cseq}\r\n")) {
            return Some(answer.into_owned());
        }
    }
    None
}

fn storm_socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let patience = Some(Duration::from_millis(200));
    socket.set_read_timeout(patience).expect("a timeout");
    socket
}

/// One user after the other registers, and again, until it is over; when each had its first 200.
fn registers(phone: usize, router: SocketAddr, over: &AtomicBool) -> BTreeMap<String, Instant> {
    let socket = storm_socket();
    let mut acknowledged = BTreeMap::new();
    let rounds = (1..).flat_map(|round| (0..USERS).map(move |user| (round, user)));
    for (round, user) in rounds.map(|(round, user)| (round, storm_user(phone, user))) {
        let own = socket.local_addr().expect("bound");
        let contact = format!("Contact: <sip:{user}@{own}>\r\n");
        let Some(answer) = ask(&socket, (router, &user, round, &contact), over) else {
            break;
        };
        assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
        acknowledged.entry(user).or_insert_with(Instant::now);
    }
    acknowledged
}

/// Whose bindings are in the files of the journal now.
fn written(desk: &Desk) -> BTreeSet<String> {
    let arguments = ["journal", "inspect", "--json", "--records", "state/journal"];
    let (_, out, _) = tipring(&arguments, &desk.path("."));
    let all: serde_json::Value = serde_json::from_str(&out).unwrap_or_default();
    let files = all["files"].as_array().into_iter().flatten();
    let records = files
        .filter_map(|file| file["records"].as_array())
        .flatten();
    let aors = records.filter_map(|record| record["aor"].as_str());
    aors.filter_map(|aor| Some(aor.split_once('@')?.0.to_owned()))
        .collect()
}

/// What the journal held when the router was killed is there again, whatever was going on. How old the oldest
/// acknowledged binding was that is not is said, not judged: a busy machine may keep any thread waiting.
#[test]
fn kill_9_in_a_storm_of_registrations_loses_nothing_that_was_written() {
    let desk = Desk::new();
    let all = (0..PHONES).flat_map(|phone| (0..USERS).map(move |user| storm_user(phone, user)));
    let users: String = all.map(|user| format!("{user}:secret\n")).collect();
    desk.write("users", &users);
    let site = "[engine]\nshards = 2\n[journal]\ndirectory = \"state/journal\"\ncommit_ms = 50\n\
                [auth]\nregister = false\n[[domain]]\nname = \"example.com\"\nusers_file = \"users\"\n";
    let mut engine = Engine::start(&desk, site);
    let (router, over) = (engine.address, Arc::new(AtomicBool::new(false)));
    let phones: Vec<_> = (0..PHONES)
        .map(|phone| {
            let over = Arc::clone(&over);
            std::thread::spawn(move || registers(phone, router, &over))
        })
        .collect();
    let until = Instant::now() + PATIENCE;
    let mut durable = written(&desk);
    while durable.len() < 200 {
        assert!(Instant::now() < until, "{} are written", durable.len());
        durable = written(&desk);
    }
    engine.signal(SIGKILL);
    let killed = Instant::now();
    engine.end();
    over.store(true, Ordering::Relaxed);
    let acknowledged: BTreeMap<String, Instant> = phones
        .into_iter()
        .flat_map(|phone| phone.join().expect("no panic"))
        .collect();

    let engine = Engine::start(&desk, site);
    let (socket, never) = (storm_socket(), AtomicBool::new(false));
    let is_there = |user: &str| {
        let answer = ask(&socket, (engine.address, user, 1, ""), &never).expect("an answer");
        answer.contains(&format!("\r\nContact: <sip:{user}@"))
    };
    let lost: Vec<&String> = durable.iter().filter(|user| !is_there(user)).collect();
    assert!(lost.is_empty(), "{lost:?} of {}", durable.len());
    let gone = acknowledged.iter().filter(|(user, _)| !is_there(user));
    let ages: Vec<Duration> = gone.map(|(_, at)| killed.duration_since(*at)).collect();
    eprintln!(
        "{} acknowledged, {} seen in the journal before the kill; {} lost, the oldest {:?} old",
        acknowledged.len(),
        durable.len(),
        ages.len(),
        ages.iter().max().copied().unwrap_or_default()
    );
}

#[test]
fn a_second_router_does_not_take_the_journal_of_the_first() {
    let desk = Desk::new();
    let engine = Engine::start(&desk, SITE);
    let (code, _, said) = tipring(&["run", "--config", "tipring.toml"], &desk.path("."));
    assert_eq!(code, Some(1));
    assert!(
        said.contains("another router keeps its journal here"),
        "{said}"
    );
    drop(engine);
}

fn check(desk: &Desk, variables: &[(&str, &str)], file: &str) -> String {
    let arguments = ["check", "--config", file];
    let (_, out, _) = tipring_with(variables, &arguments, &desk.path("."));
    let line = out.lines().find(|line| line.starts_with("journal "));
    line.unwrap_or_else(|| panic!("{out}")).to_owned()
}

#[test]
fn check_tells_where_the_journal_is() {
    let desk = Desk::new();
    desk.write("plain.toml", &config(""));
    desk.write("off.toml", &config("[journal]\nenabled = false\n"));
    desk.write(
        "here.toml",
        &config("[journal]\ndirectory = \"here\"\ncommit_ms = 50\n"),
    );
    let state = [("STATE_DIRECTORY", "/var/lib/tipring:/var/lib/other")];
    assert!(
        check(&desk, &[("STATE_DIRECTORY", "")], "plain.toml").contains("off: journal.directory")
    );
    let by_systemd = check(&desk, &state, "plain.toml");
    assert!(
        by_systemd.contains("/var/lib/tipring/journal, written every 200 ms"),
        "{by_systemd}"
    );
    assert_eq!(
        check(&desk, &state, "off.toml").split_whitespace().nth(1),
        Some("off")
    );
    assert!(check(&desk, &state, "here.toml").contains("here, written every 50 ms"));
}

#[test]
fn a_look_at_what_is_no_journal_says_so() {
    let desk = Desk::new();
    let directory = desk.path(".");
    let inspect = |path: &str| tipring(&["journal", "inspect", path], Path::new(&directory));
    let (code, _, said) = inspect("nowhere");
    assert!(
        code == Some(1) && said.contains("nowhere: No such file"),
        "{said}"
    );
    let (code, _, said) = inspect(".");
    assert!(
        code == Some(1) && said.contains("no log and no snapshot here"),
        "{said}"
    );
    desk.write("text", "not a journal");
    let (code, out, _) = inspect("text");
    assert!(
        code == Some(1) && out.contains("text: no segment of a journal"),
        "{out}"
    );
}
