//! Where the location service meets the rest of the router.

use std::sync::Arc;

use stack::{ServerId, Time};

use super::{Aor, Outcome, Update};
use crate::config::{Event, Wake};
use crate::core::Core;
use crate::directory::Directory;
use crate::transfer::{Said, Word};

/// Asks for an update on behalf of this REGISTER. The outcome comes from [`poll_outcome`], which the router drains
/// after each input: at once for a query and when there is one shard, else when every shard has the change.
pub(crate) fn ask(core: &mut Core, now: Time, server: ServerId, update: Update) {
    core.location.ask(now, server, update);
}

/// The next outcome, to be given to `registrar::answer`.
pub(crate) fn poll_outcome(core: &mut Core) -> Option<Outcome> {
    let (server, result) = core.location.poll_outcome()?;
    Some(Outcome { server, result })
}

/// Removes, a few hundred a turn, the bindings of all users that are not to be kept by this directory. To be called
/// on every shard: each looks at those it owns.
pub(crate) fn retain(
    core: &mut Core,
    directory: &Arc<Directory>,
    keeps: fn(&Directory, &Aor) -> bool,
) {
    core.location.retain(directory, keeps);
}

/// What the surroundings are to do or know: words for other shards, changes.
pub(crate) fn poll_event(core: &mut Core) -> Option<Event> {
    if let Some((shard, letter)) = core.location.poll_letter() {
        let word = Word::new(Said::Location(letter));
        return Some(Event::ToShard { shard, word });
    }
    core.location.poll_change().map(Event::Location)
}

/// When there is something to do.
pub(crate) fn poll_timeout(core: &Core) -> Option<(Time, Wake)> {
    core.location.due().map(|due| (due, Wake::Location))
}

/// Does what is due.
pub(crate) fn handle_timeout(core: &mut Core, now: Time) {
    if core.location.due().is_some_and(|due| due <= now) {
        core.location.handle_timeout(now);
    }
}
