//! Several shards: a change that one of them is asked for is answered 200 when all of them have it.

use std::time::Duration;

use tipring_router::{Command, Config, Event, LocationCause, LocationChange};

use crate::world::{Register, Sent, World, listed, world_of};

/// The shards of one router. The words between them wait in `mail`, to be delivered by hand.
struct Shards {
    worlds: Vec<World>,
    mail: Vec<(usize, Command)>,
    changes: Vec<LocationChange>,
    branches: u32,
}

const SHARDS: u8 = 3;

fn shards() -> Shards {
    let place = |shard| move |config: &mut Config| (config.shard, config.shards) = (shard, SHARDS);
    Shards {
        worlds: (0..SHARDS).map(|shard| world_of(place(shard))).collect(),
        mail: Vec::new(),
        changes: Vec::new(),
        branches: 0,
    }
}

impl Shards {
    /// A REGISTER of alice reaches this shard; what it answers.
    fn register(&mut self, shard: usize, contact: &str) -> Vec<Sent> {
        self.branches += 1;
        let (number, register) = (self.branches, Register::contacts(&[contact]));
        let text = format!(
            "REGISTER {} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK{number}\r\n\
             From: <{to}>;tag=a\r\nTo: <{to}>\r\nCall-ID: {}\r\nCSeq: {number} REGISTER\r\n\
             Max-Forwards: 70\r\n{}Content-Length: 0\r\n\r\n",
            register.uri,
            register.call_id,
            register.more,
            to = register.to,
        );
        let sent = self.worlds[shard].receive(register.from, &text);
        self.collect();
        sent
    }

    /// Takes the words and changes that have been said.
    fn collect(&mut self) {
        for world in &mut self.worlds {
            while let Some(event) = world.router.poll_event() {
                match event {
                    Event::ToShard { shard, word } => {
                        self.mail.push((shard.into(), Command::FromShard(word)));
                    }
                    Event::Location(change) => self.changes.push(change),
                    event => panic!("{event:?}"),
                }
            }
        }
    }

    /// Delivers all words, and those that they cause; what is answered then.
    fn deliver(&mut self) -> Vec<Sent> {
        let mut sent = Vec::new();
        while !self.mail.is_empty() {
            for (shard, word) in std::mem::take(&mut self.mail) {
                sent.extend(self.worlds[shard].ordered(&word));
            }
            self.collect();
        }
        sent
    }

    /// What alice's bindings are to each shard.
    fn known(&mut self) -> Vec<Vec<String>> {
        let worlds = self.worlds.iter_mut();
        worlds
            .map(|world| world.send(&Register::contacts(&[])))
            .map(|it| listed(&it))
            .collect()
    }
}

#[test]
fn a_register_is_answered_when_every_shard_has_it() {
    let mut shards = shards();
    for asked in 0..usize::from(SHARDS) {
        let contact = format!("<sip:alice@192.0.2.{asked}>");
        assert_eq!(shards.register(asked, &contact), []);
        let answers = shards.deliver();
        let [answer] = &answers[..] else {
            panic!("{answers:#?}");
        };
        assert_eq!((answer.kind(), listed(answer).len()), ("200", asked + 1));
        let known = shards.known();
        assert!(known.iter().all(|it| it.len() == asked + 1), "{known:?}");
    }
    let causes: Vec<_> = shards.changes.iter().map(|it| it.cause).collect();
    use LocationCause::{Refreshed, Registered};
    assert_eq!(causes, [Registered, Refreshed, Refreshed]);
    assert!(
        shards
            .worlds
            .iter()
            .all(|it| it.router.is_idle() || it.counters().server_transactions > 0)
    );
}

#[test]
fn a_register_whose_words_are_lost_is_refused() {
    let mut shards = shards();
    let asked = (0..usize::from(SHARDS)).find(|&shard| {
        // The first word of one who is not the owner is the question to the owner.
        shards.register(shard, "<sip:alice@192.0.2.9>");
        shards.mail.len() == 1
    });
    let asked = asked.expect("one of three who is not the owner");
    shards.mail.clear();
    let world = &mut shards.worlds[asked];
    assert_eq!(world.passed(Duration::from_millis(1_999)), []);
    let answers = world.passed(Duration::from_millis(1));
    let [answer] = &answers[..] else {
        panic!("{answers:#?}");
    };
    assert_eq!(answer.kind(), "500");
    assert!(answer.text.contains("Retry-After: "), "{}", answer.text);
    assert_eq!(world.counters().location.not_reached, 1);
}
