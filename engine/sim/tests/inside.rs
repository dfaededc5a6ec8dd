//! Requests inside a call: relayed with their answers, refused where two collide, and harmless to the
//! call when they fail (RFC 3261 12.2, 14).

use std::time::Duration;

use tipring_sim::{CallPlan, End, Run, Side, in_all_weathers};

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn answers(run: &Run, side: Side) -> Vec<(&str, u16)> {
    let agent = if side == Side::Caller {
        run.caller(0)
    } else {
        run.callee(0)
    };
    agent
        .facts()
        .answers
        .iter()
        .map(|(method, code)| (method.as_str(), *code))
        .collect()
}

fn requests(run: &Run, side: Side) -> &[String] {
    let agent = if side == Side::Caller {
        run.caller(0)
    } else {
        run.callee(0)
    };
    &agent.facts().requests
}

/// When the caller hung up, as planned, and not because of something before.
fn lasts_ten_seconds(run: &Run) -> bool {
    let end = run.caller(0).dialogs()[0].end();
    let bye = run
        .sent(0, Side::Callee)
        .find(|(_, heard)| heard.method == "BYE");
    let time = bye.map(|(at, _)| at.as_nanos() / 1_000_000_000);
    end == Some(End::ByeSent) && time == Some(11)
}

#[test]
fn reinvite_both_ways() {
    let mut call = CallPlan::answered();
    call.caller.inside.requests = vec![(s(2), "INVITE")];
    call.callee.inside.requests = vec![(s(4), "INVITE")];
    let run = in_all_weathers(&call);
    assert_eq!(answers(&run, Side::Caller), [("INVITE", 200), ("BYE", 200)]);
    assert_eq!(answers(&run, Side::Callee), [("INVITE", 200)]);
    assert!(lasts_ten_seconds(&run));
}

#[test]
fn reinvite_glare_491() {
    let mut call = CallPlan::answered();
    call.caller.inside.requests = vec![(s(2), "INVITE")];
    // The callee hears the ACK 2 ms after it was sent; both requests reach the router at once.
    call.callee.inside.requests = vec![(s(2) - Duration::from_millis(2), "INVITE")];
    for inside in [&mut call.caller.inside, &mut call.callee.inside] {
        inside.replies_after = Duration::from_millis(500);
    }
    let run = in_all_weathers(&call);
    let both = [answers(&run, Side::Caller), answers(&run, Side::Callee)].concat();
    assert!(both.contains(&("INVITE", 491)), "{both:?}");
    // RFC 3261 14.1: tried again after a while.
    assert_eq!(
        both.iter()
            .filter(|answer| **answer == ("INVITE", 200))
            .count(),
        2,
        "{both:?}"
    );
    assert!(lasts_ten_seconds(&run));
}

#[test]
fn reinvite_rejected_keeps_call() {
    let mut call = CallPlan::answered();
    call.caller.inside.requests = vec![(s(2), "INVITE"), (s(4), "INFO")];
    call.callee.inside.reinvite_code = Some(488);
    let run = in_all_weathers(&call);
    assert_eq!(
        answers(&run, Side::Caller),
        [("INVITE", 488), ("INFO", 200), ("BYE", 200)]
    );
    assert!(lasts_ten_seconds(&run));
}

#[test]
fn reinvite_answered_481_ends_the_call() {
    let mut call = CallPlan::answered();
    call.caller.inside.requests = vec![(s(2), "INVITE")];
    call.callee.inside.reinvite_code = Some(481);
    let run = in_all_weathers(&call);
    assert_eq!(answers(&run, Side::Caller)[0], ("INVITE", 481));
    assert!(!lasts_ten_seconds(&run));
}

