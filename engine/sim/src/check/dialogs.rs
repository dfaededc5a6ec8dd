//! The router's dialogs as their other ends see them: CSeq numbers rise, ACK and CANCEL bear those of
//! their INVITEs, every 2xx is acknowledged, nothing follows a BYE.

use std::collections::HashMap;
use std::time::Duration;

use stack::Time;

use super::{Evidence, Finding, GIVING_UP, TOLERANCE};
use crate::agent::AgentId;
use crate::heard::Heard;

pub(super) fn check(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    check_order(evidence, findings);
    check_references(evidence, findings);
    check_acks(evidence, findings);
    check_acked(evidence, findings);
    check_glare(evidence, findings);
}

/// One direction of a dialog: Call-ID, local tag, remote tag.
type Direction<'a> = (&'a str, &'a str, &'a str);

#[derive(Clone, Copy, Default)]
struct Progress<'a> {
    cseq: u32,
    branch: &'a str,
    bye: bool,
}

fn check_order(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    let mut progress: HashMap<Direction<'_>, Progress<'_>> = HashMap::new();
    let mut seen: Vec<&str> = Vec::new();
    let own = evidence.sent().filter(|(.., heard)| heard.is_request());
    for (at, to, heard) in
        own.filter(|(.., heard)| !matches!(heard.method.as_str(), "ACK" | "CANCEL"))
    {
        if seen.contains(&heard.branch.as_str()) {
            continue;
        }
        seen.push(&heard.branch);
        let begin = (heard.call_id.as_str(), heard.from_tag.as_str(), "");
        let direction = (begin.0, begin.1, heard.to_tag.as_str());
        let before = progress
            .get(&direction)
            .or_else(|| progress.get(&begin))
            .copied();
        let before = before.unwrap_or_default();
        if heard.cseq <= before.cseq && !before.branch.is_empty() {
            let what = format!(
                "{} {} to {to:?} after CSeq {} in this dialog",
                heard.cseq,
                heard.title(),
                before.cseq
            );
            findings.push(Finding {
                at,
                rule: "cseq",
                what,
            });
        }
        if before.bye {
            let what = format!("{} to {to:?} after the BYE", heard.title());
            findings.push(Finding {
                at,
                rule: "bye",
                what,
            });
        }
        let bye = heard.method == "BYE";
        progress.insert(
            direction,
            Progress {
                cseq: heard.cseq,
                branch: &heard.branch,
                bye,
            },
        );
    }
}

/// ACK and CANCEL name an INVITE that the router sent to the same agent.
fn check_references(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    let mut invites: Vec<(AgentId, &Heard)> = Vec::new();
    for (at, to, heard) in evidence.sent().filter(|(.., heard)| heard.is_request()) {
        let refers = match heard.method.as_str() {
            "INVITE" => {
                invites.push((to, heard));
                continue;
            }
            "ACK" | "CANCEL" => invites
                .iter()
                .any(|(id, invite)| *id == to && refers(heard, invite)),
            _ => continue,
        };
        if !refers {
            let what = format!(
                "{} {} to {to:?} is for no INVITE",
                heard.cseq,
                heard.title()
            );
            findings.push(Finding {
                at,
                rule: "cseq",
                what,
            });
        }
    }
}

fn refers(heard: &Heard, invite: &Heard) -> bool {
    let same = invite.cseq == heard.cseq && invite.call_id == heard.call_id;
    // RFC 3261 9.1: a CANCEL has the branch and the Request-URI of its INVITE.
    let twin = invite.branch == heard.branch && invite.uri == heard.uri;
    same && (heard.method == "ACK" || twin)
}

