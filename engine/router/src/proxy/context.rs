//! The response context (RFC 3261 16.2): one request, the branches it was forwarded on, the targets not
//! tried yet, and what has been heard so far. It ends with the final response that goes back; what comes
//! later is the transactions' own business.

use std::time::Duration;

use smallvec::SmallVec;
use stack::pool::Block;
use stack::timer::TimerKey;
use stack::{ClientId, Flow, Outbox, ServerId, Time};
use wire::{Index, Limits, Message, Method};

use super::admission::Admitted;
use super::back::Heard;
use super::best::Best;
use super::onward::{Kind, Onward};
use super::path::Path;
use super::redirection;
use crate::call::{After, Reason, Refusal};
use crate::calls::CallId;
use crate::core::{Alarm, Core, Purpose, User};
use crate::rdb::BRANCHES_MAX;

/// A request that was kept was within the limits when it came.
const KEPT_LIMITS: Limits = Limits {
    headers_max: usize::MAX,
    header_bytes_max: usize::MAX,
    start_line_bytes_max: usize::MAX,
};

/// A URI of the target set.
pub(super) type TargetUri = SmallVec<[u8; 64]>;

/// A target that was not tried yet.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) uri: TargetUri,
    /// Its preference: candidates of one value are tried at once.
    pub(super) q: u16,
}

/// The targets of a request in the order they are tried.
pub(super) type Candidates = SmallVec<[Candidate; 1]>;

/// A client transaction of the context.
#[derive(Debug)]
struct Branch {
    client: ClientId,
    /// Its part of the Max-Breadth.
    breadth: u32,
    timer_c: Option<TimerKey>,
    /// A provisional response other than 100 came.
    heard: bool,
    /// It was told to stop because it took too long.
    given_up: bool,
    /// It has its final response, or none will be waited for.
    over: bool,
}

/// What the route asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) no_answer: Option<Duration>,
    pub(super) no_18x: Option<Duration>,
    pub(super) recurse: bool,
    pub(super) kind: Kind,
}

/// A request that makes a context.
#[derive(Debug)]
pub(super) struct New<'a, 'p> {
    pub(super) id: CallId,
    pub(super) server: ServerId,
    pub(super) source: Flow,
    pub(super) request: &'a Message<'a>,
    pub(super) path: &'a Path<'p>,
    pub(super) admitted: Admitted,
    pub(super) candidates: Candidates,
    pub(super) terms: Terms,
}

/// A request on its way through the proxy.
#[derive(Debug)]
pub(crate) struct ResponseContext {
    id: CallId,
    server: ServerId,
    source: Flow,
    is_invite: bool,
    branches: SmallVec<[Branch; 2]>,
    waiting: Candidates,
    /// The request as it came, while there may be another branch.
    kept: Option<Block>,
    /// What was tried or waits, for redirections in a circle.
    known: Vec<TargetUri>,
    best: Best,
    terms: Terms,
    admitted: Admitted,
    no_answer: Option<TimerKey>,
    no_18x: Option<TimerKey>,
    /// The client has cancelled its INVITE.
    cancelled: bool,
}

/// Beginning.
impl ResponseContext {
    /// Forwards the request to the targets that come first.
    ///
    /// # Errors
    /// How to answer when no target could be tried.
    pub(super) fn start(
        core: &mut Core,
        now: Time,
        new: New<'_, '_>,
        out: &mut Outbox,
    ) -> Result<ResponseContext, Refusal> {
        let recurse = new.terms.recurse;
        let may_go_on = recurse || new.candidates.len() > 1;
        let uris = new.candidates.iter().map(|candidate| candidate.uri.clone());
        let mut context = ResponseContext {
            id: new.id,
            server: new.server,
            source: new.source,
            is_invite: new.request.method() == Method::Invite,
            branches: SmallVec::new(),
            known: uris.filter(|_| recurse).collect(),
            waiting: new.candidates,
            kept: may_go_on.then(|| core.pool.store(new.request.bytes())),
            best: Best::default(),
            terms: new.terms,
            admitted: new.admitted,
            no_answer: None,
            no_18x: None,
            cancelled: false,
        };
        while !context.is_pending() && !context.waiting.is_empty() {
            context.step(core, now, new.request, new.path, out);
        }
        if context.is_pending() {
            let user = User {
                call: context.id,
                purpose: Purpose::Context,
            };
            core.transactions.set_server_user(context.server, user);
            Ok(context)
        } else {
            let best = std::mem::take(&mut context.best);
            context.release(core);
            Err(best.into_refusal(core))
        }
    }

