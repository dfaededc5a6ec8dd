//! Reliable provisionals (RFC 3262) of the INVITE that made the call: their numbers on either leg, the
//! PRACKs that pass and those of the router's own, and what a caller without 100rel is told instead.
//! Those of a re-INVITE have one dialog on each side and pass as they are.
//!
//! The callee's early dialogs each count their own RSeq; the caller has one dialog, and one sequence. It
//! has one reliable provisional at a time to acknowledge (RFC 3262 3): another that comes meanwhile is not
//! kept, for its sender repeats it.

use std::time::Duration;

use smallvec::SmallVec;
use stack::{Outbox, ServerId, Time};
use wire::{HeaderName, Index, Message, Method};

use super::Call;
use super::print::{self, Form};
use crate::core::{Core, Purpose, Side};
use crate::peers;

/// RFC 3262 3: the first number is below this.
const FIRST_MAX: u32 = i32::MAX as u32;

/// The reliable provisionals of a call; there is none of this for a call without.
#[derive(Debug, Default)]
pub(super) struct Reliable {
    dialogs: SmallVec<[Progress; 1]>,
    /// The last RSeq the caller was sent.
    given: Option<u32>,
}

/// How far one early dialog of the callee has come.
#[derive(Debug)]
struct Progress {
    /// The callee's tag.
    tag: Box<[u8]>,
    /// The last RSeq that was in order.
    received: u32,
    /// Its number for the caller.
    given: u32,
    state: State,
    /// A session description the caller was told unreliably, in the message it came in.
    session: Option<Box<[u8]>>,
}

/// What became of the last provisional of an early dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It went to the caller, first and last at these times.
    Sent(Time, Time),
    /// The caller's PRACK is on its way, with this CSeq.
    Passed(u32),
    /// The callee knows that it arrived, or is told so by a PRACK of ours.
    Acknowledged,
}

/// What a provisional with this RSeq is to its early dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrival {
    Next,
    /// A repetition of the last one.
    Again,
    /// An older one, or one whose forerunner was lost: RFC 3262 4 has it discarded.
    OutOfOrder,
}

impl Reliable {
    fn of(&self, tag: &[u8]) -> Option<&Progress> {
        self.dialogs.iter().find(|progress| *progress.tag == *tag)
    }

    fn of_mut(&mut self, tag: &[u8]) -> Option<&mut Progress> {
        self.dialogs
            .iter_mut()
            .find(|progress| *progress.tag == *tag)
    }

    fn arrival(&self, tag: &[u8], rseq: u32) -> Arrival {
        match self.of(tag).map(|progress| progress.received) {
            None => Arrival::Next,
            Some(last) if last.checked_add(1) == Some(rseq) => Arrival::Next,
            Some(last) if last == rseq => Arrival::Again,
            Some(_) => Arrival::OutOfOrder,
        }
    }

    fn note(&mut self, tag: &[u8], received: u32, given: u32, state: State) {
        let session = None;
        match self.of_mut(tag) {
            Some(progress) => {
                (progress.received, progress.given, progress.state) = (received, given, state);
            }
            None => self.dialogs.push(Progress {
                tag: tag.into(),
                received,
                given,
                state,
                session,
            }),
        }
    }

    /// The RSeq of this provisional for the caller; `None` when it is not to hear of it now.
    fn number(&mut self, now: Time, t1: Duration, tag: &[u8], rseq: u32) -> Option<u32> {
        match self.arrival(tag, rseq) {
            Arrival::OutOfOrder => None,
            Arrival::Again => {
                let progress = self.of_mut(tag)?;
                let State::Sent(first, _) = progress.state else {
                    return None;
                };
                progress.state = State::Sent(first, now);
                Some(progress.given)
            }
            Arrival::Next => {
                let number = self.next_number(now, t1, rseq)?;
                self.given = Some(number);
                self.note(tag, rseq, number, State::Sent(now, now));
                Some(number)
            }
        }
    }

