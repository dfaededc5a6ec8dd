//! The bindings of all users, by address-of-record.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::Registration;

/// In how many parts the table is: one that is full grows by itself, which keeps the shard from its calls for a tenth
/// of a millisecond, and not for a tenth of a second.
const SEGMENTS: usize = 1024;

/// All registrations that a shard knows. The key of its hash must not be known to strangers.
#[derive(Debug)]
pub(crate) struct Table {
    segments: Vec<HashTable<Arc<Registration>>>,
    hasher: FixedState,
}

impl Table {
    pub(crate) fn new(seed: u64) -> Table {
        Table {
            segments: vec![HashTable::new(); SEGMENTS],
            hasher: FixedState::with_seed(seed),
        }
    }

    /// The registration of this address-of-record, as [`super::Aor::as_str`] spells it.
    pub(crate) fn of(&self, aor: &str) -> Option<&Arc<Registration>> {
        let hash = self.hasher.hash_one(aor);
        let segment = self.segments.get(segment_of(hash))?;
        segment.find(hash, |it| it.aor.as_str() == aor)
    }
}

/// The part of the hash that the segments themselves do not look at.
fn segment_of(hash: u64) -> usize {
    (hash >> 40) as usize % SEGMENTS
}
