//! Calls to users of example.com: phones that register and are called. The router is registrar of example.com with the
//! users alice, bob and carol, and no number leads anywhere.

use super::proxy::{acknowledge, hang_up, in_dialog, recorded};
use super::{CALLEE_TAG, Stage};
use crate::agent::{Agent, Request, SDP};
use crate::failure::{Failure, check};
use crate::sip::Message;
use std::time::{Duration, Instant};

/// Calls enough that, with two shards, all but surely both have some.
const CALLS: u32 = 8;
/// How long is listened for what must not come.
const NOTHING: Duration = Duration::from_millis(200);
/// How long a contact that is gone may count as reachable, and the other way round: some of its keep-alives.
const PATIENCE: Duration = Duration::from_secs(10);
/// An address that only its own network can reach.
const HIDDEN: &str = "10.1.2.3:5060";

/// The address-of-record of a user.
fn address(user: &str) -> String {
    format!("sip:{user}@example.com")
}

fn contact(phone: &Agent) -> String {
    format!("sip:{}@{}", phone.name(), phone.address)
}

/// A phone registers this Contact value for a user; the answer.
fn register(phone: &Agent, user: &str, contact: &str, more: &str) -> Result<Message, Failure> {
    let register = Request {
        uri: "sip:example.com".into(),
        to: format!("<{}>", address(user)),
        extra: format!("Contact: {contact}\r\n{more}"),
        ..phone.request("REGISTER", "")
    };
    let own = format!("Contact: <{}>\r\n", self::contact(phone));
    let text = phone.print(&register).replacen(&own, "", 1);
    phone.send_bytes(text.as_bytes())?;
    phone.expect_answer(&register, 200)
}

/// A phone registers for a user at its own address, with these Contact parameters.
fn registered(phone: &Agent, user: &str, parameters: &str) -> Result<Message, Failure> {
    let contact = format!("<{}>{parameters}", contact(phone));
    register(phone, user, &contact, "")
}

fn phone(stage: &Stage<'_>, name: &'static str) -> Result<Agent, Failure> {
    Agent::bind(name, stage.caller_ip, stage.router.address)
}

/// A call to this URI is on its way.
fn call(caller: &Agent, uri: &str) -> Result<Request, Failure> {
    let invite = Request {
        uri: uri.to_owned(),
        to: format!("<{uri}>"),
        ..caller.invite("")
    };
    caller.send(&invite)?;
    Ok(invite)
}

/// The callee takes the call, and the caller hangs up.
fn taken(caller: &Agent, callee: &Agent, invite: &Request) -> Result<Message, Failure> {
    let seen = callee.expect("INVITE", |it| {
        it.request_method() == Some("INVITE") && it.header("Call-ID") == invite.call_id
    })?;
    callee.answer_with(&seen, 200, CALLEE_TAG, &recorded(&seen), SDP)?;
    let answer = caller.expect_answer(invite, 200)?;
    acknowledge(caller, invite, &answer)?;
    callee.expect_request("ACK")?;
    hang_up((caller, callee), invite, &answer)?;
    Ok(seen)
}

fn refused(caller: &Agent, uri: &str, code: u16) -> Result<(), Failure> {
    let invite = call(caller, uri)?;
    let answer = caller.expect_answer(&invite, code)?;
    caller.acknowledge(&invite, &answer)
}

/// Alice and bob register and call each other, again and again: Call-IDs spread over the shards.
pub(super) fn each_other(stage: &Stage<'_>) -> Result<(), Failure> {
    let (alice, bob) = (phone(stage, "alice")?, phone(stage, "bob")?);
    registered(&alice, "alice", "")?;
    registered(&bob, "bob", "")?;
    for round in 0..CALLS {
        let (caller, callee) = match round % 2 {
            0 => (&alice, &bob),
            _ => (&bob, &alice),
        };
        let invite = call(caller, &address(callee.name()))?;
        let seen = taken(caller, callee, &invite)?;
        check(seen.start.contains(&contact(callee)), || seen.start.clone())?;
    }
    Ok(())
}

/// Two phones of alice ring at once, the third only when both have refused.
pub(super) fn forked(stage: &Stage<'_>) -> Result<(), Failure> {
    let phones = [
        phone(stage, "desk")?,
        phone(stage, "mobile")?,
        phone(stage, "home")?,
    ];
    for (phone, q) in phones.iter().zip(["0.8", "0.8", "0.3"]) {
        registered(phone, "alice", &format!(";q={q}"))?;
    }
    let [desk, mobile, home] = &phones;
    let caller = stage.caller()?;
    let invite = call(&caller, &address("alice"))?;
    let seen = [
        desk.expect_request("INVITE")?,
        mobile.expect_request("INVITE")?,
    ];
    let early = home.receive(NOTHING)?;
    check(early.is_none(), || "the last one is called too".into())?;
    for (phone, seen) in [desk, mobile].into_iter().zip(&seen) {
        phone.answer(seen, 486, CALLEE_TAG, "")?;
    }
    taken(&caller, home, &invite).map(drop)
}

/// 480 for a user without contacts, 404 for nobody; no number leads anywhere.
pub(super) fn unavailable(stage: &Stage<'_>) -> Result<(), Failure> {
    let (caller, alice) = (stage.caller()?, phone(stage, "alice")?);
    refused(&caller, &address("alice"), 480)?;
    refused(&caller, &address("nobody"), 404)?;
    registered(&alice, "alice", "")?;
    let invite = call(&caller, &address("alice"))?;
    taken(&caller, &alice, &invite)?;
    registered(&alice, "alice", ";expires=0")?;
    refused(&caller, &address("alice"), 480)
}

