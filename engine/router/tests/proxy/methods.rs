//! Other requests than INVITE, and what is not the proxy's.

use crate::world::{CALLER, ONE, TWO, World, kinds, one};

#[test]
fn proxy_message() {
    let mut world = World::new();
    let message = one(&world.request("MESSAGE", "100", ""), ONE, "MESSAGE");
    assert_eq!(message.uri(), "sip:100@127.0.0.2:5070");
    assert_eq!(message.header("Record-Route"), None);
    assert!(message.text.ends_with("hello"));
    assert_eq!(world.router.calls(), 0);
    let passed = world.answer(&message, "202 Accepted", "b", "");
    assert_eq!(one(&passed, CALLER, "202").values("Via").len(), 1);
    world.assert_idle();
}

#[test]
fn methods_nobody_knows_pass_and_those_that_make_dialogs_are_recorded() {
    let mut world = World::new();
    for (method, recorded) in [
        ("PING", false),
        ("PUBLISH", false),
        ("OPTIONS", false),
        ("SUBSCRIBE", true),
        ("REFER", true),
        ("NOTIFY", true),
    ] {
        let request = one(&world.request(method, "100", ""), ONE, method);
        assert_eq!(
            request.header("Record-Route").is_some(),
            recorded,
            "{method}"
        );
        let passed = world.answer(&request, "200 OK", "b", "");
        assert_eq!(kinds(&passed, CALLER), ["200"], "{method}");
    }
    world.assert_idle();
}

#[test]
fn a_forked_message_has_one_answer() {
    let mut world = World::new();
    let sent = world.request("MESSAGE", "200", "");
    let (first, second) = (one(&sent, ONE, "MESSAGE"), one(&sent, TWO, "MESSAGE"));
    assert_eq!(
        kinds(&world.answer(&first, "404 Not Found", "one", ""), CALLER),
        [""; 0]
    );
    assert_eq!(
        kinds(&world.answer(&second, "200 OK", "two", ""), CALLER),
        ["200"]
    );
    world.assert_idle();
}

#[test]
fn a_second_2xx_to_a_forked_message_does_not_pass() {
    let mut world = World::new();
    let sent = world.request("MESSAGE", "200", "");
    let (first, second) = (one(&sent, ONE, "MESSAGE"), one(&sent, TWO, "MESSAGE"));
    assert_eq!(
        kinds(&world.answer(&first, "200 OK", "one", ""), CALLER),
        ["200"]
    );
    assert_eq!(
        kinds(&world.answer(&second, "200 OK", "two", ""), CALLER),
        [""; 0]
    );
    world.assert_idle();
}

#[test]
fn what_names_no_user_is_for_the_router_itself() {
    let mut world = World::new();
    let text = format!(
        "OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {CALLER};branch=z9hG4bKo\r\n\
         From: <sip:a@h>;tag=a\r\nTo: <sip:127.0.0.1>\r\nCall-ID: o\r\nCSeq: 1 OPTIONS\r\n\r\n"
    );
    let sent = world.receive(CALLER, &text);
    assert!(one(&sent, CALLER, "200").header("Allow").is_some());
}

#[test]
fn a_bridged_route_beside_it_stays_bridged() {
    let mut world = World::new();
    let invite = one(&world.request("INVITE", "700", ""), ONE, "INVITE");
    assert_eq!(
        (invite.values("Via").len(), invite.header("Record-Route")),
        (1, None)
    );
    assert_eq!(world.counters().proxied, 0);
    let refused = world.request("INVITE", "700", "Proxy-Require: x\r\n");
    assert_eq!(kinds(&refused, CALLER), ["420"]);
}

#[test]
fn regression_the_times_of_a_route_are_not_those_of_other_requests_than_invite() {
    // Nothing but an INVITE rings: a slow answer to a MESSAGE is an answer, and no reason to try the next.
    let mut world = World::new();
    let message = one(&world.request("MESSAGE", "800", ""), ONE, "MESSAGE");
    let waiting = world.seconds(7.0);
    assert_eq!(kinds(&waiting, TWO), [""; 0], "no18xTimeout is 5 s");
    let passed = world.answer(&message, "200 OK", "one", "");
    assert_eq!(kinds(&passed, CALLER), ["200"]);
    world.assert_idle();
}
