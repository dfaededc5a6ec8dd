use super::*;
use crate::host::Host;
use proptest::prelude::*;

const BODY: &str = "v=0\r\n\
    o=alice 2890844526 2890844527 IN IP4 host.example\r\n\
    s=Call\r\n\
    c=IN IP4 192.0.2.1\r\n\
    t=0 0\r\n\
    a=sendonly\r\n\
    m=audio 49170/2 RTP/AVP 0 96 8 101\r\n\
    a=rtpmap:96 opus/48000/2\r\n\
    a=rtpmap:101 telephone-event/8000\r\n\
    a=fmtp:101 0-16\r\n\
    a=fmtp:96 minptime=10; useinbandfec=1\r\n\
    a=ptime:20\r\n\
    a=rtcp:53020 IN IP6 2001:db8::7\r\n\
    a=rtcp-mux\r\n\
    m=image 0 udptl t38\r\n\
    c=IN IP6 2001:db8::1\r\n\
    a=inactive\r\n\
    m=video 51372 UDP/TLS/RTP/SAVPF 31 99\r\n\
    a=rtpmap:99 h264/90000\r\n";

fn session(text: &str) -> Session<'_> {
    Session::parse(text.as_bytes()).expect("a description")
}

fn connection(value: &str) -> Option<Connection<'_>> {
    Connection::parse(value.as_bytes())
}

#[test]
fn sections_begin_at_their_m_lines() {
    let session = session(BODY);
    assert_eq!(session.lines().count(), 6);
    let counts: Vec<_> = session.media().iter().map(|m| m.lines().count()).collect();
    assert_eq!(counts, [7, 2, 1]);
    let kinds: Vec<_> = session.media().iter().map(|m| m.media.kind).collect();
    assert_eq!(kinds, [Kind::Audio, Kind::Image, Kind::Video]);
    assert_eq!(session.name(), Some(&b"Call"[..]));
    let origin = session.origin().expect("an o= line");
    assert_eq!(
        (origin.username, origin.version),
        (&b"alice"[..], Some(2_890_844_527))
    );
    assert_eq!(
        (origin.session_id, origin.address),
        (&b"2890844526"[..], &b"host.example"[..])
    );
}

#[test]
fn an_m_line_tells_ports_protocol_and_formats() {
    let session = session(BODY);
    let [audio, image, video] = session.media() else {
        panic!("three sections");
    };
    assert_eq!((audio.media.port, audio.media.ports), (49170, 2));
    assert_eq!(audio.media.port_span.of(BODY.as_bytes()), b"49170/2");
    assert_eq!((image.media.port, image.media.ports), (0, 1));
    assert_eq!(
        audio.media.payload_types().collect::<Vec<_>>(),
        [0, 96, 8, 101]
    );
    assert_eq!(image.media.formats().collect::<Vec<_>>(), [b"t38"]);
    assert_eq!(image.media.payload_types().count(), 0);
    assert!(audio.media.is_rtp() && video.media.is_rtp() && !image.media.is_rtp());
    assert!(image.media.is_udptl() && !audio.media.is_udptl());
}

#[test]
fn a_section_overrides_the_session() {
    let session = session(BODY);
    let directions: Vec<_> = session.media().iter().map(Media::direction).collect();
    let expected = [
        Direction::SendOnly,
        Direction::Inactive,
        Direction::SendOnly,
    ];
    assert_eq!(directions, expected);
    assert_eq!(session.direction(), Some(Direction::SendOnly));
    let hosts: Vec<_> = session
        .media()
        .iter()
        .map(|m| m.connection().unwrap().host)
        .collect();
    let ip = |text: &str| Host::Ip(text.parse().unwrap());
    assert_eq!(hosts, [ip("192.0.2.1"), ip("2001:db8::1"), ip("192.0.2.1")]);
    assert!(session.media()[0].own_connection().is_none());
    assert_eq!(session.connection().unwrap().host, ip("192.0.2.1"));
}

