//! The RTP header (RFC 3550 5.1), and what else comes to a port where RTP is expected (RFC 5761, 7983).
//! Reading only looks: nothing is copied, and any bytes may be given. Whose packet it is, and whether it
//! is late, is not known here.

/// Bytes of the fixed part of the header.
pub const FIXED: usize = 12;

/// Offset of the SSRC.
const SSRC: usize = 8;

/// The header of an RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The marker bit: the start of a talkspurt, the end of a picture.
    pub marker: bool,
    /// Payload type, 0 to 127.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp, in units of the payload's clock rate.
    pub timestamp: u32,
    /// Synchronization source.
    pub ssrc: u32,
}

impl Header {
    /// Reads the fixed part and believes the rest: for a relay, to which the payload, perhaps encrypted,
    /// is not legible. `None` when the packet is shorter than that or of another version than 2.
    #[inline]
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Header> {
        let fixed: &[u8; FIXED] = bytes.first_chunk()?;
        let [first, second, s0, s1, t0, t1, t2, t3, r0, r1, r2, r3] = *fixed;
        if first >> 6 != 2 {
            return None;
        }
        Some(Header {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7f,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([r0, r1, r2, r3]),
        })
    }

    /// Reads a header and checks all that follows from it (RFC 3550 A.1): version 2, room for the
    /// contributing sources and the extension it announces, and padding that fits.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Header> {
        payload(bytes)?;
        Header::read(bytes)
    }

    /// Prints the header of a packet without contributing sources, extension and padding.
    pub fn print(&self, out: &mut Vec<u8>) {
        let marker = if self.marker { 0x80 } else { 0 };
        out.extend_from_slice(&[0x80, marker | (self.payload_type & 0x7f)]);
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.ssrc.to_be_bytes());
    }
}

/// The payload of a well-formed RTP packet, without padding.
#[must_use]
pub fn payload(bytes: &[u8]) -> Option<&[u8]> {
    let first = *bytes.first()?;
    if first >> 6 != 2 {
        return None;
    }
    let sources = usize::from(first & 0x0f) * 4;
    let rest = bytes.get(FIXED + sources..)?;
    let rest = if first & 0x10 != 0 {
        behind_extension(rest)?
    } else {
        rest
    };
    if first & 0x20 != 0 {
        without_padding(rest)
    } else {
        Some(rest)
    }
}

/// RFC 3550 5.3.1: a word of profile and length, then that many words.
fn behind_extension(bytes: &[u8]) -> Option<&[u8]> {
    let [_, _, high, low] = *bytes.first_chunk()?;
    let words = usize::from(u16::from_be_bytes([high, low]));
    bytes.get(4 + words * 4..)
}

/// RFC 3550 5.1: the last octet counts the padding, itself included.
pub(crate) fn without_padding(bytes: &[u8]) -> Option<&[u8]> {
    let count = usize::from(*bytes.last()?);
    if count == 0 {
        return None;
    }
    bytes.get(..bytes.len().checked_sub(count)?)
}

/// Prints an RTP packet as if it came from another source: everything but the SSRC is kept. What is too
/// short to have one is printed as it is.
pub fn print_with_ssrc(out: &mut Vec<u8>, bytes: &[u8], ssrc: u32) {
    let start = out.len();
    out.extend_from_slice(bytes);
    let field = start + SSRC..start + FIXED;
    if let Some(field) = out.get_mut(field) {
        field.copy_from_slice(&ssrc.to_be_bytes());
    }
}

/// Whether a packet on a port that RTP and RTCP share is RTCP. RFC 5761 4: the payload types 64 to 95
/// are not used for RTP there, for with the marker they look like the RTCP types 192 to 223.
#[inline]
#[must_use]
pub fn is_rtcp(bytes: &[u8]) -> bool {
    matches!(bytes, [first, second, ..] if first >> 6 == 2 && (64..96).contains(&(second & 0x7f)))
}

/// What the first octet says a packet is (RFC 7983 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// RTP or RTCP, or either encrypted: 128 to 191.
    Rtp,
    /// STUN (0 to 3), ZRTP (16 to 19), DTLS (20 to 63) or a TURN channel (64 to 79).
    Companion,
}

