//! At the limit requests are refused and nothing that lives is harmed.

use stack::{Inbound, TimerConfig, TransactionLimits};
use wire::Method;

use crate::stage::{Stage, peer, request, response_to, seconds};

fn stage_of_one() -> Stage {
    Stage::with(
        TimerConfig::default(),
        TransactionLimits {
            server: 1,
            client: 1,
        },
    )
}

#[test]
fn a_request_above_the_limit_is_refused() {
    let mut stage = stage_of_one();
    let id = stage.receive_new(&request("INVITE", "x"));
    assert_eq!(stage.receive(&request("INVITE", "y")), Inbound::Full);
    assert_eq!(stage.receive(&request("CANCEL", "y")), Inbound::Full);
    assert_eq!(stage.receive(&request("INVITE", "x")), Inbound::Absorbed);
    assert_eq!(stage.receive(&request("ACK", "y")), Inbound::Ack);
    assert_eq!(stage.layer.counters().servers_refused, 2);
    stage.respond(id, 500);
    stage.pass(seconds(32));
    stage.receive_new(&request("INVITE", "y"));
}

#[test]
fn the_cancel_of_a_live_invite_is_let_in() {
    let mut stage = stage_of_one();
    let id = stage.receive_new(&request("INVITE", "x"));
    let inbound = stage.receive(&request("CANCEL", "x"));
    assert!(matches!(inbound, Inbound::Cancel { invite: Some(found), .. } if found == id));
}

#[test]
fn a_request_of_ours_above_the_limit_is_not_printed() {
    let mut stage = stage_of_one();
    let (client, invite) = stage.request("INVITE");
    for waiting in [false, true] {
        let print = |_: &mut Vec<u8>, _: &stack::Token| panic!("printed");
        let (now, out) = (stage.now, &mut stage.out);
        let refused = match waiting {
            true => stage.layer.request_waiting(now, Method::Bye, 5, print, out),
            false => stage.layer.request(now, peer(), Method::Bye, 5, print, out),
        };
        assert_eq!(refused, None);
    }
    assert_eq!(stage.layer.counters().clients_refused, 2);

    stage.receive_response(&response_to(&invite, 180, "b"));
    stage.cancel(client);
    assert_eq!(
        stage.sent_lines(),
        ["CANCEL sip:c@192.0.2.1"],
        "a CANCEL always goes"
    );
}
