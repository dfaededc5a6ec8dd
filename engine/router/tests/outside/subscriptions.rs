//! SUBSCRIBE and REFER outside a call: two dialogs, the NOTIFYs between them, and their end.

use crate::world::{Asked, FAR, FORK, NEAR, Sent, World, asked, one, only, world};

const NUMBER: &str = "sip:7@127.0.0.1";

/// A subscription as both ends see it.
struct Subscribed {
    world: World,
    /// The SUBSCRIBE as the notifier has it.
    seen: Sent,
    near_cseq: u32,
    far_cseq: u32,
}

/// The subscriber has asked; nobody has answered.
fn subscribe(method: &str, more: &str) -> Subscribed {
    let mut world = world();
    let request = Asked {
        more,
        ..asked(method, NUMBER)
    };
    let seen = one(&world.asks(NEAR, &request), FAR, method);
    Subscribed {
        world,
        seen,
        near_cseq: 5,
        far_cseq: 40,
    }
}

const PRESENCE: &str = "Event: presence;id=7\r\nExpires: 600\r\n";

impl Subscribed {
    fn accepts(&mut self, tag: &str, more: &str) -> Sent {
        let seen = self.seen.clone();
        let sent = self.world.answers(&seen, "200 OK", tag, more, "");
        one(&sent, NEAR, "200")
    }

    /// A request of the notifier at `party` with this tag.
    fn far_asks(&mut self, party: &str, tag: &str, method: &str, more: &str) -> Vec<Sent> {
        self.far_cseq += 1;
        let seen = self.seen.clone();
        let from = format!("{};tag={tag}", seen.value("To"));
        let request = Asked {
            method,
            uri: seen.contact(),
            from: &from,
            to: seen.value("From"),
            call_id: seen.value("Call-ID"),
            cseq: self.far_cseq,
            more,
            body: "state",
        };
        self.world.asks(party, &request)
    }

    /// A NOTIFY with this state.
    fn notifies(&mut self, party: &str, tag: &str, state: &str) -> Vec<Sent> {
        let more = format!("Event: presence;id=7\r\nSubscription-State: {state}\r\n");
        self.far_asks(party, tag, "NOTIFY", &more)
    }

    /// A NOTIFY that crosses and is answered with this status, which crosses too.
    #[track_caller]
    fn notified(&mut self, party: &str, tag: &str, state: &str, status: &str) -> Sent {
        let sent = self.notifies(party, tag, state);
        let notify = one(&sent, NEAR, "NOTIFY");
        let sent = self.world.answers(&notify, status, "", "", "");
        one(&sent, party, &status[..3]);
        notify
    }

    /// A request of the subscriber in the dialog with this tag of ours.
    fn near_asks(&mut self, tag: &str, method: &str, more: &str) -> Vec<Sent> {
        self.near_cseq += 1;
        let to = format!("<sip:b@127.0.0.1>;tag={tag}");
        let request = Asked {
            to: &to,
            cseq: self.near_cseq,
            more,
            ..asked(method, NUMBER)
        };
        self.world.asks(NEAR, &request)
    }

    fn count(&self) -> u64 {
        self.world.counters().subscriptions
    }
}

