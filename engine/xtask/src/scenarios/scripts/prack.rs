//! Provisionals that must arrive (RFC 3262): between two that do it, by the router for a caller that does not,
//! across forks, lost; and early dialogs that end (RFC 6228).

use super::{CALLEE_TAG, Stage};
use crate::agent::{Agent, Request, SDP};
use crate::failure::{Failure, check};
use crate::sip::Message;
use std::time::Duration;

/// Another branch of the callee.
const OTHER_TAG: &str = "scripted-other";
/// How long is listened for what must not come.
const SILENCE: Duration = Duration::from_millis(300);

/// A call that is ringing: both agents, and its INVITE on either side.
struct Ringing {
    caller: Agent,
    callee: Agent,
    invite: Request,
    seen: Message,
}

impl Ringing {
    /// An INVITE with these headers.
    fn begin(stage: &Stage<'_>, extra: &str) -> Result<Ringing, Failure> {
        let (caller, callee) = (stage.caller()?, stage.callee()?);
        let mut invite = caller.invite(stage.number());
        invite.extra = extra.to_owned();
        caller.send(&invite)?;
        let seen = callee.expect_request("INVITE")?;
        Ok(Ringing {
            caller,
            callee,
            invite,
            seen,
        })
    }

    /// A reliable provisional of this branch.
    fn rings(&self, code: u16, tag: &str, rseq: u32, body: &str) -> Result<(), Failure> {
        let extra = format!("Require: 100rel\r\nRSeq: {rseq}\r\n");
        self.callee.answer_with(&self.seen, code, tag, &extra, body)
    }

    /// The caller acknowledges what it heard; the PRACK as the callee gets it, not answered yet.
    fn pracks(&self, heard: &Message, body: &str) -> Result<(Request, Message), Failure> {
        let mut prack = self.caller.in_dialog("PRACK", &self.invite, heard);
        let number = heard.header("RSeq");
        prack.extra = format!("RAck: {number} {} INVITE\r\n", self.invite.cseq);
        prack.body = body.to_owned();
        self.caller.send(&prack)?;
        let seen = self.callee.expect_request("PRACK")?;
        Ok((prack, seen))
    }

    /// The same, answered.
    fn acknowledges(&self, heard: &Message) -> Result<Message, Failure> {
        let (prack, seen) = self.pracks(heard, "")?;
        self.callee.answer(&seen, 200, CALLEE_TAG, "")?;
        self.caller.expect_answer(&prack, 200)?;
        Ok(seen)
    }

    /// This branch answers the call, which is then ended.
    fn answers(&self, tag: &str, body: &str) -> Result<Message, Failure> {
        self.callee.answer(&self.seen, 200, tag, body)?;
        let answer = self.caller.expect_answer(&self.invite, 200)?;
        self.caller.acknowledge(&self.invite, &answer)?;
        self.callee.expect_request("ACK")?;
        let bye = self.caller.in_dialog("BYE", &self.invite, &answer);
        self.caller.send(&bye)?;
        let seen = self.callee.expect_request("BYE")?;
        self.callee.answer(&seen, 200, tag, "")?;
        self.caller.expect_answer(&bye, 200)?;
        Ok(answer)
    }
}

fn is(what: &str, found: &str, expected: &str) -> Result<(), Failure> {
    check(found == expected, || {
        format!("{what} is {found:?}, not {expected:?}")
    })
}

/// Nothing that `is_it` comes to this agent.
fn silent(agent: &Agent, what: &str, is_it: impl Fn(&Message) -> bool) -> Result<(), Failure> {
    while let Some(message) = agent.receive(SILENCE)? {
        check(!is_it(&message), || format!("{what}: {}", message.start))?;
    }
    Ok(())
}

/// Two branches ring reliably, each in its own numbers: the caller has one sequence, and each PRACK comes to
/// the branch it is for.
pub(super) fn end_to_end_forked(stage: &Stage<'_>) -> Result<(), Failure> {
    let call = Ringing::begin(stage, "Supported: 100rel\r\n")?;
    call.rings(183, OTHER_TAG, 4000, SDP)?;
    let heard = call.caller.expect_provisional(&call.invite, 183)?;
    is("RSeq", heard.header("RSeq"), "4000")?;
    let prack = call.acknowledges(&heard)?;
    is("branch", prack.tag("To"), OTHER_TAG)?;

    call.rings(180, CALLEE_TAG, 17, "")?;
    let heard = call.caller.expect_provisional(&call.invite, 180)?;
    is("RSeq of the second branch", heard.header("RSeq"), "4001")?;
    let prack = call.acknowledges(&heard)?;
    is("branch", prack.tag("To"), CALLEE_TAG)?;
    let own = format!("17 {} INVITE", call.seen.cseq_number().unwrap_or_default());
    is("RAck", prack.header("RAck"), &own)?;
    call.answers(CALLEE_TAG, SDP).map(drop)
}

/// The callee rings reliably to a caller that does no 100rel: the router acknowledges, the caller hears
/// ordinary ringing, and has the answer in its 200 although the callee's has none.
pub(super) fn by_router(stage: &Stage<'_>) -> Result<(), Failure> {
    let call = Ringing::begin(stage, "")?;
    by_router_from(&call)
}

