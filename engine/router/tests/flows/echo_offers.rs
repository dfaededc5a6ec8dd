//! `EchoResponder`: what is answered to each offer, and what is offered.

use super::world::{CALLER, Sent, World, kinds, one, sdp, world};

const HEAD: &str = "v=0\r\no=- 7 1 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\n";

/// The answer to this offer: the lines behind the o= line, and that line's version.
fn answer_to(world: &mut World, offer: &str) -> String {
    let sent = world.call("8", "", offer);
    described(&one(&sent, CALLER, "200"))
}

fn described(message: &Sent) -> String {
    let (_, rest) = message
        .body()
        .split_once("s=-\r\n")
        .expect("a session name");
    rest.to_owned()
}

/// Session id and version.
fn origin(message: &Sent) -> (String, u64) {
    let line = message.body().lines().nth(1).expect("an o= line");
    let words: Vec<&str> = line.split(' ').collect();
    assert_eq!(
        (words[0], &words[3..]),
        ("o=-", &["IN", "IP4", "127.0.0.1"][..])
    );
    (words[1].to_owned(), words[2].parse().expect("a number"))
}

#[test]
fn the_first_codec_of_the_offer_is_taken_with_its_telephone_event() {
    for (media, answer) in [
        (
            "m=audio 4000 RTP/AVP 3 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\n\
             a=fmtp:101 0-16\r\na=ptime:30\r\n",
            "m=audio 20000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n\
             a=fmtp:101 0-16\r\na=ptime:30\r\na=sendrecv\r\n",
        ),
        (
            "m=audio 4000 RTP/AVP 0 8\r\n",
            "m=audio 20000 RTP/AVP 0\r\na=sendrecv\r\n",
        ),
        (
            "m=audio 4000 RTP/AVP 9\r\na=rtpmap:9 G722/8000\r\n",
            "m=audio 20000 RTP/AVP 9\r\na=rtpmap:9 G722/8000\r\na=sendrecv\r\n",
        ),
        (
            "m=audio 4000 RTP/AVP 18\r\na=rtpmap:18 G729/8000\r\na=fmtp:18 annexb=no\r\n",
            "m=audio 20000 RTP/AVP 18\r\na=rtpmap:18 G729/8000\r\na=fmtp:18 annexb=no\r\n\
             a=sendrecv\r\n",
        ),
        (
            "m=audio 4000 RTP/AVPF 111 110 126\r\na=rtpmap:111 OPUS/48000/2\r\n\
             a=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:126 telephone-event/8000\r\n\
             a=rtpmap:110 telephone-event/48000\r\na=rtcp-mux\r\n",
            "m=audio 20000 RTP/AVPF 111 110\r\na=rtpmap:111 OPUS/48000/2\r\n\
             a=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:110 telephone-event/48000\r\n\
             a=rtcp-mux\r\na=sendrecv\r\n",
        ),
        // A dynamic type that says what it is; one that hides behind a static number does not count.
        (
            "m=audio 4000 RTP/AVP 8 97\r\na=rtpmap:8 iLBC/8000\r\na=rtpmap:97 pcmu/8000\r\n",
            "m=audio 20000 RTP/AVP 97\r\na=rtpmap:97 pcmu/8000\r\na=sendrecv\r\n",
        ),
    ] {
        let mut world = world();
        let expected = format!("c=IN IP4 127.0.0.1\r\nt=0 0\r\n{answer}");
        let answer = answer_to(&mut world, &format!("{HEAD}{media}"));
        // The choice of the port is the media's.
        assert_eq!(without_port(&answer), without_port(&expected), "{media}");
    }
}

/// The text with the port of its audio stream left out.
fn without_port(text: &str) -> String {
    let (before, after) = text.split_once("m=audio ").expect("an m= line");
    let (port, after) = after.split_once(' ').expect("a port");
    assert_ne!(port, "0");
    format!("{before}m=audio {after}")
}

#[test]
fn every_other_stream_is_refused_with_its_formats() {
    let mut world = world();
    let offer = format!(
        "{HEAD}m=video 5000/2 RTP/AVP 96 97\r\nm=audio 4000 RTP/SAVP 8\r\nm=audio 4002 RTP/AVP 8\r\n\
         m=audio 4004 RTP/AVP 8\r\nm=image 6000 udptl t38\r\n"
    );
    let answer = answer_to(&mut world, &offer);
    let streams: Vec<&str> = answer
        .lines()
        .filter(|line| line.starts_with("m="))
        .collect();
    assert_eq!(streams[0], "m=video 0 RTP/AVP 96 97");
    assert_eq!(streams[1], "m=audio 0 RTP/SAVP 8");
    assert!(streams[2].starts_with("m=audio 2"), "{}", streams[2]);
    assert_eq!(streams[3], "m=audio 0 RTP/AVP 8");
    assert_eq!(streams[4], "m=image 0 udptl t38");
}

