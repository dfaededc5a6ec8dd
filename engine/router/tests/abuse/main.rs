//! Who is turned away because of where a request comes from, and what such a sender gets.

mod amplification;
mod world;

use std::sync::Arc;
use std::time::Duration;

use tipring_router::{
    Abuse, Ban, Command, Event, Networks, Offence, Probing, Rate, Reaction, Standing,
};

use self::world::{CALLEE, NEIGHBOUR, STRANGER, TRUNK, World, answer, later, to_tag};

const S: Duration = Duration::from_secs(1);

fn rate(per_second: f64, burst: u32) -> Option<Rate> {
    Some(Rate { per_second, burst })
}

/// Three failures are one too many; a ban lasts ten seconds.
fn strict() -> Abuse {
    Abuse {
        failures: rate(2.0 / 60.0, 2),
        ban: 10 * S,
        ..Abuse::default()
    }
}

/// Fails until that is one time too often.
fn earn_ban(world: &mut World, from: &str) {
    for _ in 0..3 {
        let invite = world.invite("1", from);
        assert_eq!(world.code(from, &invite), 404);
    }
}

/// A call of a stranger that is up: its INVITE, and our tag towards the caller.
fn establish(world: &mut World) -> (String, String) {
    let invite = world.invite("7", STRANGER);
    world.receive(STRANGER, &invite);
    let seen = world.last_to(CALLEE).to_owned();
    let ok = answer(&seen, 200);
    world.receive(CALLEE, &ok);
    let tag = to_tag(world.last_to(STRANGER));
    let ack = later(&invite, "ACK", 1, &tag, "ack");
    world.receive(STRANGER, &ack);
    assert!(world.last_to(CALLEE).starts_with("ACK "));
    (invite, tag)
}

#[test]
fn who_fails_too_often_is_banned_for_a_time_and_longer_the_next() {
    let mut world = World::new(strict());
    for seconds in [10, 20] {
        earn_ban(&mut world, STRANGER);
        let invite = world.invite("7", STRANGER);
        assert_eq!(world.code(STRANGER, &invite), 0);
        world.pass(seconds * S - Duration::from_millis(1));
        let options = world.request("OPTIONS", "7", STRANGER, "");
        assert_eq!(world.code(STRANGER, &options), 0);
        world.pass(Duration::from_millis(1));
        let options = world.request("OPTIONS", "7", STRANGER, "");
        assert_eq!(world.code(STRANGER, &options), 200);
    }
    let abuse = world.counters().abuse;
    assert_eq!((abuse.bans_failures, abuse.banned), (2, 4));
}

#[test]
fn a_neighbour_and_a_trunk_are_not_touched() {
    let mut world = World::new(strict());
    earn_ban(&mut world, STRANGER);
    for from in [NEIGHBOUR, TRUNK] {
        let options = world.request("OPTIONS", "7", from, "");
        assert_eq!(world.code(from, &options), 200);
    }
    for _ in 0..20 {
        let invite = world.invite("1", TRUNK);
        assert_eq!(world.code(TRUNK, &invite), 404);
    }
}

#[test]
fn calls_go_on_though_their_source_is_banned() {
    let mut world = World::new(strict());
    let (invite, tag) = establish(&mut world);
    let pending = world.invite("7", STRANGER);
    world.receive(STRANGER, &pending);
    earn_ban(&mut world, STRANGER);
    // What names a call that is not there is not answered any more.
    let stray = later(&invite, "BYE", 2, ";tag=none", "stray");
    assert_eq!(world.code(STRANGER, &stray), 0);
    let info = later(&invite, "INFO", 2, &tag, "info");
    world.receive(STRANGER, &info);
    assert!(world.last_to(CALLEE).starts_with("INFO "));
    let bye = later(&invite, "BYE", 3, &tag, "bye");
    world.receive(STRANGER, &bye);
    assert!(world.last_to(CALLEE).starts_with("BYE "));
    let cancel = later(&pending, "CANCEL", 1, "", "");
    let answers = world.receive(STRANGER, &cancel);
    assert!(
        answers.iter().any(|it| it.starts_with("SIP/2.0 200 ")),
        "{answers:?}"
    );
    let unknown = world.invite("7", STRANGER);
    let unknown = later(&unknown, "CANCEL", 1, "", "");
    assert_eq!(world.code(STRANGER, &unknown), 0);
}

