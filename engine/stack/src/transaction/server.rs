//! The server side: requests come in, are matched, and are answered by the transaction user.

use std::num::NonZeroU64;
use std::ops::Range;

use wire::{Message, Method, Via, print};

use super::server_machine::{ServerInput, ServerState, ServerStep};
use super::servers::Server;
use super::table::ServerAction;
use super::{Event, Inbound, ServerId, Transactions, Wake};
use crate::slab::Id;
use crate::{Flow, Outbox, Time, transport};

/// From outside.
impl<U: Copy> Transactions<U> {
    /// Takes a request in: finds the transaction it belongs to (RFC 3261 17.2.3), or makes one.
    ///
    /// The caller has checked the mandatory headers; a request whose top Via or CSeq is unreadable all
    /// the same is counted and absorbed.
    pub fn receive_request(
        &mut self,
        now: Time,
        request: &Message<'_>,
        source: Flow,
        out: &mut Outbox,
    ) -> Inbound {
        let Ok(via) = request.top_via() else {
            return self.absorb_unreadable();
        };
        match request.method() {
            Method::Ack => self.receive_ack(now, request, &via, out),
            Method::Cancel => self.receive_cancel(now, request, &via, source, out),
            method => match self.servers.find(request, &via, method) {
                Err(_) => self.absorb_unreadable(),
                Ok(Ok(id)) => self.receive_again(now, id, out),
                Ok(Err(_)) if self.servers.len() >= self.limits.server => self.refuse(),
                Ok(Err(hash)) => self.receive_new(now, request, &via, source, hash, out),
            },
        }
    }

    /// Whether a transaction has this request: it is a retransmission. Of a CANCEL: whether there is the
    /// INVITE it is for.
    pub fn holds(&mut self, request: &Message<'_>) -> bool {
        let Ok(via) = request.top_via() else {
            return false;
        };
        // RFC 3261 9.1: a CANCEL has the branch of the request it is for.
        let method = match request.method() {
            Method::Cancel => Method::Invite,
            method => method,
        };
        matches!(self.servers.find(request, &via, method), Ok(Ok(_)))
    }

    /// What responses to requests from now on tell of this server's load: Via parameters (RFC 7339 4) for
    /// clients that ask for them; empty for none.
    pub fn tell_load(&mut self, parameters: &[u8]) {
        self.load.clear();
        self.load.extend_from_slice(parameters);
    }

    /// RFC 3261 8.2.2.2: a request outside dialogs may be a copy, come another way, of one that is here.
    fn receive_new(
        &mut self,
        now: Time,
        request: &Message<'_>,
        via: &Via<'_>,
        source: Flow,
        hash: u64,
        out: &mut Outbox,
    ) -> Inbound {
        let tagged = request.to_tag().is_some();
        let identity = match tagged {
            true => None,
            false => self.servers.identity(request),
        };
        let ongoing = identity.and_then(|identity| self.servers.by_identity(identity));
        let listed = identity.filter(|_| ongoing.is_none());
        let found_by = (hash, listed, tagged);
        let server = self.open_server(now, request, via, source, found_by, out);
        match ongoing {
            Some(ongoing) => Inbound::Merged {
                server,
                ongoing: ServerId(ongoing),
            },
            None => Inbound::New(server),
        }
    }

    fn receive_ack(
        &mut self,
        now: Time,
        ack: &Message<'_>,
        via: &Via<'_>,
        out: &mut Outbox,
    ) -> Inbound {
        let Ok(found) = self.servers.find(ack, via, Method::Invite) else {
            return self.absorb_unreadable();
        };
        let step = found
            .ok()
            .map(|id| self.drive_server(now, id, ServerInput::Ack, out));
        match step {
            Some(step) if !step.actions.contains(&ServerAction::PassAck) => Inbound::Absorbed,
            _ => Inbound::Ack,
        }
    }

