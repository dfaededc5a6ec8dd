//! The start: reading what the last run left, and cutting off what it could not finish. It runs before
//! any call is taken, on the thread that starts the engine.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use journal::{Clocks, Damage, Frames, Header, HeaderError, Latest, Replay, Revived, Segment};
use router::{Directory, Registration};

use super::place::{Files, OpenError, Place};

/// What the last run left.
#[derive(Clone, Debug, Default)]
pub(crate) struct Restored {
    /// Bindings that are still in force.
    pub(crate) registrations: Arc<[Arc<Registration>]>,
    /// The domains that were pushed over HTTP.
    pub(crate) directory: Directory,
}

impl Restored {
    /// The directory to begin with: the configured domains, and those that were pushed and have no
    /// configured one of their name.
    pub(crate) fn directory_with(&self, configured: &Directory) -> Arc<Directory> {
        Arc::new(configured.with(&self.directory))
    }
}

/// What was found in the files.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    /// Bindings that are still in force.
    pub(super) bindings: u64,
    /// Bindings that ran out in between.
    pub(super) expired: u64,
    /// Bytes that could not be read.
    pub(super) damaged_bytes: u64,
    /// The number of the next segment.
    pub(super) next: u64,
    /// The last log and its length.
    pub(super) before: Option<(u64, u64)>,
    /// Bytes of the logs since the last snapshot.
    pub(super) log_bytes: u64,
    /// Bytes of that.
    pub(super) snapshot_bytes: u64,
    /// A snapshot should be written at once: the logs are damaged, or their times are another clock's.
    pub(super) wants_snapshot: bool,
}

/// A file that is read.
struct Part {
    path: PathBuf,
    number: u64,
    is_log: bool,
    bytes: Vec<u8>,
}

/// Reads the journal, cuts its torn end, and removes what a snapshot has made needless.
pub(super) fn recover(
    place: &Place,
    now: Clocks,
    listeners: &[SocketAddr],
) -> Result<(Restored, Found), OpenError> {
    let begun = Instant::now();
    let files = place.files().map_err(OpenError::at(place.path()))?;
    let snapshot = files.snapshots.keys().next_back().copied().unwrap_or(0);
    let next = highest(&files) + 1;
    let parts = read_parts(&files, snapshot)?;
    let mut found = Found {
        next,
        ..Found::default()
    };
    let restored = replay(place, &parts, now, listeners, &mut found)?;
    for needless in files.needless(snapshot) {
        // It is looked for again at the next start.
        let _ = fs::remove_file(needless);
    }
    let (bindings, expired) = (found.bindings, found.expired);
    let aors = restored.registrations.len();
    let domains = restored.directory.domains().count();
    let ms = begun.elapsed().as_millis() as u64;
    let directory = place.path().display();
    tracing::info!(%directory, aors, bindings, expired, domains, ms, "journal read");
    Ok((restored, found))
}

fn highest(files: &Files) -> u64 {
    let all = files.logs.keys().chain(files.snapshots.keys());
    all.max().copied().unwrap_or(0)
}

/// The newest snapshot and the logs from its number on, oldest first, each as far as it was left in order.
fn read_parts(files: &Files, snapshot: u64) -> Result<Vec<Part>, OpenError> {
    let snapshots = files.snapshots.range(snapshot..);
    let logs = files.logs.range(snapshot..);
    let mut parts = Vec::new();
    for (is_log, (number, path)) in snapshots
        .map(|file| (false, file))
        .chain(logs.map(|file| (true, file)))
    {
        parts.push(Part {
            path: path.clone(),
            number: *number,
            is_log,
            bytes: fs::read(path).map_err(OpenError::at(path))?,
        });
    }
    let left = lengths(&parts);
    for part in parts.iter_mut().filter(|part| part.is_log) {
        let left = left.get(&part.number).map(|length| *length as usize);
        if let Some(left) = left.filter(|left| *left < part.bytes.len()) {
            part.bytes.truncate(left);
        }
    }
    Ok(parts)
}

/// How long each log was when the next one was begun, as that one says.
fn lengths(parts: &[Part]) -> BTreeMap<u64, u64> {
    let header = |part: &Part| {
        let frame = Frames::new(&part.bytes).next()?;
        Header::of(frame).ok()?.before
    };
    parts.iter().filter_map(header).collect()
}

fn replay(
    place: &Place,
    parts: &[Part],
    now: Clocks,
    listeners: &[SocketAddr],
    found: &mut Found,
) -> Result<Restored, OpenError> {
    let mut replay = Replay::default();
    let last = parts.iter().rposition(|part| part.is_log);
    for (index, part) in parts.iter().enumerate() {
        let outcome = replay.read(&part.bytes);
        let whole = judge(place, part, &outcome, Some(index) == last, found)?;
        match part.is_log {
            true => {
                found.log_bytes += whole;
                found.before = (whole > 0).then_some((part.number, whole));
            }
            false => found.snapshot_bytes = whole,
        }
    }
    if now.unix_ms + SET_BACK_MS < replay.last_mark_ms() {
        let set_back_s = (replay.last_mark_ms() - now.unix_ms) / 1000;
        tracing::warn!(
            set_back_s,
            "journal: the wall clock was set back since it was written; the time the router was down is not counted"
        );
        found.wants_snapshot = true;
    }
    let directory = replay.directory();
    let table = replay.listeners(listeners);
    Ok(Restored {
        registrations: revive(&replay.latest(), now, &table, found),
        directory,
    })
}

