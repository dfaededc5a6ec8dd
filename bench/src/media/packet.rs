//! The packets of the generator: RTP whose payload says which stream it belongs to, which packet of it this is and when it
//! left; and an RTCP sender report beside it. Nothing here knows sockets or clocks.

/// RTP header without contributing sources or extension (RFC 3550 5.1).
const HEADER_BYTES: usize = 12;
/// Where the payload's own fields begin: run, stream, index, time of sending.
const RUN: usize = HEADER_BYTES;
const STREAM: usize = RUN + 4;
const INDEX: usize = STREAM + 4;
const SENT: usize = INDEX + 4;
/// The smallest packet that holds all of it.
pub(crate) const BYTES_MIN: usize = SENT + 8;
/// PCMA (RFC 3551 6), 8000 Hz.
const PAYLOAD_TYPE: u8 = 8;
const TICKS_PER_SECOND: u64 = 8_000;
/// Byte that fills the payload: silence in PCMA.
const SILENCE: u8 = 0xd5;
/// SSRCs are this plus the stream's number: never zero, and told from a server's own.
const SSRC_BASE: u32 = 0x7000_0000;
/// Seconds from 1900 (NTP) to 1970.
const NTP_OFFSET_S: u64 = 2_208_988_800;
/// RTCP packet types (RFC 3550 12.1).
const SENDER_REPORT: u8 = 200;
const DESCRIPTION: u8 = 202;

/// What the payload of a received packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) stream: u32,
    /// Place of the packet in its stream, from 0.
    pub(crate) index: u32,
    /// When it left, in nanoseconds since 1970.
    pub(crate) sent_ns: u64,
}

/// How the packets of a run look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Tells packets of this run from an earlier one's.
    pub(crate) run: u32,
    /// Bytes of an RTP packet, header included; at least `BYTES_MIN`.
    pub(crate) bytes: usize,
    /// Packets per second of a stream, for RTP timestamps.
    pub(crate) packets_per_second: f64,
}

impl Shape {
    fn timestamp(&self, index: u32) -> u32 {
        (f64::from(index) * TICKS_PER_SECOND as f64 / self.packets_per_second) as u64 as u32
    }

    /// Prints packet `index` of a stream; the time of sending is still empty.
    pub(crate) fn print(&self, stream: u32, index: u32, out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend_from_slice(&[0x80, PAYLOAD_TYPE]);
        out.extend_from_slice(&(index as u16).to_be_bytes());
        out.extend_from_slice(&self.timestamp(index).to_be_bytes());
        out.extend_from_slice(&SSRC_BASE.wrapping_add(stream).to_be_bytes());
        for word in [self.run, stream, index] {
            out.extend_from_slice(&word.to_be_bytes());
        }
        out.resize(begin + self.bytes.max(BYTES_MIN), SILENCE);
    }

    /// Reads a packet of this run; `None` for anything else.
    pub(crate) fn read(&self, bytes: &[u8]) -> Option<Stamp> {
        let is_ours = bytes.first()? >> 6 == 2 && word(bytes, RUN)? == self.run;
        is_ours.then_some(Stamp {
            stream: word(bytes, STREAM)?,
            index: word(bytes, INDEX)?,
            sent_ns: u64::from_be_bytes(bytes.get(SENT..SENT + 8)?.try_into().ok()?),
        })
    }

    /// Prints a sender report and the description every compound packet carries (RFC 3550 6.1) of a stream that has sent
    /// `packets` so far.
    pub(crate) fn print_report(&self, stream: u32, packets: u32, now_ns: u64, out: &mut Vec<u8>) {
        let ssrc = SSRC_BASE.wrapping_add(stream).to_be_bytes();
        let octets = packets.wrapping_mul((self.bytes.max(BYTES_MIN) - HEADER_BYTES) as u32);
        out.extend_from_slice(&[0x80, SENDER_REPORT, 0, 6]);
        out.extend_from_slice(&ssrc);
        out.extend_from_slice(&ntp(now_ns).to_be_bytes());
        for word in [self.timestamp(packets), packets, octets] {
            out.extend_from_slice(&word.to_be_bytes());
        }
        // One chunk with a CNAME of five bytes, its end and padding to a word.
        out.extend_from_slice(&[0x81, DESCRIPTION, 0, 3]);
        out.extend_from_slice(&ssrc);
        out.extend_from_slice(b"\x01\x05bench\0");
    }
}