    /// RFC 3261 9.2: a CANCEL is a transaction of its own and names its INVITE by the branch.
    fn receive_cancel(
        &mut self,
        now: Time,
        cancel: &Message<'_>,
        via: &Via<'_>,
        source: Flow,
        out: &mut Outbox,
    ) -> Inbound {
        let invite = self
            .servers
            .find(cancel, via, Method::Invite)
            .ok()
            .and_then(Result::ok);
        match self.servers.find(cancel, via, Method::Cancel) {
            Err(_) => self.absorb_unreadable(),
            Ok(Ok(id)) => self.receive_again(now, id, out),
            // A CANCEL for an INVITE we hold is let in above the limit: it relieves, and there can be
            // but one for each.
            Ok(Err(_)) if invite.is_none() && self.servers.len() >= self.limits.server => {
                self.refuse()
            }
            Ok(Err(hash)) => {
                let found_by = (hash, None, cancel.to_tag().is_some());
                let cancel = self.open_server(now, cancel, via, source, found_by, out);
                Inbound::Cancel {
                    cancel,
                    invite: invite.map(ServerId),
                }
            }
        }
    }

    fn receive_again(&mut self, now: Time, id: Id, out: &mut Outbox) -> Inbound {
        self.counters.repeats_received += 1;
        self.drive_server(now, id, ServerInput::Retransmission, out);
        Inbound::Absorbed
    }

    fn absorb_unreadable(&mut self) -> Inbound {
        self.counters.unreadable += 1;
        Inbound::Absorbed
    }

    fn refuse(&mut self) -> Inbound {
        self.counters.servers_refused += 1;
        Inbound::Full
    }

    /// Makes a transaction for the request whose key is in the scratch.
    fn open_server(
        &mut self,
        now: Time,
        request: &Message<'_>,
        via: &Via<'_>,
        source: Flow,
        (hash, identity, tagged): (u64, Option<NonZeroU64>, bool),
        out: &mut Outbox,
    ) -> ServerId {
        let method = request.method();
        let scratch = &mut self.servers.scratch;
        let key_len = scratch.len() as u16;
        print::response_head_telling(scratch, request, source.remote, &self.load);
        let kept = self.pool.store(scratch);
        let remote = transport::response_destination(via, source.remote);
        let id = self.servers.insert(Server {
            hash,
            identity,
            user: None,
            flow: Flow { remote, ..source },
            repeating: None,
            kept,
            last: None,
            key_len,
            state: ServerState::new(method),
            repeats: 0,
            tagged,
            refuse_once: false,
        });
        self.counters.servers += 1;
        self.await_answer(now, id, method, out);
        ServerId(id)
    }

    /// RFC 3261 17.2.1 and RFC 4320 4.1: a 100 follows when the transaction user takes too long.
    fn await_answer(&mut self, now: Time, id: Id, method: Method, out: &mut Outbox) {
        if method != Method::Invite {
            self.alarms.arm(now, Wake::TryingLate, id);
        } else if self.trying_at_once {
            self.drive_server(now, id, ServerInput::Fired(Wake::Trying), out);
        } else {
            self.alarms.arm(now, Wake::Trying, id);
        }
    }
}

