//! The parts of a payload: little-endian numbers, and bytes behind their length.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Appends bytes behind their length, which takes one byte up to 127.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut length = bytes.len();
    while length > 0x7F {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
}

/// Appends an address: its family, address, port, and the scope of IPv6.
pub(crate) fn put_address(out: &mut Vec<u8>, address: SocketAddr) {
    match address {
        SocketAddr::V4(address) => {
            out.push(4);
            out.extend_from_slice(&address.ip().octets());
        }
        SocketAddr::V6(address) => {
            out.push(6);
            out.extend_from_slice(&address.ip().octets());
            out.extend_from_slice(&address.scope_id().to_le_bytes());
        }
    }
    out.extend_from_slice(&address.port().to_le_bytes());
}

/// What is left of a payload. Each getter takes from its front; `None`: it is not there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*array)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn octets<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.array()
    }

    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let mut length = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.u8()?;
            length |= usize::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                let (bytes, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                return Some(bytes);
            }
        }
        None
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    pub(crate) fn address(&mut self) -> Option<SocketAddr> {
        match self.u8()? {
            4 => {
                let ip = IpAddr::from(self.array::<4>()?);
                Some(SocketAddr::new(ip, self.u16()?))
            }
            6 => {
                let ip = Ipv6Addr::from(self.array::<16>()?);
                let scope = self.u32()?;
                Some(SocketAddrV6::new(ip, self.u16()?, 0, scope).into())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_any_length_come_back() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 3_000_000] {
            let mut out = Vec::new();
            put_bytes(&mut out, &vec![7; length]);
            out.push(9);
            let mut fields = Fields(&out);
            assert_eq!(fields.bytes().map(<[u8]>::len), Some(length));
            assert_eq!((fields.u8(), fields.u8()), (Some(9), None));
        }
    }

    #[test]
    fn a_length_beyond_the_end_is_none() {
        assert_eq!(Fields(&[5, 1, 2]).bytes(), None);
        assert_eq!(Fields(&[0xFF; 9]).bytes(), None);
    }

    #[test]
    fn addresses_come_back() {
        for text in ["192.0.2.1:5060", "[2001:db8::1]:65535", "[fe80::1%3]:5060"] {
            let address: SocketAddr = text.parse().expect("an address");
            let mut out = Vec::new();
            put_address(&mut out, address);
            assert_eq!(Fields(&out).address(), Some(address));
        }
        assert_eq!(Fields(&[5, 0, 0, 0, 0, 0, 0]).address(), None);
    }
}
