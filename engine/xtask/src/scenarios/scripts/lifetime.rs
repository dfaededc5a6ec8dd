//! The router's own life under live calls: a new routing DB, a broken one, and the end.

use super::{Call, Stage};
use crate::agent::Agent;
use crate::failure::{Failure, check};
use crate::sip::Message;

/// A reload with a broken file leaves the old table; one with an empty table refuses the next call with
/// 404; one with the old file takes calls again. The live call is untouched by all three.
pub(super) fn reload(stage: &Stage<'_>) -> Result<(), Failure> {
    let good = stage.scenario.rdb(stage.callee).to_string();
    let call = stage.establish()?;
    stage.router.reload("[{ broken")?;
    take_second_call(stage, &call)?;
    stage.router.reload("[]")?;
    refused(stage, &call.caller, 404)?;
    info_passes(&call)?;
    stage.router.reload(&good)?;
    take_second_call(stage, &call)?;
    call.hang_up()
}

/// After SIGTERM new calls get 503 with Retry-After, the live one goes on to its end, and then the router
/// ends by itself with success (which is seen when the stage is cleared).
pub(super) fn drain(stage: &Stage<'_>) -> Result<(), Failure> {
    let call = stage.establish()?;
    stage.router.terminate();
    let refused = refused(stage, &call.caller, 503)?;
    check(!refused.header("Retry-After").is_empty(), || {
        "503 without Retry-After".into()
    })?;
    info_passes(&call)?;
    call.hang_up()
}

/// Dials and is refused with `code`.
fn refused(stage: &Stage<'_>, caller: &Agent, code: u16) -> Result<Message, Failure> {
    let invite = caller.invite(stage.number());
    caller.send(&invite)?;
    let answer = caller.expect_answer(&invite, code)?;
    caller.acknowledge(&invite, &answer)?;
    Ok(answer)
}

/// A further call on the live call's sockets rings through to the callee and back.
fn take_second_call(stage: &Stage<'_>, call: &Call) -> Result<(), Failure> {
    let invite = call.caller.invite(stage.number());
    call.caller.send(&invite)?;
    let seen = call.callee.expect_request("INVITE")?;
    call.callee.answer(&seen, 486, "second-call", "")?;
    call.callee.expect_request("ACK")?;
    let answer = call.caller.expect_answer(&invite, 486)?;
    call.caller.acknowledge(&invite, &answer)
}

/// The live call still carries requests.
fn info_passes(call: &Call) -> Result<(), Failure> {
    let info = call.caller.in_dialog("INFO", &call.invite, &call.answer);
    call.caller.send(&info)?;
    let seen = call.callee.expect_request("INFO")?;
    call.callee.answer(&seen, 200, super::CALLEE_TAG, "")?;
    call.caller.expect_answer(&info, 200).map(drop)
}
