//! What the outside may see of calls: one account for each call, beside the table of calls and by the same
//! slots. What happens to a call is noted here in passing; questions are answered, progress is told and
//! records are made from it alone. Nothing here changes a call, and nothing is kept unless somebody wants it.

mod account;
mod cause;
mod messages;
mod opening;
mod record;
mod timeline;
mod views;

use stack::{Time, Token};

use crate::calls::CallId;
use crate::config::{Accounting, Event};
use crate::core::{Core, EVENTS_MAX, Side};
use crate::query::CallState;
use crate::rdb::{Found, Route};

pub(crate) use account::Account;
pub(crate) use opening::{open, refused};
pub use record::{CallRecord, EndedBy, LegRecord, StreamRecord};
pub(crate) use views::{detail, page};

/// Which way the INVITE at hand goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Chosen {
    /// None is known, or none was found.
    #[default]
    Nothing,
    /// This record of the routing DB.
    Record {
        index: usize,
        found: Found,
        echo: bool,
    },
    /// The application server that every call goes to.
    ApplicationServer,
    /// To the other end of the dialog that it names.
    Dialog,
}

/// The accounts of a shard's calls. Memory of those that are closed serves the next ones.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    settings: Accounting,
    watched: bool,
    slots: Vec<Option<Box<Account>>>,
    chosen: Chosen,
    /// The pattern of the chosen record.
    pattern: Vec<u8>,
    /// The call that what is being done concerns.
    at_hand: Option<CallId>,
    marks: messages::Marks,
}

impl Accounts {
    pub(crate) fn new(settings: Accounting) -> Accounts {
        Accounts {
            settings,
            ..Accounts::default()
        }
    }

    /// From now on; calls that have no account get none.
    pub(crate) fn set(&mut self, settings: Accounting) {
        self.settings = settings;
    }

    /// Somebody listens to how calls go, or nobody does any more.
    pub(crate) fn watch(&mut self, watched: bool) {
        self.watched = watched;
    }

    /// Whether new calls get an account.
    pub(crate) fn are_kept(&self) -> bool {
        self.settings.calls || self.settings.timeline || self.settings.records
    }

    pub(crate) fn keep_timelines(&self) -> bool {
        self.settings.timeline
    }

    /// Whether the end of a call is told.
    fn tells_ends(&self) -> bool {
        self.settings.records || self.watched
    }

    /// The account of this call, if it has one.
    pub(crate) fn of(&mut self, id: CallId) -> Option<&mut Account> {
        let account = self.slots.get_mut(id.slot as usize)?.as_deref_mut()?;
        account.is_of(id).then_some(account)
    }

    /// The call with this id, by which it is named outside.
    pub(crate) fn named(&mut self, name: &str) -> Option<(CallId, &mut Account)> {
        let token = Token::parse_tag(["tpr", name].concat().as_bytes())?;
        let id = CallId::of_token(&token);
        let account = self.of(id).filter(|account| account.token() == token)?;
        Some((id, account))
    }

    /// An account for this call, empty but for what an earlier one has left of memory.
    fn claim(&mut self, id: CallId) -> Option<&mut Account> {
        let slot = id.slot as usize;
        if slot >= self.slots.len() {
            self.slots.resize_with(slot + 1, || None);
        }
        let account = self.slots.get_mut(slot)?;
        Some(account.get_or_insert_with(Box::default))
    }

    /// The call is gone.
    pub(crate) fn close(&mut self, id: CallId) {
        if let Some(account) = self.of(id) {
            account.close();
        }
    }

    /// The routing DB has chosen.
    pub(crate) fn note_route(&mut self, route: &Route<'_>, echo: bool) {
        if !self.are_kept() {
            return;
        }
        self.chosen = Chosen::Record {
            index: route.index,
            found: route.found,
            echo,
        };
        self.pattern.clear();
        self.pattern
            .extend_from_slice(route.record.pattern.as_bytes());
    }

    pub(crate) fn note_application_server(&mut self) {
        self.chosen = Chosen::ApplicationServer;
    }

    pub(crate) fn note_dialog(&mut self) {
        self.chosen = Chosen::Dialog;
    }

    /// No way is chosen yet for the INVITE at hand.
    pub(crate) fn forget_route(&mut self) {
        self.chosen = Chosen::Nothing;
    }

    /// A message is about to be dealt with; whom it concerns is not known yet.
    pub(crate) fn begin_message(&mut self) {
        self.at_hand = None;
    }

    /// What is being done concerns this call.
    pub(crate) fn at_hand(&mut self, id: CallId) {
        self.at_hand = Some(id);
    }

    pub(crate) fn take_at_hand(&mut self) -> Option<CallId> {
        self.at_hand.take()
    }
}

/// What happens to a call.
impl Core {
    /// The caller hears that it rings.
    pub(crate) fn rang(&mut self, now: Time, id: CallId) {
        let account = self.accounts.of(id);
        if let Some(after) = account.and_then(|it| it.ring(now).then(|| it.age(now))) {
            self.counters.rang_after.note(after);
            self.tell_progress(id);
        }
    }

    /// The caller has its 2xx.
    pub(crate) fn answered(&mut self, now: Time, id: CallId) {
        let account = self.accounts.of(id);
        if let Some(after) = account.and_then(|it| it.answer(now).then(|| it.age(now))) {
            self.counters.answered_after.note(after);
            self.tell_progress(id);
        }
    }

    /// The call is over, as far as its parties are concerned; `reason` is its Reason header lines. What was
    /// said first counts: the rest follows from it.
    pub(crate) fn ended(&mut self, now: Time, id: CallId, by: EndedBy, code: u16, reason: &[u8]) {
        if let Some(account) = self.accounts.of(id) {
            account.end(now, by, code, reason);
        }
    }

    /// A transfer has given this side to another party, in a dialog of this Call-ID.
    pub(crate) fn transferred(&mut self, id: CallId, side: Side, call_id: &[u8]) {
        if let Some(account) = self.accounts.of(id) {
            account.transferred(side, call_id);
        }
    }

    /// Tells that the call has come further, when somebody listens. What is too much is left out.
    fn tell_progress(&mut self, id: CallId) {
        if !self.accounts.watched || self.events.len() >= EVENTS_MAX {
            return;
        }
        if let Some(view) = self.accounts.of(id).map(|account| account.view()) {
            self.events.push_back(Event::CallProgress(Box::new(view)));
        }
    }

    /// Tells the end of a call that has ended and whose end was not told. One for each call, so that
    /// no other bound is needed.
    pub(crate) fn tell_end(&mut self, id: CallId) {
        let tells = self.accounts.tells_ends();
        let Some(account) = self.accounts.of(id) else {
            return;
        };
        if account.state() == CallState::Ending && account.begin_to_tell() && tells {
            let record = account.record();
            self.events.push_back(Event::CallEnded(record.into()));
        }
    }

    /// The call is taken out: its account says what it has to say and is closed.
    pub(crate) fn close_account(&mut self, now: Time, id: CallId) {
        if self.accounts.slots.is_empty() {
            return;
        }
        self.ended(now, id, EndedBy::Router, 0, b"");
        self.tell_end(id);
        self.accounts.close(id);
    }
}

impl From<Side> for EndedBy {
    fn from(side: Side) -> EndedBy {
        match side {
            Side::Caller => EndedBy::Caller,
            Side::Callee => EndedBy::Callee,
        }
    }
}
