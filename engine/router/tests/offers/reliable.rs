//! RFC 3262 between two that do it: numbers and PRACKs pass, each leg in its own sequence.

use super::world::{kinds, one, sdp};
use super::{CALLEE, CALLER, World, calling, hang_up, rack, refused, reliable, tag_of};

fn supported() -> World {
    calling("Supported: 100rel\r\n")
}

/// The caller acknowledges; to which early dialog, and as what, the callee hears of it.
#[track_caller]
fn prack(world: &mut World, rseq: u32) -> (String, String) {
    let sent = world.caller_sends("PRACK", &rack(rseq), "");
    let seen = one(&sent, CALLEE, "PRACK");
    let said = (tag_of(&seen), seen.header("RAck").expect("RAck").to_owned());
    let sent = world.answer(&seen, "200 OK", "", "", "");
    one(&sent, CALLER, "200");
    said
}

#[test]
fn a_reliable_18x_and_its_prack_pass() {
    let mut world = supported();
    let sent = world.ring("183 Session Progress", "x", &reliable(5), &sdp(1, 6000, ""));
    let early = one(&sent, CALLER, "183");
    assert_eq!(
        (early.header("RSeq"), early.header("Require")),
        (Some("5"), Some("100rel"))
    );
    assert_eq!(kinds(&sent, CALLEE), [] as [&str; 0]);
    let said = prack(&mut world, 5);
    assert_eq!(said, ("x".to_owned(), "5 1 INVITE".to_owned()));
    let sent = world.ring("200 OK", "x", "", "");
    assert_eq!(one(&sent, CALLER, "200").body(), "");
    world.ack(1, "");
    hang_up(world);
}

#[test]
fn a_prack_that_matches_nothing_is_481_and_one_without_rack_400() {
    let mut world = supported();
    world.ring("183 Session Progress", "x", &reliable(5), "");
    for wrong in ["RAck: 6 1 INVITE\r\n", "RAck: 5 2 INVITE\r\n"] {
        let sent = world.caller_sends("PRACK", wrong, "");
        assert_eq!(refused(&sent, CALLER), 481, "{wrong}");
    }
    for wrong in ["", "RAck: 5 INVITE\r\n"] {
        let sent = world.caller_sends("PRACK", wrong, "");
        assert_eq!(refused(&sent, CALLER), 400, "{wrong}");
    }
    prack(&mut world, 5);
    let sent = world.caller_sends("PRACK", &rack(5), "");
    assert_eq!(refused(&sent, CALLER), 481, "acknowledged");
    let sent = world.callee_sends("PRACK", "x", &rack(5), "");
    assert_eq!(refused(&sent, CALLEE), 481, "of nobody's INVITE");
}

#[test]
fn a_prack_may_be_tried_again_until_it_succeeds() {
    let mut world = supported();
    world.ring("183 Session Progress", "x", &reliable(5), "");
    let sent = world.caller_sends("PRACK", &rack(5), "");
    let sent = world.answer(
        &one(&sent, CALLEE, "PRACK"),
        "401 Unauthorized",
        "",
        "WWW-Authenticate: Digest realm=\"x\"\r\n",
        "",
    );
    one(&sent, CALLER, "401");
    assert_eq!(prack(&mut world, 5).1, "5 1 INVITE");
    let sent = world.caller_sends("PRACK", &rack(5), "");
    assert_eq!(refused(&sent, CALLER), 481);
}

#[test]
fn a_repeated_18x_is_repeated_under_its_number_until_the_prack() {
    let mut world = supported();
    for _ in 0..2 {
        let sent = world.ring("183 Session Progress", "x", &reliable(5), &sdp(1, 6000, ""));
        assert_eq!(one(&sent, CALLER, "183").header("RSeq"), Some("5"));
    }
    prack(&mut world, 5);
    for rseq in [5, 4, 7] {
        let sent = world.ring("183 Session Progress", "x", &reliable(rseq), "");
        assert!(sent.is_empty(), "{rseq}: {sent:#?}");
    }
    assert_eq!(world.counters().provisionals_discarded, 3);
    let sent = world.ring("180 Ringing", "x", &reliable(6), "");
    assert_eq!(one(&sent, CALLER, "180").header("RSeq"), Some("6"));
}

#[test]
fn forks_count_for_themselves_and_the_caller_has_one_sequence() {
    let mut world = supported();
    world.ring("183 Session Progress", "x", &reliable(500), "");
    let sent = world.ring("183 Session Progress", "y", &reliable(7), "");
    assert!(sent.is_empty(), "the first is not acknowledged: {sent:#?}");
    assert_eq!(prack(&mut world, 500).0, "x");

    let sent = world.ring("183 Session Progress", "y", &reliable(7), "");
    let early = one(&sent, CALLER, "183");
    assert_eq!(early.header("RSeq"), Some("501"));
    assert_eq!(early.text.matches("RSeq").count(), 1);
    assert_eq!(early.header("Require"), Some("100rel"));
    let again = world.ring("183 Session Progress", "y", &reliable(7), "");
    assert_eq!(one(&again, CALLER, "183").header("RSeq"), Some("501"));
    // An ordinary provisional of the other one in between changes nothing.
    world.ring("180 Ringing", "x", "", "");
    let said = prack(&mut world, 501);
    assert_eq!(said, ("y".to_owned(), "7 1 INVITE".to_owned()));

    let sent = world.ring("180 Ringing", "x", &reliable(501), "");
    assert_eq!(one(&sent, CALLER, "180").header("RSeq"), Some("502"));
    let said = prack(&mut world, 502);
    assert_eq!(said, ("x".to_owned(), "501 1 INVITE".to_owned()));
    world.ring("200 OK", "y", "", &sdp(1, 6000, ""));
    let sent = world.ack(1, "");
    assert_eq!(tag_of(&one(&sent, CALLEE, "ACK")), "y");
    hang_up(world);
}

