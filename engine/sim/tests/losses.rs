//! Single messages that get lost, and what makes up for them (RFC 3261 13.3.1.4, 17; RFC 6026).

use std::time::Duration;

use tipring_sim::{CallPlan, Run, Side, Step, in_all_weathers};

fn run_missing(side: Side, title: &'static str, count: u32, steps: &[Step]) -> Run {
    let mut call = CallPlan::with_steps(steps);
    let inside = match side {
        Side::Caller => &mut call.caller.inside,
        Side::Callee => &mut call.callee.inside,
    };
    inside.misses = Some((title, count));
    in_all_weathers(&call)
}

fn answered() -> [Step; 3] {
    [
        Step::ringing(180),
        Step::Wait(Duration::from_secs(1)),
        Step::Answer { fork: 0 },
    ]
}

/// How often the router sent this.
fn copies(run: &Run, side: Side, title: &str) -> usize {
    run.sent(0, side)
        .filter(|(_, heard)| heard.title() == title)
        .count()
}

fn lasts_ten_seconds(run: &Run) -> bool {
    let bye = run
        .sent(0, Side::Callee)
        .find(|(_, heard)| heard.method == "BYE");
    bye.is_some_and(|(at, _)| at.as_nanos() / 1_000_000_000 >= 11)
}

#[test]
fn retransmitted_200_reacked() {
    let run = run_missing(Side::Callee, "ACK", 3, &answered());
    assert_eq!(
        copies(&run, Side::Callee, "ACK"),
        4,
        "one for each copy of the 200"
    );
    assert_eq!(
        copies(&run, Side::Caller, "200 INVITE"),
        1,
        "the caller hears nothing of it"
    );
    assert!(lasts_ten_seconds(&run));
}

#[test]
fn lost_200_is_repeated_until_its_ack() {
    let run = run_missing(Side::Caller, "200 INVITE", 3, &answered());
    assert_eq!(copies(&run, Side::Caller, "200 INVITE"), 4);
    // The callee repeats its own, and its copies are not passed on.
    assert!(lasts_ten_seconds(&run));
}

#[test]
fn retransmitted_invite() {
    let run = run_missing(Side::Callee, "INVITE", 2, &answered());
    assert_eq!(copies(&run, Side::Callee, "INVITE"), 3);
    assert_eq!(run.callee(0).facts().invites, 1);
    assert_eq!(run.caller(0).facts().final_code, Some(200));
}

#[test]
fn a_lost_100_brings_the_invite_again() {
    let steps = [Step::Wait(Duration::from_secs(2)), Step::Answer { fork: 0 }];
    let run = run_missing(Side::Caller, "100 INVITE", 1, &steps);
    assert!(
        copies(&run, Side::Caller, "100 INVITE") > 1,
        "answered again"
    );
    assert_eq!(run.callee(0).facts().invites, 1);
}

#[test]
fn a_lost_rejection_is_repeated() {
    let run = run_missing(Side::Caller, "486 INVITE", 3, &[Step::Reject(486)]);
    assert_eq!(run.caller(0).facts().final_code, Some(486));
    assert_eq!(copies(&run, Side::Caller, "486 INVITE"), 4);
}

#[test]
fn a_repeated_rejection_is_acknowledged_again() {
    let run = run_missing(Side::Callee, "ACK", 3, &[Step::Reject(486)]);
    assert_eq!(copies(&run, Side::Callee, "ACK"), 4);
    assert_eq!(copies(&run, Side::Caller, "486 INVITE"), 1);
}

#[test]
fn a_lost_bye_is_repeated() {
    let run = run_missing(Side::Callee, "BYE", 3, &answered());
    assert_eq!(copies(&run, Side::Callee, "BYE"), 4);
    assert_eq!(run.callee(0).dialogs()[0].byes(), 1);
}

#[test]
fn a_repeated_bye_is_answered_again() {
    let run = run_missing(Side::Caller, "200 BYE", 2, &answered());
    assert_eq!(copies(&run, Side::Caller, "200 BYE"), 3);
    assert_eq!(copies(&run, Side::Callee, "BYE"), 1);
}
