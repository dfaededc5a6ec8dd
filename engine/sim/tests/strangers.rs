//! Garbage, forgeries and requests for the router itself, in the midst of calls. That each is answered as
//! it should be, and harms nobody, is the checkers' work.

use tipring_sim::{CallPlan, Peer, Plan, run};

#[test]
fn strangers_harm_no_call() {
    for seed in 0..30 {
        let calls = vec![CallPlan::answered(); 5];
        let plan = Plan {
            seed,
            shards: 3,
            intrusions: 150,
            calls,
            ..Plan::of(CallPlan::default())
        };
        let run = run(&plan);
        run.expect_clean();
        assert!((0..5).all(|call| run.caller(call).facts().final_code == Some(200)));
    }
}

#[test]
fn requests_for_the_router_are_answered() {
    let plan = Plan {
        intrusions: 400,
        ..Plan::of(CallPlan::answered())
    };
    let run = run(&plan);
    run.expect_clean();
    let to_stranger = run
        .tape
        .iter()
        .filter(|crossing| crossing.peer == Peer::Stranger);
    let answers = to_stranger.filter(|crossing| !crossing.inbound);
    let mut titles: Vec<String> = answers
        .filter_map(|crossing| crossing.heard.as_ref().ok())
        .filter(|heard| heard.call_id.starts_with("out"))
        .map(|heard| heard.title())
        .collect();
    titles.sort();
    titles.dedup();
    assert_eq!(
        titles,
        [
            "200 OPTIONS",
            "404 INVITE",
            "404 MESSAGE",
            "404 SUBSCRIBE",
            "405 REGISTER",
            "481 BYE",
            "481 CANCEL",
            "481 PRACK",
            "481 UPDATE",
            "501 PING"
        ]
    );
}
