//! Messages of the peers: requests that begin something or continue what a letter of the past belongs
//! to, responses to what the shard asked, and damage to any of them.

use std::fmt::Write as _;

use super::body::{Body, body};
use super::letter::Letter;
use super::settings::NUMBERS;
use crate::choices::Choices;

const METHODS: [&str; 16] = [
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "ACK",
    "PRACK",
    "UPDATE",
    "INVITE",
    "INFO",
    "REFER",
    "NOTIFY",
    "OPTIONS",
    "MESSAGE",
    "SUBSCRIBE",
    "REGISTER",
    "PUBLISH",
];
const CODES: [u16; 24] = [
    200, 180, 183, 100, 200, 486, 487, 200, 404, 408, 481, 491, 500, 503, 302, 202, 422, 420, 401,
    199, 600, 181, 405, 699,
];
/// Header lines a message may carry beside what it must.
const EXTRAS: [&str; 20] = [
    "Supported: 100rel, timer, replaces\r\n",
    "Require: 100rel\r\n",
    "Allow: INVITE, ACK, BYE, CANCEL, UPDATE, PRACK, REFER, NOTIFY\r\n",
    "Session-Expires: 90;refresher=uac\r\nMin-SE: 90\r\n",
    "Session-Expires: 1800;refresher=uas\r\nRequire: timer\r\n",
    "Require: no-such-option\r\n",
    "Refer-To: <sip:501@10.0.0.2:5070>\r\nReferred-By: <sip:a@10.0.0.1>\r\n",
    "Event: refer\r\nSubscription-State: active;expires=60\r\n",
    "Event: presence\r\nExpires: 600\r\n",
    "Privacy: id\r\nP-Asserted-Identity: <sip:+49@10.0.0.1>\r\n",
    "Max-Forwards: 0\r\n",
    "Record-Route: <sip:10.0.0.1:5099;lr>, <sip:10.0.0.7;lr>\r\n",
    "Route: <sip:127.0.0.1:5060;lr>\r\n",
    "Reason: Q.850;cause=16\r\n",
    "Retry-After: 3\r\nMin-SE: 120\r\n",
    "Timestamp: 54\r\n",
    "Expires: 3\r\n",
    "Proxy-Require: sec\r\n",
    "Unsupported: timer\r\nAllow-Events: refer\r\n",
    "Contact: <sip:elsewhere@10.0.0.1:5099>\r\n",
];

/// What makes each transaction and call its own.
#[derive(Debug, Default)]
pub(super) struct Serial(u32);

impl Serial {
    fn next(&mut self) -> u32 {
        self.0 += 1;
        self.0
    }
}

/// A request that begins a call, or asks the router something.
pub(super) fn fresh(choices: &mut Choices<'_>, serial: &mut Serial, peer: &str) -> String {
    let number = choices.of(&NUMBERS).unwrap_or("7001");
    let method = match choices.byte() {
        0..=0xd0 => "INVITE",
        other => METHODS
            .get(usize::from(other) % METHODS.len())
            .unwrap_or(&"OPTIONS"),
    };
    let n = serial.next();
    let host = if peer.contains('[') {
        "[::1]"
    } else {
        "127.0.0.1"
    };
    let head = format!(
        "{method} sip:{number}@{host}:5060 SIP/2.0\r\n{}From: <sip:a@{peer}>;tag=a{n}\r\n\
         To: <sip:{number}@{host}>\r\nCall-ID: call{n}@{peer}\r\nCSeq: {n} {method}\r\n\
         Contact: <sip:a@{peer}>\r\nMax-Forwards: 70\r\n",
        via(peer, n),
    );
    complete(choices, head)
}

fn via(peer: &str, n: u32) -> String {
    format!("Via: SIP/2.0/UDP {peer};branch=z9hG4bKp{n}\r\n")
}

