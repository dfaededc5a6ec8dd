//! The location journal: bindings and the directory survive the process. Changes go to a log, group by
//! group; a snapshot takes the place of long logs; a start reads both. Here are the files and the thread
//! between; what stands in them is the room `journal`'s business.
//!
//! What holds: a change is on the disk `commit_ms` after its shard's turn, plus the time of one write and
//! one fdatasync; a change of the directory before it is acknowledged. What was on the disk is there
//! after a kill or a power cut; a write that was cut short is found out and cut off. A full disk stops
//! nothing but the journal, and that loudly.

mod figures;
mod inspect;
mod keeper;
mod log;
mod place;
mod recovery;
#[cfg(test)]
mod samples;
mod snapshot;
mod state;
#[cfg(test)]
mod tests;
mod tray;

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ::journal::DirectoryOrders;
use reactor::clock::Clock;
use reactor::probe::{Finding, Severity};

pub(crate) use figures::{Figures, Numbers};
pub(crate) use inspect::{Form, inspect};
pub(crate) use keeper::{Manner, Work};
pub(crate) use place::OpenError;
use place::Place;
pub(crate) use recovery::Restored;
pub(crate) use tray::{Outgoing, Tray};

/// The task that keeps the journal until `stop`, when there is one; to be waited for at the end.
pub(super) fn keep(work: Option<Work>, stop: &Arc<AtomicBool>) -> impl Future<Output = ()> + use<> {
    let stop = Arc::clone(stop);
    let task = work.map(|work| glommio::spawn_local(async move { work.keep(&stop).await }));
    async move {
        if let Some(task) = task {
            task.await;
        }
    }
}

/// A journal that was opened and read.
pub(crate) struct Opened {
    /// What was in it.
    pub(crate) restored: Restored,
    /// Where each shard lays down its changes, by shard.
    trays: Vec<Tray>,
    /// Its numbers.
    pub(crate) figures: Figures,
    /// For the housekeeping.
    pub(crate) work: Work,
}

impl Opened {
    /// Where this shard lays down its changes.
    pub(crate) fn outgoing(&self, shard: usize) -> Outgoing {
        let tray = self.trays.get(shard).cloned();
        tray.map_or_else(Outgoing::default, Outgoing::to)
    }
}

/// For `tipring doctor`: whether a journal could be kept here.
pub(crate) fn finding(directory: &Path) -> Finding {
    // When it cannot be made, that is what is found below.
    let _ = place::make(directory);
    super::writable("journal", directory, (Severity::Fail, ADVICE))
}

const ADVICE: &str = "raise the memlock limit (LimitMEMLOCK=infinity), let this user write to journal.directory \
                      (StateDirectory= in the unit), or set journal.enabled = false: bindings then end with the \
                      process";

/// Takes the directory, reads what is in it, and prepares the work. May take seconds for millions of
/// bindings. Changes of the directory come by `orders`.
///
/// # Errors
/// The directory cannot be used, or another router has it.
pub(crate) fn open(
    directory: &Path,
    manner: Manner,
    clock: Clock,
    listeners: Vec<SocketAddr>,
    shards: usize,
    orders: DirectoryOrders,
) -> Result<Opened, OpenError> {
    super::executor().map(drop).map_err(OpenError::Executor)?;
    let (place, lock) = Place::take(directory)?;
    let (restored, found) = recovery::recover(&place, keeper::clocks(&clock), &listeners)?;
    let figures = Figures::default();
    figures.update(|numbers| {
        numbers.restored = found.bindings;
        numbers.expired = found.expired;
        numbers.damaged_bytes = found.damaged_bytes;
        numbers.log_bytes = found.log_bytes;
    });
    let trays: Vec<Tray> = (0..shards).map(|_| Tray::default()).collect();
    Ok(Opened {
        work: Work {
            place,
            lock,
            manner,
            clock,
            listeners,
            restored: restored.clone(),
            found,
            trays: trays.clone(),
            orders,
            figures: figures.clone(),
        },
        restored,
        trays,
        figures,
    })
}
