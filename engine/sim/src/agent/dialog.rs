//! A dialog as an agent sees it (RFC 3261 12).

use std::net::SocketAddr;

use super::session::Session;
use crate::heard::{Heard, address_of};

/// How a dialog ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The agent sent a BYE.
    ByeSent,
    /// A BYE came.
    ByeReceived,
    /// It never became more than an early dialog.
    Failed,
}

/// A dialog, or what may become one.
#[derive(Clone, Debug)]
pub struct Dialog {
    pub(super) call_id: String,
    /// From value of our requests, without the tag.
    pub(super) local: String,
    pub(super) local_tag: String,
    /// To value of our requests, without the tag.
    pub(super) remote: String,
    /// Empty until the peer has sent one.
    pub(super) remote_tag: String,
    pub(super) target: String,
    pub(super) cseq: u32,
    pub(super) remote_cseq: Option<u32>,
    /// CSeq number of the INVITE that made it.
    pub(super) invite_cseq: u32,
    pub(super) confirmed: bool,
    pub(super) end: Option<End>,
    pub(super) byes: u32,
    pub(super) session: Session,
}

impl Dialog {
    /// Whether a 2xx made it a dialog that has to be ended.
    pub fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// How it ended, if it did.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Our tag.
    pub fn tag(&self) -> &str {
        &self.local_tag
    }

    /// BYEs received, retransmissions not counted.
    pub fn byes(&self) -> u32 {
        self.byes
    }

    /// Whether requests can be sent in it.
    pub(super) fn is_up(&self) -> bool {
        self.confirmed && self.end.is_none()
    }

    /// Whether a request is of this dialog (RFC 3261 12.2.2).
    pub(super) fn owns(&self, request: &Heard) -> bool {
        self.call_id == request.call_id
            && self.local_tag == request.to_tag
            && (self.remote_tag == request.from_tag || self.remote_tag.is_empty())
    }

    /// Where requests go: the remote target, or `router` while that is a name.
    pub(super) fn next_hop(&self, router: SocketAddr) -> SocketAddr {
        address_of(&self.target).unwrap_or(router)
    }

    /// Takes the peer's tag and Contact from an answer.
    pub(super) fn learn(&mut self, answer: &Heard) {
        if !answer.to_tag.is_empty() {
            self.remote_tag.clone_from(&answer.to_tag);
        }
        if let Some(contact) = &answer.contact {
            self.target.clone_from(contact);
        }
    }
}

/// A From or To value without its tag parameter.
pub(crate) fn without_tag(value: &str) -> String {
    let Some((party, params)) = value.rsplit_once('>') else {
        return value.to_owned();
    };
    let kept = params
        .split(';')
        .filter(|param| !param.is_empty() && !param.starts_with("tag="));
    kept.fold(format!("{party}>"), |text, param| text + ";" + param)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_is_taken_off_and_nothing_else() {
        assert_eq!(
            without_tag("\"A;tag=x\" <sip:a@b>;x=1;tag=y;z"),
            "\"A;tag=x\" <sip:a@b>;x=1;z"
        );
        assert_eq!(without_tag("<sip:a@b>"), "<sip:a@b>");
    }
}
