//! Non-INVITE server transactions: RFC 3261 17.2.2, RFC 4320.

use stack::Inbound;

use crate::stage::{Stage, millis, request, seconds};

#[test]
fn a_100_is_sent_once_the_clients_timer_e_has_reached_t2() {
    let mut stage = Stage::new();
    let id = stage.receive_new(&request("INFO", "x"));
    assert_eq!(stage.pass(seconds(60)), [(3500, "100 Trying".to_owned())]);
    assert_eq!(stage.receive(&request("INFO", "x")), Inbound::Absorbed);
    assert_eq!(stage.sent_lines(), ["100 Trying"]);
    assert!(stage.respond(id, 200));
}

#[test]
fn a_retransmission_is_silent_before_the_answer_and_answered_after() {
    let mut stage = Stage::new();
    let bye = request("BYE", "x");
    let id = stage.receive_new(&bye);
    assert_eq!(stage.receive(&bye), Inbound::Absorbed);
    assert_eq!(stage.sent_lines(), [""; 0]);
    stage.respond(id, 200);
    let answer = stage.sent();
    assert_eq!(stage.receive(&bye), Inbound::Absorbed);
    assert_eq!(stage.sent(), answer);
}

#[test]
fn timer_j_ends_the_transaction() {
    let mut stage = Stage::new();
    let id = stage.receive_new(&request("BYE", "x"));
    stage.respond(id, 200);
    stage.sent();
    assert_eq!(stage.pass(millis(31_999)), []);
    assert_eq!(stage.layer.server_count(), 1);
    stage.pass(millis(1));
    stage.assert_empty();
}

#[test]
fn no_provisional_response_of_the_transaction_user_is_sent() {
    let mut stage = Stage::new();
    let id = stage.receive_new(&request("INFO", "x"));
    for code in [100, 180] {
        assert!(!stage.respond(id, code));
    }
    assert_eq!(stage.sent_lines(), [""; 0]);
    assert!(stage.respond(id, 200));
}

#[test]
fn a_408_ends_the_transaction_unsent() {
    let mut stage = Stage::new();
    let info = request("INFO", "x");
    let id = stage.receive_new(&info);
    stage.pass(seconds(10));
    assert!(stage.respond(id, 408));
    assert!(!stage.respond(id, 200));
    assert_eq!(stage.receive(&info), Inbound::Absorbed);
    assert_eq!(stage.sent_lines(), [""; 0]);
    stage.pass(seconds(32));
    stage.assert_empty();
}
