//! Media that stops, and media that comes from a stranger.

use crate::*;

fn after(world: &mut World, seconds: u64) {
    world.now = world.now + Duration::from_secs(seconds);
    world.out.clear();
    world.router.handle_timeout(world.now, &mut world.out);
}

#[test]
fn a_call_whose_media_stops_is_ended_on_both_sides() {
    let mut world = World::with_silence(Duration::from_secs(20));
    let (invite, ok) = world.call("7", &audio("10.0.0.9", 4000), &audio("10.0.0.2", 6000));
    world.packet("10.0.0.9:4000", ok.port(0));
    world.packet("10.0.0.2:6000", invite.port(0));
    after(&mut world, 10);
    world.packet("10.0.0.2:6000", invite.port(0));
    after(&mut world, 15);
    assert!(world.heard(Caller).is_empty(), "one side still speaks");
    after(&mut world, 30);
    for side in [Caller, Callee] {
        let bye = world.heard_one(side);
        assert!(bye.start().starts_with("BYE"), "{bye:?}");
        let reason = bye.header("Reason");
        assert_eq!(reason, Some("Q.850;cause=41;text=\"Media Timeout\""));
    }
    let counters = world.router.counters();
    assert_eq!((counters.calls_silent, counters.media.pairs_used), (1, 0));
}

#[test]
fn a_held_call_may_be_silent() {
    for held in ["a=inactive\r\n", "c=IN IP4 0.0.0.0\r\na=inactive\r\n"] {
        let mut world = World::with_silence(Duration::from_secs(20));
        let (invite, _) = world.call("7", &audio("10.0.0.9", 4000), &audio("10.0.0.2", 6000));
        world.packet("10.0.0.2:6000", invite.port(0));
        let section = format!("m=audio 4000 RTP/AVP 0\r\n{held}");
        let reinvite = world.request(Caller, "INVITE", "", &sdp("10.0.0.9", 2, &section));
        let answer = sdp("10.0.0.2", 2, "m=audio 6000 RTP/AVP 0\r\na=inactive\r\n");
        world.answer(Callee, &reinvite, 200, "", &answer);
        world.ack(Caller, "");
        for _ in 0..10 {
            after(&mut world, 30);
        }
        assert_eq!(world.router.counters().calls_silent, 0);
        world.hang_up();
    }
}

#[test]
fn what_has_latched_stays_until_signalling_moves_it() {
    let mut world = World::new();
    let answer = audio("10.0.0.2", 6000);
    let invite = world.invite("7", "", &audio("10.0.0.9", 4000));
    world.answer(Callee, &invite, 183, "", &answer);
    // The callee is behind a NAT.
    assert!(world.packet("203.0.113.7:1111", invite.port(0)).is_some());
    let ok = world.answer(Callee, &invite, 200, "", &answer);
    world.ack(Caller, "");
    let callee = |world: &mut World| world.packet("10.0.0.9:4000", ok.port(0)).map(|(to, _)| to);
    assert_eq!(callee(&mut world).as_deref(), Some("203.0.113.7:1111"));
    // The same description again is no reason to listen to others.
    assert_eq!(world.packet("192.0.2.66:666", invite.port(0)), None);
    assert_eq!(callee(&mut world).as_deref(), Some("203.0.113.7:1111"));
    let update = world.request(Callee, "UPDATE", "", &audio("10.0.0.3", 6000));
    world.answer(Caller, &update, 200, "", &audio("10.0.0.9", 4000));
    assert_eq!(callee(&mut world).as_deref(), Some("10.0.0.3:6000"));
    world.hang_up();
}

#[test]
fn regression_a_callee_may_ring_in_silence_for_long() {
    // The simulator showed both: a call that rang was ended for its silence, and a caller behind NAT
    // who speaks only when answered was a stranger by then.
    let mut world = World::with_silence(Duration::from_secs(20));
    let answer = audio("10.0.0.2", 6000);
    let invite = world.invite("7", "", &audio("10.0.0.9", 4000));
    let ringing = world.answer(Callee, &invite, 183, "", &answer);
    after(&mut world, 30);
    assert!(world.heard(Caller).is_empty(), "it still rings");
    world.answer(Callee, &invite, 200, "", &answer);
    world.ack(Caller, "");
    after(&mut world, 2);
    let relayed = world.packet("203.0.113.9:1111", ringing.port(0));
    assert!(relayed.is_some(), "the caller's first packet");
    after(&mut world, 15);
    assert!(
        world.heard(Caller).is_empty(),
        "silence counts from the last packet"
    );
    assert_eq!(world.router.counters().calls_silent, 0);
    world.hang_up();
}