#[test]
fn presence_is_subscribed_notified_refreshed_and_ended() {
    let mut it = subscribe("SUBSCRIBE", PRESENCE);
    assert_eq!(it.seen.start(), "SUBSCRIBE sip:9@127.0.0.2:5070 SIP/2.0");
    assert_eq!(it.seen.value("Event"), "presence;id=7");
    let answer = it.accepts("far", "Expires: 300\r\n");
    assert_eq!(answer.value("Expires"), "300");
    let notify = it.notified(FAR, "far", "active;expires=300", "200 OK");
    assert_eq!(notify.start(), "NOTIFY sip:party@127.0.0.9:5080 SIP/2.0");
    for (name, value) in [
        ("Event", "presence;id=7"),
        ("Subscription-State", "active;expires=300"),
        ("Call-ID", "near-call"),
        ("To", "Ann <sip:a@127.0.0.9>;tag=near"),
        ("CSeq", "1 NOTIFY"),
    ] {
        assert_eq!(notify.value(name), value, "{name}");
    }
    assert_eq!(notify.body(), "state");
    assert_eq!(notify.tag("From"), answer.tag("To"));
    assert_eq!(notify.contact(), answer.contact());
    for secret in ["far", "127.0.0.2", it.seen.value("Call-ID")] {
        assert!(!notify.text.contains(secret), "{secret} in {}", notify.text);
    }
    it.world.seconds(200);
    let refreshed = it.near_asks(answer.tag("To"), "SUBSCRIBE", PRESENCE);
    let refresh = one(&refreshed, FAR, "SUBSCRIBE");
    assert_eq!(
        refresh.start(),
        "SUBSCRIBE sip:party@127.0.0.2:5070 SIP/2.0"
    );
    assert_eq!(refresh.value("CSeq"), "2 SUBSCRIBE");
    assert_eq!(refresh.tag("To"), "far");
    assert_eq!(refresh.tag("From"), it.seen.tag("From"));
    it.world
        .answers(&refresh, "200 OK", "", "Expires: 300\r\n", "");
    it.world.seconds(320);
    assert_eq!(it.count(), 1);
    let more = "Event: presence;id=7\r\nExpires: 0\r\n";
    let sent = it.near_asks(answer.tag("To"), "SUBSCRIBE", more);
    let ending = one(&sent, FAR, "SUBSCRIBE");
    it.world
        .answers(&ending, "200 OK", "", "Expires: 0\r\n", "");
    assert_eq!(it.count(), 1);
    it.notified(FAR, "far", "terminated;reason=timeout", "200 OK");
    assert_eq!(it.count(), 0);
    it.world.assert_idle();
}

#[test]
fn a_notify_may_come_before_the_answer() {
    let mut it = subscribe("SUBSCRIBE", PRESENCE);
    let notify = it.notified(FAR, "far", "active;expires=300", "200 OK");
    let answer = it.accepts("far", "Expires: 300\r\n");
    assert_eq!(notify.tag("From"), answer.tag("To"));
    let again = it.notified(FAR, "far", "active", "200 OK");
    assert_eq!(again.value("CSeq"), "2 NOTIFY");
    assert_eq!(it.count(), 1);
}

#[test]
fn a_poll_that_is_notified_before_its_answer_leaves_nothing() {
    let mut it = subscribe("SUBSCRIBE", "Event: presence;id=7\r\nExpires: 0\r\n");
    it.notified(FAR, "far", "terminated;reason=timeout", "200 OK");
    it.accepts("far", "Expires: 0\r\n");
    assert_eq!(it.count(), 0);
    it.world.assert_idle();
}

#[test]
fn each_fork_is_a_dialog_of_its_own_to_the_subscriber() {
    let mut it = subscribe("SUBSCRIBE", PRESENCE);
    let second = it.notified(FORK, "fork", "active;expires=300", "200 OK");
    let answer = it.accepts("far", "Expires: 300\r\n");
    let first = it.notified(FAR, "far", "active;expires=300", "200 OK");
    assert_eq!(first.tag("From"), answer.tag("To"));
    assert_ne!(first.tag("From"), second.tag("From"));
    assert_ne!(first.contact(), second.contact());
    // Each counts for itself, on both legs.
    assert_eq!(second.value("CSeq"), "1 NOTIFY");
    assert_eq!(first.value("CSeq"), "1 NOTIFY");
    let refresh = it.near_asks(second.tag("From"), "SUBSCRIBE", PRESENCE);
    let refresh = one(&refresh, FORK, "SUBSCRIBE");
    assert_eq!(refresh.tag("To"), "fork");
    let answered = it
        .world
        .answers(&refresh, "200 OK", "", "Expires: 300\r\n", "");
    assert_eq!(one(&answered, NEAR, "200").contact(), second.contact());
    it.notified(FAR, "far", "terminated", "200 OK");
    assert_eq!(it.count(), 1);
    it.notified(FORK, "fork", "terminated", "200 OK");
    assert_eq!(it.count(), 0);
    it.world.assert_idle();
}

#[test]
fn forks_are_bounded_in_number_and_in_time() {
    let mut it = subscribe("SUBSCRIBE", PRESENCE);
    for fork in 0..8 {
        it.notified(FORK, &format!("fork{fork}"), "active", "200 OK");
    }
    one(&it.notifies(FORK, "fork8", "active"), FORK, "481");
    let mut late = subscribe("SUBSCRIBE", PRESENCE);
    late.accepts("far", "");
    late.notified(FAR, "far", "active", "200 OK");
    late.world.seconds(33);
    one(&late.notifies(FORK, "fork", "active"), FORK, "481");
    late.notified(FAR, "far", "active", "200 OK");
}

