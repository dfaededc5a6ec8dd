//! Requests while the callee is early and its caller may think otherwise. A re-INVITE cannot pass to a
//! callee that has not answered, nor an UPDATE to a caller that knows none: each becomes the other.

use stack::{Outbox, ServerId, Time};
use wire::{Message, Method};

use crate::call::{Call, Stage};
use crate::core::{Core, Side};

impl Call {
    /// A request of this side that was admitted and is no ACK, BYE or CANCEL.
    pub(in crate::call) fn on_request_while_early(
        &mut self,
        core: &mut Core,
        now: Time,
        side: Side,
        server: ServerId,
        request: &Message<'_>,
        out: &mut Outbox,
    ) {
        match (request.method(), side) {
            // Only the caller's is admitted (`admit_reinvite`).
            (Method::Invite, _) if self.callee_takes(request) => {
                let update = Some(Method::Update);
                self.relay_reinvite(core, now, side, server, request, update, out);
            }
            (Method::Invite, _) => core.refuse(now, server, 491, b"", out),
            (Method::Update, Side::Caller) => {
                self.on_caller_update(core, now, server, request, out)
            }
            (Method::Update, Side::Callee) => {
                self.on_callee_update(core, now, server, request, out)
            }
            // RFC 3262 3: no provisional of ours was reliable.
            (Method::Prack, Side::Caller) => core.refuse(now, server, 481, b"", out),
            _ => self.relay_request(core, now, side, server, request, out),
        }
    }

    /// Whether the callee would take this offer as an UPDATE (RFC 3311 5.1).
    fn callee_takes(&self, request: &Message<'_>) -> bool {
        let ready = self
            .given()
            .is_some_and(|given| given.allows_update && given.negotiated);
        ready && request.has_sdp()
    }

    fn on_caller_update(
        &mut self,
        core: &mut Core,
        now: Time,
        server: ServerId,
        update: &Message<'_>,
        out: &mut Outbox,
    ) {
        let known = self.given().is_some_and(|given| given.allows_update);
        if self.offer_is_open() || update.has_sdp() && !self.callee_takes(update) {
            core.refuse(now, server, 491, b"", out);
        } else if known {
            self.relay_request(core, now, Side::Caller, server, update, out);
        } else {
            self.answer_update(core, now, Side::Caller, server, update, out);
        }
    }

    /// An early dialog other than the one whose session the caller has must wait for its own 2xx.
    fn on_callee_update(
        &mut self,
        core: &mut Core,
        now: Time,
        server: ServerId,
        update: &Message<'_>,
        out: &mut Outbox,
    ) {
        let tag = update.from_tag().unwrap_or_default();
        let heard = self
            .given()
            .is_some_and(|given| given.acked && *given.tag == *tag);
        let updates = self
            .early
            .as_ref()
            .is_some_and(|early| early.caller_updates);
        if !update.has_sdp() {
            self.answer_update(core, now, Side::Callee, server, update, out);
        } else if !heard || self.offer_is_open() {
            core.refuse(now, server, 491, b"", out);
        } else if updates {
            self.relay_request(core, now, Side::Callee, server, update, out);
        } else {
            let invite = Some(Method::Invite);
            self.relay_reinvite(core, now, Side::Callee, server, update, invite, out);
        }
    }

    /// RFC 3311 5.2: one offer at a time.
    fn offer_is_open(&self) -> bool {
        self.reinvite.is_some_and(|reinvite| !reinvite.answered)
    }

    /// An UPDATE without an offer moves its sender's Contact, which is nobody's business but ours.
    fn answer_update(
        &mut self,
        core: &mut Core,
        now: Time,
        side: Side,
        server: ServerId,
        update: &Message<'_>,
        out: &mut Outbox,
    ) {
        self.refresh_target(core, side, update);
        let session = self.speak_session(core, now, side);
        let tag = self.tag(side);
        let door = core.doors.of(self.leg(side).peer.listener);
        let rest = |out: &mut Vec<u8>| {
            door.print_contact(out, &tag);
            if let Some(session) = session {
                session.print(out);
            }
            wire::print::end(out, b"");
        };
        core.transactions
            .respond(now, server, 200, b"", Some(&tag.tag_text()), rest, out);
    }

    /// A 2xx of an in-dialog request has crossed: its session is the one both sides have now. A
    /// re-INVITE made of the callee's UPDATE says nothing of a callee that has answered since.
    pub(in crate::call) fn on_offer_answered(
        &mut self,
        core: &mut Core,
        recast: Option<Method>,
        response: &Message<'_>,
    ) {
        let offered = matches!(response.method(), Method::Invite | Method::Update);
        if !offered || !response.has_sdp() {
            return;
        }
        if self.stage == Stage::Calling {
            if let Some(given) = self.given_mut() {
                given.updated = true;
            }
        } else if recast != Some(Method::Invite) && !self.offers_again() {
            self.forget_offer(core);
        }
    }
}
