//! REGISTERs whose update is with its owner shard. Each waits for a while and no longer.

use std::collections::VecDeque;
use std::time::Duration;

use stack::Time;

/// REGISTERs that wait at once. An update takes one turn of each shard, so this is more than any rate of them needs.
pub(super) const WAITERS_MAX: usize = 65_536;
/// A change that not every shard has by then is not answered 200.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// All that wait, in the order of their numbers and so of their times.
#[derive(Debug)]
pub(super) struct Waiters<W> {
    /// The number of the first.
    first: u64,
    /// `None`: it waits no longer.
    waiting: VecDeque<Option<(Time, W)>>,
}

impl<W: Copy> Waiters<W> {
    pub(super) fn new() -> Waiters<W> {
        Waiters {
            first: 0,
            waiting: VecDeque::new(),
        }
    }

    /// Lets one wait from now on; the number it waits under, `None` at the limit.
    pub(super) fn admit(&mut self, now: Time, who: W) -> Option<u64> {
        if self.waiting.len() >= WAITERS_MAX {
            return None;
        }
        self.waiting.push_back(Some((now + PATIENCE, who)));
        Some(self.first + self.waiting.len() as u64 - 1)
    }

    /// Takes out the one with this number.
    pub(super) fn take(&mut self, number: u64) -> Option<W> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let (_, who) = self.waiting.get_mut(at)?.take()?;
        self.drop_gone();
        Some(who)
    }

    /// Takes out the next one that has waited too long.
    pub(super) fn expire(&mut self, now: Time) -> Option<W> {
        self.due().filter(|due| *due <= now)?;
        self.take(self.first)
    }

    /// When the next one will have waited too long.
    pub(super) fn due(&self) -> Option<Time> {
        self.waiting.front().copied().flatten().map(|(due, _)| due)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn drop_gone(&mut self) {
        while self.waiting.pop_front_if(|it| it.is_none()).is_some() {
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::at;
    use super::*;

    #[test]
    fn each_is_taken_once_in_any_order() {
        let mut waiters = Waiters::new();
        let numbers: Vec<u64> = "abc"
            .chars()
            .filter_map(|c| waiters.admit(at(0), c))
            .collect();
        assert_eq!(waiters.take(numbers[1]), Some('b'));
        assert_eq!(waiters.take(numbers[1]), None);
        assert_eq!(waiters.take(numbers[0]), Some('a'));
        assert_eq!((waiters.take(numbers[0]), waiters.take(99)), (None, None));
        assert_eq!(waiters.take(numbers[2]), Some('c'));
        assert!(waiters.is_empty());
        let next = waiters.admit(at(0), 'd').unwrap();
        assert!(!numbers.contains(&next));
    }

    #[test]
    fn nobody_waits_for_ever_and_not_too_many_wait() {
        let mut waiters = Waiters::new();
        waiters.admit(at(0), 1);
        waiters.admit(at(1), 2);
        assert_eq!((waiters.expire(at(1)), waiters.due()), (None, Some(at(2))));
        assert_eq!(
            (waiters.expire(at(2)), waiters.expire(at(2))),
            (Some(1), None)
        );
        assert_eq!(waiters.expire(at(3)), Some(2));
        (0..WAITERS_MAX).for_each(|n| assert!(waiters.admit(at(4), n).is_some()));
        assert_eq!(waiters.admit(at(4), 0), None);
    }
}
