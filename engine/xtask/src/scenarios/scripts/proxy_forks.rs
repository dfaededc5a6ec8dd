//! The proxy with two targets: who is asked when, who is cancelled, and which answer goes back.

use super::proxy::{acknowledge, hang_up, recorded};
use super::{CALLEE_TAG, Stage};
use crate::agent::{Agent, Request};
use crate::failure::{Failure, check};
use crate::scenarios::manifest::second;
use crate::sip::Message;
use std::time::Duration;

/// The tag of the second callee.
const SECOND_TAG: &str = "scripted-second";
/// How long is listened for what must not come.
const NOTHING: Duration = Duration::from_millis(200);

/// Everybody who takes part.
struct Cast {
    caller: Agent,
    callee: Agent,
    second: Agent,
    invite: Request,
}

/// The caller has dialled.
fn dialled(stage: &Stage<'_>) -> Result<Cast, Failure> {
    let (caller, callee) = (stage.caller()?, stage.callee()?);
    let address = second(stage.callee);
    let second = Agent::bind_at("second", address, stage.router.address)?;
    let invite = caller.invite(stage.number());
    caller.send(&invite)?;
    Ok(Cast {
        caller,
        callee,
        second,
        invite,
    })
}

impl Cast {
    /// Both were called at once.
    fn both_called(&self) -> Result<[Message; 2], Failure> {
        let first = self.callee.expect_request("INVITE")?;
        Ok([first, self.second.expect_request("INVITE")?])
    }

    /// The second callee answers 200 and the call is ended by the caller.
    fn second_answers(&self, seen: &Message) -> Result<(), Failure> {
        let Cast {
            caller,
            second,
            invite,
            ..
        } = self;
        second.answer_with(seen, 200, SECOND_TAG, &recorded(seen), crate::agent::SDP)?;
        let answer = caller.expect_answer(invite, 200)?;
        check(answer.tag("To") == SECOND_TAG, || {
            format!("the call is with {:?}", answer.tag("To"))
        })?;
        acknowledge(caller, invite, &answer)?;
        second.expect_request("ACK")?;
        hang_up((caller, second), invite, &answer)
    }

    /// This final answer goes back, and the caller acknowledges it.
    fn refused(&self, code: u16) -> Result<Message, Failure> {
        let answer = self.caller.expect_answer(&self.invite, code)?;
        self.caller.acknowledge(&self.invite, &answer)?;
        Ok(answer)
    }

    /// Both callees ring, and the caller hears both.
    fn both_ring(&self, seen: [&Message; 2]) -> Result<(), Failure> {
        let callees = [(&self.callee, CALLEE_TAG), (&self.second, SECOND_TAG)];
        for ((callee, tag), seen) in callees.into_iter().zip(seen) {
            callee.answer_with(seen, 180, tag, &recorded(seen), "")?;
            let rings = |m: &Message| m.code() == Some(180) && m.tag("To") == tag;
            self.caller.expect("180", rings)?;
        }
        Ok(())
    }
}

/// A callee is cancelled, and says so.
fn cancelled(callee: &Agent, seen: &Message, tag: &str) -> Result<Message, Failure> {
    let cancel = callee.expect_request("CANCEL")?;
    check(cancel.branch() == seen.branch(), || {
        "the CANCEL has another branch".into()
    })?;
    callee.answer(&cancel, 200, tag, "")?;
    callee.answer(seen, 487, tag, "")?;
    callee.expect_request("ACK")?;
    Ok(cancel)
}

/// Both ring; the second answers, the first is cancelled.
pub(super) fn parallel(stage: &Stage<'_>) -> Result<(), Failure> {
    let cast = dialled(stage)?;
    let [first, second] = cast.both_called()?;
    cast.both_ring([&first, &second])?;
    cast.second_answers(&second)?;
    let cancel = cancelled(&cast.callee, &first, CALLEE_TAG)?;
    check(cancel.header("Reason").contains("cause=200"), || {
        format!("Reason {:?}", cancel.header("Reason"))
    })
}

/// The second is called when the first has refused.
pub(super) fn serial(stage: &Stage<'_>) -> Result<(), Failure> {
    let cast = dialled(stage)?;
    let first = cast.callee.expect_request("INVITE")?;
    let early = cast.second.receive(NOTHING)?;
    check(early.is_none(), || "the second is called too".into())?;
    cast.callee.answer(&first, 486, CALLEE_TAG, "")?;
    let second = cast.second.expect_request("INVITE")?;
    cast.second_answers(&second)
}

