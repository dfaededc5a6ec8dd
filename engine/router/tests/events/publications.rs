//! PUBLISH (RFC 3903), and what those who watch are told of it.

use tipring_router::EventsSettings;

use crate::world::{Asked, Sent, World, world, world_with};

const ALICE: &str = "alice@example.com";
const BOB: &str = "bob@example.com";
const OPEN: &str = "<presence entity=\"pres:alice@example.com\"><!-- open --></presence>";
const AWAY: &str = "<presence entity=\"pres:alice@example.com\"><!-- away --></presence>";

/// Publishes; the tag of the publication.
#[track_caller]
fn published(world: &mut World, asked: &Asked) -> (String, Vec<Sent>) {
    let sent = world.send(asked);
    assert_eq!(sent[0].kind(), "200", "{sent:#?}");
    let notifies = sent[1..].to_vec();
    notifies.iter().for_each(|it| drop(world.answer(it, 200)));
    (sent[0].value("SIP-ETag").to_owned(), notifies)
}

fn matching(asked: Asked, tag: &str) -> Asked {
    asked.with(&format!("SIP-If-Match: {tag}"))
}

#[test]
fn a_publication_is_told_modified_refreshed_and_removed() {
    let mut world = world();
    let (_, first) = world.subscribed(&Asked::subscribe(BOB, ALICE, "presence"));
    assert_eq!(first.value("Content-Type"), "application/pidf+xml");
    assert!(first.body().contains("entity=\"pres:alice@example.com\"/>"));
    world.milliseconds(2_000);

    let (tag, told) = published(&mut world, &Asked::publish(ALICE, OPEN));
    assert_eq!(told[0].body(), OPEN);
    world.milliseconds(2_000);
    let (second, told) = published(&mut world, &matching(Asked::publish(ALICE, AWAY), &tag));
    assert_eq!(told[0].body(), AWAY);
    assert_ne!(second, tag);
    world.milliseconds(2_000);

    let stale = world.answered(&matching(Asked::publish(ALICE, ""), &tag));
    assert_eq!(stale.kind(), "412");
    let refresh = matching(Asked::publish(ALICE, ""), &second).with("Expires: 60");
    let (third, told) = published(&mut world, &refresh);
    assert_eq!(told, [], "nothing has changed");
    let remove = matching(Asked::publish(ALICE, ""), &third).with("Expires: 0");
    let (_, told) = published(&mut world, &remove);
    assert!(
        told[0]
            .body()
            .ends_with("entity=\"pres:alice@example.com\"/>\r\n")
    );
    assert_eq!(world.counters().events.publications, 0);
    assert_eq!(world.counters().events.published, 4);
}

#[test]
fn the_newest_is_told_and_the_one_before_when_it_ends() {
    let mut world = world();
    published(
        &mut world,
        &Asked::publish(ALICE, OPEN).with("Expires: 600"),
    );
    world.milliseconds(1);
    published(&mut world, &Asked::publish(ALICE, AWAY).with("Expires: 60"));
    assert_eq!(world.counters().events.publications, 2);
    let (_, first) = world.subscribed(&Asked::subscribe(BOB, ALICE, "presence"));
    assert_eq!(first.body(), AWAY);
    assert_eq!(world.milliseconds(59_999), []);
    let sent = world.milliseconds(1);
    assert_eq!(sent[0].body(), OPEN);
}

#[test]
fn what_cannot_be_published_is_refused() {
    let mut world = world_with(EventsSettings {
        body_bytes: OPEN.len(),
        publications_per_user: 1,
        ..EventsSettings::default()
    });
    let long = format!("{OPEN} ");
    let (tag, _) = published(&mut world, &Asked::publish(ALICE, OPEN));
    let mut typed = Asked::publish(ALICE, OPEN);
    typed.lines = typed.lines.replace("pidf", "dialog-info");
    let twice = format!("{tag}, {tag}");
    for (asked, code) in [
        (Asked::publish(ALICE, ""), "400"),
        (Asked::publish(ALICE, &long), "413"),
        (typed, "415"),
        (Asked::publish(ALICE, OPEN).with("Expires: 1"), "423"),
        (matching(Asked::publish(ALICE, OPEN), &twice), "400"),
        (matching(Asked::publish(ALICE, OPEN), "nothing"), "412"),
        (matching(Asked::publish(BOB, OPEN), &tag), "412"),
        (Asked::publish(ALICE, AWAY), "503"),
    ] {
        assert_eq!(world.answered(&asked).kind(), code, "{}", asked.lines);
    }
    assert_eq!(world.counters().events.publications, 1);
    published(&mut world, &matching(Asked::publish(ALICE, ""), &tag));
}

#[test]
fn all_publications_are_bounded() {
    let mut world = world_with(EventsSettings {
        publications: 1,
        ..EventsSettings::default()
    });
    let passing = Asked::publish(ALICE, OPEN).with("Expires: 0");
    published(&mut world, &passing);
    published(&mut world, &Asked::publish(ALICE, OPEN));
    assert_eq!(world.answered(&Asked::publish(BOB, OPEN)).kind(), "503");
}

#[test]
fn dialogs_are_told_with_the_version_of_the_subscription() {
    let mut world = world();
    let (_, first) = world.subscribed(&Asked::subscribe(BOB, ALICE, "dialog"));
    assert!(
        first.body().contains("version=\"0\" state=\"full\""),
        "{}",
        first.body()
    );
    world.milliseconds(2_000);
    let body = "<dialog-info version=\"9\" state=\"full\" entity=\"sip:alice@example.com\"/>";
    let mut publish = Asked::publish(ALICE, body);
    publish.lines = publish.lines.replace("pidf", "dialog-info");
    publish.lines = publish.lines.replace("Event: presence", "Event: dialog");
    let (_, told) = published(&mut world, &publish);
    assert_eq!(told[0].value("Content-Type"), "application/dialog-info+xml");
    assert_eq!(told[0].body(), body.replace('9', "1"));
}
