//! `indialogue_interval`: both legs of a connected call are asked whether they are still there.

use stack::Time;
use tipring_router::Outbound;

use crate::world::{CALLEE, CALLER, Sent, World, requests};

/// Seconds between the probes of a leg.
const INTERVAL: u64 = 60;

fn connected() -> (World, Sent) {
    let mut world = World::new(Outbound::default(), Some(INTERVAL));
    let answered = world.connect();
    (world, answered)
}

/// Lets time pass until the next probe.
fn next_probe(world: &mut World) -> Sent {
    for _ in 0..4 * INTERVAL {
        let sent = world.pass(0.5);
        if let Some(probe) = requests(&sent, "OPTIONS").first() {
            return (*probe).clone();
        }
    }
    panic!("no probe in two intervals");
}

#[test]
fn each_leg_is_probed_in_its_own_dialog_once_in_an_interval() {
    let (mut world, answered) = connected();
    let mut probed = Vec::new();
    for _ in 0..6 {
        let probe = next_probe(&mut world);
        assert!(
            probe.text.contains("\r\nMax-Forwards: 70\r\n"),
            "{}",
            probe.text
        );
        probed.push(probe.to.to_string());
        world.answer(&probe, "200 OK", "");
    }
    assert_eq!(probed, [CALLER, CALLEE].repeat(3));
    let to_caller = next_probe(&mut world);
    assert_eq!(to_caller.start(), format!("OPTIONS sip:a@{CALLER} SIP/2.0"));
    assert_eq!(to_caller.header("Call-ID"), answered.header("Call-ID"));
    assert_eq!(to_caller.header("From"), answered.header("To"));
    assert_eq!(to_caller.header("To"), answered.header("From"));
    assert_eq!(to_caller.header("CSeq"), Some("4 OPTIONS"));
    assert_eq!(world.counters().probes, 7);
    assert_eq!(world.router.calls(), 1);
}

#[test]
fn calls_that_began_together_are_probed_apart() {
    let mut world = World::new(Outbound::default(), Some(INTERVAL));
    for _ in 0..100 {
        world.connect();
    }
    let mut probed = std::collections::BTreeSet::new();
    let mut probed_by = |seconds| {
        let sent = world.pass(seconds);
        let to_caller = sent.iter().filter(|sent| sent.to.to_string() == CALLER);
        let probes = to_caller.filter(|sent| sent.kind() == "OPTIONS");
        probed.extend(probes.filter_map(|sent| sent.header("Call-ID").map(str::to_owned)));
        probed.len()
    };
    // 50 expected, with a standard deviation of 5.
    let half = probed_by(30.0);
    assert!((30..=70).contains(&half), "{half} of 100");
    assert_eq!(probed_by(30.0), 100);
}

#[test]
fn a_leg_that_knows_no_dialog_ends_the_call() {
    for (leg, legs_before) in [(CALLER, 1), (CALLEE, 2)] {
        let (mut world, _) = connected();
        let mut probe = next_probe(&mut world);
        for _ in 1..legs_before {
            world.answer(&probe, "200 OK", "");
            probe = next_probe(&mut world);
        }
        assert_eq!(probe.to.to_string(), leg);
        let sent = world.answer(&probe, "481 Call/Transaction Does Not Exist", "");
        let byes = requests(&sent, "BYE");
        let mut to: Vec<String> = byes.iter().map(|bye| bye.to.to_string()).collect();
        to.sort();
        assert_eq!(to, [CALLEE, CALLER]);
        for bye in &byes {
            let reason = "SIP;cause=481;text=\"In-Dialog Probe Failed\"";
            assert_eq!(bye.header("Reason"), Some(reason));
        }
        let counters = world.counters();
        assert_eq!(
            (counters.probes_failed, counters.calls_unresponsive),
            (1, 1)
        );
        assert_eq!(counters.calls_ended, 1);
    }
}

#[test]
fn a_leg_that_stays_silent_ends_the_call_after_timer_f() {
    let (mut world, _) = connected();
    next_probe(&mut world);
    let sent = world.pass(31.0);
    assert!(requests(&sent, "BYE").is_empty());
    let sent = world.pass(2.0);
    let byes = requests(&sent, "BYE");
    let reason = "SIP;cause=408;text=\"In-Dialog Probe Failed\"";
    assert_eq!(byes[0].header("Reason"), Some(reason));
    for bye in byes.into_iter().cloned().collect::<Vec<_>>() {
        world.answer(&bye, "200 OK", "");
    }
    assert_eq!(world.router.calls(), 0);
    assert_eq!(world.counters().calls_unresponsive, 1);
}

#[test]
fn any_other_answer_means_that_the_dialog_lives() {
    let (mut world, _) = connected();
    for status in [
        "200 OK",
        "404 Not Found",
        "405 Method Not Allowed",
        "491 Request Pending",
        "500 Server Internal Error",
        "501 Not Implemented",
        "503 Service Unavailable",
        "603 Decline",
    ] {
        let probe = next_probe(&mut world);
        assert_eq!(world.answer(&probe, status, "").len(), 0, "{status}");
    }
    // One ICMP error is no proof either.
    next_probe(&mut world);
    world.unreachable(CALLER);
    assert_eq!(world.router.calls(), 1);
    assert_eq!(world.counters().probes_failed, 0);
}

#[test]
fn one_leg_does_not_wait_for_the_other() {
    let (mut world, _) = connected();
    let unanswered = next_probe(&mut world);
    let sent = world.pass(30.5);
    let probes = requests(&sent, "OPTIONS");
    let other = probes.iter().find(|probe| probe.to != unanswered.to);
    assert!(other.is_some(), "the other leg is probed meanwhile");
}

#[test]
fn nothing_is_probed_before_the_answer_after_the_end_or_unless_asked() {
    let mut world = World::new(Outbound::default(), Some(1));
    let sent = world.invite(CALLER, "sip:7@127.0.0.1");
    let invite = requests(&sent, "INVITE")[0].clone();
    assert!(requests(&world.pass(20.0), "OPTIONS").is_empty());
    let contact = format!("Contact: <sip:b@{CALLEE}>\r\n");
    let answered = world.answer(&invite, "200 OK", &contact)[0].clone();
    assert!(requests(&world.pass(5.0), "OPTIONS").is_empty());
    world.in_dialog("ACK", &answered, 1);
    let bye = world.in_dialog("BYE", &answered, 2);
    world.answer(requests(&bye, "BYE")[0], "200 OK", "");
    assert!(requests(&world.pass(60.0), "OPTIONS").is_empty());
    assert!(world.router.is_idle());

    let mut silent = World::new(Outbound::default(), None);
    silent.connect();
    assert!(requests(&silent.pass(600.0), "OPTIONS").is_empty());
    assert_ne!(
        silent.router.poll_timeout().map(|(at, _)| at),
        Some(Time::ZERO)
    );
}

#[test]
fn an_options_from_a_peer_still_crosses() {
    let (mut world, answered) = connected();
    let sent = world.in_dialog("OPTIONS", &answered, 2);
    let crossed = requests(&sent, "OPTIONS")[0].clone();
    assert_eq!(crossed.to.to_string(), CALLEE);
    let back = world.answer(&crossed, "481 Call/Transaction Does Not Exist", "");
    assert!(back.iter().any(|sent| sent.start().contains(" 481 ")));
}
