//! The way of a directory change into the journal: the control side hands it over and is told when it is
//! on the disk. A bounded queue between two threads; nobody waits in it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::directory::DirectoryChange;

/// Changes that may wait at once. Each is an order of somebody who waits for its answer.
const WAITING_MAX: usize = 4_096;

/// A change is not in the journal, and will not be: the old directory is what the next start finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotKept {
    /// The disk is full, or failed.
    Disk,
    /// Too many changes wait.
    Busy,
    /// The journal is closed: the process ends.
    Closed,
}

impl std::fmt::Display for NotKept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            NotKept::Disk => "the journal cannot be written",
            NotKept::Busy => "too many changes wait for the journal",
            NotKept::Closed => "the journal is closed",
        })
    }
}

impl std::error::Error for NotKept {}

/// What is called once with how it went, on the journal's thread: it must only pass the word on.
pub type Done = Box<dyn FnOnce(Result<(), NotKept>) + Send>;

#[derive(Default)]
struct Queue {
    orders: VecDeque<(DirectoryChange, Done)>,
    closed: bool,
}

/// The control side's end. Changes are kept in the order they are handed over in.
#[derive(Clone, Default)]
pub struct DirectoryJournal(Arc<Mutex<Queue>>);

impl DirectoryJournal {
    /// Hands a change over; `done` is told when it is durable, or that it is not. A change that is not kept
    /// must not be put in force.
    pub fn keep(&self, change: DirectoryChange, done: Done) {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = match (queue.closed, queue.orders.len() >= WAITING_MAX) {
            (true, _) => NotKept::Closed,
            (false, true) => NotKept::Busy,
            (false, false) => return queue.orders.push_back((change, done)),
        };
        drop(queue);
        done(Err(refused));
    }

    /// The journal's end of it.
    pub fn orders(&self) -> DirectoryOrders {
        DirectoryOrders(self.clone())
    }
}

impl std::fmt::Debug for DirectoryJournal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DirectoryJournal")
    }
}

/// The journal's end. When it is dropped nothing is kept any more.
#[derive(Debug)]
pub struct DirectoryOrders(DirectoryJournal);

impl DirectoryOrders {
    /// Takes the next order.
    pub fn next(&self) -> Option<(DirectoryChange, Done)> {
        let mut queue = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        queue.orders.pop_front()
    }
}

impl Drop for DirectoryOrders {
    fn drop(&mut self) {
        let mut queue = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        queue.closed = true;
        let left = std::mem::take(&mut queue.orders);
        drop(queue);
        left.into_iter()
            .for_each(|(_, done)| done(Err(NotKept::Closed)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn asked(journal: &DirectoryJournal) -> mpsc::Receiver<Result<(), NotKept>> {
        let (tell, told) = mpsc::channel();
        let done = move |outcome| tell.send(outcome).expect("somebody listens");
        journal.keep(DirectoryChange::Removed("a".into()), Box::new(done));
        told
    }

    #[test]
    fn an_order_is_answered_once_whatever_happens() {
        let journal = DirectoryJournal::default();
        let orders = journal.orders();
        let first = asked(&journal);
        assert!(first.try_recv().is_err());
        let (_, done) = orders.next().expect("an order");
        done(Ok(()));
        assert_eq!(first.try_recv(), Ok(Ok(())));
        let waiting: Vec<_> = (0..WAITING_MAX).map(|_| asked(&journal)).collect();
        assert_eq!(asked(&journal).try_recv(), Ok(Err(NotKept::Busy)));
        drop(orders);
        for told in waiting {
            assert_eq!(told.try_recv(), Ok(Err(NotKept::Closed)));
        }
        assert_eq!(asked(&journal).try_recv(), Ok(Err(NotKept::Closed)));
    }
}
