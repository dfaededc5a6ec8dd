//! Answers to the callee's INVITE: 18x and early dialogs, the 2xx and its forks, rejections, silence;
//! and the caller's ACK.

use stack::dialog::Dialog;
use stack::{Answer, ClientId, Flow, Outbox, Time, Token};
use wire::{Message, Method};

use super::forked::EARLY_DIALOG_TERMINATED;
use super::own::Own;
use super::print::{self, Form, Reason, Request};
use super::reliable::rseq;
use super::{After, Call, Changes, Stage};
use crate::abuse;
use crate::accounts::EndedBy;
use crate::calls::CallId;
use crate::core::{Alarm, Core, Purpose, Side, User};
use crate::steer::Crossed;

/// CSeq of the callee's INVITE when it is sent the first time: the first request of ours in its dialog.
pub(super) const INVITE_CSEQ: u32 = 1;

impl Call {
    /// An answer to the INVITE that made the call.
    pub(crate) fn on_invite_answer(
        &mut self,
        core: &mut Core,
        now: Time,
        answer: &Answer<User>,
        source: Flow,
        response: &Message<'_>,
        out: &mut Outbox,
    ) -> After {
        match response.code() {
            ..200 => self.on_provisional(core, now, source, response, out),
            200..300 if answer.first_final => self.on_answered(core, now, source, response, out),
            200..300 => self.on_second_2xx(core, now, response, out),
            _ => self.on_rejected(core, now, response, out),
        }
    }

    fn on_provisional(
        &mut self,
        core: &mut Core,
        now: Time,
        source: Flow,
        response: &Message<'_>,
        out: &mut Outbox,
    ) -> After {
        if self.stage != Stage::Calling {
            return After::Keep;
        }
        self.callee.peer = source;
        if (180..190).contains(&response.code()) {
            core.disarm(&mut self.no_18x);
            core.rang(now, self.id);
        }
        self.restart_ringing(core, now);
        if response.code() == EARLY_DIALOG_TERMINATED && self.early.is_none() {
            self.on_early_dialog_over(core, now, response, out);
            return After::Keep;
        }
        self.note_early_dialog(core, response);
        if self.early.is_some() {
            self.on_early_provisional(core, now, response, out);
        } else if let Some(rseq) = rseq(response) {
            self.on_reliable(core, now, rseq, response, out);
        } else if self.rung.passes(response, &self.terms) {
            self.relay_to_caller(core, now, response, out);
        }
        After::Keep
    }

    /// RFC 3261 16.7 step 2: each provisional but the 100 starts timer C anew. `noAnswerTimeout`, where
    /// the route sets it, takes timer C's place and counts on.
    fn restart_ringing(&mut self, core: &mut Core, now: Time) {
        if self.terms.no_answer.get().is_none() {
            core.disarm(&mut self.alarm);
            self.alarm = core.arm(now, self.id, Alarm::Ringing, Some(core.timers.ringing));
        }
    }

    fn on_answered(
        &mut self,
        core: &mut Core,
        now: Time,
        source: Flow,
        response: &Message<'_>,
        out: &mut Outbox,
    ) -> After {
        self.callee.peer = source;
        if self.is_early() {
            return self.on_early_answered(core, now, response, out);
        }
        self.stop_alarms(core);
        if self.settle_dialog(core, response).is_err() {
            // A 2xx without a To tag or with an unreadable header makes no dialog: nothing can be ACKed.
            return self.finish_calling(core, now, 502, &Reason::sip(502, "Unreadable 2xx"), out);
        }
        if self.stage == Stage::Cancelling || !self.relay_2xx_to_caller(core, now, response, out) {
            // The caller has had another final answer: CANCEL and 200 have crossed (9.1).
            self.acknowledge_callee(core, now, None, out);
            return self.bye_callee_only(core, now, &Reason::default(), out);
        }
        core.counters.calls_answered += 1;
        core.answered(now, self.id);
        self.caller.dialog.confirm();
        // Answered without early media: there is nothing to transform.
        self.early = None;
        self.stage = Stage::Answered;
        After::Keep
    }

