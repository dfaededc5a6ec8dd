//! What the router answers itself, and what it says when it refuses: one request in, its answer out.

use std::net::SocketAddr;
use std::sync::Arc;

use stack::{Flow, Outbox, Time};
use tipring_router::rdb::Table;
use tipring_router::{Command, Config, Counters, Limits, Listener, Router};

const ROUTES: &str = r#"[
    {"userpartPattern": "^7", "routingRecord": {"outRuriHostport": "127.0.0.2:5070"}},
    {"userpartPattern": "^8", "routingRecord": {"outCallFlow": "EchoResponder"}},
    {"userpartPattern": "^9", "routingRecord": {"outRuriHostport": "[::1]:5070"}}
]"#;

struct World {
    router: Router,
    out: Outbox,
    sent: u32,
}

impl World {
    fn new(limits: Limits) -> World {
        let listener = Listener {
            address: "127.0.0.1:5060".parse().expect("an address"),
            advertise_host: "127.0.0.1".to_owned(),
            advertise_port: 5060,
        };
        let config = Config {
            limits,
            server_name: Some("tipring".to_owned()),
            ..Config::new(
                vec![listener],
                Arc::new(Table::parse(ROUTES).expect("a good table")),
            )
        };
        World {
            router: Router::new(config, Time::ZERO),
            out: Outbox::new(),
            sent: 0,
        }
    }

    /// Sends a request; returns the first datagram that comes back to its sender, if any.
    fn send(&mut self, method: &str, uri: &str, more: &str) -> Option<String> {
        self.sent += 1;
        let to = if more.contains("To: ") {
            ""
        } else {
            "To: <sip:b@b.example>\r\n"
        };
        let text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.9:5080;branch=z9hG4bK{}\r\n\
             From: <sip:a@a.example>;tag=a\r\n{to}Call-ID: c{}\r\nCSeq: 1 {method}\r\n\
             Contact: <sip:a@127.0.0.9:5080>\r\n{more}Content-Length: 0\r\n\r\n",
            self.sent, self.sent
        );
        self.receive(text.as_bytes())
    }

    fn receive(&mut self, bytes: &[u8]) -> Option<String> {
        let remote: SocketAddr = "127.0.0.9:5080".parse().expect("an address");
        let flow = Flow {
            listener: 0,
            remote,
        };
        let mut index = wire::Index::new();
        self.out.clear();
        match wire::Message::parse(bytes, &mut index, &wire::Limits::default()) {
            Ok(message) => self
                .router
                .receive(Time::ZERO, flow, &message, &mut self.out),
            Err(error) => {
                let salvaged = index.salvage(bytes);
                self.router
                    .malformed(Time::ZERO, flow, salvaged, error, &mut self.out);
            }
        }
        let answer = self.out.iter().find(|(flow, _)| flow.remote == remote);
        answer.map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned())
    }

    fn counters(&self) -> Counters {
        self.router.counters()
    }
}

fn world() -> World {
    World::new(Limits::default())
}

fn status(answer: Option<String>) -> u16 {
    let answer = answer.expect("an answer");
    answer
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .expect("a status line")
}

#[test]
fn options_tells_what_the_router_can_do() {
    let answer = world()
        .send("OPTIONS", "sip:127.0.0.1", "")
        .expect("an answer");
    assert!(answer.starts_with("SIP/2.0 200 OK\r\n"), "{answer}");
    for header in [
        "Allow: INVITE, ACK",
        "Accept: */*",
        "Supported: ",
        "Server: tipring",
    ] {
        assert!(answer.contains(header), "{header} in {answer}");
    }
    assert!(answer.contains("To: <sip:b@b.example>;tag=tpr"), "{answer}");
}

#[test]
fn methods_outside_a_dialog_are_refused_each_in_its_way() {
    let mut world = world();
    for (method, code) in [
        ("BYE", 481),
        ("PRACK", 481),
        ("UPDATE", 481),
        ("NOTIFY", 481),
        ("REGISTER", 405),
        ("JUMP", 501),
    ] {
        let answer = world.send(method, "sip:7@127.0.0.1", "");
        let allows = answer
            .as_deref()
            .is_some_and(|answer| answer.contains("\r\nAllow: "));
        assert_eq!(allows, code != 481, "{method}");
        assert_eq!(status(answer), code, "{method}");
    }
}

#[test]
fn a_request_of_an_unknown_dialog_is_481_and_its_ack_is_nothing() {
    let mut world = world();
    for tag in ["x", "tpr00000000000000010000000000000000", ""] {
        let to = format!("To: <sip:b@b.example>;tag={tag}x\r\n");
        assert_eq!(status(world.send("INFO", "sip:7@127.0.0.1", &to)), 481);
        assert_eq!(status(world.send("INVITE", "sip:7@127.0.0.1", &to)), 481);
        assert_eq!(world.send("ACK", "sip:7@127.0.0.1", &to), None);
    }
}

