//! Who made the description and where media goes: o= (RFC 8866 5.2) and c= (5.7).

use super::line::Words;
use crate::host::Host;
use crate::lex::{number, split_around};
use crate::print;
use memchr::memchr;
use std::net::IpAddr;

/// A c= value: where a party wants its media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection<'a> {
    /// The address type is IP6.
    pub ipv6: bool,
    /// An address, whatever family the address type claims, or a name.
    pub host: Host<'a>,
    /// Time to live of IPv4 multicast.
    pub ttl: Option<u8>,
    /// How many contiguous multicast addresses; 1 when it is not said.
    pub count: u16,
}

impl<'a> Connection<'a> {
    /// Reads `IN IP4 host[/ttl][/count]` or `IN IP6 host[/count]`; None for any other network.
    pub fn parse(value: &'a [u8]) -> Option<Connection<'a>> {
        let mut words = Words::new(value, 0).map(|(word, _)| word);
        if !words.next()?.eq_ignore_ascii_case(b"IN") {
            return None;
        }
        let ipv6 = match words.next()? {
            kind if kind.eq_ignore_ascii_case(b"IP4") => false,
            kind if kind.eq_ignore_ascii_case(b"IP6") => true,
            _ => return None,
        };
        let address = words.next()?;
        let slash = memchr(b'/', address).unwrap_or(address.len());
        let (host, more) = split_around(address, slash);
        let host = Host::parse(host)?;
        let (ttl, count) = multicast(more, ipv6);
        Some(Connection {
            ipv6,
            host,
            ttl,
            count,
        })
    }

    /// Nowhere: 0.0.0.0, the hold of RFC 2543 that RFC 3264 8.4 still has one understand, or what stands
    /// for it in IPv6, :: or a name under .invalid (RFC 6157 4.1).
    pub fn is_unspecified(&self) -> bool {
        match self.host {
            Host::Ip(ip) => ip.is_unspecified(),
            Host::Name(name) => name
                .rsplit(|&byte| byte == b'.')
                .next()
                .is_some_and(|last| last.eq_ignore_ascii_case(b"invalid")),
            Host::None => false,
        }
    }
}

/// Time to live and count behind the slash of a multicast address.
fn multicast(more: &[u8], ipv6: bool) -> (Option<u8>, u16) {
    let (first, second) = split_around(more, memchr(b'/', more).unwrap_or(more.len()));
    let (ttl, count) = if ipv6 {
        (None, first)
    } else {
        (number(first), second)
    };
    let count = number(count).and_then(|count| u16::try_from(count).ok());
    let ttl = ttl.and_then(|ttl| u8::try_from(ttl).ok());
    (ttl, count.unwrap_or(1).max(1))
}

/// An o= value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The user; `-` for none.
    pub username: &'a [u8],
    /// Names the session, together with user and address.
    pub session_id: &'a [u8],
    /// Raised with every change of the description (RFC 3264 8), when it is a number of 64 bits.
    pub version: Option<u64>,
    /// The address of the machine that made the session, as written.
    pub address: &'a [u8],
}

impl<'a> Origin<'a> {
    /// Reads `username sess-id sess-version nettype addrtype address`.
    pub fn parse(value: &'a [u8]) -> Option<Origin<'a>> {
        let mut words = Words::new(value, 0).map(|(word, _)| word);
        let (username, session_id) = (words.next()?, words.next()?);
        let version = words.next()?;
        let (_, _) = (words.next()?, words.next()?);
        let version = str::from_utf8(version)
            .ok()
            .and_then(|text| text.parse().ok());
        Some(Origin {
            username,
            session_id,
            version,
            address: words.next()?,
        })
    }
}

/// Prints an address as o= and c= have it: `IN IP4 192.0.2.1`.
pub fn print_address(out: &mut Vec<u8>, address: IpAddr) {
    out.extend_from_slice(if address.is_ipv4() {
        b"IN IP4 "
    } else {
        b"IN IP6 "
    });
    print::ip(out, address);
}