    /// RFC 3261 13.2.2.4: further 2xx from other branches of a fork are ACKed, and their dialogs ended.
    fn on_second_2xx(
        &mut self,
        core: &mut Core,
        now: Time,
        response: &Message<'_>,
        out: &mut Outbox,
    ) -> After {
        let tag = response.to_tag().unwrap_or_default();
        if tag == self.callee.dialog.remote_tag() {
            // The callee repeats its 2xx because the caller's ACK is not here yet.
            return After::Keep;
        }
        let early = self.forks.iter().position(|fork| fork.remote_tag() == tag);
        let fork = match early.map(|at| self.forks.swap_remove(at)) {
            Some(mut fork) => fork.establish(response, &mut core.pool).map(|()| fork),
            None => Dialog::answered(response, &mut core.pool),
        };
        if let Ok(fork) = fork {
            let (client, cseq, peer) = (self.client, self.callee_cseq, self.callee.peer);
            end_fork(core, now, client, cseq, fork, peer, out);
        }
        After::Keep
    }

    fn on_rejected(
        &mut self,
        core: &mut Core,
        now: Time,
        response: &Message<'_>,
        out: &mut Outbox,
    ) -> After {
        if let Some(after) = self.on_interval_refused(core, now, response, out) {
            return after;
        }
        abuse::entrance::note_answer(core, now, self.caller.peer.remote, response);
        if self.extends(core, now, response, out) {
            return After::Keep;
        }
        let told = Reason::of(response);
        let code = response.code();
        core.ended(now, self.id, EndedBy::Callee, code, told.as_bytes());
        if self.is_early() {
            let reason = Reason::of_refusal(response);
            return self.end_failed_early(core, now, &reason, out);
        }
        if self.stage == Stage::Calling {
            core.counters.calls_failed += 1;
            self.relay_to_caller(core, now, response, out);
        }
        self.end_media(core, now);
        self.when_callee_is_over(core)
    }

    /// Nothing came from the callee in time, or nothing can reach it.
    pub(crate) fn on_invite_failed(
        &mut self,
        core: &mut Core,
        now: Time,
        code: u16,
        text: &str,
        out: &mut Outbox,
    ) -> After {
        match self.stage {
            Stage::Calling => self.finish_calling(core, now, code, &Reason::sip(code, text), out),
            Stage::Cancelling => self.when_callee_is_over(core),
            Stage::Answered | Stage::Connected | Stage::Ending => After::Keep,
        }
    }

    /// The last answer to a caller whose callee needs no further word.
    pub(super) fn finish_calling(
        &mut self,
        core: &mut Core,
        now: Time,
        code: u16,
        reason: &Reason,
        out: &mut Outbox,
    ) -> After {
        core.ended(now, self.id, EndedBy::Router, code, reason.as_bytes());
        if self.is_early() {
            return self.end_failed_early(core, now, reason, out);
        }
        if self.stage == Stage::Calling {
            core.counters.calls_failed += 1;
            self.answer_caller(core, now, code, reason, out);
        }
        self.end_media(core, now);
        self.when_callee_is_over(core)
    }

    /// A final answer of our own to the caller's INVITE.
    pub(super) fn answer_caller(
        &mut self,
        core: &mut Core,
        now: Time,
        code: u16,
        reason: &Reason,
        out: &mut Outbox,
    ) {
        let (status, tag) = ((code, ""), self.tag(Side::Caller));
        core.answer(now, self.server, status, &tag, reason.as_bytes(), out);
    }

    /// The callee's answer on the caller's transaction; false when the caller has a final one already.
    pub(super) fn relay_to_caller(
        &mut self,
        core: &mut Core,
        now: Time,
        response: &Message<'_>,
        out: &mut Outbox,
    ) -> bool {
        let (code, reason) = (response.code(), response.reason());
        self.form_to_caller(core, now, code, reason, Form::Whole, response, out)
    }

