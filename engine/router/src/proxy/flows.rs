//! Who of a dialog's ends is behind NAT: the flows on which they are reached, written into our Record-Route (RFC 5626
//! 5.2, 5.3). What is inside the dialog brings them back, proven; nothing of them is kept.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use stack::Flow;
use wire::print;

/// The flows of the ends that their own Contact does not lead to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flows {
    pub(super) caller: Option<Flow>,
    pub(super) callee: Option<Flow>,
}

/// Digits of listener and port.
const DIGITS: usize = 4;

impl Flows {
    pub(super) fn is_empty(&self) -> bool {
        *self == Flows::default()
    }

    /// The flow that a request from `source` goes on, when it goes to that end of the dialog (RFC 5626 5.3.2): what one
    /// end sends is for the other.
    pub(super) fn onward(&self, source: Flow) -> Option<Flow> {
        let is_from = |flow: Option<Flow>| flow.is_some_and(|flow| flow.remote == source.remote);
        match (is_from(self.caller), is_from(self.callee)) {
            (true, _) => self.callee,
            (false, true) => self.caller,
            // From an end that has no flow here: for the one that has.
            (false, false) => match (self.caller, self.callee) {
                (Some(_), Some(_)) => None,
                (caller, callee) => caller.or(callee),
            },
        }
    }

    /// `.caller.callee`, each in hexadecimal digits, or nothing.
    pub(super) fn print(&self, out: &mut Vec<u8>) {
        for flow in [self.caller, self.callee] {
            out.push(b'.');
            let Some(Flow { listener, remote }) = flow else {
                continue;
            };
            print::hex(out, listener.into(), DIGITS);
            print::hex(out, remote.port().into(), DIGITS);
            let mut octets = |octets: &[u8]| {
                for octet in octets {
                    print::hex(out, (*octet).into(), 2);
                }
            };
            match remote.ip() {
                IpAddr::V4(ip) => octets(&ip.octets()),
                IpAddr::V6(ip) => octets(&ip.octets()),
            }
        }
    }

    /// As it was printed.
    pub(super) fn read(text: &[u8]) -> Option<Flows> {
        let text = std::str::from_utf8(text).ok()?.strip_prefix('.')?;
        let (caller, callee) = text.split_once('.')?;
        Some(Flows {
            caller: read_flow(caller)?,
            callee: read_flow(callee)?,
        })
    }
}

/// A flow, or that there is none.
fn read_flow(text: &str) -> Option<Option<Flow>> {
    if text.is_empty() {
        return Some(None);
    }
    let plain = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let (listener, rest) = text.split_at_checked(DIGITS).filter(|_| plain)?;
    let (port, ip) = rest.split_at_checked(DIGITS)?;
    let number = |digits: &str| u16::from_str_radix(digits, 16).ok();
    let ip: IpAddr = match ip.len() {
        8 => Ipv4Addr::from(u32::from_str_radix(ip, 16).ok()?).into(),
        32 => Ipv6Addr::from(u128::from_str_radix(ip, 16).ok()?).into(),
        _ => return None,
    };
    Some(Some(Flow {
        listener: number(listener)?,
        remote: SocketAddr::new(ip, number(port)?),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(listener: u16, remote: &str) -> Option<Flow> {
        let remote = remote.parse().expect("an address");
        Some(Flow { listener, remote })
    }

    #[test]
    fn flows_are_read_as_they_are_written() {
        let phone = flow(3, "198.51.100.7:4711");
        let other = flow(0, "[2001:db8::1]:5060");
        for (caller, callee) in [(phone, None), (None, other), (other, phone), (None, None)] {
            let (flows, mut text) = (Flows { caller, callee }, Vec::new());
            flows.print(&mut text);
            assert_eq!(Flows::read(&text), Some(flows));
            text.push(b'0');
            assert_ne!(Flows::read(&text), Some(flows));
        }
        for bad in [
            "",
            ".",
            "..+",
            ".0003+4710c633640.",
            ".00031267c63364.",
            ".00031267c6336407",
        ] {
            assert_eq!(Flows::read(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn what_one_end_sends_is_for_the_other() {
        let [a, b] = ["192.0.2.1:1", "192.0.2.2:2"].map(|it| flow(0, it));
        let stranger = flow(0, "192.0.2.3:3").expect("a flow");
        let from = |caller, callee, source: Option<Flow>| {
            Flows { caller, callee }.onward(source.unwrap_or(stranger))
        };
        assert_eq!((from(a, b, a), from(a, b, b)), (b, a));
        assert_eq!((from(a, None, a), from(a, None, None)), (None, a));
        assert_eq!((from(None, b, b), from(None, b, None)), (None, b));
        assert_eq!(from(a, b, None), None);
    }
}
