//! Values of the configuration that are more than a number or a word: addresses and networks. Each is
//! read from a string, and its error says how it is to be written.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Makes a newtype read and write itself as a string, in TOML and in the schema.
macro_rules! written_as_string {
    ($type:ident, $example:literal) => {
        impl TryFrom<String> for $type {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                Self::parse(&text).ok_or_else(|| Self::expected(&text))
            }
        }
        impl From<$type> for String {
            fn from(value: $type) -> String {
                value.to_string()
            }
        }
        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "examples": [$example] })
            }
        }
    };
}

/// Where to receive SIP. Port 0 is allowed: the kernel chooses, which tests use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct ListenAddress(pub(crate) SocketAddr);

written_as_string!(ListenAddress, "192.0.2.1:5060");

impl ListenAddress {
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(ListenAddress)
    }

    fn expected(text: &str) -> String {
        expected_socket_address(text, "5060")
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where Prometheus may scrape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct MetricsAddress(pub(crate) SocketAddr);

written_as_string!(MetricsAddress, "127.0.0.1:9060");

impl MetricsAddress {
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(MetricsAddress)
    }

    fn expected(text: &str) -> String {
        expected_socket_address(text, "9060")
    }
}

impl fmt::Display for MetricsAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Another server, to which requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct ServerAddress(pub(crate) SocketAddr);

written_as_string!(ServerAddress, "192.0.2.5:5060");

impl ServerAddress {
    fn parse(text: &str) -> Option<Self> {
        let address: SocketAddr = text.parse().ok()?;
        let callable = address.port() != 0 && !address.ip().is_unspecified();
        callable.then_some(ServerAddress(address))
    }

    fn expected(text: &str) -> String {
        match text.parse::<SocketAddr>() {
            Ok(_) => format!("\"{text}\" cannot be called: it names no address or no port"),
            Err(_) => expected_socket_address(text, "5060"),
        }
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An address without a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct HostAddress(pub(crate) IpAddr);

written_as_string!(HostAddress, "192.0.2.5");

impl HostAddress {
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(HostAddress)
    }

    fn expected(text: &str) -> String {
        format!(
            "\"{text}\" is not an address; write it like \"192.0.2.5\" or \"2001:db8::5\", \
             without a port"
        )
    }
}

impl fmt::Display for HostAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn expected_socket_address(text: &str, port: &str) -> String {
    let hint = match text.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => format!("\"{ip}:{port}\""),
        Ok(IpAddr::V6(ip)) => format!("\"[{ip}]:{port}\""),
        Err(_) => format!("\"192.0.2.1:{port}\" or \"[2001:db8::1]:{port}\""),
    };
    format!("\"{text}\" is not an address with a port; write it like {hint}")
}

/// What peers are told to call: a host and perhaps a port.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Advertise {
    /// A name, an IPv4 address, or an IPv6 address in brackets, as it stands in a URI.
    pub(crate) host: String,
    /// The listener's own port when absent.
    pub(crate) port: Option<u16>,
}

written_as_string!(Advertise, "sip.example.com:5060");

impl Advertise {
    fn parse(text: &str) -> Option<Self> {
        if let Ok(ip) = text.parse::<Ipv6Addr>() {
            return Some(Advertise {
                host: format!("[{ip}]"),
                port: None,
            });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !text.ends_with(']') => (host, Some(parse_port(port)?)),
            _ => (text, None),
        };
        is_host(host).then(|| Advertise {
            host: host.to_owned(),
            port,
        })
    }

    fn expected(text: &str) -> String {
        format!(
            "\"{text}\" is not a host; write a name or an address that peers can reach, with or \
             without a port, like \"sip.example.com\" or \"192.0.2.1:5060\""
        )
    }
}

impl fmt::Display for Advertise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

fn parse_port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|&port| port != 0)
}

/// RFC 3261 25.1 host, where a wildcard address is not one that can be called.
fn is_host(text: &str) -> bool {
    if let Some(inside) = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        return inside
            .parse::<Ipv6Addr>()
            .is_ok_and(|ip| !ip.is_unspecified());
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return ip.is_ipv4() && !ip.is_unspecified();
    }
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let labels: Vec<&str> = text.strip_suffix('.').unwrap_or(text).split('.').collect();
    // A name's last label starts with a letter, so "10.0.0.300" is a mistyped address, not a name.
    let top = labels
        .last()
        .is_some_and(|top| top.starts_with(|c: char| c.is_ascii_alphabetic()));
    top && text.len() <= 253 && labels.into_iter().all(label)
}

/// A network in CIDR notation, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Network(pub(crate) IpNet);

written_as_string!(Network, "192.0.2.0/24");

