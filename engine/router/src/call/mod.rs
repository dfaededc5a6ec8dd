//! A call: two dialogs and the transactions between them.
//!
//! The hub stays thin: what happens while a call is set up is in `setup` and `answers`, requests inside
//! it in `relay`, its end in `ending`, the text of its messages in `print`. Every move returns [`After`],
//! which says whether the call is still there.

mod answers;
mod changes;
mod early;
mod ending;
mod extension;
mod forked;
mod former;
mod handled;
mod media;
mod offers;
mod own;
mod print;
mod probe;
mod relay;
mod reliable;
mod session_timer;
mod setup;
mod transfer;

use std::time::Duration;

use smallvec::SmallVec;
use stack::dialog::Dialog;
use stack::timer::TimerKey;
use stack::{ClientId, Flow, ServerId, Time, Token};
use wire::{Message, Method};

use self::early::EarlyFinal;
use self::forked::Abilities;
use self::offers::Offers;
use self::reliable::Reliable;
use self::session_timer::Sessions;
use crate::calls::CallId;
use crate::core::{Alarm, Core, Side};
use crate::identity::Trust;
use crate::steer::Steering;

pub(crate) use answers::{ack_late_reinvite, end_late_fork};
pub(crate) use changes::Changes;
pub(crate) use early::check_offer;
use former::Former;
pub(crate) use handled::Target;
pub(crate) use media::refusal;
pub(crate) use own::Own;
pub(crate) use print::{MAX_FORWARDS, Reason, Request, max_forwards, params_but, party};
pub(crate) use probe::{ACCEPT, failed_probe, first_probe};
pub(crate) use relay::relay_response;
pub(crate) use setup::{Refusal, Setup, Way, callee_dialog, request_uri};

/// Early dialogs kept beside the current one. RFC 3261 sets no bound; a proxy that forks wider than
/// this still gets its answer relayed, only in-dialog requests to the surplus early dialogs are not.
const FORKS_MAX: usize = 16;

/// Whether the call goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum After {
    /// It does.
    Keep,
    /// It is over but for the late answers a fork may still give.
    Linger,
    /// Nothing is left to do: remove it.
    Remove,
}

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The INVITE has left; the caller waits for a final answer.
    Calling,
    /// The caller has its final answer; the callee's INVITE is cancelled and its end awaited.
    Cancelling,
    /// The callee's 2xx went to the caller, whose ACK is awaited.
    Answered,
    /// The ACK went to the callee.
    Connected,
    /// BYEs of ours are on their way.
    Ending,
}

/// One party's dialog and where its messages come from.
#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) dialog: Dialog,
    /// Our listener and the peer's address, as last seen: for answers, and where a Contact that is a
    /// name not yet resolved leads meanwhile.
    pub(crate) peer: Flow,
}

/// A re-INVITE that has not been ACKed yet.
#[derive(Clone, Copy, Debug)]
struct Reinvite {
    from: Side,
    server: ServerId,
    client: ClientId,
    cseq_in: u32,
    cseq_out: u32,
    answered: bool,
    /// The method it has on the other leg, when that is another: a re-INVITE to a callee who has not
    /// answered is an UPDATE there, an UPDATE to a caller who knows none is a re-INVITE.
    recast: Option<Method>,
}

/// A time limit in milliseconds, which a call keeps in little room; 0 for none. 49 days at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Within(u32);

impl Within {
    fn of(limit: Option<Duration>) -> Within {
        let millis = |limit: Duration| u32::try_from(limit.as_millis()).unwrap_or(u32::MAX);
        Within(limit.map_or(0, |limit| millis(limit).max(1)))
    }

    fn get(self) -> Option<Duration> {
        (self.0 > 0).then(|| Duration::from_millis(self.0.into()))
    }
}

/// What the call's route asks for.
#[derive(Clone, Copy, Debug)]
struct Terms {
    no_answer: Within,
    no_18x: Within,
    max_duration: Within,
    disallow_similar_18x: bool,
    disallow_different_18x: bool,
}