#[test]
fn update_and_info_relayed() {
    let mut call = CallPlan::answered();
    call.caller.inside.requests = vec![(s(2), "UPDATE"), (s(3), "INFO")];
    call.callee.inside.requests = vec![(s(4), "INFO"), (s(5), "UPDATE")];
    let run = in_all_weathers(&call);
    assert_eq!(requests(&run, Side::Callee), ["UPDATE", "INFO"]);
    assert_eq!(requests(&run, Side::Caller), ["INFO", "UPDATE"]);
    assert_eq!(
        answers(&run, Side::Callee),
        [("INFO", 200), ("UPDATE", 200)]
    );
    assert!(lasts_ten_seconds(&run));
}

#[test]
fn options_and_unknown_methods() {
    let methods = [
        "OPTIONS",
        "MESSAGE",
        "NOTIFY",
        "REFER",
        "SUBSCRIBE",
        "PUBLISH",
        "PING",
    ];
    let mut call = CallPlan::answered();
    let at = |(n, method): (usize, &'static str)| (s(1 + n as u64), method);
    call.caller.inside.requests = methods.into_iter().enumerate().map(at).collect();
    call.callee.inside.request_code = Some(202);
    let run = in_all_weathers(&call);
    assert_eq!(requests(&run, Side::Callee), methods);
    let relayed = answers(&run, Side::Caller)
        .into_iter()
        .filter(|(_, code)| *code == 202);
    assert_eq!(
        relayed.map(|(method, _)| method).collect::<Vec<_>>(),
        methods
    );
    assert!(lasts_ten_seconds(&run));
}

#[test]
fn a_failing_request_keeps_the_call() {
    for code in [400, 405, 500, 501, 603] {
        let mut call = CallPlan::answered();
        call.caller.inside.requests = vec![(s(2), "INFO")];
        call.callee.inside.request_code = Some(code);
        let run = in_all_weathers(&call);
        assert_eq!(answers(&run, Side::Caller), [("INFO", code), ("BYE", 200)]);
        assert!(lasts_ten_seconds(&run), "{code}");
    }
}

#[test]
fn a_request_answered_481_ends_the_call_on_both_legs() {
    let mut call = CallPlan::answered();
    call.callee.inside.requests = vec![(s(2), "INFO")];
    call.caller.inside.request_code = Some(481);
    let run = in_all_weathers(&call);
    assert_eq!(answers(&run, Side::Callee)[0], ("INFO", 481));
    assert!(run.titles(0, Side::Caller).contains(&"BYE".to_owned()));
}

#[test]
fn a_bye_overtakes_an_open_reinvite() {
    let mut call = CallPlan::answered();
    call.callee.inside.requests = vec![(s(9), "INVITE")];
    call.caller.inside.replies_after = s(30);
    let run = in_all_weathers(&call);
    assert_eq!(answers(&run, Side::Callee), [("INVITE", 487)]);
}

#[test]
fn a_late_ack_of_a_reinvite_is_enough() {
    let mut call = CallPlan::answered();
    call.caller.inside.requests = vec![(s(2), "INVITE")];
    call.caller.inside.reinvite_ack_after = s(3);
    let run = in_all_weathers(&call);
    let acks = run
        .sent(0, Side::Callee)
        .filter(|(_, heard)| heard.method == "ACK");
    let mut numbers: Vec<u32> = acks.map(|(_, heard)| heard.cseq).collect();
    numbers.dedup();
    assert_eq!(numbers.len(), 2);
    assert!(lasts_ten_seconds(&run));
}

#[test]
fn regression_a_reinvite_overtakes_the_ack_of_the_one_before() {
    // The second re-INVITE says that the 2xx to the first was heard: that is owed its ACK on the other
    // leg (RFC 3261 13.2.2.4), and is to be repeated no more.
    let mut call = CallPlan::answered();
    call.caller.inside.requests = vec![(s(2), "INVITE"), (s(3), "INVITE")];
    call.caller.inside.reinvite_ack_after = s(2);
    let run = in_all_weathers(&call);
    assert!(lasts_ten_seconds(&run));
}
