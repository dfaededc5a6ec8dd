//! Places for calls, found by an index and guarded by a generation: a token of a call that has ended finds nothing.

use crate::template::Token;

struct Slot<T> {
    generation: u32,
    used: bool,
    value: T,
}

/// A slab that keeps the value of a free slot for its next user, so that buffers inside are reused.
pub(crate) struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    limit: usize,
}

impl<T: Default> Slab<T> {
    /// An empty slab of at most `limit` calls. The room is reserved at once, so that a run never pauses to grow.
    pub(crate) fn new(limit: usize) -> Slab<T> {
        Slab {
            slots: Vec::with_capacity(limit),
            free: Vec::new(),
            limit,
        }
    }

    /// Takes a free slot; what is in it is left over from the last user. `None` at the limit.
    pub(crate) fn take(&mut self) -> Option<(Token, &mut T)> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if self.slots.len() < self.limit => {
                self.slots.push(Slot {
                    generation: 0,
                    used: false,
                    value: T::default(),
                });
                self.slots.len() as u32 - 1
            }
            None => return None,
        };
        let entry = &mut self.slots[slot as usize];
        entry.generation += 1;
        entry.used = true;
        Some((
            Token {
                slot,
                generation: entry.generation,
            },
            &mut entry.value,
        ))
    }

    /// The call a token names, unless it has ended.
    pub(crate) fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        let slot = self.slots.get_mut(token.slot as usize)?;
        (slot.used && slot.generation == token.generation).then_some(&mut slot.value)
    }

    /// Whether the token was given out once and its call has ended.
    pub(crate) fn has_ended(&self, token: Token) -> bool {
        self.slots.get(token.slot as usize).is_some_and(|slot| {
            token.generation < slot.generation
                || (token.generation == slot.generation && !slot.used)
        })
    }

    /// Ends a call; a token of no live call changes nothing.
    pub(crate) fn release(&mut self, token: Token) {
        if let Some(slot) = self.slots.get_mut(token.slot as usize)
            && slot.used
            && slot.generation == token.generation
        {
            slot.used = false;
            self.free.push(token.slot);
        }
    }

    /// Calls in the slab.
    pub(crate) fn live(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The token of the live call at `slot`, if there is one.
    pub(crate) fn token_at(&self, slot: u32) -> Option<Token> {
        let entry = self.slots.get(slot as usize).filter(|entry| entry.used)?;
        Some(Token {
            slot,
            generation: entry.generation,
        })
    }

    /// Slots ever used: bound for `token_at`.
    pub(crate) fn slots(&self) -> u32 {
        self.slots.len() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_call_is_not_found_but_remembered_as_ended() {
        let mut slab: Slab<u8> = Slab::new(1);
        let (first, value) = slab.take().unwrap();
        *value = 7;
        assert!(slab.take().is_none());
        assert_eq!(slab.get_mut(first), Some(&mut 7));
        assert!(!slab.has_ended(first));
        slab.release(first);
        slab.release(first);
        assert_eq!((slab.live(), slab.get_mut(first)), (0, None));
        assert!(slab.has_ended(first));
        let (second, value) = slab.take().unwrap();
        assert_eq!((second.slot, *value), (first.slot, 7));
        assert!(slab.has_ended(first) && !slab.has_ended(second));
        assert_eq!(slab.token_at(0), Some(second));
        assert!(!slab.has_ended(Token {
            slot: 9,
            generation: 1
        }));
    }
}
