//! What the router keeps account of beside carrying calls: the messages of a call, its beginning and its
//! end; and what it answers when it is asked about calls.

use stack::{Flow, Outbox, Time, Token};
use wire::Message;

use super::Router;
use crate::accounts;
use crate::call::{Reason, Refusal};
use crate::calls::CallId;
use crate::config::Event;
use crate::core::Side;
use crate::entry::Entry;
use crate::query::{Answer, Query, Question, Said};

impl Router {
    /// A message was received and dealt with; what left because of it stands behind `before`.
    pub(super) fn note_messages(
        &mut self,
        now: Time,
        flow: Flow,
        message: &Message<'_>,
        before: usize,
        out: &Outbox,
    ) {
        let Some(id) = self.core.accounts.take_at_hand() else {
            return;
        };
        self.core.accounts.received(now, id, flow, message);
        self.core.accounts.sent(now, id, before, out);
    }

    /// Something else than a message made this call send what stands behind `before`.
    pub(super) fn note_sent(&mut self, now: Time, id: CallId, before: usize, out: &Outbox) {
        self.core.accounts.sent(now, id, before, out);
    }

    /// The INVITE has made this call.
    pub(super) fn begin(&mut self, now: Time, source: Flow, invite: &Message<'_>, call: Entry) {
        accounts::open(&mut self.core, now, source.remote, invite, &call);
        self.calls.insert(call);
    }

    /// The INVITE has made none.
    pub(super) fn note_refused(
        &mut self,
        now: Time,
        source: Flow,
        invite: &Message<'_>,
        refusal: &Refusal,
    ) {
        let (code, reason) = (refusal.code, &refusal.extra);
        accounts::refused(&mut self.core, now, source.remote, invite, code, reason);
    }

    /// The Call-ID of the caller's leg, by the one of ours on the other leg.
    pub fn caller_call_id(&mut self, token: &Token) -> Option<&[u8]> {
        let call = self.calls.get_mut(CallId::of_token(token))?;
        Some(call.leg(Side::Caller).dialog.call_id())
    }

    /// Answers what the control side asks.
    pub(super) fn answer_query(&mut self, now: Time, query: &Query, out: &mut Outbox) {
        let said = match &query.question {
            Question::Calls(page) => accounts::page(&self.core, page),
            Question::Call(name) => {
                let detail = accounts::detail(&mut self.core, &mut self.calls, name);
                Said::Call(detail.map(Box::new))
            }
            Question::HangUp(name) => Said::HungUp(self.hang_up(now, name, out)),
        };
        let number = query.number;
        let answer = Box::new(Answer { number, said });
        self.core.events.push_back(Event::Answer(answer));
    }

    /// Ends the call of this name: BYE or CANCEL to both parties. False when there is none, or when it is
    /// ending already.
    fn hang_up(&mut self, now: Time, name: &str, out: &mut Outbox) -> bool {
        let found = self.core.accounts.named(name);
        let Some(id) = found
            .filter(|(_, call)| !call.has_ended())
            .map(|(id, _)| id)
        else {
            return false;
        };
        let reason = Reason::q850(31, "Ended By Operator");
        let core = &mut self.core;
        let before = out.len();
        let after = match self.calls.entry_mut(id) {
            Some(Entry::Bridge(call)) => call.end_both(core, now, &reason, out),
            Some(Entry::Echo(echo)) => echo.end(core, now, &reason, out),
            Some(Entry::Proxy(_) | Entry::Subscription(_) | Entry::Notifier(_)) | None => {
                return false;
            }
        };
        self.note_sent(now, id, before, out);
        self.finish(now, id, after);
        true
    }
}
