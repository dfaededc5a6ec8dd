//! The location service of one shard: its table, who waits for updates, and what it and the other shards say to each
//! other. What the shard does as the owner of addresses-of-record is in `owner`.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use stack::timer::Fifo;
use stack::{ServerId, Time, sip_hash};

use super::letter::{Ask, BELIEVED_FOR, Letter, Told};
use super::owner::Sweep;
use super::replication::Replication;
use super::table::Table;
use super::waiters::{PATIENCE, Waiters};
use super::watched::Watched;
use super::{Aor, Edits, LocationChange, LocationCounters, Refused, Registration, Update};
use crate::config::Config;

/// How long a registration without bindings is remembered, so that none of its past comes back: longer than any letter
/// is believed.
const EMPTY_FOR: Duration = Duration::from_secs(10);
/// A shard that reads a letter so late is behind.
const LATE: Duration = Duration::from_millis(100);

/// Which shard this is, and what it may keep.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) shard: u8,
    pub(super) shards: u8,
    /// The same on every shard.
    pub(super) key: u64,
    pub(super) registrations: usize,
    pub(super) bindings: usize,
    pub(super) contacts: usize,
    /// Microseconds from the Unix epoch to the origin of time.
    pub(super) unix_us: u64,
}

impl Terms {
    fn of(config: &Config) -> Terms {
        Terms {
            shard: config.shard,
            shards: config.shards.max(1),
            key: config.steer_key,
            registrations: config.limits.registrations,
            bindings: config.limits.bindings,
            contacts: config.limits.contacts,
            unix_us: config.unix_us,
        }
    }

    /// The shard that orders the changes of this address-of-record.
    pub(super) fn owner(&self, aor: &Aor) -> u8 {
        let key = self.key.rotate_left(17) ^ 0x6c6f_6361_7469_6f6e;
        let hash = sip_hash(aor.as_str().as_bytes(), [self.key, key]);
        (((hash >> 32) * u64::from(self.shards)) >> 32) as u8
    }
}

/// The table of one shard, and all that is under way between it and the others. `W` is who waits for an update.
///
/// Inputs: `ask`, `hear`, `restore`, `retain`, `handle_timeout`. After each, drain `poll_outcome`, `poll_letter` and
/// `poll_change`, and look at `due`.
#[derive(Debug)]
pub(crate) struct Location<W = ServerId> {
    pub(super) terms: Terms,
    pub(super) table: Table,
    pub(super) replication: Replication,
    /// Whose first binding of those that this shard owns ends when.
    pub(super) expiry: BTreeSet<(Time, Aor)>,
    /// Registrations without bindings, and their versions.
    pub(super) empty: Fifo<(Aor, u64)>,
    pub(super) sweep: Option<Sweep>,
    waiters: Waiters<W>,
    outcomes: VecDeque<(W, Result<Arc<Registration>, Refused>)>,
    pub(super) changes: VecDeque<LocationChange>,
    pub(super) counters: LocationCounters,
    /// The time of the last input.
    pub(super) now: Time,
    due: Option<Time>,
    /// There may be letters to write.
    talks: bool,
    pub(super) watched: Watched,
}

impl<W: Copy> Location<W> {
    pub(crate) fn new(config: &Config, seed: u64) -> Location<W> {
        let terms = Terms::of(config);
        Location {
            terms,
            table: Table::new(seed),
            replication: Replication::new(terms.shard, terms.shards, seed.rotate_left(32)),
            expiry: BTreeSet::new(),
            empty: Fifo::new(EMPTY_FOR),
            sweep: None,
            waiters: Waiters::new(),
            outcomes: VecDeque::new(),
            changes: VecDeque::new(),
            counters: LocationCounters::default(),
            now: Time::ZERO,
            due: None,
            talks: false,
            watched: Watched::default(),
        }
    }

    /// The bindings of this address-of-record, as [`Aor::as_str`] spells it; `None` when it has none. Those whose
    /// [`super::Binding::expires`] has passed are not to be used.
    pub(crate) fn of(&self, aor: &str) -> Option<&Arc<Registration>> {
        let registration = self.table.of(aor);
        registration.filter(|it| !it.bindings.is_empty())
    }

    /// Whether nobody is known, not even as one who has gone.
    pub(crate) fn is_empty(&self) -> bool {
        self.table.len() == 0
    }

    /// Those of a part of the table (of [`super::SEGMENTS`]) whose changes this shard orders.
    pub(crate) fn owned(&self, segment: usize) -> impl Iterator<Item = &Arc<Registration>> {
        let owns = |it: &&Arc<Registration>| self.terms.owner(&it.aor) == self.terms.shard;
        self.table.segment(segment).filter(owns)
    }

    /// A key that strangers do not know.
    pub(crate) fn key(&self) -> u64 {
        self.terms.key
    }

    /// What has been counted.
    pub(crate) fn counters(&self) -> LocationCounters {
        LocationCounters {
            registrations: self.table.len() as u64,
            bindings: self.table.bindings() as u64,
            unconfirmed: self.replication.pending() as u64,
            repeated: self.replication.repeated(),
            ..self.counters
        }
    }

    /// Whether nothing is under way between shards.
    pub(crate) fn is_quiet(&self) -> bool {
        self.waiters.is_empty() && self.replication.is_quiet() && self.sweep.is_none()
    }

    /// When to call [`Location::handle_timeout`] at the latest.
    pub(crate) fn due(&self) -> Option<Time> {
        self.due
    }

