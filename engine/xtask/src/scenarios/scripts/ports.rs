//! The router's media ports: none left, all free again; and calls whose media fell silent.

use super::talk::{Cast, Side, Talk, Terms};
use super::{CALLEE_TAG, Stage};
use crate::agent::Agent;
use crate::failure::{Failure, check};
use crate::sip::Message;

/// With ports for one call a second one gets 503 with a Reason. When the first has ended, by BYE or by a
/// rejection or by a CANCEL, the next one fits, again and again.
pub(super) fn exhaustion(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut cast = Cast::gather(stage)?;
    for between in [rejected, cancelled, rejected] {
        let talk = cast.talk(stage, &[], &[])?;
        talk.talk("the call that has the ports", &[])?;
        refused(stage, &talk)?;
        talk.talk("it has them still", &[])?;
        talk.hang_up()?;
        cast = talk.into_cast();
        between(stage, &cast)?;
    }
    cast.talk(stage, &[], &[])?.hang_up()
}

/// A second call finds no ports; the callee hears nothing of it.
fn refused(stage: &Stage<'_>, talk: &Talk) -> Result<(), Failure> {
    let caller = stage.caller()?;
    let mut invite = caller.invite(stage.number());
    invite.body = Terms::audio(&talk.caller, &[]).body(Side::Caller, caller.address.ip());
    caller.send(&invite)?;
    let answer = caller.expect_answer(&invite, 503)?;
    caller.acknowledge(&invite, &answer)?;
    let reason = answer.header("Reason");
    check(reason.contains("cause="), || {
        format!("503 for want of ports with Reason {reason:?}")
    })
}

/// A call that the callee refuses gives its ports back.
fn rejected(stage: &Stage<'_>, cast: &Cast) -> Result<(), Failure> {
    let (invite, seen, _) = cast.invite(stage, &Terms::audio(&cast.caller_media, &[]))?;
    cast.callee.answer(&seen, 486, CALLEE_TAG, "")?;
    let answer = cast.caller.expect_answer(&invite, 486)?;
    cast.caller.acknowledge(&invite, &answer)?;
    cast.callee.expect_request("ACK").map(drop)
}

/// A call that the caller cancels gives its ports back.
fn cancelled(stage: &Stage<'_>, cast: &Cast) -> Result<(), Failure> {
    let (invite, seen, _) = cast.invite(stage, &Terms::audio(&cast.caller_media, &[]))?;
    cast.callee.answer(&seen, 180, CALLEE_TAG, "")?;
    cast.caller.expect_provisional(&invite, 180)?;
    let mut cancel = invite.clone();
    cancel.method = "CANCEL";
    cancel.body.clear();
    cast.caller.send(&cancel)?;
    let seen_cancel = cast.callee.expect_request("CANCEL")?;
    cast.callee.answer(&seen_cancel, 200, CALLEE_TAG, "")?;
    cast.callee.answer(&seen, 487, CALLEE_TAG, "")?;
    let answer = cast.caller.expect_answer(&invite, 487)?;
    cast.caller.acknowledge(&invite, &answer)?;
    cast.callee.expect_request("ACK").map(drop)
}

/// Media that was there falls silent on both sides: the router ends both legs with a BYE and a Reason.
pub(super) fn media_timeout(stage: &Stage<'_>) -> Result<(), Failure> {
    let talk = Talk::start(stage)?;
    talk.talk("the last words", &[])?;
    ended_by_silence(&talk.call.caller)?;
    ended_by_silence(&talk.call.callee)
}

fn ended_by_silence(agent: &Agent) -> Result<(), Failure> {
    let bye = agent.expect_request("BYE")?;
    agent.answer(&bye, 200, CALLEE_TAG, "")?;
    has_cause(&bye)
}

fn has_cause(bye: &Message) -> Result<(), Failure> {
    let reason = bye.header("Reason");
    check(reason.contains("cause="), || {
        format!("BYE after silence with Reason {reason:?}")
    })
}

/// One side speaks, the other is silent: the call goes on beyond the limit; when that one falls silent, too,
/// it ends.
pub(super) fn one_way_media_is_no_silence(stage: &Stage<'_>) -> Result<(), Failure> {
    use super::talk::RTP;
    let talk = Talk::start(stage)?;
    // The limit is 1 s (manifest); 3 s of one-sided speech outlast it.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(3);
    while std::time::Instant::now() < until {
        talk.carry(Side::Caller, RTP, "monologue")?;
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let info = talk.request("INFO", Side::Caller);
    talk.call.caller.send(&info)?;
    let seen = talk.call.callee.expect_request("INFO")?;
    talk.call.callee.answer(&seen, 200, CALLEE_TAG, "")?;
    talk.call.caller.expect_answer(&info, 200)?;
    ended_by_silence(&talk.call.caller)?;
    ended_by_silence(&talk.call.callee)
}
