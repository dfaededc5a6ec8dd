//! `disallowSimilar18x` and `disallowDifferent18x`: which 18x reach the caller.

use std::collections::HashMap;

use super::{Evidence, Finding};
use crate::agent::{AgentId, Side};
use crate::heard::Heard;

pub(super) fn check(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    let mut rung: HashMap<(usize, &str), Vec<&Heard>> = HashMap::new();
    for (at, to, heard) in evidence.sent() {
        if to.side != Side::Caller || heard.method != "INVITE" || !(180..190).contains(&heard.code)
        {
            continue;
        }
        let before = rung.entry((to.call, heard.branch.as_str())).or_default();
        if !before.contains(&heard)
            && let Some(what) = fault(evidence, to, before, heard)
        {
            findings.push(Finding {
                at,
                rule: "18x",
                what,
            });
        }
        before.push(heard);
    }
}

/// An 18x with SDP, or one that has to be acknowledged with PRACK, always passes.
fn fault(evidence: &Evidence<'_>, to: AgentId, before: &[&Heard], heard: &Heard) -> Option<String> {
    let route = &evidence.call(to)?.route;
    if heard.sdp || heard.rseq.is_some() {
        return None;
    }
    let similar = before.iter().any(|last| last.code == heard.code);
    let different = before.first().is_some_and(|first| first.code != heard.code);
    let title = heard.title();
    if similar && route.disallow_similar_18x {
        return Some(format!("a second {title}"));
    }
    (different && route.disallow_different_18x).then(|| format!("{title} after another 18x"))
}
