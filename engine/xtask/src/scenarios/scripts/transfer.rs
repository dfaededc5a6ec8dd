//! Transfers between parties behind the router. Only one number is routed, so the transferor sits there and
//! is called by those whom it brings together.

use super::{CALLEE_TAG, Call, Stage};
use crate::agent::{Agent, Request, SDP};
use crate::failure::{Failure, check};
use crate::sip::Message;
use std::time::Duration;

/// Attended transfers tried until one has crossed shards. Of two shards each owns half of the calls, so
/// that so many miss once in a million runs.
const TRIES: usize = 20;

/// A party that called the transferor, and what both have of the call.
struct Met {
    agent: Agent,
    invite: Request,
    answer: Message,
    seen: Message,
}

impl Met {
    /// A new party calls; `host` answers with `tag`.
    fn new(stage: &Stage<'_>, host: &Agent, tag: &str) -> Result<Met, Failure> {
        let agent = stage.caller()?;
        let invite = agent.invite(stage.number());
        agent.send(&invite)?;
        let seen = host.expect("the call of a new party", |m| {
            m.request_method() == Some("INVITE") && m.tag("To").is_empty()
        })?;
        host.answer(&seen, 200, tag, SDP)?;
        let answer = agent.expect_answer(&invite, 200)?;
        agent.acknowledge(&invite, &answer)?;
        expect_in(host, "ACK", seen.header("Call-ID"))?;
        Ok(Met {
            agent,
            invite,
            answer,
            seen,
        })
    }

    /// The dialog as the transferor knows it, in a Refer-To for somebody else.
    fn reference(&self, tag: &str) -> String {
        let (target, call_id) = (self.seen.target(), self.seen.header("Call-ID"));
        let from = self.seen.tag("From");
        format!("Refer-To: <{target}?Replaces={call_id}%3Bto-tag%3D{from}%3Bfrom-tag%3D{tag}>\r\n")
    }

    /// The shard that has the call: our Call-IDs name it.
    fn shard(&self) -> Option<&str> {
        self.seen.header("Call-ID").strip_prefix("tpr-")?.get(..2)
    }

    /// The party hangs up.
    fn leave(&self, host: &Agent, tag: &str) -> Result<(), Failure> {
        let bye = self.agent.in_dialog("BYE", &self.invite, &self.answer);
        self.agent.send(&bye)?;
        let seen = expect_in(host, "BYE", self.seen.header("Call-ID"))?;
        host.answer(&seen, 200, tag, "")?;
        self.agent.expect_answer(&bye, 200).map(drop)
    }
}

fn expect_in(agent: &Agent, method: &str, call_id: &str) -> Result<Message, Failure> {
    agent.expect(method, |m| {
        m.request_method() == Some(method) && m.header("Call-ID") == call_id
    })
}

/// B calls A, A refers B to a number, B calls it through the router and tells A how that goes.
pub(super) fn blind(stage: &Stage<'_>) -> Result<(), Failure> {
    let call = stage.establish()?;
    let Call {
        caller: b,
        callee: a,
        invite,
        answer,
        seen,
    } = &call;
    let mut refer = a.back_in_dialog("REFER", seen, CALLEE_TAG);
    let (number, router) = (stage.number(), stage.router.address);
    refer.extra =
        format!("Refer-To: <sip:{number}@{router}>\r\nReferred-By: <sip:a@a.example>\r\n");
    a.send(&refer)?;
    let referred = b.expect_request("REFER")?;
    check(
        referred.header("Refer-To") == format!("<sip:{number}@{router}>")
            && referred.header("Referred-By") == "<sip:a@a.example>",
        || format!("{referred:?}"),
    )?;
    b.answer(&referred, 202, "", "")?;
    a.expect_answer(&refer, 202)?;

    let fresh = b.invite(number);
    b.send(&fresh)?;
    let second = a.expect("the new call", |m| {
        m.request_method() == Some("INVITE") && m.header("Call-ID") != seen.header("Call-ID")
    })?;
    a.answer(&second, 200, "new-tag", SDP)?;
    let up = b.expect_answer(&fresh, 200)?;
    b.acknowledge(&fresh, &up)?;
    expect_in(a, "ACK", second.header("Call-ID"))?;

    notify(b, invite, answer, &referred)?;
    let heard = a.expect_request("NOTIFY")?;
    let id = format!("refer;id={}", refer.cseq);
    check(heard.header("Event") == id, || {
        format!("{:?}, not {id}", heard.header("Event"))
    })?;
    check(heard.body == "SIP/2.0 200 OK\n", || {
        format!("more than a status crossed: {:?}", heard.body)
    })?;
    a.answer(&heard, 200, "", "")?;
    let bye = a.back_in_dialog("BYE", seen, CALLEE_TAG);
    a.send(&bye)?;
    b.answer(&b.expect_request("BYE")?, 200, "", "")?;
    a.expect_answer(&bye, 200)?;
    let bye = b.in_dialog("BYE", &fresh, &up);
    b.send(&bye)?;
    a.answer(&expect_in(a, "BYE", second.header("Call-ID"))?, 200, "", "")?;
    b.expect_answer(&bye, 200).map(drop)
}

