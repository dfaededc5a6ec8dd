//! Whose bindings somebody on this shard wants to know of when they change. Nobody else's cost anything.

use std::collections::VecDeque;

use hashbrown::HashSet;

use super::Aor;

/// The addresses-of-record that are watched, and which of them have changed.
#[derive(Debug, Default)]
pub(super) struct Watched {
    of: HashSet<Aor>,
    changed: VecDeque<Aor>,
}

impl Watched {
    /// Its bindings have changed.
    pub(super) fn note(&mut self, aor: &Aor) {
        if !self.of.is_empty() && self.of.contains(aor) {
            self.changed.push_back(aor.clone());
        }
    }

    pub(super) fn add(&mut self, aor: &Aor) {
        self.of.insert(aor.clone());
    }

    pub(super) fn remove(&mut self, aor: &Aor) {
        self.of.remove(aor);
    }

    pub(super) fn poll(&mut self) -> Option<Aor> {
        self.changed.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::aor;
    use super::*;

    #[test]
    fn only_those_that_are_watched_are_told_of() {
        let mut watched = Watched::default();
        watched.note(&aor("a"));
        watched.add(&aor("a"));
        watched.note(&aor("b"));
        watched.note(&aor("a"));
        watched.remove(&aor("a"));
        watched.note(&aor("a"));
        assert_eq!((watched.poll(), watched.poll()), (Some(aor("a")), None));
    }
}
