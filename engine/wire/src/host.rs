//! Hosts as SIP writes them, with their port: names, IPv4 addresses, IPv6 references.

use crate::lex::{HOST, run, split_around, split_run, trim_start};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The host of a URI or of a Via.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host<'a> {
    /// An IPv4 address, or an IPv6 reference without its brackets.
    Ip(IpAddr),
    /// A host name, as written.
    Name(&'a [u8]),
    /// There is none: tel URIs and unknown schemes.
    None,
}

impl<'a> Host<'a> {
    /// Reads a host without a port. A bare IPv6 address is accepted too, since parameters such as
    /// `received` carry it without brackets (RFC 5118 4.5).
    pub fn parse(bytes: &'a [u8]) -> Option<Host<'a>> {
        if let [b'[', inner @ .., b']'] = bytes {
            return ipv6(inner).map(Host::Ip);
        }
        if bytes.contains(&b':') {
            return ipv6(bytes).map(Host::Ip);
        }
        name_or_ipv4(bytes).filter(|_| run(bytes, HOST) == bytes.len())
    }

    /// The address, when the host is one.
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            Host::Ip(ip) => Some(ip),
            Host::Name(_) | Host::None => None,
        }
    }
}

/// Reads `host [":" port]` off the front of `bytes`; returns also what follows, without white
/// space. White space is allowed around the colon, as a Via has it (RFC 3261 25.1 COLON).
#[inline]
pub(crate) fn host_port(bytes: &[u8]) -> Option<(Host<'_>, Option<u16>, &[u8])> {
    let (host, rest) = match bytes {
        [b'[', rest @ ..] => {
            let (host, rest) = split_around(rest, memchr::memchr(b']', rest)?);
            (Host::Ip(ipv6(host)?), rest)
        }
        _ => {
            let (host, rest) = split_run(bytes, HOST);
            (name_or_ipv4(host)?, rest)
        }
    };
    match trim_start(rest) {
        [b':', rest @ ..] => {
            let (port, rest) = port(trim_start(rest))?;
            Some((host, Some(port), trim_start(rest)))
        }
        rest => Some((host, None, rest)),
    }
}

/// The digits `bytes` begins with, as a port.
#[inline]
fn port(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (mut port, mut rest) = (0u16, bytes);
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        port = port.checked_mul(10)?.checked_add(u16::from(digit - b'0'))?;
        rest = after;
    }
    (rest.len() < bytes.len()).then_some((port, rest))
}

fn ipv6(bytes: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(bytes).ok()?;
    text.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

/// `bytes` has nothing but what a host may have.
#[inline]
fn name_or_ipv4(bytes: &[u8]) -> Option<Host<'_>> {
    let (first, last) = (bytes.first()?, bytes.last()?);
    if last.is_ascii_digit()
        && let Some(ip) = ipv4(bytes)
    {
        return Some(Host::Ip(IpAddr::V4(ip)));
    }
    (first.is_ascii_alphanumeric() && *last != b'-').then_some(Host::Name(bytes))
}

/// Four decimal numbers. Leading zeros are decimal, as the grammar has it (1*3DIGIT).
#[inline]
fn ipv4(bytes: &[u8]) -> Option<Ipv4Addr> {
    let (a, rest) = octet(bytes)?;
    let (b, rest) = octet(rest.strip_prefix(b".")?)?;
    let (c, rest) = octet(rest.strip_prefix(b".")?)?;
    let (d, rest) = octet(rest.strip_prefix(b".")?)?;
    rest.is_empty().then(|| Ipv4Addr::new(a, b, c, d))
}

/// The number of one to three digits `bytes` begins with, up to 255.
#[inline(always)]
fn octet(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (mut octet, mut rest) = digit(bytes)?;
    for _ in 0..2 {
        let Some((next, after)) = digit(rest) else {
            break;
        };
        (octet, rest) = (octet * 10 + next, after);
    }
    Some((u8::try_from(octet).ok()?, rest))
}

#[inline(always)]
fn digit(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let digit = first.wrapping_sub(b'0');
    (digit <= 9).then_some((u16::from(digit), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> Host<'static> {
        Host::Ip(text.parse().unwrap())
    }

    /// Reads all of `bytes`.
    fn host_port(bytes: &[u8]) -> Option<(Host<'_>, Option<u16>)> {
        let (host, port, rest) = super::host_port(bytes)?;
        rest.is_empty().then_some((host, port))
    }

    #[test]
    fn hosts_with_and_without_port() {
        assert_eq!(
            host_port(b"192.0.2.1:5070"),
            Some((ip("192.0.2.1"), Some(5070)))
        );
        assert_eq!(host_port(b"192.0.2.001"), Some((ip("192.0.2.1"), None)));
        assert_eq!(
            host_port(b"[2001:db8::1] : 5"),
            Some((ip("2001:db8::1"), Some(5)))
        );
        assert_eq!(
            host_port(b"[::ffff:192.0.2.9]"),
            Some((ip("::ffff:192.0.2.9"), None))
        );
        assert_eq!(
            host_port(b"a-b.example.com."),
            Some((Host::Name(b"a-b.example.com."), None))
        );
        assert_eq!(
            host_port(b"1a.example : 9"),
            Some((Host::Name(b"1a.example"), Some(9)))
        );
        assert_eq!(Host::parse(b"2001:db8::9"), Some(ip("2001:db8::9")));
        assert_eq!(Host::parse(b"[2001:db8::9]"), Some(ip("2001:db8::9")));
    }

    #[test]
    fn what_is_no_host() {
        for bad in [
            "",
            ":5060",
            "a:",
            "a:x",
            "a:65536",
            "a b",
            "-a",
            "a-",
            "[::1",
            "[::1]5060",
            "[a]",
            "[]",
            "2001:db8::10",
            "a,b",
            "a@b",
            "[2001:db8:::192.0.2.1]",
            "a\u{e9}",
            "a;b",
        ] {
            assert_eq!(host_port(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn numbers_that_are_no_ipv4_address_are_names() {
        for name in ["1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.0004", "1..2.3"] {
            assert_eq!(
                host_port(name.as_bytes()),
                Some((Host::Name(name.as_bytes()), None))
            );
        }
    }

    proptest! {
        #[test]
        fn addresses_read_as_printed(address in any::<std::net::SocketAddr>()) {
            let mut text = Vec::new();
            crate::print::address(&mut text, address);
            prop_assert_eq!(host_port(&text), Some((Host::Ip(address.ip()), Some(address.port()))));
        }
    }
}
