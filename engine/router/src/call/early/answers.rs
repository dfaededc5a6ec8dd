//! What the callee answers to an INVITE whose caller has no early media: the first 18x with SDP, the
//! others, the PRACKs they ask for, the 2xx at last; and the caller's ACK of its early 200.

use stack::{Outbox, Time};
use wire::{Index, Message, Method};

use super::session::{is_same, session_of};
use super::{Given, Offer, Other, allows_update};
use crate::call::forked::EARLY_DIALOG_TERMINATED;
use crate::call::print::{Form, Reason};
use crate::call::reliable::rseq;
use crate::call::{After, Call, FORKS_MAX, Stage};
use crate::core::{Alarm, Core, Side};

/// From the callee.
impl Call {
    /// A provisional whose early dialog is the current one.
    pub(in crate::call) fn on_early_provisional(
        &mut self,
        core: &mut Core,
        now: Time,
        response: &Message<'_>,
        out: &mut Outbox,
    ) {
        let held = self.holds_given(response);
        let fresh = rseq(response)
            .is_none_or(|rseq| self.acknowledge_provisional(core, now, rseq, response, held, out));
        if self.given().is_some() {
            self.note_swallowed(response, fresh);
            self.return_to_given();
        } else if fresh && may_be_given(response) {
            self.give(core, now, response, out);
        } else if fresh {
            self.relay_bodiless(core, now, response, out);
        }
    }

    /// The first 18x with SDP: the caller's 200.
    fn give(&mut self, core: &mut Core, now: Time, response: &Message<'_>, out: &mut Outbox) {
        if !self.form_to_caller(core, now, 200, b"", Form::Final, response, out) {
            return;
        }
        core.counters.calls_answered += 1;
        core.answered(now, self.id);
        self.caller.dialog.confirm();
        if let Some(early) = &mut self.early {
            early.given = Some(Given {
                tag: response.to_tag().unwrap_or_default().into(),
                session: session_of(response).into(),
                acked: false,
                allows_update: allows_update(response),
                negotiated: false,
                updated: false,
            });
        }
    }

    fn relay_bodiless(
        &mut self,
        core: &mut Core,
        now: Time,
        response: &Message<'_>,
        out: &mut Outbox,
    ) {
        let mute = self.early.as_ref().is_some_and(|early| early.mute);
        // The caller has one dialog, which goes on (RFC 6228).
        let mute = mute || response.code() == EARLY_DIALOG_TERMINATED;
        if !mute && self.rung.passes_as(response, true, &self.terms) {
            let (code, reason) = (response.code(), response.reason());
            self.form_to_caller(core, now, code, reason, Form::Bodiless, response, out);
        }
    }

    /// What the caller does not hear: of its own early dialog, whether it takes UPDATE; of another, its
    /// session.
    fn note_swallowed(&mut self, response: &Message<'_>, fresh: bool) {
        let tag = response.to_tag().unwrap_or_default();
        let Some(early) = &mut self.early else { return };
        match &mut early.given {
            Some(given) if *given.tag == *tag => given.allows_update |= allows_update(response),
            _ if fresh && may_be_given(response) => {
                early.others.retain(|other| *other.tag != *tag);
                if early.others.len() < FORKS_MAX {
                    early.others.push(Other {
                        tag: tag.into(),
                        message: response.bytes().into(),
                    });
                }
            }
            _ => {}
        }
    }

    /// The caller talks to the early dialog whose session it has, whichever spoke last.
    fn return_to_given(&mut self) {
        if let Some(tag) = self.given().map(|given| given.tag.clone()) {
            self.bring_forward(&tag);
        }
    }
}

/// Reliable provisionals.
impl Call {
    /// Whether the response holds the answer that the caller was given, or is about to be.
    fn holds_given(&self, response: &Message<'_>) -> bool {
        let tag = response.to_tag().unwrap_or_default();
        may_be_given(response) && self.given().is_none_or(|given| *given.tag == *tag)
    }

    /// The callee has answered our PRACK.
    pub(crate) fn on_prack_answer(&mut self, held: bool, response: &Message<'_>) {
        if let (true, 200..300, Some(given)) = (held, response.code(), self.given_mut()) {
            given.negotiated = true;
        }
    }
}

