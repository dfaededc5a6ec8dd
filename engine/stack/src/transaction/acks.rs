//! The ACKs for 2xx that the transaction user made, kept for the copies of those 2xx that still come.
//!
//! RFC 3261 13.2.2.4: the ACK is sent again for every retransmission of the 2xx. One INVITE may have
//! several 2xx, told apart by their To tags: one ACK is kept for each.

use wire::Message;

use super::{ClientId, Transactions};
use crate::pool::Block;
use crate::slab::{Id, NIL};
use crate::{Flow, Outbox, Time, Token};

/// One ACK and the tag it belongs to.
#[derive(Debug)]
pub(super) struct KeptAck {
    /// The To tag, and behind it the ACK.
    text: Block,
    tag_len: u16,
    destination: Flow,
    /// The next one of the same INVITE.
    next: u32,
}

impl KeptAck {
    fn tag(&self) -> &[u8] {
        self.text
            .as_slice()
            .get(..usize::from(self.tag_len))
            .unwrap_or_default()
    }

    fn ack(&self) -> &[u8] {
        self.text
            .as_slice()
            .get(usize::from(self.tag_len)..)
            .unwrap_or_default()
    }
}

impl<U: Copy> Transactions<U> {
    /// Prints and sends the ACK for the 2xx with this To tag, and keeps it: later copies of that 2xx
    /// are acknowledged by the layer itself. `print` puts the token into the Via's branch (an ACK for a
    /// 2xx is a transaction of its own). Sent, but not kept, when the INVITE's transaction is over.
    pub fn acknowledge_2xx(
        &mut self,
        _now: Time,
        id: ClientId,
        to_tag: &[u8],
        destination: Flow,
        print: impl FnOnce(&mut Vec<u8>, &Token),
        out: &mut Outbox,
    ) {
        let token = self.new_branch();
        let range = out.push(destination, |bytes| print(bytes, &token));
        let accepted = self
            .clients
            .get(id.0)
            .is_some_and(|client| client.state.is_accepted());
        if let (true, Ok(tag_len)) = (accepted, u16::try_from(to_tag.len())) {
            let text = self.pool.join(to_tag, out.bytes(range));
            self.keep_ack(
                id.0,
                KeptAck {
                    text,
                    tag_len,
                    destination,
                    next: NIL,
                },
            );
        }
    }

    /// Adds an ACK, in the place of the one with the same tag if there is one.
    fn keep_ack(&mut self, id: Id, mut ack: KeptAck) {
        if let Some(former) = self.find_ack(id, ack.tag()) {
            if let Some(kept) = self.acks.at_mut(former) {
                ack.next = kept.next;
                self.pool.release(std::mem::replace(kept, ack).text);
            }
        } else if let Some(client) = self.clients.get_mut(id) {
            ack.next = client.acks;
            client.acks = self.acks.insert(ack).slot;
        }
    }

    fn find_ack(&self, id: Id, tag: &[u8]) -> Option<u32> {
        let mut slot = self.clients.get(id)?.acks;
        while let Some(ack) = self.acks.at(slot) {
            if ack.tag() == tag {
                return Some(slot);
            }
            slot = ack.next;
        }
        None
    }

    /// Sends the ACK kept for this 2xx again; false when there is none.
    pub(super) fn reacknowledge(
        &mut self,
        id: Id,
        response: &Message<'_>,
        out: &mut Outbox,
    ) -> bool {
        let slot = self.find_ack(id, response.to_tag().unwrap_or_default());
        let Some(kept) = slot.and_then(|slot| self.acks.at(slot)) else {
            return false;
        };
        out.push_bytes(kept.destination, kept.ack());
        self.counters.acks_repeated += 1;
        true
    }

    /// Releases a list of kept ACKs.
    pub(super) fn forget_acks(&mut self, mut slot: u32) {
        while let Some(ack) = self.acks.id_at(slot).and_then(|id| self.acks.remove(id)) {
            self.pool.release(ack.text);
            slot = ack.next;
        }
    }
}
