//! From the routing DB's `outRuriHostport` to the host of a Request-URI and the address it is sent to.

use std::net::IpAddr;

use smallvec::SmallVec;
use stack::{Flow, Time};
use wire::{Host, print};

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
    let (host, port, destination) = match target {
        Target::Back => {
            let remote = source.remote;
            (
                ip_text(remote.ip()),
                Some(remote.port()),
                Destination::Known(remote),
            )
        }
        Target::Ip { ip, port } => (ip_text(*ip), *port, core.locate(now, &Host::Ip(*ip), *port)),
        Target::Name { host, port } => {
            let found = core.locate(now, &Host::Name(host.as_bytes()), *port);
            (HostText::from_slice(host.as_bytes()), *port, found)
        }
    };
    let mut host_port = host.clone();
    if let Some(port) = port {
        let mut digits = core.scratch();
        print::number(&mut digits, port.into());
        host_port.push(b':');
        host_port.extend_from_slice(&digits);
        core.return_scratch(digits);
    }
    (host, host_port, destination)
}

/// An address as a URI's host: IPv6 in brackets.
fn ip_text(ip: IpAddr) -> HostText {
    use std::io::Write;
    let mut text = HostText::new();
    let written = match ip {
        IpAddr::V4(ip) => write!(text, "{ip}"),
        IpAddr::V6(ip) => write!(text, "[{ip}]"),
    };
    debug_assert!(written.is_ok(), "a SmallVec grows");
    text
}
