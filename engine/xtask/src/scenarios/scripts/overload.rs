//! More calls than the router can take, and neighbours that speak of overload (RFC 7339).

use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, Instant};

use super::{CALLEE_TAG, Call, Stage};
use crate::agent::{Agent, Request, SDP};
use crate::failure::{Failure, check};
use crate::sip::Message;

/// Calls of the burst at most.
const BURST: usize = 100_000;
/// So many are sent in a row before the answers are looked at: some ten times what a shard does in the time
/// it takes to send them.
const CHUNK: usize = 2_000;
/// How long the burst goes on at most, whatever has been refused.
const BURST_LIMIT: Duration = Duration::from_secs(20);
/// Refusals that are enough to see that they differ.
const REFUSALS: usize = 40;
/// Calls tried after the burst, and what is waited for each. A call that is taken gets 100 after 0.2 s.
const TRIES: usize = 60;
const PAUSE: Duration = Duration::from_millis(400);

/// What the burst was told.
#[derive(Default)]
struct Refusals {
    calls: HashSet<String>,
    seconds: BTreeSet<String>,
}

impl Refusals {
    /// Takes what has come; acknowledges refusals.
    fn take(&mut self, caller: &Agent) -> Result<(), Failure> {
        while let Some(answer) = caller.receive(Duration::from_micros(200))? {
            if answer.code() == Some(503) && answer.cseq_method() == "INVITE" {
                self.seconds.insert(answer.header("Retry-After").to_owned());
                self.calls.insert(answer.branch().to_owned());
            }
        }
        Ok(())
    }
}

/// While a burst is turned away an emergency call and the end of a live call pass; then calls do again.
pub(super) fn sheds_and_recovers(stage: &Stage<'_>) -> Result<(), Failure> {
    let live = stage.establish()?;
    let flood = stage.caller()?;
    let refusals = burst(&flood, stage.number())?;
    check(refusals.calls.len() >= REFUSALS, || {
        format!(
            "only {} calls of the burst were refused",
            refusals.calls.len()
        )
    })?;
    check(
        refusals.seconds.len() >= 3 && !refusals.seconds.contains(""),
        || format!("Retry-After was {:?}", refusals.seconds),
    )?;
    let emergency = live.caller.invite("112");
    live.caller.send(&emergency)?;
    let answer = live.caller.expect_final(&emergency)?;
    // No route leads there: that is told by the routing DB, not at the door.
    check(answer.code() != Some(503), || {
        format!("112 got {:?}", answer.start)
    })?;
    live.hang_up()?;
    // The callee's socket stays, or calls to it would get 503 for that.
    recovers(stage)
}

/// Sends calls until enough of them have been refused.
fn burst(flood: &Agent, number: &str) -> Result<Refusals, Failure> {
    let (mut refusals, begun) = (Refusals::default(), Instant::now());
    for sent in 0..BURST {
        flood.send(&flood.invite(number))?;
        if sent % CHUNK == CHUNK - 1 {
            refusals.take(flood)?;
            if refusals.calls.len() >= REFUSALS || begun.elapsed() > BURST_LIMIT {
                break;
            }
        }
    }
    refusals.take(flood)?;
    Ok(refusals)
}

/// Within some seconds a new call is taken. Until then it may be refused, or dropped.
fn recovers(stage: &Stage<'_>) -> Result<(), Failure> {
    let caller = stage.caller()?;
    for _ in 0..TRIES {
        let invite = caller.invite(stage.number());
        caller.send(&invite)?;
        match caller.receive(PAUSE)? {
            Some(answer) if answer.branch() != invite.branch => {}
            Some(answer) if answer.code() == Some(503) => {
                caller.acknowledge(&invite, &answer)?;
                std::thread::sleep(PAUSE);
            }
            Some(_) => return cancel(&caller, &invite),
            None => {}
        }
    }
    check(false, || "no call was taken after the burst".into())
}

fn cancel(caller: &Agent, invite: &Request) -> Result<(), Failure> {
    let cancel = Request {
        method: "CANCEL",
        body: String::new(),
        ..invite.clone()
    };
    caller.send(&cancel)?;
    caller.expect_answer(&cancel, 200).map(drop)
}

/// What a server writes into the Via of a client that asks; false when it does not.
fn tell_load(invite: &mut Message) -> bool {
    let asks = ";oc;oc-algo=\"loss\"";
    let load = ";oc=100;oc-algo=\"loss\";oc-validity=60000;oc-seq=7.1";
    let via = invite.headers.iter_mut().find(|(name, _)| name == "Via");
    let Some((_, via)) = via.filter(|(_, via)| via.contains(asks)) else {
        return false;
    };
    *via = via.replace(asks, load);
    true
}

/// A server says how much less it wants, and a client hears from us.
pub(super) fn control(stage: &Stage<'_>) -> Result<(), Failure> {
    let (caller, callee) = (stage.caller()?, stage.callee()?);
    let invite = caller.invite(stage.number());
    caller.send(&invite)?;
    let mut seen = callee.expect_request("INVITE")?;
    check(tell_load(&mut seen), || {
        format!("Via of the INVITE is {}", seen.header("Via"))
    })?;
    callee.answer(&seen, 200, CALLEE_TAG, SDP)?;
    let answer = caller.expect_answer(&invite, 200)?;
    caller.acknowledge(&invite, &answer)?;
    let second = caller.invite(stage.number());
    caller.send(&second)?;
    let refused = caller.expect_answer(&second, 503)?;
    caller.acknowledge(&second, &refused)?;
    check(refused.header("Retry-After").is_empty(), || {
        "Retry-After in the 503".into()
    })?;
    let options = caller.request("OPTIONS", "");
    let asks = format!(";branch={};oc;oc-algo=\"loss\"", options.branch);
    let plain = format!(";branch={}", options.branch);
    caller.send_bytes(caller.print(&options).replace(&plain, &asks).as_bytes())?;
    let told = caller.expect_answer(&options, 200)?;
    let call = Call {
        caller,
        callee,
        invite,
        answer,
        seen,
    };
    call.hang_up()?;
    check(
        told.header("Via")
            .contains(";oc=0;oc-algo=\"loss\";oc-validity=0;oc-seq="),
        || format!("Via {}", told.header("Via")),
    )
}