/// RFC 3261 13.2.2.4: each 2xx gets an ACK within 64*T1, whatever became of the call, and after that
/// each copy of it gets one at once.
fn check_acks(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    let mut seen: Vec<(Time, &Heard)> = Vec::new();
    for (at, from, heard) in evidence
        .received()
        .filter(|(.., heard)| heard.is_answer("INVITE", 2))
    {
        let first = seen
            .iter()
            .find(|(_, known)| *known == heard)
            .map(|(first, _)| *first);
        if first.is_none() {
            seen.push((at, heard));
        }
        let fault = match first {
            None if is_too_late(evidence, from, heard, at) => false,
            None => {
                ack(evidence, from, heard, at).is_none_or(|ack| ack > at + GIVING_UP + TOLERANCE)
            }
            // Timer M ends the transaction, and the router's memory of its ACK with it.
            Some(first) if at >= first + GIVING_UP => false,
            Some(first) => {
                let acked = ack(evidence, from, heard, first).is_some_and(|ack| ack < at);
                acked && ack(evidence, from, heard, at) != Some(at)
            }
        };
        if fault {
            let what = format!("the 2xx {} of {from:?} was not acknowledged", heard.cseq);
            findings.push(Finding {
                at,
                rule: "ack",
                what,
            });
        }
    }
}

/// RFC 3261 13.3.1.4: a 2xx of the router is repeated until its ACK comes, and no longer.
fn check_acked(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    let mut acked: Vec<(AgentId, &Heard)> = Vec::new();
    for crossing in evidence.tape {
        if let Some((from, ack)) = crossing
            .received()
            .filter(|(_, heard)| heard.method == "ACK")
        {
            acked.push((from, ack));
        }
        let Some((to, heard)) = crossing
            .sent()
            .filter(|(_, heard)| heard.is_answer("INVITE", 2))
        else {
            continue;
        };
        let owns = |ack: &Heard| ack.cseq == heard.cseq && ack.to_tag == heard.to_tag;
        if acked.iter().any(|(from, ack)| *from == to && owns(ack)) {
            let what = format!("the 2xx {} to {to:?} is repeated after its ACK", heard.cseq);
            findings.push(Finding {
                at: crossing.at,
                rule: "ack",
                what,
            });
        }
    }
}

/// RFC 3261 14.1: the router sends nobody an INVITE whose own INVITE in that dialog it has not answered.
fn check_glare(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    let mut open: Vec<(AgentId, &Heard)> = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    for crossing in evidence.tape {
        let known = crossing.received().or_else(|| crossing.sent());
        let Some((id, heard)) = known.filter(|(_, heard)| heard.method == "INVITE") else {
            continue;
        };
        let new = heard.is_request() && !seen.contains(&heard.branch.as_str());
        if new {
            seen.push(&heard.branch);
        }
        match (crossing.inbound, new) {
            (true, true) => open.push((id, heard)),
            (false, true)
                if open
                    .iter()
                    .any(|(from, own)| *from == id && own.call_id == heard.call_id) =>
            {
                let what = format!("INVITE {} to {id:?}, whose own is open", heard.cseq);
                findings.push(Finding {
                    at: crossing.at,
                    rule: "glare",
                    what,
                });
            }
            (false, false) if heard.is_final() => {
                open.retain(|(_, invite)| invite.branch != heard.branch);
            }
            _ => {}
        }
    }
}

/// When the first ACK for this 2xx left, at `since` or later.
fn ack(evidence: &Evidence<'_>, from: AgentId, answer: &Heard, since: Time) -> Option<Time> {
    let fits = |ack: &Heard| {
        let same = ack.cseq == answer.cseq && ack.to_tag == answer.to_tag;
        same && ack.is_request() && ack.method == "ACK"
    };
    let mut sent = evidence.sent();
    sent.find(|(at, to, heard)| *to == from && *at >= since && fits(heard))
        .map(|(at, ..)| at)
}

/// The router may have given up on the INVITE: nothing but silence for 64*T1 (timer B), or no final
/// answer 64*T1 after its CANCEL (RFC 3261 9.1).
fn is_too_late(evidence: &Evidence<'_>, from: AgentId, answer: &Heard, at: Time) -> bool {
    let over = |sent: Time| at + Duration::from_millis(500) >= sent + GIVING_UP;
    let sent = |method: &str| {
        let mut sent = evidence.sent();
        let sent = sent.find(|(_, to, heard)| {
            *to == from
                && heard.is_request()
                && heard.method == method
                && heard.branch == answer.branch
        });
        sent.map(|(at, ..)| at)
    };
    let heard_before = evidence.received().any(|(when, id, heard)| {
        id == from && when < at && heard.branch == answer.branch && heard.is_answer("INVITE", 1)
    });
    sent("CANCEL").is_some_and(over) || !heard_before && sent("INVITE").is_some_and(over)
}
