//! Responses that name a call of ours and are not for it.

use stack::Strays;

use crate::world::{CALLEE, world};

/// What a 200 with this Via is counted as; nothing may be sent because of it.
#[track_caller]
fn stray(via: impl FnOnce(&str) -> String) -> Strays {
    let mut world = world();
    let invite = world.call();
    let answer = |via: &str| {
        format!(
            "SIP/2.0 200 OK\r\nVia: {via}\r\nFrom: {}\r\nTo: {};tag=b\r\nCall-ID: {}\r\n\
             CSeq: {}\r\nContact: <sip:b@{CALLEE}>\r\nContent-Length: 0\r\n\r\n",
            invite.value("From"),
            invite.value("To"),
            invite.value("Call-ID"),
            invite.value("CSeq"),
        )
    };
    let sound = invite.value("Via");
    assert_eq!(world.receive(CALLEE, &answer(&via(sound))), []);
    let strays = world.counters().transactions.strays;
    assert_eq!((strays.total(), world.counters().calls_answered), (1, 0));
    world.receive(CALLEE, &answer(sound));
    assert_eq!(world.counters().calls_answered, 1);
    strays
}

#[test]
fn several_vias() {
    let strays = stray(|via| format!("{via}, SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx"));
    assert_eq!(strays.several_vias, 1);
}

#[test]
fn a_sent_by_that_is_not_ours() {
    for other in [
        "router.example:5061",
        "other.example:5060",
        "127.0.0.1:5060",
    ] {
        let strays = stray(|via| via.replace("router.example:5060", other));
        assert_eq!(strays.foreign_via, 1, "{other}");
    }
}

#[test]
fn ours_in_another_spelling_is_ours() {
    for spelling in [
        "Router.Example:5060",
        "router.example",
        "router.example : 5060",
    ] {
        let mut world = world();
        let invite = world.call();
        let via = invite.value("Via").replace("router.example:5060", spelling);
        let answer = format!(
            "SIP/2.0 200 OK\r\nVia: {via}\r\nFrom: {}\r\nTo: {};tag=b\r\nCall-ID: {}\r\n\
             CSeq: {}\r\nContact: <sip:b@{CALLEE}>\r\nContent-Length: 0\r\n\r\n",
            invite.value("From"),
            invite.value("To"),
            invite.value("Call-ID"),
            invite.value("CSeq"),
        );
        world.receive(CALLEE, &answer);
        assert_eq!(world.counters().calls_answered, 1, "{spelling}");
    }
}
