//! Via: the way a response goes back (RFC 3261 20.42, RFC 3581).

use crate::error::ParseError;
use crate::host::{Host, host_port};
use crate::lex::{
    TOKEN, is_lws, number, same, split_around, split_run, trim, trim_end, trim_start,
};
use crate::params::{Param, Params};
use memchr::memchr;
use std::net::IpAddr;

/// One Via value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    /// The transport as written: `UDP`, `TCP`, `TLS`, ...
    pub transport: &'a [u8],
    /// The host of the sent-by.
    pub host: Host<'a>,
    /// The port of the sent-by, when written.
    pub port: Option<u16>,
    /// Host and port as written.
    pub sent_by: &'a [u8],
    /// The branch.
    pub branch: Option<&'a [u8]>,
    /// Where the request really came from, added by the element that received it.
    pub received: Option<IpAddr>,
    /// RFC 3581: `Some(None)` asks for the port, `Some(Some(port))` tells it.
    pub rport: Option<Option<u16>>,
    /// The multicast or other address responses go to.
    pub maddr: Option<Host<'a>>,
    /// The time to live of a multicast.
    pub ttl: Option<u8>,
    /// The whole value.
    pub raw: &'a [u8],
    /// RFC 7339: `Some(None)` is a client that speaks of overload, `Some(Some(value))` the server's word.
    pub oc: Option<Option<&'a [u8]>>,
}

impl<'a> Via<'a> {
    /// Reads one Via value (of a list, the caller has split off one).
    ///
    /// # Errors
    /// `BadVia`: the protocol is not SIP/2.0, there is no transport or no readable sent-by, or a
    /// parameter is malformed.
    pub fn parse(value: &'a [u8]) -> Result<Via<'a>, ParseError> {
        let raw = trim(value);
        split(raw).ok_or(ParseError::BadVia)
    }
}

#[inline]
fn split(raw: &[u8]) -> Option<Via<'_>> {
    let (transport, sent_by) = split_run(after_protocol(raw)?, TOKEN);
    if transport.is_empty() || !sent_by.first().is_some_and(|&byte| is_lws(byte)) {
        return None;
    }
    let sent_by = trim_start(sent_by);
    let (host, port, params) = host_port(sent_by)?;
    let sent_by = trim_end(sent_by.get(..sent_by.len() - params.len())?);
    let (branch, received, rport, maddr, ttl) = (None, None, None, None, None);
    let mut via = Via {
        transport,
        host,
        port,
        sent_by,
        branch,
        received,
        rport,
        maddr,
        ttl,
        raw,
        oc: None,
    };
    for param in Params::new(params) {
        take(&mut via, param)?;
    }
    Some(via)
}

/// What follows `SIP/2.0/`, in which white space may stand around the slashes.
#[inline]
fn after_protocol(raw: &[u8]) -> Option<&[u8]> {
    if let Some(rest) = raw.strip_prefix(b"SIP/2.0/") {
        return Some(trim_start(rest));
    }
    let (protocol, rest) = split_around(raw, memchr(b'/', raw)?);
    let (version, rest) = split_around(rest, memchr(b'/', rest)?);
    let known = trim_end(protocol).eq_ignore_ascii_case(b"SIP") && trim(version) == b"2.0";
    known.then(|| trim_start(rest))
}

/// Keeps `param` when it is one we know; None when it is malformed or its value is not what it
/// must be.
#[inline]
fn take<'a>(via: &mut Via<'a>, param: Param<'a>) -> Option<()> {
    let value = param.value.unwrap_or_default();
    match param.name.len() {
        _ if !param.sound => return None,
        6 if same(param.name, b"branch") => via.branch = Some(param.value?),
        5 if same(param.name, b"rport") => via.rport = Some(rport(param.value)?),
        8 if same(param.name, b"received") => via.received = Some(Host::parse(value)?.ip()?),
        5 if same(param.name, b"maddr") => via.maddr = Some(Host::parse(value)?),
        2 if same(param.name, b"oc") => via.oc = Some(param.value),
        3 if same(param.name, b"ttl") => via.ttl = Some(u8::try_from(number(value)?).ok()?),
        _ => {}
    }
    Some(())
}

/// `;rport` or `;rport=number`.
fn rport(value: Option<&[u8]>) -> Option<Option<u16>> {
    match value {
        None => Some(None),
        Some(value) => u16::try_from(number(value)?).ok().map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter() {
        let via = Via::parse(
            b"SIP/2.0/UDP pc33.atlanta.com:5066;branch=z9hG4bK776;rport=9;received=192.0.2.1\
              ;maddr=224.2.0.1;ttl=16;x=y",
        )
        .unwrap();
        assert_eq!(via.transport, b"UDP");
        assert_eq!(
            (via.host, via.port),
            (Host::Name(b"pc33.atlanta.com"), Some(5066))
        );
        assert_eq!(via.sent_by, b"pc33.atlanta.com:5066");
        assert_eq!(via.branch, Some(&b"z9hG4bK776"[..]));
        assert_eq!(via.rport, Some(Some(9)));
        assert_eq!(via.received, Some("192.0.2.1".parse().unwrap()));
        assert_eq!(via.maddr, Some(Host::Ip("224.2.0.1".parse().unwrap())));
        assert_eq!(via.ttl, Some(16));
    }

    #[test]
    fn white_space_wherever_the_grammar_allows_it() {
        let via = Via::parse(
            b" sip  / 2.0\r\n / TCP     spindle.example.com : 9  ;\r\n \
              branch  =   z9hG4bK9ikj8 ;rport ",
        )
        .unwrap();
        assert_eq!(via.transport, b"TCP");
        assert_eq!(
            (via.host, via.port),
            (Host::Name(b"spindle.example.com"), Some(9))
        );
        assert_eq!(via.branch, Some(&b"z9hG4bK9ikj8"[..]));
        assert_eq!(via.rport, Some(None));
    }

    #[test]
    fn ipv6_in_sent_by_and_received() {
        for received in ["[2001:db8::9:255]", "2001:db8::9:255"] {
            let text = format!("SIP/2.0/UDP [2001:db8::9:1]:6050;received={received};branch=z");
            let via = Via::parse(text.as_bytes()).unwrap();
            assert_eq!(via.host.ip(), Some("2001:db8::9:1".parse().unwrap()));
            assert_eq!(via.port, Some(6050));
            assert_eq!(via.received, Some("2001:db8::9:255".parse().unwrap()));
        }
    }

    #[test]
    fn what_is_no_via() {
        for bad in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/ h",
            "SIP/3.0/UDP h",
            "HTTP/2.0/UDP h",
            "SIP/2.0 UDP h",
            "SIP/2.0/UDP h h",
            "SIP/2.0/UDP h;;",
            "SIP/2.0/UDP h;branch",
            "SIP/2.0/UDP h;rport=x",
            "SIP/2.0/UDP h;ttl=256",
            "SIP/2.0/UDP h;received=host",
            "SIP/2.0/UDP h:",
            "SIP/2.0/UDP ;a",
            "SIP/2.0/UDP 192.0.2.15;;,;,,",
            "SIP/2.0/UDP h;rport=",
            "SIP/2.0/UDP h;maddr=",
        ] {
            assert_eq!(Via::parse(bad.as_bytes()), Err(ParseError::BadVia), "{bad}");
        }
    }
}
