//! The rules of peers for where their media may come from: looked up by the addresses of signalling.

use media::Latching;
use tipring_router::{Command, Peer};

use crate::*;

fn rules(callee: Latching) -> Peers {
    let ip = |text: &str| text.parse().expect("an address");
    Peers::new([
        (
            ip("127.0.0.0"),
            8,
            Peer {
                latching: Latching::Latch,
                ..Peer::default()
            },
        ),
        (
            ip("127.0.0.2"),
            32,
            Peer {
                latching: callee,
                ..Peer::default()
            },
        ),
    ])
}

/// Whether a packet of the callee from elsewhere than its description says reaches the caller.
fn roams(world: &mut World, from: &str) -> bool {
    let (invite, _) = world.call("7", &audio("10.0.0.9", 4000), &audio("10.0.0.2", 6000));
    let sent = world.packet(from, invite.port(0));
    world.hang_up();
    sent.is_some_and(|(to, _)| to == "10.0.0.9:4000")
}

#[test]
fn the_callees_rule_is_that_of_its_own_address() {
    for (rule, elsewhere, other_port) in [
        (Latching::Strict, false, false),
        (Latching::LatchSameHost, false, true),
        (Latching::Latch, true, true),
    ] {
        for (from, expected) in [
            ("10.0.0.3:6000", elsewhere),
            ("10.0.0.2:6002", other_port),
            ("10.0.0.2:6000", true),
        ] {
            let mut world = World::with_peers(4, 0, rules(rule));
            assert_eq!(roams(&mut world, from), expected, "{rule:?} {from}");
        }
    }
}

#[test]
fn the_rule_of_a_callee_by_name_is_that_of_its_address_once_known() {
    for (rule, expected) in [(Latching::Strict, false), (Latching::Latch, true)] {
        let mut world = World::with_peers(4, 0, rules(rule));
        let invite = world.invite_by_name("8", &audio("10.0.0.9", 4000));
        let ok = world.answer(Callee, &invite, 200, "", &audio("10.0.0.2", 6000));
        assert!(ok.port(0) > 0);
        world.ack(Caller, "");
        let sent = world.packet("10.0.0.3:6000", invite.port(0));
        assert_eq!(sent.is_some(), expected, "{rule:?}");
        world.hang_up();
    }
}

#[test]
fn new_rules_are_for_new_calls() {
    let mut world = World::with_peers(4, 0, rules(Latching::Strict));
    assert!(!roams(&mut world, "10.0.0.3:6000"));
    let command = Command::Peers(Arc::new(rules(Latching::Latch)));
    world
        .router
        .command(world.now, &command, &mut Outbox::new());
    assert!(roams(&mut world, "10.0.0.3:6000"));
}
