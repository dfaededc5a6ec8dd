//! The one system call of a turn, `io_uring_enter`, through a registered ring: the kernel then finds
//! the ring without touching the process's file table. The io-uring crate ties such a registration
//! to a borrowed `Submitter`, which a reactor cannot keep beside its ring, so the three calls are
//! made here. Layouts and numbers are those of linux/io_uring.h.

use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use io_uring::IoUring;

const REGISTER_RING_FDS: libc::c_long = 20;
const UNREGISTER_RING_FDS: libc::c_long = 21;
const GETEVENTS: u32 = 1;
const EXT_ARG: u32 = 8;
const REGISTERED_RING: u32 = 16;
/// "Any free place", as the offset of a registration.
const ANYWHERE: u32 = u32::MAX;

#[repr(C)]
struct Registration {
    offset: u32,
    _reserved: u32,
    data: u64,
}

#[repr(C)]
struct WaitArguments {
    signal_mask: u64,
    signal_mask_bytes: u32,
    min_wait_us: u32,
    timeout: u64,
}

#[repr(C)]
struct KernelTime {
    seconds: i64,
    nanoseconds: i64,
}

/// A ring's place in this thread's table of registered rings.
pub(crate) struct RegisteredRing {
    place: u32,
}

impl RegisteredRing {
    /// Registers the ring for the calling thread.
    pub(crate) fn new(ring: &IoUring) -> io::Result<RegisteredRing> {
        let fd = ring.as_raw_fd() as u64;
        let mut registration = Registration {
            offset: ANYWHERE,
            _reserved: 0,
            data: fd,
        };
        register(ring, REGISTER_RING_FDS, &mut registration)?;
        Ok(RegisteredRing {
            place: registration.offset,
        })
    }

    /// Empties the place again. A thread has sixteen, and each keeps its ring open.
    pub(crate) fn unregister(&self, ring: &IoUring) {
        let mut registration = Registration {
            offset: self.place,
            _reserved: 0,
            data: 0,
        };
        // It fails only on another thread or for an empty place; nothing is left to undo then.
        let _ = register(ring, UNREGISTER_RING_FDS, &mut registration);
    }

    /// Submits `queued` operations, does the ring's deferred work, and waits for `wanted`
    /// completions, no longer than `timeout`.
    pub(crate) fn enter(
        &self,
        queued: u32,
        wanted: u32,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        let time = timeout.map(|timeout| KernelTime {
            seconds: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            nanoseconds: i64::from(timeout.subsec_nanos()),
        });
        let arguments = WaitArguments {
            signal_mask: 0,
            signal_mask_bytes: 0,
            min_wait_us: 0,
            timeout: time
                .as_ref()
                .map_or(0, |time| std::ptr::from_ref(time) as u64),
        };
        // SAFETY: the arguments and the time they point at outlive the call; the size is theirs.
        // What the queued operations point at is the promise made when they were queued.
        let result = unsafe {
            libc::syscall(
                libc::SYS_io_uring_enter,
                self.place,
                queued,
                wanted,
                GETEVENTS | EXT_ARG | REGISTERED_RING,
                std::ptr::from_ref(&arguments),
                size_of::<WaitArguments>(),
            )
        };
        answer(result)
    }

    /// Submits `queued` operations and does nothing else: no deferred work, so that what arrives
    /// meanwhile is left to the next [`RegisteredRing::enter`].
    pub(crate) fn submit(&self, queued: u32) -> io::Result<()> {
        // SAFETY: no arguments but numbers. What the queued operations point at is the promise made
        // when they were queued.
        let result = unsafe {
            libc::syscall(
                libc::SYS_io_uring_enter,
                self.place,
                queued,
                0u32,
                REGISTERED_RING,
                std::ptr::null::<WaitArguments>(),
                0usize,
            )
        };
        answer(result)
    }
}

fn answer(result: libc::c_long) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

fn register(ring: &IoUring, what: libc::c_long, entry: &mut Registration) -> io::Result<()> {
    let entry = std::ptr::from_mut(entry);
    // SAFETY: one entry, which the kernel reads and writes during the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_io_uring_register,
            ring.as_raw_fd(),
            what,
            entry,
            1u32,
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn places_are_given_back() {
        for _ in 0..40 {
            let ring = IoUring::new(2).unwrap();
            RegisteredRing::new(&ring).unwrap().unregister(&ring);
        }
    }

    #[test]
    fn a_wait_without_work_ends_with_its_time() {
        let ring = IoUring::new(2).unwrap();
        let registered = RegisteredRing::new(&ring).unwrap();
        let before = Instant::now();
        let error = registered
            .enter(0, 1, Some(Duration::from_millis(3)))
            .unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ETIME));
        assert!(before.elapsed() >= Duration::from_millis(3));
        registered.enter(0, 0, None).unwrap();
        registered.unregister(&ring);
    }
}
