//! Each checker is shown a run in which one thing was made wrong, and has to say so.

mod peers;

use super::{Evidence, Finding, check};
use crate::agent::Side;
use crate::heard::Heard;
use crate::plan::{CallPlan, Plan, Step};
use crate::run::{Run, run};
use crate::tape::Crossing;

use std::time::Duration;

/// A good run of a call with a re-INVITE, early media and reliable provisionals.
fn good() -> (Plan, Run) {
    let second = Duration::from_secs(1);
    let reliable = Step::Provisional {
        code: 183,
        sdp: true,
        reliable: true,
        fork: 0,
    };
    let steps = [
        reliable,
        Step::ringing(180),
        Step::Wait(second),
        Step::Answer { fork: 0 },
    ];
    let mut call = CallPlan::with_steps(&steps);
    call.caller.reliable = true;
    call.caller.inside.requests = vec![(second, "INVITE"), (3 * second, "INFO")];
    let plan = Plan::of(call);
    let run = run(&plan);
    run.expect_clean();
    (plan, run)
}

/// What the checkers say when the tape is changed like this, and every message is told to be as long as it is.
fn findings(change: impl FnOnce(&mut Vec<Crossing>)) -> Vec<Finding> {
    findings_as_is(|tape| {
        change(tape);
        settle(tape);
    })
}

fn settle(tape: &mut [Crossing]) {
    for crossing in tape {
        if let Ok(heard) = &mut crossing.heard {
            crossing.size = heard.head.len() + heard.body.len();
            heard.content_length = Some(heard.body.len());
        }
    }
}

fn findings_as_is(change: impl FnOnce(&mut Vec<Crossing>)) -> Vec<Finding> {
    let (plan, mut run) = good();
    change(&mut run.tape);
    check(&Evidence {
        plan: &plan,
        tape: &run.tape,
        packets: &run.packets,
        agents: &run.agents,
    })
}

fn rules(change: impl FnOnce(&mut Vec<Crossing>)) -> Vec<&'static str> {
    rules_of(&findings(change))
}

fn rules_of(findings: &[Finding]) -> Vec<&'static str> {
    let mut rules: Vec<&str> = findings.iter().map(|finding| finding.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}

/// Where the router sent this to that side.
fn place(tape: &[Crossing], side: Side, title: &str) -> usize {
    let found = tape.iter().position(|crossing| {
        crossing
            .sent()
            .is_some_and(|(id, heard)| id.side == side && heard.title() == title)
    });
    found.unwrap_or_else(|| panic!("no {title} to {side:?}"))
}

fn heard<'a>(tape: &'a mut [Crossing], side: Side, title: &str) -> &'a mut Heard {
    let at = place(tape, side, title);
    tape[at].heard.as_mut().expect("it is a message")
}

fn replace(heard: &mut Heard, old: &str, new: &str) {
    heard.head = heard.head_text().replace(old, new).into_bytes();
}

#[test]
fn an_unchanged_tape_is_clean() {
    assert_eq!(rules(|_| {}), [""; 0]);
}

#[test]
fn a_leaking_header_is_found() {
    for leak in [
        "10.2.0.1",
        "btag-0-1-deadbeef",
        "tpr-00",
        "host0.leg-b.example",
    ] {
        let line = format!("X-Leak: {leak}\r\n");
        let change = |tape: &mut Vec<Crossing>| {
            heard(tape, Side::Caller, "180 INVITE")
                .head
                .extend_from_slice(line.as_bytes());
        };
        assert_eq!(rules(change), ["hiding"], "{leak}");
    }
    let change = |tape: &mut Vec<Crossing>| {
        heard(tape, Side::Callee, "INVITE")
            .head
            .extend_from_slice(b"X-Leak: 10.1.0.1\r\n");
    };
    assert_eq!(rules(change), ["hiding"]);
}

#[test]
fn a_tag_on_two_legs_is_found() {
    let change = |tape: &mut Vec<Crossing>| {
        let tag = heard(tape, Side::Caller, "180 INVITE").to_tag.clone();
        heard(tape, Side::Callee, "BYE").from_tag = tag;
    };
    assert!(rules(change).contains(&"hiding"));
}

