//! How a call ends: CANCEL, BYE from either side or from us, timeouts, an ACK that never came.

use stack::{Outbox, ServerId, Time};
use wire::{Message, Method};

use super::own::Own;
use super::print::{self, Reason, Request};
use super::relay::relay_response;
use super::{After, Call, Changes, Stage};
use crate::accounts::EndedBy;
use crate::core::{Alarm, Core, Purpose, Side};
use crate::headers::POLICY;

impl Call {
    /// The caller's CANCEL of the INVITE that made the call (RFC 3261 9.2). The CANCEL itself has been
    /// answered.
    pub(crate) fn on_cancel(
        &mut self,
        core: &mut Core,
        now: Time,
        cancel: &Message<'_>,
        out: &mut Outbox,
    ) -> After {
        if self.stage != Stage::Calling || self.is_early() {
            // RFC 3261 9.2: what has its final answer cannot be cancelled.
            return After::Keep;
        }
        core.counters.calls_cancelled += 1;
        let reason = Reason::of(cancel);
        core.ended(now, self.id, EndedBy::Caller, 487, reason.as_bytes());
        self.answer_caller(core, now, 487, &Reason::default(), out);
        self.cancel_callee(core, now, &reason, out)
    }

    /// A timer or an order ends the call before its answer: this code to the caller, CANCEL to the callee.
    pub(super) fn give_up(
        &mut self,
        core: &mut Core,
        now: Time,
        code: u16,
        reason: &Reason,
        out: &mut Outbox,
    ) -> After {
        if self.stage != Stage::Calling {
            return After::Keep;
        }
        core.ended(now, self.id, EndedBy::Router, code, reason.as_bytes());
        if self.is_early() {
            self.end_early_caller(core, now, reason, out);
        } else {
            core.counters.calls_failed += 1;
            self.answer_caller(core, now, code, reason, out);
        }
        self.cancel_callee(core, now, reason, out)
    }

    /// The caller is served; the callee's INVITE ends with its own final answer.
    pub(super) fn cancel_callee(
        &mut self,
        core: &mut Core,
        now: Time,
        reason: &Reason,
        out: &mut Outbox,
    ) -> After {
        self.stop_alarms(core);
        self.end_media(core, now);
        self.stage = Stage::Cancelling;
        core.transactions
            .cancel(now, self.client, reason.as_bytes(), out);
        After::Keep
    }

    /// A BYE of this side. In an answered call it crosses, and its answer with it; but the sender is not
    /// kept waiting longer than its first retransmission would take.
    pub(crate) fn on_bye(
        &mut self,
        core: &mut Core,
        now: Time,
        side: Side,
        server: ServerId,
        bye: &Message<'_>,
        out: &mut Outbox,
    ) -> After {
        let number = bye.cseq().map_or(0, |cseq| cseq.number);
        if self.dialog_of(side, bye).receive_cseq(number).is_err() {
            core.refuse(now, server, 500, b"", out);
            return After::Keep;
        }
        if self.lets_go(side) {
            self.answer_bye(core, now, side, server, out);
            return After::Keep;
        }
        self.note_bye(core, now, side, bye);
        if side == Side::Caller {
            self.owed_bye = None;
        }
        if matches!(self.stage, Stage::Answered | Stage::Connected) {
            return self.pass_bye(core, now, side, server, bye, out);
        }
        self.answer_bye(core, now, side, server, out);
        match self.stage {
            Stage::Calling => self.bye_while_calling(core, now, side, bye, out),
            _ => After::Keep,
        }
    }

    fn note_bye(&self, core: &mut Core, now: Time, side: Side, bye: &Message<'_>) {
        let code = match (self.stage, side) {
            (Stage::Calling, Side::Caller) => 487,
            (Stage::Calling, Side::Callee) => 480,
            _ => 200,
        };
        let reason = Reason::of(bye);
        core.ended(now, self.id, side.into(), code, reason.as_bytes());
    }

    /// RFC 3261 15.1.2: a BYE gets its 200, whatever became of the other side.
    fn answer_bye(
        &mut self,
        core: &mut Core,
        now: Time,
        side: Side,
        server: ServerId,
        out: &mut Outbox,
    ) {
        core.answer(now, server, (200, ""), &self.tag(side), b"", out);
    }

    /// RFC 3261 15: a caller may end an early dialog with BYE. A callee may not, but one that does has
    /// certainly nothing more to say.
    fn bye_while_calling(
        &mut self,
        core: &mut Core,
        now: Time,
        side: Side,
        bye: &Message<'_>,
        out: &mut Outbox,
    ) -> After {
        if self.is_early() && side == Side::Caller {
            return self.leave_early(core, now, bye, out);
        }
        let reason = Reason::of(bye);
        let code = if side == Side::Caller { 487 } else { 480 };
        self.give_up(core, now, code, &reason, out)
    }

