//! The package message-summary (RFC 3842): what the control side says waits for a user.

use tipring_router::{Aor, Command, EventsSettings, MessageCounts, MessageWaiting};

use crate::world::{Asked, world, world_with};

const ALICE: &str = "alice@example.com";

fn voice(user: &str, new: u32, old: u32) -> Command {
    Command::MessageWaiting {
        aor: Aor::new(user, "example.com").expect("an AOR"),
        waiting: Some(MessageWaiting {
            waiting: new > 0,
            voice: Some(MessageCounts { new, old }),
            fax: None,
        }),
    }
}

#[test]
fn what_waits_is_told_at_once_and_as_it_changes() {
    let mut world = world();
    assert_eq!(world.ordered(&voice("alice", 2, 8)), []);
    let asked = Asked::subscribe(ALICE, ALICE, "message-summary");
    let (_, notify) = world.subscribed(&asked);
    let account = "Message-Account: sip:alice@example.com\r\n";
    assert_eq!(
        notify.body(),
        format!("Messages-Waiting: yes\r\n{account}Voice-Message: 2/8\r\n")
    );
    assert_eq!(
        notify.value("Content-Type"),
        "application/simple-message-summary"
    );
    world.milliseconds(2_000);
    assert_eq!(
        world.ordered(&voice("alice", 2, 8)),
        [],
        "nothing has changed"
    );
    assert_eq!(world.ordered(&voice("bob", 1, 0)), [], "another's");
    let sent = world.ordered(&voice("alice", 0, 10));
    assert_eq!(
        sent[0].body(),
        format!("Messages-Waiting: no\r\n{account}Voice-Message: 0/10\r\n")
    );
    world.answer(&sent[0], 200);
    world.milliseconds(2_000);
    let aor = Aor::new("alice", "example.com").expect("an AOR");
    let sent = world.ordered(&Command::MessageWaiting { aor, waiting: None });
    assert_eq!(sent[0].body(), format!("Messages-Waiting: no\r\n{account}"));
    assert_eq!(world.counters().events.mailboxes, 1);
}

#[test]
fn mailboxes_are_bounded_and_of_users() {
    let mut world = world_with(EventsSettings {
        mailboxes: 1,
        ..EventsSettings::default()
    });
    for user in ["mallory", "alice", "bob", "alice"] {
        world.ordered(&voice(user, 1, 1));
    }
    let counted = world.counters().events;
    assert_eq!((counted.mailboxes, counted.dropped), (1, 2));
}
