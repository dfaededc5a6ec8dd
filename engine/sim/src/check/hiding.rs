//! Nothing of one leg's network identity is in the messages of the other: addresses, host names, tags,
//! branches, Call-IDs. Bodies pass by design: only for the router's own names are they looked at.

use std::collections::HashMap;

use super::{Evidence, Finding};
use crate::agent::{AgentId, Side};
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
    check_tokens(evidence, findings);
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

/// The router's own tokens, which its Call-IDs, tags, Contacts and branches are made of: whatever it says to
/// one party, body and all, has none that another party was told.
fn check_tokens(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    let mut owners: HashMap<Vec<u8>, AgentId> = HashMap::new();
    for (at, to, heard) in evidence.sent() {
        for token in tokens(&heard.head).chain(tokens(&heard.body)) {
            let owner = *owners.entry(token.to_vec()).or_insert(to);
            if owner != to {
                let token = String::from_utf8_lossy(token);
                let what = format!("{} to {to:?} has {token} of {owner:?}", heard.title());
                findings.push(Finding {
                    at,
                    rule: "hiding",
                    what,
                });
            }
        }
    }
}

/// The 32 hexadecimal digits of each token of the router's (`router::Token`).
fn tokens(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    const DIGITS: usize = 32;
    let marks = bytes.windows(3).enumerate();
    let begins = marks.filter(|(_, window)| window == b"tpr");
    begins.filter_map(|(at, _)| {
        let rest = bytes.get(at + 3..)?;
        let rest = rest.strip_prefix(b"-").unwrap_or(rest);
        let token = rest.get(..DIGITS)?;
        token.iter().all(u8::is_ascii_hexdigit).then_some(token)
    })
}

fn own_tag(heard: &Heard) -> &str {
    if heard.is_request() {
        &heard.from_tag
    } else {
        &heard.to_tag
    }
}
