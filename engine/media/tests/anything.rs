//! Whatever is opened, signalled, sent and closed in whatever order: nothing panics, no port leaks, and every
//! packet goes where a plain model of the rules lets it.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use media::{Config, End, Family, Fate, Kind, Latching, Media, PortPair, Remote, StreamId, Terms};
use proptest::prelude::*;
use stack::{Flow, Outbox, Time};

const PAIRS: u16 = 6;
const FIRST: u16 = 2;

#[derive(Clone, Debug)]
enum Step {
    Open {
        latching: Latching,
        kind: Kind,
    },
    Echo {
        latching: Latching,
    },
    Signal {
        which: usize,
        end: End,
        remote: Remote,
    },
    Kind {
        which: usize,
        kind: Kind,
    },
    Receive {
        socket: u16,
        from: SocketAddr,
        bytes: Vec<u8>,
    },
    Wait {
        millis: u64,
    },
    /// An end gets another pair, as when its family changes; or the pair is not needed after all.
    Move {
        which: usize,
        end: End,
        needed: bool,
    },
    Close {
        which: usize,
    },
}

/// A few hosts and ports, so that addresses meet.
fn address() -> impl Strategy<Value = SocketAddr> {
    (0..4_u8, 0..4_u16).prop_map(|(host, port)| ([192, 0, 2, host], 4000 + port).into())
}

fn remote() -> impl Strategy<Value = Remote> {
    let addresses = (
        prop::option::weighted(0.9, address()),
        prop::option::weighted(0.3, address()),
    );
    (addresses, any::<[bool; 3]>()).prop_map(|((rtp, rtcp), [rtcp_mux, sends, receives])| Remote {
        rtp,
        rtcp,
        rtcp_mux,
        sends,
        receives,
        ..Remote::default()
    })
}

fn datagram() -> impl Strategy<Value = Vec<u8>> {
    let rtp = (0..200_u16, 0..3_u8).prop_map(|(sequence, ssrc)| {
        let mut bytes = vec![0x80, 8];
        bytes.extend_from_slice(&sequence.to_be_bytes());
        bytes.extend_from_slice(&[0, 0, 0, 9, 0, 0, 0, ssrc, 1, 2, 3]);
        bytes
    });
    let rtcp = (0..3_u32, any::<u32>()).prop_map(|(ssrc, last_sender_report)| {
        let block = wire::rtcp::ReportBlock {
            ssrc,
            last_sender_report,
            ..Default::default()
        };
        let mut bytes = Vec::new();
        wire::rtcp::sender_report(&mut bytes, ssrc, &Default::default(), &[block]);
        bytes
    });
    prop_oneof![4 => rtp, 3 => rtcp, 1 => prop::collection::vec(any::<u8>(), 0..40)]
}

fn latching() -> impl Strategy<Value = Latching> {
    prop::sample::select(vec![
        Latching::Strict,
        Latching::Latch,
        Latching::LatchSameHost,
    ])
}

fn step() -> impl Strategy<Value = Step> {
    let end = || prop::sample::select(vec![End::Caller, End::Callee]);
    let kind = || prop::sample::select(vec![Kind::Rtp, Kind::Rtp, Kind::Udptl]);
    let sockets = FIRST - 1..FIRST + 2 * PAIRS + 1;
    prop_oneof![
        2 => (latching(), kind()).prop_map(|(latching, kind)| Step::Open { latching, kind }),
        1 => latching().prop_map(|latching| Step::Echo { latching }),
        8 => (0..4_usize, end(), remote())
            .prop_map(|(which, end, remote)| Step::Signal { which, end, remote }),
        1 => (0..4_usize, kind()).prop_map(|(which, kind)| Step::Kind { which, kind }),
        16 => (sockets, address(), datagram())
            .prop_map(|(socket, from, bytes)| Step::Receive { socket, from, bytes }),
        3 => (0..8000_u64).prop_map(|millis| Step::Wait { millis }),
        1 => (0..4_usize, end(), any::<bool>())
            .prop_map(|(which, end, needed)| Step::Move { which, end, needed }),
        1 => (0..4_usize).prop_map(|which| Step::Close { which }),
    ]
}

/// A stream as the model knows it: per end, the sockets, the addresses signalled or latched, and what
/// was said last.
struct Known {
    id: StreamId,
    sockets: [Option<u16>; 2],
    allowed: [HashSet<SocketAddr>; 2],
    said: [Remote; 2],
}

struct World {
    media: Media,
    now: Time,
    out: Outbox,
    streams: Vec<Known>,
}

fn index(end: End) -> usize {
    match end {
        End::Caller => 0,
        End::Callee => 1,
    }
}

fn above(mut address: SocketAddr) -> SocketAddr {
    address.set_port(address.port() + 1);
    address
}

