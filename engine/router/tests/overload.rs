//! What an overloaded router does with new calls and with those it has, and what it says to neighbours
//! that speak of overload: messages in, messages out, in virtual time.

#[allow(dead_code, reason = "the tests of each binary read some of it")]
mod sent;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use sent::Sent;
use stack::{Outbox, Time};
use tipring_router::rdb::Table;
use tipring_router::{
    Config, Counters, Event, Listener, Methods, Overload, Peer, Peers, PriorityNumbers,
    ResourcePriorities, Router,
};
use wire::Method;

const ROUTES: &str = r#"[
    {"userpartPattern": "^[0-9]", "routingRecord": {"outRuriHostport": "127.0.0.2:5070"}}
]"#;
const CALLER: &str = "127.0.0.9:5080";
const CALLEE: &str = "127.0.0.2:5070";
const MS: Duration = Duration::from_millis(1);

struct World {
    router: Router,
    now: Time,
    sent: Vec<Sent>,
}

impl World {
    fn new() -> World {
        World::believing(&["ets"])
    }

    /// What the trusted mark so goes first.
    fn believing(resources: &[&str]) -> World {
        let listener = Listener {
            address: "127.0.0.1:5060".parse().expect("an address"),
            advertise_host: "127.0.0.1".to_owned(),
            advertise_port: 5060,
        };
        let speaks = Peer {
            overload_control: true,
            ..Peer::default()
        };
        let ip = |text: &str| -> IpAddr { text.parse().expect("an address") };
        let trusted = Peer {
            trusted: true,
            ..Peer::default()
        };
        let config = Config {
            overload: Overload {
                priority: PriorityNumbers::new(["112".to_owned()]),
                resource_priorities: ResourcePriorities::new(
                    resources.iter().map(|&it| it.to_owned()),
                ),
                ..Overload::default()
            },
            relay: Methods::of([Method::Message, Method::Subscribe]),
            peers: Arc::new(Peers::new([
                (ip("127.0.0.2"), 32, speaks),
                (ip("127.0.0.7"), 32, trusted),
                (ip("127.0.0.8"), 32, speaks),
            ])),
            ..Config::new(
                vec![listener],
                Arc::new(Table::parse(ROUTES).expect("a good table")),
            )
        };
        World {
            router: Router::new(config, Time::ZERO),
            now: Time::ZERO,
            sent: Vec::new(),
        }
    }

    /// The router's thread has no free moment for 50 ms.
    fn work(&mut self) {
        self.turns(50, Duration::ZERO);
    }

    /// It has half of its time left, for so many seconds.
    fn rest(&mut self, seconds: u32) {
        self.turns(seconds * 1_000, MS / 2);
    }

    /// So many turns of a millisecond, each after so long a wait.
    fn turns(&mut self, turns: u32, idle: Duration) {
        for _ in 0..turns {
            self.now = self.now + MS;
            self.router.note_load(self.now, idle);
        }
    }

    fn receive(&mut self, from: &str, text: &str) -> Option<String> {
        let mut out = Outbox::new();
        sent::receive(&mut self.router, self.now, (0, from), text, &mut out);
        self.sent = sent::sent(out.iter());
        self.to(from)
    }

    /// The last that was sent to this address in the last turn.
    fn to(&self, address: &str) -> Option<String> {
        let address: SocketAddr = address.parse().expect("an address");
        let last = self.sent.iter().rev().find(|sent| sent.to == address);
        last.map(|sent| sent.text.clone())
    }

    fn counters(&self) -> Counters {
        self.router.counters()
    }
}

/// A request of the caller; `via` adds to its Via, `to` to its To.
fn request(method: &str, user: &str, call: u32, via: &str, to: &str) -> String {
    let uri = match to {
        "" if method != "OPTIONS" => format!("sip:{user}@127.0.0.1"),
        _ => "sip:127.0.0.1:5060".to_owned(),
    };
    let cseq = if method == "BYE" { 2 } else { 1 };
    let number = if method == "ACK" || method == "CANCEL" {
        "INVITE"
    } else {
        method
    };
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {CALLER};branch=z9hG4bK{number}{call}{via}\r\n\
         From: <sip:a@a.example>;tag=a\r\nTo: <sip:{user}@b.example>{to}\r\nCall-ID: c{call}\r\n\
         CSeq: {cseq} {method}\r\nMax-Forwards: 70\r\nContact: <sip:a@{CALLER}>\r\nContent-Length: 0\r\n\r\n"
    )
}

