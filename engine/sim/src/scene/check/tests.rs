//! Each checker is shown a scene in which one thing was made wrong, and has to say so.

use std::time::Duration;

use super::{Evidence, check};
use crate::heard::Heard;
use crate::scene::plan::{Act, Answering, Outcome, PhonePlan, Scene, SceneRoute};
use crate::scene::stage::Stage;
use crate::tape::Crossing;

fn callee(after: u64, outcome: Outcome) -> PhonePlan {
    PhonePlan {
        answering: Answering {
            ring: Some((Duration::from_millis(100), 180)),
            after: Duration::from_secs(after),
            outcome,
            crosses_cancel: false,
        },
        ..PhonePlan::default()
    }
}

fn acts(acts: &[(u64, Act)]) -> PhonePlan {
    PhonePlan {
        acts: acts
            .iter()
            .map(|(at, act)| (Duration::from_secs(*at), *act))
            .collect(),
        ..PhonePlan::default()
    }
}

/// A parallel fork that one of two answers.
fn forked() -> Scene {
    let routes = vec![SceneRoute::proxied(&[(1, 1_000), (2, 1_000)])];
    let caller = acts(&[(0, Act::Call(0)), (10, Act::HangUp(0))]);
    let phones = vec![
        caller,
        callee(2, Outcome::Accept),
        callee(5, Outcome::Accept),
    ];
    Scene::of(routes, phones)
}

/// A blind transfer.
fn transferred() -> Scene {
    let phones = vec![
        acts(&[(0, Act::Call(1)), (5, Act::Refer(0, 2))]),
        callee(1, Outcome::Accept),
        callee(1, Outcome::Accept),
    ];
    Scene::of((0..3).map(SceneRoute::bridged).collect(), phones)
}

/// The rules that are broken when the tape of a good scene is changed like this.
fn broken(scene: &Scene, change: impl FnOnce(&mut Vec<Crossing>)) -> Vec<&'static str> {
    let mut stage = Stage::new(scene).expect("a routing DB");
    stage.run();
    let rules = |stage: &Stage<'_>| {
        let (tape, phones) = (&stage.tape, &stage.phones);
        let found = check(&Evidence {
            scene,
            tape,
            phones,
        });
        let mut rules: Vec<&str> = found.iter().map(|finding| finding.rule).collect();
        rules.dedup();
        rules
    };
    assert!(rules(&stage).is_empty() && stage.findings.is_empty());
    change(&mut stage.tape);
    rules(&stage)
}

/// Where the router sent the first message with this title to this phone.
fn place(tape: &[Crossing], phone: usize, title: &str) -> usize {
    let is = |it: &Crossing| {
        let said = it.heard.as_ref().is_ok_and(|heard| heard.title() == title);
        !it.inbound && it.phone() == Some(phone) && said
    };
    tape.iter().position(is).expect("such a message")
}

fn heard<'a>(tape: &'a mut [Crossing], phone: usize, title: &str) -> &'a mut Heard {
    let at = place(tape, phone, title);
    tape[at].heard.as_mut().expect("a message")
}

/// The head of a message with another text in it, of the same length.
fn rewrite(crossing: &mut Crossing, from: &str, to: &str) {
    let heard = crossing.heard.as_mut().expect("a message");
    let text = heard.head_text().replace(from, to);
    crossing.size = text.len() + heard.body.len();
    heard.head = text.into_bytes();
}

#[test]
fn a_loser_that_is_not_cancelled() {
    let rules = broken(&forked(), |tape| {
        let at = place(tape, 2, "CANCEL");
        tape.remove(at);
    });
    assert_eq!(rules, ["losers"]);
}

#[test]
fn a_cancel_before_its_time_or_after() {
    let early = broken(&forked(), |tape| {
        let cancel = tape.remove(place(tape, 2, "CANCEL"));
        let at = place(tape, 2, "INVITE") + 1;
        let time = tape[at - 1].at;
        tape.insert(at, cancel);
        tape[at].at = time;
    });
    assert!(early.contains(&"cancel"), "{early:?}");
    let late = broken(&forked(), |tape| {
        let cancel = tape.remove(place(tape, 2, "CANCEL"));
        tape.push(cancel);
        let last = tape.len() - 1;
        tape[last].at = tape[last - 1].at;
    });
    assert!(late.contains(&"cancel"), "{late:?}");
}