/// Commands of the transaction user.
impl<U: Copy> Transactions<U> {
    /// Answers a request: prints the status line (an empty `reason` means the standard phrase), the
    /// head copied from the request, `tag` when the request's To had none, and then `rest`, which
    /// prints further headers, Content-Length and body (`print::end`). Sends it and keeps it for
    /// retransmission; a 2xx to an INVITE is retransmitted until [`Transactions::acknowledge`].
    ///
    /// False when the response may not be sent: the id is stale, the request was answered finally
    /// before, or it is a 1xx to another method than INVITE (RFC 4320 4.1). A 408 to such a method ends
    /// the transaction without being sent (RFC 4320 4.2) and is true.
    #[expect(
        clippy::too_many_arguments,
        reason = "they are the parts of one response"
    )]
    pub fn respond(
        &mut self,
        now: Time,
        id: ServerId,
        code: u16,
        reason: &[u8],
        tag: Option<&[u8]>,
        rest: impl FnOnce(&mut Vec<u8>),
        out: &mut Outbox,
    ) -> bool {
        let step = self
            .servers
            .get(id.0)
            .map(|server| server.state.step(ServerInput::Answer(code)));
        let Some(step) = step.filter(|step| !step.actions.is_empty()) else {
            self.counters.answers_dropped += 1;
            return false;
        };
        if step.actions.contains(&ServerAction::Answer) {
            self.answer(id.0, code, reason, tag, rest, out);
        }
        self.apply_server(now, id.0, step, out);
        self.after_answer(id.0, code);
        true
    }

    /// Passes another's response on (RFC 3261 16.7): `print` prints all of it. As
    /// [`Transactions::respond`], but a 2xx to an INVITE is not retransmitted by us, for its sender does
    /// that, and each copy of it and every further 2xx passes (RFC 6026 7.1).
    pub fn forward(
        &mut self,
        now: Time,
        id: ServerId,
        code: u16,
        print: impl FnOnce(&mut Vec<u8>),
        out: &mut Outbox,
    ) -> bool {
        let state = self.servers.get(id.0).map(|server| server.state);
        let step = state.map(|state| state.step(ServerInput::Forward(code)));
        let Some(step) = step.filter(|step| !step.actions.is_empty()) else {
            self.counters.answers_dropped += 1;
            return false;
        };
        if step.actions.contains(&ServerAction::Answer) {
            self.send_answer(id.0, print, out);
        }
        self.apply_server(now, id.0, step, out);
        self.after_answer(id.0, code);
        true
    }

    /// The request is proxied and has no end here: other copies of it may be, too (RFC 3261 8.2.2.2 is for
    /// user agents).
    pub fn allow_copies(&mut self, id: ServerId) {
        self.servers.forget_identity(id.0);
    }

    /// The ACK for the 2xx was seen: it is retransmitted no more.
    pub fn acknowledge(&mut self, now: Time, id: ServerId) {
        self.drive_server(now, id.0, ServerInput::Acknowledged, &mut Outbox::new());
    }

    /// A 3xx-6xx to this INVITE will be sent when the INVITE comes, and not be repeated in between. Void when
    /// a provisional response is sent before it: then the INVITE comes no more (RFC 3261 17.1.1.2).
    pub fn refuse_once(&mut self, id: ServerId) {
        if let Some(server) = self.servers.get_mut(id.0) {
            server.refuse_once = server.state.is_unanswered_invite();
        }
    }

    /// Where responses go: by Via, `received`, `rport` and `maddr` (RFC 3261 18.2.2, RFC 3581).
    #[must_use]
    pub fn server_flow(&self, id: ServerId) -> Option<Flow> {
        self.servers.get(id.0).map(|server| server.flow)
    }

    /// Gives the transaction a value that its events carry.
    pub fn set_server_user(&mut self, id: ServerId, user: U) {
        if let Some(server) = self.servers.get_mut(id.0) {
            server.user = Some(user);
        }
    }

    /// The value given by [`Transactions::set_server_user`].
    #[must_use]
    pub fn server_user(&self, id: ServerId) -> Option<U> {
        self.servers.get(id.0).and_then(|server| server.user)
    }
}

/// Transitions.
impl<U: Copy> Transactions<U> {
    /// Lets `input` happen to a transaction; nothing when the id is stale.
    pub(super) fn drive_server(
        &mut self,
        now: Time,
        id: Id,
        input: ServerInput,
        out: &mut Outbox,
    ) -> ServerStep {
        let state = self.servers.get(id).map(|server| server.state);
        let state = state.unwrap_or(ServerState::GONE);
        let step = state.step(input);
        self.apply_server(now, id, step, out);
        step
    }

    fn apply_server(&mut self, now: Time, id: Id, step: ServerStep, out: &mut Outbox) {
        let ends = step.next.is_terminated();
        if let Some(server) = self.servers.get_mut(id).filter(|_| !ends) {
            server.refuse_once &= !step.next.is_proceeding_invite();
            server.state = step.next;
        }
        for action in step.actions {
            self.perform_server(now, id, *action, out);
        }
        if ends {
            self.remove_server(id);
        }
    }

