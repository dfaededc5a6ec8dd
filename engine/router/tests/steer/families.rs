//! IPv4 on one leg and IPv6 on the other, and parties that name no address.

use crate::*;

#[test]
fn each_leg_is_shown_its_own_family() {
    let mut world = World::new();
    let (invite, ok) = world.call("6", &audio("10.0.0.9", 4000), &audio("2001:db8::2", 6000));
    assert_eq!(invite.lines("c="), [format!("c=IN IP6 {OURS6}")]);
    assert!(invite.lines("o=")[0].ends_with(&format!(" IN IP6 {OURS6}")));
    assert_eq!(ok.lines("c="), [format!("c=IN IP4 {OURS}")]);
    assert!(invite.port(0) >= PORTS[1] && ok.port(0) < PORTS[1]);
    let sent = world.packet("10.0.0.9:4000", ok.port(0));
    assert_eq!(
        sent,
        Some(("[2001:db8::2]:6000".to_owned(), invite.port(0)))
    );
    let sent = world.packet("[2001:db8::2]:6000", invite.port(0));
    assert_eq!(sent, Some(("10.0.0.9:4000".to_owned(), ok.port(0))));
    world.hang_up();
}

#[test]
fn an_offer_of_another_family_than_its_signalling_is_served_in_its_own() {
    let mut world = World::new();
    let (invite, ok) = world.call("7", &audio("2001:db8::9", 4000), &audio("10.0.0.2", 6000));
    assert_eq!(ok.lines("c="), [format!("c=IN IP6 {OURS6}")]);
    assert_eq!(invite.lines("c="), [format!("c=IN IP4 {OURS}")]);
    let sent = world
        .packet("10.0.0.2:6000", invite.port(0))
        .map(|(to, _)| to);
    assert_eq!(sent.as_deref(), Some("[2001:db8::9]:4000"));
    world.hang_up();
}

#[test]
fn a_leg_whose_family_has_no_ports_gets_those_there_are() {
    let mut world = World::with_pairs(4, 0);
    let invite = world.invite("6", "", &audio("10.0.0.9", 4000));
    assert_eq!(invite.lines("c="), [format!("c=IN IP4 {OURS}")]);
    let ok = world.answer(Callee, &invite, 200, "", &audio("10.0.0.2", 6000));
    world.ack(Caller, "");
    let sent = world.packet("10.0.0.9:4000", ok.port(0)).map(|(to, _)| to);
    assert_eq!(sent.as_deref(), Some("10.0.0.2:6000"));
    world.hang_up();
}

#[test]
fn an_answer_in_a_family_that_was_not_offered_gets_nothing() {
    let mut world = World::new();
    let (_, ok) = world.call("7", &audio("10.0.0.9", 4000), &audio("2001:db8::2", 6000));
    assert_eq!(world.packet("10.0.0.9:4000", ok.port(0)), None);
    world.hang_up();
}

#[test]
fn a_name_stands_for_where_the_signalling_comes_from() {
    let mut world = World::new();
    let (invite, ok) = world.call("7", &audio("phone.example", 4000), &audio("10.0.0.2", 6000));
    assert!(!invite.body().contains("phone.example"));
    let sent = world
        .packet("10.0.0.2:6000", invite.port(0))
        .map(|(to, _)| to);
    assert_eq!(sent.as_deref(), Some("127.0.0.9:4000"));
    assert_eq!(ok.lines("c="), [format!("c=IN IP4 {OURS}")]);
    world.hang_up();
}
