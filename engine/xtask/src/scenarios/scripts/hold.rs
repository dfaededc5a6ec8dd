//! Hold and resume in its three styles (RFC 3264 8.4, RFC 2543 B.5): who was told to be silent is not heard,
//! and all are heard again afterwards.

use super::Stage;
use super::talk::{RTCP, RTP, Side, Talk, Terms};
use crate::failure::{Failure, check};
use crate::rtp::{Channel, Endpoint, Shape};
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

/// How often a packet that must not pass is sent.
const ATTEMPTS: usize = 5;

/// The caller offers sendonly: the callee hears the caller, the caller hears nothing.
pub(super) fn sendonly(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut talk = Talk::start(stage)?;
    talk.talk("before", &[])?;
    let (offer, answer) = (
        Terms::audio(&talk.caller, &["a=sendonly"]).version(2),
        Terms::audio(&talk.callee, &["a=recvonly"]).version(2),
    );
    talk.renegotiate(Side::Caller, &offer, &answer)?;
    directions(&talk, "recvonly", "sendonly")?;
    talk.carry(Side::Caller, RTP, "music on hold")?;
    in_vain(&talk.callee, talk.sends_to(Side::Callee)?, "held callee")?;
    resume(&mut talk, &["held callee"])
}

/// The callee offers inactive: nobody hears anything.
pub(super) fn inactive(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut talk = Talk::start(stage)?;
    talk.talk("before", &[])?;
    let (offer, answer) = (
        Terms::audio(&talk.callee, &["a=inactive"]).version(2),
        Terms::audio(&talk.caller, &["a=inactive"]).version(2),
    );
    talk.renegotiate(Side::Callee, &offer, &answer)?;
    directions(&talk, "inactive", "inactive")?;
    // RFC 3264 5.1: RTCP goes on whatever the direction is.
    talk.report(RTCP, "report on hold")?;
    in_vain(&talk.caller, talk.sends_to(Side::Caller)?, "held caller")?;
    in_vain(&talk.callee, talk.sends_to(Side::Callee)?, "held callee")?;
    resume(&mut talk, &["held caller", "held callee"])
}

/// The caller's connection address is 0.0.0.0, as in RFC 2543: the callee is told of a hold, and its packets
/// go nowhere.
pub(super) fn zero_address(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut talk = Talk::start(stage)?;
    talk.talk("before", &[])?;
    let before = talk.sends_to(Side::Callee)?;
    let line = "c=IN IP4 0.0.0.0";
    let (offer, answer) = (
        Terms::audio(&talk.caller, &[line]).version(2),
        Terms::audio(&talk.callee, &[]).version(2),
    );
    talk.renegotiate(Side::Caller, &offer, &answer)?;
    let held = talk.stream(Side::Callee)?;
    let is_hold = held.address.is_some_and(|ip| ip.is_unspecified())
        || ["sendonly", "inactive"].contains(&held.direction.as_str());
    check(is_hold, || {
        format!("the callee was told of no hold: {:?}", held.lines)
    })?;
    in_vain(&talk.callee, before, "held callee")?;
    resume(&mut talk, &["held callee"])
}

/// What each side was told.
fn directions(talk: &Talk, caller: &str, callee: &str) -> Result<(), Failure> {
    for (side, wanted) in [(Side::Caller, caller), (Side::Callee, callee)] {
        let direction = &talk.stream(side)?.direction;
        check(direction == wanted, || {
            format!("the {} was told {direction}, not {wanted}", side.name())
        })?;
    }
    Ok(())
}

/// Sends packets that must not arrive; whether one did shows when the next that may arrives.
pub(super) fn in_vain(speaks: &Endpoint, to: SocketAddr, mark: &str) -> Result<(), Failure> {
    for _ in 0..ATTEMPTS {
        speaks.send(Shape::Rtp, Channel::Even, to, mark)?;
    }
    // The router reads them before the re-INVITE that is sent next, on another socket.
    thread::sleep(Duration::from_millis(200));
    Ok(())
}

/// All is as it was, but nothing of what was said meanwhile is heard.
fn resume(talk: &mut Talk, unheard: &[&str]) -> Result<(), Failure> {
    let (offer, answer) = (
        Terms::audio(&talk.caller, &["a=sendrecv"]).version(3),
        Terms::audio(&talk.callee, &["a=sendrecv"]).version(3),
    );
    talk.renegotiate(Side::Caller, &offer, &answer)?;
    directions(talk, "sendrecv", "sendrecv")?;
    talk.talk("after", unheard)?;
    talk.hang_up()
}
