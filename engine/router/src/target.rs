//! From what the routing DB has for a request to its new Request-URI and the address it is sent to.

use std::net::{IpAddr, SocketAddr};

use smallvec::SmallVec;
use stack::{Flow, Time};
use wire::{Host, Uri};

use crate::call::request_uri;
use crate::core::{Core, Destination};
use crate::rdb::{OutUser, Route, Target};

/// A host, or a host and port, as it is written in a URI.
pub(crate) type HostText = SmallVec<[u8; 64]>;

/// A Request-URI.
pub(crate) type UriText = SmallVec<[u8; 256]>;

/// A request's new address.
#[derive(Debug)]
pub(crate) struct Addressed {
    pub(crate) request_uri: UriText,
    /// The host alone, for the To value.
    pub(crate) host: HostText,
    pub(crate) destination: Destination,
    /// The destination is the outbound proxy's, not the target's.
    pub(crate) through_proxy: bool,
}

impl Addressed {
    /// By the routing DB: `route` is what it has for `user`, the user of `uri`, which is written `text`.
    pub(crate) fn by_route(
        core: &mut Core,
        now: Time,
        (user, route): (&str, &mut Route<'_>),
        (text, uri): (&[u8], &Uri<'_>),
        source: Flow,
    ) -> Addressed {
        let target = &route.record.target;
        let out_user = &route.record.out_user;
        let (host, host_port) = written(target, source);
        let destination = destination(core, now, target, source);
        Addressed {
            request_uri: rewritten(core, (user, route), out_user, (text, uri), &host_port),
            host,
            destination,
            through_proxy: core.proxy.is_some(),
        }
    }

    /// At this address, whose host and port are written so; the user stays.
    pub(crate) fn at(
        address: SocketAddr,
        (host, host_port): (HostText, HostText),
        (text, uri): (&[u8], &Uri<'_>),
    ) -> Addressed {
        let mut to = UriText::new();
        request_uri(&mut to, text, uri, None, &host_port);
        Addressed {
            request_uri: to,
            host,
            destination: Destination::Known(address),
            through_proxy: false,
        }
    }
}

/// The URI with this host and port, and the user that a record makes of it.
pub(crate) fn rewritten(
    core: &mut Core,
    (user, route): (&str, &mut Route<'_>),
    out_user: &OutUser,
    (text, uri): (&[u8], &Uri<'_>),
    host_port: &[u8],
) -> UriText {
    let mut new_user = core.scratch();
    let changes = route.write_user_of(out_user, user, &mut new_user);
    let mut to = UriText::new();
    let new = changes.then_some(new_user.as_slice());
    request_uri(&mut to, text, uri, new, host_port);
    core.return_scratch(new_user);
    to
}

/// The host alone, and the host and port.
pub(crate) fn written(target: &Target, source: Flow) -> (HostText, HostText) {
    let (host, port) = match target {
        Target::Back => (ip_text(source.remote.ip()), Some(source.remote.port())),
        Target::Ip { ip, port } => (ip_text(*ip), *port),
        Target::Name { host, port } => (HostText::from_slice(host.as_bytes()), *port),
    };
    let host_port = host_port(&host, port);
    (host, host_port)
}

/// The outbound proxy, whatever the target, or the target itself: a name that only the proxy needs to
/// know is not looked up.
fn destination(core: &mut Core, now: Time, target: &Target, source: Flow) -> Destination {
    if let Some(proxy) = &core.proxy {
        return Destination::Known(proxy.address);
    }
    match target {
        Target::Back => Destination::Known(source.remote),
        Target::Ip { ip, port } => core.locate(now, &Host::Ip(*ip), *port),
        Target::Name { host, port } => core.locate(now, &Host::Name(host.as_bytes()), *port),
    }
}

/// A host with its port, when it has one.
pub(crate) fn host_port(host: &HostText, port: Option<u16>) -> HostText {
    let mut text = host.clone();
    if let Some(port) = port {
        text.push(b':');
        push_number(&mut text, port);
    }
    text
}

/// An address as a URI's host: IPv6 in brackets. IPv4, which every call has, is printed without the
/// formatting machinery.
pub(crate) fn ip_text(ip: IpAddr) -> HostText {
    use std::io::Write;
    let mut text = HostText::new();
    match ip {
        IpAddr::V4(ip) => {
            for (place, octet) in ip.octets().into_iter().enumerate() {
                if place > 0 {
                    text.push(b'.');
                }
                push_number(&mut text, octet.into());
            }
        }
        IpAddr::V6(ip) => {
            let written = write!(text, "[{ip}]");
            debug_assert!(written.is_ok(), "a SmallVec grows");
        }
    }
    text
}

fn push_number(text: &mut HostText, number: u16) {
    if number >= 10 {
        push_number(text, number / 10);
    }
    text.push(b'0' + (number % 10) as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_in_a_uri() {
        for (ip, expected) in [
            ("0.0.0.0", "0.0.0.0"),
            ("192.168.100.9", "192.168.100.9"),
            ("255.255.255.255", "255.255.255.255"),
            ("2001:db8::1", "[2001:db8::1]"),
        ] {
            let text = ip_text(ip.parse().expect("an address"));
            assert_eq!(text.as_slice(), expected.as_bytes());
        }
    }

    #[test]
    fn ports_are_written_in_full() {
        for port in [1, 9, 10, 5060, 65_535] {
            let mut text = HostText::new();
            push_number(&mut text, port);
            assert_eq!(text.as_slice(), port.to_string().as_bytes());
        }
    }
}
