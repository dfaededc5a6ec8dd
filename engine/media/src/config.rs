//! What the media of a shard is told, and what it tells. Plain values only.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use smallvec::SmallVec;

/// The settings of one shard's media.
#[derive(Clone, Debug)]
pub struct Config {
    /// The ports, opened before the first call. Pair n is sockets 2n (RTP) and 2n + 1 (RTCP).
    pub pairs: Vec<PortPair>,
    /// Socket n of the media is [`stack::Flow::listener`] `first_listener` + n.
    pub first_listener: u16,
    /// How long after each answer a stream's first packets may move its address.
    pub latch_window: Duration,
    /// A stream that should carry packets and has none from either side for this long is reported
    /// silent. `None`: never.
    pub silence: Option<Duration>,
    /// Seed of SSRCs and of the choice of ports. Must not be guessable on a live system.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            pairs: Vec::new(),
            first_listener: 0,
            latch_window: Duration::from_secs(3),
            silence: None,
            seed: 0,
        }
    }
}

/// An even port for RTP and the next one for RTCP (RFC 3550 11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortPair {
    /// The address the two sockets are bound to.
    pub bound: IpAddr,
    /// The address peers are told in SDP.
    pub advertised: IpAddr,
    /// The RTP port; RTCP has the next.
    pub rtp_port: u16,
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Family {
        match address {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }

    /// The opposite family.
    pub fn other(self) -> Family {
        match self {
            Family::V4 => Family::V6,
            Family::V6 => Family::V4,
        }
    }
}

/// One end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// Towards the caller.
    Caller,
    /// Towards the callee.
    Callee,
}

impl End {
    /// The opposite end.
    pub fn other(self) -> End {
        match self {
            End::Caller => End::Callee,
            End::Callee => End::Caller,
        }
    }
}

/// How far a peer's packets may come from elsewhere than its SDP says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Latching {
    /// Not at all.
    Strict,
    /// The first packets within the window may move the stream anywhere (a peer behind NAT).
    #[default]
    Latch,
    /// They may move it to another port of the signalled host only.
    LatchSameHost,
}

/// Names a stream of this shard; stale once it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamId {
    /// Its slot.
    pub slot: u32,
    /// Which user of the slot.
    pub generation: u32,
}

/// What kind of packets a stream carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// RTP with RTCP beside it (or, once agreed, on the same port: RFC 5761).
    #[default]
    Rtp,
    /// T.38 over udptl: one port, no RTCP, no statistics but counts.
    Udptl,
}

/// How a stream is opened.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Whose stream it is: given back with every event.
    pub owner: u64,
    /// What it carries.
    pub kind: Kind,
    /// Family of the ports towards caller and callee.
    pub families: [Family; 2],
    /// Latching of caller and callee.
    pub latching: [Latching; 2],
}

/// Our ports towards one end, as SDP is to name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    /// The advertised address.
    pub address: IpAddr,
    /// RTP (or udptl) port.
    pub rtp_port: u16,
    /// RTCP port; `rtp_port` + 1.
    pub rtcp_port: u16,
}

/// What signalling says of one end of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remote {
    /// Where it wants RTP (or udptl). `None`: nowhere (0.0.0.0, port 0).
    pub rtp: Option<SocketAddr>,
    /// Where it wants RTCP. `None`: the port above `rtp`.
    pub rtcp: Option<SocketAddr>,
    /// Both ends have agreed on RTCP on the RTP port (RFC 5761).
    pub rtcp_mux: bool,
    /// It sends packets: sendrecv, sendonly.
    pub sends: bool,
    /// It wants packets: sendrecv, recvonly.
    pub receives: bool,
    /// RTP clock rate in Hz of each payload type it may send, for jitter and the codec's quality; the
    /// first 16 are kept. A type not named here has 8000.
    pub rates: SmallVec<[(u8, u32); 4]>,
}

/// What one end of a stream sent, and how it arrived here (RFC 3550 6.4.1, A.3, A.8).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reception {
    /// RTP (or udptl) packets received; strangers' are not among them.
    pub packets: u64,
    /// Their bytes, RTP headers included.
    pub bytes: u64,
    /// RTCP datagrams received.
    pub rtcp_packets: u64,
    /// Packets that never came, by sequence numbers.
    pub lost: u64,
    /// Packets that came after a later one.
    pub reordered: u64,
    /// Packets that came twice.
    pub duplicates: u64,
    /// Interarrival jitter at the end, in milliseconds (A.8).
    pub jitter_ms: f32,
    /// Greatest jitter seen, in milliseconds.
    pub jitter_ms_max: f32,
    /// Last round trip between this router and that end, in milliseconds: RTCP tells it when the other
    /// end (or, on an echo stream, this router) sends sender reports and that end answers them.
    pub round_trip_ms: Option<f32>,
    /// Packets dropped because they came from a stranger.
    pub strangers: u64,
    /// Estimate of the quality at the other end, 1 to 4.5 (E-model, ITU-T G.107). `None` when fewer than
    /// 50 packets came, or the codec is not known.
    pub mos: Option<f32>,
}

/// Both directions of a stream that was closed: what the caller sent, what the callee sent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// From the caller.
    pub from_caller: Reception,
    /// From the callee.
    pub from_callee: Reception,
}

/// What the media tells its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing came on this stream for the configured time, though something should.
    Silent {
        /// [`Terms::owner`].
        owner: u64,
        /// The stream.
        stream: StreamId,
    },
}

/// What became of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Sent on, or echoed.
    Relayed,
    /// Taken, and moved the stream to its sender; sent on as far as somebody wants it.
    Latched,
    /// Taken in: RTCP of an echo stream.
    Consumed,
    /// Dropped.
    Dropped(Drop),
}

/// Why a datagram was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drop {
    /// No stream uses this port.
    Idle,
    /// It came from elsewhere than the stream's peer.
    Stranger,
    /// The other end has no address, or wants nothing.
    Nowhere,
    /// Neither RTP, RTCP nor anything else that belongs on this port; or our own echo come back.
    Malformed,
}

/// What happened, as plain numbers since the start of the shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// RTP, RTCP and udptl datagrams received.
    pub received: u64,
    /// Sent on or echoed.
    pub relayed: u64,
    /// Bytes of those.
    pub relayed_bytes: u64,
    /// Taken in: RTCP of echo streams.
    pub consumed: u64,
    /// RTCP datagrams of our own.
    pub reports_sent: u64,
    /// Streams that moved to a sender.
    pub latched: u64,
    /// Dropped: no stream there.
    pub dropped_idle: u64,
    /// Dropped: from a stranger.
    pub dropped_stranger: u64,
    /// Dropped: nowhere to send to.
    pub dropped_nowhere: u64,
    /// Dropped: unreadable.
    pub dropped_malformed: u64,
    /// Streams opened.
    pub streams_opened: u64,
    /// Streams refused because no ports were free.
    pub ports_exhausted: u64,
    /// Streams reported silent.
    pub silent: u64,
    /// Streams at this moment.
    pub streams: u64,
    /// Port pairs in use at this moment.
    pub pairs_used: u64,
    /// Port pairs there are.
    pub pairs: u64,
}
