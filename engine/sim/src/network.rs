//! The virtual network: what is sent arrives later, twice, out of order, or not at all, as the seed
//! says. It knows datagrams and times; what a datagram means, and who reads it, is decided elsewhere.
//!
//! It is unreliable but fair: at most [`LOSSES_MAX`] copies of one datagram are lost, so whoever
//! retransmits as RFC 3261 17 says gets through well before its timers B and F. That is what lets the
//! checkers demand an exact end of every call.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::net::SocketAddr;
use std::time::Duration;

use stack::Time;

use crate::draw::Draw;

/// Copies of one datagram that may be lost. With 2 for a request and 2 for its answer, the fifth
/// transmission of an INVITE (7.5 s) is answered for certain.
const LOSSES_MAX: u8 = 2;

/// How the network behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// Least and greatest usual latency, in milliseconds. A span reorders datagrams.
    pub latency_ms: (u64, u64),
    /// Percentage of datagrams lost.
    pub loss_percent: u64,
    /// Percentage of datagrams that arrive twice.
    pub duplicate_percent: u64,
    /// Percentage of datagrams that are held up.
    pub late_percent: u64,
    /// The most that a held-up one is late, in milliseconds.
    pub late_ms_max: u64,
}

impl Conditions {
    /// Nothing is lost, and everything arrives in order after a millisecond.
    pub const PERFECT: Conditions = Conditions {
        latency_ms: (1, 1),
        loss_percent: 0,
        duplicate_percent: 0,
        late_percent: 0,
        late_ms_max: 0,
    };

    /// A bad day: loss, duplication, reordering and long delays.
    pub const ROUGH: Conditions = Conditions {
        latency_ms: (1, 60),
        loss_percent: 15,
        duplicate_percent: 10,
        late_percent: 3,
        late_ms_max: 2_500,
    };

    /// Some conditions, from perfect to rough.
    pub fn random(draw: &mut Draw) -> Conditions {
        match draw.between(0, 3) {
            0 => Conditions::PERFECT,
            1 => Conditions {
                latency_ms: (1, draw.between(2, 40)),
                ..Conditions::PERFECT
            },
            2 => Conditions {
                loss_percent: draw.between(0, 15),
                duplicate_percent: draw.between(0, 10),
                ..Conditions::PERFECT
            },
            _ => Conditions::ROUGH,
        }
    }
}

/// Things that happen at a time of their own, in the order of their times and, for equal times, in the
/// order in which they were planned.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    planned: BTreeMap<(Time, u64), T>,
    count: u64,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Agenda {
            planned: BTreeMap::new(),
            count: 0,
        }
    }
}

impl<T> Agenda<T> {
    pub(crate) fn plan(&mut self, at: Time, what: T) {
        self.planned.insert((at, self.count), what);
        self.count += 1;
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.planned.first_key_value().map(|((at, _), _)| *at)
    }

    pub(crate) fn take_due(&mut self, now: Time) -> Option<T> {
        let due = self.next().is_some_and(|at| at <= now);
        due.then(|| self.planned.pop_first().map(|(_, what)| what))
            .flatten()
    }
}

/// Decides the fate of each datagram.
#[derive(Debug)]
pub(crate) struct Network {
    conditions: Conditions,
    draw: Draw,
    lost: HashMap<u64, u8, BuildHasherDefault<DefaultHasher>>,
}

impl Network {
    pub(crate) fn new(conditions: Conditions, draw: Draw) -> Network {
        Network {
            conditions,
            draw,
            lost: HashMap::default(),
        }
    }

    /// The times at which this datagram arrives: none when it is lost, two when it is duplicated.
    pub(crate) fn arrivals(
        &mut self,
        now: Time,
        from: SocketAddr,
        to: SocketAddr,
        bytes: &[u8],
    ) -> Vec<Time> {
        if self.loses(from, to, bytes) {
            return Vec::new();
        }
        let copies = if self.draw.chance(self.conditions.duplicate_percent) {
            2
        } else {
            1
        };
        (0..copies).map(|_| now + self.latency()).collect()
    }

    fn loses(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) -> bool {
        if !self.draw.chance(self.conditions.loss_percent) {
            return false;
        }
        let hash = self.lost.hasher().hash_one((from, to, bytes));
        let lost = self.lost.entry(hash).or_default();
        *lost += 1;
        *lost <= LOSSES_MAX
    }

    fn latency(&mut self) -> Duration {
        let (low, high) = self.conditions.latency_ms;
        let late = self.draw.chance(self.conditions.late_percent);
        let more = if late { self.conditions.late_ms_max } else { 0 };
        // Not in whole milliseconds: events of one turn should not fall together.
        let micros = self.draw.between(low * 1_000, high * 1_000);
        Duration::from_micros(micros) + self.draw.millis(0, more)
    }
}

/// The earliest of several times.
pub(crate) fn earliest(times: impl IntoIterator<Item = Option<Time>>) -> Option<Time> {
    times
        .into_iter()
        .flatten()
        .map(Reverse)
        .max()
        .map(|Reverse(time)| time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> (SocketAddr, SocketAddr) {
        (
            SocketAddr::from(([10, 1, 0, 1], 5060)),
            SocketAddr::from(([10, 2, 0, 1], 5060)),
        )
    }

    #[test]
    fn a_perfect_network_delivers_once_after_a_millisecond() {
        let mut network = Network::new(Conditions::PERFECT, Draw::new(1));
        let (from, to) = addresses();
        let arrivals = network.arrivals(Time::ZERO, from, to, b"x");
        assert_eq!(arrivals, [Time::ZERO + Duration::from_millis(1)]);
    }

    #[test]
    fn the_third_copy_always_arrives() {
        let conditions = Conditions {
            loss_percent: 100,
            ..Conditions::PERFECT
        };
        let mut network = Network::new(conditions, Draw::new(1));
        let (from, to) = addresses();
        let arrived = [(); 4].map(|()| network.arrivals(Time::ZERO, from, to, b"x").len());
        assert_eq!(arrived, [0, 0, 1, 1]);
        assert!(
            network.arrivals(Time::ZERO, from, to, b"y").is_empty(),
            "another datagram"
        );
    }

    #[test]
    fn a_rough_network_duplicates_and_delays() {
        let mut network = Network::new(Conditions::ROUGH, Draw::new(1));
        let (from, to) = addresses();
        let all: Vec<Vec<Time>> = (0..500u32)
            .map(|n| network.arrivals(Time::ZERO, from, to, &n.to_be_bytes()))
            .collect();
        assert!(all.iter().any(|arrivals| arrivals.len() == 2));
        assert!(all.iter().any(Vec::is_empty));
        let late = Time::ZERO + Duration::from_millis(61);
        assert!(all.iter().flatten().any(|arrival| *arrival > late));
    }

    #[test]
    fn equal_times_keep_their_order() {
        let mut agenda = Agenda::default();
        let at = Time::from_nanos(5);
        agenda.plan(at, 'a');
        agenda.plan(Time::from_nanos(9), 'c');
        agenda.plan(at, 'b');
        assert_eq!(agenda.next(), Some(at));
        let taken: Vec<char> = std::iter::from_fn(|| agenda.take_due(at)).collect();
        assert_eq!(taken, ['a', 'b']);
    }
}
