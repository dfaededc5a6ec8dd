//! What is remembered of each source, in a table of fixed size. A source has eight places it may take,
//! given by a keyed hash; when all are taken it takes that of the one that matters least: never one that is
//! banned, and one with failures to its name only when there is no other. So a flood of made-up sources
//! pushes out other such ones.

use std::hash::BuildHasher;
use std::net::IpAddr;

use foldhash::fast::FixedState;
use stack::Time;

use super::numbers::Tried;
use crate::peers::Prefix;

/// Places a source may take.
const WAYS: usize = 8;

/// One source. The points in time are those of [`super::pace::Pace`] unless they say otherwise.
#[derive(Clone, Debug, Default)]
pub(super) struct Source {
    /// Who it is; 0 is nobody.
    mark: u64,
    /// When it last came.
    seen: Time,
    pub(super) requests: Time,
    pub(super) calls: Time,
    pub(super) failures: Time,
    pub(super) answers: Time,
    pub(super) tried: Tried,
    /// Until then it is banned.
    pub(super) banned_until: Time,
    /// Bans in a row.
    pub(super) bans: u8,
}

impl Source {
    pub(super) fn is_banned(&self, now: Time) -> bool {
        now < self.banned_until
    }

    /// How much would be lost with it, the least first.
    fn worth(&self, now: Time) -> (bool, bool, Time) {
        let has_failed = self.bans > 0 || self.failures > now;
        (self.mark != 0, has_failed, self.seen)
    }
}

/// The sources of one shard.
#[derive(Debug)]
pub(super) struct Sources {
    sets: Box<[[Source; WAYS]]>,
    hasher: FixedState,
    prefix_ipv4: u8,
    prefix_ipv6: u8,
    /// Places taken.
    pub(super) taken: usize,
}

impl Sources {
    /// Room for so many sources, to the next multiple of eight; those that have so many first bits of
    /// their address in common are one. The hash is keyed by `seed`.
    pub(super) fn new(room: usize, (prefix_ipv4, prefix_ipv6): (u8, u8), seed: u64) -> Sources {
        Sources {
            sets: vec![Default::default(); room.div_ceil(WAYS)].into(),
            hasher: FixedState::with_seed(seed),
            prefix_ipv4,
            prefix_ipv6,
            taken: 0,
        }
    }

    /// The network this address is counted with: its length in bits.
    pub(super) fn length(&self, address: IpAddr) -> u8 {
        match address.to_canonical() {
            IpAddr::V4(_) => self.prefix_ipv4,
            IpAddr::V6(_) => self.prefix_ipv6,
        }
    }

    /// The source of this address, if it is remembered.
    pub(super) fn find(&mut self, address: IpAddr) -> Option<&mut Source> {
        let mark = self.mark(address);
        let set = Self::set(&mut self.sets, mark)?;
        set.iter_mut().find(|source| source.mark == mark)
    }

    /// The source of this address, remembered from now on. `None` when all its places are taken by banned
    /// ones.
    pub(super) fn take(&mut self, now: Time, address: IpAddr) -> Option<&mut Source> {
        let mark = self.mark(address);
        let set = Self::set(&mut self.sets, mark)?;
        let known = set.iter().position(|source| source.mark == mark);
        let source = match known {
            Some(known) => set.get_mut(known)?,
            None => {
                let loose = set.iter_mut().filter(|source| !source.is_banned(now));
                let place = loose.min_by_key(|source| source.worth(now))?;
                self.taken += usize::from(place.mark == 0);
                *place = Source {
                    mark,
                    ..Source::default()
                };
                place
            }
        };
        source.seen = now;
        Some(source)
    }

    fn set(sets: &mut [[Source; WAYS]], mark: u64) -> Option<&mut [Source; WAYS]> {
        let set = mark.checked_rem(sets.len() as u64)?;
        sets.get_mut(set as usize)
    }

    fn mark(&self, address: IpAddr) -> u64 {
        let prefix = Prefix::of(address.to_canonical(), self.length(address));
        self.hasher.hash_one(prefix).max(1)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(0x0a00_0000 + number).into()
    }

    fn at(s: u64) -> Time {
        Time::ZERO + Duration::from_secs(s)
    }

    #[test]
    fn sources_are_told_apart_by_prefix() {
        let mut sources = Sources::new(64, (24, 64), 1);
        sources.take(at(1), address(1)).expect("room").bans = 3;
        let bans = |sources: &mut Sources, ip: &str| {
            let found = sources.find(ip.parse().expect("an address"));
            found.map(|source| source.bans)
        };
        assert_eq!(bans(&mut sources, "10.0.0.200"), Some(3));
        assert_eq!(bans(&mut sources, "::ffff:10.0.0.9"), Some(3));
        assert_eq!(bans(&mut sources, "10.0.1.1"), None);
        let six = "2001:db8:0:1::1".parse().expect("an address");
        sources.take(at(1), six).expect("room").bans = 4;
        assert_eq!(bans(&mut sources, "2001:db8:0:1:ffff::"), Some(4));
        assert_eq!(bans(&mut sources, "2001:db8:0:2::1"), None);
        assert_eq!(sources.taken, 2);
    }

    #[test]
    fn a_flood_of_sources_pushes_out_neither_the_banned_nor_those_that_have_failed() {
        let mut sources = Sources::new(1024, (32, 64), 1);
        sources.take(at(0), address(1)).expect("room").banned_until = at(100);
        sources.take(at(0), address(2)).expect("room").failures = at(100);
        for number in 10..100_010 {
            sources.take(at(1), address(number)).expect("room");
        }
        assert_eq!(sources.taken, 1024);
        assert!(
            sources
                .find(address(1))
                .is_some_and(|it| it.is_banned(at(99)))
        );
        assert!(sources.find(address(2)).is_some());
        assert!(sources.find(address(100_009)).is_some());
        assert!(sources.find(address(10)).is_none());
    }

    #[test]
    fn banned_sources_keep_their_places_until_the_ban_is_over() {
        let mut sources = Sources::new(8, (32, 64), 1);
        for number in 0..8 {
            sources
                .take(at(0), address(number))
                .expect("room")
                .banned_until = at(10);
        }
        assert!(sources.take(at(9), address(9)).is_none());
        assert!(sources.take(at(10), address(9)).is_some());
        assert!(
            Sources::new(0, (32, 64), 1)
                .take(at(0), address(1))
                .is_none()
        );
    }
}
