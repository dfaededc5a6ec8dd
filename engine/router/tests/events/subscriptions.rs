//! The life of a subscription whose notifier is the router, whatever it is for.

use crate::world::{Asked, world};

const ALICE: &str = "alice@example.com";

#[test]
fn a_subscription_is_told_at_once_refreshed_and_ended() {
    let mut world = world();
    let asked = Asked::subscribe(ALICE, ALICE, "message-summary;id=7").with("Expires: 600");
    let (answer, notify) = world.subscribed(&asked);
    assert_eq!(answer.value("Expires"), "600");
    assert!(answer.contact().ends_with("@192.0.2.1:5060"));
    assert_eq!(notify.uri(), "sip:phone@192.0.2.7:5060");
    assert_eq!(notify.value("Subscription-State"), "active;expires=600");
    assert_eq!(notify.value("Event"), "message-summary;id=7");
    assert_eq!(notify.contact(), answer.contact());
    assert_eq!(
        (notify.tag("From"), notify.tag("To")),
        (answer.tag("To"), "a")
    );
    assert_eq!(world.counters().subscriptions, 1);

    assert_eq!(world.milliseconds(500_000), []);
    let refresh = asked.next(&answer);
    let (_, notify) = world.subscribed(&refresh);
    assert_eq!(notify.value("Subscription-State"), "active;expires=600");
    assert_eq!(notify.value("CSeq"), "2 NOTIFY");

    assert_eq!(world.milliseconds(500_000), []);
    let mut end = refresh.next(&answer);
    end.lines = end.lines.replace("Expires: 600", "Expires: 0");
    let (answer, notify) = world.subscribed(&end);
    assert_eq!(answer.value("Expires"), "0");
    assert_eq!(
        notify.value("Subscription-State"),
        "terminated;reason=timeout"
    );
    assert_eq!(world.counters().subscriptions, 0);
    assert_eq!(world.answered(&end.next(&answer)).kind(), "481");
    let counted = world.counters().events;
    assert_eq!(
        (counted.subscribed, counted.refreshed, counted.notified),
        (1, 1, 3)
    );
    world.milliseconds(40_000);
    assert!(world.router.is_idle());
}

#[test]
fn one_that_nobody_refreshes_is_told_its_end() {
    let mut world = world();
    let asked = Asked::subscribe(ALICE, ALICE, "reg").with("Expires: 60");
    world.subscribed(&asked);
    assert_eq!(world.milliseconds(59_999), []);
    let sent = world.milliseconds(1);
    assert_eq!(sent.len(), 1);
    assert_eq!(
        sent[0].value("Subscription-State"),
        "terminated;reason=timeout"
    );
    assert_eq!(world.counters().subscriptions, 0);
}

#[test]
fn one_that_asks_once_leaves_nothing() {
    let mut world = world();
    let asked = Asked::subscribe(ALICE, ALICE, "reg").with("Expires: 0");
    let (_, notify) = world.subscribed(&asked);
    assert!(notify.value("Subscription-State").starts_with("terminated"));
    world.milliseconds(40_000);
    assert!(world.router.is_idle());
}

#[test]
fn an_answer_decides_whether_it_lives_on() {
    for (code, lives) in [(481, 0), (489, 0), (408, 0), (500, 1), (200, 1)] {
        let mut world = world();
        let sent = world.send(&Asked::subscribe(ALICE, ALICE, "reg"));
        assert_eq!(world.counters().subscriptions, 1);
        world.answer(&sent[1], code);
        assert_eq!(world.counters().subscriptions, lives, "{code}");
    }
}

#[test]
fn a_subscriber_who_is_silent_is_forgotten() {
    let mut world = world();
    world.send(&Asked::subscribe(ALICE, ALICE, "reg"));
    world.milliseconds(31_999);
    assert_eq!(world.counters().subscriptions, 1);
    world.milliseconds(1);
    assert_eq!(world.counters().subscriptions, 0);
    assert_eq!(world.counters().events.notify_failed, 1);
}

#[test]
fn another_usage_of_the_dialog_is_refused() {
    let mut world = world();
    let asked = Asked::subscribe(ALICE, ALICE, "reg");
    let (answer, _) = world.subscribed(&asked);
    let mut other = asked.next(&answer);
    other.lines = other.lines.replace("reg", "presence");
    assert_eq!(world.answered(&other).kind(), "403");
    let mut info = other.next(&answer);
    info.method = "INFO";
    assert_eq!(world.answered(&info).kind(), "405");
    let late = Asked {
        cseq: 1,
        ..info.next(&answer)
    };
    assert_eq!(world.answered(&late).kind(), "500");
    assert_eq!(world.counters().subscriptions, 1);
}

#[test]
fn a_phone_behind_a_nat_is_told_where_it_sent_from() {
    let mut world = world();
    let mut asked = Asked::subscribe(ALICE, ALICE, "reg");
    asked.lines = asked.lines.replace("192.0.2.7", "10.0.0.7");
    let sent = world.send(&asked);
    assert_eq!(sent[1].uri(), "sip:phone@10.0.0.7:5060");
    assert_eq!(sent[1].to, crate::world::PHONE.parse().expect("an address"));
    asked.call_id += "-routed";
    let routed = asked.with("Record-Route: <sip:192.0.2.99;lr>");
    let sent = world.send(&routed);
    assert_eq!(sent[1].to, "192.0.2.99:5060".parse().expect("an address"));
}

#[test]
fn the_operator_ends_them_all() {
    let mut world = world();
    world.subscribed(&Asked::subscribe(ALICE, ALICE, "reg"));
    let sent = world.ordered(&tipring_router::Command::EndAll);
    assert_eq!(
        sent[0].value("Subscription-State"),
        "terminated;reason=deactivated"
    );
    assert_eq!(world.counters().subscriptions, 0);
    let refused = world.answered(&Asked::subscribe(ALICE, ALICE, "message-summary"));
    assert_eq!(refused.kind(), "503");
}
