//! Shards and the mailboxes between them, which lose, repeat, delay and reorder letters when they are told to.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use stack::{Random, Time};

use super::super::lane::REGISTRATIONS_MAX;
use super::super::{Edits, Letter, Location, LocationChange, Refused, Registration, Update};
use crate::config::{Config, Listener};
use crate::rdb::Table;

/// What the mailboxes do.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mail {
    /// Of a hundred letters so many are lost.
    pub(super) lost: u64,
    /// So many come twice.
    pub(super) twice: u64,
    /// Each takes up to so many milliseconds.
    pub(super) takes_ms: u64,
}

/// An update's outcome.
pub(super) type Result = std::result::Result<Arc<Registration>, Refused>;

/// The shards.
pub(super) struct Net {
    pub(super) now: Time,
    pub(super) shards: Vec<Location<u64>>,
    pub(super) mail: Mail,
    /// Nothing reaches this one, and nothing comes from it.
    pub(super) cut_off: Option<u8>,
    under_way: Vec<(Time, u8, Letter)>,
    random: Random,
    /// By who asked.
    pub(super) outcomes: BTreeMap<u64, Result>,
    pub(super) changes: Vec<LocationChange>,
    /// The highest version of each user that each shard has had.
    seen: Vec<BTreeMap<String, u64>>,
    asked: u64,
    users: BTreeSet<String>,
    /// Those who only ask for what is there.
    fetches: BTreeSet<u64>,
}

/// One shard of so many.
pub(super) fn config(shard: u8, shards: u8) -> Config {
    let listener = Listener {
        address: SocketAddr::from(([127, 0, 0, 1], 5060)),
        advertise_host: "h".to_owned(),
        advertise_port: 5060,
    };
    let table = Table::parse("[]").expect("an empty table");
    let mut config = Config::new(vec![listener], Arc::new(table));
    (config.shard, config.shards) = (shard, shards);
    config
}

impl Net {
    pub(super) fn new(shards: u8, seed: u64) -> Net {
        Net::with(shards, seed, |_| {})
    }

    pub(super) fn with(shards: u8, seed: u64, change: impl Fn(&mut Config)) -> Net {
        let shard = |shard| {
            let mut config = config(shard, shards);
            change(&mut config);
            Location::new(&config, seed ^ u64::from(shard))
        };
        Net {
            now: Time::ZERO,
            shards: (0..shards).map(shard).collect(),
            mail: Mail::default(),
            cut_off: None,
            under_way: Vec::new(),
            random: Random::new(seed),
            outcomes: BTreeMap::new(),
            changes: Vec::new(),
            seen: vec![BTreeMap::new(); usize::from(shards)],
            asked: 0,
            users: BTreeSet::new(),
            fetches: BTreeSet::new(),
        }
    }

    /// Asks one shard; who asks.
    pub(super) fn ask(&mut self, shard: u8, update: Update) -> u64 {
        self.asked += 1;
        self.users.insert(update.aor.to_string());
        if update.edits == Edits::Fetch {
            self.fetches.insert(self.asked);
        }
        let now = self.now;
        self.shards[usize::from(shard)].ask(now, self.asked, update);
        self.drain(shard);
        self.asked
    }

    /// Asks one shard and lets a second pass.
    pub(super) fn answer(&mut self, shard: u8, update: Update) -> Result {
        let who = self.ask(shard, update);
        self.pass(Duration::from_secs(1));
        self.outcomes[&who].clone()
    }

    /// Asks one shard and lets more time pass than it waits for others.
    pub(super) fn answer_late(&mut self, shard: u8, update: Update) -> Result {
        let who = self.ask(shard, update);
        self.pass(Duration::from_secs(3));
        self.outcomes[&who].clone()
    }

    pub(super) fn owner(&self, update: &Update) -> u8 {
        self.shards[0].terms.owner(&update.aor)
    }

