//! Dialogs as both ends see them, from whole messages.

use super::*;
use wire::{Index, Limits};

fn with<T>(text: &str, check: impl FnOnce(&Message<'_>) -> T) -> T {
    let bytes = text.replace('\n', "\r\n").into_bytes();
    let mut index = Index::new();
    let message = Message::parse(&bytes, &mut index, &Limits::default());
    check(&message.expect("the test's message parses"))
}

fn invite(more: &str) -> String {
    format!(
        "INVITE sip:bob@b.example SIP/2.0\nVia: SIP/2.0/UDP a.example;branch=z9hG4bK1\n\
         From: Alice <sip:alice@a.example>;tag=a1\nTo: Bob <sip:bob@b.example>\n\
         Call-ID: c1\nCSeq: 7 INVITE\n{more}\n"
    )
}

fn answer(code: u16, tag: &str, more: &str) -> String {
    format!(
        "SIP/2.0 {code} X\nVia: SIP/2.0/UDP a.example;branch=z9hG4bK1\n\
         From: Alice <sip:alice@a.example>;tag=a1\nTo: Bob <sip:bob@b.example>;tag={tag}\n\
         Call-ID: c1\nCSeq: 1 INVITE\n{more}\n"
    )
}

fn uac(pool: &mut Pool) -> Dialog {
    let local = b"Alice <sip:alice@a.example>;tag=a1";
    let mut dialog = Dialog::uac(
        b"c1",
        local,
        b"Bob <sip:bob@b.example>",
        b"sip:bob@b.example",
        pool,
    )
    .expect("short");
    assert_eq!(dialog.next_cseq(), 1);
    dialog
}

fn bye(dialog: &mut Dialog) -> String {
    let mut out = Vec::new();
    let cseq = dialog.next_cseq();
    dialog.print_request_line(&mut out, b"BYE");
    dialog.print_headers(&mut out, b"BYE", cseq);
    String::from_utf8(out).expect("ASCII").replace('\r', "")
}

#[test]
fn a_uas_sends_requests_to_the_contact_through_the_record_route_in_order() {
    let mut pool = Pool::default();
    let text = invite(
        "Record-Route: <sip:p2;lr>, <sip:p1;lr>\nRecord-Route: <sip:p0;lr>\n\
         Contact: <sip:alice@10.0.0.1:5070>\n",
    );
    let mut dialog = with(&text, |invite| Dialog::uas(invite, b"b1", &mut pool)).expect("a dialog");
    assert_eq!(dialog.next_hop(), b"sip:p2;lr");
    assert_eq!(
        bye(&mut dialog),
        "BYE sip:alice@10.0.0.1:5070 SIP/2.0\n\
         Route: <sip:p2;lr>, <sip:p1;lr>, <sip:p0;lr>\n\
         From: Bob <sip:bob@b.example>;tag=b1\n\
         To: Alice <sip:alice@a.example>;tag=a1\nCall-ID: c1\nCSeq: 1 BYE\n"
    );
    assert_eq!(dialog.remote_tag(), b"a1");
}

#[test]
fn a_uac_reverses_the_record_route_and_takes_it_anew_from_the_2xx() {
    let mut pool = Pool::default();
    let mut dialog = uac(&mut pool);
    assert_eq!(dialog.state(), DialogState::Initial);
    let early = answer(
        180,
        "b1",
        "Record-Route: <sip:p1;lr>\nContact: <sip:bob@10.0.0.2>\n",
    );
    with(&early, |response| dialog.establish(response, &mut pool)).expect("early");
    assert_eq!(dialog.state(), DialogState::Early);
    assert_eq!(dialog.next_hop(), b"sip:p1;lr");
    let final_answer = answer(
        200,
        "b1",
        "Record-Route: <sip:p2;lr>, <sip:p1;lr>\nContact: <sip:bob@10.0.0.3>\n",
    );
    with(&final_answer, |response| {
        dialog.establish(response, &mut pool)
    })
    .expect("confirmed");
    assert_eq!(dialog.state(), DialogState::Confirmed);
    assert_eq!(
        bye(&mut dialog),
        "BYE sip:bob@10.0.0.3 SIP/2.0\nRoute: <sip:p1;lr>, <sip:p2;lr>\n\
         From: Alice <sip:alice@a.example>;tag=a1\nTo: Bob <sip:bob@b.example>;tag=b1\n\
         Call-ID: c1\nCSeq: 2 BYE\n"
    );
}

#[test]
fn a_strict_router_becomes_the_request_uri_and_the_target_the_last_route() {
    let mut pool = Pool::default();
    let mut dialog = uac(&mut pool);
    let text = answer(
        200,
        "b1",
        "Record-Route: <sip:p2;lr>, \"a, b\" <sip:p1>\nContact: <sip:bob@10.0.0.3>\n",
    );
    with(&text, |response| dialog.establish(response, &mut pool)).expect("confirmed");
    assert_eq!(dialog.next_hop(), b"sip:p1");
    let request = bye(&mut dialog);
    assert!(request.starts_with("BYE sip:p1 SIP/2.0\n"), "{request}");
    assert!(
        request.contains("Route: <sip:p2;lr>, <sip:bob@10.0.0.3>\n"),
        "{request}"
    );
}

#[test]
fn a_lone_strict_router_leaves_only_the_target_as_route() {
    let mut pool = Pool::default();
    let mut dialog = uac(&mut pool);
    let text = answer(
        200,
        "b1",
        "Record-Route: <sip:p1>\nContact: <sip:bob@10.0.0.3>\n",
    );
    with(&text, |response| dialog.establish(response, &mut pool)).expect("confirmed");
    assert!(bye(&mut dialog).contains("Route: <sip:bob@10.0.0.3>\n"));
}

#[test]
fn forks_differ_in_their_tag_and_target() {
    let mut pool = Pool::default();
    let mut dialog = uac(&mut pool);
    let first = answer(180, "b1", "Contact: <sip:one@10.0.0.1>\n");
    with(&first, |response| dialog.establish(response, &mut pool)).expect("early");
    let second = answer(200, "b2", "Contact: <sip:two@10.0.0.2>\n");
    let fork = with(&second, |response| {
        dialog.fork(response, b"sip:w", &mut pool)
    })
    .expect("a fork");
    assert_eq!(
        (dialog.remote_tag(), dialog.target()),
        (&b"b1"[..], &b"sip:one@10.0.0.1"[..])
    );
    assert_eq!(
        (fork.remote_tag(), fork.target()),
        (&b"b2"[..], &b"sip:two@10.0.0.2"[..])
    );
    assert_eq!(fork.state(), DialogState::Confirmed);
    let silent = answer(180, "b3", "");
    let other = with(&silent, |response| {
        dialog.fork(response, b"sip:w", &mut pool)
    });
    assert_eq!(
        other.expect("a fork").target(),
        b"sip:w",
        "not the first one's"
    );
    assert_eq!(fork.call_id(), b"c1");
}

#[test]
fn each_fork_has_the_route_set_of_its_own_responses() {
    for pre_loaded in [&b""[..], b"<sip:proxy.example;lr>"] {
        for code in [183, 200] {
            let mut pool = Pool::default();
            let (local, remote) = (b"<sip:alice@a.example>;tag=a1", b"<sip:bob@b.example>");
            let target = b"sip:bob@b.example";
            let mut one = Dialog::uac_through(pre_loaded, b"c1", local, remote, target, &mut pool)
                .expect("short");
            let first = "Record-Route: <sip:p1;lr>\nContact: <sip:one@10.0.0.1>\n";
            with(&answer(183, "b1", first), |response| {
                one.establish(response, &mut pool)
            })
            .expect("early");
            for (tag, more, hop) in [
                ("b2", "Record-Route: <sip:p2;lr>\n", "sip:p2;lr"),
                ("b3", "", "sip:two@10.0.0.2"),
            ] {
                let text = format!("{more}Contact: <sip:two@10.0.0.2>\n");
                let text = answer(code, tag, &text);
                let other = with(&text, |response| one.fork(response, b"sip:w", &mut pool));
                let other = other.expect("a fork");
                assert_eq!(other.next_hop(), hop.as_bytes(), "{code}");
            }
            assert_eq!(one.next_hop(), b"sip:p1;lr");
        }
    }
}

#[test]
fn a_2xx_like_its_provisional_confirms_and_changes_nothing_else() {
    let contact = "Contact: <sip:bob@10.0.0.2>\n";
    for more in [contact, ""] {
        let mut pool = Pool::default();
        let mut dialog = uac(&mut pool);
        for (code, more) in [(180, contact), (200, more)] {
            let text = answer(code, "b1", more);
            with(&text, |response| dialog.establish(response, &mut pool)).expect("a dialog");
        }
        assert_eq!(dialog.state(), DialogState::Confirmed);
        assert_eq!(
            (dialog.remote_tag(), dialog.target()),
            (&b"b1"[..], &b"sip:bob@10.0.0.2"[..])
        );
        assert!(bye(&mut dialog).contains("To: Bob <sip:bob@b.example>;tag=b1\n"));
    }
}

#[test]
fn a_2xx_unlike_its_provisional_changes_the_dialog() {
    let early = "Contact: <sip:bob@10.0.0.2>\n";
    let route = "Record-Route: <sip:p1;lr>\n";
    let moved = "Contact: <sip:bob@10.0.0.3>\n";
    for (early, tag, more, target, hop) in [
        (early, "b1", moved, "sip:bob@10.0.0.3", "sip:bob@10.0.0.3"),
        (early, "b2", early, "sip:bob@10.0.0.2", "sip:bob@10.0.0.2"),
        (early, "b1", route, "sip:bob@10.0.0.2", "sip:p1;lr"),
        (route, "b1", early, "sip:bob@10.0.0.2", "sip:bob@10.0.0.2"),
    ] {
        let mut pool = Pool::default();
        let mut dialog = uac(&mut pool);
        for (code, tag, more) in [(180, "b1", early), (200, tag, more)] {
            let text = answer(code, tag, more);
            with(&text, |response| dialog.establish(response, &mut pool)).expect("a dialog");
        }
        assert_eq!(dialog.remote_tag(), tag.as_bytes());
        assert_eq!(
            (dialog.target(), dialog.next_hop()),
            (target.as_bytes(), hop.as_bytes())
        );
    }
}

#[test]
fn a_2xx_with_an_unreadable_contact_is_refused_after_a_provisional_too() {
    let mut pool = Pool::default();
    let mut dialog = uac(&mut pool);
    let early = answer(180, "b1", "Contact: <sip:bob@10.0.0.2>\n");
    with(&early, |response| dialog.establish(response, &mut pool)).expect("early");
    let text = answer(200, "b1", "Contact: *\n");
    let error = with(&text, |response| dialog.establish(response, &mut pool));
    assert_eq!(error, Err(DialogError::Header(ParseError::BadContact)));
    assert_eq!(dialog.state(), DialogState::Early);
}

#[test]
fn regression_headers_in_a_contact_are_no_part_of_the_target() {
    let mut pool = Pool::default();
    let mut dialog = uac(&mut pool);
    let text = answer(200, "b1", "Contact: <sip:bob@10.0.0.2;x=y?Subject=a&b=c>\n");
    with(&text, |response| dialog.establish(response, &mut pool)).expect("confirmed");
    assert_eq!(dialog.target(), b"sip:bob@10.0.0.2;x=y");
}

#[test]
fn the_target_moves_with_a_refresh_and_with_a_second_provisional_that_is_reliable() {
    let mut pool = Pool::default();
    let mut dialog = uac(&mut pool);
    let reliable = "Require: 100rel\nRSeq: 1\n";
    for (contact, more, expected) in [
        ("one", "", "sip:one@h"),
        ("two", "", "sip:one@h"),
        ("three", reliable, "sip:three@h"),
    ] {
        let text = answer(183, "b1", &format!("Contact: <sip:{contact}@h>\n{more}"));
        with(&text, |response| dialog.establish(response, &mut pool)).expect("early");
        assert_eq!(dialog.target(), expected.as_bytes());
    }
    dialog.refresh_target(b"sip:three@a-much-longer-host.example:5099;x=y", &mut pool);
    assert_eq!(
        dialog.target(),
        b"sip:three@a-much-longer-host.example:5099;x=y"
    );
    assert_eq!(dialog.remote_tag(), b"b1");
    assert_eq!(dialog.call_id(), b"c1");
}

#[test]
fn a_request_sent_again_makes_its_dialog_anew() {
    let mut pool = Pool::default();
    let mut dialog = uac(&mut pool);
    for (tag, hop) in [("b1", "sip:one@h"), ("b2", "sip:two@h")] {
        dialog.begin_again();
        assert_eq!(
            (dialog.state(), dialog.remote_tag()),
            (DialogState::Initial, &b""[..])
        );
        let text = answer(183, tag, &format!("Contact: <{hop}>\n"));
        with(&text, |response| dialog.establish(response, &mut pool)).expect("early");
        assert_eq!(dialog.target(), hop.as_bytes());
        assert_eq!(dialog.remote_tag(), tag.as_bytes());
    }
}

#[test]
fn an_early_dialog_may_end_and_be_heard_of_again() {
    let mut pool = Pool::default();
    let mut dialog = uac(&mut pool);
    let text = answer(183, "b1", "Contact: <sip:bob@h>\n");
    for _ in 0..2 {
        with(&text, |response| dialog.establish(response, &mut pool)).expect("early");
        assert_eq!(dialog.state(), DialogState::Early);
        dialog.end_early();
        assert_eq!(dialog.state(), DialogState::Ended);
        assert_eq!(dialog.remote_tag(), b"b1");
    }
    dialog.confirm();
    dialog.end_early();
    assert_eq!(dialog.state(), DialogState::Confirmed, "it is no early one");
}

#[test]
fn cseq_numbers_of_the_peer_must_rise() {
    let mut pool = Pool::default();
    let text = invite("Contact: <sip:alice@10.0.0.1>\n");
    let mut dialog = with(&text, |invite| Dialog::uas(invite, b"b1", &mut pool)).expect("a dialog");
    assert_eq!(dialog.receive_cseq(7), Err(OutOfOrder));
    assert_eq!(dialog.receive_cseq(9), Ok(()));
    assert_eq!(dialog.receive_cseq(8), Err(OutOfOrder));
}

#[test]
fn what_is_missing_is_named() {
    let mut pool = Pool::default();
    let error = with(&invite(""), |invite| {
        Dialog::uas(invite, b"b1", &mut pool).err()
    });
    assert_eq!(error, Some(DialogError::NoContact));
    let mut dialog = uac(&mut pool);
    let untagged = answer(200, "b1", "").replace(";tag=b1", "");
    let error = with(&untagged, |response| dialog.establish(response, &mut pool));
    assert_eq!(error, Err(DialogError::NoTag));
    assert_eq!(dialog.state(), DialogState::Initial);
}

#[test]
fn a_notify_makes_a_dialog_of_the_request_it_came_from() {
    let mut pool = Pool::default();
    let dialog = uac(&mut pool);
    let text = "NOTIFY sip:alice@10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP b.example;branch=z9hG4bK2\n\
         From: Bob <sip:bob@b.example>;tag=n1\nTo: Alice <sip:alice@a.example>;tag=a1\n\
         Record-Route: <sip:p2;lr>, <sip:p1;lr>\nContact: <sip:bob@10.0.0.9>\n\
         Call-ID: c1\nCSeq: 40 NOTIFY\n\n";
    let notified = with(text, |notify| dialog.notified(notify, &mut pool));
    let mut notified = notified.expect("a dialog");
    assert_eq!(notified.remote_tag(), b"n1");
    assert_eq!(notified.next_hop(), b"sip:p2;lr");
    assert_eq!(notified.receive_cseq(40), Ok(()));
    assert!(bye(&mut notified).ends_with("CSeq: 2 BYE\n"));
    let untagged = text.replace(";tag=n1", "");
    let error = with(&untagged, |notify| dialog.notified(notify, &mut pool).err());
    assert_eq!(error, Some(DialogError::NoTag));
}

#[test]
fn another_tag_of_ours_stands_in_the_place_of_the_first() {
    let mut pool = Pool::default();
    let text = invite("Contact: <sip:alice@10.0.0.1:5070>\n");
    let dialog = with(&text, |invite| Dialog::uas(invite, b"b1", &mut pool)).expect("a dialog");
    let mut other = dialog.under_tag(b"b2", &mut pool).expect("a dialog");
    let request = bye(&mut other);
    assert!(request.contains("From: Bob <sip:bob@b.example>;tag=b2\n"));
    assert!(request.contains("To: Alice <sip:alice@a.example>;tag=a1\n"));
    assert_eq!(other.receive_cseq(7), Err(OutOfOrder));
    other.release(&mut pool);
    dialog.release(&mut pool);
    assert_eq!(pool.live(), 0);
}

#[test]
fn every_block_goes_back_to_the_pool() {
    let mut pool = Pool::default();
    let mut dialog = uac(&mut pool);
    let text = answer(200, "b1", "Contact: <sip:bob@10.0.0.3>\n");
    with(&text, |response| dialog.establish(response, &mut pool)).expect("confirmed");
    dialog.refresh_target(b"sip:elsewhere", &mut pool);
    dialog.release(&mut pool);
    assert_eq!(pool.live(), 0);
}
