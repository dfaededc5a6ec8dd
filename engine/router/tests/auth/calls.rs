//! INVITE and whatever else begins something: who is asked, in which part, and what crosses.

use std::sync::Arc;

use tipring_router::{Auth, Demand, Peer, Peers, Policy};

use crate::world::*;

const CALL: &str = "sip:77@127.0.0.1";
const PROXIED: &str = "sip:11@127.0.0.1";

fn asking(requests: Demand) -> Auth {
    Auth {
        policy: Policy {
            requests,
            ..Policy::default()
        },
        ..Auth::default()
    }
}

fn kinds_to(sent: &[Sent], to: &str) -> Vec<String> {
    let to = sent.iter().filter(|it| it.to.to_string() == to);
    to.map(|it| it.kind().to_owned()).collect()
}

#[test]
fn the_route_says_who_asks() {
    let mut world = world(Auth::default());
    for (uri, code, ask, answer) in [
        (CALL, "401", "WWW-Authenticate", "Authorization"),
        (PROXIED, "407", "Proxy-Authenticate", "Proxy-Authorization"),
    ] {
        let refusal = world.answer(&invite(uri), "");
        assert_eq!(refusal.kind(), code, "{uri}");
        assert_eq!(refusal.values(ask).len(), 2, "{uri}");
        let line = Answering::to(&refusal).line(answer, &invite(uri));
        let sent = world.sends(&invite(uri), &line);
        assert_eq!(kinds_to(&sent, CALLEE), ["INVITE"], "{uri}");
    }
    let counts = world.counters().auth.invite;
    assert_eq!((counts.challenges, counts.proven), (2, 2));
}

#[test]
fn credentials_for_us_do_not_cross_and_those_of_others_do() {
    for (uri, header) in [(CALL, "Authorization"), (PROXIED, "Proxy-Authorization")] {
        let mut world = world(Auth::default());
        let line = world.answering(&invite(uri)).line(header, &invite(uri));
        let theirs = "Proxy-Authorization: Digest username=\"a\", realm=\"else.example\", \
                      nonce=\"n\", uri=\"sip:x\", response=\"r\"\r\n";
        let sent = world.sends(
            &invite(uri),
            &format!("X-One: 1\r\n{line}{theirs}X-Two: 2\r\n"),
        );
        let forwarded = sent
            .iter()
            .find(|it| it.to.to_string() == CALLEE)
            .expect("an INVITE");
        assert!(
            !forwarded.text.contains("example.com\", nonce"),
            "{}",
            forwarded.text
        );
        assert!(forwarded.text.contains(theirs), "{}", forwarded.text);
        assert_eq!(forwarded.values("X-One"), ["1"]);
        assert_eq!(forwarded.values("X-Two"), ["2"]);
    }
}

#[test]
fn ack_and_cancel_and_requests_inside_the_call_are_not_asked() {
    let mut world = world(Auth::default());
    let line = world
        .answering(&invite(CALL))
        .line("Authorization", &invite(CALL));
    let sent = world.sends(&invite(CALL), &line);
    let there = sent
        .iter()
        .find(|it| it.to.to_string() == CALLEE)
        .expect("an INVITE");
    let ok = format!(
        "SIP/2.0 200 OK\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=b\r\nCall-ID: {}\r\nCSeq: {}\r\n\
         Contact: <sip:b@{CALLEE}>\r\nContent-Length: 0\r\n\r\n",
        there.value("Via"),
        there.value("From"),
        there.value("To"),
        there.value("Call-ID"),
        there.value("CSeq")
    );
    let sent = world.receive(CALLEE, &ok);
    let answered = sent.iter().find(|it| it.kind() == "200").expect("a 200");
    let inside = |method: &str, cseq: u32, more: &str| {
        format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/UDP {PHONE};branch=z9hG4bKin{cseq}{method}\r\n\
             From: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n\
             {more}Content-Length: 0\r\n\r\n",
            answered.contact(),
            answered.value("From"),
            answered.value("To"),
            answered.value("Call-ID")
        )
    };
    // RFC 3261 22.1: the ACK has the INVITE's credentials.
    for (method, cseq) in [("ACK", 1), ("INFO", 2), ("BYE", 3)] {
        let sent = world.receive(PHONE, &inside(method, cseq, &line));
        let crossed = sent.iter().find(|it| it.kind() == method);
        let crossed = crossed.unwrap_or_else(|| panic!("no {method}: {sent:#?}"));
        assert_eq!(crossed.header("Authorization"), None, "{method}");
    }
    assert_eq!(world.counters().auth.invite.challenges, 1);
    assert_eq!(world.counters().auth.other.challenges, 0);
}

