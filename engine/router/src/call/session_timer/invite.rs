//! An INVITE whose interval the callee finds too small (RFC 4028 7.3): it is sent again with a longer one,
//! and the caller hears nothing of it.

use stack::dialog::{Dialog, DialogError};
use stack::{Outbox, Time};
use wire::print::Policy;
use wire::{HeaderName, Index, Message, Method};

use super::headers::min_se;
use super::{Sessions, description};
use crate::call::{After, Call, MAX_FORWARDS, Own, Reason, Request, Stage};
use crate::core::{Core, Purpose, Side, User};

/// An INVITE is sent no more often than this: a path with more opinions than that is broken.
const TRIES_MAX: u8 = 3;

/// What is written anew in an INVITE that is sent again.
const ANEW: Policy = Policy::dropping(&[
    HeaderName::Via,
    HeaderName::Route,
    HeaderName::MaxForwards,
    HeaderName::From,
    HeaderName::To,
    HeaderName::CallId,
    HeaderName::CSeq,
    HeaderName::SessionExpires,
    HeaderName::MinSe,
    HeaderName::ContentLength,
]);

/// What we have printed holds more lines than the message it was made from.
const OWN_LIMITS: wire::Limits = wire::Limits {
    headers_max: usize::MAX,
    header_bytes_max: usize::MAX,
    start_line_bytes_max: usize::MAX,
};

impl Call {
    /// The callee refuses the INVITE; `None` when that is not for its interval, or no longer matters.
    pub(in crate::call) fn on_interval_refused(
        &mut self,
        core: &mut Core,
        now: Time,
        response: &Message<'_>,
        out: &mut Outbox,
    ) -> Option<After> {
        if response.code() != 422 || self.stage != Stage::Calling || self.is_early() {
            return None;
        }
        let sessions = self.sessions.as_mut()?;
        core.counters.session_intervals_raised += 1;
        let again = sessions.raise_interval(min_se(response));
        let invite = sessions.invite.take().filter(|_| again);
        let sent = invite.is_some_and(|invite| self.send_again(core, now, invite, out));
        if sent {
            return Some(After::Keep);
        }
        // The caller has no part in what the callee's leg asks for, and could not mend it.
        let reason = Reason::sip(422, "Session Interval Too Small");
        Some(self.finish_calling(core, now, 500, &reason, out))
    }

    fn send_again(
        &mut self,
        core: &mut Core,
        now: Time,
        text: Box<[u8]>,
        out: &mut Outbox,
    ) -> bool {
        let mut index = Index::new();
        let Ok(invite) = Message::parse(&text, &mut index, &OWN_LIMITS) else {
            return false;
        };
        if self.begin_again(core, &invite).is_err() {
            return false;
        }
        let mut lines = Vec::with_capacity(64);
        if let Some(sessions) = &self.sessions {
            sessions.first_lines().print_values(&mut lines);
        }
        let user = User {
            call: self.id,
            purpose: Purpose::Invite,
        };
        let left = invite.max_forwards().ok().flatten();
        let own = Own {
            dialog: &mut self.callee.dialog,
            peer: self.callee.peer,
            user,
            method: Method::Invite,
            max_forwards: left.unwrap_or(MAX_FORWARDS),
        };
        let printed = |request: &Request<'_>, out: &mut Vec<u8>| {
            request.print_passing(out, &invite, None, &lines, invite.body(), &ANEW);
        };
        let Some(client) = own.send(core, now, printed, out) else {
            return false;
        };
        self.client = client;
        self.callee_cseq = self.callee.dialog.local_cseq();
        self.reliable = None;
        if let Some(sessions) = &mut self.sessions {
            sessions.invite = Some(text);
        }
        true
    }

    /// RFC 4028 7.3: the same Call-ID, From and To, and a CSeq above all that were used. Early dialogs of
    /// the refused INVITE are gone with it.
    fn begin_again(&mut self, core: &mut Core, invite: &Message<'_>) -> Result<(), DialogError> {
        let value = |name| invite.header(name).unwrap_or_default();
        let mut dialog = Dialog::uac_through(
            value(HeaderName::Route),
            invite.call_id(),
            value(HeaderName::From),
            value(HeaderName::To),
            invite.request_uri(),
            &mut core.pool,
        )?;
        self.release_forks(core);
        let used = self.callee.dialog.local_cseq();
        while dialog.local_cseq() < used {
            dialog.next_cseq();
        }
        std::mem::replace(&mut self.callee.dialog, dialog).release(&mut core.pool);
        Ok(())
    }

    /// The INVITE has its 2xx. A callee without UPDATE is refreshed with what it offered.
    pub(super) fn forget_invite(&mut self) {
        let Some(sessions) = &mut self.sessions else {
            return;
        };
        let Some(text) = sessions.invite.take() else {
            return;
        };
        let callee = sessions.leg_mut(Side::Callee);
        if callee.updates || callee.said.is_some() {
            return;
        }
        let mut index = Index::new();
        if let Ok(invite) = Message::parse(&text, &mut index, &OWN_LIMITS) {
            let kind = invite.content_type().unwrap_or_default();
            callee.said = description(kind, invite.body());
        }
    }
}

impl Sessions {
    /// Notes what the callee wants; false when asking again would be of no use.
    fn raise_interval(&mut self, min_se: u32) -> bool {
        let config = self.config;
        let callee = self.leg_mut(Side::Callee);
        let longer = min_se > callee.wanted(&config);
        callee.raise_min_se(min_se);
        self.tries += 1;
        longer && self.tries <= TRIES_MAX
    }
}