/// The last notification of the one who was referred, with the whole answer it got.
fn notify(
    b: &Agent,
    invite: &Request,
    answer: &Message,
    referred: &Message,
) -> Result<(), Failure> {
    let id = referred.cseq_number().unwrap_or_default();
    let body = format!("SIP/2.0 200 OK\r\nContact: <sip:someone@{}>\r\n", b.address);
    let mut notify = b.in_dialog("NOTIFY", invite, answer);
    notify.extra = format!(
        "Event: refer;id={id}\r\nSubscription-State: terminated;reason=noresource\r\n\
         Content-Type: message/sipfrag;version=2.0\r\n"
    );
    let length = format!("Content-Length: {}\r\n\r\n{body}", body.len());
    let text = b
        .print(&notify)
        .replace("Content-Length: 0\r\n\r\n", &length);
    b.send_bytes(text.as_bytes())
}

/// B and C call A, A refers B to C: B takes A's place in C's call.
pub(super) fn attended(stage: &Stage<'_>) -> Result<(), Failure> {
    let a = stage.callee()?;
    transfer(stage, &a, 0).map(drop)
}

/// The same until the two calls were on one shard, and on two.
pub(super) fn attended_other_shard(stage: &Stage<'_>) -> Result<(), Failure> {
    let a = stage.callee()?;
    let mut cases = [false; 2];
    for serial in 0..TRIES {
        cases[usize::from(transfer(stage, &a, serial)?)] = true;
        if cases == [true; 2] {
            return Ok(());
        }
    }
    Err(Failure::Check(format!(
        "calls on one shard, on two: {cases:?}"
    )))
}

/// One attended transfer; whether the INVITE of the one referred was of another shard than the call.
fn transfer(stage: &Stage<'_>, a: &Agent, serial: usize) -> Result<bool, Failure> {
    let (tag_b, tag_c) = (format!("a-for-b-{serial}"), format!("a-for-c-{serial}"));
    let b = Met::new(stage, a, &tag_b)?;
    let c = Met::new(stage, a, &tag_c)?;
    let mut refer = a.back_in_dialog("REFER", &b.seen, &tag_b);
    refer.extra = c.reference(&tag_c);
    a.send(&refer)?;
    let referred = b.agent.expect_request("REFER")?;
    b.agent.answer(&referred, 202, "", "")?;
    a.expect_answer(&refer, 202)?;

    let reference = referred.header("Refer-To").trim_matches(['<', '>']);
    let (uri, replaces) = reference
        .split_once("?Replaces=")
        .ok_or_else(|| Failure::Check(format!("no Replaces in {reference}")))?;
    let hidden = [tag_c.as_str(), &stage.callee.to_string()];
    check(!hidden.iter().any(|it| reference.contains(it)), || {
        format!("A's dialog with C shows in {reference}")
    })?;
    let mut fresh = b.agent.invite("");
    fresh.uri = uri.to_owned();
    fresh.to = format!("<{uri}>");
    let value = replaces.replace("%3b", ";").replace("%3d", "=");
    fresh.extra = format!("Replaces: {value}\r\nRequire: replaces\r\n");
    b.agent.send(&fresh)?;

    let second = c.agent.expect_request("INVITE")?;
    let (own, routers) = (c.answer.tag("From"), c.answer.tag("To"));
    let named = format!("{};to-tag={own};from-tag={routers}", c.invite.call_id);
    check(second.header("Replaces") == named, || {
        format!(
            "C was to replace {named}, not {:?}",
            second.header("Replaces")
        )
    })?;
    c.agent.answer(&second, 200, "c-again", SDP)?;
    let up = b.agent.expect_answer(&fresh, 200)?;
    b.agent.acknowledge(&fresh, &up)?;
    c.agent.expect_request("ACK")?;
    c.leave(a, &tag_c)?;
    b.leave(a, &tag_b)?;
    let bye = b.agent.in_dialog("BYE", &fresh, &up);
    b.agent.send(&bye)?;
    c.agent
        .answer(&c.agent.expect_request("BYE")?, 200, "", "")?;
    b.agent.expect_answer(&bye, 200)?;
    let asked = second
        .header("Call-ID")
        .strip_prefix("tpr-")
        .and_then(|it| it.get(..2));
    Ok(asked != c.shard())
}

