//! The dialog of a party that is not in the call any more: it was let go when a transfer gave its place to
//! another. All that can still come of it is its own BYE, which has crossed ours.

use stack::Token;
use wire::{Message, Method};

use super::Leg;

/// What names the dialog.
#[derive(Debug)]
pub(super) struct Former {
    token: Token,
    call_id: Box<[u8]>,
    tag: Box<[u8]>,
}

impl Former {
    /// Of this leg, in which `token` is our tag.
    pub(super) fn of(leg: &Leg, token: Token) -> Former {
        Former {
            token,
            call_id: leg.dialog.call_id().into(),
            tag: leg.dialog.remote_tag().into(),
        }
    }

    /// Whether this is the BYE that has crossed ours. RFC 3261 15.1.2: it ends a dialog that there was, so it is
    /// no 481.
    pub(super) fn hangs_up(&self, request: &Message<'_>, token: &Token) -> bool {
        request.method() == Method::Bye
            && self.token == *token
            && *self.call_id == *request.call_id()
            && Some(&*self.tag) == request.from_tag()
    }
}