    /// The number that is next, once the caller has acknowledged the last one. A sender that stopped
    /// repeating before that has gone, and the caller still waits for that number.
    fn next_number(&mut self, now: Time, t1: Duration, rseq: u32) -> Option<u32> {
        let sent = |progress: &&mut Progress| matches!(progress.state, State::Sent(..));
        let Some(waiting) = self.dialogs.iter_mut().find(sent) else {
            return match self.given {
                Some(last) => last.checked_add(1),
                None => Some(rseq.clamp(1, FIRST_MAX)),
            };
        };
        let State::Sent(first, last) = waiting.state else {
            return None;
        };
        // RFC 3262 3: the wait for the next repetition is what has passed so far, and T1. One may be lost.
        let patience = (last.duration_since(first) + t1) * 3;
        let gone = now.duration_since(last) > patience;
        gone.then(|| {
            waiting.state = State::Acknowledged;
            waiting.given
        })
    }

    /// Whose provisional the caller knows by this number, while a PRACK can still be for it.
    fn given(&self, number: u32) -> Option<&Progress> {
        self.dialogs.iter().find(|progress| {
            progress.given == number && !matches!(progress.state, State::Acknowledged)
        })
    }

    /// The callee has answered the PRACK with this CSeq in this dialog with 2xx.
    fn acknowledged(&mut self, tag: &[u8], cseq: u32) {
        if let Some(progress) = self.of_mut(tag)
            && progress.state == State::Passed(cseq)
        {
            progress.state = State::Acknowledged;
        }
    }
}

