//! The table of calls: a slab with generations. Ids travel in our tags and Call-IDs, so a stale or
//! forged one must miss, never hit a stranger's call.

use stack::Token;

use crate::call::Call;
use crate::echo::EchoCall;
use crate::entry::Entry;
use crate::events::Notifier;
use crate::outside::Subscription;
use crate::proxy::ResponseContext;

/// Names a call of this shard; stale once the call is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl CallId {
    /// Names no call: generations begin at 1.
    pub(crate) const NONE: CallId = CallId {
        slot: u32::MAX,
        generation: 0,
    };

    /// The call that a tag of ours names.
    pub(crate) fn of_token(token: &Token) -> CallId {
        CallId {
            slot: token.slot,
            generation: token.generation,
        }
    }

    /// Our tag of this call on one leg, which `random` tells from others.
    pub(crate) fn token(self, shard: u8, random: u64) -> Token {
        Token {
            shard,
            slot: self.slot,
            generation: self.generation,
            random,
        }
    }

    /// The call as the owner of media streams.
    pub(crate) fn owner(self) -> u64 {
        u64::from(self.slot) << 32 | u64::from(self.generation)
    }

    /// The call that owns a media stream.
    pub(crate) fn of_owner(owner: u64) -> CallId {
        CallId {
            slot: (owner >> 32) as u32,
            generation: owner as u32,
        }
    }
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    call: Option<Entry>,
}

/// Calls and subscriptions in progress, both bounded.
#[derive(Debug)]
pub(crate) struct Calls {
    slots: Vec<Slot>,
    free: Vec<u32>,
    limit: usize,
    stored: usize,
    lingering: usize,
    subscriptions: usize,
    subscriptions_limit: usize,
}

impl Calls {
    pub(crate) fn new(limit: usize, subscriptions_limit: usize) -> Calls {
        // The last slot number is kept for tags that name no call.
        let limit = limit.min(Token::SLOT_MAX as usize);
        let subscriptions_limit = subscriptions_limit.min(Token::SLOT_MAX as usize - limit);
        Calls {
            slots: Vec::new(),
            free: Vec::new(),
            limit,
            stored: 0,
            lingering: 0,
            subscriptions: 0,
            subscriptions_limit,
        }
    }

    /// Calls that are not over: those that linger for a fork's late answer do not count.
    pub(crate) fn live(&self) -> usize {
        self.stored - self.lingering - self.subscriptions
    }

    /// Subscriptions, which are no calls.
    pub(crate) fn subscriptions(&self) -> usize {
        self.subscriptions
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.stored == 0
    }

    pub(crate) fn is_full(&self) -> bool {
        self.stored - self.subscriptions >= self.limit
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// The id the next call will have; `None` at the limit. Follow it with [`Calls::insert`].
    pub(crate) fn reserve(&mut self) -> Option<CallId> {
        if self.is_full() {
            return None;
        }
        self.reserve_slot()
    }

    /// The id the next subscription will have; `None` at their limit. Follow it with [`Calls::insert`].
    pub(crate) fn reserve_subscription(&mut self) -> Option<CallId> {
        if self.subscriptions >= self.subscriptions_limit {
            return None;
        }
        self.reserve_slot()
    }

    fn reserve_slot(&mut self) -> Option<CallId> {
        if self.free.is_empty() {
            let slot = u32::try_from(self.slots.len()).ok()?;
            self.slots.push(Slot {
                generation: 1,
                call: None,
            });
            self.free.push(slot);
        }
        let slot = *self.free.last()?;
        let generation = self.slots.get(slot as usize)?.generation;
        Some(CallId { slot, generation })
    }

    /// Stores the call under the id that was reserved for it.
    pub(crate) fn insert(&mut self, call: Entry) {
        let id = call.id();
        if let Some(slot) = self.slots.get_mut(id.slot as usize)
            && slot.call.is_none()
            && self.free.last() == Some(&id.slot)
        {
            self.free.pop();
            self.subscriptions += usize::from(call.is_subscription());
            slot.call = Some(call);
            self.stored += 1;
        }
    }

    /// The call between two parties of this id.
    pub(crate) fn get_mut(&mut self, id: CallId) -> Option<&mut Call> {
        match self.entry_mut(id)? {
            Entry::Bridge(call) => Some(call),
            Entry::Echo(_) | Entry::Subscription(_) | Entry::Proxy(_) => None,
            Entry::Notifier(_) => None,
        }
    }

    /// The call to the router itself of this id.
    pub(crate) fn echo_mut(&mut self, id: CallId) -> Option<&mut EchoCall> {
        match self.entry_mut(id)? {
            Entry::Bridge(_) | Entry::Subscription(_) | Entry::Proxy(_) => None,
            Entry::Notifier(_) => None,
            Entry::Echo(echo) => Some(echo),
        }
    }

    /// The response context of this id.
    pub(crate) fn context_mut(&mut self, id: CallId) -> Option<&mut ResponseContext> {
        match self.entry_mut(id)? {
            Entry::Proxy(context) => Some(context),
            Entry::Bridge(_) | Entry::Echo(_) | Entry::Subscription(_) => None,
            Entry::Notifier(_) => None,
        }
    }

    /// The subscription of this id.
    pub(crate) fn subscription_mut(&mut self, id: CallId) -> Option<&mut Subscription> {
        match self.entry_mut(id)? {
            Entry::Bridge(_) | Entry::Echo(_) | Entry::Proxy(_) => None,
            Entry::Notifier(_) => None,
            Entry::Subscription(subscription) => Some(subscription),
        }
    }

    /// The subscription of this id whose notifier is the router itself.
    pub(crate) fn notifier_mut(&mut self, id: CallId) -> Option<&mut Notifier> {
        match self.entry_mut(id)? {
            Entry::Notifier(notifier) => Some(notifier),
            Entry::Bridge(_) | Entry::Echo(_) | Entry::Proxy(_) => None,
            Entry::Subscription(_) => None,
        }
    }

    /// The call of this id, of any kind.
    pub(crate) fn entry_mut(&mut self, id: CallId) -> Option<&mut Entry> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        if slot.generation != id.generation {
            return None;
        }
        slot.call.as_mut()
    }

    /// The call is over but for a fork's late answers.
    pub(crate) fn linger(&mut self, id: CallId) {
        if self.get_mut(id).is_some_and(Call::begin_to_linger) {
            self.lingering += 1;
        }
    }

    /// Takes the call out; its id is stale from now on.
    pub(crate) fn remove(&mut self, id: CallId) -> Option<Entry> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        if slot.generation != id.generation {
            return None;
        }
        let call = slot.call.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.slot);
        self.stored -= 1;
        self.lingering -= usize::from(call.lingers());
        self.subscriptions -= usize::from(call.is_subscription());
        Some(call)
    }

    /// The ids of all calls. For ending them all; allocates.
    pub(crate) fn ids(&self) -> Vec<CallId> {
        self.slots
            .iter()
            .filter_map(|slot| slot.call.as_ref().map(Entry::id))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_beside_its_strings_stays_small() {
        let bytes = size_of::<Slot>();
        assert!(bytes <= 512, "{bytes}");
    }
}
