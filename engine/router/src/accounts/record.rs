//! The record of a call that is over, as the surroundings get it: plain values.

use std::net::SocketAddr;

use stack::Time;

/// Who ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// The caller: CANCEL or BYE.
    Caller,
    /// The callee: BYE, or a final response that is no 2xx.
    Callee,
    /// This router: refused, a time limit, an order, nobody answered.
    Router,
}

impl EndedBy {
    /// One word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            EndedBy::Caller => "caller",
            EndedBy::Callee => "callee",
            EndedBy::Router => "router",
        }
    }
}

/// What became of a call, or of an INVITE that made none.
#[derive(Clone, Debug, PartialEq)]
pub struct CallRecord {
    /// [`crate::CallView::id`]; empty when the INVITE made no call.
    pub id: String,
    /// The caller's leg.
    pub caller: LegRecord,
    /// The callee's leg as the INVITE left for it; `None` when none did.
    pub callee: Option<LegRecord>,
    /// The route it took, as in [`crate::CallDetail::route`]; empty without one.
    pub route: String,
    /// Why this one.
    pub why: String,
    /// When its INVITE came.
    pub began: Time,
    /// When the callee first rang (an 18x came).
    pub rang: Option<Time>,
    /// When the caller was sent its 2xx.
    pub answered: Option<Time>,
    /// When a party or the router ended it.
    pub ended: Time,
    /// Who ended it.
    pub ended_by: EndedBy,
    /// Why, in the words of the Reason header; empty when it has none.
    pub reason: String,
    /// The final status code of its INVITE, as the caller has it. 0: it never had one.
    pub code: u16,
    /// Q.850 cause: of the Reason header, else as RFC 3398 8.2.6.1 maps the code.
    pub cause: u8,
    /// Transfers that the router carried out: a party of the end is not the one named here.
    pub transfers: u32,
    /// Its streams through the router, those included that ended earlier.
    pub media: Vec<StreamRecord>,
}

/// One leg of a call that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegRecord {
    /// Its Call-ID.
    pub call_id: String,
    /// The From value of its INVITE.
    pub from: String,
    /// The To value of its INVITE.
    pub to: String,
    /// The Request-URI of its INVITE.
    pub request_uri: String,
    /// Where the party is; `None` when its name has no address.
    pub address: Option<SocketAddr>,
}

/// One stream of a call that is over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StreamRecord {
    /// Index of its m= line.
    pub line: usize,
    /// What each party sent.
    pub summary: media::Summary,
}