/// A clock that is behind by less is one that is being trimmed.
const SET_BACK_MS: u64 = 2_000;

/// What is to be said and done about a segment; how many of its bytes are good.
fn judge(
    place: &Place,
    part: &Part,
    outcome: &Result<Segment, HeaderError>,
    last: bool,
    found: &mut Found,
) -> Result<u64, OpenError> {
    let file = part.path.display();
    let segment = match outcome {
        Ok(segment) => segment,
        Err(HeaderError::Newer(version)) => {
            return Err(OpenError::Newer {
                path: part.path.clone(),
                version: *version,
            });
        }
        // Its first write was cut short: nothing of it was ever acknowledged.
        Err(HeaderError::NoHeader) if last && part.bytes.len() < FIRST_WRITE => {
            tracing::warn!(%file, "journal: removed a log that was never begun");
            return match fs::remove_file(&part.path) {
                Ok(()) => Ok(0),
                Err(error) => Err(OpenError::at(&part.path)(error)),
            };
        }
        Err(HeaderError::NoHeader) => {
            let kept = keep_copy(place, &part.path)?;
            let kept = kept.display();
            tracing::error!(%file, %kept, "journal: no segment of a journal; passed over, and a copy kept");
            found.damaged_bytes += part.bytes.len() as u64;
            found.wants_snapshot = true;
            return Ok(0);
        }
    };
    let (whole, counts) = (segment.whole_bytes as u64, &segment.counts);
    if counts.senseless + counts.unknown > 0 {
        let (senseless, unknown) = (counts.senseless, counts.unknown);
        tracing::error!(%file, senseless, unknown, "journal: records were passed over");
    }
    match segment.damage {
        None if segment.complete => {}
        None => {
            found.wants_snapshot = true;
            tracing::error!(%file, "journal: the snapshot has no end; what there is was read");
        }
        Some(Damage::Tail { bytes }) if last => {
            tracing::warn!(%file, bytes, "journal: cut off a write that was not finished");
            cut(&part.path, whole)?;
            found.damaged_bytes += bytes as u64;
        }
        Some(Damage::Tail { bytes } | Damage::Middle { bytes }) => {
            let kept = keep_copy(place, &part.path)?;
            let kept = kept.display();
            tracing::error!(
                %file, bytes, at = whole, %kept,
                "journal: damaged in the middle; what stands behind the damage in this file is not used, and a copy kept"
            );
            if last {
                cut(&part.path, whole)?;
            }
            found.damaged_bytes += bytes as u64;
            found.wants_snapshot = true;
        }
    }
    Ok(whole)
}

/// A header of 64 listeners is shorter.
const FIRST_WRITE: usize = 4_096;

/// Keeps a copy of a damaged file, once.
fn keep_copy(place: &Place, path: &Path) -> Result<PathBuf, OpenError> {
    let kept = place.damaged(path);
    if !kept.exists() {
        fs::copy(path, &kept).map_err(OpenError::at(&kept))?;
    }
    Ok(kept)
}

fn cut(path: &Path, length: u64) -> Result<(), OpenError> {
    let cut = || -> io::Result<()> {
        let file = File::options().write(true).open(path)?;
        file.set_len(length)?;
        file.sync_all()
    };
    cut().map_err(OpenError::at(path))
}

/// Makes values of the last records, on as many threads as there are CPUs for a long journal.
fn revive(
    latest: &[Latest<'_>],
    now: Clocks,
    listeners: &[Vec<Option<u16>>],
    found: &mut Found,
) -> Arc<[Arc<Registration>]> {
    let threads = match latest.len() {
        0..10_000 => 1,
        _ => std::thread::available_parallelism()
            .map_or(1, usize::from)
            .min(4),
    };
    let share = latest.len().div_ceil(threads).max(1);
    let one = |share: &[Latest<'_>]| -> Vec<Option<Revived>> {
        share.iter().map(|one| one.revive(now, listeners)).collect()
    };
    let parts: Vec<Vec<Option<Revived>>> = std::thread::scope(|scope| {
        let spawned = latest
            .chunks(share)
            .map(|part| scope.spawn(move || one(part)));
        let spawned: Vec<_> = spawned.collect();
        let parts = spawned.into_iter().map(|thread| thread.join());
        parts.map(Result::unwrap_or_default).collect()
    });
    let mut alive = Vec::with_capacity(latest.len());
    let (mut senseless, mut homeless) = (0_u64, 0);
    for revived in parts.into_iter().flatten() {
        let Some(revived) = revived else {
            senseless += 1;
            continue;
        };
        found.expired += revived.expired;
        homeless += revived.homeless;
        if let Some(registration) = revived.registration {
            found.bindings += registration.bindings.len() as u64;
            alive.push(registration);
        }
    }
    if senseless + homeless > 0 {
        tracing::error!(
            senseless,
            homeless,
            "journal: bindings were passed over: without sense, or of a listener that is gone"
        );
    }
    alive.into()
}
