//! Nothing of one leg's network identity is in the messages of the other: addresses, host names, tags,
//! branches, Call-IDs. Bodies pass by design and are not looked at.

use std::collections::HashMap;

use super::{Evidence, Finding};
use crate::agent::Side;
use crate::heard::Heard;

/// What agents of each side have in all of their addresses and names (see `Agent::name` and
/// `agent_address`).
fn marks(side: Side) -> &'static [&'static str] {
    match side {
        Side::Caller => &["10.1.", "leg-a.example", "atag-", "abranch-", "acall-"],
        // A Call-ID of the router's is that of the callee's leg.
        Side::Callee => &[
            "10.2.",
            "fd02::",
            "leg-b.example",
            "btag-",
            "bbranch-",
            "tpr-",
        ],
    }
}

pub(super) fn check(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    for (at, to, heard) in evidence.sent() {
        let head = heard.head_text();
        for mark in marks(to.side.other()) {
            if let Some(line) = head.lines().find(|line| line.contains(mark)) {
                let what = format!("{} to {:?} says {line:?}", heard.title(), to.side);
                findings.push(Finding {
                    at,
                    rule: "hiding",
                    what,
                });
            }
        }
    }
    check_tags(evidence, findings);
}

/// The router's own tags: none is used on two legs.
fn check_tags(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    let mut legs = HashMap::new();
    for (at, to, heard) in evidence.sent() {
        let tag = own_tag(heard);
        if tag.is_empty() {
            continue;
        }
        let leg = *legs.entry(tag.to_owned()).or_insert(to);
        if leg != to {
            let what = format!("the tag {tag} is used towards {leg:?} and {to:?}");
            findings.push(Finding {
                at,
                rule: "hiding",
                what,
            });
        }
    }
}

fn own_tag(heard: &Heard) -> &str {
    if heard.is_request() {
        &heard.from_tag
    } else {
        &heard.to_tag
    }
}
