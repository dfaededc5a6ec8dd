//! `as_sip_udp` and `ka_interval`: calls go to the application server while it lives.

use std::time::Duration;

use stack::Token;
use tipring_router::{ApplicationServer, Command, Event, Outbound, Probed, Wake};

use crate::world::{CALLEE, CALLER, Sent, World, requests};

const SERVER: &str = "127.0.0.5:5060";

fn server(keep_alive: Option<u64>) -> Outbound {
    let application_server = ApplicationServer {
        address: SERVER.parse().expect("an address"),
        sources: vec!["127.0.0.6".parse().expect("an address")],
        keep_alive: keep_alive.map(Duration::from_secs),
        failures: 2,
    };
    Outbound {
        application_server: Some(application_server),
        proxy: None,
    }
}

fn world(keep_alive: Option<u64>) -> World {
    World::new(server(keep_alive), None)
}

fn told(up: bool, change: Option<Probed>) -> Event {
    let address = SERVER.parse().expect("an address");
    Event::ApplicationServer {
        address,
        up,
        change,
    }
}

fn only_request(sent: &[Sent], method: &str) -> Sent {
    let found = requests(sent, method);
    assert_eq!(found.len(), 1, "{sent:?}");
    found[0].clone()
}

#[test]
fn every_call_from_elsewhere_goes_to_the_application_server() {
    let mut world = world(None);
    for (uri, expected) in [
        ("sip:7@127.0.0.1", "sip:7@127.0.0.5:5060"),
        ("sip:nobody@127.0.0.1;x=y", "sip:nobody@127.0.0.5:5060;x=y"),
        ("sip:127.0.0.1", "sip:127.0.0.5:5060"),
        ("tel:+4930", "sip:+4930@127.0.0.5:5060;user=phone"),
    ] {
        let invite = only_request(&world.invite(CALLER, uri), "INVITE");
        assert_eq!(invite.start(), format!("INVITE {expected} SIP/2.0"));
        assert_eq!(invite.to.to_string(), SERVER);
    }
    // The server's host is not its port: a telephone there is a telephone.
    let invite = only_request(&world.invite("127.0.0.5:5062", "sip:7@127.0.0.1"), "INVITE");
    assert_eq!(invite.to.to_string(), SERVER);
}

#[test]
fn calls_from_the_application_server_go_by_the_routing_db() {
    let mut world = world(None);
    for from in [SERVER, "127.0.0.6:40000"] {
        let invite = only_request(&world.invite(from, "sip:7@127.0.0.1"), "INVITE");
        assert_eq!(invite.start(), format!("INVITE sip:7@{CALLEE} SIP/2.0"));
        let refused = world.invite(from, "sip:5@127.0.0.1");
        assert!(refused[0].start().contains(" 404 "), "{refused:?}");
    }
}

#[test]
fn what_cannot_be_a_call_is_refused_before_the_application_server_sees_it() {
    let mut world = world(None);
    let refused = world.invite(CALLER, "sips:7@127.0.0.1");
    assert!(refused[0].start().contains(" 416 "), "{refused:?}");
    assert_eq!(world.counters().calls_started, 0);
}

#[test]
fn without_keep_alive_it_is_never_asked_and_counts_as_up() {
    let mut world = world(None);
    assert_eq!(world.router.poll_timeout(), None);
    assert!(world.pass(1000.0).is_empty());
    assert_eq!(world.counters().application_server_up, 1);
}

#[test]
fn the_first_shard_asks_at_once_and_then_in_each_interval() {
    let mut world = world(Some(20));
    assert_eq!(
        world.router.poll_timeout().map(|(_, wake)| wake),
        Some(Wake::KeepAlive)
    );
    let options = only_request(&world.pass(0.1), "OPTIONS");
    assert_eq!(options.to.to_string(), SERVER);
    assert_eq!(options.start(), format!("OPTIONS sip:{SERVER} SIP/2.0"));
    let call_id = options.header("Call-ID").expect("a Call-ID");
    let owner = Token::parse_call_id(call_id.as_bytes()).map(|token| token.shard);
    assert_eq!(owner, Some(0), "its answer finds the shard: {call_id}");
    world.answer(&options, "200 OK", "");
    assert_eq!(world.events(), [told(true, None)]);
    let next = only_request(&world.pass(20.0), "OPTIONS");
    assert_ne!(next.header("Call-ID"), options.header("Call-ID"));
    assert_eq!(world.counters().application_server_probes, 2);
    assert_eq!(world.counters().application_server_probes_failed, 0);
}