    /// Tries the next targets of one preference.
    fn step(
        &mut self,
        core: &mut Core,
        now: Time,
        request: &Message<'_>,
        path: &Path<'_>,
        out: &mut Outbox,
    ) {
        let q = self.waiting.first().map_or(0, |candidate| candidate.q);
        let equal = self.waiting.iter().take_while(|next| next.q == q).count();
        let group: Candidates = self.waiting.drain(..equal).collect();
        let breadth = self.admitted.breadth;
        if self.fork(core, now, (request, path), group, breadth, out) {
            self.arm_step(core, now);
        } else {
            // RFC 5393 5.3.3: these targets were meant to be tried at once, and may not be.
            self.best.consider_own(core, 440, self.cancelled);
        }
    }

    /// Forwards the request to all of these, which share a breadth among them; false when it is too small.
    fn fork(
        &mut self,
        core: &mut Core,
        now: Time,
        (request, path): (&Message<'_>, &Path<'_>),
        group: Candidates,
        breadth: u32,
        out: &mut Outbox,
    ) -> bool {
        let width = group.len() as u32;
        let (Some(share), Some(mut left)) =
            (breadth.checked_div(width), breadth.checked_rem(width))
        else {
            return true;
        };
        if share == 0 {
            return false;
        }
        core.counters.proxied_branches += u64::from(width);
        for candidate in group {
            let share = share + u32::from(left > 0);
            left = left.saturating_sub(1);
            self.try_target(core, now, (request, path), &candidate.uri, share, out);
        }
        true
    }

    fn try_target(
        &mut self,
        core: &mut Core,
        now: Time,
        (request, path): (&Message<'_>, &Path<'_>),
        uri: &[u8],
        breadth: u32,
        out: &mut Outbox,
    ) {
        let Ok(index) = u8::try_from(self.branches.len()) else {
            return;
        };
        let admitted = Admitted {
            breadth,
            ..self.admitted
        };
        let onward = Onward::new(request, self.source, path, uri, self.terms.kind, admitted);
        let user = User {
            call: self.id,
            purpose: Purpose::Branch(self.server, index),
        };
        match onward.send(core, now, user, out) {
            Ok(client) => self.branches.push(Branch {
                client,
                breadth,
                timer_c: self.arm_timer_c(core, now, index),
                heard: false,
                given_up: false,
                over: false,
            }),
            Err(unsent) => {
                let code = unsent.code();
                self.best
                    .consider_unsent(core, code, unsent.into(), self.cancelled);
            }
        }
    }

    /// RFC 3261 16.6 step 11.
    fn arm_timer_c(&self, core: &mut Core, now: Time, index: u8) -> Option<TimerKey> {
        let after = self.is_invite.then_some(core.timers.ringing);
        core.arm(now, self.id, Alarm::TimerC(index), after)
    }

    /// `noAnswerTimeout` and `no18xTimeout` hold for each step of a serial fork, and are of calls: no other
    /// request rings, and its transaction ends by itself (RFC 3261 17.1.2.2).
    fn arm_step(&mut self, core: &mut Core, now: Time) {
        self.disarm_step(core);
        if !self.is_invite {
            return;
        }
        self.no_answer = core.arm(now, self.id, Alarm::NoAnswer, self.terms.no_answer);
        self.no_18x = core.arm(now, self.id, Alarm::No18x, self.terms.no_18x);
    }

    fn disarm_step(&mut self, core: &mut Core) {
        core.disarm(&mut self.no_answer);
        core.disarm(&mut self.no_18x);
    }

    fn is_pending(&self) -> bool {
        self.branches.iter().any(|branch| !branch.over)
    }
}

/// What comes.
impl ResponseContext {
    pub(crate) fn id(&self) -> CallId {
        self.id
    }

    /// A response on a branch (RFC 3261 16.7).
    pub(super) fn on_response(
        &mut self,
        core: &mut Core,
        now: Time,
        index: u8,
        heard: Heard<'_, '_>,
        out: &mut Outbox,
    ) -> After {
        match heard.code() {
            ..200 => self.on_provisional(core, now, index, heard, out),
            200..300 => return self.on_success(core, now, heard, out),
            code => {
                if let Some(branch) = self.close(core, index) {
                    self.on_failure(core, now, branch, heard, out);
                    self.after_failure(core, now, code, out);
                    return self.proceed(core, now, out);
                }
            }
        }
        After::Keep
    }