/// RFC 5627: both GRUUs lead to the phone they were given, and to no other of its user.
pub(super) fn gruu(stage: &Stage<'_>) -> Result<(), Failure> {
    let (desk, mobile) = (phone(stage, "desk")?, phone(stage, "mobile")?);
    let caller = stage.caller()?;
    registered(&mobile, "alice", "")?;
    let value = format!("<{}>;+sip.instance=\"<urn:uuid:1>\"", contact(&desk));
    let told = register(&desk, "alice", &value, "Supported: gruu\r\n")?;
    let all: Vec<&str> = told.all("Contact").collect();
    let all = all.join(",");
    for name in ["pub-gruu=\"", "temp-gruu=\""] {
        let (_, rest) = all.split_once(name).unwrap_or_default();
        let uri = rest.split('"').next().unwrap_or_default();
        let invite = call(&caller, uri)?;
        taken(&caller, &desk, &invite)?;
    }
    let strayed = mobile.receive(NOTHING)?;
    check(strayed.is_none(), || "the other phone is called".into())
}

/// RFC 3327 5.5: the Path of a contact is the route to it.
pub(super) fn path(stage: &Stage<'_>) -> Result<(), Failure> {
    let (alice, edge) = (phone(stage, "alice")?, phone(stage, "edge")?);
    let caller = stage.caller()?;
    let route = format!("<sip:{};lr>", edge.address);
    let headers = format!("Path: {route}\r\nSupported: path\r\n");
    register(&alice, "alice", &format!("<sip:alice@{HIDDEN}>"), &headers)?;
    let invite = call(&caller, &address("alice"))?;
    let seen = edge.expect_request("INVITE")?;
    let right = seen.start.contains(HIDDEN) && seen.header("Route") == route;
    check(right, || format!("{} {:?}", seen.start, seen.headers))?;
    edge.answer(&seen, 486, CALLEE_TAG, "")?;
    let answer = caller.expect_answer(&invite, 486)?;
    caller.acknowledge(&invite, &answer)
}

/// The phone names an address nobody can reach, in its REGISTER and in its 200: INVITE, ACK and BYE come to it at the
/// socket it registered from.
pub(super) fn behind_nat(stage: &Stage<'_>) -> Result<(), Failure> {
    let (alice, caller) = (phone(stage, "alice")?, stage.caller()?);
    register(&alice, "alice", &format!("<sip:alice@{HIDDEN}>"), "")?;
    let invite = call(&caller, &address("alice"))?;
    let seen = alice.expect_request("INVITE")?;
    let lines = |name: &str| -> String {
        let line = |value| format!("{name}: {value}\r\n");
        seen.all(name).map(line).collect()
    };
    let answer = format!(
        "SIP/2.0 200 OK\r\n{}{}From: {}\r\nTo: {};tag={CALLEE_TAG}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
         Contact: <sip:alice@{HIDDEN}>\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{SDP}",
        lines("Via"),
        lines("Record-Route"),
        seen.header("From"),
        seen.header("To"),
        seen.header("Call-ID"),
        seen.header("CSeq"),
        SDP.len(),
    );
    alice.send_bytes(answer.as_bytes())?;
    let answer = caller.expect_answer(&invite, 200)?;
    check(answer.target().contains(HIDDEN), || {
        answer.target().to_owned()
    })?;
    acknowledge(&caller, &invite, &answer)?;
    alice.expect_request("ACK")?;
    let bye = in_dialog(&caller, "BYE", &invite, &answer);
    caller.send(&bye)?;
    let seen = alice.expect_request("BYE")?;
    alice.answer(&seen, 200, CALLEE_TAG, "")?;
    caller.expect_answer(&bye, 200).map(drop)
}

/// A phone whose socket is closed is found out by its keep-alive and called no more; when it answers again it is.
pub(super) fn keep_alive(stage: &Stage<'_>) -> Result<(), Failure> {
    let (alice, caller) = (phone(stage, "alice")?, stage.caller()?);
    registered(&alice, "alice", "")?;
    let asked = alice.expect_request("OPTIONS")?;
    alice.answer(&asked, 200, CALLEE_TAG, "")?;
    let place = alice.address;
    drop(alice);
    becomes(&caller, 480)?;
    let alice = Agent::bind_at("alice", place, stage.router.address)?;
    let asked = alice.expect_request("OPTIONS")?;
    alice.answer(&asked, 200, CALLEE_TAG, "")?;
    // The answer may be read after the next call.
    std::thread::sleep(NOTHING);
    let invite = call(&caller, &address("alice"))?;
    taken(&caller, &alice, &invite).map(drop)
}

/// Calls to alice get this answer, sooner or later.
fn becomes(caller: &Agent, code: u16) -> Result<(), Failure> {
    let until = Instant::now() + PATIENCE;
    loop {
        let invite = call(caller, &address("alice"))?;
        let answer = caller.expect_final(&invite)?;
        caller.acknowledge(&invite, &answer)?;
        if answer.code() == Some(code) {
            return Ok(());
        }
        check(Instant::now() < until, || format!("still {}", answer.start))?;
        std::thread::sleep(NOTHING);
    }
}
