//! Session timers of the router's own (RFC 4028): what each leg agrees on, refreshes, and the end of a
//! session that nobody refreshes. The intervals are those of the manifest, far below what a network has.

use super::{CALLEE_TAG, Call, Stage};
use crate::agent::{Agent, SDP};
use crate::failure::{Failure, check};
use crate::sip::Message;

const KNOWS_UPDATE: &str = "Supported: timer\r\nAllow: INVITE, ACK, BYE, UPDATE\r\n";
const KNOWS_TIMER: &str = "Supported: timer\r\nAllow: INVITE, ACK, BYE\r\n";

/// Places a call in which the parties say this, and has it answered.
fn place(stage: &Stage<'_>, caller_says: &str, callee_says: &str) -> Result<Call, Failure> {
    let (caller, callee) = (stage.caller()?, stage.callee()?);
    let mut invite = caller.invite(stage.number());
    invite.extra = caller_says.to_owned();
    caller.send(&invite)?;
    let seen = callee.expect_request("INVITE")?;
    callee.answer_with(&seen, 200, CALLEE_TAG, callee_says, SDP)?;
    let answer = caller.expect_answer(&invite, 200)?;
    caller.acknowledge(&invite, &answer)?;
    callee.expect_request("ACK")?;
    Ok(Call {
        caller,
        callee,
        invite,
        answer,
        seen,
    })
}

fn says(message: &Message, header: &str, expected: &str) -> Result<(), Failure> {
    let found = message.header(header);
    check(found == expected, || {
        format!(
            "{header} of {} is {found:?}, not {expected:?}",
            message.start
        )
    })
}

/// A caller that asks for too little hears how much is wanted, asks for that, and gets it.
pub(super) fn too_short_for_us(stage: &Stage<'_>) -> Result<(), Failure> {
    let (caller, callee) = (stage.caller()?, stage.callee()?);
    let mut invite = caller.invite(stage.number());
    invite.extra = format!("{KNOWS_UPDATE}Session-Expires: 30\r\n");
    caller.send(&invite)?;
    let refused = caller.expect_answer(&invite, 422)?;
    caller.acknowledge(&invite, &refused)?;
    says(&refused, "Min-SE", "90")?;
    let mut again = invite.clone();
    (again.cseq, again.branch) = (2, format!("{}-again", invite.branch));
    again.extra = format!("{KNOWS_UPDATE}Session-Expires: 90\r\nMin-SE: 90\r\n");
    caller.send(&again)?;
    let seen = callee.expect_request("INVITE")?;
    says(&seen, "Session-Expires", "1800")?;
    callee.answer_with(&seen, 200, CALLEE_TAG, "", SDP)?;
    let answer = caller.expect_answer(&again, 200)?;
    caller.acknowledge(&again, &answer)?;
    says(&answer, "Session-Expires", "90;refresher=uac")?;
    says(&answer, "Require", "timer")?;
    callee.expect_request("ACK")?;
    let call = Call {
        caller,
        callee,
        invite: again,
        answer,
        seen,
    };
    call.hang_up()
}

/// A callee that wants more gets it; the caller hears of nothing but the 200.
pub(super) fn too_short_for_callee(stage: &Stage<'_>) -> Result<(), Failure> {
    let (caller, callee) = (stage.caller()?, stage.callee()?);
    let invite = caller.invite(stage.number());
    caller.send(&invite)?;
    let first = callee.expect_request("INVITE")?;
    callee.answer_with(&first, 422, CALLEE_TAG, "Min-SE: 3600\r\n", "")?;
    callee.expect_request("ACK")?;
    let seen = callee.expect("the INVITE again", |message| {
        message.request_method() == Some("INVITE") && message.branch() != first.branch()
    })?;
    says(&seen, "Call-ID", first.header("Call-ID"))?;
    says(&seen, "From", first.header("From"))?;
    says(&seen, "Session-Expires", "3600")?;
    says(&seen, "Min-SE", "3600")?;
    check(seen.cseq_number() > first.cseq_number(), || {
        format!("CSeq {} again", seen.header("CSeq"))
    })?;
    callee.answer_with(&seen, 200, CALLEE_TAG, "", SDP)?;
    let answer = caller.expect_answer(&invite, 200)?;
    caller.acknowledge(&invite, &answer)?;
    let ack = callee.expect_request("ACK")?;
    check(ack.cseq_number() == seen.cseq_number(), || {
        format!("ACK has CSeq {}", ack.header("CSeq"))
    })?;
    let call = Call {
        caller,
        callee,
        invite,
        answer,
        seen,
    };
    call.hang_up()
}

