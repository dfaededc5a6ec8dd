//! `TransformEarlyToFinal` with `steerMedia`: every description the router passes on, in whatever form,
//! names the router, and media follows the last one.

use super::world::{CALLEE, CALLER, Sent, World, kinds, one, sdp, world};

/// PCMA, sequence number 1.
const PACKET: [u8; 16] = [
    0x80, 8, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4, 0xd5, 0xd5, 0xd5, 0xd5,
];

fn names_the_router(message: &Sent) -> u16 {
    assert!(
        message.body().contains("c=IN IP4 127.0.0.1\r\n"),
        "{message:?}"
    );
    assert!(!message.body().contains("127.0.0.2"), "{message:?}");
    let (_, media) = message.body().split_once("m=audio ").expect("audio");
    let port = media.split(' ').next().and_then(|port| port.parse().ok());
    port.expect("a port")
}

/// Where a packet goes that this party sends to this port of the router.
fn goes(world: &mut World, port: u16, from: &str) -> Option<String> {
    let socket = port - 20_000 + 1;
    let sent = world.receive_rtp(socket, from, &PACKET);
    sent.first().map(|(flow, _)| flow.remote.to_string())
}

/// The caller has the early answer; the ports it and the callee were told.
fn early() -> (World, [u16; 2]) {
    let mut world = world();
    let sent = world.call("4", "", &sdp(1, 4000, ""));
    let callees = names_the_router(&one(&sent, CALLEE, "INVITE"));
    let more = "Require: 100rel\r\nRSeq: 1\r\nAllow: UPDATE\r\n";
    let sent = world.ring("183 Session Progress", "x", more, &sdp(1, 6000, ""));
    let callers = names_the_router(&one(&sent, CALLER, "200"));
    world.ok(&one(&sent, CALLEE, "PRACK"));
    world.ack(1, "");
    (world, [callers, callees])
}

fn hang_up(mut world: World, tag: &str) {
    let sent = world.callee_sends("BYE", tag, "", "");
    world.ok(&one(&sent, CALLER, "BYE"));
    world.assert_idle();
}

#[test]
fn early_media_flows_both_ways_from_the_early_200() {
    let (mut world, [callers, callees]) = early();
    let to = goes(&mut world, callers, "127.0.0.2:4000");
    assert_eq!(to.as_deref(), Some("127.0.0.2:6000"));
    let to = goes(&mut world, callees, "127.0.0.2:6000");
    assert_eq!(to.as_deref(), Some("127.0.0.2:4000"));
    let sent = world.ring("200 OK", "x", "", &sdp(2, 6000, ""));
    assert_eq!(kinds(&sent, CALLER), [] as [&str; 0]);
    let to = goes(&mut world, callers, "127.0.0.2:4000");
    assert_eq!(to.as_deref(), Some("127.0.0.2:6000"));
    hang_up(world, "x");
}

#[test]
fn a_new_session_is_offered_with_our_ports_and_its_answer_is_followed() {
    for described in [true, false] {
        let (mut world, [callers, callees]) = early();
        let body = sdp(2, 6010, "a=ptime:30\r\n");
        world.ring("183 Session Progress", "y", "", &body);
        let body = if described { body } else { String::new() };
        let sent = world.ring("200 OK", "y", "", &body);
        let offer = one(&sent, CALLER, "INVITE");
        assert_eq!(names_the_router(&offer), callers);
        let sent = world.answer(&offer, "200 OK", "", "", &sdp(2, 4010, ""));
        assert_eq!(kinds(&sent, CALLEE), [] as [&str; 0]);
        let to = goes(&mut world, callees, "127.0.0.2:6010");
        assert_eq!(to.as_deref(), Some("127.0.0.2:4010"));
        let to = goes(&mut world, callers, "127.0.0.2:4010");
        assert_eq!(to.as_deref(), Some("127.0.0.2:6010"));
        hang_up(world, "y");
    }
}

#[test]
fn a_reinvite_that_becomes_update_crosses_the_same_door() {
    let (mut world, [callers, callees]) = early();
    let sent = world.caller_sends("INVITE", "", &sdp(2, 4020, ""));
    let update = one(&sent, CALLEE, "UPDATE");
    assert_eq!(names_the_router(&update), callees);
    let sent = world.answer(&update, "200 OK", "", "", &sdp(2, 6020, ""));
    assert_eq!(names_the_router(&one(&sent, CALLER, "200")), callers);
    world.ack(2, "");
    // The callee's 200 repeats the answer to the INVITE, which is not in force any more.
    world.ring("200 OK", "x", "", &sdp(1, 6000, ""));
    let to = goes(&mut world, callers, "127.0.0.2:4020");
    assert_eq!(to.as_deref(), Some("127.0.0.2:6020"));
    let to = goes(&mut world, callees, "127.0.0.2:6020");
    assert_eq!(to.as_deref(), Some("127.0.0.2:4020"));
    hang_up(world, "x");
}

#[test]
fn an_update_that_becomes_a_reinvite_crosses_the_same_door() {
    let (mut world, [callers, callees]) = early();
    let sent = world.callee_sends("UPDATE", "x", "", &sdp(2, 6020, ""));
    let invite = one(&sent, CALLER, "INVITE");
    assert_eq!(names_the_router(&invite), callers);
    let sent = world.answer(&invite, "200 OK", "", "", &sdp(2, 4020, ""));
    assert_eq!(names_the_router(&one(&sent, CALLEE, "200")), callees);
    let to = goes(&mut world, callees, "127.0.0.2:6020");
    assert_eq!(to.as_deref(), Some("127.0.0.2:4020"));
    world.ring("200 OK", "x", "", "");
    hang_up(world, "x");
}

#[test]
fn ports_are_free_as_soon_as_the_call_is_over() {
    let (mut world, _) = early();
    assert_eq!(world.counters().media.streams, 1);
    world.ring("486 Busy Here", "x", "", "");
    assert_eq!(world.counters().media.pairs_used, 0);
    let (mut world, _) = early();
    world.caller_sends("BYE", "", "");
    assert_eq!(world.counters().media.pairs_used, 0);
}
