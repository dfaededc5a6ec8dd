//! What the location services of two shards write to each other. A letter may be lost, come twice, or after a later one.

use std::sync::Arc;
use std::time::Duration;

use stack::Time;

use super::{Refused, Registration, Update};

/// A letter that was under way for longer is not believed any more: what it tells may have been undone since, and been
/// forgotten.
pub(super) const BELIEVED_FOR: Duration = Duration::from_secs(5);

/// One letter.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Letter {
    /// Who writes.
    pub(super) from: u8,
    /// When.
    pub(super) sent: Time,
    /// To be named when the registrations are confirmed.
    pub(super) number: u64,
    /// Registrations as their owner, the writer, has ordered them; the reader confirms them if there are any.
    pub(super) registrations: Vec<Arc<Registration>>,
    /// Letters of the reader whose registrations are in the writer's table.
    pub(super) confirmed: Vec<u64>,
    /// Updates that the reader, as the owner, is to order.
    pub(super) asked: Vec<Ask>,
    /// What became of updates that the reader has asked for.
    pub(super) told: Vec<Told>,
}

impl Letter {
    /// Whether there is nothing to say in it.
    pub(super) fn is_empty(&self) -> bool {
        self.registrations.is_empty()
            && self.confirmed.is_empty()
            && self.asked.is_empty()
            && self.told.is_empty()
    }
}

/// An update, and the number under which the one who asks waits for its outcome.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ask {
    pub(super) number: u64,
    pub(super) update: Update,
}

/// The outcome of an update.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Told {
    pub(super) number: u64,
    pub(super) result: Result<Arc<Registration>, Refused>,
}
