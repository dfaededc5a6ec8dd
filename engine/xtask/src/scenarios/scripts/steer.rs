//! steerMedia in calls that go well: RTP and RTCP pass both ways through the router's own ports, whatever
//! message the offer and its answer travel in (RFC 3264, 3550, 5761).

use super::talk::{Cast, RTCP, RTP, Side, Talk, Terms, address, not_heard, stream};
use super::{CALLEE_TAG, Stage};
use crate::failure::{Failure, check};
use crate::rtp::{Channel, Endpoint, Shape, carry};
use crate::sdp::{self, Description};
use crate::sip::Message;

/// RTP and RTCP both ways; the router's ports are pairs (RFC 3550 11).
pub(super) fn both_ways(stage: &Stage<'_>) -> Result<(), Failure> {
    let talk = Talk::start(stage)?;
    talk.talk("speech", &[])?;
    talk.report(RTCP, "report")?;
    for side in [Side::Caller, Side::Callee] {
        let port = talk.sends_to(side)?.port();
        check(port % 2 == 0, || format!("RTP port {port} is odd"))?;
    }
    let (one, other) = (talk.sends_to(Side::Caller)?, talk.sends_to(Side::Callee)?);
    check(one != other, || format!("both legs were told {one}"))?;
    talk.hang_up()
}

/// Both offer RTCP on the RTP port: it passes there.
pub(super) fn rtcp_mux(stage: &Stage<'_>) -> Result<(), Failure> {
    let talk = Talk::start_with(stage, &["a=rtcp-mux"], &["a=rtcp-mux"])?;
    for side in [Side::Caller, Side::Callee] {
        let stream = talk.stream(side)?;
        check(stream.has("a=rtcp-mux"), || {
            format!("no rtcp-mux to the {}: {:?}", side.name(), stream.lines)
        })?;
    }
    talk.talk("speech", &[])?;
    talk.report((Shape::Rtcp, Channel::Even), "report")?;
    talk.hang_up()
}

/// The callee knows nothing of RTCP on the RTP port (RFC 5761 5.1.1): RTCP has its own ports.
pub(super) fn rtcp_mux_refused(stage: &Stage<'_>) -> Result<(), Failure> {
    let talk = Talk::start_with(stage, &["a=rtcp-mux"], &[])?;
    let answered = talk.stream(Side::Caller)?;
    check(!answered.has("a=rtcp-mux"), || {
        format!(
            "rtcp-mux in an answer whose callee refused it: {:?}",
            answered.lines
        )
    })?;
    talk.talk("speech", &[])?;
    talk.report(RTCP, "report")?;
    talk.hang_up()
}

/// Each side moves its stream to another port, one after the other: packets follow, and the old port hears
/// none of them.
pub(super) fn stream_moves(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut talk = Talk::start(stage)?;
    talk.talk("before", &[])?;
    for side in [Side::Caller, Side::Callee] {
        let moved = Endpoint::bind(talk.agent(side).address.ip())?;
        let (own, other) = match side {
            Side::Caller => (&mut talk.caller, &talk.callee),
            Side::Callee => (&mut talk.callee, &talk.caller),
        };
        let left = std::mem::replace(own, moved);
        let offer = Terms::audio(own, &[]).version(2);
        let answer = Terms::audio(other, &[]).version(if side == Side::Caller { 1 } else { 2 });
        talk.renegotiate(side, &offer, &answer)?;
        let mark = format!("after the move of the {}", side.name());
        left.drain(Channel::Even)?;
        talk.talk(&mark, &[])?;
        let heard = left.drain(Channel::Even)?;
        not_heard(&heard, &[&format!("{mark} of the {}", side.other().name())])?;
    }
    talk.hang_up()
}

/// A re-INVITE adds video: both streams pass, on ports of their own; another ends it with port 0.
pub(super) fn stream_added(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut talk = Talk::start(stage)?;
    talk.talk("audio alone", &[])?;
    let caller_video = Endpoint::bind(talk.call.caller.address.ip())?;
    let callee_video = Endpoint::bind(talk.call.callee.address.ip())?;
    let both = |audio: &Endpoint, video: u16| {
        Terms::of(&[
            sdp::audio(audio.address.port(), &[]),
            sdp::video(video, &[]),
        ])
    };
    let offer = both(&talk.caller, caller_video.address.port()).version(2);
    let answer = both(&talk.callee, callee_video.address.port()).version(2);
    talk.renegotiate(Side::Caller, &offer, &answer)?;
    talk.talk("audio with video", &[])?;
    let (to_callee, to_caller) = (
        address(stream(&talk.told_caller, 1)?.rtp())?,
        address(stream(&talk.told_callee, 1)?.rtp())?,
    );
    check(to_callee != talk.sends_to(Side::Caller)?, || {
        "both streams have one port".into()
    })?;
    carry((&caller_video, to_callee), &callee_video, RTP, "video")?;
    carry((&callee_video, to_caller), &caller_video, RTP, "video back")?;
    let offer = both(&talk.caller, 0).version(3);
    let answer = both(&talk.callee, 0).version(3);
    talk.renegotiate(Side::Caller, &offer, &answer)?;
    refused(&talk.told_callee, 1)?;
    refused(&talk.told_caller, 1)?;
    talk.talk("audio alone again", &[])?;
    talk.hang_up()
}

