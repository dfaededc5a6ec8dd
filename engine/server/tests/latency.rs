//! Latencies from end to end: a router measures calls, writes its log, and the report says what was
//! measured; and what the report says about files that are no good.

// Sockets are what these tests are about.
#![allow(clippy::disallowed_methods)]

mod lab;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use lab::talk::{Talk, eight_ports, media_section, steered_rdb};
use lab::{Desk, Engine, Phone, call, rdb, tipring};
use latency::{Header, Log, LogWriter, Set, Span};
use std::time::{Duration, SystemTime};

const SIGTERM: i32 = 15;
const CALLS: u64 = 5;

/// A router with a log, `CALLS` calls through it from begin to end, and its orderly end.
fn measured(desk: &Desk, extra: &str) -> Vec<PathBuf> {
    let callee = || Phone::new(([127, 0, 0, 1], 9).into(), "callee");
    let first = callee();
    desk.write("rdb.json", &rdb("^100$", &first.address().to_string()));
    let config = format!("[routing]\nrdb = \"rdb.json\"\n[latency]\ndirectory = \"logs\"\n{extra}");
    let mut engine = Engine::start(desk, &config);
    let mut phone = Some(first);
    for number in 0..CALLS {
        let caller = Phone::new(engine.address, &format!("caller{number}"));
        let callee = phone.take().expect("the callee of the call before");
        let call = call(&engine, caller, callee, "100");
        call.caller.request("BYE", &call.contact, &call.to, 2);
        call.callee.answer(&call.callee.wait_for("BYE"), "200 OK");
        call.caller.wait_for("200");
        phone = Some(call.callee);
    }
    engine.signal(SIGTERM);
    assert_eq!(engine.end().code(), Some(0));
    logs(&desk.path("logs"))
}

fn logs(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("the directory was made");
    let mut logs: Vec<_> = entries.map(|entry| entry.expect("entry").path()).collect();
    logs.sort();
    logs
}

/// Counts by metric, all shards together.
fn counts(logs: &[PathBuf]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for path in logs {
        let log = Log::read(&fs::read(path).expect("a log")).expect("a good log");
        for one in log.intervals {
            *counts.entry(one.metric).or_default() += one.histogram.len();
        }
    }
    counts
}

/// Counts by metric as the report says them, all shards together.
fn reported(desk: &Desk, log: &Path) -> BTreeMap<String, u64> {
    let path = log.to_str().expect("a name");
    let (code, text, error) = tipring(&["report", path, "--json"], &desk.path("."));
    assert_eq!((code, error.as_str()), (Some(0), ""));
    let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let rows = report["rows"].as_array().expect("rows");
    let all = rows.iter().filter(|row| row["source"].is_null());
    let count = |row: &serde_json::Value| {
        let metric = row["metric"].as_str().expect("a name").to_owned();
        (metric, row["count"].as_u64().expect("a number"))
    };
    all.map(count).collect()
}

#[test]
fn every_call_is_in_the_report() {
    let desk = Desk::new();
    let logs = measured(&desk, "");
    assert_eq!(logs.len(), 1, "{logs:?}");
    let report = reported(&desk, &logs[0]);
    let of = |metric: &str| report.get(metric).copied();
    assert_eq!(of("invite_in_to_out"), Some(CALLS));
    // INVITE, ACK and BYE of each call.
    assert_eq!(of("request_in_to_out"), Some(3 * CALLS));
    assert!(of("turn").is_some_and(|turns| turns >= 5 * CALLS));
    assert_eq!(of("rtp_residence"), None);
}

#[test]
fn the_way_of_media_and_the_wait_in_the_kernel_are_in_the_report() {
    const PACKETS: u16 = 30;
    let desk = Desk::new();
    let callee = Phone::new(([127, 0, 0, 1], 9).into(), "callee");
    desk.write("rdb.json", &steered_rdb("^100$", &callee));
    let media = media_section(eight_ports());
    let config = format!(
        "[routing]\nrdb = \"rdb.json\"\n[latency]\ndirectory = \"logs\"\nkernel_wait_every = 1\n{media}"
    );
    let mut engine = Engine::start(&desk, &config);
    let talk = Talk::begin(&engine, &callee);
    talk.converse(PACKETS);
    talk.end(&callee);
    engine.signal(SIGTERM);
    assert_eq!(engine.end().code(), Some(0));
    let report = reported(&desk, &logs(&desk.path("logs"))[0]);
    assert_eq!(report["rtp_residence"], 2 * u64::from(PACKETS));
    // Of SIP, in every turn here: the INVITE, its 200, the ACK, the BYE and its 200, and what was repeated.
    assert!(report["kernel_queue_wait"] >= 5, "{report:?}");
}

