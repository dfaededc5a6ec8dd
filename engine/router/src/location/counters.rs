//! What the location service of a shard counts.

/// Plain numbers since the start of the shard, and three of this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LocationCounters {
    /// Addresses-of-record in the table at this moment; those that lost their last binding in the last 10 s count. Every
    /// shard has all.
    pub registrations: u64,
    /// Their bindings.
    pub bindings: u64,
    /// Changes of this shard's addresses-of-record that not every other shard has confirmed, at this moment.
    pub unconfirmed: u64,
    /// Changes that this shard has put in order.
    pub changes: u64,
    /// Bindings that ended by themselves, of this shard's addresses-of-record.
    pub expired: u64,
    /// Updates asked for by this shard that were refused.
    pub refused: u64,
    /// Of these: some shard could not be told, or did not answer, in time.
    pub not_reached: u64,
    /// Registrations told to other shards once more, because they were not confirmed.
    pub repeated: u64,
    /// Letters of other shards that this shard read later than 100 ms: it is behind.
    pub late: u64,
}
