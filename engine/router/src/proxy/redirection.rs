//! The Contacts of a redirection as further targets (RFC 3261 16.7 step 4, 8.1.3.4): which of them can be
//! tried, and what is left for the client.

use wire::{HeaderName, Host, Message, NameAddr, Scheme};

use super::REDIRECTED;
use super::back::Heard;
use super::best::Best;
use super::context::{Candidate, Candidates, TargetUri};
use crate::core::Core;

/// The preference of a Contact that names none (RFC 3261 20.10 leaves it open: as any other target's).
const Q_DEFAULT: u16 = 1000;

/// What became of the Contacts.
#[derive(Debug)]
pub(super) struct Found {
    /// New targets, the most preferred first.
    pub(super) candidates: Candidates,
    /// Contact lines for the client: what this proxy cannot reach, or has no room for.
    pub(super) rest: Vec<u8>,
}

/// Sorts the Contacts of a 3xx. What is tried, now or later, is noted in `known`; what was known before is
/// left out altogether (RFC 3261 16.5: no target twice).
pub(super) fn contacts(
    response: &Message<'_>,
    known: &mut Vec<TargetUri>,
    mut room: usize,
) -> Found {
    let mut found = Found {
        candidates: Candidates::new(),
        rest: Vec::new(),
    };
    for value in response.values(HeaderName::Contact) {
        match candidate(value) {
            Some(candidate) if known.contains(&candidate.uri) => {}
            Some(candidate) if room > 0 => {
                room -= 1;
                known.push(candidate.uri.clone());
                found.candidates.push(candidate);
            }
            _ => wire::print::header(&mut found.rest, "Contact", value),
        }
    }
    let preference = |candidate: &Candidate| std::cmp::Reverse(candidate.q);
    found.candidates.sort_by_key(preference);
    found
}

/// RFC 3261 16.7 step 4: a redirection is held only for the Contacts that were not taken from it.
pub(super) fn hold_rest(
    core: &mut Core,
    best: &mut Best,
    heard: Heard<'_, '_>,
    rest: &[u8],
    cancelled: bool,
) {
    if !rest.is_empty() {
        best.consider_as(core, heard, &REDIRECTED, rest, cancelled);
    }
}

/// A Contact that can be a Request-URI here: sip: with a host and without headers, which would have to
/// become headers of the request (RFC 3261 19.1.5).
fn candidate(value: &[u8]) -> Option<Candidate> {
    let address = NameAddr::parse(value).ok()?;
    let uri = address.uri_parsed().ok()?;
    let reachable = uri.scheme == Scheme::Sip && uri.host != Host::None && uri.headers.is_empty();
    reachable.then(|| Candidate {
        uri: TargetUri::from_slice(address.uri),
        q: address.param("q").and_then(preference).unwrap_or(Q_DEFAULT),
    })
}

/// RFC 3261 25.1 `qvalue`, in thousandths.
fn preference(text: &[u8]) -> Option<u16> {
    let value: f32 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (0.0..=1.0)
        .contains(&value)
        .then(|| (value * 1000.0).round() as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(contacts_lines: &str, known: &[&str], room: usize) -> (Vec<(String, u16)>, String) {
        let text = format!("SIP/2.0 302 Moved\r\n{contacts_lines}\r\n");
        let mut index = wire::Index::new();
        let limits = wire::Limits::default();
        let response = Message::parse(text.as_bytes(), &mut index, &limits).expect("a response");
        let known = known
            .iter()
            .map(|uri| TargetUri::from_slice(uri.as_bytes()));
        let found = contacts(&response, &mut known.collect(), room);
        let uri = |candidate: &Candidate| String::from_utf8_lossy(&candidate.uri).into_owned();
        let candidates = found.candidates.iter().map(|it| (uri(it), it.q));
        (
            candidates.collect(),
            String::from_utf8_lossy(&found.rest).into_owned(),
        )
    }

    #[test]
    fn contacts_are_sorted_by_preference_and_none_comes_twice() {
        let lines = "Contact: <sip:a@h>;q=0.2, <sip:b@h>;q=0.8\r\nm: sip:c@h;q=0.8, <sip:d@h>\r\n";
        let (candidates, rest) = found(lines, &["sip:d@h"], 9);
        let expected = [("sip:b@h", 800), ("sip:c@h", 800), ("sip:a@h", 200)];
        assert_eq!(candidates, expected.map(|(uri, q)| (uri.to_owned(), q)));
        assert_eq!(rest, "");
    }

    #[test]
    fn what_cannot_be_tried_is_left_to_the_client() {
        let lines = "Contact: <sips:a@h>, <tel:+1>, <sip:b@h?x=y>, *, <sip:c@h>, <sip:d@h>\r\n";
        let (candidates, rest) = found(lines, &[], 1);
        assert_eq!(candidates, [("sip:c@h".to_owned(), 1000)]);
        let left = ["<sips:a@h>", "<tel:+1>", "<sip:b@h?x=y>", "*", "<sip:d@h>"];
        let left: String = left.map(|value| format!("Contact: {value}\r\n")).concat();
        assert_eq!(rest, left);
    }
}
