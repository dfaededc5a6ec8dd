//! Rules every trace must keep, whatever its scenario: topology hiding between the legs, and the
//! order of Via, CSeq and tags within one. They read traces and say what is broken.

use super::trace::Trace;
use crate::sip::Message;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

/// Tags and branches shorter than this are not looked for in the other leg: they would occur by chance.
const IDENTITY_BYTES_MIN: usize = 6;

/// What of one leg's network identity shows in the other.
pub(crate) fn topology(of: &Trace, seen_by: &Trace, router: IpAddr) -> Vec<String> {
    let identity = identity(of, router);
    let mut found = Vec::new();
    for (message, text) in &seen_by.received {
        for secret in identity
            .iter()
            .filter(|secret| text.contains(secret.as_str()))
        {
            let line = text
                .lines()
                .find(|line| line.contains(secret.as_str()))
                .unwrap_or("");
            found.push(format!(
                "{:?} of the other leg in {:?}: {line}",
                secret, message.start
            ));
        }
    }
    found
}

/// The agent's address, and the Call-IDs, tags and branches it used.
fn identity(trace: &Trace, router: IpAddr) -> BTreeSet<String> {
    let mut identity = BTreeSet::new();
    if let Some(address) = trace.address {
        identity.insert(address.to_string());
        if address.ip() != router {
            identity.insert(address.ip().to_string());
        }
    }
    for message in &trace.sent {
        let own_tag = if message.code().is_some() {
            "To"
        } else {
            "From"
        };
        identity.insert(message.header("Call-ID").to_owned());
        identity.insert(message.tag(own_tag).to_owned());
        if message.request_method().is_some() {
            identity.insert(message.branch().to_owned());
        }
    }
    identity.retain(|secret| secret.len() >= IDENTITY_BYTES_MIN);
    identity
}

/// What in one agent's trace breaks RFC 3261, whoever the peer is.
pub(crate) fn conversation(trace: &Trace) -> Vec<String> {
    let mut found = Vec::new();
    found.extend(answers_without_request(trace));
    found.extend(several_tags(trace));
    found.extend(falling_sequence_numbers(trace));
    found.extend(strange_acknowledgements(trace));
    found
}

/// The router's own duty: an INVITE that leaves has one hop less than the 70 it came with.
pub(crate) fn hops(trace: &Trace) -> Vec<String> {
    let invites = trace.received.iter().map(|(message, _)| message);
    invites
        .filter(|m| m.request_method() == Some("INVITE") && m.tag("To").is_empty())
        .filter(|m| m.header("Max-Forwards") != "69")
        .map(|m| {
            format!(
                "Max-Forwards {:?} in {:?}, not 69",
                m.header("Max-Forwards"),
                m.start
            )
        })
        .collect()
}

// RFC 3261 18.1.2: a response has our branch in its top Via, and only our Via is left.
fn answers_without_request(trace: &Trace) -> Vec<String> {
    let branches: BTreeSet<&str> = trace.sent.iter().map(Message::branch).collect();
    let answers = trace
        .received
        .iter()
        .map(|(m, _)| m)
        .filter(|m| m.code().is_some());
    answers
        .filter(|m| !branches.contains(m.branch()) || m.all("Via").count() != 1)
        .map(|m| {
            format!(
                "{:?} has a Via that was not sent: {}",
                m.start,
                m.header("Via")
            )
        })
        .collect()
}

// RFC 3261 12.1.2: behind a B2BUA the caller sees one callee, so one To tag per call.
fn several_tags(trace: &Trace) -> Vec<String> {
    let opening: BTreeSet<&str> = trace
        .sent
        .iter()
        .filter(|m| m.request_method() == Some("INVITE") && m.tag("To").is_empty())
        .map(Message::branch)
        .collect();
    let mut tags: HashMap<&str, BTreeSet<&str>> = HashMap::new();
    for (message, _) in &trace.received {
        let answers_opening = opening.contains(message.branch());
        // A challenge is the router's own, and the INVITE after it another one.
        let is_answer = |code: u16| code > 100 && !matches!(code, 401 | 407);
        let makes_dialog = message.code().is_some_and(is_answer) && !message.tag("To").is_empty();
        if answers_opening && makes_dialog && message.cseq_method() == "INVITE" {
            tags.entry(message.header("Call-ID"))
                .or_default()
                .insert(message.tag("To"));
        }
    }
    let several = tags.into_iter().filter(|(_, tags)| tags.len() > 1);
    several
        .map(|(call, tags)| format!("call {call} has several To tags: {tags:?}"))
        .collect()
}

// RFC 3261 12.2.1.1: CSeq rises with every request of a dialog but ACK and CANCEL.
fn falling_sequence_numbers(trace: &Trace) -> Vec<String> {
    let mut last: HashMap<&str, (u32, &str)> = HashMap::new();
    let mut found = Vec::new();
    for (message, _) in &trace.received {
        let Some(method) = message.request_method() else {
            continue;
        };
        if ["ACK", "CANCEL"].contains(&method) {
            continue;
        }
        let number = message.cseq_number().unwrap_or(0);
        // A forked call has dialogs of its own under one Call-ID: they are told apart by our tag.
        let previous = last.insert(dialog_of(message), (number, message.branch()));
        if previous.is_some_and(|(n, branch)| branch != message.branch() && n >= number) {
            found.push(format!(
                "CSeq {number} of {method} does not rise ({previous:?})"
            ));
        }
    }
    found
}

/// What names the dialog from the receiver's side: its own tag, or the Call-ID before it has one.
fn dialog_of(message: &Message) -> &str {
    match message.tag("To") {
        "" => message.header("Call-ID"),
        tag => tag,
    }
}

