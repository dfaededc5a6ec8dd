//! `TransformEarlyToFinal`: what the caller hears, up to the callee's answer and the session it brings.

use super::world::{CALLEE, CALLER, Sent, World, kinds, one, sdp, world};

/// A call that was given the callee's early answer and has ACKed it.
fn early(more: &str) -> World {
    let mut world = world();
    world.call("7", "", &sdp(1, 4000, ""));
    world.ring("183 Session Progress", "x", more, &sdp(1, 6000, ""));
    world.ack(1, "");
    world
}

fn hang_up(mut world: World) {
    let sent = world.caller_sends("BYE", "", "");
    let bye = one(&sent, CALLEE, "BYE");
    let sent = world.ok(&bye);
    one(&sent, CALLER, "200");
    world.assert_idle();
}

#[test]
fn the_first_18x_with_sdp_becomes_200_to_the_caller() {
    let mut world = world();
    world.call("7", "Supported: timer, path\r\n", &sdp(1, 4000, ""));
    let more = "Allow: INVITE, UPDATE\r\nX-Any: thing\r\nSupported: timer\r\n";
    let sent = world.ring("183 Session Progress", "x", more, &sdp(1, 6000, ""));
    let answer = one(&sent, CALLER, "200");
    assert!(answer.text.starts_with("SIP/2.0 200 OK\r\n"));
    assert_eq!(answer.body(), sdp(1, 6000, ""));
    assert_eq!(answer.header("Allow"), Some("INVITE, UPDATE"));
    assert_eq!(answer.header("X-Any"), Some("thing"));
    assert!(
        answer
            .header("Contact")
            .is_some_and(|it| it.starts_with("<sip:tpr"))
    );
    assert_eq!(kinds(&sent, CALLEE), [] as [&str; 0]);
    assert_eq!(world.counters().calls_answered, 1);
}

#[test]
fn a_200_made_of_an_18x_without_contact_has_one() {
    let mut world = world();
    world.call("7", "", &sdp(1, 4000, ""));
    let invite = world.invite.clone().expect("an INVITE");
    let body = sdp(1, 6000, "");
    let text = format!(
        "SIP/2.0 180 Ringing\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=x\r\nCall-ID: {}\r\n\
         CSeq: 1 INVITE\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        invite.header("Via").unwrap(),
        invite.header("From").unwrap(),
        invite.header("To").unwrap(),
        invite.header("Call-ID").unwrap(),
        body.len()
    );
    let sent = world.receive(CALLEE, &text);
    assert!(one(&sent, CALLER, "200").header("Contact").is_some());
}

#[test]
fn earlier_18x_without_sdp_pass_bodiless() {
    let mut world = world();
    world.call("7", "", &sdp(1, 4000, ""));
    let sent = world.ring("180 Ringing", "x", "X-Any: thing\r\n", "");
    let ringing = one(&sent, CALLER, "180");
    assert_eq!(ringing.header("X-Any"), Some("thing"));
    // Something that is no session description does not pass either.
    let invite = world.invite.clone().expect("an INVITE");
    let text = format!(
        "SIP/2.0 181 Forwarded\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=x\r\nCall-ID: {}\r\n\
         CSeq: 1 INVITE\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nlate",
        invite.header("Via").unwrap(),
        invite.header("From").unwrap(),
        invite.header("To").unwrap(),
        invite.header("Call-ID").unwrap(),
    );
    let sent = world.receive(CALLEE, &text);
    let forwarded = one(&sent, CALLER, "181");
    assert_eq!(
        (forwarded.body(), forwarded.header("Content-Type")),
        ("", None)
    );
    assert_eq!(forwarded.header("Content-Length"), Some("0"));
}

#[test]
fn later_18x_are_swallowed() {
    let mut world = early("");
    for (status, body) in [
        ("180 Ringing", String::new()),
        ("183 Session Progress", sdp(1, 6000, "")),
        ("183 Session Progress", sdp(2, 6002, "")),
    ] {
        assert!(world.ring(status, "x", "", &body).is_empty(), "{status}");
        assert!(world.ring(status, "y", "", &body).is_empty(), "{status}");
    }
}

