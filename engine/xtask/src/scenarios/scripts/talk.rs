//! A call with media: two agents that each own an RTP endpoint, and what the router told them in SDP. Every
//! body that arrives is searched for what belongs to the other leg (RFC 3264, and the topology that a B2BUA
//! hides).

use super::{CALLEE_TAG, Call, Stage};
use crate::agent::{Agent, Request};
use crate::failure::{Failure, check};
use crate::rtp::{Channel, Endpoint, Packet, Shape, carry};
use crate::sdp::{self, Description, Stream};
use crate::sip::Message;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// RTP on the even port.
pub(super) const RTP: (Shape, Channel) = (Shape::Rtp, Channel::Even);
/// RTCP on the odd port.
pub(super) const RTCP: (Shape, Channel) = (Shape::Rtcp, Channel::Odd);
/// T.38.
pub(super) const UDPTL: (Shape, Channel) = (Shape::Udptl, Channel::Even);

/// An agent that hears nothing for so long has read all that came.
const SILENCE: Duration = Duration::from_millis(1);

/// One end of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Caller,
    Callee,
}

/// What one end says of its media: the version and the streams of its description.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    pub(super) version: u32,
    pub(super) streams: Vec<String>,
}

/// A call that is up, and its media.
pub(super) struct Talk {
    pub(super) call: Call,
    /// The endpoints of the first stream.
    pub(super) caller: Endpoint,
    pub(super) callee: Endpoint,
    /// What the caller and the callee were told last.
    pub(super) told_caller: Description,
    pub(super) told_callee: Description,
}

/// Before it is up: the agents and their endpoints.
pub(super) struct Cast {
    pub(super) caller: Agent,
    pub(super) callee: Agent,
    pub(super) caller_media: Endpoint,
    pub(super) callee_media: Endpoint,
}

impl Side {
    pub(super) fn name(self) -> &'static str {
        match self {
            Side::Caller => "caller",
            Side::Callee => "callee",
        }
    }

    pub(super) fn other(self) -> Side {
        match self {
            Side::Caller => Side::Callee,
            Side::Callee => Side::Caller,
        }
    }
}

impl Terms {
    /// Version 1 of these streams.
    pub(super) fn of(streams: &[String]) -> Terms {
        Terms {
            version: 1,
            streams: streams.to_vec(),
        }
    }

    /// One audio stream at this endpoint.
    pub(super) fn audio(media: &Endpoint, further: &[&str]) -> Terms {
        Terms::of(&[sdp::audio(media.address.port(), further)])
    }

    /// The same of a later version.
    pub(super) fn version(self, version: u32) -> Terms {
        Terms { version, ..self }
    }

    /// The body, as this side writes it from this address.
    pub(super) fn body(&self, side: Side, address: IpAddr) -> String {
        sdp::describe(side.name(), address, self.version, &self.streams)
    }
}

impl Cast {
    /// Binds all sockets.
    pub(super) fn gather(stage: &Stage<'_>) -> Result<Cast, Failure> {
        let (caller, callee) = (stage.caller()?, stage.callee()?);
        Ok(Cast {
            caller_media: Endpoint::bind(caller.address.ip())?,
            callee_media: Endpoint::bind(callee.address.ip())?,
            caller,
            callee,
        })
    }

    /// A call of one audio stream, with further lines in offer and answer.
    pub(super) fn talk(
        self,
        stage: &Stage<'_>,
        offered: &[&str],
        answered: &[&str],
    ) -> Result<Talk, Failure> {
        let offer = Terms::audio(&self.caller_media, offered);
        let answer = Terms::audio(&self.callee_media, answered);
        let invited = self.invite(stage, &offer)?;
        self.accept(invited, &answer)
    }

    /// The body of one side.
    pub(super) fn body(&self, side: Side, terms: &Terms) -> String {
        let agent = match side {
            Side::Caller => &self.caller,
            Side::Callee => &self.callee,
        };
        terms.body(side, agent.address.ip())
    }

    /// Sends the INVITE with the caller's offer; what the callee saw, and what it was told.
    pub(super) fn invite(
        &self,
        stage: &Stage<'_>,
        offer: &Terms,
    ) -> Result<(Request, Message, Description), Failure> {
        let mut invite = self.caller.invite(stage.number());
        invite.body = self.body(Side::Caller, offer);
        // Nothing of an earlier call may be taken for this one.
        while self.callee.receive(SILENCE)?.is_some() {}
        self.caller.send(&invite)?;
        let seen = self.callee.expect_request("INVITE")?;
        let told = self.told(Side::Callee, &seen)?;
        Ok((invite, seen, told))
    }

