//! The modes that SRGo's users start by environment variables: an application server that decides every
//! call, an outbound proxy, and questions inside a dialog whether it still lives.

use super::talk::Side;
use super::{CALLEE_TAG, Call, Stage};
use crate::agent::{Agent, Request};
use crate::failure::{Failure, check};
use crate::metrics;
use crate::sip::Message;
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

/// How long a mode may take to show: some rounds of its question, which is asked each second.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long is listened at one agent before the other's turn.
const TURN: Duration = Duration::from_millis(50);
/// The number the routing DB of `application_server` knows.
const KNOWN: &str = "99999";

/// A start line of SRGo: the router listens where the environment says, for SIP and for HTTP, whatever the
/// file says.
pub(super) fn start_line(stage: &Stage<'_>) -> Result<(), Failure> {
    stage.establish()?.hang_up()?;
    let answer = metrics::ask(stage.router.address)?;
    check(answer.starts_with("HTTP/1.1 200"), || {
        format!("the metrics: {:?}", answer.lines().next())
    })
}

/// A number no record matches goes to the application server all the same; a call from there goes by the
/// routing DB.
pub(super) fn application_server(stage: &Stage<'_>) -> Result<(), Failure> {
    let phone = Agent::bind(
        "phone",
        IpAddr::V4(Ipv4Addr::new(127, 0, 0, 23)),
        stage.router.address,
    )?;
    stage
        .router
        .reload(&stage.scenario.rdb(phone.address).to_string())?;
    let call = stage.establish()?;
    check(call.seen.uri().contains(stage.number()), || {
        format!("the server was asked for {}", call.seen.uri())
    })?;
    let server = &call.callee;
    let invite = server.invite(KNOWN);
    server.send(&invite)?;
    let seen = phone.expect_request("INVITE")?;
    phone.answer(&seen, 486, "phone-tag", "")?;
    let answer = server.expect_answer(&invite, 486)?;
    server.acknowledge(&invite, &answer)?;
    call.hang_up()
}

/// A server that leaves its OPTIONS unanswered is down: calls get 503 with Retry-After, and the log says so.
/// When it answers again, calls go to it again.
pub(super) fn application_server_down(stage: &Stage<'_>) -> Result<(), Failure> {
    let (caller, server) = (stage.caller()?, stage.callee()?);
    let mut asked = HashSet::new();
    while asked.len() < 4 {
        asked.insert(server.expect_request("OPTIONS")?.branch().to_owned());
    }
    let invite = caller.invite(stage.number());
    caller.send(&invite)?;
    let refused = caller.expect_answer(&invite, 503)?;
    caller.acknowledge(&invite, &refused)?;
    check(!refused.header("Retry-After").is_empty(), || {
        "503 without Retry-After".into()
    })?;
    let log = std::fs::read_to_string(stage.directory.join("router.log")).unwrap_or_default();
    check(log.contains(&server.address.to_string()), || {
        "the log does not tell of the server's state".into()
    })?;
    until_up(&caller, &server, stage.number())
}

/// The server answers its OPTIONS; calls are tried until one reaches it.
fn until_up(caller: &Agent, server: &Agent, number: &str) -> Result<(), Failure> {
    let until = Instant::now() + PATIENCE;
    let mut tried = Vec::new();
    while Instant::now() < until {
        let invite = caller.invite(number);
        caller.send(&invite)?;
        tried.push(invite);
        while let Some(message) = server.receive(Duration::from_millis(500))? {
            match message.request_method() {
                Some("OPTIONS") => server.answer(&message, 200, CALLEE_TAG, "")?,
                Some("INVITE") => return reached(caller, server, &message, &tried),
                _ => {}
            }
        }
    }
    Err(Failure::Timeout(
        "a call to the server that is up again".into(),
    ))
}