/// The callee refuses video with port 0 (RFC 3264 6): so is the caller told, and audio passes.
pub(super) fn stream_refused(stage: &Stage<'_>) -> Result<(), Failure> {
    let cast = Cast::gather(stage)?;
    let video = Endpoint::bind(cast.caller.address.ip())?;
    let offer = Terms::of(&[
        sdp::audio(cast.caller_media.address.port(), &[]),
        sdp::video(video.address.port(), &[]),
    ]);
    let answer = Terms::of(&[
        sdp::audio(cast.callee_media.address.port(), &[]),
        sdp::video(0, &[]),
    ]);
    let invited = cast.invite(stage, &offer)?;
    let offered = stream(&invited.2, 1)?.port();
    check(offered != 0 && offered != video.address.port(), || {
        format!("video was offered at port {offered}")
    })?;
    let talk = cast.accept(invited, &answer)?;
    refused(&talk.told_caller, 1)?;
    talk.talk("audio", &[])?;
    talk.report(RTCP, "report")?;
    talk.hang_up()
}

fn refused(told: &Description, place: usize) -> Result<(), Failure> {
    let port = stream(told, place)?.port();
    check(port == 0, || {
        format!("stream {place} should have port 0, not {port}")
    })
}

/// The offer comes in the 200, the answer in the ACK.
pub(super) fn delayed_offer(stage: &Stage<'_>) -> Result<(), Failure> {
    let cast = Cast::gather(stage)?;
    let invite = cast.caller.request("INVITE", stage.number());
    cast.caller.send(&invite)?;
    let seen = cast.callee.expect_request("INVITE")?;
    check(seen.body.is_empty(), || {
        format!("an offer nobody made: {}", seen.body)
    })?;
    let offer = cast.body(Side::Callee, &Terms::audio(&cast.callee_media, &[]));
    cast.callee.answer(&seen, 200, CALLEE_TAG, &offer)?;
    let answer = cast.caller.expect_answer(&invite, 200)?;
    let told_caller = cast.told(Side::Caller, &answer)?;
    let body = cast.body(Side::Caller, &Terms::audio(&cast.caller_media, &[]));
    cast.caller.acknowledge_with(&invite, &answer, &body)?;
    let acknowledged = cast.callee.expect_request("ACK")?;
    let told_callee = cast.told(Side::Callee, &acknowledged)?;
    let talk = cast.into_talk((invite, seen, answer), (told_caller, told_callee));
    talk.talk("speech", &[])?;
    talk.report(RTCP, "report")?;
    talk.hang_up()
}

