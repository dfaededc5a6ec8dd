//! One packet of voice through the relay, the copy into the outbox included: 1000 streams in turn.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use media::{Config, End, Family, Fate, Latching, Media, PortPair, Remote, StreamId, Terms};
use stack::{Flow, Outbox, Time};

const STREAMS: u16 = 1000;

/// Where end `end` of stream `number` sends from.
fn party(number: u16, end: u8) -> SocketAddr {
    ([192, 0, 2, end], 20_000 + 2 * number).into()
}

fn open(media: &mut Media, number: u16) -> StreamId {
    let terms = Terms {
        owner: number.into(),
        kind: media::Kind::Rtp,
        families: [Family::V4; 2],
        latching: [Latching::Latch; 2],
    };
    let stream = media.open(terms).unwrap();
    for (end, host) in [(End::Caller, 1), (End::Callee, 2)] {
        let remote = Remote {
            rtp: Some(party(number, host)),
            sends: true,
            receives: true,
            ..Remote::default()
        };
        media.set_remote(Time::ZERO, stream, end, &remote);
    }
    stream
}

fn relay(criterion: &mut Criterion) {
    let bound = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let pairs = (0..2 * STREAMS).map(|pair| PortPair {
        bound,
        advertised: bound,
        rtp_port: 10_000 + 2 * pair,
    });
    let config = Config {
        pairs: pairs.collect(),
        ..Config::default()
    };
    let mut media = Media::new(config, Time::ZERO);
    let flows: Vec<Flow> = (0..STREAMS)
        .map(|number| {
            let stream = open(&mut media, number);
            let local = media.local(stream, End::Caller).unwrap();
            Flow {
                listener: local.rtp_port - 10_000,
                remote: party(number, 1),
            }
        })
        .collect();
    let mut packet = [0_u8; 172];
    packet[0] = 0x80;
    let (mut out, mut turn, mut now) = (Outbox::new(), 0_usize, Time::ZERO);
    let mut sequence = 0_u16;
    criterion.bench_function("relay 172 B, 1000 streams", |bencher| {
        bencher.iter(|| {
            if turn % usize::from(STREAMS) == 0 {
                sequence = sequence.wrapping_add(1);
                packet[2..4].copy_from_slice(&sequence.to_be_bytes());
                packet[4..8].copy_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
                now = now + Duration::from_millis(20);
            }
            if turn % 64 == 0 {
                out.clear();
            }
            let flow = flows[turn % usize::from(STREAMS)];
            turn += 1;
            let fate = media.receive(now, flow, black_box(&packet), &mut out);
            assert_eq!(fate, Fate::Relayed);
        });
    });
}

criterion_group!(benches, relay);
criterion_main!(benches);