    /// RFC 3261 16.7 steps 2 and 5: any but 100, of whatever early dialog, goes back at once.
    fn on_provisional(
        &mut self,
        core: &mut Core,
        now: Time,
        index: u8,
        heard: Heard<'_, '_>,
        out: &mut Outbox,
    ) {
        let place = usize::from(index);
        let Some(branch) = self.branches.get_mut(place).filter(|branch| !branch.over) else {
            return;
        };
        branch.heard = true;
        core.disarm(&mut branch.timer_c);
        let timer_c = self.arm_timer_c(core, now, index);
        if let Some(branch) = self.branches.get_mut(place) {
            branch.timer_c = timer_c;
        }
        core.disarm(&mut self.no_18x);
        heard.forward(core, now, self.server, out);
    }

    /// RFC 3261 16.7 steps 5 and 10: it goes back at once, and the others are cancelled.
    fn on_success(
        &mut self,
        core: &mut Core,
        now: Time,
        heard: Heard<'_, '_>,
        out: &mut Outbox,
    ) -> After {
        heard.forward(core, now, self.server, out);
        let reason = Reason::sip(200, "Call completed elsewhere");
        self.cancel_pending(core, now, &reason, out);
        After::Remove
    }

    fn on_failure(
        &mut self,
        core: &mut Core,
        now: Time,
        (breadth, given_up): (u32, bool),
        heard: Heard<'_, '_>,
        out: &mut Outbox,
    ) {
        match heard.code() {
            // It was the time that ended it, not the callee.
            487 if given_up => self.best.consider_own(core, 408, self.cancelled),
            300..=302 if self.terms.recurse && !self.cancelled => {
                self.redirect(core, now, breadth, heard, out);
            }
            _ => self.best.consider(core, heard, self.cancelled),
        }
    }

    /// RFC 3261 16.7 step 5: a 6xx goes for all; no further target is tried.
    fn after_failure(&mut self, core: &mut Core, now: Time, code: u16, out: &mut Outbox) {
        if code >= 600 {
            self.waiting.clear();
            let reason = Reason::sip(code, "Declined elsewhere");
            self.cancel_pending(core, now, &reason, out);
        }
    }

    /// The branch will get no response: nobody answered (408), or nobody could be reached (503).
    pub(super) fn on_failed(
        &mut self,
        core: &mut Core,
        now: Time,
        index: u8,
        code: u16,
        out: &mut Outbox,
    ) -> After {
        if self.close(core, index).is_none() {
            return After::Keep;
        }
        // RFC 3261 9.1: cancelled by the client, it ended without saying so.
        let code = if self.cancelled { 487 } else { code };
        self.best.consider_own(core, code, self.cancelled);
        self.proceed(core, now, out)
    }

    /// The client cancels (RFC 3261 16.10). Its INVITE is answered with what the branches say to that.
    pub(crate) fn on_cancel(
        &mut self,
        core: &mut Core,
        now: Time,
        cancel: &Message<'_>,
        out: &mut Outbox,
    ) {
        self.cancelled = true;
        self.waiting.clear();
        self.disarm_step(core);
        self.cancel_pending(core, now, &Reason::of(cancel), out);
    }

    pub(crate) fn on_alarm(
        &mut self,
        core: &mut Core,
        now: Time,
        alarm: Alarm,
        out: &mut Outbox,
    ) -> After {
        match alarm {
            Alarm::TimerC(index) => self.give_up(core, now, usize::from(index), out),
            Alarm::NoAnswer => {
                self.no_answer = None;
                self.give_up_all(core, now, out);
            }
            Alarm::No18x => {
                self.no_18x = None;
                self.give_up_all(core, now, out);
            }
            _ => return After::Keep,
        }
        self.proceed(core, now, out)
    }

    fn give_up_all(&mut self, core: &mut Core, now: Time, out: &mut Outbox) {
        for index in 0..self.branches.len() {
            self.give_up(core, now, index, out);
        }
    }

