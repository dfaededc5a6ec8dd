//! Datagrams the kernel dropped because a socket's buffer was full: asked of each socket with a system
//! call of a microsecond or so when the socket is cold, so that thousands are asked a few at a time.

use reactor::SocketId;
use stack::Time;

use std::time::Duration;

/// Sockets asked in one look: it shall not keep datagrams waiting.
const SOCKETS_A_LOOK: usize = 16;
/// A flood of drops is one line in this time, not one each second.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// The drops of a row of sockets.
#[derive(Debug, Default)]
pub(crate) struct Drops {
    first: u16,
    /// What each socket said last.
    seen: Vec<u32>,
    /// Who is asked next.
    next: usize,
    total: u64,
    warned: u64,
    warn_at: Time,
}

impl Drops {
    /// Of `count` sockets from `first` on.
    pub(crate) fn of(first: u16, count: usize) -> Drops {
        Drops {
            first,
            seen: vec![0; count],
            ..Drops::default()
        }
    }

    /// Asks the next sockets and returns what all of them have dropped, as far as is known.
    pub(crate) fn look(&mut self, ask: impl Fn(SocketId) -> u64) -> u64 {
        for _ in 0..SOCKETS_A_LOOK.min(self.seen.len()) {
            let id = SocketId(self.first + self.next as u16);
            // The kernel counts in 32 bits.
            let (now, before) = (ask(id) as u32, &mut self.seen[self.next]);
            self.total += u64::from(now.wrapping_sub(*before));
            *before = now;
            self.next = (self.next + 1) % self.seen.len();
        }
        self.total
    }

    /// What all of them have dropped, as far as is known.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// What was dropped until now was meant to be: no warning.
    pub(crate) fn forgive(&mut self) {
        self.warned = self.total;
    }

    /// Drops since the last warning, when it is time for another.
    pub(crate) fn unwarned(&mut self, now: Time) -> Option<u64> {
        let fresh = self.total - self.warned;
        if fresh == 0 || now < self.warn_at {
            return None;
        }
        self.warn_at = now + WARN_EVERY;
        self.warned = self.total;
        Some(fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_socket_is_asked_in_turn_and_its_drops_counted_once() {
        let mut drops = Drops::of(3, 40);
        let ask = |id: SocketId| u64::from(id.0 == 3) * 5 + u64::from(id.0 == 42) * 7;
        assert_eq!(drops.look(ask), 5);
        assert_eq!(drops.look(ask), 5);
        assert_eq!(drops.look(ask), 12);
        assert_eq!(drops.look(ask), 12);
        assert_eq!(Drops::of(0, 0).look(ask), 0);
    }

    #[test]
    fn what_was_forgiven_is_not_warned_of() {
        let mut drops = Drops::of(0, 1);
        drops.look(|_| 5);
        drops.forgive();
        assert_eq!(drops.unwarned(Time::ZERO), None);
        drops.look(|_| 7);
        assert_eq!(drops.unwarned(Time::ZERO), Some(2));
    }

    #[test]
    fn a_counter_that_turns_over_goes_on() {
        let mut drops = Drops::of(0, 1);
        assert_eq!(drops.look(|_| u64::from(u32::MAX)), u64::from(u32::MAX));
        assert_eq!(drops.look(|_| 1), u64::from(u32::MAX) + 2);
    }

    #[test]
    fn warnings_are_few_and_tell_what_is_new() {
        let mut drops = Drops::of(0, 1);
        let at = |seconds: u64| Time::from_nanos(seconds * 1_000_000_000);
        assert_eq!(drops.unwarned(at(1)), None);
        drops.look(|_| 3);
        assert_eq!(drops.unwarned(at(2)), Some(3));
        drops.look(|_| 4);
        assert_eq!(drops.unwarned(at(3)), None);
        assert_eq!(drops.unwarned(at(12)), Some(1));
    }
}
