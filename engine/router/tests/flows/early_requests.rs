//! `TransformEarlyToFinal`: requests of either side while the callee is early.

use super::world::{CALLEE, CALLER, World, kinds, one, sdp, world};

const RELIABLE: &str = "Require: 100rel\r\nRSeq: 1\r\nAllow: INVITE, ACK, PRACK, UPDATE\r\n";

/// The caller has the callee's early answer; `more` decides whether the callee could take an UPDATE.
fn early(caller: &str, more: &str, prack: &str) -> World {
    let mut world = world();
    world.call("7", caller, &sdp(1, 4000, ""));
    let sent = world.ring("183 Session Progress", "x", more, &sdp(1, 6000, ""));
    world.ack(1, "");
    if let Some(request) = sent.iter().find(|sent| sent.kind() == "PRACK") {
        let request = request.clone();
        world.answer(&request, prack, "", "", "");
    }
    world
}

fn updatable() -> World {
    early("", RELIABLE, "200 OK")
}

fn hang_up(mut world: World) {
    let sent = world.caller_sends("BYE", "", "");
    one(&sent, CALLER, "200");
    one(&sent, CALLEE, "CANCEL");
    world.ring("487 Request Terminated", "x", "", "");
    world.assert_idle();
}

#[test]
fn a_reinvite_while_early_becomes_update_and_its_answer_the_200() {
    let mut world = updatable();
    let more = "Supported: timer\r\nSession-Expires: 90\r\nX-Any: thing\r\n";
    let sent = world.caller_sends("INVITE", more, &sdp(2, 4002, "a=sendonly\r\n"));
    let update = one(&sent, CALLEE, "UPDATE");
    assert_eq!(update.body(), sdp(2, 4002, "a=sendonly\r\n"));
    assert_eq!(update.header("X-Any"), Some("thing"));
    assert_eq!(
        (update.header("Session-Expires"), update.header("Supported")),
        (None, None)
    );
    assert!(
        update
            .header("CSeq")
            .is_some_and(|it| it.ends_with(" UPDATE"))
    );
    let sent = world.answer(&update, "200 OK", "", "", &sdp(2, 6000, "a=recvonly\r\n"));
    let ok = one(&sent, CALLER, "200");
    assert_eq!(ok.header("CSeq"), Some("2 INVITE"));
    assert_eq!(ok.body(), sdp(2, 6000, "a=recvonly\r\n"));
    // Its ACK is absorbed like that of the early 200.
    assert!(world.ack(2, "").is_empty());
    assert!(kinds(&world.seconds(10), CALLER).is_empty());
    // The session has changed since; the callee's 200 repeats the answer to the INVITE.
    let sent = world.ring("200 OK", "x", "", &sdp(1, 6000, ""));
    assert_eq!(
        (kinds(&sent, CALLEE), kinds(&sent, CALLER)),
        (vec!["ACK".to_owned()], vec![])
    );
    let sent = world.callee_sends("BYE", "x", "", "");
    world.ok(&one(&sent, CALLER, "BYE"));
    world.assert_idle();
}

#[test]
fn without_update_a_reinvite_while_early_is_491() {
    for (what, mut world) in [
        ("no 100rel", early("", "Allow: INVITE, UPDATE\r\n", "")),
        (
            "no Allow",
            early("", "Require: 100rel\r\nRSeq: 1\r\n", "200 OK"),
        ),
        (
            "no UPDATE in Allow",
            early(
                "",
                "Require: 100rel\r\nRSeq: 1\r\nAllow: INVITE\r\n",
                "200 OK",
            ),
        ),
        ("PRACK refused", early("", RELIABLE, "481 None")),
    ] {
        let sent = world.caller_sends("INVITE", "", &sdp(2, 4002, ""));
        assert_eq!(kinds(&sent, CALLER), ["491"], "{what}");
        assert_eq!(kinds(&sent, CALLEE), [] as [&str; 0], "{what}");
        let sent = world.caller_sends("UPDATE", "", &sdp(2, 4002, ""));
        assert_eq!(kinds(&sent, CALLER), ["491"], "{what}");
        hang_up(world);
    }
    let mut world = updatable();
    let sent = world.caller_sends("INVITE", "", "");
    assert_eq!(kinds(&sent, CALLER), ["491"], "no offer");
    hang_up(world);
}

