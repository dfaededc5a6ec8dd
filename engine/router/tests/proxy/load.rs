//! RFC 7339 in what is proxied: servers are asked and heard, clients are told.

use std::time::Duration;

use tipring_router::Peer;

use crate::world::{CALLER, ONE, TWO, World, kinds, one};

const OFFER: &str = ";oc;oc-algo=\"loss\"";

fn speaking() -> Peer {
    Peer {
        overload_control: true,
        ..Peer::default()
    }
}

/// The first callee's server asks for nothing more for a second.
fn world_with_overloaded_callee() -> World {
    let mut world = World::with_peers([("127.0.0.2", speaking())]);
    let message = one(&world.request("MESSAGE", "100", ""), ONE, "MESSAGE");
    let via = message.values("Via")[0].to_owned();
    assert!(via.contains(OFFER), "{via}");
    let told = via.replace(
        OFFER,
        ";oc=100;oc-algo=\"loss\";oc-validity=1000;oc-seq=1.0",
    );
    let mut heard = message.clone();
    heard.text = heard.text.replacen(&via, &told, 1);
    let sent = world.answer(&heard, "200 OK", "b", "");
    let answer = one(&sent, CALLER, "200");
    assert!(!answer.text.contains("oc="), "{}", answer.text);
    assert_eq!(world.counters().limiting_servers, 1);
    world
}

#[test]
fn only_who_takes_part_is_asked() {
    let mut world = World::with_peers([("127.0.0.2", speaking())]);
    let sent = world.request("INVITE", "200", "");
    let top = |at| one(&sent, at, "INVITE").values("Via")[0].contains(OFFER);
    assert_eq!((top(ONE), top(TWO)), (true, false));
}

#[test]
fn requests_that_begin_something_are_withheld_and_503_says_so() {
    for method in ["INVITE", "MESSAGE", "SUBSCRIBE", "PUBLISH", "REFER"] {
        let mut world = world_with_overloaded_callee();
        let sent = world.request(method, "100", "");
        let refused = one(&sent, CALLER, "503");
        assert_eq!(refused.header("Retry-After"), None, "RFC 7339 5.10");
        assert_eq!(kinds(&sent, ONE), [""; 0], "{method}");
        assert_eq!(world.counters().calls_withheld, 1);
        world.now = world.now + Duration::from_secs(1);
        one(&world.request(method, "100", ""), ONE, method);
    }
    // It only asks whether somebody is there.
    let mut world = world_with_overloaded_callee();
    one(&world.request("OPTIONS", "100", ""), ONE, "OPTIONS");
}

#[test]
fn a_fork_goes_on_to_who_asks_for_nothing() {
    let mut world = world_with_overloaded_callee();
    let sent = world.request("INVITE", "200", "");
    assert_eq!(kinds(&sent, ONE), [""; 0]);
    let invite = one(&sent, TWO, "INVITE");
    let sent = world.answer(&invite, "486 Busy Here", "b", "");
    one(&sent, CALLER, "486");
    // One target after the other.
    one(&world.request("INVITE", "300", ""), TWO, "INVITE");
}

#[test]
fn what_belongs_to_a_dialog_is_sent_all_the_same() {
    let mut world = World::with_peers([("127.0.0.2", speaking())]);
    let invite = one(&world.request("INVITE", "100", ""), ONE, "INVITE");
    let mut heard = invite.clone();
    let told = ";oc=100;oc-algo=\"loss\";oc-validity=5000;oc-seq=1.0";
    heard.text = heard.text.replacen(OFFER, told, 1);
    let sent = world.answer(&heard, "200 OK", "b", "");
    let answer = one(&sent, CALLER, "200");
    one(&world.caller_in_dialog("BYE", 2, &answer), ONE, "BYE");
    let sent = world.request("INVITE", "100", "");
    assert_eq!(kinds(&sent, ONE), [""; 0]);
}

#[test]
fn a_client_that_asks_is_told_in_what_is_passed_back() {
    let mut world = World::with_peers([("127.0.0.9", speaking())]);
    let text = |via: &str, n: u8| {
        format!(
            "MESSAGE sip:100@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {CALLER};branch=z9hG4bKw{n}{via}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:a@h>;tag=a\r\nTo: <sip:b@h>\r\nCall-ID: w{n}\r\n\
             CSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n"
        )
    };
    let message = one(&world.receive(CALLER, &text(OFFER, 1)), ONE, "MESSAGE");
    let answer = one(&world.answer(&message, "200 OK", "b", ""), CALLER, "200");
    let via = answer.value("Via");
    assert!(via.contains(";oc=0;oc-algo=\"loss\";"), "{via}");
    assert!(!via.contains(";oc;"), "{via}");
    let message = one(&world.receive(CALLER, &text("", 2)), ONE, "MESSAGE");
    let answer = one(&world.answer(&message, "200 OK", "b", ""), CALLER, "200");
    assert!(!answer.value("Via").contains("oc"), "{answer:?}");
}
