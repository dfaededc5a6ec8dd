//! Each rule is shown a run in which one thing was made wrong, and has to say so.

use std::time::Duration;

use ::media::Latching;

use crate::agent::Side;
use crate::check::{Evidence, check};
use crate::heard::Heard;
use crate::packet::{Form, Packet};
use crate::plan::{CallPlan, Change, Flow, MediaPlan, Plan, TalkPlan};
use crate::run::{Run, run};
use crate::world::ports_in_use;

const SECOND: Duration = Duration::from_secs(1);

/// A call with media, whose caller holds it after two seconds and takes it back two later.
fn plan() -> Plan {
    let mut call = CallPlan::answered();
    let talk = TalkPlan {
        changes: vec![Change::Inactive, Change::Resume],
        ..TalkPlan::default()
    };
    call.caller.inside.requests = vec![(2 * SECOND, "INVITE"), (4 * SECOND, "INVITE")];
    call.caller.talk = Some(talk.clone());
    call.callee.talk = Some(talk);
    call.route.steer = true;
    Plan {
        media: Some(MediaPlan::default()),
        ..Plan::of(call)
    }
}

fn echo_plan() -> Plan {
    let mut plan = plan();
    plan.calls[0].route.flow = Flow::Echo;
    plan
}

fn rules(plan: &Plan, change: impl FnOnce(&mut Run)) -> Vec<&'static str> {
    let mut run = run(plan);
    run.expect_clean();
    change(&mut run);
    let findings = check(&Evidence {
        plan,
        tape: &run.tape,
        packets: &run.packets,
        agents: &run.agents,
    });
    let mut rules: Vec<&str> = findings.iter().map(|finding| finding.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}

/// Where a packet left the router for this side, from this second of the world on.
fn left(run: &Run, side: Side, second: u64) -> usize {
    let fits = |packet: &Packet| {
        let late = packet.at >= stack::Time::ZERO + Duration::from_secs(second);
        let to = packet.agent().is_some_and(|id| id.side == side);
        !packet.inbound && late && to && packet.form == Form::Rtp
    };
    run.packets.iter().position(fits).expect("a packet")
}

fn described(run: &mut Run, side: Side, title: &str) -> usize {
    let found = run.tape.iter().rposition(|crossing| {
        let sent = crossing.sent();
        sent.is_some_and(|(id, heard)| id.side == side && heard.title() == title && heard.sdp)
    });
    found.unwrap_or_else(|| panic!("no {title} to {side:?}"))
}

fn body<'a>(run: &'a mut Run, side: Side, title: &str) -> &'a mut Heard {
    let at = described(run, side, title);
    run.tape[at].heard.as_mut().expect("a message")
}

fn replace(heard: &mut Heard, old: &str, new: &str) {
    let text = String::from_utf8_lossy(&heard.body).replace(old, new);
    heard.body = text.into_bytes();
}

#[test]
fn unchanged_runs_are_clean_and_have_packets() {
    for plan in [plan(), echo_plan()] {
        assert_eq!(rules(&plan, |run| assert!(run.packets.len() > 60)), [""; 0]);
    }
}

#[test]
fn a_lost_packet_is_found() {
    for second in [2, 8] {
        let lose = |run: &mut Run| {
            let at = left(run, Side::Callee, second);
            run.packets.remove(at);
        };
        assert_eq!(rules(&plan(), lose), ["streams"]);
    }
    let lose = |run: &mut Run| {
        let at = left(run, Side::Caller, 1);
        run.packets.remove(at);
    };
    assert_eq!(rules(&echo_plan(), lose), ["streams"]);
}

#[test]
fn a_packet_that_is_sent_twice_is_found() {
    let double = |run: &mut Run| {
        let at = left(run, Side::Caller, 2);
        let copy = run.packets[at].clone();
        run.packets.insert(at, copy);
    };
    assert_eq!(rules(&plan(), double), ["streams"]);
}

#[test]
fn a_packet_by_or_to_another_port_is_found() {
    let by = |run: &mut Run| {
        let at = left(run, Side::Caller, 2);
        run.packets[at].ours.set_port(20_998);
    };
    assert_eq!(rules(&plan(), by), ["streams"]);
    let to = |run: &mut Run| {
        let at = left(run, Side::Caller, 2);
        run.packets[at].remote.set_port(9);
    };
    assert_eq!(rules(&plan(), to), ["intruders", "streams"]);
}

#[test]
fn a_packet_to_a_party_that_holds_is_found() {
    // Who is on hold sends nothing: the packet of another moment is put where none may be.
    let leak = |run: &mut Run| {
        let held = |packet: &Packet| {
            let at = packet.at.duration_since(stack::Time::ZERO);
            packet.form == Form::Rtcp && packet.inbound && at > 4 * SECOND && at < 5 * SECOND
        };
        let rtcp = run.packets.iter().position(held).expect("RTCP goes on");
        let to = left(run, Side::Callee, 2);
        let (mut came, mut went) = (run.packets[rtcp].clone(), run.packets[to].clone());
        let author = run.packets[to].author().expect("a party");
        let from = run.packets[..to].iter().rfind(|packet| packet.inbound);
        let from = from.expect("where it came from").clone();
        assert_eq!(from.author(), Some(author));
        (came.form, came.mark, went.mark) = (Form::Rtp, from.mark, from.mark);
        (came.ours, came.remote, came.peer) = (from.ours, from.remote, from.peer);
        went.at = came.at;
        run.packets.splice(rtcp..rtcp, [came, went]);
    };
    assert_eq!(rules(&plan(), leak), ["streams"]);
}

