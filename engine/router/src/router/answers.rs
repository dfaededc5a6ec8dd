//! What comes of the requests that have left: their answers, a name's address, no answer at all, and a 2xx
//! without its ACK; each is handed to the call that waits for it.

use std::net::SocketAddr;

use stack::{Answer, ClientId, Flow, Outbox, ServerId, Time};
use wire::{Message, Method};

use super::Router;
use crate::admission::entrance;
use crate::application_server;
use crate::call::{After, Call, Changes, ack_late_reinvite, end_late_fork, relay_response};
use crate::calls::CallId;
use crate::config::Resolved;
use crate::core::{Core, Purpose, Side, User, Waiting};
use crate::events;
use crate::outbound::Probed;
use crate::outside;
use crate::proxy;
use crate::reach;
use crate::sanity;
use crate::steer::Crossed;

impl Router {
    /// The resolver's answer: the requests that waited for it leave, or fail.
    pub fn resolved(&mut self, now: Time, answer: Resolved<'_>, out: &mut Outbox) {
        let waiting = self
            .core
            .names
            .answer(now, answer.host, answer.addresses, answer.ttl);
        for waiter in waiting {
            let ipv4 = self.core.door(waiter.listener).listener.address.is_ipv4();
            let address = answer
                .addresses
                .iter()
                .find(|address| address.is_ipv4() == ipv4);
            let remote = address.map(|&address| SocketAddr::new(address, waiter.port));
            self.found(now, &waiter, remote, out);
        }
    }

    /// A request may leave to this address, or its name has none.
    fn found(&mut self, now: Time, waiter: &Waiting, remote: Option<SocketAddr>, out: &mut Outbox) {
        let (core, calls) = (&mut self.core, &mut self.calls);
        let (id, client) = (waiter.user.call, waiter.client);
        let before = out.len();
        if waiter.user.purpose.is_proxied() {
            let after = proxy::found(core, calls, now, waiter, remote, out);
            return self.finish(now, id, after);
        }
        if waiter.user.purpose.is_outside() {
            return outside::on_resolved(core, calls, now, waiter, remote, out);
        }
        if let Purpose::Contact(number) = waiter.user.purpose {
            return reach::found(core, now, (waiter, number), remote, out);
        }
        let Some(call) = calls.get_mut(id) else {
            return;
        };
        let listener = waiter.listener;
        if let Some(flow) = remote.map(|remote| Flow { listener, remote }) {
            if !call.target_found(client, flow) {
                call.callee_found(core, now, flow);
            }
            core.transactions.destination_found(now, client, flow, out);
            return self.note_sent(now, id, before, out);
        }
        core.transactions.fail(now, client);
        let after = if call.calls_target(client) {
            call.on_target_failed(core, now, client, 503, out)
        } else {
            call.on_invite_failed(core, now, 503, "Host Name Not Found", out)
        };
        self.note_sent(now, id, before, out);
        self.finish(now, id, after);
    }

    pub(super) fn receive_response(
        &mut self,
        now: Time,
        flow: Flow,
        response: &Message<'_>,
        out: &mut Outbox,
    ) {
        let doors = &self.core.doors;
        let judge = |claim: &stack::Claim<'_, User>| sanity::judge(doors, flow.listener, claim);
        let transactions = &mut self.core.transactions;
        let answer = transactions.receive_response_if(now, response, judge, out);
        let Some(answer) = answer else { return };
        self.core.counters.responses += 1;
        entrance::hear(&mut self.core, now, flow.remote, response);
        let id = answer.user.call;
        self.core.accounts.at_hand(id);
        if answer.user.purpose.is_proxied() {
            let (core, calls) = (&mut self.core, &mut self.calls);
            let after = proxy::on_answer(core, calls, now, answer.user, (flow, response), out);
            return self.finish(now, id, after);
        }
        if answer.user.purpose.is_outside() {
            let (core, calls) = (&mut self.core, &mut self.calls);
            outside::on_answer(core, calls, now, answer.user, (flow, response), out);
        } else if matches!(answer.user.purpose, Purpose::Notify) {
            let (core, calls) = (&mut self.core, &mut self.calls);
            events::on_answer(core, calls, now, (id, answer.client), response.code(), out);
        } else if let Purpose::Relay(from, server) = answer.user.purpose {
            self.on_relay_answer(now, id, from, server, response, out);
        } else if matches!(answer.user.purpose, Purpose::KeepAlive) {
            application_server::on_answer(&mut self.core, answer.client, response.code());
        } else if let Purpose::Contact(number) = answer.user.purpose {
            reach::on_answer(&mut self.core, now, number, response.code());
        } else if let Some(call) = self.calls.get_mut(id) {
            let after = answered(&mut self.core, call, now, &answer, flow, response, out);
            self.finish(now, id, after);
        } else if let Some(echo) = self.calls.echo_mut(id) {
            if response.code() >= 200 {
                let (purpose, code) = (answer.user.purpose, response.code());
                let after = echo.on_answer(&mut self.core, now, purpose, code, out);
                self.finish(now, id, after);
            }
        } else if (200..300).contains(&response.code()) {
            self.on_late_2xx(now, &answer, flow, response, out);
        }
    }

