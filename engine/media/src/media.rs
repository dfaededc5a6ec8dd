//! The streams of one shard and the pool of their ports: opened, told what signalling says, closed. The way
//! of a datagram through them is in [`crate::relay`].

use std::collections::VecDeque;
use std::net::SocketAddr;

use stack::timer::Wheel;
use stack::{Flow, Outbox, Random, Time};

use crate::config::{Config, Counters, Drop, End, Event, Family, Fate, Kind, Latching, PortPair};
use crate::config::{Local, Remote, StreamId, Summary, Terms};
use crate::echo::Echo;
use crate::lane::{Lane, NONE};
use crate::latch::Latch;
use crate::party::{Party, reception};
use crate::per_pair::PerPair;
use crate::ports::{Ports, Socket};
use crate::silence::Silence;

/// Every stream of one shard.
///
/// Commands: `open`, `open_echo`, `set_remote`, `set_kind`, `set_latching`, `close`,
/// `reserve`, `give_back`, `change_family`. From outside: `receive`, `handle_timeout`. After
/// each, drain `poll_event` and look at `poll_timeout`.
///
/// Everything is found by the index of a port pair: a pair belongs to one end of one stream, and a stream
/// goes by the pair of its caller's end. All of it is made for the configured pairs at the start.
///
/// The one rule of sending: no RTP to an end without an address or that does not receive, no RTCP to an
/// end without an address, and nothing to an address that was neither signalled nor latched. What an
/// end sends although it said it would not is relayed as long as the other end receives: around a
/// re-INVITE such packets are in flight.
#[derive(Debug)]
pub struct Media {
    pub(crate) config: Config,
    pub(crate) counters: Counters,
    pub(crate) ports: Ports,
    pub(crate) lanes: PerPair<Lane>,
    pub(crate) parties: PerPair<Party>,
    pub(crate) streams: PerPair<Stream>,
    pub(crate) echoes: PerPair<Echo>,
    /// When echo streams report.
    reports: Wheel<u32>,
    pub(crate) silence: Silence,
    pub(crate) random: Random,
    /// Last reports of closed echo streams, sent at the next `handle_timeout`, and since when they wait.
    farewells: Outbox,
    farewell_due: Option<Time>,
    events: VecDeque<Event>,
}

/// A stream, at the index of its caller's pair.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stream {
    generation: u32,
    /// The callee's pair; the caller's own for an echo.
    pub(crate) callee: u32,
    open: bool,
}

impl Media {
    /// Media without streams; all ports free. Sockets beyond the numbers a listener can have are not
    /// used.
    pub fn new(mut config: Config, now: Time) -> Media {
        let sockets = usize::from(u16::MAX - config.first_listener) + 1;
        config.pairs.truncate(sockets / 2);
        let count = config.pairs.len();
        let mut random = Random::new(config.seed);
        let ports = Ports::new(&config.pairs, Random::new(random.next_u64()));
        Media {
            ports,
            lanes: PerPair::new(count, Lane::idle),
            parties: PerPair::new(count, Party::default),
            streams: PerPair::new(count, Stream::default),
            echoes: PerPair::new(count, Echo::default),
            reports: Wheel::new(now),
            silence: Silence::new(now, config.silence, count),
            random,
            farewells: Outbox::new(),
            farewell_due: None,
            events: VecDeque::with_capacity(count),
            counters: Counters::default(),
            config,
        }
    }

    /// What has been counted.
    pub fn counters(&self) -> Counters {
        Counters {
            pairs: self.config.pairs.len() as u64,
            pairs_used: self.ports.used() as u64,
            ..self.counters
        }
    }

    /// [`Counters::relayed`], without the rest.
    pub fn relayed(&self) -> u64 {
        self.counters.relayed
    }

    /// No stream is open and nothing waits to be sent.
    pub fn is_idle(&self) -> bool {
        self.counters.streams == 0 && self.farewell_due.is_none()
    }

    /// Whether there is a port of this family at all, free or not.
    pub fn serves(&self, family: Family) -> bool {
        self.ports.serves(family)
    }

    /// Opens a stream between the two parties; `None` when a family has no free pair.
    pub fn open(&mut self, terms: Terms) -> Option<StreamId> {
        let [caller_family, callee_family] = terms.families;
        let caller = self.take(caller_family)?;
        let Some(callee) = self.take(callee_family) else {
            self.ports.put_back(caller_family, caller);
            return None;
        };
        let [caller_latching, callee_latching] = terms.latching;
        self.install(caller, callee, terms.kind, caller_latching);
        self.install(callee, caller, terms.kind, callee_latching);
        Some(self.begin(terms.owner, caller, callee))
    }

