//! What is asked of the location service, and what it answers: plain values between it and the registrar.

use std::sync::Arc;

use stack::ServerId;

use super::{Aor, Binding, Registration};

/// What one REGISTER asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Update {
    /// Whose bindings.
    pub(crate) aor: Aor,
    /// Call-ID of the REGISTER.
    pub(crate) call_id: Box<[u8]>,
    /// Its CSeq.
    pub(crate) cseq: u32,
    /// What to do.
    pub(crate) edits: Edits,
}

/// What to do with the bindings of an address-of-record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Edits {
    /// Nothing: tell them (RFC 3261 10.2.3).
    Fetch,
    /// Remove them all: `Contact: *` (RFC 3261 10.2.2).
    RemoveAll,
    /// All of these, or none of them.
    Contacts(Vec<Edit>),
}

/// What to do with one contact.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Edit {
    /// The contact as it is to be, with the Call-ID and CSeq of the REGISTER.
    pub(crate) binding: Binding,
    /// It is to be removed: its expiration interval was zero.
    pub(crate) remove: bool,
}

/// What became of an update. Comes at once, or when every shard has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    /// The transaction of the REGISTER.
    pub(crate) server: ServerId,
    /// All bindings as they are now, none of them expired; empty when there is none.
    pub(crate) result: Result<Arc<Registration>, Refused>,
}

/// Why an update was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// RFC 3261 10.3 step 7: a later REGISTER with this Call-ID was there before. Answered 500.
    OutOfOrder,
    /// More contacts than one address-of-record may have.
    TooManyContacts,
    /// No room for another address-of-record or binding. Answered 503.
    Full,
    /// Not every shard could be told in time. It may have been made all the same. Answered 500 with
    /// Retry-After.
    NotReached,
}
