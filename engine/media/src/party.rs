//! One end of a stream as signalling and RTCP see it: what was said of it, its RTCP address, what reports
//! told. No packet of RTP needs any of this, but the first of a payload type.

use std::net::SocketAddr;
use std::time::Duration;

use smallvec::SmallVec;
use stack::Time;

use crate::config::{Latching, Reception, Remote};
use crate::lane::Lane;
use crate::latch::{Latch, same};
use crate::quality::{self, Codec, Path};
use crate::round_trip::Passed;

/// Rates kept of one end; more payload types than this do not come in one offer.
const RATES_MAX: usize = 16;

/// RTCP comes later than RTP: by RFC 3550 6.2 and A.7 up to 7.5 s / 1.21828 after the first report
/// interval began. Its window is longer by this.
const RTCP_LATER: Duration = Duration::from_secs(7);

/// Where an end's packets came from before signalling moved it. Some are still on their way.
#[derive(Clone, Copy, Debug)]
struct Former {
    address: SocketAddr,
    until: Time,
    /// Until when it may have gone on from there, not having heard that its move was answered.
    unaware_until: Time,
}

/// How long an answer may be on its way: its sender repeats it for 64*T1 (RFC 3261 13.3.1.4).
const ANSWER_LATEST: Duration = Duration::from_secs(32);

impl Former {
    /// The address of a latch that is to move to `next`. For half of the window packets from there are
    /// late ones; in the other half they may tell that the end never moved.
    fn of(latch: &Latch, next: SocketAddr, now: Time, window: Duration) -> Option<Former> {
        let address = latch.address().filter(|address| !same(*address, next))?;
        Some(Former {
            address,
            until: now + window / 2,
            unaware_until: now + ANSWER_LATEST,
        })
    }

    fn owns(&self, now: Time, from: SocketAddr) -> bool {
        now < self.until && same(self.address, from)
    }
}

/// Whether an end that was told to move is still where it was.
fn is_former(former: Option<Former>, now: Time, current: Option<SocketAddr>) -> bool {
    let still = |former: Former| current.is_some_and(|address| same(former.address, address));
    former.is_some_and(|former| now < former.unaware_until && still(former))
}

/// What is seldom touched of one end.
#[derive(Debug, Default)]
pub(crate) struct Party {
    /// The last address signalled for RTP; a hold by 0.0.0.0 does not end it.
    signalled: Option<SocketAddr>,
    signalled_rtcp: Option<SocketAddr>,
    /// Where RTCP comes from and goes to when it has a port of its own.
    pub(crate) rtcp: Latch,
    pub(crate) sends: bool,
    pub(crate) rtcp_packets: u64,
    /// Its sender reports that passed.
    pub(crate) passed: Passed,
    /// Between this router and it.
    pub(crate) round_trip: Option<Duration>,
    /// Packets the other end says it lost of those from here.
    pub(crate) lost_beyond: u32,
    codec: Option<Codec>,
    former: Option<Former>,
    former_rtcp: Option<Former>,
    /// The end of the window in which it may still show that it is where signalling says.
    returns_until: Time,
    rates: SmallVec<[(u8, u32); RATES_MAX]>,
}

impl Party {
    pub(crate) fn new(latching: Latching) -> Party {
        Party {
            rtcp: Latch::new(latching),
            ..Party::default()
        }
    }

    /// What signalling says. `rtp` and `rtcp` are the addresses that can be sent to; no `window` opens
    /// before there is somebody to talk to.
    pub(crate) fn signal(
        &mut self,
        now: Time,
        lane: &mut Lane,
        remote: &Remote,
        rtp: Option<SocketAddr>,
        rtcp: Option<SocketAddr>,
        window: Option<Duration>,
    ) {
        lane.mux = remote.rtcp_mux;
        lane.reachable = rtp.is_some();
        lane.wants = rtp.is_some() && remote.receives;
        self.sends = remote.sends;
        self.rates.clear();
        self.rates
            .extend(remote.rates.iter().copied().take(RATES_MAX));
        self.move_to(now, lane, rtp, rtcp, window);
    }

    /// It has no address any more, until one is signalled.
    pub(crate) fn forget_address(&mut self, lane: &mut Lane) {
        lane.reachable = false;
        lane.wants = false;
        lane.latch = lane.latch.anew();
        self.rtcp = self.rtcp.anew();
        self.signalled = None;
        self.signalled_rtcp = None;
        self.former = None;
        self.former_rtcp = None;
    }

    fn move_to(
        &mut self,
        now: Time,
        lane: &mut Lane,
        rtp: Option<SocketAddr>,
        rtcp: Option<SocketAddr>,
        window: Option<Duration>,
    ) {
        let Some(address) = rtp else { return };
        let later = window.map_or(Duration::ZERO, |window| window + RTCP_LATER);
        let window = window.unwrap_or_default();
        let moved = self.signalled != rtp;
        if moved {
            self.former = Former::of(&lane.latch, address, now, window);
            lane.latch.signal(now, address, window);
            self.signalled = rtp;
        }
        if let Some(address) = rtcp
            && (moved || self.signalled_rtcp != rtcp)
        {
            self.former_rtcp = Former::of(&self.rtcp, address, now, window);
            self.rtcp.signal(now, address, later);
            self.signalled_rtcp = rtcp;
        }
        if !window.is_zero() {
            self.listen(now, lane, window);
        }
    }

