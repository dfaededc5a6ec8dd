//! `TransformEarlyToFinal`: a caller without early media gets the first 18x with SDP as its 200.
//!
//! Here is what such a call remembers and how the two halves of it, one answered and one not, end. The
//! callee's answers are in `answers`, requests of either side while the callee is early in `requests`,
//! the re-INVITE that tells the caller of another session in `reoffer`. Once the callee has answered and
//! the caller knows its session, the call is like any other and all this is forgotten.

mod answers;
mod reoffer;
mod requests;
mod session;

use stack::timer::TimerKey;
use stack::{Outbox, Time, Token};
use wire::{HeaderName, Message};

use self::reoffer::Offer;
use super::print::{self, Reason, Request};
use super::session_timer::{Sessions, TIMER};
use super::{After, Call, Refusal, Stage, changes};
use crate::core::{Core, Side};
use crate::headers::RECAST;
use crate::identity::Hidden;
use crate::local;
use crate::rdb::{CallFlow, Record};

/// What has to be remembered until both sides have the same session.
#[derive(Debug, Default)]
pub(in crate::call) struct EarlyFinal {
    /// The caller insists on reliable provisionals (Require: 100rel). It gets none that is not, and so
    /// none at all before its 200.
    mute: bool,
    /// The caller understands UPDATE.
    caller_updates: bool,
    /// The answer the caller was given.
    given: Option<Given>,
    /// `maxCallDuration`, while the call's own alarm waits for the callee's answer.
    duration: Option<TimerKey>,
    /// The session of the callee's 2xx, which the caller does not know yet.
    offer: Option<Offer>,
    /// When that is tried again.
    again: Option<TimerKey>,
    /// What other early dialogs said of their sessions: the last 18x of each, as it came.
    others: Vec<Other>,
}

/// An 18x with SDP of an early dialog whose session the caller does not have. Its 2xx may say no more.
#[derive(Debug)]
struct Other {
    tag: Box<[u8]>,
    message: Box<[u8]>,
}

/// The 18x that became a 200.
#[derive(Debug)]
struct Given {
    /// The early dialog it came from: the callee's To tag.
    tag: Box<[u8]>,
    /// Its session description.
    session: Box<[u8]>,
    /// The caller's ACK has come.
    acked: bool,
    /// The callee understands UPDATE.
    allows_update: bool,
    /// The answer was reliable and the callee knows that it arrived: an UPDATE may offer another (RFC
    /// 3311 5.1).
    negotiated: bool,
    /// An UPDATE has changed the session since.
    updated: bool,
}

/// A delayed offer cannot be transformed: the caller's answer to the callee's offer would come in the
/// ACK of a 200 that the callee has not sent.
pub(crate) fn check_offer(request: &Message<'_>, agent: &[u8]) -> Result<(), Refusal> {
    if request.has_sdp() {
        return Ok(());
    }
    Err(Refusal {
        extra: local::warning(agent, "399", "An offer is needed in the INVITE"),
        ..Refusal::code(488)
    })
}

/// The INVITE to the callee: whatever the caller supports, the router does 100rel, and nobody refreshes
/// the session for a caller that never sees the callee's Session-Expires.
pub(in crate::call) fn print_invite(
    request: &Request<'_>,
    out: &mut Vec<u8>,
    original: &Message<'_>,
    tag: &Token,
    sessions: Option<&Sessions>,
    hidden: Option<&Hidden>,
    body: &[u8],
) {
    let mut options = Vec::with_capacity(64);
    options.extend_from_slice(b"Supported: 100rel\r\n");
    let own = ["100rel", TIMER];
    print::options_but(
        &mut options,
        "Supported",
        original,
        HeaderName::Supported,
        &own,
    );
    let changes = changes::of_invite(original, sessions, hidden, false, &RECAST);
    let (lines, policy) = changes.unwrap_or((Vec::new(), RECAST));
    options.extend_from_slice(&lines);
    request.print_passing(out, original, Some(tag), &options, body, &policy);
}

