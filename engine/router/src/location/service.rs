//! The location service of one shard.

use std::collections::VecDeque;
use std::sync::Arc;

use stack::{ServerId, Time};

use super::table::Table;
use super::{Outcome, Registration, Update};

/// The table, and all that is under way between shards.
#[derive(Debug)]
pub(crate) struct Location {
    table: Table,
    outcomes: VecDeque<Outcome>,
}

impl Location {
    pub(crate) fn new(seed: u64) -> Location {
        Location {
            table: Table::new(seed),
            outcomes: VecDeque::new(),
        }
    }

    /// The bindings of this address-of-record, as [`super::Aor::as_str`] spells it. Some may have expired: look at
    /// [`super::Binding::expires`].
    pub(crate) fn of(&self, aor: &str) -> Option<&Arc<Registration>> {
        self.table.of(aor)
    }

    pub(super) fn ask(&mut self, _now: Time, server: ServerId, update: Update) {
        let bindings = Box::default();
        let none = Registration {
            aor: update.aor,
            version: 0,
            bindings,
        };
        self.outcomes.push_back(Outcome {
            server,
            result: Ok(Arc::new(none)),
        });
    }

    pub(super) fn poll_outcome(&mut self) -> Option<Outcome> {
        self.outcomes.pop_front()
    }
}
