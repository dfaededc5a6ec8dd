//! The way of one datagram: which lane it came by, what it is, whether its sender is the stream's, what it
//! tells, and where it goes. Opening and closing streams is not done here.

use stack::{Flow, Outbox, Time};
use wire::rtcp::{Blocks, Packet, Packets};
use wire::rtp::{self, Header};

use crate::config::{Drop, Fate, Kind};
use crate::lane::Lane;
use crate::latch::Admission;
use crate::media::Media;
use crate::ports::Socket;

/// Packets of a compound RTCP datagram that are read; more are relayed unread.
const PACKETS_MAX: usize = 8;

/// What a datagram is.
#[derive(Clone, Copy, Debug)]
enum Class {
    Rtp(Header),
    Rtcp,
    /// STUN, ZRTP, DTLS, TURN: relayed like RTCP, during a hold too (RFC 7675 wants it), and not counted.
    Companion,
    Udptl,
}

impl Class {
    #[inline]
    fn of(lane: &Lane, socket: Socket, bytes: &[u8]) -> Option<Class> {
        if lane.kind == Kind::Udptl {
            return (!socket.rtcp && !bytes.is_empty()).then_some(Class::Udptl);
        }
        if rtp::Family::of(bytes)? == rtp::Family::Companion {
            return Some(Class::Companion);
        }
        if socket.rtcp || (lane.mux && rtp::is_rtcp(bytes)) {
            return (rtp::is_rtcp(bytes) && bytes.len() >= 4).then_some(Class::Rtcp);
        }
        Header::read(bytes).map(Class::Rtp)
    }

    /// Whether such a datagram may latch: well-formed RTP, well-formed RTCP on a port of its own, udptl.
    fn proves(self, socket: Socket, bytes: &[u8]) -> bool {
        match self {
            Class::Rtp(_) => Header::parse(bytes).is_some(),
            Class::Rtcp => socket.rtcp && Packets::new(bytes).next().is_some(),
            Class::Companion => false,
            Class::Udptl => true,
        }
    }
}

impl Media {
    /// What becomes of a datagram; see the steps.
    #[inline]
    pub(crate) fn relay(&mut self, now: Time, from: Flow, bytes: &[u8], out: &mut Outbox) -> Fate {
        let Some(socket) = Socket::of(from.listener, self.config.first_listener) else {
            return Fate::Dropped(Drop::Idle);
        };
        let lane = self.lanes.find(socket.pair);
        let Some(lane) = lane.filter(|lane| !lane.is_idle()) else {
            return Fate::Dropped(Drop::Idle);
        };
        let partner = lane.partner;
        let Some(class) = Class::of(lane, socket, bytes) else {
            return Fate::Dropped(Drop::Malformed);
        };
        let admission = self.admit(now, socket, from, class, bytes);
        if admission == Admission::Stranger {
            self.lanes[socket.pair].strangers += 1;
            return Fate::Dropped(Drop::Stranger);
        }
        self.account(now, socket.pair, partner, class, bytes);
        let fate = if partner == socket.pair {
            self.echo(partner, class, bytes, out)
        } else {
            self.forward(partner, socket, class, bytes, out)
        };
        match admission {
            Admission::Moved => self.moved(fate),
            _ => fate,
        }
    }

    /// A packet that moved the stream is told as such; what else became of it is counted all the same.
    #[cold]
    fn moved(&mut self, fate: Fate) -> Fate {
        self.count(fate);
        Fate::Latched
    }

    #[inline]
    fn admit(
        &mut self,
        now: Time,
        socket: Socket,
        from: Flow,
        class: Class,
        bytes: &[u8],
    ) -> Admission {
        let pair = socket.pair;
        let proves = || class.proves(socket, bytes);
        if socket.rtcp {
            // RTCP follows its RTP: it may move to the host where that is, and to no other.
            let Some(address) = self.lanes[pair].latch.address() else {
                return Admission::Stranger;
            };
            let host = Some(address.ip());
            let party = &self.parties[pair];
            if party.rtcp.is_open() && party.sent_rtcp_before(now, from.remote) {
                return Admission::Known;
            }
            let party = &mut self.parties[pair];
            let admission = party.rtcp.admit(now, from.remote, host, proves);
            if admission == Admission::Stranger && party.returns_rtcp(now, from.remote) && proves()
            {
                party.rtcp.return_to(from.remote);
                return Admission::Moved;
            }
            return admission;
        }
        let latch = &mut self.lanes[pair].latch;
        if latch.is_open() && self.parties[pair].sent_before(now, from.remote) {
            return Admission::Known;
        }
        let mut admission = latch.admit(now, from.remote, None, proves);
        let party = &mut self.parties[pair];
        if admission == Admission::Stranger
            && party.returns(now, from.remote, latch.address())
            && proves()
        {
            // Whoever was faster, or a fork that lost, has had the stream until now.
            latch.return_to(from.remote);
            admission = Admission::Moved;
        }
        if admission == Admission::Moved {
            party.follow(now, self.config.latch_window);
        }
        admission
    }

