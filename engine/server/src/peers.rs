//! Who is at the other end: the peers of the configuration found by address, and whether what is sent
//! to one may be coalesced. Asked for every datagram that leaves, so answers are remembered.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;

use crate::config::{Coalesce, Peer, PeerClass};

/// The configured peers, the longest prefix first.
#[derive(Debug, Default)]
pub(crate) struct PeerTable {
    networks: Vec<(IpNet, PeerClass, Arc<str>)>,
}

impl PeerTable {
    /// The table of these peers.
    pub(crate) fn new(peers: &[Peer]) -> PeerTable {
        let networks_of = |peer: &Peer| {
            let (class, name) = (peer.class, Arc::<str>::from(&*peer.name));
            peer.addresses
                .clone()
                .into_iter()
                .map(move |network| (network.0, class, Arc::clone(&name)))
        };
        let mut networks: Vec<_> = peers.iter().flat_map(networks_of).collect();
        networks.sort_by_key(|(network, ..)| std::cmp::Reverse(network.prefix_len()));
        PeerTable { networks }
    }

    /// The class of whoever has this address; a phone when nobody is known to.
    pub(crate) fn class(&self, address: IpAddr) -> PeerClass {
        self.find(address)
            .map_or(PeerClass::Phone, |(_, class, _)| *class)
    }

    /// What whoever has this address is called.
    pub(crate) fn name(&self, address: IpAddr) -> Option<&str> {
        self.find(address).map(|(_, _, name)| &**name)
    }

    fn find(&self, address: IpAddr) -> Option<&(IpNet, PeerClass, Arc<str>)> {
        let address = address.to_canonical();
        let mut networks = self.networks.iter();
        networks.find(|(network, ..)| network.contains(&address))
    }
}

/// Whether datagrams to an address may be coalesced, remembered for each address. One for each shard.
#[derive(Debug)]
pub(crate) struct Coalescing {
    mode: Coalesce,
    peers: Arc<PeerTable>,
    known: HashMap<IpAddr, bool, foldhash::fast::RandomState>,
}

/// Remembered addresses. More than a trunk side ever has; a flood of strangers starts it over rather
/// than grow it.
const KNOWN_MAX: usize = 16_384;

impl Coalescing {
    /// Nothing remembered yet.
    pub(crate) fn new(mode: Coalesce, peers: Arc<PeerTable>) -> Coalescing {
        Coalescing {
            mode,
            peers,
            known: HashMap::default(),
        }
    }

    /// Takes the peers of a reload.
    pub(crate) fn replace(&mut self, peers: Arc<PeerTable>) {
        self.peers = peers;
        self.known.clear();
    }

    /// How a message to this peer may leave with others.
    pub(crate) fn of_sip(&mut self, to: SocketAddr) -> reactor::Coalesce {
        let allowed = match self.mode {
            Coalesce::Off => false,
            Coalesce::All => true,
            Coalesce::Trunks => self.is_trunk(to.ip()),
        };
        match allowed {
            true => reactor::Coalesce::Padded,
            false => reactor::Coalesce::Never,
        }
    }

    /// How media may: several packets of a stream that leave at once are no different for whoever
    /// receives them, since none is padded.
    pub(crate) fn of_media(&self) -> reactor::Coalesce {
        match self.mode {
            Coalesce::Off => reactor::Coalesce::Never,
            Coalesce::All | Coalesce::Trunks => reactor::Coalesce::Equal,
        }
    }

    fn is_trunk(&mut self, address: IpAddr) -> bool {
        if let Some(&known) = self.known.get(&address) {
            return known;
        }
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
        let trunk = self.peers.class(address) == PeerClass::Trunk;
        self.known.insert(address, trunk);
        trunk
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reactor::Coalesce::{Equal, Never, Padded};

    fn table() -> Arc<PeerTable> {
        let peer = |name: &str, addresses: &[&str], class| Peer {
            name: name.into(),
            addresses: addresses
                .iter()
                .map(|a| String::from(*a).try_into().expect(a))
                .collect(),
            class,
            media: None,
            transfers: crate::config::TransferMode::Pass,
            trusted: false,
            reliable_provisionals: Default::default(),
            overload_control: false,
            abuse_exempt: None,
            authenticate: None,
        };
        Arc::new(PeerTable::new(&[
            peer(
                "carrier",
                &["10.0.0.0/8", "2001:db8::/32"],
                PeerClass::Trunk,
            ),
            peer("desks", &["10.1.0.0/16"], PeerClass::Phone),
            peer("gateway", &["10.1.2.3"], PeerClass::Trunk),
        ]))
    }

    #[test]
    fn the_longest_prefix_wins() {
        let table = table();
        let class = |ip: &str| table.class(ip.parse().expect(ip));
        assert_eq!(class("10.200.0.1"), PeerClass::Trunk);
        assert_eq!(class("10.1.2.4"), PeerClass::Phone);
        assert_eq!(class("10.1.2.3"), PeerClass::Trunk);
        assert_eq!(class("2001:db8:1::1"), PeerClass::Trunk);
        assert_eq!(class("::ffff:10.200.0.1"), PeerClass::Trunk);
        assert_eq!(class("192.0.2.1"), PeerClass::Phone);
    }

    #[test]
    fn the_mode_decides_before_the_class() {
        let (trunk, phone) = (
            "10.2.0.1:5060".parse().unwrap(),
            "192.0.2.1:5060".parse().unwrap(),
        );
        let allowed = |mode| {
            let mut coalescing = Coalescing::new(mode, table());
            let sip = (coalescing.of_sip(trunk), coalescing.of_sip(phone));
            (sip, coalescing.of_media())
        };
        assert_eq!(allowed(Coalesce::Off), ((Never, Never), Never));
        assert_eq!(allowed(Coalesce::Trunks), ((Padded, Never), Equal));
        assert_eq!(allowed(Coalesce::All), ((Padded, Padded), Equal));
    }

    #[test]
    fn a_reload_forgets_what_was_remembered() {
        let mut coalescing = Coalescing::new(Coalesce::Trunks, table());
        let peer = "10.2.0.1:5060".parse().unwrap();
        assert_eq!(coalescing.of_sip(peer), Padded);
        coalescing.replace(Arc::default());
        assert_eq!(coalescing.of_sip(peer), Never);
    }

    #[test]
    fn strangers_do_not_grow_it() {
        let mut coalescing = Coalescing::new(Coalesce::Trunks, table());
        for n in 0..3 * KNOWN_MAX as u32 {
            let ip = std::net::Ipv4Addr::from(0xC000_0000 + n);
            assert_eq!(coalescing.of_sip((ip, 5060).into()), Never);
        }
        assert!(coalescing.known.len() <= KNOWN_MAX);
    }
}