/// Writes the time of sending into a printed packet.
pub(crate) fn stamp(packet: &mut [u8], sent_ns: u64) {
    if let Some(place) = packet.get_mut(SENT..SENT + 8) {
        place.copy_from_slice(&sent_ns.to_be_bytes());
    }
}

/// The stream a sender report belongs to; `None` for reports of anybody else.
pub(crate) fn report_stream(bytes: &[u8]) -> Option<u32> {
    let is_report = bytes.len() >= 28 && bytes[0] >> 6 == 2 && bytes[1] == SENDER_REPORT;
    let stream = word(bytes, 4)?.checked_sub(SSRC_BASE)?;
    is_report.then_some(stream)
}

/// Nanoseconds since 1970 as an NTP timestamp (RFC 3550 4).
fn ntp(now_ns: u64) -> u64 {
    let (seconds, rest) = (now_ns / 1_000_000_000, now_ns % 1_000_000_000);
    ((seconds + NTP_OFFSET_S) << 32) | ((rest << 32) / 1_000_000_000)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHAPE: Shape = Shape {
        run: 0xfeed_beef,
        bytes: 172,
        packets_per_second: 50.0,
    };

    #[test]
    fn a_packet_is_20_ms_of_pcma() {
        let mut out = Vec::new();
        SHAPE.print(5, 65_537, &mut out);
        assert_eq!(out.len(), 172);
        assert_eq!(out[..4], [0x80, 8, 0, 1]);
        assert_eq!(word(&out, 4), Some(65_537 * 160));
        assert_eq!(word(&out, 8), Some(SSRC_BASE + 5));
        assert_eq!(out[171], SILENCE);
    }

    #[test]
    fn packets_of_another_run_are_not_ours() {
        let mut out = Vec::new();
        SHAPE.print(5, 1, &mut out);
        let other = Shape { run: 1, ..SHAPE };
        assert_eq!(other.read(&out), None);
        assert_eq!(SHAPE.read(&out[..BYTES_MIN - 1]), None);
    }

    #[test]
    fn a_report_names_its_stream_and_is_whole_words() {
        let mut out = Vec::new();
        SHAPE.print_report(77, 250, 1_000_000_000, &mut out);
        assert_eq!(report_stream(&out), Some(77));
        assert_eq!(out.len(), 28 + 16);
        // Both lengths count words less one.
        assert_eq!((out[3], out[28 + 3]), (28 / 4 - 1, 16 / 4 - 1));
        assert_eq!(word(&out, 20), Some(250));
        assert_eq!(word(&out, 24), Some(250 * 160));
        assert_eq!(report_stream(&out[..27]), None);
        out[1] = 201;
        assert_eq!(report_stream(&out), None);
    }

    #[test]
    fn ntp_time_is_seconds_since_1900_and_a_fraction() {
        assert_eq!(ntp(1_500_000_000), ((1 + NTP_OFFSET_S) << 32) | 1 << 31);
    }

    proptest! {
        #[test]
        fn stamps_survive_printing(stream: u32, index: u32, sent_ns: u64, bytes in BYTES_MIN..1_400) {
            let shape = Shape { bytes, ..SHAPE };
            let mut out = b"before".to_vec();
            shape.print(stream, index, &mut out);
            stamp(&mut out[6..], sent_ns);
            prop_assert_eq!(shape.read(&out[6..]), Some(Stamp { stream, index, sent_ns }));
            prop_assert_eq!(out.len(), 6 + bytes);
        }

        #[test]
        fn no_datagram_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (SHAPE.read(&bytes), report_stream(&bytes));
        }
    }
}
