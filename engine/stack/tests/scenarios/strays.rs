//! Responses that are for nobody are dropped and counted by reason: RFC 3261 17.1.3, RFC 6026 7.2.

use stack::{Outbox, Stray, Strays};
use wire::{Index, Limits, Message};

use crate::stage::{Stage, response_to};

fn stray(change: impl FnOnce(String) -> String) -> Strays {
    let mut stage = Stage::new();
    let (_, invite) = stage.request("INVITE");
    let response = change(response_to(&invite, 200, "b"));
    assert_eq!(stage.receive_response(&response), None);
    assert!(
        stage
            .receive_response(&response_to(&invite, 200, "b"))
            .is_some(),
        "unharmed"
    );
    assert_eq!(stage.layer.counters().strays.total(), 1);
    stage.layer.counters().strays
}

#[test]
fn more_than_one_via() {
    let strays = stray(|text| text.replacen("Via:", "Via: SIP/2.0/UDP h;branch=z9hG4bKq,", 1));
    assert_eq!(strays.several_vias, 1);
    let second = "\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKq\r\nFrom:";
    assert_eq!(
        stray(|text| text.replacen("\r\nFrom:", second, 1)).several_vias,
        1
    );
}

#[test]
fn a_branch_that_is_not_ours() {
    let strays = stray(|text| text.replacen("z9hG4bKtpr", "z9hG4bKtpx", 1));
    assert_eq!(strays.foreign_branch, 1);
}

#[test]
fn another_shards_branch() {
    let strays = stray(|text| text.replacen("z9hG4bKtpr07", "z9hG4bKtpr08", 1));
    assert_eq!(strays.other_shard, 1);
}

#[test]
fn another_slot_generation_or_random() {
    let at = "z9hG4bKtpr07".len();
    // Behind the shard: six digits of slot, eight of generation, sixteen of random.
    for digit in [0, 5, 6, 13, 14, 29] {
        let strays = stray(|text| {
            let place = text.find("z9hG4bKtpr").unwrap() + at + digit;
            let other = if text.as_bytes()[place] == b'9' {
                "8"
            } else {
                "9"
            };
            let mut text = text;
            text.replace_range(place..=place, other);
            text
        });
        assert_eq!(strays.no_transaction, 1, "digit {digit}");
    }
}

#[test]
fn another_method() {
    assert_eq!(
        stray(|text| text.replace("9 INVITE", "9 BYE")).other_method,
        1
    );
    let cancel = stray(|text| text.replace("9 INVITE", "9 CANCEL"));
    assert_eq!(cancel.other_method, 1, "no CANCEL was sent");
}

#[test]
fn a_branch_outside_any_transaction() {
    let mut stage = Stage::new();
    let (_, invite) = stage.request("INVITE");
    let mut branch = Vec::new();
    stage.layer.new_branch().print_branch(&mut branch);
    let response = response_to(&invite, 200, "b");
    let start = response.find("z9hG4bK").unwrap();
    let mut forged = response;
    forged.replace_range(
        start..start + branch.len(),
        std::str::from_utf8(&branch).unwrap(),
    );
    assert_eq!(stage.receive_response(&forged), None);
    assert_eq!(stage.layer.counters().strays.no_transaction, 1);
}

#[test]
fn who_forwards_requests_gets_its_responses_with_the_vias_of_others() {
    let mut stage = Stage::new();
    let (client, invite) = stage.request("INVITE");
    let response = response_to(&invite, 200, "b");
    let response = response.replacen("\r\nFrom:", "\r\nVia: SIP/2.0/UDP h\r\nFrom:", 1);
    let (mut index, mut out) = (Index::new(), Outbox::new());
    let message = Message::parse(response.as_bytes(), &mut index, &Limits::default()).unwrap();
    let (layer, now) = (&mut stage.layer, stage.now);
    let refused = layer.receive_response_if(
        now,
        &message,
        |claim| {
            assert!(claim.several);
            assert_eq!((claim.user, claim.via.sent_by), (5, &b"192.0.2.9"[..]));
            Err(Stray::ForeignVia)
        },
        &mut out,
    );
    assert_eq!((refused, layer.counters().strays.foreign_via), (None, 1));
    let taken = layer.receive_response_if(now, &message, |_| Ok(()), &mut out);
    assert_eq!(taken.map(|answer| answer.client), Some(client));
    assert_eq!(layer.counters().strays.total(), 1);
}

#[test]
fn several_vias_are_the_reason_whatever_else_is_wrong() {
    let mut stage = Stage::new();
    let (_, invite) = stage.request("INVITE");
    let response = response_to(&invite, 200, "b").replace("z9hG4bKtpr", "z9hG4bKtpx");
    let response = response.replacen("\r\nFrom:", "\r\nVia: SIP/2.0/UDP h\r\nFrom:", 1);
    assert_eq!(stage.receive_response(&response), None);
    assert_eq!(stage.layer.counters().strays.several_vias, 1);
}