#[test]
fn shards_write_side_by_side_and_intervals_follow_each_other() {
    let desk = Desk::new();
    let extra = "interval_s = 1\n[engine]\nshards = 2\n[udp]\nsteering = \"off\"\n";
    let counted = counts(&measured(&desk, extra));
    assert_eq!(counted["invite_in_to_out"], CALLS);
    assert_eq!(counted["request_in_to_out"], 3 * CALLS);
}

/// The readers of the HDR ecosystem take what the router wrote: the same counts by hdrhistogram's own.
#[test]
fn other_tools_read_the_log() {
    let desk = Desk::new();
    let logs = measured(&desk, "[engine]\nshards = 1\n");
    let bytes = fs::read(&logs[0]).expect("a log");
    let mut turns = 0.0_f64;
    let mut kinds = Vec::new();
    for entry in IntervalLogIterator::new(&bytes) {
        match entry.expect("every line is a log entry") {
            LogEntry::StartTime(_) => kinds.push("start"),
            LogEntry::BaseTime(_) => kinds.push("base"),
            LogEntry::Interval(one) => {
                let tag = one.tag().expect("a tag");
                assert!(tag.as_str().starts_with("s0/"), "{tag:?}");
                // HISTFAA...: the V2 deflate cookie, 0x1c849304, in base64.
                assert!(one.encoded_histogram().starts_with("HISTF"));
                turns = turns.max(if tag.as_str() == "s0/turn" {
                    one.max()
                } else {
                    0.0
                });
                kinds.push("interval");
            }
        }
    }
    assert_eq!(kinds[..3], ["start", "base", "interval"]);
    // The maximum of the line, milliseconds, is that of the histogram, nanoseconds.
    let log = Log::read(&bytes).expect("a good log");
    let of_turns = log.intervals.iter().filter(|one| one.metric == "turn");
    let max = of_turns
        .map(|one| one.histogram.max())
        .max()
        .expect("turns");
    assert!(
        (max as f64 / 1e6 - turns).abs() < 0.001,
        "{max} ns and {turns} ms"
    );
}

/// A router that is to write its log every second; `adapt` makes that impossible. What it says of it, after
/// which it carries a call and ends in order.
fn runs_without_logs(
    desk: &Desk,
    says: &str,
    adapt: impl FnOnce(&mut std::process::Command),
) -> String {
    let callee = Phone::new(([127, 0, 0, 1], 9).into(), "callee");
    desk.write("rdb.json", &rdb("^100$", &callee.address().to_string()));
    let config = "[engine]\nshards = 1\n[routing]\nrdb = \"rdb.json\"\n\
                  [latency]\ndirectory = \"logs\"\ninterval_s = 1\n";
    let mut engine = Engine::start_with(desk, config, adapt);
    let line = match engine.said(says) {
        Some(line) => line.to_owned(),
        None => engine.wait_for(says),
    };
    let caller = Phone::new(engine.address, "caller");
    let call = call(&engine, caller, callee, "100");
    call.caller.request("BYE", &call.contact, &call.to, 2);
    call.callee.answer(&call.callee.wait_for("BYE"), "200 OK");
    call.caller.wait_for("200");
    engine.signal(SIGTERM);
    assert_eq!(engine.end().code(), Some(0));
    line
}

#[test]
fn a_place_that_cannot_be_written_to_stops_no_call() {
    let desk = Desk::new();
    desk.write("logs", "a file where the directory should be");
    let line = runs_without_logs(&desk, "latency log: cannot be written", |_| {});
    assert!(line.contains("\"level\":\"ERROR\""), "{line}");
}

