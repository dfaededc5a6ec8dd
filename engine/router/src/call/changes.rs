//! What is written otherwise than the other leg has it, beside what no message passes on: the lines of
//! the session timer, and what the identity rules hide. A call with neither pays two tests for `None`.

use stack::{ServerId, Time};
use wire::Message;
use wire::print::Policy;

use super::Call;
use super::session_timer::{SessionLines, Sessions, policy_with_timer};
use crate::core::{Core, Side};
use crate::identity::Hidden;
use crate::steer::Crossed;

/// Of a response.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(super) session: Option<SessionLines>,
    pub(super) hidden: Option<Hidden>,
}

impl Changes {
    /// What is hidden, and nothing else.
    pub(crate) fn hiding(hidden: Option<Hidden>) -> Changes {
        Changes {
            session: None,
            hidden,
        }
    }
}

/// Header lines of our INVITE and what passes beside them, made from the caller's under `policy`; `None`
/// when it is as always. `supported` unless other options of the caller are left out anyway.
pub(super) fn of_invite(
    original: &Message<'_>,
    sessions: Option<&Sessions>,
    hidden: Option<&Hidden>,
    supported: bool,
    policy: &Policy,
) -> Option<(Vec<u8>, Policy)> {
    let mut changes = None;
    if let Some(sessions) = sessions {
        let lines = sessions.invite_lines(original, supported);
        changes = Some((lines, policy_with_timer(policy)));
    }
    match hidden {
        Some(hidden) => Some(hide(changes, hidden, b"", policy)),
        None => changes,
    }
}

fn hide(
    changes: Option<(Vec<u8>, Policy)>,
    hidden: &Hidden,
    extra: &[u8],
    policy: &Policy,
) -> (Vec<u8>, Policy) {
    let (mut lines, policy) = changes.unwrap_or_else(|| (extra.to_vec(), *policy));
    lines.extend_from_slice(hidden.lines());
    (lines, hidden.policy(&policy))
}

impl Call {
    /// What the other party may not know of a message of this side.
    pub(super) fn hidden(&self, from: Side, message: &Message<'_>) -> Option<Hidden> {
        self.trust?
            .veil(from)
            .hides(message, self.steering.is_some())
    }

    /// The header lines of a request to this side, behind `extra`, and what passes beside them; `None`
    /// when those are `extra` and `policy`.
    pub(super) fn changed_request(
        &self,
        to: Side,
        original: &Message<'_>,
        extra: &[u8],
        policy: &Policy,
    ) -> Option<(Vec<u8>, Policy)> {
        let changes = self.session_request(to, original, extra, policy);
        match self.hidden(to.other(), original) {
            Some(hidden) => Some(hide(changes, &hidden, extra, policy)),
            None => changes,
        }
    }

    /// What changes in the answer to a request of this side inside the call, whose body crosses so.
    pub(crate) fn changed_answer(
        &mut self,
        core: &mut Core,
        now: Time,
        to: Side,
        server: ServerId,
        response: &Message<'_>,
        body: &Crossed,
    ) -> Changes {
        Changes {
            session: self.answer_session(core, now, to, server, response, body),
            hidden: self.hidden(to.other(), response),
        }
    }
}
