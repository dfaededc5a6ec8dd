//! `TransformEarlyToFinal`: how a call ends whose caller is answered and whose callee is not.

use super::world::{CALLEE, CALLER, Sent, World, kinds, one, sdp, world};
use std::time::Duration;
use tipring_router::Command;

fn given(user: &str) -> World {
    let mut world = world();
    world.call(user, "", &sdp(1, 4000, ""));
    world.ring("183 Session Progress", "x", "", &sdp(1, 6000, ""));
    world
}

fn early(user: &str) -> World {
    let mut world = given(user);
    world.ack(1, "");
    world
}

/// The callee answers the CANCEL, and its INVITE.
fn cancelled(world: &mut World, sent: &[Sent]) -> Sent {
    let cancel = one(sent, CALLEE, "CANCEL");
    world.ok(&cancel);
    let sent = world.ring("487 Request Terminated", "x", "", "");
    assert_eq!(kinds(&sent, CALLEE), ["ACK"]);
    assert_eq!(kinds(&sent, CALLER), [] as [&str; 0]);
    cancel
}

#[test]
fn a_bye_while_early_becomes_cancel_with_a_reason() {
    for (more, reason) in [
        ("", "Q.850;cause=16;text=\"Normal Call Clearing\""),
        ("Reason: Q.850;cause=41\r\n", "Q.850;cause=41"),
    ] {
        let mut world = early("7");
        let sent = world.caller_sends("BYE", more, "");
        one(&sent, CALLER, "200");
        let cancel = cancelled(&mut world, &sent);
        assert_eq!(cancel.header("Reason"), Some(reason));
        world.assert_idle();
    }
}

#[test]
fn a_bye_before_the_ack_leaves_the_200_to_be_repeated() {
    let mut world = given("7");
    let sent = world.caller_sends("BYE", "", "");
    one(&sent, CALLER, "200");
    cancelled(&mut world, &sent);
    assert!(kinds(&world.seconds(1), CALLER).contains(&"200".to_owned()));
    assert_eq!(world.router.calls(), 1);
    world.ack(1, "");
    assert_eq!(world.router.calls(), 0);
    world.assert_idle();
}

#[test]
fn a_200_of_the_callee_that_crosses_the_cancel_is_acked_and_ended() {
    let mut world = early("7");
    world.caller_sends("BYE", "", "");
    let sent = world.ring("200 OK", "x", "", &sdp(1, 6000, ""));
    assert_eq!(kinds(&sent, CALLEE), ["ACK", "BYE"]);
    assert_eq!(kinds(&sent, CALLER), [] as [&str; 0]);
    world.ok(&one(&sent, CALLEE, "BYE"));
    world.assert_idle();
}

#[test]
fn a_cancel_after_the_early_200_has_no_effect() {
    let mut world = given("7");
    let sent = world.cancel();
    assert_eq!(kinds(&sent, CALLER), ["200"]);
    assert_eq!(kinds(&sent, CALLEE), [] as [&str; 0]);
    world.ack(1, "");
    let sent = world.caller_sends("BYE", "", "");
    cancelled(&mut world, &sent);
    world.assert_idle();
}

#[test]
fn a_cancel_before_the_early_200_is_a_cancel() {
    let mut world = world();
    world.call("7", "", &sdp(1, 4000, ""));
    world.ring("180 Ringing", "x", "", "");
    let sent = world.cancel();
    one(&sent, CALLER, "487");
    one(&sent, CALLEE, "CANCEL");
}

#[test]
fn a_rejection_after_the_early_200_becomes_bye_with_its_reason() {
    for (status, more, reasons) in [
        (
            "486 Busy Here",
            "",
            vec!["SIP;cause=486;text=\"Busy Here\""],
        ),
        (
            "503 Out of \"lines\"",
            "Reason: Q.850;cause=34;text=\"a, b\", SIP;cause=500\r\n",
            vec![
                "SIP;cause=503;text=\"Out of \\\"lines\\\"\"",
                "Q.850;cause=34;text=\"a, b\"",
            ],
        ),
        ("302 ", "", vec!["SIP;cause=302;text=\"Moved Temporarily\""]),
    ] {
        let mut world = early("7");
        let sent = world.ring(status, "x", more, "");
        assert_eq!(kinds(&sent, CALLEE), ["ACK"]);
        let bye = one(&sent, CALLER, "BYE");
        assert_eq!(bye.values("Reason"), reasons);
        world.ok(&bye);
        assert_eq!(world.router.calls(), 0);
        world.assert_idle();
    }
}

#[test]
fn the_bye_of_a_rejection_waits_for_the_callers_ack() {
    let mut world = given("7");
    let sent = world.ring("486 Busy Here", "x", "", "");
    assert_eq!(kinds(&sent, CALLER), [] as [&str; 0]);
    let sent = world.ack(1, "");
    let bye = one(&sent, CALLER, "BYE");
    assert_eq!(
        bye.header("Reason"),
        Some("SIP;cause=486;text=\"Busy Here\"")
    );
    world.ok(&bye);
    world.assert_idle();
}

