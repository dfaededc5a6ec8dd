//! Both sides hang up at once. RFC 3261 15.1.2: a BYE is answered 200 even when ours is under way.

use super::{CALLEE_TAG, Call, Stage};
use crate::agent::{Agent, Request};
use crate::failure::{Failure, check};
use std::time::{Duration, Instant};

/// Caller and callee send their BYEs in the same instant: each gets 200.
pub(super) fn bye_crossing_bye(stage: &Stage<'_>) -> Result<(), Failure> {
    let Call {
        caller,
        callee,
        invite,
        answer,
        seen,
    } = stage.establish()?;
    let from_caller = caller.in_dialog("BYE", &invite, &answer);
    let from_callee = callee.back_in_dialog("BYE", &seen, CALLEE_TAG);
    caller.send(&from_caller)?;
    callee.send(&from_callee)?;
    let until = Instant::now() + Duration::from_secs(5);
    let (mut caller_done, mut callee_done) = (false, false);
    while !(caller_done && callee_done) {
        check(Instant::now() < until, || {
            format!("BYE answered: caller's {caller_done}, callee's {callee_done}")
        })?;
        caller_done |= take_part(&caller, &from_caller)?;
        callee_done |= take_part(&callee, &from_callee)?;
    }
    Ok(())
}

/// Answers the other's BYE if it comes; true when the own `bye` got its 200.
fn take_part(agent: &Agent, bye: &Request) -> Result<bool, Failure> {
    let Some(message) = agent.receive(Duration::from_millis(20))? else {
        return Ok(false);
    };
    if message.request_method() == Some("BYE") {
        agent.answer(&message, 200, CALLEE_TAG, "")?;
        return Ok(false);
    }
    let code = message.code().filter(|_| message.branch() == bye.branch);
    check(code.is_none_or(|code| code == 200), || {
        format!("BYE got {:?}", message.start)
    })?;
    Ok(code == Some(200))
}