/// The 18x codes that reached the caller.
#[derive(Clone, Copy, Debug, Default)]
struct Rung {
    first: Option<u8>,
    codes: u16,
}

/// A call in progress.
#[derive(Debug)]
pub(crate) struct Call {
    id: CallId,
    shard: u8,
    /// The random parts of our tags, one a side: neither side can tell the other's from its own.
    secrets: [u64; 2],
    stage: Stage,
    caller: Leg,
    callee: Leg,
    /// Other early dialogs of the callee's INVITE (RFC 3261 12.1: one per To tag).
    forks: Vec<Dialog>,
    server: ServerId,
    client: ClientId,
    /// CSeq of the caller's INVITE; its ACK bears the same.
    invite_cseq: u32,
    reinvite: Option<Reinvite>,
    terms: Terms,
    rung: Rung,
    /// `noAnswerTimeout` or the ringing limit, later `maxCallDuration`, at last the wait for a BYE's answer.
    alarm: Option<TimerKey>,
    no_18x: Option<TimerKey>,
    forks_over: Option<TimerKey>,
    /// Whose BYE waits for the other side's answer.
    bye_waiting: Option<(Side, ServerId)>,
    /// Only late answers of a fork are waited for.
    lingers: bool,
    /// The call is ending and the caller has not ACKed its 2xx.
    unacked: bool,
    /// The caller's BYE that waits for that ACK.
    owed_bye: Option<Box<Reason>>,
    /// BYEs of ours without an answer yet.
    byes: u8,
    /// What `TransformEarlyToFinal` has to remember; `None` for every other call.
    early: Option<Box<EarlyFinal>>,
    /// When a leg is asked next whether its dialog still lives.
    probe: Option<TimerKey>,
    /// Its media, when it goes through the router.
    steering: Option<Box<Steering>>,
    /// The REFERs that crossed.
    referrals: Option<Box<transfer::Referrals>>,
    /// The transfer that the router is carrying out.
    handled: Option<Box<handled::Handled>>,
    /// Who was in the call before the last transfer that the router has carried out.
    former: Option<Box<Former>>,
    /// Its session timers, when they are the router's own.
    sessions: Option<Box<Sessions>>,
    /// Whom its parties trust; `None` when nobody is trusted.
    trust: Option<Trust>,
    /// Which extensions the caller's INVITE named.
    able: Abilities,
    /// CSeq of the callee's INVITE.
    callee_cseq: u32,
    /// The reliable provisionals of the callee's INVITE; `None` without.
    reliable: Option<Box<Reliable>>,
    /// Who has offered what.
    offers: Offers,
}

impl Call {
    pub(crate) fn id(&self) -> CallId {
        self.id
    }

    /// Notes that the call is over but for a fork's late answers; false when that was known.
    pub(crate) fn begin_to_linger(&mut self) -> bool {
        !std::mem::replace(&mut self.lingers, true)
    }

    pub(crate) fn lingers(&self) -> bool {
        self.lingers
    }

    /// Our tag, and Contact user, towards this side.
    pub(crate) fn tag(&self, side: Side) -> Token {
        let [caller, callee] = self.secrets;
        match side {
            Side::Caller => self.id.token(self.shard, caller),
            Side::Callee => self.id.token(self.shard, callee),
        }
    }

    /// Which side sent this in-dialog request, if any: our tag, the Call-ID and the peer's tag must all
    /// be those of one dialog (RFC 3261 12.2.2).
    pub(crate) fn side_of(&self, request: &Message<'_>, tag: &Token) -> Option<Side> {
        let side = [Side::Caller, Side::Callee]
            .into_iter()
            .find(|&side| self.tag(side) == *tag)?;
        let from_tag = request.from_tag().unwrap_or_default();
        let leg = self.leg(side);
        let known = leg.dialog.remote_tag() == from_tag
            || side == Side::Callee && self.forks.iter().any(|fork| fork.remote_tag() == from_tag);
        (known && leg.dialog.call_id() == request.call_id()).then_some(side)
    }

