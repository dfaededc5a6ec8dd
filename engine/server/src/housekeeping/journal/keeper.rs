//! The journal at work, as one task of the housekeeping's executor. Every `commit_ms` it takes what the
//! shards and the control side have laid down, appends it to the log, makes it durable with one
//! fdatasync for all of it, and says so to who waits. What cannot be written is tried again and kept
//! meanwhile: a state for each address-of-record, never more than there are.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::mem;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use glommio::Task;
use journal::{
    Clocks, DirectoryFrames, DirectoryOrders, Done, NotKept, append_mark, append_registration,
};
use reactor::clock::Clock;
use stack::Time;

use super::figures::Figures;
use super::log::{FileError, Log};
use super::place::{Lock, Place};
use super::recovery::{Found, Restored};
use super::snapshot;
use super::state::State;
use super::tray::{Changed, Tray};
use crate::housekeeping::attended;

/// Bytes that are written at a time.
const CHUNK: usize = 4 << 20;
/// How soon the journal looks again while changes of the directory come: somebody waits for each.
const LIVELY: Duration = Duration::from_millis(5);
/// How long after the last one.
const LIVELY_FOR: Duration = Duration::from_secs(1);
/// After a write that failed.
const RETRY: Duration = Duration::from_secs(1);
/// After a snapshot that failed.
const SNAPSHOT_RETRY: Duration = Duration::from_secs(60);

/// How the journal is kept.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    /// How long a change waits at most before it is written.
    pub(crate) commit: Duration,
    /// A log longer than this is followed by the next, and logs as long as that and as the last snapshot
    /// by a new snapshot.
    pub(crate) rotate_bytes: u64,
}

/// Everything a keeper begins with. It crosses from the thread that starts the engine to the one that
/// keeps house.
pub(crate) struct Work {
    pub(super) place: Place,
    pub(super) lock: Lock,
    pub(super) manner: Manner,
    pub(super) clock: Clock,
    pub(super) listeners: Vec<SocketAddr>,
    pub(super) restored: Restored,
    pub(super) found: Found,
    pub(super) trays: Vec<Tray>,
    pub(super) orders: DirectoryOrders,
    pub(super) figures: Figures,
}

/// A clock of the engine and the one on the wall, now.
pub(super) fn clocks(clock: &Clock) -> Clocks {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Clocks {
        engine: Time::from_nanos(clock.now_ns()),
        unix_ms: since_1970.unwrap_or_default().as_millis() as u64,
    }
}

impl Work {
    /// Keeps the journal until `stop`, and writes what there is then.
    pub(crate) async fn keep(self, stop: &AtomicBool) {
        let mut keeper = Keeper::new(self);
        loop {
            // Looked at first: what was laid down before it was set is found below.
            let stopping = stop.load(Ordering::Acquire);
            keeper.collect();
            if stopping {
                return attended(keeper.finish()).await;
            }
            attended(keeper.commit()).await;
            attended(keeper.compact()).await;
            glommio::timer::sleep(keeper.pause()).await;
        }
    }
}

struct Keeper {
    _lock: Lock,
    place: Place,
    manner: Manner,
    clock: Clock,
    listeners: Vec<SocketAddr>,
    trays: Vec<Tray>,
    orders: DirectoryOrders,
    figures: Figures,
    /// What is durable.
    state: Rc<RefCell<State>>,
    log: Log,
    /// Bindings that are not durable yet.
    waiting: Changed,
    /// Since when the oldest of them waits.
    since: Option<Instant>,
    /// Memory for the next tray.
    spare: Changed,
    /// Changes of the directory that are not durable yet, in order.
    changes: VecDeque<(DirectoryFrames, Done)>,
    lively_until: Option<Instant>,
    retry_at: Option<Instant>,
    /// The logs before the current one, since the last snapshot.
    older_bytes: u64,
    /// Those that the snapshot which is being written makes needless.
    covered_bytes: u64,
    /// The last snapshot, and all of this run.
    snapshot_bytes: u64,
    snapshots_bytes: u64,
    snapshot_at: Option<Instant>,
    snapshot: Option<Compaction>,
}

/// A snapshot that is being written; dropped, it is given up.
struct Compaction {
    _task: Task<()>,
    outcome: Rc<RefCell<Option<Result<u64, FileError>>>>,
}