#[test]
fn a_user_calls_in_its_own_name() {
    let mut world = world(Auth::default());
    let as_bob = Asked {
        from: "sip:bob@example.com",
        ..invite(CALL)
    };
    let line = world.answering(&as_bob).line("Authorization", &as_bob);
    assert_eq!(world.answer(&as_bob, &line).kind(), "403");
    let counts = world.counters().auth.invite;
    assert_eq!((counts.proven, counts.forbidden), (0, 1));
}

#[test]
fn who_is_of_no_local_domain_is_asked_nothing_or_refused() {
    let stranger = Asked {
        from: "sip:x@elsewhere.example",
        ..invite(CALL)
    };
    let mut local = world(asking(Demand::Local));
    assert_eq!(kinds_to(&local.sends(&stranger, ""), CALLEE), ["INVITE"]);
    let mut always = world(asking(Demand::Always));
    assert_eq!(always.answer(&stranger, "").kind(), "403");
    assert_eq!(always.answer(&invite(CALL), "").kind(), "401");
    let mut never = world(asking(Demand::Never));
    assert_eq!(
        kinds_to(&never.sends(&invite(CALL), ""), CALLEE),
        ["INVITE"]
    );
    assert_eq!(
        never.answer(&register("sip:ann@example.com"), "").kind(),
        "401"
    );
}

#[test]
fn a_peer_and_a_domain_may_have_their_own_rules() {
    let host = |last: u8| [192, 0, 2, last].into();
    let peer = |authenticate| Peer {
        authenticate: Some(authenticate),
        ..Peer::default()
    };
    let mut auth = asking(Demand::Local);
    let free = Policy {
        requests: Demand::Never,
        ..Policy::default()
    };
    auth.domains.insert("other.example".into(), free);
    auth.trusted = tipring_router::Networks::new([(host(0), 28, ())]);
    let mut world = world_with(auth, |config| {
        config.peers = Arc::new(Peers::new([
            (host(1), 32, peer(Demand::Never)),
            (host(2), 32, peer(Demand::Always)),
        ]));
    });
    let from = |from, source| Asked {
        from,
        source,
        ..invite(CALL)
    };
    let (ann, there, stranger) = (
        "sip:ann@example.com",
        "sip:ann@other.example",
        "sip:x@elsewhere.example",
    );
    for (asked, answer) in [
        (from(ann, "192.0.2.1:5060"), None),
        // What is said of the peer counts before the trust in its network.
        (from(ann, "192.0.2.2:5060"), Some("401")),
        (from(there, "192.0.2.2:5060"), Some("401")),
        (from(stranger, "192.0.2.2:5060"), Some("403")),
        (from(ann, "192.0.2.3:5060"), None),
        (from(ann, PHONE), Some("401")),
        (from(there, PHONE), None),
    ] {
        let sent = world.sends(&asked, "");
        let refused = sent.iter().find(|it| it.kind().starts_with('4'));
        assert_eq!(refused.map(Sent::kind), answer, "{asked:?}");
        let crossed = kinds_to(&sent, CALLEE).len();
        assert_eq!(crossed, usize::from(answer.is_none()), "{asked:?}");
    }
}

#[test]
fn other_requests_are_asked_too_but_not_whether_the_router_lives() {
    let mut world = world(Auth::default());
    let of = |method, uri| Asked {
        method,
        ..invite(uri)
    };
    for method in ["MESSAGE", "SUBSCRIBE", "REFER", "PUBLISH", "OPTIONS", "FOO"] {
        assert_eq!(
            world.answer(&of(method, CALL), "").kind(),
            "401",
            "{method}"
        );
        assert_eq!(
            world.answer(&of(method, PROXIED), "").kind(),
            "407",
            "{method}"
        );
    }
    assert_eq!(
        world.answer(&of("OPTIONS", "sip:127.0.0.1"), "").kind(),
        "200"
    );
    assert_eq!(world.counters().auth.other.challenges, 12);
}

#[test]
fn a_copy_that_came_another_way_is_no_way_round() {
    let mut world = world(Auth::default());
    let answering = world.answering(&invite(PROXIED));
    let line = answering.line("Proxy-Authorization", &invite(PROXIED));
    let sent = world.sends(&invite(PROXIED), &line);
    assert_eq!(kinds_to(&sent, CALLEE), ["INVITE"]);
    let copy = format!(
        "INVITE {PROXIED} SIP/2.0\r\nVia: SIP/2.0/UDP {PHONE};branch=z9hG4bKother\r\n\
         From: <sip:ann@example.com>;tag=a2\r\nTo: <sip:callee@example.com>\r\nCall-ID: call-2\r\n\
         CSeq: 1 INVITE\r\nContact: <sip:ann@{PHONE}>\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    );
    let sent = world.receive(PHONE, &copy);
    assert!(kinds_to(&sent, CALLEE).is_empty(), "{sent:#?}");
    let answers = kinds_to(&sent, PHONE);
    assert!(answers == ["407"] || answers == ["482"], "{answers:?}");
}
