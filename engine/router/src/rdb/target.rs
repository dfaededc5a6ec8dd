//! `outRuriHostport`: where the call goes, and the syntax of a host and port (RFC 3261 25.1
//! `hostport`).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where the request leaves to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Target {
    /// Back to where the call came from.
    #[default]
    Back,
    /// To an address.
    Ip {
        /// IPv4 or IPv6.
        ip: IpAddr,
        /// `None`: the default of the transport (RFC 3261 19.1.2).
        port: Option<u16>,
    },
    /// To a name that has to be resolved.
    Name {
        /// The name as written.
        host: String,
        /// `None`: left to the resolution (RFC 3263).
        port: Option<u16>,
    },
}

/// Why a host and port is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum HostError {
    #[error("the host is missing")]
    NoHost,
    #[error("the port is not a number from 1 to 65535")]
    Port,
    #[error("not an IPv6 address in brackets")]
    Ipv6,
    #[error("not an IPv4 address; a name does not end in a number")]
    Ipv4,
    #[error("not a host name; letters, digits, hyphens and dots are allowed")]
    Name,
    #[error("a host name has at most 253 characters, and 63 between two dots")]
    Length,
}

impl Target {
    /// Reads `host`, `host:port`, `[IPv6]:port` or a bare IPv6 address; empty is [`Target::Back`].
    pub(super) fn parse(text: &str) -> Result<Target, HostError> {
        if text.is_empty() {
            return Ok(Target::Back);
        }
        if let Ok(ip) = text.parse::<Ipv6Addr>() {
            return Ok(Target::Ip {
                ip: ip.into(),
                port: None,
            });
        }
        if let Some(rest) = text.strip_prefix('[') {
            let (ip, rest) = rest.split_once(']').ok_or(HostError::Ipv6)?;
            let ip = ip.parse::<Ipv6Addr>().map_err(|_| HostError::Ipv6)?;
            return Ok(Target::Ip {
                ip: ip.into(),
                port: port_after(rest)?,
            });
        }
        let (host, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
        let port = port_after(rest)?;
        if let Ok(ip) = host.parse::<Ipv4Addr>() {
            return Ok(Target::Ip {
                ip: ip.into(),
                port,
            });
        }
        check_name(host)?;
        Ok(Target::Name {
            host: host.to_owned(),
            port,
        })
    }
}

/// Reads nothing, or a colon and a port.
fn port_after(text: &str) -> Result<Option<u16>, HostError> {
    if text.is_empty() {
        return Ok(None);
    }
    let digits = text.strip_prefix(':').ok_or(HostError::Port)?;
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    let port = digits.parse().ok().filter(|&port: &u16| plain && port > 0);
    port.map(Some).ok_or(HostError::Port)
}

/// RFC 3261 25.1 `hostname`, and underscores: the names of containers have them.
fn check_name(host: &str) -> Result<(), HostError> {
    let name = host.strip_suffix('.').unwrap_or(host);
    let labels = || name.split('.');
    if name.is_empty() {
        return Err(HostError::NoHost);
    }
    if name.len() > 253 || labels().any(|label| label.len() > 63) {
        return Err(HostError::Length);
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let is_label = |label: &str| {
        let hyphen = label.starts_with('-') || label.ends_with('-');
        !label.is_empty() && !hyphen && label.bytes().all(allowed)
    };
    if !labels().all(is_label) {
        return Err(HostError::Name);
    }
    let top = labels().next_back().unwrap_or_default();
    if top.starts_with(|c: char| c.is_ascii_digit()) {
        Err(HostError::Ipv4)
    } else {
        Ok(())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = match self {
            Target::Back => return f.write_str("back to where the call came from"),
            Target::Ip {
                ip: IpAddr::V6(ip),
                port,
            } => {
                write!(f, "[{ip}]")?;
                port
            }
            Target::Ip { ip, port } => {
                write!(f, "{ip}")?;
                port
            }
            Target::Name { host, port } => {
                f.write_str(host)?;
                port
            }
        };
        port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_read_and_shown() {
        for (text, shown) in [
            ("", "back to where the call came from"),
            ("10.0.0.1", "10.0.0.1"),
            ("10.0.0.1:5070", "10.0.0.1:5070"),
            ("2001:db8::1", "[2001:db8::1]"),
            ("[2001:db8::1]", "[2001:db8::1]"),
            ("[::1]:65535", "[::1]:65535"),
            ("::ffff:1.2.3.4", "[::ffff:1.2.3.4]"),
            ("pbx", "pbx"),
            ("media_1.example.com.:5060", "media_1.example.com.:5060"),
            ("1st.example", "1st.example"),
        ] {
            assert_eq!(
                Target::parse(text).map(|t| t.to_string()),
                Ok(shown.to_owned()),
                "{text}"
            );
        }
        assert!(matches!(
            Target::parse("a.b:1"),
            Ok(Target::Name { port: Some(1), .. })
        ));
        assert!(matches!(
            Target::parse("1.2.3.4"),
            Ok(Target::Ip { port: None, .. })
        ));
    }

    #[test]
    fn what_is_no_host_is_refused_for_its_reason() {
        let long = "a".repeat(64);
        for (text, error) in [
            (":5060", HostError::NoHost),
            (".", HostError::NoHost),
            ("h:", HostError::Port),
            ("h:0", HostError::Port),
            ("h:65536", HostError::Port),
            ("h:+5", HostError::Port),
            ("[::1]5060", HostError::Port),
            ("::1::2", HostError::Port),
            ("[::1", HostError::Ipv6),
            ("[1.2.3.4]", HostError::Ipv6),
            ("[fe80::1%eth0]", HostError::Ipv6),
            ("1.2.3", HostError::Ipv4),
            ("256.1.1.1:5060", HostError::Ipv4),
            ("sip host", HostError::Name),
            ("a..b", HostError::Name),
            ("-a.b", HostError::Name),
            ("user@host", HostError::Name),
            ("münchen.example", HostError::Name),
            (long.as_str(), HostError::Length),
        ] {
            assert_eq!(Target::parse(text), Err(error), "{text}");
        }
    }
}