#[test]
fn a_refused_update_is_the_refusal_of_the_reinvite() {
    let mut world = updatable();
    let sent = world.caller_sends("INVITE", "", &sdp(2, 4002, ""));
    let sent = world.answer(
        &one(&sent, CALLEE, "UPDATE"),
        "488 Not Acceptable Here",
        "",
        "",
        "",
    );
    let refusal = one(&sent, CALLER, "488");
    assert_eq!(refusal.header("CSeq"), Some("2 INVITE"));
    world.ack(2, "");
    hang_up(world);
}

#[test]
fn an_update_that_finds_no_dialog_ends_the_call() {
    let mut world = updatable();
    let sent = world.caller_sends("INVITE", "", &sdp(2, 4002, ""));
    let sent = world.answer(&one(&sent, CALLEE, "UPDATE"), "481 Gone", "", "", "");
    one(&sent, CALLER, "481");
    world.ok(&one(&sent, CALLER, "BYE"));
    one(&sent, CALLEE, "CANCEL");
    world.ring("487 Request Terminated", "x", "", "");
    world.assert_idle();
}

#[test]
fn one_reinvite_at_a_time() {
    let mut world = updatable();
    let sent = world.caller_sends("INVITE", "", &sdp(2, 4002, ""));
    let update = one(&sent, CALLEE, "UPDATE");
    let sent = world.caller_sends("INVITE", "", &sdp(3, 4004, ""));
    assert!(one(&sent, CALLER, "500").header("Retry-After").is_some());
    let sent = world.callee_sends("UPDATE", "x", "", &sdp(2, 6002, ""));
    one(&sent, CALLEE, "491");
    let sent = world.caller_sends("UPDATE", "", &sdp(3, 4004, ""));
    one(&sent, CALLER, "491");
    world.answer(&update, "200 OK", "", "", &sdp(2, 6000, ""));
    // The next one says that the 200 was heard, though its ACK was not.
    let sent = world.caller_sends("INVITE", "", &sdp(4, 4006, ""));
    let update = one(&sent, CALLEE, "UPDATE");
    assert_eq!(kinds(&sent, CALLEE), ["UPDATE"]);
    world.answer(&update, "200 OK", "", "", &sdp(3, 6000, ""));
    world.ack(5, "");
    hang_up(world);
}

#[test]
fn a_bye_answers_the_reinvite_that_waits_for_its_update() {
    let mut world = updatable();
    let sent = world.caller_sends("INVITE", "", &sdp(2, 4002, ""));
    let update = one(&sent, CALLEE, "UPDATE");
    let sent = world.caller_sends("BYE", "", "");
    one(&sent, CALLER, "200");
    one(&sent, CALLER, "487");
    one(&sent, CALLEE, "CANCEL");
    // A late 2xx to the UPDATE wants no ACK.
    assert!(
        world
            .answer(&update, "200 OK", "", "", &sdp(2, 6000, ""))
            .is_empty()
    );
    world.ack(2, "");
    world.ring("487 Request Terminated", "x", "", "");
    world.assert_idle();
}

#[test]
fn a_late_2xx_to_the_update_of_a_call_that_is_gone_is_not_acked() {
    let mut world = updatable();
    let sent = world.caller_sends("INVITE", "", &sdp(2, 4002, ""));
    let update = one(&sent, CALLEE, "UPDATE");
    world.caller_sends("BYE", "", "");
    world.ack(2, "");
    world.ring("487 Request Terminated", "x", "", "");
    assert_eq!(world.router.calls(), 0);
    assert!(
        world
            .answer(&update, "200 OK", "", "", &sdp(2, 6000, ""))
            .is_empty()
    );
    world.assert_idle();
}

#[test]
fn the_200_of_another_fork_refuses_the_reinvite_that_went_to_the_first() {
    let mut world = updatable();
    let sent = world.caller_sends("INVITE", "", &sdp(2, 4002, ""));
    let update = one(&sent, CALLEE, "UPDATE");
    let sent = world.ring("200 OK", "y", "", &sdp(2, 6010, ""));
    one(&sent, CALLER, "491");
    let offer = one(&sent, CALLER, "INVITE");
    assert_eq!(offer.body(), sdp(2, 6010, ""));
    world.ack(2, "");
    assert!(
        world
            .answer(&update, "200 OK", "", "", &sdp(2, 6000, ""))
            .is_empty()
    );
    world.answer(&offer, "200 OK", "", "", &sdp(2, 4000, ""));
    let sent = world.callee_sends("BYE", "y", "", "");
    world.ok(&one(&sent, CALLER, "BYE"));
    world.assert_idle();
}