#[test]
fn every_kind_of_refusal_the_sender_is_to_blame_for_counts() {
    let unsupported = "Require: unheard-of\r\n";
    for (method, user, more, code) in [
        ("INVITE", "1", "", 404),
        ("REGISTER", "7", "", 405),
        ("OPTIONS", "7", unsupported, 420),
        ("BYE", "7", "", 481),
        ("INVITE", "7", "Call-ID: twice\r\n", 400),
        ("INVITE", "7", "Content-Length: 99\r\n", 400),
    ] {
        let mut world = World::new(strict());
        for _ in 0..3 {
            let request = world.request(method, user, STRANGER, more);
            assert_eq!(world.code(STRANGER, &request), code, "{request}");
        }
        let request = world.request(method, user, STRANGER, more);
        assert_eq!(world.code(STRANGER, &request), 0, "{request}");
    }
}

#[test]
fn what_a_limit_of_the_router_refuses_does_not_count() {
    let mut world = World::with(strict(), |config| config.limits.calls = 0);
    for _ in 0..10 {
        let invite = world.invite("7", STRANGER);
        assert_eq!(world.code(STRANGER, &invite), 503);
    }
    assert_eq!(world.counters().abuse.bans_failures, 0);
}

#[test]
fn beyond_its_rate_a_source_gets_503_for_calls_and_nothing_for_the_rest() {
    let abuse = Abuse {
        requests: rate(10.0, 6),
        calls: rate(1.0, 2),
        ..Abuse::default()
    };
    let mut world = World::new(abuse);
    let mut codes = Vec::new();
    for method in [
        "INVITE", "INVITE", "INVITE", "OPTIONS", "OPTIONS", "OPTIONS", "OPTIONS",
    ] {
        let request = world.request(method, "1", STRANGER, "");
        codes.push(world.code(STRANGER, &request));
    }
    assert_eq!(codes, [404, 404, 503, 200, 200, 200, 0]);
    let invite = world.invite("1", NEIGHBOUR);
    assert_eq!(world.code(NEIGHBOUR, &invite), 404);
    world.pass(S);
    let invite = world.invite("1", STRANGER);
    assert_eq!(world.code(STRANGER, &invite), 404);
    let abuse = world.counters().abuse;
    assert_eq!((abuse.calls, abuse.requests), (1, 1));
}

#[test]
fn a_retransmission_is_not_another_call() {
    let abuse = Abuse {
        calls: rate(0.1, 1),
        ..Abuse::default()
    };
    let mut world = World::new(abuse);
    let invite = world.invite("7", STRANGER);
    world.receive(STRANGER, &invite);
    for _ in 0..3 {
        world.receive(STRANGER, &invite);
    }
    let other = world.invite("7", STRANGER);
    let refused = world.receive(STRANGER, &other);
    assert!(refused[0].contains("Retry-After: "), "{refused:?}");
    let ack = later(&other, "ACK", 1, &to_tag(&refused[0]), "");
    assert_eq!(world.code(STRANGER, &ack), 0);
    let counters = world.counters();
    assert_eq!((counters.abuse.calls, counters.stateless_acks), (1, 1));
}

#[test]
fn scanners_get_nothing_or_what_is_configured() {
    let scanner = "User-Agent: friendly-scanner\r\n";
    let mut world = World::new(Abuse::default());
    let options = world.request("OPTIONS", "100", STRANGER, scanner);
    assert_eq!(world.code(STRANGER, &options), 0);
    let options = world.request("OPTIONS", "100", TRUNK, scanner);
    assert_eq!(world.code(TRUNK, &options), 200);
    assert_eq!(world.counters().abuse.scanner, 1);

    for scanned in [603, 403] {
        let mut world = World::new(Abuse {
            scanned: Reaction::Answer(scanned),
            ..strict()
        });
        let invite = world.request("INVITE", "7", STRANGER, scanner);
        assert_eq!(world.code(STRANGER, &invite), scanned);
        assert_eq!(world.counters().server_transactions, 0);
    }
}

