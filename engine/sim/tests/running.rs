//! What the operator and the load do to calls: draining, ending all, limits, reloads, several shards.

use std::time::Duration;

use tipring_sim::{CallPlan, Conditions, Order, Plan, Run, Side, Step, run};

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn starting_at(second: u64) -> CallPlan {
    let mut call = CallPlan::answered();
    call.caller.starts = s(second);
    call
}

fn codes(run: &Run) -> Vec<Option<u16>> {
    let calls = run.agents.len() / 2;
    (0..calls)
        .map(|call| run.caller(call).facts().final_code)
        .collect()
}

#[test]
fn drain_refuses_new_calls_and_lets_live_ones_end() {
    let plan = Plan {
        orders: vec![(s(3), Order::Drain)],
        calls: vec![starting_at(0), starting_at(5)],
        ..Plan::of(CallPlan::default())
    };
    let run = run(&plan);
    assert_eq!(codes(run.expect_clean()), [Some(200), Some(503)]);
    let refusal = run
        .sent(1, Side::Caller)
        .find(|(_, heard)| heard.code == 503);
    assert!(refusal.is_some_and(|(_, heard)| heard.retry_after.is_some()));
    assert!(
        run.titles(0, Side::Caller).contains(&"200 BYE".to_owned()),
        "its caller hung up"
    );
}

#[test]
fn drain_and_end_all() {
    let ringing = CallPlan::with_steps(&[Step::ringing(180), Step::Wait(s(60))]);
    let plan = Plan {
        orders: vec![(s(3), Order::Drain), (s(6), Order::EndAll)],
        calls: vec![starting_at(0), ringing, starting_at(8)],
        ..Plan::of(CallPlan::default())
    };
    for seed in 0..20 {
        run(&plan.clone().over(
            Conditions {
                loss_percent: 0,
                ..Conditions::ROUGH
            },
            seed,
        ))
        .expect_clean();
    }
    let run = run(&plan);
    assert_eq!(codes(run.expect_clean()), [Some(200), Some(503), Some(503)]);
    for side in [Side::Caller, Side::Callee] {
        let bye = run.sent(0, side).find(|(_, heard)| heard.method == "BYE");
        assert!(bye.is_some_and(|(_, heard)| !heard.reasons.is_empty()));
    }
    assert_eq!(run.titles(1, Side::Callee), ["INVITE", "CANCEL", "ACK"]);
}

#[test]
fn regression_end_all_waits_for_the_ack_of_its_200() {
    // RFC 3261 15: no BYE to the caller before its ACK or the end of the transaction. The caller is slow
    // to acknowledge, and the order comes meanwhile.
    let mut call = CallPlan::with_steps(&[
        Step::ringing(180),
        Step::Wait(s(1)),
        Step::Answer { fork: 0 },
    ]);
    call.caller.ack = tipring_sim::Ack::After(s(4));
    let plan = Plan {
        orders: vec![(s(2), Order::EndAll)],
        ..Plan::of(call)
    };
    let run = run(&plan);
    run.expect_clean();
    let acked = run.tape.iter().find(|crossing| {
        crossing.inbound
            && crossing
                .heard
                .as_ref()
                .is_ok_and(|heard| heard.method == "ACK")
    });
    let bye = run
        .sent(0, Side::Caller)
        .find(|(_, heard)| heard.method == "BYE");
    let (Some(acked), Some((bye, _))) = (acked, bye) else {
        panic!("{}", run.trace())
    };
    assert!(bye >= acked.at, "{}", run.trace());
}

#[test]
fn limit_503() {
    let plan = Plan {
        calls_max: 2,
        calls: vec![
            starting_at(0),
            starting_at(1),
            starting_at(2),
            starting_at(40),
        ],
        ..Plan::of(CallPlan::default())
    };
    let run = run(&plan);
    assert_eq!(
        codes(run.expect_clean()),
        [Some(200), Some(200), Some(503), Some(200)]
    );
    assert_eq!(run.titles(2, Side::Callee), [""; 0]);
}

#[test]
fn a_reload_leaves_live_calls_alone() {
    let mut live = starting_at(0);
    live.caller.inside.requests = vec![(s(5), "INVITE")];
    let plan = Plan {
        orders: vec![(s(3), Order::ForgetRoutes)],
        calls: vec![live, starting_at(4)],
        ..Plan::of(CallPlan::default())
    };
    let run = run(&plan);
    assert_eq!(codes(run.expect_clean()), [Some(200), Some(404)]);
    assert!(
        run.caller(0)
            .facts()
            .answers
            .contains(&("INVITE".to_owned(), 200))
    );
}

#[test]
fn hand_over_between_shards() {
    let calls: Vec<CallPlan> = (0..40).map(|call| starting_at(call / 10)).collect();
    for misdelivered_percent in [0, 50, 100] {
        let plan = Plan {
            shards: 4,
            misdelivered_percent,
            calls: calls.clone(),
            ..Plan::of(CallPlan::default())
        };
        let run = run(&plan);
        assert!(
            codes(run.expect_clean())
                .iter()
                .all(|code| *code == Some(200))
        );
        let foreign: u64 = run.counters.iter().map(|counters| counters.foreign).sum();
        assert_eq!(
            foreign > 0,
            misdelivered_percent > 0,
            "{foreign} datagrams handed over"
        );
        assert!(
            run.counters
                .iter()
                .all(|counters| counters.calls_answered > 0),
            "all shards work"
        );
    }
}

#[test]
fn no_hops_left_483() {
    let mut call = CallPlan::answered();
    call.caller.max_forwards = Some(0);
    let run = run(&Plan::of(call));
    assert_eq!(codes(run.expect_clean()), [Some(483)]);
}

#[test]
fn no_route_404() {
    let mut call = CallPlan::answered();
    call.route.missing = true;
    let run = run(&Plan::of(call));
    assert_eq!(codes(run.expect_clean()), [Some(404)]);
}

#[test]
fn rejections_pass_with_what_they_say() {
    for code in [302, 404, 407, 480, 486, 500, 503, 603] {
        let run = tipring_sim::in_all_weathers(&CallPlan::with_steps(&[Step::Reject(code)]));
        assert_eq!(codes(&run), [Some(code)]);
        let Some((_, answer)) = run
            .sent(0, Side::Caller)
            .find(|(_, heard)| heard.code == code)
        else {
            panic!("{}", run.trace());
        };
        match code {
            302 => assert_eq!(
                answer.contact.as_deref(),
                Some("sip:elsewhere@192.0.2.77:5066")
            ),
            503 => assert_eq!(answer.retry_after.as_deref(), Some("17")),
            486 => assert!(
                answer.head_text().contains("Warning: 399 192.168.7."),
                "{}",
                run.trace()
            ),
            _ => assert_eq!(answer.reasons, ["Q.850;cause=17;text=\"so be it\""]),
        }
    }
}

#[test]
fn a_call_from_ipv4_to_ipv6() {
    let mut call = CallPlan::answered();
    call.route.ipv6 = true;
    let run = tipring_sim::in_all_weathers(&call);
    assert_eq!(codes(&run), [Some(200)]);
}

#[test]
fn a_contact_with_a_host_name_is_found() {
    let mut call = CallPlan::answered();
    call.callee.named_contact = true;
    call.caller.inside.requests = vec![(s(3), "INFO")];
    let run = tipring_sim::in_all_weathers(&call);
    assert_eq!(run.callee(0).facts().requests, ["INFO"]);
}
