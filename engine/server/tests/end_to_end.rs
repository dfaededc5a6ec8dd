//! The whole binary on loopback: calls through it, and what its signals do to them.

// Sockets are what these tests are about.
#![allow(clippy::disallowed_methods)]

mod lab;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use lab::talk::{Talk, eight_ports, media_section, rtp, steered_rdb};
use lab::{Call, Desk, Engine, Phone, call, rdb};

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGUSR1: i32 = 10;
const SIGTERM: i32 = 15;

const ROUTED: &str = "[routing]\nrdb = \"rdb.json\"\n";

fn is_alive(engine: &Engine) -> bool {
    let phone = Phone::new(engine.address, "probe");
    phone.request(
        "OPTIONS",
        &format!("sip:{}", engine.address),
        "<sip:router>",
        1,
    );
    phone.wait_for("SIP/2.0").start() == "SIP/2.0 200 OK"
}

/// An engine, and a call through it from `caller` to `callee`.
fn with_a_call(desk: &Desk, extra: &str) -> (Engine, Call) {
    let nowhere = ([127, 0, 0, 1], 9).into();
    let callee = Phone::new(nowhere, "callee");
    desk.write("rdb.json", &rdb("^100$", &callee.address().to_string()));
    let engine = Engine::start(desk, &format!("{ROUTED}{extra}"));
    let caller = Phone::new(engine.address, "caller");
    let call = call(&engine, caller, callee, "100");
    (engine, call)
}

#[test]
fn options_is_answered() {
    let desk = Desk::new();
    let engine = Engine::start(&desk, "");
    assert!(is_alive(&engine));
}

#[test]
fn every_shard_answers_with_and_without_steering() {
    for steering in ["auto", "off"] {
        let desk = Desk::new();
        let mut engine = Engine::start(
            &desk,
            &format!("[engine]\nshards = 3\n[udp]\nsteering = \"{steering}\"\n"),
        );
        // Each probe has a Call-ID and a port of its own, so that all shards get some.
        assert!((0..40).all(|_| is_alive(&engine)), "steering {steering}");
        engine.signal(SIGTERM);
        assert_eq!(engine.end().code(), Some(0));
    }
}

#[test]
fn a_mistake_in_the_routing_db_changes_nothing() {
    let desk = Desk::new();
    let (mut engine, call) = with_a_call(&desk, "");
    desk.write(
        "rdb.json",
        &rdb("^100$", "127.0.0.1:5070").replace("Transparent", "Opaque"),
    );
    engine.signal(SIGHUP);
    let line = engine.wait_for("rdb.json:");
    assert!(
        line.contains("\"level\":\"ERROR\"") && line.contains("outCallFlow"),
        "{line}"
    );
    engine.wait_for("nothing was changed");
    // The old table still routes, and the call goes on.
    let again = Phone::new(engine.address, "again");
    let uri = format!("sip:100@{}", engine.address);
    again.request("INVITE", &uri, &format!("<{uri}>"), 1);
    call.callee
        .answer(&call.callee.wait_for("INVITE"), "486 Busy Here");
    again.wait_for("486");
    call.caller.request("BYE", &call.contact, &call.to, 2);
    call.callee.answer(&call.callee.wait_for("BYE"), "200 OK");
    call.caller.wait_for("200");
}

#[test]
fn a_reload_takes_the_new_routing_db() {
    let desk = Desk::new();
    desk.write("rdb.json", &rdb("^100$", "127.0.0.1:9"));
    let mut engine = Engine::start(&desk, ROUTED);
    let callee = Phone::new(engine.address, "callee");
    desk.write("rdb.json", &rdb("^200$", &callee.address().to_string()));
    engine.signal(SIGHUP);
    engine.wait_for("\"message\":\"reloaded\"");
    let caller = Phone::new(engine.address, "caller");
    call(&engine, caller, callee, "200");
    let old = Phone::new(engine.address, "old");
    old.request(
        "INVITE",
        &format!("sip:100@{}", engine.address),
        "<sip:100@router>",
        1,
    );
    old.wait_for("404");
}

#[test]
fn a_host_name_is_resolved() {
    let desk = Desk::new();
    let callee = Phone::new(([127, 0, 0, 1], 9).into(), "callee");
    let target = format!("localhost:{}", callee.address().port());
    desk.write("rdb.json", &rdb("^100$", &target));
    let engine = Engine::start(&desk, ROUTED);
    call(&engine, Phone::new(engine.address, "caller"), callee, "100");
}

