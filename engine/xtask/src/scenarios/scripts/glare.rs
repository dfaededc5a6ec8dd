//! Offers that meet, and what a request inside a call moves (RFC 3261 14, RFC 3311 5.2, RFC 6141 4).

use super::talk::Side;
use super::{CALLEE_TAG, Call, Stage};
use crate::agent::{Agent, Request, SDP};
use crate::failure::{Failure, check};
use crate::sip::Message;

impl Call {
    fn agent(&self, side: Side) -> &Agent {
        match side {
            Side::Caller => &self.caller,
            Side::Callee => &self.callee,
        }
    }

    /// A request of this side with an offer.
    fn offer(&self, method: &'static str, side: Side) -> Request {
        let request = match side {
            Side::Caller => self.caller.in_dialog(method, &self.invite, &self.answer),
            Side::Callee => self.callee.back_in_dialog(method, &self.seen, CALLEE_TAG),
        };
        Request {
            body: SDP.into(),
            ..request
        }
    }

    /// Sends it; as the other side gets it.
    fn crosses(&self, side: Side, request: &Request) -> Result<Message, Failure> {
        self.agent(side).send(request)?;
        let call = match side {
            Side::Caller => self.seen.header("Call-ID"),
            Side::Callee => &self.invite.call_id,
        };
        self.agent(side.other()).expect(request.method, |m| {
            m.request_method() == Some(request.method)
                && m.header("Call-ID") == call
                && !m.tag("To").is_empty()
        })
    }

    /// Sends it; it is refused by the router with this code.
    fn refused(&self, side: Side, request: &Request, code: u16) -> Result<Message, Failure> {
        self.agent(side).send(request)?;
        let answer = self.agent(side).expect_answer(request, code)?;
        if request.method == "INVITE" {
            self.agent(side).acknowledge(request, &answer)?;
        }
        Ok(answer)
    }

    /// The offer that has crossed is answered.
    fn settles(&self, side: Side, request: &Request, seen: &Message) -> Result<(), Failure> {
        let other = self.agent(side.other());
        other.answer(seen, 200, CALLEE_TAG, SDP)?;
        let answer = self.agent(side).expect_answer(request, 200)?;
        if request.method == "INVITE" {
            self.agent(side).acknowledge(request, &answer)?;
            other.expect("its ACK", |m| {
                m.request_method() == Some("ACK") && m.cseq_number() == seen.cseq_number()
            })?;
        }
        Ok(())
    }
}

/// Both make an offer in one instant: the second gets 491, and may try again once the first is answered.
fn glare(stage: &Stage<'_>, method: &'static str) -> Result<(), Failure> {
    let call = stage.establish()?;
    for side in [Side::Caller, Side::Callee] {
        let first = call.offer(method, side);
        let seen = call.crosses(side, &first)?;
        call.refused(side.other(), &call.offer(method, side.other()), 491)?;
        call.settles(side, &first, &seen)?;
        let again = call.offer(method, side.other());
        let seen = call.crosses(side.other(), &again)?;
        call.settles(side.other(), &again, &seen)?;
    }
    call.hang_up()
}

/// UPDATE against UPDATE.
pub(super) fn update(stage: &Stage<'_>) -> Result<(), Failure> {
    glare(stage, "UPDATE")
}

/// Re-INVITE against re-INVITE.
pub(super) fn reinvite(stage: &Stage<'_>) -> Result<(), Failure> {
    glare(stage, "INVITE")
}

/// A second re-INVITE, and an UPDATE with an offer, of a side whose first re-INVITE has no answer: 500, to be
/// tried again within 10 seconds.
pub(super) fn reinvite_while_pending(stage: &Stage<'_>) -> Result<(), Failure> {
    let call = stage.establish()?;
    for side in [Side::Caller, Side::Callee] {
        let first = call.offer("INVITE", side);
        let seen = call.crosses(side, &first)?;
        for method in ["INVITE", "UPDATE"] {
            let answer = call.refused(side, &call.offer(method, side), 500)?;
            let seconds = answer.header("Retry-After").parse::<u32>();
            check(seconds.is_ok_and(|seconds| seconds <= 10), || {
                format!("Retry-After is {:?}", answer.header("Retry-After"))
            })?;
        }
        call.settles(side, &first, &seen)?;
    }
    call.hang_up()
}

/// A re-INVITE without an offer is answered with one; until its ACK has brought the answer there is no other.
pub(super) fn answer_in_ack(stage: &Stage<'_>) -> Result<(), Failure> {
    let call = stage.establish()?;
    let mut first = call.offer("INVITE", Side::Caller);
    first.body.clear();
    let seen = call.crosses(Side::Caller, &first)?;
    call.callee.answer(&seen, 200, CALLEE_TAG, SDP)?;
    let answer = call.caller.expect_answer(&first, 200)?;
    call.refused(Side::Caller, &call.offer("INVITE", Side::Caller), 491)?;
    let said = SDP.replace("- 1 1", "- 1 2");
    call.caller.acknowledge_with(&first, &answer, &said)?;
    let ack = call.callee.expect("the ACK with the answer", |m| {
        m.request_method() == Some("ACK") && m.cseq_number() == seen.cseq_number()
    })?;
    check(ack.body == said.replace("\r\n", "\n"), || {
        format!("the ACK brings {:?}", ack.body)
    })?;
    let again = call.offer("INVITE", Side::Caller);
    let seen = call.crosses(Side::Caller, &again)?;
    call.settles(Side::Caller, &again, &seen)?;
    call.hang_up()
}

/// Each side moves to another address by an offer: refused, it is where it was; accepted, the next request
/// finds it there.
pub(super) fn target_refresh(stage: &Stage<'_>) -> Result<(), Failure> {
    let call = stage.establish()?;
    for side in [Side::Caller, Side::Callee] {
        let home = call.agent(side);
        let away = Agent::bind("away", home.address.ip(), home.peer)?;
        for (method, code, found) in [("UPDATE", 488, home), ("INVITE", 200, &away)] {
            let request = call.offer(method, side);
            let moved = home.print(&request).replace(
                &format!("Contact: <sip:{}@{}>", home.name(), home.address),
                &format!("Contact: <sip:moved@{}>", away.address),
            );
            home.send_bytes(moved.as_bytes())?;
            let other = call.agent(side.other());
            let seen = other.expect(method, |m| {
                m.request_method() == Some(method) && !m.tag("To").is_empty()
            })?;
            other.answer(&seen, code, CALLEE_TAG, if code == 200 { SDP } else { "" })?;
            let answer = home.expect_answer(&request, code)?;
            if method == "INVITE" {
                home.acknowledge(&request, &answer)?;
                other.expect_request("ACK")?;
            }
            let info = call.offer("INFO", side.other());
            other.send(&info)?;
            let seen = found.expect_request("INFO")?;
            found.answer(&seen, 200, CALLEE_TAG, "")?;
            other.expect_answer(&info, 200)?;
        }
        // Home again.
        let back = call.offer("UPDATE", side);
        let seen = call.crosses(side, &back)?;
        call.settles(side, &back, &seen)?;
    }
    call.hang_up()
}
