//! What a proxy asks of the layer: requests forwarded with other Vias behind ours, responses passed on as
//! they are (RFC 3261 16.7, RFC 6026 7.1).

use stack::{ClientId, Inbound, ServerId};

use crate::stage::{Stage, millis, request, response_to, seconds};

/// A Via of somebody before us.
const BEHIND: &str = "\r\nVia: SIP/2.0/UDP 192.0.2.77;branch=z9hG4bKbefore\r\nFrom:";

/// A forwarded request, and what it is answered when its mark and the Via behind are in place.
fn forwarded(stage: &mut Stage, method: &str) -> (ClientId, impl Fn(u16, &str) -> String + use<>) {
    let (id, text) = stage.request(method);
    stage.layer.mark_forwarded(id);
    let answer = move |code, tag: &str| {
        let text = response_to(&text, code, tag).replacen("\r\nFrom:", BEHIND, 1);
        marked(&text)
    };
    (id, answer)
}

/// The text with a mark behind our branch.
fn marked(text: &str) -> String {
    let end = text.find("z9hG4bKtpr").unwrap() + "z9hG4bKtpr".len() + 32;
    let mut text = text.to_owned();
    text.insert_str(end, ".00000000000000ab");
    text
}

fn forward(stage: &mut Stage, id: ServerId, code: u16) -> bool {
    let print = |bytes: &mut Vec<u8>| bytes.extend_from_slice(b"SIP/2.0 299 another's\r\n\r\n");
    stage
        .layer
        .forward(stage.now, id, code, print, &mut stage.out)
}

#[test]
fn a_forwarded_request_is_answered_with_the_vias_behind_ours() {
    let mut stage = Stage::new();
    let (_, answer) = forwarded(&mut stage, "INVITE");
    assert!(stage.receive_response(&answer(180, "b")).is_some());
    for _ in 0..2 {
        assert!(
            stage.receive_response(&answer(200, "b")).is_some(),
            "every copy"
        );
    }
    assert_eq!(stage.layer.counters().strays.total(), 0);
}

#[test]
fn without_the_vias_behind_ours_the_answer_is_for_nobody() {
    let mut stage = Stage::new();
    let (_, answer) = forwarded(&mut stage, "INVITE");
    let bare = answer(200, "b").replacen(BEHIND, "\r\nFrom:", 1);
    assert_eq!(stage.receive_response(&bare), None);
    assert_eq!(stage.layer.counters().strays.several_vias, 1);
}

#[test]
fn our_own_request_is_not_answered_so() {
    let mut stage = Stage::new();
    let (_, text) = stage.request("INVITE");
    let answer = response_to(&text, 200, "b").replacen("\r\nFrom:", BEHIND, 1);
    for answer in [marked(&answer), answer] {
        assert_eq!(stage.receive_response(&answer), None);
    }
    assert_eq!(stage.layer.counters().strays.several_vias, 2);
}

#[test]
fn the_cancel_of_a_forwarded_request_is_our_own() {
    let mut stage = Stage::new();
    let (id, answer) = forwarded(&mut stage, "INVITE");
    stage.receive_response(&answer(180, "b"));
    stage.cancel(id);
    let cancel = stage.sent().remove(0);
    let ok = marked(&response_to(&cancel, 200, "b"));
    assert_eq!(stage.receive_response(&ok), None, "it interests nobody");
    assert_eq!(stage.layer.counters().strays.total(), 0);
    assert!(stage.receive_response(&answer(487, "b")).is_some());
}

#[test]
fn a_forwarded_2xx_is_not_repeated_and_every_other_one_passes() {
    let mut stage = Stage::new();
    let id = stage.receive_new(&request("INVITE", "x"));
    assert!(forward(&mut stage, id, 180));
    for _ in 0..3 {
        assert!(forward(&mut stage, id, 200));
        assert_eq!(
            stage.sent_lines().last().map(String::as_str),
            Some("299 another's")
        );
        assert_eq!(stage.pass(seconds(5)), []);
    }
    assert_eq!(stage.receive(&request("INVITE", "x")), Inbound::Absorbed);
    assert_eq!(stage.sent().len(), 0, "RFC 6026 7.1: absorbed");
    assert_eq!(stage.receive(&request("ACK", "x")), Inbound::Ack);
    assert!(!forward(&mut stage, id, 486), "one final response");
    stage.pass(seconds(32));
    assert!(!forward(&mut stage, id, 200), "the transaction is gone");
    assert_eq!(stage.events, []);
    stage.assert_empty();
}

#[test]
fn a_forwarded_failure_is_repeated_until_its_ack() {
    let mut stage = Stage::new();
    let id = stage.receive_new(&request("INVITE", "x"));
    assert!(forward(&mut stage, id, 486));
    assert!(!forward(&mut stage, id, 200), "too late for a success");
    stage.sent();
    assert_eq!(stage.pass_times(millis(1600)), [500, 1500]);
    assert_eq!(stage.receive(&request("ACK", "x")), Inbound::Absorbed);
    assert_eq!(stage.pass(seconds(40)), []);
    stage.assert_empty();
}

#[test]
fn a_provisional_to_another_method_and_a_408_do_not_pass() {
    let mut stage = Stage::new();
    let id = stage.receive_new(&request("MESSAGE", "x"));
    assert!(!forward(&mut stage, id, 183), "RFC 4320 4.1");
    assert!(forward(&mut stage, id, 408));
    assert_eq!(stage.sent().len(), 0, "RFC 4320 4.2");
}