#[test]
fn sigterm_refuses_new_calls_and_waits_for_the_others() {
    let desk = Desk::new();
    let (mut engine, call) = with_a_call(&desk, "[engine]\ndrain_s = 600\n");
    engine.signal(SIGTERM);
    engine.wait_for("draining");
    let late = Phone::new(engine.address, "late");
    late.request(
        "INVITE",
        &format!("sip:100@{}", engine.address),
        "<sip:100@router>",
        1,
    );
    let refused = late.wait_for("503");
    assert!(refused.header("Retry-After").is_some(), "{}", refused.text);
    call.caller.request("BYE", &call.contact, &call.to, 2);
    call.callee.answer(&call.callee.wait_for("BYE"), "200 OK");
    call.caller.wait_for("200");
    assert_eq!(engine.end().code(), Some(0));
}

#[test]
fn calls_that_outlive_the_drain_are_ended_with_bye() {
    let desk = Desk::new();
    let (mut engine, call) = with_a_call(&desk, "[engine]\ndrain_s = 0\n");
    engine.signal(SIGTERM);
    for phone in [&call.caller, &call.callee] {
        phone.answer(&phone.wait_for("BYE"), "200 OK");
    }
    assert_eq!(engine.end().code(), Some(0));
}

#[test]
fn a_second_sigterm_ends_every_call_at_once() {
    let desk = Desk::new();
    let (mut engine, call) = with_a_call(&desk, "[engine]\ndrain_s = 600\n");
    engine.signal(SIGTERM);
    engine.wait_for("draining");
    engine.signal(SIGTERM);
    // Nobody answers the BYEs: it does not wait for that.
    call.caller.wait_for("BYE");
    call.callee.wait_for("BYE");
    assert_eq!(engine.end().code(), Some(0));
}

#[test]
fn sigint_does_not_drain() {
    let desk = Desk::new();
    let (mut engine, call) = with_a_call(&desk, "[engine]\ndrain_s = 600\n");
    engine.signal(SIGINT);
    call.caller.wait_for("BYE");
    assert_eq!(engine.end().code(), Some(0));
}

#[test]
fn sigusr1_logs_a_line_for_each_shard() {
    let desk = Desk::new();
    let mut engine = Engine::start(&desk, "[engine]\nshards = 2\n");
    engine.signal(SIGUSR1);
    assert!(
        engine
            .wait_for("\"message\":\"numbers\"")
            .contains("\"shard\":0")
    );
    assert!(
        engine
            .wait_for("\"message\":\"numbers\"")
            .contains("\"shard\":1")
    );
}

#[test]
fn sip_trace_shows_both_directions() {
    let desk = Desk::new();
    let mut engine = Engine::start_with(&desk, "", |command| {
        command.arg("--sip-trace");
    });
    assert!(is_alive(&engine));
    engine.wait_for(" <- 127.0.0.1:");
    engine.wait_for("OPTIONS sip:");
    engine.wait_for(" -> 127.0.0.1:");
    engine.wait_for("SIP/2.0 200 OK");
}

/// One scrape, after a moment for the numbers to move.
fn scrape(address: SocketAddr) -> String {
    std::thread::sleep(Duration::from_millis(50));
    let mut stream = TcpStream::connect(address).expect("the metrics listener");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a timeout");
    stream
        .write_all(b"GET /metrics HTTP/1.0\r\nHost: a\r\n\r\n")
        .expect("asked");
    let mut page = String::new();
    stream.read_to_string(&mut page).expect("answered");
    assert!(
        page.lines()
            .next()
            .is_some_and(|status| status.contains(" 200")),
        "{page}"
    );
    page
}

#[test]
fn prometheus_sees_the_calls() {
    let desk = Desk::new();
    // The port is free for a moment only, but nobody else here binds TCP ports.
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let address = free.expect("a free port");
    let extra = format!("[engine]\nshards = 1\n[metrics]\naddress = \"{address}\"\n");
    let (_engine, _call) = with_a_call(&desk, &extra);
    // The numbers are renewed every second; the scrape is repeated until they are.
    let answered = "tipring_calls_answered_total{shard=\"0\"} 1";
    let page = (0..200)
        .map(|_| scrape(address))
        .find(|page| page.contains(answered));
    let page = page.expect("the call among the metrics");
    assert!(
        page.contains("# HELP tipring_kernel_drops_total "),
        "{page}"
    );
    assert!(
        page.contains("# TYPE tipring_call_setup_seconds histogram"),
        "{page}"
    );
}

