//! One dialog, one identity: towards each party the router keeps its Call-ID, its tag and the two names of
//! a dialog as they were at its beginning (RFC 3261 12.1, 12.2.1.1).

use std::collections::HashMap;

use stack::Time;

use super::{Evidence, Finding};
use crate::agent::AgentId;
use crate::heard::Heard;

pub(super) fn check(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    let mut tags: HashMap<(AgentId, &str), Tag<'_>> = HashMap::new();
    let mut names: HashMap<(AgentId, &str, &str), (&str, &str)> = HashMap::new();
    let mut rseqs: HashMap<(AgentId, &str, u32), &Heard> = HashMap::new();
    for (at, to, heard) in evidence.sent() {
        let what = match heard.is_request() {
            true => {
                let key = (to, heard.call_id.as_str(), heard.from_tag.as_str());
                let both = (untagged(&heard.from), untagged(&heard.to));
                let known = *names.entry(key).or_insert(both);
                (known != both).then(|| format!("is from and to {both:?}, where {known:?} were"))
            }
            false => tag_fault(evidence, &mut tags, at, to, heard)
                .or_else(|| rseq_fault(&mut rseqs, to, heard)),
        };
        if let Some(what) = what {
            let what = format!("{} {} to {to:?} {what}", heard.cseq, heard.title());
            findings.push(Finding {
                at,
                rule: "identities",
                what,
            });
        }
    }
}

/// The To tag of an INVITE's responses, and the final one with its time.
#[derive(Clone, Copy)]
struct Tag<'a> {
    text: &'a str,
    end: Option<(Time, &'a Heard)>,
}

/// The router is one user agent to its caller: one To tag in all responses to an INVITE.
fn tag_fault<'a>(
    evidence: &Evidence<'_>,
    tags: &mut HashMap<(AgentId, &'a str), Tag<'a>>,
    at: Time,
    to: AgentId,
    heard: &'a Heard,
) -> Option<String> {
    if heard.method != "INVITE" || heard.to_tag.is_empty() || heard.code == 100 {
        return None;
    }
    let text = heard.to_tag.as_str();
    let end = heard.is_final().then_some((at, heard));
    let known = tags.entry((to, &heard.branch)).or_insert(Tag { text, end });
    let over = |end| evidence.is_over(to, end, at);
    if known.text != text && known.end.is_some_and(over) {
        *known = Tag { text, end };
    }
    known.end = known.end.or(end);
    (known.text != text).then(|| format!("has the To tag {text}, not {}", known.text))
}

/// RFC 3262 3: within an INVITE each RSeq belongs to one response.
fn rseq_fault<'a>(
    rseqs: &mut HashMap<(AgentId, &'a str, u32), &'a Heard>,
    to: AgentId,
    heard: &'a Heard,
) -> Option<String> {
    let rseq = heard.rseq?;
    let known = *rseqs.entry((to, &heard.branch, rseq)).or_insert(heard);
    (known != heard).then(|| format!("has the RSeq {rseq} of another response"))
}

/// A From or To value up to its tag.
fn untagged(value: &str) -> &str {
    value.split(";tag=").next().unwrap_or(value)
}
