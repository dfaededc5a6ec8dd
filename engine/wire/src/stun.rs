//! STUN Binding (RFC 5389), as far as a SIP port speaks it (RFC 5626 8): the request that keeps a flow alive and its
//! answer. Bytes and values only; no credentials, no fingerprint.

use std::net::{IpAddr, SocketAddr};

/// What every STUN message of RFC 5389 has in its header (6).
const MAGIC_COOKIE: u32 = 0x2112_a442;
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
/// Attributes below this must be understood by whoever reads them (RFC 5389 15).
const OPTIONAL_FROM: u16 = 0x8000;
/// Those of them that a request without credentials may hold and that change nothing here: USERNAME,
/// MESSAGE-INTEGRITY, REALM, NONCE.
const IGNORED: [u16; 4] = [0x0006, 0x0008, 0x0014, 0x0015];
/// So many unknown attributes are named in an answer.
const UNKNOWN_MAX: usize = 4;

/// A Binding request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindingRequest<'a> {
    /// Comes back with the answer (RFC 5389 6).
    transaction: [u8; 12],
    attributes: &'a [u8],
}

impl<'a> BindingRequest<'a> {
    /// Whether a datagram on a SIP port is STUN: no SIP message begins with such a byte (RFC 5626 8).
    pub fn looks_like(bytes: &[u8]) -> bool {
        matches!(bytes, [0 | 1, rest @ ..] if rest.get(3..7) == Some(&MAGIC_COOKIE.to_be_bytes()))
    }

    /// Reads a request. `None` for anything else: other methods, answers, indications, broken ones.
    pub fn parse(bytes: &'a [u8]) -> Option<BindingRequest<'a>> {
        let (kind, rest) = u16_of(bytes)?;
        let (length, rest) = u16_of(rest)?;
        let (cookie, rest) = rest.split_first_chunk::<4>()?;
        let (transaction, attributes) = rest.split_first_chunk::<12>()?;
        let sound = kind == BINDING_REQUEST
            && u32::from_be_bytes(*cookie) == MAGIC_COOKIE
            && usize::from(length) == attributes.len()
            && attributes.len().is_multiple_of(4);
        let request = BindingRequest {
            transaction: *transaction,
            attributes,
        };
        (sound && request.is_whole()).then_some(request)
    }

    /// Prints the answer for a request that came from `source`: its address, or 420 when the request has
    /// attributes that must be understood and are not (RFC 5389 7.3.1).
    pub fn print_answer(&self, out: &mut Vec<u8>, source: SocketAddr) {
        let unknown = self.unknown();
        let start = out.len();
        match unknown.is_empty() {
            true => {
                self.print_header(out, BINDING_SUCCESS);
                self.print_mapped_address(out, source);
            }
            false => {
                self.print_header(out, BINDING_ERROR);
                print_unknown(out, &unknown);
            }
        }
        let length = (out.len() - start - 20) as u16;
        if let Some(place) = out.get_mut(start + 2..start + 4) {
            place.copy_from_slice(&length.to_be_bytes());
        }
    }

    /// The length is filled in when it is known.
    fn print_header(&self, out: &mut Vec<u8>, kind: u16) {
        out.extend_from_slice(&kind.to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&MAGIC_COOKIE.to_be_bytes());
        out.extend_from_slice(&self.transaction);
    }

    /// RFC 5389 15.2.
    fn print_mapped_address(&self, out: &mut Vec<u8>, source: SocketAddr) {
        let port = source.port() ^ (MAGIC_COOKIE >> 16) as u16;
        let cookie = MAGIC_COOKIE.to_be_bytes();
        let key = cookie.iter().chain(&self.transaction);
        out.extend_from_slice(&XOR_MAPPED_ADDRESS.to_be_bytes());
        let (length, family, octets) = match source.ip().to_canonical() {
            IpAddr::V4(ip) => (8u16, 1u8, ip.octets().to_vec()),
            IpAddr::V6(ip) => (20, 2, ip.octets().to_vec()),
        };
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&[0, family]);
        out.extend_from_slice(&port.to_be_bytes());
        out.extend(octets.iter().zip(key).map(|(octet, key)| octet ^ key));
    }

    fn attributes(&self) -> impl Iterator<Item = u16> {
        let mut rest = self.attributes;
        std::iter::from_fn(move || {
            let (kind, after) = next_attribute(rest)?;
            rest = after;
            Some(kind)
        })
    }

    /// Every attribute ends where it says, the last one with the message.
    fn is_whole(&self) -> bool {
        let mut rest = self.attributes;
        while let Some((_, after)) = next_attribute(rest) {
            rest = after;
        }
        rest.is_empty()
    }

    fn unknown(&self) -> Vec<u16> {
        let unknown = |kind: &u16| *kind < OPTIONAL_FROM && !IGNORED.contains(kind);
        self.attributes()
            .filter(unknown)
            .take(UNKNOWN_MAX)
            .collect()
    }
}

