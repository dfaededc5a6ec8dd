//! A group of provided buffers: memory the kernel takes from, one buffer for each received datagram,
//! the ring through which they are given back, and the header that says what a receive into them
//! asks for.

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;
use io_uring::{Submitter, opcode, squeue, types};

use crate::address::ADDRESS_BYTES;
use crate::error::SetupError;

/// What the kernel writes before control data and payload: its header of four words and the sender's
/// address.
const PREFIX_BYTES: usize = 16 + ADDRESS_BYTES;

/// Anonymous memory of the process, unmapped when dropped. Zero until written.
struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

impl Mapping {
    fn new(length: usize) -> io::Result<Mapping> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches nothing.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags, -1, 0) };
        match NonNull::new(start.cast::<u8>()) {
            Some(mapped) if start != libc::MAP_FAILED => Ok(Mapping {
                start: mapped,
                length,
            }),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly the range that was mapped, and nothing refers to it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

/// A group's number in the ring and what its buffers are to hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) group: u16,
    /// The configuration's key, for an error.
    pub(crate) key: &'static str,
    pub(crate) count: u16,
    pub(crate) payload_bytes: u32,
    pub(crate) control_bytes: usize,
}

/// The receive buffers of one group.
pub(crate) struct Buffers {
    group: u16,
    /// What a receive asks for: room for a name and control data. Boxed, since armed receives point
    /// at it.
    header: Box<libc::msghdr>,
    ring: Mapping,
    memory: Mapping,
    count: u16,
    /// Bytes from one buffer to the next.
    stride: usize,
    /// Bytes of a buffer the kernel may write.
    usable: usize,
    tail: u16,
}

impl Buffers {
    /// Maps the buffers; their count must be a power of two.
    pub(crate) fn new(shape: Shape) -> Result<Buffers, SetupError> {
        let count = shape.count;
        if !count.is_power_of_two() || count > 1 << 15 {
            let wanted = "a power of two up to 32768";
            return Err(SetupError::Config {
                what: shape.key,
                wanted,
                found: count.into(),
            });
        }
        let usable = PREFIX_BYTES + shape.control_bytes + shape.payload_bytes as usize;
        // An odd number of cache lines, lest all buffers begin in the same few cache sets.
        let stride = (usable.div_ceil(64) | 1) * 64;
        let failed = |source| SetupError::Ring {
            step: "mapping the receive buffers",
            source,
        };
        let ring = Mapping::new(usize::from(count) * size_of::<BufRingEntry>()).map_err(failed)?;
        let memory = Mapping::new(usize::from(count) * stride).map_err(failed)?;
        let mut buffers = Buffers {
            group: shape.group,
            header: Box::new(receive_header(shape.control_bytes)),
            ring,
            memory,
            count,
            stride,
            usable,
            tail: 0,
        };
        (0..count).for_each(|id| buffers.give_back(id));
        buffers.publish();
        Ok(buffers)
    }

    /// Tells the ring about them. They must outlive it.
    pub(crate) fn register(&self, submitter: &Submitter<'_>) -> io::Result<()> {
        let address = self.ring.start.as_ptr() as u64;
        // SAFETY: the mapping has `count` entries, is page aligned, and the reactor drops its ring
        // before its buffers.
        unsafe { submitter.register_buf_ring_with_flags(address, self.count, self.group, 0) }
    }

    /// A receive that takes buffer after buffer of this group. It points at the header in here, which
    /// must outlive it.
    pub(crate) fn receive(&self, socket: u16) -> squeue::Entry {
        let file = types::Fixed(socket.into());
        opcode::RecvMsgMulti::new(file, &*self.header, self.group).build()
    }

    /// A received message; `None` when the kernel's answer makes no sense.
    pub(crate) fn message(&self, id: u16, length: usize) -> Option<types::RecvMsgOut<'_>> {
        types::RecvMsgOut::parse(self.bytes(id, length), &self.header).ok()
    }

    /// What the kernel put into a buffer it has handed over. Empty for an id that is not ours.
    fn bytes(&self, id: u16, length: usize) -> &[u8] {
        if id >= self.count || length > self.usable {
            return &[];
        }
        // SAFETY: the range lies in the mapping, which is initialised (zero, or written by the
        // kernel); the kernel does not write to a buffer between its completion and `give_back`,
        // which needs `&mut self`.
        unsafe {
            let start = self
                .memory
                .start
                .as_ptr()
                .add(usize::from(id) * self.stride);
            std::slice::from_raw_parts(start, length)
        }
    }

    /// Returns a buffer; the kernel sees it after the next `publish`.
    pub(crate) fn give_back(&mut self, id: u16) {
        if id >= self.count {
            return;
        }
        let place = usize::from(self.tail & (self.count - 1));
        // SAFETY: `place` is below `count`, the entry is plain data, and the kernel does not read
        // entries at or behind the published tail. The buffer's address lies in the mapping.
        unsafe {
            let entry = &mut *self.ring.start.as_ptr().cast::<BufRingEntry>().add(place);
            entry.set_addr(
                self.memory
                    .start
                    .as_ptr()
                    .add(usize::from(id) * self.stride) as u64,
            );
            entry.set_len(self.usable as u32);
            entry.set_bid(id);
        }
        self.tail = self.tail.wrapping_add(1);
    }

    /// Lets the kernel see every buffer given back so far.
    pub(crate) fn publish(&mut self) {
        // SAFETY: the tail is a field of the ring's first entry, aligned for u16, and the kernel
        // reads it with acquire semantics while nobody else writes it.
        let tail = unsafe {
            let tail = BufRingEntry::tail(self.ring.start.as_ptr().cast::<BufRingEntry>());
            AtomicU16::from_ptr(tail.cast_mut())
        };
        tail.store(self.tail, Ordering::Release);
    }
}

fn receive_header(control_bytes: usize) -> libc::msghdr {
    // SAFETY: plain data for which all zeroes is valid.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_namelen = ADDRESS_BYTES as libc::socklen_t;
    header.msg_controllen = control_bytes;
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(count: u16, payload_bytes: u32) -> Shape {
        Shape {
            group: 0,
            key: "buffers",
            count,
            payload_bytes,
            control_bytes: 0,
        }
    }

    #[test]
    fn counts_that_are_no_power_of_two_are_refused() {
        for count in [0, 3, 1000, 40_000] {
            assert!(
                matches!(
                    Buffers::new(shape(count, 2048)),
                    Err(SetupError::Config { .. })
                ),
                "{count}"
            );
        }
    }

    #[test]
    fn buffers_do_not_overlap_and_strangers_are_empty() {
        let buffers = Buffers::new(shape(4, 100)).unwrap();
        let starts: Vec<usize> = (0..4)
            .map(|id| buffers.bytes(id, 1).as_ptr() as usize)
            .collect();
        assert!(
            starts
                .windows(2)
                .all(|pair| pair[1] - pair[0] >= PREFIX_BYTES + 100)
        );
        assert_eq!(
            buffers.bytes(3, PREFIX_BYTES + 100).len(),
            PREFIX_BYTES + 100
        );
        assert!(buffers.bytes(4, 1).is_empty());
        assert!(buffers.bytes(0, PREFIX_BYTES + 101).is_empty());
    }
}