fn by_router_from(call: &Ringing) -> Result<(), Failure> {
    call.rings(183, CALLEE_TAG, 9, SDP)?;
    let prack = call.callee.expect_request("PRACK")?;
    let own = format!("9 {} INVITE", call.seen.cseq_number().unwrap_or_default());
    is("RAck", prack.header("RAck"), &own)?;
    call.callee.answer(&prack, 200, CALLEE_TAG, "")?;
    let heard = call.caller.expect_provisional(&call.invite, 183)?;
    is("RSeq", heard.header("RSeq"), "")?;
    is("Require", heard.header("Require"), "")?;
    let described = SDP.replace("\r\n", "\n");
    is("body of the 183", &heard.body, &described)?;
    let answer = call.answers(CALLEE_TAG, "")?;
    is("body of the 200", &answer.body, &described)
}

/// The callee refuses an INVITE without 100rel: the router sends it once more and offers it.
pub(super) fn insisted(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut call = Ringing::begin(stage, "")?;
    is("Supported", call.seen.header("Supported"), "")?;
    let (callee, first) = (&call.callee, &call.seen);
    callee.answer_with(first, 421, OTHER_TAG, "Require: 100rel\r\n", "")?;
    let again = callee.expect("the INVITE once more", |m| {
        m.request_method() == Some("INVITE") && m.branch() != first.branch()
    })?;
    is("Supported", again.header("Supported"), "100rel")?;
    is("Call-ID", again.header("Call-ID"), first.header("Call-ID"))?;
    check(again.cseq_number() > first.cseq_number(), || {
        "CSeq does not rise".into()
    })?;
    call.seen = again;
    by_router_from(&call)
}

/// Only the caller offers 100rel: ordinary provisionals stay what they are, and there is nothing to
/// acknowledge.
pub(super) fn caller_only(stage: &Stage<'_>) -> Result<(), Failure> {
    let call = Ringing::begin(stage, "Supported: 100rel\r\n")?;
    call.callee.answer(&call.seen, 180, CALLEE_TAG, "")?;
    let heard = call.caller.expect_provisional(&call.invite, 180)?;
    is("RSeq", heard.header("RSeq"), "")?;
    let mut prack = call.caller.in_dialog("PRACK", &call.invite, &heard);
    prack.extra = format!("RAck: 1 {} INVITE\r\n", call.invite.cseq);
    call.caller.send(&prack)?;
    call.caller.expect_answer(&prack, 481)?;
    call.answers(CALLEE_TAG, SDP).map(drop)
}

/// The caller withholds its PRACK, as if the 18x were lost: the callee's repetitions come under one number,
/// and the 504 that RFC 3262 3 has it give up with ends the call.
pub(super) fn lost_18x(stage: &Stage<'_>) -> Result<(), Failure> {
    let call = Ringing::begin(stage, "Supported: 100rel\r\n")?;
    for _ in 0..3 {
        call.rings(183, CALLEE_TAG, 77, SDP)?;
        let heard = call.caller.expect_provisional(&call.invite, 183)?;
        is("RSeq", heard.header("RSeq"), "77")?;
    }
    silent(&call.callee, "a PRACK nobody sent", |m| {
        m.request_method() == Some("PRACK")
    })?;
    call.callee.answer(&call.seen, 504, CALLEE_TAG, "")?;
    let answer = call.caller.expect_answer(&call.invite, 504)?;
    call.caller.acknowledge(&call.invite, &answer)?;
    call.callee.expect_request("ACK").map(drop)
}

/// A reliable 183 answers, the PRACK makes another offer, its 200 answers that one.
pub(super) fn offer_in_prack(stage: &Stage<'_>) -> Result<(), Failure> {
    let call = Ringing::begin(stage, "Supported: 100rel\r\n")?;
    call.rings(183, CALLEE_TAG, 1, SDP)?;
    let heard = call.caller.expect_provisional(&call.invite, 183)?;
    let offer = SDP.replace("- 1 1", "- 1 2");
    let (prack, seen) = call.pracks(&heard, &offer)?;
    is("offer", &seen.body, &offer.replace("\r\n", "\n"))?;
    call.callee.answer(&seen, 200, CALLEE_TAG, &offer)?;
    let answer = call.caller.expect_answer(&prack, 200)?;
    is("answer", &answer.body, &offer.replace("\r\n", "\n"))?;
    call.answers(CALLEE_TAG, "").map(drop)
}

/// One of two branches ends with 199: the caller, whose dialog goes on, hears nothing of it, and speaks with
/// the other. The end of that one it is told.
pub(super) fn early_dialog_terminated(stage: &Stage<'_>) -> Result<(), Failure> {
    let call = Ringing::begin(stage, "Supported: 199\r\n")?;
    let ends = |tag: &str| {
        let reason = "Reason: SIP;cause=486\r\n";
        call.callee.answer_with(&call.seen, 199, tag, reason, "")
    };
    call.callee.answer(&call.seen, 180, CALLEE_TAG, "")?;
    let heard = call.caller.expect_provisional(&call.invite, 180)?;
    call.callee.answer(&call.seen, 183, OTHER_TAG, "")?;
    call.caller.expect_provisional(&call.invite, 183)?;
    ends(OTHER_TAG)?;
    silent(&call.caller, "told of one of two", |m| {
        m.code() == Some(199)
    })?;
    let info = call.caller.in_dialog("INFO", &call.invite, &heard);
    call.caller.send(&info)?;
    let seen = call.callee.expect_request("INFO")?;
    is("branch", seen.tag("To"), CALLEE_TAG)?;
    call.callee.answer(&seen, 200, CALLEE_TAG, "")?;
    call.caller.expect_answer(&info, 200)?;
    ends(CALLEE_TAG)?;
    let told = call.caller.expect_provisional(&call.invite, 199)?;
    is("Reason", told.header("Reason"), "SIP;cause=486")?;
    call.answers("scripted-third", SDP).map(drop)
}
