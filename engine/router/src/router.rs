//! The door of the router: finds out whether a message belongs to a call, starts one, or is for the
//! router itself, and hands events to the calls they concern.

mod answers;
mod handling;
mod naming;
mod notifying;
mod noting;
mod proven;
mod proxied;
mod reaching;
mod referring;
mod welcome;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use stack::transport::stateless_response;
use stack::{Flow, Inbound, Outbox, ServerId, Time, Token};
use wire::{Message, Method, Uri};

use crate::abuse;
use crate::admission::entrance;
use crate::application_server;
use crate::auth;
use crate::call::{After, Call, Refusal, Setup, check_offer};
use crate::calls::{CallId, Calls};
use crate::config::{Command, Config, Counters, Event, Progress, Wake};
use crate::core::{Core, Purpose, Side};
use crate::echo::EchoCall;
use crate::entry::Entry;
use crate::events;
use crate::local;
use crate::location;
use crate::outside;
use crate::proofs::Proofs;
use crate::proxy;
use crate::rdb::{CallFlow, Matcher};
use crate::reach;
use crate::registrar;
use crate::sanity;
use crate::target::Addressed;
use crate::transfer::{Held, Named};

/// The transaction users of one shard.
///
/// Inputs: `receive`, `malformed`, `unreachable`, `resolved`, `command`, `handle_timeout`. After each,
/// drain `poll_event` and look at `poll_timeout`.
#[derive(Debug)]
pub struct Router {
    core: Core,
    calls: Calls,
    matcher: Matcher,
    draining: bool,
    drained: bool,
    /// INVITEs that wait for another shard's word.
    held: Held,
}

impl Router {
    /// A router with empty tables.
    pub fn new(config: Config, now: Time) -> Router {
        let calls = Calls::new(config.limits.calls, config.limits.subscriptions);
        let matcher = Matcher::new(config.table.clone());
        Router {
            core: Core::new(config, now),
            calls,
            matcher,
            draining: false,
            drained: false,
            held: Held::default(),
        }
    }

    /// What has been counted.
    pub fn counters(&self) -> Counters {
        Counters {
            calls: self.calls.live() as u64,
            subscriptions: self.calls.subscriptions() as u64,
            server_transactions: self.core.transactions.server_count() as u64,
            client_transactions: self.core.transactions.client_count() as u64,
            transactions: *self.core.transactions.counters(),
            media: self.core.media.counters(),
            application_server_up: u64::from(self.core.application_server_is_up()),
            admission: self.core.admission.counters(),
            limiting_servers: self.core.feedback.servers() as u64,
            abuse: self.core.guard.counters(),
            auth: self.core.auth.counters(),
            nonces: self.core.auth.nonces() as u64,
            location: self.core.location.counters(),
            events: self.events_counters(),
            ..self.core.counters
        }
    }

    /// How far the counters have come that tell what a turn passed on.
    pub fn progress(&self) -> Progress {
        Progress {
            invites: self.core.counters.calls_started,
            requests: self.core.counters.forwarded,
            media: self.core.media.relayed(),
        }
    }

    /// Calls in progress.
    pub fn calls(&self) -> usize {
        self.calls.live()
    }

    /// Nothing is left: no call, no transaction, no timer.
    pub fn is_idle(&self) -> bool {
        self.calls.is_empty()
            && self.core.transactions.is_empty()
            && self.core.alarms.is_empty()
            && self.core.media.is_idle()
            && self.held.is_empty()
            && self.core.registrar.is_idle()
            && self.core.location.is_quiet()
            && self.core.state_agent.is_quiet()
    }

    /// A datagram of nothing but line ends was received: a keep-alive (RFC 5626 4.4.1), no message.
    pub fn keep_alive(&mut self) {
        self.core.counters.received += 1;
        self.core.counters.keep_alives += 1;
    }

