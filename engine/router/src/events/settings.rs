//! What the operator chooses for event packages. Plain values; how they are written in the TOML file is the server's
//! business.

/// The settings of the notifier (RFC 6665) and state agent (RFC 3903) of the users of local domains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventsSettings {
    /// The shortest interval of a subscription or publication, seconds: less gets 423.
    pub min_expires_s: u32,
    /// The interval of one that asks for none, seconds.
    pub default_expires_s: u32,
    /// The longest interval, seconds: more is shortened to this.
    pub max_expires_s: u32,
    /// Who may subscribe to the presence and dialogs of a user. What is registered, and messages, are for the user alone.
    pub watchers: Watchers,
    /// Subscriptions to one package of one user that a shard keeps: each change is one NOTIFY for each of them.
    pub subscriptions_per_user: usize,
    /// Publications at once. Every shard knows all, so this is no part of anything.
    pub publications: usize,
    /// Publications of one package of one user.
    pub publications_per_user: usize,
    /// The longest body of a publication, bytes.
    pub body_bytes: usize,
    /// Users whose messages are counted.
    pub mailboxes: usize,
}

impl Default for EventsSettings {
    fn default() -> Self {
        EventsSettings {
            min_expires_s: 60,
            default_expires_s: 3_600,
            max_expires_s: 7_200,
            watchers: Watchers::default(),
            subscriptions_per_user: 500,
            publications: 100_000,
            publications_per_user: 8,
            body_bytes: 16_384,
            mailboxes: 1_000_000,
        }
    }
}

/// Who may subscribe to the presence and dialogs of a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Watchers {
    /// Every user of a local domain.
    #[default]
    Local,
    /// Users of the same domain.
    Domain,
    /// Nobody but the user.
    User,
}
