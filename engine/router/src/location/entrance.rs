//! Where the location service meets the rest of the router.

use stack::{ServerId, Time};

use super::update::{Outcome, Update};
use crate::core::Core;

/// Asks for an update on behalf of this REGISTER. The outcome comes from [`poll_outcome`], which the router drains
/// after each input: at once for a query and when there is one shard, else when every shard has the change.
pub(crate) fn ask(core: &mut Core, now: Time, server: ServerId, update: Update) {
    core.location.ask(now, server, update);
}

/// The next outcome, to be given to `registrar::answer`.
pub(crate) fn poll_outcome(core: &mut Core) -> Option<Outcome> {
    core.location.poll_outcome()
}