/// A request in the dialog, or of the transaction, that the letter belongs to.
pub(super) fn inside(
    choices: &mut Choices<'_>,
    serial: &mut Serial,
    letter: &Letter,
    peer: &str,
) -> String {
    let method = choices.of(&METHODS).unwrap_or("BYE");
    let odd = if choices.rarely() { choices.byte() } else { 0 };
    let n = serial.next() + 100;
    let (from, mut to) = letter.peer_first();
    let mut from = with_tag(from, choices);
    if odd & 1 != 0 {
        std::mem::swap(&mut from, &mut to);
    }
    // An ACK of a failure and a CANCEL are of the INVITE's transaction.
    let of_transaction = method == "CANCEL" || (method == "ACK" && letter.code >= 300);
    let same_branch = of_transaction != (odd & 2 != 0) && !letter.vias.is_empty();
    let vias = if same_branch {
        letter.vias.clone()
    } else {
        via(peer, n)
    };
    let same_number = matches!(method, "ACK" | "CANCEL") != (odd & 4 != 0);
    let cseq = if same_number {
        letter.cseq
    } else {
        letter.cseq.max(n)
    };
    let target = if letter.contact.is_empty() {
        &letter.uri
    } else {
        &letter.contact
    };
    let target = if target.is_empty() {
        "sip:7001@127.0.0.1:5060"
    } else {
        target
    };
    let mut head = format!(
        "{method} {target} SIP/2.0\r\n{vias}From: {from}\r\nTo: {to}\r\nCall-ID: {}\r\n\
         CSeq: {cseq} {method}\r\nContact: <sip:in@{peer}>\r\nMax-Forwards: 70\r\n",
        letter.call_id,
    );
    if method == "PRACK" {
        let rseq = if letter.rseq.is_empty() {
            "1"
        } else {
            &letter.rseq
        };
        let _ = write!(
            head,
            "RAck: {rseq} {} {}\r\n",
            letter.cseq, letter.cseq_method
        );
    }
    complete(choices, head)
}

/// The tag of one who answered, when there is none yet.
fn with_tag(address: String, choices: &mut Choices<'_>) -> String {
    match address.contains(";tag=") {
        true => address,
        false => format!("{address};tag=b{}", choices.below(3)),
    }
}

/// A response of the peer to a request of the shard.
pub(super) fn response(choices: &mut Choices<'_>, letter: &Letter, peer: &str) -> String {
    let code = choices.of(&CODES).unwrap_or(200);
    let to = match code {
        100 => letter.to.clone(),
        _ => with_tag(letter.to.clone(), choices),
    };
    let mut head = format!(
        "SIP/2.0 {code} Words\r\n{}From: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {} {}\r\n\
         Contact: <sip:b@{peer}>\r\n",
        letter.vias, letter.from, letter.call_id, letter.cseq, letter.cseq_method,
    );
    if (101..200).contains(&code) && choices.byte() & 3 == 3 {
        let _ = write!(head, "Require: 100rel\r\nRSeq: {}\r\n", choices.below(4));
    }
    complete(choices, head)
}

/// Further headers, the body, and the end of the message.
fn complete(choices: &mut Choices<'_>, mut head: String) -> String {
    let extras = choices.byte();
    if extras & 3 == 3 {
        for _ in 0..=(extras >> 6) {
            head += choices.of(&EXTRAS).unwrap_or_default();
        }
    }
    let (kind, bytes): Body = body(choices);
    if !kind.is_empty() {
        let _ = write!(head, "Content-Type: {kind}\r\n");
    }
    let _ = write!(head, "Content-Length: {}\r\n\r\n", bytes.len());
    head + &String::from_utf8_lossy(&bytes)
}

/// What a bad line, a bad peer or a bad mind does to a message.
pub(super) fn damage(choices: &mut Choices<'_>, text: String) -> Vec<u8> {
    let mut bytes = text.into_bytes();
    for _ in 0..=choices.below(3) {
        let at = usize::from(choices.word()) % bytes.len().max(1);
        match choices.below(5) {
            0 => bytes.truncate(at),
            1 => drop(bytes.splice(at..at, choices.bytes(8).iter().copied())),
            2 => bytes
                .get_mut(at)
                .into_iter()
                .for_each(|byte| *byte = choices.byte()),
            3 => drop(bytes.drain(at..(at + choices.below(40)).min(bytes.len()))),
            _ => repeat_line(&mut bytes, at),
        }
    }
    bytes
}

/// The line around `at` comes twice.
fn repeat_line(bytes: &mut Vec<u8>, at: usize) {
    let (before, after) = bytes.split_at(at);
    let start = before
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |end| end + 1);
    let end = after
        .iter()
        .position(|&byte| byte == b'\n')
        .map_or(bytes.len(), |end| at + end + 1);
    let line = bytes.get(start..end).unwrap_or_default().to_vec();
    bytes.splice(start..start, line);
}
