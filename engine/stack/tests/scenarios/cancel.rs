//! CANCEL on both sides: RFC 3261 9.

use stack::{Event, Inbound};
use wire::Method;

use crate::stage::{Stage, request, response_to, seconds};

#[test]
fn a_cancel_waits_for_a_provisional_response() {
    let mut stage = Stage::new();
    let (client, invite) = stage.request("INVITE");
    stage.layer.cancel(
        stage.now,
        client,
        b"Reason: Q.850;cause=16\r\n",
        &mut stage.out,
    );
    assert_eq!(stage.sent_lines(), [""; 0]);
    assert_eq!(
        stage.pass(seconds(1)).len(),
        1,
        "the INVITE is still repeated"
    );

    assert_eq!(
        stage.receive_response(&response_to(&invite, 100, "b")),
        None
    );
    let cancel = stage.sent().remove(0);
    assert!(cancel.starts_with("CANCEL sip:c@192.0.2.1 SIP/2.0\r\n"));
    assert_eq!(cancel.lines().nth(1), invite.lines().nth(1), "the same Via");
    assert!(cancel.contains("\r\nCSeq: 9 CANCEL\r\n"));
    assert!(cancel.contains("\r\nReason: Q.850;cause=16\r\n"));

    assert_eq!(
        stage.receive_response(&response_to(&cancel, 200, "b")),
        None,
        "the layer's own"
    );
    assert_eq!(stage.pass(seconds(4)), [], "and it is repeated no more");
    let answer = stage
        .receive_response(&response_to(&invite, 487, "b"))
        .unwrap();
    assert!(answer.first_final);
    assert_eq!(stage.sent_lines(), ["ACK sip:c@192.0.2.1"]);
    stage.pass(seconds(40));
    stage.assert_empty();
    assert_eq!(stage.events, []);
}

#[test]
fn a_cancel_after_a_provisional_goes_at_once_and_once() {
    let mut stage = Stage::new();
    let (client, invite) = stage.request("INVITE");
    stage.receive_response(&response_to(&invite, 180, "b"));
    stage.cancel(client);
    stage.cancel(client);
    assert_eq!(stage.sent_lines(), ["CANCEL sip:c@192.0.2.1"]);
    stage.receive_response(&response_to(&invite, 180, "b"));
    assert_eq!(stage.sent_lines(), [""; 0]);
    assert_eq!(stage.layer.client_count(), 2);
}

#[test]
fn a_cancel_is_repeated_and_both_end_64_t1_after_it() {
    let mut stage = Stage::new();
    let (client, invite) = stage.request("INVITE");
    stage.pass(seconds(10));
    stage.receive_response(&response_to(&invite, 180, "b"));
    stage.cancel(client);
    stage.sent();
    let times = stage.pass_times(seconds(100));
    assert_eq!(times[..4], [10_500, 11_500, 13_500, 17_500]);
    let event = Event::TimedOut {
        client,
        user: 5,
        method: Method::Invite,
    };
    assert_eq!(stage.events, [(42_000, event)]);
    stage.assert_empty();
}

#[test]
fn a_cancel_that_was_answered_still_gives_up_after_64_t1() {
    let mut stage = Stage::new();
    let (client, invite) = stage.request("INVITE");
    stage.receive_response(&response_to(&invite, 180, "b"));
    stage.cancel(client);
    let cancel = stage.sent().remove(0);
    stage.receive_response(&response_to(&cancel, 200, "b"));
    assert_eq!(stage.pass(seconds(40)), []);
    assert_eq!(stage.events.len(), 1);
    assert_eq!(stage.events[0].0, 32_000);
    stage.assert_empty();
}

