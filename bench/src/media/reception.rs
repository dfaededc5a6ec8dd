//! What arrived: per stream the order of its packets and their jitter, per direction the counts and the added delay. A packet
//! counts when its place in its stream lies in the measured part of the run.

use std::ops::Range;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::latency::{Percentiles, histogram};
use crate::media::packet::Stamp;

/// Packets behind the latest one whose arrival is remembered, to tell a late packet from a copy.
const WINDOW: u32 = 64;
/// Jitter is noted at every so many packets of a stream.
const JITTER_EVERY: u32 = 50;

/// Whether a packet came in its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    InTurn,
    /// After a later one.
    Late,
    /// For the second time.
    Again,
}

/// One stream as it arrives.
#[derive(Clone, Debug, Default)]
struct Arrival {
    /// The next index expected; 0 before the first packet.
    next: u32,
    /// Bit n: the packet n + 1 before `next` has come.
    seen: u64,
    transit_ns: Option<i64>,
    jitter_ns: f64,
}

impl Arrival {
    fn place(&mut self, index: u32) -> Order {
        if index >= self.next {
            let ahead = (index - self.next).saturating_add(1);
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.next = index.saturating_add(1);
            return Order::InTurn;
        }
        let behind = self.next - index - 1;
        if behind >= WINDOW {
            return Order::Late;
        }
        let bit = 1 << behind;
        let came = self.seen & bit != 0;
        self.seen |= bit;
        if came { Order::Again } else { Order::Late }
    }

    /// RFC 3550 A.8, with the time of sending in place of the RTP timestamp: what the generator was late does not count.
    fn note_transit(&mut self, transit_ns: i64) {
        if let Some(earlier) = self.transit_ns.replace(transit_ns) {
            let difference = transit_ns.abs_diff(earlier) as f64;
            self.jitter_ns += (difference - self.jitter_ns) / 16.0;
        }
    }
}

/// What a packet was to its direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// Of no stream of this direction.
    Foreign,
    /// A copy, or sent outside the measured part.
    Uncounted,
    /// Counted; its delay in nanoseconds.
    Counted(u64),
}

/// What arrived of one direction.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Direction {
    /// Packets sent in the measured time.
    pub(crate) sent: u64,
    /// Of those, the ones that arrived, each counted once.
    pub(crate) received: u64,
    /// `sent` less `received`.
    pub(crate) lost: u64,
    /// Arrived after a later packet of the stream.
    pub(crate) reordered: u64,
    /// Arrived once more.
    pub(crate) duplicated: u64,
    /// Streams of which nothing arrived at all.
    pub(crate) silent_streams: usize,
    /// From just before the packet was handed to the kernel to its arrival at our host, as the kernel noted it.
    pub(crate) delay: Percentiles,
    /// RFC 3550 A.8, every 50th packet of every stream.
    pub(crate) jitter: Percentiles,
}

/// One direction's streams, by number; streams of both directions alternate.
pub(crate) struct Receptions {
    parity: usize,
    arrivals: Vec<Arrival>,
    measured: Range<u32>,
    counts: Direction,
    delay: Histogram<u64>,
    jitter: Histogram<u64>,
}

impl Receptions {
    /// Of `streams` streams the even ones (`parity` 0) or the odd ones; packets with an index in `measured` count.
    pub(crate) fn new(parity: usize, streams: usize, measured: Range<u32>) -> Receptions {
        Receptions {
            parity,
            arrivals: vec![Arrival::default(); streams.saturating_sub(parity).div_ceil(2)],
            measured,
            counts: Direction::default(),
            delay: histogram(),
            jitter: histogram(),
        }
    }

    /// Takes a packet that arrived at `arrived_ns` (since 1970).
    pub(crate) fn receive(&mut self, stamp: &Stamp, arrived_ns: u64) -> Received {
        let stream = stamp.stream as usize;
        let arrival = self.arrivals.get_mut(stream / 2);
        let Some(arrival) = arrival.filter(|_| stream % 2 == self.parity) else {
            return Received::Foreign;
        };
        let order = arrival.place(stamp.index);
        let transit_ns = arrived_ns as i64 - stamp.sent_ns as i64;
        arrival.note_transit(transit_ns);
        if !self.measured.contains(&stamp.index) {
            return Received::Uncounted;
        }
        match order {
            Order::Again => {
                self.counts.duplicated += 1;
                return Received::Uncounted;
            }
            Order::Late => self.counts.reordered += 1,
            Order::InTurn => {}
        }
        self.counts.received += 1;
        let delay_ns = transit_ns.max(0) as u64;
        self.delay.saturating_record(delay_ns);
        if stamp.index.is_multiple_of(JITTER_EVERY) {
            self.jitter.saturating_record(arrival.jitter_ns as u64);
        }
        Received::Counted(delay_ns)
    }

