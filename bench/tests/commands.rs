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

/// A port below the kernel's own range, most likely with free ones behind it; another at every attempt.
fn port_first(attempt: u32) -> String {
    (10_000 + (std::process::id() * 98 + attempt * 4_002) % 20_000).to_string()
}

/// Media through the floor. A loaded machine may lose packets, which the command says by its code 2, but must not lose count.
fn media_floor(place: &str, hlog: &str) -> Output {
    for attempt in 0..3 {
        let words = "media --floor --calls 20 --duration 1 --warmup 0.2".split(' ');
        let port = port_first(attempt);
        let ends = ["--port-first", &port, "--runs", place, "--hlog", hlog];
        let output = Command::new(env!("CARGO_BIN_EXE_tipring-bench"))
            .args(words.chain(ends))
            .output()
            .unwrap();
        if matches!(output.status.code(), Some(0 | 2)) {
            return output;
        }
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    }
    panic!("no port range was free");
}

#[test]
fn media_through_the_floor_is_accounted_for() {
    let place = directory("media");
    let hlog = place.join("delays.hlog");
    let output = media_floor(place.to_str().unwrap(), hlog.to_str().unwrap());
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("CPU us per relayed packet"), "{text}");
    let runs = fs::read_dir(&place).unwrap().map(|entry| entry.unwrap());
    let run = runs.map(|entry| entry.path()).find(|path| path.is_dir());
    let report = json(run.unwrap().join("floor-1/media.json"));
    let count = |direction: &str, what: &str| report[direction][what].as_u64().unwrap();
    for direction in ["to_callee", "to_caller"] {
        assert_eq!(count(direction, "sent"), 20 * 40, "{report}");
        assert!(count(direction, "received") > 0, "{report}");
        let accounted = count(direction, "received") + count(direction, "lost");
        assert_eq!(accounted, count(direction, "sent"), "{report}");
        assert_eq!(count(direction, "duplicated"), 0, "{report}");
        let delays = report[direction]["delay"]["count"].as_u64().unwrap();
        assert_eq!(delays, count(direction, "received"), "{report}");
    }
    assert_eq!(report["foreign"], 0, "{report}");
    assert!(report["server"]["cpu_us_per_packet"].as_f64().unwrap() > 0.0);
    let log = latency::Log::read(&fs::read(hlog).unwrap()).unwrap();
    assert!(
        log.intervals
            .iter()
            .all(|interval| interval.source == "floor")
    );
    let logged: u64 = log.intervals.iter().map(|i| i.histogram.len()).sum();
    assert_eq!(
        logged,
        count("to_callee", "received") + count("to_caller", "received")
    );
}

#[test]
fn wrong_words_are_refused() {
    for words in [
        &["media", "--floor", "--compare"][..],
        &["media", "--bytes", "20"][..],
        &["media", "--port-first", "10001"][..],
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