    /// Asks for an update on behalf of this one.
    pub(crate) fn ask(&mut self, now: Time, who: W, update: Update) {
        self.now = now;
        if update.edits == Edits::Fetch {
            let current = self.current(now, &update.aor);
            self.outcomes.push_back((who, Ok(current)));
            return;
        }
        let Some(number) = self.waiters.admit(now, who) else {
            return self.finish(who, Err(Refused::NotReached));
        };
        let owner = self.terms.owner(&update.aor);
        let ask = Ask { number, update };
        if owner == self.terms.shard {
            self.order(now, owner, &ask);
        } else {
            self.replication.ask(owner, ask);
        }
        self.settle();
    }

    /// Takes a letter of another shard.
    pub(crate) fn hear(&mut self, now: Time, letter: &Letter) {
        self.now = now;
        let age = now.duration_since(letter.sent);
        self.counters.late += u64::from(age >= LATE);
        for number in &letter.confirmed {
            for asker in self.replication.confirmed(letter.from, *number) {
                self.tell(asker.shard, asker.number, Ok(asker.outcome));
            }
        }
        if age < BELIEVED_FOR && !letter.registrations.is_empty() {
            letter
                .registrations
                .iter()
                .for_each(|it| self.take(now, it));
            self.replication.confirm(letter.from, letter.number);
        }
        if age < PATIENCE {
            letter
                .asked
                .iter()
                .for_each(|it| self.order(now, letter.from, it));
        }
        for Told { number, result } in &letter.told {
            self.conclude(*number, result.clone());
        }
        self.settle();
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, now: Time) {
        self.now = now;
        while let Some(who) = self.waiters.expire(now) {
            self.finish(who, Err(Refused::NotReached));
        }
        self.expire(now);
        self.sweep(now);
        while let Some((aor, version)) = self.empty.expire(now) {
            self.table.forget(&aor, version);
        }
        self.settle();
    }

    /// The next update that is done or refused.
    pub(crate) fn poll_outcome(&mut self) -> Option<(W, Result<Arc<Registration>, Refused>)> {
        self.outcomes.pop_front()
    }

    /// The next letter, and the shard it is for.
    pub(crate) fn poll_letter(&mut self) -> Option<(u8, Letter)> {
        if !self.talks {
            return None;
        }
        let letter = self.replication.poll_letter(self.now);
        self.talks = letter.is_some();
        self.due = self.next_due();
        letter
    }

    /// The next change that this shard has ordered.
    pub(crate) fn poll_change(&mut self) -> Option<LocationChange> {
        self.changes.pop_front()
    }

    /// Changes of these bindings are to be told by [`Location::poll_watched`].
    pub(crate) fn watch(&mut self, aor: &Aor) {
        self.watched.add(aor);
    }

    /// They are not any more.
    pub(crate) fn unwatch(&mut self, aor: &Aor) {
        self.watched.remove(aor);
    }

    /// The next of those that are watched whose bindings have changed in this shard's table.
    pub(crate) fn poll_watched(&mut self) -> Option<Aor> {
        self.watched.poll()
    }

    /// What another shard has ordered.
    fn take(&mut self, now: Time, registration: &Arc<Registration>) {
        if !self.table.put(Arc::clone(registration)) {
            return;
        }
        self.watched.note(&registration.aor);
        if registration.bindings.is_empty() {
            let empty = (registration.aor.clone(), registration.version);
            self.empty.push(now, empty);
        }
    }

    /// Tells the outcome of an update to who waits for it.
    pub(super) fn tell(
        &mut self,
        shard: u8,
        number: u64,
        result: Result<Arc<Registration>, Refused>,
    ) {
        if shard == self.terms.shard {
            self.conclude(number, result);
        } else {
            self.replication.tell(shard, Told { number, result });
        }
    }

    /// Who waits under this number waits no longer, if it still did.
    fn conclude(&mut self, number: u64, result: Result<Arc<Registration>, Refused>) {
        if let Some(who) = self.waiters.take(number) {
            self.finish(who, result);
        }
    }

    fn finish(&mut self, who: W, result: Result<Arc<Registration>, Refused>) {
        self.counters.refused += u64::from(result.is_err());
        self.counters.not_reached += u64::from(result == Err(Refused::NotReached));
        self.outcomes.push_back((who, result));
    }

    /// The registration as a query is to see it.
    fn current(&self, now: Time, aor: &Aor) -> Arc<Registration> {
        let Some(registration) = self.table.of(aor.as_str()) else {
            return Arc::new(Registration::none(aor.clone()));
        };
        match registration.bindings.iter().all(|it| it.expires > now) {
            true => Arc::clone(registration),
            false => Arc::new(registration.living(now)),
        }
    }

    /// After each input: whether there is something to say, and when to come back.
    pub(super) fn settle(&mut self) {
        self.talks = true;
        self.due = self.next_due();
    }

    fn next_due(&self) -> Option<Time> {
        // What is full has letters under way, and goes on when they are confirmed or repeated.
        let room = !self.replication.is_full();
        let expiry = self.expiry.first().map(|(at, _)| *at);
        let sweep = self.sweep.is_some().then_some(self.now);
        let all = [
            self.waiters.due(),
            self.replication.due(),
            self.empty.next_deadline(),
            expiry.filter(|_| room),
            sweep.filter(|_| room),
        ];
        all.into_iter().flatten().min()
    }
}
