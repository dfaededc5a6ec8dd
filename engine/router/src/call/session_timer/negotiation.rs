//! What each leg agrees on: the router as UAS towards the sender of an INVITE or UPDATE (RFC 4028 9), and
//! as UAC towards the one it passes it to (7).

use stack::{Outbox, ServerId, Time};
use wire::print::Policy;
use wire::{HeaderName, Message, Method};

use super::headers::{Expires, OWN, Refresher, expires, min_se};
use super::{Asked, LegSession, Refreshing, SessionLines, Sessions, TIMER};
use crate::call::print::options_but;
use crate::call::{Call, Refusal};
use crate::config::{Refreshes, SessionTimer};
use crate::core::{Core, Side};
use crate::local;
use crate::steer::Crossed;

/// Beginning.
impl Sessions {
    /// The timers of a new call; `None` when the ends agree on theirs through the router.
    ///
    /// # Errors
    /// 422, when the caller asks for refreshes too often.
    pub(in crate::call) fn of(
        core: &mut Core,
        invite: &Message<'_>,
    ) -> Result<Option<Box<Sessions>>, Refusal> {
        let Some(config) = core.session_timer else {
            return Ok(None);
        };
        if asks_too_often(&config, invite) {
            core.counters.session_intervals_refused += 1;
            return Err(Refusal {
                extra: min_se_line(&config),
                ..Refusal::code(422)
            });
        }
        let mut sessions = Box::new(Sessions {
            config,
            legs: Default::default(),
            invite: None,
            tries: 0,
        });
        sessions.leg_mut(Side::Caller).hear_request(invite);
        Ok(Some(sessions))
    }

    /// The header lines of our INVITE, made from the caller's, and what does not pass with them.
    pub(in crate::call) fn invite_lines(&self, original: &Message<'_>, supported: bool) -> Vec<u8> {
        let mut lines = Vec::with_capacity(128);
        if supported {
            options_but(
                &mut lines,
                "Supported",
                original,
                HeaderName::Supported,
                &[TIMER],
            );
        }
        options_but(
            &mut lines,
            "Require",
            original,
            HeaderName::Require,
            &[TIMER],
        );
        self.first_lines().print(&mut lines);
        lines
    }

    /// RFC 4028 7.1. The refresher is named only when the configuration insists on one.
    pub(super) fn first_lines(&self) -> SessionLines {
        let callee = self.leg(Side::Callee);
        let refresher = match self.config.refreshes {
            Refreshes::Auto => None,
            Refreshes::Peer => Some(Refresher::Uas),
            Refreshes::Router => Some(Refresher::Uac),
        };
        SessionLines {
            expires: Some(Expires {
                seconds: callee.wanted(&self.config),
                refresher,
            }),
            min_se: callee.min_se.max(self.config.min_se_s),
            require: false,
        }
    }

    /// Our INVITE as it was printed.
    pub(in crate::call) fn keep_invite(&mut self, printed: &[u8]) {
        self.invite = Some(printed.into());
    }
}

/// What does not pass beside `policy` when the session timer speaks for itself.
pub(in crate::call) fn policy_with_timer(policy: &Policy) -> Policy {
    policy.also(&OWN)
}

/// RFC 4028 9: who knows the extension can be told that the interval is too small.
fn asks_too_often(config: &SessionTimer, request: &Message<'_>) -> bool {
    expires(request).is_some_and(|expires| expires.seconds < config.min_se_s)
        && request.supports(TIMER)
}

fn min_se_line(config: &SessionTimer) -> Vec<u8> {
    format!("Min-SE: {}\r\n", config.min_se_s).into_bytes()
}

impl LegSession {
    fn hear_request(&mut self, request: &Message<'_>) {
        self.timer = request.supports(TIMER);
        self.note_methods(request);
        let min_se = min_se(request);
        self.asked = Asked {
            expires: expires(request),
            min_se,
        };
        self.raise_min_se(min_se);
    }

    /// The interval that the router asks for, seconds.
    pub(super) fn wanted(&self, config: &SessionTimer) -> u32 {
        let interval = match self.interval {
            0 => config.session_expires_s,
            agreed => agreed,
        };
        interval.max(self.min_se)
    }

    /// RFC 4028 7.2: what the 2xx to our request says.
    fn hear_answer(&mut self, config: &SessionTimer, response: &Message<'_>) {
        self.note_methods(response);
        let answered = expires(response);
        self.timer = answered.is_some() || response.supports(TIMER);
        let wanted = self.wanted(config);
        // 11.1: a peer that asks for less than it was allowed to is not obeyed.
        let seconds = answered.map_or(wanted, |expires| expires.seconds);
        self.interval = seconds.max(config.min_se_s);
        self.refreshing = match answered.and_then(|expires| expires.refresher) {
            Some(Refresher::Uas) => Refreshing::Peer,
            // A peer without the extension answers without Session-Expires: we refresh.
            _ => Refreshing::Router,
        };
    }

