//! The EchoResponder: the router is the callee, chooses a codec, and sends every packet back to its sender.

use super::Stage;
use super::hold::in_vain;
use super::talk::{RTP, Side, Terms, address, not_heard, stream};
use crate::agent::{Agent, Request};
use crate::failure::{Failure, check};
use crate::rtp::{Channel, Endpoint, Packet, Shape, carry};
use crate::sdp::{self, Description};
use crate::sip::Message;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long a report of the router may take. RFC 3550 6.2 has the first one after 2.5 s and one every 5 s.
const REPORT: Duration = Duration::from_secs(20);

/// A call with the echo.
struct Echo {
    caller: Agent,
    media: Endpoint,
    invite: Request,
    answer: Message,
    told: Description,
}

impl Echo {
    fn call(stage: &Stage<'_>) -> Result<Echo, Failure> {
        let caller = stage.caller()?;
        let media = Endpoint::bind(caller.address.ip())?;
        let offer = Terms::audio(&media, &[]);
        Echo::offer(stage, caller, media, &offer)
    }

    fn offer(
        stage: &Stage<'_>,
        caller: Agent,
        media: Endpoint,
        offer: &Terms,
    ) -> Result<Echo, Failure> {
        let mut invite = caller.invite(stage.number());
        invite.body = offer.body(Side::Caller, caller.address.ip());
        caller.send(&invite)?;
        caller.expect_provisional(&invite, 180)?;
        let answer = caller.expect_answer(&invite, 200)?;
        caller.acknowledge(&invite, &answer)?;
        let told = told(&caller, &answer)?;
        Ok(Echo {
            caller,
            media,
            invite,
            answer,
            told,
        })
    }

    /// A re-INVITE or UPDATE with these lines; the direction of the answer.
    fn renegotiate(
        &mut self,
        method: &'static str,
        version: u32,
        further: &[&str],
    ) -> Result<String, Failure> {
        let mut request = self.caller.in_dialog(method, &self.invite, &self.answer);
        let offer = Terms::audio(&self.media, further).version(version);
        request.body = offer.body(Side::Caller, self.caller.address.ip());
        self.caller.send(&request)?;
        let answer = self.caller.expect_answer(&request, 200)?;
        if method == "INVITE" {
            self.caller.acknowledge(&request, &answer)?;
        }
        self.told = told(&self.caller, &answer)?;
        Ok(stream(&self.told, 0)?.direction.clone())
    }

    fn address(&self) -> Result<SocketAddr, Failure> {
        address(stream(&self.told, 0)?.rtp())
    }

    /// Speaks until the own words come back; all that was heard until then.
    fn hear(&self, mark: &str) -> Result<Vec<Packet>, Failure> {
        carry((&self.media, self.address()?), &self.media, RTP, mark)
    }

    fn hang_up(&self) -> Result<(), Failure> {
        let bye = self.caller.in_dialog("BYE", &self.invite, &self.answer);
        self.caller.send(&bye)?;
        self.caller.expect_answer(&bye, 200).map(drop)
    }
}

/// What an answer of the router's own tells: its address, a port, and nothing else.
fn told(caller: &Agent, answer: &Message) -> Result<Description, Failure> {
    let told = Description::parse(&answer.body);
    let audio = stream(&told, 0)?;
    let whole = audio.port() != 0 && audio.address == Some(caller.peer.ip());
    check(whole, || format!("an echo answers with {}", answer.body))?;
    Ok(told)
}

/// What is said comes back to its sender: same payload type and payload, another source, from the router's
/// port; the sender may speak from another port than it signalled.
pub(super) fn rtp(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut echo = Echo::call(stage)?;
    let heard = echo.hear("hello")?;
    let last = heard.last();
    check(
        last.is_some_and(|p| p.from == echo.address().unwrap_or(p.from)),
        || format!("the echo comes from {:?}", last.map(|p| p.from)),
    )?;
    check(last.and_then(Packet::payload_type) == Some(0), || {
        "the echo has another payload type".into()
    })?;
    let whole = |packet: &Packet| {
        let payload = packet.payload();
        payload.len() == 160 && payload.iter().filter(|byte| **byte == 0xd5).count() == 153
    };
    check(last.is_some_and(whole), || {
        "the echo has another payload".into()
    })?;
    check(
        last.and_then(Packet::source) != Some(echo.media.source),
        || "the echo has its sender's source".into(),
    )?;
    echo.hang_up()?;

    let elsewhere = Endpoint::bind(echo.caller.address.ip())?;
    echo = Echo::call(stage)?;
    carry(
        (&elsewhere, echo.address()?),
        &elsewhere,
        RTP,
        "from behind NAT",
    )?;
    echo.hang_up()
}

/// While packets flow, RTCP reports on their source come (RFC 3550 6.4).
pub(super) fn reports(stage: &Stage<'_>) -> Result<(), Failure> {
    let echo = Echo::call(stage)?;
    let until = Instant::now() + REPORT;
    while Instant::now() < until {
        echo.media
            .send(Shape::Rtp, Channel::Even, echo.address()?, "speech")?;
        let heard = echo.media.hear(Channel::Odd, Duration::from_millis(20))?;
        if heard.is_some_and(|packet| packet.reports_on(echo.media.source)) {
            return echo.hang_up();
        }
        echo.media.drain(Channel::Even)?;
    }
    Err(Failure::Timeout("an RTCP report on what was sent".into()))
}

