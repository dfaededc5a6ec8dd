//! From a shard to the journal: bindings that have changed. A shard never waits: what it cannot lay down
//! at once it lays down with the next turn. Bindings are states, so a newer one takes the place of an
//! older one that still lies there: a tray holds at most as much as the location table, and nothing that
//! was laid down is ever dropped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use router::{Aor, Registration};

/// The newest state of each address-of-record that has changed.
pub(super) type Changed = HashMap<Aor, Arc<Registration>>;

/// Where one shard lays down what has changed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tray(Arc<Mutex<Changed>>);

impl Tray {
    /// Takes what lies there. `room` is empty, and its memory used again.
    pub(super) fn empty(&self, room: Changed) -> Changed {
        let mut changed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut changed, room)
    }
}

/// The shard's end.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    /// `None`: there is no journal.
    tray: Option<Tray>,
    held: Vec<Arc<Registration>>,
}

impl Outgoing {
    /// What goes to this tray.
    pub(crate) fn to(tray: Tray) -> Outgoing {
        Outgoing {
            tray: Some(tray),
            held: Vec::new(),
        }
    }

    /// Notes a change.
    pub(crate) fn put(&mut self, registration: &Arc<Registration>) {
        if self.tray.is_some() {
            self.held.push(Arc::clone(registration));
        }
    }

    /// Lays down what was noted, unless the tray is just being emptied.
    pub(crate) fn hand_over(&mut self) {
        let Some(tray) = self.tray.as_ref().filter(|_| !self.held.is_empty()) else {
            return;
        };
        match tray.0.try_lock() {
            Ok(mut changed) => lay_down(&mut self.held, &mut changed),
            Err(TryLockError::Poisoned(poisoned)) => {
                lay_down(&mut self.held, &mut poisoned.into_inner());
            }
            Err(TryLockError::WouldBlock) => {}
        }
    }

    /// Lays down all, at the end of the shard.
    pub(crate) fn finish(&mut self) {
        if let Some(Tray(tray)) = &self.tray {
            let mut changed = tray.lock().unwrap_or_else(PoisonError::into_inner);
            lay_down(&mut self.held, &mut changed);
        }
    }
}

fn lay_down(held: &mut Vec<Arc<Registration>>, changed: &mut Changed) {
    for registration in held.drain(..) {
        changed.insert(registration.aor.clone(), registration);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::housekeeping::journal::samples::registration;

    #[test]
    fn the_newest_state_of_each_is_what_lies_there() {
        let tray = Tray::default();
        let mut outgoing = Outgoing::to(tray.clone());
        for (user, version) in [(1, 1), (2, 1), (1, 2)] {
            outgoing.put(&registration(user, version));
        }
        assert!(tray.empty(Changed::new()).is_empty());
        outgoing.hand_over();
        let changed = tray.empty(Changed::new());
        let mut versions: Vec<_> = changed.values().map(|one| one.version).collect();
        versions.sort_unstable();
        assert_eq!(versions, [1, 2]);
        assert!(tray.empty(Changed::new()).is_empty());
    }

    #[test]
    fn a_tray_that_is_being_emptied_holds_nobody_up_and_loses_nothing() {
        let tray = Tray::default();
        let mut outgoing = Outgoing::to(tray.clone());
        let emptying = tray.0.lock().unwrap();
        outgoing.put(&registration(1, 1));
        outgoing.hand_over();
        drop(emptying);
        assert!(tray.empty(Changed::new()).is_empty());
        outgoing.put(&registration(1, 2));
        outgoing.finish();
        let changed = tray.empty(Changed::new());
        assert!(changed.values().all(|one| one.version == 2) && changed.len() == 1);
    }

    #[test]
    fn without_a_journal_nothing_is_held() {
        let mut outgoing = Outgoing::default();
        outgoing.put(&registration(1, 1));
        outgoing.hand_over();
        outgoing.finish();
        assert!(outgoing.held.is_empty());
    }
}
