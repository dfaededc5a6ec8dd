//! Non-INVITE client transactions: RFC 3261 17.1.2.

use stack::Event;
use wire::Method;

use crate::stage::{Stage, response_to, seconds};

#[test]
fn timer_e_doubles_to_t2_until_timer_f_gives_up() {
    let mut stage = Stage::new();
    let (client, _) = stage.request("BYE");
    let times = stage.pass_times(seconds(40));
    let expected = [
        500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500,
    ];
    assert_eq!(times, expected);
    let event = Event::TimedOut {
        client,
        user: 5,
        method: Method::Bye,
    };
    assert_eq!(stage.events, [(32_000, event)]);
    stage.assert_empty();
}

#[test]
fn after_a_provisional_the_request_is_repeated_every_t2() {
    let mut stage = Stage::new();
    let (_, options) = stage.request("OPTIONS");
    stage.pass(seconds(1));
    assert_eq!(
        stage.receive_response(&response_to(&options, 100, "b")),
        None
    );
    let times = stage.pass_times(seconds(15));
    assert_eq!(times, [1500, 5500, 9500, 13_500]);
    stage.pass(seconds(30));
    assert_eq!(stage.events[0].0, 32_000);
}

#[test]
fn the_first_final_is_passed_up_and_timer_k_absorbs_its_copies() {
    let mut stage = Stage::new();
    let (client, options) = stage.request("OPTIONS");
    let ok = response_to(&options, 200, "b");
    let answer = stage.receive_response(&ok).unwrap();
    assert_eq!(
        (answer.client, answer.user, answer.first_final),
        (client, 5, true)
    );
    assert_eq!(stage.receive_response(&ok), None);
    assert_eq!(stage.layer.counters().repeats_received, 1);
    assert_eq!(stage.pass(seconds(4)), []);
    assert_eq!(stage.layer.client_count(), 1);
    stage.pass(seconds(1));
    stage.assert_empty();
}

#[test]
fn a_provisional_other_than_100_stays_below() {
    let mut stage = Stage::new();
    let (_, options) = stage.request("OPTIONS");
    assert_eq!(
        stage.receive_response(&response_to(&options, 180, "b")),
        None
    );
    assert!(
        stage
            .receive_response(&response_to(&options, 200, "b"))
            .is_some()
    );
}

#[test]
fn a_request_of_an_unknown_method_is_matched_by_its_token() {
    let mut stage = Stage::new();
    let (_, ping) = stage.request("PING");
    let other = response_to(&ping, 200, "b").replace("9 PING", "9 PONG");
    assert_eq!(stage.receive_response(&other), None);
    assert_eq!(stage.layer.counters().strays.other_method, 1);
    assert!(
        stage
            .receive_response(&response_to(&ping, 200, "b"))
            .is_some()
    );
}
