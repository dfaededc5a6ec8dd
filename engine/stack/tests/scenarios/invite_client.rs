//! INVITE client transactions: RFC 3261 17.1.1, RFC 6026.

use stack::Event;
use wire::Method;

use crate::stage::{Stage, peer, response_to, seconds};

#[test]
fn timer_a_doubles_until_timer_b_gives_up() {
    let mut stage = Stage::new();
    let (client, _) = stage.request("INVITE");
    let times = stage.pass_times(seconds(40));
    assert_eq!(times, [500, 1500, 3500, 7500, 15_500, 31_500]);
    let event = Event::TimedOut {
        client,
        user: 5,
        method: Method::Invite,
    };
    assert_eq!(stage.events, [(32_000, event)]);
    assert_eq!(stage.layer.counters().requests_repeated, 6);
    stage.assert_empty();
}

#[test]
fn retransmissions_are_the_same_bytes_to_the_same_address() {
    let mut stage = Stage::new();
    let (_, invite) = stage.request("INVITE");
    stage.now = stage.now + seconds(1);
    assert_eq!(stage.layer.handle_timeout(stage.now, &mut stage.out), None);
    assert_eq!(stage.sent(), [invite]);
}

#[test]
fn a_provisional_response_stops_every_timer() {
    for code in [100, 183] {
        let mut stage = Stage::new();
        let (_, invite) = stage.request("INVITE");
        stage.receive_response(&response_to(&invite, code, "b"));
        assert_eq!(stage.pass(seconds(1000)), []);
        assert_eq!(stage.events, []);
        assert_eq!(stage.layer.client_count(), 1);
    }
}

#[test]
fn every_provisional_but_100_is_passed_up() {
    let mut stage = Stage::new();
    let (client, invite) = stage.request("INVITE");
    assert_eq!(
        stage.receive_response(&response_to(&invite, 100, "b")),
        None
    );
    for _ in 0..2 {
        let answer = stage
            .receive_response(&response_to(&invite, 180, "b"))
            .unwrap();
        assert_eq!(
            (answer.client, answer.user, answer.first_final),
            (client, 5, false)
        );
    }
    assert_eq!(stage.sent_lines(), [""; 0]);
}

#[test]
fn a_failure_is_acknowledged_by_the_layer_until_timer_d() {
    let mut stage = Stage::new();
    let (_, invite) = stage.request("INVITE");
    let busy = response_to(&invite, 486, "b");
    assert!(stage.receive_response(&busy).unwrap().first_final);
    let ack = stage.sent().remove(0);
    assert!(ack.starts_with("ACK sip:c@192.0.2.1 SIP/2.0\r\n"));
    assert!(ack.contains("\r\nTo: <sip:c@192.0.2.1>;tag=b\r\n"));
    assert!(ack.contains("\r\nCSeq: 9 ACK\r\n"));
    assert_eq!(ack.lines().nth(1), invite.lines().nth(1), "the same Via");

    assert_eq!(stage.pass(seconds(31)), []);
    assert_eq!(stage.receive_response(&busy), None);
    assert_eq!(
        stage.receive_response(&response_to(&invite, 603, "c")),
        None
    );
    assert_eq!(stage.sent(), [ack.clone(), ack]);
    assert_eq!(stage.layer.counters().acks_repeated, 2);

    stage.pass(seconds(1));
    stage.assert_empty();
    assert_eq!(stage.receive_response(&busy), None);
    assert_eq!(stage.layer.counters().strays.no_transaction, 1);
}

#[test]
fn nothing_but_failures_matters_after_a_failure() {
    let mut stage = Stage::new();
    let (_, invite) = stage.request("INVITE");
    stage.receive_response(&response_to(&invite, 500, "b"));
    stage.sent();
    assert_eq!(
        stage.receive_response(&response_to(&invite, 180, "b")),
        None
    );
    assert_eq!(
        stage.receive_response(&response_to(&invite, 200, "b")),
        None
    );
    assert_eq!(stage.sent_lines(), [""; 0]);
}

#[test]
fn copies_of_a_2xx_are_passed_up_until_it_is_acknowledged() {
    let mut stage = Stage::new();
    let (client, invite) = stage.request("INVITE");
    let ok = response_to(&invite, 200, "b");
    assert!(stage.receive_response(&ok).unwrap().first_final);
    assert!(!stage.receive_response(&ok).unwrap().first_final);
    assert_eq!(
        stage.sent_lines(),
        [""; 0],
        "the ACK of a 2xx is the transaction user's"
    );

    stage.acknowledge_2xx(client, "b");
    let ack = stage.sent().remove(0);
    assert_eq!(stage.receive_response(&ok), None);
    assert_eq!(stage.sent(), [ack]);
}

