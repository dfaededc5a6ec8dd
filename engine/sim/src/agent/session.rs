//! The media session of one dialog as a party keeps it (RFC 3264, 6337): what both have said and is in
//! force, and the offer that waits for its answer. Messages and packets are not known here.

use std::sync::Arc;

use super::description::{Description, Line};

/// An offer without an answer, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) said: Arc<Description>,
    pub(super) place: Place,
}

/// The transaction that an offer or a description is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A request of ours, by its CSeq number.
    Client(u32),
    /// A request of the peer's, by the index of its server transaction.
    Server(usize),
}

/// The session of a dialog.
#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    /// In force: what we said, what the peer said.
    pub(super) local: Option<Arc<Description>>,
    pub(super) remote: Option<Arc<Description>>,
    /// Our offer.
    pub(super) offer: Option<Pending>,
    /// The peer's offer.
    pub(super) asked: Option<Pending>,
    /// Our last words, in force or not.
    pub(super) last: Option<Arc<Description>>,
    /// Our offer in the INVITE that made the dialog, which every fork may answer.
    invitation: Option<Arc<Description>>,
    /// Names of what was heard in answer to it.
    heard: Vec<String>,
    /// The first answer is known to have arrived: UPDATE and PRACK may offer (RFC 3311 5.1).
    pub(super) reliable: bool,
    /// Offers that were answered.
    pub(super) exchanges: u32,
    /// How often our streams have moved.
    pub(super) moves: u16,
    /// Which change comes next.
    pub(super) next_change: usize,
    /// What has changed since anybody looked.
    pub(super) changed: bool,
}

impl Session {
    /// Nothing waits for an answer.
    pub(super) fn is_settled(&self) -> bool {
        self.offer.is_none() && self.asked.is_none()
    }

    /// We make an offer.
    pub(super) fn offers(&mut self, said: Arc<Description>, place: Place) {
        self.last = Some(said.clone());
        self.offer = Some(Pending { said, place });
        self.changed = true;
    }

    /// We make the offer of the INVITE.
    pub(super) fn invites(&mut self, said: Arc<Description>, place: Place) {
        self.invitation = Some(said.clone());
        self.offers(said, place);
    }

    /// The peer makes an offer.
    pub(super) fn is_asked(&mut self, said: Description, place: Place) {
        let said = Arc::new(said);
        self.asked = Some(Pending { said, place });
        self.changed = true;
    }

    /// We answer the peer's offer.
    pub(super) fn answers(&mut self, said: Arc<Description>) {
        if let Some(asked) = self.asked.take() {
            self.remote = Some(asked.said);
            self.last = Some(said.clone());
            self.local = Some(said);
            self.exchanges += 1;
            self.changed = true;
        }
    }

    /// We say something else than we answered, as one must not.
    pub(super) fn thinks_again(&mut self, said: Arc<Description>) {
        self.last = Some(said.clone());
        self.local = Some(said);
        self.changed = true;
    }

    /// The peer answers the offer at this place. False when there is none.
    pub(super) fn is_answered(&mut self, said: Description, place: Place) -> bool {
        let Some(offer) = self.offer.take_if(|offer| offer.place == place) else {
            return false;
        };
        self.heard.push(said.id.clone());
        self.local = Some(offer.said);
        self.remote = Some(Arc::new(said));
        self.exchanges += 1;
        self.changed = true;
        true
    }

    /// Another answer to the INVITE: of another fork, or the first one again. A provisional one that was
    /// heard before is a late copy.
    pub(super) fn is_answered_again(&mut self, said: Description, final_one: bool) {
        let Some(invitation) = self.invitation.clone() else {
            return;
        };
        if self.exchanges > 1 {
            return;
        }
        if final_one || !self.heard.contains(&said.id) {
            self.heard.push(said.id.clone());
            self.local = Some(invitation);
            self.remote = Some(Arc::new(said));
            self.changed = true;
        }
    }

    /// Whether the INVITE that made the dialog had our offer.
    pub(super) fn has_invited(&self) -> bool {
        self.invitation.is_some()
    }

    /// What is in this transaction comes to nothing (RFC 3261 14.1).
    pub(super) fn fails(&mut self, place: Place) {
        let here = |pending: &mut Pending| pending.place == place;
        self.changed |= self.offer.take_if(here).is_some();
        self.changed |= self.asked.take_if(here).is_some();
    }

    /// The line of ours that stands for this one.
    pub(super) fn own_line(&self, at: usize) -> Option<&Line> {
        self.local.as_ref()?.lines.get(at)
    }
}
