//! Targets that are names: the request waits for the resolver.

use tipring_router::Event;

use crate::world::{NEAR, World, asked, one, only, world};

const NAMED: &str = "sip:8@127.0.0.1";

#[track_caller]
fn waits(world: &mut World, method: &str) {
    let sent = world.asks(NEAR, &asked(method, NAMED));
    assert!(sent.is_empty(), "{sent:?}");
    let host = "callee.example".to_owned();
    assert_eq!(world.events(), [Event::Resolve { host }]);
}

#[test]
fn a_request_leaves_when_its_name_is_resolved() {
    for method in ["MESSAGE", "SUBSCRIBE"] {
        let mut world = world();
        waits(&mut world, method);
        let sent = world.resolves("callee.example", &["::1", "127.0.0.4"]);
        let seen = one(&sent, "127.0.0.4:5071", method);
        assert_eq!(
            seen.start(),
            format!("{method} sip:8@callee.example:5071 SIP/2.0")
        );
        one(&world.answers(&seen, "489 No", "t", "", ""), NEAR, "489");
        world.assert_idle();
    }
}

#[test]
fn without_an_address_it_is_answered_503() {
    for method in ["MESSAGE", "SUBSCRIBE"] {
        let mut world = world();
        waits(&mut world, method);
        let answer = only(&world.resolves("callee.example", &[]));
        assert_eq!(answer.kind(), "503");
        assert_eq!(world.counters().subscriptions, 0);
        world.assert_idle();
    }
}

#[test]
fn a_notify_finds_the_way_to_a_subscriber_whose_notifier_was_named() {
    let mut world = world();
    waits(&mut world, "SUBSCRIBE");
    let seen = only(&world.resolves("callee.example", &["127.0.0.4"]));
    let far = "127.0.0.4:5071";
    let answer = world.answers(&seen, "200 OK", "t", "Expires: 60\r\n", "");
    let answer = one(&answer, NEAR, "200");
    let to = format!("{};tag={}", "<sip:b@127.0.0.1>", answer.tag("To"));
    let refresh = crate::world::Asked {
        to: &to,
        cseq: 6,
        ..asked("SUBSCRIBE", answer.contact())
    };
    one(&world.asks(NEAR, &refresh), far, "SUBSCRIBE");
}