    #[inline]
    fn account(&mut self, now: Time, pair: u32, partner: u32, class: Class, bytes: &[u8]) {
        let lane = &mut self.lanes[pair];
        lane.heard = now;
        match class {
            Class::Rtp(header) => {
                lane.count(bytes.len());
                if header.payload_type != lane.jitter.payload_type() {
                    let rate = self.parties[pair].hear(header.payload_type);
                    lane.jitter.set_payload_type(header.payload_type, rate);
                }
                lane.account(now, header);
            }
            Class::Udptl => lane.count(bytes.len()),
            Class::Rtcp => self.read_reports(now, pair, partner, bytes),
            Class::Companion => {}
        }
    }

    /// Reads the reports of a datagram in passing. What cannot be read tells nothing.
    fn read_reports(&mut self, now: Time, pair: u32, partner: u32, bytes: &[u8]) {
        self.parties[pair].rtcp_packets += 1;
        for packet in Packets::new(bytes).take(PACKETS_MAX) {
            match packet {
                Packet::SenderReport { info, blocks, .. } => {
                    self.note_report(now, pair, partner, info.ntp_middle());
                    self.read_blocks(now, pair, partner, blocks);
                }
                Packet::ReceiverReport { blocks, .. } => {
                    self.read_blocks(now, pair, partner, blocks);
                }
                _ => {}
            }
        }
    }

    fn note_report(&mut self, now: Time, pair: u32, partner: u32, ntp_middle: u32) {
        if pair == partner {
            self.echoes[pair].hear(now, ntp_middle);
        } else {
            self.parties[pair].passed.note(now, ntp_middle);
        }
    }

    fn read_blocks(&mut self, now: Time, pair: u32, partner: u32, blocks: Blocks<'_>) {
        for block in blocks {
            let (last, delay) = (block.last_sender_report, block.delay_since);
            // For an echo the partner is the end itself, and holds the reports that we sent.
            let passed = &self.parties[partner].passed;
            if let Some(trip) = passed.round_trip(now, last, delay) {
                self.parties[pair].round_trip = Some(trip);
            }
            let sender = self.lanes[partner].sequence.ssrc();
            if pair != partner && sender == Some(block.ssrc) {
                self.parties[partner].lost_beyond = block.lost.max(0).cast_unsigned();
            }
        }
    }

    /// Sends a datagram to the other end, if that takes such.
    #[inline]
    fn forward(
        &mut self,
        to: u32,
        by: Socket,
        class: Class,
        bytes: &[u8],
        out: &mut Outbox,
    ) -> Fate {
        let lane = &self.lanes[to];
        let (takes, control) = match class {
            Class::Rtp(_) | Class::Udptl => (lane.wants, false),
            Class::Rtcp => (lane.reachable, true),
            Class::Companion => (lane.reachable, by.rtcp),
        };
        let rtcp = control && !lane.mux;
        let address = if rtcp {
            self.parties[to].rtcp.address()
        } else {
            lane.latch.address()
        };
        let Some(remote) = address.filter(|_| takes) else {
            return Fate::Dropped(Drop::Nowhere);
        };
        let listener = Socket { pair: to, rtcp }.listener(self.config.first_listener);
        out.push_bytes(Flow { listener, remote }, bytes);
        self.sent(bytes)
    }

    #[inline]
    fn sent(&mut self, bytes: &[u8]) -> Fate {
        self.counters.relayed += 1;
        self.counters.relayed_bytes += bytes.len() as u64;
        Fate::Relayed
    }

    /// Sends RTP back to its sender under our own source, and takes RTCP in. Of the rest nothing is
    /// meant for an end that speaks plain RTP.
    fn echo(&mut self, pair: u32, class: Class, bytes: &[u8], out: &mut Outbox) -> Fate {
        let header = match class {
            Class::Rtp(header) => header,
            Class::Rtcp => return Fate::Consumed,
            Class::Companion | Class::Udptl => return Fate::Dropped(Drop::Nowhere),
        };
        let lane = &self.lanes[pair];
        let echo = &mut self.echoes[pair];
        if header.ssrc == echo.ssrc {
            echo.collide(&mut self.random);
            return Fate::Dropped(Drop::Malformed);
        }
        let Some(remote) = lane.latch.address().filter(|_| lane.wants) else {
            return Fate::Dropped(Drop::Nowhere);
        };
        let rtcp = false;
        let listener = Socket { pair, rtcp }.listener(self.config.first_listener);
        let flow = Flow { listener, remote };
        out.push(flow, |out| rtp::print_with_ssrc(out, bytes, echo.ssrc));
        echo.send(rtp::payload(bytes).map_or(0, <[u8]>::len));
        self.sent(bytes)
    }
}
