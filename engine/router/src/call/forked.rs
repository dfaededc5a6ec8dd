//! The callee's early dialogs: which one is the current, what is beside it, and the end of one (RFC 6228)
//! while the INVITE goes on. Towards the caller there is one dialog, whatever the callee's side does.

use stack::dialog::{Dialog, DialogError, DialogState};
use stack::{Outbox, Time};
use wire::Message;

use super::reliable::rseq;
use super::{Call, FORKS_MAX};
use crate::core::Core;

/// Which extensions the caller's INVITE named (RFC 3261 20.37).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Abilities {
    /// 100rel, required or supported (RFC 3262).
    pub(super) reliable: bool,
    /// 199 (RFC 6228).
    pub(super) early_end: bool,
}

impl Abilities {
    pub(super) fn of(invite: &Message<'_>) -> Abilities {
        Abilities {
            reliable: invite.supports("100rel") || invite.requires("100rel"),
            early_end: invite.supports("199"),
        }
    }
}

/// 199 Early Dialog Terminated.
pub(super) const EARLY_DIALOG_TERMINATED: u16 = 199;

impl Call {
    /// RFC 3261 12.1: a tagged provisional makes an early dialog, one for each tag. The current one is
    /// the one that spoke last: an UPDATE of the caller is for it.
    pub(super) fn note_early_dialog(&mut self, core: &mut Core, response: &Message<'_>) {
        let Some(tag) = response.to_tag() else { return };
        let current = &mut self.callee.dialog;
        if current.state() == DialogState::Initial || current.remote_tag() == tag {
            // A provisional that cannot be read as a dialog is still relayed; the 2xx decides.
            let _unreadable = current.establish(response, &mut core.pool);
            return;
        }
        if let Some(fork) = self.forks.iter_mut().find(|fork| fork.remote_tag() == tag) {
            let _unreadable = fork.establish(response, &mut core.pool);
            std::mem::swap(fork, current);
        } else if self.forks.len() < FORKS_MAX {
            let whence = format!("sip:{}", self.callee.peer.remote);
            if let Ok(fork) = current.fork(response, whence.as_bytes(), &mut core.pool) {
                self.forks.push(std::mem::replace(current, fork));
            }
        }
    }

    /// Makes the dialog of this 2xx the callee's. The other early ones stay for their CSeq: each may still
    /// answer with a 2xx of its own (13.2.2.4).
    pub(super) fn settle_dialog(
        &mut self,
        core: &mut Core,
        response: &Message<'_>,
    ) -> Result<(), DialogError> {
        let tag = response.to_tag().unwrap_or_default();
        let current = &mut self.callee.dialog;
        let same = current.state() == DialogState::Initial || current.remote_tag() == tag;
        if same {
            current.establish(response, &mut core.pool)?;
        } else if let Some(fork) = self.forks.iter_mut().find(|fork| fork.remote_tag() == tag) {
            fork.establish(response, &mut core.pool)?;
            std::mem::swap(fork, current);
        } else {
            let whence = format!("sip:{}", self.callee.peer.remote);
            let fork = current.fork(response, whence.as_bytes(), &mut core.pool)?;
            self.forks.push(std::mem::replace(current, fork));
        }
        Ok(())
    }

    /// Makes the early dialog with this tag the current one.
    pub(super) fn bring_forward(&mut self, tag: &[u8]) {
        let current = &mut self.callee.dialog;
        if current.remote_tag() != tag
            && let Some(fork) = self.forks.iter_mut().find(|fork| fork.remote_tag() == tag)
        {
            std::mem::swap(fork, current);
        }
    }

    fn knows_early(&self, tag: &[u8]) -> bool {
        let dialogs = std::iter::once(&self.callee.dialog).chain(&self.forks);
        let mut tags = dialogs.map(Dialog::remote_tag);
        !tag.is_empty() && tags.any(|known| known == tag)
    }

    /// RFC 6228: an early dialog of the callee is over. The caller hears of it when it asked to, and when
    /// no other is left: it has but one dialog for them all.
    pub(super) fn on_early_dialog_over(
        &mut self,
        core: &mut Core,
        now: Time,
        response: &Message<'_>,
        out: &mut Outbox,
    ) {
        let tag = response.to_tag().unwrap_or_default();
        let (known, number) = (self.knows_early(tag), rseq(response));
        if !known && number.is_none() {
            // RFC 6228 4: it came before what would have made the dialog.
            return;
        }
        self.note_early_dialog(core, response);
        let told = known && self.able.early_end && !self.has_other_early_dialogs();
        match number {
            Some(rseq) if told && self.hears_reliably(core) => {
                self.pass_reliable(core, now, rseq, response, out);
            }
            Some(rseq) => {
                let fresh = self.acknowledge_provisional(core, now, rseq, response, false, out);
                if told && fresh {
                    self.relay_unreliable(core, now, response, out);
                }
            }
            None if told => {
                self.relay_to_caller(core, now, response, out);
            }
            None => {}
        }
        self.end_early_dialog(tag);
    }

    /// This early dialog of the callee is over; another one is the current, if there is one. It is
    /// remembered for its CSeq, since its peer may not know (RFC 6228 7).
    pub(super) fn end_early_dialog(&mut self, tag: &[u8]) {
        let current = &mut self.callee.dialog;
        let mut all = std::iter::once(&mut *current).chain(&mut self.forks);
        if let Some(over) = all.find(|dialog| dialog.remote_tag() == tag) {
            over.end_early();
        }
        let live = self.forks.iter_mut().rev().find(|fork| is_early(fork));
        if let Some(live) = live.filter(|_| current.state() == DialogState::Ended) {
            std::mem::swap(live, current);
        }
    }

    /// Whether the callee has another early dialog than the current one.
    pub(super) fn has_other_early_dialogs(&self) -> bool {
        self.forks.iter().any(is_early)
    }

    /// Whether the caller can say nothing to the callee but PRACK: no early dialog of it lives.
    pub(super) fn has_no_dialog(&self) -> bool {
        let dialog = &self.callee.dialog;
        dialog.remote_tag().is_empty() || dialog.state() == DialogState::Ended
    }
}

fn is_early(dialog: &Dialog) -> bool {
    dialog.state() == DialogState::Early
}
