//! Subscriptions that a SUBSCRIBE or REFER outside any dialog has made (RFC 6665, RFC 3515): NOTIFYs from the
//! notifier to the subscriber, refreshes the other way, each leg with its own identity and numbers. What
//! is notified is between the two ends.

use std::time::Duration;

use stack::dialog::Dialog;
use stack::timer::TimerKey;
use stack::{ClientId, Flow, Outbox, ServerId, Time, Token};
use wire::{HeaderName, Message, Method};

use super::outgoing::Outgoing;
use super::pair::{Pair, leg, requested};
use super::pass;
use crate::call::{After, Leg, MAX_FORWARDS, Own, Refusal, max_forwards};
use crate::calls::CallId;
use crate::core::{Alarm, Core, Purpose, Side, User};
use crate::identity;
use crate::steer::Crossed;
use crate::transfer::{declines_subscription, passing_body};

/// Notifiers one SUBSCRIBE may reach by forking; NOTIFYs of others get 481, as RFC 6665 5.4.9 has a subscriber
/// do that wants but one.
const PAIRS_MAX: usize = 8;

/// What has a place in a subscription. Another usage of its dialog (RFC 5057), a call or a REFER, would need
/// more than is kept of it.
const SERVED: [Method; 5] = [
    Method::Subscribe,
    Method::Notify,
    Method::Info,
    Method::Message,
    Method::Options,
];
const ALLOW: &[u8] = b"Allow: SUBSCRIBE, NOTIFY, INFO, MESSAGE, OPTIONS\r\n";

/// A subscriber and the notifiers its request has reached. The subscriber stands where a call has its
/// caller.
#[derive(Debug)]
pub(crate) struct Subscription {
    id: CallId,
    shard: u8,
    /// The random parts of our tags: towards the subscriber, for the first notifier, and towards all notifiers.
    secrets: [u64; 2],
    /// The legs as the first request has made them, from which each pair has its own.
    subscriber: Leg,
    notifier: Leg,
    pairs: Vec<Pair>,
    /// The first request's transaction.
    server: ServerId,
    answered: bool,
    /// RFC 6665 4.1.2.4, timer N: until then further notifiers may appear.
    forks_until: Time,
    requested: Duration,
    /// The Event lines of the SUBSCRIBE; empty for REFER.
    event: Vec<u8>,
    alarm: Option<TimerKey>,
}

/// 64*T1: RFC 6665's timer N, and how long is waited beyond what was granted.
fn grace(core: &Core) -> Duration {
    core.timers.stack.t1 * 64
}

/// Beginning.
impl Subscription {
    /// Sends the request to the notifier.
    ///
    /// # Errors
    /// The answer to a request that is not passed on.
    pub(super) fn start(
        core: &mut Core,
        now: Time,
        id: CallId,
        outgoing: &Outgoing<'_, '_>,
        out: &mut Outbox,
    ) -> Result<Subscription, Refusal> {
        let secrets = [core.random.next_u64(), core.random.next_u64()];
        let [near, far] = secrets.map(|random| id.token(core.shard, random));
        let subscriber = Dialog::uas(outgoing.request, &near.tag_text(), &mut core.pool)?;
        let notifier = match outgoing.dialog(core, &far) {
            Ok(dialog) => dialog,
            Err(error) => {
                subscriber.release(&mut core.pool);
                return Err(error.into());
            }
        };
        let lines = outgoing.request.lines(HeaderName::Event);
        let mut subscription = Subscription {
            id,
            shard: core.shard,
            secrets,
            subscriber: leg(subscriber, outgoing.source),
            notifier: leg(notifier, outgoing.flow()),
            pairs: Vec::new(),
            server: outgoing.server,
            answered: false,
            forks_until: now + grace(core),
            requested: requested(outgoing.request),
            event: lines.flat_map(|header| header.line).copied().collect(),
            alarm: None,
        };
        let user = User {
            call: id,
            purpose: Purpose::Subscribe(outgoing.server),
        };
        let dialog = &mut subscription.notifier.dialog;
        match outgoing.send(core, now, dialog, user, Some(&far), out) {
            Ok(_) => Ok(subscription),
            Err(refusal) => {
                subscription.release(core);
                Err(refusal)
            }
        }
    }

    /// The notifier's name has an address.
    pub(super) fn notifier_found(&mut self, flow: Flow) {
        self.notifier.peer = flow;
    }

    pub(crate) fn id(&self) -> CallId {
        self.id
    }