/// A dialog that nobody has cannot be replaced, nor one whose tags were guessed.
pub(super) fn unknown(stage: &Stage<'_>) -> Result<(), Failure> {
    let call = stage.establish()?;
    let Call { invite, answer, .. } = &call;
    let (to, from) = (answer.tag("To"), answer.tag("From"));
    for replaces in [
        "98732@sip.example.com;from-tag=r33th4x0r;to-tag=ff87ff".to_owned(),
        format!("{};to-tag={to};from-tag=guess", invite.call_id),
        format!("x{};to-tag={to};from-tag={from}", invite.call_id),
    ] {
        refused(stage, &replaces, 481)?;
    }
    unharmed(&call)
}

/// A call that is up cannot be replaced by one who wants it only while it rings.
pub(super) fn early_only(stage: &Stage<'_>) -> Result<(), Failure> {
    let call = stage.establish()?;
    let (to, from) = (call.answer.tag("To"), call.answer.tag("From"));
    let named = format!("{};to-tag={to};from-tag={from}", call.invite.call_id);
    refused(stage, &format!("{named};early-only"), 486)?;
    unharmed(&call)
}

fn refused(stage: &Stage<'_>, replaces: &str, code: u16) -> Result<(), Failure> {
    let stranger = stage.caller()?;
    let mut invite = stranger.invite(stage.number());
    invite.extra = format!("Replaces: {replaces}\r\nRequire: replaces\r\n");
    stranger.send(&invite)?;
    let answer = stranger.expect_answer(&invite, code)?;
    stranger.acknowledge(&invite, &answer)
}

/// Nothing reached the parties of the call, which ends as it would have.
fn unharmed(call: &Call) -> Result<(), Failure> {
    for agent in [&call.caller, &call.callee] {
        let heard = agent.receive(Duration::from_millis(100))?;
        check(heard.is_none(), || format!("{heard:?}"))?;
    }
    call.hang_up()
}

/// The caller's REFER is carried out by the router: the target is joined to the callee, the caller is told
/// and let go.
pub(super) fn handled(stage: &Stage<'_>) -> Result<(), Failure> {
    let call = stage.establish()?;
    let (a, both) = (&call.caller, &call.callee);
    let target = begin_handled(stage, &call)?;
    both.answer(&target, 180, "target-tag", "")?;
    told(a, "SIP/2.0 180 ", false)?;
    both.answer(&target, 200, "target-tag", SDP)?;
    let again = both.expect_next("INVITE", &call.seen)?;
    check(again.body == SDP.replace("\r\n", "\n"), || {
        format!("the callee was to be offered what the target says: {again:?}")
    })?;
    both.answer(&again, 200, "", SDP)?;
    let of_target = expect_in(both, "ACK", target.header("Call-ID"))?;
    check(!of_target.body.is_empty(), || {
        "the target's ACK has no answer".into()
    })?;
    told(a, "SIP/2.0 200 ", true)?;
    a.answer(&a.expect_request("BYE")?, 200, "", "")?;
    let bye = both.back_in_dialog("BYE", &target, "target-tag");
    both.send(&bye)?;
    let last = both.expect_next("BYE", &again)?;
    both.answer(&last, 200, "", "")?;
    both.expect_answer(&bye, 200).map(drop)
}

/// The target of the caller's REFER is busy: the caller is told, and the call goes on.
pub(super) fn handled_target_busy(stage: &Stage<'_>) -> Result<(), Failure> {
    let call = stage.establish()?;
    let target = begin_handled(stage, &call)?;
    call.callee.answer(&target, 486, "target-tag", "")?;
    call.callee.expect_request("ACK")?;
    told(&call.caller, "SIP/2.0 486 ", true)?;
    call.hang_up()
}

/// The caller refers the callee to the number; the INVITE without an offer that the target gets.
fn begin_handled(stage: &Stage<'_>, call: &Call) -> Result<Message, Failure> {
    let a = &call.caller;
    let mut refer = a.in_dialog("REFER", &call.invite, &call.answer);
    let (number, router) = (stage.number(), stage.router.address);
    refer.extra = format!("Refer-To: <sip:{number}@{router}>\r\n");
    a.send(&refer)?;
    a.expect_answer(&refer, 202)?;
    told(a, "SIP/2.0 100 ", false)?;
    let target = call.callee.expect("the call to the target", |m| {
        m.request_method() == Some("INVITE") && m.tag("To").is_empty()
    })?;
    check(target.body.is_empty(), || format!("an offer: {target:?}"))?;
    Ok(target)
}

/// The transferor is told this, and answers.
fn told(a: &Agent, status: &str, last: bool) -> Result<(), Failure> {
    let notify = a.expect_request("NOTIFY")?;
    let state = notify.header("Subscription-State");
    let ends = state == "terminated;reason=noresource";
    let good = notify.body.starts_with(status) && notify.header("Event").starts_with("refer");
    check(good && ends == last, || format!("not {status}: {notify:?}"))?;
    a.answer(&notify, 200, "", "")
}
