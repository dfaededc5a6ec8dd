//! The life of a nonce: how long, where, for whom, and with which counts.

use std::sync::Arc;
use std::time::Duration;

use tipring_router::{Auth, Command};

use crate::world::*;

const ANN: &str = "sip:ann@example.com";

#[track_caller]
fn assert_stale(world: &mut World, answering: &Answering, asked: &Asked<'_>) {
    let refusal = world.answer(asked, &answering.line("Authorization", asked));
    assert_eq!(refusal.kind(), "401");
    assert!(is_stale(&refusal), "{refusal:#?}");
    let next = Answering::to(&refusal).line("Authorization", asked);
    assert_eq!(world.answer(asked, &next).kind(), "200");
}

#[test]
fn an_old_nonce_is_stale_and_the_next_one_is_good() {
    let mut world = world(Auth {
        nonce_lifetime: Duration::from_secs(60),
        ..Auth::default()
    });
    let mut answering = world.answering(&register(ANN));
    world.pass(60);
    let line = answering.line("Authorization", &register(ANN));
    assert_eq!(world.answer(&register(ANN), &line).kind(), "200");
    world.pass(1);
    answering.count = 2;
    assert_stale(&mut world, &answering, &register(ANN));
    assert_eq!(world.counters().auth.register.stale, 1);
}

#[test]
fn a_request_that_is_sent_again_by_another_is_replayed() {
    let mut world = world(Auth::default());
    let asked = register(ANN);
    let mut answering = world.answering(&asked);
    let line = answering.line("Authorization", &asked);
    assert_eq!(world.answer(&asked, &line).kind(), "200");
    assert_stale(&mut world, &answering, &asked);
    assert_eq!(world.counters().auth.register.replayed, 1);
    // Counts may come in any order, but each once.
    for (count, code) in [(5, "200"), (3, "200"), (3, "401"), (0, "401"), (6, "200")] {
        answering.count = count;
        let line = answering.line("Authorization", &asked);
        assert_eq!(world.answer(&asked, &line).kind(), code, "{count}");
    }
}

#[test]
fn a_wrong_secret_spends_no_count() {
    let mut world = world(Auth::default());
    let right = world.answering(&register(ANN));
    let wrong = Answering {
        secret: "?".to_owned(),
        ..right.clone()
    };
    for answering in [&wrong, &wrong] {
        let line = answering.line("Authorization", &register(ANN));
        assert_eq!(world.answer(&register(ANN), &line).kind(), "401");
    }
    assert_eq!(world.counters().nonces, 0);
    let line = right.line("Authorization", &register(ANN));
    assert_eq!(world.answer(&register(ANN), &line).kind(), "200");
    assert_eq!(world.counters().nonces, 1);
}

#[test]
fn a_nonce_of_another_shard_address_realm_or_of_nobody_is_stale() {
    let asked = register(ANN);
    let on_shard = |shard| {
        world_with(Auth::default(), |config| {
            config.shards = shard + 1;
            config.shard = shard;
        })
    };
    let (mut here, mut there) = (on_shard(0), on_shard(1));
    let of_there = there.answering(&asked);
    let line = of_there.line("Authorization", &asked);
    // Its answer waits for the shards beside it, which are not here.
    there.sends(&asked, &line);
    assert_eq!(there.counters().auth.register.proven, 1);
    assert_stale(&mut here, &of_there, &asked);
    let mut answering = here.answering(&asked);
    let elsewhere = Asked {
        source: "192.0.2.67:5080",
        ..asked.clone()
    };
    assert_stale(&mut here, &answering, &elsewhere);
    // A NAT may change the port.
    let other_port = Asked {
        source: "192.0.2.66:40000",
        ..asked.clone()
    };
    let line = answering.line("Authorization", &other_port);
    assert_eq!(here.answer(&other_port, &line).kind(), "200");
    answering.nonce = "0".repeat(answering.nonce.len());
    assert_stale(&mut here, &answering, &asked);
    answering.nonce = "0123".to_owned();
    assert_stale(&mut here, &answering, &asked);
    assert_eq!(here.counters().auth.register.wrong, 0);
}

#[test]
fn what_had_to_be_forgotten_is_stale() {
    let mut world = world(Auth {
        nonces: 2,
        ..Auth::default()
    });
    let asked = register(ANN);
    let mut phones: Vec<_> = (0..3).map(|_| world.answering(&asked)).collect();
    for answering in &phones {
        let line = answering.line("Authorization", &asked);
        assert_eq!(world.answer(&asked, &line).kind(), "200");
    }
    assert_eq!(world.counters().nonces, 2);
    phones[0].count = 2;
    assert_stale(&mut world, &phones[0], &asked);
    assert_eq!(world.counters().auth.register.stale, 1);
}

#[test]
fn other_rules_leave_nonces_as_they_are_but_for_their_lifetime() {
    let mut world = world(Auth::default());
    let asked = register(ANN);
    let mut answering = world.answering(&asked);
    let command = |world: &mut World, auth: Auth| {
        let command = Command::Auth(Arc::new(auth));
        let mut out = stack::Outbox::new();
        world.router.command(world.now, &command, &mut out);
    };
    command(
        &mut world,
        Auth {
            nonces: 10,
            ..Auth::default()
        },
    );
    let line = answering.line("Authorization", &asked);
    assert_eq!(world.answer(&asked, &line).kind(), "200");
    command(
        &mut world,
        Auth {
            nonce_lifetime: Duration::from_secs(30),
            ..Auth::default()
        },
    );
    world.pass(31);
    answering.count = 2;
    assert_stale(&mut world, &answering, &asked);
}
