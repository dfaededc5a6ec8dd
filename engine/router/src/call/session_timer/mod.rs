//! Session timers (RFC 4028) of the router's own: every leg of a call has its own interval, minimum and
//! refresher, whatever the other leg agreed on.
//!
//! Here is what a call remembers of them. What is asked for and agreed on is in `negotiation`, an INVITE
//! that is sent again because its interval was too small in `invite`, the router's own refreshes and the
//! end of a session that nobody refreshes in `refresh`, the header lines in `headers`. With
//! `session_timer.mode = "pass"` nothing of this happens, and the two ends agree through the router.

mod headers;
mod invite;
mod negotiation;
mod refresh;

use std::time::Duration;

use stack::timer::TimerKey;
use stack::{ClientId, ServerId, Time};
use wire::{Message, Method};

use self::headers::Expires;
use super::Call;
use super::early::allows_update;
use crate::config::SessionTimer;
use crate::core::{Alarm, Core, Side};

pub(crate) use headers::SessionLines;
pub(super) use headers::TIMER;
pub(super) use negotiation::policy_with_timer;

/// A description longer than this is not kept for refreshes: the session is then refreshed without one.
const DESCRIPTION_BYTES_MAX: usize = 8_192;

/// The session timers of a call.
#[derive(Debug)]
pub(super) struct Sessions {
    config: SessionTimer,
    legs: [LegSession; 2],
    /// Our INVITE as it was printed, until it is answered.
    invite: Option<Box<[u8]>>,
    /// How often it was refused for its interval.
    tries: u8,
}

/// Who refreshes the session of a leg.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Refreshing {
    #[default]
    Router,
    Peer,
}

/// The session timer of one leg.
#[derive(Debug, Default)]
struct LegSession {
    /// The peer knows session timers.
    timer: bool,
    /// The peer knows UPDATE.
    updates: bool,
    /// The largest Min-SE heard on this leg, seconds.
    min_se: u32,
    /// What the peer's request asks for that is about to be answered.
    asked: Asked,
    /// The session interval in seconds; 0 before the first 2xx.
    interval: u32,
    refreshing: Refreshing,
    /// When the session expires.
    expires: Time,
    alarm: Option<TimerKey>,
    /// Our refresh on its way.
    refresh: Option<(ClientId, Method)>,
    /// Refreshes in a row that did not refresh.
    tries: u8,
    /// The session description the peer was sent last, when it needs one to be refreshed.
    said: Option<Box<[u8]>>,
    /// The peer has answered an UPDATE with 405 or 501, and has not listed it since.
    refuses_update: bool,
    /// One that the peer has been offered in this transaction of the other leg.
    proposed: Option<(ServerId, Box<[u8]>)>,
}

/// What a request says of the session timer.
#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    expires: Option<Expires>,
    min_se: u32,
}

impl Sessions {
    fn leg(&self, side: Side) -> &LegSession {
        let [caller, callee] = &self.legs;
        match side {
            Side::Caller => caller,
            Side::Callee => callee,
        }
    }

    fn leg_mut(&mut self, side: Side) -> &mut LegSession {
        let [caller, callee] = &mut self.legs;
        match side {
            Side::Caller => caller,
            Side::Callee => callee,
        }
    }
}

impl LegSession {
    fn raise_min_se(&mut self, min_se: u32) {
        self.min_se = self.min_se.max(min_se);
    }

    /// RFC 4028 7.4: UPDATE is for a peer that lists it.
    fn note_methods(&mut self, message: &Message<'_>) {
        if message.header(wire::HeaderName::Allow).is_some() {
            self.updates = allows_update(message);
        }
        self.refuses_update &= !self.updates;
        if self.updates {
            self.said = None;
            self.proposed = None;
        }
    }

    /// The time until this leg has something to do: half of the interval for a refresh of ours (RFC 4028
    /// 7.2), and for the end of a session the peer does not refresh the interval less the smaller of 32
    /// seconds and a third of it (10).
    fn wait(&self) -> Duration {
        let interval = Duration::from_secs(self.interval.into());
        match self.refreshing {
            Refreshing::Router => interval / 2,
            Refreshing::Peer => interval - self.margin(),
        }
    }

    fn margin(&self) -> Duration {
        let interval = Duration::from_secs(self.interval.into());
        Duration::from_secs(32).min(interval / 3)
    }
}

impl Call {
    fn session_leg(&self, side: Side) -> Option<&LegSession> {
        Some(self.sessions.as_ref()?.leg(side))
    }

    fn session_leg_mut(&mut self, side: Side) -> Option<&mut LegSession> {
        Some(self.sessions.as_mut()?.leg_mut(side))
    }

    /// The session of this leg was refreshed now.
    fn start_session(&mut self, core: &mut Core, now: Time, side: Side) {
        let call = self.id;
        let Some(leg) = self.session_leg_mut(side) else {
            return;
        };
        core.disarm(&mut leg.alarm);
        leg.tries = 0;
        leg.expires = now + Duration::from_secs(leg.interval.into());
        let wait = Some(leg.wait());
        leg.alarm = core.arm(now, call, Alarm::Session(side), wait);
    }

    /// The call is gone.
    pub(super) fn stop_sessions(&mut self, core: &mut Core) {
        for leg in self.sessions.iter_mut().flat_map(|it| it.legs.iter_mut()) {
            core.disarm(&mut leg.alarm);
        }
    }

    /// A session description crosses to this side, as `body` of what is made from `original`. It is
    /// kept for the refreshes of a peer without UPDATE: one that is said at once, or one in a request of
    /// this transaction, which holds when the peer takes it.
    pub(super) fn keep_description(
        &mut self,
        to: Side,
        server: ServerId,
        original: &Message<'_>,
        body: &[u8],
    ) {
        let Some(leg) = self.session_leg_mut(to).filter(|leg| !leg.updates) else {
            return;
        };
        let kind = original.content_type().unwrap_or_default();
        let Some(text) = description(kind, body) else {
            return;
        };
        if original.is_request() && original.method() != Method::Ack {
            leg.proposed = Some((server, text));
        } else {
            leg.said = Some(text);
        }
    }

    /// The request in this transaction has its final answer from this side.
    fn settle_description(&mut self, from: Side, server: ServerId, accepted: bool) {
        let Some(leg) = self.session_leg_mut(from) else {
            return;
        };
        let proposed = leg.proposed.take_if(|(of, _)| *of == server);
        if let Some((_, text)) = proposed.filter(|_| accepted) {
            leg.said = Some(text);
        }
    }

    /// The router itself has described a session to this side.
    pub(super) fn keep_own_description(&mut self, to: Side, kind: &[u8], body: &[u8]) {
        if let Some(leg) = self.session_leg_mut(to).filter(|leg| !leg.updates) {
            leg.said = description(kind, body);
        }
    }
}

/// The session description of a body, when it is not too long to be kept.
fn description(kind: &[u8], body: &[u8]) -> Option<Box<[u8]>> {
    let places = wire::session_descriptions(kind, body);
    let text = body.get(places.first()?.clone())?;
    (text.len() <= DESCRIPTION_BYTES_MAX).then(|| text.into())
}