    /// Opens a stream whose packets go back to their sender; it has only a caller's end. RTCP reports of
    /// our own are sent on it.
    pub fn open_echo(
        &mut self,
        now: Time,
        owner: u64,
        family: Family,
        latching: Latching,
    ) -> Option<StreamId> {
        let pair = self.take(family)?;
        self.install(pair, pair, Kind::Rtp, latching);
        self.echoes[pair] = Echo::new(&mut self.random);
        self.plan_report(now, pair);
        Some(self.begin(owner, pair, pair))
    }

    pub(crate) fn take(&mut self, family: Family) -> Option<u32> {
        let pair = self.ports.take(family);
        self.counters.ports_exhausted += u64::from(pair.is_none());
        pair
    }

    fn install(&mut self, pair: u32, partner: u32, kind: Kind, latching: Latching) {
        self.lanes[pair] = Lane::new(partner, kind, Latch::new(latching));
        self.parties[pair] = Party::new(latching);
    }

    fn begin(&mut self, owner: u64, caller: u32, callee: u32) -> StreamId {
        self.counters.streams += 1;
        self.counters.streams_opened += 1;
        self.enlist(owner, caller, callee)
    }

    pub(crate) fn enlist(&mut self, owner: u64, caller: u32, callee: u32) -> StreamId {
        self.silence.join(caller, owner);
        let stream = &mut self.streams[caller];
        *stream = Stream {
            generation: stream.generation,
            callee,
            open: true,
        };
        StreamId {
            slot: caller,
            generation: stream.generation,
        }
    }

    fn find(&self, id: StreamId) -> Option<Stream> {
        let stream = *self.streams.find(id.slot)?;
        (stream.open && stream.generation == id.generation).then_some(stream)
    }

    /// The pair of an end; an echo has none for the callee.
    pub(crate) fn pair(&self, id: StreamId, end: End) -> Option<u32> {
        let stream = self.find(id)?;
        match end {
            End::Caller => Some(id.slot),
            End::Callee => Some(stream.callee).filter(|callee| *callee != id.slot),
        }
    }

    /// Our ports towards this end; `None` for a stale id, and for the callee's end of an echo.
    pub fn local(&self, stream: StreamId, end: End) -> Option<Local> {
        let pair = self.config.pairs.get(self.pair(stream, end)? as usize)?;
        Some(Local {
            address: pair.advertised,
            rtp_port: pair.rtp_port,
            rtcp_port: pair.rtp_port.wrapping_add(1),
        })
    }

    /// What signalling says of this end. A new address, or the first one, unlatches it and opens the
    /// latch window anew; packets that still come from the former one move nothing in its first half.
    /// Before the other end has an address nothing latches: nobody was told where to send to, so
    /// whoever does has guessed.
    /// The same address again changes no latch, not even after a hold by 0.0.0.0 in
    /// between, for a session refresh must not let a stranger in; but an end that has not sent anything
    /// yet has the whole window again, for its phone may have rung for long. A new address that the
    /// stream had latched to already opens no window either.
    ///
    /// An address of the wrong family, of many hosts, of no port, or of this stream's own ports (which
    /// would be a loop) counts as none.
    pub fn set_remote(&mut self, now: Time, stream: StreamId, end: End, remote: &Remote) {
        let Some(pair) = self.pair(stream, end) else {
            return;
        };
        let usable = |address: &SocketAddr| self.is_usable(pair, *address);
        let rtp = remote.rtp.filter(usable);
        let rtcp = remote.rtcp.or(rtp.and_then(above)).filter(usable);
        let partner = self.lanes[pair].partner;
        let answered = partner == pair || self.parties[partner].is_signalled();
        let window = answered.then_some(self.config.latch_window);
        let lane = &mut self.lanes[pair];
        self.parties[pair].signal(now, lane, remote, rtp, rtcp, window);
        if partner != pair && self.parties[pair].is_signalled() {
            let lane = &mut self.lanes[partner];
            self.parties[partner].listen(now, lane, self.config.latch_window);
        }
        self.expect_packets(now, stream.slot);
    }

