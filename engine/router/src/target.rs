//! From the routing DB's `outRuriHostport` to the host of a Request-URI and the address it is sent to.

use std::net::IpAddr;

use smallvec::SmallVec;
use stack::{Flow, Time};
use wire::Host;

use crate::core::{Core, Destination};
use crate::rdb::Target;

/// A host, or a host and port, as it is written in a URI.
pub(crate) type HostText = SmallVec<[u8; 64]>;

/// The host alone, the host and port, and where the request goes.
pub(crate) fn target(
    core: &mut Core,
    now: Time,
    target: &Target,
    source: Flow,
) -> (HostText, HostText, Destination) {
    let destination = destination(core, now, target, source);
    let (host, host_port) = written(target, source);
    (host, host_port, destination)
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
