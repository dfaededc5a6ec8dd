//! RFC 3262 with a callee whose caller does not do it: the router PRACKs, the caller hears ordinary
//! provisionals; and a callee that insists gets its way.

use std::sync::Arc;

use tipring_router::{Command, Peer, Peers, Reliable};

use super::world::{kinds, one, sdp, world};
use super::{CALLEE, CALLER, Sent, World, calling, hang_up, refused, reliable, tag_of};

/// A world whose callee is treated so.
fn treated(reliable: Reliable) -> World {
    let mut world = world();
    let peer = Peer {
        reliable,
        ..Peer::default()
    };
    let callee = "127.0.0.2".parse().expect("an address");
    let peers = Arc::new(Peers::new([(callee, 32, peer)]));
    world.command(&Command::Peers(peers));
    world
}

#[track_caller]
fn pracked(sent: &[Sent]) -> (String, String) {
    let prack = one(sent, CALLEE, "PRACK");
    (
        tag_of(&prack),
        prack.header("RAck").expect("RAck").to_owned(),
    )
}

#[test]
fn a_reliable_18x_is_pracked_and_ordinary_for_the_caller() {
    let mut world = calling("");
    let require = "Require: foo, 100rel\r\nRSeq: 5\r\n";
    let sent = world.ring("183 Session Progress", "x", require, &sdp(1, 6000, ""));
    assert_eq!(pracked(&sent), ("x".to_owned(), "5 1 INVITE".to_owned()));
    let early = one(&sent, CALLER, "183");
    assert_eq!(
        (early.header("RSeq"), early.header("Require")),
        (None, Some("foo"))
    );
    assert_eq!(early.body(), sdp(1, 6000, ""));
    // The 200 to our PRACK goes no further, nor does a PRACK of the caller's.
    let prack = one(&sent, CALLEE, "PRACK");
    assert!(world.answer(&prack, "200 OK", "", "", "").is_empty());
    let sent = world.caller_sends("PRACK", "RAck: 5 1 INVITE\r\n", "");
    assert_eq!(refused(&sent, CALLER), 481);
    assert_eq!(world.counters().pracks, 1);
}

#[test]
fn a_200_without_the_answer_says_it_again_to_who_heard_it_unreliably() {
    for (own, expected) in [("", sdp(1, 6000, "")), ("own", sdp(1, 6010, ""))] {
        let mut world = calling("");
        world.ring("183 Session Progress", "x", &reliable(5), &sdp(1, 6000, ""));
        let body = match own {
            "" => String::new(),
            _ => sdp(1, 6010, ""),
        };
        let sent = world.ring("200 OK", "x", "X-Any: thing\r\n", &body);
        let answer = one(&sent, CALLER, "200");
        assert_eq!(answer.body(), expected);
        assert_eq!(answer.values("Content-Type"), ["application/sdp"]);
        assert_eq!(answer.header("X-Any"), Some("thing"));
        assert_eq!(answer.values("Contact").len(), 1);
        world.ack(1, "");
        hang_up(world);
    }
}

#[test]
fn what_another_exchange_has_replaced_is_not_said_again() {
    let mut world = calling("");
    world.ring("183 Session Progress", "x", &reliable(5), &sdp(1, 6000, ""));
    let sent = world.callee_sends("UPDATE", "x", "", &sdp(2, 6002, ""));
    let update = one(&sent, CALLER, "UPDATE");
    world.answer(&update, "200 OK", "", "", &sdp(2, 4000, ""));
    let sent = world.ring("200 OK", "x", "", "");
    assert_eq!(one(&sent, CALLER, "200").body(), "");
}

#[test]
fn the_answer_of_another_fork_is_not_taken_for_it() {
    let mut world = calling("");
    world.ring("183 Session Progress", "x", &reliable(5), &sdp(1, 6000, ""));
    let sent = world.ring("183 Session Progress", "y", &reliable(5), &sdp(1, 6010, ""));
    assert_eq!(pracked(&sent), ("y".to_owned(), "5 1 INVITE".to_owned()));
    let sent = world.ring("200 OK", "x", "", "");
    assert_eq!(one(&sent, CALLER, "200").body(), sdp(1, 6000, ""));
}

#[test]
fn repetitions_and_what_is_out_of_order_go_no_further() {
    let mut world = calling("");
    world.ring("180 Ringing", "x", &reliable(5), "");
    for rseq in [5, 7, 4] {
        let sent = world.ring("183 Session Progress", "x", &reliable(rseq), "");
        assert!(sent.is_empty(), "{rseq}: {sent:#?}");
    }
    let sent = world.ring("183 Session Progress", "x", &reliable(6), "");
    assert_eq!(pracked(&sent).1, "6 1 INVITE");
    one(&sent, CALLER, "183");
}

#[test]
fn a_lost_prack_is_repeated_by_its_transaction() {
    let mut world = calling("");
    world.ring("180 Ringing", "x", &reliable(5), "");
    let sent = world.seconds(1);
    one(&sent, CALLEE, "PRACK");
}

