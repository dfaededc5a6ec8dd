//! Refreshes of the router's own, and the end of a session that nobody refreshes (RFC 4028 10).

use std::time::Duration;

use stack::{ClientId, Outbox, Time};
use wire::{Message, Method, print};

use super::headers::min_se;
use super::{LegSession, Refreshing};
use crate::call::answers::send_ack;
use crate::call::{After, Call, MAX_FORWARDS, Own, Reason, Request, Stage};
use crate::core::{Alarm, Core, Purpose, Side, User};

/// A peer that is busy with an offer of its own this often is never free.
const TRIES_MAX: u8 = 10;

/// Questions.
impl Call {
    /// A re-INVITE of ours refreshes one of the sessions: there may be no other offer meanwhile (RFC 3261
    /// 14.1, 14.2).
    pub(in crate::call) fn is_refreshing(&self) -> bool {
        let legs = self.sessions.iter().flat_map(|sessions| &sessions.legs);
        legs.filter_map(|leg| leg.refresh)
            .any(|(_, method)| method == Method::Invite)
    }

    fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Cancelling | Stage::Ending)
    }

    fn may_offer_again(&self) -> bool {
        self.stage == Stage::Connected
            && self.reinvite.is_none()
            && !self.offers_again()
            && !self.is_refreshing()
    }
}

/// What is due.
impl Call {
    /// The session of this side is to be refreshed, or was not.
    pub(in crate::call) fn on_session_due(
        &mut self,
        core: &mut Core,
        now: Time,
        side: Side,
        out: &mut Outbox,
    ) -> After {
        let over = self.is_over();
        let Some(leg) = self.session_leg_mut(side) else {
            return After::Keep;
        };
        leg.alarm = None;
        if over || leg.refresh.is_some() {
            return After::Keep;
        }
        // A peer without session timers knows of no end: our refresh of it may come late.
        let expired = leg.timer && now >= leg.expires;
        if leg.refreshing == Refreshing::Peer || expired {
            return self.end_expired(core, now, "Session Timer Expired", out);
        }
        self.refresh_session(core, now, side, out)
    }

    /// RFC 4028 10: BYE, to both sides, since neither can go on without the other.
    fn end_expired(&mut self, core: &mut Core, now: Time, text: &str, out: &mut Outbox) -> After {
        core.counters.sessions_expired += 1;
        self.end_both(core, now, &Reason::sip(408, text), out)
    }

    fn refresh_session(
        &mut self,
        core: &mut Core,
        now: Time,
        side: Side,
        out: &mut Outbox,
    ) -> After {
        let Some(leg) = self.session_leg(side) else {
            return After::Keep;
        };
        let method = leg.refresh_method();
        if method == Method::Update && leg.refuses_update {
            return self.not_refreshed(core, now, side, out);
        }
        if method == Method::Invite && !self.may_offer_again() {
            return self.refresh_later(core, now, side, out);
        }
        let sent = self.send_refresh(core, now, side, method, out);
        let Some(leg) = self.session_leg_mut(side) else {
            return After::Keep;
        };
        leg.refresh = sent.map(|client| (client, method));
        if sent.is_none() {
            return self.not_refreshed(core, now, side, out);
        }
        core.counters.session_refreshes += 1;
        After::Keep
    }

    /// RFC 4028 7.4: an UPDATE without an offer, or a re-INVITE with the very description the peer was
    /// sent last, o= line included.
    fn send_refresh(
        &mut self,
        core: &mut Core,
        now: Time,
        side: Side,
        method: Method,
        out: &mut Outbox,
    ) -> Option<ClientId> {
        let tag = self.tag(side);
        let sessions = self.sessions.as_ref()?;
        let session = sessions.leg(side);
        let mut lines = Vec::with_capacity(128);
        session.request_lines(&sessions.config).print(&mut lines);
        let said = session.said.as_deref().unwrap_or_default();
        let body = if method == Method::Invite { said } else { b"" };
        if !body.is_empty() {
            print::header(&mut lines, "Content-Type", b"application/sdp");
        }
        let leg = match side {
            Side::Caller => &mut self.caller,
            Side::Callee => &mut self.callee,
        };
        let refresh = Own {
            dialog: &mut leg.dialog,
            peer: leg.peer,
            user: User {
                call: self.id,
                purpose: Purpose::Refresh(side),
            },
            method,
            max_forwards: MAX_FORWARDS,
        };
        let printed = |request: &Request<'_>, out: &mut Vec<u8>| {
            request.print_offer(out, &tag, &lines, body);
        };
        refresh.send(core, now, printed, out)
    }

    /// RFC 3261 14.1: who owns the Call-ID, as we do on the callee's leg, waits 2.1 to 4 s, the other up to
    /// 2 s.
    fn refresh_later(&mut self, core: &mut Core, now: Time, side: Side, out: &mut Outbox) -> After {
        let tens = match side {
            Side::Caller => core.random.next_u64() % 201,
            Side::Callee => 210 + core.random.next_u64() % 191,
        };
        let Some(leg) = self.session_leg_mut(side) else {
            return After::Keep;
        };
        leg.tries += 1;
        if leg.tries >= TRIES_MAX {
            return self.not_refreshed(core, now, side, out);
        }
        self.arm_session(core, now, side, Duration::from_millis(tens * 10));
        After::Keep
    }

    fn arm_session(&mut self, core: &mut Core, now: Time, side: Side, wait: Duration) {
        let call = self.id;
        if let Some(leg) = self.session_leg_mut(side) {
            core.disarm(&mut leg.alarm);
            leg.alarm = core.arm(now, call, Alarm::Session(side), Some(wait));
        }
    }

    /// The peer is there, but refused to be refreshed, or could not be asked. One that knows session timers
    /// will end the session when it expires: it is tried again until that is near. For one that does not,
    /// its answer is the sign of life that was wanted.
    fn not_refreshed(&mut self, core: &mut Core, now: Time, side: Side, out: &mut Outbox) -> After {
        let Some(leg) = self.session_leg_mut(side) else {
            return After::Keep;
        };
        leg.tries = 0;
        if !leg.timer {
            self.start_session(core, now, side);
            return After::Keep;
        }
        let left = leg.expires.duration_since(now);
        if left <= leg.margin() {
            return self.end_expired(core, now, "Session Timer Expired", out);
        }
        self.arm_session(core, now, side, left / 2);
        After::Keep
    }
}

