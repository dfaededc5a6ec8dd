//! The commands as a user runs them, over loopback and without any other server: what must hold whatever the machine is doing.

#![allow(
    clippy::disallowed_methods,
    reason = "a test of a tool: it opens a socket to find a free port"
)]

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Command, Output};

use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use serde_json::Value;

fn free_address() -> String {
    let socket = UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    socket.local_addr().unwrap().to_string()
}

fn directory(name: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&directory);
    directory
}

fn run(words: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_tipring-bench"))
        .args(words)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{words:?}: {text}");
    output
}

fn json(path: PathBuf) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_direct_run_of_two_seconds_completes_every_call() {
    let (address, place) = (free_address(), directory("direct"));
    let words = "calls --rate 2000 --duration 2 --warmup 0.5 --hold 0.1 --callers 3".split(' ');
    let place_word = place.to_str().unwrap();
    let ends = [
        "--target", &address, "--callee", &address, "--report", place_word,
    ];
    run(&words.chain(ends).collect::<Vec<_>>());

    let report = json(place.join("report.json"));
    let tally = &report["tally"];
    assert_eq!(tally["attempts"], 4000);
    assert_eq!(tally["completed"], 4000);
    assert_eq!(tally["failed"], 0);
    assert_eq!(tally["unexpected"], 0);
    assert_eq!(tally["malformed"], 0);
    assert_eq!(report["setup"]["count"], 3000);
    let log = fs::read(place.join("setup.hlog")).unwrap();
    let intervals = IntervalLogIterator::new(&log)
        .filter(|entry| matches!(entry, Ok(LogEntry::Interval(_))))
        .count();
    assert!(intervals >= 1);
}

#[test]
fn held_calls_are_built_up_and_torn_down() {
    let (address, place) = (free_address(), directory("hold"));
    let words = "hold --calls 500 --rate 2000 --hold 0.2".split(' ');
    let pid = std::process::id().to_string();
    let place_word = place.to_str().unwrap();
    let ends = [
        "--target",
        &address,
        "--callee",
        &address,
        "--report",
        place_word,
        "--server-pid",
        &pid,
    ];
    run(&words.chain(ends).collect::<Vec<_>>());
    let report = json(place.join("hold.json"));
    assert_eq!(
        (&report["held"], &report["tally"]["completed"]),
        (&500.into(), &500.into())
    );
    assert_eq!(report["settled"], false);
    assert!(report["resident_held"].as_u64().unwrap() > 0);
}

#[test]
fn the_floor_is_measured_through_the_reflector() {
    let (target, callee, place) = (free_address(), free_address(), directory("floor"));
    let words = "floor --rounds 1 --duration 2 --warmup 0.5 --rate 500".split(' ');
    let place_word = place.to_str().unwrap();
    let ends = [
        "--target", &target, "--callee", &callee, "--runs", place_word,
    ];
    let output = run(&words.chain(ends).collect::<Vec<_>>());
    assert!(String::from_utf8_lossy(&output.stdout).contains("floor"));
    let run_directory = fs::read_dir(&place)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let summary = json(run_directory.join("summary.json"));
    assert_eq!(summary["rows"][0]["contender"], "floor");
    assert!(summary["rows"][0]["cpu_us_per_call"].as_f64().unwrap() > 0.0);
    assert!(run_directory.join("floor-1/report.json").exists());
}

#[test]
fn wrong_words_are_refused() {
    for words in [
        &["calls"][..],
        &["calls", "--target", "127.0.0.1:9", "--rate", "0"][..],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_tipring-bench"))
            .args(words)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}");
    }
}
