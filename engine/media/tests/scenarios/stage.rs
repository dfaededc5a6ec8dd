//! A media room with its clock and outbox, and packets to feed it.

use std::net::SocketAddr;
use std::time::Duration;

use media::{
    Config, End, Family, Fate, Kind, Latching, Local, Media, PortPair, Remote, StreamId, Terms,
};
use stack::{Flow, Outbox, Time};
use wire::rtp::Header;

/// Listeners before the first media socket.
pub(crate) const FIRST: u16 = 3;

pub(crate) const SILENCE: Duration = Duration::from_secs(20);

pub(crate) struct Stage {
    pub(crate) media: Media,
    pub(crate) now: Time,
    out: Outbox,
}

/// What was sent: the port it left by, where to, and the bytes.
pub(crate) type Sent = (u16, SocketAddr, Vec<u8>);

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn caller() -> SocketAddr {
    address("192.0.2.1:4000")
}

pub(crate) fn callee() -> SocketAddr {
    address("192.0.2.2:6000")
}

pub(crate) fn remote(rtp: SocketAddr) -> Remote {
    Remote {
        rtp: Some(rtp),
        sends: true,
        receives: true,
        ..Remote::default()
    }
}

pub(crate) fn terms(latching: Latching) -> Terms {
    Terms {
        owner: 77,
        kind: Kind::Rtp,
        families: [Family::V4; 2],
        latching: [latching; 2],
    }
}

/// A packet of 20 ms of A-law.
pub(crate) fn voice(ssrc: u32, sequence: u16) -> Vec<u8> {
    let header = Header {
        marker: false,
        payload_type: 8,
        sequence,
        timestamp: u32::from(sequence) * 160,
        ssrc,
    };
    let mut bytes = Vec::new();
    header.print(&mut bytes);
    bytes.extend_from_slice(&[0xd5; 160]);
    bytes
}

fn pair(bound: &str, advertised: &str, number: u16) -> PortPair {
    PortPair {
        bound: bound.parse().unwrap(),
        advertised: advertised.parse().unwrap(),
        rtp_port: 10_000 + 2 * number,
    }
}

impl Stage {
    pub(crate) fn new(pairs: u16) -> Stage {
        let four = (0..pairs).map(|number| pair("10.0.0.1", "198.51.100.1", number));
        let six = (pairs..2 * pairs).map(|number| pair("2001:db8::1", "2001:db8::1", number));
        let config = Config {
            pairs: four.chain(six).collect(),
            first_listener: FIRST,
            silence: Some(SILENCE),
            seed: 5,
            ..Config::default()
        };
        Stage {
            media: Media::new(config, Time::ZERO),
            now: Time::ZERO,
            out: Outbox::new(),
        }
    }

    /// A stream between [`caller`] and [`callee`].
    pub(crate) fn call(&mut self, latching: Latching) -> StreamId {
        let stream = self.media.open(terms(latching)).unwrap();
        self.signal(stream, End::Caller, &remote(caller()));
        self.signal(stream, End::Callee, &remote(callee()));
        stream
    }

    pub(crate) fn signal(&mut self, stream: StreamId, end: End, remote: &Remote) {
        self.media.set_remote(self.now, stream, end, remote);
    }

    pub(crate) fn local(&self, stream: StreamId, end: End) -> Local {
        self.media.local(stream, end).unwrap()
    }

    pub(crate) fn wait(&mut self, duration: Duration) {
        self.now = self.now + duration;
    }

    /// A datagram from `from` to one of our ports, and what was sent for it.
    pub(crate) fn deliver(
        &mut self,
        from: SocketAddr,
        port: u16,
        bytes: &[u8],
    ) -> (Fate, Vec<Sent>) {
        let flow = Flow {
            listener: FIRST + port - 10_000,
            remote: from,
        };
        let fate = self.media.receive(self.now, flow, bytes, &mut self.out);
        (fate, self.sent())
    }

    /// RTP (or whatever it is) to the port towards this end.
    pub(crate) fn rtp(
        &mut self,
        stream: StreamId,
        end: End,
        from: SocketAddr,
        bytes: &[u8],
    ) -> (Fate, Vec<Sent>) {
        let port = self.local(stream, end).rtp_port;
        self.deliver(from, port, bytes)
    }

    /// RTCP to the port towards this end.
    pub(crate) fn rtcp(
        &mut self,
        stream: StreamId,
        end: End,
        from: SocketAddr,
        bytes: &[u8],
    ) -> (Fate, Vec<Sent>) {
        let port = self.local(stream, end).rtcp_port;
        self.deliver(from, port, bytes)
    }

    /// Runs the timers until `self.now + duration`, and returns what was sent.
    pub(crate) fn run(&mut self, duration: Duration) -> Vec<Sent> {
        let end = self.now + duration;
        while let Some(due) = self.media.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.media.handle_timeout(self.now, &mut self.out);
        }
        self.now = end;
        self.sent()
    }

    fn sent(&mut self) -> Vec<Sent> {
        let sent = self.out.iter().map(|(flow, bytes)| {
            let port = flow.listener - FIRST + 10_000;
            (port, flow.remote, bytes.to_vec())
        });
        let sent = sent.collect();
        self.out.clear();
        sent
    }
}