impl EarlyFinal {
    pub(in crate::call) fn of(record: &Record, invite: &Message<'_>) -> Option<Box<EarlyFinal>> {
        (record.flow == CallFlow::TransformEarlyToFinal).then(|| {
            Box::new(EarlyFinal {
                mute: invite.requires("100rel"),
                caller_updates: allows_update(invite),
                ..EarlyFinal::default()
            })
        })
    }
}

/// RFC 3311 4: who understands UPDATE lists it in Allow.
pub(in crate::call) fn allows_update(message: &Message<'_>) -> bool {
    message
        .values(HeaderName::Allow)
        .any(|method| method == b"UPDATE")
}

/// Questions.
impl Call {
    fn given(&self) -> Option<&Given> {
        self.early.as_ref()?.given.as_ref()
    }

    fn given_mut(&mut self) -> Option<&mut Given> {
        self.early.as_mut()?.given.as_mut()
    }

    /// The flow transforms, and the callee has not answered.
    pub(in crate::call) fn is_transforming(&self) -> bool {
        self.stage == Stage::Calling && self.early.is_some()
    }

    /// The caller has its 200, and the callee has not answered.
    pub(in crate::call) fn is_early(&self) -> bool {
        self.stage == Stage::Calling && self.given().is_some()
    }

    /// The early 200 went to the caller, and its ACK has not come.
    pub(in crate::call) fn early_200_waits(&self) -> bool {
        matches!(self.stage, Stage::Calling | Stage::Answered)
            && self.given().is_some_and(|given| !given.acked)
    }
}

/// Ends.
impl Call {
    /// BYE for a caller that thinks its call answered, as soon as it has ACKed the 200.
    pub(in crate::call) fn end_early_caller(
        &mut self,
        core: &mut Core,
        now: Time,
        reason: &Reason,
        out: &mut Outbox,
    ) {
        core.counters.calls_ended += 1;
        self.settle_invites(core, now, out);
        if self.unacked {
            self.owed_bye = Some(Box::new(reason.clone()));
        } else {
            self.send_own_bye(core, now, Side::Caller, reason, out);
        }
    }

    /// The callee has refused, or nothing reaches it: only the caller is left to be told.
    pub(in crate::call) fn end_failed_early(
        &mut self,
        core: &mut Core,
        now: Time,
        reason: &Reason,
        out: &mut Outbox,
    ) -> After {
        self.end_early_caller(core, now, reason, out);
        self.end_media(core, now);
        self.when_callee_is_over(core)
    }

    /// The caller's BYE has been answered; to the callee it is a CANCEL.
    pub(in crate::call) fn leave_early(
        &mut self,
        core: &mut Core,
        now: Time,
        bye: &Message<'_>,
        out: &mut Outbox,
    ) -> After {
        core.counters.calls_ended += 1;
        self.settle_invites(core, now, out);
        let mut reason = Reason::of(bye);
        if reason.is_empty() {
            reason = Reason::q850(16, "Normal Call Clearing");
        }
        self.cancel_callee(core, now, &reason, out)
    }

    /// The callee's INVITE has its final answer and left no dialog. A caller that was given an early
    /// answer may still be owed a BYE, or owe an ACK.
    pub(in crate::call) fn when_callee_is_over(&mut self, core: &mut Core) -> After {
        if self.given().is_none() {
            return After::Remove;
        }
        self.release_forks(core);
        self.stop_alarms(core);
        self.stage = Stage::Ending;
        self.when_over()
    }

    pub(in crate::call) fn stop_early_alarms(&mut self, core: &mut Core) {
        if let Some(early) = &mut self.early {
            core.disarm(&mut early.duration);
            core.disarm(&mut early.again);
        }
    }

    /// Notes that `maxCallDuration` is over; false when the call's own alarm kept it.
    pub(in crate::call) fn forget_early_duration(&mut self) -> bool {
        let early = self.early.as_mut();
        early.is_some_and(|early| early.duration.take().is_some())
    }
}
