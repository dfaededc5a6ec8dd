//! Parties that cannot be reached, do not answer, or die.

use std::time::Duration;

use tipring_sim::{CallPlan, Death, NamePlan, Run, Side, Step, in_all_weathers};

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn dead(at: Duration, refusing: bool) -> Option<Death> {
    Some(Death { at, refusing })
}

fn code(run: &Run) -> Option<u16> {
    run.caller(0).facts().final_code
}

#[test]
fn callee_dead_408_after_32s() {
    let mut call = CallPlan::answered();
    call.callee.inside.dies = dead(Duration::ZERO, false);
    let run = in_all_weathers(&call);
    assert_eq!(code(&run), Some(408));
    let answer = run
        .sent(0, Side::Caller)
        .find(|(_, heard)| heard.code == 408);
    assert_eq!(
        answer.map(|(at, _)| at.as_nanos() / 1_000_000_000),
        Some(32)
    );
    assert_eq!(run.titles(0, Side::Callee), ["INVITE"]);
    assert_eq!(run.sent(0, Side::Callee).count(), 7, "RFC 3261 17.1.1.2");
}

#[test]
fn unreachable_503() {
    let mut call = CallPlan::answered();
    call.callee.inside.dies = dead(Duration::ZERO, true);
    let run = in_all_weathers(&call);
    assert_eq!(code(&run), Some(503));
    assert!(
        run.ended.as_nanos() < 45_000_000_000,
        "at once, then timer H at the most"
    );
}

#[test]
fn name_resolution_failure_503() {
    let mut call = CallPlan::answered();
    call.route.name = Some(NamePlan {
        takes: s(1),
        fails: true,
    });
    let run = in_all_weathers(&call);
    assert_eq!(code(&run), Some(503));
    assert_eq!(run.titles(0, Side::Caller), ["100 INVITE", "503 INVITE"]);
    assert!(run.titles(0, Side::Callee).is_empty());
}

#[test]
fn a_name_is_resolved() {
    let mut call = CallPlan::answered();
    call.route.name = Some(NamePlan {
        takes: s(2),
        fails: false,
    });
    let run = in_all_weathers(&call);
    assert_eq!(code(&run), Some(200));
    let invite = run.sent(0, Side::Callee).next();
    assert_eq!(invite.map(|(at, _)| at.as_nanos() / 1_000_000_000), Some(2));
}

#[test]
fn a_callee_that_dies_while_it_rings_is_given_up() {
    let mut call = CallPlan::with_steps(&[Step::ringing(180), Step::Wait(s(10))]);
    call.callee.inside.dies = dead(s(5), false);
    let run = in_all_weathers(&call);
    assert_eq!(code(&run), Some(408), "the ringing limit");
}

#[test]
fn a_caller_that_dies_while_it_rings_leaves_nothing() {
    let mut call = CallPlan::answered();
    call.caller.inside.dies = dead(Duration::from_millis(500), false);
    let run = in_all_weathers(&call);
    // Its 200 is never acknowledged: callee and router give up on the call in the same moment.
    assert_eq!(run.callee(0).facts().final_code, Some(200));
    assert!(run.callee(0).dialogs()[0].end().is_some());
    assert!(
        run.titles(0, Side::Callee).contains(&"ACK".to_owned()),
        "owed (13.2.2.4)"
    );
}

#[test]
fn a_party_that_dies_in_the_call_does_not_hold_the_other() {
    let mut call = CallPlan::answered();
    call.callee.inside.dies = dead(s(5), false);
    let run = in_all_weathers(&call);
    assert!(run.titles(0, Side::Caller).contains(&"200 BYE".to_owned()));

    let mut call = CallPlan::answered();
    call.caller.inside.dies = dead(s(5), false);
    call.callee.inside.requests = vec![(s(6), "INFO")];
    let run = in_all_weathers(&call);
    // RFC 3261 12.2.1.2: the silence of the caller ends the dialog; RFC 4320 4.2: without a 408.
    assert!(run.callee(0).dialogs()[0].end().is_some());
    assert_eq!(run.callee(0).facts().answers[0], ("INFO".to_owned(), 408));
    assert!(!run.titles(0, Side::Callee).contains(&"408 INFO".to_owned()));
}