impl Keeper {
    fn new(work: Work) -> Keeper {
        let found = work.found;
        let state = State::new(&work.restored.registrations, &work.restored.directory);
        let now = Instant::now();
        let patient = (!found.wants_snapshot).then_some(now);
        Keeper {
            _lock: work.lock,
            log: Log::new(
                work.place.clone(),
                work.listeners.clone(),
                found.next,
                found.before,
            ),
            place: work.place,
            manner: work.manner,
            clock: work.clock,
            listeners: work.listeners,
            trays: work.trays,
            orders: work.orders,
            figures: work.figures,
            state: Rc::new(RefCell::new(state)),
            waiting: Changed::new(),
            since: None,
            spare: Changed::new(),
            changes: VecDeque::new(),
            lively_until: None,
            retry_at: None,
            older_bytes: found.log_bytes,
            covered_bytes: 0,
            snapshot_bytes: found.snapshot_bytes,
            snapshots_bytes: 0,
            snapshot_at: patient,
            snapshot: None,
        }
    }

    // --- collecting

    /// Takes what has been laid down; bindings last, so that those which were laid down before a change of the
    /// directory are on the disk with it.
    fn collect(&mut self) {
        while let Some((change, done)) = self.orders.next() {
            self.lively_until = Some(Instant::now() + LIVELY_FOR);
            match self.retry_at {
                // Who waits is told at once that the disk is full.
                Some(_) => done(Err(NotKept::Disk)),
                None => self.changes.push_back((DirectoryFrames::new(change), done)),
            }
        }
        for tray in &self.trays {
            let mut changed = tray.empty(mem::take(&mut self.spare));
            self.waiting.extend(changed.drain());
            self.spare = changed;
        }
        if !self.waiting.is_empty() {
            self.since.get_or_insert_with(Instant::now);
        }
        let waiting = (self.waiting.len() + self.changes.len()) as u64;
        let behind_s = self
            .since
            .map_or(0.0, |since| since.elapsed().as_secs_f64());
        self.figures.update(|numbers| {
            numbers.waiting = waiting;
            numbers.behind_s = behind_s;
        });
    }

    fn pause(&self) -> Duration {
        let lively = self
            .lively_until
            .is_some_and(|until| Instant::now() < until);
        match lively && self.retry_at.is_none() {
            true => LIVELY.min(self.manner.commit),
            false => self.manner.commit,
        }
    }

    // --- commits

    /// Makes durable what waits, unless it failed a moment ago.
    async fn commit(&mut self) {
        let nothing = self.waiting.is_empty() && self.changes.is_empty();
        if nothing || self.retry_at.is_some_and(|at| Instant::now() < at) {
            return;
        }
        match self.write().await {
            Ok(finished) => self.succeeded(finished),
            Err(error) => self.failed(&error).await,
        }
        if self.log.bytes() > self.manner.rotate_bytes {
            self.rotate().await;
        }
    }

    /// Appends all that waits and makes it durable; how many changes of the directory are whole with that.
    /// A long one is written over several commits.
    async fn write(&mut self) -> Result<usize, FileError> {
        let now = clocks(&self.clock);
        let mut out = Vec::with_capacity(64 << 10);
        let mut too_long = 0;
        append_mark(&mut out, now.unix_ms);
        for registration in self.waiting.values() {
            too_long += u64::from(!append_registration(&mut out, registration, &now));
            if out.len() >= CHUNK {
                self.log.append(mem::take(&mut out), now.unix_ms).await?;
            }
        }
        self.log.append(mem::take(&mut out), now.unix_ms).await?;
        let mut finished = 0;
        for (frames, _) in &mut self.changes {
            if !frames.append(&mut out, CHUNK) {
                break;
            }
            finished += 1;
        }
        if !out.is_empty() {
            self.log.append(out, now.unix_ms).await?;
        }
        self.log.sync().await?;
        self.figures.update(|numbers| numbers.too_long += too_long);
        Ok(finished)
    }

