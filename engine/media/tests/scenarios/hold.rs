//! An end that is held hears RTCP and no RTP; un-held it is where it was.

use media::{Drop, End, Fate, Latching, Remote};

use crate::stage::{Stage, address, callee, caller, remote, voice};

#[test]
fn an_end_that_does_not_receive_gets_rtcp_alone() {
    let mut stage = Stage::new(4);
    let stream = stage.call(Latching::Latch);
    let held = Remote {
        receives: false,
        ..remote(callee())
    };
    stage.signal(stream, End::Callee, &held);
    let (fate, sent) = stage.rtp(stream, End::Caller, caller(), &voice(1, 1));
    assert_eq!((fate, sent), (Fate::Dropped(Drop::Nowhere), vec![]));
    let mut report = Vec::new();
    wire::rtcp::receiver_report(&mut report, 1, &[]);
    let (fate, _) = stage.rtcp(stream, End::Caller, address("192.0.2.1:4001"), &report);
    assert_eq!(fate, Fate::Relayed);
    // Music of who holds goes on.
    assert_eq!(
        stage.rtp(stream, End::Callee, callee(), &voice(2, 1)).0,
        Fate::Relayed
    );
}

#[test]
fn what_is_in_flight_from_an_end_that_stopped_sending_is_relayed() {
    let mut stage = Stage::new(4);
    let stream = stage.call(Latching::Latch);
    let silent = Remote {
        sends: false,
        ..remote(caller())
    };
    stage.signal(stream, End::Caller, &silent);
    assert_eq!(
        stage.rtp(stream, End::Caller, caller(), &voice(1, 1)).0,
        Fate::Relayed
    );
}

#[test]
fn a_hold_by_no_address_keeps_the_latch() {
    let mut stage = Stage::new(4);
    let stream = stage.call(Latching::Latch);
    let behind_nat = address("203.0.113.7:50000");
    assert_eq!(
        stage.rtp(stream, End::Caller, behind_nat, &voice(1, 1)).0,
        Fate::Latched
    );
    let held = Remote {
        rtp: None,
        ..remote(caller())
    };
    stage.signal(stream, End::Caller, &held);
    let (fate, _) = stage.rtp(stream, End::Callee, callee(), &voice(2, 1));
    assert_eq!(fate, Fate::Dropped(Drop::Nowhere));
    assert_eq!(
        stage.rtp(stream, End::Caller, behind_nat, &voice(1, 2)).0,
        Fate::Relayed
    );
    stage.signal(stream, End::Caller, &remote(caller()));
    let (_, sent) = stage.rtp(stream, End::Callee, callee(), &voice(2, 2));
    assert_eq!(sent[0].1, behind_nat);
    let (fate, _) = stage.rtp(stream, End::Caller, address("203.0.113.8:1"), &voice(3, 1));
    assert_eq!(fate, Fate::Dropped(Drop::Stranger));
}
