//! The rules about what a peer may be told, each broken once.

use std::time::Duration;

use super::{findings, findings_as_is, heard, place, replace, rules, rules_of, settle};
use crate::agent::Side;
use crate::plan::{CallPlan, OrdealPlan, Plan};
use crate::run::run;
use crate::tape::Crossing;

/// What is said when a message that the router sent to that side is moved to where another one is.
fn moved(side: Side, title: &str, to: (Side, &str)) -> Vec<&'static str> {
    rules(|tape| {
        let message = tape.remove(place(tape, side, title));
        let at = place(tape, to.0, to.1);
        let at_time = tape[at].at;
        tape.insert(at, message);
        tape[at].at = at_time;
    })
}

/// What is said when the router sends this request again, made another one, at once.
fn forged(side: Side, title: &str, change: impl Fn(&mut Crossing)) -> Vec<String> {
    let found = findings(|tape| {
        let at = place(tape, side, title);
        let mut message = tape[at].clone();
        change(&mut message);
        tape.insert(at + 1, message);
    });
    found
        .into_iter()
        .map(|finding| finding.to_string())
        .collect()
}

fn says(findings: &[String], text: &str) -> bool {
    findings.iter().any(|finding| finding.contains(text))
}

#[test]
fn a_retransmission_that_differs_is_found() {
    let said = forged(Side::Callee, "INFO", |message| {
        message.heard.as_mut().expect("a message").body.push(b'x');
    });
    assert!(
        says(&said, "is not what it was when it was first sent"),
        "{said:?}"
    );
}

#[test]
fn an_answer_to_nothing_is_found() {
    let change = |tape: &mut Vec<Crossing>| {
        heard(tape, Side::Caller, "200 INFO").branch = "z9hG4bKnone".to_owned();
    };
    assert!(rules(change).contains(&"states"));
}

#[test]
fn an_answer_with_other_vias_is_found() {
    let change = |tape: &mut Vec<Crossing>| {
        let via = heard(tape, Side::Caller, "200 INFO").vias[0].clone();
        heard(tape, Side::Caller, "200 INFO").vias.push(via);
    };
    assert_eq!(rules(change), ["states"]);
    let number = |tape: &mut Vec<Crossing>| heard(tape, Side::Caller, "200 INFO").cseq += 1;
    assert_eq!(rules(number), ["states"]);
}

#[test]
fn a_bye_before_the_ack_is_found() {
    let early = moved(Side::Callee, "BYE", (Side::Caller, "200 INVITE"));
    assert!(early.contains(&"bye"), "{early:?}");
    let bye = |message: &mut Crossing| {
        let bye = message.heard.as_mut().expect("a message");
        (bye.code, bye.cseq) = (0, 1);
        (bye.method, bye.branch) = ("BYE".to_owned(), "z9hG4bKearly".to_owned());
        std::mem::swap(&mut bye.from, &mut bye.to);
        std::mem::swap(&mut bye.from_tag, &mut bye.to_tag);
    };
    let said = forged(Side::Caller, "200 INVITE", bye);
    assert!(says(&said, "comes before the ACK of its 2xx"), "{said:?}");
    let said = forged(Side::Caller, "180 INVITE", bye);
    assert!(says(&said, "ends what was never established"), "{said:?}");
}

#[test]
fn a_cancel_out_of_time_is_found() {
    let cancel = |message: &mut Crossing| {
        message.heard.as_mut().expect("a message").method = "CANCEL".to_owned();
    };
    let said = forged(Side::Callee, "INVITE", cancel);
    assert!(
        says(&said, "comes before any provisional response"),
        "{said:?}"
    );
    let late = findings(|tape| {
        let mut message = tape[place(tape, Side::Callee, "INVITE")].clone();
        cancel(&mut message);
        tape.push(message);
    });
    let late: Vec<String> = late.iter().map(ToString::to_string).collect();
    assert!(says(&late, "comes after the final response"), "{late:?}");
}

#[test]
fn an_ack_of_nothing_or_of_the_wrong_sort_is_found() {
    let tag = |tape: &mut Vec<Crossing>| {
        heard(tape, Side::Callee, "ACK").to_tag = "btag-none".to_owned();
    };
    assert!(rules(tag).contains(&"states"));
    let branch = |tape: &mut Vec<Crossing>| {
        let invite = heard(tape, Side::Callee, "INVITE").branch.clone();
        heard(tape, Side::Callee, "ACK").branch = invite;
    };
    assert!(rules(branch).contains(&"states"));
}

#[test]
fn a_prack_for_no_reliable_provisional_is_found() {
    let other = |tape: &mut Vec<Crossing>| heard(tape, Side::Callee, "PRACK").rack = Some((1, 1));
    assert_eq!(rules(other), ["states"]);
    let none = |tape: &mut Vec<Crossing>| heard(tape, Side::Callee, "PRACK").rack = None;
    assert_eq!(rules(none), ["states"]);
    let said = forged(Side::Callee, "PRACK", |message| {
        let prack = message.heard.as_mut().expect("a message");
        (prack.cseq, prack.branch) = (prack.cseq + 1, "z9hG4bKagain".to_owned());
    });
    assert!(
        says(&said, "is the second for one provisional response"),
        "{said:?}"
    );
}