#[test]
fn an_offer_with_no_usable_stream_is_488() {
    for (media, warning) in [
        ("", "304"),
        ("m=video 5000 RTP/AVP 96\r\n", "304"),
        ("m=audio 0 RTP/AVP 8\r\n", "304"),
        (
            "m=audio 4000 RTP/SAVP 8\r\nm=video 5000 RTP/AVP 96\r\n",
            "302",
        ),
        ("m=audio 4000 UDP/TLS/RTP/SAVPF 8\r\n", "302"),
        (
            "m=audio 4000 RTP/AVP 3 97\r\na=rtpmap:97 iLBC/8000\r\n",
            "305",
        ),
        (
            "m=audio 4000 RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000\r\n",
            "305",
        ),
        ("m=audio 4000 RTP/AVP 8\r\nc=IN IP4 host.example\r\n", "301"),
        ("m=audio 4000 RTP/AVP 8\r\nc=IN IP6 2001:db8::1\r\n", "301"),
        (
            "m=audio 4000 RTP/AVP 97\r\na=rtpmap:97 opus/48000\r\n",
            "305",
        ),
    ] {
        let mut world = world();
        let sent = world.call("8", "", &format!("{HEAD}{media}"));
        let refusal = one(&sent, CALLER, "488");
        let expected = format!("{warning} 127.0.0.1:5060 \"");
        assert!(
            refusal
                .header("Warning")
                .is_some_and(|it| it.starts_with(&expected)),
            "{media}"
        );
        world.ack(1, "");
        assert_eq!(world.router.calls(), 0);
        world.assert_idle();
    }
}

#[test]
fn a_body_that_is_no_description_is_refused() {
    let mut world = world();
    let sent = world.call("8", "", "nonsense");
    one(&sent, CALLER, "400");
    let text = format!(
        "INVITE sip:8@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {CALLER};branch=z9hG4bKt\r\n\
         From: <sip:a@a.example>;tag=o\r\nTo: <sip:b@b.example>\r\nCall-ID: other\r\n\
         CSeq: 1 INVITE\r\nContact: <sip:a@{CALLER}>\r\nContent-Type: text/plain\r\n\
         Content-Length: 2\r\n\r\nhi"
    );
    let sent = world.receive(CALLER, &text);
    assert_eq!(
        one(&sent, CALLER, "415").header("Accept"),
        Some("application/sdp")
    );
    world.assert_idle();
}

#[test]
fn an_invite_that_requires_an_extension_is_420() {
    let mut world = world();
    let sent = world.call("8", "Require: 100rel, timer\r\n", &sdp(1, 4000, ""));
    assert_eq!(
        one(&sent, CALLER, "420").header("Unsupported"),
        Some("100rel, timer")
    );
}

/// The offer of a 200 to an INVITE without one.
fn offered(world: &mut World) -> Sent {
    let sent = world.call("8", "", "");
    one(&sent, CALLER, "200")
}

#[test]
fn no_sdp_in_the_invite_puts_the_offer_into_the_200() {
    let mut world = world();
    let offer = offered(&mut world);
    for part in [
        " RTP/AVP 8 0 9 18 96 101\r\n",
        "a=rtpmap:8 PCMA/8000\r\n",
        "a=rtpmap:0 PCMU/8000\r\n",
        "a=rtpmap:9 G722/8000\r\n",
        "a=rtpmap:18 G729/8000\r\n",
        "a=rtpmap:96 opus/48000/2\r\n",
        "a=rtpmap:101 telephone-event/8000\r\n",
        "a=sendrecv\r\n",
    ] {
        assert!(offer.body().contains(part), "{part}");
    }
    assert!(world.ack(1, &sdp(1, 4000, "")).is_empty());
    let packet = [
        0x80, 8, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4, 0xd5, 0xd5, 0xd5, 0xd5,
    ];
    let echoed: usize = (1..=8u16)
        .map(|socket| world.receive_rtp(socket, "127.0.0.2:4000", &packet).len())
        .sum();
    assert_eq!(echoed, 1);
    let sent = world.caller_sends("BYE", "", "");
    one(&sent, CALLER, "200");
    world.assert_idle();
}

#[test]
fn an_ack_without_a_usable_answer_ends_the_call() {
    for answer in ["", "nonsense", &format!("{HEAD}m=audio 0 RTP/AVP 8\r\n")] {
        let mut world = world();
        offered(&mut world);
        let sent = world.ack(1, answer);
        let bye = one(&sent, CALLER, "BYE");
        assert_eq!(
            bye.header("Reason"),
            Some("SIP;cause=488;text=\"No Usable Answer\"")
        );
        world.ok(&bye);
        world.assert_idle();
    }
}

#[test]
fn while_our_offer_has_no_answer_another_is_491() {
    let mut world = world();
    offered(&mut world);
    for method in ["INVITE", "UPDATE"] {
        let sent = world.caller_sends(method, "", &sdp(1, 4000, ""));
        one(&sent, CALLER, "491");
    }
    assert!(world.ack(1, &sdp(1, 4000, "")).is_empty());
}

