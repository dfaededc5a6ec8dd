//! How many different numbers a source has tried in vain, counted in 64 bits: each number sets the bit it
//! is hashed to, and how many are set tells how many numbers there were (linear counting).

use std::time::Duration;

use stack::Time;

/// Numbers tried in vain that make a source one that probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probing {
    /// So many different ones, at most [`Probing::DISTINCT_MAX`].
    pub distinct: u32,
    /// Within this time.
    pub window: Duration,
}

const BITS: u32 = u64::BITS;

impl Probing {
    /// With more, 64 bits would not tell how many there were.
    pub const DISTINCT_MAX: u32 = 100;

    /// Bits that so many numbers set, on average: 64 (1 - (1 - 1/64)^n). One shard sees its part of them.
    pub(super) fn bits(self, shards: u8) -> u32 {
        let shards = u32::from(shards.max(1));
        let distinct = self.distinct.min(Self::DISTINCT_MAX).div_ceil(shards);
        let clear = (1.0 - f64::from(BITS).recip()).powi(distinct.try_into().unwrap_or(i32::MAX));
        ((f64::from(BITS) * (1.0 - clear)).round() as u32).max(1)
    }
}

/// The numbers of one source.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tried {
    bits: u64,
    since: Time,
}

impl Tried {
    /// Notes the number with this hash. True when `limit` bits are set within `window`; then it begins anew.
    pub(super) fn note(&mut self, now: Time, number: u64, window: Duration, limit: u32) -> bool {
        if now.duration_since(self.since) >= window {
            *self = Tried {
                bits: 0,
                since: now,
            };
        }
        self.bits |= 1 << (number % u64::from(BITS));
        let reached = self.bits.count_ones() >= limit;
        if reached {
            self.bits = 0;
        }
        reached
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use foldhash::fast::FixedState;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(60);

    fn tried_until_noticed(distinct: u32, key: u64) -> u32 {
        let limit = Probing {
            distinct,
            window: WINDOW,
        }
        .bits(1);
        let mut tried = Tried::default();
        let hash = |number| FixedState::with_seed(key).hash_one(number);
        let mut noticed = |number: u32| tried.note(Time::ZERO, hash(number), WINDOW, limit);
        (1..1000).find(|number| noticed(*number)).expect("noticed")
    }

    #[test]
    fn different_numbers_are_counted_about_right() {
        for distinct in [1, 5, 20, 50, 100] {
            let sum: u32 = (0..50).map(|key| tried_until_noticed(distinct, key)).sum();
            let mean = f64::from(sum) / 50.0;
            let off = (mean - f64::from(distinct)).abs() / f64::from(distinct);
            assert!(off < 0.15, "{distinct} numbers were noticed after {mean}");
        }
    }

    #[test]
    fn one_number_tried_for_ever_is_one_and_old_ones_are_forgotten() {
        let mut tried = Tried::default();
        let mut note =
            |s: u64, number| tried.note(Time::from_nanos(s * 1_000_000_000), number, WINDOW, 3);
        assert!(!(0..50).any(|second| note(second, 7)));
        assert!(!note(51, 8));
        assert!(!note(120, 9));
        assert!(!note(121, 10));
        assert!(note(122, 11));
        assert!(!note(123, 11), "after it was noticed it begins anew");
    }
}