#[test]
fn changed_cargo_is_found() {
    let stamp = |heard: &mut Heard| replace(heard, "X-Last: ", "X-Last:  ");
    assert_eq!(
        rules(|tape| stamp(heard(tape, Side::Callee, "INFO"))),
        ["passing"]
    );
    assert_eq!(
        rules(|tape| heard(tape, Side::Callee, "INFO").body.push(0)),
        ["passing"]
    );
    let phrase = |tape: &mut Vec<Crossing>| {
        heard(tape, Side::Caller, "180 INVITE").phrase = "Rung".to_owned();
    };
    assert_eq!(rules(phrase), ["passing"]);
    let hops = |tape: &mut Vec<Crossing>| {
        heard(tape, Side::Callee, "INFO").max_forwards = Some(70);
    };
    assert_eq!(rules(hops), ["passing"]);
}

#[test]
fn a_message_to_the_wrong_call_is_found() {
    let change = |tape: &mut Vec<Crossing>| {
        let at = place(tape, Side::Callee, "INFO");
        tape[at].peer = tape[place(tape, Side::Caller, "180 INVITE")].peer;
    };
    assert!(rules(change).contains(&"passing"));
}

#[test]
fn a_180_after_the_200_is_found() {
    let change = |tape: &mut Vec<Crossing>| {
        let ringing = tape[place(tape, Side::Caller, "180 INVITE")].clone();
        let at = place(tape, Side::Caller, "200 INVITE");
        tape.insert(at + 1, ringing);
    };
    assert_eq!(rules(change), ["answers"]);
}

#[test]
fn a_second_final_is_found() {
    let change = |tape: &mut Vec<Crossing>| {
        let at = place(tape, Side::Caller, "200 INVITE");
        let mut other = tape[at].clone();
        other.heard.as_mut().expect("a message").code = 487;
        tape.insert(at + 1, other);
    };
    assert!(rules(change).contains(&"answers"));
}

#[test]
fn a_request_without_an_answer_is_found() {
    for title in ["200 PRACK", "200 INFO", "200 BYE"] {
        let change = |tape: &mut Vec<Crossing>| {
            let at = place(tape, Side::Caller, title);
            tape.remove(at);
        };
        assert_eq!(rules(change), ["answers"], "{title}");
    }
}

#[test]
fn an_invite_that_waits_too_long_for_its_100_is_found() {
    let change = |tape: &mut Vec<Crossing>| {
        for crossing in tape.iter_mut().skip(1) {
            crossing.at = crossing.at + Duration::from_millis(300);
        }
    };
    assert!(rules(change).contains(&"answers"));
}

#[test]
fn endless_copies_are_found() {
    let change = |tape: &mut Vec<Crossing>| {
        let info = tape[place(tape, Side::Callee, "INFO")].clone();
        tape.extend(std::iter::repeat_n(info, 20));
    };
    assert_eq!(rules(change), ["copies"]);
}

#[test]
fn a_cseq_that_does_not_rise_is_found() {
    let change = |tape: &mut Vec<Crossing>| heard(tape, Side::Callee, "BYE").cseq = 2;
    assert_eq!(rules(change), ["cseq"]);
    let change = |tape: &mut Vec<Crossing>| heard(tape, Side::Callee, "ACK").cseq = 77;
    assert!(rules(change).contains(&"cseq"));
}

#[test]
fn a_request_after_the_bye_is_found() {
    let change = |tape: &mut Vec<Crossing>| {
        let at = place(tape, Side::Callee, "BYE");
        let mut late = tape[at].clone();
        let message = late.heard.as_mut().expect("a message");
        (message.cseq, message.branch) = (message.cseq + 1, "z9hG4bKlate".to_owned());
        tape.insert(at + 1, late);
    };
    assert_eq!(rules(change), ["bye"]);
}

#[test]
fn a_missing_ack_is_found() {
    let change = |tape: &mut Vec<Crossing>| {
        let at = place(tape, Side::Callee, "ACK");
        tape.remove(at);
    };
    assert_eq!(rules(change), ["ack"]);
}