/// The files' executor refuses to start below 512 KiB of locked memory, whatever the privileges; one
/// shard's ring fits into less.
#[test]
fn an_executor_of_files_that_cannot_start_stops_no_call() {
    let desk = Desk::new();
    let line = runs_without_logs(&desk, "no latency logs", |command| {
        lab::with_locked_memory(command, 500);
    });
    assert!(line.contains("\"level\":\"ERROR\""), "{line}");
    assert!(line.contains("LimitMEMLOCK"), "{line}");
    assert!(!desk.path("logs").exists());
}

// --- the report

/// A log of twelve intervals; `slow` times as slow as usual.
fn write_log(desk: &Desk, name: &str, slow: u64) -> String {
    let base = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let header = Header {
        comment: "made by a test",
        started: base,
        base,
    };
    let mut log = LogWriter::begin(Vec::new(), &header).expect("a header");
    for interval in 0..12u64 {
        for shard in ["s0", "s1"] {
            let mut set = Set::new(&["turn", "invite_in_to_out"]);
            for us in 1..=200 {
                set.record(0, us * 1_000 * slow, 1);
            }
            set.record(1, if interval == 5 { 9_000_000 } else { 40_000 }, 1);
            let span = Span {
                start: Duration::from_secs(10 * interval),
                length: Duration::from_secs(10),
            };
            log.write_set(shard, span, &set).expect("written");
        }
    }
    let path = desk.path(name);
    fs::write(&path, log.into_inner()).expect("written");
    path.to_str().expect("a name").to_owned()
}