    /// A datagram that looks like STUN was received on a SIP port.
    pub fn receive_stun(&mut self, flow: Flow, bytes: &[u8], out: &mut Outbox) {
        self.core.counters.received += 1;
        registrar::keep_alive::receive_stun(&mut self.core, flow, bytes, out);
    }

    /// Whether nothing this address sends is to be read: the datagram is counted and dropped.
    pub fn denies(&mut self, address: IpAddr) -> bool {
        let denied = self.core.guard.denies(address);
        self.core.counters.received += u64::from(denied);
        denied
    }

    /// A datagram was received that belongs to another shard.
    pub fn foreign(&mut self) {
        self.core.counters.received += 1;
        self.core.counters.foreign += 1;
    }

    /// When to call [`Router::handle_timeout`] at the latest, and why.
    pub fn poll_timeout(&self) -> Option<(Time, Wake)> {
        let transaction = self.core.transactions.poll_timeout();
        let transaction = transaction.map(|(time, wake)| (time, Wake::Transaction(wake)));
        let call = self
            .core
            .alarms
            .next_deadline()
            .map(|time| (time, Wake::Call));
        let media = self.core.media.poll_timeout();
        let media = media.map(|time| (time, Wake::Media));
        let server = self.core.application_server.as_ref();
        let server = server.and_then(application_server::Server::due);
        let server = server.map(|time| (time, Wake::KeepAlive));
        let held = self.held.due().map(|time| (time, Wake::Held));
        let location = location::entrance::poll_timeout(&self.core);
        let contacts = reach::poll_timeout(&self.core);
        let contacts = contacts.map(|time| (time, Wake::KeepAlive));
        let events = self.core.state_agent.due();
        let events = events.map(|time| (time, Wake::Events));
        [
            transaction,
            call,
            media,
            server,
            held,
            location,
            contacts,
            events,
        ]
        .into_iter()
        .flatten()
        .min_by_key(|(time, _)| *time)
    }

    /// The next thing the surroundings must do or know.
    pub fn poll_event(&mut self) -> Option<Event> {
        if let Some(host) = self.core.names.poll_question() {
            return Some(Event::Resolve { host });
        }
        if self.draining && !self.drained && self.calls.live() == 0 {
            self.drained = true;
            return Some(Event::Drained);
        }
        let event = self.core.events.pop_front();
        event.or_else(|| location::entrance::poll_event(&mut self.core))
    }

    /// A well-framed message.
    pub fn receive(&mut self, now: Time, flow: Flow, message: &Message<'_>, out: &mut Outbox) {
        self.core.counters.received += 1;
        let before = out.len();
        self.core.accounts.begin_message();
        if message.is_request() {
            self.receive_request(now, flow, message, out);
        } else {
            self.receive_response(now, flow, message, out);
        }
        self.note_messages(now, flow, message, before, out);
        self.drain_transactions(now, out);
    }

    /// Whether new requests are being turned away.
    pub fn is_overloaded(&self) -> bool {
        self.core.admission.rate().is_some()
    }

    /// An ACK for a response that was sent without a transaction was received: nobody waits for it.
    pub fn stateless_ack(&mut self) {
        self.core.counters.received += 1;
        self.core.counters.stateless_acks += 1;
    }

    /// A turn of the shard's thread begins; before it there was nothing to do for `idle`.
    pub fn note_load(&mut self, now: Time, idle: Duration) {
        entrance::note_load(&mut self.core, now, idle);
        self.core.guard.forget_ended_bans(now);
    }

    /// A datagram on a media port.
    pub fn receive_media(&mut self, now: Time, from: Flow, bytes: &[u8], out: &mut Outbox) {
        self.core.media.receive(now, from, bytes, out);
    }