impl World {
    fn new() -> World {
        let pairs = (0..PAIRS).map(|number| PortPair {
            bound: [10, 0, 0, 1].into(),
            advertised: [10, 0, 0, 1].into(),
            rtp_port: 10_000 + 2 * number,
        });
        let config = Config {
            pairs: pairs.collect(),
            first_listener: FIRST,
            silence: Some(Duration::from_secs(5)),
            ..Config::default()
        };
        World {
            media: Media::new(config, Time::ZERO),
            now: Time::ZERO,
            out: Outbox::new(),
            streams: Vec::new(),
        }
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Open { latching, kind } => {
                let terms = Terms {
                    owner: 1,
                    kind,
                    families: [Family::V4; 2],
                    latching: [latching; 2],
                };
                let opened = self.media.open(terms);
                self.know(opened);
            }
            Step::Echo { latching } => {
                let opened = self.media.open_echo(self.now, 2, Family::V4, latching);
                self.know(opened);
            }
            Step::Signal { which, end, remote } => self.signal(which, end, &remote),
            Step::Kind { which, kind } => {
                if let Some(known) = self.streams.get(which) {
                    self.media.set_kind(known.id, kind);
                }
            }
            Step::Receive {
                socket,
                from,
                bytes,
            } => self.receive(socket, from, &bytes),
            Step::Wait { millis } => {
                self.now = self.now + Duration::from_millis(millis);
                self.media.handle_timeout(self.now, &mut self.out);
                assert!(self.media.poll_timeout().is_none_or(|due| due > self.now));
                while self.media.poll_event().is_some() {}
            }
            Step::Move { which, end, needed } => self.move_end(which, end, needed),
            Step::Close { which } if which < self.streams.len() => {
                let known = self.streams.remove(which);
                assert!(self.media.close(self.now, known.id).is_some());
                // The BYE of an echo may follow.
                self.media.handle_timeout(self.now, &mut Outbox::new());
            }
            Step::Close { .. } => {}
        }
    }

    fn know(&mut self, opened: Option<StreamId>) {
        let Some(id) = opened else { return };
        let socket = |end| Some(FIRST + self.media.local(id, end)?.rtp_port - 10_000);
        let sockets = [socket(End::Caller), socket(End::Callee)];
        for socket in sockets.iter().flatten() {
            let taken = self
                .streams
                .iter()
                .any(|known| known.sockets.contains(&Some(*socket)));
            assert!(!taken, "a port in two streams");
        }
        self.streams.push(Known {
            id,
            sockets,
            allowed: Default::default(),
            said: Default::default(),
        });
    }

    fn move_end(&mut self, which: usize, end: End, needed: bool) {
        let Some(reserved) = self.media.reserve(Family::V4) else {
            return;
        };
        let Some(known) = self.streams.get_mut(which).filter(|_| needed) else {
            return self.media.give_back(reserved);
        };
        let moved = self.media.change_family(self.now, known.id, end, reserved);
        let Some(id) = moved else {
            assert_eq!(known.sockets[1], None, "only an echo keeps its pair");
            return;
        };
        let mut moved = self.streams.remove(which);
        moved.allowed[index(end)].clear();
        moved.said[index(end)] = Remote::default();
        self.know(Some(id));
        let known = self.streams.last_mut().expect("just added");
        (known.allowed, known.said) = (moved.allowed, moved.said);
    }

    fn signal(&mut self, which: usize, end: End, remote: &Remote) {
        let Some(known) = self.streams.get_mut(which) else {
            return;
        };
        self.media.set_remote(self.now, known.id, end, remote);
        known.said[index(end)] = remote.clone();
        let allowed = &mut known.allowed[index(end)];
        allowed.extend(remote.rtp);
        allowed.extend(remote.rtp.map(above));
        allowed.extend(remote.rtcp);
    }

    fn receive(&mut self, listener: u16, remote: SocketAddr, bytes: &[u8]) {
        let flow = Flow { listener, remote };
        let fate = self.media.receive(self.now, flow, bytes, &mut self.out);
        let by = self.streams.iter_mut().find_map(|known| {
            let of =
                |socket: &Option<u16>| socket.is_some_and(|it| (it..it + 2).contains(&listener));
            let end = known.sockets.iter().position(of)?;
            Some((known, end))
        });
        let Some((known, end)) = by else {
            assert_eq!(fate, Fate::Dropped(media::Drop::Idle));
            return;
        };
        if fate == Fate::Latched {
            known.allowed[end].insert(remote);
        }
        // What a packet makes leave, leaves by its own stream.
        for (flow, _) in self.out.iter() {
            let of = |socket: &Option<u16>| {
                socket.is_some_and(|it| (it..it + 2).contains(&flow.listener))
            };
            assert!(known.sockets.iter().any(of), "crossed into another stream");
        }
    }

    /// Everything sent went to an address its end signalled or latched, and RTP to nobody on hold.
    fn check(&mut self) {
        for (flow, bytes) in self.out.iter() {
            let (known, end) = self.sender(flow.listener);
            assert!(known.allowed[end].contains(&flow.remote), "{flow:?}");
            let said = &known.said[end];
            assert!(said.rtp.is_some());
            let is_rtp = bytes.first() == Some(&0x80) && bytes.get(1) == Some(&8);
            assert!(!is_rtp || said.receives);
        }
        self.out.clear();
        let sockets = self
            .streams
            .iter()
            .flat_map(|known| known.sockets)
            .flatten();
        assert_eq!(self.media.counters().pairs_used, sockets.count() as u64);
    }

    fn sender(&self, listener: u16) -> (&Known, usize) {
        let of = |socket: &Option<u16>| socket.is_some_and(|it| (it..it + 2).contains(&listener));
        let found = self.streams.iter().find_map(|known| {
            let end = known.sockets.iter().position(of)?;
            Some((known, end))
        });
        found.expect("sent by a port of no stream")
    }

    fn close_all(&mut self) {
        for known in self.streams.drain(..) {
            assert!(self.media.close(self.now, known.id).is_some());
        }
        self.media.handle_timeout(self.now, &mut self.out);
        let counters = self.media.counters();
        assert_eq!((counters.pairs_used, counters.streams), (0, 0));
        assert!(self.media.is_idle() && self.media.poll_timeout().is_none());
        let dropped = counters.dropped_idle
            + counters.dropped_stranger
            + counters.dropped_nowhere
            + counters.dropped_malformed;
        let accounted = counters.relayed + counters.consumed + dropped;
        assert_eq!(counters.received, accounted);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_rules_hold(steps in prop::collection::vec(step(), 1..150)) {
        let mut world = World::new();
        for step in steps {
            world.apply(step);
            world.check();
        }
        world.close_all();
    }
}