#[test]
fn media_ports_are_open_from_the_start_and_their_strangers_are_counted() {
    let desk = Desk::new();
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let address = free.expect("a free port");
    let metrics = format!("[metrics]\naddress = \"{address}\"\n");
    let low = eight_ports();
    let media = format!("[engine]\nshards = 2\n{}", media_section(low));
    let mut engine = Engine::start(&desk, &format!("{media}{metrics}"));
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for port in low..low + 8 {
        let rtp = [&[0x80, 0, 0, 1][..], &[0; 8]].concat();
        stranger.send_to(&rtp, ("127.0.0.1", port)).expect("sent");
        // Longer than a buffer: counted as cut, and no packet to anybody.
        stranger
            .send_to(&[0; 3000], ("127.0.0.1", port))
            .expect("sent");
    }
    let lines = |shard| {
        [
            format!("tipring_media_port_pairs{{shard=\"{shard}\"}} 2"),
            format!("tipring_media_received_total{{shard=\"{shard}\"}} 4"),
            format!("tipring_truncated_total{{shard=\"{shard}\"}} 4"),
            format!("tipring_malformed_total{{shard=\"{shard}\",action=\"dropped\"}} 0"),
        ]
    };
    let wanted: Vec<String> = [0, 1].into_iter().flat_map(lines).collect();
    let mut page = String::new();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !wanted
        .iter()
        .all(|line| page.lines().any(|found| found == line))
    {
        assert!(Instant::now() < deadline, "{wanted:#?}\nnot in\n{page}");
        page = scrape(address);
    }
    assert!(is_alive(&engine));
    engine.signal(SIGTERM);
    assert_eq!(engine.end().code(), Some(0));
}

#[test]
fn the_media_of_a_steered_call_passes_through_both_ways_as_it_was() {
    let desk = Desk::new();
    let callee = Phone::new(([127, 0, 0, 1], 9).into(), "callee");
    desk.write("rdb.json", &steered_rdb("^100$", &callee));
    let low = eight_ports();
    let media = media_section(low);
    let engine = Engine::start(&desk, &format!("{ROUTED}[engine]\nshards = 2\n{media}"));
    let talk = Talk::begin(&engine, &callee);
    let own = low..low + 8;
    assert!(
        talk.ports.iter().all(|port| own.contains(port)),
        "{:?}",
        talk.ports
    );
    talk.converse(50);
}

/// Whether what the callee sends from elsewhere than its description says reaches the caller: its packet
/// from there goes first.
fn roams(talk: &Talk) -> bool {
    let elsewhere = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let to = ("127.0.0.1", talk.ports[1]);
    elsewhere.send_to(&rtp(7), to).expect("sent");
    talk.say(1, &rtp(8));
    talk.hear(0).0 == rtp(7)
}

#[test]
fn a_reload_changes_how_far_the_media_of_new_calls_may_roam() {
    let desk = Desk::new();
    let callee = Phone::new(([127, 0, 0, 1], 9).into(), "callee");
    desk.write("rdb.json", &steered_rdb("^100$", &callee));
    let peer = "[[peer]]\nname = \"all\"\naddresses = [\"127.0.0.0/8\"]\nclass = \"trunk\"\n";
    let media = media_section(eight_ports());
    let rule =
        |rule: &str| format!("{ROUTED}[engine]\nshards = 1\n{media}{peer}media = \"{rule}\"\n");
    let mut engine = Engine::start(&desk, &rule("strict"));
    let old = Talk::begin(&engine, &callee);
    assert!(!roams(&old));
    desk.write("tipring.toml", &lab::config(&rule("latch")));
    engine.signal(SIGHUP);
    engine.wait_for("\"message\":\"reloaded\"");
    // The shard is told a moment after this was logged.
    let roamed = (0..1000).any(|_| {
        let talk = Talk::begin(&engine, &callee);
        let roamed = roams(&talk);
        talk.end(&callee);
        roamed
    });
    assert!(roamed, "the new rule holds for no call");
    assert!(!roams(&old), "a call keeps the rule it began with");
}