    /// Gives back everything it holds.
    pub(crate) fn release(mut self, core: &mut Core) {
        core.disarm(&mut self.alarm);
        for pair in self.pairs {
            pair.release(&mut core.pool);
        }
        self.subscriber.dialog.release(&mut core.pool);
        self.notifier.dialog.release(&mut core.pool);
    }
}

/// Who is who.
impl Subscription {
    fn token(&self, secret: u64) -> Token {
        self.id.token(self.shard, secret)
    }

    /// Our tag towards this side, in the dialog of this pair.
    fn tag(&self, side: Side, pair: &Pair) -> Token {
        let [_, far] = self.secrets;
        match side {
            Side::Caller => self.token(pair.secret),
            Side::Callee => self.token(far),
        }
    }

    /// Which side sent this request, if any (RFC 3261 12.2.2). Of a notifier the tag may be new.
    pub(crate) fn side_of(&self, request: &Message<'_>, tag: &Token) -> Option<Side> {
        let [_, far] = self.secrets;
        let (leg, side) = match *tag == self.token(far) {
            true => (&self.notifier, Side::Callee),
            false => (&self.subscriber, Side::Caller),
        };
        let from = request.from_tag().unwrap_or_default();
        let known = match side {
            Side::Callee => !from.is_empty(),
            Side::Caller => {
                let ours = |pair: &Pair| self.token(pair.secret) == *tag;
                self.pairs.iter().any(ours) && leg.dialog.remote_tag() == from
            }
        };
        (known && leg.dialog.call_id() == request.call_id()).then_some(side)
    }

    /// The pair with this tag of the notifier.
    fn of_notifier(&self, tag: &[u8]) -> Option<usize> {
        let has = |pair: &Pair| pair.notifier.dialog.remote_tag() == tag;
        self.pairs.iter().position(has)
    }

    /// The pair with this tag of ours towards the subscriber.
    fn of_subscriber(&self, tag: &[u8]) -> Option<usize> {
        let tag = Token::parse_tag(tag)?;
        let has = |pair: &Pair| self.token(pair.secret) == tag;
        self.pairs.iter().position(has)
    }

    /// The pair that a request of this side belongs to.
    fn of_request(&self, side: Side, request: &Message<'_>) -> Option<usize> {
        match side {
            Side::Caller => self.of_subscriber(request.to_tag()?),
            Side::Callee => self.of_notifier(request.from_tag()?),
        }
    }

    /// The pair that a response to a request of this side belongs to.
    fn of_response(&self, from: Side, response: &Message<'_>) -> Option<usize> {
        match from {
            Side::Caller => self.of_notifier(response.to_tag()?),
            Side::Callee => self.of_subscriber(response.from_tag()?),
        }
    }

    /// A new pair, with the notifier's dialog as it was made by what the notifier has sent.
    fn add(&mut self, core: &mut Core, now: Time, notifier: Dialog) -> Option<usize> {
        let [near, _] = self.secrets;
        let secret = match self.pairs.is_empty() {
            true => near,
            // The subscriber sees each notifier as a dialog of its own.
            false => core.random.next_u64(),
        };
        let tag = self.token(secret).tag_text();
        let subscriber = self.subscriber.dialog.under_tag(&tag, &mut core.pool);
        let Ok(subscriber) = subscriber else {
            notifier.release(&mut core.pool);
            return None;
        };
        let subscriber = (secret, leg(subscriber, self.subscriber.peer));
        let notifier = leg(notifier, self.notifier.peer);
        let pair = Pair::new(now, subscriber, notifier, self.requested, grace(core));
        self.pairs.push(pair);
        Some(self.pairs.len() - 1)
    }
}