/// A call that was answered and ACKed, and its 200.
fn talking() -> (World, Sent) {
    let mut world = world();
    let sent = world.call("8", "", &sdp(1, 4000, ""));
    world.ack(1, "");
    (world, one(&sent, CALLER, "200"))
}

fn echoes(world: &mut World) -> bool {
    let packet = [
        0x80, 8, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4, 0xd5, 0xd5, 0xd5, 0xd5,
    ];
    (1..=8u16).any(|socket| {
        !world
            .receive_rtp(socket, "127.0.0.2:4000", &packet)
            .is_empty()
    })
}

/// A re-INVITE or UPDATE, its ACK when it wants one, and the answer.
fn offer_again(world: &mut World, method: &str, offer: &str) -> Sent {
    let sent = world.caller_sends(method, "", offer);
    let answer = one(&sent, CALLER, "200");
    assert_eq!(kinds(&sent, CALLER), ["200"]);
    if method == "INVITE" {
        assert!(world.ack(World::cseq_of(&answer), "").is_empty());
        assert!(!kinds(&world.seconds(1), CALLER).contains(&"200".to_owned()));
    }
    answer
}

#[test]
fn hold_mutes_the_echo_and_resume_lets_it_be_heard_again() {
    let null = sdp(2, 4000, "").replace("c=IN IP4 127.0.0.2", "c=IN IP4 0.0.0.0");
    for method in ["INVITE", "UPDATE"] {
        for (hold, direction) in [
            (sdp(2, 4000, "a=sendonly\r\n"), "recvonly"),
            (sdp(2, 4000, "a=inactive\r\n"), "inactive"),
            (null.clone(), "recvonly"),
            (format!("{null}a=sendonly\r\n"), "recvonly"),
            (format!("{null}a=recvonly\r\n"), "inactive"),
        ] {
            let (mut world, first) = talking();
            assert!(echoes(&mut world));
            let answer = offer_again(&mut world, method, &hold);
            assert!(
                described(&answer).ends_with(&format!("a={direction}\r\n")),
                "{hold}"
            );
            assert!(!echoes(&mut world), "{hold}");
            let (id, version) = origin(&first);
            assert_eq!(origin(&answer), (id.clone(), version + 1));
            let answer = offer_again(&mut world, method, &sdp(3, 4000, ""));
            assert_eq!(
                (described(&answer), origin(&answer)),
                (described(&first), (id, version + 2))
            );
            assert!(echoes(&mut world), "{hold}");
            let sent = world.caller_sends("BYE", "", "");
            one(&sent, CALLER, "200");
            world.assert_idle();
        }
    }
}

#[test]
fn a_recvonly_caller_is_answered_sendonly() {
    let (mut world, _) = talking();
    let answer = offer_again(&mut world, "INVITE", &sdp(2, 4000, "a=recvonly\r\n"));
    assert!(described(&answer).ends_with("a=sendonly\r\n"));
}

#[test]
fn an_offer_that_changes_nothing_keeps_version_and_port() {
    let (mut world, first) = talking();
    let answer = offer_again(&mut world, "INVITE", &sdp(1, 4000, ""));
    assert_eq!(answer.body(), first.body());
    let answer = offer_again(&mut world, "UPDATE", &sdp(2, 4444, ""));
    assert_eq!(answer.body(), first.body());
    assert_eq!(world.counters().media.pairs_used, 1);
}

#[test]
fn a_refused_offer_leaves_the_session_as_it_was() {
    let (mut world, first) = talking();
    for method in ["INVITE", "UPDATE"] {
        let sent = world.caller_sends(method, "", &sdp(2, 4000, "").replace(" 8 101", " 3 101"));
        assert!(one(&sent, CALLER, "488").header("Warning").is_some());
        if method == "INVITE" {
            world.ack(2, "");
        }
    }
    assert!(echoes(&mut world));
    let answer = offer_again(&mut world, "INVITE", &sdp(3, 4000, ""));
    assert_eq!(answer.body(), first.body());
}

#[test]
fn a_reinvite_without_offer_gets_our_session_with_the_wish_to_be_heard() {
    let (mut world, first) = talking();
    offer_again(&mut world, "INVITE", &sdp(2, 4000, "a=sendonly\r\n"));
    assert!(!echoes(&mut world));
    let sent = world.caller_sends("INVITE", "", "");
    let offer = one(&sent, CALLER, "200");
    assert_eq!(described(&offer), described(&first));
    assert!(world.ack(3, &sdp(3, 4000, "")).is_empty());
    assert!(echoes(&mut world));
}

#[test]
fn a_reinvite_moves_the_contact() {
    let (mut world, _) = talking();
    let sent = world.caller_sends("INVITE", "", &sdp(2, 4000, ""));
    one(&sent, CALLER, "200");
    // The next INVITE says that the 200 was heard, though no ACK has come.
    let sent = world.caller_sends("INVITE", "", &sdp(2, 4000, ""));
    assert_eq!(World::cseq_of(&one(&sent, CALLER, "200")), 3);
    world.ack(3, "");
    assert!(kinds(&world.seconds(10), CALLER).is_empty());
}