    /// The callee's answer in another form and with another status.
    #[expect(clippy::too_many_arguments, reason = "the parts of one response")]
    pub(super) fn form_to_caller(
        &mut self,
        core: &mut Core,
        now: Time,
        code: u16,
        reason: &[u8],
        form: Form,
        response: &Message<'_>,
        out: &mut Outbox,
    ) -> bool {
        let tag = self.tag(Side::Caller);
        // What is left out says nothing to the media either.
        let crossed = match form {
            Form::Bodiless => Crossed::Withheld,
            Form::Whole | Form::Final | Form::Unreliable | Form::Numbered(_) => {
                self.crossing_answer(core, now, Side::Callee, self.server, response)
            }
        };
        if form != Form::Bodiless {
            self.offers.answered(Side::Callee, self.server, response);
        }
        let body = crossed.of(response);
        self.keep_description(Side::Caller, self.server, response, body);
        let changes = Changes {
            session: self.session_answer(core, now, code, response),
            hidden: self.hidden(Side::Callee, response),
        };
        let door = core.doors.of(self.caller.peer.listener);
        let rest = |out: &mut Vec<u8>| {
            print::formed_response(out, response, door, &tag, form, &changes, body);
        };
        let text = tag.tag_text();
        let sent =
            core.transactions
                .respond(now, self.server, code, reason, Some(&text), rest, out);
        crossed.give_back(core);
        sent
    }

    /// An ACK of this side: for the INVITE that made the call, or for a re-INVITE (13.2.2.4, 14.1).
    pub(crate) fn on_ack(
        &mut self,
        core: &mut Core,
        now: Time,
        side: Side,
        ack: &Message<'_>,
        out: &mut Outbox,
    ) -> After {
        let Ok(cseq) = ack.cseq() else {
            return After::Keep;
        };
        let first = side == Side::Caller && cseq.number == self.invite_cseq;
        if first && self.unacked {
            core.transactions.acknowledge(now, self.server);
            return self.on_settled(core, now, out);
        }
        if first && self.early_200_waits() {
            self.on_early_ack(core, now, out);
            return After::Keep;
        }
        if first && self.stage == Stage::Answered {
            core.transactions.acknowledge(now, self.server);
            self.acknowledge_callee(core, now, Some(ack), out);
            self.stage = Stage::Connected;
            self.alarm = core.arm(
                now,
                self.id,
                Alarm::MaxDuration,
                self.terms.max_duration.get(),
            );
            self.start_probing(core, now);
            return After::Keep;
        }
        self.on_reinvite_ack(core, now, side, cseq.number, ack, out);
        After::Keep
    }

    /// ACKs the callee's 2xx, with the caller's headers and body when they are there.
    pub(super) fn acknowledge_callee(
        &mut self,
        core: &mut Core,
        now: Time,
        ack: Option<&Message<'_>>,
        out: &mut Outbox,
    ) {
        let flow = self.flow(core, now, Side::Callee);
        self.offers.acknowledged(self.server);
        let crossed = ack.map(|ack| {
            let body = self.crossing_answer(core, now, Side::Caller, self.server, ack);
            (ack, body)
        });
        let ack = crossed.as_ref().map(|(ack, body)| (*ack, body.of(ack)));
        if let Some((ack, body)) = ack {
            self.keep_description(Side::Callee, self.server, ack, body);
        }
        let dialog = &self.callee.dialog;
        let (client, cseq) = (self.client, self.callee_cseq);
        send_ack(core, now, client, dialog, cseq, flow, ack, out);
        if let Some((_, body)) = crossed {
            body.give_back(core);
        }
    }
}

/// A 2xx from a branch of a fork whose call is over: without early dialog there was no request in it,
/// so its answer tells all there is to know.
pub(crate) fn end_late_fork(
    core: &mut Core,
    now: Time,
    client: ClientId,
    response: &Message<'_>,
    peer: Flow,
    out: &mut Outbox,
) {
    if let Ok(fork) = Dialog::answered(response, &mut core.pool) {
        let cseq = fork.local_cseq();
        end_fork(core, now, client, cseq, fork, peer, out);
    }
}

