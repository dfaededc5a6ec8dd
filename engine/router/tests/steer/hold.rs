//! Hold in its styles: the old address of nowhere, and the directions.

use crate::*;

fn held_with(section: &str, address: &str) -> (World, Seen, Seen) {
    let mut world = World::new();
    let (invite, _) = world.call("7", &audio("10.0.0.9", 4000), &audio("10.0.0.2", 6000));
    let offer = sdp(address, 2, &format!("m=audio 4000 RTP/AVP 0\r\n{section}"));
    let reinvite = world.request(Caller, "INVITE", "", &offer);
    world.answer(Callee, &reinvite, 200, "", &audio("10.0.0.2", 6000));
    world.ack(Caller, "");
    (world, invite, reinvite)
}

#[test]
fn an_address_of_nowhere_passes_as_one_and_gets_no_packets() {
    for (section, address) in [("", "0.0.0.0"), ("c=IN IP4 0.0.0.0\r\n", "10.0.0.9")] {
        let (mut world, invite, reinvite) = held_with(section, address);
        assert_eq!(reinvite.lines("c=").last(), Some(&"c=IN IP4 0.0.0.0"));
        assert_eq!(reinvite.port(0), invite.port(0));
        assert!(!reinvite.body().contains("10.0.0.9"));
        assert_eq!(world.packet("10.0.0.2:6000", invite.port(0)), None);
        let resumed = world.request(Caller, "INVITE", "", &audio("10.0.0.9", 4000));
        world.answer(Callee, &resumed, 200, "", &audio("10.0.0.2", 6000));
        world.ack(Caller, "");
        let sent = world
            .packet("10.0.0.2:6000", invite.port(0))
            .map(|(to, _)| to);
        assert_eq!(sent.as_deref(), Some("10.0.0.9:4000"));
        world.hang_up();
    }
}

#[test]
fn directions_pass() {
    for direction in ["a=sendonly", "a=inactive", "a=recvonly"] {
        let (mut world, _, reinvite) = held_with(&format!("{direction}\r\n"), "10.0.0.9");
        assert_eq!(reinvite.lines("a="), [direction]);
        assert_eq!(reinvite.lines("c="), [format!("c=IN IP4 {OURS}")]);
        world.hang_up();
    }
}

#[test]
fn a_hold_is_a_hold_in_the_other_family() {
    let mut world = World::new();
    let (_, _) = world.call("6", &audio("10.0.0.9", 4000), &audio("2001:db8::2", 6000));
    let reinvite = world.request(Caller, "INVITE", "", &audio("0.0.0.0", 4000));
    assert_eq!(reinvite.lines("c="), ["c=IN IP6 held.invalid"]);
    let ok = world.answer(Callee, &reinvite, 200, "", &audio("2001:db8::2", 6000));
    assert_eq!(ok.lines("c="), [format!("c=IN IP4 {OURS}")]);
    world.ack(Caller, "");
    for held in ["::", "0.0.0.0"] {
        let update = world.request(Callee, "UPDATE", "", &audio(held, 6000));
        assert_eq!(update.lines("c="), ["c=IN IP4 0.0.0.0"], "{held}");
        world.answer(Caller, &update, 200, "", &audio("10.0.0.9", 4000));
    }
    world.hang_up();
}
