//! The queue of timers that share one duration: first armed, first due.

use std::collections::VecDeque;
use std::time::Duration;

use crate::Time;

/// Timers of one fixed duration. There is no cancel: whoever takes an entry out judges whether it
/// still matters.
#[derive(Debug)]
pub struct Fifo<T> {
    duration: Duration,
    waiting: VecDeque<(Time, T)>,
}

impl<T> Fifo<T> {
    /// An empty queue for timers that last `duration`.
    #[must_use]
    pub fn new(duration: Duration) -> Fifo<T> {
        Fifo {
            duration,
            waiting: VecDeque::new(),
        }
    }

    /// Arms a timer that is due `duration` after `now`. `now` must not go backwards between calls.
    pub fn push(&mut self, now: Time, payload: T) {
        let deadline = now + self.duration;
        debug_assert!(
            self.waiting
                .back()
                .is_none_or(|(last, _)| *last <= deadline)
        );
        self.waiting.push_back((deadline, payload));
    }

    /// Takes the first timer that is due at `now`.
    pub fn expire(&mut self, now: Time) -> Option<T> {
        match self.waiting.front() {
            Some((deadline, _)) if *deadline <= now => self.waiting.pop_front().map(|(_, due)| due),
            _ => None,
        }
    }

    /// When the first timer is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.waiting.front().map(|(deadline, _)| *deadline)
    }

    /// The first timer's payload.
    #[must_use]
    pub fn peek(&self) -> Option<&T> {
        self.waiting.front().map(|(_, payload)| payload)
    }

    /// The payloads of all timers, the first due first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.waiting.iter().map(|(_, payload)| payload)
    }

    /// How many timers wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_out_in_order_and_not_early() {
        let mut fifo = Fifo::new(Duration::from_nanos(10));
        fifo.push(Time::from_nanos(0), 'a');
        fifo.push(Time::from_nanos(3), 'b');
        assert_eq!(fifo.next_deadline(), Some(Time::from_nanos(10)));
        assert_eq!(fifo.peek(), Some(&'a'));
        assert!(fifo.iter().eq(&['a', 'b']));
        assert_eq!(fifo.expire(Time::from_nanos(9)), None);
        assert_eq!(fifo.expire(Time::from_nanos(10)), Some('a'));
        assert_eq!(fifo.expire(Time::from_nanos(12)), None);
        assert_eq!(fifo.len(), 1);
        assert_eq!(fifo.expire(Time::from_nanos(99)), Some('b'));
        assert_eq!(fifo.next_deadline(), None);
        assert!(fifo.is_empty());
    }
}
