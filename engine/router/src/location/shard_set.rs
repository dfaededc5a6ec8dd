//! A set of shards.

/// Some of the at most 256 shards, by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ShardSet([u64; 4]);

impl ShardSet {
    /// All of so many shards but one.
    pub(super) fn all_but(one: u8, shards: u8) -> ShardSet {
        let mut set = ShardSet::default();
        (0..shards).for_each(|shard| set.insert(shard));
        set.remove(one);
        set
    }

    pub(super) fn insert(&mut self, shard: u8) {
        if let Some(word) = self.0.get_mut(usize::from(shard / 64)) {
            *word |= 1 << (shard % 64);
        }
    }

    pub(super) fn remove(&mut self, shard: u8) {
        if let Some(word) = self.0.get_mut(usize::from(shard / 64)) {
            *word &= !(1 << (shard % 64));
        }
    }

    pub(super) fn contains(&self, shard: u8) -> bool {
        let word = self.0.get(usize::from(shard / 64));
        word.is_some_and(|word| word >> (shard % 64) & 1 == 1)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_come_and_go() {
        let mut set = ShardSet::all_but(64, 255);
        assert!(set.contains(0) && set.contains(254) && set.contains(65));
        assert!(!set.contains(64) && !set.contains(255));
        (0..255).for_each(|shard| set.remove(shard));
        assert!(set.is_empty());
        set.insert(200);
        assert!(!set.is_empty() && set.contains(200));
        assert!(ShardSet::all_but(0, 1).is_empty());
    }
}
