//! `TransformEarlyToFinal` and RFC 3262: reliable provisionals end at the router.

use super::world::{CALLEE, CALLER, Sent, World, kinds, one, sdp, world};

const RELIABLE: &str = "Require: 100rel\r\nRSeq: 5\r\n";

fn called(more: &str) -> World {
    let mut world = world();
    world.call("7", more, &sdp(1, 4000, ""));
    world
}

fn rack(sent: &[Sent]) -> String {
    let prack = one(sent, CALLEE, "PRACK");
    prack.header("RAck").expect("RAck").to_owned()
}

#[test]
fn the_callee_is_offered_100rel_and_no_session_timer() {
    for supported in [
        "",
        "Supported: timer\r\n",
        "Supported: path, 100rel, timer\r\n",
    ] {
        let more = format!("{supported}Session-Expires: 1800\r\nMin-SE: 90\r\n");
        let invite = called(&more).invite.expect("an INVITE");
        let supported = invite.values("Supported");
        assert!(supported.contains(&"100rel"), "{supported:?}");
        assert_eq!(invite.text.matches("100rel").count(), 1);
        assert!(!invite.text.contains("timer"));
        assert_eq!(
            (invite.header("Session-Expires"), invite.header("Min-SE")),
            (None, None)
        );
    }
}

#[test]
fn a_reliable_18x_is_pracked_here_and_unreliable_to_the_caller() {
    let mut world = called("Supported: 100rel\r\n");
    let sent = world.ring(
        "180 Ringing",
        "x",
        "Require: foo, 100rel\r\nRSeq: 5\r\n",
        "",
    );
    assert_eq!(rack(&sent), "5 1 INVITE");
    let ringing = one(&sent, CALLER, "180");
    assert_eq!(
        (ringing.header("RSeq"), ringing.header("Require")),
        (None, Some("foo"))
    );
    // The caller has nothing to PRACK.
    let sent = world.caller_sends("PRACK", "RAck: 5 1 INVITE\r\n", "");
    assert_eq!(
        (kinds(&sent, CALLER), kinds(&sent, CALLEE)),
        (vec!["481".to_owned()], vec![])
    );
}

#[test]
fn a_reliable_18x_with_sdp_is_pracked_and_becomes_200() {
    let mut world = called("");
    let sent = world.ring("183 Session Progress", "x", RELIABLE, &sdp(1, 6000, ""));
    assert_eq!(rack(&sent), "5 1 INVITE");
    let answer = one(&sent, CALLER, "200");
    assert_eq!(
        (answer.header("RSeq"), answer.header("Require")),
        (None, None)
    );
}

#[test]
fn swallowed_18x_are_pracked_too() {
    let mut world = called("");
    world.ring("183 Session Progress", "x", RELIABLE, &sdp(1, 6000, ""));
    let sent = world.ring("180 Ringing", "x", "Require: 100rel\r\nRSeq: 6\r\n", "");
    assert_eq!(rack(&sent), "6 1 INVITE");
    assert_eq!(kinds(&sent, CALLER), [] as [&str; 0]);
}

#[test]
fn a_repeated_or_overtaking_18x_is_not_looked_at() {
    let mut world = called("");
    world.ring("180 Ringing", "x", RELIABLE, "");
    for rseq in [5, 7, 4] {
        let more = format!("Require: 100rel\r\nRSeq: {rseq}\r\n");
        let sent = world.ring("183 Session Progress", "x", &more, &sdp(1, 6000, ""));
        assert!(sent.is_empty(), "{rseq}: {sent:#?}");
    }
    let sent = world.ring(
        "183 Session Progress",
        "x",
        "Require: 100rel\r\nRSeq: 6\r\n",
        &sdp(1, 6000, ""),
    );
    assert_eq!(rack(&sent), "6 1 INVITE");
    one(&sent, CALLER, "200");
}

#[test]
fn each_fork_counts_its_own_rseq_and_gets_its_own_prack() {
    let mut world = called("");
    world.ring("180 Ringing", "x", RELIABLE, "");
    let sent = world.ring("180 Ringing", "y", "Require: 100rel\r\nRSeq: 900\r\n", "");
    let prack = one(&sent, CALLEE, "PRACK");
    assert_eq!(prack.header("RAck"), Some("900 1 INVITE"));
    assert!(prack.header("To").is_some_and(|to| to.ends_with(";tag=y")));
    let sent = world.ring("180 Ringing", "x", "Require: 100rel\r\nRSeq: 6\r\n", "");
    let prack = one(&sent, CALLEE, "PRACK");
    assert!(prack.header("To").is_some_and(|to| to.ends_with(";tag=x")));
}

#[test]
fn a_caller_that_insists_on_reliable_provisionals_gets_none_that_is_not() {
    let mut world = called("Require: 100rel\r\n");
    let sent = world.ring("180 Ringing", "x", RELIABLE, "");
    assert_eq!(rack(&sent), "5 1 INVITE");
    assert_eq!(kinds(&sent, CALLER), [] as [&str; 0]);
    let sent = world.ring(
        "183 Session Progress",
        "x",
        "Require: 100rel\r\nRSeq: 6\r\n",
        &sdp(1, 6000, ""),
    );
    one(&sent, CALLER, "200");
}
