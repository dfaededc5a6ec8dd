//! Client transactions as stored values, found by the slot in their branch; and the list of those that
//! wait for a first answer.

use std::hint::black_box;

use wire::{Message, Method};

use super::client_machine::ClientState;
use crate::pool::Block;
use crate::slab::{Id, NIL, Slab};
use crate::timer::TimerKey;
use crate::{Flow, Token};

/// One client transaction.
#[derive(Debug)]
pub(super) struct Client<U> {
    /// The part of our branch that a stranger would have to guess.
    pub(super) random: u64,
    pub(super) user: U,
    /// Where the request goes; `None` while its name is being resolved.
    pub(super) destination: Option<Flow>,
    /// What is sent again: the request, or the ACK for a failure.
    pub(super) kept: Option<Block>,
    pub(super) repeating: Option<TimerKey>,
    /// Neighbours in the list of unanswered transactions.
    previous: u32,
    next: u32,
    /// The first ACK kept for a 2xx to this INVITE.
    pub(super) acks: u32,
    /// An INVITE's CANCEL, or a CANCEL's INVITE.
    pub(super) partner: u32,
    pub(super) method: Method,
    pub(super) state: ClientState,
    /// How often the repeating timer has fired.
    pub(super) repeats: u8,
    /// The transaction user has cancelled this INVITE.
    pub(super) cancelled: bool,
    /// The layer's own CANCEL: its end interests nobody.
    pub(super) is_cancel: bool,
    /// The request is another's: its responses have Vias behind ours.
    pub(super) forwarded: bool,
}

impl<U> Client<U> {
    pub(super) fn new(method: Method, random: u64, user: U) -> Client<U> {
        Client {
            random,
            user,
            destination: None,
            kept: None,
            repeating: None,
            previous: NIL,
            next: NIL,
            acks: NIL,
            partner: NIL,
            method,
            state: ClientState::new(method),
            repeats: 0,
            cancelled: false,
            is_cancel: false,
            forwarded: false,
        }
    }

    /// Whether `response`, whose CSeq says `method`, is for this transaction's method. Methods without a
    /// name of their own are compared as text, as long as the request is kept.
    pub(super) fn has_method_of(&self, response: &Message<'_>, method: Method) -> bool {
        let named = method == self.method && method != Method::Other;
        named || (method == self.method && self.has_token(response.method_token()))
    }

    fn has_token(&self, token: &[u8]) -> bool {
        let request = self.kept.as_ref().map(Block::as_slice);
        request.is_none_or(|request| {
            request
                .strip_prefix(token)
                .is_some_and(|rest| rest.first() == Some(&b' '))
        })
    }
}

/// All client transactions of a shard.
#[derive(Debug)]
pub(super) struct Clients<U> {
    slab: Slab<Client<U>>,
    /// The unanswered ones, oldest first.
    first: u32,
    last: u32,
}

