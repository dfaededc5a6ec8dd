//! One socket on both ends of a call: an empty outRuriHostport sends the call back to where it came from.

use super::{CALLEE_TAG, Stage};
use crate::agent::SDP;
use crate::failure::{Failure, check};

/// The INVITE comes back to the caller's own socket as a leg of its own, which is answered and ended.
pub(super) fn back_to_sender(stage: &Stage<'_>) -> Result<(), Failure> {
    let agent = stage.caller()?;
    let invite = agent.invite(stage.number());
    agent.send(&invite)?;
    let back = agent.expect_request("INVITE")?;
    check(back.header("Call-ID") != invite.call_id, || {
        "both legs have one Call-ID".into()
    })?;
    check(back.uri().contains(stage.number()), || {
        format!("came back as {}", back.uri())
    })?;
    agent.answer(&back, 200, CALLEE_TAG, SDP)?;
    let answer = agent.expect_answer(&invite, 200)?;
    agent.acknowledge(&invite, &answer)?;
    let of_the_other_leg = |m: &crate::sip::Message| m.header("Call-ID") == back.header("Call-ID");
    agent.expect("ACK of the other leg", |m| {
        m.request_method() == Some("ACK") && of_the_other_leg(m)
    })?;
    let bye = agent.in_dialog("BYE", &invite, &answer);
    agent.send(&bye)?;
    // The 200 to this BYE and the other leg's BYE may come in either order.
    let mut answered = false;
    let mut ended = false;
    while !(answered && ended) {
        let message = agent.expect("BYE and its 200", |m| m.cseq_method() == "BYE")?;
        if message.request_method().is_some() {
            agent.answer(&message, 200, CALLEE_TAG, "")?;
            ended |= of_the_other_leg(&message);
        } else {
            check(message.code() == Some(200), || {
                format!("BYE got {:?}", message.start)
            })?;
            answered = true;
        }
    }
    Ok(())
}
