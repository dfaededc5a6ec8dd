//! A transfer that the router carries out itself (RFC 3515), for a transferor whose peer is configured so:
//! it calls the target, joins it to the transferee, and lets the transferor go.
//!
//! RFC 3725 4.1 (flow I): the target is called without an offer, so that it may ring as long as it likes;
//! what it offers when it answers is offered to the transferee in a re-INVITE, whose answer the target gets
//! with its ACK. The target then has the transferor's place in the call. Until that moment the call is as it
//! was, and it stays so when anything fails. The target's early media are not heard.

use stack::dialog::{Dialog, DialogError};
use stack::timer::TimerKey;
use stack::{Answer, ClientId, Flow, Outbox, ServerId, Time, Token};
use wire::{HeaderName, Message, Method, NameAddr, print};

use super::answers::{ack_late_reinvite, end_fork, end_late_fork, send_ack};
use super::former::Former;
use super::own::Own;
use super::print::{MAX_FORWARDS, Reason, Request, party};
use super::{After, Call, Leg, Stage, Terms, Text, Way};
use crate::calls::CallId;
use crate::core::{Alarm, Core, Purpose, Side, User};
use crate::headers::BODY;
use crate::transfer::{OtherEnd, declines_subscription, referrer};

/// The target of a transfer.
pub(crate) struct Target {
    pub(crate) end: OtherEnd,
    /// Where the INVITE leaves to; `end.flow` says only which listener while that is not known.
    pub(crate) way: Way,
}

/// A transfer in progress.
#[derive(Debug)]
pub(super) struct Handled {
    /// The transferor.
    from: Side,
    /// CSeq number of its REFER, the id of the subscription (RFC 3515 2.4.6).
    id: u32,
    /// It wants to be told: neither has it declined the subscription (RFC 4488) nor hung up.
    tells: bool,
    /// The last status it was told.
    told: u16,
    /// It has hung up: there is no way back.
    left: bool,
    secret: u64,
    target: Leg,
    client: ClientId,
    terms: Terms,
    alarm: Option<TimerKey>,
    /// The re-INVITE of the transferee, with its CSeq number.
    rejoin: Option<(ClientId, u32)>,
}

impl Call {
    /// Whether a REFER can be carried out here. Steered media, session timers of the router's own and what
    /// the parties may know of each other belong to the two there are, and a caller who has only an early
    /// answer is not connected: REFERs of such calls pass.
    pub(crate) fn can_transfer(&self) -> bool {
        let plain = self.steering.is_none() && self.sessions.is_none() && self.trust.is_none();
        self.stage == Stage::Connected && self.early.is_none() && plain
    }

    /// Carries out a REFER of this side.
    #[expect(clippy::too_many_arguments, reason = "a request and its surroundings")]
    pub(crate) fn refer(
        &mut self,
        core: &mut Core,
        now: Time,
        side: Side,
        server: ServerId,
        source: Flow,
        request: &Message<'_>,
        target: &Target,
        out: &mut Outbox,
    ) {
        if let Err((code, _)) = self.admit(core, side, request) {
            return core.refuse(now, server, code, b"", out);
        }
        if self.handled.is_some() {
            return core.refuse(now, server, 491, b"", out);
        }
        self.leg_mut(side).peer = source;
        let Some(handled) = self.call_target(core, now, side, request, target, out) else {
            return core.refuse_at_transaction_limit(now, server, out);
        };
        core.counters.transfers_begun += 1;
        self.accept_refer(core, now, side, server, handled.tells, out);
        self.handled = Some(Box::new(handled));
        self.tell(core, now, 100, b"Trying", false, out);
    }

    /// RFC 3515 2.4.2: 202. RFC 4488 4: whether there will be no subscription is said.
    fn accept_refer(
        &self,
        core: &mut Core,
        now: Time,
        side: Side,
        server: ServerId,
        tells: bool,
        out: &mut Outbox,
    ) {
        let tag = self.tag(side);
        let door = core.doors.of(self.leg(side).peer.listener);
        let rest = |out: &mut Vec<u8>| {
            door.print_contact(out, &tag);
            if !tells {
                print::header(out, "Refer-Sub", b"false");
            }
            print::end(out, b"");
        };
        let text = tag.tag_text();
        core.transactions
            .respond(now, server, 202, b"", Some(&text), rest, out);
    }

