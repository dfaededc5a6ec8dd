//! The times and 18x rules of the routing DB. That each end comes in time, with its Reason, is a checker's
//! work; the tests say which end it is.

use std::time::Duration;

use tipring_sim::{CallPlan, NamePlan, Plan, Run, Side, Step, in_all_weathers, run};

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn code(run: &Run) -> Option<u16> {
    run.caller(0).facts().final_code
}

fn ringing_forever() -> CallPlan {
    CallPlan::with_steps(&[Step::Wait(Duration::from_millis(50)), Step::ringing(180)])
}

#[test]
fn no_answer() {
    let mut call = ringing_forever();
    call.route.no_answer = Some(s(7));
    let run = in_all_weathers(&call);
    assert_eq!(code(&run), Some(480));
    assert_eq!(
        run.caller(0).facts().reasons,
        ["Q.850;cause=19;text=\"No Answer From User\""]
    );
    assert_eq!(
        run.callee(0).facts().end_reasons,
        run.caller(0).facts().reasons
    );
    assert_eq!(run.titles(0, Side::Callee), ["INVITE", "CANCEL", "ACK"]);
}

#[test]
fn no_answer_counts_on_whatever_rings() {
    let again = [Step::Wait(s(2)), Step::ringing(180)];
    let mut call = CallPlan::with_steps(&again.repeat(10));
    call.route.no_answer = Some(s(7));
    let run = in_all_weathers(&call);
    assert_eq!(code(&run), Some(480));
}

#[test]
fn no_18x() {
    // A 100 is none, and neither is a 199.
    let hundred = Step::Provisional {
        code: 199,
        sdp: false,
        reliable: false,
        fork: 0,
    };
    let mut call = CallPlan::with_steps(&[Step::ringing(100), Step::Wait(s(1)), hundred]);
    call.route.no_18x = Some(s(4));
    let run = in_all_weathers(&call);
    assert_eq!(code(&run), Some(408));
    assert_eq!(
        run.caller(0).facts().reasons,
        ["Q.850;cause=18;text=\"No User Responding\""]
    );
    assert_eq!(run.callee(0).facts().final_code, Some(487));
}

#[test]
fn an_18x_stops_no_18x() {
    let mut call = CallPlan::answered();
    call.route.no_18x = Some(Duration::from_millis(500));
    assert_eq!(code(&run(&Plan::of(call))), Some(200));
}

#[test]
fn a_silent_callee_and_no_18x() {
    let mut call = CallPlan::with_steps(&[]);
    call.route.no_18x = Some(s(4));
    let run = in_all_weathers(&call);
    assert_eq!(code(&run), Some(408));
    assert_eq!(
        run.titles(0, Side::Callee),
        ["INVITE"],
        "no CANCEL without a provisional"
    );
}

#[test]
fn max_duration() {
    let mut call = CallPlan::answered();
    call.caller.inside.hang_up = None;
    call.route.max_duration = Some(s(5));
    let run = in_all_weathers(&call);
    for side in [Side::Caller, Side::Callee] {
        let bye = run.sent(0, side).find(|(_, heard)| heard.method == "BYE");
        let Some((at, bye)) = bye else {
            panic!("no BYE to {side:?}:\n{}", run.trace())
        };
        assert_eq!(
            at.as_nanos() / 1_000_000_000,
            6,
            "one second of ringing and five of talk"
        );
        assert!(!bye.reasons.is_empty());
    }
}

#[test]
fn regression_times_count_from_the_invite_that_leaves() {
    // The name takes 3 s; the callee is to have its 4 s all the same.
    let mut call = ringing_forever();
    call.route.name = Some(NamePlan {
        takes: s(3),
        fails: false,
    });
    call.route.no_answer = Some(s(4));
    let run = run(&Plan::of(call));
    run.expect_clean();
    let answer = run
        .sent(0, Side::Caller)
        .find(|(_, heard)| heard.code == 480);
    assert_eq!(answer.map(|(at, _)| at.as_nanos() / 1_000_000_000), Some(7));
}

fn rung(call: &CallPlan) -> Vec<u16> {
    let run = in_all_weathers(call);
    let heard = run.caller(0).facts().provisionals.iter().copied();
    heard.filter(|code| *code > 100).collect()
}

fn rings(codes: &[(u16, bool)]) -> CallPlan {
    let steps = codes.iter().flat_map(|&(code, sdp)| {
        let ring = Step::Provisional {
            code,
            sdp,
            reliable: false,
            fork: 0,
        };
        [Step::Wait(s(1)), ring]
    });
    let steps: Vec<Step> = steps.chain([Step::Answer { fork: 0 }]).collect();
    CallPlan::with_steps(&steps)
}

#[test]
fn disallow_similar_18x() {
    let mut call = rings(&[
        (180, false),
        (180, false),
        (183, false),
        (180, true),
        (183, false),
    ]);
    assert_eq!(rung(&call), [180, 180, 183, 180, 183]);
    call.route.disallow_similar_18x = true;
    assert_eq!(rung(&call), [180, 183, 180], "one with SDP passes");
}

#[test]
fn disallow_different_18x() {
    let mut call = rings(&[(180, false), (183, false), (180, false), (183, true)]);
    call.route.disallow_different_18x = true;
    assert_eq!(rung(&call), [180, 180, 183]);
    call.route.disallow_similar_18x = true;
    assert_eq!(rung(&call), [180, 183]);
}
