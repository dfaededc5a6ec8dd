//! Offers that are not in the INVITE: in 18x and 2xx, answered in PRACK and ACK; offers in PRACK and
//! UPDATE.

use crate::*;

fn relays(world: &mut World, ports: (u16, u16)) {
    let sent = world.packet("10.0.0.9:4000", ports.0).map(|(to, _)| to);
    assert_eq!(sent.as_deref(), Some("10.0.0.2:6000"));
    let sent = world.packet("10.0.0.2:6000", ports.1).map(|(to, _)| to);
    assert_eq!(sent.as_deref(), Some("10.0.0.9:4000"));
}

#[test]
fn the_callee_offers_in_its_200_and_the_ack_answers() {
    let mut world = World::new();
    let invite = world.invite("7", "", "");
    assert_eq!(world.router.counters().media.streams, 0);
    let ok = world.answer(Callee, &invite, 200, "", &audio("10.0.0.2", 6000));
    assert!(!ok.body().contains("10.0.0.2"), "{ok:?}");
    let ack = world.ack(Caller, &audio("10.0.0.9", 4000));
    assert!(!ack.body().contains("10.0.0.9"), "{ack:?}");
    relays(&mut world, (ok.port(0), ack.port(0)));
    world.hang_up();
}

#[test]
fn an_ack_without_the_answer_leaves_no_stream() {
    let mut world = World::new();
    let invite = world.invite("7", "", "");
    world.answer(Callee, &invite, 200, "", &audio("10.0.0.2", 6000));
    assert_eq!(world.router.counters().media.streams, 1);
    world.ack(Caller, "");
    assert_eq!(world.router.counters().media.streams, 0);
    world.hang_up();
}

#[test]
fn the_callee_offers_in_a_reliable_18x_and_the_prack_answers() {
    let mut world = World::new();
    let invite = world.invite("7", "Supported: 100rel\r\n", "");
    let ringing = world.answer(Callee, &invite, 183, RELIABLE, &audio("10.0.0.2", 6000));
    let prack = world.request(Caller, "PRACK", RACK, &audio("10.0.0.9", 4000));
    relays(&mut world, (ringing.port(0), prack.port(0)));
    world.answer(Callee, &prack, 200, "", "");
    let ok = world.answer(Callee, &invite, 200, "", "");
    assert!(ok.body().is_empty());
    world.phones.get_mut(&Caller).unwrap().cseq = 1;
    world.ack(Caller, "");
    relays(&mut world, (ringing.port(0), prack.port(0)));
    world.phones.get_mut(&Caller).unwrap().cseq = 2;
    world.hang_up();
}

#[test]
fn an_offer_in_prack_is_answered_in_its_200_and_one_in_update_too() {
    let mut world = World::new();
    let invite = world.invite("7", "Supported: 100rel\r\n", &audio("10.0.0.9", 4900));
    let ringing = world.answer(Callee, &invite, 183, RELIABLE, &audio("10.0.0.2", 6900));
    let prack = world.request(Caller, "PRACK", RACK, &audio("10.0.0.9", 4500));
    // An offer that has no answer moves nothing.
    let sent = world
        .packet("10.0.0.2:6900", invite.port(0))
        .map(|(to, _)| to);
    assert_eq!(sent.as_deref(), Some("10.0.0.9:4900"));
    world.answer(Callee, &prack, 200, "", &audio("10.0.0.2", 6900));
    let sent = world
        .packet("10.0.0.2:6900", invite.port(0))
        .map(|(to, _)| to);
    assert_eq!(sent.as_deref(), Some("10.0.0.9:4500"));
    let update = world.request(Callee, "UPDATE", "", &audio("10.0.0.2", 6000));
    let answered = world.answer(Caller, &update, 200, "", &audio("10.0.0.9", 4000));
    assert!(!update.body().contains("10.0.0.") && !answered.body().contains("10.0.0."));
    relays(&mut world, (ringing.port(0), invite.port(0)));
    assert_eq!(
        (update.port(0), answered.port(0)),
        (ringing.port(0), invite.port(0))
    );
    let bye = world.request(Caller, "BYE", "", "");
    assert!(
        bye.start().contains("200") || bye.start().starts_with("CANCEL"),
        "{bye:?}"
    );
    assert_eq!(world.router.counters().media.streams, 0);
}

#[test]
fn offers_that_cross_are_refused_each_in_its_way() {
    let mut world = World::new();
    world.call("7", &audio("10.0.0.9", 4000), &audio("10.0.0.2", 6000));
    let first = world.request(Caller, "UPDATE", "", &audio("10.0.0.9", 4002));
    assert!(first.start().starts_with("UPDATE"));
    let glare = world.request(Callee, "UPDATE", "", &audio("10.0.0.2", 6002));
    assert_eq!(glare.code(), 491);
    let twice = world.request(Caller, "UPDATE", "", &audio("10.0.0.9", 4004));
    assert_eq!(twice.code(), 500);
    assert!(twice.header("Retry-After").is_some());
    let ok = world.answer(Callee, &first, 200, "", &audio("10.0.0.2", 6000));
    assert_eq!(ok.code(), 200);
    let sent = world
        .packet("10.0.0.2:6000", first.port(0))
        .map(|(to, _)| to);
    assert_eq!(sent.as_deref(), Some("10.0.0.9:4002"));
    world.hang_up();
}
