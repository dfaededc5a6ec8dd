//! The pairs of ports that are free, by family, and the way from a socket to its pair. Which stream has a
//! pair, and whether the sockets are open, is not known here.

use std::collections::VecDeque;

use stack::Random;

use crate::config::{Family, PortPair};

/// A media socket: a pair of ports and which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Socket {
    /// Index of the pair.
    pub(crate) pair: u32,
    /// The odd one of the two.
    pub(crate) rtcp: bool,
}

impl Socket {
    /// The socket behind a listener; `None` for listeners below the first of the media.
    #[inline]
    pub(crate) fn of(listener: u16, first_listener: u16) -> Option<Socket> {
        let number = listener.checked_sub(first_listener)?;
        Some(Socket {
            pair: u32::from(number / 2),
            rtcp: number % 2 == 1,
        })
    }

    /// The listener of this socket.
    #[inline]
    pub(crate) fn listener(self, first_listener: u16) -> u16 {
        let number = (self.pair as u16).wrapping_mul(2) | u16::from(self.rtcp);
        first_listener.wrapping_add(number)
    }
}

/// The free pairs. Taking and giving back cost the same however many there are.
///
/// A pair given back waits behind at least half of the free ones, so that late packets of an old call
/// meet an idle port instead of a new call; within the other half its place is drawn, so that
/// the next port does not follow from those seen.
#[derive(Debug)]
pub(crate) struct Ports {
    free: [VecDeque<u32>; 2],
    total: [usize; 2],
    random: Random,
}

impl Ports {
    /// All of `pairs`, free and shuffled.
    pub(crate) fn new(pairs: &[PortPair], random: Random) -> Ports {
        let mut ports = Ports {
            free: [VecDeque::new(), VecDeque::new()],
            total: [0; 2],
            random,
        };
        for (index, pair) in pairs.iter().enumerate() {
            of(&mut ports.free, Family::of(pair.bound)).push_back(index as u32);
        }
        ports.total = ports.free.each_ref().map(VecDeque::len);
        ports.shuffle();
        ports
    }

    /// Whether there is a pair of this family at all, free or not.
    pub(crate) fn serves(&self, family: Family) -> bool {
        let [v4, v6] = self.total;
        family == Family::V4 && v4 > 0 || family == Family::V6 && v6 > 0
    }

    /// Takes a pair; `None` when none of the family is free.
    pub(crate) fn take(&mut self, family: Family) -> Option<u32> {
        of(&mut self.free, family).pop_front()
    }

    /// Undoes a [`Ports::take`] whose pair was not used.
    pub(crate) fn put_back(&mut self, family: Family, pair: u32) {
        of(&mut self.free, family).push_front(pair);
    }

    /// Gives a pair back.
    pub(crate) fn release(&mut self, family: Family, pair: u32) {
        let free = of(&mut self.free, family);
        free.push_back(pair);
        let last = free.len() - 1;
        let first = last.div_ceil(2);
        let place = first + draw(&mut self.random, last - first + 1);
        free.swap(place, last);
    }

    /// Pairs in use.
    pub(crate) fn used(&self) -> usize {
        let free: usize = self.free.iter().map(VecDeque::len).sum();
        self.total.iter().sum::<usize>() - free
    }

    /// Fisher and Yates.
    fn shuffle(&mut self) {
        for free in &mut self.free {
            for last in (1..free.len()).rev() {
                free.swap(last, draw(&mut self.random, last + 1));
            }
        }
    }
}

/// What there is of a family.
fn of<T>([v4, v6]: &mut [T; 2], family: Family) -> &mut T {
    match family {
        Family::V4 => v4,
        Family::V6 => v6,
    }
}

/// A number below `bound`, which must not be 0. A bound of ports leaves a bias below 2^-48.
fn draw(random: &mut Random, bound: usize) -> usize {
    (random.next_u64() % bound as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    fn pair(bound: IpAddr, rtp_port: u16) -> PortPair {
        PortPair {
            bound,
            advertised: bound,
            rtp_port,
        }
    }

    fn ports(count: u16, seed: u64) -> Ports {
        let pairs: Vec<_> = (0..count)
            .map(|n| pair(Ipv4Addr::LOCALHOST.into(), 10_000 + 2 * n))
            .collect();
        Ports::new(&pairs, Random::new(seed))
    }

    #[test]
    fn sockets_and_listeners_name_each_other() {
        assert_eq!(Socket::of(6, 7), None);
        for (listener, pair, rtcp) in [(7, 0, false), (8, 0, true), (9, 1, false)] {
            let socket = Socket { pair, rtcp };
            assert_eq!(Socket::of(listener, 7), Some(socket));
            assert_eq!(socket.listener(7), listener);
        }
    }

    #[test]
    fn every_pair_is_taken_once_and_in_no_plain_order() {
        let mut ports = ports(100, 1);
        let taken: Vec<_> = std::iter::from_fn(|| ports.take(Family::V4)).collect();
        let mut sorted = taken.clone();
        sorted.sort_unstable();
        assert!(sorted.iter().copied().eq(0..100));
        assert_ne!(taken, sorted);
        assert_eq!(ports.used(), 100);
    }

    #[test]
    fn seeds_give_other_orders() {
        assert_ne!(ports(100, 1).free, ports(100, 2).free);
        assert_eq!(ports(100, 1).free, ports(100, 1).free);
    }

    #[test]
    fn a_released_pair_waits_behind_half_of_the_others() {
        let mut ports = ports(100, 3);
        for _ in 0..1000 {
            let pair = ports.take(Family::V4).unwrap();
            ports.release(Family::V4, pair);
            let place = ports.free[0].iter().position(|free| *free == pair);
            assert!(place.unwrap() >= 49);
        }
        assert_eq!(ports.used(), 0);
    }

    #[test]
    fn a_single_pair_can_be_used_again() {
        let mut ports = ports(1, 3);
        for _ in 0..3 {
            assert_eq!(ports.take(Family::V4), Some(0));
            assert_eq!(ports.take(Family::V4), None);
            ports.release(Family::V4, 0);
        }
    }

    #[test]
    fn families_do_not_mix() {
        let pairs = [
            pair(Ipv6Addr::LOCALHOST.into(), 10_000),
            pair(Ipv4Addr::LOCALHOST.into(), 10_000),
        ];
        let mut ports = Ports::new(&pairs, Random::new(0));
        assert_eq!(ports.take(Family::V4), Some(1));
        assert_eq!(ports.take(Family::V4), None);
        assert_eq!(ports.take(Family::V6), Some(0));
        ports.put_back(Family::V6, 0);
        assert_eq!(ports.used(), 1);
        assert!(!Ports::new(&pairs[1..], Random::new(0)).serves(Family::V6));
    }
}
