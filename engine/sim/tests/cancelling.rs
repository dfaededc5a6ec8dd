//! A caller that gives up, at every awkward moment (RFC 3261 9).

use std::time::Duration;

use tipring_sim::{CallPlan, Cancel, Cancelled, Run, Side, Step, in_all_weathers};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn cancelled(cancel: Cancel, steps: &[Step], reaction: Cancelled) -> Run {
    let mut call = CallPlan::with_steps(steps);
    call.caller.cancel = Some(cancel);
    call.callee.cancelled = reaction;
    in_all_weathers(&call)
}

fn final_codes(run: &Run) -> [Option<u16>; 2] {
    [run.caller(0), run.callee(0)].map(|agent| agent.facts().final_code)
}

#[test]
fn cancel_before_100() {
    // The callee says nothing for a second: the CANCEL to it has to wait for its 180.
    let steps = [
        Step::Wait(ms(1_000)),
        Step::ringing(180),
        Step::Wait(ms(60_000)),
    ];
    let run = cancelled(Cancel::Impatient(ms(50)), &steps, Cancelled::Ends);
    assert_eq!(final_codes(&run), [Some(487), Some(487)]);
    assert_eq!(run.titles(0, Side::Caller), ["200 CANCEL", "487 INVITE"]);
    assert_eq!(run.titles(0, Side::Callee), ["INVITE", "CANCEL", "ACK"]);
}

#[test]
fn cancel_after_ringing_says_why() {
    let steps = [Step::ringing(180), Step::Wait(ms(60_000))];
    let run = cancelled(Cancel::AfterRinging(ms(700)), &steps, Cancelled::Ends);
    assert_eq!(final_codes(&run), [Some(487), Some(487)]);
    let reason = "SIP;cause=487;text=\"changed my mind\"";
    assert_eq!(run.callee(0).facts().end_reasons, [reason]);
}

#[test]
fn cancel_crosses_200() {
    let steps = [Step::ringing(180), Step::Wait(ms(60_000))];
    let run = cancelled(Cancel::AfterRinging(ms(700)), &steps, Cancelled::Answers);
    // The caller has been told 487 before; the callee's fresh dialog is ended.
    assert_eq!(final_codes(&run), [Some(487), Some(200)]);
    assert_eq!(
        run.titles(0, Side::Callee),
        ["INVITE", "CANCEL", "ACK", "BYE"]
    );
}

#[test]
fn cancel_reaches_the_router_after_the_200() {
    // The 200 is on its way to the caller when it sends its CANCEL.
    let steps = [
        Step::ringing(180),
        Step::Wait(ms(100)),
        Step::Answer { fork: 0 },
    ];
    let run = cancelled(Cancel::After(ms(103)), &steps, Cancelled::Ends);
    assert_eq!(final_codes(&run), [Some(200), Some(200)]);
    // RFC 3261 9.2: it matches a transaction and has no effect on it.
    assert!(
        run.titles(0, Side::Caller)
            .contains(&"200 CANCEL".to_owned())
    );
    assert_eq!(run.titles(0, Side::Callee), ["INVITE", "ACK", "BYE"]);
}

#[test]
fn a_cancel_that_the_callee_ignores_ends_after_64_t1() {
    let steps = [Step::ringing(180), Step::Wait(ms(60_000))];
    let run = cancelled(Cancel::AfterRinging(ms(700)), &steps, Cancelled::Ignores);
    assert_eq!(final_codes(&run), [Some(487), None]);
}

#[test]
fn a_silent_callee_of_a_cancelled_call_is_given_up() {
    let run = cancelled(Cancel::Impatient(ms(50)), &[], Cancelled::Ends);
    assert_eq!(final_codes(&run), [Some(487), None]);
    assert!(!run.titles(0, Side::Callee).contains(&"CANCEL".to_owned()));
}

#[test]
fn a_cancelled_call_whose_callee_rejects_it_meanwhile() {
    let steps = [Step::Wait(ms(300)), Step::Reject(486)];
    let run = cancelled(Cancel::Impatient(ms(299)), &steps, Cancelled::Ends);
    assert_eq!(final_codes(&run), [Some(487), Some(486)]);
}