    /// A datagram that is no SIP message, or a broken one. `salvaged` is what can be answered.
    pub fn malformed(
        &mut self,
        now: Time,
        flow: Flow,
        salvaged: Option<Message<'_>>,
        error: wire::ParseError,
        out: &mut Outbox,
    ) {
        self.core.counters.received += 1;
        let banned = self.core.guard.is_banned(now, flow.remote.ip());
        match salvaged.filter(|_| !banned) {
            Some(request) => {
                self.core.counters.malformed_answered += 1;
                self.core.refused_with = Some(error.code());
                abuse::entrance::note(&mut self.core, now, flow, None);
                stateless_response(
                    &request,
                    flow,
                    error.code(),
                    error.reason().as_bytes(),
                    b"",
                    out,
                );
            }
            None => self.core.counters.malformed_dropped += 1,
        }
    }

    /// The network says that nothing sent to this address arrives.
    pub fn unreachable(&mut self, now: Time, remote: SocketAddr, out: &mut Outbox) {
        self.core.transactions.transport_error(now, remote);
        self.drain_transactions(now, out);
    }

    /// An order from the control side.
    pub fn command(&mut self, now: Time, command: &Command, out: &mut Outbox) {
        match command {
            Command::Route(table) => self.matcher = Matcher::new(table.clone()),
            Command::Drain => self.draining = true,
            Command::EndAll => self.end_all(now, out),
            Command::Peers(peers) => self.core.peers = peers.clone(),
            Command::Outbound(outbound) => self.core.set_outbound(now, outbound),
            Command::Relay(methods) => self.core.relay = *methods,
            Command::ApplicationServer { up } => self.core.set_application_server(*up),
            Command::FromShard(word) => self.hear(now, word, out),
            Command::Abuse(abuse) => self.core.guard.set(Arc::clone(abuse)),
            Command::Ban(ban) => self.core.guard.ban(now, ban),
            Command::Directory(directory) => {
                registrar::set_directory(&mut self.core, directory);
            }
            Command::Registrar(settings) => self.core.registrar.set(settings.clone()),
            Command::Query(query) => self.answer_query(now, query, out),
            Command::Watch(watched) => self.core.accounts.watch(*watched),
            Command::Accounting(accounting) => self.core.accounts.set(*accounting),
            Command::Auth(rules) => self.core.auth.set(Arc::clone(rules)),
            Command::Restore(registrations) => self.core.location.restore(now, registrations),
            Command::ProofKeys(keys) => {
                self.core.proofs = Proofs::new(keys);
                self.core.registrar.set_keys(keys);
            }
            Command::Events(settings) => self.core.state_agent.set(settings.clone()),
            Command::MessageWaiting { aor, waiting } => {
                events::set_mailbox(&mut self.core, aor, *waiting);
            }
        }
        self.tell_changes(now, out);
    }

    fn end_all(&mut self, now: Time, out: &mut Outbox) {
        self.draining = true;
        for id in self.calls.ids() {
            if let Some(call) = self.calls.entry_mut(id) {
                let before = out.len();
                let after = call.end_now(&mut self.core, now, out);
                self.note_sent(now, id, before, out);
                self.finish(now, id, after);
            }
        }
    }

    /// Fires every timer that is due.
    pub fn handle_timeout(&mut self, now: Time, out: &mut Outbox) {
        self.drain_transactions(now, out);
        application_server::handle_timeout(&mut self.core, now, out);
        self.handle_media_timeout(now, out);
        self.expire_held(now, out);
        location::entrance::handle_timeout(&mut self.core, now);
        reach::handle_timeout(&mut self.core, now, out);
        events::handle_timeout(&mut self.core, now);
        while let Some((_, (id, alarm))) = self.core.alarms.expire(now) {
            if let Some(call) = self.calls.entry_mut(id) {
                let before = out.len();
                let after = call.on_alarm(&mut self.core, now, alarm, out);
                self.note_sent(now, id, before, out);
                self.finish(now, id, after);
            }
        }
        self.drain_transactions(now, out);
        // An echo that has just ended has its last words to say.
        self.handle_media_timeout(now, out);
    }

    fn handle_media_timeout(&mut self, now: Time, out: &mut Outbox) {
        while self.core.media.poll_timeout().is_some_and(|due| due <= now) {
            self.core.media.handle_timeout(now, out);
            while let Some(event) = self.core.media.poll_event() {
                self.on_media(now, event, out);
            }
        }
    }