#[test]
fn a_response_that_was_made_up_or_altered() {
    let made_up = broken(&forked(), |tape| {
        heard(tape, 0, "180 INVITE").stamp = None;
    });
    assert_eq!(made_up, ["proxy"]);
    let altered = broken(&forked(), |tape| {
        heard(tape, 0, "200 INVITE").to = "<sip:x@y>;tag=z".to_owned();
    });
    assert_eq!(altered, ["proxy"]);
    let vias = broken(&forked(), |tape| {
        let via = heard(tape, 0, "200 INVITE").vias[0].clone();
        heard(tape, 0, "200 INVITE").vias.push(via);
    });
    assert_eq!(vias, ["proxy"]);
}

#[test]
fn a_request_that_was_altered_on_its_way() {
    type Change = fn(&mut Heard);
    let changes: [Change; 4] = [
        |heard| heard.max_forwards = Some(70),
        |heard| heard.vias.truncate(1),
        |heard| heard.contact = None,
        |heard| heard.body.push(b'x'),
    ];
    for change in changes {
        let rules = broken(&forked(), |tape| change(heard(tape, 1, "INVITE")));
        assert!(rules.contains(&"proxy"), "{rules:?}");
    }
    let unrecorded = broken(&forked(), |tape| {
        let at = place(tape, 1, "INVITE");
        rewrite(&mut tape[at], "Record-Route", "X-Route");
    });
    assert_eq!(unrecorded, ["proxy"]);
}

#[test]
fn a_provisional_after_the_final_answer() {
    let rules = broken(&forked(), |tape| {
        let ringing = tape[place(tape, 0, "180 INVITE")].clone();
        let at = place(tape, 0, "200 INVITE") + 1;
        tape.insert(at, ringing);
        tape[at].at = tape[at - 1].at;
    });
    assert_eq!(rules, ["answers"]);
}

#[test]
fn a_request_without_an_answer() {
    let rules = broken(&forked(), |tape| {
        let at = place(tape, 0, "200 BYE");
        tape.remove(at);
    });
    assert_eq!(rules, ["answers"]);
}

#[test]
fn a_refusal_without_its_ack() {
    let rules = broken(&forked(), |tape| {
        let at = place(tape, 2, "ACK");
        tape.remove(at);
    });
    assert_eq!(rules, ["ack"]);
}

#[test]
fn a_message_without_end() {
    let rules = broken(&forked(), |tape| {
        let at = place(tape, 0, "200 BYE");
        let copies = vec![tape[at].clone(); 15];
        tape.splice(at..at, copies);
    });
    assert_eq!(rules, ["copies"]);
}

#[test]
fn what_is_told_of_another_leg() {
    let address = broken(&transferred(), |tape| {
        let at = place(tape, 1, "REFER");
        rewrite(
            &mut tape[at],
            "Max-Forwards",
            "X-Of: 10.3.1.103\r\nMax-Forwards",
        );
    });
    assert_eq!(address, ["hiding"]);
    let fragment = broken(&transferred(), |tape| {
        let notify = place(tape, 0, "NOTIFY");
        let crossing = &mut tape[notify];
        let heard = crossing.heard.as_mut().expect("a message");
        heard
            .body
            .extend_from_slice(b"To: <sip:x@y>;tag=p02-tag-1\r\n");
        heard.content_length = Some(heard.body.len());
        crossing.size = heard.head.len() + heard.body.len();
    });
    assert_eq!(fragment, ["hiding"]);
}

#[test]
fn a_tag_for_two() {
    let rules = broken(&transferred(), |tape| {
        let tag = heard(tape, 1, "INVITE").from_tag.clone();
        heard(tape, 2, "INVITE").from_tag = tag;
    });
    assert_eq!(rules, ["hiding"]);
}

#[test]
fn what_is_no_message_of_the_listeners() {
    let rules = broken(&forked(), |tape| {
        heard(tape, 1, "INVITE").sent_by = "192.0.2.1:5060".to_owned();
    });
    assert_eq!(rules, ["form"]);
}
