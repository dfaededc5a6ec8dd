//! A call through the proxy: what of its messages changes, who stays in the path, what is left behind.

use crate::world::{CALLER, ONE, SIX, Sent, World, kinds, one};

#[test]
fn the_invite_passes_with_a_via_more_a_hop_less_and_another_host() {
    let mut world = World::new();
    let sent = world.request("INVITE", "100", "Require: replaces\r\n");
    let invite = one(&sent, ONE, "INVITE");
    assert_eq!(invite.uri(), "sip:100@127.0.0.2:5070");
    let vias = invite.values("Via");
    assert_eq!(vias.len(), 2);
    assert!(vias[0].starts_with("SIP/2.0/UDP 127.0.0.1:5060;rport;branch=z9hG4bKtpr"));
    let told = "SIP/2.0/UDP 127.0.0.9:5080;branch=z9hG4bKa1;rport=5080;received=127.0.0.9";
    assert_eq!(vias[1], told);
    let kept = "From: \"A\" <sip:a@a.example>;tag=a\r\nTo: <sip:b@b.example>\r\nCall-ID: call-1\r\n\
         CSeq: 1 INVITE\r\nContact: <sip:a@127.0.0.9:5080>\r\nRequire: replaces\r\n\
         X-Odd :  \"kept\"\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";
    assert!(invite.text.ends_with(kept), "{}", invite.text);
    assert_eq!(invite.header("Max-Forwards"), Some("69"));
    assert_eq!(invite.header("Max-Breadth"), Some("60"));
    let recorded = invite.values("Record-Route");
    assert_eq!(recorded.len(), 1);
    assert!(recorded[0].starts_with("<sip:tprp") && recorded[0].ends_with("@127.0.0.1:5060;lr>"));
    // RFC 3261 16.2: the client hears a 100 of the proxy itself.
    assert_eq!(kinds(&world.seconds(0.3), CALLER), ["100"]);
}

/// A call that was answered; the 200 as the caller has it, and the INVITE as the callee has it.
fn answered(world: &mut World, user: &str, callee: &str) -> (Sent, Sent) {
    let sent = world.request("INVITE", user, "");
    let invite = one(&sent, callee, "INVITE");
    let ringing = world.answer(&invite, "180 Ringing", "b", "");
    assert_eq!(kinds(&ringing, CALLER), ["180"]);
    let answered = world.answer(&invite, "200 OK", "b", "X-Own: 1\r\n");
    (one(&answered, CALLER, "200"), invite)
}

#[test]
fn responses_pass_as_they_are_but_for_our_via() {
    let mut world = World::new();
    let (ok, invite) = answered(&mut world, "100", ONE);
    let expected = format!(
        "SIP/2.0 200 OK\r\nVia: {}\r\n{}From: \"A\" <sip:a@a.example>;tag=a\r\n\
         To: <sip:b@b.example>;tag=b\r\nCall-ID: call-1\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:b@127.0.0.2:5070>\r\nX-Own: 1\r\nContent-Length: 0\r\n\r\n",
        invite.values("Via")[1],
        invite.lines("Record-Route")
    );
    assert_eq!(ok.text, expected);
}

#[test]
fn proxy_basic_call() {
    let mut world = World::new();
    let (ok, invite) = answered(&mut world, "100", ONE);
    assert_eq!(world.router.calls(), 0, "an answered call leaves no state");
    let ack = one(&world.caller_in_dialog("ACK", 1, &ok), ONE, "ACK");
    assert_eq!(ack.uri(), "sip:b@127.0.0.2:5070");
    assert_eq!((ack.header("Route"), ack.values("Via").len()), (None, 2));
    assert_eq!(ack.header("Max-Forwards"), Some("69"));
    let info = one(
        &world.callee_in_dialog("INFO", &invite, "b"),
        CALLER,
        "INFO",
    );
    assert_eq!(info.uri(), "sip:a@127.0.0.9:5080");
    let passed = world.answer(&info, "200 OK", "", "");
    assert_eq!(kinds(&passed, ONE), ["200"]);
    let bye = one(&world.caller_in_dialog("BYE", 2, &ok), ONE, "BYE");
    assert_eq!(bye.header("Record-Route"), None);
    let passed = world.answer(&bye, "200 OK", "", "");
    assert_eq!(one(&passed, CALLER, "200").values("Via").len(), 1);
    assert_eq!(world.counters().proxied, 4);
    world.assert_idle();
}