/// The second is called when the first has rung too long.
pub(super) fn no_answer_timeout(stage: &Stage<'_>) -> Result<(), Failure> {
    let cast = dialled(stage)?;
    let first = cast.callee.expect_request("INVITE")?;
    cast.callee.answer(&first, 180, CALLEE_TAG, "")?;
    cancelled(&cast.callee, &first, CALLEE_TAG)?;
    let second = cast.second.expect_request("INVITE")?;
    cast.second_answers(&second)
}

/// 404 and 486: the caller hears 486.
pub(super) fn best_response(stage: &Stage<'_>) -> Result<(), Failure> {
    let cast = dialled(stage)?;
    let [first, second] = cast.both_called()?;
    cast.callee.answer(&first, 404, CALLEE_TAG, "")?;
    cast.callee.expect_request("ACK")?;
    cast.second.answer(&second, 486, SECOND_TAG, "")?;
    cast.refused(486).map(drop)
}

/// A 603 of one ends the ringing of the other.
pub(super) fn declined_by_one(stage: &Stage<'_>) -> Result<(), Failure> {
    let cast = dialled(stage)?;
    let [first, second] = cast.both_called()?;
    cast.second.answer(&second, 180, SECOND_TAG, "")?;
    cast.caller.expect_provisional(&cast.invite, 180)?;
    cast.callee.answer(&first, 603, CALLEE_TAG, "")?;
    cancelled(&cast.second, &second, SECOND_TAG)?;
    cast.refused(603).map(drop)
}

/// 407 and 401: one answer with both challenges.
pub(super) fn challenges(stage: &Stage<'_>) -> Result<(), Failure> {
    let cast = dialled(stage)?;
    let [first, second] = cast.both_called()?;
    let challenge = |name: &str, realm: &str| format!("{name}: Digest realm=\"{realm}\"\r\n");
    let proxy = challenge("Proxy-Authenticate", "one");
    cast.callee
        .answer_with(&first, 407, CALLEE_TAG, &proxy, "")?;
    cast.callee.expect_request("ACK")?;
    let server = challenge("WWW-Authenticate", "two");
    cast.second
        .answer_with(&second, 401, SECOND_TAG, &server, "")?;
    let answer = cast.refused(407)?;
    let both = [
        answer.header("Proxy-Authenticate"),
        answer.header("WWW-Authenticate"),
    ];
    check(
        both == ["Digest realm=\"one\"", "Digest realm=\"two\""],
        || format!("challenges {both:?}"),
    )
}

/// The caller cancels while both ring.
pub(super) fn cancel(stage: &Stage<'_>) -> Result<(), Failure> {
    let cast = dialled(stage)?;
    let [first, second] = cast.both_called()?;
    cast.both_ring([&first, &second])?;
    let cancel = Request {
        method: "CANCEL",
        body: String::new(),
        ..cast.invite.clone()
    };
    cast.caller.send(&cancel)?;
    cast.caller.expect_answer(&cancel, 200)?;
    cancelled(&cast.callee, &first, CALLEE_TAG)?;
    cancelled(&cast.second, &second, SECOND_TAG)?;
    cast.refused(487).map(drop)
}

/// The first redirects to the second, and the caller hears nothing of it. Every scripted answer has the
/// agent's own Contact too: the first is called again there, under another name, and is busy.
pub(super) fn redirection(stage: &Stage<'_>) -> Result<(), Failure> {
    let cast = dialled(stage)?;
    let first = cast.callee.expect_request("INVITE")?;
    let contact = format!("Contact: <sip:elsewhere@{}>\r\n", cast.second.address);
    cast.callee
        .answer_with(&first, 302, CALLEE_TAG, &contact, "")?;
    let second = cast.second.expect_request("INVITE")?;
    check(second.uri().starts_with("sip:elsewhere@"), || {
        second.start.clone()
    })?;
    let again = cast.callee.expect_request("INVITE")?;
    check(again.uri() != first.uri(), || again.start.clone())?;
    cast.callee.answer(&again, 486, CALLEE_TAG, "")?;
    cast.second_answers(&second)
}

/// Max-Breadth 1 does not reach for two at once.
pub(super) fn max_breadth(stage: &Stage<'_>) -> Result<(), Failure> {
    let caller = stage.caller()?;
    let invite = Request {
        extra: "Max-Breadth: 1\r\n".into(),
        ..caller.invite(stage.number())
    };
    caller.send(&invite)?;
    let refused = caller.expect_answer(&invite, 440)?;
    caller.acknowledge(&invite, &refused)
}
