//! Requests outside any dialog beside a call: they cross in all weathers, before, during and after it.

use std::time::Duration;

use tipring_sim::{CallPlan, End, in_all_weathers};

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn they_cross_and_do_the_call_no_harm() {
    let mut call = CallPlan::answered();
    let methods = ["MESSAGE", "OPTIONS", "INFO", "PUBLISH"];
    call.caller.asides = [s(0), s(5), s(20), s(25)]
        .into_iter()
        .zip(methods)
        .collect();
    let run = in_all_weathers(&call);
    let mut answers = run.caller(0).facts().asides.clone();
    answers.sort();
    let mut expected = methods.map(|method| (method.to_owned(), 200));
    expected.sort();
    assert_eq!(answers, expected);
    assert_eq!(run.caller(0).dialogs()[0].end(), Some(End::ByeSent));
}

#[test]
fn without_a_route_they_get_404() {
    let mut call = CallPlan::answered();
    call.route.missing = true;
    call.caller.asides = vec![(s(1), "MESSAGE"), (s(2), "PUBLISH")];
    let run = in_all_weathers(&call);
    let answers: Vec<u16> = run.caller(0).facts().asides.iter().map(|it| it.1).collect();
    assert_eq!(answers, [404, 404]);
}

#[test]
fn silence_is_passed_on_as_silence() {
    let mut call = CallPlan::answered();
    call.callee.inside.mute = true;
    call.caller.asides = vec![(s(1), "MESSAGE")];
    let run = in_all_weathers(&call);
    assert_eq!(run.caller(0).facts().asides, [("MESSAGE".to_owned(), 408)]);
}
