//! What softphones do in a call that stays as it is: hold and resume, and digits by RFC 4733 and by INFO.

use super::{BOBS_TONE, NUMBER, STEERED, Stage};
use crate::baresip::{CLOSED, ESTABLISHED, Phone};
use crate::failure::{Failure, check};
use crate::sip::Message;
use crate::spawned::Spawned;

/// The digits that are pressed.
const DIGITS: &str = "159#";

/// Alice holds Bob and takes the call up again. He is offered `sendonly` and `sendrecv`, and she gets his
/// answers to them.
pub(super) fn hold(stage: &Stage<'_>, steered: bool) -> Result<(), Failure> {
    let (number, alice, bob) = match steered {
        false => (NUMBER, "hold-alice", "hold-bob"),
        true => (STEERED, "hold-steered-alice", "hold-steered-bob"),
    };
    let bob = stage.bob(bob, number, None);
    let _bob = bob.ready()?;
    let alice = stage.alice(alice, None)?;
    let console = alice.ready()?;
    stage.call(&console, number)?;
    alice.says(ESTABLISHED)?;
    bob.says(ESTABLISHED)?;
    console.types("/hold\n")?;
    let held = changes(&alice, &bob, ("sendonly", "recvonly"), 0)?;
    console.types("/resume\n")?;
    changes(&alice, &bob, ("sendrecv", "sendrecv"), held)?;
    console.types("/hangup\n")?;
    bob.says(CLOSED)?;
    stage.is_quiet()
}

/// Waits for a re-INVITE with this direction at Bob, younger than the one numbered `after`, and for his
/// answer at Alice. The number of the re-INVITE.
fn changes(
    alice: &Phone<'_>,
    bob: &Phone<'_>,
    (offered, answered): (&str, &str),
    after: u32,
) -> Result<u32, Failure> {
    let says = |seen: &Message, direction: &str| seen.body.contains(&format!("a={direction}\n"));
    let seen = bob.traces(&format!("an offer of {offered}"), |seen| {
        is_reinvite(seen) && says(seen, offered) && seen.cseq_number() > Some(after)
    })?;
    // Alice's own numbers stand in her re-INVITEs.
    let sent = alice.traces(&format!("her offer of {offered}"), |sent| {
        is_reinvite(sent) && says(sent, offered)
    })?;
    alice.traces(&format!("the answer {answered}"), |got| {
        got.code() == Some(200)
            && got.cseq_method() == "INVITE"
            && got.cseq_number() == sent.cseq_number()
            && says(got, answered)
    })?;
    seen.cseq_number()
        .ok_or_else(|| Failure::Check("a re-INVITE without a number".into()))
}

fn is_reinvite(seen: &Message) -> bool {
    seen.request_method() == Some("INVITE") && !seen.tag("To").is_empty()
}

/// Alice presses digits, which go as telephone events through the router's media; Bob gets each one.
pub(super) fn digits_as_events(stage: &Stage<'_>) -> Result<(), Failure> {
    let bob = stage.bob("events-bob", STEERED, Some(BOBS_TONE));
    let _bob = bob.ready()?;
    let alice = stage.alice("events-alice", Some(super::ALICES_TONE))?;
    let console = alice.ready()?;
    stage.call(&console, STEERED)?;
    alice.says(ESTABLISHED)?;
    bob.says(ESTABLISHED)?;
    let invite = bob.traces("INVITE", |seen| seen.request_method() == Some("INVITE"))?;
    let routers = format!("c=IN IP4 {}\n", stage.router.ip());
    check(invite.body.contains(&routers), || {
        "the media do not go through the router".into()
    })?;
    for digit in DIGITS.chars() {
        console.types(&digit.to_string())?;
        bob.says(&format!("received event: '{digit}' (end=1)"))?;
    }
    console.types("/hangup\n")?;
    bob.says(CLOSED)?;
    stage.is_quiet()
}

/// Linphone presses digits, which go as INFO; Bob gets each one and says so.
pub(super) fn digits_as_info(stage: &Stage<'_>) -> Result<(), Failure> {
    let bob = stage.bob("info-bob", NUMBER, Some(BOBS_TONE));
    let _bob = bob.ready()?;
    let alice = stage.linphone("info-linphone", "alice", None)?;
    let console = alice.ready()?;
    console.types(&stage.linphone_call(NUMBER))?;
    alice.talks(1)?;
    bob.says(ESTABLISHED)?;
    for digit in DIGITS.chars() {
        console.types(&format!("{digit}\n"))?;
        bob.traces(&format!("INFO with {digit}"), |seen| is_digit(seen, digit))?;
        bob.says(&format!("received DTMF: '{digit}'"))?;
    }
    hang_up(&console)?;
    bob.says(CLOSED)?;
    stage.is_quiet()
}

fn is_digit(seen: &Message, digit: char) -> bool {
    seen.request_method() == Some("INFO")
        && seen.header("Content-Type") == "application/dtmf-relay"
        && seen.body.contains(&format!("Signal={digit}\n"))
}

/// Ends the call of a linphonec.
pub(super) fn hang_up(console: &Spawned) -> Result<(), Failure> {
    console.types("terminate\n")
}
