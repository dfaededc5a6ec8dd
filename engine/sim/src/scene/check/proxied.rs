//! What a proxy may do to messages (RFC 3261 16): requests leave with a Via more, a hop less and, where they
//! make a dialog, a Record-Route; responses go back as they came with a Via less; none is made up that a
//! target has not sent, but refusals and 100; who has not answered when another has is cancelled.

use std::collections::HashMap;

use super::{Evidence, Findings, Said, TICK};
use crate::heard::Heard;

pub(super) fn check(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut originals: HashMap<&str, Said<'_>> = HashMap::new();
    for said in evidence.received() {
        if let Some(stamp) = &said.heard.stamp {
            originals.entry(stamp).or_insert(said);
        }
    }
    for said in evidence.sent() {
        let original = said.heard.stamp.as_ref();
        let original = original.map(|stamp| originals.get(stamp.as_str()));
        let what = match original {
            None => made_up(evidence, said.heard),
            Some(None) => Some("was never received".to_owned()),
            Some(Some(from)) if said.heard.is_request() => request_fault(from.heard, said.heard),
            Some(Some(from)) => response_fault(from.heard, said.heard),
        };
        if let Some(what) = what {
            findings.add("proxy", said, &what);
        }
    }
    check_losers(evidence, findings);
}

/// What the proxy says of its own accord.
fn made_up(evidence: &Evidence<'_>, heard: &Heard) -> Option<String> {
    let method = heard.method.as_str();
    // RFC 3261 11.2: of a number without a route, which only a spiral leads to.
    let asked = method == "OPTIONS" && evidence.scene.spirals();
    let own = match heard.code {
        0 => matches!(method, "ACK" | "CANCEL"),
        200 => method == "CANCEL" || asked,
        code => code == 100 || code >= 300,
    };
    (!own).then(|| "was made up".to_owned())
}

/// RFC 3261 16.6.
fn request_fault(original: &Heard, copy: &Heard) -> Option<String> {
    // It may have gone through the router several times.
    let added = copy.vias.len().checked_sub(original.vias.len());
    let Some(added) = added.filter(|added| *added > 0) else {
        return Some(format!("has the Vias {:?}", copy.vias));
    };
    let below = copy.vias.get(added..).unwrap_or_default();
    let kept = |(copy, original): (&String, &String)| copy.starts_with(bare(original));
    if !below.iter().zip(&original.vias).all(kept) {
        return Some(format!("has {below:?} below our Via"));
    }
    let left = original
        .max_forwards
        .map(|hops| hops.wrapping_sub(added as u32));
    if copy.max_forwards != left {
        return Some(format!("has {:?} hops", copy.max_forwards));
    }
    let same = |read: fn(&Heard) -> String| read(original) == read(copy);
    let kept = same(|it| it.from.clone())
        && same(|it| it.to.clone())
        && same(|it| it.call_id.clone())
        && same(|it| format!("{} {:?}", it.cseq, it.contact))
        && original.body == copy.body;
    if !kept {
        return Some("is not what it was".to_owned());
    }
    let makes_dialog = matches!(copy.method.as_str(), "INVITE" | "SUBSCRIBE");
    let recorded = copy.values("Record-Route").len() >= added;
    (makes_dialog && copy.to_tag.is_empty() && !recorded)
        .then(|| "has no Record-Route of ours".to_owned())
}

/// A Via without the parameters that its receiver adds.
fn bare(via: &str) -> &str {
    via.split(';').next().unwrap_or_default()
}

/// RFC 3261 16.7 steps 3 and 9: the top Via goes, all else stays, but for gathered challenges and redirections
/// that were tried.
fn response_fault(original: &Heard, copy: &Heard) -> Option<String> {
    let removed = original.vias.len().checked_sub(copy.vias.len());
    let below = original.vias.get(removed.unwrap_or_default()..);
    if removed.is_none_or(|removed| removed == 0) || below != Some(&copy.vias) {
        return Some(format!("has the Vias {:?}", copy.vias));
    }
    let told = |it: &Heard| {
        (
            it.code,
            it.to.clone(),
            it.from.clone(),
            it.cseq,
            it.body.clone(),
        )
    };
    let routes = |it: &Heard| it.values("Record-Route");
    let moved = matches!(copy.code, 300..400);
    let contact = moved || original.contact == copy.contact;
    let same = told(original) == told(copy) && routes(original) == routes(copy);
    (!same || !contact).then(|| "is not what it was".to_owned())
}

/// RFC 3261 16.7 step 10: when one has accepted, whoever may still answer is cancelled, as soon as it may be
/// (9.1).
fn check_losers(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut seen: Vec<&str> = Vec::new();
    let invites = |said: &Said<'_>| {
        let heard = said.heard;
        let first = heard.is_request() && heard.method == "INVITE" && heard.to_tag.is_empty();
        // In a spiral the CANCEL goes the way of the INVITE, and takes its time.
        first && heard.vias.len() == 2
    };
    for said in evidence.sent().filter(invites) {
        if seen.contains(&said.heard.branch.as_str()) {
            continue;
        }
        seen.push(&said.heard.branch);
        if let Some(what) = loser_fault(evidence, said) {
            findings.add("losers", said, &what);
        }
    }
}

fn loser_fault(evidence: &Evidence<'_>, invite: Said<'_>) -> Option<String> {
    let of_context = |it: &Said<'_>| {
        let answer = it.heard.is_answer("INVITE", 2) && it.heard.call_id == invite.heard.call_id;
        answer && it.heard.cseq == invite.heard.cseq && it.heard.from_tag == invite.heard.from_tag
    };
    let won = evidence.sent().find(of_context)?.at;
    let answers = |it: &Said<'_>| {
        it.heard.branch == invite.heard.branch && it.heard.method == "INVITE" && it.heard.code > 0
    };
    let heard = evidence.received().find(answers)?.at;
    let ended = evidence
        .received()
        .filter(answers)
        .find(|it| it.heard.is_final());
    let due = won.max(heard);
    if invite.at > won || ended.is_some_and(|ended| ended.at <= due) {
        return None;
    }
    let cancels = |it: &Said<'_>| {
        it.heard.is_request()
            && it.heard.method == "CANCEL"
            && it.heard.branch == invite.heard.branch
    };
    let cancel = evidence.sent().find(cancels);
    cancel
        .is_none_or(|cancel| cancel.at > due + TICK)
        .then(|| format!("lost at {won:?} and was not cancelled"))
}