    fn on_media(&mut self, now: Time, event: media::Event, out: &mut Outbox) {
        let media::Event::Silent { owner, .. } = event;
        let id = CallId::of_owner(owner);
        if let Some(call) = self.calls.entry_mut(id) {
            let before = out.len();
            let after = call.on_silence(&mut self.core, now, out);
            self.note_sent(now, id, before, out);
            self.finish(now, id, after);
        }
    }

    fn drain_transactions(&mut self, now: Time, out: &mut Outbox) {
        while let Some(event) = self.core.transactions.handle_timeout(now, out) {
            self.on_event(now, event, out);
        }
        while let Some(event) = self.core.transactions.poll_event() {
            self.on_event(now, event, out);
        }
        registrar::answer_outcomes(&mut self.core, now, out);
        self.tell_changes(now, out);
    }

    fn finish(&mut self, now: Time, id: CallId, after: After) {
        self.core.tell_end(id);
        match after {
            After::Keep => {}
            After::Linger => self.calls.linger(id),
            After::Remove => {
                if let Some(call) = self.calls.remove(id) {
                    call.release(&mut self.core, now);
                    self.core.close_account(now, id);
                }
            }
        }
    }

    fn take_request(&mut self, now: Time, flow: Flow, request: &Message<'_>, out: &mut Outbox) {
        if let Err(error) = request.check_mandatory() {
            return self.bad_request(flow, request, error, out);
        }
        if !entrance::passes(&mut self.core, now, flow, request, out) {
            return;
        }
        match self
            .core
            .transactions
            .receive_request(now, request, flow, out)
        {
            Inbound::New(server) => self.unread_request(now, flow, server, request, out),
            Inbound::Merged { server, .. } => {
                self.core.counters.requests += 1;
                // RFC 3261 8.2.2.2: the same request, come another way. What is proxied may.
                if self.draining
                    || auth::entrance::asks(&self.core, flow, request)
                    || !self.proxy_request(now, flow, server, request, out)
                {
                    self.core.counters.merged += 1;
                    abuse::entrance::answer_carefully(&mut self.core, flow, server);
                    self.core.refuse(now, server, 482, b"", out);
                }
            }
            Inbound::Absorbed => {}
            Inbound::Ack => self.unread_ack(now, flow, request, out),
            Inbound::Cancel { cancel, invite } => {
                self.on_cancel(now, cancel, invite, request, out);
            }
            Inbound::Full => self.refuse_at_limit(flow, request, out),
        }
    }

    fn bad_request(
        &mut self,
        flow: Flow,
        request: &Message<'_>,
        error: wire::ParseError,
        out: &mut Outbox,
    ) {
        if request.method() == Method::Ack {
            // RFC 3261 17.1.1.3: nothing ever answers an ACK.
            self.core.counters.malformed_dropped += 1;
            return;
        }
        self.core.counters.malformed_answered += 1;
        self.core.refused_with = Some(error.code());
        stateless_response(
            request,
            flow,
            error.code(),
            error.reason().as_bytes(),
            b"",
            out,
        );
    }

    fn refuse_at_limit(&mut self, flow: Flow, request: &Message<'_>, out: &mut Outbox) {
        self.core.counters.calls_limited += u64::from(request.method() == Method::Invite);
        self.core
            .limit_reached("transactions", self.core.limits.transactions);
        entrance::refuse(&mut self.core, flow, request, out);
    }

    fn new_request(
        &mut self,
        now: Time,
        flow: Flow,
        server: ServerId,
        unread: &Message<'_>,
        request: &Message<'_>,
        out: &mut Outbox,
    ) {
        self.core.counters.requests += 1;
        if let Some(path) = proxy::own_path(&self.core, request) {
            return self.proxy_in_dialog(now, flow, server, &path, request, out);
        }
        if request.method() != Method::Invite && Named::is_misplaced(request) {
            return self.core.refuse(now, server, 400, b"", out);
        }
        if request.to_tag().is_none() && !self.admits(now, flow, server, unread, out) {
            return;
        }
        if self.asks_of_reference(now, flow, server, request, out) {
            return;
        }
        self.place_request(now, flow, server, request, out);
    }

