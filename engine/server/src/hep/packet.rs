//! A HEP3 packet: chunks of vendor 0, each a type, a length and a value.

use std::net::{IpAddr, SocketAddr};
use std::time::{SystemTime, UNIX_EPOCH};

/// A message as it was seen.
pub(super) struct Captured<'a> {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) at: SystemTime,
    pub(super) capture_id: u32,
    /// Empty for none.
    pub(super) password: &'a [u8],
    /// The call it belongs to; empty when that is not known.
    pub(super) correlation: &'a [u8],
    pub(super) payload: &'a [u8],
}

/// Address family numbers as HEP has them, which are those of Linux.
const IPV4: u8 = 2;
const IPV6: u8 = 10;
const UDP: u8 = 17;
const SIP: u8 = 1;

/// The most that fits a UDP datagram over IPv4.
const PACKET_MAX: usize = 65_507;

impl Captured<'_> {
    /// The packet; `None` when it would be longer than a datagram.
    pub(super) fn print(&self) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(self.payload.len() + 256);
        out.extend_from_slice(b"HEP3\0\0");
        self.print_addresses(&mut out);
        let since = self.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        chunk(&mut out, 9, &(since.as_secs() as u32).to_be_bytes());
        chunk(&mut out, 10, &since.subsec_micros().to_be_bytes());
        chunk(&mut out, 11, &[SIP]);
        chunk(&mut out, 12, &self.capture_id.to_be_bytes());
        if !self.password.is_empty() {
            chunk(&mut out, 14, self.password);
        }
        if !self.correlation.is_empty() {
            chunk(&mut out, 17, self.correlation);
        }
        chunk(&mut out, 15, self.payload);
        let length = u16::try_from(out.len()).ok()?;
        out.get_mut(4..6)?.copy_from_slice(&length.to_be_bytes());
        (out.len() <= PACKET_MAX).then_some(out)
    }

    fn print_addresses(&self, out: &mut Vec<u8>) {
        let (from, to) = (self.from.ip().to_canonical(), self.to.ip().to_canonical());
        let family = if from.is_ipv4() { IPV4 } else { IPV6 };
        chunk(out, 1, &[family]);
        chunk(out, 2, &[UDP]);
        for (ip, types) in [(from, [3, 5]), (to, [4, 6])] {
            let [v4, v6] = types;
            match ip {
                IpAddr::V4(ip) => chunk(out, v4, &ip.octets()),
                IpAddr::V6(ip) => chunk(out, v6, &ip.octets()),
            }
        }
        chunk(out, 7, &self.from.port().to_be_bytes());
        chunk(out, 8, &self.to.port().to_be_bytes());
    }
}

/// Vendor 0, type, length with these six bytes, value. A value too long for that makes the packet too long.
fn chunk(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(value.len() + 6).unwrap_or(u16::MAX);
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn captured(payload: &[u8]) -> Captured<'_> {
        Captured {
            from: "192.0.2.1:5060".parse().expect("an address"),
            to: "192.0.2.2:5070".parse().expect("an address"),
            at: UNIX_EPOCH + Duration::from_micros(1_000_002),
            capture_id: 0x01020304,
            password: b"",
            correlation: b"c",
            payload,
        }
    }

    #[test]
    fn a_packet_is_these_bytes() {
        let packet = captured(b"SIP").print().expect("short");
        let expected: &[&[u8]] = &[
            b"HEP3\0\x6d",
            &[0, 0, 0, 1, 0, 7, 2],
            &[0, 0, 0, 2, 0, 7, 17],
            &[0, 0, 0, 3, 0, 10, 192, 0, 2, 1],
            &[0, 0, 0, 4, 0, 10, 192, 0, 2, 2],
            &[0, 0, 0, 7, 0, 8, 0x13, 0xc4],
            &[0, 0, 0, 8, 0, 8, 0x13, 0xce],
            &[0, 0, 0, 9, 0, 10, 0, 0, 0, 1],
            &[0, 0, 0, 10, 0, 10, 0, 0, 0, 2],
            &[0, 0, 0, 11, 0, 7, 1],
            &[0, 0, 0, 12, 0, 10, 1, 2, 3, 4],
            &[0, 0, 0, 17, 0, 7, b'c'],
            &[0, 0, 0, 15, 0, 9, b'S', b'I', b'P'],
        ];
        assert_eq!(packet, expected.concat());
    }

    #[test]
    fn what_fits_no_datagram_is_no_packet() {
        let head = captured(b"").print().expect("short").len();
        assert!(captured(&vec![b'x'; PACKET_MAX - head]).print().is_some());
        for more in [1, 30, 100_000] {
            assert!(
                captured(&vec![b'x'; PACKET_MAX - head + more])
                    .print()
                    .is_none()
            );
        }
    }
}