/// A reliable 183 answers, the PRACK offers anew (RFC 3262 5), the callee's early UPDATE once more (RFC 3311),
/// and the 200 has no SDP: packets go where the last answer said.
pub(super) fn offers_in_prack_and_update(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut cast = Cast::gather(stage)?;
    let mut invite = cast.caller.invite(stage.number());
    invite.extra = "Supported: 100rel\r\nAllow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE\r\n".into();
    invite.body = cast.body(Side::Caller, &Terms::audio(&cast.caller_media, &[]));
    cast.caller.send(&invite)?;
    let seen = cast.callee.expect_request("INVITE")?;
    cast.told(Side::Callee, &seen)?;
    reliable_183(&cast, &seen)?;
    let early = cast.caller.expect_provisional(&invite, 183)?;
    cast.told(Side::Caller, &early)?;

    // The PRACK moves the caller's stream.
    cast.caller_media = Endpoint::bind(cast.caller.address.ip())?;
    let mut prack = cast.caller.in_dialog("PRACK", &invite, &early);
    prack.extra = format!("RAck: {} {} INVITE\r\n", early.header("RSeq"), invite.cseq);
    prack.body = cast.body(
        Side::Caller,
        &Terms::audio(&cast.caller_media, &[]).version(2),
    );
    cast.caller.send(&prack)?;
    let seen_prack = cast.callee.expect_request("PRACK")?;
    cast.told(Side::Callee, &seen_prack)?;
    let body = cast.body(
        Side::Callee,
        &Terms::audio(&cast.callee_media, &[]).version(2),
    );
    cast.callee.answer(&seen_prack, 200, CALLEE_TAG, &body)?;
    let answered = cast.caller.expect_answer(&prack, 200)?;
    let told_caller = cast.told(Side::Caller, &answered)?;
    let to = address(stream(&told_caller, 0)?.rtp())?;
    carry((&cast.caller_media, to), &cast.callee_media, RTP, "early")?;

    // The UPDATE moves the callee's.
    cast.callee_media = Endpoint::bind(cast.callee.address.ip())?;
    let mut update = cast.callee.back_in_dialog("UPDATE", &seen, CALLEE_TAG);
    update.body = cast.body(
        Side::Callee,
        &Terms::audio(&cast.callee_media, &[]).version(3),
    );
    cast.callee.send(&update)?;
    let seen_update = cast.caller.expect_request("UPDATE")?;
    let told_caller = cast.told(Side::Caller, &seen_update)?;
    let body = cast.body(
        Side::Caller,
        &Terms::audio(&cast.caller_media, &[]).version(3),
    );
    cast.caller.answer(&seen_update, 200, "unused", &body)?;
    let answered = cast.callee.expect_answer(&update, 200)?;
    let told_callee = cast.told(Side::Callee, &answered)?;

    cast.callee.answer(&seen, 200, CALLEE_TAG, "")?;
    let answer = cast.caller.expect_answer(&invite, 200)?;
    cast.caller.acknowledge(&invite, &answer)?;
    cast.callee.expect_request("ACK")?;
    let talk = cast.into_talk((invite, seen, answer), (told_caller, told_callee));
    talk.talk("after all", &[])?;
    talk.report(RTCP, "report")?;
    talk.hang_up()
}

/// The callee's reliable 183 with its answer.
fn reliable_183(cast: &Cast, seen: &Message) -> Result<(), Failure> {
    let extra = "Require: 100rel\r\nRSeq: 1001\r\n\
        Allow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE\r\n";
    let body = cast.body(Side::Callee, &Terms::audio(&cast.callee_media, &[]));
    cast.callee.answer_with(seen, 183, CALLEE_TAG, extra, &body)
}

/// An UPDATE in the answered call moves the callee's stream, and one of the caller its own (RFC 3311).
pub(super) fn offer_in_update(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut talk = Talk::start(stage)?;
    talk.talk("before", &[])?;
    talk.callee = Endpoint::bind(talk.call.callee.address.ip())?;
    let (caller, callee) = (
        Terms::audio(&talk.caller, &[]),
        Terms::audio(&talk.callee, &[]),
    );
    talk.negotiate("UPDATE", Side::Callee, &callee.version(2), &caller)?;
    talk.talk("after the callee's", &[])?;
    talk.caller = Endpoint::bind(talk.call.caller.address.ip())?;
    let (caller, callee) = (
        Terms::audio(&talk.caller, &[]),
        Terms::audio(&talk.callee, &[]),
    );
    talk.negotiate(
        "UPDATE",
        Side::Caller,
        &caller.version(2),
        &callee.version(2),
    )?;
    talk.talk("after the caller's", &[])?;
    talk.hang_up()
}

/// Two branches of the callee answer early, each with its own media; the second answers the call. The caller
/// hears each while it is the last word, and in the end the one that answered.
pub(super) fn forked_answers(stage: &Stage<'_>) -> Result<(), Failure> {
    let cast = Cast::gather(stage)?;
    let other = Endpoint::bind(cast.callee.address.ip())?;
    let offer = Terms::audio(&cast.caller_media, &[]);
    let (invite, seen, told_callee) = cast.invite(stage, &offer)?;
    let to_caller = address(stream(&told_callee, 0)?.rtp())?;
    let early = |media: &Endpoint, tag: &str, cast: &Cast| {
        let body = cast.body(Side::Callee, &Terms::audio(media, &[]));
        cast.callee.answer(&seen, 183, tag, &body)?;
        let told = cast.caller.expect_provisional(&invite, 183)?;
        cast.told(Side::Caller, &told).map(drop)
    };
    early(&other, "branch-one", &cast)?;
    carry((&other, to_caller), &cast.caller_media, RTP, "branch one")?;
    early(&cast.callee_media, CALLEE_TAG, &cast)?;
    carry(
        (&cast.callee_media, to_caller),
        &cast.caller_media,
        RTP,
        "branch two",
    )?;
    cast.caller_media.drain(Channel::Even)?;
    let answer = Terms::audio(&cast.callee_media, &[]);
    let talk = cast.accept((invite, seen, told_callee), &answer)?;
    talk.talk("answered", &[])?;
    other.drain(Channel::Even)?;
    talk.talk("still answered", &[])?;
    let heard = other.drain(Channel::Even)?;
    check(heard.is_empty(), || {
        "the branch that lost is sent media".into()
    })?;
    talk.hang_up()
}