    /// Whether a request outside any dialog goes on: it has not come back, and its sender is who he says. If not
    /// it has been answered.
    fn admits(
        &mut self,
        now: Time,
        flow: Flow,
        server: ServerId,
        unread: &Message<'_>,
        out: &mut Outbox,
    ) -> bool {
        abuse::entrance::answer_carefully(&mut self.core, flow, server);
        if sanity::has_looped(&self.core, unread) {
            self.core.counters.looped += 1;
            self.core.refuse(now, server, 482, b"", out);
            return false;
        }
        let checked = self.check_sender(now, flow, unread);
        if let Err(refusal) = &checked {
            self.core.refuse_with(now, server, refusal, out);
        }
        checked.is_ok()
    }

    /// A request that is for a call, for nobody yet, or for the router itself.
    fn place_request(
        &mut self,
        now: Time,
        flow: Flow,
        server: ServerId,
        request: &Message<'_>,
        out: &mut Outbox,
    ) {
        if let Some(tag) = request.to_tag() {
            return self.in_dialog(now, flow, server, tag, request, out);
        }
        match request.method() {
            Method::Invite => self.invite(now, flow, server, request, out),
            _ if registrar::takes(&self.core, request) => {
                registrar::receive(&mut self.core, now, flow, server, request, out);
            }
            _ if events::takes(&self.core, request) => {
                self.take_event(now, flow, server, request, out);
            }
            _ if self.proxy_request(now, flow, server, request, out) => {}
            // RFC 3261 11.2: the code an INVITE would get.
            Method::Options if self.draining || self.calls.is_full() => {
                let retry_after = self.core.retry_after();
                self.core.refuse(now, server, 503, &retry_after, out);
            }
            method if self.core.relay.has(method) => {
                self.outside(now, flow, server, request, out);
            }
            _ => local::answer(&mut self.core, now, server, request, out),
        }
    }

    /// A request outside any dialog that is passed on.
    fn outside(
        &mut self,
        now: Time,
        flow: Flow,
        server: ServerId,
        request: &Message<'_>,
        out: &mut Outbox,
    ) {
        let calls = (!self.draining).then_some(&mut self.calls);
        let matcher = &mut self.matcher;
        let core = &mut self.core;
        if let Err(refusal) =
            outside::receive(core, calls, matcher, now, flow, server, request, out)
        {
            self.core.counters.exchanges_unrouted += u64::from(refusal.code == 404);
            self.core.refuse_with(now, server, &refusal, out);
        }
    }

    fn in_dialog(
        &mut self,
        now: Time,
        flow: Flow,
        server: ServerId,
        tag: &[u8],
        request: &Message<'_>,
        out: &mut Outbox,
    ) {
        let Some((id, side)) = self.find_call(tag, request) else {
            if self.is_hung_up_late(tag, request) {
                let own = self.core.own_tag();
                return self.core.answer(now, server, (200, ""), &own, b"", out);
            }
            abuse::entrance::answer_carefully(&mut self.core, flow, server);
            return self.core.refuse(now, server, 481, b"", out);
        };
        self.core.accounts.at_hand(id);
        if let Some(echo) = self.calls.echo_mut(id) {
            let after = echo.on_request(&mut self.core, now, server, flow, request, out);
            return self.finish(now, id, after);
        }
        if let Err(refusal) = local::check_proxy_required(request) {
            return self.refuse_start(now, server, &refusal, out);
        }
        if let Some(subscription) = self.calls.subscription_mut(id) {
            let core = &mut self.core;
            let after = subscription.on_request(core, now, side, server, flow, request, out);
            return self.finish(now, id, after);
        }
        if let Some(notifier) = self.calls.notifier_mut(id) {
            let core = &mut self.core;
            let after = notifier.on_request(core, now, server, flow, request, out);
            return self.finish(now, id, after);
        }
        if self.handles_refer(now, id, side, server, flow, request, out) {
            return;
        }
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        if request.method() == Method::Bye {
            let after = call.on_bye(&mut self.core, now, side, server, request, out);
            self.finish(now, id, after);
        } else {
            call.on_request(&mut self.core, now, side, server, flow, request, out);
        }
    }