    /// RFC 3261 13.2.2.4: a 2xx to an INVITE is ACKed whatever became of the call.
    pub(super) fn on_late_2xx(
        &mut self,
        now: Time,
        answer: &Answer<User>,
        flow: Flow,
        response: &Message<'_>,
        out: &mut Outbox,
    ) {
        let core = &mut self.core;
        match answer.user.purpose {
            Purpose::Invite | Purpose::Target => {
                end_late_fork(core, now, answer.client, response, flow, out);
            }
            Purpose::Reinvite(_) | Purpose::Reoffer | Purpose::Refresh(_) | Purpose::Rejoin
                if response.method() == Method::Invite =>
            {
                ack_late_reinvite(core, now, answer.client, response, flow, out);
            }
            _ => {}
        }
    }

    /// An in-dialog answer crosses even when its call has just ended.
    pub(super) fn on_relay_answer(
        &mut self,
        now: Time,
        id: CallId,
        from: Side,
        server: ServerId,
        response: &Message<'_>,
        out: &mut Outbox,
    ) {
        let mut call = self.calls.get_mut(id);
        let core = &mut self.core;
        let (tag, changes, body) = match &mut call {
            Some(call) => {
                if call.refuse_after_422(core, now, from.other(), server, response, out) {
                    return;
                }
                let body = call.crossing_answer(core, now, from.other(), server, response);
                let changes = call.changed_answer(core, now, from, server, response, &body);
                (call.tag(from), changes, body)
            }
            // Nobody knows any more whether its media was steered.
            None if response.has_sdp() => (core.own_tag(), Changes::default(), Crossed::Withheld),
            None => (core.own_tag(), Changes::default(), Crossed::AsIs),
        };
        relay_response(core, now, server, &tag, response, &changes, body, out);
        if let Some(call) = call {
            let after = call.on_relay_answer(&mut self.core, now, from, server, response, out);
            self.finish(now, id, after);
        }
    }

    pub(super) fn on_event(&mut self, now: Time, event: stack::Event<User>, out: &mut Outbox) {
        match event {
            stack::Event::TimedOut { client, user, .. } => {
                self.on_failed(now, client, user, 408, "No Answer", out);
            }
            stack::Event::Failed { client, user, .. } => {
                self.on_failed(now, client, user, 503, "Unreachable", out);
            }
            stack::Event::Unacknowledged {
                server,
                user: Some(user),
            } => {
                self.on_unacknowledged(now, server, user, out);
            }
            stack::Event::Unacknowledged { .. } | stack::Event::NoAck { .. } => {}
        }
    }

    pub(super) fn on_failed(
        &mut self,
        now: Time,
        client: ClientId,
        user: User,
        code: u16,
        text: &str,
        out: &mut Outbox,
    ) {
        let before = out.len();
        self.take_failed(now, client, user, code, text, out);
        self.note_sent(now, user.call, before, out);
    }

    fn take_failed(
        &mut self,
        now: Time,
        client: ClientId,
        user: User,
        code: u16,
        text: &str,
        out: &mut Outbox,
    ) {
        if user.purpose.is_proxied() {
            let (core, calls) = (&mut self.core, &mut self.calls);
            let after = proxy::on_failed(core, calls, now, user, code, out);
            return self.finish(now, user.call, after);
        }
        if user.purpose.is_outside() {
            let (core, calls) = (&mut self.core, &mut self.calls);
            return outside::on_failed(core, calls, now, (client, user), code, out);
        }
        if matches!(user.purpose, Purpose::Notify) {
            let (core, calls) = (&mut self.core, &mut self.calls);
            return events::on_answer(core, calls, now, (user.call, client), code, out);
        }
        if let Purpose::Relay(_, server) = user.purpose {
            self.core.refuse(now, server, code, b"", out);
        }
        if matches!(user.purpose, Purpose::KeepAlive) {
            let probed = match code {
                408 => Probed::NoAnswer,
                _ => Probed::Unreachable,
            };
            return application_server::on_outcome(&mut self.core, client, probed);
        }
        if let Purpose::Contact(number) = user.purpose {
            return reach::on_failed(&mut self.core, now, number);
        }
        if let Some(echo) = self.calls.echo_mut(user.call) {
            let after = echo.on_answer(&mut self.core, now, user.purpose, code, out);
            return self.finish(now, user.call, after);
        }
        let Some(call) = self.calls.get_mut(user.call) else {
            return;
        };
        let after = unanswered(&mut self.core, call, now, (client, user), code, text, out);
        self.finish(now, user.call, after);
    }

