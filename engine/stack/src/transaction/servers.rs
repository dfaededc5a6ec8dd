//! Server transactions as stored values, found by slot or by the key of their request.

use std::hash::BuildHasher;
use std::hint::black_box;
use std::num::NonZeroU64;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use wire::{Message, Method, ParseError, Via};

use super::key::print_key;
use super::server_machine::ServerState;
use crate::Flow;
use crate::pool::Block;
use crate::slab::{Id, Slab};
use crate::timer::TimerKey;

/// One server transaction.
#[derive(Debug)]
pub(super) struct Server<U> {
    pub(super) hash: u64,
    /// What is the same in every copy of the request, whatever its way here; `None` when nobody is to
    /// find it by that. Nonzero, so that its absence costs no room.
    pub(super) identity: Option<NonZeroU64>,
    pub(super) user: Option<U>,
    /// Where responses go (RFC 3261 18.2.2).
    pub(super) flow: Flow,
    pub(super) repeating: Option<TimerKey>,
    /// The key and, until the final response, the head every response begins with.
    pub(super) kept: Block,
    /// The last response.
    pub(super) last: Option<Block>,
    pub(super) key_len: u16,
    pub(super) state: ServerState,
    /// How often the repeating timer has fired.
    pub(super) repeats: u8,
    /// The request's To has a tag already.
    pub(super) tagged: bool,
    /// Its failure is not repeated by timer G.
    pub(super) refuse_once: bool,
}

impl<U> Server<U> {
    pub(super) fn key(&self) -> &[u8] {
        self.kept
            .as_slice()
            .get(..usize::from(self.key_len))
            .unwrap_or_default()
    }

    /// From the top Via to the To value, without its line end.
    pub(super) fn head(&self) -> &[u8] {
        self.kept
            .as_slice()
            .get(usize::from(self.key_len)..)
            .unwrap_or_default()
    }
}

/// All server transactions of a shard.
#[derive(Debug)]
pub(super) struct Servers<U> {
    slab: Slab<Server<U>>,
    by_key: HashTable<u32>,
    /// Requests outside dialogs by what RFC 3261 8.2.2.2 compares, the first copy of each.
    by_identity: HashTable<u32>,
    hasher: FixedState,
    /// The key of the request at hand, and then its response head.
    pub(super) scratch: Vec<u8>,
}

impl<U> Servers<U> {
    /// Room for `limit` transactions; the hash is keyed by `seed`.
    pub(super) fn new(seed: u64, limit: usize) -> Servers<U> {
        Servers {
            slab: Slab::with_capacity(limit),
            by_key: HashTable::with_capacity(limit),
            by_identity: HashTable::with_capacity(limit),
            hasher: FixedState::with_seed(seed),
            scratch: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(super) fn get(&self, id: Id) -> Option<&Server<U>> {
        self.slab.get(id)
    }

    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut Server<U>> {
        self.slab.get_mut(id)
    }

    /// The transaction `request` belongs to when it is taken for one of `method`, or the hash under
    /// which it would be. Leaves the key in `scratch`.
    pub(super) fn find(
        &mut self,
        request: &Message<'_>,
        via: &Via<'_>,
        method: Method,
    ) -> Result<Result<Id, u64>, ParseError> {
        self.scratch.clear();
        print_key(&mut self.scratch, request, via, method)?;
        let hash = self.hasher.hash_one(self.scratch.as_slice());
        let slot = self.by_key.find(hash, |slot| self.has_key(*slot, hash));
        Ok(slot.and_then(|slot| self.slab.id_at(*slot)).ok_or(hash))
    }

    fn has_key(&self, slot: u32, hash: u64) -> bool {
        let server = self.slab.at(slot);
        server.is_some_and(|server| server.hash == hash && server.key() == self.scratch)
    }

    /// The From tag, Call-ID and CSeq of a request outside any dialog as one keyed hash, 64 bits that take
    /// the place of the three: nobody who does not know the key can make two that agree.
    pub(super) fn identity(&self, request: &Message<'_>) -> Option<NonZeroU64> {
        let from = request.from().ok()?;
        let cseq = request.cseq().ok()?;
        let whole = (request.call_id(), from.tag(), cseq.number, cseq.token);
        NonZeroU64::new(self.hasher.hash_one(whole))
    }

    /// The transaction of another copy of the request with this identity.
    pub(super) fn by_identity(&self, identity: NonZeroU64) -> Option<Id> {
        let same = |slot: &u32| {
            let server = self.slab.at(*slot);
            server.is_some_and(|server| server.identity == Some(identity))
        };
        let slot = self.by_identity.find(identity.get(), same)?;
        self.slab.id_at(*slot)
    }

    /// No copy of this request is told any more that it is one.
    pub(super) fn forget_identity(&mut self, id: Id) {
        let server = self.slab.get_mut(id);
        if let Some(identity) = server.and_then(|server| server.identity.take()) {
            self.unlist_identity(identity, id.slot);
        }
    }

    fn unlist_identity(&mut self, identity: NonZeroU64, slot: u32) {
        let same = |listed: &u32| *listed == slot;
        if let Ok(entry) = self.by_identity.find_entry(identity.get(), same) {
            entry.remove();
        }
    }

    /// Reads a transaction that is going to end, and nothing of a stale id.
    pub(super) fn glance(&self, id: Id) -> Option<u64> {
        let server = self.slab.get(id)?;
        black_box((server.state, server.kept.len(), server.last.is_some()));
        Some(server.hash)
    }

    /// Whether the transaction in `slot` is found by its hash.
    pub(super) fn is_listed(&self, slot: u32, hash: u64) -> bool {
        self.by_key.find(hash, |listed| *listed == slot).is_some()
    }

    pub(super) fn insert(&mut self, server: Server<U>) -> Id {
        let (hash, identity) = (server.hash, server.identity);
        let id = self.slab.insert(server);
        let slab = &self.slab;
        let hash_of = |slot: &u32| slab.at(*slot).map_or(0, |server| server.hash);
        self.by_key.insert_unique(hash, id.slot, hash_of);
        if let Some(identity) = identity {
            let hash_of = |slot: &u32| {
                let server = slab.at(*slot).and_then(|server| server.identity);
                server.map_or(0, NonZeroU64::get)
            };
            let identity = identity.get();
            self.by_identity.insert_unique(identity, id.slot, hash_of);
        }
        id
    }

    pub(super) fn remove(&mut self, id: Id) -> Option<Server<U>> {
        let server = self.slab.remove(id)?;
        if let Ok(entry) = self.by_key.find_entry(server.hash, |slot| *slot == id.slot) {
            entry.remove();
        }
        if let Some(identity) = server.identity {
            self.unlist_identity(identity, id.slot);
        }
        Some(server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_stays_small() {
        assert!(
            size_of::<Server<u64>>() <= 160,
            "{}",
            size_of::<Server<u64>>()
        );
        assert!(size_of::<super::super::clients::Client<u64>>() <= 160);
    }
}
