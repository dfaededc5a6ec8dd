//! A datagram on a media port, read as RTP and as RTCP. Nothing panics; what is read is part of the
//! datagram; headers and reports that are printed read back.

use wire::rtcp::{self, Packet, Packets, ReportBlock, SenderInfo};
use wire::rtp::{self, Family, Header};

use crate::choices::Choices;

/// Reads `bytes` as a media datagram.
pub fn run(bytes: &[u8]) {
    let _ = (Family::of(bytes), rtp::is_rtcp(bytes), rtp::payload(bytes));
    if let Some(header) = Header::parse(bytes) {
        relabelled(bytes, &header);
    }
    let mut packets = Packets::new(bytes);
    let read: Vec<_> = packets.by_ref().collect();
    assert!(packets.rest().len() <= bytes.len());
    for packet in &read {
        look_at(packet);
    }
    reports(bytes);
}

/// Relayed under another SSRC nothing else changes.
fn relabelled(bytes: &[u8], header: &Header) {
    let mut out = Vec::new();
    rtp::print_with_ssrc(&mut out, bytes, 7);
    assert_eq!(out.len(), bytes.len());
    let again = Header::parse(&out).expect("a relabelled packet");
    assert_eq!(again, Header { ssrc: 7, ..*header });
    assert_eq!(rtp::payload(&out), rtp::payload(bytes));
}

fn look_at(packet: &Packet<'_>) {
    match packet {
        Packet::SenderReport { info, blocks, .. } => {
            let _ = (info.ntp_middle(), blocks.clone().count());
        }
        Packet::ReceiverReport { blocks, .. } => _ = blocks.clone().count(),
        Packet::SourceDescription(chunks) => {
            let _ = chunks.clone().flat_map(|(_, items)| items).count();
        }
        Packet::Goodbye { sources, .. } => _ = sources.clone().count(),
        Packet::Application { .. } | Packet::Other { .. } => {}
    }
}

/// A compound of ours, whatever it reports, is read as what it was.
fn reports(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let mut word = || u32::from(choices.word()) << 16 | u32::from(choices.word());
    let info = SenderInfo {
        ntp: u64::from(word()) << 32 | u64::from(word()),
        rtp_timestamp: word(),
        packets: word(),
        octets: word(),
    };
    let block = ReportBlock {
        ssrc: word(),
        fraction_lost: word() as u8,
        // 24 bits with sign.
        lost: word().cast_signed() >> 8,
        highest_sequence: word(),
        jitter: word(),
        last_sender_report: word(),
        delay_since: word(),
    };
    let (ssrc, name) = (word(), choices.bytes(300));
    let mut out = Vec::new();
    rtcp::sender_report(&mut out, ssrc, &info, &[block]);
    rtcp::source_description(&mut out, ssrc, name);
    rtcp::goodbye(&mut out, ssrc, name);
    read_back(&out, ssrc, &info, block, name);
}

fn read_back(out: &[u8], ssrc: u32, info: &SenderInfo, block: ReportBlock, name: &[u8]) {
    let mut packets = Packets::new(out);
    let Some(Packet::SenderReport {
        ssrc: by,
        info: said,
        blocks,
    }) = packets.next()
    else {
        panic!("no sender report in {out:?}");
    };
    assert_eq!((by, &said), (ssrc, info));
    assert!(blocks.eq([block]));
    let Some(Packet::SourceDescription(chunks)) = packets.next() else {
        panic!("no source description in {out:?}");
    };
    let name = name.get(..255).unwrap_or(name);
    let items: Vec<_> = chunks.flat_map(|(_, items)| items).collect();
    assert_eq!(items, [(rtcp::CNAME, name)]);
    let Some(Packet::Goodbye { sources, reason }) = packets.next() else {
        panic!("no goodbye in {out:?}");
    };
    assert!(sources.eq([ssrc]));
    assert_eq!(reason, name);
    assert!(packets.next().is_none() && packets.rest().is_empty());
}
