//! `EchoResponder`: the life of a call whose callee is the router.

use super::world::{CALLER, Sent, World, kinds, one, sdp, world, world_probing, world_with_ports};
use stack::{Flow, Outbox};
use std::time::Duration;
use tipring_router::{Command, Event};

/// A call that was answered and ACKed.
fn talking(user: &str) -> World {
    let mut world = world();
    let sent = world.call(user, "", &sdp(1, 4000, ""));
    assert_eq!(kinds(&sent, CALLER), ["100", "180", "200"]);
    assert!(world.ack(1, "").is_empty());
    world
}

fn hang_up(mut world: World) {
    let sent = world.caller_sends("BYE", "", "");
    one(&sent, CALLER, "200");
    assert_eq!(world.router.calls(), 0);
    world.assert_idle();
}

/// The router's BYE, answered.
fn ended(mut world: World, sent: &[Sent], reason: &str) {
    let bye = one(sent, CALLER, "BYE");
    assert_eq!(bye.header("Reason"), Some(reason));
    assert!(bye.header("To").is_some_and(|to| to.ends_with(";tag=a")));
    assert_eq!(world.counters().media.pairs_used, 0);
    world.ok(&bye);
    assert_eq!(world.router.calls(), 0);
    world.assert_idle();
}

#[test]
fn an_invite_is_answered_100_180_and_200_at_once() {
    let mut world = world();
    let sent = world.call("8", "Record-Route: <sip:proxy;lr>\r\n", &sdp(1, 4000, ""));
    assert_eq!(kinds(&sent, CALLER), ["100", "180", "200"]);
    let answer = one(&sent, CALLER, "200");
    assert_eq!(answer.header("Content-Type"), Some("application/sdp"));
    assert_eq!(answer.header("Record-Route"), Some("<sip:proxy;lr>"));
    assert!(
        answer
            .header("Allow")
            .is_some_and(|it| it.contains("UPDATE"))
    );
    let ringing = one(&sent, CALLER, "180");
    assert_eq!(ringing.header("To"), answer.header("To"));
    assert_eq!(ringing.header("Contact"), answer.header("Contact"));
    let counters = world.counters();
    let seen = (
        counters.calls_started,
        counters.calls_echoed,
        counters.calls_answered,
    );
    assert_eq!(seen, (1, 1, 1));
    assert_eq!((counters.media.pairs_used, counters.calls), (1, 1));
    world.ack(1, "");
    hang_up(world);
}

#[test]
fn the_200_is_repeated_until_its_ack() {
    let mut world = world();
    world.call("8", "", &sdp(1, 4000, ""));
    assert_eq!(kinds(&world.seconds(1), CALLER), ["200"]);
    world.ack(1, "");
    assert_eq!(kinds(&world.seconds(10), CALLER), [] as [&str; 0]);
    hang_up(world);
}

#[test]
fn a_200_that_is_never_acked_ends_with_bye() {
    let mut world = world();
    world.call("8", "", &sdp(1, 4000, ""));
    let sent = world.seconds(33);
    ended(world, &sent, "SIP;cause=408;text=\"No ACK\"");
}

#[test]
fn a_bye_frees_the_ports_and_tells_of_the_stream() {
    let mut world = talking("8");
    let tag = {
        let sent = world.caller_sends("BYE", "", "");
        let to = one(&sent, CALLER, "200")
            .header("To")
            .expect("To")
            .to_owned();
        to.split_once(";tag=").expect("a tag").1.to_owned()
    };
    assert_eq!(world.counters().media.pairs_used, 0);
    match world.router.poll_event() {
        Some(Event::MediaEnded(ended)) => assert_eq!((ended.call, ended.line), (tag, 0)),
        other => panic!("{other:?}"),
    }
    world.assert_idle();
}

#[test]
fn a_bye_before_the_ack_is_answered_and_the_200_repeated_until_it_comes() {
    let mut world = world();
    world.call("8", "", &sdp(1, 4000, ""));
    let sent = world.caller_sends("BYE", "", "");
    one(&sent, CALLER, "200");
    assert_eq!(world.counters().media.pairs_used, 0);
    assert!(kinds(&world.seconds(1), CALLER).contains(&"200".to_owned()));
    world.ack(1, "");
    assert_eq!(world.router.calls(), 0);
    world.assert_idle();
}

#[test]
fn a_cancel_finds_the_call_answered() {
    let mut world = world();
    world.call("8", "", &sdp(1, 4000, ""));
    let sent = world.cancel();
    assert_eq!(kinds(&sent, CALLER), ["200"]);
    assert_eq!(world.router.calls(), 1);
    world.ack(1, "");
    hang_up(world);
}

#[test]
fn max_call_duration_is_obeyed() {
    let mut world = talking("9");
    assert!(world.seconds(59).is_empty());
    let sent = world.seconds(2);
    assert_eq!(world.counters().calls_timed_out, 1);
    ended(world, &sent, "Q.850;cause=31;text=\"Call Duration Limit\"");
}

