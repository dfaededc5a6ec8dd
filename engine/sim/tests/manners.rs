//! What parties do beyond the plain call: they call again when they are asked for credentials, take each
//! other's place, refuse short sessions; and what befalls the router's machine while they do.

use std::time::Duration;

use router::{Refreshes, SessionTimer};
use tipring_sim::{CallPlan, End, OrdealPlan, Plan, Side, Step, in_all_weathers, run};

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_challenged_caller_calls_again() {
    for code in [401, 407] {
        let mut call = CallPlan::answered();
        call.callee.steps.insert(0, Step::Reject(code));
        call.caller.inside.retries = true;
        let run = in_all_weathers(&call);
        assert_eq!(run.caller(0).facts().final_code, Some(200));
        let refused = run.titles(0, Side::Caller).remove(0);
        assert_eq!(refused, format!("{code} INVITE"));
        assert_eq!(run.callee(0).dialogs().len(), 2);
    }
}

#[test]
fn a_request_is_sent_again_after_its_retry_after() {
    let mut call = CallPlan::answered();
    call.caller.inside.requests = vec![(s(1), "INFO")];
    call.caller.inside.retries = true;
    call.callee.inside.answers = vec![500, 182];
    let run = in_all_weathers(&call);
    let answers = &run.caller(0).facts().answers;
    let info: Vec<u16> = answers
        .iter()
        .filter(|(method, _)| method == "INFO")
        .map(|(_, code)| *code)
        .collect();
    assert_eq!(info, [500, 200]);
}

#[test]
fn a_caller_takes_the_place_of_another_on_any_shard() {
    for seed in 0..12 {
        let mut first = CallPlan::answered();
        first.caller.inside.hang_up = Some(s(60));
        let mut second = CallPlan::answered();
        second.caller.starts = s(5);
        second.caller.replaces = Some(0);
        let mut plan = Plan::of(first).over(tipring_sim::Conditions::PERFECT, seed);
        plan.calls.push(second);
        plan.shards = 4;
        let run = run(&plan);
        run.expect_clean();
        assert_eq!(run.caller(1).facts().final_code, Some(200), "{seed}");
        let ends = run.callee(0).dialogs().iter().map(|dialog| dialog.end());
        let ends: Vec<Option<End>> = ends.collect();
        assert_eq!(ends, [Some(End::ByeSent), Some(End::ByeReceived)]);
        assert!(run.callee(1).dialogs().is_empty());
    }
}

#[test]
fn a_session_interval_that_is_too_short_is_raised() {
    let mut call = CallPlan::answered();
    call.callee.inside.min_se = Some(20);
    // Before the first refresh.
    call.caller.inside.hang_up = Some(s(5));
    let mut plan = Plan::of(call);
    plan.router.session_timer = Some(SessionTimer {
        session_expires_s: 6,
        min_se_s: 4,
        refreshes: router::Refreshes::Router,
    });
    let run = run(&plan);
    run.expect_clean();
    let invites = run.titles(0, Side::Callee);
    let invites = invites.iter().filter(|title| *title == "INVITE");
    assert_eq!(invites.count(), 2);
    assert_eq!(run.counters[0].session_intervals_raised, 1);
}

#[test]
fn a_machine_that_sleeps_through_a_call_forgets_it() {
    let mut plan = Plan::of(CallPlan::answered());
    plan.ordeal = Some(OrdealPlan {
        pauses: vec![(s(3), s(300))],
        leaps: vec![(s(2), s(3_000))],
        ghosts: 20,
        alarms: 3,
    });
    for seed in 0..20 {
        plan.seed = seed;
        run(&plan).expect_clean();
    }
}

/// Refreshes that the router got from this side: copies left out, and the INVITE that made the call.
fn refreshes(run: &tipring_sim::Run, side: Side) -> usize {
    let mut branches: Vec<&str> = Vec::new();
    for crossing in run.tape.iter().filter(|it| it.inbound) {
        let from = crossing.agent().is_some_and(|id| id.side == side);
        let Some(heard) = crossing.heard.as_ref().ok().filter(|_| from) else {
            continue;
        };
        let offers = heard.is_request() && matches!(heard.method.as_str(), "INVITE" | "UPDATE");
        if offers && !heard.to_tag.is_empty() && !branches.contains(&heard.branch.as_str()) {
            branches.push(&heard.branch);
        }
    }
    branches.len()
}

#[test]
fn a_session_lasts_as_long_as_either_party_refreshes_it() {
    for (refreshers, lasts) in [([true, true], true), ([false, false], false)] {
        let mut call = CallPlan::answered();
        call.caller.inside.hang_up = Some(s(60));
        call.caller.inside.session_expires = Some(10);
        call.callee.inside.min_se = Some(2);
        (call.caller.inside.refreshes, call.callee.inside.refreshes) =
            (refreshers[0], refreshers[1]);
        let mut plan = Plan::of(call);
        plan.router.session_timer = Some(SessionTimer {
            session_expires_s: 10,
            min_se_s: 2,
            refreshes: Refreshes::Peer,
        });
        let run = run(&plan);
        run.expect_clean();
        let end = run.caller(0).dialogs()[0].end();
        let hung_up = Some(if lasts {
            End::ByeSent
        } else {
            End::ByeReceived
        });
        assert_eq!(end, hung_up, "{refreshers:?}");
        let counts = [Side::Caller, Side::Callee].map(|side| refreshes(&run, side));
        // Those of the caller cross, and begin the callee's interval anew.
        assert_eq!(counts[0] > 5, lasts, "{counts:?}");
        assert_eq!(counts[1] > 0, lasts, "{counts:?}");
    }
}
