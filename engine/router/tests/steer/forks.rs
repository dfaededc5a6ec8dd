//! Answers of several phones: each is heard while it speaks, and the one that is answered wins.

use crate::*;

fn callee_is_at(world: &mut World, port: u16) -> Option<String> {
    world.packet("10.0.0.9:4000", port).map(|(to, _)| to)
}

#[test]
fn the_fork_that_spoke_last_gets_the_packets_and_the_2xx_decides() {
    let mut world = World::new();
    let invite = world.invite("7", "", &audio("10.0.0.9", 4000));
    let one = world.answer_as(Callee, &invite, "b1", 183, "", &audio("10.0.0.2", 6000));
    let port = one.port(0);
    assert_eq!(
        callee_is_at(&mut world, port).as_deref(),
        Some("10.0.0.2:6000")
    );
    let two = world.answer_as(Callee, &invite, "b2", 183, "", &audio("10.0.0.3", 6000));
    assert_eq!(two.port(0), port);
    assert_eq!(
        callee_is_at(&mut world, port).as_deref(),
        Some("10.0.0.3:6000")
    );
    let ok = world.answer_as(Callee, &invite, "b1", 200, "", &audio("10.0.0.2", 6000));
    assert_eq!(
        callee_is_at(&mut world, port).as_deref(),
        Some("10.0.0.2:6000")
    );
    assert_eq!(ok.version(), 1, "the caller has heard one text all along");
    world.ack(Caller, "");
    world.hang_up();
}

#[test]
fn a_2xx_without_an_answer_is_of_the_fork_that_gave_its_own_before() {
    let mut world = World::new();
    let invite = world.invite("7", "Supported: 100rel\r\n", &audio("10.0.0.9", 4000));
    let one = world.answer_as(
        Callee,
        &invite,
        "b1",
        183,
        RELIABLE,
        &audio("10.0.0.2", 6000),
    );
    // The caller hears of one reliable provisional at a time.
    let prack = world.request(Caller, "PRACK", RACK, "");
    world.answer(Callee, &prack, 200, "", "");
    world.answer_as(
        Callee,
        &invite,
        "b2",
        183,
        RELIABLE,
        &audio("10.0.0.3", 6000),
    );
    assert_eq!(
        callee_is_at(&mut world, one.port(0)).as_deref(),
        Some("10.0.0.3:6000")
    );
    world.answer_as(Callee, &invite, "b1", 200, "", "");
    assert_eq!(
        callee_is_at(&mut world, one.port(0)).as_deref(),
        Some("10.0.0.2:6000")
    );
    world.phones.get_mut(&Caller).unwrap().cseq = 1;
    world.ack(Caller, "");
    world.phones.get_mut(&Caller).unwrap().cseq = 2;
    world.hang_up();
}

#[test]
fn what_one_fork_refuses_another_may_take_until_the_call_is_answered() {
    let mut world = World::new();
    let lines = |address, video| {
        let sections = format!("m=audio 4000 RTP/AVP 0\r\nm=video {video} RTP/AVP 31\r\n");
        sdp(address, 1, &sections)
    };
    let invite = world.invite("7", "", &lines("10.0.0.9", 4200));
    let one = world.answer_as(Callee, &invite, "b1", 183, "", &lines("10.0.0.2", 0));
    assert_eq!((one.port(1), world.router.counters().media.streams), (0, 2));
    let two = world.answer_as(Callee, &invite, "b2", 183, "", &lines("10.0.0.3", 6200));
    assert!(two.port(1) > 0);
    let sent = world.packet("10.0.0.9:4200", two.port(1)).map(|(to, _)| to);
    assert_eq!(sent.as_deref(), Some("10.0.0.3:6200"));
    world.answer_as(Callee, &invite, "b1", 200, "", &lines("10.0.0.2", 0));
    assert_eq!(world.router.counters().media.streams, 1);
    world.ack(Caller, "");
    world.hang_up();
}