#[test]
fn a_refusal_crosses_and_leaves_nothing() {
    let mut it = subscribe("SUBSCRIBE", PRESENCE);
    let seen = it.seen.clone();
    let more = "Allow-Events: message-summary\r\n";
    let sent = it.world.answers(&seen, "489 Bad Event", "far", more, "");
    let refused = one(&sent, NEAR, "489");
    assert_eq!(refused.value("Allow-Events"), "message-summary");
    assert_eq!(it.count(), 0);
    one(&it.notifies(FAR, "far", "active"), FAR, "481");
    it.world.assert_idle();
}

#[test]
fn silence_leaves_nothing_and_no_408() {
    let mut it = subscribe("SUBSCRIBE", PRESENCE);
    let sent = it.world.seconds(40);
    assert!(sent.iter().all(|sent| sent.kind() != "408"), "{sent:?}");
    assert_eq!(it.count(), 0);
    it.world.assert_idle();
}

#[test]
fn what_nobody_refreshes_expires() {
    let mut it = subscribe("SUBSCRIBE", PRESENCE);
    it.accepts("far", "Expires: 60\r\n");
    it.notified(FAR, "far", "active;expires=60", "200 OK");
    it.world.seconds(91);
    assert_eq!(it.count(), 1);
    it.world.seconds(2);
    assert_eq!(it.count(), 0);
    assert_eq!(it.world.counters().subscriptions_expired, 1);
    one(&it.notifies(FAR, "far", "active"), FAR, "481");
    it.world.assert_idle();
}

#[test]
fn the_notifier_says_how_long_it_lasts() {
    let mut it = subscribe("SUBSCRIBE", PRESENCE);
    it.accepts("far", "Expires: 60\r\n");
    it.notified(FAR, "far", "active;expires=6000", "200 OK");
    it.world.seconds(5_000);
    assert_eq!(it.count(), 1);
    it.notified(FAR, "far", "active;expires=10", "200 OK");
    it.world.seconds(43);
    assert_eq!(it.count(), 0);
}

#[test]
fn one_that_is_never_notified_has_failed() {
    let mut it = subscribe("SUBSCRIBE", PRESENCE);
    it.accepts("far", "Expires: 600\r\n");
    it.world.seconds(31);
    assert_eq!(it.count(), 1);
    it.world.seconds(2);
    assert_eq!(it.count(), 0);
    it.world.assert_idle();
}

#[test]
fn a_notify_nobody_knows_ends_it() {
    for (status, left) in [("481 Gone", 0), ("200 OK", 1), ("500 Later", 1)] {
        let mut it = subscribe("SUBSCRIBE", PRESENCE);
        it.accepts("far", "Expires: 60\r\n");
        it.notified(FAR, "far", "active", status);
        assert_eq!(it.count(), left, "{status}");
    }
}

#[test]
fn a_notify_nobody_answers_ends_it() {
    let mut it = subscribe("SUBSCRIBE", PRESENCE);
    it.accepts("far", "Expires: 600\r\n");
    one(
        &it.notifies(FAR, "far", "active;expires=600"),
        NEAR,
        "NOTIFY",
    );
    it.world.seconds(33);
    assert_eq!(it.count(), 0);
    it.world.assert_idle();
}

#[test]
fn a_refresh_that_fails_for_a_moment_ends_nothing() {
    for (status, left) in [("503 Busy", 1), ("481 Gone", 0), ("408 Late", 1)] {
        let mut it = subscribe("SUBSCRIBE", PRESENCE);
        let answer = it.accepts("far", "Expires: 600\r\n");
        it.notified(FAR, "far", "active;expires=600", "200 OK");
        let sent = it.near_asks(answer.tag("To"), "SUBSCRIBE", PRESENCE);
        let refresh = one(&sent, FAR, "SUBSCRIBE");
        it.world.answers(&refresh, status, "", "", "");
        assert_eq!(it.count(), left, "{status}");
    }
}

#[test]
fn targets_move_with_notify_and_subscribe() {
    let mut it = subscribe("SUBSCRIBE", PRESENCE);
    let answer = it.accepts("far", "Expires: 600\r\n");
    it.notified(FORK, "far", "active;expires=600", "200 OK");
    let sent = it.near_asks(answer.tag("To"), "SUBSCRIBE", PRESENCE);
    let refresh = one(&sent, FORK, "SUBSCRIBE");
    assert_eq!(
        refresh.start(),
        "SUBSCRIBE sip:party@127.0.0.3:5070 SIP/2.0"
    );
}