#[test]
fn every_copy_of_a_2xx_passes_and_none_is_made_here() {
    let mut world = World::new();
    let (ok, invite) = answered(&mut world, "100", ONE);
    assert_eq!(kinds(&world.seconds(5.0), CALLER), [""; 0]);
    let again = world.answer(&invite, "200 OK", "b", "X-Own: 1\r\n");
    assert_eq!(one(&again, CALLER, "200").text, ok.text);
    // RFC 3261 16.7 step 5: that of another early dialog too.
    let other = world.answer(&invite, "200 OK", "other", "");
    assert_eq!(kinds(&other, CALLER), ["200"]);
    world.seconds(40.0);
    let late = world.answer(&invite, "200 OK", "b", "");
    assert_eq!(
        kinds(&late, CALLER),
        [""; 0],
        "RFC 6026 7.3: no stray passes"
    );
    assert_eq!(world.counters().transactions.strays.total(), 1);
}

#[test]
fn early_dialogs_are_not_merged() {
    let mut world = World::new();
    let invite = one(&world.request("INVITE", "100", ""), ONE, "INVITE");
    for tag in ["one", "two"] {
        let passed = world.answer(&invite, "183 Session Progress", tag, "");
        let passed = one(&passed, CALLER, "183");
        assert!(passed.header("To").is_some_and(|to| to.ends_with(tag)));
    }
    world.answer(&invite, "486 Busy Here", "two", "");
    world.assert_idle();
}

#[test]
fn proxy_prack_passes() {
    let mut world = World::new();
    let invite = one(&world.request("INVITE", "100", ""), ONE, "INVITE");
    let more = "Require: 100rel\r\nRSeq: 4711\r\n";
    let ringing = world.answer(&invite, "183 Session Progress", "b", more);
    let ringing = one(&ringing, CALLER, "183");
    assert_eq!(ringing.header("RSeq"), Some("4711"));
    let prack = one(&world.caller_in_dialog("PRACK", 2, &ringing), ONE, "PRACK");
    let passed = world.answer(&prack, "200 OK", "", "");
    assert_eq!(kinds(&passed, CALLER), ["200"]);
    world.answer(&invite, "486 Busy Here", "b", "");
    world.assert_idle();
}

#[test]
fn another_listener_on_the_other_side_is_recorded_too() {
    let mut world = World::new();
    let (ok, invite) = answered(&mut world, "500", SIX);
    let recorded = invite.values("Record-Route");
    assert!(recorded[0].ends_with("@[::1]:5060;lr>"), "{recorded:?}");
    assert!(recorded[1].ends_with("@127.0.0.1:5060;lr>"), "{recorded:?}");
    let ack = one(&world.caller_in_dialog("ACK", 1, &ok), SIX, "ACK");
    assert_eq!(ack.header("Route"), None);
    assert!(ack.values("Via")[0].starts_with("SIP/2.0/UDP [::1]:5060"));
    let bye = one(&world.callee_in_dialog("BYE", &invite, "b"), CALLER, "BYE");
    assert!(bye.values("Via")[0].starts_with("SIP/2.0/UDP 127.0.0.1:5060"));
    world.answer(&bye, "200 OK", "", "");
    world.assert_idle();
}

#[test]
fn a_name_is_looked_up_before_the_invite_leaves() {
    let mut world = World::new();
    assert_eq!(kinds(&world.request("INVITE", "600", ""), ONE), [""; 0]);
    let sent = world.resolved(Some("127.0.0.2"));
    let invite = one(&sent, "127.0.0.2:5060", "INVITE");
    assert_eq!(invite.uri(), "sip:600@callee.example");
    let passed = world.answer(&invite, "200 OK", "b", "");
    assert_eq!(kinds(&passed, CALLER), ["200"]);
    world.assert_idle();
}

#[test]
fn a_name_without_an_address_is_a_500() {
    let mut world = World::new();
    world.request("INVITE", "600", "");
    assert_eq!(kinds(&world.resolved(None), CALLER), ["500"]);
    world.assert_idle();
}
