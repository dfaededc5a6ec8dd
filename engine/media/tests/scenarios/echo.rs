//! Packets come back to their sender, and the sender is reported to.

use std::net::SocketAddr;
use std::time::Duration;

use media::{Drop, End, Family, Fate, Latching, Remote, StreamId};
use wire::rtcp::{self, Packet, Packets, ReportBlock, SenderInfo};
use wire::rtp::Header;

use crate::stage::{Stage, address, caller, remote, voice};

fn open(stage: &mut Stage) -> StreamId {
    let stream = stage
        .media
        .open_echo(stage.now, 9, Family::V4, Latching::Latch)
        .unwrap();
    stage.signal(stream, End::Caller, &remote(caller()));
    stream
}

fn control() -> SocketAddr {
    address("192.0.2.1:4001")
}

/// Sends packets for `seconds`, every tenth lost, and collects the reports.
fn talk(stage: &mut Stage, stream: StreamId, seconds: u16) -> Vec<Vec<u8>> {
    let mut reports = Vec::new();
    for sequence in 0..seconds * 50 {
        if sequence % 10 != 5 {
            stage.rtp(stream, End::Caller, caller(), &voice(1, sequence));
        }
        for (_, to, bytes) in stage.run(Duration::from_millis(20)) {
            assert_eq!(to, control());
            reports.push(bytes);
        }
    }
    reports
}

#[test]
fn rtp_comes_back_from_another_source() {
    let mut stage = Stage::new(2);
    let stream = open(&mut stage);
    let packet = voice(1, 7);
    let (fate, sent) = stage.rtp(stream, End::Caller, caller(), &packet);
    let (port, to, echoed) = &sent[0];
    assert_eq!((fate, *to), (Fate::Relayed, caller()));
    assert_eq!(*port, stage.local(stream, End::Caller).rtp_port);
    assert_eq!((&echoed[..8], &echoed[12..]), (&packet[..8], &packet[12..]));
    assert_ne!(Header::parse(echoed).unwrap().ssrc, 1);
    assert_eq!(stage.media.local(stream, End::Callee), None);
}

#[test]
fn a_sender_behind_nat_hears_itself() {
    let mut stage = Stage::new(2);
    let stream = open(&mut stage);
    let nat = address("203.0.113.7:50000");
    let (fate, sent) = stage.rtp(stream, End::Caller, nat, &voice(1, 1));
    assert_eq!((fate, sent[0].1), (Fate::Latched, nat));
}

#[test]
fn a_held_sender_is_muted_and_heard_again() {
    let mut stage = Stage::new(2);
    let stream = open(&mut stage);
    let held = Remote {
        receives: false,
        ..remote(caller())
    };
    stage.signal(stream, End::Caller, &held);
    let (fate, _) = stage.rtp(stream, End::Caller, caller(), &voice(1, 1));
    assert_eq!(fate, Fate::Dropped(Drop::Nowhere));
    stage.signal(stream, End::Caller, &remote(caller()));
    assert_eq!(
        stage.rtp(stream, End::Caller, caller(), &voice(1, 2)).0,
        Fate::Relayed
    );
}

#[test]
fn our_own_source_come_back_is_dropped_and_ours_changes() {
    let mut stage = Stage::new(2);
    let stream = open(&mut stage);
    let ssrc_of = |sent: &[(u16, SocketAddr, Vec<u8>)]| Header::parse(&sent[0].2).unwrap().ssrc;
    let first = ssrc_of(&stage.rtp(stream, End::Caller, caller(), &voice(1, 1)).1);
    let (fate, _) = stage.rtp(stream, End::Caller, caller(), &voice(first, 2));
    assert_eq!(fate, Fate::Dropped(Drop::Malformed));
    let second = ssrc_of(&stage.rtp(stream, End::Caller, caller(), &voice(1, 3)).1);
    assert_ne!(first, second);
}