#[test]
fn a_fork_that_has_gone_unheard_holds_nobody_up() {
    let mut world = supported();
    world.ring("183 Session Progress", "x", &reliable(500), "");
    assert!(
        world
            .ring("183 Session Progress", "y", &reliable(7), "")
            .is_empty()
    );
    world.seconds(2);
    let sent = world.ring("183 Session Progress", "y", &reliable(7), "");
    assert_eq!(one(&sent, CALLER, "183").header("RSeq"), Some("500"));
    let said = prack(&mut world, 500);
    assert_eq!(said, ("y".to_owned(), "7 1 INVITE".to_owned()));
}

#[test]
fn who_never_hears_of_its_18x_ends_the_call_and_its_answer_passes() {
    // RFC 3262 3: the callee repeats it for 64*T1, then rejects.
    let mut world = supported();
    for wait in [0, 500, 1000, 2000, 4000, 8000, 16_000] {
        world.pass(std::time::Duration::from_millis(wait));
        let sent = world.ring("183 Session Progress", "x", &reliable(5), "");
        assert_eq!(kinds(&sent, CALLER), ["183"]);
        assert_eq!(
            kinds(&sent, CALLEE),
            [] as [&str; 0],
            "no PRACK of the router's"
        );
    }
    let sent = world.ring("504 Server Time-out", "x", "", "");
    one(&sent, CALLER, "504");
    world.ack(1, "");
    world.assert_idle();
}

#[test]
fn ordinary_provisionals_pass_to_a_caller_that_would_do_more() {
    let mut world = supported();
    let sent = world.ring("180 Ringing", "x", "", "");
    let ringing = one(&sent, CALLER, "180");
    assert_eq!(
        (ringing.header("RSeq"), ringing.header("Require")),
        (None, None)
    );
    // An RSeq alone makes none reliable.
    let sent = world.ring("180 Ringing", "x", "RSeq: 9\r\n", "");
    one(&sent, CALLER, "180");
    let sent = world.caller_sends("PRACK", &rack(9), "");
    assert_eq!(refused(&sent, CALLER), 481);
}

#[test]
fn a_callee_that_cannot_do_what_the_caller_insists_on_says_so() {
    let mut world = calling("Require: 100rel\r\n");
    let invite = world.invite.clone().expect("an INVITE");
    assert_eq!(invite.header("Require"), Some("100rel"));
    let sent = world.ring("420 Bad Extension", "x", "Unsupported: 100rel\r\n", "");
    assert_eq!(
        one(&sent, CALLER, "420").header("Unsupported"),
        Some("100rel")
    );
    world.ack(1, "");
    world.assert_idle();
}

#[test]
fn the_offer_in_a_prack_is_answered_in_its_200() {
    let mut world = supported();
    world.ring("183 Session Progress", "x", &reliable(5), &sdp(1, 6000, ""));
    let offer = sdp(2, 4002, "a=sendonly\r\n");
    let sent = world.caller_sends("PRACK", &rack(5), &offer);
    let seen = one(&sent, CALLEE, "PRACK");
    assert_eq!(seen.body(), offer);
    // RFC 3311 5.2: until its answer no other one.
    let sent = world.callee_sends("UPDATE", "x", "", &sdp(2, 6002, ""));
    assert_eq!(refused(&sent, CALLEE), 491);
    let sent = world.caller_sends("UPDATE", "", &sdp(3, 4004, ""));
    assert_eq!(refused(&sent, CALLER), 500);
    let sent = world.answer(&seen, "200 OK", "", "", &sdp(2, 6000, "a=recvonly\r\n"));
    assert_eq!(
        one(&sent, CALLER, "200").body(),
        sdp(2, 6000, "a=recvonly\r\n")
    );
    let sent = world.callee_sends("UPDATE", "x", "", &sdp(3, 6002, ""));
    one(&sent, CALLER, "UPDATE");
}

#[test]
fn an_offer_in_a_reliable_18x_is_answered_in_its_prack() {
    let mut world = super::world::world();
    world.call("5", "Supported: 100rel\r\n", "");
    world.ring("183 Session Progress", "x", &reliable(5), &sdp(1, 6000, ""));
    let sent = world.caller_sends("UPDATE", "", &sdp(1, 4000, ""));
    assert_eq!(refused(&sent, CALLER), 491, "it owes an answer");
    let sent = world.caller_sends("PRACK", &rack(5), &sdp(1, 4000, ""));
    let seen = one(&sent, CALLEE, "PRACK");
    assert_eq!(seen.body(), sdp(1, 4000, ""));
    world.answer(&seen, "200 OK", "", "", "");
    let sent = world.caller_sends("UPDATE", "", &sdp(2, 4002, ""));
    one(&sent, CALLEE, "UPDATE");
}