#[test]
fn the_callers_ack_of_its_early_200_goes_no_further() {
    let mut world = world();
    world.call("7", "", &sdp(1, 4000, ""));
    world.ring("183 Session Progress", "x", "", &sdp(1, 6000, ""));
    let repeated = world.pass(std::time::Duration::from_millis(600));
    assert_eq!(kinds(&repeated, CALLER), ["200"]);
    assert!(world.ack(1, "").is_empty());
    assert!(world.ack(1, "").is_empty());
    assert_eq!(kinds(&world.seconds(10), CALLER), [] as [&str; 0]);
}

#[test]
fn the_callees_real_200_is_acked_and_the_same_session_is_not_offered_again() {
    let mut world = early("");
    let sent = world.ring("200 OK", "x", "", &sdp(2, 6000, ""));
    assert_eq!(kinds(&sent, CALLEE), ["ACK"]);
    assert_eq!(one(&sent, CALLEE, "ACK").body(), "");
    assert_eq!(kinds(&sent, CALLER), [] as [&str; 0]);
    assert_eq!(kinds(&world.seconds(10), CALLER), [] as [&str; 0]);
    hang_up(world);
}

#[test]
fn a_real_200_without_sdp_changes_nothing() {
    let mut world = early("");
    let sent = world.ring("200 OK", "x", "", "");
    assert_eq!(kinds(&sent, CALLEE), ["ACK"]);
    assert_eq!(kinds(&sent, CALLER), [] as [&str; 0]);
    hang_up(world);
}

/// The callee answers with another session; the re-INVITE of the caller.
fn differs(world: &mut World, tag: &str) -> Sent {
    let sent = world.ring("200 OK", tag, "Allow: INVITE\r\n", &sdp(2, 6010, ""));
    assert_eq!(kinds(&sent, CALLEE), ["ACK"]);
    one(&sent, CALLER, "INVITE")
}

#[test]
fn another_session_in_the_real_200_is_offered_to_the_caller() {
    let mut world = early("");
    let offer = differs(&mut world, "x");
    assert_eq!(offer.body(), sdp(2, 6010, ""));
    assert_eq!(offer.header("Content-Type"), Some("application/sdp"));
    assert_eq!(offer.header("Supported"), None);
    let sent = world.answer(&offer, "200 OK", "", "", &sdp(2, 4000, ""));
    let ack = one(&sent, CALLER, "ACK");
    assert_eq!(
        (World::cseq_of(&ack), ack.body()),
        (World::cseq_of(&offer), "")
    );
    // Its answer is not passed on: the callee has had one.
    assert_eq!(kinds(&sent, CALLEE), [] as [&str; 0]);
    hang_up(world);
}

#[test]
fn the_answer_of_another_fork_is_offered_to_the_caller() {
    let mut world = early("");
    world.ring("180 Ringing", "y", "", "");
    let offer = differs(&mut world, "y");
    world.answer(&offer, "200 OK", "", "", &sdp(2, 4000, ""));
    hang_up(world);
}

#[test]
fn a_fork_that_described_its_session_only_in_a_swallowed_18x_is_offered_with_it() {
    let mut world = early("");
    for version in [1, 2] {
        let body = sdp(version, 6010, "");
        assert!(
            world
                .ring("183 Session Progress", "y", "", &body)
                .is_empty()
        );
    }
    let sent = world.ring("200 OK", "y", "", "");
    let offer = one(&sent, CALLER, "INVITE");
    assert_eq!(offer.body(), sdp(2, 6010, ""));
    world.answer(&offer, "200 OK", "", "", &sdp(2, 4000, ""));
    hang_up(world);
}

#[test]
fn a_session_is_offered_only_after_the_caller_has_acked() {
    let mut world = world();
    world.call("7", "", &sdp(1, 4000, ""));
    world.ring("183 Session Progress", "x", "", &sdp(1, 6000, ""));
    let sent = world.ring("200 OK", "x", "", &sdp(2, 6010, ""));
    assert_eq!(kinds(&sent, CALLEE), ["ACK"]);
    assert_eq!(kinds(&sent, CALLER), [] as [&str; 0]);
    let sent = world.ack(1, "");
    let offer = one(&sent, CALLER, "INVITE");
    assert_eq!(kinds(&sent, CALLEE), [] as [&str; 0]);
    world.answer(&offer, "200 OK", "", "", &sdp(2, 4000, ""));
    hang_up(world);
}

