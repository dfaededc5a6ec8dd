//! OPTIONS to contacts: when they are sent, what their answers change, and that calls honour it.

use std::time::Duration;

use stack::Time;
use tipring_router::{ContactKeepAlive, Event, LocationCause, Reach, RegistrarSettings};

use crate::callers::asked;
use crate::world::{Register, Sent, World, world_with};

const ALICE: &str = "sip:alice@example.com";
const EVERY: Duration = Duration::from_secs(60);

fn asking(failures: u8, per_second: u32) -> World {
    let keep_alive = ContactKeepAlive {
        every: EVERY,
        failures,
        per_second,
    };
    let reach = Reach {
        keep_alive: Some(keep_alive),
        ..Reach::default()
    };
    world_with(RegistrarSettings {
        reach,
        ..RegistrarSettings::default()
    })
}

/// The OPTIONS of the next so many seconds, each answered with this code or not at all.
fn options(world: &mut World, seconds: u64, code: Option<u16>) -> Vec<(Time, Sent)> {
    let until = world.now + Duration::from_secs(seconds);
    let mut all = Vec::new();
    while let Some((at, _)) = world.router.poll_timeout().filter(|(at, _)| *at <= until) {
        let time = at.duration_since(world.now);
        for sent in world.passed(time) {
            if sent.kind() != "OPTIONS" {
                continue;
            }
            if let Some(code) = code {
                world.answered(&sent, code);
            }
            all.push((world.now, sent));
        }
    }
    world.passed(until.duration_since(world.now));
    all
}

fn reachability(world: &mut World) -> Vec<(u8, bool)> {
    let mut states = Vec::new();
    while let Some(event) = world.router.poll_event() {
        if let Event::Location(change) = event
            && change.cause == LocationCause::Reachability
        {
            let bindings = change.registration.bindings.iter();
            states.extend(bindings.map(|it| (it.unanswered, it.unreachable)));
        }
    }
    states
}

#[test]
fn each_contact_is_asked_once_in_the_interval_on_the_way_of_a_call() {
    let mut world = asking(3, 1_000);
    world.registered(&["<sip:alice@192.0.2.11>"]);
    let behind = Register::contacts(&["<sip:alice@10.0.0.1>"])
        .with("Supported: path")
        .with("Path: <sip:192.0.2.50;lr>");
    world.send(&behind);
    let asked_for = options(&mut world, 180, Some(200));
    let places: Vec<_> = asked_for.iter().map(|(_, it)| it.to.to_string()).collect();
    let count = |place: &str| places.iter().filter(|it| *it == place).count();
    assert_eq!(
        (count("192.0.2.11:5060"), count("192.0.2.50:5060")),
        (3, 3),
        "{places:?}"
    );
    let over = asked_for
        .iter()
        .find(|(_, it)| it.to.port() == 5060 && it.header("Route").is_some());
    assert_eq!(over.map(|(_, it)| it.uri()), Some("sip:alice@10.0.0.1"));
    assert_eq!(reachability(&mut world), []);
    assert_eq!(world.counters().reach.probes, 6);
}

#[test]
fn without_an_answer_it_becomes_unreachable_and_with_one_reachable() {
    let mut world = asking(2, 1_000);
    world.registered(&["<sip:alice@192.0.2.11>"]);
    options(&mut world, 160, None);
    assert_eq!(reachability(&mut world), [(1, false), (2, true)]);
    assert_eq!(world.refused(ALICE, "dead"), "480");
    // Any final answer shows that it is there.
    options(&mut world, 60, Some(486));
    assert_eq!(reachability(&mut world), [(0, false)]);
    assert_eq!(asked(&world.called(ALICE, "alive")).len(), 1);
    let reach = world.counters().reach;
    assert_eq!((reach.lost, reach.restored), (1, 1));
    assert!(reach.probes_failed >= 2, "{reach:?}");
}

#[test]
fn what_a_proxy_says_of_a_dead_phone_is_no_answer_of_its() {
    let mut world = asking(1, 1_000);
    world.registered(&["<sip:alice@192.0.2.11>"]);
    options(&mut world, 60, Some(430));
    assert_eq!(reachability(&mut world), [(1, true)]);
}

#[test]
fn a_new_register_makes_it_reachable_and_others_are_called_meanwhile() {
    let mut world = asking(1, 1_000);
    world.registered(&["<sip:alice@192.0.2.11>"]);
    options(&mut world, 100, None);
    assert_eq!(world.refused(ALICE, "dead"), "480");
    world.registered(&["<sip:alice@192.0.2.12>;q=0.1"]);
    let only = asked(&world.called(ALICE, "other"));
    assert_eq!(
        only,
        [(
            "192.0.2.12:5060".to_owned(),
            "sip:alice@192.0.2.12".to_owned()
        )]
    );
    world.registered(&["<sip:alice@192.0.2.11>"]);
    let first = asked(&world.called(ALICE, "again"));
    assert_eq!(first[0].0, "192.0.2.11:5060");
}

#[test]
fn no_more_are_asked_in_a_second_than_allowed() {
    let mut world = asking(3, 2);
    let contacts: Vec<String> = (1..=10)
        .map(|n| format!("<sip:alice@192.0.2.{n}:6000>"))
        .collect();
    let contacts: Vec<&str> = contacts.iter().map(String::as_str).collect();
    world.registered(&contacts);
    let asked_for = options(&mut world, 60, Some(200));
    assert_eq!(asked_for.len(), 10);
    for pair in asked_for.windows(2) {
        let apart = pair[1].0.duration_since(pair[0].0);
        assert!(apart >= Duration::from_millis(500), "{apart:?}");
    }
}

#[test]
fn nobody_is_asked_while_it_is_off() {
    let mut world = world_with(RegistrarSettings::default());
    world.registered(&["<sip:alice@192.0.2.11>"]);
    assert_eq!(options(&mut world, 600, None).len(), 0);
}
