//! Requests that come twice by different ways: RFC 3261 8.2.2.2.

use stack::{Inbound, ServerId};

use crate::stage::{Stage, request, seconds};

/// What the first and the second copy are, when `change` is done to the second.
fn copies(change: impl FnOnce(String) -> String) -> (Stage, ServerId, Inbound) {
    let mut stage = Stage::new();
    let first = stage.receive_new(&request("INVITE", "one"));
    let second = stage.receive(&change(request("INVITE", "two")));
    (stage, first, second)
}

#[test]
fn a_copy_that_came_another_way_is_told() {
    let (mut stage, first, second) = copies(|text| text);
    let Inbound::Merged { server, ongoing } = second else {
        panic!("{second:?}");
    };
    assert_eq!(ongoing, first);
    stage.sent();
    assert!(stage.respond(server, 482));
    assert_eq!(stage.sent_lines(), ["482 Loop Detected"]);
    // The first one is as it was.
    assert!(stage.respond(first, 180));
}

#[test]
fn another_request_is_no_copy() {
    for (from, to) in [
        ("tag=a", "tag=other"),
        ("Call-ID: one", "Call-ID: other"),
        ("CSeq: 1 INVITE", "CSeq: 2 INVITE"),
        ("192.0.2.9>\r\nCall", "192.0.2.9>;tag=in-dialog\r\nCall"),
    ] {
        let (_, _, second) = copies(|text| text.replacen(from, to, 1));
        assert!(matches!(second, Inbound::New(_)), "{to}: {second:?}");
    }
    let (_, _, second) = copies(|text| text.replace("INVITE", "OPTIONS"));
    assert!(matches!(second, Inbound::New(_)), "{second:?}");
}

#[test]
fn a_retransmission_is_no_copy() {
    let (mut stage, ..) = copies(|text| text);
    for branch in ["one", "two"] {
        let again = stage.receive(&request("INVITE", branch));
        assert_eq!(again, Inbound::Absorbed, "{branch}");
    }
}

#[test]
fn a_copy_is_told_as_long_as_the_first_is_here() {
    let mut stage = Stage::new();
    let first = stage.receive_new(&request("INVITE", "one"));
    stage.respond(first, 200);
    let second = stage.receive(&request("INVITE", "two"));
    assert!(matches!(second, Inbound::Merged { .. }), "{second:?}");
    stage.pass(seconds(100));
    let late = stage.receive(&request("INVITE", "three"));
    // The copy's own transaction, unanswered, is not what later ones are compared with.
    assert!(matches!(late, Inbound::New(_)), "{late:?}");
}

#[test]
fn what_was_refused_may_be_tried_again() {
    for code in [302, 404, 486, 503] {
        let mut stage = Stage::new();
        let first = stage.receive_new(&request("INVITE", "one"));
        stage.respond(first, code);
        let second = stage.receive(&request("INVITE", "two"));
        assert!(matches!(second, Inbound::New(_)), "{code}: {second:?}");
        let third = stage.receive(&request("INVITE", "three"));
        assert!(matches!(third, Inbound::Merged { .. }), "{code}: {third:?}");
    }
}

#[test]
fn a_cancel_is_a_copy_of_nothing() {
    let mut stage = Stage::new();
    stage.receive_new(&request("INVITE", "one"));
    for branch in ["one", "elsewhere"] {
        let cancel = stage.receive(&request("CANCEL", branch));
        assert!(matches!(cancel, Inbound::Cancel { .. }), "{cancel:?}");
    }
}
