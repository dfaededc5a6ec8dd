//! The bindings of all users, by address-of-record. A newer registration takes the place of an older one and never the
//! other way round, whatever order they come in.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::{Aor, Registration};

/// In how many parts the table is: one that is full grows by itself, which keeps the shard from its calls for a tenth
/// of a millisecond, and not for a tenth of a second.
pub(crate) const SEGMENTS: usize = 1024;

/// All registrations that a shard knows. The seed of its hash must not be known to strangers.
#[derive(Debug)]
pub(super) struct Table {
    segments: Vec<HashTable<Arc<Registration>>>,
    hasher: FixedState,
    len: usize,
    bindings: usize,
}

impl Table {
    pub(super) fn new(seed: u64) -> Table {
        Table {
            segments: vec![HashTable::new(); SEGMENTS],
            hasher: FixedState::with_seed(seed),
            len: 0,
            bindings: 0,
        }
    }

    /// Registrations, those without bindings among them.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The bindings of all of them.
    pub(super) fn bindings(&self) -> usize {
        self.bindings
    }

    /// Makes room for so many more.
    pub(super) fn reserve(&mut self, more: usize) {
        let hasher = &self.hasher;
        // A few more, as they do not come in equal parts.
        let each = more / SEGMENTS + more / (8 * SEGMENTS);
        for segment in &mut self.segments {
            segment.reserve(each, |it| hasher.hash_one(it.aor.as_str()));
        }
    }

    /// The registration of this address-of-record; it may be without bindings.
    pub(super) fn of(&self, aor: &str) -> Option<&Arc<Registration>> {
        let hash = self.hasher.hash_one(aor);
        let segment = self.segments.get(segment_of(hash))?;
        segment.find(hash, |it| it.aor.as_str() == aor)
    }

    /// All registrations in this of its [`SEGMENTS`] parts.
    pub(super) fn segment(&self, number: usize) -> impl Iterator<Item = &Arc<Registration>> {
        self.segments.get(number).into_iter().flatten()
    }

    /// Puts it in the place of an older one; false: what is there is as new.
    pub(super) fn put(&mut self, registration: Arc<Registration>) -> bool {
        let hasher = &self.hasher;
        let hash = hasher.hash_one(registration.aor.as_str());
        let Some(segment) = self.segments.get_mut(segment_of(hash)) else {
            return false;
        };
        let entry = segment.entry(
            hash,
            |it| it.aor == registration.aor,
            |it| hasher.hash_one(it.aor.as_str()),
        );
        let added = registration.bindings.len();
        match entry {
            Entry::Occupied(held) if held.get().version >= registration.version => return false,
            Entry::Occupied(mut held) => {
                let before = std::mem::replace(held.get_mut(), registration);
                self.bindings -= before.bindings.len();
            }
            Entry::Vacant(free) => {
                free.insert(registration);
                self.len += 1;
            }
        }
        self.bindings += added;
        true
    }

    /// Takes out the registration of this version, if it is the one that is there.
    pub(super) fn forget(&mut self, aor: &Aor, version: u64) {
        let hash = self.hasher.hash_one(aor.as_str());
        let Some(segment) = self.segments.get_mut(segment_of(hash)) else {
            return;
        };
        let held = segment.find_entry(hash, |it| it.aor == *aor && it.version == version);
        if let Ok(held) = held {
            let (forgotten, _) = held.remove();
            self.len -= 1;
            self.bindings -= forgotten.bindings.len();
        }
    }
}

/// By a part of the hash that the segments themselves do not look at first.
fn segment_of(hash: u64) -> usize {
    (hash >> 40) as usize % SEGMENTS
}

#[cfg(test)]
mod tests {
    use super::super::samples::{aor, binding, registration};
    use super::*;

    #[test]
    fn the_newer_one_stays_whatever_the_order() {
        let mut table = Table::new(7);
        let two = registration("a", 2, [binding("sip:1@h"), binding("sip:2@h")]);
        let one = registration("a", 1, [binding("sip:1@h")]);
        assert!(table.put(Arc::clone(&two)));
        assert!(!table.put(one) && !table.put(Arc::clone(&two)));
        assert_eq!(table.of("a@example.com"), Some(&two));
        assert_eq!((table.len(), table.bindings()), (1, 2));
        assert!(table.put(registration("a", 3, [])));
        assert_eq!((table.len(), table.bindings()), (1, 0));
    }

    #[test]
    fn only_the_version_that_is_meant_is_forgotten() {
        let mut table = Table::new(7);
        table.put(registration("a", 5, []));
        table.forget(&aor("a"), 4);
        assert_eq!(table.len(), 1);
        table.forget(&aor("a"), 5);
        assert_eq!((table.len(), table.of("a@example.com")), (0, None));
    }

    #[test]
    fn many_are_found_again() {
        let mut table = Table::new(1);
        table.reserve(5_000);
        for n in 0..10_000 {
            table.put(registration(&n.to_string(), 1, [binding("sip:1@h")]));
        }
        assert_eq!((table.len(), table.bindings()), (10_000, 10_000));
        let found = |n: &u32| table.of(&format!("{n}@example.com")).is_some();
        assert_eq!((0..20_000).filter(found).count(), 10_000);
    }
}
