//! What is not SIP, or hardly: answered 400 where a Via is left to answer to, survived in any case.

use super::Stage;
use crate::agent::{Agent, Request};
use crate::failure::{Failure, check};
use crate::router;
use crate::torture;

/// How often the router is asked whether it still answers, 100 ms each.
const PINGS: usize = 100;

/// What is wrong, what of a sound INVITE is replaced by what, and the status line that says it.
type Defect = (&'static str, (&'static str, &'static str), &'static str);

#[rustfmt::skip]
const DEFECTS: &[Defect] = &[
    ("without CSeq", ("CSeq: 1 INVITE\r\n", ""), "400 Missing CSeq Header"),
    ("without To", ("To: ", "X-To: "), "400 Missing To Header"),
    ("without From", ("From: ", "X-From: "), "400 Missing From Header"),
    ("without Call-ID", ("Call-ID: ", "X-Call-ID: "), "400 Missing Call-ID Header"),
    ("without Contact", ("Contact: ", "X-Contact: "), "400 Missing Contact Header"),
    ("with two Contacts", ("Contact: ", "Contact: <sip:other@127.0.0.1>, "), "400 More Than One Contact"),
    ("with a Contact of no form", ("Contact: <", "Contact: <<"), "400 Malformed Contact Header"),
    ("with two CSeqs", ("CSeq: ", "CSeq: 1 INVITE\r\nCSeq: "), "400 Duplicate CSeq Header"),
    ("with two Froms", ("From: ", "From: <sip:x@y>;tag=z\r\nFrom: "), "400 Duplicate From Header"),
    ("with two Tos", ("To: ", "To: <sip:x@y>\r\nTo: "), "400 Duplicate To Header"),
    ("with two Call-IDs", ("Call-ID: ", "Call-ID: x\r\nCall-ID: "), "400 Duplicate Call-ID Header"),
    ("with a From of no form", ("From: <", "From: <<"), "400 Malformed From Header"),
    ("with a To of no form", ("To: <", "To: <<"), "400 Malformed To Header"),
    ("with a CSeq of another method", ("CSeq: 1 INVITE", "CSeq: 1 BYE"), "400 CSeq Method Mismatch"),
    ("with a CSeq that is no number", ("CSeq: 1 INVITE", "CSeq: one INVITE"), "400 Malformed CSeq Header"),
    ("with endless hops", ("Max-Forwards: 70", "Max-Forwards: 700"), "400 Malformed Max-Forwards Header"),
    ("with no hop left", ("Max-Forwards: 70", "Max-Forwards: 0"), "483 Too Many Hops"),
    ("longer than it is", ("Content-Length: ", "Content-Length: 9"), "400 Body Shorter Than Content-Length"),
    ("of two lengths", ("Content-Length: ", "Content-Length: 5\r\nContent-Length: "), "400 Conflicting Content-Length Headers"),
    ("of SIP/7.0", (" SIP/2.0\r\nVia", " SIP/7.0\r\nVia"), "505 Version Not Supported"),
    ("to a mailbox", ("INVITE sip:", "INVITE mailto:"), "416 Unsupported URI Scheme"),
    ("that requires it of proxies", ("Max-Forwards", "Proxy-Require: x\r\nMax-Forwards"), "420 Bad Extension"),
];

/// Requests with one defect each, and the status line each is refused with. RFC 3261 8.1.1, 8.2, 21.4.1.
pub(super) fn malformed(stage: &Stage<'_>) -> Result<(), Failure> {
    let caller = stage.caller()?;
    for (what, defect, status) in DEFECTS {
        let invite = caller.invite(stage.number());
        refused(&caller, &invite, what, *defect, status)?;
    }
    stage.establish()?.hang_up()
}

fn refused(
    caller: &Agent,
    invite: &Request,
    what: &str,
    (good, bad): (&str, &str),
    status: &str,
) -> Result<(), Failure> {
    let text = caller.print(invite);
    check(text.contains(good), || format!("no {good:?} to spoil"))?;
    caller.send_bytes(text.replacen(good, bad, 1).as_bytes())?;
    let answer = caller.expect(&format!("the answer to an INVITE {what}"), |m| {
        m.branch() == invite.branch && m.code().is_some_and(|code| code >= 200)
    })?;
    check(answer.start == format!("SIP/2.0 {status}"), || {
        format!("an INVITE {what} got {:?}", answer.start)
    })
}

/// 10,000 random datagrams; the router answers when it has worked them off.
pub(super) fn random_datagrams(stage: &Stage<'_>) -> Result<(), Failure> {
    torture::send_random(stage.caller_ip, stage.router.address, 4475)?;
    // The queue of datagrams is worked off when an OPTIONS behind them is answered.
    let answered = (0..PINGS).any(|_| router::answers(stage.router.address).unwrap_or(false));
    check(answered, || "no answer to OPTIONS after the torture".into())
}