/// The callee dwells in the other address family (manifest: callee_ip = "::1").
pub(super) fn ipv4_to_ipv6(stage: &Stage<'_>) -> Result<(), Failure> {
    let talk = Talk::start(stage)?;
    let family = |side| Ok::<bool, Failure>(talk.sends_to(side)?.is_ipv4());
    check(family(Side::Caller)? && !family(Side::Callee)?, || {
        "an end was told an address of the other's family".into()
    })?;
    talk.talk("speech", &[])?;
    talk.report(RTCP, "report")?;
    talk.hang_up()
}

/// Lines no RFC knows, other kinds of streams and attributes of every sort pass byte for byte and in order.
pub(super) fn unknown_lines_pass(stage: &Stage<'_>) -> Result<(), Failure> {
    const SESSION: &[&str] = &[
        "b=CT:128",
        "a=x-tipring-session:one;two=\"3\"",
        "a=tool:x  y",
    ];
    const STREAM: &[&str] = &[
        "b=TIAS:64000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        "a=ptime:20",
        "a=x-unknown",
        "y=what is this",
    ];
    const OTHER: &str = "m=application 9 TCP/MRCPv2 1\r\nc=IN IP4 192.0.2.99\r\na=setup:active\r\na=channel:32AECB2@x";
    let cast = Cast::gather(stage)?;
    let terms =
        |media: &Endpoint| Terms::of(&[sdp::audio(media.address.port(), STREAM), OTHER.to_owned()]);
    let mut invite = cast.caller.invite(stage.number());
    let body = cast.body(Side::Caller, &terms(&cast.caller_media));
    invite.body = body.replace(
        "t=0 0\r\n",
        &format!("t=0 0\r\n{}\r\n", SESSION.join("\r\n")),
    );
    cast.caller.send(&invite)?;
    let seen = cast.callee.expect_request("INVITE")?;
    let told = cast.told(Side::Callee, &seen)?;
    in_order(&told.session, SESSION)?;
    in_order(&stream(&told, 0)?.lines, STREAM)?;
    let other: Vec<&str> = OTHER.split("\r\n").collect();
    in_order(&stream(&told, 1)?.lines, &other)?;
    let answer = terms(&cast.callee_media);
    let talk = cast.accept((invite, seen, told), &answer)?;
    in_order(&talk.stream(Side::Caller)?.lines, STREAM)?;
    talk.talk("speech", &[])?;
    talk.hang_up()
}

/// Whether all of `wanted` are among `lines`, in this order.
fn in_order(lines: &[String], wanted: &[&str]) -> Result<(), Failure> {
    let mut left = lines.iter();
    let missing = wanted.iter().find(|line| !left.any(|own| own == **line));
    check(missing.is_none(), || {
        format!("{missing:?} is not, or not in its place, in {lines:?}")
    })
}

/// A session refresh repeats offer and answer: `o=` keeps its version on both legs. A hold raises it
/// (RFC 3264 8).
pub(super) fn version_raised_by_change_alone(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut talk = Talk::start(stage)?;
    let versions = |talk: &Talk| (talk.told_caller.version(), talk.told_callee.version());
    let first = versions(&talk);
    check(first.0.is_some() && first.1.is_some(), || {
        format!("unreadable versions: {first:?}")
    })?;
    let (caller, callee) = (
        Terms::audio(&talk.caller, &[]),
        Terms::audio(&talk.callee, &[]),
    );
    for from in [Side::Caller, Side::Callee] {
        let (offer, answer) = match from {
            Side::Caller => (&caller, &callee),
            Side::Callee => (&callee, &caller),
        };
        talk.renegotiate(from, offer, answer)?;
        let now = versions(&talk);
        check(now == first, || {
            format!(
                "a refresh by the {} changed {first:?} to {now:?}",
                from.name()
            )
        })?;
    }
    let held = Terms::audio(&talk.caller, &["a=sendonly"]).version(2);
    let holding = Terms::audio(&talk.callee, &["a=recvonly"]).version(2);
    talk.renegotiate(Side::Caller, &held, &holding)?;
    let now = versions(&talk);
    check(now.0 > first.0 && now.1 > first.1, || {
        format!("a hold did not raise {first:?}: {now:?}")
    })?;
    talk.hang_up()
}
