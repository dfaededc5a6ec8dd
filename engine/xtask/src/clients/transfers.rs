//! Transfers as softphones ask for them: blind, passed on or carried out by the router, and attended.

use super::{BOBS_TONE, CAROLS, CAROLS_TONE, NUMBER, Stage, TRANSFERORS};
use crate::baresip::{CLOSED, ESTABLISHED, Phone};
use crate::failure::Failure;
use crate::metrics::Total;
use crate::spawned::Spawned;
use std::net::SocketAddr;

/// REFERs that crossed.
const REFERS: Total = Total {
    name: "tipring_refers_total",
    label: "",
};
/// Transfers that the router carried out to their end.
const JOINED: Total = Total {
    name: "tipring_transfers_ended_total",
    label: "outcome=\"joined\"",
};
/// INVITEs that named a dialog of the router's.
const FOUND: Total = Total {
    name: "tipring_named_dialogs_total",
    label: "outcome=\"found\"",
};

/// A counter that is to rise by one.
struct Rising(Total, u64, SocketAddr);

impl Rising {
    fn from_now(total: Total, metrics: SocketAddr) -> Result<Rising, Failure> {
        Ok(Rising(total, total.read(metrics)?, metrics))
    }

    fn has_risen(&self) -> Result<(), Failure> {
        let Rising(total, before, metrics) = self;
        total.becomes(*metrics, before + 1)
    }
}

/// Alice transfers Bob to Carol. Bob gets the REFER and calls Carol, whose phone rings; they hear each other,
/// and Alice is out of it.
pub(super) fn blind(stage: &Stage<'_>) -> Result<(), Failure> {
    let refers = Rising::from_now(REFERS, stage.metrics)?;
    let alice = stage.alice("blind-alice", None)?;
    let bob = stage.bob("blind-bob", NUMBER, Some(BOBS_TONE));
    let carol = stage.carol("blind-carol", Some(CAROLS_TONE));
    transfer(stage, &alice, &bob, &carol, || {
        bob.traces("REFER", |seen| seen.request_method() == Some("REFER"))?;
        bob.says_often(ESTABLISHED, 2)?;
        refers.has_risen()
    })
}

/// The same by a peer whose transfers the router carries out: Bob gets no REFER but another offer.
pub(super) fn blind_handled(stage: &Stage<'_>) -> Result<(), Failure> {
    let joined = Rising::from_now(JOINED, stage.metrics)?;
    let alice = stage.alice_at("handled-alice", TRANSFERORS, None)?;
    let bob = stage.bob("handled-bob", NUMBER, Some(BOBS_TONE));
    let carol = stage.carol("handled-carol", Some(CAROLS_TONE));
    transfer(stage, &alice, &bob, &carol, || {
        bob.traces("another offer", |seen| {
            seen.request_method() == Some("INVITE") && !seen.tag("To").is_empty()
        })?;
        joined.has_risen()?;
        bob.traced_no("REFER")
    })
}

/// Alice calls Bob and transfers him to Carol, who answers; `is_seen` tells the ways apart.
fn transfer(
    stage: &Stage<'_>,
    alice: &Phone<'_>,
    bob: &Phone<'_>,
    carol: &Phone<'_>,
    is_seen: impl Fn() -> Result<(), Failure>,
) -> Result<(), Failure> {
    let (bobs, _carol) = (bob.ready()?, carol.ready()?);
    let console = alice.ready()?;
    stage.call(&console, NUMBER)?;
    alice.says(ESTABLISHED)?;
    bob.says(ESTABLISHED)?;
    console.types(&format!("/transfer {}\n", stage.uri(CAROLS)))?;
    carol.traces("its own 180", |seen| seen.code() == Some(180))?;
    carol.says(ESTABLISHED)?;
    is_seen()?;
    is_told_and_out(alice)?;
    talk(stage, (bob, &bobs), carol)
}

/// Alice is told that the transfer went well, and her call ends, whoever is the first to say so.
fn is_told_and_out(alice: &Phone<'_>) -> Result<(), Failure> {
    alice.traces("NOTIFY of 200", |seen| {
        seen.request_method() == Some("NOTIFY") && seen.body.starts_with("SIP/2.0 200")
    })?;
    alice.traces("200 to BYE", |seen| {
        seen.code() == Some(200) && seen.cseq_method() == "BYE"
    })?;
    Ok(())
}

/// The call of Bob and Carol is the only one, and each hears the other until Bob hangs up.
fn talk(
    stage: &Stage<'_>,
    (bob, console): (&Phone<'_>, &Spawned),
    carol: &Phone<'_>,
) -> Result<(), Failure> {
    stage.calls(1)?;
    bob.records()?;
    carol.records()?;
    console.types("/hangup\n")?;
    carol.says(CLOSED)?;
    carol.heard(BOBS_TONE)?;
    bob.heard(CAROLS_TONE)?;
    stage.is_quiet()
}

/// Alice calls Bob, puts him on hold, calls Carol, and transfers Bob to the call with Carol: his INVITE replaces it.
pub(super) fn attended(stage: &Stage<'_>) -> Result<(), Failure> {
    let (refers, found) = (
        Rising::from_now(REFERS, stage.metrics)?,
        Rising::from_now(FOUND, stage.metrics)?,
    );
    let bob = stage.linphone("attended-bob", "bob", Some(stage.bob))?;
    let carol = stage.linphone("attended-carol", "carol", Some(stage.carol))?;
    let alice = stage.linphone("attended-alice", "alice", None)?;
    let (bobs, _carol) = (bob.ready()?, carol.ready()?);
    let console = alice.ready()?;
    console.types(&stage.linphone_call(NUMBER))?;
    alice.talks(1)?;
    bob.talks(1)?;
    console.types("pause\n")?;
    alice.says("is now paused")?;
    console.types(&stage.linphone_call(CAROLS))?;
    alice.talks(2)?;
    carol.talks(1)?;
    console.types("transfer 1 --to-call 2\n")?;
    bob.says("Refer-To: ")?;
    carol.says("\nReplaces: ")?;
    carol.talks(2)?;
    bob.talks(2)?;
    carol.ends(1)?;
    alice.ends(1)?;
    alice.ends(2)?;
    refers.has_risen()?;
    found.has_risen()?;
    stage.calls(1)?;
    super::midcall::hang_up(&bobs)?;
    carol.ends(2)?;
    stage.is_quiet()
}
