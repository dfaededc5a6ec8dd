//! REGISTER.

use tipring_router::Auth;

use crate::world::*;

const ANN: &str = "sip:ann@example.com";

#[test]
fn a_register_is_challenged_and_goes_on_when_it_is_proven() {
    let mut world = world(Auth::default());
    let refusal = world.answer(&register(ANN), "");
    assert_eq!(refusal.start(), "SIP/2.0 401 Unauthorized");
    let [first, second] = challenges(&refusal)[..] else {
        panic!("{refusal:?}")
    };
    // RFC 8760 2.3: the most wanted first.
    assert_eq!(parameter(first, "algorithm"), "SHA-256");
    assert_eq!(parameter(second, "algorithm"), "MD5");
    for challenge in [first, second] {
        assert_eq!(parameter(challenge, "realm"), "example.com");
        assert_eq!(parameter(challenge, "qop"), "auth");
        assert_eq!(parameter(challenge, "stale"), "");
        assert!(!parameter(challenge, "nonce").is_empty());
    }
    let mut answering = Answering::to(&refusal);
    for (count, algorithm) in [(1, "SHA-256"), (2, "MD5")] {
        answering.count = count;
        answering.algorithm = stack::digest::Algorithm::named(algorithm.as_bytes()).unwrap();
        let line = answering.line("Authorization", &register(ANN));
        assert_eq!(
            world.answer(&register(ANN), &line).kind(),
            "200",
            "{algorithm}"
        );
    }
    let counts = world.counters().auth.register;
    assert_eq!((counts.challenges, counts.proven), (1, 2));
}

#[test]
fn nobody_registers_for_another() {
    let mut world = world(Auth::default());
    let bob = register("sip:bob@example.com");
    let answering = world.answering(&bob);
    // The secret is Ann's, and so is From; To is not.
    let line = answering.line("Authorization", &bob);
    let asked = Asked { from: ANN, ..bob };
    assert_eq!(world.answer(&asked, &line).kind(), "403");
    assert_eq!(world.counters().auth.register.forbidden, 1);
    let location = world.counters().registrar;
    assert_eq!(location.accepted, 0);
}

#[test]
fn a_user_of_one_domain_is_nobody_in_another() {
    let mut world = world(Auth::default());
    let there = register("sip:ann@other.example");
    let mut answering = world.answering(&there);
    assert_eq!(answering.realm, "other.example");
    answering.realm = "example.com".to_owned();
    let line = answering.line("Authorization", &there);
    // Credentials for another realm are none.
    let refusal = world.answer(&there, &line);
    assert_eq!(refusal.kind(), "401");
    assert!(!is_stale(&refusal));
    assert_eq!(world.counters().auth.register.wrong, 0);
}

#[test]
fn an_escaped_user_is_the_same_user() {
    let mut world = world(Auth::default());
    let asked = register("sip:%61nn@EXAMPLE.com:5060;x=y");
    let line = world.answering(&asked).line("Authorization", &asked);
    assert_eq!(world.answer(&asked, &line).kind(), "200");
}

#[test]
fn those_who_are_trusted_are_not_asked_but_must_be_users() {
    let trusted = tipring_router::Networks::new([("192.0.2.0".parse().unwrap(), 24, ())]);
    let mut world = world(Auth {
        trusted,
        ..Auth::default()
    });
    assert_eq!(world.answer(&register(ANN), "").kind(), "200");
    assert_eq!(
        world.answer(&register("sip:eve@example.com"), "").kind(),
        "404"
    );
    let elsewhere = Asked {
        source: "198.51.100.1:5060",
        ..register(ANN)
    };
    assert_eq!(world.answer(&elsewhere, "").kind(), "401");
}