#[test]
fn attributes_of_a_payload_type() {
    let session = session(BODY);
    let (audio, video) = (&session.media()[0], &session.media()[2]);
    let opus = audio.rtpmap(96).expect("an rtpmap");
    assert_eq!(
        (opus.name, opus.clock_rate, opus.channels),
        (&b"opus"[..], 48000, 2)
    );
    assert_eq!(audio.rtpmap(101).unwrap().channels, 1);
    assert_eq!(audio.rtpmap(0), None);
    assert_eq!(audio.fmtp(96), Some(&b"minptime=10; useinbandfec=1"[..]));
    assert_eq!(audio.fmtp(101), Some(&b"0-16"[..]));
    assert_eq!(audio.ptime(), Some(20));
    assert_eq!(video.ptime(), None);
    let rates = [(audio, 96, 48000), (audio, 0, 8000), (video, 31, 90000)];
    for (media, kind, rate) in rates {
        assert_eq!(media.clock_rate(kind), Some(rate), "{kind}");
    }
    assert_eq!(audio.clock_rate(97), None);
}

#[test]
fn rtcp_has_its_own_address_or_none() {
    let session = session(BODY);
    let rtcp = session.media()[0].rtcp().expect("a=rtcp");
    assert_eq!(rtcp.port, 53020);
    assert_eq!(rtcp.connection, connection("IN IP6 2001:db8::7"));
    assert_eq!(
        Rtcp::parse(b"9"),
        Some(Rtcp {
            port: 9,
            connection: None
        })
    );
    assert_eq!(Rtcp::parse(b"65536"), None);
    let mux: Vec<_> = session.media().iter().map(Media::rtcp_mux).collect();
    assert_eq!(mux, [true, false, false]);
    let only = "v=0\nm=audio 9 RTP/AVP 0\na=RTCP-mux-only\n";
    assert!(self::session(only).media()[0].rtcp_mux());
}

#[test]
fn connections_of_every_form() {
    let group = connection("IN IP4 224.2.1.1/127/3").expect("multicast");
    assert_eq!((group.ttl, group.count), (Some(127), 3));
    let group = connection("IN IP6 ff15::101/4").expect("multicast");
    assert_eq!((group.ttl, group.count, group.ipv6), (None, 4, true));
    let name = connection(" in  ip4 media.example ").expect("a name");
    assert_eq!((name.host, name.count), (Host::Name(b"media.example"), 1));
    for held in ["IN IP4 0.0.0.0", "IN IP6 ::", "IN IP6 held.invalid"] {
        assert!(connection(held).unwrap().is_unspecified(), "{held}");
    }
    assert!(!name.is_unspecified());
    for bad in ["", "IN IP4", "ATM NSAP 47", "IN IP5 1.2.3.4", "IN IP4 /3"] {
        assert_eq!(connection(bad), None, "{bad}");
    }
}

#[test]
fn lines_end_in_three_ways_and_unknown_ones_are_kept() {
    let text = "v=0\no=x\rs=-\r\n\r\nnonsense\r\nm=audio 1 RTP/AVP 0\nx";
    let session = session(text);
    let kinds: Vec<_> = session.lines().map(|line| line.kind).collect();
    assert_eq!(kinds, [b'v', b'o', b's', 0, 0]);
    let last = session.media()[0].lines().next().expect("a line");
    assert_eq!((last.kind, last.value), (0, &b"x"[..]));
    assert_eq!(session.origin(), None);
}

#[test]
fn what_is_no_description() {
    let long = vec![b'v'; 65536];
    for (bytes, error) in [
        (&b""[..], SdpError::NoVersion),
        (b"v=1\r\n", SdpError::NoVersion),
        (b"o=x\r\nv=0\r\n", SdpError::NoVersion),
        (b"v=0\r\nm=audio\r\n", SdpError::BadMediaLine),
        (b"v=0\r\nm=audio x RTP/AVP 0\r\n", SdpError::BadMediaLine),
        (
            b"v=0\r\nm=audio 65536 RTP/AVP 0\r\n",
            SdpError::BadMediaLine,
        ),
        (b"v=0\r\nm=audio 5\r\n", SdpError::BadMediaLine),
        (&long, SdpError::TooLong),
    ] {
        assert_eq!(Session::parse(bytes).err(), Some(error));
    }
    assert!(session("v=0\r\n").media().is_empty());
}