    fn pass_bye(
        &mut self,
        core: &mut Core,
        now: Time,
        from: Side,
        server: ServerId,
        bye: &Message<'_>,
        out: &mut Outbox,
    ) -> After {
        self.settle_invites(core, now, out);
        if self.unacked && from == Side::Callee {
            self.owed_bye = Some(Box::new(Reason::of(bye)));
            self.answer_bye(core, now, from, server, out);
            return self.ending(core, now);
        }
        let max_forwards = print::max_forwards(bye).unwrap_or(print::MAX_FORWARDS);
        let body = self.crossing_answer(core, now, from, server, bye);
        let changes = self.changed_request(from.other(), bye, b"", &POLICY);
        let (lines, policy) = changes.unwrap_or((Vec::new(), POLICY));
        let printed = |request: &Request<'_>, out: &mut Vec<u8>| {
            request.print_passing(out, bye, None, &lines, body.of(bye), &policy);
        };
        let byes = self.byes;
        self.send_bye(core, now, from.other(), max_forwards, printed, out);
        core.counters.forwarded += u64::from(self.byes > byes);
        body.give_back(core);
        let after = self.ending(core, now);
        match self.byes {
            0 => self.answer_bye(core, now, from, server, out),
            _ => {
                self.bye_waiting = Some((from, server));
                self.alarm = core.arm(
                    now,
                    self.id,
                    Alarm::ByeAnswer,
                    Some(core.timers.stack.t1 * 4 / 5),
                );
            }
        }
        after
    }

    /// The other side has not answered the BYE in time: its sender gets our own 200.
    pub(super) fn answer_waiting_bye(&mut self, core: &mut Core, now: Time, out: &mut Outbox) {
        if let Some((side, server)) = self.bye_waiting.take() {
            self.answer_bye(core, now, side, server, out);
        }
    }

    /// BYE to both sides, with a Reason; before the answer, the call is given up instead.
    pub(crate) fn end_both(
        &mut self,
        core: &mut Core,
        now: Time,
        reason: &Reason,
        out: &mut Outbox,
    ) -> After {
        match self.stage {
            Stage::Calling => return self.give_up(core, now, 480, reason, out),
            Stage::Cancelling | Stage::Ending => return After::Keep,
            Stage::Answered | Stage::Connected => {}
        }
        core.ended(now, self.id, EndedBy::Router, 0, reason.as_bytes());
        self.settle_invites(core, now, out);
        self.send_own_bye(core, now, Side::Callee, reason, out);
        if self.unacked {
            self.owed_bye = Some(Box::new(reason.clone()));
        } else {
            self.send_own_bye(core, now, Side::Caller, reason, out);
        }
        self.ending(core, now)
    }

    /// The caller's ACK to the 2xx of a call that is ending has come, or will never come: the BYE that
    /// waited for it goes out (RFC 3261 15: a UAS sends none before).
    pub(super) fn on_settled(&mut self, core: &mut Core, now: Time, out: &mut Outbox) -> After {
        self.unacked = false;
        if let Some(reason) = self.owed_bye.take() {
            self.send_own_bye(core, now, Side::Caller, &reason, out);
        }
        self.when_over()
    }

    /// Nobody ever ACKed a 2xx (RFC 3261 13.3.1.4: the dialog ends with BYE).
    pub(crate) fn on_unacknowledged(
        &mut self,
        core: &mut Core,
        now: Time,
        out: &mut Outbox,
    ) -> After {
        if self.unacked {
            return self.on_settled(core, now, out);
        }
        let after = self.end_both(core, now, &Reason::sip(408, "No ACK"), out);
        if self.unacked {
            self.on_settled(core, now, out)
        } else {
            after
        }
    }

    /// The operator ends every call (second SIGTERM, end of the drain time).
    pub(crate) fn end_now(&mut self, core: &mut Core, now: Time, out: &mut Outbox) -> After {
        let reason = Reason::q850(41, "Router Shutdown");
        if self.stage == Stage::Calling {
            return self.give_up(core, now, 503, &reason, out);
        }
        self.end_both(core, now, &reason, out)
    }

    /// No media came from either side for the configured time.
    pub(crate) fn on_silence(&mut self, core: &mut Core, now: Time, out: &mut Outbox) -> After {
        if self.stage == Stage::Calling && !self.is_early() {
            // Who rings need not be heard. It counts from the answer.
            return After::Keep;
        }
        core.counters.calls_silent += 1;
        self.end_both(core, now, &Reason::q850(41, "Media Timeout"), out)
    }

    /// The caller is out of it; only the callee's fresh dialog is ended.
    pub(super) fn bye_callee_only(
        &mut self,
        core: &mut Core,
        now: Time,
        reason: &Reason,
        out: &mut Outbox,
    ) -> After {
        self.send_own_bye(core, now, Side::Callee, reason, out);
        self.enter_ending(core, now);
        self.when_over()
    }

    /// No INVITE of an ending call stays open. The callee gets the ACK it is owed before the BYE; the 2xx
    /// to the caller is repeated until its ACK, even when the caller himself says BYE: he may never have
    /// heard it (RFC 3261 13.3.1.4).
    pub(super) fn settle_invites(&mut self, core: &mut Core, now: Time, out: &mut Outbox) {
        if self.stage == Stage::Answered {
            if !self.early_200_waits() {
                self.acknowledge_callee(core, now, None, out);
            }
            self.unacked = true;
        }
        self.unacked |= self.early_200_waits();
        self.cancel_offer(core, now, out);
        self.abandon_transfer(core, now, out);
        self.cancel_refresh(core, now, out);
        let Some(reinvite) = self.reinvite.take() else {
            return;
        };
        if reinvite.answered {
            core.transactions.acknowledge(now, reinvite.server);
            self.ack_reinvite(core, now, reinvite, None, out);
        } else {
            // Who has sent a provisional and then nothing more would keep the transaction for ever
            // (RFC 3261 9.1: with a CANCEL it ends after 64*T1 at the latest).
            core.transactions.cancel(now, reinvite.client, b"", out);
            // RFC 3261 15.1.2: requests pending at a BYE are answered 487.
            let tag = self.tag(reinvite.from);
            core.answer(now, reinvite.server, (487, ""), &tag, b"", out);
        }
    }

    pub(super) fn send_own_bye(
        &mut self,
        core: &mut Core,
        now: Time,
        to: Side,
        reason: &Reason,
        out: &mut Outbox,
    ) {
        let printed = |request: &Request<'_>, out: &mut Vec<u8>| {
            request.print_own(out, reason.as_bytes());
        };
        self.send_bye(core, now, to, print::MAX_FORWARDS, printed, out);
    }

    fn send_bye(
        &mut self,
        core: &mut Core,
        now: Time,
        to: Side,
        max_forwards: u32,
        printed: impl FnOnce(&Request<'_>, &mut Vec<u8>),
        out: &mut Outbox,
    ) {
        let bye = Own {
            max_forwards,
            ..self.own(to, Method::Bye, Purpose::Bye)
        };
        if bye.send(core, now, printed, out).is_some() {
            self.byes += 1;
        }
    }

    fn ending(&mut self, core: &mut Core, now: Time) -> After {
        core.counters.calls_ended += 1;
        self.enter_ending(core, now);
        self.when_over()
    }

    /// Early dialogs of a fork are remembered as long as they can answer (RFC 3261 13.2.2.4).
    pub(super) fn enter_ending(&mut self, core: &mut Core, now: Time) {
        self.stop_alarms(core);
        self.end_media(core, now);
        self.stage = Stage::Ending;
        if !self.forks.is_empty() {
            let after = core.timers.stack.t1 * 64;
            self.forks_over = core.arm(now, self.id, Alarm::ForksOver, Some(after));
        }
    }

    /// Whether the last word has been said.
    pub(super) fn when_over(&self) -> After {
        if self.stage != Stage::Ending || self.byes > 0 || self.unacked {
            return After::Keep;
        }
        if self.forks.is_empty() {
            After::Remove
        } else {
            After::Linger
        }
    }

    /// A BYE of ours was answered, or will never be. A 2xx to one that crossed crosses back; any other
    /// end of it is no concern of who sent the BYE.
    pub(crate) fn on_bye_done(
        &mut self,
        core: &mut Core,
        now: Time,
        response: Option<&Message<'_>>,
        out: &mut Outbox,
    ) -> After {
        if let (Some(response), Some((side, server))) = (response, self.bye_waiting)
            && (200..300).contains(&response.code())
        {
            let tag = self.tag(side);
            let body = self.crossing_answer(core, now, side.other(), server, response);
            let changes = Changes {
                session: None,
                hidden: self.hidden(side.other(), response),
            };
            relay_response(core, now, server, &tag, response, &changes, body, out);
            self.bye_waiting = None;
        }
        self.answer_waiting_bye(core, now, out);
        self.byes = self.byes.saturating_sub(1);
        self.when_over()
    }
}
