//! Where the offers and answers are (RFC 3264, 3262): in the 18x, acknowledged with PRACK, or in the ACK.

use std::time::Duration;

use tipring_sim::{CallPlan, Run, Side, Step, in_all_weathers};

const SECOND: Duration = Duration::from_secs(1);

fn reliable(code: u16, sdp: bool) -> Step {
    Step::Provisional {
        code,
        sdp,
        reliable: true,
        fork: 0,
    }
}

fn codes(run: &Run) -> &[u16] {
    &run.caller(0).facts().provisionals
}

#[test]
fn prack_mapped() {
    let steps = [
        Step::Wait(SECOND),
        reliable(183, true),
        Step::Wait(SECOND),
        reliable(180, false),
        Step::Wait(SECOND),
        Step::Answer { fork: 0 },
    ];
    let mut call = CallPlan::with_steps(&steps);
    call.caller.reliable = true;
    let run = in_all_weathers(&call);
    // The callee goes on only when RAck names its RSeq and its INVITE's CSeq.
    assert_eq!(run.callee(0).facts().requests, ["PRACK", "PRACK"]);
    assert_eq!(codes(&run), [100, 183, 180]);
    assert_eq!(run.caller(0).facts().final_code, Some(200));
    let answers = &run.caller(0).facts().answers;
    assert_eq!(
        answers[..2],
        [("PRACK".to_owned(), 200), ("PRACK".to_owned(), 200)]
    );
}

#[test]
fn early_media() {
    let ringing = Step::Provisional {
        code: 183,
        sdp: true,
        reliable: false,
        fork: 0,
    };
    let steps = [ringing, Step::Wait(SECOND), Step::Answer { fork: 0 }];
    let run = in_all_weathers(&CallPlan::with_steps(&steps));
    let early = run
        .sent(0, Side::Caller)
        .find(|(_, heard)| heard.code == 183);
    assert!(early.is_some_and(|(_, heard)| heard.sdp));
}

#[test]
fn delayed_offer() {
    let mut call = CallPlan::answered();
    call.caller.delayed_offer = true;
    let run = in_all_weathers(&call);
    let invite = run.sent(0, Side::Callee).next();
    assert!(invite.is_some_and(|(_, heard)| !heard.sdp));
    assert!(
        run.callee(0).facts().body_in_ack,
        "the answer is in the ACK"
    );
}

#[test]
fn a_late_ack_still_carries_its_answer() {
    let mut call = CallPlan::answered();
    call.caller.delayed_offer = true;
    call.caller.ack = tipring_sim::Ack::After(3 * SECOND);
    let run = in_all_weathers(&call);
    assert!(run.callee(0).facts().body_in_ack);
}