    /// Whether a party hangs up that a transfer has taken out of its call.
    fn is_hung_up_late(&mut self, tag: &[u8], request: &Message<'_>) -> bool {
        let Some(token) = Token::parse_tag(tag) else {
            return false;
        };
        let call = self.calls.get_mut(CallId::of_token(&token));
        call.is_some_and(|call| call.is_hung_up_late(request, &token))
    }

    /// The call and side an in-dialog request is for: by the token in its To tag, then proven by the
    /// whole dialog identity.
    fn find_call(&mut self, tag: &[u8], request: &Message<'_>) -> Option<(CallId, Side)> {
        let token = Token::parse_tag(tag)?;
        let id = CallId::of_token(&token);
        let side = match self.calls.entry_mut(id)? {
            Entry::Bridge(call) => call.side_of(request, &token)?,
            Entry::Echo(echo) => echo.owns(request, &token).then_some(Side::Caller)?,
            Entry::Proxy(_) => return None,
            Entry::Subscription(subscription) => subscription.side_of(request, &token)?,
            Entry::Notifier(it) => it.owns(request, &token).then_some(Side::Caller)?,
        };
        Some((id, side))
    }

    fn on_ack(&mut self, now: Time, flow: Flow, ack: &Message<'_>, out: &mut Outbox) {
        if let Some(path) = proxy::own_path(&self.core, ack) {
            return proxy::ack(&mut self.core, now, flow, &path, ack, out);
        }
        let Some(tag) = ack.to_tag() else { return };
        let Some((id, side)) = self.find_call(tag, ack) else {
            return;
        };
        self.core.accounts.at_hand(id);
        if let Some(call) = self.calls.entry_mut(id) {
            let after = call.on_ack(&mut self.core, now, side, ack, out);
            self.finish(now, id, after);
        }
    }

    fn on_cancel(
        &mut self,
        now: Time,
        cancel: ServerId,
        invite: Option<ServerId>,
        request: &Message<'_>,
        out: &mut Outbox,
    ) {
        let Some(invite) = invite else {
            return self.core.refuse(now, cancel, 481, b"", out);
        };
        let user = self.core.transactions.server_user(invite);
        if let Some(user) = user.filter(|user| matches!(user.purpose, Purpose::Context)) {
            let (core, calls) = (&mut self.core, &mut self.calls);
            return proxy::on_cancel(core, calls, now, cancel, user.call, request, out);
        }
        if let Some(user) = user {
            self.core.accounts.at_hand(user.call);
        }
        let echo = user.and_then(|user| Some(self.calls.echo_mut(user.call)?.tag()));
        let call = user.and_then(|user| Some((self.calls.get_mut(user.call)?, user)));
        // RFC 3261 9.2: the To tag of the answer is that of the INVITE's own answers.
        let tag = match &call {
            Some((call, user)) => call.tag(user.purpose.invite_side()),
            None => echo.unwrap_or_else(|| self.core.own_tag()),
        };
        self.core.answer(now, cancel, (200, ""), &tag, b"", out);
        let Some((call, user)) = call else {
            return self.cancel_held(now, invite, out);
        };
        if matches!(user.purpose, Purpose::Reinvite(_)) {
            return call.on_reinvite_cancelled(&mut self.core, now, request, out);
        }
        let id = call.id();
        let after = call.on_cancel(&mut self.core, now, request, out);
        self.finish(now, id, after);
    }