#[test]
fn a_2xx_that_is_repeated_after_its_ack_is_found() {
    let change = |tape: &mut Vec<Crossing>| {
        let answer = tape[place(tape, Side::Caller, "200 INVITE")].clone();
        let at = place(tape, Side::Callee, "ACK");
        tape.insert(at, answer);
    };
    assert_eq!(rules(change), ["ack"]);
}

#[test]
fn a_stranger_that_is_obeyed_is_found() {
    let change = |tape: &mut Vec<Crossing>| {
        let received = tape.iter().position(|crossing| {
            crossing
                .received()
                .is_some_and(|(_, heard)| heard.method == "BYE")
        });
        let at = received.expect("the caller hangs up");
        let mut forged = tape[at].clone();
        forged.peer = crate::tape::Peer::Stranger;
        tape.insert(at, forged);
    };
    assert_eq!(rules(change), ["strangers"]);
}

#[test]
fn a_misleading_via_or_contact_is_found() {
    let via = |tape: &mut Vec<Crossing>| {
        heard(tape, Side::Callee, "INVITE").sent_by = "192.168.9.9:5060".to_owned();
    };
    assert_eq!(rules(via), ["form"]);
    let contact = |tape: &mut Vec<Crossing>| {
        heard(tape, Side::Caller, "200 INVITE").contact = Some("sip:x@192.168.9.9".to_owned());
    };
    assert_eq!(rules(contact), ["form"]);
    let broken = |tape: &mut Vec<Crossing>| {
        let at = place(tape, Side::Caller, "180 INVITE");
        tape[at].heard = Err("broken".to_owned());
    };
    assert_eq!(rules(broken), ["form"]);
}

/// What the checkers say to the same run under a plan that asked for something else.
fn rules_under(change: impl FnOnce(&mut CallPlan)) -> Vec<&'static str> {
    let (mut plan, run) = good();
    change(&mut plan.calls[0]);
    let findings = check(&Evidence {
        plan: &plan,
        tape: &run.tape,
        packets: &run.packets,
        agents: &run.agents,
    });
    findings.iter().map(|finding| finding.rule).collect()
}

#[test]
fn times_that_are_not_kept_are_found() {
    let early = Some(Duration::from_millis(10));
    // The 200 came a second after the 180: too late for the first two, and nobody ended the call.
    assert_eq!(
        rules_under(|call| call.route.max_duration = Some(Duration::from_secs(5))),
        ["times"]
    );
    assert_eq!(
        rules_under(|call| call.route.no_18x = early),
        [""; 0],
        "the tolerance"
    );
    let mut long = CallPlan::with_steps(&[
        Step::ringing(180),
        Step::Wait(Duration::from_secs(9)),
        Step::Answer { fork: 0 },
    ]);
    let run = run(&Plan::of(long.clone()));
    long.route.no_answer = Some(Duration::from_secs(4));
    let plan = Plan::of(long);
    let findings = check(&Evidence {
        plan: &plan,
        tape: &run.tape,
        packets: &run.packets,
        agents: &run.agents,
    });
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].rule, "times");
}

#[test]
fn an_18x_that_should_have_been_dropped_is_found() {
    let twice = [
        Step::ringing(180),
        Step::Wait(Duration::from_secs(1)),
        Step::ringing(180),
    ];
    let steps = [&twice[..], &[Step::Answer { fork: 0 }]].concat();
    let mut call = CallPlan::with_steps(&steps);
    let run = run(&Plan::of(call.clone()));
    run.expect_clean();
    call.route.disallow_similar_18x = true;
    let plan = Plan::of(call);
    let findings = check(&Evidence {
        plan: &plan,
        tape: &run.tape,
        packets: &run.packets,
        agents: &run.agents,
    });
    assert_eq!(
        findings
            .iter()
            .map(|finding| finding.rule)
            .collect::<Vec<_>>(),
        ["18x"]
    );
}

#[test]
fn a_call_that_nobody_ends_is_found() {
    let mut call = CallPlan::answered();
    call.caller.inside.hang_up = None;
    let outcome = run(&Plan::of(call));
    let rules: Vec<&str> = outcome
        .findings
        .iter()
        .map(|finding| finding.rule)
        .collect();
    assert_eq!(rules, ["rest", "endings", "endings"]);
}