/// Held in each style, by re-INVITE and UPDATE: nothing comes back; resumed, it does.
pub(super) fn hold(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut echo = Echo::call(stage)?;
    echo.hear("before")?;
    let styles: [(&str, &str, &[&str]); 3] = [
        ("INVITE", "a=sendonly", &["recvonly", "inactive"]),
        ("INVITE", "a=inactive", &["inactive"]),
        ("UPDATE", "a=sendonly", &["recvonly", "inactive"]),
    ];
    for (round, (method, style, allowed)) in (1_u32..).zip(styles) {
        let direction = echo.renegotiate(method, 2 * round, &[style])?;
        check(allowed.contains(&direction.as_str()), || {
            format!("{style} was answered with {direction}")
        })?;
        echo.media.drain(Channel::Even)?;
        let mark = format!("held {round}");
        in_vain(&echo.media, echo.address()?, &mark)?;
        let direction = echo.renegotiate(method, 2 * round + 1, &["a=sendrecv"])?;
        check(direction == "sendrecv", || {
            format!("resumed with {direction}")
        })?;
        not_heard(&echo.hear(&format!("after {round}"))?, &[&mark])?;
    }
    held_by_zero_address(&mut echo)?;
    echo.hang_up()
}

/// RFC 2543 B.5: c=IN IP4 0.0.0.0.
fn held_by_zero_address(echo: &mut Echo) -> Result<(), Failure> {
    echo.renegotiate("INVITE", 20, &["c=IN IP4 0.0.0.0"])?;
    echo.media.drain(Channel::Even)?;
    in_vain(&echo.media, echo.address()?, "held by zero")?;
    echo.renegotiate("INVITE", 21, &[])?;
    not_heard(&echo.hear("after zero")?, &["held by zero"])
}

/// A re-INVITE moves the caller's stream: the echo goes there.
pub(super) fn moves(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut echo = Echo::call(stage)?;
    echo.hear("here")?;
    echo.media = Endpoint::bind(echo.caller.address.ip())?;
    echo.renegotiate("INVITE", 2, &[])?;
    echo.hear("there")?;
    echo.hang_up()
}

/// Each codec alone, then all of them: the answer names what was offered and no more, with its clock rate,
/// and telephone-event beside it when that was offered.
pub(super) fn codecs(stage: &Stage<'_>) -> Result<(), Failure> {
    let offers = [
        ("0", "", "PCMU/8000"),
        ("8", "", "PCMA/8000"),
        ("9", "", "G722/8000"),
        ("18", "", "G729/8000"),
        ("107", "opus/48000/2", "opus/48000/2"),
        ("113", "PCMA/8000", "PCMA/8000"),
    ];
    for (format, rtpmap, codec) in offers {
        let map = format!("a=rtpmap:{format} {rtpmap}");
        let mut lines = vec!["a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15"];
        if !rtpmap.is_empty() {
            lines.push(&map);
        }
        let answered = answered(stage, &format!("{format} 101"), &lines)?;
        let formats = answered.formats();
        check(formats == [format, "101"], || {
            format!("{codec} with telephone-event was answered with {formats:?}")
        })?;
        let told = answered.codec(format);
        let is_codec = told.map_or(rtpmap.is_empty(), |told| told.eq_ignore_ascii_case(codec));
        check(is_codec, || {
            format!("{format} is called {told:?}, not {codec}")
        })?;
        check(
            answered.codec("101") == Some("telephone-event/8000"),
            || format!("telephone-event is called {:?}", answered.codec("101")),
        )?;
    }
    let mixed = answered(stage, "97 8", &["a=rtpmap:97 SPEEX/8000"])?;
    check(mixed.formats() == ["8"], || {
        format!("an unknown codec was answered: {:?}", mixed.formats())
    })
}

/// The audio stream of the answer to an offer of these formats.
fn answered(stage: &Stage<'_>, formats: &str, lines: &[&str]) -> Result<sdp::Stream, Failure> {
    let caller = stage.caller()?;
    let media = Endpoint::bind(caller.address.ip())?;
    let line = format!("m=audio {} RTP/AVP {formats}", media.address.port());
    let offer = Terms::of(&[sdp::stream(&line, lines)]);
    let echo = Echo::offer(stage, caller, media, &offer)?;
    echo.hang_up()?;
    stream(&echo.told, 0).cloned()
}

/// Audio and video: the video is refused with port 0 in its place (RFC 3264 6), audio is echoed.
pub(super) fn refuses_video(stage: &Stage<'_>) -> Result<(), Failure> {
    let caller = stage.caller()?;
    let media = Endpoint::bind(caller.address.ip())?;
    let offer = Terms::of(&[
        sdp::audio(media.address.port(), &[]),
        sdp::video(40_000, &[]),
    ]);
    let echo = Echo::offer(stage, caller, media, &offer)?;
    let video = stream(&echo.told, 1)?;
    check(video.kind() == "video" && video.port() == 0, || {
        format!("video was answered with {:?}", video.lines)
    })?;
    echo.hear("audio")?;
    echo.hang_up()
}
