//! The account of one call.

use std::net::SocketAddr;
use std::time::Duration;

use stack::{Time, Token};

use super::timeline::{Noted, Timeline};
use super::{CallRecord, Chosen, EndedBy, LegRecord, StreamRecord, cause};
use crate::calls::CallId;
use crate::core::Side;
use crate::query::{CallState, CallView};

/// A piece of the account's text. They lie one behind the other, so that one buffer keeps them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    CallId(Side),
    From(Side),
    To(Side),
    RequestUri(Side),
    Pattern,
}

impl Piece {
    /// In this order they are written.
    fn place(self) -> usize {
        let of = |side: Side, place: usize| match side {
            Side::Caller => place,
            Side::Callee => 4 + place,
        };
        match self {
            Piece::CallId(side) => of(side, 0),
            Piece::From(side) => of(side, 1),
            Piece::To(side) => of(side, 2),
            Piece::RequestUri(side) => of(side, 3),
            Piece::Pattern => 8,
        }
    }
}

const PIECES: usize = 9;

/// How a call ended.
#[derive(Clone, Copy, Debug)]
struct End {
    at: Time,
    by: EndedBy,
    code: u16,
    cause: u8,
}

/// What is kept of one call until its end.
#[derive(Debug)]
pub(crate) struct Account {
    open: bool,
    token: Token,
    text: Vec<u8>,
    ends: [usize; PIECES],
    written: usize,
    pub(super) chosen: Chosen,
    pub(super) addresses: [Option<SocketAddr>; 2],
    began: Time,
    rang: Option<Time>,
    answered: Option<Time>,
    end: Option<End>,
    /// The words of the reason.
    reason: Vec<u8>,
    told: bool,
    transfers: u32,
    /// Call-IDs of those who came by a transfer.
    joined: [Vec<u8>; 2],
    media: Vec<StreamRecord>,
    timeline: Timeline,
    /// The last session description of each side.
    sessions: [Vec<u8>; 2],
}

impl Default for Account {
    fn default() -> Self {
        Account {
            open: false,
            token: Token {
                shard: 0,
                slot: 0,
                generation: 0,
                random: 0,
            },
            text: Vec::new(),
            ends: [0; PIECES],
            written: 0,
            chosen: Chosen::Nothing,
            addresses: [None; 2],
            began: Time::ZERO,
            rang: None,
            answered: None,
            end: None,
            reason: Vec::new(),
            told: false,
            transfers: 0,
            joined: [Vec::new(), Vec::new()],
            media: Vec::new(),
            timeline: Timeline::default(),
            sessions: [Vec::new(), Vec::new()],
        }
    }
}

/// Its life.
impl Account {
    /// Begins anew, for the call whose tag towards its caller this is.
    pub(super) fn begin(&mut self, now: Time, token: Token) {
        self.close();
        (self.open, self.token, self.began) = (true, token, now);
    }

    /// Of an INVITE that made no call.
    pub(super) fn of_refusal(now: Time, chosen: Chosen) -> Account {
        Account {
            began: now,
            chosen,
            ..Account::default()
        }
    }

    pub(super) fn close(&mut self) {
        self.open = false;
        self.text.clear();
        self.written = 0;
        self.chosen = Chosen::Nothing;
        self.addresses = [None; 2];
        (self.rang, self.answered, self.end) = (None, None, None);
        self.reason.clear();
        (self.told, self.transfers) = (false, 0);
        self.joined.iter_mut().for_each(Vec::clear);
        self.media.clear();
        self.timeline.clear();
        self.sessions.iter_mut().for_each(Vec::clear);
    }

    /// Writes the next piece; the order is that of [`Piece::place`].
    pub(super) fn write(&mut self, piece: Piece, text: &[u8]) {
        debug_assert_eq!(piece.place(), self.written, "{piece:?}");
        self.text.extend_from_slice(text);
        if let Some(end) = self.ends.get_mut(self.written) {
            *end = self.text.len();
            self.written += 1;
        }
    }

    pub(super) fn ring(&mut self, now: Time) -> bool {
        let first = self.rang.is_none() && self.answered.is_none() && self.end.is_none();
        if first {
            self.rang = Some(now);
        }
        first
    }

    /// How long its INVITE is here.
    pub(super) fn age(&self, now: Time) -> Duration {
        now.duration_since(self.began)
    }

    pub(super) fn answer(&mut self, now: Time) -> bool {
        let first = self.answered.is_none() && self.end.is_none();
        if first {
            self.answered = Some(now);
        }
        first
    }

    pub(super) fn end(&mut self, now: Time, by: EndedBy, code: u16, reason: &[u8]) {
        if self.end.is_some() {
            return;
        }
        self.end = Some(End {
            at: now,
            by,
            // An answered call keeps the code of its answer, however it ends.
            code: if self.answered.is_some() { 200 } else { code },
            cause: cause::of(code, reason),
        });
        self.reason.extend_from_slice(cause::text(reason));
    }

    pub(super) fn transferred(&mut self, side: Side, call_id: &[u8]) {
        self.transfers += 1;
        let joined = of_mut(&mut self.joined, side);
        joined.clear();
        joined.extend_from_slice(call_id);
    }

    /// Whether its end is to be told, which is once.
    pub(super) fn begin_to_tell(&mut self) -> bool {
        !std::mem::replace(&mut self.told, true)
    }

    pub(crate) fn note_stream(&mut self, line: usize, summary: media::Summary) {
        if !self.told {
            self.media.push(StreamRecord { line, summary });
        }
    }
}

/// Its messages.
impl Account {
    pub(super) fn note(&mut self, noted: Noted) {
        self.timeline.push(noted);
    }

