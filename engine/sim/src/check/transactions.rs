//! The router's transactions as their other ends see them: every request answered finally, once; no
//! provisional after a final; nothing repeated without end.

use std::collections::HashMap;
use std::time::Duration;

use stack::Time;

use super::{Evidence, Finding};
use crate::agent::AgentId;
use crate::heard::Heard;

/// Most copies of a message that the timers of RFC 3261 17 make: a non-INVITE request leaves at 0,
/// 0.5, 1.5, 3.5, and then every 4 s up to 31.5 s.
const COPIES_MAX: usize = 11;

/// RFC 3261 17.2.1: an INVITE is answered, if only with 100, within 200 ms; a millisecond is granted.
const TRYING: Duration = Duration::from_millis(201);

pub(super) fn check(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    check_answers(evidence, findings);
}

/// Who is kept waiting by the world itself cannot be asked to answer in time, or at all.
pub(super) fn check_fair(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    check_trying(evidence, findings);
    check_unanswered(evidence, findings);
    check_copies(evidence, findings);
}

/// A server transaction: whose it is, its branch and its method.
type Key<'a> = (AgentId, &'a str, &'a str);

fn key(agent: AgentId, heard: &Heard) -> Key<'_> {
    (agent, &heard.branch, &heard.method)
}

fn check_answers(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    let mut finals: HashMap<Key<'_>, (Time, &Heard)> = HashMap::new();
    for (at, to, heard) in evidence.sent().filter(|(.., heard)| !heard.is_request()) {
        let title = heard.title();
        let what = match finals.get(&key(to, heard)) {
            // Whoever still repeats its request then makes a new one.
            Some(answer) if answer.1 != heard && evidence.is_over(to, *answer, at) => {
                match heard.is_final() {
                    true => finals.insert(key(to, heard), (at, heard)),
                    false => finals.remove(&key(to, heard)),
                };
                continue;
            }
            Some((_, last)) if !heard.is_final() => {
                format!("{title} to {to:?} after {}", last.code)
            }
            Some((_, last)) if last != &heard => {
                format!("{title} to {to:?} after another final, {}", last.code)
            }
            None if heard.is_final() => {
                finals.insert(key(to, heard), (at, heard));
                continue;
            }
            _ => continue,
        };
        findings.push(Finding {
            at,
            rule: "answers",
            what,
        });
    }
}

fn check_trying(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    let mut seen: Vec<Key<'_>> = Vec::new();
    let requests = evidence.received().filter(|(.., heard)| heard.is_request());
    for (at, from, heard) in requests.filter(|(.., heard)| heard.method == "INVITE") {
        let key = key(from, heard);
        if seen.contains(&key) {
            continue;
        }
        seen.push(key);
        let mut answers = evidence.sent().filter(|(.., answer)| !answer.is_request());
        let first = answers.find(|(_, to, answer)| self::key(*to, answer) == key);
        if first.is_none_or(|(when, ..)| when > at + TRYING) {
            let what = format!("nothing was said to the INVITE of {from:?} for 200 ms");
            findings.push(Finding {
                at,
                rule: "answers",
                what,
            });
        }
    }
}

/// RFC 4320 4.2 lets a non-INVITE request go unanswered, but only when its own peer was silent.
fn check_unanswered(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    let finals: Vec<Key<'_>> = evidence
        .sent()
        .filter(|(.., heard)| heard.is_final())
        .map(|(_, to, heard)| key(to, heard))
        .collect();
    let mut asked: Vec<Key<'_>> = Vec::new();
    let requests = evidence.received().filter(|(.., heard)| heard.is_request());
    for (at, from, heard) in requests.filter(|(.., heard)| heard.method != "ACK") {
        let key = key(from, heard);
        let other = AgentId {
            side: from.side.other(),
            ..from
        };
        let excused = heard.method != "INVITE" && evidence.is_excused(other);
        if asked.contains(&key) || excused {
            continue;
        }
        asked.push(key);
        if !finals.contains(&key) {
            let what = format!(
                "{} {} of {from:?} was not answered",
                heard.cseq,
                heard.title()
            );
            findings.push(Finding {
                at,
                rule: "answers",
                what,
            });
        }
    }
}

fn check_copies(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    let mut copies: Vec<(AgentId, &Heard, usize)> = Vec::new();
    let mut allowed: HashMap<&str, usize> = HashMap::new();
    for (_, to, heard) in evidence.sent() {
        match copies
            .iter_mut()
            .find(|(id, known, _)| *id == to && *known == heard)
        {
            Some((.., count)) => *count += 1,
            None => copies.push((to, heard, 1)),
        }
    }
    for (.., heard) in evidence.received() {
        *allowed.entry(&heard.branch).or_default() += 1;
    }
    for (to, heard, count) in copies {
        // An ACK answers each copy of a 2xx and has a branch that no message of an agent has.
        let provoked = match heard.method.as_str() {
            "ACK" => answers_received(evidence, to, heard),
            _ => allowed
                .get(heard.branch.as_str())
                .copied()
                .unwrap_or_default(),
        };
        if count > COPIES_MAX + provoked {
            let at = evidence.tape.last().map_or(Time::ZERO, |last| last.at);
            let what = format!("{} was sent {count} times to {to:?}", heard.title());
            findings.push(Finding {
                at,
                rule: "copies",
                what,
            });
        }
    }
}

fn answers_received(evidence: &Evidence<'_>, from: AgentId, ack: &Heard) -> usize {
    let received = evidence.received().filter(|(_, id, _)| *id == from);
    received
        .filter(|(.., heard)| heard.is_final() && heard.cseq == ack.cseq)
        .count()
}
