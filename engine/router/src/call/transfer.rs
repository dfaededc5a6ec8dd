//! What a call has to do with transfers that its parties arrange among themselves: the numbers of the REFERs
//! that crossed it, and the party at its other end for an INVITE that names its dialog.

use stack::dialog::DialogState;
use stack::{ServerId, Time};
use wire::{Message, Method};

use super::{Call, Stage};
use crate::core::{Core, Side};
use crate::rdb::Record;
use crate::transfer::{Named, OtherEnd, Relation, event_line, refer_id, referring_lines};

/// REFERs remembered, for the notifications of each. Who refers more often has the oldest forgotten.
const REFERRALS_MAX: usize = 8;

/// A REFER that crossed.
#[derive(Clone, Copy, Debug)]
struct Referral {
    from: Side,
    cseq_in: u32,
    cseq_out: u32,
}

/// The last ones that crossed a call, oldest first.
#[derive(Debug, Default)]
pub(super) struct Referrals(Vec<Referral>);

impl Call {
    /// The header lines that stand on the other leg for those of a REFER, NOTIFY or SUBSCRIBE that name
    /// something of this one.
    ///
    /// # Errors
    /// The code to refuse it with.
    pub(super) fn referring_lines(
        &self,
        core: &Core,
        from: Side,
        server: ServerId,
        request: &Message<'_>,
    ) -> Result<Vec<u8>, u16> {
        match request.method() {
            Method::Refer => {
                let listener = self.leg(from.other()).peer.listener;
                referring_lines(core, listener, server, request)
            }
            Method::Notify | Method::Subscribe => {
                let id = refer_id(request).and_then(|id| self.other_id(from, id));
                Ok(event_line(request, id))
            }
            _ => Ok(Vec::new()),
        }
    }

    /// A REFER of this side has crossed, with this CSeq number on the other leg.
    pub(super) fn note_referral(
        &mut self,
        core: &mut Core,
        from: Side,
        request: &Message<'_>,
        cseq_out: u32,
    ) {
        let (Method::Refer, Ok(cseq)) = (request.method(), request.cseq()) else {
            return;
        };
        core.counters.referred += 1;
        let Referrals(referrals) = &mut **self.referrals.get_or_insert_default();
        if referrals.len() >= REFERRALS_MAX {
            referrals.remove(0);
        }
        referrals.push(Referral {
            from,
            cseq_in: cseq.number,
            cseq_out,
        });
    }

    /// The `id` on the other leg of a subscription that this side names by its own.
    fn other_id(&self, from: Side, id: u32) -> Option<u32> {
        let Referrals(referrals) = &**self.referrals.as_ref()?;
        referrals.iter().find_map(|it| {
            let (own, other) = match it.from == from {
                true => (it.cseq_in, it.cseq_out),
                false => (it.cseq_out, it.cseq_in),
            };
            (own == id).then_some(other)
        })
    }

    /// The party beyond the dialog that is named, which is one of this call's.
    ///
    /// # Errors
    /// The code that refuses an INVITE which replaces or joins it: RFC 3891 3, RFC 3911 4.
    pub(crate) fn other_end(
        &self,
        core: &mut Core,
        now: Time,
        named: &Named,
    ) -> Result<OtherEnd, u16> {
        let side = self.named_side(core, named).ok_or(481u16)?;
        let other = side.other();
        match self.stage {
            // A call that was just put down is not to ring again.
            Stage::Cancelling | Stage::Ending => return Err(603),
            Stage::Answered | Stage::Connected if named.early_only => return Err(486),
            Stage::Answered | Stage::Connected => {}
            // To its caller the router is a callee, whose early dialogs cannot be replaced.
            Stage::Calling if named.relation == Relation::Replaces && side == Side::Caller => {
                return Err(481);
            }
            Stage::Calling => {}
        }
        let dialog = &self.leg(other).dialog;
        if dialog.state() == DialogState::Initial {
            return Err(481);
        }
        let target = dialog.target();
        // RFC 3261 19.1.1: a Request-URI has no headers.
        let end = target.iter().position(|&byte| byte == b'?');
        let target = target
            .get(..end.unwrap_or(target.len()))
            .unwrap_or_default();
        let ours = self.tag(other).tag_text();
        Ok(OtherEnd {
            flow: self.flow(core, now, other),
            target: target.to_vec(),
            routes: dialog.routes().to_vec(),
            line: named.line(dialog.call_id(), dialog.remote_tag(), &ours),
            record: self.record(),
        })
    }

    /// Whether one of its dialogs is named.
    pub(crate) fn has_dialog(&self, core: &Core, named: &Named) -> bool {
        self.named_side(core, named).is_some()
    }

    /// The side whose dialog is named.
    fn named_side(&self, core: &Core, named: &Named) -> Option<Side> {
        let side = [Side::Caller, Side::Callee]
            .into_iter()
            .find(|&side| self.tag(side) == named.token)?;
        let dialog = &self.leg(side).dialog;
        let mut tags = self
            .forks
            .iter()
            .filter(|_| side == Side::Callee)
            .map(|fork| fork.remote_tag())
            .chain([dialog.remote_tag()]);
        tags.any(|tag| named.names(&core.proofs.dialog, dialog.call_id(), tag))
            .then_some(side)
    }

    /// The terms of this call as a record of the routing DB.
    fn record(&self) -> Record {
        Record {
            no_answer: self.terms.no_answer.get(),
            no_18x: self.terms.no_18x.get(),
            max_duration: self.terms.max_duration.get(),
            disallow_similar_18x: self.terms.disallow_similar_18x,
            disallow_different_18x: self.terms.disallow_different_18x,
            steer_media: self.steering.is_some(),
            ..Record::default()
        }
    }
}