    /// What a message tells this side of media, after a search for what it must not tell.
    pub(super) fn told(&self, side: Side, message: &Message) -> Result<Description, Failure> {
        told(side, message, (&self.caller, &self.callee))
    }

    /// The callee answers 200, the caller acknowledges: the call is up.
    pub(super) fn accept(
        self,
        (invite, seen, told_callee): (Request, Message, Description),
        answer: &Terms,
    ) -> Result<Talk, Failure> {
        let body = self.body(Side::Callee, answer);
        self.callee.answer(&seen, 200, CALLEE_TAG, &body)?;
        let answer = self.caller.expect_answer(&invite, 200)?;
        let told_caller = self.told(Side::Caller, &answer)?;
        self.caller.acknowledge(&invite, &answer)?;
        self.callee.expect_request("ACK")?;
        Ok(self.into_talk((invite, seen, answer), (told_caller, told_callee)))
    }

    /// The call is up.
    pub(super) fn into_talk(
        self,
        (invite, seen, answer): (Request, Message, Message),
        (told_caller, told_callee): (Description, Description),
    ) -> Talk {
        Talk {
            call: Call {
                caller: self.caller,
                callee: self.callee,
                invite,
                answer,
                seen,
            },
            caller: self.caller_media,
            callee: self.callee_media,
            told_caller,
            told_callee,
        }
    }
}

impl Talk {
    /// A call of one audio stream.
    pub(super) fn start(stage: &Stage<'_>) -> Result<Talk, Failure> {
        Talk::start_with(stage, &[], &[])
    }

    /// The same with further lines in offer and answer.
    pub(super) fn start_with(
        stage: &Stage<'_>,
        offered: &[&str],
        answered: &[&str],
    ) -> Result<Talk, Failure> {
        Cast::gather(stage)?.talk(stage, offered, answered)
    }

    /// The agents and endpoints, for the next call.
    pub(super) fn into_cast(self) -> Cast {
        Cast {
            caller: self.call.caller,
            callee: self.call.callee,
            caller_media: self.caller,
            callee_media: self.callee,
        }
    }

    /// A re-INVITE of one side with its answer; both sides' last word on media is kept.
    pub(super) fn renegotiate(
        &mut self,
        from: Side,
        offer: &Terms,
        answer: &Terms,
    ) -> Result<(), Failure> {
        self.negotiate("INVITE", from, offer, answer)
    }

    /// The same by INVITE or UPDATE.
    pub(super) fn negotiate(
        &mut self,
        method: &'static str,
        from: Side,
        offer: &Terms,
        answer: &Terms,
    ) -> Result<(), Failure> {
        let (asking, asked) = (self.agent(from), self.agent(from.other()));
        let mut request = self.request(method, from);
        request.body = offer.body(from, asking.address.ip());
        asking.send(&request)?;
        let seen = self.expect_at(from.other(), method)?;
        let told_asked = self.told(from.other(), &seen)?;
        let body = answer.body(from.other(), asked.address.ip());
        asked.answer(&seen, 200, CALLEE_TAG, &body)?;
        let answered = asking.expect_answer(&request, 200)?;
        let told_asking = self.told(from, &answered)?;
        if method == "INVITE" {
            asking.acknowledge(&request, &answered)?;
            let number = seen.cseq_number();
            asked.expect("ACK of the re-INVITE", |m| {
                m.request_method() == Some("ACK") && m.cseq_number() == number
            })?;
        }
        (self.told_caller, self.told_callee) = match from {
            Side::Caller => (told_asking, told_asked),
            Side::Callee => (told_asked, told_asking),
        };
        Ok(())
    }

    /// A request of one side in the dialog.
    pub(super) fn request(&self, method: &'static str, from: Side) -> Request {
        let Call {
            caller,
            callee,
            invite,
            answer,
            seen,
        } = &self.call;
        match from {
            Side::Caller => caller.in_dialog(method, invite, answer),
            Side::Callee => callee.back_in_dialog(method, seen, CALLEE_TAG),
        }
    }

    /// Waits for the next request of this method that is new in the dialog.
    pub(super) fn expect_at(&self, side: Side, method: &str) -> Result<Message, Failure> {
        match side {
            Side::Callee => self.call.callee.expect_next(method, &self.call.seen),
            Side::Caller => self.call.caller.expect(method, |m| {
                m.request_method() == Some(method)
                    && m.header("Call-ID") == self.call.invite.call_id
            }),
        }
    }

