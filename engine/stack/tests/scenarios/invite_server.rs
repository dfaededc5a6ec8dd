//! INVITE server transactions: RFC 3261 17.2.1 and 13.3.1.4, RFC 6026.

use std::time::Duration;

use stack::{Event, Inbound, TimerConfig};

use crate::stage::{LIMITS, Stage, millis, peer, request, seconds};

#[test]
fn a_100_is_sent_when_nothing_was_answered_in_200_ms() {
    let mut stage = Stage::new();
    stage.receive_new(&request("INVITE", "x"));
    stage.now = stage.now + millis(200);
    assert_eq!(stage.layer.handle_timeout(stage.now, &mut stage.out), None);
    insta::assert_snapshot!(stage.sent()[0].replace("\r\n", "\n"), @r"
    SIP/2.0 100 Trying
    Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx
    From: <sip:a@192.0.2.1>;tag=a
    Call-ID: one
    CSeq: 1 INVITE
    Timestamp: 54
    To: <sip:b@192.0.2.9>
    Content-Length: 0
    ");
    assert_eq!(stage.pass(seconds(100)), []);
}

#[test]
fn no_100_follows_an_answer() {
    for code in [100, 180, 200, 404] {
        let mut stage = Stage::new();
        let id = stage.receive_new(&request("INVITE", "x"));
        stage.respond(id, code);
        stage.sent();
        assert_eq!(stage.pass(millis(499)), [], "{code}");
    }
}

#[test]
fn a_delay_of_zero_sends_the_100_at_once() {
    let timers = TimerConfig {
        trying: Duration::ZERO,
        ..TimerConfig::default()
    };
    let mut stage = Stage::with(timers, LIMITS);
    stage.receive_new(&request("INVITE", "x"));
    assert_eq!(stage.sent_lines(), ["100 Trying"]);
    assert_eq!(stage.pass(seconds(1)), []);
}

#[test]
fn a_retransmission_gets_the_last_response_again() {
    let mut stage = Stage::new();
    let invite = request("INVITE", "x");
    let id = stage.receive_new(&invite);
    assert_eq!(stage.receive(&invite), Inbound::Absorbed);
    assert_eq!(stage.sent_lines(), [""; 0], "nothing was answered yet");
    for code in [180, 183, 486] {
        assert!(stage.respond(id, code));
        let answer = stage.sent();
        assert_eq!(stage.receive(&invite), Inbound::Absorbed);
        assert_eq!(stage.sent(), answer);
    }
    assert_eq!(stage.layer.counters().repeats_received, 4);
}

#[test]
fn a_response_carries_the_head_the_tag_and_the_rest() {
    let mut stage = Stage::new();
    let id = stage.receive_new(&request("INVITE", "x"));
    let rest = |bytes: &mut Vec<u8>| {
        wire::print::header(bytes, "Contact", b"<sip:192.0.2.9>");
        wire::print::end(bytes, b"v=0");
    };
    let out = &mut stage.out;
    assert!(
        stage
            .layer
            .respond(stage.now, id, 183, b"Early", Some(b"t1"), rest, out)
    );
    insta::assert_snapshot!(stage.sent()[0].replace("\r\n", "\n"), @r"
    SIP/2.0 183 Early
    Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx
    From: <sip:a@192.0.2.1>;tag=a
    Call-ID: one
    CSeq: 1 INVITE
    Timestamp: 54
    To: <sip:b@192.0.2.9>;tag=t1
    Contact: <sip:192.0.2.9>
    Content-Length: 3

    v=0
    ");
}

#[test]
fn a_to_with_a_tag_keeps_it() {
    let mut stage = Stage::new();
    let text = request("INVITE", "x").replace("<sip:b@192.0.2.9>", "<sip:b@192.0.2.9>;tag=z");
    let id = stage.receive_new(&text);
    stage.respond(id, 200);
    assert!(stage.sent()[0].contains("\r\nTo: <sip:b@192.0.2.9>;tag=z\r\n"));
}

#[test]
fn timer_g_repeats_a_failure_until_timer_h() {
    let mut stage = Stage::new();
    let id = stage.receive_new(&request("INVITE", "x"));
    stage.layer.set_server_user(id, 77);
    stage.respond(id, 486);
    assert_eq!(stage.sent_lines(), ["486 Busy Here"]);
    let sent = stage.pass(seconds(40));
    let times: Vec<u64> = sent.iter().map(|(ms, _)| *ms).collect();
    let expected = [
        500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500,
    ];
    assert_eq!(times, expected);
    assert!(sent.iter().all(|(_, line)| line == "486 Busy Here"));
    assert_eq!(
        stage.events,
        [(
            32_000,
            Event::NoAck {
                server: id,
                user: Some(77)
            }
        )]
    );
    stage.assert_empty();
}

#[test]
fn an_ack_ends_the_repeats_and_timer_i_the_transaction() {
    let mut stage = Stage::new();
    let id = stage.receive_new(&request("INVITE", "x"));
    stage.respond(id, 486);
    stage.pass(seconds(1));
    for _ in 0..2 {
        assert_eq!(stage.receive(&request("ACK", "x")), Inbound::Absorbed);
    }
    assert_eq!(stage.receive(&request("INVITE", "x")), Inbound::Absorbed);
    assert_eq!(stage.sent_lines(), [""; 0]);
    assert_eq!(stage.pass(millis(4999)), []);
    assert_eq!(stage.layer.server_count(), 1);
    stage.pass(millis(1));
    stage.assert_empty();
    assert_eq!(stage.events, []);
    assert_eq!(
        stage.receive(&request("ACK", "x")),
        Inbound::Ack,
        "for nothing known"
    );
}

#[test]
fn a_2xx_is_repeated_until_acknowledged() {
    let mut stage = Stage::new();
    let id = stage.receive_new(&request("INVITE", "x"));
    stage.respond(id, 200);
    stage.sent();
    let sent = stage.pass(seconds(8));
    let lines: Vec<_> = [500, 1500, 3500, 7500]
        .map(|ms| (ms, "200 OK".to_owned()))
        .into();
    assert_eq!(sent, lines);
    assert_eq!(
        stage.receive(&request("ACK", "x")),
        Inbound::Ack,
        "an ACK is for the dialog"
    );
    stage.layer.acknowledge(stage.now, id);
    assert_eq!(stage.receive(&request("INVITE", "x")), Inbound::Absorbed);
    assert_eq!(stage.pass(millis(23_999)), []);
    assert_eq!(stage.layer.server_count(), 1);
    stage.pass(millis(1));
    stage.assert_empty();
    assert_eq!(stage.events, []);
}

#[test]
fn a_2xx_nobody_acknowledges_is_reported_by_timer_l() {
    let mut stage = Stage::new();
    let id = stage.receive_new(&request("INVITE", "x"));
    stage.respond(id, 202);
    stage.sent();
    assert_eq!(stage.pass_times(seconds(40)).len(), 10);
    assert_eq!(
        stage.events,
        [(
            32_000,
            Event::Unacknowledged {
                server: id,
                user: None
            }
        )]
    );
    stage.assert_empty();
}

#[test]
fn a_retransmitted_invite_is_absorbed_while_accepted() {
    let mut stage = Stage::new();
    let id = stage.receive_new(&request("INVITE", "x"));
    stage.respond(id, 200);
    stage.sent();
    assert_eq!(stage.receive(&request("INVITE", "x")), Inbound::Absorbed);
    assert_eq!(stage.sent_lines(), [""; 0]);
}

#[test]
fn a_late_answer_is_dropped() {
    let mut stage = Stage::new();
    let id = stage.receive_new(&request("INVITE", "x"));
    assert!(stage.respond(id, 200));
    stage.sent();
    for code in [180, 200, 487] {
        assert!(!stage.respond(id, code));
    }
    assert_eq!(stage.sent_lines(), [""; 0]);
    stage.pass(seconds(40));
    assert!(!stage.respond(id, 200), "a stale id");
    assert_eq!(stage.layer.server_flow(id), None);
    assert_eq!(stage.layer.counters().answers_dropped, 4);
}

#[test]
fn a_stale_id_does_not_reach_its_successor() {
    let mut stage = Stage::new();
    let old = stage.receive_new(&request("OPTIONS", "x"));
    stage.respond(old, 200);
    stage.pass(seconds(40));
    let new = stage.receive_new(&request("INVITE", "y"));
    stage.layer.set_server_user(old, 1);
    stage.layer.acknowledge(stage.now, old);
    assert!(!stage.respond(old, 200));
    assert_eq!(stage.layer.server_user(new), None);
    assert!(stage.respond(new, 200));
}

#[test]
fn requests_differ_by_branch_sent_by_and_method() {
    let mut stage = Stage::new();
    let invite = request("INVITE", "x");
    stage.receive_new(&invite);
    stage.receive_new(&request("INVITE", "y"));
    stage.receive_new(&request("OPTIONS", "x"));
    stage.receive_new(&invite.replace("192.0.2.1;branch", "192.0.2.1:5062;branch"));
    assert_eq!(stage.receive(&invite), Inbound::Absorbed);
}

#[test]
fn an_element_of_rfc_2543_is_understood() {
    let mut stage = Stage::new();
    let old = |method: &str| request(method, "x").replace(";branch=z9hG4bKx", "");
    let id = stage.receive_new(&old("INVITE"));
    assert_eq!(stage.receive(&old("INVITE")), Inbound::Absorbed);
    stage.respond(id, 404);
    let ack = old("ACK").replace("<sip:b@192.0.2.9>", "<sip:b@192.0.2.9>;tag=ours");
    assert_eq!(stage.receive(&ack), Inbound::Absorbed);
    stage.pass(seconds(5));
    stage.assert_empty();
}

#[test]
fn responses_follow_the_via() {
    let mut stage = Stage::new();
    let text = request("INVITE", "x").replace(";branch", ";rport;branch");
    let mut source = peer();
    source.remote.set_port(40_000);
    let Inbound::New(id) = stage.receive_from(&text, source) else {
        panic!()
    };
    assert_eq!(stage.layer.server_flow(id), Some(source));
    let other = request("INVITE", "y").replace("Call-ID: one", "Call-ID: two");
    let Inbound::New(id) = stage.receive_from(&other, source) else {
        panic!()
    };
    assert_eq!(
        stage.layer.server_flow(id),
        Some(peer()),
        "without rport the sent-by's port"
    );
}

#[test]
fn what_is_refused_once_is_sent_when_the_invite_comes_and_not_between() {
    let mut stage = Stage::new();
    let invite = request("INVITE", "x");
    let id = stage.receive_new(&invite);
    stage.layer.refuse_once(id);
    stage.respond(id, 404);
    assert_eq!(stage.sent_lines(), ["404 Not Found"]);
    assert_eq!(stage.pass(seconds(10)), []);
    stage.receive(&invite);
    assert_eq!(stage.sent_lines(), ["404 Not Found"]);
    assert_eq!(stage.pass(seconds(100)), []);
    stage.assert_empty();
}

#[test]
fn after_a_provisional_a_refusal_is_repeated_and_a_2xx_always_is() {
    for codes in [&[180, 486][..], &[200]] {
        let mut stage = Stage::new();
        let id = stage.receive_new(&request("INVITE", "x"));
        stage.layer.refuse_once(id);
        for code in codes {
            stage.respond(id, *code);
        }
        stage.sent();
        let repeated = stage.pass(seconds(10)).len();
        assert!(repeated > 3, "{codes:?} was repeated {repeated} times");
    }
}
