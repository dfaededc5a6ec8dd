//! What is said twice: retransmissions and refreshes.

use crate::*;

#[test]
fn a_refresh_that_changes_nothing_changes_nothing() {
    let mut world = World::new();
    let (offer, answer) = (audio("10.0.0.9", 4000), audio("10.0.0.2", 6000));
    let (invite, ok) = world.call("7", &offer, &answer);
    for _ in 0..3 {
        world.now = world.now + Duration::from_secs(90);
        let reinvite = world.request(Caller, "INVITE", "", &offer);
        assert_eq!(reinvite.body(), invite.body());
        let again = world.answer(Callee, &reinvite, 200, "", &answer);
        assert_eq!(again.body(), ok.body());
        world.ack(Caller, "");
    }
    assert_eq!(world.router.counters().media.streams_opened, 1);
    world.hang_up();
}

#[test]
fn a_retransmitted_invite_opens_nothing() {
    let mut world = World::new();
    world.invite("7", "", &audio("10.0.0.9", 4000));
    world.branches -= 1;
    world.phones.get_mut(&Caller).unwrap().cseq -= 1;
    let text = world.text_of(Caller, "INVITE", "", &audio("10.0.0.9", 4000));
    world.deliver(Caller, &text);
    assert!(world.heard(Callee).is_empty());
    assert_eq!(world.router.counters().media.streams_opened, 1);
}