    fn succeeded(&mut self, finished: usize) {
        let mut state = self.state.borrow_mut();
        let records = (self.waiting.len() + finished) as u64;
        for (_, registration) in self.waiting.drain() {
            state.apply(&registration);
        }
        for (frames, done) in self.changes.drain(..finished) {
            state.apply_directory(frames.change());
            done(Ok(()));
        }
        drop(state);
        self.since = None;
        if self.retry_at.take().is_some() {
            tracing::info!(records, "journal: writing again");
        }
        let log_bytes = self.covered_bytes + self.older_bytes + self.log.bytes();
        let bytes = self.log.total() + self.snapshots_bytes;
        self.figures.update(|numbers| {
            numbers.records += records;
            numbers.commits += 1;
            numbers.failing = false;
            numbers.waiting = 0;
            numbers.behind_s = 0.0;
            numbers.log_bytes = log_bytes;
            numbers.bytes = bytes;
        });
    }

    async fn failed(&mut self, error: &FileError) {
        if self.retry_at.is_none() {
            let directory = self.place.path().display();
            tracing::error!(
                %error, %directory,
                "journal: cannot be written; calls and registrations go on, and would be lost with the process"
            );
        }
        self.retry_at = Some(Instant::now() + RETRY);
        self.rotate().await;
        for (_, done) in self.changes.drain(..) {
            done(Err(NotKept::Disk));
        }
        self.figures.update(|numbers| {
            numbers.failures += 1;
            numbers.failing = true;
        });
    }

    async fn rotate(&mut self) {
        self.older_bytes += self.log.bytes();
        self.log.leave().await;
    }

    // --- snapshots

    /// Begins a snapshot when the logs are long, and takes note of the end of one.
    async fn compact(&mut self) {
        if let Some(running) = &self.snapshot {
            let outcome = running.outcome.borrow_mut().take();
            return outcome.map_or((), |outcome| self.snapshot_ended(outcome));
        }
        let logs = self.older_bytes + self.log.bytes();
        let long = logs > self.manner.rotate_bytes.max(self.snapshot_bytes);
        let due = match self.snapshot_at {
            None => true,
            Some(at) => long && Instant::now() >= at,
        };
        // A domain that is half written has its begin in the logs and nowhere else.
        if due && self.changes.is_empty() && self.retry_at.is_none() {
            self.rotate().await;
            self.begin_snapshot();
        }
    }

    fn begin_snapshot(&mut self) {
        let (place, number) = (self.place.clone(), self.log.next());
        let (listeners, state) = (self.listeners.clone(), Rc::clone(&self.state));
        let clock = self.clock;
        let now = move || clocks(&clock);
        let outcome = Rc::new(RefCell::new(None));
        let told = Rc::clone(&outcome);
        let task = glommio::spawn_local(async move {
            let written = attended(snapshot::write(place, number, listeners, state, now)).await;
            *told.borrow_mut() = Some(written);
        });
        self.snapshot = Some(Compaction {
            _task: task,
            outcome,
        });
        self.covered_bytes = mem::take(&mut self.older_bytes);
    }

    fn snapshot_ended(&mut self, outcome: Result<u64, FileError>) {
        self.snapshot = None;
        self.snapshot_at = Some(Instant::now());
        let covered = mem::take(&mut self.covered_bytes);
        match outcome {
            Ok(length) => {
                self.snapshot_bytes = length;
                self.snapshots_bytes += length;
                tracing::debug!(length, "journal: snapshot written");
                self.figures.update(|numbers| numbers.snapshots += 1);
            }
            Err(error) => {
                tracing::error!(%error, "journal: no snapshot could be written; the logs grow until one can");
                self.snapshot_failed(covered);
            }
        }
    }

    fn snapshot_failed(&mut self, covered: u64) {
        self.older_bytes += covered;
        self.snapshot_at = Some(Instant::now() + SNAPSHOT_RETRY);
        self.figures
            .update(|numbers| numbers.snapshot_failures += 1);
    }

    // --- the end

    /// Writes what is left, tries once more what failed, and says what is lost.
    async fn finish(mut self) {
        self.retry_at = None;
        while !(self.waiting.is_empty() && self.changes.is_empty()) && self.retry_at.is_none() {
            self.commit().await;
        }
        // What it has written has no name yet; the next start removes it.
        self.snapshot = None;
        let lost = self.waiting.len();
        if lost > 0 {
            tracing::error!(lost, "journal: bindings that could not be written are lost");
        }
        self.log.leave().await;
    }
}
