//! What the operator chooses for requests to users of local domains. Plain values.

use std::time::Duration;

/// How users of local domains are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Who is asked where a request goes.
    pub order: Order,
    /// Contacts of one preference ring this long before those of the next are tried.
    pub ring: Duration,
    /// How contacts are asked whether they live; `None`: they are not, and all count as reachable.
    pub keep_alive: Option<ContactKeepAlive>,
}

impl Default for Reach {
    fn default() -> Self {
        Reach {
            order: Order::default(),
            ring: Duration::from_secs(20),
            keep_alive: None,
        }
    }
}

/// Who is asked where a request to a user of a local domain goes: the first that knows decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The contacts of the user, then the routing DB.
    #[default]
    LocationThenRdb,
    /// The routing DB, then the contacts.
    RdbThenLocation,
    /// The contacts alone.
    Location,
    /// The routing DB alone: a user is called by nobody but it.
    Rdb,
}

/// OPTIONS to contacts (RFC 3261 11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContactKeepAlive {
    /// How often each is asked.
    pub every: Duration,
    /// It is unreachable after so many without an answer in a row; 0 is taken as 1.
    pub failures: u8,
    /// No shard asks more contacts in a second; with more than that each is asked less often. 0 is taken as 1.
    pub per_second: u32,
}
