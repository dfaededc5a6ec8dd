//! `tipring top --once` beside a running router: its numbers and calls over HTTP and HTTPS, and what it says when
//! there are none to see.

// Sockets are what these tests are about.
#![allow(clippy::disallowed_methods)]

mod lab;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output};

use lab::{Desk, Engine, Phone, call, rdb};
use serde_json::Value;

const READ: &str = "read-read-read-read-read";
const CERTIFICATES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../control/src/tests/certificates"
);

/// A router with an API, and the port of that.
fn start(desk: &Desk, more: &str) -> (Engine, String) {
    let sections = format!(
        "[engine]\nshards = 2\n[routing]\nrdb = \"rdb.json\"\n[http]\naddress = \"127.0.0.1:0\"\n\
         tokens = [{{ role = \"read\", token = \"{READ}\" }}]\n{more}"
    );
    let engine = Engine::start(desk, &sections);
    let line = engine
        .said("\"message\":\"HTTP API\"")
        .expect("the API listens");
    let line: Value = serde_json::from_str(line).expect("JSON");
    let address = line["address"].as_str().expect("its address").to_owned();
    let port = address.rsplit_once(':').expect("a port").1.to_owned();
    (engine, port)
}

/// One picture, or why there is none.
fn top(url: &str, token: Option<&str>, more: &[&str]) -> Output {
    let mut command = Command::new(lab::TIPRING);
    command.args(["top", "--once", "--url", url]).args(more);
    command.env("COLUMNS", "120").env_remove("TIPRING_TOKEN");
    if let Some(token) = token {
        command.env("TIPRING_TOKEN", token);
    }
    command.output().expect("run")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

#[test]
fn a_call_is_among_the_numbers() {
    let desk = Desk::new();
    let callee = Phone::new(([127, 0, 0, 1], 9).into(), "callee");
    desk.write("rdb.json", &rdb("^100$", &callee.address().to_string()));
    let (engine, port) = start(&desk, "");
    let caller = Phone::new(engine.address, "caller");
    let _call = call(&engine, caller, callee, "100");
    let url = format!("http://127.0.0.1:{port}/");
    // Numbers are renewed every second; the list of calls is of the moment.
    let pictures = (0..20).map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(200));
        let out = top(&url, Some(READ), &[]);
        assert!(out.status.success(), "{}", text(&out.stderr));
        text(&out.stdout)
    });
    let counted = |picture: &String| picture.contains("calls 1 of ");
    let picture = pictures
        .into_iter()
        .find(counted)
        .expect("the call, counted");
    let row = picture.lines().find(|line| line.contains(" answered "));
    let row = row.unwrap_or_else(|| panic!("{picture}"));
    assert!(row.contains(" 100 ") && row.contains("127.0.0.1:"), "{row}");
    let shards = picture.lines().filter(|line| line.contains('%')).count();
    assert_eq!(shards, 2, "{picture}");
    // The recorder's copy is up to a second behind the boards.
    let scrapes = (0..100).map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        scrape(&port)
    });
    let copied = |text: &String| {
        let answered =
            |line: &str| line.starts_with("tipring_calls_answered_total") && line.ends_with(" 1");
        text.lines().any(answered)
    };
    let metrics = scrapes.into_iter().find(copied).expect("the call, scraped");
    let one = |name: &str, label: &str| {
        let of = |line: &&str| line.starts_with(name) && line.contains(label);
        let values = metrics
            .lines()
            .filter(of)
            .filter_map(|line| line.rsplit_once(' '));
        let sum: f64 = values
            .filter_map(|(_, value)| value.parse::<f64>().ok())
            .sum();
        assert_eq!(sum, 1.0, "{name} {label}\n{metrics}");
    };
    one("tipring_call_setup_seconds_count", "");
    one("tipring_sip_requests_received_total", "\"INVITE\"");
    one("tipring_sip_requests_sent_total", "\"INVITE\"");
    one("tipring_sip_responses_received_total", "\"2xx\"");
    one("tipring_calls_by_state", "\"answered\"");
    one("tipring_build_info", "version=");
}

/// What Prometheus would read.
fn scrape(port: &str) -> String {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).expect("connected");
    let request = format!(
        "GET /metrics HTTP/1.1\r\nHost: api\r\nConnection: close\r\nAuthorization: Bearer {READ}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("asked");
    let mut page = String::new();
    stream.read_to_string(&mut page).expect("answered");
    page
}

#[test]
fn what_is_wrong_is_said() {
    let desk = Desk::new();
    desk.write("rdb.json", &rdb("^100$", "127.0.0.1:9"));
    let (_engine, port) = start(&desk, "");
    let url = format!("http://127.0.0.1:{port}");
    for (out, wanted) in [
        (top(&url, None, &[]), "needs a token"),
        (top(&url, Some("wrong-wrong-wrong"), &[]), "needs a token"),
        (top("ftp://a", None, &[]), "--url ftp://a"),
        (top("http://127.0.0.1:9", None, &[]), "http://127.0.0.1:9: "),
        (
            top("https://a", None, &["--ca", "/dev/null"]),
            "--ca /dev/null",
        ),
    ] {
        assert_eq!(out.status.code(), Some(1));
        assert!(text(&out.stderr).contains(wanted), "{}", text(&out.stderr));
        assert!(out.stdout.is_empty());
    }
}

#[test]
fn tls_is_trusted_as_far_as_told() {
    let desk = Desk::new();
    desk.write("rdb.json", &rdb("^100$", "127.0.0.1:9"));
    let files =
        format!("tls_certificate = \"{CERTIFICATES}/a.crt\"\ntls_key = \"{CERTIFICATES}/a.key\"\n");
    let (_engine, port) = start(&desk, &files);
    let url = format!("https://localhost:{port}");
    let trusted = top(
        &url,
        Some(READ),
        &["--ca", &format!("{CERTIFICATES}/a.crt")],
    );
    assert!(trusted.status.success(), "{}", text(&trusted.stderr));
    assert!(text(&trusted.stdout).contains("CAPS"));
    let other = top(
        &url,
        Some(READ),
        &["--ca", &format!("{CERTIFICATES}/b.crt")],
    );
    assert_eq!(other.status.code(), Some(1));
    assert!(
        text(&other.stderr).contains("certificate"),
        "{}",
        text(&other.stderr)
    );
}
