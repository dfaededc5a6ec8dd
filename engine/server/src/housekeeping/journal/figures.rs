//! The journal's numbers, for whoever scrapes them.

use std::sync::{Arc, Mutex, PoisonError};

/// What the journal has done and how it is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Numbers {
    /// Records that are on the disk.
    pub(crate) records: u64,
    /// Bytes written to logs and snapshots.
    pub(crate) bytes: u64,
    /// Groups of records made durable.
    pub(crate) commits: u64,
    /// Tries that failed.
    pub(crate) failures: u64,
    /// The last try failed.
    pub(crate) failing: bool,
    /// Snapshots that took the place of logs.
    pub(crate) snapshots: u64,
    /// Snapshots that could not be written.
    pub(crate) snapshot_failures: u64,
    /// Bindings' records too long for a frame.
    pub(crate) too_long: u64,
    /// Changes that are not durable yet.
    pub(crate) waiting: u64,
    /// How long the oldest of them has waited, seconds.
    pub(crate) behind_s: f64,
    /// Bytes of the logs since the last snapshot.
    pub(crate) log_bytes: u64,
    /// Bindings that were there after the start.
    pub(crate) restored: u64,
    /// Bindings that had run out while the router was down.
    pub(crate) expired: u64,
    /// Bytes that could not be read at the start.
    pub(crate) damaged_bytes: u64,
}

/// The place where they are written and read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures(Arc<Mutex<Numbers>>);

impl Figures {
    /// Changes them.
    pub(super) fn update(&self, change: impl FnOnce(&mut Numbers)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The latest.
    pub(crate) fn read(&self) -> Numbers {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