/// The end of it.
impl Call {
    /// The callee's 2xx, while the caller has its 200 from an 18x.
    pub(in crate::call) fn on_early_answered(
        &mut self,
        core: &mut Core,
        now: Time,
        response: &Message<'_>,
        out: &mut Outbox,
    ) -> After {
        if self.settle_dialog(core, response).is_err() {
            return self.finish_calling(core, now, 502, &Reason::sip(502, "Unreadable 2xx"), out);
        }
        let duration = self.early.as_mut().and_then(|early| early.duration.take());
        self.stop_alarms(core);
        self.alarm = duration;
        self.hear_session(core, now, Side::Callee, response);
        self.acknowledge_callee(core, now, None, out);
        self.owe_session(core, now, response, out);
        self.stage = if self.early_200_waits() {
            Stage::Answered
        } else {
            self.start_probing(core, now);
            Stage::Connected
        };
        self.reoffer(core, now, out);
        After::Keep
    }

    /// Whether the caller has to be told of another session than it was given.
    fn owe_session(
        &mut self,
        core: &mut Core,
        now: Time,
        response: &Message<'_>,
        out: &mut Outbox,
    ) {
        let tag = response.to_tag().unwrap_or_default();
        let same_dialog = self.given().is_some_and(|given| *given.tag == *tag);
        let updated = self.given().is_some_and(|given| given.updated);
        if same_dialog && (updated || self.reinvite.is_some()) {
            // The offers since have settled the session; the 2xx cannot (RFC 3261 13.2.1).
            return;
        }
        if !same_dialog {
            self.refuse_recast(core, now, out);
        }
        let other = self.early.as_mut().and_then(|early| {
            let at = early.others.iter().position(|other| *other.tag == *tag)?;
            Some(early.others.swap_remove(at).message)
        });
        let mut index = Index::new();
        let limits = core.limits.wire;
        let other = other.filter(|_| !response.has_sdp());
        let other = other
            .as_deref()
            .map(|text| Message::parse(text, &mut index, &limits));
        match other {
            Some(Ok(provisional)) => self.owe_session_of(core, now, &provisional),
            _ => self.owe_session_of(core, now, response),
        }
    }

    fn owe_session_of(&mut self, core: &mut Core, now: Time, response: &Message<'_>) {
        let body = self.crossing_unsent(core, now, response);
        let same = |given: &Given| is_same(&given.session, session_of(response));
        let unchanged = !response.has_sdp() || self.given().is_some_and(same);
        let offer = Offer::of(response, body.of(response));
        body.give_back(core);
        if let Some(early) = self.early.as_mut().filter(|_| !unchanged) {
            early.offer = Some(offer);
        }
    }

    /// The caller's re-INVITE went as UPDATE to an early dialog that has lost.
    fn refuse_recast(&mut self, core: &mut Core, now: Time, out: &mut Outbox) {
        let recast = |reinvite: &&mut super::super::Reinvite| {
            reinvite.recast == Some(Method::Update) && !reinvite.answered
        };
        if let Some(reinvite) = self.reinvite.as_mut().filter(recast) {
            let server = reinvite.server;
            core.refuse(now, server, 491, b"", out);
            self.reinvite = None;
            self.offer_failed(core, now, server);
        }
    }

    /// The caller's ACK of its early 200 goes no further. `maxCallDuration` counts from it.
    pub(in crate::call) fn on_early_ack(&mut self, core: &mut Core, now: Time, out: &mut Outbox) {
        core.transactions.acknowledge(now, self.server);
        if let Some(given) = self.given_mut() {
            given.acked = true;
        }
        let duration = core.arm(
            now,
            self.id,
            Alarm::MaxDuration,
            self.terms.max_duration.get(),
        );
        match &mut self.early {
            Some(early) if self.stage == Stage::Calling => early.duration = duration,
            _ => {
                self.alarm = duration;
                self.stage = Stage::Connected;
                self.start_probing(core, now);
            }
        }
        self.reoffer(core, now, out);
    }
}

/// An 18x that can become a 200: it describes a session, and its dialog can be told from others.
fn may_be_given(response: &Message<'_>) -> bool {
    (180..190).contains(&response.code()) && response.has_sdp()
}
