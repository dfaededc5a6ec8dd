//! Several shards: what one of them learns is told by all of them to their own subscribers.

use tipring_router::{Command, Config, Event};

use crate::world::{Asked, Sent, World, world_of};

const ALICE: &str = "alice@example.com";
const BOB: &str = "bob@example.com";
const OPEN: &str = "<presence><!-- open --></presence>";
const AWAY: &str = "<presence><!-- away --></presence>";

fn shards() -> [World; 3] {
    let shard = |shard| {
        world_of(|config: &mut Config| {
            (config.shard, config.shards, config.seed) = (shard, 3, 7 + u64::from(shard));
        })
    };
    [shard(0), shard(1), shard(2)]
}

/// The words that are under way, for which shard each.
fn said(worlds: &mut [World]) -> Vec<(usize, Command)> {
    let mut words = Vec::new();
    for world in worlds {
        while let Some(event) = world.router.poll_event() {
            if let Event::ToShard { shard, word } = event {
                words.push((shard.into(), Command::FromShard(word)));
            }
        }
    }
    words
}

/// Delivers all words and those they cause; what is sent by whom.
fn deliver(worlds: &mut [World]) -> Vec<(usize, Sent)> {
    let mut sent = Vec::new();
    loop {
        let words = said(worlds);
        if words.is_empty() {
            return sent;
        }
        for (shard, word) in words {
            let of_shard = worlds[shard].ordered(&word);
            sent.extend(of_shard.into_iter().map(|it| (shard, it)));
        }
    }
}

fn bodies(sent: &[(usize, Sent)]) -> Vec<(usize, &str)> {
    sent.iter().map(|(shard, it)| (*shard, it.body())).collect()
}

fn later(worlds: &mut [World], milliseconds: u64) {
    for world in worlds {
        world.milliseconds(milliseconds);
    }
}

fn tag_of(sent: &[Sent]) -> String {
    sent[0].value("SIP-ETag").to_owned()
}

#[test]
fn a_publication_is_told_on_every_shard_and_changed_on_any() {
    let mut worlds = shards();
    for world in &mut worlds[1..] {
        world.subscribed(&Asked::subscribe(BOB, ALICE, "presence"));
    }
    later(&mut worlds, 2_000);
    let tag = tag_of(&worlds[0].send(&Asked::publish(ALICE, OPEN)));
    let sent = deliver(&mut worlds);
    assert_eq!(bodies(&sent), [(1, OPEN), (2, OPEN)]);
    sent.iter()
        .for_each(|(at, it)| drop(worlds[*at].answer(it, 200)));

    later(&mut worlds, 2_000);
    deliver(&mut worlds);
    let modify = Asked::publish(ALICE, AWAY).with(&format!("SIP-If-Match: {tag}"));
    let answered = worlds[2].send(&modify);
    assert_eq!((answered[0].kind(), answered[1].body()), ("200", AWAY));
    assert_eq!(bodies(&deliver(&mut worlds)), [(1, AWAY)]);
    assert_eq!(worlds[0].answered(&modify).kind(), "412");
    let remove = Asked::publish(ALICE, "").with("Expires: 0");
    let remove = remove.with(&format!("SIP-If-Match: {}", tag_of(&answered)));
    assert_eq!(worlds[0].answered(&remove).kind(), "200");
    deliver(&mut worlds);
    for world in &worlds {
        assert_eq!(world.counters().events.publications, 0);
    }
}

#[test]
fn a_word_that_is_lost_is_said_again() {
    let mut worlds = shards();
    worlds[1].subscribed(&Asked::subscribe(BOB, ALICE, "presence"));
    later(&mut worlds, 2_000);
    worlds[0].send(&Asked::publish(ALICE, OPEN));
    assert_eq!(said(&mut worlds).len(), 2, "lost");
    later(&mut worlds, 1_000);
    assert_eq!(bodies(&deliver(&mut worlds)), [(1, OPEN)]);
    later(&mut worlds, 10_000);
    assert!(said(&mut worlds).is_empty(), "once");
}

#[test]
fn late_words_bring_nothing_back() {
    let mut worlds = shards();
    let tag = tag_of(&worlds[0].send(&Asked::publish(ALICE, OPEN)));
    let late = said(&mut worlds);
    let remove = Asked::publish(ALICE, "").with("Expires: 0");
    worlds[0].send(&remove.with(&format!("SIP-If-Match: {tag}")));
    deliver(&mut worlds);
    for (shard, word) in late {
        worlds[shard].ordered(&word);
        assert_eq!(worlds[shard].counters().events.publications, 0);
    }
}

#[test]
fn a_binding_is_told_on_the_shard_of_its_subscriber() {
    for registers in 0..3 {
        let mut worlds = shards();
        worlds[1].subscribed(&Asked::subscribe(ALICE, ALICE, "reg"));
        later(&mut worlds, 2_000);
        let mut sent = worlds[registers].register("<sip:alice@192.0.2.7>", 1);
        sent.extend(deliver(&mut worlds).into_iter().map(|(_, it)| it));
        let told = sent.iter().filter(|it| it.kind() == "NOTIFY");
        let told: Vec<_> = told
            .filter(|it| it.body().contains("sip:alice@192.0.2.7<"))
            .collect();
        assert_eq!(told.len(), 1, "{registers}: {sent:#?}");
    }
}
