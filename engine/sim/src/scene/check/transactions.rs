//! The router's transactions as the phones see them, in either mode: every request answered finally, once
//! (several 2xx to an INVITE through a proxy); nothing invented after that; CANCEL and ACK where they belong;
//! nothing repeated without end; every datagram a message.

use std::collections::HashMap;

use super::{Evidence, Findings, GIVING_UP, Said, TICK};
use crate::check::Finding;
use crate::heard::Heard;
use crate::tape::Peer;
use crate::world::LISTENERS;

/// Most copies that the timers of RFC 3261 17 make of one message.
const COPIES_MAX: usize = 11;

pub(super) fn check(evidence: &Evidence<'_>, findings: &mut Findings) {
    check_form(evidence, findings);
    check_answers(evidence, findings);
    check_unanswered(evidence, findings);
    check_cancels(evidence, findings);
    check_refusals(evidence, findings);
    check_copies(evidence, findings);
}

/// A transaction of a phone's: who, branch, method.
type Key<'a> = (usize, &'a str, &'a str);

fn key<'a>(said: &Said<'a>) -> Key<'a> {
    (said.phone, &said.heard.branch, &said.heard.method)
}

fn check_form(evidence: &Evidence<'_>, findings: &mut Findings) {
    for crossing in evidence.tape.iter().filter(|it| !it.inbound) {
        let what = match &crossing.heard {
            Err(error) => Some(format!("no message: {error}")),
            Ok(heard) => {
                let listener = LISTENERS[usize::from(crossing.listener)];
                let astray = heard.is_request() && heard.sent_by != listener;
                let length = heard.head.len() + heard.body.len();
                let wrong = heard.content_length != Some(heard.body.len());
                let lost = crossing.peer == Peer::Nobody && !heard.is_request();
                let bad = astray || wrong || lost || crossing.size != length;
                bad.then(|| format!("{} from {listener} is ill formed", heard.title()))
            }
        };
        findings.0.extend(what.map(|what| Finding {
            at: crossing.at,
            rule: "form",
            what,
        }));
    }
}

fn check_answers(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut finals: HashMap<Key<'_>, Said<'_>> = HashMap::new();
    for said in evidence.sent().filter(|said| !said.heard.is_request()) {
        let heard = said.heard;
        let Some(last) = finals.get(&key(&said)) else {
            if heard.is_final() {
                finals.insert(key(&said), said);
            }
            continue;
        };
        // Whoever still repeats its request after the timers makes a new transaction.
        let over = said.at + TICK >= last.at + GIVING_UP || is_forgotten(evidence, last, said.at);
        let several = evidence.is_proxied() && heard.method == "INVITE";
        let another = several && heard.code / 100 == 2 && last.heard.code / 100 == 2;
        if last.heard != heard && !over && !another {
            let what = format!("comes after the final {}", last.heard.code);
            findings.add("answers", said, &what);
        }
    }
}

/// RFC 3261 17.2.1: an INVITE that was refused is remembered for timer I after its ACK.
fn is_forgotten(evidence: &Evidence<'_>, last: &Said<'_>, at: stack::Time) -> bool {
    let timer_i = std::time::Duration::from_secs(5);
    let acks = |said: &Said<'_>| {
        let ack = said.heard.method == "ACK" && said.heard.branch == last.heard.branch;
        ack && said.phone == last.phone
    };
    let ack = evidence.received().find(acks);
    last.heard.code >= 300 && ack.is_some_and(|ack| at + TICK >= ack.at + timer_i)
}