    /// Calls the target; `None` when no transaction is free.
    fn call_target(
        &self,
        core: &mut Core,
        now: Time,
        from: Side,
        request: &Message<'_>,
        target: &Target,
        out: &mut Outbox,
    ) -> Option<Handled> {
        let secret = core.random.next_u64();
        let tag = self.id.token(self.shard, secret);
        let end = &target.end;
        let mut dialog = self.target_dialog(core, from, end, &tag).ok()?;
        let mut extra = end.line.clone();
        for value in request.values(HeaderName::ReferredBy) {
            referrer(&mut extra, core.doors.of(end.flow.listener), value);
        }
        let sent = self.invite_target(core, now, target, &mut dialog, &tag, &extra, out);
        let Some(client) = sent else {
            dialog.release(&mut core.pool);
            return None;
        };
        let terms = Terms::of(&end.record);
        let patience = terms.no_answer.get().unwrap_or(core.timers.ringing);
        Some(Handled {
            from,
            id: request.cseq().map_or(0, |cseq| cseq.number),
            tells: !declines_subscription(request),
            told: 0,
            left: false,
            secret,
            target: Leg {
                dialog,
                peer: end.flow,
            },
            client,
            terms,
            alarm: core.arm(now, self.id, Alarm::TargetSilent, Some(patience)),
            rejoin: None,
        })
    }

    /// The INVITE to the target, without an offer.
    #[expect(clippy::too_many_arguments, reason = "the parts of one request")]
    fn invite_target(
        &self,
        core: &mut Core,
        now: Time,
        target: &Target,
        dialog: &mut Dialog,
        tag: &Token,
        extra: &[u8],
        out: &mut Outbox,
    ) -> Option<ClientId> {
        let flow = target.end.flow;
        let cseq = dialog.next_cseq();
        let speaks = core.peers.speaks_of_overload(flow.remote.ip());
        let door = core.doors.towards(flow.listener, speaks);
        let printed = |out: &mut Vec<u8>, branch: &Token| {
            let invite = Request {
                door,
                dialog,
                method: b"INVITE",
                cseq,
                branch,
                max_forwards: MAX_FORWARDS,
            };
            invite.print_offer(out, tag, extra, b"");
        };
        let (call, purpose) = (self.id, Purpose::Target);
        let user = User { call, purpose };
        let layers = (&mut core.transactions, &mut core.names);
        target
            .way
            .send(layers, now, Method::Invite, user, printed, out)
    }

    /// The target is called by the transferee: in its name, not in the transferor's.
    fn target_dialog(
        &self,
        core: &mut Core,
        from: Side,
        end: &OtherEnd,
        tag: &Token,
    ) -> Result<Dialog, DialogError> {
        let caller = NameAddr::parse(self.leg(from.other()).dialog.remote())?;
        let host = core
            .doors
            .of(end.flow.listener)
            .listener
            .advertise_host
            .as_bytes();
        let (mut call_id, mut local) = (Vec::new(), Text::new());
        tag.print_call_id(&mut call_id);
        party(&mut local, &caller, host, Some(tag));
        let remote = [b"<", &*end.target, b">"].concat();
        Dialog::uac_through(
            &end.routes,
            &call_id,
            &local,
            &remote,
            &end.target,
            &mut core.pool,
        )
    }

    /// Tells the transferor how it goes (RFC 3515 2.4.4); the last word ends the subscription (2.4.7).
    fn tell(
        &mut self,
        core: &mut Core,
        now: Time,
        code: u16,
        reason: &[u8],
        last: bool,
        out: &mut Outbox,
    ) {
        let Some(handled) = self.handled.as_mut().filter(|handled| handled.tells) else {
            return;
        };
        if handled.told == code && !last {
            return;
        }
        handled.told = code;
        let (from, id) = (handled.from, handled.id);
        let mut headers = b"Event: refer;id=".to_vec();
        print::number(&mut headers, id.into());
        headers.extend_from_slice(b"\r\nSubscription-State: ");
        if last {
            headers.extend_from_slice(b"terminated;reason=noresource");
        } else {
            headers.extend_from_slice(b"active;expires=");
            print::number(&mut headers, core.timers.ringing.as_secs());
        }
        headers.extend_from_slice(b"\r\nContent-Type: message/sipfrag;version=2.0\r\n");
        let mut fragment = Vec::new();
        print::status_line(&mut fragment, code, reason);
        let tag = self.tag(from);
        let notify = self.own(from, Method::Notify, Purpose::Discard);
        // Without a free transaction this word is lost; the subscription ends by itself then.
        let _ = notify.send(
            core,
            now,
            |request, out| request.print_offer(out, &tag, &headers, &fragment),
            out,
        );
    }

