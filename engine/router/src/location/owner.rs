//! The location service as the owner of addresses-of-record: their changes are put in order here and nowhere else, by
//! REGISTERs, by time and when the directory loses a user.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use stack::Time;

use super::letter::Ask;
use super::ordering;
use super::service::Location;
use super::{Aor, Binding, LocationCause, LocationChange, Refused, Registration};
use crate::directory::Directory;

/// Registrations that are looked at in one go, so that a million that end at once keep no call waiting.
const STEP: usize = 256;

/// The users that are gone are looked for.
#[derive(Debug)]
pub(super) struct Sweep {
    directory: Arc<Directory>,
    keeps: fn(&Directory, &Aor) -> bool,
    /// How far it is.
    after: Option<(Time, Aor)>,
}

impl<W: Copy> Location<W> {
    /// Puts an update in its place, or refuses it, and says so when every shard has it.
    pub(super) fn order(&mut self, now: Time, shard: u8, ask: &Ask) {
        let Ask { number, update } = ask;
        if self.replication.waits(&update.aor, shard, *number) {
            return;
        }
        match self.update(now, ask) {
            Err(refused) => self.tell(shard, *number, Err(refused)),
            Ok(outcome) if self.replication.wait(shard, *number, &outcome) => {}
            Ok(outcome) => self.tell(shard, *number, Ok(outcome)),
        }
    }

    fn update(
        &mut self,
        now: Time,
        Ask { update, .. }: &Ask,
    ) -> Result<Arc<Registration>, Refused> {
        if !self.replication.has_room(&update.aor) {
            return Err(Refused::NotReached);
        }
        self.expire_one(now, &update.aor);
        let held = self.table.of(update.aor.as_str()).cloned();
        let bindings = held.as_ref().map_or(&[][..], |it| &it.bindings);
        let after = ordering::apply(bindings, update, self.terms.contacts)?;
        let Some(after) = after else {
            return Ok(held.unwrap_or_else(|| Arc::new(Registration::none(update.aor.clone()))));
        };
        let is_new = held.is_none();
        if !self.has_room(is_new, after.len().saturating_sub(bindings.len())) {
            return Err(Refused::Full);
        }
        let cause = match (bindings.is_empty(), after.is_empty()) {
            (_, true) => LocationCause::Unregistered,
            (true, false) => LocationCause::Registered,
            (false, false) => LocationCause::Refreshed,
        };
        Ok(self.commit(now, &update.aor, after.into(), cause))
    }

    /// Whether there is room for so many more bindings, and a registration more.
    fn has_room(&self, is_new: bool, more: usize) -> bool {
        let registrations = self.table.len() + usize::from(is_new);
        let bindings = self.table.bindings() + more;
        (!is_new || registrations <= self.terms.registrations)
            && (more == 0 || bindings <= self.terms.bindings)
    }

    /// A change is in force: the table has it, the other shards are told, and so are the surroundings.
    pub(super) fn commit(
        &mut self,
        now: Time,
        aor: &Aor,
        bindings: Box<[Binding]>,
        cause: LocationCause,
    ) -> Arc<Registration> {
        let held = self.table.of(aor.as_str());
        let version = held.map_or(0, |it| it.version + 1).max(self.version(now));
        if let Some(first) = held.and_then(|it| it.first_end()) {
            self.expiry.remove(&(first, aor.clone()));
        }
        let aor = held.map_or_else(|| aor.clone(), |it| it.aor.clone());
        let registration = Arc::new(Registration {
            aor,
            version,
            bindings,
        });
        self.keep(now, &registration);
        self.watched.note(&registration.aor);
        self.replication.spread(&registration);
        self.counters.changes += 1;
        self.changes.push_back(LocationChange {
            registration: Arc::clone(&registration),
            cause,
        });
        registration
    }

    /// The version of a change at this time, unless the one before is as high: later ones are higher, also after a
    /// restart.
    fn version(&self, now: Time) -> u64 {
        self.terms.unix_us.saturating_add(now.as_nanos() / 1000)
    }

    fn keep(&mut self, now: Time, registration: &Arc<Registration>) {
        let aor = registration.aor.clone();
        match registration.first_end() {
            Some(first) => drop(self.expiry.insert((first, aor))),
            None => self.empty.push(now, (aor, registration.version)),
        }
        self.table.put(Arc::clone(registration));
    }

    /// Removes the bindings whose time is over, some at a time.
    pub(super) fn expire(&mut self, now: Time) {
        for _ in 0..STEP {
            let due = |(at, _): &(Time, Aor)| *at <= now;
            if self.replication.is_full() || !self.expiry.first().is_some_and(due) {
                return;
            }
            if let Some((_, aor)) = self.expiry.pop_first() {
                self.expire_one(now, &aor);
            }
        }
    }

    fn expire_one(&mut self, now: Time, aor: &Aor) {
        let held = self.table.of(aor.as_str());
        let ended = |it: &Registration| it.first_end().is_some_and(|end| end <= now);
        let Some(held) = held.filter(|it| ended(it)) else {
            return;
        };
        let living = held.living(now).bindings;
        self.counters.expired += (held.bindings.len() - living.len()) as u64;
        self.commit(now, aor, living, LocationCause::Expired);
    }

    /// Removes the bindings of all users that are not to be kept, some at a time.
    pub(crate) fn retain(
        &mut self,
        directory: &Arc<Directory>,
        keeps: fn(&Directory, &Aor) -> bool,
    ) {
        self.sweep = Some(Sweep {
            directory: Arc::clone(directory),
            keeps,
            after: None,
        });
        self.settle();
    }

    pub(super) fn sweep(&mut self, now: Time) {
        let Some(mut sweep) = self.sweep.take() else {
            return;
        };
        let from = sweep.after.clone();
        let from = from.map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.expiry.range((from, Bound::Unbounded)).take(STEP);
        let next: Vec<(Time, Aor)> = next.cloned().collect();
        let done = next.is_empty();
        for place in next {
            if self.replication.is_full() {
                break;
            }
            let (_, aor) = &place;
            if !(sweep.keeps)(&sweep.directory, aor) {
                self.commit(now, aor, Box::default(), LocationCause::Removed);
            }
            sweep.after = Some(place);
        }
        self.sweep = Some(sweep).filter(|_| !done);
    }

    /// Takes what an earlier run knew, on every shard the same. What has ended since is left out.
    pub(crate) fn restore(&mut self, now: Time, registrations: &[Arc<Registration>]) {
        self.table.reserve(registrations.len());
        let mut ends = Vec::new();
        for registration in registrations {
            let lives = registration.bindings.iter().any(|it| it.expires > now);
            if !lives || !self.table.put(Arc::clone(registration)) {
                continue;
            }
            let owned = self.terms.owner(&registration.aor) == self.terms.shard;
            let end = registration.first_end().filter(|_| owned);
            ends.extend(end.map(|end| (end, registration.aor.clone())));
        }
        // One sort is far cheaper than as many insertions.
        let mut ends = BTreeSet::from_iter(ends);
        self.expiry.append(&mut ends);
        self.settle();
    }
}