    pub(super) fn keep_session(&mut self, side: Side, description: &[u8]) {
        let kept = of_mut(&mut self.sessions, side);
        kept.clear();
        kept.extend_from_slice(description);
    }

    pub(super) fn session(&self, side: Side) -> &[u8] {
        of::<Vec<u8>>(&self.sessions, side)
    }

    /// The Call-ID of who came to this side by a transfer; empty for none.
    pub(super) fn joined(&self, side: Side) -> &[u8] {
        of::<Vec<u8>>(&self.joined, side)
    }

    pub(super) fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// Notes where a party's messages come from.
    pub(crate) fn seen_at(&mut self, side: Side, address: SocketAddr) {
        *of_mut(&mut self.addresses, side) = Some(address);
    }
}

/// What it says.
impl Account {
    pub(super) fn is_of(&self, id: CallId) -> bool {
        self.open && self.token.slot == id.slot && self.token.generation == id.generation
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Names the call outside.
    pub(super) fn token(&self) -> Token {
        self.token
    }

    pub(super) fn piece(&self, piece: Piece) -> &[u8] {
        let place = piece.place();
        if place >= self.written {
            return b"";
        }
        let begin = place
            .checked_sub(1)
            .and_then(|before| self.ends.get(before));
        let begin = begin.copied().unwrap_or_default();
        let end = self.ends.get(place).copied().unwrap_or_default();
        self.text.get(begin..end).unwrap_or_default()
    }

    fn string(&self, piece: Piece) -> String {
        String::from_utf8_lossy(self.piece(piece)).into_owned()
    }

    pub(super) fn state(&self) -> CallState {
        match (self.end, self.answered, self.rang) {
            (Some(_), _, _) => CallState::Ending,
            (None, Some(_), _) => CallState::Answered,
            (None, None, Some(_)) => CallState::Ringing,
            (None, None, None) => CallState::Trying,
        }
    }

    pub(super) fn view(&self) -> CallView {
        let [caller, callee] = self.addresses;
        CallView {
            id: self.name(),
            state: self.state(),
            from: lossy(user_of_party(self.piece(Piece::From(Side::Caller)))),
            to: lossy(user_of_uri(self.piece(Piece::RequestUri(Side::Caller)))),
            caller: caller.unwrap_or(NOWHERE),
            callee,
            began: self.began,
            answered: self.answered,
        }
    }

    /// The name of the call outside: 32 digits.
    fn name(&self) -> String {
        let tag = self.token.tag_text();
        lossy(tag.strip_prefix(b"tpr").unwrap_or(&tag))
    }

    /// The route and why it was taken.
    pub(super) fn route(&self) -> (String, String) {
        let pattern = self.string(Piece::Pattern);
        match self.chosen {
            Chosen::Nothing => (String::new(), String::new()),
            Chosen::ApplicationServer => (
                "application server".to_owned(),
                "every call that does not come from it goes to it".to_owned(),
            ),
            Chosen::Dialog => (
                "dialog".to_owned(),
                "the INVITE names a dialog of this router".to_owned(),
            ),
            Chosen::Record { index, found, echo } => {
                let why = format!("record {index}, pattern {pattern}, found in the {found}");
                let route = if echo { "echo".to_owned() } else { pattern };
                (route, why)
            }
        }
    }

    fn leg(&self, side: Side) -> LegRecord {
        LegRecord {
            call_id: self.string(Piece::CallId(side)),
            from: self.string(Piece::From(side)),
            to: self.string(Piece::To(side)),
            request_uri: self.string(Piece::RequestUri(side)),
            address: *of(&self.addresses, side),
        }
    }

    /// The record of the call, which has ended.
    pub(super) fn record(&self) -> CallRecord {
        let (route, why) = self.route();
        let has_callee = !self.piece(Piece::CallId(Side::Callee)).is_empty();
        let end = self.end.unwrap_or(End {
            at: self.began,
            by: EndedBy::Router,
            code: 0,
            cause: 0,
        });
        CallRecord {
            id: if self.open {
                self.name()
            } else {
                String::new()
            },
            caller: self.leg(Side::Caller),
            callee: has_callee.then(|| self.leg(Side::Callee)),
            route,
            why,
            began: self.began,
            rang: self.rang,
            answered: self.answered,
            ended: end.at,
            ended_by: end.by,
            reason: lossy(&self.reason),
            code: end.code,
            cause: end.cause,
            transfers: self.transfers,
            media: self.media.clone(),
        }
    }

    /// Whether this is the user of the caller or of the called number.
    pub(super) fn concerns(&self, user: &str) -> bool {
        let from = user_of_party(self.piece(Piece::From(Side::Caller)));
        let to = user_of_uri(self.piece(Piece::RequestUri(Side::Caller)));
        from == user.as_bytes() || to == user.as_bytes()
    }
}

fn of<T>([caller, callee]: &[T; 2], side: Side) -> &T {
    match side {
        Side::Caller => caller,
        Side::Callee => callee,
    }
}

fn of_mut<T>([caller, callee]: &mut [T; 2], side: Side) -> &mut T {
    match side {
        Side::Caller => caller,
        Side::Callee => callee,
    }
}

const NOWHERE: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The user in a From or To value; the whole URI when it has none.
fn user_of_party(value: &[u8]) -> &[u8] {
    wire::NameAddr::parse(value).map_or(value, |address| user_of_uri(address.uri))
}

fn user_of_uri(uri: &[u8]) -> &[u8] {
    match wire::Uri::parse(uri) {
        Ok(parsed) if !parsed.user.is_empty() => parsed.user,
        _ => uri,
    }
}