#[test]
fn who_calls_many_numbers_in_vain_is_banned_wherever_they_are_looked_for() {
    let abuse = || Abuse {
        numbers: Some(Probing {
            distinct: 4,
            window: 60 * S,
        }),
        ..Abuse::default()
    };
    let mut world = World::new(abuse());
    let codes: Vec<u16> = (100..110)
        .map(|number| {
            let invite = world.invite(&number.to_string(), STRANGER);
            world.code(STRANGER, &invite)
        })
        .collect();
    assert_eq!((codes[0], codes[9]), (404, 0), "{codes:?}");

    let mut world = World::new(abuse());
    for number in 700..710 {
        let invite = world.invite(&number.to_string(), STRANGER);
        world.receive(STRANGER, &invite);
        if world
            .last_to(CALLEE)
            .starts_with(&format!("INVITE sip:{number}@"))
        {
            let not_found = answer(world.last_to(CALLEE), 404);
            world.receive(CALLEE, &not_found);
        }
    }
    let abuse = world.counters().abuse;
    assert_eq!(abuse.bans_probing, 1);
    assert!(abuse.banned > 0);
}

#[test]
fn networks_are_denied_and_allowed_and_the_longest_prefix_counts() {
    let networks = Networks::new([
        ("192.0.2.0".parse().expect("ip"), 24, Standing::Denied),
        ("192.0.2.66".parse().expect("ip"), 32, Standing::Allowed),
    ]);
    let mut world = World::new(Abuse {
        networks,
        ..strict()
    });
    let mut denies = |text: &str| world.router.denies(text.parse().expect("an address"));
    assert!(denies("192.0.2.67"));
    assert!(!denies("192.0.2.66"));
    assert!(!denies("198.51.100.1"));
    for _ in 0..10 {
        let invite = world.invite("1", STRANGER);
        assert_eq!(world.code(STRANGER, &invite), 404);
    }
    let counters = world.counters();
    assert_eq!(
        (counters.abuse.denied, counters.abuse.bans_failures),
        (1, 0)
    );
}

#[test]
fn a_ban_is_told_and_counts_where_it_is_heard() {
    let mut world = World::new(strict());
    earn_ban(&mut world, STRANGER);
    let events = world.events();
    let [Event::Banned(ban)] = events.as_slice() else {
        panic!("{events:?}");
    };
    let expected = Ban {
        address: "192.0.2.66".parse().expect("an address"),
        length: 32,
        offence: Offence::Failures,
        duration: 10 * S,
        bans: 1,
    };
    assert_eq!(*ban, expected);

    let mut other = World::new(strict());
    let now = other.now;
    other
        .router
        .command(now, &Command::Ban(*ban), &mut stack::Outbox::new());
    let invite = other.invite("7", STRANGER);
    assert_eq!(other.code(STRANGER, &invite), 0);
    assert!(
        other.events().is_empty(),
        "a ban that was heard is not told"
    );
}

#[test]
fn rules_change_while_calls_run() {
    let mut world = World::new(strict());
    let (invite, tag) = establish(&mut world);
    let networks = Networks::new([("192.0.2.67".parse().expect("ip"), 32, Standing::Denied)]);
    let rules = Abuse {
        networks,
        ..Abuse::default()
    };
    let now = world.now;
    world.router.command(
        now,
        &Command::Abuse(Arc::new(rules)),
        &mut stack::Outbox::new(),
    );
    assert!(world.router.denies("192.0.2.67".parse().expect("ip")));
    for _ in 0..10 {
        let invite = world.invite("1", STRANGER);
        assert_eq!(world.code(STRANGER, &invite), 404);
    }
    let bye = later(&invite, "BYE", 2, &tag, "bye");
    world.receive(STRANGER, &bye);
    assert!(world.last_to(CALLEE).starts_with("BYE "));
}
