//! Waking a reactor from another thread without a system call when it is awake.
//!
//! Two flags and an eventfd. A sender sets `pending`, then looks at `sleeping`; the reactor sets
//! `sleeping`, then looks at `pending`. All four are sequentially consistent, so at least one of
//! the two sees the other's flag (Dekker's argument): either the sender writes the eventfd, or the
//! reactor does not go to sleep. A wake is never lost, and when the reactor is running it costs one
//! exchange on a shared cache line.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use crossbeam_utils::CachePadded;

struct Shared {
    pending: CachePadded<AtomicBool>,
    sleeping: CachePadded<AtomicBool>,
    event: File,
}

/// Wakes one reactor out of [`crate::Reactor::turn`]. Clone it freely, use it from any thread.
#[derive(Clone)]
pub struct Waker(Arc<Shared>);

impl std::fmt::Debug for Waker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waker")
            .field("sleeping", &self.0.sleeping.load(SeqCst))
            .finish()
    }
}

impl Waker {
    pub(crate) fn new() -> std::io::Result<Waker> {
        // SAFETY: eventfd takes no pointers.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(std::io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nothing else owns it.
        let event = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
        let flag = || CachePadded::new(AtomicBool::new(false));
        Ok(Waker(Arc::new(Shared {
            pending: flag(),
            sleeping: flag(),
            event,
        })))
    }

    /// Makes the reactor's current or next turn report [`crate::Completion::Woken`]. What was
    /// written to memory before this call is visible to the reactor after that report.
    pub fn wake(&self) {
        // Whoever set the flag first looks at `sleeping`; the others ride along.
        if self.0.pending.swap(true, SeqCst) {
            return;
        }
        if self.0.sleeping.load(SeqCst) {
            // It can fail only when the counter is at 2^64 - 2, and then it is readable anyway.
            let _ = (&self.0.event).write(&1u64.to_ne_bytes());
        }
    }

    /// A wake that no turn has reported yet.
    pub(crate) fn is_pending(&self) -> bool {
        self.0.pending.load(SeqCst)
    }

    /// Takes the pending wake, if there is one.
    pub(crate) fn take(&self) -> bool {
        self.is_pending() && self.0.pending.swap(false, SeqCst)
    }

    /// Declares that the reactor is about to sleep. False: a wake is pending and it must not.
    pub(crate) fn fall_asleep(&self) -> bool {
        self.0.sleeping.store(true, SeqCst);
        if self.is_pending() {
            self.0.sleeping.store(false, SeqCst);
            return false;
        }
        true
    }

    /// The reactor is awake again.
    pub(crate) fn awake(&self) {
        self.0.sleeping.store(false, SeqCst);
    }

    pub(crate) fn event_fd(&self) -> RawFd {
        self.0.event.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn event_count(waker: &Waker) -> u64 {
        let mut bytes = [0; 8];
        (&waker.0.event)
            .read_exact(&mut bytes)
            .map_or(0, |()| u64::from_ne_bytes(bytes))
    }

    #[test]
    fn an_awake_reactor_costs_no_system_call() {
        let waker = Waker::new().unwrap();
        waker.wake();
        waker.wake();
        assert_eq!(event_count(&waker), 0);
        assert!(waker.take());
        assert!(!waker.take());
    }

    #[test]
    fn a_sleeping_reactor_gets_one_event_for_many_wakes() {
        let waker = Waker::new().unwrap();
        assert!(waker.fall_asleep());
        waker.wake();
        waker.wake();
        assert_eq!(event_count(&waker), 1);
        waker.awake();
        assert!(waker.take());
    }

    #[test]
    fn a_pending_wake_keeps_the_reactor_up() {
        let waker = Waker::new().unwrap();
        waker.wake();
        assert!(!waker.fall_asleep());
        assert!(waker.take());
        assert!(waker.fall_asleep());
    }
}
