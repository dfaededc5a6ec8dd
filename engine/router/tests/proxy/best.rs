//! The choice of the best final response (RFC 3261 16.7 steps 5 to 7).

use crate::world::{CALLER, ONE, Sent, TWO, World, kinds, one};

/// Both branches of a parallel fork.
fn forked(world: &mut World) -> [Sent; 2] {
    let sent = world.request("INVITE", "200", "");
    [one(&sent, ONE, "INVITE"), one(&sent, TWO, "INVITE")]
}

#[test]
fn proxy_best_response() {
    for (first, second, best) in [
        ("404 Not Found", "486 Busy Here", "486"),
        ("486 Busy Here", "404 Not Found", "486"),
        ("503 Service Unavailable", "404 Not Found", "404"),
        ("302 Moved Temporarily", "484 Address Incomplete", "302"),
        ("503 Service Unavailable", "503 Service Unavailable", "500"),
    ] {
        let mut world = World::new();
        let [one, two] = forked(&mut world);
        let sent = world.answer(&one, first, "one", "X-From: one\r\n");
        assert_eq!(kinds(&sent, CALLER), [""; 0]);
        let sent = world.answer(&two, second, "two", "X-From: two\r\n");
        assert_eq!(kinds(&sent, CALLER), [best], "{first}, {second}");
        world.assert_idle();
    }
}

#[test]
fn proxy_6xx_wins() {
    let mut world = World::new();
    let [first, second] = forked(&mut world);
    world.answer(&second, "180 Ringing", "two", "");
    let sent = world.answer(&first, "603 Decline", "one", "X-From: one\r\n");
    assert_eq!(kinds(&sent, TWO), ["CANCEL"]);
    assert_eq!(kinds(&sent, CALLER), [""; 0], "it waits for the others");
    let ended = world.answer(&second, "487 Request Terminated", "two", "");
    let best = one(&ended, CALLER, "603");
    assert_eq!(best.header("X-From"), Some("one"));
    world.assert_idle();
}

#[test]
fn a_2xx_wins_even_after_a_6xx() {
    let mut world = World::new();
    let [first, second] = forked(&mut world);
    world.answer(&first, "603 Decline", "one", "");
    let sent = world.answer(&second, "200 OK", "two", "");
    assert_eq!(kinds(&sent, CALLER), ["200"]);
    world.assert_idle();
}

#[test]
fn a_6xx_ends_a_serial_fork() {
    let mut world = World::new();
    let first = one(&world.request("INVITE", "300", ""), ONE, "INVITE");
    let sent = world.answer(&first, "600 Busy Everywhere", "one", "");
    assert_eq!(
        (kinds(&sent, TWO), kinds(&sent, CALLER)),
        (vec![], vec!["600".to_owned()])
    );
    world.assert_idle();
}

#[test]
fn proxy_407_aggregated() {
    let mut world = World::new();
    let [first, second] = forked(&mut world);
    let challenge = |name: &str, realm: &str| format!("{name}: Digest realm=\"{realm}\"\r\n");
    let more = challenge("Proxy-Authenticate", "one");
    world.answer(&first, "407 Proxy Authentication Required", "one", &more);
    let more = challenge("WWW-Authenticate", "two");
    let sent = world.answer(&second, "401 Unauthorized", "two", &more);
    let best = one(&sent, CALLER, "407");
    assert_eq!(best.values("Proxy-Authenticate"), ["Digest realm=\"one\""]);
    assert_eq!(best.values("WWW-Authenticate"), ["Digest realm=\"two\""]);
    assert_eq!(best.values("Via").len(), 1);
    world.assert_idle();
}

#[test]
fn a_single_failure_passes_as_it_is_and_is_acknowledged_here() {
    let mut world = World::new();
    let invite = one(&world.request("INVITE", "100", ""), ONE, "INVITE");
    // A caller that has had its 100 sends its INVITE no more: the refusal is repeated.
    assert_eq!(kinds(&world.seconds(0.3), CALLER), ["100"]);
    let sent = world.answer(&invite, "486 Busy Here", "b", "Retry-After: 9\r\n");
    let ack = one(&sent, ONE, "ACK");
    assert_eq!(ack.values("Via"), [invite.values("Via")[0]]);
    let busy = one(&sent, CALLER, "486");
    assert_eq!(busy.header("Retry-After"), Some("9"));
    assert_eq!(busy.header("To"), Some("<sip:b@b.example>;tag=b"));
    let repeated = world.seconds(1.0);
    assert_eq!(kinds(&repeated, CALLER), ["486"], "timer G");
    world.assert_idle();
}