    /// RFC 4028 9: what our 2xx to the peer's request says.
    fn answer(&mut self, config: &SessionTimer) -> SessionLines {
        let asked = std::mem::take(&mut self.asked);
        let longest = config
            .session_expires_s
            .max(asked.min_se)
            .max(config.min_se_s);
        // A proxy may have asked for a peer without the extension, too often even; that one has no timer
        // to be told of, and is refreshed as often as suits us.
        let heeded = asked
            .expires
            .filter(|expires| expires.seconds >= config.min_se_s);
        self.interval = heeded.map_or(longest, |expires| expires.seconds.min(longest));
        let refresher = self.refresher(config, asked.expires.and_then(|it| it.refresher));
        self.refreshing = match refresher {
            Refresher::Uac => Refreshing::Peer,
            Refresher::Uas => Refreshing::Router,
        };
        let expires = Expires {
            seconds: self.interval,
            refresher: Some(refresher),
        };
        SessionLines {
            expires: (self.timer || heeded.is_some()).then_some(expires),
            min_se: 0,
            require: self.timer,
        }
    }

    /// RFC 4028 9, table 2.
    fn refresher(&self, config: &SessionTimer, asked: Option<Refresher>) -> Refresher {
        match (self.timer, asked, config.refreshes) {
            (false, _, _) => Refresher::Uas,
            (true, Some(asked), _) => asked,
            (true, None, Refreshes::Router) => Refresher::Uas,
            (true, None, Refreshes::Auto | Refreshes::Peer) => Refresher::Uac,
        }
    }

    /// RFC 4028 7.4: what a request inside the call says. Before the call is answered there is no session
    /// that could be refreshed.
    pub(super) fn request_lines(&self, config: &SessionTimer) -> SessionLines {
        if self.interval == 0 {
            return SessionLines::default();
        }
        let refresher = match self.refreshing {
            Refreshing::Router => Refresher::Uac,
            Refreshing::Peer => Refresher::Uas,
        };
        SessionLines {
            expires: Some(Expires {
                seconds: self.wanted(config),
                refresher: Some(refresher),
            }),
            min_se: self.min_se,
            require: false,
        }
    }
}

/// Inside a call.
impl Call {
    /// Notes what an INVITE or UPDATE of this side asks for. True when it was refused: its interval is too
    /// small, or it offers a session while the router does.
    pub(in crate::call) fn refuse_session(
        &mut self,
        core: &mut Core,
        now: Time,
        side: Side,
        server: ServerId,
        request: &Message<'_>,
        out: &mut Outbox,
    ) -> bool {
        let refreshing = self.is_refreshing();
        let Some(sessions) = &mut self.sessions else {
            return false;
        };
        if !matches!(request.method(), Method::Invite | Method::Update) {
            return false;
        }
        if asks_too_often(&sessions.config, request) {
            core.counters.session_intervals_refused += 1;
            let extra = min_se_line(&sessions.config);
            core.refuse(now, server, 422, &extra, out);
            return true;
        }
        if refreshing && request.method() == Method::Update && request.has_sdp() {
            // RFC 3311 5.2: one offer at a time.
            core.refuse(now, server, 491, b"", out);
            return true;
        }
        sessions.leg_mut(side).hear_request(request);
        false
    }

    /// The header lines that stand in a relayed request for those the session timer owns, behind `extra`,
    /// and what passes beside them; `None` without session timers.
    pub(in crate::call) fn session_request(
        &self,
        to: Side,
        original: &Message<'_>,
        extra: &[u8],
        policy: &Policy,
    ) -> Option<(Vec<u8>, Policy)> {
        let sessions = self.sessions.as_ref()?;
        let mut lines = extra.to_vec();
        if policy.passes(HeaderName::Supported) {
            let name = HeaderName::Supported;
            options_but(&mut lines, "Supported", original, name, &[TIMER]);
        }
        options_but(
            &mut lines,
            "Require",
            original,
            HeaderName::Require,
            &[TIMER],
        );
        let refreshes = matches!(original.method(), Method::Invite | Method::Update);
        let said = if refreshes {
            sessions.leg(to).request_lines(&sessions.config)
        } else {
            SessionLines::default()
        };
        said.print(&mut lines);
        Some((lines, policy_with_timer(policy)))
    }

    /// The callee's answer to the INVITE that made the call goes to the caller with this code: what its
    /// 2xx says there.
    pub(in crate::call) fn session_answer(
        &mut self,
        core: &mut Core,
        now: Time,
        code: u16,
        response: &Message<'_>,
    ) -> Option<SessionLines> {
        if self.sessions.is_none() || !(200..300).contains(&code) {
            return None;
        }
        if response.code() >= 200 {
            self.hear_session(core, now, Side::Callee, response);
        }
        self.speak_session(core, now, Side::Caller)
    }