    /// RFC 6665 4.2.2: who answers 481 knows of no subscription.
    pub(crate) fn stop_telling(&mut self) {
        if let Some(handled) = &mut self.handled {
            handled.tells = false;
        }
    }

    /// The name of the target has this address; false when that is not who was waited for.
    pub(crate) fn target_found(&mut self, client: ClientId, flow: Flow) -> bool {
        let handled = self.handled.as_mut().filter(|it| it.client == client);
        handled.map(|handled| handled.target.peer = flow).is_some()
    }

    /// Whether this is our INVITE to the target of a transfer.
    pub(crate) fn calls_target(&self, client: ClientId) -> bool {
        self.handled.as_ref().is_some_and(|it| it.client == client)
    }

    /// An answer of the target.
    pub(crate) fn on_target_answer(
        &mut self,
        core: &mut Core,
        now: Time,
        answer: &Answer<User>,
        source: Flow,
        response: &Message<'_>,
        out: &mut Outbox,
    ) -> After {
        let (code, client) = (response.code(), answer.client);
        let Some(handled) = self.handled.as_mut().filter(|it| it.client == client) else {
            // It was given up: a 2xx is ACKed all the same, and its dialog ended.
            if (200..300).contains(&code) && answer.first_final {
                end_late_fork(core, now, client, response, source, out);
            }
            return After::Keep;
        };
        match code {
            ..200 => {
                handled.target.peer = source;
                // One that makes no dialog is told of all the same; the 2xx decides.
                let _unreadable = handled.target.dialog.establish(response, &mut core.pool);
                self.tell(core, now, code, response.reason(), false, out);
                After::Keep
            }
            200..300 if answer.first_final => {
                handled.target.peer = source;
                self.on_target_accepted(core, now, response, out)
            }
            200..300 => {
                // Another branch of a fork has answered too (RFC 3261 13.2.2.4).
                if response.to_tag() != Some(handled.target.dialog.remote_tag()) {
                    end_late_fork(core, now, client, response, source, out);
                }
                After::Keep
            }
            _ => self.transfer_failed(core, now, code, response.reason(), out),
        }
    }

    /// The target has answered with its offer: it is the transferee's turn.
    fn on_target_accepted(
        &mut self,
        core: &mut Core,
        now: Time,
        response: &Message<'_>,
        out: &mut Outbox,
    ) -> After {
        let Some(handled) = self.handled.as_mut() else {
            return After::Keep;
        };
        core.disarm(&mut handled.alarm);
        let to = handled.from.other();
        if handled
            .target
            .dialog
            .establish(response, &mut core.pool)
            .is_err()
        {
            return self.transfer_failed(core, now, 502, b"", out);
        }
        let busy = self.reinvite.is_some();
        if busy || !response.has_sdp() {
            let code = if busy { 491 } else { 488 };
            return self.leave_target(core, now, code, b"", out);
        }
        let (tag, headers, body) = (self.tag(to), body_lines(response), response.body());
        let invite = self.own(to, Method::Invite, Purpose::Rejoin);
        let client = invite.send(
            core,
            now,
            |request, out| request.print_offer(out, &tag, &headers, body),
            out,
        );
        let cseq = self.leg(to).dialog.local_cseq();
        match (client, &mut self.handled) {
            (Some(client), Some(handled)) => {
                handled.rejoin = Some((client, cseq));
                After::Keep
            }
            _ => self.leave_target(core, now, 503, b"", out),
        }
    }

    /// The transferee's answer to the target's offer.
    pub(crate) fn on_rejoin_answer(
        &mut self,
        core: &mut Core,
        now: Time,
        client: ClientId,
        source: Flow,
        response: &Message<'_>,
        out: &mut Outbox,
    ) -> After {
        let code = response.code();
        let Some((from, cseq)) = self.rejoining(client) else {
            // It was given up: a 2xx is ACKed all the same (RFC 3261 13.2.2.4).
            if (200..300).contains(&code) {
                ack_late_reinvite(core, now, client, response, source, out);
            }
            return After::Keep;
        };
        match code {
            ..200 => After::Keep,
            200..300 => {
                let to = from.other();
                self.refresh_target(core, to, response);
                let flow = self.flow(core, now, to);
                let dialog = &self.leg(to).dialog;
                send_ack(core, now, client, dialog, cseq, flow, None, out);
                if response.has_sdp() {
                    self.join(core, now, response, out);
                    return After::Keep;
                }
                self.leave_target(core, now, 488, b"", out)
            }
            408 | 481 => {
                let _ended = self.leave_target(core, now, code, response.reason(), out);
                self.end_both(core, now, &Reason::sip(code, "Dialog Gone"), out)
            }
            _ => self.leave_target(core, now, code, response.reason(), out),
        }
    }