impl LegSession {
    /// RFC 4028 7.4. Without a description at hand there is nothing but UPDATE.
    fn refresh_method(&self) -> Method {
        if self.updates || self.said.is_none() {
            Method::Update
        } else {
            Method::Invite
        }
    }
}

/// Answers.
impl Call {
    /// An answer to a refresh of ours. A call that is over ACKs a 2xx all the same (RFC 3261 13.2.2.4).
    pub(crate) fn on_refresh_answer(
        &mut self,
        core: &mut Core,
        now: Time,
        side: Side,
        client: ClientId,
        response: &Message<'_>,
        out: &mut Outbox,
    ) -> After {
        let code = response.code();
        if code < 200 {
            return After::Keep;
        }
        if code < 300 && response.method() == Method::Invite {
            self.acknowledge_refresh(core, now, side, client, response, out);
        }
        let over = self.is_over();
        let leg = self.session_leg_mut(side);
        let ours = leg.and_then(|leg| leg.refresh.take_if(|(of, _)| *of == client));
        if over || ours.is_none() {
            return After::Keep;
        }
        match code {
            200..300 => {
                self.on_refreshed(core, now, side, response);
                After::Keep
            }
            408 | 481 => self.end_expired(core, now, "Session Refresh Failed", out),
            422 => self.on_refresh_too_short(core, now, side, response, out),
            491 => self.refresh_later(core, now, side, out),
            405 | 501 if response.method() == Method::Update => {
                self.on_no_update(core, now, side, out)
            }
            _ => self.not_refreshed(core, now, side, out),
        }
    }

    fn acknowledge_refresh(
        &mut self,
        core: &mut Core,
        now: Time,
        side: Side,
        client: ClientId,
        response: &Message<'_>,
        out: &mut Outbox,
    ) {
        self.refresh_target(core, side, response);
        let Ok(cseq) = response.cseq() else { return };
        let flow = self.flow(core, now, side);
        let dialog = &self.leg(side).dialog;
        send_ack(core, now, client, dialog, cseq.number, flow, None, out);
    }

    fn on_refreshed(&mut self, core: &mut Core, now: Time, side: Side, response: &Message<'_>) {
        self.refresh_target(core, side, response);
        let peer = self.leg(side).peer.remote.ip();
        if let Some(steering) = &mut self.steering {
            steering.take(core, now, (side, peer), response);
        }
        self.hear_session(core, now, side, response);
    }

    /// RFC 4028 10: the session expires when it did, however long the next interval is.
    fn on_refresh_too_short(
        &mut self,
        core: &mut Core,
        now: Time,
        side: Side,
        response: &Message<'_>,
        out: &mut Outbox,
    ) -> After {
        core.counters.session_intervals_raised += 1;
        let Some(sessions) = &mut self.sessions else {
            return After::Keep;
        };
        let config = sessions.config;
        let leg = sessions.leg_mut(side);
        let longer = min_se(response) > leg.wanted(&config);
        leg.raise_min_se(min_se(response));
        leg.tries += 1;
        if longer && leg.tries < TRIES_MAX {
            return self.refresh_session(core, now, side, out);
        }
        self.not_refreshed(core, now, side, out)
    }

    /// The peer lists UPDATE, or was hoped to take it, and does not.
    fn on_no_update(&mut self, core: &mut Core, now: Time, side: Side, out: &mut Outbox) -> After {
        let leg = self.session_leg_mut(side);
        let other = leg.is_some_and(|leg| {
            leg.updates = false;
            leg.refuses_update = true;
            leg.said.is_some()
        });
        if other {
            return self.refresh_session(core, now, side, out);
        }
        self.not_refreshed(core, now, side, out)
    }

    /// No answer came to a refresh (408), or it could not be delivered (503).
    pub(crate) fn on_refresh_failed(
        &mut self,
        core: &mut Core,
        now: Time,
        side: Side,
        client: ClientId,
        code: u16,
        out: &mut Outbox,
    ) -> After {
        let leg = self.session_leg_mut(side);
        let ours = leg.and_then(|leg| leg.refresh.take_if(|(of, _)| *of == client));
        if ours.is_none() || self.is_over() {
            return After::Keep;
        }
        if code == 408 {
            return self.end_expired(core, now, "Session Refresh Failed", out);
        }
        self.not_refreshed(core, now, side, out)
    }

    /// The call ends: nobody waits for the answer to a re-INVITE of ours, so that it may not wait for ever
    /// either.
    pub(in crate::call) fn cancel_refresh(&mut self, core: &mut Core, now: Time, out: &mut Outbox) {
        let legs = self.sessions.iter().flat_map(|sessions| &sessions.legs);
        for (client, method) in legs.filter_map(|leg| leg.refresh) {
            if method == Method::Invite {
                core.transactions.cancel(now, client, b"", out);
            }
        }
    }
}