/// Requests inside.
impl Subscription {
    /// A request of this side.
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
    ) -> After {
        match self.admit(core, now, side, request) {
            Ok((at, hops)) => {
                if let Some(pair) = self.pairs.get_mut(at) {
                    pair.leg_mut(side).peer = source;
                }
                self.forward(core, now, (side, server), at, request, hops, out)
            }
            Err(code) => {
                let extra = if code == 405 { ALLOW } else { b"" };
                core.refuse(now, server, code, extra, out);
                After::Keep
            }
        }
    }

    /// The pair the request belongs to and how many hops it has left, or the code to refuse it with.
    fn admit(
        &mut self,
        core: &mut Core,
        now: Time,
        side: Side,
        request: &Message<'_>,
    ) -> Result<(usize, u32), u16> {
        if !SERVED.contains(&request.method()) {
            return Err(405);
        }
        let known = self.of_request(side, request);
        let at = match known {
            Some(at) => at,
            None => self
                .on_new_notifier(core, now, side, request)
                .ok_or(481_u16)?,
        };
        let pair = self.pairs.get_mut(at).filter(|pair| !pair.has_ended());
        let dialog = &mut pair.ok_or(481_u16)?.leg_mut(side).dialog;
        let cseq = request.cseq().map_err(|_| 400_u16)?.number;
        // RFC 3261 12.2.2: a number that is not above the last is out of order.
        dialog.receive_cseq(cseq).map_err(|_| 500_u16)?;
        let hops = max_forwards(request).ok_or(483_u16)?;
        Ok((at, hops))
    }

    /// RFC 6665 4.4.1: a NOTIFY makes a dialog, be it before the answer to the SUBSCRIBE or from another fork.
    fn on_new_notifier(
        &mut self,
        core: &mut Core,
        now: Time,
        side: Side,
        request: &Message<'_>,
    ) -> Option<usize> {
        let notifies = side == Side::Callee && request.method() == Method::Notify;
        if !notifies || now > self.forks_until || self.pairs.len() >= PAIRS_MAX {
            return None;
        }
        let dialog = self.notifier.dialog.notified(request, &mut core.pool);
        self.add(core, now, dialog.ok()?)
    }

    #[expect(clippy::too_many_arguments, reason = "a request and its surroundings")]
    fn forward(
        &mut self,
        core: &mut Core,
        now: Time,
        (side, server): (Side, ServerId),
        at: usize,
        request: &Message<'_>,
        max_forwards: u32,
        out: &mut Outbox,
    ) -> After {
        let call = self.id;
        let Some(tag) = self.pairs.get(at).map(|pair| self.tag(side.other(), pair)) else {
            return After::Keep;
        };
        let Some(pair) = self.pairs.get_mut(at) else {
            return After::Keep;
        };
        let leg = pair.leg_mut(side.other());
        let sender = core.transactions.server_flow(server);
        let hidden = sender.and_then(|sender| {
            let receiver = Some(leg.peer.remote.ip());
            identity::between(core, sender.remote.ip(), receiver)?.hides(request, false)
        });
        let own = Own {
            dialog: &mut leg.dialog,
            peer: leg.peer,
            user: User {
                call,
                purpose: Purpose::Subscribed(side, server),
            },
            method: request.method(),
            max_forwards,
        };
        let contact = request.header(HeaderName::Contact).map(|_| &tag);
        let body = passing_body(request, request.body());
        let sent = own.send(
            core,
            now,
            |printed, out| printed.print_veiled(out, request, contact, hidden.as_ref(), body),
            out,
        );
        let Some(client) = sent else {
            core.refuse_at_transaction_limit(now, server, out);
            return After::Keep;
        };
        core.counters.relayed += 1;
        core.counters.forwarded += 1;
        pair.refresh_target(core, side, request);
        if request.method() == Method::Notify {
            pair.on_notify(now, request, client, grace(core));
        }
        self.settle(core, now)
    }
}