#[test]
fn an_update_of_its_own_to_who_does_not_allow_it_is_found() {
    let change = |tape: &mut Vec<Crossing>| {
        let info = heard(tape, Side::Callee, "INFO");
        (info.method, info.stamp, info.sdp) = ("UPDATE".to_owned(), None, true);
    };
    assert!(rules(change).contains(&"states"));
    let told = |tape: &mut Vec<Crossing>| {
        let received = tape.iter_mut().find(|crossing| {
            let ringing = crossing.received().map(|(_, heard)| heard.title());
            ringing.as_deref() == Some("180 INVITE")
        });
        let ringing = received
            .expect("it rings")
            .heard
            .as_mut()
            .expect("a message");
        ringing.head.extend_from_slice(b"Allow: INVITE, BYE\r\n");
        let info = heard(tape, Side::Callee, "INFO");
        (info.method, info.stamp, info.sdp) = ("UPDATE".to_owned(), None, false);
    };
    assert!(rules(told).contains(&"states"));
}

#[test]
fn a_request_in_a_dialog_that_is_not_is_found() {
    let unknown = |tape: &mut Vec<Crossing>| {
        heard(tape, Side::Callee, "INFO").to_tag = "btag-none".to_owned();
    };
    assert!(rules(unknown).contains(&"states"));
    let left = |tape: &mut Vec<Crossing>| {
        let received = tape.iter().position(|crossing| {
            let bye = crossing
                .received()
                .filter(|(_, heard)| heard.method == "BYE");
            bye.is_some()
        });
        let bye = tape[received.expect("the caller hangs up")].heard.clone();
        let bye = bye.expect("a message");
        let mut late = tape[place(tape, Side::Caller, "200 BYE")].clone();
        let request = late.heard.as_mut().expect("a message");
        (request.code, request.method) = (0, "INFO".to_owned());
        request.branch = "z9hG4bKlate".to_owned();
        (request.from_tag, request.to_tag) = (bye.to_tag, bye.from_tag);
        tape.push(late);
    };
    assert!(says(
        &findings(left)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        "comes after the peer's own BYE"
    ));
}

#[test]
fn a_name_that_changes_within_a_dialog_is_found() {
    let from = |tape: &mut Vec<Crossing>| {
        heard(tape, Side::Callee, "INFO").from = "<sip:other@192.168.7.1>;tag=x".to_owned();
    };
    assert_eq!(rules(from), ["identities"]);
    let tag = |tape: &mut Vec<Crossing>| {
        heard(tape, Side::Caller, "180 INVITE").to_tag = "tpr0".to_owned();
    };
    assert!(rules(tag).contains(&"identities"));
}

#[test]
fn a_token_of_another_leg_is_found() {
    let change = |tape: &mut Vec<Crossing>| {
        let tag = heard(tape, Side::Caller, "180 INVITE").to_tag.clone();
        let line = format!("X-Leak: <{tag}>\r\n");
        heard(tape, Side::Callee, "INFO")
            .head
            .extend_from_slice(line.as_bytes());
    };
    assert!(rules(change).contains(&"hiding"));
}

#[test]
fn a_wrong_length_is_found() {
    let told = |tape: &mut Vec<Crossing>| {
        heard(tape, Side::Callee, "INFO").content_length = Some(1);
    };
    assert_eq!(rules_of(&findings_as_is(told)), ["form"]);
    let more = |tape: &mut Vec<Crossing>| {
        let at = place(tape, Side::Callee, "INFO");
        tape[at].size += 1;
    };
    assert_eq!(rules_of(&findings_as_is(more)), ["form"]);
}

#[test]
fn floods_are_found() {
    let flood = |tape: &mut Vec<Crossing>| {
        let info = tape[place(tape, Side::Callee, "INFO")].clone();
        tape.extend(std::iter::repeat_n(info, 2_000));
    };
    assert_eq!(rules(flood), ["amounts", "copies"]);
    let strange = |tape: &mut Vec<Crossing>| {
        let mut answer = tape[place(tape, Side::Caller, "200 INFO")].clone();
        answer.peer = crate::tape::Peer::Stranger;
        tape.push(answer);
    };
    assert_eq!(rules(strange), ["amounts"]);
}

#[test]
fn a_refusal_without_its_ack_is_found() {
    let call = CallPlan::with_steps(&[crate::plan::Step::Reject(486)]);
    let plan = Plan::of(call);
    let mut run = run(&plan);
    run.expect_clean();
    let ack = place(&run.tape, Side::Callee, "ACK");
    run.tape.remove(ack);
    let findings = super::check(&super::Evidence {
        plan: &plan,
        tape: &run.tape,
        packets: &run.packets,
        agents: &run.agents,
    });
    assert_eq!(findings.first().map(|finding| finding.rule), Some("ack"));
}

#[test]
fn an_ordeal_excuses_what_is_late_and_nothing_else() {
    let second = Duration::from_secs(1);
    let mut plan = Plan::of(CallPlan::answered());
    plan.ordeal = Some(OrdealPlan {
        pauses: vec![(Duration::ZERO, 3 * second)],
        leaps: vec![(4 * second, 50 * second)],
        ..OrdealPlan::default()
    });
    let outcome = run(&plan);
    outcome.expect_clean();
    let first = outcome.tape.first().map(|crossing| crossing.at);
    assert!(first >= Some(stack::Time::ZERO + 3 * second), "{first:?}");
    let mut tape = outcome.tape.clone();
    replace(
        heard(&mut tape, Side::Caller, "180 INVITE"),
        "Via",
        "X-Leak: 10.2.0.1\r\nVia",
    );
    settle(&mut tape);
    let findings = super::check(&super::Evidence {
        plan: &plan,
        tape: &tape,
        packets: &outcome.packets,
        agents: &outcome.agents,
    });
    assert_eq!(findings.first().map(|finding| finding.rule), Some("hiding"));
}