#[test]
fn a_cancel_that_crosses_a_200_changes_nothing() {
    let mut stage = Stage::new();
    let (client, invite) = stage.request("INVITE");
    stage.receive_response(&response_to(&invite, 180, "b"));
    stage.cancel(client);
    let cancel = stage.sent().remove(0);
    assert!(
        stage
            .receive_response(&response_to(&invite, 200, "b"))
            .unwrap()
            .first_final
    );
    assert_eq!(
        stage.receive_response(&response_to(&cancel, 481, "b")),
        None
    );
    stage.acknowledge_2xx(client, "b");
    assert_eq!(stage.sent_lines(), ["ACK sip:c@192.0.2.1"]);
    stage.pass(seconds(40));
    assert_eq!(stage.events, []);
    stage.assert_empty();
}

#[test]
fn a_final_response_drops_a_cancel_that_still_waits() {
    for code in [200, 486] {
        let mut stage = Stage::new();
        let (client, invite) = stage.request("INVITE");
        stage.cancel(client);
        stage.receive_response(&response_to(&invite, code, "b"));
        assert_eq!(stage.layer.client_count(), 1);
        let sent = stage.pass(seconds(40));
        assert!(sent.iter().all(|(_, line)| !line.starts_with("CANCEL")));
        stage.assert_empty();
    }
}

#[test]
fn an_invite_nobody_answers_takes_its_cancel_with_it() {
    let mut stage = Stage::new();
    let (client, _) = stage.request("INVITE");
    stage.cancel(client);
    let sent = stage.pass(seconds(40));
    assert!(sent.iter().all(|(_, line)| line.starts_with("INVITE")));
    assert_eq!(stage.events.len(), 1);
    stage.assert_empty();
}

#[test]
fn an_invite_that_was_not_sent_ends_at_once() {
    let mut stage = Stage::new();
    let client = stage.request_waiting("INVITE");
    stage.cancel(client);
    let event = Event::Failed {
        client,
        user: 5,
        method: Method::Invite,
    };
    assert_eq!(stage.layer.poll_event(), Some(event));
    assert_eq!(stage.sent_lines(), [""; 0]);
    stage.assert_empty();
}

#[test]
fn only_an_open_invite_can_be_cancelled() {
    let mut stage = Stage::new();
    let (answered, invite) = stage.request("INVITE");
    stage.receive_response(&response_to(&invite, 200, "b"));
    let (bye, _) = stage.request("BYE");
    stage.cancel(answered);
    stage.cancel(bye);
    assert_eq!(stage.sent_lines(), [""; 0]);
    assert_eq!(stage.layer.client_count(), 2);
}

#[test]
fn a_received_cancel_finds_its_invite() {
    let mut stage = Stage::new();
    let invite = stage.receive_new(&request("INVITE", "x"));
    stage.respond(invite, 180);
    let inbound = stage.receive(&request("CANCEL", "x"));
    let Inbound::Cancel {
        cancel,
        invite: Some(found),
    } = inbound
    else {
        panic!("{inbound:?}")
    };
    assert_eq!(found, invite);
    assert!(stage.respond(cancel, 200) && stage.respond(invite, 487));
    assert_eq!(
        stage.sent_lines(),
        ["180 Ringing", "200 OK", "487 Request Terminated"]
    );
    assert_eq!(stage.receive(&request("CANCEL", "x")), Inbound::Absorbed);
    assert_eq!(stage.sent_lines(), ["200 OK"]);
}

#[test]
fn a_received_cancel_of_an_answered_invite_changes_nothing_and_one_of_nothing_finds_nothing() {
    let mut stage = Stage::new();
    let invite = stage.receive_new(&request("INVITE", "x"));
    stage.respond(invite, 200);
    assert!(matches!(
        stage.receive(&request("CANCEL", "x")),
        Inbound::Cancel { invite: Some(found), .. } if found == invite
    ));
    assert!(!stage.respond(invite, 487));
    assert!(matches!(
        stage.receive(&request("CANCEL", "y")),
        Inbound::Cancel { invite: None, .. }
    ));
    let bye = stage.receive_new(&request("BYE", "z"));
    assert!(matches!(
        stage.receive(&request("CANCEL", "z")),
        Inbound::Cancel { invite: None, .. }
    ));
    assert!(stage.respond(bye, 200));
}