impl Network {
    fn parse(text: &str) -> Option<Self> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Some(Network(IpNet::from(ip)));
        }
        text.parse::<IpNet>()
            .ok()
            .map(|network| Network(network.trunc()))
    }

    fn expected(text: &str) -> String {
        format!(
            "\"{text}\" is not a network; write it like \"192.0.2.7\", \"192.0.2.0/24\" or \
             \"2001:db8::/32\""
        )
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Ports for media, both ends included. A pair is an even port and the next one (RFC 3550 11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct PortRange {
    /// The lowest.
    pub(crate) low: u16,
    /// The highest.
    pub(crate) high: u16,
}

written_as_string!(PortRange, "16384-24575");

impl PortRange {
    /// Below are the ports of services.
    const LEAST: u16 = 1024;

    fn parse(text: &str) -> Option<Self> {
        let (low, high) = text.split_once('-')?;
        let low = low.trim().parse().ok()?;
        let high = high.trim().parse().ok()?;
        let range = PortRange { low, high };
        (low >= PortRange::LEAST && range.pairs() > 0).then_some(range)
    }

    fn expected(text: &str) -> String {
        format!(
            "\"{text}\" is not a range of ports; write it like \"16384-24575\": from {} to 65535, \
             with at least an even port and the next one",
            PortRange::LEAST
        )
    }

    /// The even ports whose next one is in the range too; an odd first and an even last port are
    /// left over.
    pub(crate) fn even_ports(self) -> impl Iterator<Item = u16> {
        let first = u32::from(self.low).next_multiple_of(2);
        let ports = (first..u32::from(self.high)).step_by(2);
        ports.map(|port| port as u16)
    }

    /// How many pairs there are.
    pub(crate) fn pairs(self) -> usize {
        self.even_ports().count()
    }

    /// Whether it holds this port.
    pub(crate) fn contains(self, port: u16) -> bool {
        (self.low..=self.high).contains(&port)
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.low, self.high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advertised_hosts() {
        let host = |text: &str| Advertise::parse(text).map(|a| (a.host, a.port));
        let some = |host: &str, port| Some((host.to_owned(), port));
        assert_eq!(host("sip.example.com"), some("sip.example.com", None));
        assert_eq!(
            host("sip.example.com.:5070"),
            some("sip.example.com.", Some(5070))
        );
        assert_eq!(host("192.0.2.1:5060"), some("192.0.2.1", Some(5060)));
        assert_eq!(
            host("[2001:db8::1]:5060"),
            some("[2001:db8::1]", Some(5060))
        );
        assert_eq!(host("[2001:db8::1]"), some("[2001:db8::1]", None));
        assert_eq!(host("2001:db8::1"), some("[2001:db8::1]", None));
        for wrong in [
            "",
            "0.0.0.0",
            "[::]:5060",
            "host:0",
            "host:65536",
            "a b",
            "-a",
            "10.0.0.300",
            "a..b",
            "x\r\ny",
        ] {
            assert_eq!(host(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_server_has_an_address_and_a_port() {
        for good in ["192.0.2.5:5060", "[2001:db8::5]:5060"] {
            assert!(ServerAddress::parse(good).is_some(), "{good}");
        }
        for (wrong, hint) in [
            ("192.0.2.5", "write it like \"192.0.2.5:5060\""),
            ("as.example.com:5060", "write it like"),
            ("0.0.0.0:5060", "cannot be called"),
            ("192.0.2.5:0", "cannot be called"),
        ] {
            let error = ServerAddress::try_from(wrong.to_owned()).unwrap_err();
            assert!(error.contains(hint), "{error}");
        }
        assert!(HostAddress::parse("192.0.2.5").is_some());
        assert!(HostAddress::parse("192.0.2.5:5060").is_none());
    }

    #[test]
    fn networks_lose_their_host_bits() {
        let network = |text: &str| Network::parse(text).map(|n| n.to_string());
        assert_eq!(network("192.0.2.7").as_deref(), Some("192.0.2.7/32"));
        assert_eq!(network("192.0.2.7/24").as_deref(), Some("192.0.2.0/24"));
        assert_eq!(network("2001:db8::1/32").as_deref(), Some("2001:db8::/32"));
        assert_eq!(network("192.0.2.0/33"), None);
        assert_eq!(network("example.com"), None);
    }

    #[test]
    fn a_range_of_ports_holds_whole_pairs() {
        let ports = |text: &str| PortRange::parse(text).map(|r| r.even_ports().collect::<Vec<_>>());
        assert_eq!(ports("16384-16387"), Some(vec![16384, 16386]));
        assert_eq!(ports("16383 - 16388"), Some(vec![16384, 16386]));
        assert_eq!(ports("65532-65535"), Some(vec![65532, 65534]));
        assert_eq!(
            PortRange::parse("1024-65535").map(PortRange::pairs),
            Some(32_256)
        );
        for wrong in [
            "16385-16386",
            "16384",
            "16384-16384",
            "2000-1500",
            "80-90",
            "1-70000",
            "a-b",
        ] {
            assert_eq!(ports(wrong), None, "{wrong}");
        }
        let range = PortRange::parse("16383-16388").unwrap();
        assert_eq!(range.to_string(), "16383-16388");
        assert!(range.contains(16388) && !range.contains(16389));
    }

    #[test]
    fn a_forgotten_port_is_put_into_the_hint() {
        let hint = ListenAddress::try_from("10.0.0.1".to_owned()).unwrap_err();
        assert!(hint.ends_with("write it like \"10.0.0.1:5060\""), "{hint}");
        let hint = ListenAddress::try_from("::1".to_owned()).unwrap_err();
        assert!(hint.ends_with("write it like \"[::1]:5060\""), "{hint}");
    }
}