#[test]
fn a_callee_that_insists_gets_another_invite_with_100rel() {
    let mut world = calling("Supported: timer\r\nX-Any: thing\r\n");
    let first = world.invite.clone().expect("an INVITE");
    let sent = world.ring("421 Extension Required", "x", "Require: 100rel\r\n", "");
    assert_eq!(kinds(&sent, CALLER), [] as [&str; 0]);
    one(&sent, CALLEE, "ACK");
    let second = one(&sent, CALLEE, "INVITE");
    assert_eq!(second.values("Supported"), ["100rel", "timer"]);
    assert_eq!(second.header("CSeq"), Some("2 INVITE"));
    for same in [
        "Call-ID",
        "From",
        "To",
        "Contact",
        "X-Any",
        "Max-Forwards",
        "Content-Type",
    ] {
        assert_eq!(second.header(same), first.header(same), "{same}");
    }
    assert_ne!(second.header("Via"), first.header("Via"));
    assert_eq!(second.values("Via").len(), 1);
    assert_eq!(second.body(), first.body());
    assert_eq!(world.counters().invites_extended, 1);

    world.invite = Some(second);
    let sent = world.ring("183 Session Progress", "y", &reliable(9), &sdp(1, 6000, ""));
    assert_eq!(pracked(&sent), ("y".to_owned(), "9 2 INVITE".to_owned()));
    one(&sent, CALLER, "183");
    let sent = world.ring("200 OK", "y", "", "");
    assert_eq!(one(&sent, CALLER, "200").body(), sdp(1, 6000, ""));
    let sent = world.ack(1, "");
    assert_eq!(one(&sent, CALLEE, "ACK").header("CSeq"), Some("2 ACK"));
    hang_up(world);
}

#[test]
fn a_call_that_was_extended_can_be_cancelled() {
    let mut world = calling("");
    let sent = world.ring("421 Extension Required", "x", "Require: 100rel\r\n", "");
    world.invite = Some(one(&sent, CALLEE, "INVITE"));
    world.ring("180 Ringing", "y", "", "");
    let sent = world.cancel();
    assert_eq!(
        one(&sent, CALLEE, "CANCEL").header("CSeq"),
        Some("2 CANCEL")
    );
    let sent = world.ring("487 Request Terminated", "y", "", "");
    one(&sent, CALLEE, "ACK");
    world.ack(1, "");
    world.assert_idle();
}

#[test]
fn other_421_pass() {
    let again = |world: &mut World| {
        let sent = world.ring("421 Extension Required", "x", "Require: 100rel\r\n", "");
        world.invite = Some(one(&sent, CALLEE, "INVITE"));
    };
    let mut twice = calling("");
    again(&mut twice);
    let mut delayed = world();
    delayed.call("5", "", "");
    let mut passing = treated(Reliable::Pass);
    passing.call("5", "", &sdp(1, 4000, ""));
    for (what, mut world, require) in [
        ("a second time", twice, "Require: 100rel\r\n"),
        ("another option", calling(""), "Require: 100rel, foo\r\n"),
        ("no option", calling(""), ""),
        (
            "offered",
            calling("Supported: 100rel\r\n"),
            "Require: 100rel\r\n",
        ),
        ("no offer", delayed, "Require: 100rel\r\n"),
        ("configured", passing, "Require: 100rel\r\n"),
    ] {
        let sent = world.ring("421 Extension Required", "x", require, "");
        assert_eq!(kinds(&sent, CALLER), ["421"], "{what}");
        assert_eq!(kinds(&sent, CALLEE), ["ACK"], "{what}");
        world.ack(1, "");
        world.assert_idle();
    }
}

#[test]
fn an_offer_that_nobody_could_answer_is_not_acknowledged() {
    // RFC 3262 5: the answer would have to be in the PRACK.
    let mut world = world();
    world.call("5", "", "");
    let sent = world.ring("183 Session Progress", "x", &reliable(5), &sdp(1, 6000, ""));
    assert_eq!(kinds(&sent, CALLEE), [] as [&str; 0]);
    let early = one(&sent, CALLER, "183");
    assert_eq!(
        (early.header("RSeq"), early.header("Require")),
        (None, None)
    );
    let sent = world.ring("200 OK", "x", "", &sdp(1, 6000, ""));
    one(&sent, CALLER, "200");
    let sent = world.ack(1, &sdp(1, 4000, ""));
    assert_eq!(one(&sent, CALLEE, "ACK").body(), sdp(1, 4000, ""));
    hang_up(world);
}

#[test]
fn a_peer_may_be_left_alone() {
    let mut world = treated(Reliable::Pass);
    world.call("5", "", &sdp(1, 4000, ""));
    let sent = world.ring("183 Session Progress", "x", &reliable(5), "");
    assert_eq!(one(&sent, CALLER, "183").header("RSeq"), Some("5"));
    assert_eq!(kinds(&sent, CALLEE), [] as [&str; 0]);
}

#[test]
fn a_peer_may_be_offered_100rel_from_the_first() {
    for (more, body, expected) in [
        ("", sdp(1, 4000, ""), 1),
        ("Supported: 100rel\r\n", sdp(1, 4000, ""), 1),
        ("Require: 100rel\r\n", sdp(1, 4000, ""), 1),
        ("", String::new(), 0),
    ] {
        let mut world = treated(Reliable::Offer);
        world.call("5", more, &body);
        let invite = world.invite.clone().expect("an INVITE");
        assert_eq!(invite.text.matches("100rel").count(), expected, "{more}");
    }
}
