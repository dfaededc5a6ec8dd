//! Values by network: what holds for an address is what was said of the longest prefix it lies in.

use std::net::IpAddr;

use crate::peers::Prefix;

/// Networks with a value each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Networks<V> {
    /// Sorted, one entry a prefix.
    entries: Vec<(Prefix, V)>,
    /// The lengths there are, longest first.
    lengths: Vec<u8>,
}

impl<V> Default for Networks<V> {
    fn default() -> Self {
        Networks {
            entries: Vec::new(),
            lengths: Vec::new(),
        }
    }
}

impl<V: Copy> Networks<V> {
    /// Values by address and prefix length in bits; of two for one prefix the later one counts.
    pub fn new(networks: impl IntoIterator<Item = (IpAddr, u8, V)>) -> Networks<V> {
        let mut entries: Vec<_> = networks
            .into_iter()
            .map(|(address, length, value)| (Prefix::of(address, length), value))
            .collect();
        entries.reverse();
        entries.sort_by_key(|(prefix, _)| *prefix);
        entries.dedup_by_key(|(prefix, _)| *prefix);
        let mut lengths: Vec<_> = entries.iter().map(|(prefix, _)| prefix.length()).collect();
        lengths.dedup();
        lengths.reverse();
        Networks { entries, lengths }
    }

    /// What holds for this address. An IPv4 address in IPv6 clothes is looked up as IPv4.
    pub fn of(&self, address: IpAddr) -> Option<V> {
        let address = address.to_canonical();
        self.lengths.iter().find_map(|&length| {
            let wanted = Prefix::of(address, length);
            let found = self
                .entries
                .binary_search_by_key(&wanted, |(prefix, _)| *prefix);
            self.entries.get(found.ok()?).map(|(_, value)| *value)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_counts_and_of_two_alike_the_later() {
        let ip = |text: &str| -> IpAddr { text.parse().expect("an address") };
        let networks = Networks::new([
            (ip("10.0.0.0"), 8, 'a'),
            (ip("10.1.0.0"), 16, 'b'),
            (ip("2001:db8::"), 32, 'c'),
            (ip("10.1.0.0"), 16, 'd'),
        ]);
        for (address, expected) in [
            ("10.2.0.1", Some('a')),
            ("10.1.0.1", Some('d')),
            ("::ffff:10.1.0.1", Some('d')),
            ("2001:db8::1", Some('c')),
            ("11.0.0.1", None),
        ] {
            assert_eq!(networks.of(ip(address)), expected, "{address}");
        }
        assert_eq!(Networks::<char>::default().of(ip("::1")), None);
    }
}
