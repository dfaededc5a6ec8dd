//! Who may move a stream, and when.

use std::time::Duration;

use media::{Drop, End, Fate, Latching};

use crate::stage::{Stage, address, callee, caller, remote, terms, voice};

const STRANGER: Fate = Fate::Dropped(Drop::Stranger);

#[test]
fn a_peer_behind_nat_is_found_and_answered() {
    let mut stage = Stage::new(4);
    let stream = stage.call(Latching::Latch);
    let behind_nat = address("203.0.113.7:50000");
    assert_eq!(
        stage.rtp(stream, End::Caller, behind_nat, &voice(1, 1)).0,
        Fate::Latched
    );
    let (_, sent) = stage.rtp(stream, End::Callee, callee(), &voice(2, 1));
    assert_eq!(sent[0].1, behind_nat);
    assert_eq!(stage.media.counters().latched, 1);
}

#[test]
fn a_hijack_is_counted_and_dropped() {
    let mut stage = Stage::new(4);
    let stream = stage.call(Latching::Latch);
    stage.rtp(stream, End::Caller, caller(), &voice(1, 1));
    let thief = address("203.0.113.66:6666");
    assert_eq!(
        stage.rtp(stream, End::Caller, thief, &voice(1, 2)),
        (STRANGER, vec![])
    );
    // A session refresh repeats the address and opens no window.
    stage.signal(stream, End::Caller, &remote(caller()));
    assert_eq!(
        stage.rtp(stream, End::Caller, thief, &voice(1, 3)).0,
        STRANGER
    );
    let summary = stage.media.summary(stream).unwrap();
    assert_eq!(
        (summary.from_caller.strangers, summary.from_caller.packets),
        (2, 1)
    );
    let (_, sent) = stage.rtp(stream, End::Callee, callee(), &voice(2, 1));
    assert_eq!(sent[0].1, caller());
}

#[test]
fn signalling_moves_the_stream() {
    let mut stage = Stage::new(4);
    let stream = stage.call(Latching::Latch);
    stage.rtp(stream, End::Caller, caller(), &voice(1, 1));
    let moved = address("192.0.2.50:4444");
    stage.signal(stream, End::Caller, &remote(moved));
    assert_eq!(
        stage.rtp(stream, End::Caller, moved, &voice(1, 2)).0,
        Fate::Relayed
    );
    assert_eq!(
        stage.rtp(stream, End::Caller, caller(), &voice(1, 3)).0,
        STRANGER
    );
}

#[test]
fn the_window_ends() {
    let mut stage = Stage::new(4);
    let stream = stage.call(Latching::Latch);
    stage.wait(Duration::from_secs(3));
    let late = address("203.0.113.7:50000");
    assert_eq!(
        stage.rtp(stream, End::Caller, late, &voice(1, 1)).0,
        STRANGER
    );
    assert_eq!(
        stage.rtp(stream, End::Caller, caller(), &voice(1, 1)).0,
        Fate::Relayed
    );
}

#[test]
fn a_rule_told_later_holds_for_rtp_and_rtcp_of_its_end() {
    let mut report = Vec::new();
    wire::rtcp::receiver_report(&mut report, 1, &[]);
    for (rule, fate) in [
        (Latching::Strict, STRANGER),
        (Latching::LatchSameHost, Fate::Latched),
    ] {
        let mut stage = Stage::new(4);
        let stream = stage.call(Latching::Latch);
        stage.media.set_latching(stream, End::Callee, rule);
        let elsewhere = address("203.0.113.7:50000");
        let rtp = stage.rtp(stream, End::Callee, elsewhere, &voice(1, 1)).0;
        assert_eq!(rtp, STRANGER, "{rule:?}");
        let beside = address("192.0.2.2:6009");
        let rtcp = stage.rtcp(stream, End::Callee, beside, &report).0;
        assert_eq!(rtcp, fate, "{rule:?}");
        let other_end = stage.rtp(stream, End::Caller, elsewhere, &voice(2, 1)).0;
        assert_eq!(other_end, Fate::Latched);
    }
}

#[test]
fn only_well_formed_rtp_latches() {
    let mut stage = Stage::new(4);
    let stream = stage.call(Latching::Latch);
    let sprayer = address("203.0.113.66:6666");
    let mut extension_beyond_end = voice(1, 1);
    extension_beyond_end[0] |= 0x10;
    for bytes in [&b"\0\x01stun"[..], &extension_beyond_end] {
        assert_eq!(stage.rtp(stream, End::Caller, sprayer, bytes).0, STRANGER);
    }
    assert_eq!(
        stage.rtp(stream, End::Caller, sprayer, &voice(1, 1)).0,
        Fate::Latched
    );
}

#[test]
fn nobody_speaks_for_an_end_without_an_address() {
    let mut stage = Stage::new(4);
    let stream = stage
        .media
        .open(crate::stage::terms(Latching::Latch))
        .unwrap();
    stage.signal(stream, End::Caller, &remote(caller()));
    assert_eq!(
        stage.rtp(stream, End::Callee, callee(), &voice(1, 1)).0,
        STRANGER
    );
}