/// RFC 5389 15.6, 15.9.
fn print_unknown(out: &mut Vec<u8>, unknown: &[u16]) {
    const PHRASE: &[u8; 20] = b"Unknown Attribute   ";
    out.extend_from_slice(&ERROR_CODE.to_be_bytes());
    // Without the blanks that fill up the last word.
    out.extend_from_slice(&21u16.to_be_bytes());
    out.extend_from_slice(&[0, 0, 4, 20]);
    out.extend_from_slice(PHRASE);
    out.extend_from_slice(&UNKNOWN_ATTRIBUTES.to_be_bytes());
    out.extend_from_slice(&(2 * unknown.len() as u16).to_be_bytes());
    for kind in unknown {
        out.extend_from_slice(&kind.to_be_bytes());
    }
    if !unknown.len().is_multiple_of(2) {
        out.extend_from_slice(&[0, 0]);
    }
}

/// The kind of the attribute at the beginning of `bytes`, and what follows its padding.
fn next_attribute(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (kind, rest) = u16_of(bytes)?;
    let (length, rest) = u16_of(rest)?;
    let rest = rest.get(usize::from(length).next_multiple_of(4)..)?;
    Some((kind, rest))
}

fn u16_of(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: [u8; 12] = *b"transaction!";

    fn request(attributes: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 1, 0, attributes.len() as u8, 0x21, 0x12, 0xa4, 0x42];
        bytes.extend_from_slice(&ID);
        bytes.extend_from_slice(attributes);
        bytes
    }

    fn answer(bytes: &[u8], source: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let request = BindingRequest::parse(bytes).expect("a request");
        request.print_answer(&mut out, source.parse().expect("an address"));
        out
    }

    /// The addresses of RFC 5769 2.2 and 2.3, whose transaction is another.
    #[test]
    fn the_source_is_told_hidden_from_gateways() {
        let told = answer(&request(&[]), "192.0.2.1:32853");
        assert_eq!(told[..4], [1, 1, 0, 12]);
        assert_eq!(told[4..8], [0x21, 0x12, 0xa4, 0x42]);
        assert_eq!(told[8..20], ID);
        assert_eq!(
            told[20..],
            [0, 0x20, 0, 8, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]
        );
        let told = answer(&request(&[]), "[2001:db8::1]:32853");
        assert_eq!(told[..4], [1, 1, 0, 24]);
        let octets: Vec<u8> = told[28..32]
            .iter()
            .zip([0x21, 0x12, 0xa4, 0x42])
            .map(|(a, b)| a ^ b)
            .collect();
        assert_eq!(octets, [0x20, 0x01, 0x0d, 0xb8]);
        assert_eq!(told[43] ^ b'!', 1);
    }

    #[test]
    fn what_must_be_understood_and_is_not_is_named() {
        // SOFTWARE and FINGERPRINT may be passed over; PRIORITY of ICE (0x0024) may not.
        let optional = [
            0x80, 0x22, 0, 1, b'x', 0, 0, 0, 0x80, 0x28, 0, 4, 1, 2, 3, 4,
        ];
        assert_eq!(answer(&request(&optional), "192.0.2.1:1")[..2], [1, 1]);
        let told = answer(&request(&[0, 0x24, 0, 4, 1, 2, 3, 4]), "192.0.2.1:1");
        assert_eq!(told[..2], [1, 0x11]);
        assert_eq!(usize::from(told[3]), told.len() - 20);
        assert_eq!(told[24..28], [0, 0, 4, 20]);
        assert_eq!(told[48..], [0, 0x0a, 0, 2, 0, 0x24, 0, 0]);
    }

    #[test]
    fn anything_else_is_no_request() {
        let good = request(&[]);
        for (at, value) in [(0, 1), (1, 2), (3, 4), (4, 0)] {
            let mut bad = good.clone();
            bad[at] = value;
            assert_eq!(BindingRequest::parse(&bad), None, "byte {at}");
        }
        assert_eq!(
            BindingRequest::parse(&request(&[0, 6, 0, 9, 1, 1, 1, 1])),
            None
        );
        assert!(BindingRequest::looks_like(&good) && !BindingRequest::looks_like(b"\x00\x01"));
        assert!(!BindingRequest::looks_like(b"OPTIONS sip:a SIP/2.0"));
    }

    proptest! {
        #[test]
        fn any_bytes_end(mut bytes in prop::collection::vec(any::<u8>(), 0..80), stun: bool) {
            if stun {
                bytes = [request(&[]), bytes].concat();
                let attributes = (bytes.len() - 20) as u16;
                bytes[2..4].copy_from_slice(&attributes.to_be_bytes());
            }
            if let Some(request) = BindingRequest::parse(&bytes) {
                let mut out = Vec::new();
                request.print_answer(&mut out, "[::1]:9".parse().expect("an address"));
                prop_assert_eq!(usize::from(u16::from_be_bytes([out[2], out[3]])), out.len() - 20);
            }
        }
    }
}