#[test]
fn directions_agree_in_pairs() {
    for name in ["sendrecv", "sendonly", "recvonly", "inactive"] {
        let direction = Direction::parse(name.as_bytes()).expect("a direction");
        assert_eq!(direction.name(), name);
        assert_eq!(direction.reversed().sends(), direction.receives());
        assert_eq!(direction.reversed().receives(), direction.sends());
    }
    assert_eq!(Direction::parse(b"send"), None);
}

#[test]
fn edits_replace_remove_and_insert_in_one_pass() {
    let session = session(BODY);
    let mut edits = Edits::new();
    let image = &session.media()[1];
    edits.insert(image.line.span.end, |out| {
        out.extend_from_slice(b"i=fax\r\n")
    });
    edits.remove(session.lines().find_kind(b'o').unwrap().span);
    let port = session.media()[0].media.port_span;
    edits.replace(port, |out| out.extend_from_slice(b"4000"));
    edits.insert(image.line.span.end, |out| {
        out.extend_from_slice(b"b=AS:9\r\n")
    });
    let mut out = b"|".to_vec();
    edits.print(session.bytes(), &mut out);
    let expected = BODY
        .replace("o=alice 2890844526 2890844527 IN IP4 host.example\r\n", "")
        .replace("49170/2", "4000")
        .replace("udptl t38\r\n", "udptl t38\r\ni=fax\r\nb=AS:9\r\n");
    assert_eq!(String::from_utf8(out).unwrap(), format!("|{expected}"));
    edits.clear();
    assert!(edits.is_empty());
}

/// Lines that look like a description, and others.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        "(v=0|o=|s=-|c=IN IP[46] |m=audio |m=x 1/2 RTP/AVP |a=(rtcp|rtpmap|fmtp|ptime):|a=|/| |:|[0-9]{1,6})",
        "(\r\n|\n|\r)",
        "\\PC{0,3}",
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat().into_bytes())
}

fn read_all(session: &Session<'_>) {
    let _ = (
        session.origin(),
        session.name(),
        session.connection(),
        session.direction(),
    );
    for media in session.media() {
        let _ = (
            media.connection(),
            media.direction(),
            media.rtcp(),
            media.ptime(),
        );
        for kind in media.media.payload_types() {
            let _ = (media.rtpmap(kind), media.fmtp(kind), media.clock_rate(kind));
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), body in body()) {
        for bytes in [bytes, body, [b"v=0\r\n".as_slice(), b"m=a 1 RTP/AVP 0"].concat()] {
            if let Ok(session) = Session::parse(&bytes) {
                read_all(&session);
            }
        }
    }

    #[test]
    fn the_lines_are_the_body(tail in body()) {
        let bytes = [b"v=0\r\n".as_slice(), &tail].concat();
        if let Ok(session) = Session::parse(&bytes) {
            let mut again = Vec::new();
            for line in session.lines() {
                again.extend_from_slice(line.span.of(&bytes));
            }
            for media in session.media() {
                again.extend_from_slice(media.line.span.of(&bytes));
                for line in media.lines() {
                    again.extend_from_slice(line.span.of(&bytes));
                    prop_assert_eq!(line.value_span.of(&bytes), line.value);
                }
            }
            prop_assert_eq!(&again, &bytes);
        }
    }

    #[test]
    fn no_edits_change_nothing_and_none_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..100),
        places in proptest::collection::vec((0u16..120, 0u16..120), 0..6),
    ) {
        let mut edits = Edits::new();
        let mut out = Vec::new();
        edits.print(&bytes, &mut out);
        prop_assert_eq!(&out, &bytes);
        for (start, end) in places {
            edits.replace(Span { start, end }, |out| out.push(b'#'));
        }
        edits.print(&bytes, &mut out);
    }
}