    /// RFC 3261 16.8: who was heard of gets a CANCEL, and its final response is waited for; who was not, as
    /// if it had answered 408.
    fn give_up(&mut self, core: &mut Core, now: Time, index: usize, out: &mut Outbox) {
        let branches = self.branches.get_mut(index);
        let Some(branch) = branches.filter(|branch| !branch.over) else {
            return;
        };
        core.disarm(&mut branch.timer_c);
        branch.given_up = true;
        branch.over = !branch.heard;
        let (client, over) = (branch.client, branch.over);
        if self.is_invite {
            let reason = Reason::sip(408, "No answer");
            core.transactions
                .cancel(now, client, reason.as_bytes(), out);
        }
        if over {
            self.best.consider_own(core, 408, self.cancelled);
        }
    }

    /// The operator ends everything.
    pub(crate) fn end_now(&mut self, core: &mut Core, now: Time, out: &mut Outbox) -> After {
        self.cancel_pending(core, now, &Reason::q850(41, "Router Shutdown"), out);
        core.refuse(now, self.server, 503, b"", out);
        After::Remove
    }
}

/// What follows.
impl ResponseContext {
    /// Notes that a branch has ended; its breadth, and whether it had been given up. `None` when that was
    /// known.
    fn close(&mut self, core: &mut Core, index: u8) -> Option<(u32, bool)> {
        let branch = self.branches.get_mut(usize::from(index))?;
        core.disarm(&mut branch.timer_c);
        let was_over = std::mem::replace(&mut branch.over, true);
        (!was_over).then_some((branch.breadth, branch.given_up))
    }

    /// RFC 3261 16.7 step 10: CANCEL for every branch without a final response.
    fn cancel_pending(&mut self, core: &mut Core, now: Time, reason: &Reason, out: &mut Outbox) {
        if !self.is_invite {
            return;
        }
        for branch in self.branches.iter_mut().filter(|branch| !branch.over) {
            core.disarm(&mut branch.timer_c);
            let extra = reason.as_bytes();
            core.transactions.cancel(now, branch.client, extra, out);
        }
    }

    /// When nothing is pending the next targets are tried; when there are none the best response goes back.
    fn proceed(&mut self, core: &mut Core, now: Time, out: &mut Outbox) -> After {
        if self.is_pending() {
            return After::Keep;
        }
        if !self.waiting.is_empty() && self.branches.len() < BRANCHES_MAX {
            self.with_request(core, |context, core, request, path| {
                while !context.is_pending() && !context.waiting.is_empty() {
                    context.step(core, now, request, path, out);
                }
            });
            if self.is_pending() {
                return After::Keep;
            }
        }
        self.best.send(core, now, self.server, out);
        After::Remove
    }

    /// Does something that needs the request as it came.
    fn with_request(
        &mut self,
        core: &mut Core,
        act: impl FnOnce(&mut ResponseContext, &mut Core, &Message<'_>, &Path<'_>),
    ) {
        let Some(kept) = self.kept.take() else {
            return;
        };
        let mut index = Index::new();
        if let Ok(request) = Message::parse(kept.as_slice(), &mut index, &KEPT_LIMITS) {
            let path = Path::of(core, &request);
            act(self, core, &request, &path);
        }
        self.kept = Some(kept);
    }

    /// RFC 3261 16.7 step 4: the Contacts join the target set and are not told the client. The most
    /// preferred are tried at once, with the breadth of the branch that was redirected; the others wait.
    fn redirect(
        &mut self,
        core: &mut Core,
        now: Time,
        breadth: u32,
        heard: Heard<'_, '_>,
        out: &mut Outbox,
    ) {
        let room = BRANCHES_MAX.saturating_sub(self.branches.len() + self.waiting.len());
        let found = redirection::contacts(heard.response, &mut self.known, room);
        redirection::hold_rest(core, &mut self.best, heard, &found.rest, self.cancelled);
        let mut found = found.candidates;
        let Some(q) = found.first().map(|candidate| candidate.q) else {
            return;
        };
        core.counters.proxied_recursions += 1;
        let equal = found.iter().take_while(|next| next.q == q).count();
        let group: Candidates = found.drain(..equal.min(breadth as usize)).collect();
        self.waiting.insert_many(0, found);
        self.with_request(core, |context, core, request, path| {
            context.fork(core, now, (request, path), group, breadth, out);
        });
        self.arm_step(core, now);
    }

    /// Gives back everything the context holds.
    pub(crate) fn release(mut self, core: &mut Core) {
        self.disarm_step(core);
        for branch in &mut self.branches {
            core.disarm(&mut branch.timer_c);
        }
        self.best.release(core);
        if let Some(kept) = self.kept.take() {
            core.pool.release(kept);
        }
    }
}