fn invite(user: &str, call: u32) -> String {
    request("INVITE", user, call, "", "")
}

/// The callee's answer to an INVITE that reached it; `load` is added to the Via.
fn answer(invite: &str, code: u16, load: &str) -> String {
    let line = |name: &str| {
        let found = invite.lines().find(|line| line.starts_with(name));
        found.expect(name).to_owned()
    };
    let via = line("Via: ").replace(";oc;oc-algo=\"loss\"", load);
    format!(
        "SIP/2.0 {code} Scripted\r\n{via}\r\n{}\r\n{};tag=b\r\n{}\r\n{}\r\n\
         Contact: <sip:b@{CALLEE}>\r\nContent-Length: 0\r\n\r\n",
        line("From: "),
        line("To: "),
        line("Call-ID: "),
        line("CSeq: ")
    )
}

fn header<'a>(message: &'a str, name: &str) -> &'a str {
    let start = format!("{name}: ");
    let line = message.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap_or_else(|| panic!("{name} in {message}"))
}

fn tag_of(message: &str) -> &str {
    let (_, tag) = header(message, "To").split_once(";tag=").expect("a tag");
    tag
}

fn overloaded() -> World {
    let mut world = World::new();
    world.work();
    assert!(matches!(
        world.router.poll_event(),
        Some(Event::Overload { begins: true, .. })
    ));
    world
}

#[test]
fn a_new_call_is_refused_without_state_and_every_copy_alike() {
    let mut world = overloaded();
    world.work();
    let refused = world.receive(CALLER, &invite("100", 1)).expect("an answer");
    assert!(refused.starts_with("SIP/2.0 503 "), "{refused}");
    assert!(tag_of(&refused).starts_with("tprs"), "{refused}");
    assert_eq!(
        world.receive(CALLER, &invite("100", 1)),
        Some(refused.clone())
    );
    let to = format!(";tag={}", tag_of(&refused));
    assert_eq!(
        world.receive(CALLER, &request("ACK", "100", 1, "", &to)),
        None
    );
    let counters = world.counters();
    assert_eq!(
        (counters.admission.refused, counters.stateless_acks),
        (2, 1)
    );
    assert_eq!((counters.server_transactions, counters.calls), (0, 0));
    assert!(world.router.is_idle());
}

#[test]
fn those_who_are_refused_come_back_at_different_times() {
    let mut world = overloaded();
    world.work();
    let mut seconds = std::collections::BTreeSet::new();
    for call in 0..30 {
        world.work();
        let refused = world
            .receive(CALLER, &invite("100", call))
            .expect("an answer");
        let value: u32 = header(&refused, "Retry-After").parse().expect("seconds");
        assert!((5..=10).contains(&value), "{value}");
        seconds.insert(value);
    }
    assert!(seconds.len() >= 4, "{seconds:?}");
}

#[test]
fn calls_in_progress_are_served_to_their_end() {
    let mut world = World::new();
    world.receive(CALLER, &invite("100", 1));
    let seen = world.to(CALLEE).expect("the INVITE");
    world.receive(CALLER, &invite("100", 2));
    world.work();
    world.work();
    // Answered, acknowledged and ended while new calls are turned away.
    assert_eq!(
        world.receive(CALLER, &invite("100", 1)),
        None,
        "a copy is absorbed"
    );
    world.receive(CALLEE, &answer(&seen, 200, ""));
    let ok = world.to(CALLER).expect("the 200");
    assert!(ok.starts_with("SIP/2.0 200 "), "{ok}");
    let to = format!(";tag={}", tag_of(&ok));
    world.receive(CALLER, &request("ACK", "100", 1, "a", &to));
    assert!(
        world
            .to(CALLEE)
            .is_some_and(|text| text.starts_with("ACK "))
    );
    let reinvite = request("INVITE", "100", 1, "r", &to).replace("CSeq: 1", "CSeq: 2");
    world.receive(CALLER, &reinvite);
    assert!(
        world
            .to(CALLEE)
            .is_some_and(|text| text.starts_with("INVITE "))
    );
    world.receive(
        CALLER,
        &request("BYE", "100", 1, "", &to).replace("CSeq: 2", "CSeq: 3"),
    );
    assert!(
        world
            .to(CALLEE)
            .is_some_and(|text| text.starts_with("BYE "))
    );
    let cancelled = world.receive(CALLER, &request("CANCEL", "100", 2, "", ""));
    assert!(cancelled.is_some_and(|text| text.starts_with("SIP/2.0 ")));
    assert_eq!(world.counters().admission.refused, 0);
}