    /// The other side's answer is passed on to this one, whose request inside the call it is for, with
    /// this body: what its 2xx says here.
    pub(crate) fn answer_session(
        &mut self,
        core: &mut Core,
        now: Time,
        to: Side,
        server: ServerId,
        response: &Message<'_>,
        body: &Crossed,
    ) -> Option<SessionLines> {
        self.sessions.as_ref()?;
        let from = to.other();
        self.keep_description(to, server, response, body.of(response));
        let accepted = (200..300).contains(&response.code());
        if response.code() >= 200 {
            self.settle_description(from, server, accepted);
        }
        if !accepted || !matches!(response.method(), Method::Invite | Method::Update) {
            return None;
        }
        let runs = |leg: Option<&LegSession>| leg.is_some_and(|leg| leg.interval > 0);
        if runs(self.session_leg(from)) {
            self.hear_session(core, now, from, response);
        }
        if runs(self.session_leg(to)) {
            return self.speak_session(core, now, to);
        }
        Some(SessionLines::default())
    }

    /// A 2xx of this side refreshes its session, or begins it.
    pub(in crate::call) fn hear_session(
        &mut self,
        core: &mut Core,
        now: Time,
        from: Side,
        response: &Message<'_>,
    ) {
        let Some(sessions) = &mut self.sessions else {
            return;
        };
        let config = sessions.config;
        sessions.leg_mut(from).hear_answer(&config, response);
        self.forget_invite();
        self.start_session(core, now, from);
    }

    /// A 2xx to this side refreshes its session, or begins it.
    pub(in crate::call) fn speak_session(
        &mut self,
        core: &mut Core,
        now: Time,
        to: Side,
    ) -> Option<SessionLines> {
        let sessions = self.sessions.as_mut()?;
        let config = sessions.config;
        let lines = sessions.leg_mut(to).answer(&config);
        self.start_session(core, now, to);
        Some(lines)
    }

    /// A peer refuses the interval of a request that was passed on to it. Its sender knows nothing of
    /// that interval: it is asked to try again, and then the interval is as long as this peer wants it.
    /// False for any other answer.
    pub(crate) fn refuse_after_422(
        &mut self,
        core: &mut Core,
        now: Time,
        from: Side,
        server: ServerId,
        response: &Message<'_>,
        out: &mut Outbox,
    ) -> bool {
        let Some(leg) = self.session_leg_mut(from) else {
            return false;
        };
        if response.code() != 422 {
            return false;
        }
        leg.raise_min_se(min_se(response));
        core.counters.session_intervals_raised += 1;
        self.settle_description(from, server, false);
        self.offer_failed(core, now, server);
        let retry_after = local::retry_after(1);
        core.refuse(now, server, 500, &retry_after, out);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: SessionTimer = SessionTimer {
        session_expires_s: 1800,
        min_se_s: 90,
        refreshes: Refreshes::Auto,
    };

    fn leg(timer: bool, seconds: u32, refresher: Option<Refresher>, min_se: u32) -> LegSession {
        let expires = Some(Expires { seconds, refresher }).filter(|it| it.seconds > 0);
        LegSession {
            timer,
            asked: Asked { expires, min_se },
            ..LegSession::default()
        }
    }

    #[test]
    fn table_2_of_rfc_4028() {
        use Refresher::{Uac, Uas};
        for (timer, asked, router, expected) in [
            (false, None, false, Uas),
            (false, Some(Uas), false, Uas),
            (true, None, false, Uac),
            (true, None, true, Uas),
            (true, Some(Uac), true, Uac),
            (true, Some(Uas), false, Uas),
        ] {
            let refreshes = if router {
                Refreshes::Router
            } else {
                Refreshes::Peer
            };
            let config = SessionTimer {
                refreshes,
                ..CONFIG
            };
            let found = leg(timer, 0, None, 0).refresher(&config, asked);
            assert_eq!(found, expected, "{timer} {asked:?} {router}");
        }
    }

    #[test]
    fn the_interval_is_never_longer_than_asked_nor_shorter_than_min_se() {
        for (timer, seconds, min_se, interval, said) in [
            (true, 3600, 0, 1800, true),
            (true, 3600, 2400, 2400, true),
            (true, 600, 0, 600, true),
            (true, 0, 4000, 4000, true),
            (true, 0, 0, 1800, true),
            (false, 0, 0, 1800, false),
            // A proxy asked.
            (false, 600, 0, 600, true),
            (false, 1, 0, 1800, false),
        ] {
            let mut leg = leg(timer, seconds, None, min_se);
            let lines = leg.answer(&CONFIG);
            let case = format!("{timer} {seconds} {min_se}");
            assert_eq!(leg.interval, interval, "{case}");
            assert_eq!(lines.expires.is_some(), said, "{case}");
            assert_eq!(lines.require, timer, "{case}");
        }
    }

    #[test]
    fn a_peer_has_the_interval_less_a_margin_and_we_refresh_at_half() {
        for (interval, router, peer) in [(90, 45, 60), (1800, 900, 1768), (96, 48, 64)] {
            let mut leg = LegSession {
                interval,
                ..LegSession::default()
            };
            assert_eq!(leg.wait().as_secs(), router);
            leg.refreshing = Refreshing::Peer;
            assert_eq!(leg.wait().as_secs(), peer);
        }
    }
}
