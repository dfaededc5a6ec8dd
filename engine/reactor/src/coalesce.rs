//! Which datagrams of a batch leave together. Pure arithmetic over lengths and addresses: no
//! pointers, no kernel.
//!
//! UDP_SEGMENT cuts one send into datagrams of one size, the last of which may be shorter. So a run
//! is made of datagrams to one peer from one socket, in their order, each but the last followed by
//! padding up to the longest. A run grows as long as the padding stays within a share of the bytes
//! asked for (none, for datagrams that must not be padded); then a new one begins. Runs of different peers grow side by side; the order between
//! peers is not kept and need not be.

use std::net::IpAddr;
use std::ops::Range;

use crate::batch::{Coalesce, Send};

/// Places for runs that are still growing, in sets a peer's hash chooses from. When more peers than
/// a set has places are busy at once, they close each other's runs: less coalescing, never a wrong
/// order. With one place a set, two trunks of eight would share one every third time.
const SETS: usize = 16;
const PLACES_A_SET: usize = 4;
const OPEN_MAX: usize = SETS * PLACES_A_SET;
/// Longest total of one coalesced send: below what one UDP datagram may carry on either family.
const RUN_BYTES_MAX: usize = 65_000;
const NONE: u32 = u32::MAX;

/// What bounds a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunLimits {
    pub(crate) segments: usize,
    pub(crate) segment_bytes: usize,
    pub(crate) padding_percent: usize,
}

/// Datagrams that leave in one send, as a chain through [`Plan::members`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    first: u32,
    last: u32,
    /// How many datagrams.
    pub(crate) count: u32,
    /// Bytes of the longest: what the others are padded to.
    pub(crate) segment_bytes: u32,
    payload_bytes: u32,
    kind: Coalesce,
}

impl Run {
    fn one(index: usize, bytes: usize, kind: Coalesce) -> Run {
        let (index, bytes) = (index as u32, bytes as u32);
        Run {
            first: index,
            last: index,
            count: 1,
            segment_bytes: bytes,
            payload_bytes: bytes,
            kind,
        }
    }

    /// The index of its first datagram.
    pub(crate) fn head(&self) -> usize {
        self.first as usize
    }

    /// The run with one more datagram of its kind, if it stays within the limits.
    fn extended(
        self,
        index: usize,
        bytes: usize,
        kind: Coalesce,
        limits: &RunLimits,
    ) -> Option<Run> {
        let before = self.count as usize;
        let segment_bytes = bytes.max(self.segment_bytes as usize);
        let payload_bytes = bytes + self.payload_bytes as usize;
        let total = before * segment_bytes + bytes;
        let padding = total - payload_bytes;
        let padding_percent = match kind {
            Coalesce::Padded => limits.padding_percent,
            // Without a byte to add, those before the last are of one size.
            Coalesce::Equal | Coalesce::Never => 0,
        };
        let fits = kind == self.kind
            && before < limits.segments
            && segment_bytes <= limits.segment_bytes
            && total <= RUN_BYTES_MAX
            && padding * 100 <= payload_bytes * padding_percent;
        fits.then_some(Run {
            first: self.first,
            last: index as u32,
            count: self.count + 1,
            segment_bytes: segment_bytes as u32,
            payload_bytes: payload_bytes as u32,
            kind,
        })
    }
}

/// The runs of one batch. Reused between batches; allocates only while it grows.
pub(crate) struct Plan {
    runs: Vec<Run>,
    next: Vec<u32>,
    open: [Option<Run>; OPEN_MAX],
    open_count: usize,
}

impl Plan {
    pub(crate) fn new() -> Plan {
        Plan {
            runs: Vec::new(),
            next: Vec::new(),
            open: [None; OPEN_MAX],
            open_count: 0,
        }
    }

    /// Plans a batch. Afterwards every index of `sends` is in exactly one run.
    pub(crate) fn make(&mut self, sends: &[Send], limits: &RunLimits) {
        self.runs.clear();
        self.next.clear();
        self.next.resize(sends.len(), NONE);
        for (index, send) in sends.iter().enumerate() {
            let bytes = (send.end.saturating_sub(send.start)) as usize;
            let alone =
                send.coalesce == Coalesce::Never || bytes == 0 || bytes > limits.segment_bytes;
            match alone {
                true => self.add_alone(sends, index, bytes),
                false => self.add(sends, index, bytes, limits),
            }
        }
        self.close_all();
    }

    pub(crate) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The indices of a run's datagrams, in order.
    pub(crate) fn members(&self, run: &Run) -> impl Iterator<Item = usize> {
        let mut at = run.first;
        std::iter::from_fn(move || {
            let index = at as usize;
            at = *self.next.get(index)?;
            Some(index)
        })
    }