    /// A new call (RFC 3261 13.3).
    fn invite(
        &mut self,
        now: Time,
        flow: Flow,
        server: ServerId,
        request: &Message<'_>,
        out: &mut Outbox,
    ) {
        if self.draining || self.calls.is_full() {
            return self.refuse_call(now, server, out);
        }
        // A named dialog of ours is never behind the proxy, whatever its patterns match.
        let names_us =
            Uri::parse(request.request_uri()).is_ok_and(|uri| Token::parse_tag(uri.user).is_some());
        if !names_us && self.proxy_request(now, flow, server, request, out) {
            return;
        }
        if self.takes_naming(now, flow, server, request, out) {
            return;
        }
        let started = self.start_call(now, flow, server, request, out);
        self.take_started(now, flow, server, request, started, out);
    }

    /// An INVITE has made a call, or is refused.
    fn take_started(
        &mut self,
        now: Time,
        source: Flow,
        server: ServerId,
        invite: &Message<'_>,
        started: Result<Entry, Refusal>,
        out: &mut Outbox,
    ) {
        match started {
            Ok(call) => self.begin(now, source, invite, call),
            Err(refusal) => {
                self.note_refused(now, source, invite, &refusal);
                self.refuse_start(now, server, &refusal, out);
            }
        }
    }

    fn refuse_call(&mut self, now: Time, server: ServerId, out: &mut Outbox) {
        self.core.counters.calls_limited += 1;
        if self.calls.is_full() {
            self.core.limit_reached("calls", self.calls.limit());
        }
        let retry_after = self.core.retry_after();
        self.core.refuse(now, server, 503, &retry_after, out);
    }

    fn refuse_start(&mut self, now: Time, server: ServerId, refusal: &Refusal, out: &mut Outbox) {
        self.core.counters.calls_unrouted += u64::from(refusal.code == 404);
        self.core.refuse_with(now, server, refusal, out);
    }

    fn start_call(
        &mut self,
        now: Time,
        source: Flow,
        server: ServerId,
        request: &Message<'_>,
        out: &mut Outbox,
    ) -> Result<Entry, Refusal> {
        self.core.accounts.forget_route();
        let uri = Uri::parse(request.request_uri())?;
        local::check_scheme(&uri)?;
        if application_server::takes(&self.core, source) {
            self.core.accounts.note_application_server();
            local::check_proxy_required(request)?;
            let (core, calls) = (&mut self.core, &mut self.calls);
            return application_server::start_call(
                core, calls, now, source, server, request, &uri, out,
            )
            .map(Entry::Bridge);
        }
        let found = self.matcher.find_bytes(uri.user);
        let (user, mut route) = found.ok_or_else(|| Refusal::code(404))?;
        let record = route.record;
        let is_echo = record.flow == CallFlow::EchoResponder;
        self.core.accounts.note_route(&route, is_echo);
        if is_echo {
            let id = self.calls.reserve().ok_or_else(|| Refusal::code(503))?;
            let core = &mut self.core;
            let echo = EchoCall::start(core, now, id, source, server, request, record, out)?;
            return Ok(Entry::Echo(Box::new(echo)));
        }
        local::check_proxy_required(request)?;
        if record.flow == CallFlow::TransformEarlyToFinal {
            check_offer(request, &self.core.door(source.listener).host_port)?;
        }
        let (core, written) = (&mut self.core, (request.request_uri(), &uri));
        let addressed = Addressed::by_route(core, now, (user, &mut route), written, source);
        let id = self.calls.reserve().ok_or_else(|| Refusal::code(503))?;
        let setup = Setup {
            id,
            request,
            source,
            server,
            record,
            request_uri: &addressed.request_uri,
            host: &addressed.host,
            destination: addressed.destination,
            through_proxy: addressed.through_proxy,
            found: None,
        };
        Call::start(&mut self.core, now, setup, out).map(Entry::Bridge)
    }
}
