//! What is configured for peers by their addresses. Both peers of a call are looked up once, when it
//! starts.

use std::net::IpAddr;

use media::Latching;

use crate::auth::Demand;

/// How one peer is treated. `Peer::default()` is whoever is not configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// How far its media may move.
    pub latching: Latching,
    /// It belongs to the network whose members believe each other who is calling (RFC 3325 2.3).
    pub trusted: bool,
    /// Who does RFC 3262 with it as a callee.
    pub reliable: Reliable,
    /// Overload is spoken of with it (RFC 7339), in both directions.
    pub overload_control: bool,
    /// What becomes of its REFERs inside calls.
    pub transfers: Transfers,
    /// It is trusted to mean well: neither counted nor limited nor banned.
    pub exempt: bool,
    /// Which of its requests need proof of who sent them; `None`: as the domains have it.
    pub authenticate: Option<Demand>,
}

/// Who acknowledges the reliable provisionals (RFC 3262) of a callee. Towards a caller that does 100rel
/// they pass under each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reliable {
    /// The caller alone.
    Pass,
    /// The router for a caller that does not, when the callee insists on it (421) or sends them unasked.
    #[default]
    Interwork,
    /// The router for a caller that does not; it offers 100rel to the callee from the first.
    Offer,
}

/// What becomes of a REFER inside a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transfers {
    /// It crosses, for the other party to obey.
    #[default]
    Pass,
    /// The router obeys it, where it can.
    Handle,
}

/// A prefix: family, bits, length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Prefix {
    length: u8,
    ipv6: bool,
    bits: u128,
}

impl Prefix {
    /// The first `length` bits of the address. IPv4 addresses fill the upper end, so that both families
    /// are cut alike.
    pub(crate) fn of(address: IpAddr, length: u8) -> Prefix {
        let (ipv6, bits, width) = match address {
            IpAddr::V4(v4) => (false, u128::from(u32::from(v4)) << 96, 32),
            IpAddr::V6(v6) => (true, u128::from(v6), 128),
        };
        let length = length.min(width);
        let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
        Prefix {
            length,
            ipv6,
            bits: bits & mask,
        }
    }

    /// Its length in bits.
    pub(crate) fn length(&self) -> u8 {
        self.length
    }
}

/// Peers by the longest prefix of their address.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    /// Sorted, one entry a prefix.
    prefixes: Vec<(Prefix, Peer)>,
    /// The lengths there are, longest first.
    lengths: Vec<u8>,
    any_trusted: bool,
    /// Overload is spoken of with some of them.
    overload_control: bool,
}

impl Peers {
    /// Peers by address and prefix length in bits; of two entries for one prefix the later one counts.
    pub fn new(peers: impl IntoIterator<Item = (IpAddr, u8, Peer)>) -> Peers {
        let mut prefixes: Vec<_> = peers
            .into_iter()
            .map(|(address, length, peer)| (Prefix::of(address, length), peer))
            .collect();
        prefixes.reverse();
        prefixes.sort_by_key(|(prefix, _)| *prefix);
        prefixes.dedup_by_key(|(prefix, _)| *prefix);
        let mut lengths: Vec<_> = prefixes.iter().map(|(prefix, _)| prefix.length).collect();
        lengths.dedup();
        lengths.reverse();
        let overload_control = prefixes.iter().any(|(_, peer)| peer.overload_control);
        let any_trusted = prefixes.iter().any(|(_, peer)| peer.trusted);
        Peers {
            prefixes,
            lengths,
            overload_control,
            any_trusted,
        }
    }

    /// Whether overload is spoken of with anybody.
    pub(crate) fn any_speaks_of_overload(&self) -> bool {
        self.overload_control
    }

    /// Whether overload is spoken of with this address. Free while it is with nobody.
    pub(crate) fn speaks_of_overload(&self, address: IpAddr) -> bool {
        self.overload_control && self.of(address).overload_control
    }

    /// Whether any peer is trusted with identities.
    pub(crate) fn any_trusted(&self) -> bool {
        self.any_trusted
    }

    /// The peer at this address; the default when none is configured. An IPv4 address in IPv6 clothes is
    /// looked up as IPv4.
    pub fn of(&self, address: IpAddr) -> Peer {
        let address = address.to_canonical();
        let entry = self.lengths.iter().find_map(|&length| {
            let wanted = Prefix::of(address, length);
            let found = self
                .prefixes
                .binary_search_by_key(&wanted, |(prefix, _)| *prefix);
            self.prefixes.get(found.ok()?)
        });
        entry.map_or_else(Peer::default, |(_, peer)| *peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn of(latching: Latching) -> Peer {
        Peer {
            latching,
            ..Peer::default()
        }
    }

    fn table<const N: usize>(rules: [(IpAddr, u8, Latching); N]) -> Peers {
        Peers::new(rules.map(|(address, length, latching)| (address, length, of(latching))))
    }

    #[test]
    fn the_longest_prefix_counts() {
        let peers = table([
            (ip("10.0.0.0"), 8, Latching::Strict),
            (ip("10.1.2.3"), 32, Latching::Latch),
            (ip("10.1.0.0"), 16, Latching::LatchSameHost),
            (ip("2001:db8::"), 32, Latching::Strict),
        ]);
        for (address, latching) in [
            ("10.9.9.9", Latching::Strict),
            ("10.1.9.9", Latching::LatchSameHost),
            ("10.1.2.3", Latching::Latch),
            ("::ffff:10.1.9.9", Latching::LatchSameHost),
            ("2001:db8::1", Latching::Strict),
            ("2001:db9::1", Latching::default()),
            ("11.0.0.1", Latching::default()),
        ] {
            assert_eq!(peers.of(ip(address)).latching, latching, "{address}");
        }
    }

    #[test]
    fn a_prefix_of_no_bits_is_everybody_of_its_family() {
        let peers = table([(ip("0.0.0.0"), 0, Latching::Strict)]);
        assert_eq!(peers.of(ip("192.0.2.1")).latching, Latching::Strict);
        assert_eq!(peers.of(ip("2001:db8::1")).latching, Latching::default());
        assert_eq!(Peers::default().of(ip("::1")).latching, Latching::default());
    }

    #[test]
    fn lengths_beyond_the_address_are_the_whole_of_it_and_the_later_entry_counts() {
        let peers = table([
            (ip("10.1.2.3"), 128, Latching::Strict),
            (ip("10.1.2.3"), 32, Latching::LatchSameHost),
        ]);
        assert_eq!(peers.of(ip("10.1.2.3")).latching, Latching::LatchSameHost);
        assert_eq!(peers.of(ip("10.1.2.4")).latching, Latching::default());
    }
}