    fn add_alone(&mut self, sends: &[Send], index: usize, bytes: usize) {
        // Whatever is gathered for this peer was asked for earlier and leaves earlier.
        if self.open_count > 0
            && let Some(place) = self.place_of(sends, index)
        {
            self.close(place);
        }
        self.runs
            .push(Run::one(index, bytes, sends[index].coalesce));
    }

    fn add(&mut self, sends: &[Send], index: usize, bytes: usize, limits: &RunLimits) {
        let place = match self.place_of(sends, index) {
            Some(place) => place,
            None => self.free_place(&sends[index]),
        };
        let kind = sends[index].coalesce;
        if let Some(run) = self.open[place] {
            if let Some(longer) = run.extended(index, bytes, kind, limits) {
                self.next[run.last as usize] = index as u32;
                self.open[place] = Some(longer);
                return;
            }
            self.close(place);
        }
        self.open[place] = Some(Run::one(index, bytes, kind));
        self.open_count += 1;
    }

    /// Where the run to this send's peer grows, if one does.
    fn place_of(&self, sends: &[Send], index: usize) -> Option<usize> {
        let is_same_peer = |run: &Run| {
            let head = &sends[run.head()];
            head.socket == sends[index].socket && head.to == sends[index].to
        };
        places(&sends[index]).find(|place| self.open[*place].as_ref().is_some_and(is_same_peer))
    }

    /// An empty place for this send's peer, if need be by closing another's run.
    fn free_place(&mut self, send: &Send) -> usize {
        let empty = places(send).find(|place| self.open[*place].is_none());
        empty.unwrap_or_else(|| {
            let victim = places(send).start + self.runs.len() % PLACES_A_SET;
            self.close(victim);
            victim
        })
    }

    fn close(&mut self, place: usize) {
        if let Some(run) = self.open[place].take() {
            self.runs.push(run);
            self.open_count -= 1;
        }
    }

    fn close_all(&mut self) {
        if self.open_count > 0 {
            (0..OPEN_MAX).for_each(|place| self.close(place));
        }
    }
}