    /// The other end has an address: an end that has not sent anything yet has the whole window again,
    /// and one whose stream somebody else has may show that it is where signalling says.
    pub(crate) fn listen(&mut self, now: Time, lane: &mut Lane, window: Duration) {
        lane.latch.extend(now, window);
        self.returns_until = now + window;
        self.rtcp.extend(now, window + RTCP_LATER);
    }

    /// Whether signalling has named an address.
    pub(crate) fn is_signalled(&self) -> bool {
        self.signalled.is_some()
    }

    /// Whether this is where signalling says its RTP comes from, and may have its stream back from
    /// `current`: within the window, beyond which the private address of somebody behind NAT would be one
    /// that anybody can forge; or from where this end was before it moved.
    pub(crate) fn returns(&self, now: Time, from: SocketAddr, current: Option<SocketAddr>) -> bool {
        let signalled = self.signalled.is_some_and(|address| same(address, from));
        signalled && (now < self.returns_until || is_former(self.former, now, current))
    }

    /// The same of RTCP with a port of its own.
    pub(crate) fn returns_rtcp(&self, now: Time, from: SocketAddr) -> bool {
        let signalled = self
            .signalled_rtcp
            .is_some_and(|address| same(address, from));
        let current = self.rtcp.address();
        signalled
            && (now < self.returns_until + RTCP_LATER || is_former(self.former_rtcp, now, current))
    }

    /// Whether a packet was on its way when signalling moved this end.
    pub(crate) fn sent_before(&self, now: Time, from: SocketAddr) -> bool {
        self.former.is_some_and(|former| former.owns(now, from))
    }

    /// The same of RTCP with a port of its own.
    pub(crate) fn sent_rtcp_before(&self, now: Time, from: SocketAddr) -> bool {
        self.former_rtcp
            .is_some_and(|former| former.owns(now, from))
    }

    /// Its RTP latched: RTCP may follow to that host for as long as a first report takes.
    pub(crate) fn follow(&mut self, now: Time, window: Duration) {
        self.rtcp.extend(now, window + RTCP_LATER);
    }

    /// Clock rate of a payload type: as signalled, or 8000, which PCMU, PCMA, G722 and G729 have (RFC 3551
    /// 6).
    pub(crate) fn rate(&self, payload_type: u8) -> u32 {
        let named = self.rates.iter().find(|(named, _)| *named == payload_type);
        match named {
            Some((_, rate)) if *rate > 0 => *rate,
            _ => 8000,
        }
    }

    /// Its packets are of another payload type. One without a voice, such as telephone-event, does not
    /// change what the stream is taken to be.
    pub(crate) fn hear(&mut self, payload_type: u8) -> u32 {
        let rate = self.rate(payload_type);
        self.codec = Codec::of(payload_type, rate).or(self.codec);
        rate
    }

    fn trip_ms(&self) -> f32 {
        self.round_trip
            .map_or(0.0, |trip| trip.as_secs_f32() * 1000.0)
    }
}

/// What an end sent and how it arrived; `other` is who listens to it.
pub(crate) fn reception(lane: &Lane, party: &Party, other: &Party) -> Reception {
    Reception {
        packets: lane.packets,
        bytes: lane.bytes,
        rtcp_packets: party.rtcp_packets,
        lost: lane.sequence.lost().into(),
        reordered: lane.sequence.reordered().into(),
        duplicates: lane.sequence.duplicates().into(),
        jitter_ms: lane.jitter.millis(),
        jitter_ms_max: lane.jitter.greatest_millis(),
        round_trip_ms: party.round_trip.map(|_| party.trip_ms()),
        strangers: lane.strangers,
        mos: opinion(lane, party, other),
    }
}

fn opinion(lane: &Lane, party: &Party, other: &Party) -> Option<f32> {
    if lane.packets < quality::PACKETS_MIN {
        return None;
    }
    // What the listener says it lost includes what was lost on the way to here.
    let lost = lane.sequence.lost().max(party.lost_beyond);
    let expected = lane.packets + u64::from(lane.sequence.lost());
    let path = Path {
        loss: lost as f32 / expected as f32,
        network_ms: (party.trip_ms() + other.trip_ms()) / 2.0,
        jitter_ms: lane.jitter.millis(),
    };
    Some(quality::opinion(party.codec?, path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use smallvec::smallvec;

    #[test]
    fn rates_are_those_signalled_or_8000() {
        let mut party = Party::new(Latching::Latch);
        let remote = Remote {
            rates: smallvec![(111, 48_000), (96, 0)],
            ..Remote::default()
        };
        let mut lane = Lane::idle();
        party.signal(Time::ZERO, &mut lane, &remote, None, None, None);
        assert_eq!(
            [111, 96, 0].map(|kind| party.rate(kind)),
            [48_000, 8000, 8000]
        );
    }

    #[test]
    fn an_event_does_not_change_the_codec() {
        let mut party = Party::new(Latching::Latch);
        party.hear(18);
        party.hear(101);
        assert_eq!(party.codec, Codec::of(18, 8000));
    }
}
