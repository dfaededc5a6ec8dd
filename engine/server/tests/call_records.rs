//! Records of calls from end to end: a line for each call on disk, in time, and none lost when the router is
//! told to end or is killed.

// Sockets, and waiting for files, are what these tests are about.
#![allow(clippy::disallowed_methods)]

mod lab;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use lab::{Call, Desk, Engine, Phone, call, rdb};
use serde_json::Value;

const SIGHUP: i32 = 1;
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

const CDR: &str = "[routing]\nrdb = \"rdb.json\"\n[cdr]\ndirectory = \"cdr\"\n";

/// A router that writes records, and so many calls through it; the last one still stands.
fn with_calls(desk: &Desk, extra: &str, calls: usize) -> (Engine, Call) {
    let nowhere = ([127, 0, 0, 1], 9).into();
    let mut phone = Some(Phone::new(nowhere, "callee"));
    let at = phone.as_ref().map(Phone::address).expect("a callee");
    desk.write("rdb.json", &rdb("^100$", &at.to_string()));
    let engine = Engine::start(desk, &format!("{CDR}{extra}"));
    let mut last = None;
    for number in 0..calls {
        let caller = Phone::new(engine.address, &format!("caller{number}"));
        let callee = phone.take().expect("the callee of the call before");
        let call = call(&engine, caller, callee, "100");
        if number + 1 < calls {
            call.hang_up();
            phone = Some(call.callee);
        } else {
            last = Some(call);
        }
    }
    (engine, last.expect("a call"))
}

/// The whole lines in the directory, by file.
fn lines(directory: &Path) -> Vec<Vec<String>> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("entry").path()).collect();
    paths.sort();
    let whole = |text: String| {
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        whole.lines().map(str::to_owned).collect()
    };
    let read = |path| whole(fs::read_to_string(path).unwrap_or_default());
    paths.iter().map(read).collect()
}

fn records(directory: &Path) -> Vec<Value> {
    let lines = lines(directory).into_iter().flatten();
    lines
        .map(|line| serde_json::from_str(&line).expect("JSON"))
        .collect()
}

/// Waits until there are so many; a test fails when they do not come.
fn wait_for_records(directory: &Path, wanted: usize) -> Vec<Value> {
    let begun = Instant::now();
    loop {
        let found = records(directory);
        if found.len() >= wanted {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{found:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn is_csv(file: &[String]) -> bool {
    file.first().is_some_and(|line| line.starts_with("id,"))
}

/// Calls a number without a route again and again, until that shows.
fn refuse_until(engine: &Engine, shows: impl Fn() -> bool) {
    let begun = Instant::now();
    let uri = format!("sip:999@{}", engine.address);
    while !shows() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "it does not show"
        );
        let stranger = Phone::new(engine.address, "stranger");
        stranger.request("INVITE", &uri, &format!("<{uri}>"), 1);
        stranger.wait_for("404");
        std::thread::sleep(Duration::from_millis(150));
    }
}

#[test]
fn every_call_is_a_line_with_both_legs() {
    let desk = Desk::new();
    let peers =
        "[[peer]]\nname = \"desk phones\"\naddresses = [\"127.0.0.0/8\"]\nclass = \"phone\"\n";
    let (mut engine, call) = with_calls(&desk, peers, 3);
    call.hang_up();
    let stranger = Phone::new(engine.address, "stranger");
    let uri = format!("sip:999@{}", engine.address);
    stranger.request("INVITE", &uri, &format!("<{uri}>"), 1);
    stranger.wait_for("404");
    let records = wait_for_records(&desk.path("cdr"), 4);
    for record in &records[..3] {
        assert_eq!(
            (&record["code"], &record["cause"]),
            (&200.into(), &16.into())
        );
        assert_eq!(record["ended_by"], "caller");
        assert_eq!(record["route"], "^100$");
        assert_eq!(record["caller"]["peer"], "desk phones");
        let call_id = record["callee"]["call_id"].as_str().expect("a Call-ID");
        assert!(call_id.starts_with("tpr-"));
        assert!(record["answer"].as_str() <= record["end"].as_str());
    }
    assert_eq!(records[3]["code"], 404);
    assert!(records[3]["callee"].is_null());
    engine.signal(SIGTERM);
    assert_eq!(engine.end().code(), Some(0));
    assert_eq!(lines(&desk.path("cdr")).concat().len(), 4);
}

#[test]
fn a_sigterm_loses_no_record() {
    let desk = Desk::new();
    let (mut engine, call) = with_calls(&desk, "", 20);
    // The last call still stands: it is ended by the second signal.
    engine.signal(SIGTERM);
    engine.wait_for("draining");
    engine.signal(SIGTERM);
    assert_eq!(engine.end().code(), Some(0));
    let records = records(&desk.path("cdr"));
    assert_eq!(records.len(), 20);
    let last = &records[19];
    let found = (&last["ended_by"], &last["reason"], &last["cause"]);
    let shutdown = (&"router".into(), &"Router Shutdown".into(), &41.into());
    assert_eq!(found, shutdown);
    drop(call);
}

#[test]
fn a_kill_loses_none_that_is_older_than_a_second() {
    let desk = Desk::new();
    let (mut engine, call) = with_calls(&desk, "", 10);
    call.hang_up();
    // What is promised: after one second they are there.
    std::thread::sleep(Duration::from_secs(1));
    engine.signal(SIGKILL);
    assert_eq!(engine.end().code(), None);
    assert_eq!(records(&desk.path("cdr")).len(), 10);
}

#[test]
fn files_are_rotated_by_size_and_a_reload_changes_the_format() {
    let desk = Desk::new();
    let (mut engine, call) = with_calls(&desk, "rotate_bytes = 4096\n", 12);
    let directory = desk.path("cdr");
    wait_for_records(&directory, 11);
    // A file is full with the lines that came at once: however many these were, another one follows soon.
    refuse_until(&engine, || lines(&directory).len() > 1);
    let config = lab::config(&format!("{CDR}format = \"csv\"\n"));
    let config = config.replace("127.0.0.1:0", &engine.address.to_string());
    desk.write("tipring.toml", &config);
    engine.signal(SIGHUP);
    engine.wait_for("\"message\":\"reloaded\"");
    // What came before the writer hears of it goes by the old settings.
    refuse_until(&engine, || {
        lines(&directory).iter().any(|file| is_csv(file))
    });
    call.hang_up();
    engine.signal(SIGTERM);
    assert_eq!(engine.end().code(), Some(0));
    let files = lines(&directory);
    let mut csv = files.iter().filter(|file| is_csv(file));
    let last = csv
        .next_back()
        .and_then(|file| file.last())
        .expect("a line");
    assert!(last.contains(",caller,,200,16,^100$,"), "{last}");
}

#[test]
fn a_router_that_cannot_write_its_records_does_not_start() {
    let desk = Desk::new();
    desk.write("cdr", "a file where the directory should be");
    desk.write("rdb.json", &rdb("^100$", "127.0.0.1:9"));
    let config = desk.write("tipring.toml", &lab::config(CDR));
    let config = config.to_str().expect("a name");
    let (code, _, error) = lab::tipring(&["run", "--config", config], &desk.path("."));
    assert_ne!(code, Some(0));
    assert!(error.contains("cdr.directory: "), "{error}");
}
