//! When an offer may be made inside a call (RFC 3261 14, RFC 3311 5, RFC 6337): who has offered what and
//! waits for the answer, and which UPDATE has no answer yet. What the descriptions say is `steer`'s
//! business. A target that moves is here too, for it moves when its request succeeds (RFC 6141 4).

use stack::ServerId;
use wire::{Message, Method};

use super::{Call, Leg};
use crate::core::{Core, Side};
use crate::steer::Untimely;

/// An offer without an answer.
#[derive(Clone, Copy, Debug)]
struct Open {
    from: Side,
    /// The request it came in, or the INVITE whose response it came in.
    server: ServerId,
    in_response: bool,
}

/// The offers of a call.
#[derive(Debug, Default)]
pub(super) struct Offers {
    open: Option<Open>,
    /// An offer has been made in the last INVITE or in its responses.
    invited: bool,
    /// The INVITE that made the call had one.
    pub(super) first_offered: bool,
    /// Requests that refresh the target and are not answered yet.
    refreshes: Vec<Refresh>,
}

/// An UPDATE or re-INVITE that has not been answered.
#[derive(Debug)]
struct Refresh {
    from: Side,
    server: ServerId,
    method: Method,
    moved: Option<Moved>,
}

/// Where a peer will be when its request succeeds.
#[derive(Debug)]
struct Moved {
    target: Box<[u8]>,
    /// Its tag, which tells its dialog from those of other forks.
    tag: Box<[u8]>,
}

impl Offers {
    /// Of a call whose first INVITE has or has not an offer.
    pub(super) fn of(server: ServerId, offered: bool) -> Offers {
        let open = Open {
            from: Side::Caller,
            server,
            in_response: false,
        };
        Offers {
            open: Some(open).filter(|_| offered),
            invited: offered,
            first_offered: offered,
            refreshes: Vec::new(),
        }
    }

    /// Whether this request of this side may come now.
    pub(super) fn admit(&self, from: Side, request: &Message<'_>) -> Result<(), Untimely> {
        let update = request.method() == Method::Update;
        if update && self.updates(from) {
            // RFC 3311 5.2, whether or not there is an offer in it.
            return Err(Untimely::Twice);
        }
        if !update && request.method() != Method::Invite {
            return Ok(());
        }
        match self.open.filter(|_| request.has_sdp()) {
            None => Ok(()),
            Some(open) if open.from == from => Err(Untimely::Twice),
            Some(_) => Err(Untimely::Glare),
        }
    }

    fn updates(&self, from: Side) -> bool {
        let update = |refresh: &Refresh| refresh.from == from && refresh.method == Method::Update;
        self.refreshes.iter().any(update)
    }

    /// A request of this side crosses that is no ACK.
    pub(super) fn requested(&mut self, from: Side, server: ServerId, request: &Message<'_>) {
        let offers = request.has_sdp();
        match (request.method(), self.open) {
            (Method::Prack, Some(open)) if open.in_response && open.from != from => {
                self.open = self.open.filter(|_| !offers);
            }
            (Method::Invite | Method::Update | Method::Prack, _) if offers => {
                self.open = Some(Open {
                    from,
                    server,
                    in_response: false,
                });
            }
            _ => {}
        }
        if request.method() == Method::Invite {
            self.invited = offers;
        }
    }

    /// A response of this side crosses.
    pub(super) fn answered(&mut self, from: Side, server: ServerId, response: &Message<'_>) {
        let (code, described) = (response.code(), response.has_sdp());
        let waits = self
            .open
            .is_some_and(|open| open.server == server && !open.in_response);
        if waits && (code >= 200 || described) {
            self.open = None;
        }
        let reliable = code >= 200 || super::reliable::rseq(response).is_some();
        if response.method() == Method::Invite
            && code < 300
            && described
            && reliable
            && !self.invited
        {
            self.invited = true;
            self.open = Some(Open {
                from,
                server,
                in_response: true,
            });
        }
        if code >= 300 {
            self.over(server);
        }
    }

    /// The ACK of this INVITE crosses, or never will.
    pub(super) fn acknowledged(&mut self, server: ServerId) {
        if self.waits_for_ack(server) {
            self.open = None;
        }
    }

    /// Whether the ACK of this INVITE has to bring an answer.
    pub(super) fn waits_for_ack(&self, server: ServerId) -> bool {
        self.open
            .is_some_and(|open| open.server == server && open.in_response)
    }

    /// The request in this transaction has failed: an offer in it, and a target, are as if they had never
    /// been.
    pub(super) fn over(&mut self, server: ServerId) {
        if self.open.is_some_and(|open| open.server == server) {
            self.open = None;
        }
        self.refreshes.retain(|refresh| refresh.server != server);
    }

    /// The request in this transaction has succeeded; its target, if it has one that is new.
    fn take_moved(&mut self, server: ServerId, done: bool) -> Option<Moved> {
        let at = self
            .refreshes
            .iter()
            .position(|refresh| refresh.server == server)?;
        if done {
            self.refreshes.swap_remove(at).moved
        } else {
            self.refreshes.get_mut(at)?.moved.take()
        }
    }
}

impl Call {
    /// A request of this side crosses: an offer in it waits for its answer, a new target for success.
    pub(super) fn note_request(&mut self, side: Side, server: ServerId, request: &Message<'_>) {
        self.offers.requested(side, server, request);
        let method = request.method();
        if !matches!(method, Method::Invite | Method::Update) {
            return;
        }
        let contact = request.contact().ok().flatten();
        let dialog = self.dialog_of(side, request);
        let contact = contact.filter(|contact| contact.uri != dialog.target());
        let moved = contact.map(|contact| Moved {
            target: contact.uri.into(),
            tag: dialog.remote_tag().into(),
        });
        if moved.is_some() || method == Method::Update {
            self.offers.refreshes.push(Refresh {
                from: side,
                server,
                method,
                moved,
            });
        }
    }

    /// The answer to a request of `from` crosses. RFC 6141 4.6, 4.7: a 2xx and a reliable provisional
    /// refresh both targets, nothing else does.
    pub(super) fn note_response(
        &mut self,
        core: &mut Core,
        from: Side,
        server: ServerId,
        response: &Message<'_>,
    ) {
        self.offers.answered(from.other(), server, response);
        let done = response.code() >= 200;
        let refreshes = match response.code() {
            ..200 => super::reliable::rseq(response).is_some(),
            code => code < 300,
        };
        if !refreshes {
            return;
        }
        if let Some(moved) = self.offers.take_moved(server, done)
            && let Some(dialog) = self.dialog_with(from, &moved.tag)
        {
            dialog.refresh_target(&moved.target, &mut core.pool);
        }
        if matches!(response.method(), Method::Invite | Method::Update)
            && let Ok(Some(contact)) = response.contact()
        {
            let tag = response.to_tag().unwrap_or_default();
            if let Some(dialog) = self.dialog_with(from.other(), tag) {
                dialog.refresh_target(contact.uri, &mut core.pool);
            }
        }
    }

    /// The dialog of this side whose peer has this tag.
    fn dialog_with(&mut self, side: Side, tag: &[u8]) -> Option<&mut stack::dialog::Dialog> {
        let Leg { dialog, .. } = match side {
            Side::Caller => &mut self.caller,
            Side::Callee => &mut self.callee,
        };
        if dialog.remote_tag() == tag {
            return Some(dialog);
        }
        let forks = self.forks.iter_mut().filter(|_| side == Side::Callee);
        forks.into_iter().find(|fork| fork.remote_tag() == tag)
    }
}
