//! Nothing is sent to a peer that its state forbids, as far as the router can know it: each message that
//! leaves is held against all that was said to and by the same party before.

use stack::Time;

use super::{Evidence, Finding, GIVING_UP, TICK};
use crate::agent::AgentId;
use crate::heard::Heard;

/// A message to or from one party.
#[derive(Clone, Copy)]
struct Said<'a> {
    at: Time,
    /// The party said it.
    by_peer: bool,
    heard: &'a Heard,
}

/// What was said to and by one party so far.
struct Past<'a> {
    id: AgentId,
    said: Vec<Said<'a>>,
}

pub(super) fn check(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    let mut pasts: Vec<Past<'_>> = Vec::new();
    for crossing in evidence.tape {
        let known = crossing.received().or_else(|| crossing.sent());
        let Some((id, heard)) = known else { continue };
        let at = pasts.iter().position(|past| past.id == id);
        let at = at.unwrap_or_else(|| {
            let said = Vec::new();
            pasts.push(Past { id, said });
            pasts.len() - 1
        });
        let past = &mut pasts[at];
        let said = Said {
            at: evidence.router_time(crossing.at),
            by_peer: crossing.inbound,
            heard,
        };
        if !crossing.inbound
            && let Some(what) = past.fault(said)
        {
            findings.push(Finding {
                at: crossing.at,
                rule: "states",
                what: format!("{} {} to {id:?} {what}", heard.cseq, heard.title()),
            });
        }
        past.said.push(said);
    }
}

impl<'a> Past<'a> {
    fn received(&self) -> impl DoubleEndedIterator<Item = &'a Heard> {
        let said = self.said.iter().filter(|said| said.by_peer);
        said.map(|said| said.heard)
    }

    fn sent(&self) -> impl DoubleEndedIterator<Item = &'a Heard> {
        let said = self.said.iter().filter(|said| !said.by_peer);
        said.map(|said| said.heard)
    }

    /// Why this must not be said now.
    fn fault(&self, now: Said<'_>) -> Option<&'static str> {
        let heard = now.heard;
        if !heard.is_request() {
            return self.response_fault(heard);
        }
        let same = |known: &Heard| known.is_request() && is_of(known, heard);
        if let Some(first) = self.sent().find(|known| same(known)) {
            // RFC 3261 17: a retransmission is the same datagram.
            return (first != heard).then_some("is not what it was when it was first sent");
        }
        match heard.method.as_str() {
            "CANCEL" => self.cancel_fault(heard),
            "ACK" => self.ack_fault(heard),
            "PRACK" => self.prack_fault(heard).or_else(|| self.dialog_fault(heard)),
            "BYE" => self.bye_fault(now).or_else(|| self.dialog_fault(heard)),
            "UPDATE" => self
                .update_fault(heard)
                .or_else(|| self.dialog_fault(heard)),
            _ => self.dialog_fault(heard),
        }
    }

    /// RFC 3261 8.2.6, 17.2: a response answers a request that was received, and goes the way of its Vias.
    fn response_fault(&self, heard: &Heard) -> Option<&'static str> {
        let mut requests = self.received();
        let Some(request) = requests.find(|known| known.is_request() && is_of(known, heard)) else {
            return Some("answers no request");
        };
        let vias = request.vias.len() == heard.vias.len()
            && request.sent_by == heard.sent_by
            && request.vias.iter().skip(1).eq(heard.vias.iter().skip(1));
        if !vias {
            return Some("has not the Vias of its request");
        }
        let same = (&request.from, &request.call_id, request.cseq)
            == (&heard.from, &heard.call_id, heard.cseq);
        (!same).then_some("has not From, Call-ID and CSeq of its request")
    }

    /// RFC 3261 9.1: not before a provisional, not after a final.
    fn cancel_fault(&self, cancel: &Heard) -> Option<&'static str> {
        let invite = |heard: &&Heard| heard.method == "INVITE" && heard.branch == cancel.branch;
        let codes: Vec<u16> = self.received().filter(invite).map(|it| it.code).collect();
        match codes.iter().any(|code| *code >= 200) {
            true => Some("comes after the final response"),
            false if codes.is_empty() => Some("comes before any provisional response"),
            false => None,
        }
    }

    /// RFC 3261 13.2.2.4, 17.1.1.3.
    fn ack_fault(&self, ack: &Heard) -> Option<&'static str> {
        let answers = |heard: &&Heard| {
            let dialog = heard.cseq == ack.cseq && heard.call_id == ack.call_id;
            heard.is_final() && heard.method == "INVITE" && dialog && heard.to_tag == ack.to_tag
        };
        let Some(answer) = self.received().find(answers) else {
            return Some("acknowledges what was never received");
        };
        let same = answer.branch == ack.branch;
        (same == (answer.code < 300)).then_some("has the branch of another sort of ACK")
    }

    /// RFC 3262 4: once for each reliable provisional, and for no other.
    fn prack_fault(&self, prack: &Heard) -> Option<&'static str> {
        let Some((rseq, cseq)) = prack.rack else {
            return Some("has no RAck");
        };
        let names = |heard: &Heard| {
            let dialog = heard.call_id == prack.call_id && heard.to_tag == prack.to_tag;
            heard.rseq == Some(rseq) && heard.cseq == cseq && dialog
        };
        if !self.received().any(names) {
            return Some("names no reliable provisional response");
        }
        let twin = |heard: &Heard| {
            let dialog = heard.call_id == prack.call_id && heard.to_tag == prack.to_tag;
            heard.method == "PRACK" && heard.rack == prack.rack && dialog
        };
        self.sent()
            .any(|heard| heard.is_request() && twin(heard))
            .then_some("is the second for one provisional response")
    }

    /// RFC 3261 15: no BYE before the 2xx that it ends was acknowledged or given up.
    fn bye_fault(&self, now: Said<'_>) -> Option<&'static str> {
        let bye = now.heard;
        let ours = |heard: &Heard| heard.call_id == bye.call_id && heard.to_tag == bye.from_tag;
        let begins = |heard: &Heard| heard.is_request() && heard.to_tag.is_empty();
        let first = |heard: &Heard| self.received().any(|it| begins(it) && is_of(it, heard));
        let mut answers = self.said.iter().filter(|said| {
            let invite = !said.by_peer && said.heard.method == "INVITE";
            invite && ours(said.heard) && first(said.heard)
        });
        answers.clone().next()?;
        let Some(answer) = answers.find(|said| said.heard.is_answer("INVITE", 2)) else {
            return Some("ends what was never established");
        };
        // Whoever sends another INVITE in the dialog has heard the 2xx.
        let acked = self.received().filter(|heard| ours(heard)).any(|heard| {
            heard.method == "ACK" && heard.cseq == answer.heard.cseq
                || heard.method == "INVITE" && heard.cseq > answer.heard.cseq
        });
        let waits = now.at + TICK < answer.at + GIVING_UP;
        (!acked && waits).then_some("comes before the ACK of its 2xx")
    }

    /// RFC 3311 4, 5.1: an UPDATE of the router's own accord is for peers that said that they take it. One
    /// without an offer may be tried on who has not said what it takes.
    fn update_fault(&self, update: &Heard) -> Option<&'static str> {
        if update.stamp.is_some() {
            return None;
        }
        let heads: Vec<String> = self.received().map(Heard::head_text).collect();
        let lines = heads.iter().flat_map(|head| head.lines());
        let mut allows = lines.filter(|line| line.starts_with("Allow:")).peekable();
        let open = allows.peek().is_none() && !update.sdp;
        (!open && !allows.any(|line| line.contains("UPDATE")))
            .then_some("goes to a peer that does not allow it")
    }

    /// RFC 3261 12.2, 15.1.2: a request names a dialog of this peer's, and none that it has left.
    fn dialog_fault(&self, heard: &Heard) -> Option<&'static str> {
        if heard.to_tag.is_empty() {
            return None;
        }
        let in_call = |known: &&Heard| known.call_id == heard.call_id;
        let (ours, theirs) = (heard.from_tag.as_str(), heard.to_tag.as_str());
        let known = self
            .received()
            .filter(in_call)
            .any(|known| match known.is_request() {
                true => known.from_tag == theirs,
                false => known.from_tag == ours && known.to_tag == theirs,
            });
        if !known {
            return Some("names a dialog that this peer never saw");
        }
        let bye = self.received().filter(in_call).position(|known| {
            let dialog = known.from_tag == theirs && known.to_tag == ours;
            known.is_request() && known.method == "BYE" && dialog && self.is_answered(known, 200)
        });
        // A BYE may overtake the 2xx, which is owed one of its own when its call was given up meanwhile.
        let answer = self.received().filter(in_call).position(|known| {
            known.is_answer("INVITE", 2) && known.from_tag == ours && known.to_tag == theirs
        });
        let overtaken = answer.is_some_and(|answer| bye.is_some_and(|bye| bye < answer));
        (bye.is_some() && !overtaken).then_some("comes after the peer's own BYE")
    }

    fn is_answered(&self, request: &Heard, code: u16) -> bool {
        self.sent()
            .any(|heard| heard.code == code && is_of(request, heard))
    }
}

