//! Loops, spirals and breadth (RFC 5393), hops, Proxy-Require, and the limits of the tables.

use tipring_router::Limits;

use crate::world::{CALLER, ONE, Sent, TWO, World, kinds, one};

/// The request as the callee got it, sent back to the router by the callee with another top Via.
fn sent_back(world: &mut World, request: &Sent, uri: &str) -> Vec<Sent> {
    let (_, rest) = request.text.split_once("\r\n").expect("lines");
    let text = format!(
        "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {ONE};branch=z9hG4bKback{}\r\n{rest}",
        uri.len()
    );
    world.receive(ONE, &text)
}

#[test]
fn proxy_loop_482() {
    let mut world = World::new();
    let invite = one(&world.request("INVITE", "100", ""), ONE, "INVITE");
    let sent = sent_back(&mut world, &invite, "sip:100@127.0.0.1");
    assert_eq!(kinds(&sent, ONE), ["482"]);
}

#[test]
fn a_spiral_is_no_loop() {
    let mut world = World::new();
    let invite = one(&world.request("INVITE", "100", ""), ONE, "INVITE");
    let sent = sent_back(&mut world, &invite, "sip:1001@127.0.0.1");
    let again = one(&sent, ONE, "INVITE");
    assert_eq!(again.values("Via").len(), 4);
    assert_eq!(again.header("Max-Forwards"), Some("68"));
    let passed = world.answer(&again, "486 Busy Here", "b", "");
    assert_eq!(one(&passed, ONE, "486").values("Via").len(), 3);
}

#[test]
fn copies_that_came_different_ways_are_all_forwarded() {
    let mut world = World::new();
    let first = one(&world.request("INVITE", "100", ""), ONE, "INVITE");
    let again = first
        .text
        .replace("INVITE sip:100@127.0.0.2:5070", "INVITE sip:101@127.0.0.1");
    let again = again.replace("branch=z9hG4bKtpr", "branch=z9hG4bKother");
    // RFC 3261 8.2.2.2 has a user agent refuse the second one, not a proxy.
    assert_eq!(kinds(&world.receive(TWO, &again), ONE), ["INVITE"]);
    assert_eq!(world.counters().merged, 0);
}

#[test]
fn breadth_is_shared_among_the_branches() {
    let mut world = World::new();
    for (more, shares) in [
        ("", ["30", "30"]),
        ("Max-Breadth: 5\r\n", ["3", "2"]),
        ("Max-Breadth: 1000\r\n", ["30", "30"]),
    ] {
        let sent = world.request("INVITE", "200", more);
        for (to, share) in [ONE, TWO].into_iter().zip(shares) {
            assert_eq!(one(&sent, to, "INVITE").values("Max-Breadth"), [share]);
        }
    }
}

#[test]
fn proxy_max_breadth_440() {
    let mut world = World::new();
    let sent = world.request("INVITE", "200", "Max-Breadth: 1\r\n");
    assert_eq!(kinds(&sent, CALLER), ["440"]);
    let sent = world.request("INVITE", "300", "Max-Breadth: 1\r\n");
    assert_eq!(
        kinds(&sent, ONE),
        ["INVITE"],
        "one after the other is narrow enough"
    );
}

#[test]
fn hops_run_out() {
    let mut world = World::new();
    let sent = world.request("INVITE", "100", "Max-Forwards: 0\r\n");
    assert_eq!(kinds(&sent, CALLER), ["483"]);
}

#[test]
fn an_option_for_proxies_that_this_one_does_not_know_is_a_420() {
    let mut world = World::new();
    let sent = world.request("INVITE", "100", "Proxy-Require: sec-agree, x\r\n");
    let refused = one(&sent, CALLER, "420");
    assert_eq!(refused.header("Unsupported"), Some("sec-agree, x"));
}

#[test]
fn sips_is_a_416() {
    let mut world = World::new();
    let text = format!(
        "INVITE sips:100@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {CALLER};branch=z9hG4bKs\r\n\
         From: <sip:a@h>;tag=a\r\nTo: <sip:b@h>\r\nCall-ID: s\r\nCSeq: 1 INVITE\r\n\r\n"
    );
    assert_eq!(kinds(&world.receive(CALLER, &text), CALLER), ["416"]);
}

#[test]
fn beyond_the_limit_of_calls_a_request_that_needs_a_context_gets_503() {
    let limits = Limits {
        calls: 1,
        ..Limits::default()
    };
    let mut world = World::with_limits(limits);
    let invite = one(&world.request("INVITE", "100", ""), ONE, "INVITE");
    for method in ["INVITE", "MESSAGE"] {
        let refused = one(&world.request(method, "200", ""), CALLER, "503");
        let seconds = refused.header("Retry-After").and_then(|it| it.parse().ok());
        assert!(
            seconds.is_some_and(|it: u32| (5..=10).contains(&it)),
            "{seconds:?}"
        );
    }
    world.answer(&invite, "200 OK", "b", "");
    let next = world.request("INVITE", "100", "");
    assert_eq!(
        kinds(&next, ONE),
        ["INVITE"],
        "the first left the table with its answer"
    );
}

#[test]
fn without_a_free_transaction_the_answer_is_500() {
    let limits = Limits {
        transactions: 1,
        ..Limits::default()
    };
    let mut world = World::with_limits(limits);
    let sent = world.request("INVITE", "200", "");
    assert_eq!(
        kinds(&sent, ONE),
        ["INVITE"],
        "one branch is better than none"
    );
    assert_eq!(kinds(&sent, TWO), [""; 0]);
}