    /// Whether a party that has just been let go hangs up, too: our tag in its dialog is `tag`.
    pub(crate) fn is_hung_up_late(&self, request: &Message<'_>, tag: &Token) -> bool {
        let former = self.former.as_ref();
        former.is_some_and(|former| former.hangs_up(request, tag))
    }

    pub(crate) fn leg(&self, side: Side) -> &Leg {
        match side {
            Side::Caller => &self.caller,
            Side::Callee => &self.callee,
        }
    }

    fn leg_mut(&mut self, side: Side) -> &mut Leg {
        match side {
            Side::Caller => &mut self.caller,
            Side::Callee => &mut self.callee,
        }
    }

    /// The dialog a request of this side belongs to; the callee may have several early ones.
    fn dialog_of(&mut self, side: Side, request: &Message<'_>) -> &mut Dialog {
        let tag = request.from_tag().unwrap_or_default();
        match side {
            Side::Caller => &mut self.caller.dialog,
            Side::Callee => {
                let fork = self.forks.iter_mut().find(|fork| fork.remote_tag() == tag);
                fork.unwrap_or(&mut self.callee.dialog)
            }
        }
    }

    /// Whether both parties speak and nobody has hung up.
    fn is_connected(&self) -> bool {
        matches!(self.stage, Stage::Answered | Stage::Connected)
    }

    fn flow(&self, core: &mut Core, now: Time, side: Side) -> Flow {
        let leg = self.leg(side);
        core.next_hop(now, &leg.dialog, leg.peer)
    }

    fn release_forks(&mut self, core: &mut Core) {
        for fork in std::mem::take(&mut self.forks) {
            fork.release(&mut core.pool);
        }
    }

    fn stop_alarms(&mut self, core: &mut Core) {
        core.disarm(&mut self.alarm);
        core.disarm(&mut self.no_18x);
        self.stop_early_alarms(core);
        core.disarm(&mut self.probe);
    }

    /// Gives back everything the call holds.
    pub(crate) fn release(mut self, core: &mut Core, now: Time) {
        self.stop_alarms(core);
        self.end_media(core, now);
        core.disarm(&mut self.forks_over);
        self.stop_sessions(core);
        self.release_forks(core);
        self.caller.dialog.release(&mut core.pool);
        self.callee.dialog.release(&mut core.pool);
    }

    /// One of the call's timers has run out.
    pub(crate) fn on_alarm(
        &mut self,
        core: &mut Core,
        now: Time,
        alarm: Alarm,
        out: &mut stack::Outbox,
    ) -> After {
        core.counters.calls_timed_out += u64::from(alarm.is_limit());
        match alarm {
            Alarm::ForksOver => {
                self.forks_over = None;
                self.release_forks(core);
                self.when_over()
            }
            Alarm::ByeAnswer => {
                self.alarm = None;
                self.answer_waiting_bye(core, now, out);
                After::Keep
            }
            Alarm::No18x => {
                self.no_18x = None;
                self.give_up(core, now, 408, &Reason::q850(18, "No User Responding"), out)
            }
            Alarm::NoAnswer => {
                self.alarm = None;
                self.give_up(
                    core,
                    now,
                    480,
                    &Reason::q850(19, "No Answer From User"),
                    out,
                )
            }
            Alarm::Ringing => {
                self.alarm = None;
                self.give_up(core, now, 408, &Reason::sip(408, "Ringing Limit"), out)
            }
            Alarm::OfferAgain => {
                self.on_offer_again(core, now, out);
                After::Keep
            }
            Alarm::MaxDuration => {
                if !self.forget_early_duration() {
                    self.alarm = None;
                }
                self.end_both(core, now, &Reason::q850(31, "Call Duration Limit"), out)
            }
            Alarm::Probe(side) => self.on_probe_due(core, now, side, out),
            Alarm::TimerC(_) | Alarm::Expired | Alarm::Notify => After::Keep,
            Alarm::TargetSilent => self.on_target_silent(core, now, out),
            Alarm::Session(side) => self.on_session_due(core, now, side, out),
        }
    }
}

/// Text that is put together before it is known where it goes.
type Text = SmallVec<[u8; 256]>;