/// RFC 4320 4.2 lets a non-INVITE request go unanswered, but only when its own peer was silent.
fn check_unanswered(evidence: &Evidence<'_>, findings: &mut Findings) {
    let answered: Vec<Key<'_>> = evidence
        .sent()
        .filter(|said| said.heard.is_final())
        .map(|said| key(&said))
        .collect();
    let mut asked: Vec<Key<'_>> = Vec::new();
    let requests = evidence.received().filter(|it| it.heard.is_request());
    for said in requests.filter(|it| it.heard.method != "ACK") {
        let (key, method) = (key(&said), said.heard.method.as_str());
        let nowhere = !evidence.scene.leads_somewhere() && method != "INVITE";
        if asked.contains(&key) || evidence.is_anybody_deaf_to(method) || nowhere {
            continue;
        }
        asked.push(key);
        if !answered.contains(&key) {
            findings.add("answers", said, "was not answered");
        }
    }
}

/// RFC 3261 9.1: a CANCEL comes after a provisional response and before the final one.
fn check_cancels(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut seen: Vec<&str> = Vec::new();
    let cancels = |said: &Said<'_>| said.heard.is_request() && said.heard.method == "CANCEL";
    for said in evidence.sent().filter(cancels) {
        if seen.contains(&said.heard.branch.as_str()) {
            continue;
        }
        seen.push(&said.heard.branch);
        let answers = evidence
            .received()
            .filter(|it| is_answer(it, &said) && it.order < said.order);
        let codes: Vec<u16> = answers.map(|it| it.heard.code).collect();
        if codes.is_empty() {
            findings.add("cancel", said, "comes before any provisional response");
        } else if codes.iter().any(|code| *code >= 200) {
            findings.add("cancel", said, "comes after the final response");
        }
    }
}

/// Whether `it` answers the INVITE with the branch of `said`.
fn is_answer(it: &Said<'_>, said: &Said<'_>) -> bool {
    let answer = !it.heard.is_request() && it.heard.method == "INVITE";
    answer && it.phone == said.phone && it.heard.branch == said.heard.branch
}

/// RFC 3261 17.1.1.3: each response of 300 and more to an INVITE is acknowledged at once, whoever hears it.
fn check_refusals(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut seen: Vec<&Heard> = Vec::new();
    let refused = |said: &Said<'_>| said.heard.code >= 300 && said.heard.method == "INVITE";
    for said in evidence.received().filter(refused) {
        if seen.contains(&said.heard) {
            continue;
        }
        seen.push(said.heard);
        let own = |it: &Said<'_>| it.heard.branch == said.heard.branch && it.phone == said.phone;
        let mut sent = evidence.sent().filter(own);
        let begun = sent.next().map(|first| first.at);
        let acked = sent.any(|it| it.heard.method == "ACK" && it.at == said.at);
        let mut heard = evidence.received().filter(|it| is_answer(it, &said));
        let accepted = heard.any(|it| it.heard.code / 100 == 2);
        // After timer B, and after 64*T1 of a CANCEL, nobody waits any more.
        let late = begun.is_none_or(|begun| said.at + TICK >= begun + GIVING_UP);
        if !acked && !accepted && !late {
            findings.add("ack", said, "was not acknowledged");
        }
    }
}

fn check_copies(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut copies: Vec<(Said<'_>, usize)> = Vec::new();
    let mut provoked: HashMap<&str, usize> = HashMap::new();
    for said in evidence.sent().filter(|said| said.heard.method != "ACK") {
        let same = |known: &Said<'_>| known.phone == said.phone && known.heard == said.heard;
        match copies.iter_mut().find(|(known, _)| same(known)) {
            Some((_, count)) => *count += 1,
            None => copies.push((said, 1)),
        }
    }
    for said in evidence.received() {
        *provoked.entry(&said.heard.branch).or_default() += 1;
        // A 2xx that passes a proxy is repeated by who sent it.
        if let Some(via) = said
            .heard
            .vias
            .get(1)
            .and_then(|via| via.split("branch=").nth(1))
        {
            let branch = via.split(';').next().unwrap_or_default();
            *provoked.entry(branch).or_default() += 1;
        }
    }
    for (said, count) in copies {
        let branch = said.heard.branch.as_str();
        let more = provoked.get(branch).copied().unwrap_or_default();
        if count > COPIES_MAX + more {
            findings.add("copies", said, &format!("was sent {count} times"));
        }
    }
}
