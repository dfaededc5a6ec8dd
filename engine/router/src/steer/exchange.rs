//! Offers and answers of a call (RFC 3264, 6337): which body is which, and who owes an answer. Towards
//! either party the router has one dialog, so a call has at most one offer without an answer.

use stack::ServerId;
use wire::{Message, Method};

use crate::core::Side;

/// The part a session description plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It asks.
    Offer,
    /// It answers the pending offer.
    Answer,
    /// Another answer to an INVITE that had one: of another fork, or of a callee that thought better
    /// of its unreliable 18x.
    Again,
    /// It says again what this side said before: the 2xx after an 18x.
    Repeat,
    /// It is neither offer nor answer: capabilities in a 488, a body where none belongs.
    Neither,
}

/// Why an offer cannot be made now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Untimely {
    /// The other side's offer has no answer yet: 491 (RFC 3261 14.2, RFC 3311 5.2).
    Glare,
    /// This side's own offer has none: 500 with Retry-After.
    Twice,
}

/// A description in a response: hashes of the fork that spoke and of what it said.
type Spoken = (u64, u64);

/// An offer without an answer.
#[derive(Clone, Copy, Debug)]
struct Pending {
    from: Side,
    /// The request it came in, or the INVITE whose response it came in.
    server: ServerId,
    in_response: bool,
}

/// The INVITE that was sent last.
#[derive(Clone, Copy, Debug)]
struct Invite {
    server: ServerId,
    /// It had an offer: the answer comes in its responses.
    offered: bool,
    /// The last description in its responses so far.
    answered: Option<Spoken>,
}

/// Who has offered what in a call.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    pending: Option<Pending>,
    invite: Option<Invite>,
}

impl Exchange {
    /// What a description of this side is that came in `message` on `server`.
    pub(super) fn role(
        &self,
        from: Side,
        server: ServerId,
        message: &Message<'_>,
        spoken: Spoken,
    ) -> Result<Role, Untimely> {
        if message.is_request() {
            self.of_request(from, message.method())
        } else {
            Ok(self.of_response(from, server, message, spoken))
        }
    }

    fn of_request(&self, from: Side, method: Method) -> Result<Role, Untimely> {
        let answers = |pending: &Pending| pending.in_response && pending.from != from;
        match (method, self.pending) {
            (Method::Ack | Method::Prack, Some(pending)) if answers(&pending) => Ok(Role::Answer),
            (Method::Invite | Method::Update | Method::Prack, None) => Ok(Role::Offer),
            (Method::Invite | Method::Update | Method::Prack, Some(pending)) => {
                Err(if pending.from == from {
                    Untimely::Twice
                } else {
                    Untimely::Glare
                })
            }
            _ => Ok(Role::Neither),
        }
    }

    fn of_response(
        &self,
        from: Side,
        server: ServerId,
        message: &Message<'_>,
        spoken: Spoken,
    ) -> Role {
        let (method, code) = (message.method(), message.code());
        let bears = match method {
            Method::Invite => code < 300,
            Method::Update | Method::Prack => (200..300).contains(&code),
            _ => false,
        };
        if !bears {
            return Role::Neither;
        }
        let pending = self.pending.filter(|pending| pending.server == server);
        if pending.is_some_and(|pending| !pending.in_response && pending.from != from) {
            return Role::Answer;
        }
        match self.invite.filter(|invite| invite.server == server) {
            None => Role::Neither,
            Some(invite) if invite.answered == Some(spoken) => Role::Repeat,
            Some(invite) if invite.offered => Role::Again,
            // A fork's offer takes the place of another's.
            Some(invite) => match invite.answered {
                Some((fork, _)) if fork == spoken.0 && pending.is_none() => Role::Neither,
                _ => Role::Offer,
            },
        }
    }

    /// An INVITE crosses, with or without an offer in it.
    pub(super) fn begin_invite(&mut self, server: ServerId, offered: bool) {
        self.invite = Some(Invite {
            server,
            offered,
            answered: None,
        });
    }

    /// A description in a response to the INVITE crosses.
    pub(super) fn note_response(&mut self, server: ServerId, spoken: Spoken) {
        if let Some(invite) = &mut self.invite
            && invite.server == server
        {
            invite.answered = Some(spoken);
        }
    }

    /// An offer crosses.
    pub(super) fn offered(&mut self, from: Side, server: ServerId, in_response: bool) {
        self.pending = Some(Pending {
            from,
            server,
            in_response,
        });
    }

    /// The pending offer has its answer, or never gets one.
    pub(super) fn settled(&mut self) {
        self.pending = None;
    }

    /// Whether the offer in this transaction still waits: in its request, or in its response.
    pub(super) fn waits_on(&self, server: ServerId, in_response: bool) -> bool {
        self.pending
            .is_some_and(|pending| pending.server == server && pending.in_response == in_response)
    }

    /// Whether any offer of this transaction still waits.
    pub(super) fn waits(&self, server: ServerId) -> bool {
        self.pending.is_some_and(|pending| pending.server == server)
    }
}
