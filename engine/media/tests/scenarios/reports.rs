//! What packets and passing reports tell of a stream.

use std::time::Duration;

use media::{End, Latching};
use wire::rtcp::{self, ReportBlock, SenderInfo};

use crate::stage::{Stage, address, callee, caller, voice};

#[test]
fn a_summary_counts_each_direction() {
    let mut stage = Stage::new(4);
    let stream = stage.call(Latching::Latch);
    for sequence in 0..100_u16 {
        if sequence % 10 != 5 {
            stage.rtp(stream, End::Caller, caller(), &voice(1, sequence));
        }
        stage.rtp(stream, End::Callee, callee(), &voice(2, sequence));
        stage.wait(Duration::from_millis(20));
    }
    stage.rtp(stream, End::Callee, callee(), &voice(2, 99));
    let summary = stage.media.close(stage.now, stream).unwrap();
    let (one, other) = (summary.from_caller, summary.from_callee);
    assert_eq!((one.packets, one.lost, one.bytes), (90, 10, 90 * 172));
    assert_eq!((other.packets, other.lost, other.duplicates), (101, 0, 1));
    assert!(one.jitter_ms_max < 0.1);
    let (one, other) = (one.mos.unwrap(), other.mos.unwrap());
    assert!(other > 4.3 && one < 3.9, "{other} {one}");
}

#[test]
fn the_round_trip_is_told_by_passing_reports() {
    let mut stage = Stage::new(4);
    let stream = stage.call(Latching::Latch);
    stage.rtp(stream, End::Caller, caller(), &voice(1, 1));
    let info = SenderInfo {
        ntp: 0x1111_2222_3333_4444,
        ..SenderInfo::default()
    };
    let mut report = Vec::new();
    rtcp::sender_report(&mut report, 1, &info, &[]);
    stage.rtcp(stream, End::Caller, address("192.0.2.1:4001"), &report);
    stage.wait(Duration::from_millis(1060));
    let block = ReportBlock {
        ssrc: 1,
        lost: 12,
        last_sender_report: info.ntp_middle(),
        delay_since: 65_536,
        ..ReportBlock::default()
    };
    report.clear();
    rtcp::receiver_report(&mut report, 2, &[block]);
    stage.rtcp(stream, End::Callee, address("192.0.2.2:6001"), &report);
    let summary = stage.media.summary(stream).unwrap();
    assert_eq!(summary.from_callee.round_trip_ms, Some(60.0));
    assert_eq!(summary.from_caller.round_trip_ms, None);
    assert_eq!(summary.from_caller.rtcp_packets, 1);
}

#[test]
fn loss_beyond_the_router_counts_in_the_opinion() {
    let mut stage = Stage::new(4);
    let stream = stage.call(Latching::Latch);
    for sequence in 0..100 {
        stage.rtp(stream, End::Caller, caller(), &voice(1, sequence));
        stage.wait(Duration::from_millis(20));
    }
    let before = stage
        .media
        .summary(stream)
        .unwrap()
        .from_caller
        .mos
        .unwrap();
    let block = ReportBlock {
        ssrc: 1,
        lost: 10,
        ..ReportBlock::default()
    };
    let mut report = Vec::new();
    rtcp::receiver_report(&mut report, 2, &[block]);
    stage.rtcp(stream, End::Callee, address("192.0.2.2:6001"), &report);
    let after = stage.media.summary(stream).unwrap().from_caller;
    assert!(after.mos.unwrap() < before - 0.5);
    assert_eq!(after.lost, 0);
}

#[test]
fn too_little_heard_is_no_opinion() {
    let mut stage = Stage::new(4);
    let stream = stage.call(Latching::Latch);
    for sequence in 0..50 {
        let mos = stage.media.summary(stream).unwrap().from_caller.mos;
        assert_eq!(mos, None);
        stage.rtp(stream, End::Caller, caller(), &voice(1, sequence));
    }
    assert!(
        stage
            .media
            .summary(stream)
            .unwrap()
            .from_caller
            .mos
            .is_some()
    );
}
