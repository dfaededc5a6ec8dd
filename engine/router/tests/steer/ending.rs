//! However a call ends, its ports are free and what became of its streams is told.

use crate::*;

fn ringing() -> (World, Seen) {
    let mut world = World::new();
    let invite = world.invite("7", "", &audio("10.0.0.9", 4000));
    world.answer(Callee, &invite, 183, "", &audio("10.0.0.2", 6000));
    assert_eq!(world.router.counters().media.pairs_used, 2);
    (world, invite)
}

fn assert_free(world: &mut World) {
    let counters = world.router.counters().media;
    assert_eq!((counters.streams, counters.pairs_used), (0, 0));
    let ended = |event: &Event| matches!(event, Event::MediaEnded(_));
    assert_eq!(
        world.events().iter().filter(|event| ended(event)).count(),
        1
    );
    world.now = world.now + Duration::from_secs(60);
    world.router.handle_timeout(world.now, &mut Outbox::new());
}

#[test]
fn at_a_rejection() {
    let (mut world, invite) = ringing();
    assert_eq!(world.answer(Callee, &invite, 486, "", "").code(), 486);
    assert_free(&mut world);
}

#[test]
fn at_a_cancel() {
    let (mut world, _) = ringing();
    // The same branch as the INVITE (RFC 3261 9.1).
    world.branches -= 1;
    let phone = world.phones.get_mut(&Caller).unwrap();
    phone.cseq -= 1;
    phone.target = "sip:7@127.0.0.1".to_owned();
    phone.peer = "<sip:b@b.example>".to_owned();
    let cancel = world.request(Caller, "CANCEL", "", "");
    assert!(cancel.start().starts_with("CANCEL"), "{cancel:?}");
    assert_free(&mut world);
}

#[test]
fn at_silence_of_the_callee() {
    let (mut world, _) = ringing();
    world.now = world.now + Duration::from_secs(600);
    world.router.handle_timeout(world.now, &mut world.out);
    assert_free(&mut world);
}

#[test]
fn at_the_bye_of_either_side_and_not_at_its_answer() {
    for side in [Caller, Callee] {
        let mut world = World::new();
        world.call("7", &audio("10.0.0.9", 4000), &audio("10.0.0.2", 6000));
        world.request(side, "BYE", "", "");
        assert_free(&mut world);
    }
}

#[test]
fn the_summary_names_the_call_and_the_line() {
    let mut world = World::new();
    let (invite, ok) = world.call("7", &audio("10.0.0.9", 4000), &audio("10.0.0.2", 6000));
    world.packet("10.0.0.9:4000", ok.port(0));
    world.packet("10.0.0.2:6000", invite.port(0));
    world.packet("10.0.0.2:6000", invite.port(0));
    world.hang_up();
    let events = world.events();
    let [Event::MediaEnded(ended)] = events.as_slice() else {
        panic!("one stream has ended: {events:?}");
    };
    assert_eq!(ended.line, 0);
    assert!(ok.header("To").unwrap().ends_with(&ended.call), "{ended:?}");
    let summary = &ended.summary;
    assert_eq!(
        (summary.from_caller.packets, summary.from_callee.packets),
        (1, 2)
    );
}

#[test]
fn events_that_nobody_takes_do_not_pile_up() {
    let mut world = World::new();
    for _ in 0..4200 {
        let invite = world.invite("7", "", &audio("10.0.0.9", 4000));
        world.answer(Callee, &invite, 486, "", "");
        world.now = world.now + Duration::from_secs(40);
        world.router.handle_timeout(world.now, &mut Outbox::new());
    }
    assert_eq!(world.events().len(), 4096);
}
