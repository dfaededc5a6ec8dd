//! Messages that look sound and are not what they seem: copies, loops, responses of others, bodies nobody
//! here can read; and what the router says when it is asked for itself.

use super::{CALLEE_TAG, Stage};
use crate::agent::{Agent, SDP};
use crate::failure::{Failure, check};
use crate::sip::Message;
use std::time::Duration;

/// How long is listened for what must not come.
const SILENCE: Duration = Duration::from_millis(300);

/// RFC 3261 8.2.2.2: the same INVITE by two ways is one call, and the second copy is told 482.
pub(super) fn merged_request(stage: &Stage<'_>) -> Result<(), Failure> {
    let (caller, other_way, callee) = (stage.caller()?, stage.caller()?, stage.callee()?);
    let invite = caller.invite(stage.number());
    caller.send(&invite)?;
    let seen = callee.expect_request("INVITE")?;
    let mut copy = invite.clone();
    copy.branch += "-other-way";
    other_way.send(&copy)?;
    let answer = other_way.expect_answer(&copy, 482)?;
    other_way.acknowledge(&copy, &answer)?;
    callee.answer(&seen, 200, CALLEE_TAG, SDP)?;
    let answer = caller.expect_answer(&invite, 200)?;
    caller.acknowledge(&invite, &answer)?;
    callee.expect_request("ACK")?;
    let bye = caller.in_dialog("BYE", &invite, &answer);
    caller.send(&bye)?;
    let seen = callee.expect("BYE alone", |m| m.request_method() != Some("ACK"))?;
    check(seen.request_method() == Some("BYE"), || {
        format!("the callee got {:?}", seen.start)
    })?;
    callee.answer(&seen, 200, CALLEE_TAG, "")?;
    caller.expect_answer(&bye, 200).map(drop)
}

/// RFC 3261 16.3 (4): what a proxy sends back as it was is a loop; with another Request-URI it is not.
pub(super) fn looped_request(stage: &Stage<'_>) -> Result<(), Failure> {
    let (caller, proxy) = (stage.caller()?, stage.callee()?);
    let invite = caller.invite(stage.number());
    caller.send(&invite)?;
    let first = proxy.expect_request("INVITE")?;
    send_back(&proxy, &first, first.uri(), "loop")?;
    let answer = proxy.expect("482", |m| {
        m.branch() == "z9hG4bK-loop" && m.code() >= Some(200)
    })?;
    check(answer.code() == Some(482), || {
        format!("a loop got {:?}", answer.start)
    })?;
    let elsewhere = format!("sip:{}@{};spiral", stage.number(), stage.router.address);
    send_back(&proxy, &first, &elsewhere, "spiral")?;
    let again = proxy.expect("the spiral's INVITE", |m| {
        m.request_method() == Some("INVITE") && m.header("Call-ID") != first.header("Call-ID")
    })?;
    check(again.uri().ends_with(";spiral"), || {
        format!("to {}", again.uri())
    })?;
    proxy.answer(&again, 486, CALLEE_TAG, "")?;
    let answer = proxy.expect("486", |m| {
        m.branch() == "z9hG4bK-spiral" && m.code() >= Some(200)
    })?;
    check(answer.code() == Some(486), || {
        format!("the spiral got {:?}", answer.start)
    })?;
    proxy.answer(&first, 486, CALLEE_TAG, "")?;
    let answer = caller.expect_answer(&invite, 486)?;
    caller.acknowledge(&invite, &answer)
}

/// What a proxy makes of a request: a Via of its own, one hop less, and this Request-URI.
fn send_back(proxy: &Agent, request: &Message, uri: &str, branch: &str) -> Result<(), Failure> {
    let headers = request
        .headers
        .iter()
        .map(|(name, value)| match name.as_str() {
            "Max-Forwards" => format!("{name}: 42\r\n"),
            _ => format!("{name}: {value}\r\n"),
        });
    let headers: String = headers.collect();
    let (own, body) = (proxy.address, request.body.replace('\n', "\r\n"));
    proxy.send_bytes(
        format!(
            "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK-{branch}\r\n\
             {headers}\r\n{body}"
        )
        .as_bytes(),
    )
}