#[test]
fn other_shards_ask_nothing_and_believe_what_they_are_told() {
    let mut world = World::of_shard(1, server(Some(20)), None);
    assert!(world.pass(100.0).is_empty());
    world.command(&Command::ApplicationServer { up: false });
    assert_eq!(world.counters().application_server_up, 0);
    assert!(
        world.invite(CALLER, "sip:7@127.0.0.1")[0]
            .start()
            .contains(" 503 ")
    );
    world.command(&Command::ApplicationServer { up: true });
    only_request(&world.invite(CALLER, "sip:7@127.0.0.1"), "INVITE");
}

/// Silent for two intervals.
fn downed() -> World {
    let mut world = world(Some(20));
    world.pass(19.9);
    assert_eq!(
        world.events(),
        [],
        "nothing is known before the next is due"
    );
    world.pass(20.0);
    assert_eq!(world.events(), [told(true, None)], "one failure is none");
    world.pass(20.0);
    assert_eq!(world.events(), [told(false, Some(Probed::NoAnswer))]);
    world
}

#[test]
fn silence_takes_it_down_and_new_calls_are_refused_at_once() {
    let mut world = downed();
    let refused = world.invite(CALLER, "sip:7@127.0.0.1");
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0].start().contains(" 503 "), "{refused:?}");
    let seconds = refused[0].header("Retry-After");
    let seconds = seconds.and_then(|it| it.parse().ok());
    assert!(
        seconds.is_some_and(|it| (5..=10).contains(&it)),
        "{seconds:?}"
    );
    assert_eq!(
        refused[0].header("Reason"),
        Some("SIP;cause=503;text=\"Application Server Down\"")
    );
    let counters = world.counters();
    assert_eq!(
        (counters.calls_refused_down, counters.calls_started),
        (1, 0)
    );
    assert_eq!(counters.application_server_up, 0);
    // Calls from it are a sign that it lives after all; they go by the routing DB as ever.
    only_request(&world.invite(SERVER, "sip:7@127.0.0.1"), "INVITE");
}

#[test]
fn the_first_answer_brings_it_back_whatever_it_says() {
    for status in ["200 OK", "405 Method Not Allowed", "404 Not Found"] {
        let mut world = downed();
        let sent = world.pass(20.0);
        let options = requests(&sent, "OPTIONS");
        world.events();
        world.answer(options.last().expect("asked on"), status, "");
        let code = status[..3].parse().expect("a code");
        assert_eq!(world.events(), [told(true, Some(Probed::Answered(code)))]);
        only_request(&world.invite(CALLER, "sip:7@127.0.0.1"), "INVITE");
    }
}

#[test]
fn a_503_counts_as_a_failure_and_a_trying_as_nothing() {
    let mut world = world(Some(20));
    for (round, told) in [
        told(true, None),
        told(false, Some(Probed::Answered(503))),
        told(false, None),
    ]
    .into_iter()
    .enumerate()
    {
        let seconds = if round == 0 { 0.1 } else { 20.0 };
        let options = only_request(&world.pass(seconds), "OPTIONS");
        world.answer(&options, "100 Trying", "");
        assert_eq!(world.events(), []);
        world.answer(&options, "503 Service Unavailable", "");
        assert_eq!(world.events(), [told]);
    }
    assert_eq!(world.counters().application_server_probes_failed, 3);
}

#[test]
fn an_icmp_error_is_a_failure_without_waiting() {
    let mut world = world(Some(20));
    let rounds = [
        (0.1, told(true, None)),
        (20.0, told(false, Some(Probed::Unreachable))),
    ];
    for (seconds, told) in rounds {
        world.pass(seconds);
        assert_eq!(world.events(), []);
        world.unreachable(SERVER);
        assert_eq!(world.events(), [told]);
    }
}

#[test]
fn an_answer_to_a_question_given_up_tells_nothing() {
    let mut world = world(Some(20));
    let first = only_request(&world.pass(0.1)[..1], "OPTIONS");
    world.pass(40.0);
    world.events();
    world.answer(&first, "200 OK", "");
    assert_eq!(world.events(), []);
    assert_eq!(world.counters().application_server_up, 0);
}

#[test]
fn a_reload_that_keeps_the_server_keeps_its_state() {
    let mut world = downed();
    world.command(&Command::Outbound(server(Some(20))));
    assert_eq!(world.counters().application_server_up, 0);
    world.command(&Command::Outbound(server(Some(30))));
    assert_eq!(world.counters().application_server_up, 1);
    only_request(&world.pass(0.1)[..1], "OPTIONS");
    world.command(&Command::Outbound(Outbound::default()));
    let invite = only_request(&world.invite(CALLER, "sip:7@127.0.0.1"), "INVITE");
    assert_eq!(invite.to.to_string(), CALLEE);
}
