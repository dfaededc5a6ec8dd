//! What the shard has ordered and not every other shard has: told to each until it confirms, the newest state only. Who
//! waits for a change is told when all have it.

use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use stack::Time;

use super::lane::{Lane, Parcel, REGISTRATIONS_MAX};
use super::letter::{Ask, Letter, Told};
use super::shard_set::ShardSet;
use super::{Aor, Registration};

/// Addresses-of-record whose last change is under way at once. When a shard does not confirm there are no more changes
/// than these; 100,000 a second would fill it in most of a second.
pub(super) const PENDING_MAX: usize = 65_536;
/// Who waits for changes of one address-of-record at once.
const ASKERS_MAX: usize = 64;

/// All ways to the other shards, and what is under way.
#[derive(Debug)]
pub(super) struct Replication {
    own: u8,
    shards: u8,
    pending: HashMap<Aor, Pending, FixedState>,
    lanes: Vec<Lane>,
    /// Registrations that were written again.
    repeated: u64,
}

/// A change that some shard does not have.
#[derive(Debug)]
struct Pending {
    newest: Arc<Registration>,
    /// Who does not have it.
    behind: ShardSet,
    /// Where it waits to be told.
    queued: ShardSet,
    askers: Vec<Asker>,
}

/// One who waits until all shards have a change.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    /// Its shard.
    pub(super) shard: u8,
    /// The number it waits under.
    pub(super) number: u64,
    /// What it is told then.
    pub(super) outcome: Arc<Registration>,
    missing: ShardSet,
}

impl Replication {
    pub(super) fn new(own: u8, shards: u8, seed: u64) -> Replication {
        Replication {
            own,
            shards,
            pending: HashMap::with_hasher(FixedState::with_seed(seed)),
            lanes: (0..shards).map(|_| Lane::default()).collect(),
            repeated: 0,
        }
    }

    /// Changes that some shard does not have.
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Registrations that were told again because nobody confirmed them.
    pub(super) fn repeated(&self) -> u64 {
        self.repeated
    }

    pub(super) fn is_full(&self) -> bool {
        self.pending.len() >= PENDING_MAX
    }

    /// Whether this one may change, and another one wait for it.
    pub(super) fn has_room(&self, aor: &Aor) -> bool {
        match self.pending.get(aor) {
            Some(pending) => pending.askers.len() < ASKERS_MAX,
            None => !self.is_full(),
        }
    }

    /// Whether nothing is under way.
    pub(super) fn is_quiet(&self) -> bool {
        self.pending.is_empty() && self.lanes.iter().all(Lane::is_quiet)
    }

    /// Tells the others of a change.
    pub(super) fn spread(&mut self, registration: &Arc<Registration>) {
        let others = ShardSet::all_but(self.own, self.shards);
        if others.is_empty() {
            return;
        }
        let entry = self.pending.entry(registration.aor.clone());
        let pending = entry.or_insert_with(|| Pending {
            newest: Arc::clone(registration),
            behind: others,
            queued: ShardSet::default(),
            askers: Vec::new(),
        });
        pending.newest = Arc::clone(registration);
        pending.behind = others;
        for (shard, lane) in (0..).zip(&mut self.lanes) {
            queue(pending, shard, lane);
        }
    }

    /// Lets one wait until all shards have this state of its registration; false: they have it.
    pub(super) fn wait(&mut self, shard: u8, number: u64, outcome: &Arc<Registration>) -> bool {
        let Some(pending) = self.pending.get_mut(&outcome.aor) else {
            return false;
        };
        pending.askers.push(Asker {
            shard,
            number,
            outcome: Arc::clone(outcome),
            missing: pending.behind,
        });
        true
    }

    /// Whether this one waits already: its letter came twice.
    pub(super) fn waits(&self, aor: &Aor, shard: u8, number: u64) -> bool {
        let pending = self.pending.get(aor);
        let same = |it: &Asker| it.shard == shard && it.number == number;
        pending.is_some_and(|pending| pending.askers.iter().any(same))
    }