    /// The figures, when `sent` packets that count were sent.
    pub(crate) fn direction(&self, sent: u64) -> Direction {
        Direction {
            sent,
            lost: sent.saturating_sub(self.counts.received),
            silent_streams: self.arrivals.iter().filter(|a| a.next == 0).count(),
            delay: Percentiles::of(&self.delay),
            jitter: Percentiles::of(&self.jitter),
            ..self.counts
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn receive(receptions: &mut Receptions, stream: u32, index: u32, delay_ns: u64) {
        let sent_ns = 1_000_000_000 + u64::from(index) * 20_000_000;
        let stamp = Stamp {
            stream,
            index,
            sent_ns,
        };
        receptions.receive(&stamp, sent_ns + delay_ns);
    }

    #[test]
    fn loss_order_and_copies_are_told_apart() {
        let mut receptions = Receptions::new(0, 2, 0..10);
        for index in [0, 1, 3, 2, 3, 5, 5] {
            receive(&mut receptions, 0, index, 100_000);
        }
        let direction = receptions.direction(6);
        assert_eq!((direction.received, direction.lost), (5, 1));
        assert_eq!((direction.reordered, direction.duplicated), (1, 2));
        assert_eq!(direction.delay.count, 5);
    }

    #[test]
    fn packets_outside_the_measured_part_do_not_count() {
        let mut receptions = Receptions::new(1, 4, 2..4);
        for index in 0..6 {
            receive(&mut receptions, 3, index, 50_000);
        }
        let direction = receptions.direction(2);
        assert_eq!((direction.received, direction.lost), (2, 0));
        assert_eq!(direction.silent_streams, 1);
    }

    #[test]
    fn a_stream_of_the_other_direction_is_refused() {
        let mut receptions = Receptions::new(0, 4, 0..10);
        let stamp = |stream| Stamp {
            stream,
            index: 0,
            sent_ns: 5,
        };
        assert_eq!(receptions.receive(&stamp(1), 9), Received::Foreign);
        assert_eq!(receptions.receive(&stamp(4), 9), Received::Foreign);
        assert_eq!(receptions.receive(&stamp(2), 9), Received::Counted(4));
    }

    #[test]
    fn jitter_follows_the_sixteenth_rule() {
        let mut arrival = Arrival::default();
        for transit in [0, 1_600, 1_600, 0] {
            arrival.note_transit(transit);
        }
        // |D| of 1600, 0, 1600: 100, then 93.75, then 187.89.
        let expected = 93.75 + (1_600.0 - 93.75) / 16.0;
        assert!((arrival.jitter_ns - expected).abs() < 1e-9);
    }

    #[test]
    fn constant_delay_has_no_jitter() {
        let mut receptions = Receptions::new(0, 2, 0..1_000);
        (0..1_000).for_each(|index| receive(&mut receptions, 0, index, 3_000_000));
        let direction = receptions.direction(1_000);
        assert_eq!(direction.jitter.count, 20);
        assert!(direction.jitter.max_us < 1.0);
        assert!((2_990.0..3_010.0).contains(&direction.delay.p50_us));
    }

    proptest! {
        #[test]
        fn every_packet_is_received_once_or_lost(order in proptest::collection::vec(0u32..60, 0..200)) {
            let mut receptions = Receptions::new(0, 2, 0..60);
            order.iter().for_each(|&index| receive(&mut receptions, 0, index, 1_000));
            let direction = receptions.direction(60);
            let distinct: std::collections::BTreeSet<_> = order.iter().collect();
            prop_assert_eq!(direction.received, distinct.len() as u64);
            prop_assert_eq!(direction.received + direction.lost, 60);
            prop_assert_eq!(direction.received + direction.duplicated, order.len() as u64);
        }
    }
}