/// A callee that leaves the refreshing to the router gets an UPDATE again and again.
pub(super) fn refreshed_by_update(stage: &Stage<'_>) -> Result<(), Failure> {
    let chosen = format!("{KNOWS_UPDATE}Require: timer\r\nSession-Expires: 2;refresher=uac\r\n");
    let call = place(stage, "", &chosen)?;
    let mut seen = call.seen.clone();
    for _ in 0..3 {
        seen = call.callee.expect_next("UPDATE", &seen)?;
        says(&seen, "Session-Expires", "2;refresher=uac")?;
        says(&seen, "Content-Length", "0")?;
        call.callee
            .answer_with(&seen, 200, CALLEE_TAG, &chosen, "")?;
    }
    call.hang_up()
}

/// A callee without UPDATE gets a re-INVITE with the very description it had.
pub(super) fn refreshed_by_reinvite(stage: &Stage<'_>) -> Result<(), Failure> {
    let chosen = format!("{KNOWS_TIMER}Require: timer\r\nSession-Expires: 2;refresher=uac\r\n");
    let call = place(stage, "", &chosen)?;
    let mut seen = call.seen.clone();
    for _ in 0..2 {
        seen = accept_refresh(&call.callee, "INVITE", &seen, &chosen)?;
    }
    call.hang_up()
}

/// Waits for the re-INVITE behind `earlier`, compares its description and accepts it.
fn accept_refresh(
    agent: &Agent,
    method: &str,
    earlier: &Message,
    says: &str,
) -> Result<Message, Failure> {
    let seen = agent.expect_next(method, earlier)?;
    check(seen.body.lines().eq(SDP.lines()), || {
        format!("the refresh describes another session: {}", seen.body)
    })?;
    agent.answer_with(&seen, 200, CALLEE_TAG, says, SDP)?;
    agent.expect_request("ACK")?;
    Ok(seen)
}

/// Two parties that have never heard of session timers are told of none, and both refreshed.
pub(super) fn without_support(stage: &Stage<'_>) -> Result<(), Failure> {
    let call = place(stage, "", "")?;
    says(&call.answer, "Session-Expires", "")?;
    says(&call.answer, "Require", "")?;
    let at_caller = |call: &Call| {
        let seen = call.caller.expect_request("INVITE")?;
        check(seen.body.lines().eq(SDP.lines()), || {
            format!("to the caller: {}", seen.body)
        })?;
        call.caller.answer(&seen, 200, "", SDP)?;
        call.caller.expect_request("ACK").map(drop)
    };
    accept_refresh(&call.callee, "INVITE", &call.seen, "")?;
    at_caller(&call)?;
    call.hang_up()
}

/// A caller that was to refresh and does not: both legs get a BYE that says why.
pub(super) fn expires(stage: &Stage<'_>) -> Result<(), Failure> {
    let asks = format!("{KNOWS_UPDATE}Session-Expires: 3;refresher=uac\r\n");
    let chosen = format!("{KNOWS_UPDATE}Session-Expires: 600;refresher=uas\r\n");
    let call = place(stage, &asks, &chosen)?;
    says(&call.answer, "Session-Expires", "3;refresher=uac")?;
    for agent in [&call.caller, &call.callee] {
        let bye = agent.expect_request("BYE")?;
        let expected = "SIP;cause=408;text=\"Session Timer Expired\"";
        says(&bye, "Reason", expected)?;
        agent.answer(&bye, 200, "", "")?;
    }
    Ok(())
}
