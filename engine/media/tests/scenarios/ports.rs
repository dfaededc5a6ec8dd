//! Ports are taken with a stream and free after it.

use media::{Drop, End, Family, Fate, Kind, Latching, Terms};

use crate::stage::{Stage, caller, remote, terms, voice};

#[test]
fn exhausted_ports_refuse_and_take_nothing() {
    let mut stage = Stage::new(3);
    let stream = stage.call(Latching::Latch);
    assert_eq!(stage.media.open(terms(Latching::Latch)), None);
    let counters = stage.media.counters();
    assert_eq!(
        (
            counters.ports_exhausted,
            counters.pairs_used,
            counters.pairs
        ),
        (1, 2, 6)
    );
    let mixed = Terms {
        families: [Family::V6, Family::V4],
        kind: Kind::Rtp,
        ..terms(Latching::Latch)
    };
    assert!(stage.media.open(mixed).is_some());
    stage.media.close(stage.now, stream).unwrap();
    assert!(stage.media.open(terms(Latching::Latch)).is_some());
}

#[test]
fn after_close_the_id_is_stale_and_the_port_idle() {
    let mut stage = Stage::new(2);
    let stream = stage.call(Latching::Latch);
    let port = stage.local(stream, End::Caller).rtp_port;
    assert!(stage.media.close(stage.now, stream).is_some());
    assert_eq!(stage.media.close(stage.now, stream), None);
    assert_eq!(stage.media.summary(stream), None);
    assert_eq!(stage.media.local(stream, End::Caller), None);
    let (fate, sent) = stage.deliver(caller(), port, &voice(1, 1));
    assert_eq!((fate, sent), (Fate::Dropped(Drop::Idle), vec![]));
    assert!(stage.media.is_idle());
    for _ in 0..10 {
        let next = stage.call(Latching::Latch);
        assert_ne!(next, stream);
        stage.signal(stream, End::Caller, &remote(caller()));
        stage.media.close(stage.now, next).unwrap();
    }
    assert_eq!(stage.media.counters().pairs_used, 0);
}

#[test]
fn sdp_is_told_the_advertised_address_and_an_even_port() {
    let mut stage = Stage::new(2);
    let stream = stage.call(Latching::Latch);
    let local = stage.local(stream, End::Caller);
    assert_eq!(local.address.to_string(), "198.51.100.1");
    assert_eq!(
        (local.rtp_port % 2, local.rtcp_port),
        (0, local.rtp_port + 1)
    );
    assert!(stage.media.serves(Family::V6));
}