#[test]
fn no_answer_in_time_becomes_bye_and_cancel() {
    let mut world = early("6");
    let sent = world.seconds(21);
    let reason = Some("Q.850;cause=19;text=\"No Answer From User\"");
    let bye = one(&sent, CALLER, "BYE");
    assert_eq!(bye.header("Reason"), reason);
    let cancel = cancelled(&mut world, &sent);
    assert_eq!(cancel.header("Reason"), reason);
    world.ok(&bye);
    assert_eq!(world.counters().calls_timed_out, 1);
    world.assert_idle();
}

#[test]
fn the_ringing_limit_becomes_bye_and_cancel() {
    let mut world = early("7");
    let sent = world.pass(Duration::from_secs(186));
    let bye = one(&sent, CALLER, "BYE");
    cancelled(&mut world, &sent);
    world.ok(&bye);
    world.assert_idle();
}

#[test]
fn a_callee_that_cannot_be_reached_any_more_becomes_bye() {
    let mut world = early("7");
    // The CANCEL and the INVITE get no answer.
    let sent = world.command(&Command::EndAll);
    let bye = one(&sent, CALLER, "BYE");
    one(&sent, CALLEE, "CANCEL");
    world.ok(&bye);
    world.assert_idle();
}

#[test]
fn a_2xx_that_makes_no_dialog_becomes_bye() {
    let mut world = early("7");
    let invite = world.invite.clone().expect("an INVITE");
    let text = format!(
        "SIP/2.0 200 OK\r\nVia: {}\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: 1 INVITE\r\n\
         Content-Length: 0\r\n\r\n",
        invite.header("Via").unwrap(),
        invite.header("From").unwrap(),
        invite.header("To").unwrap(),
        invite.header("Call-ID").unwrap(),
    );
    let sent = world.receive(CALLEE, &text);
    let bye = one(&sent, CALLER, "BYE");
    assert_eq!(
        bye.header("Reason"),
        Some("SIP;cause=502;text=\"Unreadable 2xx\"")
    );
    world.ok(&bye);
    world.assert_idle();
}

#[test]
fn an_early_200_that_is_never_acked_ends_the_call() {
    let mut world = given("7");
    let sent = world.seconds(33);
    let bye = one(&sent, CALLER, "BYE");
    cancelled(&mut world, &sent);
    world.ok(&bye);
    world.assert_idle();
}

#[test]
fn max_call_duration_counts_from_the_callers_ack() {
    let mut world = early("6");
    world.seconds(15);
    let sent = world.ring("200 OK", "x", "", &sdp(1, 6000, ""));
    one(&sent, CALLEE, "ACK");
    let sent = world.seconds(44);
    assert_eq!(
        (kinds(&sent, CALLER), kinds(&sent, CALLEE)),
        (vec![], vec![])
    );
    let sent = world.seconds(2);
    for party in [CALLER, CALLEE] {
        let bye = one(&sent, party, "BYE");
        assert_eq!(
            bye.header("Reason"),
            Some("Q.850;cause=31;text=\"Call Duration Limit\"")
        );
        world.ok(&bye);
    }
    world.assert_idle();
}

#[test]
fn hanging_up_while_a_session_is_offered_leaves_nothing() {
    let mut world = early("7");
    let sent = world.ring("200 OK", "x", "", &sdp(2, 6010, ""));
    let offer = one(&sent, CALLER, "INVITE");
    let sent = world.callee_sends("BYE", "x", "", "");
    let bye = one(&sent, CALLER, "BYE");
    // The caller had accepted before it saw the BYE: its 2xx gets an ACK.
    let sent = world.answer(&offer, "200 OK", "", "", &sdp(2, 4000, ""));
    one(&sent, CALLER, "ACK");
    let sent = world.ok(&bye);
    one(&sent, CALLEE, "200");
    world.assert_idle();
}

#[test]
fn a_2xx_to_the_offer_of_a_call_that_is_gone_is_acked() {
    let mut world = early("7");
    let sent = world.ring("200 OK", "x", "", &sdp(2, 6010, ""));
    let offer = one(&sent, CALLER, "INVITE");
    let sent = world.callee_sends("BYE", "x", "", "");
    world.ok(&one(&sent, CALLER, "BYE"));
    assert_eq!(world.router.calls(), 0);
    let sent = world.answer(&offer, "200 OK", "", "", &sdp(2, 4000, ""));
    let ack = one(&sent, CALLER, "ACK");
    assert_eq!(World::cseq_of(&ack), World::cseq_of(&offer));
    world.assert_idle();
}