/// The places a peer's run may be at.
fn places(send: &Send) -> Range<usize> {
    let ip = match send.to.ip() {
        IpAddr::V4(v4) => u64::from(v4.to_bits()),
        IpAddr::V6(v6) => (v6.to_bits() >> 64) as u64 ^ v6.to_bits() as u64,
    };
    let both = ip ^ u64::from(send.to.port()) << 40 ^ u64::from(send.socket.0) << 56;
    // The product's highest bits are the only ones every bit of the address reaches.
    let set = (both.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - SETS.ilog2())) as usize;
    set * PLACES_A_SET..(set + 1) * PLACES_A_SET
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::Coalesce::{Equal, Never, Padded};
    use crate::SocketId;
    use proptest::prelude::*;

    const LIMITS: RunLimits = RunLimits {
        segments: 64,
        segment_bytes: 1472,
        padding_percent: 60,
    };

    /// A batch of (peer port, length, coalesce).
    fn batch(parts: &[(u16, u32, Coalesce)]) -> Vec<Send> {
        let mut at = 0;
        let mut sends = Vec::new();
        for &(port, length, coalesce) in parts {
            let to = SocketAddr::from(([192, 0, 2, 1], port));
            sends.push(Send {
                socket: SocketId(0),
                to,
                start: at,
                end: at + length,
                coalesce,
            });
            at += length;
        }
        sends
    }

    fn plan(parts: &[(u16, u32, Coalesce)], limits: &RunLimits) -> Vec<Vec<usize>> {
        let mut plan = Plan::new();
        plan.make(&batch(parts), limits);
        plan.runs()
            .iter()
            .map(|run| plan.members(run).collect())
            .collect()
    }

    #[test]
    fn equal_datagrams_to_one_peer_are_one_run() {
        assert_eq!(plan(&[(1, 700, Padded); 5], &LIMITS), [[0, 1, 2, 3, 4]]);
    }

    #[test]
    fn peers_gather_side_by_side() {
        let parts = [
            (1, 500, Padded),
            (2, 500, Padded),
            (1, 500, Padded),
            (2, 500, Padded),
        ];
        let mut runs = plan(&parts, &LIMITS);
        runs.sort();
        assert_eq!(runs, [[0, 2], [1, 3]]);
    }

    #[test]
    fn trunks_do_not_share_places() {
        // Whatever ports they have, hardly any two of eight busy peers may disturb each other.
        let crowded = (0..500u16).filter(|trial| {
            let parts: Vec<(u16, u32, Coalesce)> = (0..80)
                .map(|i| (trial * 61 + i % 8 * 7, 500, Padded))
                .collect();
            plan(&parts, &LIMITS).len() > 8
        });
        let crowded = crowded.count();
        assert!(crowded <= 10, "{crowded} of 500");
    }

    #[test]
    fn unwilling_and_oversize_datagrams_go_alone_and_in_their_turn() {
        let parts = [
            (1, 500, Padded),
            (1, 500, Never),
            (1, 500, Padded),
            (1, 1473, Padded),
            (1, 9, Padded),
        ];
        assert_eq!(plan(&parts, &LIMITS), [[0], [1], [2], [3], [4]]);
    }

    #[test]
    fn a_long_one_behind_short_ones_begins_anew() {
        let parts = [
            (1, 300, Padded),
            (1, 310, Padded),
            (1, 320, Padded),
            (1, 1400, Padded),
        ];
        assert_eq!(plan(&parts, &LIMITS), [vec![0, 1, 2], vec![3]]);
    }

    #[test]
    fn the_last_may_be_short_without_padding() {
        let none = RunLimits {
            padding_percent: 0,
            ..LIMITS
        };
        let parts = [(1, 700, Padded), (1, 300, Padded), (1, 300, Padded)];
        assert_eq!(plan(&parts, &none), [vec![0, 1], vec![2]]);
    }

    #[test]
    fn segments_and_total_are_bounded() {
        let sizes: Vec<usize> = plan(&[(1, 400, Padded); 150], &LIMITS)
            .iter()
            .map(Vec::len)
            .collect();
        assert_eq!(sizes, [64, 64, 22]);
        let sizes: Vec<usize> = plan(&[(1, 1472, Padded); 50], &LIMITS)
            .iter()
            .map(Vec::len)
            .collect();
        assert_eq!(sizes, [44, 6]);
    }

    #[test]
    fn unpadded_runs_are_of_one_size_but_for_the_last() {
        let parts = [
            (1, 172, Equal),
            (1, 172, Equal),
            (1, 60, Equal),
            (1, 60, Equal),
            (1, 172, Equal),
            (1, 172, Equal),
        ];
        assert_eq!(plan(&parts, &LIMITS), [vec![0, 1, 2], vec![3], vec![4, 5]]);
    }

    #[test]
    fn kinds_do_not_mix_in_a_run_and_keep_their_order() {
        let parts = [
            (1, 100, Padded),
            (1, 100, Equal),
            (1, 100, Equal),
            (1, 90, Padded),
            (1, 90, Never),
        ];
        assert_eq!(
            plan(&parts, &LIMITS),
            [vec![0], vec![1, 2], vec![3], vec![4]]
        );
    }

    fn kind() -> impl Strategy<Value = Coalesce> {
        prop_oneof![Just(Never), Just(Padded), Just(Equal)]
    }

    /// Few lengths, so that equal ones meet.
    fn length() -> impl Strategy<Value = u32> {
        prop_oneof![0u32..1700, Just(172), Just(60)]
    }

    proptest! {
        #[test]
        fn every_datagram_leaves_once_in_order_and_within_the_limits(
            parts in proptest::collection::vec((0u16..200, length(), kind()), 0..300),
            percent in 0usize..150,
        ) {
            let limits = RunLimits { padding_percent: percent, ..LIMITS };
            let runs = plan(&parts, &limits);
            let mut seen = vec![0; parts.len()];
            let mut last_of_peer = std::collections::HashMap::new();
            for run in &runs {
                let lengths: Vec<usize> = run.iter().map(|&i| parts[i].1 as usize).collect();
                for &index in run {
                    seen[index] += 1;
                    prop_assert_eq!(parts[index].0, parts[run[0]].0);
                    let before = last_of_peer.insert(parts[index].0, index);
                    prop_assert!(before.is_none_or(|before| before < index));
                }
                if run.len() > 1 {
                    let longest = *lengths.iter().max().unwrap();
                    let sum: usize = lengths.iter().sum();
                    let total = longest * (run.len() - 1) + lengths[run.len() - 1];
                    prop_assert!(run.iter().all(|&i| parts[i].2 == parts[run[0]].2 && parts[i].1 > 0));
                    prop_assert!(longest <= 1472 && run.len() <= 64 && total <= 65_000);
                    match parts[run[0]].2 {
                        Padded => prop_assert!((total - sum) * 100 <= sum * percent),
                        Equal => prop_assert_eq!(total, sum),
                        Never => prop_assert!(false, "it was to go alone"),
                    }
                }
            }
            prop_assert!(seen.iter().all(|&count| count == 1));
        }
    }
}
