//! Requests inside a call, from one leg to the other and their answers back: re-INVITE and every other
//! method, known or not. BYE, ACK and CANCEL have their own ways.

use stack::{Answer, ClientId, Flow, Outbox, ServerId, Time, Token};
use wire::{HeaderName, Message, Method};

use super::answers::send_ack;
use super::media::refusal;
use super::print::{self, Reason, Request};
use super::{After, Call, Changes, Reinvite, Stage};
use crate::core::{Core, Purpose, Side, User};
use crate::headers::{RECAST, passing};
use crate::steer::{Crossed, Untimely};
use crate::transfer::passing_body;

impl Call {
    /// A request of this side that is no ACK, BYE or CANCEL.
    #[expect(
        clippy::too_many_arguments,
        reason = "a request, where it came from, and its surroundings"
    )]
    pub(crate) fn on_request(
        &mut self,
        core: &mut Core,
        now: Time,
        side: Side,
        server: ServerId,
        source: Flow,
        request: &Message<'_>,
        out: &mut Outbox,
    ) {
        let admitted = self.admit(core, side, request);
        if admitted.is_ok() {
            self.leg_mut(side).peer = source;
        }
        match admitted {
            Ok(()) if self.refuse_session(core, now, side, server, request, out) => {}
            Ok(()) if self.is_transforming() => {
                self.on_request_while_early(core, now, side, server, request, out);
            }
            Ok(()) if request.method() == Method::Invite => {
                self.relay_reinvite(core, now, side, server, request, None, out);
            }
            Ok(()) if request.method() == Method::Prack => {
                self.on_prack(core, now, side, server, request, out);
            }
            Ok(()) => self.relay_request(core, now, side, server, request, out),
            Err((code, retry_after_s)) => {
                let mut extra = core.scratch();
                if let Some(seconds) = retry_after_s {
                    extra.extend_from_slice(b"Retry-After: ");
                    wire::print::number(&mut extra, seconds);
                    extra.extend_from_slice(b"\r\n");
                }
                core.refuse(now, server, code, &extra, out);
                core.return_scratch(extra);
            }
        }
    }

    /// Whether the request may cross: the code to refuse it with, and a Retry-After in seconds.
    pub(super) fn admit(
        &mut self,
        core: &mut Core,
        side: Side,
        request: &Message<'_>,
    ) -> Result<(), (u16, Option<u64>)> {
        if matches!(self.stage, Stage::Cancelling | Stage::Ending) {
            return Err((481, None));
        }
        let cseq = request.cseq().map_err(|_| (400, None))?.number;
        // RFC 3261 12.2.2: a number that is not above the last is out of order.
        self.dialog_of(side, request)
            .receive_cseq(cseq)
            .map_err(|_| (500, None))?;
        if self.waits_for_target() {
            // Whom it is for is not there yet.
            return Err((500, Some(core.random.next_u64() % 11)));
        }
        if request.method() == Method::Invite {
            self.admit_reinvite(core, side)?;
        }
        let acknowledges = request.method() == Method::Prack;
        if side == Side::Caller && !acknowledges && self.has_no_dialog() {
            // The callee has sent no tag yet, or ended what it began: no dialog this could belong to.
            return Err((481, None));
        }
        if self.early.is_some() {
            // Who has offered what is otherwise when one side is answered and the other is not.
            return Ok(());
        }
        self.offers.admit(side, request).map_err(|untimely| {
            core.counters.untimely += 1;
            match untimely {
                Untimely::Glare => (491, None),
                Untimely::Twice => (500, Some(core.random.next_u64() % 11)),
            }
        })
    }

    /// RFC 3261 14.2: one INVITE at a time, in either direction.
    fn admit_reinvite(&self, core: &mut Core, side: Side) -> Result<(), (u16, Option<u64>)> {
        if self.offers_again() || self.is_refreshing() || self.is_rejoining() {
            return Err((491, None));
        }
        match (self.stage, self.reinvite) {
            // The first INVITE is not over: from the caller it overtakes, from the callee it is glare.
            (Stage::Calling, _) | (Stage::Answered, _) if side == Side::Callee => Err((491, None)),
            (Stage::Calling, _) if !self.is_early() => {
                Err((500, Some(core.random.next_u64() % 11)))
            }
            // Its 2xx has an offer, whose answer is in the ACK that this one has overtaken: it is owed to
            // the other side (RFC 3261 14.2).
            (_, Some(pending)) if self.offers.waits_for_ack(pending.server) => Err((491, None)),
            (_, Some(pending)) if pending.from == side && pending.answered => Ok(()),
            (_, Some(pending)) if pending.from == side => {
                Err((500, Some(core.random.next_u64() % 11)))
            }
            (_, Some(_)) => Err((491, None)),
            _ => Ok(()),
        }
    }

    pub(super) fn relay_request(
        &mut self,
        core: &mut Core,
        now: Time,
        from: Side,
        server: ServerId,
        request: &Message<'_>,
        out: &mut Outbox,
    ) {
        let referring = match self.referring_lines(core, from, server, request) {
            Ok(lines) => lines,
            Err(code) => return core.refuse(now, server, code, b"", out),
        };
        let sent = self.relay_with(core, now, from, server, request, &referring, out);
        if let Some(cseq_out) = sent {
            self.note_referral(core, from, request, cseq_out);
        }
    }

    /// The same with further complete header lines; its CSeq on the other leg when it has left.
    #[expect(clippy::too_many_arguments, reason = "a request and its surroundings")]
    pub(super) fn relay_with(
        &mut self,
        core: &mut Core,
        now: Time,
        from: Side,
        server: ServerId,
        request: &Message<'_>,
        extra: &[u8],
        out: &mut Outbox,
    ) -> Option<u32> {
        let user = User {
            call: self.id,
            purpose: Purpose::Relay(from, server),
        };
        let (_, cseq) = self.forward(core, now, from, server, user, request, None, extra, out)?;
        core.counters.relayed += 1;
        core.counters.forwarded += 1;
        self.note_request(from, server, request);
        Some(cseq)
    }

    /// Passes a re-INVITE on, or another request whose other leg has it under another method.
    #[expect(clippy::too_many_arguments, reason = "a request and its surroundings")]
    pub(super) fn relay_reinvite(
        &mut self,
        core: &mut Core,
        now: Time,
        from: Side,
        server: ServerId,
        request: &Message<'_>,
        recast: Option<Method>,
        out: &mut Outbox,
    ) {
        if let Some(overtaken) = self.reinvite.take() {
            // Its sender has heard the 2xx, or it would not send the next one.
            core.transactions.acknowledge(now, overtaken.server);
            self.ack_reinvite(core, now, overtaken, None, out);
        }
        let user = User {
            call: self.id,
            purpose: Purpose::Reinvite(from),
        };
        let sent = self.forward(core, now, from, server, user, request, recast, b"", out);
        let Some((client, cseq_out)) = sent else {
            return;
        };
        core.counters.relayed += 1;
        core.counters.forwarded += 1;
        core.transactions.set_server_user(server, user);
        let cseq_in = request.cseq().map_or(0, |cseq| cseq.number);
        self.reinvite = Some(Reinvite {
            from,
            server,
            client,
            cseq_in,
            cseq_out,
            answered: false,
            recast,
        });
        self.note_request(from, server, request);
    }

    /// Sends the request on the other leg, or answers it: 483 when it has no hop left (RFC 3261 16.3), 503
    /// when no transaction is free.
    #[expect(clippy::too_many_arguments, reason = "one step of two callers")]
    fn forward(
        &mut self,
        core: &mut Core,
        now: Time,
        from: Side,
        server: ServerId,
        user: User,
        original: &Message<'_>,
        recast: Option<Method>,
        extra: &[u8],
        out: &mut Outbox,
    ) -> Option<(ClientId, u32)> {
        let Some(max_forwards) = print::max_forwards(original) else {
            core.refuse(now, server, 483, b"", out);
            return None;
        };
        let to = from.other();
        let crossed = match self.crossing(core, now, from, server, original) {
            Ok(crossed) => crossed,
            Err(blocked) => {
                let listener = self.leg(from).peer.listener;
                let refusal = refusal(core, blocked, listener, false);
                core.refuse(now, server, refusal.code, &refusal.extra, out);
                return None;
            }
        };
        let body = passing_body(original, crossed.of(original));
        self.keep_description(to, server, original, body);
        let flow = self.flow(core, now, to);
        let tag = self.tag(to);
        let cseq = self.leg_mut(to).dialog.next_cseq();
        let dialog = &self.leg(to).dialog;
        let method = recast.map_or(original.method_token(), |method| method.as_str().as_bytes());
        let policy = recast.map_or_else(|| passing(original.method()), |_| &RECAST);
        let changes = self.changed_request(to, original, extra, policy);
        let changes = changes.as_ref().map(|(lines, policy)| (&**lines, policy));
        let (extra, policy) = changes.unwrap_or((extra, policy));
        let contact = original.header(HeaderName::Contact).map(|_| &tag);
        let door = core.doors.of(flow.listener);
        let print = |out: &mut Vec<u8>, branch: &Token| {
            let request = Request {
                door,
                dialog,
                method,
                cseq,
                branch,
                max_forwards,
            };
            request.print_passing(out, original, contact, extra, body, policy);
        };
        let method = recast.unwrap_or(original.method());
        let client = core
            .transactions
            .request(now, flow, method, user, print, out);
        crossed.give_back(core);
        if client.is_none() {
            self.offer_failed(core, now, server);
            core.refuse_at_transaction_limit(now, server, out);
        }
        Some((client?, cseq))
    }

    /// RFC 3261 12.2.2, RFC 3311 5.2: a request that refreshes the target, and that the router answers 2xx
    /// or has answered, moves its sender's Contact.
    pub(super) fn refresh_target(&mut self, core: &mut Core, from: Side, message: &Message<'_>) {
        if !matches!(message.method(), Method::Invite | Method::Update) {
            return;
        }
        if let Ok(Some(contact)) = message.contact() {
            let dialog = &mut self.leg_mut(from).dialog;
            dialog.refresh_target(contact.uri, &mut core.pool);
        }
    }

    /// The answer to a relayed request that is no INVITE.
    pub(crate) fn on_relay_answer(
        &mut self,
        core: &mut Core,
        now: Time,
        from: Side,
        server: ServerId,
        response: &Message<'_>,
        out: &mut Outbox,
    ) -> After {
        self.hear_methods(from.other(), response);
        self.note_response(core, from, server, response);
        if (200..300).contains(&response.code()) {
            self.on_request_accepted(core, response);
        } else if self.ends_one_of_several(from, response) {
            self.end_early_dialog(response.to_tag().unwrap_or_default());
            return After::Keep;
        }
        if ends_dialog(response.method(), response.code()) {
            return self.end_both(core, now, &Reason::sip(response.code(), "Dialog Gone"), out);
        }
        After::Keep
    }

    fn on_request_accepted(&mut self, core: &mut Core, response: &Message<'_>) {
        self.on_offer_answered(core, None, response);
        match response.method() {
            Method::Prack => self.on_pracked(response),
            Method::Update if response.has_sdp() => self.forget_sessions(),
            _ => {}
        }
    }

    /// One early dialog of the callee is gone, others may still answer.
    fn ends_one_of_several(&self, from: Side, response: &Message<'_>) -> bool {
        self.stage == Stage::Calling
            && from == Side::Caller
            && self.has_other_early_dialogs()
            && ends_dialog(response.method(), response.code())
    }

    /// An answer to a re-INVITE.
    pub(crate) fn on_reinvite_answer(
        &mut self,
        core: &mut Core,
        now: Time,
        from: Side,
        answer: &Answer<User>,
        response: &Message<'_>,
        out: &mut Outbox,
    ) -> After {
        let Some(reinvite) = self
            .reinvite
            .filter(|reinvite| reinvite.client == answer.client)
        else {
            self.on_abandoned_reinvite_answer(core, now, from, answer.client, response, out);
            return After::Keep;
        };
        match response.code() {
            // RFC 4320 4.1: an UPDATE has no provisional that could carry it.
            ..200 if reinvite.recast == Some(Method::Invite) => After::Keep,
            ..200 => {
                self.relay_answer(core, now, reinvite, response, out);
                After::Keep
            }
            200..300 if answer.first_final => {
                self.on_reinvite_accepted(core, now, reinvite, response, out)
            }
            200..300 => After::Keep,
            code => {
                self.relay_answer(core, now, reinvite, response, out);
                self.reinvite = None;
                if ends_dialog(Method::Invite, code) {
                    return self.end_both(core, now, &Reason::sip(code, "Dialog Gone"), out);
                }
                After::Keep
            }
        }
    }

    fn on_reinvite_accepted(
        &mut self,
        core: &mut Core,
        now: Time,
        reinvite: Reinvite,
        response: &Message<'_>,
        out: &mut Outbox,
    ) -> After {
        if self.relay_answer(core, now, reinvite, response, out) {
            self.on_offer_answered(core, reinvite.recast, response);
            if let Some(reinvite) = &mut self.reinvite {
                reinvite.answered = true;
            }
            if reinvite.recast == Some(Method::Invite) {
                // Who sent an UPDATE sends no ACK.
                self.ack_reinvite(core, now, reinvite, None, out);
                self.reinvite = None;
            }
        } else {
            // Its sender has given up on it: the 2xx is ACKed all the same (13.2.2.4).
            self.ack_reinvite(core, now, reinvite, None, out);
            self.reinvite = None;
        }
        After::Keep
    }

    /// The call ended while the re-INVITE was on its way; a 2xx to it is ACKed all the same (13.2.2.4).
    fn on_abandoned_reinvite_answer(
        &mut self,
        core: &mut Core,
        now: Time,
        from: Side,
        client: ClientId,
        response: &Message<'_>,
        out: &mut Outbox,
    ) {
        if let (200..300, Method::Invite, Ok(cseq)) =
            (response.code(), response.method(), response.cseq())
        {
            self.send_reinvite_ack(core, now, from.other(), client, cseq.number, None, out);
        }
    }

    fn relay_answer(
        &mut self,
        core: &mut Core,
        now: Time,
        reinvite: Reinvite,
        response: &Message<'_>,
        out: &mut Outbox,
    ) -> bool {
        let Reinvite { from, server, .. } = reinvite;
        if self.refuse_after_422(core, now, from.other(), server, response, out) {
            return true;
        }
        let tag = self.tag(from);
        self.note_response(core, from, server, response);
        let body = self.crossing_answer(core, now, from.other(), server, response);
        let changes = self.changed_answer(core, now, from, server, response, &body);
        relay_response(core, now, server, &tag, response, &changes, body, out)
    }

    pub(super) fn on_reinvite_ack(
        &mut self,
        core: &mut Core,
        now: Time,
        side: Side,
        cseq: u32,
        ack: &Message<'_>,
        out: &mut Outbox,
    ) {
        let expected = |reinvite: &Reinvite| {
            reinvite.from == side && reinvite.cseq_in == cseq && reinvite.answered
        };
        let Some(reinvite) = self.reinvite.filter(expected) else {
            return;
        };
        core.transactions.acknowledge(now, reinvite.server);
        self.ack_reinvite(core, now, reinvite, Some(ack), out);
        self.reinvite = None;
    }

    pub(super) fn ack_reinvite(
        &mut self,
        core: &mut Core,
        now: Time,
        reinvite: Reinvite,
        ack: Option<&Message<'_>>,
        out: &mut Outbox,
    ) {
        let Reinvite {
            from,
            server,
            client,
            cseq_out,
            ..
        } = reinvite;
        if reinvite.recast == Some(Method::Update) {
            return;
        }
        self.offers.acknowledged(server);
        let crossed = ack.map(|ack| (ack, self.crossing_answer(core, now, from, server, ack)));
        let ack = crossed.as_ref().map(|(ack, body)| (*ack, body.of(ack)));
        if let Some((ack, body)) = ack {
            self.keep_description(from.other(), server, ack, body);
        }
        self.send_reinvite_ack(core, now, from.other(), client, cseq_out, ack, out);
        match crossed {
            Some((_, body)) => body.give_back(core),
            None => self.offer_failed(core, now, server),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one ACK")]
    fn send_reinvite_ack(
        &mut self,
        core: &mut Core,
        now: Time,
        to: Side,
        client: ClientId,
        cseq: u32,
        ack: Option<(&Message<'_>, &[u8])>,
        out: &mut Outbox,
    ) {
        let flow = self.flow(core, now, to);
        send_ack(
            core,
            now,
            client,
            &self.leg(to).dialog,
            cseq,
            flow,
            ack,
            out,
        );
    }

    /// A CANCEL for a re-INVITE: crosses, and the re-INVITE ends as the other side says.
    pub(crate) fn on_reinvite_cancelled(
        &mut self,
        core: &mut Core,
        now: Time,
        cancel: &Message<'_>,
        out: &mut Outbox,
    ) {
        if let Some(reinvite) = self.reinvite {
            let reason = Reason::of(cancel);
            core.transactions
                .cancel(now, reinvite.client, reason.as_bytes(), out);
        }
    }

    /// No answer came to a relayed request, or it could not be sent. RFC 3261 12.2.1.2: silence ends
    /// the dialog as a 408 would; a transport error alone does not.
    pub(crate) fn on_request_failed(
        &mut self,
        core: &mut Core,
        now: Time,
        code: u16,
        out: &mut Outbox,
    ) -> After {
        if code != 408 {
            return After::Keep;
        }
        self.end_both(core, now, &Reason::sip(408, "No Answer In Dialog"), out)
    }

    /// The re-INVITE of this side failed without an answer.
    pub(crate) fn on_reinvite_failed(
        &mut self,
        core: &mut Core,
        now: Time,
        client: ClientId,
        code: u16,
        out: &mut Outbox,
    ) -> After {
        let Some(reinvite) = self.reinvite.filter(|reinvite| reinvite.client == client) else {
            return After::Keep;
        };
        self.reinvite = None;
        self.offer_failed(core, now, reinvite.server);
        core.refuse(now, reinvite.server, code, b"", out);
        self.on_request_failed(core, now, code, out)
    }

    /// Whether a 2xx never ACKed is that of the first INVITE or of the re-INVITE in progress.
    pub(crate) fn is_waiting_for_ack(&self, server: ServerId) -> bool {
        let first = self.server == server
            && (self.stage == Stage::Answered || self.unacked || self.early_200_waits());
        first
            || self
                .reinvite
                .is_some_and(|reinvite| reinvite.server == server)
    }
}

/// The other leg's answer on the transaction it is for, with what crosses of its body.
#[expect(clippy::too_many_arguments, reason = "the parts of one response")]
pub(crate) fn relay_response(
    core: &mut Core,
    now: Time,
    server: ServerId,
    tag: &Token,
    response: &Message<'_>,
    changes: &Changes,
    crossed: Crossed,
    out: &mut Outbox,
) -> bool {
    let Some(flow) = core.transactions.server_flow(server) else {
        return false;
    };
    let door = core.doors.of(flow.listener);
    let body = crossed.of(response);
    let rest = |out: &mut Vec<u8>| print::relayed_response(out, response, door, tag, changes, body);
    let (code, reason) = (response.code(), response.reason());
    let tag = tag.tag_text();
    let sent = core
        .transactions
        .respond(now, server, code, reason, Some(&tag), rest, out);
    crossed.give_back(core);
    sent
}

/// RFC 3261 12.2.1.2: 481 and 408 mean that the peer has no dialog any more. RFC 5057 5.1 excepts the
/// methods of other usages, whose subscription ends and not the call; RFC 3262 3 has 481 say of a PRACK
/// that no such provisional is waiting for it.
fn ends_dialog(method: Method, code: u16) -> bool {
    match method {
        Method::Subscribe | Method::Notify | Method::Refer => false,
        Method::Prack => code == 408,
        _ => matches!(code, 481 | 408),
    }
}
