//! A dialog as a phone sees it (RFC 3261 12), route set and all.

use std::net::SocketAddr;

use crate::agent::without_tag;
use crate::heard::{Heard, address_of};

/// How far the call in a dialog is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// There is none, or no 2xx yet.
    Early,
    /// A 2xx made it a call that has to be ended.
    Up,
    /// It is over.
    Over,
}

/// A dialog, or what may become one.
#[derive(Clone, Debug)]
pub(in crate::scene) struct Dialog {
    pub(super) call_id: String,
    pub(super) local: String,
    pub(super) local_tag: String,
    pub(super) remote: String,
    pub(super) remote_tag: String,
    pub(super) target: String,
    /// Route values, the next hop first.
    pub(super) routes: Vec<String>,
    pub(super) cseq: u32,
    pub(super) remote_cseq: Option<u32>,
    /// CSeq number of the INVITE that made it.
    pub(super) invite_cseq: u32,
    pub(super) call: Stage,
}

impl Dialog {
    /// Of who is asked (RFC 3261 12.1.1).
    pub(super) fn uas(request: &Heard, local_tag: String, cseq: u32) -> Dialog {
        Dialog {
            call_id: request.call_id.clone(),
            local: without_tag(&request.to),
            local_tag,
            remote: without_tag(&request.from),
            remote_tag: request.from_tag.clone(),
            target: request.contact.clone().unwrap_or_default(),
            routes: request.values("Record-Route"),
            cseq,
            remote_cseq: Some(request.cseq),
            invite_cseq: request.cseq,
            call: Stage::Early,
        }
    }

    /// The same as it is towards whoever sent this answer, or this NOTIFY (RFC 3261 12.1.2, RFC 6665 4.4.1).
    pub(super) fn towards(&self, heard: &Heard) -> Dialog {
        let mut routes = heard.values("Record-Route");
        if !heard.is_request() {
            routes.reverse();
        }
        let tag = match heard.is_request() {
            true => &heard.from_tag,
            false => &heard.to_tag,
        };
        Dialog {
            remote_tag: tag.clone(),
            target: heard.contact.clone().unwrap_or_default(),
            routes,
            ..self.clone()
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.call == Stage::Up
    }

    /// Whether a request is of this dialog (RFC 3261 12.2.2).
    pub(super) fn owns(&self, request: &Heard) -> bool {
        self.call_id == request.call_id
            && self.local_tag == request.to_tag
            && self.remote_tag == request.from_tag
    }

    /// Where its requests go: the first Route, else the remote target.
    pub(super) fn next_hop(&self) -> Option<SocketAddr> {
        let route = self.routes.first().map(|route| uri_of(route));
        address_of(route.unwrap_or(&self.target))
    }

    /// Whether this request comes too late to be taken (RFC 3261 12.2.2).
    pub(super) fn is_late(&mut self, request: &Heard) -> bool {
        let late = self.remote_cseq.is_some_and(|last| request.cseq <= last);
        if !late {
            self.remote_cseq = Some(request.cseq);
        }
        late
    }

    /// Names the dialog to the other party of it (RFC 3891 3): our tag is its remote one.
    pub(super) fn replaces(&self) -> String {
        let (ours, theirs) = (&self.local_tag, &self.remote_tag);
        format!("{};to-tag={theirs};from-tag={ours}", self.call_id)
    }
}

/// The URI in a name-addr.
pub(super) fn uri_of(value: &str) -> &str {
    let inside = value.split_once('<').map_or(value, |(_, rest)| rest);
    inside.split_once('>').map_or(inside, |(uri, _)| uri)
}