    /// Lets time pass, a letter or a timer at a time.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.next().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.deliver();
            (0..self.shards.len()).for_each(|shard| self.wake(shard));
        }
        self.now = end;
    }

    fn wake(&mut self, shard: usize) {
        for _ in 0..100 {
            if self.shards[shard].due().is_none_or(|due| due > self.now) {
                return;
            }
            self.shards[shard].handle_timeout(self.now);
            self.drain(shard as u8);
        }
        panic!("shard {shard} spins");
    }

    fn next(&self) -> Option<Time> {
        let timers = self.shards.iter().filter_map(|shard| shard.due());
        timers.chain(self.under_way.iter().map(|it| it.0)).min()
    }

    fn deliver(&mut self) {
        let now = self.now;
        let due: Vec<_> = self.under_way.extract_if(.., |it| it.0 <= now).collect();
        for (_, to, letter) in due {
            self.shards[usize::from(to)].hear(now, &letter);
            self.drain(to);
        }
    }

    fn drain(&mut self, shard: u8) {
        let at = usize::from(shard);
        self.look_at(at);
        while let Some((who, result)) = self.shards[at].poll_outcome() {
            if !self.fetches.contains(&who) {
                self.check_visible(&result);
            }
            let before = self.outcomes.insert(who, result);
            assert_eq!(before, None, "told twice");
        }
        while let Some((to, letter)) = self.shards[at].poll_letter() {
            assert_eq!(letter.from, shard);
            assert!(letter.registrations.len() <= REGISTRATIONS_MAX);
            self.post(shard, to, letter);
        }
        while let Some(change) = self.shards[at].poll_change() {
            self.changes.push(change);
        }
    }

    fn post(&mut self, from: u8, to: u8, letter: Letter) {
        if self.cut_off.is_some_and(|it| it == from || it == to) {
            return;
        }
        let copies =
            u64::from(!self.chance(self.mail.lost)) * (1 + u64::from(self.chance(self.mail.twice)));
        for _ in 0..copies {
            let takes = self.random.next_u64() % (self.mail.takes_ms + 1);
            let at = self.now + Duration::from_millis(takes);
            self.under_way.push((at, to, letter.clone()));
        }
    }

    fn chance(&mut self, of_a_hundred: u64) -> bool {
        self.random.next_u64() % 100 < of_a_hundred
    }

    /// A registration that a shard has had is never followed by an older one.
    fn look_at(&mut self, shard: usize) {
        for name in &self.users {
            if let Some(registration) = self.shards[shard].table.of(name) {
                let seen = self.seen[shard].entry(name.clone()).or_default();
                assert!(
                    registration.version >= *seen,
                    "{registration:?} after {seen}"
                );
                *seen = registration.version;
            }
        }
    }

    /// What is answered 200 is known to a call on any shard.
    fn check_visible(&mut self, result: &Result) {
        (0..self.shards.len()).for_each(|shard| self.look_at(shard));
        let Ok(registration) = result else { return };
        for seen in &self.seen {
            let version = seen.get(registration.aor.as_str()).copied().unwrap_or(0);
            assert!(
                version >= registration.version,
                "{registration:?} is not everywhere"
            );
        }
    }

    /// How many letters with registrations are under way on each way.
    pub(super) fn lanes(&self) -> impl Iterator<Item = usize> {
        self.shards.iter().flat_map(|it| it.replication.under_way())
    }

    /// All shards have the same, and the same as was told last.
    pub(super) fn check_converged(&self) {
        let mut last = BTreeMap::new();
        for change in &self.changes {
            last.insert(change.registration.aor.clone(), &change.registration);
        }
        for shard in &self.shards {
            assert!(shard.is_quiet(), "{shard:?}");
            for (aor, registration) in &last {
                let told = Some(*registration).filter(|it| !it.bindings.is_empty());
                assert_eq!(shard.of(aor.as_str()), told);
            }
        }
    }
}
