//! The first offer and its answer: in INVITE and 200, and in 18x.

use crate::*;

#[test]
fn each_side_is_told_the_routers_address_and_packets_pass() {
    let mut world = World::new();
    let (invite, ok) = world.call("7", &audio("10.0.0.9", 4000), &audio("10.0.0.2", 6000));
    let (to_callee, to_caller) = (invite.port(0), ok.port(0));
    assert_ne!(to_callee, to_caller);
    for seen in [&invite, &ok] {
        let text = seen.body();
        assert!(
            !text.contains("10.0.0.") && !text.contains("Secret"),
            "{text}"
        );
        assert_eq!(seen.lines("c="), [format!("c=IN IP4 {OURS}")]);
        assert_eq!(seen.lines("s="), ["s=-"]);
        let origin = seen.lines("o=")[0];
        assert!(origin.starts_with("o=- ") && origin.ends_with(&format!(" 1 IN IP4 {OURS}")));
        let length: usize = seen.header("Content-Length").unwrap().parse().unwrap();
        assert_eq!(length, text.len());
    }
    assert_ne!(invite.lines("o="), ok.lines("o="));
    let callee = Some(("10.0.0.2:6000".to_owned(), to_callee));
    assert_eq!(world.packet("10.0.0.9:4000", to_caller), callee);
    let caller = Some(("10.0.0.9:4000".to_owned(), to_caller));
    assert_eq!(world.packet("10.0.0.2:6000", to_callee), caller);
    let rtcp = world.packet("10.0.0.9:4001", to_caller + 1);
    assert_eq!(rtcp, Some(("10.0.0.2:6001".to_owned(), to_callee + 1)));
    world.hang_up();
}

#[test]
fn early_media_flows_from_the_18x_and_the_200_that_repeats_it_changes_nothing() {
    let mut world = World::new();
    let answer = audio("10.0.0.2", 6000);
    let invite = world.invite("7", "", &audio("10.0.0.9", 4000));
    let ringing = world.answer(Callee, &invite, 183, "", &answer);
    let early = world.packet("10.0.0.2:6000", invite.port(0));
    assert_eq!(early.map(|(to, _)| to).as_deref(), Some("10.0.0.9:4000"));
    let ok = world.answer(Callee, &invite, 200, "", &answer);
    assert_eq!(ringing.body(), ok.body());
    assert_eq!(ok.version(), 1);
    world.ack(Caller, "");
    world.hang_up();
}

#[test]
fn the_version_rises_by_one_when_the_text_changes_and_only_then() {
    let mut world = World::new();
    let offer = |version, more| {
        sdp(
            "10.0.0.9",
            version,
            &format!("m=audio 4000 RTP/AVP 0\r\n{more}"),
        )
    };
    let (invite, _) = world.call("7", &offer(1, ""), &audio("10.0.0.2", 6000));
    let mut heard = vec![invite];
    // The sender's own version and address are not ours: a change of those alone is none.
    for (text, expected) in [
        (offer(2, ""), 1),
        (sdp("10.0.0.8", 3, "m=audio 4002 RTP/AVP 0\r\n"), 1),
        (offer(4, "a=ptime:20\r\n"), 2),
        (offer(4, "a=ptime:20\r\n"), 2),
        (offer(9, "a=sendonly\r\n"), 3),
    ] {
        let reinvite = world.request(Caller, "INVITE", "", &text);
        assert_eq!(reinvite.version(), expected, "{text}");
        let ok = world.answer(Callee, &reinvite, 200, "", &audio("10.0.0.2", 6000));
        assert_eq!(ok.version(), 1, "the other leg counts for itself");
        world.ack(Caller, "");
        heard.push(reinvite);
    }
    let session = |seen: &Seen| seen.lines("o=")[0].split(' ').nth(1).unwrap().to_owned();
    assert!(heard.iter().all(|seen| session(seen) == session(&heard[0])));
    world.hang_up();
}