#[test]
fn an_echo_that_is_its_senders_own_is_found() {
    let same = |run: &mut Run| {
        let at = left(run, Side::Caller, 1);
        let before = run.packets[at - 1].ssrc;
        run.packets[at].ssrc = before;
    };
    assert_eq!(rules(&echo_plan(), same), ["streams"]);
}

#[test]
fn a_packet_after_the_end_is_found() {
    let late = |run: &mut Run| {
        let at = left(run, Side::Caller, 2);
        let mut packet = run.packets[at].clone();
        packet.at = run.ended;
        run.packets.push(packet);
    };
    assert_eq!(rules(&plan(), late), ["streams"]);
}

#[test]
fn words_of_the_routers_own_are_found() {
    let own = |run: &mut Run| {
        let at = left(run, Side::Caller, 2);
        let mut packet = run.packets[at].clone();
        packet.mark = None;
        run.packets.insert(at, packet);
    };
    assert_eq!(rules(&plan(), own), ["streams"]);
}

/// Makes a packet of the caller's, and the one that left for it, the stranger's.
fn hijack(run: &mut Run, second: u64) {
    let at = left(run, Side::Callee, second);
    let came = run.packets[..at].iter().rposition(|packet| packet.inbound);
    for at in [came.expect("it came"), at] {
        let mark = run.packets[at].mark.as_mut().expect("a mark");
        (mark.author, mark.serial) = (None, 77);
        if run.packets[at].inbound {
            run.packets[at].remote = "203.0.113.66:6666".parse().expect("an address");
            run.packets[at].peer = crate::tape::Peer::Stranger;
        }
    }
}

#[test]
fn an_intruder_that_is_heard_is_found() {
    assert_eq!(rules(&plan(), |run| hijack(run, 8)), ["intruders"]);
}

#[test]
fn an_intruder_is_found_at_once_where_nothing_is_learned() {
    let mut strict = plan();
    let call = &mut strict.calls[0];
    for talk in [&mut call.caller.talk, &mut call.callee.talk] {
        talk.as_mut().expect("both talk").latching = Latching::Strict;
    }
    assert_eq!(rules(&strict, |run| hijack(run, 1)), ["intruders"]);
    assert_eq!(
        rules(&plan(), |run| hijack(run, 1)),
        [""; 0],
        "in the window"
    );
}

#[test]
fn an_intruder_that_hears_is_found() {
    let divert = |run: &mut Run| {
        let at = left(run, Side::Callee, 8);
        run.packets[at].remote = "203.0.113.66:6666".parse().expect("an address");
        run.packets[at].peer = crate::tape::Peer::Stranger;
    };
    assert!(rules(&plan(), divert).contains(&"intruders"));
}

#[test]
fn a_description_that_tells_of_the_other_leg_is_found() {
    for (side, leak) in [(Side::Caller, "10.2.0.1"), (Side::Callee, "100.65.0.1")] {
        let title = if side == Side::Caller {
            "200 INVITE"
        } else {
            "INVITE"
        };
        let tell = |run: &mut Run| replace(body(run, side, title), "s=-", &format!("s={leak}"));
        assert!(rules(&plan(), tell).contains(&"descriptions"), "{leak}");
    }
}

#[test]
fn a_wrong_version_is_found() {
    let origin = |run: &mut Run, change: fn(u64) -> u64| {
        let heard = body(run, Side::Caller, "200 INVITE");
        let text = String::from_utf8_lossy(&heard.body).into_owned();
        let line = text
            .lines()
            .find(|line| line.starts_with("o="))
            .expect("o=");
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        words[2] = change(words[2].parse().expect("a number")).to_string();
        replace(heard, line, &words.join(" "));
    };
    for change in [|version| version + 1, |version| version - 1] {
        assert_eq!(rules(&plan(), |run| origin(run, change)), ["descriptions"]);
    }
    let unsaid = |run: &mut Run| replace(body(run, Side::Caller, "200 INVITE"), "t=0 0", "t=1 0");
    let mut refresh = plan();
    refresh.calls[0].caller.talk = Some(TalkPlan::default());
    let found = rules(&refresh, unsaid);
    assert_eq!(found, ["descriptions"], "changed without a version");
}

#[test]
fn ports_that_leak_are_found() {
    let mut counters = ::media::Counters::default();
    assert_eq!(ports_in_use(&counters), None);
    counters.pairs_used = 2;
    assert!(ports_in_use(&counters).is_some());
    counters = ::media::Counters {
        streams: 1,
        ..::media::Counters::default()
    };
    assert!(ports_in_use(&counters).is_some());
}
