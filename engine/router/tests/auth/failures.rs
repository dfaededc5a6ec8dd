//! Those who do not know a secret, and those who try.

use std::sync::Arc;

use stack::digest::Algorithm;
use tipring_router::{Abuse, Auth, Rate};

use crate::world::*;

const ANN: &str = "sip:ann@example.com";

fn banning() -> World {
    let failures = Some(Rate {
        per_second: 0.01,
        burst: 3,
    });
    world_with(Auth::default(), |config| {
        config.abuse = Arc::new(Abuse {
            failures,
            ..Abuse::default()
        });
    })
}

/// The answer to the second REGISTER of a world of its own.
fn refusal(asked: &Asked<'_>, change: impl FnOnce(&mut Answering)) -> Sent {
    let mut world = world(Auth::default());
    let mut answering = world.answering(asked);
    change(&mut answering);
    let line = answering.line("Authorization", asked);
    let refusal = world.answer(asked, &line);
    assert_eq!(world.counters().auth.register.wrong, 1);
    refusal
}

#[test]
fn an_unknown_user_and_a_wrong_secret_look_the_same() {
    for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
        let wrong = refusal(&register(ANN), |it| {
            it.algorithm = algorithm;
            it.secret = "guess".to_owned();
        });
        let unknown = refusal(&register("sip:eve@example.com"), |it| {
            it.algorithm = algorithm;
            it.user = "eve".to_owned();
        });
        assert_eq!(wrong.kind(), "401");
        assert!(!is_stale(&wrong));
        // The same seed, the same time: every byte but the names that came with the request.
        assert_eq!(wrong.text.replace("ann@", "eve@"), unknown.text);
    }
}

#[test]
fn who_asks_first_is_answered_alike_whether_he_is_known_or_not() {
    let first = |user: &str| world(Auth::default()).answer(&register(user), "").text;
    assert_eq!(
        first(ANN).replace("ann@", "eve@"),
        first("sip:eve@example.com")
    );
}

#[test]
fn too_many_wrong_secrets_ban() {
    let mut world = banning();
    let asked = register(ANN);
    for tries in 0..4 {
        assert_eq!(world.bans(), 0, "{tries}");
        let mut answering = world.answering(&asked);
        answering.secret = format!("guess {tries}");
        let line = answering.line("Authorization", &asked);
        assert_eq!(world.answer(&asked, &line).kind(), "401");
    }
    assert_eq!(world.bans(), 1);
    assert!(world.sends(&asked, "").is_empty());
    assert_eq!(world.counters().auth.register.wrong, 4);
}

#[test]
fn neither_a_first_request_nor_an_old_nonce_is_a_failure() {
    let mut world = banning();
    let asked = register(ANN);
    let answering = world.answering(&asked);
    let line = answering.line("Authorization", &asked);
    for _ in 0..20 {
        world.answer(&asked, "");
        world.answer(&asked, &line);
    }
    // RFC 8760 2.7: a phone that has not been challenged yet may name itself.
    let empty = "Authorization: Digest username=\"ann\", realm=\"example.com\", nonce=\"\", \
                 uri=\"sip:example.com\", response=\"\"\r\n";
    for _ in 0..20 {
        let refusal = world.answer(&asked, empty);
        assert!(refusal.kind() == "401" && !is_stale(&refusal));
    }
    assert_eq!(world.bans(), 0);
    let counts = world.counters().auth.register;
    assert_eq!((counts.proven, counts.replayed, counts.wrong), (1, 19, 0));
}

#[test]
fn credentials_that_cannot_be_read_are_a_bad_request() {
    let mut world = world(Auth::default());
    let asked = register(ANN);
    let answering = world.answering(&asked);
    let line = answering.line("Authorization", &asked);
    let elsewhere = Answering {
        uri: "sip:77@example.com".to_owned(),
        ..answering.clone()
    };
    for bad in [
        "Authorization: Digest username=\"ann\r\n".to_owned(),
        line.replace("response=", "answer="),
        elsewhere.line("Authorization", &asked),
    ] {
        let refusal = world.answer(&asked, &bad);
        assert_eq!(
            refusal.start(),
            "SIP/2.0 400 Malformed Credentials",
            "{bad}"
        );
    }
    // Those of a scheme that is not ours are none.
    let basic = "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n";
    assert_eq!(world.answer(&asked, basic).kind(), "401");
    assert_eq!(world.counters().auth.register.malformed, 3);
    assert_eq!(world.answer(&asked, &line).kind(), "200");
}
