//! One end of a stream as every packet touches it: whether and where it takes packets, where they may
//! come from, what was counted. What is seldom needed lies in [`crate::party`].

use stack::Time;
use wire::rtp::Header;

use crate::config::Kind;
use crate::latch::Latch;
use crate::reception::{Arrival, Jitter, Sequence};

/// No pair.
pub(crate) const NONE: u32 = u32::MAX;

/// A pair of ports in use. The lane a packet leaves by is read in its first line only.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Lane {
    /// The pair of the other end, its own for an echo, [`NONE`] when the pair is idle.
    pub(crate) partner: u32,
    pub(crate) kind: Kind,
    /// RTCP goes to it on the RTP port.
    pub(crate) mux: bool,
    /// It takes RTP: it has an address and receives.
    pub(crate) wants: bool,
    /// It takes RTCP: it has an address.
    pub(crate) reachable: bool,
    /// Where RTP comes from and goes to.
    pub(crate) latch: Latch,
    /// When a packet came last.
    pub(crate) heard: Time,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) sequence: Sequence,
    pub(crate) jitter: Jitter,
    pub(crate) strangers: u64,
}

impl Lane {
    /// A lane in use; `partner` is [`NONE`] for an idle one.
    pub(crate) fn new(partner: u32, kind: Kind, latch: Latch) -> Lane {
        Lane {
            partner,
            kind,
            mux: false,
            wants: false,
            reachable: false,
            latch,
            heard: Time::ZERO,
            packets: 0,
            bytes: 0,
            sequence: Sequence::default(),
            jitter: Jitter::default(),
            strangers: 0,
        }
    }

    /// A lane that no stream uses.
    pub(crate) fn idle() -> Lane {
        Lane::new(NONE, Kind::Rtp, Latch::default())
    }

    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.partner == NONE
    }

    /// A datagram of RTP or udptl came.
    #[inline]
    pub(crate) fn count(&mut self, len: usize) {
        self.packets += 1;
        self.bytes += len as u64;
    }

    /// What the header of an RTP packet tells of its way.
    #[inline]
    pub(crate) fn account(&mut self, now: Time, header: Header) {
        if self.sequence.ssrc() != Some(header.ssrc) {
            self.jitter.restart();
        }
        let arrival = self.sequence.receive(header.ssrc, header.sequence);
        if matches!(arrival, Arrival::Next | Arrival::Late) {
            self.jitter.receive(now, header.timestamp);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_leaving_packet_reads_lies_in_the_first_line() {
        assert!(std::mem::offset_of!(Lane, latch) + size_of::<Latch>() <= 64);
        assert!(size_of::<Lane>() <= 192, "{}", size_of::<Lane>());
    }
}
