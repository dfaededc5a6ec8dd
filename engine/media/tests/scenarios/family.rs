//! An end that moves from IPv4 to IPv6 and back within its stream.

use media::{Drop, End, Family, Fate, Latching, StreamId};

use crate::stage::{SILENCE, Stage, address, callee, caller, remote, voice};

const MOVED: [&str; 2] = ["[2001:db8::77]:4000", "[2001:db8::77]:4002"];

fn move_to(stage: &mut Stage, stream: StreamId, end: End, family: Family) -> StreamId {
    let reserved = stage.media.reserve(family).expect("free ports");
    let moved = stage.media.change_family(stage.now, stream, end, reserved);
    moved.expect("an open stream")
}

#[test]
fn an_end_gets_ports_of_the_other_family_and_the_other_end_keeps_its_own() {
    for (end, other, signalled) in [
        (End::Caller, End::Callee, callee()),
        (End::Callee, End::Caller, caller()),
    ] {
        let mut stage = Stage::new(4);
        let stream = stage.call(Latching::Latch);
        let ports = [end, other].map(|end| stage.local(stream, end).rtp_port);
        let moved = move_to(&mut stage, stream, end, Family::V6);
        assert_eq!(stage.media.family(moved, end), Some(Family::V6));
        assert_eq!(stage.local(moved, other).rtp_port, ports[1]);
        assert!(stage.local(moved, end).address.is_ipv6());
        stage.signal(moved, end, &remote(address(MOVED[0])));
        let (_, sent) = stage.rtp(moved, other, signalled, &voice(1, 1));
        let by = stage.local(moved, end).rtp_port;
        assert_eq!(sent, [(by, address(MOVED[0]), voice(1, 1))]);
        let (_, sent) = stage.rtp(moved, end, address(MOVED[1]), &voice(2, 1));
        assert_eq!((sent[0].0, sent[0].1), (ports[1], signalled));
        let old = stage.deliver(signalled, ports[0], &voice(1, 1)).0;
        assert_eq!(old, Fate::Dropped(Drop::Idle));
        let counters = stage.media.counters();
        assert_eq!((counters.streams, counters.pairs_used), (1, 2));
        assert_eq!(counters.streams_opened, 1);
        stage.media.close(stage.now, moved);
        assert_eq!(stage.media.counters().pairs_used, 0);
    }
}

#[test]
fn a_callers_move_gives_the_stream_another_name() {
    let mut stage = Stage::new(4);
    let stream = stage.call(Latching::Latch);
    let moved = move_to(&mut stage, stream, End::Caller, Family::V6);
    assert!(stage.media.local(stream, End::Callee).is_none());
    assert!(stage.media.local(moved, End::Callee).is_some());
    let again = move_to(&mut stage, moved, End::Callee, Family::V6);
    assert_eq!(again, moved);
}

#[test]
fn counts_go_on_and_nobody_speaks_before_the_new_address_is_told() {
    let mut stage = Stage::new(4);
    let stream = stage.call(Latching::Latch);
    stage.rtp(stream, End::Caller, caller(), &voice(1, 1));
    let moved = move_to(&mut stage, stream, End::Caller, Family::V6);
    let (fate, _) = stage.rtp(moved, End::Caller, address(MOVED[0]), &voice(1, 2));
    assert_eq!(fate, Fate::Dropped(Drop::Stranger));
    let (fate, _) = stage.rtp(moved, End::Callee, callee(), &voice(2, 1));
    assert_eq!(fate, Fate::Dropped(Drop::Nowhere));
    stage.signal(moved, End::Caller, &remote(address(MOVED[0])));
    stage.rtp(moved, End::Caller, address(MOVED[0]), &voice(1, 2));
    let summary = stage.media.close(stage.now, moved).expect("a stream");
    assert_eq!(summary.from_caller.packets, 2);
    assert_eq!(summary.from_caller.strangers, 1);
}

#[test]
fn the_strict_rule_moves_along() {
    let mut stage = Stage::new(4);
    let stream = stage.call(Latching::Strict);
    let moved = move_to(&mut stage, stream, End::Caller, Family::V6);
    stage.signal(moved, End::Caller, &remote(address(MOVED[0])));
    let (fate, _) = stage.rtp(moved, End::Caller, address(MOVED[1]), &voice(1, 1));
    assert_eq!(fate, Fate::Dropped(Drop::Stranger));
}

#[test]
fn ports_given_back_are_free_and_those_of_an_echo_are_never_changed() {
    let mut stage = Stage::new(1);
    let reserved = stage.media.reserve(Family::V6).expect("the only pair");
    assert_eq!(stage.media.reserve(Family::V6), None);
    stage.media.give_back(reserved);
    let echo = stage
        .media
        .open_echo(stage.now, 1, Family::V4, Latching::Latch);
    let echo = echo.expect("a stream");
    for end in [End::Caller, End::Callee] {
        let reserved = stage.media.reserve(Family::V6).expect("free again");
        let changed = stage.media.change_family(stage.now, echo, end, reserved);
        assert_eq!(changed, None);
    }
    assert_eq!(stage.media.counters().pairs_used, 1);
}

#[test]
fn silence_is_watched_on() {
    let mut stage = Stage::new(4);
    let stream = stage.call(Latching::Latch);
    let moved = move_to(&mut stage, stream, End::Caller, Family::V6);
    stage.signal(moved, End::Caller, &remote(address(MOVED[0])));
    stage.run(SILENCE * 2);
    let event = stage.media.poll_event();
    let owner = 77;
    assert_eq!(
        event,
        Some(media::Event::Silent {
            owner,
            stream: moved
        })
    );
    assert_eq!(stage.media.poll_event(), None);
}
