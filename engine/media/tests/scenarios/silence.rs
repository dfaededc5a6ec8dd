//! A call whose media stopped is told of once; a held one is not.

use std::time::Duration;

use media::{End, Event, Latching, Remote};

use crate::stage::{SILENCE, Stage, callee, caller, remote, voice};

#[test]
fn a_stream_that_never_carries_anything_falls_silent_once() {
    let mut stage = Stage::new(4);
    let stream = stage.call(Latching::Latch);
    stage.run(SILENCE - Duration::from_millis(1));
    assert_eq!(stage.media.poll_event(), None);
    stage.run(Duration::from_millis(2));
    assert_eq!(
        stage.media.poll_event(),
        Some(Event::Silent { owner: 77, stream })
    );
    stage.run(SILENCE * 3);
    assert_eq!(stage.media.poll_event(), None);
    assert_eq!(stage.media.counters().silent, 1);
}

#[test]
fn packets_of_one_side_are_enough() {
    let mut stage = Stage::new(4);
    let stream = stage.call(Latching::Latch);
    for sequence in 0..20 {
        stage.run(SILENCE / 2);
        stage.rtp(stream, End::Callee, callee(), &voice(1, sequence));
    }
    assert_eq!(stage.media.poll_event(), None);
    stage.run(SILENCE + Duration::from_millis(1));
    assert!(stage.media.poll_event().is_some());
}

#[test]
fn strangers_do_not_keep_a_stream_alive() {
    let mut stage = Stage::new(4);
    let stream = stage.call(Latching::Strict);
    stage.run(SILENCE / 2);
    stage.rtp(stream, End::Caller, callee(), &voice(1, 1));
    stage.run(SILENCE / 2 + Duration::from_millis(1));
    assert!(stage.media.poll_event().is_some());
}

#[test]
fn a_held_call_is_not_silent() {
    let mut stage = Stage::new(4);
    let stream = stage.call(Latching::Latch);
    let still = |rtp| Remote {
        sends: false,
        receives: false,
        ..remote(rtp)
    };
    stage.signal(stream, End::Caller, &still(caller()));
    stage.signal(stream, End::Callee, &still(callee()));
    stage.run(SILENCE * 5);
    assert_eq!(stage.media.poll_event(), None);
    stage.signal(stream, End::Caller, &remote(caller()));
    stage.signal(stream, End::Callee, &remote(callee()));
    stage.run(SILENCE - Duration::from_millis(1));
    assert_eq!(stage.media.poll_event(), None);
    stage.run(Duration::from_millis(2));
    assert!(stage.media.poll_event().is_some());
}

#[test]
fn a_dark_camera_does_not_end_a_call_that_talks() {
    let mut stage = Stage::new(8);
    let voices = stage.call(Latching::Latch);
    stage.call(Latching::Latch);
    for sequence in 0..20 {
        stage.rtp(voices, End::Caller, caller(), &voice(1, sequence));
        stage.run(SILENCE / 4);
    }
    assert_eq!(stage.media.poll_event(), None);
    stage.run(SILENCE);
    assert!(stage.media.poll_event().is_some());
    assert_eq!(stage.media.poll_event(), None);
}

#[test]
fn a_closed_stream_is_not_silent() {
    let mut stage = Stage::new(4);
    let stream = stage.call(Latching::Latch);
    stage.media.close(stage.now, stream).unwrap();
    assert_eq!(stage.media.poll_timeout(), None);
}