    /// The call is answered: silence counts from now, and an end that was silent until now begins to be
    /// heard, wherever it is.
    pub fn listen_anew(&mut self, now: Time, stream: StreamId) {
        let Some(Stream { callee, .. }) = self.find(stream) else {
            return;
        };
        for (pair, partner) in [(stream.slot, callee), (callee, stream.slot)] {
            if self.parties[partner].is_signalled() {
                let lane = &mut self.lanes[pair];
                self.parties[pair].listen(now, lane, self.config.latch_window);
            }
        }
        self.silence.expect(now, stream.slot, false);
        self.expect_packets(now, stream.slot);
    }

    fn is_usable(&self, pair: u32, address: SocketAddr) -> bool {
        let Some(ours) = self.config.pairs.get(pair as usize) else {
            return false;
        };
        let partner = self.lanes[pair].partner;
        let theirs = self.config.pairs.get(partner as usize).unwrap_or(ours);
        let ip = address.ip();
        let one_host = !ip.is_unspecified() && !ip.is_multicast() && !is_broadcast(address);
        let family = Family::of(ip) == Family::of(ours.bound);
        one_host && family && address.port() != 0 && !owns(ours, address) && !owns(theirs, address)
    }

    /// Tells the watch over silence whether the stream should carry packets.
    pub(crate) fn expect_packets(&mut self, now: Time, slot: u32) {
        let callee = self.streams[slot].callee;
        let expected = if callee == slot {
            self.parties[slot].sends && self.lanes[slot].reachable
        } else {
            self.carries(slot, callee) || self.carries(callee, slot)
        };
        self.silence.expect(now, slot, expected);
    }

    fn carries(&self, from: u32, to: u32) -> bool {
        let known = self.lanes[from].latch.address().is_some();
        known && self.parties[from].sends && self.lanes[to].wants
    }

    /// What became of a stream so far. The callee of an echo is this router: it sent nothing.
    pub fn summary(&self, stream: StreamId) -> Option<Summary> {
        let callee = self.find(stream)?.callee;
        let caller = stream.slot;
        let (lane, party) = (&self.lanes[caller], &self.parties[caller]);
        if callee == caller {
            return Some(Summary {
                from_caller: reception(lane, party, &Party::default()),
                ..Summary::default()
            });
        }
        let (other_lane, other) = (&self.lanes[callee], &self.parties[callee]);
        Some(Summary {
            from_caller: reception(lane, party, other),
            from_callee: reception(other_lane, other, party),
        })
    }

    /// Ends a stream; its ports are free again. An echo says BYE at the next
    /// [`Media::handle_timeout`], which is due at once.
    pub fn close(&mut self, now: Time, stream: StreamId) -> Option<Summary> {
        let summary = self.summary(stream)?;
        let callee = self.find(stream)?.callee;
        if callee == stream.slot {
            self.say_goodbye(now, callee);
        } else {
            self.free(callee);
        }
        self.free(stream.slot);
        self.retire(stream.slot);
        self.counters.streams -= 1;
        Some(summary)
    }

    /// No stream goes by this slot any more.
    pub(crate) fn retire(&mut self, slot: u32) {
        self.silence.leave(slot);
        let entry = &mut self.streams[slot];
        entry.open = false;
        entry.generation = entry.generation.wrapping_add(1);
    }

    pub(crate) fn free(&mut self, pair: u32) {
        let family = self.family_of(pair);
        self.lanes[pair].partner = NONE;
        self.ports.release(family, pair);
    }

    fn say_goodbye(&mut self, now: Time, pair: u32) {
        if let Some(timer) = self.echoes[pair].timer.take() {
            self.reports.cancel(timer);
        }
        let echo = &mut self.echoes[pair];
        let (lane, party) = (&self.lanes[pair], &mut self.parties[pair]);
        if !echo.has_spoken() {
            return;
        }
        if let Some(flow) = report_flow(&self.config, pair, lane, party) {
            let passed = &mut party.passed;
            self.farewells
                .push(flow, |out| echo.farewell(now, lane, passed, out));
            self.farewell_due = self.farewell_due.or(Some(now));
        }
    }

    /// Changes what a stream carries (an audio stream that becomes T.38 keeps its port).
    pub fn set_kind(&mut self, stream: StreamId, kind: Kind) {
        for end in [End::Caller, End::Callee] {
            if let Some(pair) = self.pair(stream, end) {
                self.lanes[pair].kind = kind;
            }
        }
    }

