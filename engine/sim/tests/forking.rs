//! One INVITE, several answers: the callee's side forks (RFC 3261 12.1, 13.2.2.4), the caller sees one
//! dialog.

use std::time::Duration;

use tipring_sim::{CallPlan, Plan, Run, Side, Step, in_all_weathers, run};

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ringing(code: u16, fork: usize) -> Step {
    Step::Provisional {
        code,
        sdp: true,
        reliable: false,
        fork,
    }
}

/// The To tags of the messages of this method that the router sent to the callee.
fn tags(run: &Run, method: &str) -> Vec<String> {
    let sent = run
        .sent(0, Side::Callee)
        .filter(|(_, heard)| heard.method == method);
    sent.map(|(_, heard)| heard.to_tag.clone()).collect()
}

fn tag_of(run: &Run, dialog: usize) -> String {
    let callee = run.tape.iter().filter(|crossing| crossing.inbound);
    let mut tags: Vec<&str> = Vec::new();
    for heard in callee.filter_map(|crossing| crossing.heard.as_ref().ok()) {
        if heard.to_tag.starts_with("btag") && !tags.contains(&heard.to_tag.as_str()) {
            tags.push(&heard.to_tag);
        }
    }
    tags[dialog].to_owned()
}

#[test]
fn forked_early_dialogs() {
    let steps = [
        ringing(180, 0),
        Step::Wait(s(1)),
        ringing(183, 1),
        Step::Wait(s(1)),
        ringing(180, 2),
        Step::Wait(s(1)),
        Step::Answer { fork: 1 },
    ];
    let run = in_all_weathers(&CallPlan::with_steps(&steps));
    assert_eq!(run.caller(0).facts().final_code, Some(200));
    // That all answers to the caller bear one tag is checked by the caller itself.
    assert_eq!(
        run.titles(0, Side::Caller),
        [
            "180 INVITE",
            "183 INVITE",
            "180 INVITE",
            "200 INVITE",
            "200 BYE"
        ]
    );
    assert_eq!(tags(&run, "ACK"), [tag_of(&run, 1)]);
    assert_eq!(tags(&run, "BYE"), [tag_of(&run, 1)]);
}

#[test]
fn a_request_of_the_caller_goes_to_the_early_dialog_that_spoke_last() {
    let steps = [
        ringing(180, 0),
        Step::Wait(s(1)),
        ringing(183, 1),
        Step::Wait(s(10)),
        Step::Answer { fork: 0 },
    ];
    let mut call = CallPlan::with_steps(&steps);
    call.caller.early = Some((s(5), "UPDATE"));
    let run = in_all_weathers(&call);
    assert_eq!(tags(&run, "UPDATE"), [tag_of(&run, 1)]);
    assert_eq!(run.caller(0).facts().answers[0], ("UPDATE".to_owned(), 200));
}

#[test]
fn second_200_acked_and_byed() {
    let steps = [
        ringing(180, 0),
        ringing(180, 1),
        Step::Wait(s(1)),
        Step::Answer { fork: 0 },
        Step::Wait(s(2)),
        Step::Answer { fork: 1 },
    ];
    let run = in_all_weathers(&CallPlan::with_steps(&steps));
    let (first, second) = (tag_of(&run, 0), tag_of(&run, 1));
    assert_eq!(tags(&run, "ACK"), [&*first, &*second]);
    assert_eq!(
        tags(&run, "BYE"),
        [&*second, &*first],
        "the call goes on for 10 s"
    );
    assert_eq!(
        run.titles(0, Side::Caller),
        ["180 INVITE", "180 INVITE", "200 INVITE", "200 BYE"]
    );
}

#[test]
fn a_second_200_before_the_ack_is_acked_and_byed() {
    let steps = [Step::Answer { fork: 0 }, Step::Answer { fork: 1 }];
    let run = in_all_weathers(&CallPlan::with_steps(&steps));
    let (first, second) = (tag_of(&run, 0), tag_of(&run, 1));
    assert_eq!(tags(&run, "BYE"), [&*second, &*first]);
}

#[test]
fn regression_second_200_after_the_call_is_acked_and_byed() {
    // RFC 3261 13.2.2.4: for 64*T1 after the first 2xx, whatever became of the call.
    let steps = [
        Step::Answer { fork: 0 },
        Step::Wait(s(6)),
        Step::Answer { fork: 1 },
    ];
    let mut call = CallPlan::with_steps(&steps);
    call.caller.inside.hang_up = Some(s(2));
    let run = run(&Plan::of(call));
    run.expect_clean();
    let (first, second) = (tag_of(&run, 0), tag_of(&run, 1));
    assert_eq!(tags(&run, "ACK"), [&*first, &*second]);
    assert_eq!(tags(&run, "BYE"), [&*first, &*second]);
}

#[test]
fn regression_the_bye_of_a_late_fork_counts_on_from_its_prack() {
    // The second branch had a PRACK with CSeq 2 while it rang; its BYE must not bear that number again
    // (RFC 3261 12.2.1.1), or the branch answers 500 and stays up.
    let steps = [
        ringing(180, 0),
        Step::Provisional {
            code: 183,
            sdp: true,
            reliable: true,
            fork: 1,
        },
        Step::Wait(s(1)),
        Step::Answer { fork: 0 },
        Step::Wait(s(1)),
        Step::Answer { fork: 1 },
    ];
    let mut call = CallPlan::with_steps(&steps);
    call.caller.reliable = true;
    let run = run(&Plan::of(call.clone()));
    run.expect_clean();
    assert!(
        run.callee(0)
            .dialogs()
            .iter()
            .all(|dialog| dialog.byes() == 1)
    );

    call.caller.inside.hang_up = Some(Duration::from_millis(500));
    tipring_sim::run(&Plan::of(call)).expect_clean();
}
