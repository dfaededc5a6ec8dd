//! Media through the router: who agrees hears each other, from behind translators too, through holds and
//! moves and storms of offers, whatever strangers send.

use std::time::Duration;

use tipring_sim::{
    CallPlan, Change, Conditions, Flow, Form, Latching, MediaPlan, Nat, Plan, Run, Side, Step,
    TalkPlan, run,
};

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// An answered call of two parties that talk.
fn talking() -> CallPlan {
    let mut call = CallPlan::answered();
    call.caller.talk = Some(TalkPlan::default());
    call.callee.talk = Some(TalkPlan::default());
    call.route.steer = true;
    call
}

fn caller_talk(call: &mut CallPlan) -> &mut TalkPlan {
    call.caller.talk.as_mut().expect("it talks")
}

/// Plays the call over rough networks, where the checkers must be content, and returns a calm run.
fn in_all_weathers(call: &CallPlan, media: &MediaPlan) -> Run {
    let plan = |plan: Plan| Plan {
        media: Some(media.clone()),
        ..plan
    };
    for seed in 0..15 {
        let rough = Plan::of(call.clone()).over(Conditions::ROUGH, seed);
        let shards = 1 + (seed % 4) as u8;
        run(&Plan {
            shards,
            ..plan(rough)
        })
        .expect_clean();
    }
    let calm = run(&plan(Plan::of(call.clone())));
    calm.expect_clean();
    calm
}

/// Packets of RTP that left the router for this side in these seconds.
fn heard(run: &Run, side: Side, from: u64, to: u64) -> usize {
    let within = |at: u64| (from..to).contains(&(at / 1_000_000_000));
    let packets = run.packets.iter().filter(|packet| {
        !packet.inbound && packet.form != Form::Rtcp && within(packet.at.as_nanos())
    });
    packets
        .filter(|packet| packet.agent().is_some_and(|id| id.side == side))
        .count()
}

fn both(run: &Run, from: u64, to: u64) -> [usize; 2] {
    [Side::Caller, Side::Callee].map(|side| heard(run, side, from, to))
}

#[test]
fn both_parties_hear_all_that_is_said() {
    let run = in_all_weathers(&talking(), &MediaPlan::default());
    assert_eq!(both(&run, 2, 10), [40, 40], "5 packets a second");
    for agent in [run.caller(0), run.callee(0)] {
        assert!(agent.packets_heard() > 45, "{}", agent.packets_heard());
    }
}

#[test]
fn parties_behind_translators_hear_each_other() {
    for (nat, latching) in [
        (Nat::Host, Latching::Latch),
        (Nat::Port, Latching::Latch),
        (Nat::Port, Latching::LatchSameHost),
    ] {
        let mut call = talking();
        // The callee rings for longer than a stream may wait for its first packet.
        call.callee.steps = vec![
            Step::ringing(180),
            Step::Wait(s(8)),
            Step::Answer { fork: 0 },
        ];
        for talk in [&mut call.caller.talk, &mut call.callee.talk] {
            let talk = talk.as_mut().expect("both talk");
            (talk.nat, talk.latching) = (Some(nat), latching);
        }
        let run = in_all_weathers(&call, &MediaPlan::default());
        assert_eq!(both(&run, 10, 16), [30, 30], "{nat:?} {latching:?}");
        assert!(run.caller(0).packets_heard() > 30);
    }
}

#[test]
fn what_may_not_be_learned_is_not() {
    for (nat, latching) in [
        (Nat::Host, Latching::LatchSameHost),
        (Nat::Port, Latching::Strict),
    ] {
        let mut call = talking();
        (caller_talk(&mut call).nat, caller_talk(&mut call).latching) = (Some(nat), latching);
        let run = in_all_weathers(&call, &MediaPlan::default());
        assert_eq!(heard(&run, Side::Callee, 0, 20), 0);
        assert!(heard(&run, Side::Caller, 2, 10) > 0, "to where it said");
        assert_eq!(run.caller(0).packets_heard(), 0, "but nothing gets in");
    }
}

#[test]
fn a_hold_of_any_style_is_silence_and_its_end_is_not() {
    for hold in [Change::Inactive, Change::SendOnly, Change::Unspecified] {
        let mut call = talking();
        caller_talk(&mut call).changes = vec![hold, Change::Resume];
        call.caller.inside.requests = vec![(s(2), "INVITE"), (s(5), "UPDATE")];
        let run = in_all_weathers(&call, &MediaPlan::default());
        assert_eq!(heard(&run, Side::Caller, 4, 6), 0, "{hold:?}");
        assert_eq!(both(&run, 7, 10), [15, 15], "{hold:?}");
    }
}