    /// RFC 3261 13.3.1.4: a 2xx without an ACK for 64*T1 ends the dialog with BYE.
    pub(super) fn on_unacknowledged(
        &mut self,
        now: Time,
        server: ServerId,
        user: User,
        out: &mut Outbox,
    ) {
        let Some(call) = self.calls.entry_mut(user.call) else {
            return;
        };
        let before = out.len();
        let after = call.on_unacknowledged(&mut self.core, now, server, out);
        self.note_sent(now, user.call, before, out);
        self.finish(now, user.call, after);
    }
}

/// A call's request was answered.
fn answered(
    core: &mut Core,
    call: &mut Call,
    now: Time,
    answer: &Answer<User>,
    flow: Flow,
    response: &Message<'_>,
    out: &mut Outbox,
) -> After {
    match answer.user.purpose {
        Purpose::Invite => call.on_invite_answer(core, now, answer, flow, response, out),
        Purpose::Reinvite(from) => call.on_reinvite_answer(core, now, from, answer, response, out),
        Purpose::Bye if response.code() >= 200 => call.on_bye_done(core, now, Some(response), out),
        Purpose::Prack(held) => {
            call.on_prack_answer(held, response);
            After::Keep
        }
        Purpose::Reoffer => call.on_reoffer_answer(core, now, answer.client, response, out),
        Purpose::Target => call.on_target_answer(core, now, answer, flow, response, out),
        Purpose::Rejoin => call.on_rejoin_answer(core, now, answer.client, flow, response, out),
        Purpose::Discard if response.code() == 481 => {
            call.stop_telling();
            After::Keep
        }
        Purpose::Probe if response.code() >= 200 => {
            call.on_probe_answer(core, now, response.code(), out)
        }
        Purpose::Refresh(side) => {
            call.on_refresh_answer(core, now, side, answer.client, response, out)
        }
        Purpose::Bye
        | Purpose::Discard
        | Purpose::Relay(..)
        | Purpose::Probe
        | Purpose::KeepAlive
        | Purpose::Branch(..)
        | Purpose::Onward(_)
        | Purpose::Context
        | Purpose::Exchange(..)
        | Purpose::Subscribe(_)
        | Purpose::Subscribed(..)
        | Purpose::Contact(_)
        | Purpose::Notify => After::Keep,
    }
}

/// A call's request has got no answer, which is as good as this one.
fn unanswered(
    core: &mut Core,
    call: &mut Call,
    now: Time,
    (client, user): (ClientId, User),
    code: u16,
    text: &str,
    out: &mut Outbox,
) -> After {
    if let Purpose::Relay(_, server) = user.purpose {
        call.offer_failed(core, now, server);
    }
    match user.purpose {
        Purpose::Invite => call.on_invite_failed(core, now, code, text, out),
        Purpose::Reinvite(_) => call.on_reinvite_failed(core, now, client, code, out),
        Purpose::Relay(..) => call.on_request_failed(core, now, code, out),
        Purpose::Bye => call.on_bye_done(core, now, None, out),
        Purpose::Reoffer => call.on_reoffer_failed(core, now, code, out),
        Purpose::Target => call.on_target_failed(core, now, client, code, out),
        Purpose::Rejoin => call.on_rejoin_failed(core, now, client, code, out),
        Purpose::Probe => call.on_probe_answer(core, now, code, out),
        Purpose::Refresh(side) => call.on_refresh_failed(core, now, side, client, code, out),
        Purpose::Discard
        | Purpose::Prack(_)
        | Purpose::KeepAlive
        | Purpose::Branch(..)
        | Purpose::Onward(_)
        | Purpose::Context
        | Purpose::Exchange(..)
        | Purpose::Subscribe(_)
        | Purpose::Subscribed(..)
        | Purpose::Contact(_)
        | Purpose::Notify => After::Keep,
    }
}

impl Purpose {
    /// The transaction belongs to no call.
    fn is_outside(self) -> bool {
        use Purpose::{Exchange, Subscribe, Subscribed};
        matches!(self, Exchange(..) | Subscribe(_) | Subscribed(..))
    }

    /// Whose INVITE this server transaction is.
    pub(super) fn invite_side(self) -> Side {
        match self {
            Purpose::Reinvite(side) | Purpose::Relay(side, _) => side,
            _ => Side::Caller,
        }
    }
}