/// The call that reached the server is refused by it; the caller hears so.
fn reached(
    caller: &Agent,
    server: &Agent,
    seen: &Message,
    tried: &[Request],
) -> Result<(), Failure> {
    server.answer(seen, 486, CALLEE_TAG, "")?;
    let busy = caller.expect("486 from the server", |m| m.code() == Some(486))?;
    let invite = tried.iter().find(|invite| invite.branch == busy.branch());
    let invite = invite.ok_or_else(|| Failure::Check("486 to no call".into()))?;
    caller.acknowledge(invite, &busy)
}

/// The routing DB's target is far away; the INVITE goes to the proxy and names the target.
pub(super) fn outbound_proxy(stage: &Stage<'_>) -> Result<(), Failure> {
    let call = stage.establish()?;
    check(call.seen.uri().contains("192.0.2.77"), || {
        format!("the proxy was asked for {}", call.seen.uri())
    })?;
    call.hang_up()
}

/// Both legs are asked; all is well while both answer 200. The callee then knows nothing of the call (481):
/// the caller gets a BYE with a Reason.
pub(super) fn probe_481_of_callee(stage: &Stage<'_>) -> Result<(), Failure> {
    let call = stage.establish()?;
    let answers = (
        |_: usize| Some(200),
        |n: usize| Some(if n < 2 { 200 } else { 481 }),
    );
    ends(&call, answers, Side::Caller)
}

/// The same when the caller knows nothing of it: the callee gets the BYE.
pub(super) fn probe_481_of_caller(stage: &Stage<'_>) -> Result<(), Failure> {
    let call = stage.establish()?;
    let answers = (
        |n: usize| Some(if n < 2 { 200 } else { 481 }),
        |_: usize| Some(200),
    );
    ends(&call, answers, Side::Callee)
}

/// The callee falls silent: after 64*T1 the caller gets the BYE.
pub(super) fn probe_unanswered(stage: &Stage<'_>) -> Result<(), Failure> {
    let call = stage.establish()?;
    let answers = (|_: usize| Some(200), |n: usize| (n < 2).then_some(200));
    ends(&call, answers, Side::Caller)
}

/// Caller and callee answer the OPTIONS they get, the nth as told, until the side that `survives` gets a BYE;
/// the dead one has been asked at least twice by then.
fn ends(
    call: &Call,
    (caller_says, callee_says): (impl Fn(usize) -> Option<u16>, impl Fn(usize) -> Option<u16>),
    survives: Side,
) -> Result<(), Failure> {
    let (mut at_caller, mut at_callee) = (HashSet::new(), HashSet::new());
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        let caller_ended = probed(&call.caller, &mut at_caller, &caller_says)?;
        let callee_ended = probed(&call.callee, &mut at_callee, &callee_says)?;
        let (ended, asked) = match survives {
            Side::Caller => (caller_ended, at_callee.len()),
            Side::Callee => (callee_ended, at_caller.len()),
        };
        if let Some(bye) = ended {
            check(asked > 2, || format!("ended after {asked} questions"))?;
            let reason = bye.header("Reason");
            return check(!reason.is_empty(), || "BYE without a Reason".into());
        }
    }
    Err(Failure::Timeout("the BYE of a dead call".into()))
}

/// One agent's turn: it answers an OPTIONS, or a BYE, which is given back.
fn probed(
    agent: &Agent,
    asked: &mut HashSet<String>,
    says: impl Fn(usize) -> Option<u16>,
) -> Result<Option<Message>, Failure> {
    let Some(message) = agent.receive(TURN)? else {
        return Ok(None);
    };
    match message.request_method() {
        Some("OPTIONS") => {
            let serial = asked.len();
            // A repeated one was answered, or was not to be.
            let code = asked
                .insert(message.branch().to_owned())
                .then(|| says(serial))
                .flatten();
            code.map_or(Ok(()), |code| agent.answer(&message, code, CALLEE_TAG, ""))?;
            Ok(None)
        }
        Some("BYE") => {
            agent.answer(&message, 200, CALLEE_TAG, "")?;
            Ok(Some(message))
        }
        _ => Ok(None),
    }
}
