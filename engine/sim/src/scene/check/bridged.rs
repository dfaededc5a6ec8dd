//! What the back-to-back user agent may not do: tell one phone of another's addresses, tags, Call-IDs and
//! branches, in a transfer either; use an identity of its own towards two phones.

use std::collections::HashMap;

use super::{Evidence, Findings};
use crate::scene::phone::Phone;

pub(super) fn check(evidence: &Evidence<'_>, findings: &mut Findings) {
    check_marks(evidence, findings);
    check_tags(evidence, findings);
}

/// Bodies pass by design, but for the fragments of a transfer (RFC 3515 5).
fn check_marks(evidence: &Evidence<'_>, findings: &mut Findings) {
    let marks: Vec<[String; 2]> = evidence
        .phones
        .iter()
        .enumerate()
        .map(|(id, phone)| [Phone::mark(id), phone.address().ip().to_string()])
        .collect();
    for said in evidence.sent() {
        let mut text = said.heard.head_text();
        if said
            .heard
            .values("Content-Type")
            .iter()
            .any(|it| it.starts_with("message/sipfrag"))
        {
            text += &String::from_utf8_lossy(&said.heard.body);
        }
        for (id, marks) in marks.iter().enumerate() {
            let told = |line: &&str| marks.iter().any(|mark| line.contains(mark.as_str()));
            // The stamp is what makes a message known again.
            let mut lines = text.lines().filter(|line| !line.starts_with("X-Stamp"));
            if id != said.phone
                && let Some(line) = lines.find(told)
            {
                findings.add("hiding", said, &format!("says {line:?} of phone {id}"));
            }
        }
    }
}

/// The router's own tags: none is used towards two phones.
fn check_tags(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut phones: HashMap<&str, usize> = HashMap::new();
    for said in evidence.sent() {
        let tag = match said.heard.is_request() {
            true => said.heard.from_tag.as_str(),
            false => said.heard.to_tag.as_str(),
        };
        if !tag.is_empty() && *phones.entry(tag).or_insert(said.phone) != said.phone {
            findings.add("hiding", said, &format!("has the tag {tag} of another leg"));
        }
    }
}