impl<U> Clients<U> {
    /// Room for `limit` transactions.
    pub(super) fn new(limit: usize) -> Clients<U> {
        Clients {
            slab: Slab::with_capacity(limit),
            first: NIL,
            last: NIL,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(super) fn insert(&mut self, client: Client<U>) -> Id {
        self.slab.insert(client)
    }

    pub(super) fn get(&self, id: Id) -> Option<&Client<U>> {
        self.slab.get(id)
    }

    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut Client<U>> {
        self.slab.get_mut(id)
    }

    /// Reads a transaction that is going to end, and nothing of a stale id: its kept ACK.
    pub(super) fn glance(&self, id: Id) -> Option<u32> {
        let client = self.slab.get(id)?;
        black_box((client.state, client.random, client.kept.is_some()));
        Some(client.acks)
    }

    /// An INVITE's CANCEL, or a CANCEL's INVITE.
    pub(super) fn partner(&self, id: Id) -> Option<Id> {
        self.slab
            .get(id)
            .and_then(|client| self.slab.id_at(client.partner))
    }

    /// The transaction a branch of ours names, if it is still the same one.
    pub(super) fn by_token(&self, token: &Token) -> Option<Id> {
        let id = self.slab.id_at(token.slot)?;
        let client = self.slab.get(id)?;
        let same = id.generation.get() == token.generation && client.random == token.random;
        same.then_some(id)
    }

    /// Takes a transaction out, off the list and away from its partner.
    pub(super) fn remove(&mut self, id: Id) -> Option<Client<U>> {
        self.set_state(id, ClientState::GONE);
        let client = self.slab.remove(id)?;
        if let Some(partner) = self.slab.at_mut(client.partner) {
            partner.partner = NIL;
        }
        Some(client)
    }

    /// Changes a state and keeps the list of the unanswered.
    pub(super) fn set_state(&mut self, id: Id, state: ClientState) {
        let Some(client) = self.slab.get_mut(id) else {
            return;
        };
        let former = std::mem::replace(&mut client.state, state);
        match (former.is_unanswered(), state.is_unanswered()) {
            (false, true) => self.append(id.slot),
            (true, false) => self.unlink(id.slot),
            _ => {}
        }
    }

    /// The unanswered transaction after `former`, or the first one.
    pub(super) fn next_unanswered(&self, former: Option<Id>) -> Option<Id> {
        let slot = match former {
            Some(id) => self.slab.get(id)?.next,
            None => self.first,
        };
        self.slab.id_at(slot)
    }

    fn append(&mut self, slot: u32) {
        let previous = std::mem::replace(&mut self.last, slot);
        match self.slab.at_mut(previous) {
            Some(before) => before.next = slot,
            None => self.first = slot,
        }
        if let Some(client) = self.slab.at_mut(slot) {
            (client.previous, client.next) = (previous, NIL);
        }
    }

    fn unlink(&mut self, slot: u32) {
        let Some(client) = self.slab.at_mut(slot) else {
            return;
        };
        let (previous, next) = (client.previous, client.next);
        match self.slab.at_mut(previous) {
            Some(before) => before.next = next,
            None => self.first = next,
        }
        match self.slab.at_mut(next) {
            Some(after) => after.previous = previous,
            None => self.last = previous,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::invite_client::State;
    use super::*;

    fn unanswered(clients: &Clients<u8>) -> Vec<u8> {
        let mut users = Vec::new();
        let mut at = clients.next_unanswered(None);
        while let Some(id) = at {
            users.push(clients.get(id).unwrap().user);
            at = clients.next_unanswered(at);
        }
        users
    }

    #[test]
    fn the_list_holds_exactly_the_unanswered_in_order() {
        let mut clients = Clients::new(4);
        let ids: Vec<_> = (0..4)
            .map(|user| clients.insert(Client::new(Method::Invite, 0, user)))
            .collect();
        assert_eq!(unanswered(&clients), [0; 0]);
        for id in &ids {
            clients.set_state(*id, ClientState::Invite(State::Calling));
        }
        assert_eq!(unanswered(&clients), [0, 1, 2, 3]);
        clients.set_state(ids[1], ClientState::Invite(State::Proceeding));
        clients.remove(ids[3]);
        assert_eq!(unanswered(&clients), [0, 2]);
        clients.remove(ids[0]);
        clients.set_state(ids[2], ClientState::Invite(State::Accepted));
        assert_eq!(unanswered(&clients), [0; 0]);
    }

    #[test]
    fn a_token_must_fit_whole() {
        let mut clients = Clients::new(1);
        let id = clients.insert(Client::new(Method::Bye, 99, ()));
        let token = Token {
            shard: 0,
            slot: id.slot,
            generation: 1,
            random: 99,
        };
        assert_eq!(clients.by_token(&token), Some(id));
        assert_eq!(
            clients.by_token(&Token {
                random: 98,
                ..token
            }),
            None
        );
        assert_eq!(
            clients.by_token(&Token {
                generation: 2,
                ..token
            }),
            None
        );
        assert_eq!(clients.by_token(&Token { slot: 1, ..token }), None);
    }
}