    /// A shard has what a letter told it; returns who waits no longer.
    pub(super) fn confirmed(&mut self, by: u8, number: u64) -> Vec<Asker> {
        let lane = self.lanes.get_mut(usize::from(by));
        let Some(parcel) = lane.and_then(|lane| lane.confirmed(number)) else {
            return Vec::new();
        };
        let each = parcel.registrations.iter();
        each.flat_map(|it| self.has(by, it)).collect()
    }

    fn has(&mut self, shard: u8, registration: &Registration) -> Vec<Asker> {
        let Some(pending) = self.pending.get_mut(&registration.aor) else {
            return Vec::new();
        };
        for asker in &mut pending.askers {
            if asker.outcome.version <= registration.version {
                asker.missing.remove(shard);
            }
        }
        let served = |it: &mut Asker| it.missing.is_empty();
        let served = pending.askers.extract_if(.., served).collect();
        if pending.newest.version == registration.version {
            pending.behind.remove(shard);
        }
        if pending.behind.is_empty() {
            self.pending.remove(&registration.aor);
        }
        served
    }

    /// Asks another shard for an update.
    pub(super) fn ask(&mut self, owner: u8, ask: Ask) {
        if let Some(lane) = self.lanes.get_mut(usize::from(owner)) {
            lane.ask(ask);
        }
    }

    /// Tells another shard the outcome of an update.
    pub(super) fn tell(&mut self, asker: u8, told: Told) {
        if let Some(lane) = self.lanes.get_mut(usize::from(asker)) {
            lane.tell(told);
        }
    }

    /// Confirms a letter of another shard.
    pub(super) fn confirm(&mut self, writer: u8, number: u64) {
        if let Some(lane) = self.lanes.get_mut(usize::from(writer)) {
            lane.confirm(number);
        }
    }

    /// The next letter, and whom it is for.
    pub(super) fn poll_letter(&mut self, now: Time) -> Option<(u8, Letter)> {
        (0..self.shards).find_map(|shard| Some((shard, self.write(now, shard)?)))
    }

    fn write(&mut self, now: Time, shard: u8) -> Option<Letter> {
        let lane = self.lanes.get_mut(usize::from(shard))?;
        let parcel = match repeated(&self.pending, now, shard, lane) {
            Some(parcel) => {
                self.repeated += parcel.registrations.len() as u64;
                Some(parcel)
            }
            None => packed(&mut self.pending, shard, lane),
        };
        lane.write(self.own, now, parcel)
    }

    /// Letters that are under way, by shard.
    #[cfg(test)]
    pub(super) fn under_way(&self) -> impl Iterator<Item = usize> {
        self.lanes.iter().map(Lane::under_way)
    }

    /// When a letter is to be written again.
    pub(super) fn due(&self) -> Option<Time> {
        self.lanes.iter().filter_map(Lane::due).min()
    }
}

/// Puts it on the way to this shard, if it is not there and the shard does not have it.
fn queue(pending: &mut Pending, shard: u8, lane: &mut Lane) {
    if pending.behind.contains(shard) && !pending.queued.contains(shard) {
        pending.queued.insert(shard);
        lane.tell_of(&pending.newest.aor);
    }
}

/// The first parcel that nobody confirmed, with what of it is still news to this shard.
fn repeated(
    pending: &HashMap<Aor, Pending, FixedState>,
    now: Time,
    shard: u8,
    lane: &mut Lane,
) -> Option<Parcel> {
    while let Some(mut parcel) = lane.overdue(now) {
        parcel.registrations.retain(|it| {
            let last = pending.get(&it.aor);
            last.is_some_and(|last| {
                last.newest.version == it.version && last.behind.contains(shard)
            })
        });
        if !parcel.registrations.is_empty() {
            return Some(parcel);
        }
    }
    None
}

/// A parcel of what waits to be told to this shard.
fn packed(
    pending: &mut HashMap<Aor, Pending, FixedState>,
    shard: u8,
    lane: &mut Lane,
) -> Option<Parcel> {
    let mut registrations = Vec::new();
    while registrations.len() < REGISTRATIONS_MAX {
        let Some(aor) = lane.next() else { break };
        if let Some(pending) = pending.get_mut(&aor) {
            pending.queued.remove(shard);
            registrations.push(Arc::clone(&pending.newest));
        }
    }
    (!registrations.is_empty()).then(|| lane.pack(registrations))
}