/// The number of a reliable provisional (RFC 3262 7.1); `None` for any other.
pub(super) fn rseq(response: &Message<'_>) -> Option<u32> {
    let value = response.header(HeaderName::RSeq)?;
    if !response.requires("100rel") {
        return None;
    }
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

/// From the callee.
impl Call {
    /// A reliable provisional, whose early dialog is the current one unless there was no room for it.
    pub(super) fn on_reliable(
        &mut self,
        core: &mut Core,
        now: Time,
        rseq: u32,
        response: &Message<'_>,
        out: &mut Outbox,
    ) {
        if !self.is_current(response) {
            // A PRACK would not find its dialog (RFC 3262 4: it must establish one).
        } else if self.hears_reliably(core) {
            self.pass_reliable(core, now, rseq, response, out);
        } else if !self.offers.first_offered && response.has_sdp() {
            // RFC 3262 5: the answer would have to be in the PRACK, and who gives it has none. The
            // INVITE said nothing of 100rel: the provisional is taken as an ordinary one, the offer comes
            // again in the 2xx.
            self.relay_unreliable(core, now, response, out);
        } else if self.acknowledge_provisional(core, now, rseq, response, false, out) {
            self.keep_session(response);
            self.relay_unreliable(core, now, response, out);
        }
    }

    fn is_current(&self, response: &Message<'_>) -> bool {
        let tag = response.to_tag().unwrap_or_default();
        !tag.is_empty() && self.callee.dialog.remote_tag() == tag
    }

    /// Whether reliable provisionals are the caller's own business.
    pub(super) fn hears_reliably(&self, core: &Core) -> bool {
        let callee = self.callee.peer.remote.ip();
        self.able.reliable || core.peers.of(callee).reliable == peers::Reliable::Pass
    }

    /// To a caller that does 100rel, with its own number.
    pub(super) fn pass_reliable(
        &mut self,
        core: &mut Core,
        now: Time,
        rseq: u32,
        response: &Message<'_>,
        out: &mut Outbox,
    ) {
        let tag = response.to_tag().unwrap_or_default();
        let t1 = core.timers.stack.t1;
        let reliable = self.reliable.get_or_insert_default();
        let form = match reliable.number(now, t1, tag, rseq) {
            None => {
                core.counters.provisionals_discarded += 1;
                return;
            }
            Some(number) if number == rseq => Form::Whole,
            Some(number) => Form::Numbered(number),
        };
        self.rung.passes_as(response, false, &self.terms);
        let (code, reason) = (response.code(), response.reason());
        self.form_to_caller(core, now, code, reason, form, response, out);
    }

    /// To a caller that does no 100rel: `disallowSimilar18x` and `disallowDifferent18x` hold again.
    pub(super) fn relay_unreliable(
        &mut self,
        core: &mut Core,
        now: Time,
        response: &Message<'_>,
        out: &mut Outbox,
    ) {
        let bare = !response.has_sdp();
        if self.rung.passes_as(response, bare, &self.terms) {
            let (code, reason) = (response.code(), response.reason());
            self.form_to_caller(core, now, code, reason, Form::Unreliable, response, out);
        }
    }

    /// PRACKs a reliable provisional. False for one that must not be looked at: a repetition, one whose
    /// forerunner was lost (RFC 3262 4), or one that could not be acknowledged and will come again.
    /// A repetition is not acknowledged anew (RFC 3262 4), for the transaction repeats the PRACK.
    pub(super) fn acknowledge_provisional(
        &mut self,
        core: &mut Core,
        now: Time,
        rseq: u32,
        response: &Message<'_>,
        held: bool,
        out: &mut Outbox,
    ) -> bool {
        let tag = response.to_tag().unwrap_or_default();
        let reliable = self.reliable.get_or_insert_default();
        let next = reliable.arrival(tag, rseq) == Arrival::Next;
        let sent = next && self.is_current(response) && self.prack(core, now, rseq, held, out);
        if sent {
            let reliable = self.reliable.get_or_insert_default();
            reliable.note(tag, rseq, 0, State::Acknowledged);
        } else {
            core.counters.provisionals_discarded += 1;
        }
        sent
    }

    fn prack(
        &mut self,
        core: &mut Core,
        now: Time,
        rseq: u32,
        held: bool,
        out: &mut Outbox,
    ) -> bool {
        let rack = print::rack_line(rseq, self.callee_cseq, b"INVITE");
        let prack = self.own(Side::Callee, Method::Prack, Purpose::Prack(held));
        let sent = prack.send(core, now, |request, out| request.print_own(out, &rack), out);
        core.counters.pracks += u64::from(sent.is_some());
        sent.is_some()
    }
}

/// The answer that the callee gave reliably is none for a caller that was told unreliably (RFC 3261
/// 13.2.1): it has to be in the 2xx.
impl Call {
    fn keep_session(&mut self, response: &Message<'_>) {
        let tag = response.to_tag().unwrap_or_default();
        if response.has_sdp()
            && let Some(progress) = self.reliable.as_mut().and_then(|it| it.of_mut(tag))
        {
            progress.session = Some(response.bytes().into());
        }
    }

    /// Another exchange has been completed since: what was said before it is no answer any more.
    pub(super) fn forget_sessions(&mut self) {
        for progress in self.reliable.iter_mut().flat_map(|it| &mut it.dialogs) {
            progress.session = None;
        }
    }

    /// The callee's 2xx to the caller, with the session of a provisional before it where it has none.
    pub(super) fn relay_2xx_to_caller(
        &mut self,
        core: &mut Core,
        now: Time,
        response: &Message<'_>,
        out: &mut Outbox,
    ) -> bool {
        let owed = self.reliable.as_mut().and_then(|reliable| {
            let progress = reliable.of_mut(response.to_tag().unwrap_or_default())?;
            progress.session.take()
        });
        let mut index = Index::new();
        let limits = core.limits.wire;
        let described = owed
            .as_deref()
            .filter(|_| !response.has_sdp())
            .and_then(|text| Message::parse(text, &mut index, &limits).ok());
        match described {
            Some(described) => self.describe_2xx(core, now, response, &described, out),
            None => self.relay_to_caller(core, now, response, out),
        }
    }

    fn describe_2xx(
        &mut self,
        core: &mut Core,
        now: Time,
        response: &Message<'_>,
        described: &Message<'_>,
        out: &mut Outbox,
    ) -> bool {
        let (tag, server) = (self.tag(Side::Caller), self.server);
        let session = self.crossing_answer(core, now, Side::Callee, server, described);
        let own = self.crossing_answer(core, now, Side::Callee, server, response);
        self.offers.answered(Side::Callee, server, response);
        let door = core.doors.of(self.caller.peer.listener);
        let body = session.of(described);
        let rest = |out: &mut Vec<u8>| {
            print::described_response(out, response, described, door, &tag, body);
        };
        let (code, reason, text) = (response.code(), response.reason(), tag.tag_text());
        let sent = core
            .transactions
            .respond(now, server, code, reason, Some(&text), rest, out);
        own.give_back(core);
        session.give_back(core);
        sent
    }
}

/// From both.
impl Call {
    /// A PRACK: to the early dialog whose provisional the caller knows by its number, with the number and
    /// the CSeq it has there (RFC 3262 7.2). One that matches nothing is 481 (RFC 3262 3).
    pub(super) fn on_prack(
        &mut self,
        core: &mut Core,
        now: Time,
        side: Side,
        server: ServerId,
        prack: &Message<'_>,
        out: &mut Outbox,
    ) {
        let Ok(Some(rack)) = prack.rack() else {
            return core.refuse(now, server, 400, b"", out);
        };
        let again = self.reinvite.filter(|reinvite| {
            reinvite.from == side && reinvite.cseq_in == rack.cseq && reinvite.recast.is_none()
        });
        if let Some(reinvite) = again {
            let line = print::rack_line(rack.response, reinvite.cseq_out, rack.method);
            self.relay_with(core, now, side, server, prack, &line, out);
            return;
        }
        let first = side == Side::Caller && rack.cseq == self.invite_cseq;
        let given = self.reliable.as_ref().filter(|_| first);
        let Some(progress) = given.and_then(|reliable| reliable.given(rack.response)) else {
            return core.refuse(now, server, 481, b"", out);
        };
        let (tag, received) = (progress.tag.clone(), progress.received);
        self.bring_forward(&tag);
        let line = print::rack_line(received, self.callee_cseq, rack.method);
        let cseq = self.relay_with(core, now, side, server, prack, &line, out);
        let reliable = self.reliable.as_mut();
        if let (Some(cseq), Some(progress)) = (cseq, reliable.and_then(|it| it.of_mut(&tag))) {
            progress.state = State::Passed(cseq);
        }
    }

    /// The callee's 2xx to a PRACK has crossed.
    pub(super) fn on_pracked(&mut self, response: &Message<'_>) {
        let tag = response.to_tag().unwrap_or_default();
        if let (Some(reliable), Ok(cseq)) = (&mut self.reliable, response.cseq()) {
            reliable.acknowledged(tag, cseq.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T1: Duration = Duration::from_millis(500);

    fn at(ms: u64) -> Time {
        Time::ZERO + Duration::from_millis(ms)
    }

    #[test]
    fn the_first_number_is_the_callees_own_when_it_may_be() {
        for (rseq, expected) in [
            (5, 5),
            (FIRST_MAX, FIRST_MAX),
            (u32::MAX, FIRST_MAX),
            (0, 1),
        ] {
            let mut reliable = Reliable::default();
            assert_eq!(reliable.number(at(0), T1, b"x", rseq), Some(expected));
        }
    }

    #[test]
    fn one_provisional_at_a_time_waits_for_its_prack() {
        let mut reliable = Reliable::default();
        assert_eq!(reliable.number(at(0), T1, b"x", 7), Some(7));
        assert_eq!(reliable.number(at(10), T1, b"y", 90), None, "x is first");
        assert_eq!(reliable.number(at(500), T1, b"x", 7), Some(7), "again");
        assert_eq!(reliable.number(at(510), T1, b"x", 9), None, "8 was lost");
        let waiting = reliable.of_mut(b"x").unwrap();
        waiting.state = State::Passed(2);
        assert_eq!(reliable.number(at(520), T1, b"y", 90), Some(8));
        assert!(reliable.given(7).is_some_and(|it| *it.tag == *b"x"));
        reliable.acknowledged(b"x", 3);
        assert!(reliable.given(7).is_some(), "another PRACK's answer");
        reliable.acknowledged(b"x", 2);
        assert!(reliable.given(7).is_none());
        assert_eq!(reliable.number(at(530), T1, b"x", 7), None, "acknowledged");
        assert_eq!(reliable.number(at(540), T1, b"x", 6), None, "older");
    }

    #[test]
    fn the_number_of_a_sender_that_has_gone_is_free_again() {
        let mut reliable = Reliable::default();
        reliable.number(at(0), T1, b"x", 7);
        reliable.number(at(500), T1, b"x", 7);
        assert_eq!(reliable.number(at(3_400), T1, b"y", 90), None);
        assert_eq!(reliable.number(at(3_600), T1, b"y", 90), Some(7));
        assert!(reliable.given(7).is_some_and(|it| *it.tag == *b"y"));
    }

    #[test]
    fn numbers_do_not_wrap() {
        let mut reliable = Reliable::default();
        reliable.note(b"x", u32::MAX, u32::MAX, State::Acknowledged);
        reliable.given = Some(u32::MAX);
        assert_eq!(reliable.number(at(0), T1, b"x", 0), None);
        assert_eq!(reliable.number(at(0), T1, b"y", 1), None);
    }
}
