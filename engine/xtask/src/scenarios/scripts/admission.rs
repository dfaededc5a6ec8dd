//! What the router refuses by itself: beyond its limits, for want of a registrar, for a strange scheme.

use super::Stage;
use crate::failure::{Failure, check};

/// With `limits.calls = 1` a second call gets 503 with Retry-After; after the first has ended, one fits.
pub(super) fn overload_limit(stage: &Stage<'_>) -> Result<(), Failure> {
    let call = stage.establish()?;
    let second = call.caller.invite(stage.number());
    call.caller.send(&second)?;
    let refused = call.caller.expect_answer(&second, 503)?;
    call.caller.acknowledge(&second, &refused)?;
    let seconds = refused
        .header("Retry-After")
        .split(['(', ';', ' '])
        .next()
        .unwrap_or("");
    check(seconds.parse::<u32>().is_ok_and(|s| s > 0), || {
        format!("503 with Retry-After {:?}", refused.header("Retry-After"))
    })?;
    call.hang_up()?;
    drop(call);
    stage.establish()?.hang_up()
}

/// REGISTER to a router without a registrar: 405 with Allow, or 501.
pub(super) fn register_without_registrar(stage: &Stage<'_>) -> Result<(), Failure> {
    let caller = stage.caller()?;
    let register = caller.request("REGISTER", "");
    caller.send(&register)?;
    let answer = caller.expect_final(&register)?;
    let code = answer.code().unwrap_or(0);
    check([405, 501].contains(&code), || {
        format!("REGISTER got {:?}", answer.start)
    })?;
    // RFC 3261 8.2.1: a 405 names the methods that are allowed.
    check(
        code != 405 || answer.header("Allow").contains("INVITE"),
        || "405 without Allow".into(),
    )
}

/// RFC 3261 8.2.2.1: a request-URI of a scheme nobody knows gets 416.
pub(super) fn unknown_scheme(stage: &Stage<'_>) -> Result<(), Failure> {
    let caller = stage.caller()?;
    let mut invite = caller.invite(stage.number());
    invite.uri = "gopher:old-times.invalid/12345".into();
    caller.send(&invite)?;
    let answer = caller.expect_answer(&invite, 416)?;
    caller.acknowledge(&invite, &answer)
}