    fn perform_server(&mut self, now: Time, id: Id, action: ServerAction, out: &mut Outbox) {
        match action {
            ServerAction::Answer | ServerAction::PassAck => {}
            ServerAction::Resend => self.resend_answer(id, out),
            ServerAction::SendTrying => {
                self.answer(id, 100, b"", None, |bytes| print::end(bytes, b""), out);
            }
            ServerAction::Arm(wake) => self.alarms.arm(now, wake, id),
            ServerAction::Repeat(wake) => self.repeat_answer(now, id, wake),
            ServerAction::StopRepeating => self.stop_repeating_answer(id),
            ServerAction::Forget => self.forget_answer(id),
            ServerAction::ReportUnacknowledged => {
                self.counters.unacknowledged += 1;
                let user = self.server_user(ServerId(id));
                self.events.push_back(Event::Unacknowledged {
                    server: ServerId(id),
                    user,
                });
            }
            ServerAction::ReportNoAck => {
                self.counters.no_ack += 1;
                let user = self.server_user(ServerId(id));
                self.events.push_back(Event::NoAck {
                    server: ServerId(id),
                    user,
                });
            }
        }
    }

    /// Prints a response, sends it and keeps it as the last one.
    fn answer(
        &mut self,
        id: Id,
        code: u16,
        reason: &[u8],
        tag: Option<&[u8]>,
        rest: impl FnOnce(&mut Vec<u8>),
        out: &mut Outbox,
    ) {
        let Some(server) = self.servers.get(id) else {
            return;
        };
        let range = out.push(server.flow, |bytes| {
            print::status_line(bytes, code, reason);
            bytes.extend_from_slice(server.head());
            if let Some(tag) = tag.filter(|_| !server.tagged) {
                bytes.extend_from_slice(b";tag=");
                bytes.extend_from_slice(tag);
            }
            bytes.extend_from_slice(b"\r\n");
            rest(bytes);
        });
        self.keep_answer(id, range, out);
    }

    /// Sends a response that is printed whole, and keeps it as the last one.
    fn send_answer(&mut self, id: Id, print: impl FnOnce(&mut Vec<u8>), out: &mut Outbox) {
        let Some(server) = self.servers.get(id) else {
            return;
        };
        let range = out.push(server.flow, print);
        self.keep_answer(id, range, out);
    }

    fn keep_answer(&mut self, id: Id, range: Range<usize>, out: &Outbox) {
        let Some(server) = self.servers.get_mut(id) else {
            return;
        };
        let answer = self.pool.store(out.bytes(range));
        if let Some(former) = server.last.replace(answer) {
            self.pool.release(former);
        }
    }

    fn resend_answer(&mut self, id: Id, out: &mut Outbox) {
        let Some(server) = self.servers.get(id) else {
            return;
        };
        if let Some(last) = &server.last {
            out.push_bytes(server.flow, last.as_slice());
            self.counters.responses_repeated += 1;
        }
    }

    fn repeat_answer(&mut self, now: Time, id: Id, wake: Wake) {
        let found = self.servers.get_mut(id);
        if let Some(server) = found.filter(|it| !it.refuse_once || wake != Wake::TimerG) {
            server.repeating = Some(self.alarms.repeat(now, wake, id, server.repeats));
            server.repeats = server.repeats.saturating_add(1);
        }
    }

    fn stop_repeating_answer(&mut self, id: Id) {
        let key = self
            .servers
            .get_mut(id)
            .and_then(|server| server.repeating.take());
        if let Some(key) = key {
            self.alarms.cancel(key);
        }
    }

    fn forget_answer(&mut self, id: Id) {
        let last = self
            .servers
            .get_mut(id)
            .and_then(|server| server.last.take());
        if let Some(last) = last {
            self.pool.release(last);
        }
    }

    fn after_answer(&mut self, id: Id, code: u16) {
        if code >= 200 {
            self.keep_only_key(id);
        }
        if code >= 300 {
            // It is over for its sender, who may try another target or address with the same request and a new
            // branch, and come here again: sequential search of a proxy (RFC 3261 16.7), RFC 3263 4.3.
            self.servers.forget_identity(id);
        }
    }

    /// After the final response no other will be printed, so the head can go.
    fn keep_only_key(&mut self, id: Id) {
        let Some(server) = self.servers.get_mut(id) else {
            return;
        };
        let key = self.pool.store(server.key());
        self.pool.release(std::mem::replace(&mut server.kept, key));
    }

    fn remove_server(&mut self, id: Id) {
        self.stop_repeating_answer(id);
        let Some(server) = self.servers.remove(id) else {
            return;
        };
        self.pool.release(server.kept);
        if let Some(last) = server.last {
            self.pool.release(last);
        }
    }
}
