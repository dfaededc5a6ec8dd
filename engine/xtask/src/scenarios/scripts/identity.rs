//! Who is calling, and who may know it (RFC 3325, RFC 3323). Who is trusted stands in the manifest.

use super::{CALLEE_TAG, Stage};
use crate::agent::SDP;
use crate::failure::{Failure, check};
use crate::sip::Message;

const ASSERTED: &str = "P-Asserted-Identity: <sip:+4930123@carrier.example>\r\n";

/// A call of a caller who says this, refused by a callee who says that: the INVITE and the answer as they
/// arrived.
fn refused(
    stage: &Stage<'_>,
    caller_says: &str,
    callee_says: &str,
) -> Result<(Message, Message), Failure> {
    let (caller, callee) = (stage.caller()?, stage.callee()?);
    let mut invite = caller.invite(stage.number());
    invite.extra = caller_says.to_owned();
    caller.send(&invite)?;
    let seen = callee.expect_request("INVITE")?;
    callee.answer_with(&seen, 486, CALLEE_TAG, callee_says, "")?;
    callee.expect_request("ACK")?;
    let answer = caller.expect_answer(&invite, 486)?;
    caller.acknowledge(&invite, &answer)?;
    Ok((seen, answer))
}

fn has(message: &Message, header: &str, expected: bool) -> Result<(), Failure> {
    let found = message.header(header);
    check(found.is_empty() != expected, || {
        format!("{header} of {} is {found:?}", message.start)
    })
}

/// Caller and callee are trusted: what they assert passes, Privacy too.
pub(super) fn asserted_by_the_trusted(stage: &Stage<'_>) -> Result<(), Failure> {
    let says = format!("{ASSERTED}Privacy: id\r\nSubject: x\r\n");
    let (seen, answer) = refused(stage, &says, &says)?;
    for message in [&seen, &answer] {
        has(message, "P-Asserted-Identity", true)?;
        has(message, "Privacy", true)?;
    }
    has(&seen, "Subject", true)
}

/// The callee is a stranger: it is not told who calls, and not believed who it is.
pub(super) fn id_before_strangers(stage: &Stage<'_>) -> Result<(), Failure> {
    let says = format!("{ASSERTED}Privacy: id\r\nSubject: x\r\n");
    let (seen, answer) = refused(stage, &says, ASSERTED)?;
    has(&seen, "P-Asserted-Identity", false)?;
    has(&seen, "Privacy", false)?;
    has(&seen, "Subject", true)?;
    has(&answer, "P-Asserted-Identity", false)?;
    let (seen, _) = refused(stage, ASSERTED, "")?;
    has(&seen, "P-Asserted-Identity", true)
}

/// The callee is a stranger: nothing the caller or its agent says of themselves reaches it.
pub(super) fn user_before_strangers(stage: &Stage<'_>) -> Result<(), Failure> {
    let says = format!(
        "{ASSERTED}Privacy: user;critical\r\nSubject: x\r\nUser-Agent: u\r\n\
         Organization: o\r\nReply-To: <sip:a@a.example>\r\nCall-Info: <http://a.example>\r\n"
    );
    let (seen, _) = refused(stage, &says, "")?;
    for header in [
        "P-Asserted-Identity",
        "Privacy",
        "Subject",
        "User-Agent",
        "Organization",
        "Reply-To",
        "Call-Info",
    ] {
        has(&seen, header, false)?;
    }
    let from = seen.header("From");
    check(from.contains("<sip:anonymous@anonymous.invalid>"), || {
        format!("From is {from}")
    })?;
    has(&seen, "Content-Type", true)?;
    check(seen.body.lines().eq(SDP.lines()), || {
        "the body did not cross".into()
    })
}
