//! steerMedia in calls that go well: RTP and RTCP pass both ways through the router's own ports, whatever
//! message the offer and its answer travel in (RFC 3264, 3550, 5761).

use super::Stage;
use super::talk::{Cast, RTCP, RTP, Side, Talk, Terms, address, not_heard, stream};
use crate::failure::{Failure, check};
use crate::rtp::{Channel, Endpoint, Shape, above, carry};
use crate::sdp::{self, Description};

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

/// The caller wants RTCP at a port of its choice (RFC 3605): it comes there, and the callee is told neither
/// that port nor its address.
pub(super) fn rtcp_elsewhere(stage: &Stage<'_>) -> Result<(), Failure> {
    let cast = Cast::gather(stage)?;
    let reports = Endpoint::bind(cast.caller.address.ip())?;
    let wanted = format!(
        "a=rtcp:{} IN IP4 {}",
        above(reports.address).port(),
        reports.address.ip()
    );
    let offer = Terms::audio(&cast.caller_media, &[&wanted]);
    let answer = Terms::audio(&cast.callee_media, &[]);
    let invited = cast.invite(stage, &offer)?;
    let talk = cast.accept(invited, &answer)?;
    talk.talk("speech", &[])?;
    let to = address(talk.stream(Side::Callee)?.rtcp())?;
    carry((&talk.callee, to), &reports, RTCP, "report")?;
    talk.hang_up()
}

/// Encrypted media is relayed as it is: profile and key pass, packets too (RFC 4568).
pub(super) fn encrypted(stage: &Stage<'_>) -> Result<(), Failure> {
    const KEY: &str = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 \
        inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4";
    let cast = Cast::gather(stage)?;
    let terms = |media: &Endpoint| {
        let line = format!("m=audio {} RTP/SAVP 0", media.address.port());
        Terms::of(&[sdp::stream(&line, &[KEY])])
    };
    let answer = terms(&cast.callee_media);
    let invited = cast.invite(stage, &terms(&cast.caller_media))?;
    let talk = cast.accept(invited, &answer)?;
    for side in [Side::Caller, Side::Callee] {
        let stream = talk.stream(side)?;
        let whole = stream.has(KEY) && stream.lines[0].contains(" RTP/SAVP 0");
        check(whole, || {
            format!("{} was told {:?}", side.name(), stream.lines)
        })?;
    }
    talk.talk("speech", &[])?;
    talk.report(RTCP, "report")?;
    talk.hang_up()
}

/// A caller that speaks ICE (RFC 8839) lists its addresses in candidates: none reaches the callee, nor may a
/// packet find its way round the router by them.
pub(super) fn candidates(stage: &Stage<'_>) -> Result<(), Failure> {
    let cast = Cast::gather(stage)?;
    let candidate = format!(
        "a=candidate:1 1 UDP 2130706431 {} {} typ host",
        cast.caller_media.address.ip(),
        cast.caller_media.address.port()
    );
    let lines = [
        "a=ice-ufrag:8hhY",
        "a=ice-pwd:asd88fgpdd777uzjYhagZg",
        &candidate,
    ];
    let offer = Terms::audio(&cast.caller_media, &lines);
    let answer = Terms::audio(&cast.callee_media, &[]);
    let invited = cast.invite(stage, &offer)?;
    let talk = cast.accept(invited, &answer)?;
    talk.talk("speech", &[])?;
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