#[test]
fn invites_that_cannot_be_routed_are_refused_each_with_its_code() {
    let mut world = world();
    for (uri, more, code) in [
        ("sip:5@127.0.0.1", "", 404),
        ("sip:127.0.0.1", "", 404),
        ("sip:8@127.0.0.1", "", 503),
        ("sips:7@127.0.0.1", "", 416),
        ("mailto:7@example.com", "", 416),
        ("sip:7@127.0.0.1", "Max-Forwards: 0\r\n", 483),
        ("sip:7@127.0.0.1", "Max-Forwards: x\r\n", 400),
        ("sip:9@127.0.0.1", "", 503),
    ] {
        let answer = world.send("INVITE", uri, more);
        assert_eq!(status(answer), code, "{uri} {more}");
    }
    assert_eq!(world.counters().calls_unrouted, 2);
    assert_eq!(world.counters().calls_started, 0);
    assert_eq!(world.router.calls(), 0);
}

#[test]
fn tel_uris_are_routed_by_their_number() {
    let mut world = world();
    world.send("INVITE", "tel:7123", "");
    let invite = world
        .out
        .iter()
        .map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned());
    let invite = invite.into_iter().next().expect("the INVITE leaves");
    assert!(
        invite.starts_with("INVITE sip:7123@127.0.0.2:5070;user=phone SIP/2.0\r\n"),
        "{invite}"
    );
}

#[test]
fn a_broken_request_is_400_and_a_broken_response_or_ack_is_dropped() {
    let mut world = world();
    let broken = b"INVITE sip:7@h SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.9:5080;branch=z9hG4bKx\r\n\
        From: <sip:a@a>;tag=a\r\nTo: <sip:b@b>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\
        Content-Length: 999\r\n\r\nshort";
    assert_eq!(status(world.receive(broken)), 400);
    assert_eq!(world.receive(b"SIP/2.0 2x0 OK\r\n\r\n"), None);
    let ack = String::from_utf8_lossy(broken).replace("INVITE", "ACK");
    assert_eq!(world.receive(ack.as_bytes()), None);
    let counters = world.counters();
    assert_eq!(
        (counters.malformed_answered, counters.malformed_dropped),
        (1, 2)
    );
}

#[test]
fn at_the_limit_of_calls_the_answer_is_503_with_retry_after() {
    let mut world = World::new(Limits {
        calls: 1,
        retry_after_s: 7,
        ..Limits::default()
    });
    world.send("INVITE", "sip:7@127.0.0.1", "");
    assert_eq!(world.router.calls(), 1);
    let answer = world
        .send("INVITE", "sip:7@127.0.0.1", "")
        .expect("an answer");
    assert!(answer.starts_with("SIP/2.0 503 "), "{answer}");
    let (_, after) = answer.split_once("Retry-After: ").expect("a time");
    let seconds = after
        .lines()
        .next()
        .and_then(|seconds| seconds.parse().ok());
    assert!(
        seconds.is_some_and(|seconds| (7..=14).contains(&seconds)),
        "{answer}"
    );
    let event = world.router.poll_event();
    assert_eq!(
        event,
        Some(tipring_router::Event::LimitReached {
            limit: "calls",
            value: 1
        })
    );
    assert_eq!(world.counters().calls_limited, 1);
}

#[test]
fn at_the_limit_of_transactions_the_answer_is_503_without_one() {
    let mut world = World::new(Limits {
        transactions: 1,
        ..Limits::default()
    });
    world.send("INVITE", "sip:7@127.0.0.1", "");
    let answer = world.send("OPTIONS", "sip:127.0.0.1", "");
    assert_eq!(status(answer), 503);
    assert_eq!(world.counters().server_transactions, 1);
}

#[test]
fn draining_refuses_new_calls_and_tells_when_the_last_is_over() {
    let mut world = world();
    world.send("INVITE", "sip:7@127.0.0.1", "");
    world
        .router
        .command(Time::ZERO, &Command::Drain, &mut Outbox::new());
    assert_eq!(world.router.poll_event(), None);
    assert_eq!(status(world.send("INVITE", "sip:7@127.0.0.1", "")), 503);
    world
        .router
        .command(Time::ZERO, &Command::EndAll, &mut Outbox::new());
    // The callee has sent nothing: the CANCEL waits (RFC 3261 9.1), the call for its end.
    let later = Time::ZERO + std::time::Duration::from_secs(33);
    world.router.handle_timeout(later, &mut Outbox::new());
    assert_eq!(world.router.calls(), 0);
    assert_eq!(
        world.router.poll_event(),
        Some(tipring_router::Event::Drained)
    );
    assert_eq!(world.router.poll_event(), None);
}

#[test]
fn a_reload_routes_new_calls_by_the_new_table() {
    let mut world = world();
    let table = Table::parse(r#"[{"userpartPattern": "^6", "routingRecord": {}}]"#);
    let command = Command::Route(Arc::new(table.expect("a good table")));
    world
        .router
        .command(Time::ZERO, &command, &mut Outbox::new());
    assert_eq!(status(world.send("INVITE", "sip:7@127.0.0.1", "")), 404);
    world.send("INVITE", "sip:6@127.0.0.1", "");
    assert_eq!(world.router.calls(), 1);
}
