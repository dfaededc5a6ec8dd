//! A vector of numbered slots that are used again, each with a generation, so that an old id finds nothing.

use std::num::NonZeroU32;

/// A slot and the generation of its occupant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id {
    pub(crate) slot: u32,
    pub(crate) generation: NonZeroU32,
}

/// No slot: the end of a list.
pub(crate) const NIL: u32 = u32::MAX;

/// Values in numbered slots. A freed slot is the next one filled, while its lines are still in the cache.
///
/// The generations lie apart from the values, so that a stale id does not fetch the slot it names.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    generations: Vec<NonZeroU32>,
    entries: Vec<Content<T>>,
    free: u32,
    len: usize,
}

#[derive(Debug)]
enum Content<T> {
    Taken(T),
    Free { next: u32 },
}

impl<T> Slab<T> {
    /// An empty slab with room for `capacity` values; the room costs address space until it is used.
    pub(crate) fn with_capacity(capacity: usize) -> Slab<T> {
        Slab {
            generations: Vec::with_capacity(capacity),
            entries: Vec::with_capacity(capacity),
            free: NIL,
            len: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Fills a slot. The slot is found before the value is touched, so that the value can be written
    /// straight into it.
    #[inline]
    #[expect(
        clippy::indexing_slicing,
        reason = "the free list names slots there are, and `grow` has just added its own"
    )]
    pub(crate) fn insert(&mut self, value: T) -> Id {
        let slot = if self.free == NIL {
            self.grow()
        } else {
            self.free
        };
        let entry = &mut self.entries[slot as usize];
        if let Content::Free { next } = *entry {
            self.free = next;
        }
        *entry = Content::Taken(value);
        self.len += 1;
        let generation = self.generations[slot as usize];
        Id { slot, generation }
    }

    /// Adds a free slot.
    #[cold]
    fn grow(&mut self) -> u32 {
        self.generations.push(NonZeroU32::MIN);
        self.entries.push(Content::Free { next: NIL });
        self.entries.len() as u32 - 1
    }

    /// Takes the value out; `None` when the id is stale.
    #[inline]
    pub(crate) fn remove(&mut self, id: Id) -> Option<T> {
        let generation = self.generations.get_mut(id.slot as usize)?;
        let entry = self.entries.get_mut(id.slot as usize)?;
        if *generation != id.generation || matches!(entry, Content::Free { .. }) {
            return None;
        }
        *generation = generation.checked_add(1).unwrap_or(NonZeroU32::MIN);
        self.len -= 1;
        match std::mem::replace(entry, Content::Free { next: self.free }) {
            Content::Taken(value) => {
                self.free = id.slot;
                Some(value)
            }
            Content::Free { .. } => None,
        }
    }

    pub(crate) fn get(&self, id: Id) -> Option<&T> {
        if !self.is_current(id) {
            return None;
        }
        self.at(id.slot)
    }

    pub(crate) fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        if !self.is_current(id) {
            return None;
        }
        self.at_mut(id.slot)
    }

    #[inline]
    fn is_current(&self, id: Id) -> bool {
        self.generations.get(id.slot as usize) == Some(&id.generation)
    }

    /// The occupant of a slot, whatever its generation: for links between values that live together.
    pub(crate) fn at(&self, slot: u32) -> Option<&T> {
        match self.entries.get(slot as usize) {
            Some(Content::Taken(value)) => Some(value),
            _ => None,
        }
    }

    /// Like [`Slab::at`].
    pub(crate) fn at_mut(&mut self, slot: u32) -> Option<&mut T> {
        match self.entries.get_mut(slot as usize) {
            Some(Content::Taken(value)) => Some(value),
            _ => None,
        }
    }

    /// The id of a slot's occupant.
    pub(crate) fn id_at(&self, slot: u32) -> Option<Id> {
        self.at(slot)?;
        let generation = *self.generations.get(slot as usize)?;
        Some(Id { slot, generation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_ids_find_nothing() {
        let mut slab = Slab::with_capacity(0);
        let first = slab.insert('a');
        assert_eq!(slab.remove(first), Some('a'));
        let second = slab.insert('b');
        assert_eq!(second.slot, first.slot);
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.get_mut(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.get(second), Some(&'b'));
        assert_eq!(slab.len(), 1);
    }

    #[test]
    fn removing_twice_frees_once() {
        let mut slab = Slab::with_capacity(2);
        let id = slab.insert(1);
        assert_eq!(slab.remove(id), Some(1));
        assert_eq!(slab.remove(id), None);
        assert_eq!(slab.len(), 0);
        let ids = [slab.insert(2), slab.insert(3)];
        assert_ne!(ids[0].slot, ids[1].slot);
    }

    #[test]
    fn slots_answer_without_a_generation() {
        let mut slab = Slab::with_capacity(0);
        let id = slab.insert(5);
        *slab.at_mut(id.slot).unwrap() += 1;
        assert_eq!(slab.at(id.slot), Some(&6));
        assert_eq!(slab.id_at(id.slot), Some(id));
        slab.remove(id);
        assert_eq!(slab.at(id.slot), None);
        assert_eq!(slab.id_at(id.slot), None);
        assert_eq!(slab.at(NIL), None);
    }
}
