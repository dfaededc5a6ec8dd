//! The package reg (RFC 3680): what the table of bindings says is told, as it changes.

use tipring_router::{Command, Directory};

use crate::world::{Asked, Sent, World, directory, world};

const ALICE: &str = "alice@example.com";
const CONTACT: &str = "sip:alice@192.0.2.7:5060";

/// The NOTIFY among what was sent, answered.
#[track_caller]
fn notified(world: &mut World, sent: &[Sent]) -> Sent {
    let notify: Vec<_> = sent.iter().filter(|it| it.kind() == "NOTIFY").collect();
    assert_eq!(notify.len(), 1, "{sent:#?}");
    world.answer(notify[0], 200);
    notify[0].clone()
}

#[track_caller]
fn holds(notify: &Sent, texts: &[&str]) {
    assert_eq!(notify.value("Content-Type"), "application/reginfo+xml");
    for text in texts {
        assert!(notify.body().contains(text), "{text} in {}", notify.body());
    }
}

fn contact_id(notify: &Sent) -> String {
    let (_, rest) = notify
        .body()
        .split_once("<contact id=\"")
        .expect("a contact");
    rest.split_once('"').expect("its id").0.to_owned()
}

#[test]
fn a_contact_is_seen_to_come_be_refreshed_and_go() {
    let mut world = world();
    let (_, first) = world.subscribed(&Asked::subscribe(ALICE, ALICE, "reg"));
    holds(
        &first,
        &[
            "version=\"0\" state=\"full\"",
            "state=\"init\"",
            "aor=\"sip:alice@example.com\"",
        ],
    );
    world.milliseconds(2_000);

    let sent = world.register(&format!("<{CONTACT}>;q=0.5;expires=600"), 1);
    let came = notified(&mut world, &sent);
    holds(
        &came,
        &[
            "version=\"1\"",
            "state=\"active\" event=\"registered\" duration-registered=\"0\" q=\"0.500\"",
            "callid=\"registers\" cseq=\"1\" expires=\"600\"",
            "<uri>sip:alice@192.0.2.7:5060</uri>",
        ],
    );
    for (expires, cseq, event) in [(600, 2, "refreshed"), (60, 3, "shortened")] {
        world.milliseconds(10_000);
        let sent = world.register(&format!("<{CONTACT}>;expires={expires}"), cseq);
        let notify = notified(&mut world, &sent);
        holds(
            &notify,
            &[
                &format!("event=\"{event}\""),
                &format!("expires=\"{expires}\""),
            ],
        );
        assert_eq!(contact_id(&notify), contact_id(&came));
    }
    let sent = world.milliseconds(60_000);
    let went = notified(&mut world, &sent);
    holds(
        &went,
        &[
            "version=\"4\"",
            "id=\"r",
            "state=\"terminated\">",
            "state=\"terminated\" event=\"expired\"",
        ],
    );
    assert_eq!(contact_id(&went), contact_id(&came));
}

#[test]
fn a_contact_that_is_removed_is_unregistered() {
    let mut world = world();
    world.register(&format!("<{CONTACT}>, <sip:a&b@192.0.2.8>"), 1);
    let (_, first) = world.subscribed(&Asked::subscribe(ALICE, ALICE, "reg"));
    holds(&first, &["sip:a&amp;b@192.0.2.8", CONTACT]);
    world.milliseconds(2_000);
    let sent = world.register(&format!("<{CONTACT}>;expires=0"), 2);
    let notify = notified(&mut world, &sent);
    holds(
        &notify,
        &[
            "state=\"active\">",
            "state=\"terminated\" event=\"unregistered\"",
        ],
    );
}

#[test]
fn a_public_gruu_is_told() {
    let mut world = world();
    world.register(&format!("<{CONTACT}>;+sip.instance=\"<urn:uuid:1>\""), 1);
    let (_, first) = world.subscribed(&Asked::subscribe(ALICE, ALICE, "reg"));
    holds(
        &first,
        &["<gr:pub-gruu uri=\"sip:alice@example.com;gr=urn:uuid:1\"/>"],
    );
}

#[test]
fn many_changes_in_a_second_are_told_once_and_the_last_of_them() {
    let mut world = world();
    world.subscribed(&Asked::subscribe(ALICE, ALICE, "reg"));
    world.milliseconds(5_000);
    let sent = world.register(&format!("<{CONTACT}>;expires=61"), 1);
    assert_eq!(sent.len(), 2, "the first is told at once");
    world.answer(
        sent.iter().find(|it| it.kind() == "NOTIFY").expect("one"),
        200,
    );
    for (cseq, expires) in [(2, 62), (3, 63), (4, 64)] {
        let sent = world.register(&format!("<{CONTACT}>;expires={expires}"), cseq);
        assert_eq!(sent.len(), 1, "the answer alone");
    }
    assert_eq!(world.milliseconds(999), []);
    let sent = world.milliseconds(1);
    let notify = notified(&mut world, &sent);
    holds(&notify, &["version=\"2\"", "cseq=\"4\" expires=\"63\""]);
    assert_eq!(world.milliseconds(5_000), []);
}

#[test]
fn while_a_notify_has_no_answer_there_is_no_other() {
    let mut world = world();
    world.subscribed(&Asked::subscribe(ALICE, ALICE, "reg"));
    world.milliseconds(5_000);
    let first = world.register(&format!("<{CONTACT}>"), 1);
    let first = first.iter().find(|it| it.kind() == "NOTIFY").expect("one");
    world.register(&format!("<{CONTACT}>"), 2);
    let sent = world.milliseconds(5_000);
    assert!(sent.iter().all(|it| it.text == first.text), "{sent:#?}");
    let sent = world.answer(first, 200);
    holds(&notified(&mut world, &sent), &["cseq=\"2\""]);
}

#[test]
fn others_bindings_are_none_of_its_business() {
    let mut world = world();
    let bob = "bob@example.com";
    world.subscribed(&Asked::subscribe(bob, bob, "reg"));
    world.milliseconds(2_000);
    assert_eq!(world.register(&format!("<{CONTACT}>"), 1).len(), 1);
}

#[test]
fn a_user_who_is_gone_has_no_subscriptions() {
    let mut world = world();
    world.subscribed(&Asked::subscribe(ALICE, ALICE, "message-summary"));
    let same = Command::Directory(directory().into());
    assert_eq!(world.ordered(&same), [], "nobody is gone");
    let sent = world.ordered(&Command::Directory(Directory::default().into()));
    assert_eq!(
        sent[0].value("Subscription-State"),
        "terminated;reason=noresource"
    );
    assert_eq!(world.counters().subscriptions, 0);
}
