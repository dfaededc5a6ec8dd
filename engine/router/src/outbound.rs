//! Where calls leave to beside what the routing DB says: values only. What they do to a call stands in
//! `application_server`, `target` and `call`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Who gets the calls that the routing DB does not decide on alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outbound {
    /// Every call that does not come from it goes to it; calls from it go by the routing DB.
    pub application_server: Option<ApplicationServer>,
    /// Where INVITEs towards targets of the routing DB are sent, whatever those targets are, with the
    /// proxy as their first route (RFC 3261 8.1.2). The application server is reached directly.
    pub proxy: Option<SocketAddr>,
}

/// An application server in front of the routing DB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationServer {
    /// Where calls go to. A call from this very address and port comes from the server.
    pub address: SocketAddr,
    /// Further addresses whose calls come from the server, from any port. `address.ip()` is not among
    /// them by itself: on one machine, or behind one NAT, telephones may share it.
    pub sources: Vec<IpAddr>,
    /// How often it is asked with OPTIONS whether it lives; `None` never, it then counts as up.
    pub keep_alive: Option<Duration>,
    /// It is down after so many failures in a row; 0 is taken as 1.
    pub failures: u32,
}

impl ApplicationServer {
    /// Whether a request from `remote` comes from the server.
    pub fn is_source(&self, remote: SocketAddr) -> bool {
        remote == self.address || self.sources.contains(&remote.ip())
    }
}

/// What became of a question whether the application server lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probed {
    /// It answered with this final code. 503 says that it takes no calls (RFC 3261 21.5.4); any other
    /// code, an error too, is a sign of life.
    Answered(u16),
    /// It did not answer before the next question was due, or within 64*T1.
    NoAnswer,
    /// The network says that nothing listens there.
    Unreachable,
}

impl Probed {
    /// Whether the server takes calls.
    pub fn is_alive(self) -> bool {
        matches!(self, Probed::Answered(code) if code != 503)
    }
}

impl fmt::Display for Probed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Probed::Answered(code) => write!(f, "answered {code}"),
            Probed::NoAnswer => f.write_str("no answer"),
            Probed::Unreachable => f.write_str("unreachable"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_the_address_with_its_port_or_a_listed_host() {
        let server = ApplicationServer {
            address: "10.0.0.5:5060".parse().expect("an address"),
            sources: vec!["10.0.0.6".parse().expect("an address")],
            keep_alive: None,
            failures: 1,
        };
        for (remote, expected) in [
            ("10.0.0.5:5060", true),
            ("10.0.0.5:5061", false),
            ("10.0.0.6:5060", true),
            ("10.0.0.6:40000", true),
            ("10.0.0.7:5060", false),
        ] {
            let remote = remote.parse().expect("an address");
            assert_eq!(server.is_source(remote), expected, "{remote}");
        }
    }

    #[test]
    fn any_answer_but_503_is_a_sign_of_life() {
        for code in [200, 404, 405, 408, 501, 603] {
            assert!(Probed::Answered(code).is_alive(), "{code}");
        }
        for dead in [Probed::Answered(503), Probed::NoAnswer, Probed::Unreachable] {
            assert!(!dead.is_alive(), "{dead}");
        }
    }
}