/// RFC 3261 8.1.3.3, 17.1.3, 18.1.2: a 200 that is not for this router, or not to this request, is nobody's.
pub(super) fn stray_responses(stage: &Stage<'_>) -> Result<(), Failure> {
    let (caller, callee) = (stage.caller()?, stage.callee()?);
    let invite = caller.invite(stage.number());
    caller.send(&invite)?;
    let seen = callee.expect_request("INVITE")?;
    callee.answer(&seen, 180, CALLEE_TAG, "")?;
    caller.expect_provisional(&invite, 180)?;
    let via = seen.header("Via");
    for (name, value) in [
        (
            "Via",
            format!("{via}, SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx"),
        ),
        (
            "Via",
            format!("SIP/2.0/UDP 192.0.2.1:5060;branch={}", seen.branch()),
        ),
        ("Via", via.replace(seen.branch(), "z9hG4bK-nobody")),
        ("Via", via.replace(seen.branch(), &guessed(seen.branch()))),
        ("CSeq", seen.header("CSeq").replace("INVITE", "BYE")),
    ] {
        let mut asked = seen.clone();
        let line = asked.headers.iter_mut().find(|(found, _)| found == name);
        line.ok_or_else(|| Failure::Check(format!("no {name}")))?.1 = value;
        callee.answer(&asked, 200, CALLEE_TAG, SDP)?;
    }
    let heard = caller.receive(SILENCE)?;
    check(heard.is_none(), || format!("the caller got {heard:?}"))?;
    callee.answer(&seen, 200, CALLEE_TAG, SDP)?;
    let answer = caller.expect_answer(&invite, 200)?;
    caller.acknowledge(&invite, &answer)?;
    callee.expect_request("ACK")?;
    let bye = caller.in_dialog("BYE", &invite, &answer);
    caller.send(&bye)?;
    callee.answer(&callee.expect_request("BYE")?, 200, CALLEE_TAG, "")?;
    caller.expect_answer(&bye, 200).map(drop)
}

/// The branch with another last digit.
fn guessed(branch: &str) -> String {
    let (start, last) = branch.split_at(branch.len().saturating_sub(1));
    format!("{start}{}", if last == "0" { "1" } else { "0" })
}

/// RFC 3261 8.2.2, 11.2: what the router is and can, and what it asks of those who ask.
pub(super) fn options_of_the_router(stage: &Stage<'_>) -> Result<(), Failure> {
    let caller = stage.caller()?;
    let options = caller.request("OPTIONS", "");
    caller.send(&options)?;
    let answer = caller.expect_answer(&options, 200)?;
    for name in [
        "Allow",
        "Accept",
        "Accept-Encoding",
        "Accept-Language",
        "Supported",
    ] {
        check(!answer.header(name).is_empty(), || format!("no {name}"))?;
    }
    for (extra, uri, code, told) in [
        (
            "Require: 100rel, nothing\r\n",
            "",
            420,
            ("Unsupported", "nothing"),
        ),
        ("Proxy-Require: nothing\r\n", "", 200, ("Unsupported", "")),
        ("", "soap.beep://192.0.2.1", 416, ("Unsupported", "")),
    ] {
        let mut options = caller.request("OPTIONS", "");
        options.extra = extra.to_owned();
        if !uri.is_empty() {
            options.uri = uri.to_owned();
        }
        caller.send(&options)?;
        let answer = caller.expect_answer(&options, code)?;
        let (name, value) = told;
        check(answer.header(name) == value, || {
            format!("{extra} got {:?}", answer.header(name))
        })?;
    }
    let unknown = caller.request("WHATEVER", "");
    caller.send(&unknown)?;
    let answer = caller.expect_answer(&unknown, 501)?;
    check(answer.header("Allow").contains("INVITE"), || {
        "501 without Allow".into()
    })
}

/// The body of a call is its ends' matter: types and encodings unknown here pass byte for byte.
pub(super) fn unreadable_bodies_pass(stage: &Stage<'_>) -> Result<(), Failure> {
    let (caller, callee) = (stage.caller()?, stage.callee()?);
    let invite = caller.invite(stage.number());
    let text = caller.print(&invite);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
    let head = head.replace(
        "application/sdp",
        "application/x-unknown;q=1\r\nContent-Encoding: gzip\r\nContent-Language: tlh\r\n\
         Max-Breadth: 20",
    );
    caller.send_bytes(format!("{head}\r\n\r\n{body}").as_bytes())?;
    let seen = callee.expect_request("INVITE")?;
    for (name, value) in [
        ("Content-Type", "application/x-unknown;q=1"),
        ("Content-Encoding", "gzip"),
        ("Content-Language", "tlh"),
        // RFC 5393 5.4.3: carried on, and nothing forks here.
        ("Max-Breadth", "20"),
    ] {
        check(seen.header(name) == value, || {
            format!("{name} became {:?}", seen.header(name))
        })?;
    }
    check(seen.body == SDP.replace("\r\n", "\n"), || {
        "the body changed".into()
    })?;
    callee.answer(&seen, 415, CALLEE_TAG, "")?;
    let answer = caller.expect_answer(&invite, 415)?;
    caller.acknowledge(&invite, &answer)
}
