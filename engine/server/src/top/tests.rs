//! Pictures of what a router might tell.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::picture;
use super::screen::{Link, Screen, Tab};
use super::watch::{Lines, Update};

const STATS: &str = r#"{
  "now_unix_ms": 1700000090000, "version": "9.8.7", "uptime_s": 90061, "resident_bytes": 104857600,
  "registered_users": 12, "directory_users": 40, "a_later_field": [1, 2],
  "total": {"calls": 3, "calls_per_s": 120.5, "media_streams": 4, "calls_limited": 7, "calls_failed": 2,
    "kernel_drops": 1, "retransmissions": 5, "overloaded": true},
  "shards": [
    {"calls": 1, "calls_per_s": 60.5, "busy_permille": 125, "datagrams_per_s": 840.4, "calls_started": 90, "calls_answered": 80},
    {"calls": 2, "calls_per_s": 60.0, "busy_permille": 950, "kernel_drops": 1, "calls_started": 9, "calls_answered": 8}],
  "latencies": [
    {"shard": 0, "metric": "invite_in_to_out", "p50_us": 20.0, "p99_us": 900.0, "p999_us": 1500.0},
    {"shard": 1, "metric": "invite_in_to_out", "p50_us": 30.0, "p99_us": 40.0, "p999_us": 2500000.0},
    {"shard": 1, "metric": "kernel_queue_wait", "p50_us": 3.0, "p99_us": 4.0, "p999_us": 5.0}],
  "limits": [{"key": "limits.calls", "value": 250000}]
}"#;

const CALLS: &str = r#"[
  {"state": "ringing", "from": "younger", "to": "200", "caller": "192.0.2.1:5060", "callee": null,
   "began_unix_ms": 1700000080000},
  {"state": "answered", "from": "\u001b[2Jalice", "to": "100", "caller": "192.0.2.1:5060",
   "callee": "192.0.2.2:5060", "began_unix_ms": 1700000000000}]"#;

fn numbers() -> Update {
    let stats = serde_json::from_str(STATS).expect("stats");
    Update::Numbers(stats, serde_json::from_str(CALLS).expect("calls"))
}

fn screen() -> Screen {
    let mut screen = Screen::new("http://127.0.0.1:8060");
    screen.take(numbers());
    screen
}

fn press(screen: &mut Screen, code: KeyCode) -> bool {
    screen.press(KeyEvent::new(code, KeyModifiers::NONE))
}

#[test]
fn a_wide_terminal() {
    let shown = picture(&screen(), 110, 20);
    for part in [
        "tipring http://127.0.0.1:8060  up  9.8.7  1d 1h  100 MiB",
        "CAPS 120.5   calls 3 of 250000   registered 12 of 40   streams 4",
        "set-up p50/p99/p99.9 30 us / 900 us / 2.5 s",
        "kernel drops 1",
        "admission limited",
        "12.5%",
        "95.0%",
        "80/90",
        "0:10",
        "1:30",
        "?[2Jalice",
        "calls, the longest of 2 looked at",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    let (longest, younger) = (shown.find("alice"), shown.find("younger"));
    assert!(longest < younger, "{shown}");
}

#[test]
fn a_narrow_terminal() {
    let shown = picture(&screen(), 40, 24);
    assert!(shown.lines().all(|line| line.chars().count() <= 40));
    for part in ["CAPS 120.5", "admission limited", "95.0%", "younger"] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    assert!(
        !shown.contains("queue p99") && !shown.contains("192.0.2.1"),
        "{shown}"
    );
}

#[test]
fn no_size_is_too_small() {
    for (width, height) in [(1, 1), (7, 3), (20, 6), (500, 2)] {
        picture(&screen(), width, height);
    }
}

#[test]
fn a_router_that_went_away_leaves_its_last_numbers() {
    let mut screen = screen();
    screen.take(Update::Lost("Connection refused".into()));
    let shown = picture(&screen, 110, 20);
    assert!(
        shown.contains("reconnecting: Connection refused"),
        "{shown}"
    );
    assert!(shown.contains("CAPS 120.5"), "{shown}");
    screen.take(numbers());
    assert_eq!(screen.link, Link::Up);
}

#[test]
fn events_come_latest_first_behind_the_tab() {
    let mut screen = screen();
    let mut lines = Lines::default();
    let mut heard =
        lines.take(b"event: call-started\ndata: {\"type\":\"call-started\",\"from\":\"a\",");
    assert!(heard.is_empty());
    heard.extend(
        lines.take(b"\"to\":\"b\"}\n\n: alive\n\nevent: cut\ndata: {\"type\":\"registered\","),
    );
    heard.extend(lines.take(b"\"aor\":\"a@b\",\"contacts\":2}\n\n"));
    assert_eq!(
        heard,
        ["call-started   a to b", "registered     a@b contacts 2"]
    );
    heard
        .into_iter()
        .for_each(|line| screen.take(Update::Event(line)));
    assert!(!picture(&screen, 110, 20).contains("a@b"));
    press(&mut screen, KeyCode::Tab);
    assert_eq!(screen.tab, Tab::Events);
    let shown = picture(&screen, 110, 20);
    let (first, second) = (shown.find("a@b contacts 2"), shown.find("a to b"));
    assert!(first.is_some() && first < second, "{shown}");
}

#[test]
fn a_pause_holds_the_numbers() {
    let mut screen = screen();
    assert!(!press(&mut screen, KeyCode::Char('p')));
    let later = STATS.replace("120.5", "7.0");
    let later = serde_json::from_str(&later).expect("stats");
    screen.take(Update::Numbers(later, Vec::new()));
    screen.take(Update::Event("registered".into()));
    let shown = picture(&screen, 110, 20);
    assert!(
        shown.contains("paused") && shown.contains("CAPS 120.5"),
        "{shown}"
    );
    assert!(screen.events.is_empty() && screen.calls.len() == 2);
    assert!(press(&mut screen, KeyCode::Char('q')));
}

#[test]
fn before_the_first_answer() {
    let shown = picture(&Screen::new("http://a"), 60, 12);
    assert!(
        shown.contains("connecting") && shown.contains("no numbers yet"),
        "{shown}"
    );
}
