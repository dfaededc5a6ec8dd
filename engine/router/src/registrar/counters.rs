//! What the registrar counts.

use crate::location::Refused;

/// REGISTERs of local domains, by what they got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegistrarCounters {
    /// All but retransmissions.
    pub requests: u64,
    /// Bindings were made, refreshed or removed: 200.
    pub accepted: u64,
    /// The bindings were only asked for: 200.
    pub fetched: u64,
    /// No such user or domain: 404.
    pub unknown: u64,
    /// Without proof, or with a wrong one: 401, 403, 407.
    pub unproven: u64,
    /// For a shorter time than is allowed: 423.
    pub too_brief: u64,
    /// An extension is missing on one side: 420, 421, 439.
    pub unsupported: u64,
    /// Malformed, or what no contact may be: 400, 403, 416.
    pub bad: u64,
    /// With an old CSeq: 500.
    pub out_of_order: u64,
    /// More contacts than an address-of-record may have: 403.
    pub too_many: u64,
    /// A table is full: 503.
    pub full: u64,
    /// Not every shard could be told in time: 500.
    pub not_reached: u64,
    /// STUN Binding requests on SIP ports that were answered.
    pub stun_answered: u64,
    /// STUN messages on SIP ports that were not.
    pub stun_dropped: u64,
}

impl RegistrarCounters {
    /// Refused with this code before anything was looked up.
    pub(super) fn count(&mut self, code: u16) {
        let counter = match code {
            401 | 407 => &mut self.unproven,
            404 => &mut self.unknown,
            420 | 421 | 439 => &mut self.unsupported,
            423 => &mut self.too_brief,
            _ => &mut self.bad,
        };
        *counter += 1;
    }

    pub(super) fn count_refused(&mut self, refused: Refused) {
        let counter = match refused {
            Refused::OutOfOrder => &mut self.out_of_order,
            Refused::TooManyContacts => &mut self.too_many,
            Refused::Full => &mut self.full,
            Refused::NotReached => &mut self.not_reached,
        };
        *counter += 1;
    }
}
