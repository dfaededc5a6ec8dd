//! What has to pass does, unchanged: the cargo and body of every message that crosses, status and
//! reason phrase, method, the caller's name; Max-Forwards one less.

use std::collections::HashMap;

use super::{Evidence, Finding};
use crate::agent::{AgentId, Description, Side};
use crate::heard::{Heard, STAMP};
use crate::plan::Flow;

/// See `agent::print`.
const LAST: &str = "X-Last";

pub(super) fn check(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    let mut originals: HashMap<&str, (AgentId, &Heard)> = HashMap::new();
    for (_, from, heard) in evidence.received() {
        if let Some(stamp) = &heard.stamp {
            originals.entry(stamp).or_insert((from, heard));
        }
    }
    let mut ended: Vec<usize> = Vec::new();
    for (at, to, heard) in evidence.sent() {
        let failed = to.side == Side::Caller && heard.method == "INVITE" && heard.code >= 300;
        if failed || matches!(heard.method.as_str(), "BYE" | "CANCEL") {
            ended.push(to.call);
        }
        let Some(stamp) = &heard.stamp else { continue };
        let what = match originals.get(stamp.as_str()) {
            None => Some(format!("the stamp {stamp} was never received")),
            // Of a call that is over nobody knows any more whose addresses a body may tell of.
            Some((_, original)) if ended.contains(&to.call) && is_withheld(original, heard) => None,
            Some((from, original)) => fault(evidence, *from, original, to, heard),
        };
        if let Some(what) = what {
            let what = format!("{} to {to:?}: {what}", heard.title());
            findings.push(Finding {
                at,
                rule: "passing",
                what,
            });
        }
    }
}

fn fault(
    evidence: &Evidence<'_>,
    from: AgentId,
    original: &Heard,
    to: AgentId,
    copy: &Heard,
) -> Option<String> {
    let calls = &evidence.plan.calls;
    let meets = || {
        calls
            .get(to.call)?
            .meets(to.call, calls.get(from.call)?, from.call)
            .then_some(())
    };
    if to.call != from.call && meets().is_none() || to.side != from.side.other() {
        return Some(format!("it crosses from {from:?}"));
    }
    let route = &evidence.call(from)?.route;
    let recast = route.flow == Flow::EarlyToFinal && is_recast(original, copy);
    let same = (original.code, &original.phrase, &original.method)
        == (copy.code, &copy.phrase, &copy.method);
    if !same && !recast {
        return Some(format!("it was {} {}", original.title(), original.phrase));
    }
    if cargo(original) != cargo(copy) {
        return Some(format!("cargo {:?} was {:?}", cargo(copy), cargo(original)));
    }
    // What is steered is rewritten, and looked at elsewhere; a bodiless 18x is as it should be.
    let rewritten = route.steer && original.sdp && copy.sdp || recast && copy.body.is_empty();
    let said_again = original.body.is_empty() && is_said_again(evidence, to, copy);
    if original.body != copy.body && !rewritten && !said_again {
        return Some(format!(
            "a body of {} bytes was {}",
            copy.body.len(),
            original.body.len()
        ));
    }
    if copy.is_request()
        && copy.max_forwards != original.max_forwards.map(|left| left.wrapping_sub(1))
    {
        return Some(format!(
            "{:?} hops of {:?}",
            copy.max_forwards, original.max_forwards
        ));
    }
    let begins = copy.is_request() && copy.to_tag.is_empty();
    (begins && person(&copy.from) != person(&original.from))
        .then(|| format!("From {:?} was {:?}", copy.from, original.from))
}

/// A caller without 100rel hears the answer of a reliable provisional again in the 2xx, where the callee said it
/// once (RFC 3261 13.2.1, RFC 6337 2.2).
fn is_said_again(evidence: &Evidence<'_>, to: AgentId, copy: &Heard) -> bool {
    let mut sent = evidence.sent();
    let said = |heard: &Heard| heard.is_answer("INVITE", 1) && heard.branch == copy.branch;
    // Another fork may have spoken meanwhile: then its version is higher.
    let name = |heard: &Heard| Description::read(&heard.body).map(|said| said.id);
    let same = |heard: &Heard| heard.body == copy.body || heard.sdp && name(heard) == name(copy);
    copy.is_answer("INVITE", 2)
        && sent.any(|(_, id, heard)| id == to && said(heard) && heard.rseq.is_none() && same(heard))
}

/// A late answer that came without its description.
fn is_withheld(original: &Heard, copy: &Heard) -> bool {
    copy.is_final() && original.sdp && copy.body.is_empty()
}

/// `TransformEarlyToFinal`: an 18x becomes a 200 or loses its body; a re-INVITE becomes an UPDATE and the
/// other way round, and so do their answers.
fn is_recast(original: &Heard, copy: &Heard) -> bool {
    let ringing = original.is_answer("INVITE", 1) && copy.method == "INVITE";
    let offers = |heard: &Heard| matches!(heard.method.as_str(), "INVITE" | "UPDATE");
    ringing && (copy.code == 200 || copy.code == original.code)
        || offers(original) && offers(copy) && original.code == copy.code
}

/// The lines from the stamp to the last of the cargo, as they stand in the message.
fn cargo(heard: &Heard) -> Option<String> {
    let head = heard.head_text();
    let begin = head.find(&format!("{STAMP}: "))?;
    let last = begin + head.get(begin..)?.find(&format!("\r\n{LAST}: "))? + 2;
    let end = last + head.get(last..)?.find("\r\n")?;
    head.get(begin..end).map(str::to_owned)
}

/// Display name and user of a From value.
fn person(value: &str) -> &str {
    value.rsplit_once('@').map_or(value, |(person, _)| person)
}