#[test]
fn what_is_out_of_order_or_out_of_place_is_refused() {
    let mut it = subscribe("SUBSCRIBE", PRESENCE);
    let answer = it.accepts("far", "Expires: 600\r\n");
    it.notified(FAR, "far", "active;expires=600", "200 OK");
    it.far_cseq -= 1;
    one(&it.notifies(FAR, "far", "active"), FAR, "500");
    let tag = answer.tag("To").to_owned();
    one(
        &it.near_asks(&tag, "SUBSCRIBE", "Max-Forwards: 0\r\n"),
        NEAR,
        "483",
    );
    one(&it.near_asks(&tag, "BYE", ""), NEAR, "405");
    let invited = it.near_asks(&tag, "INVITE", "");
    assert!(
        invited.iter().any(|sent| sent.kind() == "405"),
        "{invited:?}"
    );
    let strange = it.near_asks(it.seen.tag("From").to_owned().as_str(), "SUBSCRIBE", "");
    one(&strange, NEAR, "481");
    assert_eq!(it.count(), 1);
}

#[test]
fn an_ended_subscription_takes_no_more_requests() {
    let mut it = subscribe("SUBSCRIBE", PRESENCE);
    let answer = it.accepts("far", "Expires: 600\r\n");
    one(&it.notifies(FAR, "far", "terminated"), NEAR, "NOTIFY");
    one(&it.notifies(FAR, "far", "active"), FAR, "481");
    one(
        &it.near_asks(answer.tag("To"), "SUBSCRIBE", ""),
        NEAR,
        "481",
    );
}

#[test]
fn a_reference_is_notified_of_until_it_is_done() {
    let mut it = subscribe("REFER", "Refer-To: <sip:c@c.example>\r\n");
    assert_eq!(it.seen.value("Refer-To"), "<sip:c@c.example>");
    let seen = it.seen.clone();
    let accepted = it.world.answers(&seen, "202 Accepted", "far", "", "");
    one(&accepted, NEAR, "202");
    it.notified(FAR, "far", "active;expires=60", "200 OK");
    it.notified(FAR, "far", "terminated;reason=noresource", "200 OK");
    assert_eq!(it.count(), 0);
    it.world.assert_idle();
}

#[test]
fn a_reference_without_a_subscription_is_one_exchange() {
    let mut it = subscribe(
        "REFER",
        "Refer-To: <sip:c@c.example>\r\nRefer-Sub: false\r\n",
    );
    let answer = it.accepts("far", "Refer-Sub: false\r\n");
    assert_eq!(answer.value("Refer-Sub"), "false");
    assert_eq!(it.count(), 0);
    it.world.assert_idle();
}

#[test]
fn a_subscriber_without_contact_is_told_so() {
    let mut world = world();
    let text = format!(
        "SUBSCRIBE {NUMBER} SIP/2.0\r\nVia: SIP/2.0/UDP {NEAR};branch=z9hG4bKx\r\n\
         From: <sip:a@a>;tag=a\r\nTo: <sip:b@b>\r\nCall-ID: c\r\nCSeq: 1 SUBSCRIBE\r\n\
         Content-Length: 0\r\n\r\n"
    );
    let refused = only(&world.receive(NEAR, &text));
    assert_eq!(refused.start(), "SIP/2.0 400 Missing Contact Header");
    world.assert_idle();
}

#[test]
fn of_a_fragment_that_is_no_status_nothing_crosses() {
    let mut it = subscribe(
        "REFER",
        "Refer-To: <sip:c@c.example>\r\nReferred-By: <sip:a@127.0.0.9>\r\n",
    );
    let referrer = it.seen.value("Referred-By").to_owned();
    assert!(!referrer.contains("127.0.0.9"), "{referrer}");
    let seen = it.seen.clone();
    one(
        &it.world.answers(&seen, "202 Accepted", "far", "", ""),
        NEAR,
        "202",
    );
    let more = "Event: refer\r\nSubscription-State: terminated;reason=noresource\r\n\
        Content-Type: message/sipfrag\r\n";
    let notify = one(&it.far_asks(FAR, "far", "NOTIFY", more), NEAR, "NOTIFY");
    assert_eq!(notify.body(), "");
    it.world.answers(&notify, "200 OK", "", "", "");
    it.world.assert_idle();
}
