//! What the owner of an address-of-record knows of its contacts by asking them: as a change like any other, so that every
//! shard honours it.

use stack::Time;

use super::service::Location;
use super::{Aor, LocationCause};

impl<W: Copy> Location<W> {
    /// Takes note whether a contact has answered. After `failures` in a row without an answer it is unreachable, with the
    /// first one reachable again. Whether it became unreachable, if that has changed. When too much is under way between
    /// the shards nothing is noted: it will be asked again.
    pub(crate) fn note_reachability(
        &mut self,
        now: Time,
        aor: &Aor,
        contact: &[u8],
        answered: bool,
        failures: u8,
    ) -> Option<bool> {
        let held = self.table.of(aor.as_str())?;
        let binding = held.bindings.iter().find(|it| &*it.contact == contact)?;
        let unanswered = match answered {
            true => 0,
            false => binding.unanswered.saturating_add(1).min(failures),
        };
        let unreachable = !answered && (binding.unreachable || unanswered >= failures);
        let was = (binding.unanswered, binding.unreachable);
        let has_room = self.replication.has_room(aor) && !self.replication.is_full();
        if was == (unanswered, unreachable) || !has_room {
            return None;
        }
        let mut bindings = held.bindings.clone();
        if let Some(binding) = bindings.iter_mut().find(|it| &*it.contact == contact) {
            (binding.unanswered, binding.unreachable) = (unanswered, unreachable);
        }
        self.now = now;
        self.commit(now, aor, bindings, LocationCause::Reachability);
        self.settle();
        (was.1 != unreachable).then_some(unreachable)
    }
}
