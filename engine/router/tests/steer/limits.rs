//! No ports, no sense: what is refused, and how.

use crate::*;

#[test]
fn a_call_without_ports_is_503_and_the_surroundings_are_told() {
    let mut world = World::with_pairs(3, 0);
    world.call("7", &audio("10.0.0.9", 4000), &audio("10.0.0.2", 6000));
    let mut other = World::with_pairs(1, 0);
    let refused = other.invite("7", "", &audio("10.0.0.9", 4000));
    assert_eq!(refused.code(), 503);
    let reason = refused.header("Reason");
    assert_eq!(reason, Some("Q.850;cause=34;text=\"No Media Ports\""));
    assert!(refused.header("Retry-After").is_some());
    let counters = other.router.counters();
    assert_eq!((counters.media.ports_exhausted, counters.calls), (1, 0));
    let event = Event::LimitReached {
        limit: "media.ports",
        value: 1,
    };
    assert_eq!(other.events(), [event]);
    world.hang_up();
}

#[test]
fn a_line_too_many_inside_a_call_is_500_and_the_call_goes_on() {
    let mut world = World::with_pairs(3, 0);
    let (invite, ok) = world.call("7", &audio("10.0.0.9", 4000), &audio("10.0.0.2", 6000));
    let offer = sdp(
        "10.0.0.8",
        2,
        "m=audio 4100 RTP/AVP 0\r\nm=video 4200 RTP/AVP 31\r\n",
    );
    for method in ["INVITE", "UPDATE"] {
        let refused = world.request(Caller, method, "", &offer);
        assert_eq!(refused.code(), 500, "{method}");
        assert!(refused.header("Retry-After").is_some());
        assert_eq!(world.router.counters().media.streams, 1);
    }
    let sent = world.packet("10.0.0.2:6000", invite.port(0));
    assert_eq!(sent, Some(("10.0.0.9:4000".to_owned(), ok.port(0))));
    world.hang_up();
}

#[test]
fn an_offer_of_the_callee_without_ports_is_shown_closed() {
    let mut world = World::with_pairs(2, 0);
    let invite = world.invite("7", "", "");
    let offer = sdp(
        "10.0.0.2",
        1,
        "m=audio 6000 RTP/AVP 0\r\nm=video 6200 RTP/AVP 31\r\n",
    );
    let ok = world.answer(Callee, &invite, 200, "", &offer);
    assert!(ok.port(0) > 0 && ok.port(1) == 0);
    let answer = sdp(
        "10.0.0.9",
        1,
        "m=audio 4000 RTP/AVP 0\r\nm=video 0 RTP/AVP 31\r\n",
    );
    let ack = world.ack(Caller, &answer);
    assert!(ack.port(0) > 0 && ack.port(1) == 0);
    world.hang_up();
}

#[test]
fn without_any_ports_the_reason_says_so() {
    let mut world = World::with_pairs(0, 0);
    let refused = world.invite("7", "", &audio("10.0.0.9", 4000));
    assert_eq!(refused.code(), 503);
    let reason = refused.header("Reason");
    assert_eq!(reason, Some("Q.850;cause=34;text=\"No Media Configured\""));
    assert!(world.events().is_empty());
}

#[test]
fn a_description_of_too_many_lines_is_488() {
    let mut world = World::new();
    let lines = "m=audio 4000 RTP/AVP 0\r\n".repeat(17);
    let refused = world.invite("7", "", &sdp("10.0.0.9", 1, &lines));
    assert_eq!(refused.code(), 488);
    assert!(
        refused
            .header("Warning")
            .is_some_and(|text| text.contains("Too Many Streams"))
    );
    assert_eq!(world.router.counters().media.streams, 0);
}

#[test]
fn an_unreadable_offer_is_488_and_an_unreadable_answer_does_not_pass() {
    let mut world = World::new();
    let unreadable = "o=10.0.0.9\r\n";
    let refused = world.invite("7", "", unreadable);
    assert_eq!(refused.code(), 488);
    let warning = refused.header("Warning").expect("a Warning");
    assert_eq!(warning, "399 127.0.0.1:5060 \"Unreadable SDP\"");
    let invite = world.invite("7", "", &audio("10.0.0.9", 4000));
    let ringing = world.answer(Callee, &invite, 183, "", unreadable);
    assert_eq!((ringing.code(), ringing.body()), (183, ""));
    world.answer(Callee, &invite, 200, "", &audio("10.0.0.2", 6000));
    world.ack(Caller, "");
    let refused = world.request(Callee, "INVITE", "", unreadable);
    assert_eq!(refused.code(), 488);
    world.hang_up();
}
