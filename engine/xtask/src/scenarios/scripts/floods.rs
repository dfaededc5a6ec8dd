//! Floods from one address, and the calls of another that must come through them.

use super::{CALLEE_TAG, Stage};
use crate::agent::{Agent, Request, SDP};
use crate::failure::{Failure, check};
use crate::sip::Message;
use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long a flood lasts.
const SECONDS: u64 = 2;
/// Datagrams are sent in bunches of a millisecond.
const BUNCHES_A_SECOND: u64 = 1_000;
/// Between two calls placed while it lasts.
const PAUSE: Duration = Duration::from_millis(20);
/// What a rate of 20 calls a second may let through of it, with room to spare.
const FLOODED_MAX: usize = 400;
/// T1: after so long a caller sends again (RFC 3261 17.1.1.2).
const T1: Duration = Duration::from_millis(500);
/// What the callee knows the calls by that are not the flood's.
const MARK: &str = "X-Ordinary: yes\r\n";

/// Sends `a_second` datagrams a second from an address of its own; gives back how many.
fn flood(
    to: SocketAddr,
    a_second: u64,
    datagram: impl Fn(SocketAddr, u64) -> String + Send + 'static,
) -> Result<JoinHandle<u64>, Failure> {
    let machine = || Failure::machine("a flood cannot begin");
    let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 66), 0)).map_err(machine())?;
    let own = socket.local_addr().map_err(machine())?;
    let begun = Instant::now();
    let pour = move || {
        let mut sent = 0;
        for bunch in 1..=BUNCHES_A_SECOND * SECONDS {
            let due = bunch * a_second / BUNCHES_A_SECOND;
            while sent < due {
                // A full buffer is the flood's loss.
                let _ = socket.send_to(datagram(own, sent).as_bytes(), to);
                sent += 1;
            }
            let next = Duration::from_millis(bunch);
            thread::sleep(next.saturating_sub(begun.elapsed()));
        }
        sent
    };
    Ok(thread::spawn(pour))
}

/// 2,000 INVITEs a second that nobody will answer or acknowledge.
pub(super) fn half_open(stage: &Stage<'_>) -> Result<(), Failure> {
    let (router, number) = (stage.router.address, stage.number().to_owned());
    let invite = move |own: SocketAddr, n: u64| {
        format!(
            "INVITE sip:{number}@{router} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKhalf{n}\r\n\
             From: <sip:f@{own}>;tag=f{n}\r\nTo: <sip:{number}@{router}>\r\nCall-ID: half-{n}@{own}\r\n\
             CSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:f@{own}>\r\nContent-Length: 0\r\n\r\n"
        )
    };
    let reached = ordinary_calls_beside(stage, flood(router, 2_000, invite)?)?;
    check((1..FLOODED_MAX).contains(&reached), || {
        format!("{reached} calls of the flood reached the callee")
    })
}

/// 20,000 responses a second that answer nothing this router sent.
pub(super) fn strays(stage: &Stage<'_>) -> Result<(), Failure> {
    let router = stage.router.address;
    let response = move |own: SocketAddr, n: u64| {
        format!(
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP {router};branch=z9hG4bKstray{n};rport\r\n\
             From: <sip:f@{own}>;tag=f{n}\r\nTo: <sip:t@{router}>;tag=t{n}\r\nCall-ID: stray-{n}@{own}\r\n\
             CSeq: 1 INVITE\r\nContact: <sip:f@{own}>\r\nContent-Length: 0\r\n\r\n"
        )
    };
    let reached = ordinary_calls_beside(stage, flood(router, 20_000, response)?)?;
    check(reached == 0, || {
        format!("{reached} strays reached the callee")
    })
}

/// Calls from another address go through from start to end, as long as the flood lasts. Gives back how many
/// calls of the flood reached the callee.
fn ordinary_calls_beside(stage: &Stage<'_>, flood: JoinHandle<u64>) -> Result<usize, Failure> {
    let (caller, callee) = (stage.caller()?, stage.callee()?);
    let (mut calls, mut flooded) = (0, HashSet::new());
    while !flood.is_finished() {
        ordinary_call(stage, &caller, &callee, &mut flooded)?;
        calls += 1;
        thread::sleep(PAUSE);
    }
    let sent = flood.join().unwrap_or_default();
    check(calls > 1 && sent > 0, || {
        format!("{calls} calls beside a flood of {sent}")
    })?;
    Ok(flooded.len())
}

fn ordinary_call(
    stage: &Stage<'_>,
    caller: &Agent,
    callee: &Agent,
    flooded: &mut HashSet<String>,
) -> Result<(), Failure> {
    let mut invite = caller.invite(stage.number());
    invite.extra = MARK.into();
    caller.send(&invite)?;
    let seen = await_at(callee, (caller, &invite), "INVITE", flooded)?;
    callee.answer(&seen, 200, CALLEE_TAG, SDP)?;
    let answer = caller.expect_answer(&invite, 200)?;
    caller.acknowledge(&invite, &answer)?;
    let mut bye = caller.in_dialog("BYE", &invite, &answer);
    bye.extra = MARK.into();
    caller.send(&bye)?;
    let seen = await_at(callee, (caller, &bye), "BYE", flooded)?;
    callee.answer(&seen, 200, CALLEE_TAG, "")?;
    caller.expect_answer(&bye, 200).map(drop)
}

/// The request as it reaches the callee; its sender sends it again like any user agent, once a T1.
fn await_at(
    callee: &Agent,
    (caller, request): (&Agent, &Request),
    method: &str,
    flooded: &mut HashSet<String>,
) -> Result<Message, Failure> {
    let mut again = Instant::now() + T1;
    let until = Instant::now() + 64 * T1;
    while Instant::now() < until {
        if let Some(message) = callee.receive(T1 / 10)? {
            let is_marked = message.header("X-Ordinary") == "yes";
            if is_marked && message.request_method() == Some(method) {
                return Ok(message);
            }
            if !is_marked && message.request_method() == Some("INVITE") {
                flooded.insert(message.header("Call-ID").to_owned());
            }
        }
        if Instant::now() >= again {
            caller.send(request)?;
            again = Instant::now() + T1;
        }
    }
    Err(Failure::Timeout(format!("{method} at the callee")))
}