#[test]
fn priority_calls_and_options_are_taken() {
    let mut world = overloaded();
    world.work();
    world.receive(CALLER, &invite("112", 1));
    assert!(
        world
            .to(CALLEE)
            .is_some_and(|text| text.starts_with("INVITE "))
    );
    assert_eq!(world.counters().admission.priority, 1);
    world.receive(CALLER, &invite("1125551234", 2));
    assert_eq!(world.to(CALLEE), None);
    let alive = world.receive(CALLER, &request("OPTIONS", "100", 3, "", ""));
    assert!(alive.is_some_and(|text| text.starts_with("SIP/2.0 200 ")));
    let message = world.receive(CALLER, &request("MESSAGE", "100", 4, "", ""));
    assert!(message.is_some_and(|text| text.starts_with("SIP/2.0 503 ")));
}

#[test]
fn a_copy_of_a_refused_call_does_not_become_one() {
    let mut world = overloaded();
    world.work();
    let refused = world.receive(CALLER, &invite("100", 1)).expect("an answer");
    // There is room again, though the limit still holds.
    world.rest(1);
    world.receive(CALLER, &invite("100", 2));
    assert!(world.to(CALLEE).is_some(), "there is room for another");
    assert_eq!(world.receive(CALLER, &invite("100", 1)), Some(refused));
    assert_eq!(world.counters().calls, 1);
}

#[test]
fn overload_ends_when_nobody_had_to_be_turned_away_for_a_while() {
    let mut world = overloaded();
    world.rest(6);
    let ended = world.router.poll_event();
    assert!(
        matches!(ended, Some(Event::Overload { begins: false, .. })),
        "{ended:?}"
    );
    assert_eq!(world.counters().admission.overloaded, 0);
}

#[test]
fn a_client_that_asks_and_is_configured_is_told_the_load() {
    let mut world = World::new();
    let asks = ";oc;oc-algo=\"loss\"";
    let strange = world.receive(CALLER, &request("OPTIONS", "1", 1, asks, ""));
    assert!(header(&strange.expect("an answer"), "Via").ends_with(asks));
    let peer = "127.0.0.8:5080";
    let calm = world.receive(peer, &request("OPTIONS", "1", 2, asks, ""));
    let calm = calm.expect("an answer");
    let via = header(&calm, "Via");
    assert!(
        via.contains(";oc=0;oc-algo=\"loss\";oc-validity=0;oc-seq="),
        "{via}"
    );
    for call in 3..60 {
        world.work();
        world.receive(peer, &request("INVITE", "1", call, asks, ""));
    }
    let refused = world.receive("127.0.0.8:5080", &request("INVITE", "1", 99, asks, ""));
    let refused = refused.expect("an answer");
    let via = header(&refused, "Via");
    assert!(
        refused.starts_with("SIP/2.0 503 ") && via.contains(";oc-validity=1000;"),
        "{refused}"
    );
    assert!(!via.contains(";oc=0;"), "{via}");
}