/// A 2xx to the re-INVITE of a call that is over: its dialog has had its BYE and is owed the ACK alone.
pub(crate) fn ack_late_reinvite(
    core: &mut Core,
    now: Time,
    client: ClientId,
    response: &Message<'_>,
    peer: Flow,
    out: &mut Outbox,
) {
    let cseq = response.cseq().map_or(INVITE_CSEQ, |cseq| cseq.number);
    if let Ok(dialog) = Dialog::answered(response, &mut core.pool) {
        let flow = core.next_hop(now, &dialog, peer);
        send_ack(core, now, client, &dialog, cseq, flow, None, out);
        dialog.release(&mut core.pool);
    }
}

pub(super) fn end_fork(
    core: &mut Core,
    now: Time,
    client: ClientId,
    cseq: u32,
    mut fork: Dialog,
    peer: Flow,
    out: &mut Outbox,
) {
    let flow = core.next_hop(now, &fork, peer);
    send_ack(core, now, client, &fork, cseq, flow, None, out);
    let bye = Own {
        dialog: &mut fork,
        peer,
        user: User {
            call: CallId::NONE,
            purpose: Purpose::Discard,
        },
        method: Method::Bye,
        max_forwards: print::MAX_FORWARDS,
    };
    // Nobody waits for its answer, nor would for a free transaction.
    let _ = bye.send(core, now, |request, out| request.print_own(out, b""), out);
    fork.release(&mut core.pool);
}

/// ACKs a 2xx, with the other side's headers and what crosses of its body when they are there.
#[expect(clippy::too_many_arguments, reason = "the parts of one ACK")]
pub(super) fn send_ack(
    core: &mut Core,
    now: Time,
    client: ClientId,
    dialog: &Dialog,
    cseq: u32,
    flow: Flow,
    ack: Option<(&Message<'_>, &[u8])>,
    out: &mut Outbox,
) {
    let door = core.doors.of(flow.listener);
    let max_forwards = ack
        .and_then(|(ack, _)| print::max_forwards(ack))
        .unwrap_or(print::MAX_FORWARDS);
    let print = |out: &mut Vec<u8>, branch: &Token| {
        let request = Request {
            door,
            dialog,
            method: b"ACK",
            cseq,
            branch,
            max_forwards,
        };
        match ack {
            Some((ack, body)) => request.print_relayed(out, ack, None, b"", body),
            None => request.print_own(out, b""),
        }
    };
    let tag = dialog.remote_tag();
    core.transactions
        .acknowledge_2xx(now, client, tag, flow, print, out);
    core.counters.forwarded += u64::from(ack.is_some());
}

impl super::Rung {
    /// `disallowSimilar18x` and `disallowDifferent18x` of the routing DB; an 18x with SDP always passes,
    /// as does one that must be PRACKed.
    fn passes(&mut self, response: &Message<'_>, terms: &super::Terms) -> bool {
        let bare = !response.has_sdp();
        self.passes_as(response, bare, terms)
    }

    /// The same, for a response that reaches the caller `bare` or not.
    pub(super) fn passes_as(
        &mut self,
        response: &Message<'_>,
        bare: bool,
        terms: &super::Terms,
    ) -> bool {
        let Some(digit) = response.code().checked_sub(180).filter(|digit| *digit < 10) else {
            return true;
        };
        let digit = digit as u8;
        let similar = self.codes & (1 << digit) != 0;
        let different = self.first.is_some_and(|first| first != digit);
        let dropped = bare
            && (similar && terms.disallow_similar_18x || different && terms.disallow_different_18x);
        if !dropped {
            self.codes |= 1 << digit;
            self.first.get_or_insert(digit);
        }
        !dropped
    }
}
