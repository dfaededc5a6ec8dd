//! Requests that are one exchange: across and back, under another identity, and nothing is left of them.

use tipring_router::{Command, Methods};
use wire::Method;

use crate::world::{Asked, FAR, NEAR, asked, one, only, world, world_with};

const NUMBER: &str = "sip:7@127.0.0.1";

#[test]
fn a_message_crosses_with_its_body_and_under_another_identity() {
    let mut world = world();
    let text = "Grüße";
    let message = Asked {
        more: "Max-Forwards: 12\r\nContent-Type: text/plain\r\nAuthorization: Digest a=b\r\nX-Own: y\r\n",
        body: text,
        ..asked("MESSAGE", NUMBER)
    };
    let seen = one(&world.asks(NEAR, &message), FAR, "MESSAGE");
    assert_eq!(seen.start(), "MESSAGE sip:9@127.0.0.2:5070 SIP/2.0");
    assert_eq!(seen.body(), text);
    for (name, value) in [
        ("Max-Forwards", "11"),
        ("Content-Type", "text/plain"),
        ("Authorization", "Digest a=b"),
        ("X-Own", "y"),
        ("CSeq", "1 MESSAGE"),
        ("To", "<sip:b@127.0.0.2>"),
        // RFC 3428 8: a MESSAGE has no Contact.
        ("Contact", ""),
    ] {
        assert_eq!(seen.value(name), value, "{name}");
    }
    for secret in ["near", "127.0.0.9", "5080"] {
        assert!(!seen.text.contains(secret), "{secret} in {}", seen.text);
    }
    let answer = one(
        &world.answers(&seen, "202 Taken", "far-tag", "X-Far: z\r\n", ""),
        NEAR,
        "202",
    );
    assert_eq!(answer.start(), "SIP/2.0 202 Taken");
    assert_eq!(answer.value("Call-ID"), "near-call");
    assert_eq!(answer.value("CSeq"), "5 MESSAGE");
    assert_eq!(answer.value("X-Far"), "z");
    for secret in [
        "far-tag",
        "127.0.0.2",
        seen.value("Call-ID"),
        seen.tag("From"),
    ] {
        assert!(!answer.text.contains(secret), "{secret} in {}", answer.text);
    }
    assert_eq!(world.counters().exchanges, 1);
    world.assert_idle();
}

#[test]
fn a_publication_keeps_its_entity_tag_and_condition() {
    let mut world = world();
    let more = "Event: presence\r\nExpires: 60\r\nSIP-If-Match: one\r\n";
    let publish = Asked {
        more,
        ..asked("PUBLISH", NUMBER)
    };
    let seen = one(&world.asks(NEAR, &publish), FAR, "PUBLISH");
    assert!(seen.text.contains(more));
    let answer = world.answers(&seen, "412 Conditional", "t", "SIP-ETag: two\r\n", "");
    assert_eq!(one(&answer, NEAR, "412").value("SIP-ETag"), "two");
    world.assert_idle();
}

#[test]
fn a_challenge_crosses_and_a_redirection_keeps_its_contact() {
    let mut world = world();
    let seen = only(&world.asks(NEAR, &asked("INFO", NUMBER)));
    assert!(seen.contact().starts_with("sip:tpr"), "{}", seen.text);
    let answer = world.answers(
        &seen,
        "401 Who",
        "t",
        "WWW-Authenticate: Digest n=1\r\n",
        "",
    );
    let answer = one(&answer, NEAR, "401");
    assert_eq!(answer.value("WWW-Authenticate"), "Digest n=1");
    let again = Asked {
        cseq: 6,
        ..asked("INFO", NUMBER)
    };
    let seen = only(&world.asks(NEAR, &again));
    let answer = one(&world.answers(&seen, "302 There", "t", "", ""), NEAR, "302");
    assert_eq!(answer.contact(), "sip:party@127.0.0.2:5070");
    world.assert_idle();
}

#[test]
fn options_to_a_number_cross_and_others_are_for_the_router() {
    let mut world = world();
    let seen = one(&world.asks(NEAR, &asked("OPTIONS", NUMBER)), FAR, "OPTIONS");
    let answer = one(
        &world.answers(&seen, "200 OK", "t", "Allow: X\r\n", ""),
        NEAR,
        "200",
    );
    assert_eq!(answer.value("Allow"), "X");
    let last_hop = Asked {
        more: "Max-Forwards: 0\r\n",
        ..asked("OPTIONS", NUMBER)
    };
    for own in [
        asked("OPTIONS", "sip:127.0.0.1"),
        asked("OPTIONS", "sip:1@127.0.0.1"),
        asked("OPTIONS", "sip:6@127.0.0.1"),
        last_hop,
    ] {
        let answer = one(&world.asks(NEAR, &own), NEAR, "200");
        assert!(answer.value("Allow").contains("INVITE"), "{}", own.uri);
    }
    world.assert_idle();
}