#[test]
fn rtcp_follows_its_rtp_and_nobody_else() {
    let mut stage = Stage::new(4);
    let stream = stage.call(Latching::Latch);
    let mut report = Vec::new();
    wire::rtcp::receiver_report(&mut report, 1, &[]);
    let (nat, thief) = (address("203.0.113.7:50000"), address("203.0.113.66:6666"));
    assert_eq!(stage.rtcp(stream, End::Caller, thief, &report).0, STRANGER);
    stage.rtp(stream, End::Caller, nat, &voice(1, 1));
    stage.wait(Duration::from_secs(4));
    assert_eq!(stage.rtcp(stream, End::Caller, thief, &report).0, STRANGER);
    let beside = address("203.0.113.7:50009");
    assert_eq!(
        stage.rtcp(stream, End::Caller, beside, &report).0,
        Fate::Latched
    );
    let (_, sent) = stage.rtcp(stream, End::Callee, address("192.0.2.2:6001"), &report);
    assert_eq!(sent[0].1, beside);
}

#[test]
fn regression_an_end_that_waited_for_its_answer_may_still_latch() {
    // A caller behind NAT hears nothing to answer with while the callee's phone rings: its address is
    // signalled with the offer, and its first packet comes after the answer.
    let mut stage = Stage::new(4);
    let stream = stage.call(Latching::Latch);
    stage.wait(Duration::from_secs(30));
    stage.signal(stream, End::Caller, &remote(caller()));
    stage.signal(stream, End::Callee, &remote(callee()));
    let behind_nat = address("203.0.113.7:50000");
    assert_eq!(
        stage.rtp(stream, End::Caller, behind_nat, &voice(1, 1)).0,
        Fate::Latched
    );
    stage.signal(stream, End::Caller, &remote(caller()));
    let thief = address("203.0.113.66:6666");
    assert_eq!(
        stage.rtp(stream, End::Caller, thief, &voice(1, 2)).0,
        STRANGER
    );
}

#[test]
fn regression_late_packets_do_not_move_a_stream_back() {
    let mut stage = Stage::new(4);
    let stream = stage.call(Latching::Latch);
    stage.rtp(stream, End::Caller, caller(), &voice(1, 1));
    let moved = address("192.0.2.1:4444");
    stage.signal(stream, End::Caller, &remote(moved));
    // Sent before the answer was heard.
    assert_eq!(
        stage.rtp(stream, End::Caller, caller(), &voice(1, 2)).0,
        Fate::Relayed
    );
    assert_eq!(
        stage.rtp(stream, End::Callee, callee(), &voice(2, 1)).1[0].1,
        moved
    );
    assert_eq!(
        stage.rtp(stream, End::Caller, moved, &voice(1, 3)).0,
        Fate::Relayed
    );
    assert_eq!(
        stage.rtp(stream, End::Caller, caller(), &voice(1, 4)).0,
        STRANGER
    );
}

#[test]
fn an_end_that_goes_on_from_its_former_address_is_found_there() {
    let mut stage = Stage::new(4);
    let stream = stage.call(Latching::Latch);
    stage.rtp(stream, End::Caller, caller(), &voice(1, 1));
    stage.signal(stream, End::Caller, &remote(address("10.0.0.1:4000")));
    stage.wait(Duration::from_secs(2));
    assert_eq!(
        stage.rtp(stream, End::Caller, caller(), &voice(1, 2)).0,
        Fate::Latched
    );
}

#[test]
fn regression_the_signalled_address_gets_its_stream_back() {
    // Two forks of a callee send early media to one port; or a stranger is faster than the peer.
    let mut stage = Stage::new(4);
    let stream = stage.call(Latching::Latch);
    let other = address("203.0.113.66:6666");
    stage.rtp(stream, End::Callee, other, &voice(9, 1));
    assert_eq!(
        stage.rtp(stream, End::Caller, caller(), &voice(1, 1)).1[0].1,
        other
    );
    assert_eq!(
        stage.rtp(stream, End::Callee, callee(), &voice(2, 1)).0,
        Fate::Latched
    );
    assert_eq!(
        stage.rtp(stream, End::Caller, caller(), &voice(1, 2)).1[0].1,
        callee()
    );
    assert_eq!(
        stage.rtp(stream, End::Callee, other, &voice(9, 2)).0,
        STRANGER
    );
}

#[test]
fn after_the_window_the_signalled_address_is_as_strange_as_any() {
    // Behind NAT it is a private one, which anybody can forge.
    let mut stage = Stage::new(4);
    let stream = stage.call(Latching::Latch);
    let outside = address("203.0.113.66:6666");
    stage.rtp(stream, End::Callee, outside, &voice(9, 1));
    stage.wait(Duration::from_secs(4));
    assert_eq!(
        stage.rtp(stream, End::Callee, callee(), &voice(2, 1)).0,
        STRANGER
    );
    assert_eq!(
        stage.rtp(stream, End::Caller, caller(), &voice(1, 2)).1[0].1,
        outside
    );
}

#[test]
fn regression_nobody_latches_before_there_is_an_answer() {
    // The port was told to nobody yet: whoever hits it while the callee rings has guessed.
    let mut stage = Stage::new(4);
    stage.wait(Duration::from_secs(1));
    let stream = stage
        .media
        .open(terms(Latching::Latch))
        .expect("free ports");
    stage.signal(stream, End::Caller, &remote(caller()));
    let spoofer = address("203.0.113.66:6666");
    assert_eq!(
        stage.rtp(stream, End::Caller, spoofer, &voice(9, 1)).0,
        STRANGER
    );
    stage.wait(Duration::from_secs(60));
    stage.signal(stream, End::Callee, &remote(callee()));
    let behind_nat = address("198.51.100.9:1024");
    assert_eq!(
        stage.rtp(stream, End::Caller, behind_nat, &voice(1, 1)).0,
        Fate::Latched
    );
}
