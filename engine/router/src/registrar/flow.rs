//! How a REGISTER came here: directly or by others (RFC 5626 6), and whether through a NAT.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use wire::{HeaderName, Message, NameAddr, Uri};

use crate::core::DEFAULT_PORT;

/// Whether flows of RFC 5626 can be registered with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FlowRules {
    /// No other element stands between the user agent and here.
    pub(super) direct: bool,
    /// The first hop does outbound: we, or an edge proxy that says so.
    pub(super) applies: bool,
    /// The user agent says `Supported: outbound`.
    pub(super) asked: bool,
}

impl FlowRules {
    pub(super) fn of(request: &Message<'_>) -> FlowRules {
        let direct = request.values(HeaderName::Via).nth(1).is_none();
        FlowRules {
            direct,
            applies: direct || by_edge_proxy(request),
            asked: request.supports("outbound"),
        }
    }
}

/// RFC 5626 6 asks for `ob` in the first Path URI. That is the edge proxy's where it is the only proxy; behind others it
/// is the last, since each puts its own in front (RFC 3327 5.2). Either will do.
fn by_edge_proxy(request: &Message<'_>) -> bool {
    let mut path = request.values(HeaderName::Path);
    let first = path.next();
    let last = path.last();
    first.into_iter().chain(last).any(is_outbound)
}

fn is_outbound(value: &[u8]) -> bool {
    let uri = NameAddr::parse(value).and_then(|address| address.uri_parsed());
    uri.is_ok_and(|uri| uri.param("ob").is_some())
}

/// Whether a contact that came directly is not where its URI says: the Via has another address than the packet, or,
/// where the client says that it listens where it sends from (RFC 3581 4), another port; or the contact's address is
/// one that only its own network can reach.
pub(super) fn is_behind_nat(request: &Message<'_>, contact: &Uri<'_>, source: SocketAddr) -> bool {
    let source = SocketAddr::new(source.ip().to_canonical(), source.port());
    let contact_ip = contact.host.ip().map(|ip| ip.to_canonical());
    let contact_port = contact.port.unwrap_or(DEFAULT_PORT);
    if contact_ip.map(|ip| SocketAddr::new(ip, contact_port)) == Some(source) {
        return false;
    }
    let hidden = contact_ip.is_some_and(|ip| ip != source.ip() && is_private(ip));
    hidden || has_crossed_nat(request, source)
}

fn has_crossed_nat(request: &Message<'_>, source: SocketAddr) -> bool {
    let Ok(via) = request.top_via() else {
        return false;
    };
    let other_host = via
        .host
        .ip()
        .is_some_and(|ip| ip.to_canonical() != source.ip());
    let other_port = via.rport.is_some() && via.port.unwrap_or(DEFAULT_PORT) != source.port();
    other_host || other_port
}

/// RFC 1918, RFC 6598 (shared by a carrier's customers), link-local; RFC 4193, RFC 4291 2.5.6.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local() || is_shared(ip),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

fn is_shared(ip: Ipv4Addr) -> bool {
    let [first, second, ..] = ip.octets();
    first == 100 && second & 0xc0 == 0x40
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{Index, Limits};

    fn with<T>(headers: &str, read: impl FnOnce(&Message<'_>) -> T) -> T {
        let text = format!("REGISTER sip:a SIP/2.0\r\n{headers}\r\n\r\n");
        let mut index = Index::new();
        read(&Message::parse(text.as_bytes(), &mut index, &Limits::default()).expect("a message"))
    }

    #[test]
    fn outbound_applies_at_the_first_hop_or_behind_an_edge_proxy_that_does_it() {
        let applies = |headers: &str| with(headers, |request| FlowRules::of(request).applies);
        let far = "Via: SIP/2.0/UDP p\r\nVia: SIP/2.0/UDP a";
        assert!(applies("Via: SIP/2.0/UDP a"));
        assert!(!applies(far));
        assert!(!applies(&format!("{far}\r\nPath: <sip:p;lr>")));
        assert!(applies(&format!("{far}\r\nPath: <sip:p;lr;ob>")));
        assert!(applies(&format!(
            "{far}\r\nPath: <sip:q;lr>, <sip:p;lr;ob>"
        )));
    }

    #[test]
    fn a_nat_is_seen_by_what_differs() {
        let behind = |via: &str, contact: &str, source: &str| {
            with(&format!("Via: SIP/2.0/UDP {via};branch=z"), |request| {
                let uri = Uri::parse(contact.as_bytes()).expect("a URI");
                is_behind_nat(request, &uri, source.parse().expect("an address"))
            })
        };
        let phone = "sip:a@10.0.0.7:5060";
        assert!(behind("10.0.0.7:5060;rport", phone, "198.51.100.1:4711"));
        assert!(behind(
            "10.0.0.7",
            "sip:a@phone.example",
            "198.51.100.1:5060"
        ));
        // Only the port was changed, and the client says that it listens where it sends from.
        assert!(behind(
            "198.51.100.1;rport",
            "sip:a@198.51.100.1",
            "198.51.100.1:4711"
        ));
        assert!(!behind(
            "198.51.100.1",
            "sip:a@198.51.100.1",
            "198.51.100.1:4711"
        ));
        // What it names is where it is, or is another machine of its own network.
        assert!(!behind(
            "10.0.0.7",
            "sip:a@198.51.100.1:4711",
            "198.51.100.1:4711"
        ));
        assert!(!behind(
            "198.51.100.1:9;rport",
            "sip:a@198.51.100.2",
            "198.51.100.1:9"
        ));
        assert!(behind(
            "198.51.100.1:9",
            "sip:a@100.64.3.2",
            "198.51.100.1:9"
        ));
        assert!(!behind("10.0.0.7", phone, "[::ffff:10.0.0.7]:5060"));
    }
}
