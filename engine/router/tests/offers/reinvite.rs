//! Re-INVITEs that are refused, repeated, cancelled (RFC 3261 14.1): the call goes on, unless the dialog is
//! gone.

use super::world::{kinds, one, sdp};
use super::{CALLEE, CALLER, Sent, World, connected, hang_up, rack, refused, reliable};

#[test]
fn a_refused_reinvite_leaves_the_call_and_may_be_tried_again() {
    for status in [
        "302 Moved",
        "401 Unauthorized",
        "403 Forbidden",
        "407 Proxy Authentication Required",
        "415 Unsupported Media Type",
        "488 Not Acceptable Here",
        "491 Request Pending",
        "500 Server Error",
        "503 Service Unavailable",
        "603 Decline",
        "606 Not Acceptable",
    ] {
        let mut world = connected();
        let code = &status[..3];
        let challenge = "WWW-Authenticate: Digest realm=\"x\", nonce=\"y\"\r\n";
        let sent = world.caller_sends("INVITE", "", &sdp(2, 4000, ""));
        let seen = one(&sent, CALLEE, "INVITE");
        let sent = world.answer(&seen, status, "", challenge, "");
        let refusal = one(&sent, CALLER, code);
        assert_eq!(refusal.header("CSeq"), Some("2 INVITE"));
        assert_eq!(
            refusal.header("WWW-Authenticate"),
            Some("Digest realm=\"x\", nonce=\"y\"")
        );
        assert_eq!(kinds(&sent, CALLEE), ["ACK"], "{status}");
        assert!(world.ack(2, "").is_empty());

        let credentials = "Authorization: Digest username=\"a\"\r\n";
        let sent = world.caller_sends("INVITE", credentials, &sdp(2, 4000, ""));
        let again = one(&sent, CALLEE, "INVITE");
        assert_eq!(again.header("Authorization"), Some("Digest username=\"a\""));
        assert_eq!(World::cseq_of(&again), World::cseq_of(&seen) + 1);
        let sent = world.answer(&again, "200 OK", "", "", &sdp(2, 6000, ""));
        one(&sent, CALLER, "200");
        one(&world.ack(3, ""), CALLEE, "ACK");
        hang_up(world);
    }
}

#[test]
fn a_refusal_that_means_there_is_no_dialog_ends_the_call() {
    for status in ["408 Request Timeout", "481 Call Does Not Exist"] {
        let mut world = connected();
        let sent = world.callee_sends("INVITE", "x", "", &sdp(2, 6000, ""));
        let seen = one(&sent, CALLER, "INVITE");
        let sent = world.answer(&seen, status, "", "", "");
        one(&sent, CALLEE, &status[..3]);
        let byes: Vec<Sent> = sent.into_iter().filter(|it| it.kind() == "BYE").collect();
        assert_eq!(byes.len(), 2, "{status}");
        world.callee_acks(1, "x", "");
        for bye in &byes {
            world.ok(bye);
        }
        world.assert_idle();
    }
}

#[test]
fn a_cancelled_reinvite_ends_as_the_other_side_says() {
    let mut world = connected();
    let sent = world.caller_sends("INVITE", "", &sdp(2, 4000, ""));
    let seen = one(&sent, CALLEE, "INVITE");
    world.answer(&seen, "180 Ringing", "", "", "");
    let sent = world.cancel();
    one(&sent, CALLER, "200");
    let cancel = one(&sent, CALLEE, "CANCEL");
    world.answer(&cancel, "200 OK", "", "", "");
    let sent = world.answer(&seen, "487 Request Terminated", "", "", "");
    one(&sent, CALLER, "487");
    world.ack(2, "");
    // It is over: either side may offer again.
    let sent = world.callee_sends("INVITE", "x", "", &sdp(2, 6000, ""));
    let seen = one(&sent, CALLER, "INVITE");
    world.answer(&seen, "200 OK", "", "", &sdp(3, 4000, ""));
    world.callee_acks(1, "x", "");
    hang_up(world);
}

#[test]
fn a_reliable_provisional_of_a_reinvite_passes_with_its_number() {
    let mut world = connected();
    let sent = world.caller_sends("INVITE", "Supported: 100rel\r\n", &sdp(2, 4000, ""));
    let seen = one(&sent, CALLEE, "INVITE");
    let sent = world.answer(&seen, "183 Session Progress", "", &reliable(77), "");
    assert_eq!(one(&sent, CALLER, "183").header("RSeq"), Some("77"));
    let sent = world.caller_sends("PRACK", &rack(77), "");
    assert_eq!(refused(&sent, CALLER), 481, "the first INVITE had none");
    let sent = world.caller_sends("PRACK", "RAck: 77 2 INVITE\r\n", "");
    let prack = one(&sent, CALLEE, "PRACK");
    let expected = format!("77 {} INVITE", World::cseq_of(&seen));
    assert_eq!(prack.header("RAck"), Some(&*expected));
}
