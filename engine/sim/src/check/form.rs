//! Every datagram that leaves is a well-formed message, goes to somebody, and names the listener it
//! leaves from as the place for the answer.

use super::{Evidence, Finding};
use crate::heard::{Heard, address_of};
use crate::tape::{Crossing, Peer};
use crate::world::LISTENERS;

pub(super) fn check(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    for crossing in evidence.tape.iter().filter(|crossing| !crossing.inbound) {
        if let Some(what) = fault(crossing) {
            findings.push(Finding {
                at: crossing.at,
                rule: "form",
                what,
            });
        }
    }
}

fn fault(crossing: &Crossing) -> Option<String> {
    let heard = match &crossing.heard {
        // What the stranger sent is copied into the answer, as broken as it was.
        Err(_) if crossing.peer == Peer::Stranger => return None,
        Err(error) => return Some(format!("not a message: {error}")),
        Ok(heard) => heard,
    };
    if crossing.peer == Peer::Nobody {
        return Some(format!(
            "{} to {}, which nobody has",
            heard.title(),
            crossing.remote
        ));
    }
    let listener = LISTENERS.get(usize::from(crossing.listener))?;
    if heard.is_request() && heard.sent_by != *listener {
        return Some(format!(
            "{} from {listener} has Via {}",
            heard.title(),
            heard.sent_by
        ));
    }
    if heard.is_request() && crossing.peer == Peer::Stranger {
        return Some(format!("{} to the stranger", heard.title()));
    }
    misleading_contact(heard, listener).or_else(|| wrong_length(crossing, heard))
}

/// RFC 3261 18.3, 20.14: Content-Length tells the bytes of the body, and nothing follows them.
fn wrong_length(crossing: &Crossing, heard: &Heard) -> Option<String> {
    let exact = crossing.size == heard.head.len() + heard.body.len();
    let title = heard.title();
    if !exact || heard.content_length != Some(heard.body.len()) {
        let (size, told) = (crossing.size, heard.content_length);
        return Some(format!(
            "{title} of {size} bytes has the Content-Length {told:?}"
        ));
    }
    None
}

/// Contacts of redirections pass (RFC 3261 8.1.3.4, 21.4.22); any other is the router's own.
fn misleading_contact(heard: &Heard, listener: &str) -> Option<String> {
    let contact = heard.contact.as_ref()?;
    let passes = matches!(heard.code, 300..=399 | 485);
    let own = address_of(contact) == listener.parse().ok();
    (!passes && !own).then(|| format!("{} has the Contact {contact}", heard.title()))
}