/// Whether two messages are of one transaction; a CANCEL is none of its INVITE's.
fn is_of(request: &Heard, heard: &Heard) -> bool {
    request.branch == heard.branch && request.method == heard.method
}

/// RFC 3261 17.1.1.3: each response of 300 and more to an INVITE is acknowledged at once, and each of its
/// copies for as long as timer D runs.
pub(super) fn check_refusals(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    let refused = |heard: &Heard| heard.code >= 300 && heard.method == "INVITE";
    let mut seen: Vec<(&Heard, Time)> = Vec::new();
    for (at, from, heard) in evidence.received().filter(|(.., heard)| refused(heard)) {
        let known = seen.iter().find(|(known, _)| known.branch == heard.branch);
        let first = known.map_or(at, |(_, first)| *first);
        let same = known.is_none_or(|(known, _)| *known == heard);
        if known.is_none() {
            seen.push((heard, at));
        }
        let mut sent = evidence.sent();
        let acked = sent.any(|(when, to, ack)| {
            let same = to == from && when == at && ack.branch == heard.branch;
            same && ack.method == "ACK" && ack.is_request()
        });
        // ICMP from the host of a party that has died may have ended the transaction before.
        let gone = evidence.is_excused(from);
        let open = !gone && same && at < first + GIVING_UP && waits(evidence, from, heard, first);
        if open && !acked {
            let what = format!("the {} of {from:?} was not acknowledged", heard.title());
            findings.push(Finding {
                at,
                rule: "ack",
                what,
            });
        }
    }
}

/// Whether the INVITE of this answer still waited for it then: it was sent less than 64*T1 before, and no
/// 2xx came first.
fn waits(evidence: &Evidence<'_>, from: AgentId, answer: &Heard, at: Time) -> bool {
    let own = |id: AgentId, heard: &Heard| {
        id == from && heard.branch == answer.branch && heard.method == "INVITE"
    };
    let mut sent = evidence.sent().filter(|(_, to, heard)| own(*to, heard));
    let answered = evidence
        .received()
        .any(|(when, id, heard)| when <= at && own(id, heard) && heard.code / 100 == 2);
    let asked = sent.next();
    !answered && asked.is_some_and(|(when, ..)| at + TICK < when + GIVING_UP)
}