#[test]
fn a_server_that_asks_for_fewer_calls_is_spared_them() {
    let mut world = World::new();
    world.receive(CALLER, &invite("100", 1));
    let seen = world.to(CALLEE).expect("the INVITE");
    let via = header(&seen, "Via").to_owned();
    assert!(via.contains(";oc;oc-algo=\"loss\";branch="), "{via}");
    let load = ";oc=100;oc-algo=\"loss\";oc-validity=2000;oc-seq=7.1";
    world.receive(CALLEE, &answer(&seen, 180, load));
    let refused = world.receive(CALLER, &invite("100", 2)).expect("an answer");
    assert!(refused.starts_with("SIP/2.0 503 "), "{refused}");
    // RFC 7339 5.10.
    assert!(!refused.contains("Retry-After"), "{refused}");
    assert_eq!(world.counters().calls_withheld, 1);
    world.receive(CALLER, &invite("112", 3));
    assert!(world.to(CALLEE).is_some(), "a priority call goes out");
    world.now = world.now + Duration::from_millis(2_001);
    world.receive(CALLER, &invite("100", 4));
    assert!(
        world.to(CALLEE).is_some(),
        "its word does not hold any longer"
    );
}

#[test]
fn what_is_no_call_is_withheld_alike() {
    let mut world = World::new();
    world.receive(CALLER, &request("MESSAGE", "100", 1, "", ""));
    let seen = world.to(CALLEE).expect("the MESSAGE");
    assert!(header(&seen, "Via").contains(";oc;oc-algo=\"loss\";branch="));
    let load = ";oc=100;oc-algo=\"loss\";oc-validity=2000;oc-seq=7.1";
    world.receive(CALLEE, &answer(&seen, 200, load));
    for (call, method) in ["MESSAGE", "SUBSCRIBE"].iter().enumerate() {
        let more = request(method, "100", 10 + call as u32, "", "");
        let refused = world.receive(CALLER, &more).expect("an answer");
        assert!(refused.starts_with("SIP/2.0 503 "), "{refused}");
        assert!(!refused.contains("Retry-After"), "{refused}");
        assert_eq!(world.to(CALLEE), None, "{method}");
    }
    assert_eq!(world.counters().calls_withheld, 2);
}

/// RFC 4412 says how, RFC 7339 5.10.1 that it counts.
#[test]
fn what_the_trusted_mark_as_urgent_goes_first() {
    let (trusted, marked) = ("127.0.0.7:5080", "Resource-Priority: dsn.flash, ETS.0\r\n");
    let urgent = |call: u32, mark: &str| {
        let text = invite("100", call).replace(CALLER, trusted);
        text.replace("Max-Forwards", &format!("{mark}Max-Forwards"))
    };
    let mut world = overloaded();
    world.work();
    assert!(world.receive(trusted, &urgent(1, "")).is_some());
    assert_eq!(world.to(CALLEE), None);
    world.receive(trusted, &urgent(2, marked));
    let sent = world.to(CALLEE).expect("the urgent call");
    assert_eq!(world.counters().admission.priority, 1);
    // Its server asks for fewer; it is told of this one.
    let load = ";oc=100;oc-algo=\"loss\";oc-validity=2000;oc-seq=7.1";
    world.receive(CALLEE, &answer(&sent, 180, load));
    world.receive(trusted, &urgent(3, marked));
    assert!(world.to(CALLEE).is_some());
    // Another namespace, and a stranger's word.
    world.receive(trusted, &urgent(4, "Resource-Priority: wps.0\r\n"));
    assert_eq!(world.to(CALLEE), None);
    world.receive(CALLER, &urgent(5, marked).replace(trusted, CALLER));
    assert_eq!(world.to(CALLEE), None);
    assert_eq!(world.counters().admission.priority, 2);
}

/// Whether the network is to drop calls for a router that gets far more than it can even refuse.
fn sieves_when_flooded(mut world: World) -> bool {
    for call in 0..10_000 {
        if call % 20 == 0 {
            world.turns(1, Duration::ZERO);
        }
        world.receive(CALLER, &invite("100", call));
    }
    let counters = world.counters().admission;
    assert!(counters.dropped > 0, "{counters:?}");
    counters.sieving > 0
}

#[test]
fn while_there_are_marks_the_network_drops_nothing() {
    assert!(sieves_when_flooded(World::believing(&[])));
    assert!(!sieves_when_flooded(World::believing(&["ets"])));
}