impl Family {
    /// `None` for an empty packet and for octets that belong to nothing known.
    #[inline]
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Family> {
        match bytes.first()? {
            128..=191 => Some(Family::Rtp),
            0..=3 | 16..=79 => Some(Family::Companion),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(first: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first, 0x88, 1, 2, 0, 0, 0, 3, 0xde, 0xad, 0xbe, 0xef];
        bytes.extend_from_slice(rest);
        bytes
    }

    #[test]
    fn reads_every_field() {
        let header = Header::parse(&packet(0x80, b"voice")).unwrap();
        let expected = Header {
            marker: true,
            payload_type: 8,
            sequence: 0x0102,
            timestamp: 3,
            ssrc: 0xdead_beef,
        };
        assert_eq!(header, expected);
    }

    #[test]
    fn the_payload_lies_behind_sources_and_extension_and_before_padding() {
        for (first, rest) in [
            (0x80, &b"voice"[..]),
            (0x82, b"sss1sss2voice"),
            (0x90, b"pp\0\x01extnvoice"),
            (0xa0, b"voice\0\0\x03"),
            (0xb1, b"srcspp\0\0voice\x01"),
        ] {
            let bytes = packet(first, rest);
            assert_eq!(payload(&bytes), Some(&b"voice"[..]), "{first:x}");
            assert!(Header::parse(&bytes).is_some());
        }
    }

    #[test]
    fn what_does_not_fit_is_no_rtp() {
        for (first, rest) in [
            (0x40, &b"version 1"[..]),
            (0xc0, b"version 3"),
            (0x82, b"sss1sss"),
            (0x90, b"pp\0"),
            (0x90, b"pp\0\x02extn"),
            (0xa0, b""),
            (0xa0, b"x\0"),
            (0xa0, b"x\x03"),
        ] {
            assert_eq!(Header::parse(&packet(first, rest)), None, "{first:x}");
        }
        assert_eq!(Header::read(&packet(0x80, b"")[..11]), None);
    }

    #[test]
    fn rtcp_is_told_from_rtp_by_its_type() {
        for kind in 192..=223 {
            assert!(is_rtcp(&[0x81, kind]));
        }
        for kind in [0, 8, 63, 96, 127, 128, 136, 191, 224, 255] {
            assert!(!is_rtcp(&[0x80, kind]));
        }
        assert!(!is_rtcp(&[0x00, 200]));
        assert!(!is_rtcp(&[0x80]));
    }

    #[test]
    fn the_first_octet_names_the_family() {
        for (octet, family) in [
            (0, Some(Family::Companion)),
            (4, None),
            (20, Some(Family::Companion)),
            (80, None),
            (127, None),
            (128, Some(Family::Rtp)),
            (191, Some(Family::Rtp)),
            (192, None),
        ] {
            assert_eq!(Family::of(&[octet, 9]), family, "{octet}");
        }
        assert_eq!(Family::of(b""), None);
    }

    #[test]
    fn another_ssrc_changes_nothing_else() {
        let bytes = packet(0x80, b"voice");
        let mut out = b"before".to_vec();
        print_with_ssrc(&mut out, &bytes, 0x0102_0304);
        assert_eq!(out[6..14], bytes[..8]);
        assert_eq!(out[14..18], [1, 2, 3, 4]);
        assert_eq!(&out[18..], b"voice");
        out.clear();
        print_with_ssrc(&mut out, b"short", 1);
        assert_eq!(out, b"short");
    }

    proptest! {
        #[test]
        fn any_bytes_may_be_given(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let parsed = Header::parse(&bytes);
            prop_assert!(parsed.is_none() || parsed == Header::read(&bytes));
            prop_assert_eq!(parsed.is_some(), payload(&bytes).is_some());
            prop_assert!(!is_rtcp(&bytes) || bytes[0] >> 6 == 2);
        }

        #[test]
        fn what_is_printed_is_read(
            marker: bool, payload_type in 0..128_u8, sequence: u16, timestamp: u32, ssrc: u32,
        ) {
            let header = Header { marker, payload_type, sequence, timestamp, ssrc };
            let mut out = Vec::new();
            header.print(&mut out);
            prop_assert_eq!(Header::parse(&out), Some(header));
        }
    }
}