#[test]
fn a_media_port_that_is_taken_is_left_out_with_a_warning() {
    let desk = Desk::new();
    let low = eight_ports();
    let _stranger = UdpSocket::bind(("127.0.0.1", low + 3)).expect("it was free");
    let media = format!("[engine]\nshards = 1\n{}", media_section(low));
    let engine = Engine::start(&desk, &media);
    let line = engine.said("left out").expect("a warning");
    let first = format!("\"first\":{}", low + 2);
    assert!(
        line.contains("\"pairs\":1") && line.contains(&first),
        "{line}"
    );
    assert!(is_alive(&engine));
    let started = engine.said("\"message\":\"started\"").expect("it has");
    assert!(started.contains("\"media_pairs\":3"), "{started}");
}

#[test]
fn a_trace_of_sip_shows_no_media() {
    let desk = Desk::new();
    let low = eight_ports();
    let media = format!("[engine]\nshards = 1\n{}", media_section(low));
    let mut engine = Engine::start_with(&desk, &media, |command| {
        command.arg("--sip-trace");
    });
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    stranger
        .send_to(b"media", ("127.0.0.1", low))
        .expect("sent");
    assert!(is_alive(&engine));
    engine.wait_for("SIP/2.0 200 OK");
    let port = stranger.local_addr().expect("bound").port();
    assert_eq!(engine.said(&format!("127.0.0.1:{port} ")), None);
}

#[test]
fn the_service_manager_is_told() {
    let desk = Desk::new();
    let path = desk.path("notify");
    let manager = UnixDatagram::bind(&path).expect("a socket");
    manager
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a timeout");
    let mut engine = Engine::start_with(&desk, "", |command| {
        command.env("NOTIFY_SOCKET", &path);
        command.env("WATCHDOG_USEC", "4000000");
    });
    let next = |wanted: &str| loop {
        let mut bytes = [0; 512];
        let length = manager.recv(&mut bytes).expect("a notice");
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        if text.contains(wanted) {
            return text;
        }
    };
    next("READY=1");
    next("WATCHDOG=1");
    engine.signal(SIGHUP);
    assert!(next("RELOADING=1").contains("MONOTONIC_USEC="));
    next("READY=1");
    engine.signal(SIGTERM);
    next("STOPPING=1");
    assert_eq!(engine.end().code(), Some(0));
}

/// An application server that is busy with every call and answers whoever asks whether it lives, until
/// it is told to stop; whether there was a call.
fn serve(server: &Phone) -> bool {
    let mut called = false;
    loop {
        let request = server.wait_for("SIP/2.0");
        match request.start().split(' ').next() {
            Some("OPTIONS") => server.answer(&request, "405 Method Not Allowed"),
            Some("INVITE") => {
                called = true;
                server.answer(&request, "486 Busy Here");
            }
            Some("STOP") => return called,
            _ => {}
        }
    }
}

/// Calls until twelve have been answered so, each with a Call-ID of its own, so that every shard gets
/// some. A shard may be told of a change a moment after it was logged.
fn calls_are_answered(engine: &Engine, status: &str) {
    let uri = format!("sip:100@{}", engine.address);
    let answered = (0..1000).filter(|_| {
        let caller = Phone::new(engine.address, "caller");
        caller.request("INVITE", &uri, &format!("<{uri}>"), 1);
        let answer = caller.wait_for("SIP/2.0");
        answer.start().contains(status)
    });
    assert_eq!(answered.take(12).count(), 12, "calls answered {status}");
}

#[test]
fn an_application_server_that_dies_and_lives_again_is_routed_around() {
    let desk = Desk::new();
    let server = Phone::new(([127, 0, 0, 1], 9).into(), "server");
    let address = server.address();
    let extra =
        "[engine]\nshards = 3\n[timers]\ntrying_ms = 0\n[application_server]\nfailures = 1\n";
    let mut engine = Engine::start_with(&desk, extra, |command| {
        command.env("as_sip_udp", address.to_string());
        command.env("ka_interval", "1");
    });
    engine.wait_for(&format!("application server {address}"));
    server.answer(&server.wait_for("OPTIONS"), "200 OK");
    // It answers no more: down once the next question has been due.
    engine.wait_for("application server is down");
    calls_are_answered(&engine, " 503 ");
    let serving = std::thread::spawn(move || serve(&server));
    engine.wait_for("application server is up");
    calls_are_answered(&engine, " 100 ");
    Phone::new(address, "stop").request("STOP", "sip:server", "<sip:server>", 1);
    assert!(serving.join().expect("the server"), "no call reached it");
}