// RFC 3261 9.1, 13.2.2.4, 17.1.1.3: ACK and CANCEL carry the number of their INVITE.
fn strange_acknowledgements(trace: &Trace) -> Vec<String> {
    let received: Vec<&Message> = trace.received.iter().map(|(message, _)| message).collect();
    let key = |m: &Message| (m.header("Call-ID").to_owned(), m.cseq_number());
    let invites: BTreeSet<_> = received
        .iter()
        .filter(|m| m.request_method() == Some("INVITE"))
        .map(|m| key(m))
        .collect();
    received
        .iter()
        .filter(|m| matches!(m.request_method(), Some("ACK" | "CANCEL")))
        .filter(|m| !invites.contains(&key(m)))
        .map(|m| {
            format!(
                "{:?} has the CSeq of no INVITE: {}",
                m.start,
                m.header("CSeq")
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn message(start: &str, headers: &str) -> Message {
        Message::parse(&format!("{start}\n{headers}\n\n")).unwrap()
    }

    fn trace(sent: &[(&str, &str)], received: &[(&str, &str)]) -> Trace {
        Trace {
            address: Some("127.0.0.11:5061".parse().unwrap()),
            sent: sent
                .iter()
                .map(|(start, headers)| message(start, headers))
                .collect(),
            received: received
                .iter()
                .map(|(start, headers)| {
                    (message(start, headers), format!("{start}\n{headers}\n\n"))
                })
                .collect(),
        }
    }

    fn invite(number: u32, branch: &str) -> String {
        format!("Via: SIP/2.0/UDP h;branch={branch}\nCall-ID: call-1\nCSeq: {number} INVITE")
    }

    #[test]
    fn an_address_a_call_id_or_a_tag_that_leaks_is_found() {
        let caller = trace(
            &[(
                "INVITE sip:1@h SIP/2.0",
                "Call-ID: secret-call\nFrom: <sip:a@h>;tag=secret-tag",
            )],
            &[],
        );
        let leaks = |headers: &str| {
            let callee = trace(&[], &[("INVITE sip:1@h SIP/2.0", headers)]);
            topology(&caller, &callee, ROUTER).len()
        };
        assert_eq!(leaks("Call-ID: other"), 0);
        assert_eq!(leaks("Call-ID: x-secret-call"), 1);
        assert_eq!(leaks("X-Tag: secret-tag"), 1);
        assert_eq!(
            leaks("Contact: <sip:a@127.0.0.11:5061>"),
            2,
            "address and bare IP"
        );
        assert_eq!(leaks("X-Host: 127.0.0.11"), 1);
    }

    #[test]
    fn an_answer_needs_our_via_and_no_other() {
        let sent = invite(1, "z9hG4bKa");
        let judge = |answer: &str| {
            let trace = trace(
                &[("INVITE sip:1@h SIP/2.0", &sent)],
                &[("SIP/2.0 180 Ringing", answer)],
            );
            conversation(&trace).len()
        };
        assert_eq!(judge(&sent), 0);
        assert_eq!(judge(&invite(1, "z9hG4bKb")), 1);
        assert_eq!(
            judge(&format!("{sent}\nVia: SIP/2.0/UDP other;branch=z9hG4bKc")),
            1
        );
    }

    #[test]
    fn two_tags_in_one_call_are_found() {
        let sent = invite(1, "z9hG4bKa");
        let answer = |tag: &str| format!("{sent}\nTo: <sip:1@h>;tag={tag}");
        let judge = |second: &str| {
            let answers = [
                ("SIP/2.0 180 Ringing", answer("one")),
                ("SIP/2.0 200 OK", answer(second)),
            ];
            let answers: Vec<_> = answers.iter().map(|(s, h)| (*s, h.as_str())).collect();
            conversation(&trace(&[("INVITE sip:1@h SIP/2.0", &sent)], &answers)).len()
        };
        assert_eq!(judge("one"), 0);
        assert_eq!(judge("two"), 1);
    }

    #[test]
    fn a_cseq_that_does_not_rise_is_found() {
        let judge = |number: u32, branch: &str| {
            let (first, second) = (invite(5, "z9hG4bKa"), invite(number, branch));
            let start = "INVITE sip:1@h SIP/2.0";
            conversation(&trace(&[], &[(start, &first), (start, &second)])).len()
        };
        assert_eq!(judge(6, "z9hG4bKb"), 0);
        assert_eq!(judge(5, "z9hG4bKa"), 0, "a retransmission");
        assert_eq!(judge(5, "z9hG4bKb"), 1);
        assert_eq!(judge(4, "z9hG4bKb"), 1);
    }

    #[test]
    fn an_ack_belongs_to_an_invite() {
        let judge = |cseq: &str| {
            let ack = format!("Call-ID: call-1\nCSeq: {cseq}");
            let received = [
                ("INVITE sip:1@h SIP/2.0", invite(5, "z9hG4bKa")),
                ("ACK sip:1@h SIP/2.0", ack),
            ];
            let received: Vec<_> = received.iter().map(|(s, h)| (*s, h.as_str())).collect();
            conversation(&trace(&[], &received)).len()
        };
        assert_eq!(judge("5 ACK"), 0);
        assert_eq!(judge("6 ACK"), 1);
    }

    #[test]
    fn hops_go_down_by_one() {
        let judge = |hops: &str| {
            let headers = format!("Max-Forwards: {hops}\nTo: <sip:1@h>");
            self::hops(&trace(&[], &[("INVITE sip:1@h SIP/2.0", &headers)])).len()
        };
        assert_eq!((judge("69"), judge("70")), (0, 1));
    }
}
