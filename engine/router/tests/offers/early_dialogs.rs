//! The callee's early dialogs: their end by 199 (RFC 6228), by 481, and the one that names no Contact.

use super::world::{kinds, one, sdp};
use super::{CALLEE, CALLER, Sent, World, calling, hang_up, rack, reliable, tag_of};

const REASON: &str = "Reason: SIP;cause=486\r\n";
const ENDED: &str = "199 Early Dialog Terminated";

fn forked() -> World {
    let mut world = calling("Supported: 199, 100rel\r\n");
    world.ring("180 Ringing", "x", "", "");
    world.ring("180 Ringing", "y", "", "");
    world
}

/// Which early dialog the caller's requests go to.
#[track_caller]
fn addressee(world: &mut World) -> String {
    let sent = world.caller_sends("INFO", "", "");
    tag_of(&one(&sent, CALLEE, "INFO"))
}

#[test]
fn the_end_of_one_of_several_is_no_news_to_the_caller() {
    let mut world = forked();
    assert_eq!(addressee(&mut world), "y");
    let sent = world.ring(ENDED, "y", REASON, "");
    assert!(sent.is_empty(), "{sent:#?}");
    assert_eq!(addressee(&mut world), "x");
    world.ring("200 OK", "x", "", &sdp(1, 6000, ""));
    world.ack(1, "");
    hang_up(world);
}

#[test]
fn the_end_of_the_last_is_told_to_who_asked_for_it() {
    let mut world = forked();
    world.ring(ENDED, "x", REASON, "");
    let sent = world.ring(ENDED, "y", REASON, "");
    let ended = one(&sent, CALLER, "199");
    assert_eq!(ended.header("Reason"), Some("SIP;cause=486"));
    let sent = world.caller_sends("INFO", "", "");
    one(&sent, CALLER, "481");
    // The INVITE goes on: the next branch makes a dialog again.
    let sent = world.ring("180 Ringing", "z", "", "");
    one(&sent, CALLER, "180");
    assert_eq!(addressee(&mut world), "z");
    world.ring("200 OK", "z", "", &sdp(1, 6000, ""));
    let sent = world.ack(1, "");
    assert_eq!(tag_of(&one(&sent, CALLEE, "ACK")), "z");
    hang_up(world);
}

#[test]
fn nobody_else_is_told() {
    let mut world = calling("Supported: 100rel\r\n");
    world.ring("180 Ringing", "x", "", "");
    assert!(world.ring(ENDED, "x", REASON, "").is_empty());
    let sent = world.ring("486 Busy Here", "x", "", "");
    one(&sent, CALLER, "486");
}

#[test]
fn an_end_before_its_beginning_is_discarded() {
    let mut world = calling("Supported: 199\r\n");
    assert!(world.ring(ENDED, "x", REASON, "").is_empty());
    let sent = world.ring("180 Ringing", "x", "", "");
    one(&sent, CALLER, "180");
    assert_eq!(addressee(&mut world), "x");
}

#[test]
fn a_reliable_end_is_acknowledged_by_who_hears_of_it() {
    let reliable = format!("{REASON}{}", reliable(3));
    let pracks = |sent: &[Sent]| kinds(sent, CALLEE);
    // One of several, and one without a beginning: the router.
    let mut world = forked();
    for tag in ["y", "unheard"] {
        let sent = world.ring(ENDED, tag, &reliable, "");
        assert_eq!(pracks(&sent), ["PRACK"], "{tag}");
        assert_eq!(tag_of(&one(&sent, CALLEE, "PRACK")), tag);
        assert_eq!(kinds(&sent, CALLER), [] as [&str; 0], "{tag}");
    }
    assert_eq!(addressee(&mut world), "x");
    // The last one: the caller.
    let sent = world.ring(ENDED, "x", &reliable, "");
    assert_eq!(one(&sent, CALLER, "199").header("RSeq"), Some("3"));
    let sent = world.caller_sends("PRACK", &rack(3), "");
    assert_eq!(tag_of(&one(&sent, CALLEE, "PRACK")), "x");
    // A caller that asked for 199 and does no 100rel.
    let mut world = calling("Supported: 199\r\n");
    world.ring("180 Ringing", "x", "", "");
    let sent = world.ring(ENDED, "x", &reliable, "");
    assert_eq!(pracks(&sent), ["PRACK"]);
    assert_eq!(one(&sent, CALLER, "199").header("RSeq"), None);
}

#[test]
fn a_481_of_one_of_several_ends_that_one_alone() {
    let mut world = forked();
    let sent = world.caller_sends("INFO", "", "");
    let sent = world.answer(&one(&sent, CALLEE, "INFO"), "481 Gone", "", "", "");
    assert_eq!(kinds(&sent, CALLER), ["481"]);
    assert_eq!(kinds(&sent, CALLEE), [] as [&str; 0]);
    let sent = world.caller_sends("INFO", "", "");
    let seen = one(&sent, CALLEE, "INFO");
    assert_eq!(tag_of(&seen), "x");
    let sent = world.answer(&seen, "481 Gone", "", "", "");
    one(&sent, CALLEE, "CANCEL");
}

#[test]
fn regression_a_fork_without_contact_has_not_the_target_of_another() {
    let mut world = calling("");
    world.callee_at = "sip:one@127.0.0.2:5071".to_owned();
    world.ring("180 Ringing", "x", "", "");
    world.callee_at = String::new();
    world.ring("180 Ringing", "y", "", "");
    let sent = world.caller_sends("INFO", "", "");
    let info = one(&sent, CALLEE, "INFO");
    assert!(
        info.text.starts_with("INFO sip:127.0.0.2:5070 SIP/2.0"),
        "{info:?}"
    );
    world.ring("200 OK", "z", "", &sdp(1, 6000, ""));
    let sent = world.ack(1, "");
    let ack = one(&sent, CALLEE, "ACK");
    assert!(
        ack.text.starts_with("ACK sip:127.0.0.2:5070 SIP/2.0"),
        "{ack:?}"
    );
}

#[test]
fn regression_who_goes_on_after_its_199_is_taken_at_its_word() {
    // Found by the simulator: its CSeq had begun anew.
    let mut world = calling("Supported: 100rel\r\n");
    let sent = world.ring(ENDED, "x", &reliable(3), "");
    assert_eq!(World::cseq_of(&one(&sent, CALLEE, "PRACK")), 2);
    let sent = world.ring("180 Ringing", "x", "", "");
    one(&sent, CALLER, "180");
    assert_eq!(addressee(&mut world), "x");
    world.ring("200 OK", "x", "", &sdp(1, 6000, ""));
    world.ack(1, "");
    let sent = world.caller_sends("BYE", "", "");
    let bye = one(&sent, CALLEE, "BYE");
    assert_eq!(World::cseq_of(&bye), 4);
    world.ok(&bye);
    world.assert_idle();
}