    /// The transferor, and the CSeq number of the re-INVITE with this transaction.
    fn rejoining(&self, client: ClientId) -> Option<(Side, u32)> {
        let handled = self.handled.as_ref()?;
        let (_, cseq) = handled.rejoin.filter(|(ours, _)| *ours == client)?;
        Some((handled.from, cseq))
    }

    /// Whether a re-INVITE of ours is on its way to the transferee.
    pub(super) fn is_rejoining(&self) -> bool {
        self.handled.as_ref().is_some_and(|it| it.rejoin.is_some())
    }

    /// Whether this party has hung up, and its place is kept for the target.
    pub(super) fn has_left(&self, side: Side) -> bool {
        let handled = self.handled.as_ref();
        handled.is_some_and(|it| it.left && it.from == side)
    }

    /// Whether the other party has hung up and its successor is not there yet.
    pub(super) fn waits_for_target(&self) -> bool {
        self.handled.as_ref().is_some_and(|it| it.left)
    }

    /// The target has the transferee's answer, and the transferor's place. The transferor is told, and
    /// let go.
    fn join(&mut self, core: &mut Core, now: Time, response: &Message<'_>, out: &mut Outbox) {
        self.tell(core, now, 200, b"OK", true, out);
        let Some(handled) = self.handled.take() else {
            return;
        };
        let Handled {
            from,
            secret,
            target,
            client,
            terms,
            left,
            ..
        } = *handled;
        acknowledge_target(core, now, client, &target, response, out);
        core.transferred(self.id, from, target.dialog.call_id());
        self.former = Some(Box::new(Former::of(self.leg(from), self.tag(from))));
        let former = std::mem::replace(self.leg_mut(from), target);
        let [caller, callee] = self.secrets;
        match from {
            Side::Caller => self.secrets = [secret, callee],
            Side::Callee => {
                self.secrets = [caller, secret];
                self.client = client;
                self.release_forks(core);
            }
        }
        self.terms = terms;
        self.referrals = None;
        core.disarm(&mut self.alarm);
        self.alarm = core.arm(now, self.id, Alarm::MaxDuration, terms.max_duration.get());
        core.counters.transfers_done += 1;
        release(core, now, former, !left, out);
    }

    /// The target cannot be joined: its dialog ends, and the transfer has failed.
    fn leave_target(
        &mut self,
        core: &mut Core,
        now: Time,
        code: u16,
        reason: &[u8],
        out: &mut Outbox,
    ) -> After {
        self.tell(core, now, code, reason, true, out);
        let Some(handled) = self.handled.take() else {
            return After::Keep;
        };
        let Handled {
            client,
            target,
            left,
            ..
        } = *handled;
        let cseq = target.dialog.local_cseq();
        end_fork(core, now, client, cseq, target.dialog, target.peer, out);
        self.after_failure(core, now, left, code, out)
    }

    /// The target has refused, or was never reached.
    fn transfer_failed(
        &mut self,
        core: &mut Core,
        now: Time,
        code: u16,
        reason: &[u8],
        out: &mut Outbox,
    ) -> After {
        self.tell(core, now, code, reason, true, out);
        let Some(mut handled) = self.handled.take() else {
            return After::Keep;
        };
        core.disarm(&mut handled.alarm);
        let left = handled.left;
        handled.target.dialog.release(&mut core.pool);
        self.after_failure(core, now, left, code, out)
    }

    /// The call goes on as it was, unless its transferor has hung up.
    fn after_failure(
        &mut self,
        core: &mut Core,
        now: Time,
        left: bool,
        code: u16,
        out: &mut Outbox,
    ) -> After {
        core.counters.transfers_failed += 1;
        match left {
            true => self.end_both(core, now, &Reason::sip(code, "Transfer Failed"), out),
            false => After::Keep,
        }
    }

