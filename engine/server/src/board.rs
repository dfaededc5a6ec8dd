//! The notice board of a shard: a copy of its numbers, pinned up once a second by its thread and read
//! by whoever wants to. The shard never waits for a reader.

use std::sync::{Arc, Mutex, PoisonError};

/// What a shard and its reactor have counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Snapshot {
    /// Goes up with each publication: the sign of life the watchdog looks for.
    pub(crate) beat: u64,
    /// The shard's counters.
    pub(crate) shard: shard::Counters,
    /// The reactor's.
    pub(crate) reactor: reactor::Counters,
    /// Datagrams the kernel dropped because a socket's buffer was full.
    pub(crate) kernel_drops: u64,
    /// The same on media ports, as far as they were asked.
    pub(crate) media_kernel_drops: u64,
    /// Datagrams handed over to the shard they belong to.
    pub(crate) handed_over: u64,
    /// Datagrams lost because that shard's mailbox was full.
    pub(crate) hand_over_refused: u64,
    /// Times the latencies of an interval could not be handed to the housekeeping when it ended.
    pub(crate) latency_delayed: u64,
    /// Words for the control thread that were lost because it was behind.
    pub(crate) news_lost: u64,
}

/// One shard's board.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board(Arc<Mutex<Snapshot>>);

impl Board {
    /// Pins a new copy up, unless a reader is just looking; then the next one is newer anyway.
    pub(crate) fn publish(&self, snapshot: &Snapshot) {
        if let Ok(mut pinned) = self.0.try_lock() {
            *pinned = *snapshot;
        }
    }

    /// The latest copy.
    pub(crate) fn read(&self) -> Snapshot {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_sees_the_latest_and_never_stops_the_writer() {
        let board = Board::default();
        board.publish(&Snapshot {
            beat: 1,
            ..Snapshot::default()
        });
        assert_eq!(board.read().beat, 1);
        let reading = board.0.lock().unwrap();
        board.publish(&Snapshot {
            beat: 2,
            ..Snapshot::default()
        });
        drop(reading);
        assert_eq!(board.read().beat, 1);
        board.publish(&Snapshot {
            beat: 3,
            ..Snapshot::default()
        });
        assert_eq!(board.clone().read().beat, 3);
    }
}