#[test]
fn regression_max_call_duration_counts_from_a_reinvite_that_overtakes_the_ack() {
    let mut world = world();
    world.call("9", "", &sdp(1, 4000, ""));
    world.caller_sends("INVITE", "", &sdp(2, 4000, ""));
    world.seconds(10);
    world.ack(2, "");
    assert!(world.seconds(49).is_empty());
    let sent = world.seconds(2);
    ended(world, &sent, "Q.850;cause=31;text=\"Call Duration Limit\"");
}

#[test]
fn silence_ends_the_call() {
    let mut world = talking("8");
    let sent = world.seconds(130);
    assert_eq!(world.counters().calls_silent, 1);
    ended(world, &sent, "Q.850;cause=41;text=\"Media Timeout\"");
}

#[test]
fn the_operator_ends_it() {
    let mut world = talking("8");
    assert!(world.command(&Command::Drain).is_empty());
    assert_eq!(world.router.poll_event(), None);
    let sent = world.command(&Command::EndAll);
    ended(world, &sent, "Q.850;cause=41;text=\"Router Shutdown\"");
}

#[test]
fn the_operators_bye_waits_for_the_ack() {
    let mut world = world();
    world.call("8", "", &sdp(1, 4000, ""));
    assert!(world.command(&Command::EndAll).is_empty());
    let sent = world.ack(1, "");
    ended(world, &sent, "Q.850;cause=41;text=\"Router Shutdown\"");
}

#[test]
fn a_bye_of_ours_that_nobody_answers_ends_the_call_all_the_same() {
    let mut world = talking("8");
    one(&world.command(&Command::EndAll), CALLER, "BYE");
    world.seconds(33);
    assert_eq!(world.router.calls(), 0);
    world.assert_idle();
}

#[test]
fn byes_that_cross_are_both_answered() {
    let mut world = talking("8");
    let sent = world.command(&Command::EndAll);
    let bye = one(&sent, CALLER, "BYE");
    let sent = world.caller_sends("BYE", "", "");
    one(&sent, CALLER, "200");
    world.ok(&bye);
    world.assert_idle();
}

#[test]
fn a_caller_that_has_forgotten_the_call_is_found_by_a_probe() {
    for (answer, ends) in [
        ("200 OK", false),
        ("404 Not Found", false),
        ("481 Gone", true),
    ] {
        let mut world = world_probing(Duration::from_secs(20));
        world.call("8", "", &sdp(1, 4000, ""));
        world.ack(1, "");
        let sent = world.seconds(20);
        let probe = one(&sent, CALLER, "OPTIONS");
        let sent = world.answer(&probe, answer, "", "", "");
        assert_eq!(
            kinds(&sent, CALLER).contains(&"BYE".to_owned()),
            ends,
            "{answer}"
        );
        assert_eq!(world.counters().probes, 1);
        if ends {
            let reason = "SIP;cause=481;text=\"In-Dialog Probe Failed\"";
            ended(world, &sent, reason);
        } else {
            hang_up(world);
        }
    }
}

#[test]
fn a_request_after_the_end_is_481() {
    let mut world = talking("8");
    world.command(&Command::EndAll);
    let sent = world.caller_sends("INVITE", "", &sdp(2, 4000, ""));
    one(&sent, CALLER, "481");
}

#[test]
fn requests_inside_the_call_are_answered_each_in_its_way() {
    let mut world = talking("8");
    for (method, code) in [
        ("OPTIONS", "200"),
        ("INFO", "200"),
        ("UPDATE", "200"),
        ("PRACK", "481"),
        ("REFER", "405"),
        ("SUBSCRIBE", "405"),
        ("MESSAGE", "405"),
        ("JUMP", "501"),
    ] {
        let sent = world.caller_sends(method, "", "");
        let answer = one(&sent, CALLER, code);
        let allows = answer.header("Allow").is_some();
        assert_eq!(allows, code != "481", "{method}");
    }
    let sent = world.caller_sends("INFO", "Require: foo, bar\r\n", "");
    let refusal = one(&sent, CALLER, "420");
    assert_eq!(refusal.header("Unsupported"), Some("foo, bar"));
    hang_up(world);
}

#[test]
fn a_request_out_of_order_or_of_a_stranger_is_refused() {
    let mut world = talking("8");
    let sent = world.caller_sends_as("INFO", 1, "", "");
    one(&sent, CALLER, "500");
    let call = std::mem::replace(&mut world.call, "another".to_owned());
    let sent = world.caller_sends("BYE", "", "");
    one(&sent, CALLER, "481");
    world.call = call;
    hang_up(world);
}

