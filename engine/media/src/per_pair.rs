//! Tables with one entry for each pair of ports. Every number of a pair comes out of the configured pairs
//! or out of a socket that was looked up among them, and no table ever grows or shrinks.

use std::ops::{Index, IndexMut};

/// One `T` for each pair.
#[derive(Debug)]
pub(crate) struct PerPair<T>(Vec<T>);

impl<T> PerPair<T> {
    pub(crate) fn new(pairs: usize, make: impl Fn() -> T) -> PerPair<T> {
        PerPair((0..pairs).map(|_| make()).collect())
    }

    /// For numbers from outside, which may be anything.
    #[inline]
    pub(crate) fn find(&self, pair: u32) -> Option<&T> {
        self.0.get(pair as usize)
    }

    pub(crate) fn swap(&mut self, one: u32, other: u32) {
        self.0.swap(one as usize, other as usize);
    }
}

impl<T> Index<u32> for PerPair<T> {
    type Output = T;

    #[inline]
    #[expect(
        clippy::indexing_slicing,
        reason = "numbers of pairs are made from the table's own length; see the module"
    )]
    fn index(&self, pair: u32) -> &T {
        &self.0[pair as usize]
    }
}

impl<T> IndexMut<u32> for PerPair<T> {
    #[inline]
    #[expect(
        clippy::indexing_slicing,
        reason = "numbers of pairs are made from the table's own length; see the module"
    )]
    fn index_mut(&mut self, pair: u32) -> &mut T {
        &mut self.0[pair as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_entry_for_each_pair() {
        let mut table = PerPair::new(2, || 7);
        table[1] = 8;
        table.swap(0, 1);
        assert_eq!((table[0], table[1]), (8, 7));
        assert_eq!((table.find(1), table.find(2)), (Some(&7), None));
    }
}