#[test]
fn a_report_has_tables_outliers_and_plots() {
    let desk = Desk::new();
    write_log(&desk, "night.hlog", 1);
    let (code, text, error) = tipring(&["report", "night.hlog"], &desk.path("."));
    assert_eq!((code, error.as_str()), (Some(0), ""));
    insta::assert_snapshot!(text, @r#"
    night.hlog: 120 s, 48 intervals
     metric            of   count      p50      p90      p99    p99.9   p99.99      max
     invite_in_to_out  all     24  40.1 us  40.1 us  9.00 ms  9.00 ms  9.00 ms  9.00 ms
     invite_in_to_out  s0      12  40.1 us  40.1 us  9.00 ms  9.00 ms  9.00 ms  9.00 ms
     invite_in_to_out  s1      12  40.1 us  40.1 us  9.00 ms  9.00 ms  9.00 ms  9.00 ms
     turn              all  4,800   100 us   180 us   198 us   200 us   200 us   200 us
     turn              s0   2,400   100 us   180 us   198 us   200 us   200 us   200 us
     turn              s1   2,400   100 us   180 us   198 us   200 us   200 us   200 us
    intervals that stand out (p99 or max above twice the median of all intervals and above it by 6 deviations (1.4826 MAD)):
      at      50 s  invite_in_to_out     max   9.00 ms, usually 40.1 us
    wrote night.percentiles.svg
    wrote night.times.svg
    "#);
    for plot in ["night.percentiles.svg", "night.times.svg"] {
        let svg = fs::read_to_string(desk.path(plot)).expect("a plot");
        assert!(svg.starts_with("<svg") && svg.contains("invite_in_to_out"));
    }
}

#[test]
fn filters_and_places() {
    let desk = Desk::new();
    write_log(&desk, "night.hlog", 1);
    let arguments = [
        "report",
        "night.hlog",
        "--metric",
        "turn",
        "--shard",
        "1",
        "--from",
        "20",
        "--to",
        "40",
        "--svg",
        "plots",
    ];
    let (code, text, _) = tipring(&arguments, &desk.path("."));
    assert_eq!(code, Some(0));
    insta::assert_snapshot!(text, @r#"
    night.hlog: 20 s, 2 intervals
     metric  of   count     p50     p90     p99   p99.9  p99.99     max
     turn    all    400  100 us  180 us  198 us  200 us  200 us  200 us
    no interval stands out
    wrote plots/night.percentiles.svg
    wrote plots/night.times.svg
    "#);
    assert_eq!(logs(&desk.path("plots")).len(), 2);
}

#[test]
fn two_runs_are_compared() {
    let desk = Desk::new();
    write_log(&desk, "before.hlog", 1);
    write_log(&desk, "after.hlog", 2);
    let arguments = [
        "report",
        "--compare",
        "before.hlog",
        "after.hlog",
        "--metric",
        "turn",
    ];
    let (code, text, _) = tipring(&arguments, &desk.path("."));
    assert_eq!(code, Some(0));
    insta::assert_snapshot!(text, @r#"
    A: before.hlog: 120 s, 24 intervals
    B: after.hlog: 120 s, 24 intervals
     metric  of   run  count     p50     p90     p99   p99.9  p99.99     max
     turn    all  A    4,800  100 us  180 us  198 us  200 us  200 us  200 us
                  B    4,800  200 us  360 us  396 us  400 us  400 us  400 us
                  B/A         x 2.00  x 2.00  x 2.00  x 2.00  x 2.00  x 2.00
     turn    s0   A    2,400  100 us  180 us  198 us  200 us  200 us  200 us
                  B    2,400  200 us  360 us  396 us  400 us  400 us  400 us
                  B/A         x 2.00  x 2.00  x 2.00  x 2.00  x 2.00  x 2.00
     turn    s1   A    2,400  100 us  180 us  198 us  200 us  200 us  200 us
                  B    2,400  200 us  360 us  396 us  400 us  400 us  400 us
                  B/A         x 2.00  x 2.00  x 2.00  x 2.00  x 2.00  x 2.00
    wrote before-and-after.percentiles.svg
    "#);
}

#[test]
fn a_directory_is_all_its_logs() {
    let desk = Desk::new();
    fs::create_dir(desk.path("run")).expect("made");
    write_log(&desk, "run/a.hlog", 1);
    write_log(&desk, "run/b.hlog", 1);
    desk.write("run/notes.txt", "not a log");
    let (code, text, _) = tipring(&["report", "run", "--no-svg"], &desk.path("."));
    assert_eq!(code, Some(0));
    assert!(text.starts_with("run: 120 s, 96 intervals"), "{text}");
    let (code, _, error) = tipring(&["report", "--compare", "run"], &desk.path("."));
    assert!(code == Some(1) && error.contains("--compare takes two runs"));
}

#[test]
fn files_that_are_no_good_are_named() {
    let desk = Desk::new();
    let path = write_log(&desk, "night.hlog", 1);
    let good = fs::read_to_string(&path).expect("a log");
    desk.write("config.hlog", "[engine]\nshards = 1\n");
    desk.write("empty.hlog", "");
    desk.write("newer.hlog", &good.replace("version 1.3", "version 7.0"));
    desk.write(
        "damaged.hlog",
        &good.replacen("Tag=s1/turn,0.000", "Tag=s1/turn,soon", 1),
    );
    desk.write("idle.hlog", good.split("Tag=").next().expect("a header"));
    let mut said = String::new();
    for name in ["config", "empty", "newer", "damaged", "idle", "missing"] {
        let (code, out, error) = tipring(&["report", &format!("{name}.hlog")], &desk.path("."));
        assert_eq!((code, out.as_str()), (Some(1), ""), "{name}");
        said += &error;
    }
    let (code, _, error) = tipring(
        &["report", "night.hlog", "--metric", "trun"],
        &desk.path("."),
    );
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(said + &error, @r#"
    error: config.hlog: not an HDR interval log (.hlog): line 1 is neither a comment nor an interval
    error: empty.hlog: not an HDR interval log (.hlog): the file is empty
    error: newer.hlog: version "7.0" of the HDR interval log format is not known; 1.x is
    error: damaged.hlog: line 9 is damaged: neither a comment nor an interval
    error: idle.hlog: no intervals: nothing was recorded
    error: missing.hlog: No such file or directory (os error 2)
    error: night.hlog: no interval passes the filter; there are s0/invite_in_to_out s0/turn s1/invite_in_to_out s1/turn
    "#);
}

#[test]
fn a_log_whose_writer_was_killed_is_read_as_far_as_it_goes() {
    let desk = Desk::new();
    let path = write_log(&desk, "night.hlog", 1);
    let whole = fs::read_to_string(&path).expect("a log");
    desk.write("night.hlog", &whole[..whole.len() - 30]);
    let (code, text, _) = tipring(&["report", "night.hlog", "--no-svg"], &desk.path("."));
    assert_eq!(code, Some(0));
    assert!(
        text.contains("47 intervals")
            && text.contains("note: night.hlog: the last line is cut off")
    );
}