#[test]
fn sender_reports_tell_what_was_received_and_sent() {
    let mut stage = Stage::new(2);
    let stream = open(&mut stage);
    let reports = talk(&mut stage, stream, 60);
    // Between 5 s * 0.5 / 1.218 and 5 s * 1.5 / 1.218 apart.
    assert!((9..=30).contains(&reports.len()), "{}", reports.len());
    let last = reports.last().unwrap();
    let mut packets = Packets::new(last);
    let Some(Packet::SenderReport {
        ssrc,
        info,
        mut blocks,
    }) = packets.next()
    else {
        panic!()
    };
    let block = blocks.next().unwrap();
    assert_eq!(block.ssrc, 1);
    assert!(
        (20..=31).contains(&block.fraction_lost),
        "{}",
        block.fraction_lost
    );
    assert_eq!(info.octets, info.packets * 160);
    let expected = block.highest_sequence + 1;
    assert!(block.lost.unsigned_abs().abs_diff(expected / 10) <= 1);
    let Some(Packet::SourceDescription(mut chunks)) = packets.next() else {
        panic!()
    };
    let (named, mut items) = chunks.next().unwrap();
    assert_eq!((named, items.next().unwrap().0), (ssrc, rtcp::CNAME));
    assert_eq!(stage.media.counters().reports_sent, reports.len() as u64);
}

#[test]
fn who_was_sent_nothing_gets_receiver_reports() {
    let mut stage = Stage::new(2);
    let stream = open(&mut stage);
    let reports = stage.run(Duration::from_secs(30));
    assert!(reports.len() >= 4);
    for (port, _, bytes) in reports {
        assert_eq!(port, stage.local(stream, End::Caller).rtcp_port);
        let first = Packets::new(&bytes).next();
        assert!(matches!(first, Some(Packet::ReceiverReport { .. })));
    }
}

#[test]
fn reports_answer_the_senders_and_tell_the_round_trip() {
    let mut stage = Stage::new(2);
    let stream = open(&mut stage);
    let theirs = SenderInfo {
        ntp: 5 << 32,
        ..SenderInfo::default()
    };
    let mut report = Vec::new();
    rtcp::sender_report(&mut report, 1, &theirs, &[]);
    stage.rtp(stream, End::Caller, caller(), &voice(1, 0));
    let (fate, sent) = stage.rtcp(stream, End::Caller, control(), &report);
    assert_eq!((fate, sent), (Fate::Consumed, vec![]));
    let started = stage.now;
    let ours = loop {
        if let Some((_, _, bytes)) = stage.run(Duration::from_millis(1)).pop() {
            break bytes;
        }
    };
    let Some(Packet::SenderReport {
        info, mut blocks, ..
    }) = Packets::new(&ours).next()
    else {
        panic!()
    };
    let block = blocks.next().unwrap();
    assert_eq!(block.last_sender_report, theirs.ntp_middle());
    let waited = stage.now.duration_since(started).as_secs_f64() * 65_536.0;
    assert!((f64::from(block.delay_since) - waited).abs() < 200.0);
    let answer = ReportBlock {
        last_sender_report: info.ntp_middle(),
        ..ReportBlock::default()
    };
    report.clear();
    rtcp::receiver_report(&mut report, 1, &[answer]);
    stage.wait(Duration::from_millis(40));
    stage.rtcp(stream, End::Caller, control(), &report);
    let trip = stage
        .media
        .summary(stream)
        .unwrap()
        .from_caller
        .round_trip_ms;
    assert!((40.0..42.0).contains(&trip.unwrap()), "{trip:?}");
}

#[test]
fn with_mux_reports_leave_by_the_rtp_port() {
    let mut stage = Stage::new(2);
    let stream = open(&mut stage);
    let mux = Remote {
        rtcp_mux: true,
        ..remote(caller())
    };
    stage.signal(stream, End::Caller, &mux);
    let reports = stage.run(Duration::from_secs(10));
    let port = stage.local(stream, End::Caller).rtp_port;
    assert!(!reports.is_empty());
    assert!(
        reports
            .iter()
            .all(|(by, to, _)| (*by, *to) == (port, caller()))
    );
}

#[test]
fn close_says_bye_to_who_was_spoken_to() {
    let mut stage = Stage::new(2);
    let stream = open(&mut stage);
    stage.rtp(stream, End::Caller, caller(), &voice(1, 1));
    stage.media.close(stage.now, stream).unwrap();
    assert!(!stage.media.is_idle());
    let sent = stage.run(Duration::ZERO);
    assert_eq!((sent.len(), sent[0].1), (1, control()));
    let last = Packets::new(&sent[0].2).last();
    assert!(matches!(last, Some(Packet::Goodbye { .. })));
    assert!(stage.media.is_idle() && stage.media.poll_timeout().is_none());
    let mute = open(&mut stage);
    stage.media.close(stage.now, mute).unwrap();
    assert_eq!(stage.run(Duration::from_secs(60)), []);
}
