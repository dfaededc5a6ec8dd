//! The shards' way of handing the records of calls to the housekeeping: a bounded queue that no shard ever
//! waits for, and what a shard keeps of a burst that it does not take.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};

use shard::CallRecord;

/// Records in the queue, all shards together.
pub(crate) const QUEUE: usize = 65_536;
/// Records a shard keeps beyond that: as many as calls may end at once when the router stops.
const KEPT_MAX: usize = 250_000;

/// One shard's end of the queue.
#[derive(Debug)]
pub(crate) struct RecordSender {
    queue: SyncSender<Arc<CallRecord>>,
    kept: VecDeque<Arc<CallRecord>>,
    sent: u64,
    lost: u64,
}

impl RecordSender {
    pub(crate) fn new(queue: SyncSender<Arc<CallRecord>>) -> RecordSender {
        RecordSender {
            queue,
            kept: VecDeque::new(),
            sent: 0,
            lost: 0,
        }
    }

    /// Hands a record over, now or when there is room.
    pub(crate) fn send(&mut self, record: Arc<CallRecord>) {
        self.catch_up();
        if self.kept.len() >= KEPT_MAX {
            self.lost += 1;
            if self.lost.is_power_of_two() {
                let lost = self.lost;
                tracing::error!(lost, "call records are lost: the disk does not keep up");
            }
            return;
        }
        self.kept.push_back(record);
        self.catch_up();
    }

    /// Hands over what has waited, as far as there is room.
    pub(crate) fn catch_up(&mut self) {
        while let Some(record) = self.kept.pop_front() {
            match self.queue.try_send(record) {
                Ok(()) => self.sent += 1,
                Err(TrySendError::Full(record) | TrySendError::Disconnected(record)) => {
                    self.kept.push_front(record);
                    return;
                }
            }
        }
    }

    /// Hands over everything that is left, and waits for it. The shard carries no calls any more.
    pub(crate) fn finish(&mut self) {
        for record in self.kept.drain(..) {
            match self.queue.send(record) {
                Ok(()) => self.sent += 1,
                Err(_) => self.lost += 1,
            }
        }
    }

    /// Records handed over.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Records lost.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }
}