    pub(super) fn agent(&self, side: Side) -> &Agent {
        match side {
            Side::Caller => &self.call.caller,
            Side::Callee => &self.call.callee,
        }
    }

    /// What a message tells this side.
    pub(super) fn told(&self, side: Side, message: &Message) -> Result<Description, Failure> {
        told(side, message, (&self.call.caller, &self.call.callee))
    }

    /// The first stream as this side knows it from the router.
    pub(super) fn stream(&self, side: Side) -> Result<&Stream, Failure> {
        let told = match side {
            Side::Caller => &self.told_caller,
            Side::Callee => &self.told_callee,
        };
        stream(told, 0)
    }

    /// Where this side sends RTP.
    pub(super) fn sends_to(&self, side: Side) -> Result<SocketAddr, Failure> {
        address(self.stream(side)?.rtp())
    }

    /// Carries one packet of this shape from one side to the other; what was heard before it and itself.
    pub(super) fn carry(
        &self,
        from: Side,
        kind: (Shape, Channel),
        mark: &str,
    ) -> Result<Vec<Packet>, Failure> {
        let stream = self.stream(from)?;
        let to = match kind {
            (Shape::Rtcp, Channel::Odd) => address(stream.rtcp())?,
            _ => address(stream.rtp())?,
        };
        let (speaks, hears) = match from {
            Side::Caller => (&self.caller, &self.callee),
            Side::Callee => (&self.callee, &self.caller),
        };
        carry((speaks, to), hears, kind, mark)
    }

    /// Carries RTP both ways; what both heard until then has none of `unheard`.
    pub(super) fn talk(&self, mark: &str, unheard: &[&str]) -> Result<(), Failure> {
        for from in [Side::Caller, Side::Callee] {
            let mark = format!("{mark} of the {}", from.name());
            not_heard(&self.carry(from, RTP, &mark)?, unheard)?;
        }
        Ok(())
    }

    /// Carries RTCP both ways.
    pub(super) fn report(&self, kind: (Shape, Channel), mark: &str) -> Result<(), Failure> {
        for from in [Side::Caller, Side::Callee] {
            self.carry(from, kind, &format!("{mark} of the {}", from.name()))?;
        }
        Ok(())
    }

    /// The caller hangs up.
    pub(super) fn hang_up(&self) -> Result<(), Failure> {
        self.call.hang_up()
    }
}

/// The stream at this place of a description.
pub(super) fn stream(told: &Description, place: usize) -> Result<&Stream, Failure> {
    told.streams
        .get(place)
        .ok_or_else(|| Failure::Check(format!("no stream {place} in {told:?}")))
}

/// An address that must be there.
pub(super) fn address(told: Option<SocketAddr>) -> Result<SocketAddr, Failure> {
    told.ok_or_else(|| Failure::Check("a stream without an address".into()))
}

/// Fails when a packet carries one of the marks.
pub(super) fn not_heard(heard: &[Packet], marks: &[&str]) -> Result<(), Failure> {
    let found = marks
        .iter()
        .find(|mark| heard.iter().any(|packet| packet.has(mark)));
    check(found.is_none(), || {
        format!("a packet arrived that must not: {found:?}")
    })
}

/// What a message tells `side` of media, after the search: nothing of the other leg's addresses, owner,
/// session id or name is in it, and no address but the router's.
pub(super) fn told(
    side: Side,
    message: &Message,
    (caller, callee): (&Agent, &Agent),
) -> Result<Description, Failure> {
    let (own, other) = match side {
        Side::Caller => (caller, callee),
        Side::Callee => (callee, caller),
    };
    let name = side.other().name();
    let secrets = [
        other.address.ip().to_string(),
        format!("{name}-owner"),
        format!("{name}-session"),
        sdp::identity(name).to_string(),
    ];
    let router = own.peer.ip();
    let what = &message.start;
    for secret in secrets
        .iter()
        .filter(|secret| **secret != router.to_string())
    {
        check(!message.body.contains(secret.as_str()), || {
            format!(
                "{secret:?} of the other leg in the body of {what:?}: {}",
                message.body
            )
        })?;
    }
    let told = Description::parse(&message.body);
    check(!told.session.is_empty(), || format!("no SDP in {what:?}"))?;
    let strange = told
        .addresses()
        .into_iter()
        .find(|ip| *ip != router && !ip.is_unspecified());
    check(strange.is_none(), || {
        format!(
            "{strange:?} in {what:?} is not the router's: {}",
            message.body
        )
    })?;
    Ok(told)
}
