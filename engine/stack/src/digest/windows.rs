//! Which counts each nonce was used with (RFC 7616 3.4, `nc`): a request that is heard and sent again by
//! another is known by them. Only what was used with the right secret takes room here.

use std::collections::BTreeMap;

/// Why a nonce is no longer good with this count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Used {
    /// It was used with it, or with one so much higher that it is not known.
    Replayed,
    /// Nothing is known of it any more.
    Forgotten,
}

/// Counts below the highest one that are told apart: requests of one client overtake each other.
const WIDTH: u32 = u64::BITS;

/// The counts of one nonce: the highest, and for each of those below it whether it was seen; bit 0 is the
/// highest itself.
#[derive(Clone, Copy, Debug)]
struct Window {
    highest: u32,
    seen: u64,
}

impl Window {
    fn take(&mut self, count: u32) -> Result<(), Used> {
        if let Some(ahead) = count.checked_sub(self.highest).filter(|&it| it > 0) {
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = count;
            return Ok(());
        }
        let behind = self.highest - count;
        let bit = 1u64.checked_shl(behind).unwrap_or(0);
        if behind >= WIDTH || self.seen & bit != 0 {
            return Err(Used::Replayed);
        }
        self.seen |= bit;
        Ok(())
    }
}

/// The windows of a shard's nonces by their number, the oldest first to go. A nonce older than one that had
/// to go is forgotten, whether it was ever used or not: nothing that was seen can be used again.
#[derive(Debug)]
pub struct Windows {
    limit: usize,
    windows: BTreeMap<u64, Window>,
    /// Nonces up to this number that are not here are forgotten.
    forgotten: u64,
}

impl Windows {
    /// Room for the counts of `limit` nonces, at least one.
    #[must_use]
    pub fn new(limit: usize) -> Windows {
        Windows {
            limit: limit.max(1),
            windows: BTreeMap::new(),
            forgotten: 0,
        }
    }

    /// Nonces whose counts are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.windows.len()
    }

    /// Whether no nonce was used.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }

    /// Other room; what does not fit is forgotten.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit.max(1);
        self.make_room();
    }

    /// The nonce is used with this count.
    ///
    /// # Errors
    /// It is no longer good, or not with this count; 0 is no count.
    pub fn take(&mut self, nonce: u64, count: u32) -> Result<(), Used> {
        if count == 0 {
            return Err(Used::Replayed);
        }
        if let Some(window) = self.windows.get_mut(&nonce) {
            return window.take(count);
        }
        if nonce <= self.forgotten {
            return Err(Used::Forgotten);
        }
        let window = Window {
            highest: count,
            seen: 1,
        };
        self.windows.insert(nonce, window);
        self.make_room();
        Ok(())
    }

    fn make_room(&mut self) {
        while self.windows.len() > self.limit {
            if let Some((oldest, _)) = self.windows.pop_first() {
                self.forgotten = self.forgotten.max(oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn a_count_is_good_once_in_any_order() {
        let mut windows = Windows::new(4);
        for count in [1, 3, 2, 64, 5] {
            assert_eq!(windows.take(9, count), Ok(()), "{count}");
            assert_eq!(windows.take(9, count), Err(Used::Replayed), "{count}");
        }
        assert_eq!(windows.take(9, 0), Err(Used::Replayed));
        // Too far behind to be told from one that was seen.
        assert_eq!(windows.take(9, 1_000), Ok(()));
        assert_eq!(windows.take(9, 1_000 - 63), Ok(()));
        assert_eq!(windows.take(9, 1_000 - 64), Err(Used::Replayed));
        assert_eq!(windows.take(9, u32::MAX), Ok(()));
        assert_eq!(windows.take(9, u32::MAX), Err(Used::Replayed));
    }

    #[test]
    fn at_the_limit_the_oldest_is_forgotten_and_never_good_again() {
        let mut windows = Windows::new(2);
        for nonce in [5, 7, 9] {
            assert_eq!(windows.take(nonce, 1), Ok(()));
        }
        assert_eq!(windows.len(), 2);
        assert_eq!(windows.take(5, 1), Err(Used::Forgotten));
        assert_eq!(windows.take(5, 2), Err(Used::Forgotten));
        // Never used, but nobody could tell.
        assert_eq!(windows.take(4, 1), Err(Used::Forgotten));
        assert_eq!(windows.take(6, 1), Ok(()));
        assert_eq!(windows.take(6, 1), Err(Used::Forgotten));
        assert_eq!(windows.take(7, 2), Ok(()));
        assert_eq!(windows.take(9, 1), Err(Used::Replayed));
        windows.set_limit(1);
        assert_eq!(windows.take(7, 3), Err(Used::Forgotten));
    }

    proptest! {
        #[test]
        fn nothing_is_good_twice(
            uses in prop::collection::vec((1u64..12, 1u32..200), 1..200),
            limit in 1usize..6,
        ) {
            let mut windows = Windows::new(limit);
            let mut good = HashSet::new();
            for (nonce, count) in uses {
                if windows.take(nonce, count).is_ok() {
                    prop_assert!(good.insert((nonce, count)), "{nonce} {count}");
                }
                prop_assert!(windows.len() <= limit);
            }
        }
    }
}
