//! A callee that does not take an INVITE without 100rel (RFC 3261 21.4.16): the router sends it once more
//! and offers what the caller does not have.

use stack::{Outbox, Time};
use wire::{HeaderName, Message};

use super::answers::INVITE_CSEQ;
use super::{Call, Stage, print};
use crate::core::{Core, Purpose, User};

/// 421 Extension Required.
const EXTENSION_REQUIRED: u16 = 421;

impl Call {
    /// Whether the INVITE has been sent once more because of this rejection.
    pub(super) fn extends(
        &mut self,
        core: &mut Core,
        now: Time,
        response: &Message<'_>,
        out: &mut Outbox,
    ) -> bool {
        if response.code() != EXTENSION_REQUIRED || !self.can_extend(core, response) {
            return false;
        }
        self.release_forks(core);
        self.reliable = None;
        self.callee.dialog.begin_again();
        let cseq = self.callee.dialog.next_cseq();
        let user = User {
            call: self.id,
            purpose: Purpose::Invite,
        };
        let (doors, peers) = (&core.doors, &core.peers);
        let again = core.transactions.request_again(
            now,
            user,
            |out, former, flow, branch| {
                let speaks = peers.speaks_of_overload(flow.remote.ip());
                let door = doors.towards(flow.listener, speaks);
                print::invite_again(out, former, door, branch, cseq);
            },
            out,
        );
        let Some(client) = again else { return false };
        (self.client, self.callee_cseq) = (client, cseq);
        core.counters.invites_extended += 1;
        true
    }

    /// An offer of the callee in a reliable provisional would have to be answered in the PRACK, which is
    /// not the caller's then (RFC 3262 5): without an offer in the INVITE the caller is told.
    fn can_extend(&self, core: &Core, response: &Message<'_>) -> bool {
        let mut wanted = response.values(HeaderName::Require).peekable();
        let only_reliable =
            wanted.peek().is_some() && wanted.all(|option| option.eq_ignore_ascii_case(b"100rel"));
        only_reliable
            && self.stage == Stage::Calling
            && self.early.is_none()
            && self.callee_cseq == INVITE_CSEQ
            && self.offers.first_offered
            && !self.hears_reliably(core)
    }
}
