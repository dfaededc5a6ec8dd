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
}

impl Former {
    /// The address of a latch that is to move to `next`. For half of the window packets from there are
    /// late ones; in the other half they may tell that the end never moved.
    fn of(latch: &Latch, next: SocketAddr, now: Time, window: Duration) -> Option<Former> {
        let address = latch.address().filter(|address| !same(*address, next))?;
        let until = now + window / 2;
        Some(Former { address, until })
    }

    fn owns(&self, now: Time, from: SocketAddr) -> bool {
        now < self.until && same(self.address, from)
    }
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
    rates: SmallVec<[(u8, u32); RATES_MAX]>,
}

impl Party {
    pub(crate) fn new(latching: Latching) -> Party {
        Party {
            rtcp: Latch::new(latching),
            ..Party::default()
        }
    }

    /// What signalling says. `rtp` and `rtcp` are the addresses that can be sent to.
    pub(crate) fn signal(
        &mut self,
        now: Time,
        lane: &mut Lane,
        remote: &Remote,
        rtp: Option<SocketAddr>,
        rtcp: Option<SocketAddr>,
        window: Duration,
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
        window: Duration,
    ) {
        let Some(address) = rtp else { return };
        let moved = self.signalled != rtp;
        if moved {
            self.former = Former::of(&lane.latch, address, now, window);
            lane.latch.signal(now, address, window);
            self.signalled = rtp;
        } else {
            lane.latch.extend(now, window);
        }
        let later = window + RTCP_LATER;
        match rtcp {
            Some(address) if moved || self.signalled_rtcp != rtcp => {
                self.former_rtcp = Former::of(&self.rtcp, address, now, window);
                self.rtcp.signal(now, address, later);
                self.signalled_rtcp = rtcp;
            }
            Some(_) => self.rtcp.extend(now, later),
            None => {}
        }
    }

    /// Whether this is where signalling says its RTP comes from.
    pub(crate) fn is_signalled(&self, from: SocketAddr) -> bool {
        self.signalled.is_some_and(|address| same(address, from))
    }

    /// The same of RTCP with a port of its own.
    pub(crate) fn is_signalled_rtcp(&self, from: SocketAddr) -> bool {
        self.signalled_rtcp
            .is_some_and(|address| same(address, from))
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
        party.signal(Time::ZERO, &mut lane, &remote, None, None, Duration::ZERO);
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