#[test]
fn several_streams_and_those_the_answer_refuses() {
    let mut world = World::new();
    let offer = sdp(
        "10.0.0.9",
        1,
        "m=audio 4000 RTP/AVP 0\r\nm=video 4002/2 RTP/AVPF 99\r\nm=message 9000 TCP/MSRP *\r\n\
         m=image 0 udptl t38\r\n",
    );
    let answer = sdp(
        "10.0.0.2",
        1,
        "m=audio 6000 RTP/AVP 0\r\nm=video 0 RTP/AVPF 99\r\nm=message 0 TCP/MSRP *\r\n\
         m=image 0 udptl t38\r\n",
    );
    let invite = world.invite("7", "", &offer);
    assert_eq!(world.router.counters().media.streams, 2);
    assert_ne!(invite.port(0), invite.port(1));
    assert!(invite.lines("m=video")[0].ends_with(" RTP/AVPF 99") && !invite.body().contains("/2 "));
    assert_eq!((invite.port(2), invite.port(3)), (9000, 0));
    // What is not carried says for itself where it is.
    let expected = format!("c=IN IP4 {OURS}");
    assert_eq!(invite.lines("c="), [expected.as_str(), "c=IN IP4 10.0.0.9"]);
    let ok = world.answer(Callee, &invite, 200, "", &answer);
    assert_eq!((ok.port(1), ok.port(3)), (0, 0));
    assert!(ok.port(0) > 0 && !ok.body().contains("10.0.0.2"));
    assert_eq!(world.router.counters().media.streams, 1);
    world.ack(Caller, "");
    world.hang_up();
}

#[test]
fn rtcp_is_where_the_sender_says() {
    let mut world = World::new();
    let offer = format!("{}a=rtcp:4777 IN IP4 10.0.0.8\r\n", audio("10.0.0.9", 4000));
    let answer = format!("{}a=rtcp:6777\r\n", audio("10.0.0.2", 6000));
    let (invite, ok) = world.call("7", &offer, &answer);
    let rtcp = format!("a=rtcp:{} IN IP4 {OURS}", invite.port(0) + 1);
    assert_eq!(invite.lines("a=rtcp"), [rtcp]);
    assert_eq!(ok.lines("a=rtcp"), [format!("a=rtcp:{}", ok.port(0) + 1)]);
    let sent = world.packet("10.0.0.8:4777", ok.port(0) + 1);
    assert_eq!(sent.map(|(to, _)| to).as_deref(), Some("10.0.0.2:6777"));
    let sent = world.packet("10.0.0.2:6777", invite.port(0) + 1);
    assert_eq!(sent.map(|(to, _)| to).as_deref(), Some("10.0.0.8:4777"));
    world.hang_up();
}

#[test]
fn rtcp_mux_is_in_force_when_both_have_it() {
    let rtcp = [0x80, 201, 0, 1, 0, 0, 0, 1];
    for (answered, port) in [("a=rtcp-mux\r\n", 6000), ("", 6001)] {
        let mut world = World::new();
        let offer = format!("{}a=rtcp-mux\r\na=rtcp:4000\r\n", audio("10.0.0.9", 4000));
        let answer = format!("{}{answered}", audio("10.0.0.2", 6000));
        let (invite, ok) = world.call("7", &offer, &answer);
        assert_eq!(invite.lines("a=rtcp-mux").len(), 1);
        // The same port as the media, as the sender has it.
        assert_eq!(
            invite.lines("a=rtcp:"),
            [format!("a=rtcp:{}", invite.port(0))]
        );
        let (from, to) = if answered.is_empty() {
            ("10.0.0.9:4001", ok.port(0) + 1)
        } else {
            ("10.0.0.9:4000", ok.port(0))
        };
        let sent = world.datagram(from, to, &rtcp).map(|(to, _)| to);
        assert_eq!(sent, Some(format!("10.0.0.2:{port}")), "{answered:?}");
        world.hang_up();
    }
}

#[test]
fn a_call_that_is_not_steered_is_left_alone() {
    let mut world = World::new();
    let (offer, answer) = (audio("10.0.0.9", 4000), audio("10.0.0.2", 6000));
    let (invite, ok) = world.call("5", &offer, &answer);
    assert_eq!(
        (invite.body(), ok.body()),
        (offer.as_str(), answer.as_str())
    );
    assert_eq!(world.router.counters().media.streams_opened, 0);
    world.hang_up();
}