    /// No answer came from the target, or nothing can reach it.
    pub(crate) fn on_target_failed(
        &mut self,
        core: &mut Core,
        now: Time,
        client: ClientId,
        code: u16,
        out: &mut Outbox,
    ) -> After {
        match self.calls_target(client) {
            true => self.transfer_failed(core, now, code, b"", out),
            false => After::Keep,
        }
    }

    /// No answer came to our re-INVITE of the transferee, or it could not be delivered.
    pub(crate) fn on_rejoin_failed(
        &mut self,
        core: &mut Core,
        now: Time,
        client: ClientId,
        code: u16,
        out: &mut Outbox,
    ) -> After {
        if self.rejoining(client).is_none() {
            return After::Keep;
        }
        let _ended = self.leave_target(core, now, code, b"", out);
        self.on_request_failed(core, now, code, out)
    }

    /// The target has rung too long.
    pub(super) fn on_target_silent(
        &mut self,
        core: &mut Core,
        now: Time,
        out: &mut Outbox,
    ) -> After {
        let Some(handled) = &mut self.handled else {
            return After::Keep;
        };
        handled.alarm = None;
        let client = handled.client;
        core.transactions.cancel(now, client, b"", out);
        self.transfer_failed(core, now, 408, b"", out)
    }

    /// A BYE of the transferor while its transfer is under way ends its part and not the call.
    pub(super) fn lets_go(&mut self, side: Side) -> bool {
        let handled = self.handled.as_mut().filter(|it| it.from == side);
        let connected = self.stage == Stage::Connected;
        let Some(handled) = handled.filter(|it| connected && !it.left) else {
            return false;
        };
        handled.left = true;
        handled.tells = false;
        true
    }

    /// The call ends: nobody is left whom the target could be joined to.
    pub(super) fn abandon_transfer(&mut self, core: &mut Core, now: Time, out: &mut Outbox) {
        self.tell(core, now, 487, b"", true, out);
        let Some(handled) = self.handled.take() else {
            return;
        };
        core.counters.transfers_failed += 1;
        let Handled {
            client,
            target,
            rejoin,
            mut alarm,
            ..
        } = *handled;
        core.disarm(&mut alarm);
        match rejoin {
            Some((rejoin, _)) => {
                core.transactions.cancel(now, rejoin, b"", out);
                let cseq = target.dialog.local_cseq();
                end_fork(core, now, client, cseq, target.dialog, target.peer, out);
            }
            None => {
                core.transactions.cancel(now, client, b"", out);
                target.dialog.release(&mut core.pool);
            }
        }
    }
}

/// The header lines that speak of the body.
fn body_lines(message: &Message<'_>) -> Vec<u8> {
    let mut lines = Vec::new();
    for header in message.headers().filter(|it| BODY.contains(&it.name)) {
        lines.extend_from_slice(header.line);
    }
    lines
}

/// The ACK that carries the transferee's answer to the target.
fn acknowledge_target(
    core: &mut Core,
    now: Time,
    client: ClientId,
    target: &Leg,
    response: &Message<'_>,
    out: &mut Outbox,
) {
    let Leg { dialog, peer } = target;
    let flow = core.next_hop(now, dialog, *peer);
    let door = core.doors.of(flow.listener);
    let printed = |out: &mut Vec<u8>, branch: &Token| {
        let ack = Request {
            door,
            dialog,
            method: b"ACK",
            cseq: dialog.local_cseq(),
            branch,
            max_forwards: MAX_FORWARDS,
        };
        ack.print_head(out);
        out.extend_from_slice(&body_lines(response));
        print::end(out, response.body());
    };
    let tag = dialog.remote_tag();
    core.transactions
        .acknowledge_2xx(now, client, tag, flow, printed, out);
}

/// The leg of one who is not in the call any more; `bye` unless it has said so itself.
fn release(core: &mut Core, now: Time, mut leg: Leg, bye: bool, out: &mut Outbox) {
    if bye {
        let own = Own {
            dialog: &mut leg.dialog,
            peer: leg.peer,
            user: User {
                call: CallId::NONE,
                purpose: Purpose::Discard,
            },
            method: Method::Bye,
            max_forwards: MAX_FORWARDS,
        };
        // Nobody waits for its answer, nor would for a free transaction.
        let _ = own.send(core, now, |request, out| request.print_own(out, b""), out);
    }
    leg.dialog.release(&mut core.pool);
}
