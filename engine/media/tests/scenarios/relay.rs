//! Packets leave by the port towards the other end, unchanged.

use media::{Drop, End, Family, Fate, Kind, Latching, Remote};

use crate::stage::{Stage, address, callee, caller, remote, terms, voice};

fn receiver_report() -> Vec<u8> {
    let mut bytes = Vec::new();
    wire::rtcp::receiver_report(&mut bytes, 1, &[]);
    bytes
}

#[test]
fn rtp_and_rtcp_cross_both_ways() {
    let mut stage = Stage::new(4);
    let stream = stage.call(Latching::Latch);
    for (end, from, to) in [
        (End::Caller, caller(), callee()),
        (End::Callee, callee(), caller()),
    ] {
        let other = stage.local(stream, end.other());
        let packet = voice(1, 1);
        let (fate, sent) = stage.rtp(stream, end, from, &packet);
        assert_eq!(
            (fate, sent),
            (Fate::Relayed, vec![(other.rtp_port, to, packet)])
        );
        let above = |mut at: std::net::SocketAddr| {
            at.set_port(at.port() + 1);
            at
        };
        let (fate, sent) = stage.rtcp(stream, end, above(from), &receiver_report());
        let expected = vec![(other.rtcp_port, above(to), receiver_report())];
        assert_eq!((fate, sent), (Fate::Relayed, expected));
    }
    let counters = stage.media.counters();
    assert_eq!((counters.received, counters.relayed), (4, 4));
    assert_eq!(counters.relayed_bytes, 2 * 172 + 2 * 8);
}

#[test]
fn rtcp_goes_where_signalling_says() {
    let mut stage = Stage::new(4);
    let stream = stage.call(Latching::Latch);
    let named = Remote {
        rtcp: Some(address("192.0.2.9:7777")),
        ..remote(callee())
    };
    stage.signal(stream, End::Callee, &named);
    let (_, sent) = stage.rtcp(
        stream,
        End::Caller,
        address("192.0.2.1:4001"),
        &receiver_report(),
    );
    assert_eq!(sent[0].1, address("192.0.2.9:7777"));
}

#[test]
fn mux_on_one_side_meets_two_ports_on_the_other() {
    let mut stage = Stage::new(4);
    let stream = stage.call(Latching::Latch);
    let mux = Remote {
        rtcp_mux: true,
        ..remote(caller())
    };
    stage.signal(stream, End::Caller, &mux);
    let (towards_caller, towards_callee) = (
        stage.local(stream, End::Caller),
        stage.local(stream, End::Callee),
    );
    let (_, sent) = stage.rtp(stream, End::Caller, caller(), &receiver_report());
    assert_eq!(
        (sent[0].0, sent[0].1),
        (towards_callee.rtcp_port, address("192.0.2.2:6001"))
    );
    let (_, sent) = stage.rtcp(
        stream,
        End::Callee,
        address("192.0.2.2:6001"),
        &receiver_report(),
    );
    assert_eq!((sent[0].0, sent[0].1), (towards_caller.rtp_port, caller()));
}

#[test]
fn ipv4_meets_ipv6() {
    let mut stage = Stage::new(4);
    let mixed = media::Terms {
        families: [Family::V4, Family::V6],
        ..terms(Latching::Latch)
    };
    let stream = stage.media.open(mixed).unwrap();
    let six = address("[2001:db8::9]:6000");
    stage.signal(stream, End::Caller, &remote(caller()));
    stage.signal(stream, End::Callee, &remote(six));
    assert!(stage.local(stream, End::Callee).address.is_ipv6());
    let (_, sent) = stage.rtp(stream, End::Caller, caller(), &voice(1, 1));
    assert_eq!(sent[0].1, six);
    let (_, sent) = stage.rtp(stream, End::Callee, six, &voice(2, 1));
    assert_eq!(sent[0].1, caller());
}

#[test]
fn companions_pass_and_rubbish_does_not() {
    let mut stage = Stage::new(4);
    let stream = stage.call(Latching::Latch);
    for (bytes, fate) in [
        (&b"\0\x01stun"[..], Fate::Relayed),
        (b"\x16dtls", Fate::Relayed),
        (b"", Fate::Dropped(Drop::Malformed)),
        (b"hello", Fate::Dropped(Drop::Malformed)),
        (b"\x80\x08short", Fate::Dropped(Drop::Malformed)),
    ] {
        assert_eq!(stage.rtp(stream, End::Caller, caller(), bytes).0, fate);
    }
    assert_eq!(stage.media.summary(stream).unwrap().from_caller.packets, 0);
    let (fate, _) = stage.rtcp(stream, End::Caller, address("192.0.2.1:4001"), &voice(1, 1));
    assert_eq!(fate, Fate::Dropped(Drop::Malformed));
}

#[test]
fn a_fax_takes_over_the_port() {
    let mut stage = Stage::new(4);
    let stream = stage.call(Latching::Latch);
    stage.media.set_kind(stream, Kind::Udptl);
    let port = stage.local(stream, End::Callee).rtp_port;
    let (fate, sent) = stage.rtp(stream, End::Caller, caller(), b"\0\x05fax");
    assert_eq!(
        (fate, sent),
        (Fate::Relayed, vec![(port, callee(), b"\0\x05fax".to_vec())])
    );
    let (fate, _) = stage.rtcp(stream, End::Caller, address("192.0.2.1:4001"), b"fax");
    assert_eq!(fate, Fate::Dropped(Drop::Malformed));
    let heard = stage.media.close(stage.now, stream).unwrap().from_caller;
    assert_eq!((heard.packets, heard.bytes, heard.mos), (1, 5, None));
}

#[test]
fn addresses_that_cannot_be_a_peer_are_none() {
    for bad in [
        "0.0.0.0:4000",
        "192.0.2.2:0",
        "224.0.0.1:4000",
        "255.255.255.255:9",
        "[2001:db8::9]:6",
    ] {
        let mut stage = Stage::new(4);
        let stream = stage.call(Latching::Latch);
        stage.signal(stream, End::Callee, &remote(address(bad)));
        let (fate, _) = stage.rtp(stream, End::Caller, caller(), &voice(1, 1));
        assert_eq!(fate, Fate::Dropped(Drop::Nowhere), "{bad}");
    }
}

#[test]
fn a_stream_is_not_sent_to_itself() {
    let mut stage = Stage::new(4);
    let stream = stage.call(Latching::Latch);
    for end in [End::Caller, End::Callee] {
        let own = stage.local(stream, end);
        stage.signal(
            stream,
            End::Callee,
            &remote((own.address, own.rtp_port).into()),
        );
        let (fate, _) = stage.rtp(stream, End::Caller, caller(), &voice(1, 1));
        assert_eq!(fate, Fate::Dropped(Drop::Nowhere));
    }
}
