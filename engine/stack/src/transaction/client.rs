//! The client side: requests go out, responses come back to the transaction in their branch.

use std::net::SocketAddr;

use wire::{HeaderName, Message, Method, Via};

use super::client_machine::{ClientInput, ClientState, ClientStep};
use super::clients::Client;
use super::derived::{print_ack, print_cancel};
use super::table::ClientAction;
use super::{Answer, ClientId, Event, KEPT_LIMITS, Stray, Transactions, Wake};
use crate::pool::Block;
use crate::slab::Id;
use crate::timer::TimerKey;
use crate::{Flow, Outbox, Time, Token};

/// A response that names a transaction by its branch, before it is believed.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a, U> {
    /// The value given with the request.
    pub user: U,
    /// The top Via.
    pub via: &'a Via<'a>,
    /// There are further ones. Only a proxy forwards requests of others: to everyone else such a response
    /// is misrouted (RFC 3261 8.1.3.3).
    pub several: bool,
    /// The request was forwarded ([`Transactions::mark_forwarded`]): there must be further ones.
    pub forwarded: bool,
}

/// From outside.
impl<U: Copy> Transactions<U> {
    /// Takes a response in. `Some` is for the transaction user: of an INVITE every 1xx but 100, the
    /// first final, and each later 2xx whose To tag has no ACK yet; of other requests the final.
    /// Everything else is absorbed, acknowledged again, or counted as a stray.
    ///
    /// One with several Vias is a stray, as it is for every user agent (RFC 3261 8.1.3.3), unless the request
    /// was forwarded: then one without is for nobody (16.7).
    pub fn receive_response(
        &mut self,
        now: Time,
        response: &Message<'_>,
        _source: Flow,
        out: &mut Outbox,
    ) -> Option<Answer<U>> {
        let judge = |claim: &Claim<'_, U>| match claim.several == claim.forwarded {
            true => Ok(()),
            false => Err(Stray::SeveralVias),
        };
        self.receive_response_if(now, response, judge, out)
    }

    /// The same, when `judge` finds that the Vias are such as this user would get.
    pub fn receive_response_if(
        &mut self,
        now: Time,
        response: &Message<'_>,
        judge: impl FnOnce(&Claim<'_, U>) -> Result<(), Stray>,
        out: &mut Outbox,
    ) -> Option<Answer<U>> {
        let matched = self.match_response(response, judge);
        let counted = |stray| self.counters.strays.count(stray);
        let id = matched.map_err(counted).ok()?;
        let client = self.clients.get(id)?;
        let (user, is_cancel, former) = (client.user, client.is_cancel, client.state);
        let step = former.step(ClientInput::Response(response.code()));
        let pass_up = self.acknowledge_step(id, &step, response, out);
        if former.is_answered() && !pass_up {
            self.counters.repeats_received += 1;
        }
        self.apply_client(now, id, step, out);
        let first_final = step.next.is_answered() && !former.is_answered();
        let answer = Answer {
            client: ClientId(id),
            user,
            first_final,
        };
        (pass_up && !is_cancel).then_some(answer)
    }

    /// RFC 3261 17.1.3: by branch and CSeq method. A CANCEL has its INVITE's branch.
    fn match_response(
        &self,
        response: &Message<'_>,
        judge: impl FnOnce(&Claim<'_, U>) -> Result<(), Stray>,
    ) -> Result<Id, Stray> {
        let mut vias = response.values(HeaderName::Via);
        let top = vias.next().and_then(|via| Via::parse(via).ok());
        let several = vias.next().is_some();
        let named = top.as_ref().ok_or(Stray::ForeignBranch);
        let named = named.and_then(|via| Ok((via, self.named_by(via)?)));
        // Who would have accepted further Vias is not known then; they say most of where it belongs.
        let lost = |stray| if several { Stray::SeveralVias } else { stray };
        let (via, named) = named.map_err(lost)?;
        let method = response.method();
        let cancel = match method {
            Method::Cancel => self.clients.partner(named),
            _ => None,
        };
        let id = cancel.unwrap_or(named);
        let client = self.clients.get(id).ok_or(Stray::NoTransaction)?;
        let (user, forwarded) = (client.user, client.forwarded);
        judge(&Claim {
            user,
            via,
            several,
            forwarded,
        })?;
        match client.has_method_of(response, method) {
            true => Ok(id),
            false => Err(Stray::OtherMethod),
        }
    }

    fn named_by(&self, via: &Via<'_>) -> Result<Id, Stray> {
        let split = via.branch.and_then(Token::split_branch);
        let (token, mark) = split.ok_or(Stray::ForeignBranch)?;
        if token.shard != self.shard {
            return Err(Stray::OtherShard);
        }
        let id = self.clients.by_token(&token).ok_or(Stray::NoTransaction)?;
        let forwarded = self.clients.get(id).is_some_and(|client| client.forwarded);
        // Only a request that was forwarded has a mark behind the token.
        match mark.is_empty() == forwarded {
            true => Err(Stray::ForeignBranch),
            false => Ok(id),
        }
    }

    /// The request whose branch is `token`, as it was sent, or the ACK that took its place: as long as it
    /// is kept, which is until a 2xx, or a final answer to another method than INVITE.
    #[must_use]
    pub fn sent_request(&self, token: &Token) -> Option<&[u8]> {
        let id = self.clients.by_token(token)?;
        let kept = self.clients.get(id)?.kept.as_ref();
        kept.filter(|_| token.shard == self.shard)
            .map(Block::as_slice)
    }

    /// Does what a step wants with the response at hand and says whether it is for the transaction user.
    fn acknowledge_step(
        &mut self,
        id: Id,
        step: &ClientStep,
        response: &Message<'_>,
        out: &mut Outbox,
    ) -> bool {
        if step.actions.contains(&ClientAction::Reacknowledge) {
            return !self.reacknowledge(id, response, out);
        }
        if step.actions.contains(&ClientAction::Acknowledge) {
            self.acknowledge_failure(id, response, out);
        }
        step.actions.contains(&ClientAction::PassUp)
    }

    /// The network says that nothing at `remote` takes our datagrams (ICMP unreachable): every
    /// transaction that was sent there and has received nothing yet fails (RFC 3261 17.1.4).
    ///
    /// Looks at each unanswered client transaction once: in health a round trip's worth of requests.
    pub fn transport_error(&mut self, now: Time, remote: SocketAddr) {
        let mut at = self.clients.next_unanswered(None);
        while let Some(id) = at {
            at = self.clients.next_unanswered(Some(id));
            let destination = self.clients.get(id).and_then(|client| client.destination);
            if destination.is_some_and(|flow| flow.remote == remote) {
                self.drive_client(now, id, ClientInput::TransportError, &mut Outbox::new());
            }
        }
    }
}

/// Commands of the transaction user.
impl<U: Copy> Transactions<U> {
    /// Sends a request and keeps it for retransmission. `print` prints all of it, with the token's
    /// branch in its Via. `None` at the limit: nothing is printed.
    pub fn request(
        &mut self,
        now: Time,
        destination: Flow,
        method: Method,
        user: U,
        print: impl FnOnce(&mut Vec<u8>, &Token),
        out: &mut Outbox,
    ) -> Option<ClientId> {
        let (id, token) = self.open_client(now, method, user)?;
        let range = out.push(destination, |bytes| print(bytes, &token));
        let request = self.pool.store(out.bytes(range));
        if let Some(client) = self.clients.get_mut(id) {
            client.kept = Some(request);
            client.destination = Some(destination);
        }
        self.drive_client(now, id, ClientInput::Send, out);
        Some(ClientId(id))
    }

    /// Sends the INVITE that the response received last has refused once more, to where it went (RFC 3261
    /// 8.1.3.5): `print` prints it anew from its former text, as a transaction of its own. `None` when
    /// there is no such INVITE any more, after [`Transactions::handle_timeout`] for one, or at the limit.
    pub fn request_again(
        &mut self,
        now: Time,
        user: U,
        print: impl FnOnce(&mut Vec<u8>, &Message<'_>, Flow, &Token),
        out: &mut Outbox,
    ) -> Option<ClientId> {
        let (flow, text) = self.refused.take()?;
        let mut index = std::mem::take(&mut self.index);
        let invite = Message::parse(text.as_slice(), &mut index, &KEPT_LIMITS);
        let sent = invite.ok().and_then(|invite| {
            let print = |bytes: &mut Vec<u8>, token: &Token| print(bytes, &invite, flow, token);
            self.request(now, flow, Method::Invite, user, print, out)
        });
        self.index = index;
        self.pool.release(text);
        sent
    }

    /// Like [`Transactions::request`] for a destination whose name is still being resolved: prints and
    /// keeps the request and sends nothing. Timer B or F runs already.
    pub fn request_waiting(
        &mut self,
        now: Time,
        method: Method,
        user: U,
        print: impl FnOnce(&mut Vec<u8>, &Token),
        out: &mut Outbox,
    ) -> Option<ClientId> {
        let (id, token) = self.open_client(now, method, user)?;
        let request = out.scratch(|bytes| print(bytes, &token), |bytes| self.pool.store(bytes));
        if let Some(client) = self.clients.get_mut(id) {
            client.kept = Some(request);
        }
        Some(ClientId(id))
    }

    /// The request of this transaction is another's, forwarded (RFC 3261 16.6): what is printed bears a mark
    /// behind its branch's token, and its responses carry the Vias of those before us.
    pub fn mark_forwarded(&mut self, id: ClientId) {
        if let Some(client) = self.clients.get_mut(id.0) {
            client.forwarded = true;
        }
    }

    /// The name was resolved: sends the request that waited for it. Nothing when it does not wait.
    pub fn destination_found(
        &mut self,
        now: Time,
        id: ClientId,
        destination: Flow,
        out: &mut Outbox,
    ) {
        let Some(client) = self.clients.get_mut(id.0) else {
            return;
        };
        if client.state.is_waiting() && !client.is_cancel {
            client.destination = Some(destination);
            self.send_kept(id.0, out);
            self.drive_client(now, id.0, ClientInput::Send, out);
        }
    }

    /// The transaction user knows that the request cannot be delivered (its name has no address, say):
    /// the transaction is gone, without an event.
    pub fn fail(&mut self, _now: Time, id: ClientId) {
        self.remove_client(id.0);
    }

    /// Cancels an INVITE (RFC 3261 9.1), with `extra_headers` complete header lines in the CANCEL.
    ///
    /// The CANCEL waits for a provisional response. If no final response comes within 64*T1 after it,
    /// [`Event::TimedOut`] ends the transaction. An INVITE that waits for its destination ends at once,
    /// with [`Event::Failed`]. Nothing when the INVITE is answered or cancelled already.
    pub fn cancel(&mut self, now: Time, id: ClientId, extra_headers: &[u8], out: &mut Outbox) {
        let Some(client) = self.clients.get_mut(id.0) else {
            return;
        };
        if std::mem::replace(&mut client.cancelled, true) {
            return;
        }
        let step = client.state.step(ClientInput::Cancel);
        if step.actions.contains(&ClientAction::PrepareCancel) {
            self.prepare_cancel(id.0, extra_headers, out);
        }
        self.apply_client(now, id.0, step, out);
    }

    /// A fresh branch for what is no transaction. No response to it will ever match one.
    pub fn new_branch(&mut self) -> Token {
        let random = self.random.next_u64();
        let generation = self.random.next_u64() as u32;
        Token {
            shard: self.shard,
            slot: Token::SLOT_MAX,
            generation,
            random,
        }
    }

    fn open_client(&mut self, now: Time, method: Method, user: U) -> Option<(Id, Token)> {
        if self.clients.len() >= self.limits.client {
            self.counters.clients_refused += 1;
            return None;
        }
        let random = self.random.next_u64();
        let id = self.clients.insert(Client::new(method, random, user));
        self.counters.clients += 1;
        let patience = if method == Method::Invite {
            Wake::TimerB
        } else {
            Wake::TimerF
        };
        self.alarms.arm(now, patience, id);
        let generation = id.generation.get();
        Some((
            id,
            Token {
                shard: self.shard,
                slot: id.slot,
                generation,
                random,
            },
        ))
    }
}

/// Transitions.
impl<U: Copy> Transactions<U> {
    /// Lets `input` happen to a transaction; nothing when the id is stale.
    pub(super) fn drive_client(&mut self, now: Time, id: Id, input: ClientInput, out: &mut Outbox) {
        let state = self
            .clients
            .get(id)
            .map_or(ClientState::GONE, |client| client.state);
        self.apply_client(now, id, state.step(input), out);
    }

    fn apply_client(&mut self, now: Time, id: Id, step: ClientStep, out: &mut Outbox) {
        self.clients.set_state(id, step.next);
        for action in step.actions {
            self.perform_client(now, id, *action, out);
        }
        if step.next.is_terminated() {
            self.remove_client(id);
        }
    }

    fn perform_client(&mut self, now: Time, id: Id, action: ClientAction, out: &mut Outbox) {
        match action {
            ClientAction::Send
            | ClientAction::PrepareCancel
            | ClientAction::Acknowledge
            | ClientAction::Reacknowledge
            | ClientAction::PassUp => {}
            ClientAction::Resend => self.resend_kept(id, out),
            ClientAction::Arm(wake) => self.alarms.arm(now, wake, id),
            ClientAction::Repeat(wake) => self.repeat_request(now, id, wake),
            ClientAction::RepeatSlowly(wake) => {
                let key = self.alarms.repeat_slowly(now, wake, id);
                self.set_repeating(id, key);
            }
            ClientAction::StopRepeating => self.stop_repeating_request(id),
            ClientAction::SendCancel => self.send_cancel(now, id, out),
            ClientAction::DropCancel => self.drop_cancel(id),
            ClientAction::Forget => self.forget_request(id),
            ClientAction::ReportTimeout => self.report_timeout(id),
            ClientAction::ReportFailure => self.report_failure(id),
        }
    }

    fn send_kept(&mut self, id: Id, out: &mut Outbox) {
        let Some(client) = self.clients.get(id) else {
            return;
        };
        if let (Some(flow), Some(kept)) = (client.destination, &client.kept) {
            out.push_bytes(flow, kept.as_slice());
        }
    }

    fn resend_kept(&mut self, id: Id, out: &mut Outbox) {
        self.send_kept(id, out);
        match self
            .clients
            .get(id)
            .is_some_and(|client| client.state.is_answered())
        {
            true => self.counters.acks_repeated += 1,
            false => self.counters.requests_repeated += 1,
        }
    }

    fn repeat_request(&mut self, now: Time, id: Id, wake: Wake) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        let key = self.alarms.repeat(now, wake, id, client.repeats);
        client.repeats = client.repeats.saturating_add(1);
        client.repeating = Some(key);
    }

    fn set_repeating(&mut self, id: Id, key: TimerKey) {
        if let Some(client) = self.clients.get_mut(id) {
            client.repeating = Some(key);
        }
    }

    fn stop_repeating_request(&mut self, id: Id) {
        let key = self
            .clients
            .get_mut(id)
            .and_then(|client| client.repeating.take());
        if let Some(key) = key {
            self.alarms.cancel(key);
        }
    }

    fn forget_request(&mut self, id: Id) {
        let kept = self
            .clients
            .get_mut(id)
            .and_then(|client| client.kept.take());
        if let Some(kept) = kept {
            self.pool.release(kept);
        }
    }

    /// RFC 3261 17.1.1.3: acknowledges a 3xx-6xx, to where the INVITE went. The ACK takes the INVITE's
    /// place: it is what will be sent again.
    fn acknowledge_failure(&mut self, id: Id, response: &Message<'_>, out: &mut Outbox) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        let (Some(flow), Some(kept)) = (client.destination, &client.kept) else {
            return;
        };
        // RFC 3261 17.1.1.3: the To of the response; one that nobody can read is not sent on.
        let readable = response.to().ok().and(response.header(HeaderName::To));
        let invite = Message::parse(kept.as_slice(), &mut self.index, &KEPT_LIMITS);
        let print = |bytes: &mut Vec<u8>| {
            let invite = invite?;
            let to = readable.or(invite.header(HeaderName::To));
            print_ack(bytes, &invite, to.unwrap_or_default())
        };
        let mut printed = Ok(());
        let ack = out.scratch(
            |bytes| printed = print(bytes),
            |bytes| self.pool.store(bytes),
        );
        debug_assert!(
            printed.is_ok(),
            "the transaction user printed an INVITE we cannot read"
        );
        if printed.is_ok() {
            out.push_bytes(flow, ack.as_slice());
        }
        if let Some(invite) = client.kept.replace(ack) {
            self.forget_refused();
            self.refused = Some((flow, invite));
        }
    }

    pub(super) fn forget_refused(&mut self) {
        if let Some((_, invite)) = self.refused.take() {
            self.pool.release(invite);
        }
    }

    /// Makes the CANCEL of an INVITE as a transaction that waits.
    fn prepare_cancel(&mut self, id: Id, extra: &[u8], out: &mut Outbox) {
        let Some(client) = self.clients.get(id) else {
            return;
        };
        let (user, destination) = (client.user, client.destination);
        let Some(kept) = &client.kept else { return };
        let invite = Message::parse(kept.as_slice(), &mut self.index, &KEPT_LIMITS);
        let print =
            |bytes: &mut Vec<u8>| invite.and_then(|invite| print_cancel(bytes, &invite, extra));
        let mut printed = Ok(());
        let text = out.scratch(
            |bytes| printed = print(bytes),
            |bytes| self.pool.store(bytes),
        );
        debug_assert!(
            printed.is_ok(),
            "the transaction user printed an INVITE we cannot read"
        );
        let mut cancel = Client::new(Method::Cancel, self.random.next_u64(), user);
        (cancel.kept, cancel.destination) = (Some(text), destination);
        (cancel.partner, cancel.is_cancel) = (id.slot, true);
        let cancel = self.clients.insert(cancel);
        self.counters.clients += 1;
        if let Some(client) = self.clients.get_mut(id) {
            client.partner = cancel.slot;
        }
    }

    fn send_cancel(&mut self, now: Time, invite: Id, out: &mut Outbox) {
        let Some(cancel) = self.waiting_cancel(invite) else {
            return;
        };
        self.send_kept(cancel, out);
        self.drive_client(now, cancel, ClientInput::Send, out);
        self.alarms.arm(now, Wake::TimerF, cancel);
        self.alarms.arm(now, Wake::Cancel, invite);
    }

    fn drop_cancel(&mut self, invite: Id) {
        if let Some(cancel) = self.waiting_cancel(invite) {
            self.remove_client(cancel);
        }
    }

    /// The CANCEL that has not been sent yet.
    fn waiting_cancel(&self, invite: Id) -> Option<Id> {
        let cancel = self.clients.partner(invite)?;
        self.clients
            .get(cancel)
            .filter(|client| client.state.is_waiting())
            .map(|_| cancel)
    }

    fn report_timeout(&mut self, id: Id) {
        let Some(client) = self.clients.get(id).filter(|client| !client.is_cancel) else {
            return;
        };
        let (user, method) = (client.user, client.method);
        self.counters.timed_out += 1;
        self.events.push_back(Event::TimedOut {
            client: ClientId(id),
            user,
            method,
        });
    }

    fn report_failure(&mut self, id: Id) {
        let Some(client) = self.clients.get(id).filter(|client| !client.is_cancel) else {
            return;
        };
        let (user, method) = (client.user, client.method);
        self.counters.failed += 1;
        self.events.push_back(Event::Failed {
            client: ClientId(id),
            user,
            method,
        });
    }

    /// An INVITE takes its CANCEL with it.
    fn remove_client(&mut self, id: Id) {
        self.stop_repeating_request(id);
        self.forget_request(id);
        let partner = self.clients.partner(id);
        let Some(client) = self.clients.remove(id) else {
            return;
        };
        self.forget_acks(client.acks);
        if let Some(cancel) = partner.filter(|_| !client.is_cancel) {
            self.remove_client(cancel);
        }
    }
}
