//! What is counted of event packages.

/// Plain numbers since the start of the shard, and two of this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventsCounters {
    /// Subscriptions that were accepted, those that only asked once among them.
    pub subscribed: u64,
    /// Refreshes of subscriptions that were accepted.
    pub refreshed: u64,
    /// SUBSCRIBEs that were refused.
    pub subscribe_refused: u64,
    /// NOTIFYs that were sent.
    pub notified: u64,
    /// Of these: not answered, or answered with an error.
    pub notify_failed: u64,
    /// PUBLISHs that were accepted.
    pub published: u64,
    /// PUBLISHs that were refused.
    pub publish_refused: u64,
    /// Publications of other shards, and counts of messages, for which there was no room.
    pub dropped: u64,
    /// Publications at this moment. Every shard has all.
    pub publications: u64,
    /// Users whose messages are counted, at this moment. Every shard has all.
    pub mailboxes: u64,
}
