//! Algorithms and qop: what was not offered is not taken.

use stack::digest::{Algorithm, Qop};
use tipring_router::{Auth, Policy};

use crate::world::*;

const ANN: &str = "sip:ann@example.com";

fn offering(algorithms: &[Algorithm], qop: &[Qop]) -> Auth {
    Auth {
        policy: Policy {
            algorithms: algorithms.to_vec(),
            qop: qop.to_vec(),
            ..Policy::default()
        },
        ..Auth::default()
    }
}

#[test]
fn challenges_come_in_the_configured_order_and_each_can_be_answered() {
    let order = [Algorithm::Sha512_256, Algorithm::Md5, Algorithm::Sha256];
    let mut world = world(offering(&order, &[Qop::Auth]));
    let refusal = world.answer(&register(ANN), "");
    let offered: Vec<_> = challenges(&refusal)
        .into_iter()
        .map(|it| parameter(it, "algorithm"))
        .collect();
    assert_eq!(offered, order.map(Algorithm::name));
    for (count, algorithm) in (1..).zip(order) {
        let answering = Answering {
            algorithm,
            count,
            ..Answering::to(&refusal)
        };
        let line = answering.line("Authorization", &register(ANN));
        assert_eq!(
            world.answer(&register(ANN), &line).kind(),
            "200",
            "{algorithm:?}"
        );
    }
}

#[test]
fn what_was_not_offered_is_challenged_again_and_is_no_failure() {
    let mut world = world(offering(&[Algorithm::Sha256], &[Qop::Auth]));
    let right = world.answering(&register(ANN));
    let (mut md5, mut auth_int) = (right.clone(), right.clone());
    md5.algorithm = Algorithm::Md5;
    auth_int.qop = Some(Qop::AuthInt);
    let line = right.line("Authorization", &register(ANN));
    let session = line.replace("algorithm=SHA-256", "algorithm=SHA-256-sess");
    let unnamed = line.replace(", algorithm=SHA-256", "");
    let lines = [
        md5.line("Authorization", &register(ANN)),
        auth_int.line("Authorization", &register(ANN)),
        session,
        unnamed,
        line.replace("\r\n", ", userhash=true\r\n"),
        line.replace(", nc=00000001", ""),
        line.replace(", cnonce=\"c0ffee\"", ""),
    ];
    for line in &lines {
        let refusal = world.answer(&register(ANN), line);
        assert_eq!(refusal.kind(), "401", "{line}");
        assert!(!is_stale(&refusal), "{line}");
    }
    let counts = world.counters().auth.register;
    assert_eq!(counts.unsupported, lines.len() as u64);
    assert_eq!(counts.wrong, 0);
    assert_eq!(world.answer(&register(ANN), &line).kind(), "200");
}

#[test]
fn auth_int_holds_the_body() {
    let both = [Qop::AuthInt, Qop::Auth];
    let mut world = world(offering(&[Algorithm::Sha256], &both));
    let asked = Asked {
        method: "MESSAGE",
        body: "come at ten",
        ..invite("sip:77@127.0.0.1")
    };
    let refusal = world.answer(&asked, "");
    assert_eq!(parameter(challenges(&refusal)[0], "qop"), "auth-int,auth");
    let mut answering = Answering::to(&refusal);
    answering.qop = Some(Qop::AuthInt);
    let line = answering.line("Authorization", &asked);
    let forged = Asked {
        body: "come at six",
        ..asked.clone()
    };
    assert_eq!(world.answer(&forged, &line).kind(), "401");
    assert_eq!(world.counters().auth.other.wrong, 1);
    world.sends(&asked, &line);
    assert_eq!(world.counters().auth.other.proven, 1);
}

/// RFC 8760 2.6 (8): clients of RFC 3261 may leave qop out. Without a count a nonce is good once.
#[test]
fn credentials_without_qop_use_a_nonce_up() {
    let mut world = world(offering(&[Algorithm::Md5], &[Qop::Auth]));
    let mut answering = world.answering(&register(ANN));
    answering.qop = None;
    let line = answering.line("Authorization", &register(ANN));
    assert_eq!(world.answer(&register(ANN), &line).kind(), "200");
    let again = world.answer(&register(ANN), &line);
    assert_eq!(again.kind(), "401");
    assert!(is_stale(&again));
    let mut strict = crate::world::world(offering(&[Algorithm::Md5], &[Qop::AuthInt]));
    let mut answering = strict.answering(&register(ANN));
    answering.qop = None;
    let line = answering.line("Authorization", &register(ANN));
    assert_eq!(strict.answer(&register(ANN), &line).kind(), "401");
    assert_eq!(strict.counters().auth.register.unsupported, 1);
}