#[test]
fn a_stream_moves_and_becomes_a_fax() {
    let mut call = talking();
    caller_talk(&mut call).changes = vec![Change::Move, Change::Fax];
    call.caller.inside.requests = vec![(s(2), "INVITE"), (s(5), "INVITE")];
    let run = in_all_weathers(&call, &MediaPlan::default());
    assert_eq!(both(&run, 4, 6), [10, 10]);
    assert_eq!(both(&run, 7, 10), [15, 15]);
    let fax = run
        .packets
        .iter()
        .filter(|packet| packet.form == Form::Udptl);
    assert!(fax.count() > 30);
}

#[test]
fn an_answer_that_comes_late_for_a_moved_stream_costs_nothing_later() {
    // Its packets come from the former port until it hears the answer.
    let mut call = talking();
    caller_talk(&mut call).changes = vec![Change::Move];
    call.caller.inside.requests = vec![(s(2), "INVITE")];
    call.caller.inside.misses = Some(("200 INVITE", 3));
    let run = in_all_weathers(&call, &MediaPlan::default());
    assert_eq!(both(&run, 8, 11), [15, 15]);
}

#[test]
fn storms_of_offers_leave_the_call_as_it_was_agreed() {
    let mut call = talking();
    let changes = [
        Change::Move,
        Change::Add,
        Change::Inactive,
        Change::Ask,
        Change::Resume,
        Change::Remove,
    ];
    for (talk, inside) in [
        (&mut call.caller.talk, &mut call.caller.inside),
        (&mut call.callee.talk, &mut call.callee.inside),
    ] {
        talk.as_mut().expect("both talk").changes = changes.to_vec();
        let at = |n: u64| Duration::from_millis(500 + 130 * n);
        inside.requests = (0..30).map(|n| (at(n), "INVITE")).collect();
    }
    let run = in_all_weathers(&call, &MediaPlan::default());
    let answered = |run: &Run| run.caller(0).facts().answers.len();
    assert!(answered(&run) > 10, "{}", answered(&run));
}

#[test]
fn an_echo_is_heard_but_not_on_hold() {
    let mut call = talking();
    call.route.flow = Flow::Echo;
    caller_talk(&mut call).nat = Some(Nat::Host);
    caller_talk(&mut call).changes = vec![Change::SendOnly, Change::Resume];
    call.caller.inside.requests = vec![(s(2), "INVITE"), (s(5), "INVITE")];
    let run = in_all_weathers(&call, &MediaPlan::default());
    assert_eq!(heard(&run, Side::Caller, 3, 5), 0);
    assert_eq!(heard(&run, Side::Caller, 6, 9), 15);
}

#[test]
fn strangers_are_heard_by_nobody() {
    let mut call = talking();
    call.caller.talk = Some(TalkPlan {
        latching: Latching::Strict,
        ..TalkPlan::default()
    });
    call.callee.talk.clone_from(&call.caller.talk);
    let media = MediaPlan {
        spoofs: 300,
        pairs: 2,
        ..MediaPlan::default()
    };
    let run = in_all_weathers(&call, &media);
    let spoofed = |inbound: bool| {
        let packets = run
            .packets
            .iter()
            .filter(move |packet| packet.inbound == inbound);
        packets
            .filter(|packet| packet.mark.is_some_and(|mark| mark.author.is_none()))
            .count()
    };
    assert!(spoofed(true) > 200);
    assert_eq!(spoofed(false), 0);
}

#[test]
fn calls_beyond_the_ports_are_refused_and_no_port_is_lost() {
    let media = MediaPlan {
        pairs: 2,
        ..MediaPlan::default()
    };
    let mut plan = Plan::of(talking());
    plan.calls = vec![talking(); 3];
    plan.media = Some(media);
    let run = run(&plan);
    run.expect_clean();
    let codes = [0, 1, 2].map(|call| run.caller(call).facts().final_code);
    assert_eq!(codes, [Some(200), Some(503), Some(503)]);
    assert_eq!(run.counters[0].media.ports_exhausted, 2);
    assert_eq!(run.counters[0].media.pairs_used, 0);
}

#[test]
fn silence_ends_a_call() {
    let mut call = talking();
    call.caller.inside.hang_up = None;
    for talk in [&mut call.caller.talk, &mut call.callee.talk] {
        let talk = talk.as_mut().expect("both talk");
        (talk.nat, talk.latching) = (Some(Nat::Port), Latching::Strict);
    }
    let media = MediaPlan {
        silence: Some(s(5)),
        ..MediaPlan::default()
    };
    let run = in_all_weathers(&call, &media);
    assert_eq!(run.counters[0].calls_silent, 1);
    assert_eq!(run.counters[0].media.streams, 0);
}