    /// Changes how far this end's packets may come from elsewhere. What is latched stays so, a closed
    /// window stays closed; [`Latching::Strict`] closes an open one.
    pub fn set_latching(&mut self, stream: StreamId, end: End, latching: Latching) {
        if let Some(pair) = self.pair(stream, end) {
            self.lanes[pair].latch.set_rule(latching);
            self.parties[pair].rtcp.set_rule(latching);
        }
    }

    /// A datagram came in on a media socket.
    pub fn receive(&mut self, now: Time, from: Flow, bytes: &[u8], out: &mut Outbox) -> Fate {
        self.counters.received += 1;
        let fate = self.relay(now, from, bytes, out);
        self.count(fate);
        fate
    }

    #[inline]
    pub(crate) fn count(&mut self, fate: Fate) {
        let counters = &mut self.counters;
        match fate {
            Fate::Relayed => {}
            Fate::Latched => counters.latched += 1,
            Fate::Consumed => counters.consumed += 1,
            Fate::Dropped(Drop::Idle) => counters.dropped_idle += 1,
            Fate::Dropped(Drop::Stranger) => counters.dropped_stranger += 1,
            Fate::Dropped(Drop::Nowhere) => counters.dropped_nowhere += 1,
            Fate::Dropped(Drop::Malformed) => counters.dropped_malformed += 1,
        }
    }

    /// When to call [`Media::handle_timeout`] at the latest.
    pub fn poll_timeout(&self) -> Option<Time> {
        let timers = [self.reports.next_deadline(), self.silence.next_deadline()];
        timers.into_iter().flatten().chain(self.farewell_due).min()
    }

    /// Sends the reports that are due and looks for silent streams.
    pub fn handle_timeout(&mut self, now: Time, out: &mut Outbox) {
        self.send_farewells(out);
        while let Some((_, pair)) = self.reports.expire(now) {
            self.report(now, pair, out);
            self.plan_report(now, pair);
        }
        self.look_for_silence(now);
    }

    fn send_farewells(&mut self, out: &mut Outbox) {
        if self.farewell_due.take().is_some() {
            for (flow, bytes) in self.farewells.iter() {
                self.counters.reports_sent += 1;
                out.push_bytes(flow, bytes);
            }
            self.farewells.clear();
        }
    }

    fn report(&mut self, now: Time, pair: u32, out: &mut Outbox) {
        let echo = &mut self.echoes[pair];
        let (lane, party) = (&self.lanes[pair], &mut self.parties[pair]);
        if let Some(flow) = report_flow(&self.config, pair, lane, party) {
            out.push(flow, |bytes| {
                echo.report(now, lane, &mut party.passed, bytes)
            });
            self.counters.reports_sent += 1;
        }
    }

    fn plan_report(&mut self, now: Time, pair: u32) {
        let echo = &mut self.echoes[pair];
        let due = now + echo.interval(&mut self.random);
        self.reports.pass(now);
        echo.timer = Some(self.reports.arm(due, pair));
    }

    fn look_for_silence(&mut self, now: Time) {
        let (lanes, streams) = (&self.lanes, &self.streams);
        let heard = |slot: u32| {
            let callee = streams[slot].callee;
            lanes[slot].heard.max(lanes[callee].heard)
        };
        while let Some((owner, slot)) = self.silence.expire(now, heard) {
            self.counters.silent += 1;
            let generation = streams[slot].generation;
            let stream = StreamId { slot, generation };
            self.events.push_back(Event::Silent { owner, stream });
        }
    }

    /// The next thing its user must know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

/// Where RTCP of our own goes on an echo stream.
fn report_flow(config: &Config, pair: u32, lane: &Lane, party: &Party) -> Option<Flow> {
    let remote = if lane.mux {
        lane.latch.address()
    } else {
        party.rtcp.address()
    };
    let rtcp = !lane.mux;
    Some(Flow {
        listener: Socket { pair, rtcp }.listener(config.first_listener),
        remote: remote.filter(|_| lane.reachable)?,
    })
}

/// RFC 3550 11: RTCP is on the next port unless it is said where.
fn above(mut address: SocketAddr) -> Option<SocketAddr> {
    address.set_port(address.port().checked_add(1)?);
    Some(address)
}

fn is_broadcast(address: SocketAddr) -> bool {
    matches!(address, SocketAddr::V4(address) if address.ip().is_broadcast())
}

fn owns(pair: &PortPair, address: SocketAddr) -> bool {
    let host = [pair.bound, pair.advertised].contains(&address.ip());
    host && address.port() | 1 == pair.rtp_port | 1
}
