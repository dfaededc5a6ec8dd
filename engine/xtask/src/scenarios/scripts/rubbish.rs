//! What is not SIP, or hardly: answered 400 where a Via is left to answer to, survived in any case.

use super::Stage;
use crate::agent::{Agent, Request};
use crate::failure::{Failure, check};
use crate::router;
use crate::torture;

/// How often the router is asked whether it still answers, 100 ms each.
const PINGS: usize = 100;

/// Requests with one defect each: 400, or 505 for the version. RFC 3261 8.1.1, 8.2, 21.4.1, 21.5.6.
pub(super) fn malformed(stage: &Stage<'_>) -> Result<(), Failure> {
    let caller = stage.caller()?;
    for (what, defect, code) in [
        ("without CSeq", ("CSeq: 1 INVITE\r\n", ""), 400),
        ("without To", ("To: ", "X-To: "), 400),
        (
            "with a CSeq of another method",
            ("CSeq: 1 INVITE", "CSeq: 1 BYE"),
            400,
        ),
        (
            "with a CSeq that is no number",
            ("CSeq: 1 INVITE", "CSeq: one INVITE"),
            400,
        ),
        (
            "longer than it is",
            ("Content-Length: ", "Content-Length: 9"),
            400,
        ),
        ("of SIP/7.0", (" SIP/2.0\r\nVia", " SIP/7.0\r\nVia"), 505),
    ] {
        let invite = caller.invite(stage.number());
        refused(&caller, &invite, what, defect, code)?;
    }
    stage.establish()?.hang_up()
}

fn refused(
    caller: &Agent,
    invite: &Request,
    what: &str,
    (good, bad): (&str, &str),
    code: u16,
) -> Result<(), Failure> {
    let text = caller.print(invite);
    check(text.contains(good), || format!("no {good:?} to spoil"))?;
    caller.send_bytes(text.replace(good, bad).as_bytes())?;
    let answer = caller.expect(&format!("the answer to an INVITE {what}"), |m| {
        m.branch() == invite.branch && m.code().is_some_and(|code| code >= 200)
    })?;
    check(answer.code() == Some(code), || {
        format!("an INVITE {what} got {:?}", answer.start)
    })
}

/// RFC 4475, RFC 5118 and 10,000 random datagrams; then a call succeeds.
pub(super) fn torture(stage: &Stage<'_>) -> Result<(), Failure> {
    let files = torture::send_all(stage.caller_ip, stage.router.address, 4475)?;
    check(files > 40, || format!("only {files} torture files"))?;
    // The queue of datagrams is worked off when an OPTIONS behind them is answered.
    let answered = (0..PINGS).any(|_| router::answers(stage.router.address).unwrap_or(false));
    check(answered, || "no answer to OPTIONS after the torture".into())?;
    stage.establish()?.hang_up()
}