#[test]
fn a_busy_caller_is_offered_the_session_again() {
    let mut world = early("");
    let offer = differs(&mut world, "x");
    // While our offer is open there can be no other.
    let sent = world.callee_sends("INVITE", "x", "", &sdp(3, 6012, ""));
    one(&sent, CALLEE, "491");
    let sent = world.caller_sends("INVITE", "", &sdp(2, 4002, ""));
    one(&sent, CALLER, "491");
    world.answer(&offer, "491 Request Pending", "", "", "");
    let sent = world.seconds(2);
    let again = sent
        .iter()
        .find(|sent| sent.kind() == "INVITE")
        .expect("an INVITE");
    assert!(World::cseq_of(again) > World::cseq_of(&offer));
    world.answer(again, "200 OK", "", "", &sdp(2, 4000, ""));
    hang_up(world);
}

#[test]
fn a_newer_session_makes_the_offer_needless() {
    let mut world = early("");
    let offer = differs(&mut world, "x");
    world.answer(&offer, "491 Request Pending", "", "", "");
    let sent = world.caller_sends("INVITE", "", &sdp(2, 4002, ""));
    let crossing = one(&sent, CALLEE, "INVITE");
    let sent = world.answer(&crossing, "200 OK", "", "", &sdp(3, 6012, ""));
    let ok = one(&sent, CALLER, "200");
    let sent = world.ack(World::cseq_of(&ok), "");
    one(&sent, CALLEE, "ACK");
    assert!(!kinds(&world.seconds(5), CALLER).contains(&"INVITE".to_owned()));
    hang_up(world);
}

#[test]
fn a_caller_that_refuses_the_session_or_is_gone_ends_the_call() {
    for (status, cause) in [
        (
            "488 Not Acceptable Here",
            "SIP;cause=488;text=\"Not Acceptable Here\"",
        ),
        (
            "481 Call/Transaction Does Not Exist",
            "SIP;cause=481;text=\"Call/Transaction Does Not Exist\"",
        ),
    ] {
        let mut world = early("");
        let offer = differs(&mut world, "x");
        let sent = world.answer(&offer, status, "", "", "");
        for party in [CALLER, CALLEE] {
            let bye = one(&sent, party, "BYE");
            assert_eq!(bye.header("Reason"), Some(cause));
            world.ok(&bye);
        }
        world.assert_idle();
    }
}

#[test]
fn a_caller_that_is_always_busy_ends_the_call() {
    let mut world = early("");
    let mut offer = differs(&mut world, "x");
    for _ in 0..30 {
        let mut sent = world.answer(&offer, "491 Request Pending", "", "", "");
        sent.extend(world.seconds(2));
        match sent.iter().find(|sent| sent.kind() == "INVITE") {
            Some(again) => offer = again.clone(),
            None => break,
        }
    }
    assert_eq!(world.counters().calls_ended, 1);
    world.assert_idle();
}

#[test]
fn a_2xx_without_early_media_before_it_is_an_ordinary_answer() {
    let mut world = world();
    world.call("7", "", &sdp(1, 4000, ""));
    world.ring("180 Ringing", "x", "", "");
    let sent = world.ring("200 OK", "x", "", &sdp(1, 6000, ""));
    assert_eq!(kinds(&sent, CALLER), ["200"]);
    assert_eq!(kinds(&sent, CALLEE), [] as [&str; 0]);
    let sent = world.ack(1, "");
    assert_eq!(kinds(&sent, CALLEE), ["ACK"]);
    hang_up(world);
}

#[test]
fn a_delayed_offer_is_refused_with_488() {
    let mut world = world();
    let sent = world.call("7", "", "");
    let refusal = one(&sent, CALLER, "488");
    assert!(
        refusal
            .header("Warning")
            .is_some_and(|it| it.starts_with("399 127.0.0.1:5060 \""))
    );
    assert_eq!(kinds(&sent, CALLEE), [] as [&str; 0]);
    world.ack(1, "");
    world.assert_idle();
}
