//! What the router's own descriptions say: nothing of the other leg, and a version in the o= line that
//! rises by one with every change and with nothing else (RFC 3264 8).

use std::collections::HashMap;

use stack::Time;

use super::{Finding, Index};
use crate::agent::{AgentId, Side};
use crate::heard::Heard;
use crate::plan::Flow;

/// What descriptions of each side have in their addresses (`agent_address`, `ports::outside`).
fn marks(side: Side) -> &'static [&'static str] {
    match side {
        Side::Caller => &["10.1.", "100.65."],
        Side::Callee => &["10.2.", "fd02::", "100.66."],
    }
}

pub(super) fn check(index: &Index<'_>, findings: &mut Vec<Finding>) {
    let mut legs: HashMap<(AgentId, String), Leg> = HashMap::new();
    let mut seen: Vec<(AgentId, &Heard)> = Vec::new();
    for (at, to, heard) in index.evidence.sent().filter(|(.., heard)| heard.sdp) {
        let Some(call) = index.evidence.call(to) else {
            continue;
        };
        let ours = call.route.steer || call.route.flow == Flow::Echo;
        // Answers that cross the end of their call have no ports to name, and nobody reads them.
        let over = index.has_ended(to.call, at) || has_left(index, to, heard, at);
        if !ours || over || seen.contains(&(to, heard)) {
            continue;
        }
        seen.push((to, heard));
        let text = String::from_utf8_lossy(&heard.body).into_owned();
        let leak = marks(to.side.other())
            .iter()
            .find(|mark| text.contains(**mark));
        let leg = legs.entry((to, heard.call_id.clone())).or_default();
        let what = match leak {
            Some(mark) => Some(format!("tells of {mark}")),
            None => leg.fault(&text),
        };
        if let Some(what) = what {
            let what = format!("the description in {} to {to:?} {what}", heard.title());
            findings.push(Finding {
                at,
                rule: "descriptions",
                what,
            });
        }
    }
}

/// Whether a party had sent its BYE, so that its own requests that still wait are answered to nobody.
fn has_left(index: &Index<'_>, to: AgentId, answer: &Heard, at: Time) -> bool {
    let mut received = index.evidence.received();
    let bye = |heard: &Heard| heard.is_request() && heard.method == "BYE";
    received.any(|(when, from, heard)| {
        from == to && when < at && bye(heard) && heard.call_id == answer.call_id
    })
}

/// The last description on a leg.
#[derive(Default)]
struct Leg {
    session: String,
    version: u64,
    rest: String,
}

impl Leg {
    fn fault(&mut self, text: &str) -> Option<String> {
        let origin = text.lines().find(|line| line.starts_with("o="))?;
        let words: Vec<&str> = origin.split(' ').collect();
        let (session, version) = (words.get(1)?.to_string(), words.get(2)?.parse().ok()?);
        let place = words.get(3..).unwrap_or_default().join(" ");
        let rest = text.replace(origin, &place);
        let before = std::mem::replace(
            self,
            Leg {
                session,
                version,
                rest,
            },
        );
        if before.rest.is_empty() {
            return None;
        }
        if before.session != self.session {
            return Some(format!(
                "is of session {}, after {}",
                self.session, before.session
            ));
        }
        let changed = before.rest != self.rest;
        let due = before.version + u64::from(changed);
        (version != due).then(|| format!("has version {version} instead of {due}"))
    }
}
