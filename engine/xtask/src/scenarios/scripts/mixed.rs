//! steerMedia together with what it must get along with: another call flow, another program's RTP.

use super::talk::{Cast, RTP, Side, Terms, address, stream};
use super::{CALLEE_TAG, Stage};
use crate::agent::Agent;
use crate::failure::{Failure, check};
use crate::rtp::{Endpoint, carry};
use crate::scenarios::sipp::{Play, Sipp};
use crate::sdp::Description;
use std::time::Duration;

/// With TransformEarlyToFinal: the early SDP becomes the caller's 200, packets pass while the callee is
/// early, and its 200 with the same SDP neither re-INVITEs the caller nor moves a packet.
pub(super) fn early_to_final(stage: &Stage<'_>) -> Result<(), Failure> {
    let cast = Cast::gather(stage)?;
    let offer = Terms::audio(&cast.caller_media, &[]);
    let (invite, seen, told_callee) = cast.invite(stage, &offer)?;
    let body = cast.body(Side::Callee, &Terms::audio(&cast.callee_media, &[]));
    cast.callee.answer(&seen, 183, CALLEE_TAG, &body)?;
    let answer = cast.caller.expect_answer(&invite, 200)?;
    let told_caller = cast.told(Side::Caller, &answer)?;
    cast.caller.acknowledge(&invite, &answer)?;
    let talk = cast.into_talk((invite, seen, answer), (told_caller, told_callee));
    talk.talk("while early", &[])?;
    talk.call
        .callee
        .answer(&talk.call.seen, 200, CALLEE_TAG, &body)?;
    talk.call.callee.expect_request("ACK")?;
    talk.talk("after all", &[])?;
    let more = talk.call.caller.receive(Duration::from_millis(500))?;
    check(more.is_none(), || {
        format!("the caller got {:?}", more.map(|message| message.start))
    })?;
    talk.hang_up()
}

/// sipp answers and sends back all RTP that it gets; it comes back to the caller through the router.
pub(super) fn sipp_echo(stage: &Stage<'_>) -> Result<(), Failure> {
    let (mut sipp, media) = echoing_sipp(stage)?;
    let caller = stage.caller()?;
    let own = Endpoint::bind(caller.address.ip())?;
    let mut invite = caller.invite(stage.number());
    invite.body = Terms::audio(&own, &[]).body(Side::Caller, caller.address.ip());
    caller.send(&invite)?;
    let answer = caller.expect_answer(&invite, 200)?;
    caller.acknowledge(&invite, &answer)?;
    let told = Description::parse(&answer.body);
    let to = address(stream(&told, 0)?.rtp())?;
    check(
        to.port() != media && !answer.body.contains("127.0.0.22"),
        || format!("the caller was told of sipp itself: {}", answer.body),
    )?;
    carry((&own, to), &own, RTP, "there and back")?;
    hang_up(&caller, &invite, &answer)?;
    sipp.finish(Duration::from_secs(20))
}

fn hang_up(
    caller: &Agent,
    invite: &crate::agent::Request,
    answer: &crate::sip::Message,
) -> Result<(), Failure> {
    let bye = caller.in_dialog("BYE", invite, answer);
    caller.send(&bye)?;
    caller.expect_answer(&bye, 200).map(drop)
}

/// sipp's own answering scenario with its RTP echo, and the port of that.
fn echoing_sipp(stage: &Stage<'_>) -> Result<(Sipp, u16), Failure> {
    let own = stage.callee;
    // sipp echoes on this port and, for video, on the one two above.
    let media = crate::house::free_ports(&[own.ip()], 6)?;
    let options = [
        "-rtp_echo",
        "-mi",
        &own.ip().to_string(),
        "-mp",
        &media.to_string(),
    ]
    .map(str::to_owned);
    let play = Play {
        role: "callee",
        file: "stock",
        own,
        target: None,
        number: stage.number(),
        calls: 1,
        rate: 1,
        traced: true,
        limit_s: 30,
        options: &options,
    };
    let mut sipp = Sipp::start(&play, stage.directory)?;
    sipp.wait_until_bound(own)?;
    Ok((sipp, media))
}
