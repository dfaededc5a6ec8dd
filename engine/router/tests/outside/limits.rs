//! Where tables are full, and when the router drains.

use tipring_router::{Command, Event};

use crate::world::{Asked, FAR, NEAR, asked, one, world, world_with};

const NUMBER: &str = "sip:7@127.0.0.1";

#[test]
fn subscriptions_have_a_limit_of_their_own() {
    let mut world = world_with(|config| {
        config.limits.subscriptions = 1;
        config.limits.calls = 1;
    });
    one(
        &world.asks(NEAR, &asked("SUBSCRIBE", NUMBER)),
        FAR,
        "SUBSCRIBE",
    );
    let second = Asked {
        call_id: "second",
        ..asked("REFER", NUMBER)
    };
    let refused = one(&world.asks(NEAR, &second), NEAR, "503");
    let seconds = refused.value("Retry-After").parse();
    assert!(seconds.is_ok_and(|it: u32| (5..=10).contains(&it)));
    let limit = Event::LimitReached {
        limit: "subscriptions",
        value: 1,
    };
    assert_eq!(world.events(), [limit]);
    let counters = world.counters();
    assert_eq!((counters.subscriptions, counters.calls), (1, 0));
    assert_eq!(counters.subscriptions_limited, 1);
    // A call still finds its place, and so does a message.
    let sent = world.asks(NEAR, &asked("INVITE", NUMBER));
    assert!(sent.iter().any(|sent| sent.kind() == "INVITE"), "{sent:?}");
    one(&world.asks(NEAR, &asked("MESSAGE", NUMBER)), FAR, "MESSAGE");
}

#[test]
fn without_a_transaction_to_leave_by_it_is_answered_503() {
    let mut world = world_with(|config| config.limits.transactions = 3);
    let seen = one(
        &world.asks(NEAR, &asked("SUBSCRIBE", NUMBER)),
        FAR,
        "SUBSCRIBE",
    );
    world.answers(&seen, "200 OK", "far", "Expires: 60\r\n", "");
    // One client transaction lingers; two more come without any that came in.
    let event = Asked {
        more: "Event: presence\r\n",
        call_id: "second",
        ..asked("SUBSCRIBE", NUMBER)
    };
    let seen = one(&world.asks(NEAR, &event), FAR, "SUBSCRIBE");
    world.answers(&seen, "200 OK", "far", "Expires: 60\r\n", "");
    world.command(&Command::EndAll);
    assert_eq!(world.counters().client_transactions, 3);
    let refused = one(&world.asks(NEAR, &asked("MESSAGE", NUMBER)), NEAR, "503");
    let seconds = refused.value("Retry-After").parse();
    assert!(seconds.is_ok_and(|it: u32| (5..=10).contains(&it)));
    world.assert_idle();
}

#[test]
fn a_subscription_holds_up_no_drain_and_none_begins_meanwhile() {
    let mut world = world();
    let seen = one(
        &world.asks(NEAR, &asked("SUBSCRIBE", NUMBER)),
        FAR,
        "SUBSCRIBE",
    );
    world.answers(&seen, "200 OK", "t", "Expires: 60\r\n", "");
    world.command(&Command::Drain);
    assert_eq!(world.events(), [Event::Drained]);
    let second = Asked {
        call_id: "second",
        ..asked("SUBSCRIBE", NUMBER)
    };
    one(&world.asks(NEAR, &second), NEAR, "503");
    // What ends by itself may still pass.
    one(&world.asks(NEAR, &asked("MESSAGE", NUMBER)), FAR, "MESSAGE");
    assert!(!world.router.is_idle());
}

#[test]
fn both_ends_are_told_of_the_end() {
    let mut world = world();
    let subscribe = Asked {
        more: "Event: presence;id=7\r\n",
        ..asked("SUBSCRIBE", NUMBER)
    };
    let seen = one(&world.asks(NEAR, &subscribe), FAR, "SUBSCRIBE");
    let answer = world.answers(&seen, "200 OK", "far", "Expires: 60\r\n", "");
    let answer = one(&answer, NEAR, "200");
    let told = world.command(&Command::EndAll);
    let [notify, unsubscribe] = told.as_slice() else {
        panic!("{told:#?}");
    };
    assert_eq!(
        (notify.to.to_string().as_str(), notify.kind()),
        (NEAR, "NOTIFY")
    );
    assert_eq!(notify.value("Event"), "presence;id=7");
    let state = notify.value("Subscription-State");
    assert_eq!(state, "terminated;reason=deactivated");
    assert_eq!(notify.value("Call-ID"), "near-call");
    assert_eq!(notify.tag("From"), answer.tag("To"));
    assert_eq!(notify.contact(), answer.contact());
    let unsubscribed = (unsubscribe.to.to_string(), unsubscribe.kind());
    assert_eq!(unsubscribed, (FAR.to_owned(), "SUBSCRIBE"));
    assert_eq!(unsubscribe.value("Expires"), "0");
    assert_eq!(unsubscribe.tag("To"), "far");
    assert_eq!(unsubscribe.value("Event"), "presence;id=7");
    for request in [notify.clone(), unsubscribe.clone()] {
        let heard = world.answers(&request, "200 OK", "", "", "");
        assert!(heard.is_empty(), "{heard:?}");
    }
    world.assert_idle();
}

#[test]
fn who_waits_for_an_answer_at_the_end_gets_503() {
    let mut world = world();
    one(
        &world.asks(NEAR, &asked("SUBSCRIBE", NUMBER)),
        FAR,
        "SUBSCRIBE",
    );
    one(&world.command(&Command::EndAll), NEAR, "503");
    world.assert_idle();
}