#[test]
fn each_fork_has_its_own_ack() {
    let mut stage = Stage::new();
    let (client, invite) = stage.request("INVITE");
    let forks = ["b", "c"].map(|tag| response_to(&invite, 200, tag));
    let firsts = forks
        .each_ref()
        .map(|ok| stage.receive_response(ok).unwrap().first_final);
    assert_eq!(firsts, [true, false]);
    stage.acknowledge_2xx(client, "b");
    assert!(
        stage.receive_response(&forks[1]).is_some(),
        "the other fork has no ACK yet"
    );
    stage.acknowledge_2xx(client, "c");
    let acks = stage.sent();
    assert!(acks[0].ends_with('b') && acks[1].ends_with('c'));
    for (ok, ack) in forks.iter().zip(acks) {
        assert_eq!(stage.receive_response(ok), None);
        assert_eq!(stage.sent(), [ack]);
    }
}

#[test]
fn a_second_ack_takes_the_place_of_the_first() {
    let mut stage = Stage::new();
    let (client, invite) = stage.request("INVITE");
    let ok = response_to(&invite, 200, "b");
    stage.receive_response(&ok);
    stage.acknowledge_2xx(client, "b");
    stage.acknowledge_2xx(client, "b");
    let acks = stage.sent();
    assert_ne!(acks[0], acks[1], "branches differ");
    stage.receive_response(&ok);
    assert_eq!(stage.sent(), [acks[1].clone()]);
}

#[test]
fn timer_m_ends_an_accepted_invite() {
    let mut stage = Stage::new();
    let (client, invite) = stage.request("INVITE");
    let ok = response_to(&invite, 200, "b");
    stage.receive_response(&ok);
    stage.acknowledge_2xx(client, "b");
    stage.pass(seconds(31));
    assert_eq!(stage.layer.client_count(), 1);
    stage.pass(seconds(1));
    stage.assert_empty();
    assert_eq!(stage.events, []);
    assert_eq!(stage.receive_response(&ok), None);

    stage.acknowledge_2xx(client, "b");
    assert_eq!(stage.sent().len(), 1, "a late ACK is sent, but not kept");
    stage.assert_empty();
}

#[test]
fn an_invite_that_waits_for_its_address_is_sent_when_it_is_found() {
    let mut stage = Stage::new();
    let client = stage.request_waiting("INVITE");
    assert_eq!(stage.pass(seconds(3)), []);
    for _ in 0..2 {
        stage
            .layer
            .destination_found(stage.now, client, peer(), &mut stage.out);
    }
    assert_eq!(stage.sent_lines(), ["INVITE sip:c@192.0.2.1"], "once");
    assert_eq!(stage.pass_times(seconds(7)), [3500, 4500, 6500]);
    stage.pass(seconds(30));
    assert_eq!(stage.events.len(), 1);
    assert_eq!(stage.events[0].0, 32_000, "timer B runs from the beginning");
}

#[test]
fn a_name_that_is_never_found_times_out() {
    let mut stage = Stage::new();
    let client = stage.request_waiting("INVITE");
    stage.pass(seconds(40));
    let event = Event::TimedOut {
        client,
        user: 5,
        method: Method::Invite,
    };
    assert_eq!(stage.events, [(32_000, event)]);
    stage.assert_empty();
}

#[test]
fn what_the_transaction_user_fails_is_gone_without_an_event() {
    let mut stage = Stage::new();
    let waiting = stage.request_waiting("INVITE");
    let (calling, _) = stage.request("INVITE");
    stage.layer.fail(stage.now, waiting);
    stage.layer.fail(stage.now, calling);
    stage.layer.fail(stage.now, calling);
    stage.assert_empty();
    assert_eq!(stage.pass(seconds(40)), []);
    assert_eq!(stage.events, []);
}

#[test]
fn an_unreachable_address_fails_only_what_got_no_answer() {
    let mut stage = Stage::new();
    let (first, _) = stage.request("INVITE");
    let (_, ringing) = stage.request("INVITE");
    let (third, _) = stage.request("OPTIONS");
    stage.receive_response(&response_to(&ringing, 180, "b"));

    let mut elsewhere = peer().remote;
    elsewhere.set_port(5062);
    stage.layer.transport_error(stage.now, elsewhere);
    assert_eq!(stage.layer.poll_event(), None);

    stage.layer.transport_error(stage.now, peer().remote);
    let failed = |client, method| {
        Some(Event::Failed {
            client,
            user: 5,
            method,
        })
    };
    assert_eq!(stage.layer.poll_event(), failed(first, Method::Invite));
    assert_eq!(stage.layer.poll_event(), failed(third, Method::Options));
    assert_eq!(stage.layer.poll_event(), None);
    assert_eq!(stage.layer.client_count(), 1);
}

#[test]
fn regression_a_failure_whose_to_cannot_be_read_is_acknowledged_with_our_own() {
    for broken in ["To: 1@192.0.2.1>;tag=b", "X-To: gone"] {
        let mut stage = Stage::new();
        let (_, invite) = stage.request("INVITE");
        let answer = response_to(&invite, 486, "b");
        let answer = answer.replace("To: <sip:c@192.0.2.1>;tag=b", broken);
        stage.receive_response(&answer);
        let sent = stage.sent();
        assert_eq!(sent.len(), 1);
        assert!(sent[0].starts_with("ACK "), "{sent:?}");
        assert!(
            sent[0].contains("\r\nTo: <sip:c@192.0.2.1>\r\n"),
            "{sent:?}"
        );
    }
}
