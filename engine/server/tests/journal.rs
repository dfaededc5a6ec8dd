//! The journal from end to end: who has registered is still there after kill -9; who may use a journal; and
//! what the commands say of it.

// Sockets are what these tests are about.
#![allow(clippy::disallowed_methods)]

mod lab;

use std::path::Path;
use std::time::{Duration, Instant};

use lab::{Desk, Engine, Phone, config, tipring, tipring_with};

const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;
const PATIENCE: Duration = Duration::from_secs(20);

const SITE: &str = "[journal]\ndirectory = \"state/journal\"\ncommit_ms = 5\n[auth]\nregister = false\n\
                    [[domain]]\nname = \"example.com\"\nusers = [{ username = \"1001\", secret = \"a\" }]\n";

/// Registers a phone for 1001; the contacts the router tells.
fn register(engine: &Engine, phone: &str) -> (String, Vec<String>) {
    let phone = Phone::new(engine.address, phone);
    phone.request("REGISTER", "sip:example.com", "<sip:1001@example.com>", 1);
    let answer = phone.wait_for("200");
    let lines = answer.echoed(&["Contact"]);
    let contacts = lines.lines().map(str::to_owned).collect();
    (phone.address().to_string(), contacts)
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
    let (first, told) = register(&engine, "first");
    assert!(told.len() == 1 && told[0].contains(&first), "{told:?}");
    wait_for_bindings(&desk, 1);
    engine.signal(SIGKILL);
    engine.end();

    let mut engine = Engine::start(&desk, SITE);
    let read = engine.said("\"message\":\"journal read\"").expect("said");
    assert!(read.contains("\"bindings\":1"), "{read}");
    let (second, told) = register(&engine, "second");
    let has = |address: &str| told.iter().any(|contact| contact.contains(address));
    assert!(told.len() == 2 && has(&first) && has(&second), "{told:?}");
    // The orderly end writes what waits.
    engine.signal(SIGTERM);
    assert_eq!(engine.end().code(), Some(0));
    assert_eq!(bindings(&desk), Some(2));
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
