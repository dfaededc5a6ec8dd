//! Digest authentication by a user agent of this crate's own making: sipp knows MD5 alone.

use super::{CALLEE_TAG, Stage};
use crate::agent::{Agent, Request};
use crate::failure::{Failure, check};
use crate::sip::Message;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// The user that the manifest gives the router.
const USER: (&str, &str) = ("alice", "sesame");
/// How long nothing must come from a router that has banned somebody.
const SILENCE: Duration = Duration::from_millis(500);

fn sha256_of(text: &str) -> String {
    let bytes = Sha256::digest(text.as_bytes());
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The value of a parameter of a challenge.
fn parameter<'c>(challenge: &'c str, name: &str) -> &'c str {
    let list = challenge.trim_start_matches("Digest ").split(", ");
    let found = list.filter_map(|it| it.strip_prefix(name)?.strip_prefix('='));
    found.last().unwrap_or_default().trim_matches('"')
}

/// How a challenge is answered.
#[derive(Clone, Copy)]
struct Answering<'a> {
    user: (&'a str, &'a str),
    qop: &'a str,
    count: u32,
}

const RIGHT: Answering<'static> = Answering {
    user: USER,
    qop: "auth",
    count: 1,
};

impl Answering<'_> {
    /// The line that answers this challenge for a request.
    fn line(&self, request: &Request, challenge: &str) -> String {
        let (user, secret) = self.user;
        let (realm, nonce) = (parameter(challenge, "realm"), parameter(challenge, "nonce"));
        let (method, uri, qop) = (request.method, &request.uri, self.qop);
        let ha1 = sha256_of(&format!("{user}:{realm}:{secret}"));
        let ha2 = match qop {
            "auth-int" => sha256_of(&format!("{method}:{uri}:{}", sha256_of(&request.body))),
            _ => sha256_of(&format!("{method}:{uri}")),
        };
        let count = format!("{:08x}", self.count);
        let response = sha256_of(&format!("{ha1}:{nonce}:{count}:0a4f113b:{qop}:{ha2}"));
        format!(
            "Authorization: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", \
             uri=\"{uri}\", response=\"{response}\", algorithm=SHA-256, cnonce=\"0a4f113b\", \
             qop={qop}, nc={count}\r\n"
        )
    }
}

fn register(phone: &Agent, user: &str) -> Request {
    let tag = |request: &Request| format!("<sip:{user}@example.com>;tag={}", request.call_id);
    let request = phone.request("REGISTER", "");
    Request {
        uri: "sip:example.com".into(),
        from: tag(&request),
        to: format!("<sip:{user}@example.com>"),
        ..request
    }
}

/// The same request once more, with credentials.
fn with(request: &Request, line: String) -> Request {
    Request {
        cseq: request.cseq + 1,
        branch: format!("{}-{}", request.branch, request.cseq),
        extra: line,
        ..request.clone()
    }
}

/// The answer with this code to a request; of an INVITE it is acknowledged when it is a refusal.
fn answer(agent: &Agent, request: &Request, code: u16) -> Result<Message, Failure> {
    agent.send(request)?;
    let answer = agent.expect_answer(request, code)?;
    if request.method == "INVITE" && code >= 300 {
        agent.acknowledge(request, &answer)?;
    }
    Ok(answer)
}

fn is_stale(refusal: &Message) -> bool {
    parameter(refusal.header("WWW-Authenticate"), "stale") == "true"
}

/// SHA-256 is offered first, and good for a REGISTER and a call.
pub(super) fn sha256(stage: &Stage<'_>) -> Result<(), Failure> {
    let phone = stage.caller()?;
    let first = register(&phone, USER.0);
    let refusal = answer(&phone, &first, 401)?;
    let offered: Vec<&str> = refusal
        .all("WWW-Authenticate")
        .map(|it| parameter(it, "algorithm"))
        .collect();
    check(offered == ["SHA-256", "MD5"], || {
        format!("offered {offered:?}")
    })?;
    let challenge = refusal.header("WWW-Authenticate");
    let proven = with(&first, RIGHT.line(&first, challenge));
    answer(&phone, &proven, 200)?;
    // The same count once more is somebody who has listened.
    let again = with(&proven, proven.extra.clone());
    let refusal = answer(&phone, &again, 401)?;
    check(is_stale(&refusal), || "a replay is not stale".into())?;
    let next = with(
        &again,
        RIGHT.line(&again, refusal.header("WWW-Authenticate")),
    );
    answer(&phone, &next, 200)?;
    call(stage, &phone)
}

