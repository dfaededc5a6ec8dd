//! BYE from either side, from both, and from the router (RFC 3261 15).

use std::time::Duration;

use tipring_sim::{Ack, CallPlan, End, Run, Side, Step, in_all_weathers};

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ends(run: &Run) -> [Option<End>; 2] {
    [run.caller(0), run.callee(0)]
        .map(|agent| agent.dialogs().first().and_then(|dialog| dialog.end()))
}

#[test]
fn the_caller_hangs_up() {
    let run = in_all_weathers(&CallPlan::answered());
    assert_eq!(ends(&run), [Some(End::ByeSent), Some(End::ByeReceived)]);
    assert_eq!(
        run.titles(0, Side::Caller),
        ["180 INVITE", "200 INVITE", "200 BYE"]
    );
    assert_eq!(run.titles(0, Side::Callee), ["INVITE", "ACK", "BYE"]);
}

#[test]
fn the_callee_hangs_up() {
    let mut call = CallPlan::answered();
    call.caller.inside.hang_up = None;
    call.callee.inside.hang_up = Some(s(3));
    let run = in_all_weathers(&call);
    assert_eq!(ends(&run), [Some(End::ByeReceived), Some(End::ByeSent)]);
    assert_eq!(
        run.titles(0, Side::Caller),
        ["180 INVITE", "200 INVITE", "BYE"]
    );
}

#[test]
fn bye_crosses_bye() {
    let mut call = CallPlan::answered();
    call.caller.inside.hang_up = Some(s(3));
    // The caller's call is up 2 ms earlier than the callee's.
    call.callee.inside.hang_up = Some(s(3) - Duration::from_millis(2));
    let run = in_all_weathers(&call);
    assert_eq!(ends(&run), [Some(End::ByeSent), Some(End::ByeSent)]);
    for side in [Side::Caller, Side::Callee] {
        let titles = run.titles(0, side);
        assert!(titles.contains(&"200 BYE".to_owned()), "{titles:?}");
    }
}

#[test]
fn bye_before_ack() {
    let mut call = CallPlan::answered();
    call.caller.ack = Ack::AfterBye;
    let run = in_all_weathers(&call);
    assert_eq!(ends(&run), [Some(End::ByeSent), Some(End::ByeReceived)]);
    // RFC 3261 15: the callee gets its ACK before the BYE all the same.
    assert_eq!(run.titles(0, Side::Callee), ["INVITE", "ACK", "BYE"]);
}

#[test]
fn lost_ack_ends_with_bye() {
    let mut call = CallPlan::answered();
    call.caller.ack = Ack::Never;
    let run = in_all_weathers(&call);
    assert!(run.titles(0, Side::Caller).contains(&"BYE".to_owned()));
    let answered = run
        .sent(0, Side::Caller)
        .find(|(_, heard)| heard.code == 200);
    let bye = run
        .sent(0, Side::Caller)
        .find(|(_, heard)| heard.method == "BYE");
    let (Some((answered, _)), Some((bye, _))) = (answered, bye) else {
        panic!("{}", run.trace())
    };
    assert_eq!(
        bye.duration_since(answered).as_secs(),
        32,
        "64*T1 (RFC 3261 13.3.1.4)"
    );
}

#[test]
fn a_late_ack_is_enough() {
    let mut call = CallPlan::answered();
    call.caller.ack = Ack::After(s(5));
    let run = in_all_weathers(&call);
    assert_eq!(ends(&run), [Some(End::ByeSent), Some(End::ByeReceived)]);
    let copies = run
        .sent(0, Side::Caller)
        .filter(|(_, heard)| heard.code == 200)
        .count();
    assert!(
        copies > 3,
        "the 200 is repeated meanwhile, the callee's copies are not passed: {copies}"
    );
}

#[test]
fn an_early_bye_ends_the_call() {
    let mut call = CallPlan::with_steps(&[Step::ringing(180), Step::Wait(s(60))]);
    call.caller.early_bye = Some(s(1));
    let run = in_all_weathers(&call);
    assert_eq!(run.caller(0).facts().final_code, Some(487));
    assert_eq!(run.callee(0).facts().final_code, Some(487));
    assert_eq!(run.titles(0, Side::Callee), ["INVITE", "CANCEL", "ACK"]);
}
