//! What is counted of calls to users.

/// Requests to users of local domains, and what became of the questions whether their contacts live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReachCounters {
    /// Requests forwarded to contacts.
    pub requests: u64,
    /// The contacts they were for; of those, one of lower preference may not have been tried.
    pub contacts: u64,
    /// Requests to nobody of the domain: 404.
    pub unknown: u64,
    /// Requests to a user without a contact that can be reached: 480.
    pub unavailable: u64,
    /// OPTIONS sent to contacts.
    pub probes: u64,
    /// Of these: without an answer.
    pub probes_failed: u64,
    /// Contacts that became unreachable.
    pub lost: u64,
    /// Unreachable contacts that answered again.
    pub restored: u64,
}