#[test]
fn the_callers_update_passes_under_the_same_condition() {
    let mut world = updatable();
    let sent = world.caller_sends("UPDATE", "", &sdp(2, 4002, ""));
    let update = one(&sent, CALLEE, "UPDATE");
    let sent = world.answer(&update, "200 OK", "", "", &sdp(2, 6000, ""));
    assert_eq!(one(&sent, CALLER, "200").header("CSeq"), Some("2 UPDATE"));
    hang_up(world);
}

#[test]
fn the_callees_update_passes_as_it_is_to_a_caller_that_knows_it() {
    let mut world = early("Allow: INVITE, UPDATE\r\n", RELIABLE, "200 OK");
    let sent = world.callee_sends("UPDATE", "x", "", &sdp(2, 6002, ""));
    let update = one(&sent, CALLER, "UPDATE");
    let sent = world.answer(&update, "200 OK", "", "", &sdp(2, 4000, ""));
    assert_eq!(one(&sent, CALLEE, "200").body(), sdp(2, 4000, ""));
    hang_up(world);
}

#[test]
fn the_callees_update_is_a_reinvite_to_a_caller_that_does_not_know_it() {
    let mut world = updatable();
    let sent = world.callee_sends("UPDATE", "x", "Supported: 100rel\r\n", &sdp(2, 6002, ""));
    let invite = one(&sent, CALLER, "INVITE");
    assert_eq!(
        (invite.body(), invite.header("Supported")),
        (&*sdp(2, 6002, ""), None)
    );
    assert!(world.answer(&invite, "180 Ringing", "", "", "").is_empty());
    let sent = world.answer(&invite, "200 OK", "", "", &sdp(2, 4000, ""));
    one(&sent, CALLER, "ACK");
    let ok = one(&sent, CALLEE, "200");
    assert_eq!(
        (ok.body(), ok.header("CSeq")),
        (&*sdp(2, 4000, ""), Some("1 UPDATE"))
    );
    // The callee's 200 repeats what the INVITE was answered; the UPDATE is newer.
    let sent = world.ring("200 OK", "x", "", &sdp(1, 6000, ""));
    assert_eq!(kinds(&sent, CALLER), [] as [&str; 0]);
    let sent = world.callee_sends("BYE", "x", "", "");
    world.ok(&one(&sent, CALLER, "BYE"));
    world.assert_idle();
}

#[test]
fn an_update_the_caller_cannot_take_yet_is_491() {
    let mut world = world();
    world.call("7", "Allow: UPDATE\r\n", &sdp(1, 4000, ""));
    world.ring("180 Ringing", "x", "", "");
    let sent = world.callee_sends("UPDATE", "x", "", &sdp(1, 6000, ""));
    one(&sent, CALLEE, "491");
    world.ring("183 Session Progress", "x", RELIABLE, &sdp(1, 6000, ""));
    let sent = world.callee_sends("UPDATE", "x", "", &sdp(2, 6002, ""));
    one(&sent, CALLEE, "491");
    world.ack(1, "");
    let sent = world.ring("180 Ringing", "y", "", "");
    assert!(sent.is_empty());
    let sent = world.callee_sends("UPDATE", "y", "", &sdp(2, 6102, ""));
    one(&sent, CALLEE, "491");
}

#[test]
fn an_update_without_offer_is_answered_here_when_the_other_side_knows_none() {
    let mut world = early("", "", "");
    let sent = world.caller_sends("UPDATE", "", "");
    assert!(one(&sent, CALLER, "200").header("Contact").is_some());
    let sent = world.callee_sends("UPDATE", "x", "", "");
    assert!(one(&sent, CALLEE, "200").header("Contact").is_some());
    hang_up(world);
}

#[test]
fn other_requests_cross_while_early() {
    let mut world = early("", "", "");
    world.ring("180 Ringing", "y", "", "");
    // The caller talks to the dialog whose session it has, whichever spoke last.
    let sent = world.caller_sends("INFO", "", "");
    let info = one(&sent, CALLEE, "INFO");
    assert!(info.header("To").is_some_and(|to| to.ends_with(";tag=x")));
    let sent = world.ok(&info);
    one(&sent, CALLER, "200");
    let sent = world.callee_sends("INFO", "x", "", "");
    let info = one(&sent, CALLER, "INFO");
    one(&world.ok(&info), CALLEE, "200");
    hang_up(world);
}
