//! INVITEs that wait until another shard has said whom they are for. Each is kept whole and read again when
//! the answer is there; who waits too long, or finds no place, is refused.

use std::collections::VecDeque;
use std::time::Duration;

use stack::{Flow, ServerId, Time};

use super::named::Relation;

/// INVITEs that wait at once. The answer takes one turn of each shard, so a thousand are more than any
/// rate of transfers needs, and little memory for a stranger to fill.
const HELD_MAX: usize = 1024;
/// A shard that has not answered by then has lost the question.
const PATIENCE: Duration = Duration::from_secs(2);

/// An INVITE that waits.
#[derive(Debug)]
pub(crate) struct Waiter {
    number: u64,
    due: Time,
    pub(crate) server: ServerId,
    pub(crate) source: Flow,
    pub(crate) relation: Relation,
    pub(crate) text: Box<[u8]>,
}

/// All that wait, in the order of their numbers and so of their times.
#[derive(Debug, Default)]
pub(crate) struct Held {
    waiters: VecDeque<Waiter>,
    next: u64,
}

impl Held {
    /// The limit that [`Held::hold`] keeps.
    pub(crate) const LIMIT: usize = HELD_MAX;

    /// Keeps a request; the number of the question it waits for, `None` at the limit.
    pub(crate) fn hold(
        &mut self,
        now: Time,
        server: ServerId,
        source: Flow,
        relation: Relation,
        text: &[u8],
    ) -> Option<u64> {
        if self.waiters.len() >= HELD_MAX {
            return None;
        }
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.waiters.push_back(Waiter {
            number,
            due: now + PATIENCE,
            server,
            source,
            relation,
            text: text.into(),
        });
        Some(number)
    }

    /// Takes out the one that waits for the answer to this question.
    pub(crate) fn take(&mut self, number: u64) -> Option<Waiter> {
        let at = self
            .waiters
            .binary_search_by_key(&number, |waiter| waiter.number);
        self.waiters.remove(at.ok()?)
    }

    /// Takes out the one that was cancelled.
    pub(crate) fn cancelled(&mut self, server: ServerId) -> Option<Waiter> {
        let at = self.waiters.iter().position(|it| it.server == server)?;
        self.waiters.remove(at)
    }

    /// Takes out the next one that has waited too long.
    pub(crate) fn expire(&mut self, now: Time) -> Option<Waiter> {
        self.waiters.pop_front_if(|waiter| waiter.due <= now)
    }

    /// When the next one will have waited too long.
    pub(crate) fn due(&self) -> Option<Time> {
        self.waiters.front().map(|waiter| waiter.due)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }
}
