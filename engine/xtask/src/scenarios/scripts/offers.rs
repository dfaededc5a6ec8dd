//! steerMedia and the offer/answer model: the messages that offers and answers travel in besides INVITE and
//! 200, forks, refusals, refreshes (RFC 3261 13.2.1, 3262 5, 3264, 3311).

use super::talk::{Cast, RTCP, RTP, Side, Talk, Terms, address, not_heard, stream};
use super::{CALLEE_TAG, Stage};
use crate::failure::{Failure, check};
use crate::rtp::{Channel, Endpoint, carry};
use crate::sdp;
use crate::sip::Message;
use std::time::Duration;

/// How long is listened at one agent before the other's turn.
const TURN: Duration = Duration::from_millis(200);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

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

/// The caller would move its stream, the callee refuses with 488: the session is the old one (RFC 3261 14.1),
/// packets go where they went.
pub(super) fn refused_reinvite(stage: &Stage<'_>) -> Result<(), Failure> {
    let talk = Talk::start(stage)?;
    talk.talk("before", &[])?;
    let elsewhere = Endpoint::bind(talk.call.caller.address.ip())?;
    let offer = Terms::audio(&elsewhere, &[]).version(2);
    refuse(&talk, &offer, 488)?;
    talk.talk("after", &[])?;
    not_heard(&elsewhere.drain(Channel::Even)?, &["after of the callee"])?;
    talk.hang_up()
}

/// A re-INVITE of the caller with this offer that the callee refuses; the caller hears the same.
fn refuse(talk: &Talk, offer: &Terms, code: u16) -> Result<(), Failure> {
    let (caller, callee) = (&talk.call.caller, &talk.call.callee);
    let mut request = talk.request("INVITE", Side::Caller);
    request.body = offer.body(Side::Caller, caller.address.ip());
    caller.send(&request)?;
    let seen = talk.expect_at(Side::Callee, "INVITE")?;
    callee.answer(&seen, code, CALLEE_TAG, "")?;
    let answer = caller.expect_answer(&request, code)?;
    caller.acknowledge(&request, &answer)?;
    callee
        .expect("ACK of the refusal", |m| {
            m.request_method() == Some("ACK") && m.cseq_number() == seen.cseq_number()
        })
        .map(drop)
}

/// With ports for one stream alone a re-INVITE adds video: it is refused, or its video is, and the audio of
/// the call goes on.
pub(super) fn no_port_for_more(stage: &Stage<'_>) -> Result<(), Failure> {
    let talk = Talk::start(stage)?;
    let (caller, callee) = (&talk.call.caller, &talk.call.callee);
    let mut request = talk.request("INVITE", Side::Caller);
    let streams = [
        sdp::audio(talk.caller.address.port(), &[]),
        sdp::video(40_000, &[]),
    ];
    request.body = Terms::of(&streams)
        .version(2)
        .body(Side::Caller, caller.address.ip());
    caller.send(&request)?;
    let mut seen = None;
    let answer = loop {
        if let Some(message) = callee.receive(TURN)? {
            if message.request_method() == Some("INVITE") && seen.is_none() {
                let audio = [
                    sdp::audio(talk.callee.address.port(), &[]),
                    sdp::video(0, &[]),
                ];
                let body = Terms::of(&audio)
                    .version(2)
                    .body(Side::Callee, callee.address.ip());
                callee.answer(&message, 200, CALLEE_TAG, &body)?;
                seen = Some(talk.told(Side::Callee, &message)?);
            }
            continue;
        }
        let answer = caller.receive(PATIENCE)?;
        let answer =
            answer.ok_or_else(|| Failure::Timeout("the answer to the re-INVITE".into()))?;
        if answer.branch() == request.branch && answer.code().is_some_and(|code| code >= 200) {
            break answer;
        }
    };
    caller.acknowledge(&request, &answer)?;
    check(answer.code() == Some(200) || seen.is_none(), || {
        format!("the callee accepted, the caller got {:?}", answer.start)
    })?;
    if let Some(told) = seen {
        let port = stream(&told, 1)?.port();
        check(port == 0, || {
            format!("video was offered at port {port}, which nobody has")
        })?;
    }
    talk.talk("audio goes on", &[])?;
    talk.hang_up()
}
