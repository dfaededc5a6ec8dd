//! What is refused, in whose name, and what is passed on.

use std::sync::Arc;

use tipring_router::{Auth, EventsSettings, Policy, Watchers};

use crate::world::{Asked, world, world_of, world_with};

const ALICE: &str = "alice@example.com";
const BOB: &str = "bob@example.com";
const CAROL: &str = "carol@example.org";

#[test]
fn another_package_gets_489_with_those_that_are_served() {
    let mut world = world();
    for event in ["conference", "reg.winfo", "Reg"] {
        let answer = world.answered(&Asked::subscribe(ALICE, ALICE, event));
        assert_eq!(answer.kind(), "489", "{event}");
        let allowed = "reg, message-summary, presence, dialog";
        assert_eq!(answer.value("Allow-Events"), allowed);
    }
    let mut publish = Asked::publish(ALICE, "x");
    publish.lines = publish.lines.replace("presence", "reg");
    let answer = world.answered(&publish);
    assert_eq!(
        (answer.kind(), answer.value("Allow-Events")),
        ("489", "presence, dialog")
    );
}

#[test]
fn too_brief_and_unreadable_ones() {
    let mut world = world();
    let brief = Asked::subscribe(ALICE, ALICE, "reg").with("Expires: 59");
    let answer = world.answered(&brief);
    assert_eq!((answer.kind(), answer.value("Min-Expires")), ("423", "60"));
    let long = Asked::subscribe(ALICE, ALICE, "reg").with("Expires: 99999999999");
    assert_eq!(world.subscribed(&long).0.value("Expires"), "7200");
    let other = Asked::subscribe(ALICE, ALICE, "reg").with("Accept: text/plain");
    assert_eq!(world.answered(&other).kind(), "406");
    let required = Asked::subscribe(ALICE, ALICE, "reg").with("Require: eventlist");
    assert_eq!(world.answered(&required).kind(), "420");
    let counted = world.counters().events;
    assert_eq!((counted.subscribed, counted.subscribe_refused), (1, 3));
}

#[test]
fn what_is_a_users_own_is_for_the_user_alone() {
    use Watchers::{Domain, Local, User};
    for (watchers, from, event, code) in [
        (Local, ALICE, "reg", "200"),
        (Local, BOB, "reg", "403"),
        (Local, BOB, "message-summary", "403"),
        (Local, BOB, "presence", "200"),
        (Local, CAROL, "dialog", "200"),
        (Local, "mallory@example.com", "dialog", "403"),
        (Local, "dave@elsewhere.example", "presence", "403"),
        (Domain, BOB, "dialog", "200"),
        (Domain, CAROL, "dialog", "403"),
        (User, BOB, "presence", "403"),
        (User, ALICE, "presence", "200"),
    ] {
        let settings = EventsSettings {
            watchers,
            ..EventsSettings::default()
        };
        let sent = world_with(settings).send(&Asked::subscribe(from, ALICE, event));
        assert_eq!(sent[0].kind(), code, "{watchers:?} {from} {event}");
    }
}

#[test]
fn nobody_publishes_for_another() {
    let mut world = world();
    let mut publish = Asked::publish(ALICE, "x");
    publish.from = BOB;
    assert_eq!(world.answered(&publish).kind(), "403");
    assert_eq!(world.counters().events.publish_refused, 1);
}

#[test]
fn a_local_user_must_prove_it() {
    let mut world = world_of(|config| {
        config.auth = Arc::new(Auth {
            policy: Policy::default(),
            ..Auth::default()
        });
    });
    let answer = world.answered(&Asked::subscribe(ALICE, ALICE, "reg"));
    assert_eq!(answer.kind(), "401");
    assert_eq!(world.answered(&Asked::publish(ALICE, "x")).kind(), "401");
}

#[test]
fn what_is_for_nobody_here_is_passed_on() {
    let mut world = world();
    // There is no route, which is what the routing DB says of it; a user has no contact.
    for (to, kind) in [
        ("dave@elsewhere.example", "404"),
        ("*97@example.com", "404"),
        ("alice@example.com;gr=urn:uuid:1", "480"),
    ] {
        let answer = world.answered(&Asked::subscribe(ALICE, to, "reg"));
        assert_eq!(answer.kind(), kind, "{to}");
    }
    let mut world = world_of(|config| config.events = None);
    let answer = world.answered(&Asked::subscribe(ALICE, ALICE, "reg"));
    assert_eq!(answer.kind(), "480");
}

#[test]
fn there_are_no_more_subscriptions_than_allowed() {
    let settings = EventsSettings {
        subscriptions_per_user: 1,
        ..EventsSettings::default()
    };
    let mut world = world_with(settings);
    world.subscribed(&Asked::subscribe(ALICE, ALICE, "dialog"));
    let answer = world.answered(&Asked::subscribe(BOB, ALICE, "dialog"));
    assert_eq!(answer.kind(), "503");
    assert!(!answer.value("Retry-After").is_empty());
    world.subscribed(&Asked::subscribe(BOB, ALICE, "presence"));

    let mut world = world_of(|config| config.limits.subscriptions = 1);
    world.subscribed(&Asked::subscribe(ALICE, ALICE, "reg"));
    let answer = world.answered(&Asked::subscribe(BOB, BOB, "reg"));
    assert_eq!(answer.kind(), "503");
    assert_eq!(world.counters().subscriptions_limited, 1);
}
