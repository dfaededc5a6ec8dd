//! REFERs that name a dialog and not the router's address: whether the dialog is one of ours says its owner,
//! this shard or another. The REFER of another shard's dialog is held until that shard has answered.

use stack::{Flow, Outbox, ServerId, Time};
use wire::{Message, Method};

use super::Router;
use crate::calls::CallId;
use crate::transfer::{Named, dialog_referred_to};

impl Router {
    /// Finds out whether the dialog that a REFER names is ours, for what of it crosses; true when the REFER
    /// waits for another shard's word, or was refused. Any other request goes on at once.
    pub(super) fn asks_of_reference(
        &mut self,
        now: Time,
        flow: Flow,
        server: ServerId,
        request: &Message<'_>,
        out: &mut Outbox,
    ) -> bool {
        if request.method() != Method::Refer {
            return false;
        }
        let Some(named) = dialog_referred_to(&self.core, request) else {
            return false;
        };
        let shard = named.token.shard;
        if shard == self.core.shard {
            let ours = self.has_dialog(&named);
            self.note_reference(server, ours);
        } else if shard < self.core.shards {
            self.ask_other_shard(now, flow, server, named, request, out);
            return true;
        }
        false
    }

    /// Whether a call of this shard has the dialog.
    pub(super) fn has_dialog(&mut self, named: &Named) -> bool {
        let call = self.calls.get_mut(CallId::of_token(&named.token));
        call.is_some_and(|call| call.has_dialog(&self.core, named))
    }

    /// The REFER of this transaction names a dialog of ours, or does not.
    pub(super) fn note_reference(&mut self, server: ServerId, ours: bool) {
        self.core.refers_to_ours = ours.then_some(server);
    }
}
