//! What the journal amounts to: every bound address-of-record and every domain, as a snapshot will hold
//! them. They are the values the shards have, so that this costs a pointer for each; in parts, so that a
//! snapshot can be written one part after another while changes go on.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use journal::DirectoryChange;
use router::{Directory, Domain, Registration};

/// How many parts: a part of a million is 4,000 bindings, encoded in a millisecond.
pub(super) const PARTS: usize = 256;

/// All that is durable.
pub(super) struct State {
    parts: Vec<HashTable<Arc<Registration>>>,
    hash: RandomState,
    domains: Vec<Arc<Domain>>,
}

impl State {
    /// What a start has found.
    pub(super) fn new(registrations: &[Arc<Registration>], directory: &Directory) -> State {
        let mut state = State {
            parts: Vec::new(),
            hash: RandomState::new(),
            domains: directory.domains().cloned().collect(),
        };
        state.parts.resize_with(PARTS, HashTable::new);
        for registration in registrations {
            state.apply(registration);
        }
        state
    }

    /// A change of bindings is durable.
    pub(super) fn apply(&mut self, registration: &Arc<Registration>) {
        let hash = self.hash.hash_one(&registration.aor);
        let hasher = |one: &Arc<Registration>| self.hash.hash_one(&one.aor);
        let same = |one: &Arc<Registration>| one.aor == registration.aor;
        let part = &mut self.parts[(hash >> 32) as usize % PARTS];
        match (
            part.entry(hash, same, hasher),
            registration.bindings.is_empty(),
        ) {
            (Entry::Occupied(place), true) => drop(place.remove()),
            (Entry::Occupied(mut place), false) => *place.get_mut() = Arc::clone(registration),
            (Entry::Vacant(_), true) => {}
            (Entry::Vacant(place), false) => drop(place.insert(Arc::clone(registration))),
        }
    }

    /// A change of the directory is durable.
    pub(super) fn apply_directory(&mut self, change: &DirectoryChange) {
        let (name, now) = match change {
            DirectoryChange::Domain(domain) | DirectoryChange::Users { domain, .. } => {
                (&domain.name, Some(Arc::clone(domain)))
            }
            DirectoryChange::Removed(name) => (name, None),
        };
        self.domains.retain(|domain| domain.name != *name);
        self.domains.extend(now);
    }

    /// The registrations of a part, in no order.
    pub(super) fn part(&self, part: usize) -> impl Iterator<Item = &Arc<Registration>> {
        self.parts.get(part).into_iter().flatten()
    }

    /// Every domain.
    pub(super) fn domains(&self) -> Vec<Arc<Domain>> {
        self.domains.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::housekeeping::journal::samples::{registration, removal};

    #[test]
    fn it_has_the_last_word_on_everybody() {
        let mut state = State::new(
            &[registration(1, 1), registration(2, 1)],
            &Directory::default(),
        );
        for change in [
            registration(1, 2),
            removal(2, 2),
            removal(3, 1),
            registration(4, 1),
        ] {
            state.apply(&change);
        }
        let all = (0..PARTS).flat_map(|part| state.part(part));
        let mut found: Vec<_> = all
            .map(|one| (one.aor.user().to_owned(), one.version))
            .collect();
        found.sort();
        assert_eq!(found, [("u1".to_owned(), 2), ("u4".to_owned(), 1)]);
    }

    #[test]
    fn a_domain_is_the_latest_one_of_its_name() {
        let mut state = State::new(&[], &Directory::default());
        let domain = |control| Arc::new(Domain::new("a", control, []));
        state.apply_directory(&DirectoryChange::Domain(domain(None)));
        state.apply_directory(&DirectoryChange::Domain(domain(Some("http://h"))));
        assert_eq!(state.domains(), [domain(Some("http://h"))]);
        state.apply_directory(&DirectoryChange::Removed("a".into()));
        assert!(state.domains().is_empty());
    }
}