/// A call whose INVITE is proven with its body.
fn call(stage: &Stage<'_>, phone: &Agent) -> Result<(), Failure> {
    let callee = stage.callee()?;
    let mut invite = phone.invite(stage.number());
    invite.from = format!("<sip:{}@example.com>;tag={}", USER.0, invite.call_id);
    let refusal = answer(phone, &invite, 401)?;
    let whole = Answering {
        qop: "auth-int",
        ..RIGHT
    };
    let line = whole.line(&invite, refusal.header("WWW-Authenticate"));
    let mut forged = with(&invite, line.clone());
    forged.body = forged.body.replace("192.0.2.10", "192.0.2.99");
    let refusal = answer(phone, &forged, 401)?;
    check(!is_stale(&refusal), || "a forged body is only stale".into())?;
    let proven = with(&forged, line);
    let proven = Request {
        body: invite.body.clone(),
        ..proven
    };
    phone.send(&proven)?;
    let seen = callee.expect_request("INVITE")?;
    check(seen.header("Authorization").is_empty(), || {
        "credentials have crossed".into()
    })?;
    callee.answer(&seen, 200, CALLEE_TAG, &proven.body)?;
    let answer = phone.expect_answer(&proven, 200)?;
    phone.acknowledge(&proven, &answer)?;
    let ack = callee.expect_request("ACK")?;
    check(ack.header("Authorization").is_empty(), || {
        "credentials have crossed in the ACK".into()
    })?;
    let bye = phone.in_dialog("BYE", &proven, &answer);
    phone.send(&bye)?;
    let seen = callee.expect_request("BYE")?;
    callee.answer(&seen, 200, "", "")?;
    phone.expect_answer(&bye, 200).map(drop)
}

/// A wrong password and an unknown user are told the same, until nothing is told any more.
pub(super) fn wrong_secret_banned(stage: &Stage<'_>) -> Result<(), Failure> {
    let phone = stage.caller()?;
    let tried = |user| refused(&phone, (user, "guess"));
    let (wrong, unknown) = (tried("alice")?, tried("wally")?);
    check(outline(&wrong) == outline(&unknown), || {
        format!("{wrong:?} is not {unknown:?}")
    })?;
    for _ in 0..20 {
        let first = register(&phone, USER.0);
        phone.send(&first)?;
        let Some(refusal) = phone.receive(SILENCE)? else {
            return Ok(());
        };
        let guess = Answering {
            user: (USER.0, "guess"),
            ..RIGHT
        };
        let line = guess.line(&first, refusal.header("WWW-Authenticate"));
        let second = with(&first, line);
        phone.send(&second)?;
        phone.receive(SILENCE)?;
    }
    Err(Failure::Check("nobody was banned".into()))
}

/// The answer to credentials that are not right.
fn refused(phone: &Agent, user: (&str, &str)) -> Result<Message, Failure> {
    let first = register(phone, user.0);
    let refusal = answer(phone, &first, 401)?;
    let wrong = Answering { user, ..RIGHT };
    let second = with(
        &first,
        wrong.line(&first, refusal.header("WWW-Authenticate")),
    );
    answer(phone, &second, 401)
}

/// What an answer says beside what came with its request and what is different each time.
fn outline(answer: &Message) -> Vec<String> {
    let challenges = answer.all("WWW-Authenticate").map(|challenge| {
        let nonce = parameter(challenge, "nonce");
        challenge.replace(nonce, &"n".repeat(nonce.len()))
    });
    let mut outline: Vec<String> = challenges.collect();
    outline.push(answer.start.clone());
    outline.push(answer.tag("To").len().to_string());
    outline
}
