//! The router as an end of its own: what it sends back, and the RTCP it owes for it (RFC 3550 6). When a
//! report is due is computed here; where it goes is known to the stream.

use std::time::Duration;

use stack::timer::TimerKey;
use stack::{Random, Time};
use wire::rtcp::{self, ReportBlock, SenderInfo};

use crate::lane::Lane;
use crate::round_trip::{Passed, ntp, units};

/// Bytes of a CNAME: 96 random bits in hexadecimal, made anew for each stream (RFC 7022 4.2, a
/// short-term name that does not tell who we are).
const CNAME: usize = 24;

/// RFC 3550 6.2: the least interval between reports. Two members who report every 5 s stay far below 5 %
/// of the bandwidth of any voice codec, so that the interval is always this.
const INTERVAL: Duration = Duration::from_secs(5);

/// RFC 3550 A.7: e - 3/2, which makes up for timer reconsideration.
const COMPENSATION: f64 = 1.218_28;

/// What the router sends on an echo stream.
#[derive(Debug, Default)]
pub(crate) struct Echo {
    /// Our source. RFC 3550 8.2: the sender's own, come back, would be a collision to it.
    pub(crate) ssrc: u32,
    cname: [u8; CNAME],
    packets: u32,
    octets: u32,
    /// `packets` at the last report and at the one before.
    told: [u32; 2],
    reports: u32,
    expected_before: u32,
    received_before: u32,
    /// The sender's last report: the middle of its clock, and when it came.
    heard: Option<(u32, Time)>,
    pub(crate) timer: Option<TimerKey>,
}

impl Echo {
    pub(crate) fn new(random: &mut Random) -> Echo {
        let mut echo = Echo {
            ssrc: random.next_u64() as u32,
            ..Echo::default()
        };
        let mut bits = u128::from(random.next_u64()) << 64 | u128::from(random.next_u64());
        for digit in &mut echo.cname {
            *digit = match (bits & 15) as u8 {
                value @ 0..=9 => b'0' + value,
                value => b'a' - 10 + value,
            };
            bits >>= 4;
        }
        echo
    }

    /// A packet goes back. `octets` are those of its payload.
    pub(crate) fn send(&mut self, octets: usize) {
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(octets as u32);
    }

    /// RFC 3550 8.2: the sender has our source. We take another.
    pub(crate) fn collide(&mut self, random: &mut Random) {
        self.ssrc = random.next_u64() as u32;
        self.packets = 0;
        self.octets = 0;
        self.told = [0; 2];
    }

    /// A sender report came.
    pub(crate) fn hear(&mut self, now: Time, ntp_middle: u32) {
        self.heard = Some((ntp_middle, now));
    }

    /// Anything was sent as this source, which a BYE must end (RFC 3550 6.3.7).
    pub(crate) fn has_spoken(&self) -> bool {
        self.packets > 0 || self.reports > 0
    }

    /// Prints the report that is due: SR or RR, and SDES.
    pub(crate) fn report(
        &mut self,
        now: Time,
        lane: &Lane,
        passed: &mut Passed,
        out: &mut Vec<u8>,
    ) {
        let block = self.block(now, lane);
        let blocks = block.as_slice();
        // RFC 3550 6.4: an SR when something was sent since the report before the last.
        let [last, before_last] = self.told;
        if self.packets == before_last {
            rtcp::receiver_report(out, self.ssrc, blocks);
        } else {
            let info = self.info(now, lane);
            passed.note(now, info.ntp_middle());
            rtcp::sender_report(out, self.ssrc, &info, blocks);
        }
        rtcp::source_description(out, self.ssrc, &self.cname);
        self.told = [self.packets, last];
        self.reports = self.reports.wrapping_add(1);
    }

    /// Prints the last words: a report, SDES and BYE (RFC 3550 6.6).
    pub(crate) fn farewell(
        &mut self,
        now: Time,
        lane: &Lane,
        passed: &mut Passed,
        out: &mut Vec<u8>,
    ) {
        self.report(now, lane, passed, out);
        rtcp::goodbye(out, self.ssrc, b"");
    }

    fn info(&self, now: Time, lane: &Lane) -> SenderInfo {
        SenderInfo {
            ntp: ntp(now),
            rtp_timestamp: lane.jitter.timestamp_at(now),
            packets: self.packets,
            octets: self.octets,
        }
    }

    /// How we receive the sender; `None` before its first packet.
    fn block(&mut self, now: Time, lane: &Lane) -> Option<ReportBlock> {
        let sequence = &lane.sequence;
        let ssrc = sequence.ssrc()?;
        let (expected, received) = (sequence.expected(), sequence.received());
        let fraction_lost = fraction(
            expected.wrapping_sub(self.expected_before),
            received.wrapping_sub(self.received_before),
        );
        self.expected_before = expected;
        self.received_before = received;
        let (last_sender_report, delay_since) = match self.heard {
            Some((middle, at)) => (middle, units(now.duration_since(at))),
            None => (0, 0),
        };
        Some(ReportBlock {
            ssrc,
            fraction_lost,
            lost: expected.wrapping_sub(received).cast_signed(),
            highest_sequence: sequence.highest(),
            jitter: lane.jitter.units(),
            last_sender_report,
            delay_since,
        })
    }

    /// How long until the next report (RFC 3550 6.3.1, A.7): half as long before the first, and spread
    /// over half to one and a half so that reports of many do not meet.
    pub(crate) fn interval(&self, random: &mut Random) -> Duration {
        let least = if self.reports == 0 {
            INTERVAL / 2
        } else {
            INTERVAL
        };
        let spread = 0.5 + random.next_u64() as f64 / u64::MAX as f64;
        least.mul_f64(spread / COMPENSATION)
    }
}

/// A.3: packets lost of those expected since the last report, in 1/256. A new start of the sender in
/// between leaves differences that mean nothing; they count as none.
fn fraction(expected: u32, received: u32) -> u8 {
    let (expected, received) = (expected.cast_signed(), received.cast_signed());
    let lost = expected.saturating_sub(received);
    if expected <= 0 || received < 0 || lost <= 0 {
        return 0;
    }
    let fraction = (i64::from(lost) << 8) / i64::from(expected);
    u8::try_from(fraction).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fraction_is_of_the_interval() {
        for (expected, received, told) in [
            (100, 100, 0),
            (100, 75, 64),
            (100, 110, 0),
            (0, 0, 0),
            (100, 0, 255),
            (u32::MAX - 5, 3, 0),
        ] {
            assert_eq!(fraction(expected, received), told, "{expected} {received}");
        }
    }

    #[test]
    fn intervals_are_spread_around_the_least() {
        let mut random = Random::new(1);
        let mut echo = Echo::new(&mut random);
        let bounds = |least: f64| least * 0.5 / COMPENSATION..=least * 1.5 / COMPENSATION;
        for (reports, least) in [(0, 2.5), (1, 5.0)] {
            echo.reports = reports;
            let seconds: Vec<_> = (0..100)
                .map(|_| echo.interval(&mut random).as_secs_f64())
                .collect();
            assert!(seconds.iter().all(|at| bounds(least).contains(at)));
            assert!(
                seconds.iter().any(|at| *at > least) && seconds.iter().any(|at| *at < least * 0.6)
            );
        }
    }

    #[test]
    fn streams_differ_in_source_and_name() {
        let mut random = Random::new(1);
        let (one, other) = (Echo::new(&mut random), Echo::new(&mut random));
        assert!(one.ssrc != other.ssrc && one.cname != other.cname);
        assert!(one.cname.iter().all(u8::is_ascii_hexdigit));
    }
}