#[test]
fn without_free_ports_the_answer_is_503_with_a_reason() {
    let mut none = world_with_ports(0);
    let sent = none.call("8", "", &sdp(1, 4000, ""));
    let refusal = one(&sent, CALLER, "503");
    assert_eq!(
        refusal.header("Reason"),
        Some("Q.850;cause=34;text=\"No Media Configured\"")
    );
    assert_eq!(none.router.poll_event(), None, "nothing was used up");
    let mut world = world_with_ports(1);
    world.call("8", "", &sdp(1, 4000, ""));
    let request = format!(
        "INVITE sip:8@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {CALLER};branch=z9hG4bKother\r\n\
         From: <sip:a@a.example>;tag=o\r\nTo: <sip:b@b.example>\r\nCall-ID: other\r\n\
         CSeq: 1 INVITE\r\nContact: <sip:a@{CALLER}>\r\n{}",
        super::world::with_body("", &sdp(1, 4000, ""))
    );
    let sent = world.receive(CALLER, &request);
    let refusal = one(&sent, CALLER, "503");
    assert_eq!(
        refusal.header("Reason"),
        Some("Q.850;cause=34;text=\"No Media Ports\"")
    );
    // Spread from limits.retry_after_s to twice that.
    let seconds = refusal.header("Retry-After").and_then(|it| it.parse().ok());
    assert!(
        seconds.is_some_and(|it| (5..=10).contains(&it)),
        "{seconds:?}"
    );
    let event = world.router.poll_event();
    assert_eq!(
        event,
        Some(Event::LimitReached {
            limit: "media.ports",
            value: 1
        })
    );
    assert_eq!(world.router.calls(), 1);
}

#[test]
fn rtp_is_echoed_to_its_sender() {
    let mut world = talking("8");
    // PCMA, sequence number 1.
    let packet = [
        0x80, 8, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4, 0xd5, 0xd5, 0xd5, 0xd5,
    ];
    let sent: Vec<_> = (1..=8u16)
        .flat_map(|socket| world.receive_rtp(socket, "127.0.0.2:4000", &packet))
        .collect();
    let [(flow, _)] = &*sent else {
        panic!("{sent:?}")
    };
    assert_eq!(flow.remote.to_string(), "127.0.0.2:4000");
    hang_up(world);
}

#[test]
fn ten_thousand_echo_calls_at_once_are_answered_each_in_its_turn_and_leave_nothing() {
    const CALLS: usize = 10_000;
    let mut world = world_with_ports(CALLS as u16);
    let mut tags = Vec::with_capacity(CALLS);
    for n in 0..CALLS {
        world.call = format!("call-{n}");
        let sent = world.call("8", "", &sdp(1, 4000, ""));
        assert_eq!(kinds(&sent, CALLER), ["100", "180", "200"]);
        tags.push(
            one(&sent, CALLER, "200")
                .header("To")
                .expect("To")
                .to_owned(),
        );
    }
    assert_eq!(
        (world.router.calls(), world.counters().calls_answered),
        (CALLS, CALLS as u64)
    );
    assert_eq!(world.counters().media.pairs_used, CALLS as u64);
    for (method, expected) in [("ACK", 0), ("BYE", 1)] {
        for (n, to) in tags.iter().enumerate() {
            let sent = in_dialog(&mut world, method, n, to);
            assert_eq!(sent, expected, "{method} {n}");
        }
    }
    assert_eq!(
        (world.router.calls(), world.counters().calls_ended),
        (0, CALLS as u64)
    );
    world.assert_idle();
}

/// How many datagrams answer a request of call `n`.
fn in_dialog(world: &mut World, method: &str, n: usize, to: &str) -> usize {
    let tag = to.split_once(";tag=").expect("a tag").1;
    let cseq = if method == "ACK" { 1 } else { 2 };
    let text = format!(
        "{method} sip:{tag}@127.0.0.1:5060 SIP/2.0\r\n\
         Via: SIP/2.0/UDP {CALLER};branch=z9hG4bK{method}{n}\r\nFrom: <sip:a@a.example>;tag=a\r\n\
         To: {to}\r\nCall-ID: call-{n}\r\nCSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n\r\n"
    );
    world.receive(CALLER, &text).len()
}

#[test]
fn a_call_costs_no_more_than_its_answer_when_nobody_listens() {
    // A flood of INVITEs that are never ACKed ends by itself.
    let mut world = world();
    let mut out = Outbox::new();
    for n in 0..4 {
        world.call = format!("call-{n}");
        world.call("8", "", &sdp(1, 4000, ""));
    }
    assert_eq!(world.router.calls(), 4);
    world.seconds(100);
    assert!(world.router.is_idle());
    let flow = Flow {
        listener: 1,
        remote: CALLER.parse().expect("an address"),
    };
    world
        .router
        .receive_media(world.now, flow, b"late", &mut out);
    assert!(out.is_empty());
}