#[test]
fn a_session_description_stays_behind_when_the_route_steers_media() {
    for (uri, expected) in [("sip:5@127.0.0.1", ""), (NUMBER, "v=0\r\n")] {
        let mut world = world();
        let seen = only(&world.asks(NEAR, &asked("OPTIONS", uri)));
        let more = "Content-Type: application/sdp\r\n";
        let answer = world.answers(&seen, "200 OK", "t", more, "v=0\r\n");
        assert_eq!(one(&answer, NEAR, "200").body(), expected, "{uri}");
    }
}

#[test]
fn no_provisional_but_100_and_no_408_is_sent() {
    let mut world = world();
    let seen = only(&world.asks(NEAR, &asked("MESSAGE", NUMBER)));
    assert!(world.answers(&seen, "183 Wait", "t", "", "").is_empty());
    let sent = world.seconds(40);
    let to_near: Vec<&str> = sent
        .iter()
        .filter(|sent| sent.to.to_string() == NEAR)
        .map(|sent| sent.kind())
        .collect();
    // RFC 4320 4.1: a 100 when it takes long, and nothing else.
    assert!(to_near.iter().all(|kind| *kind == "100"), "{to_near:?}");
    assert!(sent.iter().any(|sent| sent.kind() == "MESSAGE"));
    world.assert_idle();
}

#[test]
fn a_408_from_beyond_is_swallowed() {
    let mut world = world();
    let seen = only(&world.asks(NEAR, &asked("MESSAGE", NUMBER)));
    assert!(world.answers(&seen, "408 Late", "t", "", "").is_empty());
    world.assert_idle();
}

#[test]
fn who_cannot_be_reached_is_told_as_503() {
    let mut world = world();
    world.asks(NEAR, &asked("MESSAGE", NUMBER));
    let mut out = stack::Outbox::new();
    let far = FAR.parse().expect("an address");
    world.router.unreachable(stack::Time::ZERO, far, &mut out);
    let texts: Vec<_> = out.iter().map(|(_, bytes)| bytes.to_vec()).collect();
    let [text] = texts.as_slice() else {
        panic!("{texts:?}");
    };
    assert!(text.starts_with(b"SIP/2.0 503 "));
    world.assert_idle();
}

#[test]
fn what_has_no_way_is_refused() {
    let mut world = world();
    let required = Asked {
        more: "Proxy-Require: nothing\r\n",
        ..asked("MESSAGE", NUMBER)
    };
    let last_hop = Asked {
        more: "Max-Forwards: 0\r\n",
        ..asked("MESSAGE", NUMBER)
    };
    for (asked, code) in [
        (asked("MESSAGE", "sip:1@127.0.0.1"), "404"),
        (asked("MESSAGE", "sips:7@127.0.0.1"), "416"),
        (asked("MESSAGE", "sip:6@127.0.0.1"), "405"),
        (last_hop, "483"),
        (required, "420"),
        (asked("REGISTER", "sip:7@127.0.0.1"), "405"),
        (asked("NOTIFY", NUMBER), "481"),
        (asked("FROBNICATE", NUMBER), "501"),
    ] {
        let answer = only(&world.asks(NEAR, &asked));
        assert_eq!(answer.kind(), code, "{asked:?}");
    }
    assert_eq!(world.counters().exchanges_unrouted, 1);
    assert_eq!(world.counters().calls_unrouted, 0);
    world.assert_idle();
}

#[test]
fn methods_pass_as_the_operator_says() {
    let mut world = world_with(|config| config.relay = Methods::NONE);
    for (method, code) in [
        ("MESSAGE", "405"),
        ("PUBLISH", "405"),
        ("SUBSCRIBE", "405"),
        ("REFER", "405"),
        ("INFO", "481"),
        ("OPTIONS", "200"),
    ] {
        let answer = one(&world.asks(NEAR, &asked(method, NUMBER)), NEAR, code);
        assert_eq!(answer.value("Call-ID"), "near-call");
    }
    world.command(&Command::Relay(Methods::of([Method::Notify])));
    one(&world.asks(NEAR, &asked("NOTIFY", NUMBER)), FAR, "NOTIFY");
    one(&world.asks(NEAR, &asked("MESSAGE", NUMBER)), NEAR, "405");
}
