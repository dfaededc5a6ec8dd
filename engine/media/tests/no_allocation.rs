//! After warm-up the media room allocates nothing: not for packets, not for streams, not for reports.

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use media::{Config, End, Family, Fate, Kind, Latching, Media, PortPair, Remote, StreamId, Terms};
use stack::{Flow, Outbox, Time};
use wire::rtcp;
use wire::rtp::Header;

/// The system's allocator and how often it was asked.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[expect(unsafe_code, reason = "an allocator cannot be written without")]
// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`, and System has the same one.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`, and System has the same one.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Line {
    media: Media,
    now: Time,
    out: Outbox,
    bytes: Vec<u8>,
    owner: u64,
}

fn party(end: u8) -> SocketAddr {
    ([192, 0, 2, end], 4000).into()
}

fn remote(end: u8) -> Remote {
    Remote {
        rtp: Some(party(end)),
        sends: true,
        receives: true,
        rates: [(8, 8000), (101, 8000), (111, 48_000)]
            .into_iter()
            .collect(),
        ..Remote::default()
    }
}

impl Line {
    fn new() -> Line {
        let bound = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let pairs = (0..40).map(|number| PortPair {
            bound,
            advertised: bound,
            rtp_port: 10_000 + 2 * number,
        });
        let config = Config {
            pairs: pairs.collect(),
            silence: Some(Duration::from_secs(8)),
            ..Config::default()
        };
        Line {
            media: Media::new(config, Time::ZERO),
            now: Time::ZERO,
            out: Outbox::new(),
            bytes: Vec::new(),
            owner: 0,
        }
    }

    /// Ten calls and ten echo calls of half a minute, silent in the end.
    fn calls(&mut self) {
        let streams: [StreamId; 10] = std::array::from_fn(|_| self.open());
        let echoes: [StreamId; 10] = std::array::from_fn(|_| self.open_echo());
        for sequence in 0..300 {
            for stream in &streams {
                self.say(*stream, End::Caller, 1, sequence);
                self.say(*stream, End::Callee, 2, sequence);
            }
            for stream in &echoes {
                self.say(*stream, End::Caller, 1, sequence);
            }
            self.pass(Duration::from_millis(20));
        }
        self.pass(Duration::from_secs(24));
        for stream in streams.iter().chain(&echoes) {
            assert!(self.media.close(self.now, *stream).is_some());
        }
        self.pass(Duration::from_millis(1));
    }

    fn open(&mut self) -> StreamId {
        self.owner += 1;
        let terms = Terms {
            owner: self.owner,
            kind: Kind::Rtp,
            families: [Family::V4; 2],
            latching: [Latching::Latch; 2],
        };
        let stream = self.media.open(terms).unwrap();
        for (end, host) in [(End::Caller, 1), (End::Callee, 2)] {
            self.media.set_remote(self.now, stream, end, &remote(host));
        }
        stream
    }

    fn open_echo(&mut self) -> StreamId {
        self.owner += 1;
        let (now, rule) = (self.now, Latching::Latch);
        let stream = self.media.open_echo(now, self.owner, Family::V4, rule);
        let stream = stream.unwrap();
        self.media.set_remote(now, stream, End::Caller, &remote(1));
        stream
    }

    fn say(&mut self, stream: StreamId, end: End, host: u8, sequence: u16) {
        let local = self.media.local(stream, end).unwrap();
        let header = Header {
            marker: false,
            payload_type: if sequence.is_multiple_of(50) { 101 } else { 8 },
            sequence,
            timestamp: u32::from(sequence) * 160,
            ssrc: host.into(),
        };
        self.bytes.clear();
        header.print(&mut self.bytes);
        self.bytes.extend_from_slice(&[0xd5; 160]);
        let mut from = Flow {
            listener: local.rtp_port - 10_000,
            remote: party(host),
        };
        let fate = self
            .media
            .receive(self.now, from, &self.bytes, &mut self.out);
        assert_eq!(fate, Fate::Relayed);
        self.bytes.clear();
        rtcp::receiver_report(&mut self.bytes, host.into(), &[]);
        from.listener += 1;
        from.remote.set_port(4001);
        self.media
            .receive(self.now, from, &self.bytes, &mut self.out);
    }

    fn pass(&mut self, duration: Duration) {
        self.now = self.now + duration;
        self.media.handle_timeout(self.now, &mut self.out);
        while self.media.poll_event().is_some() {}
        self.out.clear();
    }
}

#[test]
fn warm_streams_allocate_nothing() {
    let mut line = Line::new();
    for _ in 0..20 {
        line.calls();
    }
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    for _ in 0..50 {
        line.calls();
    }
    let during = ALLOCATIONS.load(Ordering::Relaxed) - before;
    let counters = line.media.counters();
    assert_eq!(counters.streams_opened, 70 * 20);
    assert_eq!((counters.silent, counters.pairs_used), (70 * 20, 0));
    assert!(counters.reports_sent > 70 * 10);
    assert_eq!(during, 0);
}