/// Answers, and time.
impl Subscription {
    /// The final answer to the request that was to make the subscription.
    pub(super) fn on_first_answer(
        &mut self,
        core: &mut Core,
        now: Time,
        server: ServerId,
        (source, response): (Flow, &Message<'_>),
        out: &mut Outbox,
    ) -> After {
        let at = match response.code() {
            200..300 => self.on_accepted(core, now, (source, response)),
            _ => None,
        };
        let [near, _] = self.secrets;
        let pair = at.and_then(|at| self.pairs.get_mut(at));
        let secret = pair.as_ref().map_or(near, |pair| pair.secret);
        if let Some(pair) = pair {
            pair.on_granted(now, response, grace(core));
        }
        let tag = self.token(secret);
        pass(
            core,
            now,
            server,
            &tag,
            (source, response),
            Crossed::AsIs,
            out,
        );
        match at {
            // RFC 6665 4.1.2.1: after a refusal there is nothing. RFC 4488 4: nor without a subscription.
            Some(_) if !declines_subscription(response) => self.settle(core, now),
            _ => After::Remove,
        }
    }

    /// The pair of a 2xx, which its NOTIFY may have made already.
    fn on_accepted(
        &mut self,
        core: &mut Core,
        now: Time,
        (source, response): (Flow, &Message<'_>),
    ) -> Option<usize> {
        self.answered = true;
        let known = self.of_notifier(response.to_tag()?);
        known.or_else(|| {
            let dialog = {
                let whence = format!("sip:{}", source.remote);
                let dialog = &self.notifier.dialog;
                dialog.fork(response, whence.as_bytes(), &mut core.pool)
            };
            self.add(core, now, dialog.ok()?)
        })
    }

    /// The final answer to a request of side `from` inside the subscription.
    pub(super) fn on_answer(
        &mut self,
        core: &mut Core,
        now: Time,
        (from, server): (Side, ServerId),
        (source, response): (Flow, &Message<'_>),
        out: &mut Outbox,
    ) -> After {
        let at = self.of_response(from, response);
        let tag = at.and_then(|at| self.pairs.get(at));
        let tag = tag.map_or_else(|| core.own_tag(), |pair| self.tag(from, pair));
        pass(
            core,
            now,
            server,
            &tag,
            (source, response),
            Crossed::AsIs,
            out,
        );
        let Some(pair) = at.and_then(|at| self.pairs.get_mut(at)) else {
            return After::Keep;
        };
        if (200..300).contains(&response.code()) {
            pair.refresh_target(core, from.other(), response);
            if response.method() == Method::Subscribe {
                pair.on_granted(now, response, grace(core));
            }
        }
        pair.on_answered(response.method(), response.code());
        self.settle(core, now)
    }

    /// No answer came to a request inside the subscription, or it could not be sent. A NOTIFY that times out
    /// ends it (RFC 6665 4.2.2); after a refresh that failed it lives on as long as it was granted.
    pub(super) fn on_failed(
        &mut self,
        core: &mut Core,
        now: Time,
        client: ClientId,
        code: u16,
    ) -> After {
        let notified = self.pairs.iter_mut().find(|pair| pair.waits_for(client));
        if let Some(pair) = notified
            && (code == 408 || pair.has_ended())
        {
            pair.end();
        }
        self.settle(core, now)
    }

    /// Nobody has refreshed a subscription.
    pub(crate) fn on_alarm(&mut self, core: &mut Core, now: Time) -> After {
        self.alarm = None;
        for pair in self.pairs.iter_mut().filter(|pair| pair.until() <= now) {
            core.counters.subscriptions_expired += 1;
            pair.end();
        }
        self.settle(core, now)
    }

    /// Drops what is over, and sees to the rest's end. Before the first answer a pair stays, so that the
    /// answer finds it.
    fn settle(&mut self, core: &mut Core, now: Time) -> After {
        if !self.answered {
            return After::Keep;
        }
        while let Some(at) = self.pairs.iter().position(Pair::is_over) {
            self.pairs.swap_remove(at).release(&mut core.pool);
        }
        let Some(until) = self.pairs.iter().map(Pair::until).min() else {
            return After::Remove;
        };
        core.disarm(&mut self.alarm);
        let after = Some(until.duration_since(now));
        self.alarm = core.arm(now, self.id, Alarm::Expired, after);
        After::Keep
    }

    /// The operator ends everything: both ends of each subscription are told, and nobody's answer is awaited.
    /// What a REFER has made is just forgotten: its NOTIFY would have to say how the reference went.
    pub(crate) fn end_now(&mut self, core: &mut Core, now: Time, out: &mut Outbox) -> After {
        if !self.answered {
            let retry_after = core.retry_after();
            core.refuse(now, self.server, 503, &retry_after, out);
        }
        let [_, far] = self.secrets.map(|secret| self.token(secret));
        let mut gone = self.event.clone();
        let mut unsubscribed = self.event.clone();
        gone.extend_from_slice(b"Subscription-State: terminated;reason=deactivated\r\n");
        unsubscribed.extend_from_slice(b"Expires: 0\r\n");
        let told = !self.event.is_empty();
        for pair in self
            .pairs
            .iter_mut()
            .filter(|pair| told && !pair.has_ended())
        {
            let near = self.id.token(self.shard, pair.secret);
            let notify = (Method::Notify, near, gone.as_slice());
            tell(core, now, self.id, &mut pair.subscriber, notify, out);
            let subscribe = (Method::Subscribe, far, unsubscribed.as_slice());
            tell(core, now, self.id, &mut pair.notifier, subscribe, out);
        }
        After::Remove
    }
}

/// Sends a request of the router's own whose answer nobody waits for.
fn tell(
    core: &mut Core,
    now: Time,
    call: CallId,
    leg: &mut Leg,
    (method, contact, extra): (Method, Token, &[u8]),
    out: &mut Outbox,
) {
    let own = Own {
        dialog: &mut leg.dialog,
        peer: leg.peer,
        user: User {
            call,
            purpose: Purpose::Discard,
        },
        method,
        max_forwards: MAX_FORWARDS,
    };
    let print = |printed: &crate::call::Request<'_>, out: &mut Vec<u8>| {
        printed.print_offer(out, &contact, extra, b"");
    };
    own.send(core, now, print, out);
}
