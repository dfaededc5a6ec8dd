//! The callee has answered with another session than its caller was given: the caller is re-INVITEd
//! with it. Its answer is not passed on, for the callee has had one.

use std::time::Duration;

use stack::{ClientId, Outbox, Time};
use wire::{Message, Method};

use crate::call::answers::send_ack;
use crate::call::print::{Reason, Request};
use crate::call::{After, Call, MAX_FORWARDS, Own, Stage};
use crate::core::{Alarm, Core, Purpose, Side, User};
use crate::headers::BODY;

/// A caller that is busy with an offer of its own this often is never free.
const TRIES_MAX: u8 = 10;

/// The callee's session, as it will be offered.
#[derive(Debug)]
pub(super) struct Offer {
    /// Complete header lines.
    headers: Vec<u8>,
    /// Value of Content-Type.
    kind: Vec<u8>,
    body: Vec<u8>,
    /// Our re-INVITE on its way.
    client: Option<ClientId>,
    tries: u8,
}

impl Offer {
    /// The session of this response, with its `body` as the caller is to see it.
    pub(super) fn of(response: &Message<'_>, body: &[u8]) -> Offer {
        let mut headers = Vec::new();
        for header in response.headers() {
            if header.name == wire::HeaderName::Allow || BODY.contains(&header.name) {
                headers.extend_from_slice(header.line);
            }
        }
        Offer {
            headers,
            kind: response.content_type().unwrap_or_default().to_vec(),
            body: body.to_vec(),
            client: None,
            tries: 0,
        }
    }
}

impl Call {
    fn offer(&self) -> Option<&Offer> {
        self.early.as_ref()?.offer.as_ref()
    }

    fn offer_mut(&mut self) -> Option<&mut Offer> {
        self.early.as_mut()?.offer.as_mut()
    }

    /// Our re-INVITE is on its way to the caller: there may be no other (RFC 3261 14.1, 14.2).
    pub(in crate::call) fn offers_again(&self) -> bool {
        self.offer().is_some_and(|offer| offer.client.is_some())
    }

    /// The call ends while our re-INVITE is on its way. Nobody waits for its answer, so that it may not
    /// wait for ever either.
    pub(in crate::call) fn cancel_offer(&mut self, core: &mut Core, now: Time, out: &mut Outbox) {
        if let Some(client) = self.offer().and_then(|offer| offer.client) {
            core.transactions.cancel(now, client, b"", out);
        }
    }

    /// Offers the session that is owed, as soon as the caller can take it. When none is, there is
    /// nothing left to transform.
    pub(super) fn reoffer(&mut self, core: &mut Core, now: Time, out: &mut Outbox) {
        if self.stage != Stage::Connected || self.offers_again() {
            return;
        }
        if self.offer().is_none() {
            self.stop_early_alarms(core);
            self.early = None;
        } else if self.reinvite.is_some() || !self.send_offer(core, now, out) {
            self.offer_later(core, now);
        }
    }

    /// RFC 3261 14.1: who does not own the Call-ID, as we do not on the caller's leg, waits up to 2 s.
    fn offer_later(&mut self, core: &mut Core, now: Time) {
        let wait = Duration::from_millis(core.random.next_u64() % 201 * 10);
        if let Some(early) = &mut self.early {
            core.disarm(&mut early.again);
            early.again = core.arm(now, self.id, Alarm::OfferAgain, Some(wait));
        }
    }

    pub(in crate::call) fn on_offer_again(&mut self, core: &mut Core, now: Time, out: &mut Outbox) {
        if let Some(early) = &mut self.early {
            early.again = None;
        }
        self.reoffer(core, now, out);
    }

    /// False when no transaction is free.
    fn send_offer(&mut self, core: &mut Core, now: Time, out: &mut Outbox) -> bool {
        let (tag, call) = (self.tag(Side::Caller), self.id);
        let Some(offer) = self.early.as_mut().and_then(|early| early.offer.as_mut()) else {
            return true;
        };
        let steering = self.steering.as_mut();
        let anew = steering.and_then(|steering| {
            steering.print_again(core, Side::Caller, &offer.kind, &offer.body)
        });
        if let Some(anew) = anew {
            offer.body.clear();
            offer.body.extend_from_slice(&anew);
            core.return_scratch(anew);
        }
        let purpose = Purpose::Reoffer;
        let invite = Own {
            dialog: &mut self.caller.dialog,
            peer: self.caller.peer,
            user: User { call, purpose },
            method: Method::Invite,
            max_forwards: MAX_FORWARDS,
        };
        let printed = |request: &Request<'_>, out: &mut Vec<u8>| {
            request.print_offer(out, &tag, &offer.headers, &offer.body);
        };
        offer.client = invite.send(core, now, printed, out);
        offer.client.is_some()
    }

    /// The caller's answer to our re-INVITE. A call that is over ACKs it all the same.
    pub(crate) fn on_reoffer_answer(
        &mut self,
        core: &mut Core,
        now: Time,
        client: ClientId,
        response: &Message<'_>,
        out: &mut Outbox,
    ) -> After {
        match response.code() {
            ..200 => After::Keep,
            200..300 => {
                self.acknowledge_reoffer(core, now, client, response, out);
                self.caller_told(core, now, response);
                self.keep_offer();
                self.forget_offer(core);
                After::Keep
            }
            491 if self.may_try_again() => {
                self.offer_later(core, now);
                After::Keep
            }
            _ => self.end_both(core, now, &Reason::of_refusal(response), out),
        }
    }

    fn acknowledge_reoffer(
        &mut self,
        core: &mut Core,
        now: Time,
        client: ClientId,
        response: &Message<'_>,
        out: &mut Outbox,
    ) {
        self.refresh_target(core, Side::Caller, response);
        let Ok(cseq) = response.cseq() else { return };
        let flow = self.flow(core, now, Side::Caller);
        let dialog = &self.caller.dialog;
        send_ack(core, now, client, dialog, cseq.number, flow, None, out);
    }

    /// Notes that the caller was busy; false when it has been for too long.
    fn may_try_again(&mut self) -> bool {
        let connected = self.stage == Stage::Connected;
        let Some(offer) = self.offer_mut() else {
            return false;
        };
        offer.client = None;
        offer.tries = offer.tries.saturating_add(1);
        connected && offer.tries < TRIES_MAX
    }

    /// The caller has taken the offer: a refresh of its session says it again.
    fn keep_offer(&mut self) {
        let offer = self.offer_mut().map(|offer| {
            let kind = std::mem::take(&mut offer.kind);
            (kind, std::mem::take(&mut offer.body))
        });
        if let Some((kind, body)) = offer {
            self.keep_own_description(Side::Caller, &kind, &body);
        }
    }

    /// The caller knows the callee's session, or a newer one.
    pub(super) fn forget_offer(&mut self, core: &mut Core) {
        if self.stage != Stage::Connected {
            return;
        }
        self.stop_early_alarms(core);
        self.early = None;
    }

    /// No answer came to our re-INVITE, or it could not be sent: the two sides would hear nothing of
    /// each other.
    pub(crate) fn on_reoffer_failed(
        &mut self,
        core: &mut Core,
        now: Time,
        code: u16,
        out: &mut Outbox,
    ) -> After {
        self.end_both(core, now, &Reason::sip(code, "No Answer To Offer"), out)
    }
}
