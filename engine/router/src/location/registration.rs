//! The bindings of one user at one moment. Immutable: a change makes a new one, which the owner shard of the
//! address-of-record hands to all others. They share the memory and nothing that can change.

use std::sync::Arc;

use stack::{Flow, Time};

use super::Aor;

/// All bindings of an address-of-record, as its owner shard last ordered them. Without bindings it says that
/// there are none any more.
#[derive(Clone, Debug, PartialEq)]
pub struct Registration {
    /// Whose they are.
    pub aor: Aor,
    /// Grows with each change of this address-of-record, also over restarts: the higher one is the newer one.
    pub version: u64,
    /// The bindings, newest last.
    pub bindings: Box<[Binding]>,
}

impl Registration {
    /// Of one who has never been here.
    pub(super) fn none(aor: Aor) -> Registration {
        Registration {
            aor,
            version: 0,
            bindings: Box::default(),
        }
    }

    /// When the first of its bindings ends.
    pub(super) fn first_end(&self) -> Option<Time> {
        self.bindings.iter().map(|it| it.expires).min()
    }

    /// The same without the bindings that have ended.
    pub(super) fn living(&self, now: Time) -> Registration {
        let living = self.bindings.iter().filter(|it| it.expires > now);
        Registration {
            aor: self.aor.clone(),
            version: self.version,
            bindings: living.cloned().collect(),
        }
    }
}

/// One contact at which a user is reached.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// The Contact URI as registered, without angle brackets.
    pub contact: Box<[u8]>,
    /// The Contact's header parameters as registered, from the first `;` on, without `expires` and `q`; empty for none.
    pub parameters: Box<[u8]>,
    /// `q` in thousandths (RFC 3261 20.10): 0 to 1000.
    pub q: u16,
    /// `+sip.instance` without its quotes and angle brackets (RFC 5626 4.1).
    pub instance: Option<Box<[u8]>>,
    /// `reg-id` (RFC 5626 4.2).
    pub reg_id: Option<u32>,
    /// Call-ID of the REGISTER that made or refreshed it.
    pub call_id: Box<[u8]>,
    /// Its CSeq.
    pub cseq: u32,
    /// The Path it came with (RFC 3327): values joined by commas, empty for none.
    pub path: Box<[u8]>,
    /// Where the REGISTER came in and from whom.
    pub source: Flow,
    /// The contact is reached at `source` and not at what its URI says: it is behind NAT, or a flow of RFC 5626.
    pub at_source: bool,
    /// User-Agent of the REGISTER; empty for none.
    pub user_agent: Box<[u8]>,
    /// When it was made or last refreshed.
    pub registered: Time,
    /// When it ends.
    pub expires: Time,
    /// Keep-alives in a row that had no answer.
    pub unanswered: u8,
    /// Enough of them had none: no call goes there until it answers, or registers again.
    pub unreachable: bool,
}

/// A change of bindings that has been ordered and is in force.
#[derive(Clone, Debug, PartialEq)]
pub struct LocationChange {
    /// How it is now.
    pub registration: Arc<Registration>,
    /// Why it changed.
    pub cause: LocationCause,
}

/// Why bindings changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocationCause {
    /// A contact was added, and no other was there.
    Registered,
    /// Contacts were added, refreshed or removed, and some are left.
    Refreshed,
    /// The last contact was removed by a REGISTER.
    Unregistered,
    /// Contacts ran out; none or some are left.
    Expired,
    /// A contact became unreachable or is reachable again.
    Reachability,
    /// The control side removed them: the user or the domain is gone.
    Removed,
}
