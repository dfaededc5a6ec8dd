//! A flushed batch while the kernel may still read it: the payload bytes, and everything a send
//! operation points at. Nothing in here moves between `load` and the batch's end.

use std::mem::{size_of, zeroed};
use std::net::SocketAddr;

use crate::address::KernelAddress;
use crate::batch::SendBatch;
use crate::coalesce::Plan;

/// `SOL_UDP`'s option for cutting one send into datagrams (linux/udp.h).
const UDP_SEGMENT: i32 = 103;

/// One send operation: one datagram, or a run of them to one peer.
pub(crate) struct Departure {
    pub(crate) socket: u16,
    pub(crate) to: SocketAddr,
    pub(crate) address: KernelAddress,
    pub(crate) address_length: libc::socklen_t,
    first: u32,
    pub(crate) count: u32,
    segment_bytes: u16,
    first_iovec: u32,
    iovecs: u32,
}

impl Departure {
    pub(crate) fn is_coalesced(&self) -> bool {
        self.count > 1
    }
}

/// What sendmsg(2) reads for a coalesced departure.
#[repr(C)]
pub(crate) struct Header {
    message: libc::msghdr,
    control: [u64; 3],
}

/// One batch on its way.
pub(crate) struct Flight {
    bytes: Vec<u8>,
    messages: Vec<(u32, u32)>,
    departures: Vec<Departure>,
    headers: Vec<Header>,
    iovecs: Vec<libc::iovec>,
    /// Told apart from earlier users of the same place.
    pub(crate) generation: u16,
    /// Operations the kernel keeps until there is room in a send buffer.
    pub(crate) waiting: u32,
    /// Every operation was taken from the submission queue.
    pub(crate) settled: bool,
}

impl Flight {
    pub(crate) fn new() -> Flight {
        Flight {
            bytes: Vec::new(),
            messages: Vec::new(),
            departures: Vec::new(),
            headers: Vec::new(),
            iovecs: Vec::new(),
            generation: 0,
            waiting: 0,
            settled: true,
        }
    }

    /// Takes the batch's bytes, leaving the recycled ones of an earlier flight, and lays out its
    /// departures. `padding` is what datagrams are evened out with; it must outlive the flight.
    /// Returns the padding bytes added.
    pub(crate) fn load(&mut self, batch: &mut SendBatch, plan: &Plan, padding: &[u8]) -> u64 {
        self.generation = self.generation.wrapping_add(1);
        self.settled = false;
        self.bytes.clear();
        self.messages.clear();
        self.departures.clear();
        self.iovecs.clear();
        std::mem::swap(&mut self.bytes, &mut batch.bytes);
        let mut padded = 0;
        for run in plan.runs() {
            let first = self.messages.len() as u32;
            let first_iovec = self.iovecs.len() as u32;
            let members = plan.members(run).map(|index| &batch.sends[index]);
            self.messages
                .extend(members.map(|send| (send.start, send.end)));
            if run.count > 1 {
                padded += self.gather(first, run.segment_bytes, padding);
            }
            let (address, address_length) = KernelAddress::new(&batch.sends[run.head()].to);
            self.departures.push(Departure {
                socket: batch.sends[run.head()].socket.0,
                to: batch.sends[run.head()].to,
                address,
                address_length,
                first,
                count: run.count,
                segment_bytes: run.segment_bytes as u16,
                first_iovec,
                iovecs: self.iovecs.len() as u32 - first_iovec,
            });
        }
        batch.sends.clear();
        self.address_headers();
        padded
    }

    /// The pieces of a coalesced departure: each datagram, and behind each but the last what it
    /// lacks to the common size. Datagrams that lie side by side need no piece of their own.
    fn gather(&mut self, first: u32, segment_bytes: u32, padding: &[u8]) -> u64 {
        let start = self.iovecs.len();
        let last = self.messages.len() - 1;
        let mut padded = 0;
        for index in first as usize..=last {
            let (from, to) = self.messages[index];
            let length = (to - from) as usize;
            push_piece(
                &mut self.iovecs,
                start,
                &self.bytes[from as usize..to as usize],
            );
            let lacking = segment_bytes as usize - length;
            if index < last && lacking > 0 {
                push_piece(&mut self.iovecs, start, &padding[..lacking]);
                padded += lacking as u64;
            }
        }
        padded
    }

    /// Writes the headers once nothing can move any more.
    fn address_headers(&mut self) {
        self.headers.clear();
        // SAFETY: plain data for which all zeroes is valid.
        self.headers
            .resize_with(self.departures.len(), || unsafe { zeroed() });
        for (departure, header) in self.departures.iter_mut().zip(&mut self.headers) {
            if departure.is_coalesced() {
                let pieces = &mut self.iovecs[departure.first_iovec as usize..];
                header.address(departure, pieces);
            }
        }
    }

    pub(crate) fn departures(&self) -> &[Departure] {
        &self.departures
    }

    /// The kernel's header of a coalesced departure.
    pub(crate) fn header(&self, departure: usize) -> &libc::msghdr {
        &self.headers[departure].message
    }

    /// The payloads of a departure, in order.
    pub(crate) fn payloads(&self, departure: usize) -> impl Iterator<Item = &[u8]> {
        let Departure { first, count, .. } = self.departures[departure];
        let messages = &self.messages[first as usize..(first + count) as usize];
        messages
            .iter()
            .map(|&(from, to)| &self.bytes[from as usize..to as usize])
    }

    /// The payload of a departure of one datagram.
    pub(crate) fn payload(&self, departure: usize) -> &[u8] {
        let (from, to) = self.messages[self.departures[departure].first as usize];
        &self.bytes[from as usize..to as usize]
    }
}

/// Appends a piece, or lengthens the last one of this departure when the two touch.
fn push_piece(iovecs: &mut Vec<libc::iovec>, start: usize, piece: &[u8]) {
    let base = piece.as_ptr().cast_mut();
    if let Some(last) = iovecs[start..].last_mut()
        && last.iov_base.cast::<u8>().wrapping_add(last.iov_len) == base
    {
        last.iov_len += piece.len();
        return;
    }
    iovecs.push(libc::iovec {
        iov_base: base.cast(),
        iov_len: piece.len(),
    });
}

impl Header {
    fn address(&mut self, departure: &mut Departure, pieces: &mut [libc::iovec]) {
        self.message.msg_name = std::ptr::from_mut(&mut departure.address).cast();
        self.message.msg_namelen = departure.address_length;
        self.message.msg_iov = pieces.as_mut_ptr();
        self.message.msg_iovlen = departure.iovecs as usize;
        self.message.msg_control = self.control.as_mut_ptr().cast();
        // SAFETY: pure arithmetic.
        let (space, length) = unsafe { (libc::CMSG_SPACE(2), libc::CMSG_LEN(2)) };
        self.message.msg_controllen = space as usize;
        debug_assert!(space as usize <= size_of_val(&self.control));
        let control = self.control.as_mut_ptr().cast::<libc::cmsghdr>();
        // SAFETY: the control words are aligned for and longer than one header and two bytes.
        unsafe {
            (*control).cmsg_level = libc::SOL_UDP;
            (*control).cmsg_type = UDP_SEGMENT;
            (*control).cmsg_len = length as usize;
            libc::CMSG_DATA(control)
                .cast::<u16>()
                .write_unaligned(departure.segment_bytes);
        }
    }
}

const _: () = assert!(size_of::<Header>() == size_of::<libc::msghdr>() + 24);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coalesce::RunLimits;
    use crate::{Coalesce, SocketId};

    fn load(messages: &[&str]) -> (Flight, u64, Vec<u8>) {
        let mut batch = SendBatch::default();
        for message in messages {
            batch.push(
                SocketId(0),
                "192.0.2.1:9".parse().unwrap(),
                Coalesce::Padded,
                message.as_bytes(),
            );
        }
        let padding = b"....................".to_vec();
        let limits = RunLimits {
            segments: 64,
            segment_bytes: 1472,
            padding_percent: 1000,
        };
        let mut plan = Plan::new();
        plan.make(&batch.sends, &limits);
        let mut flight = Flight::new();
        let padded = flight.load(&mut batch, &plan, &padding);
        assert!(batch.bytes.is_empty() && batch.sends.is_empty());
        (flight, padded, padding)
    }

    fn wire_bytes(flight: &Flight) -> String {
        let header = flight.header(0);
        // SAFETY: the header was addressed by `load` and nothing moved since.
        let pieces = unsafe { std::slice::from_raw_parts(header.msg_iov, header.msg_iovlen) };
        let mut out = Vec::new();
        for piece in pieces {
            // SAFETY: each piece lies in the flight's bytes or in the padding, both alive.
            out.extend_from_slice(unsafe {
                std::slice::from_raw_parts(piece.iov_base.cast::<u8>(), piece.iov_len)
            });
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn all_but_the_last_are_padded_to_the_longest() {
        let (flight, padded, _padding) = load(&["one", "three", "four", "to"]);
        assert_eq!(wire_bytes(&flight), "one..threefour.to");
        assert_eq!(padded, 3);
        let payloads: Vec<&[u8]> = flight.payloads(0).collect();
        assert_eq!(payloads, [b"one".as_slice(), b"three", b"four", b"to"]);
    }

    #[test]
    fn equal_neighbours_are_one_piece() {
        let (flight, padded, _padding) = load(&["aaaa", "bbbb", "cc"]);
        assert_eq!(flight.header(0).msg_iovlen, 1);
        assert_eq!(wire_bytes(&flight), "aaaabbbbcc");
        assert_eq!(padded, 0);
    }

    #[test]
    fn the_segment_size_is_in_the_control_message() {
        let (flight, ..) = load(&["aaaa", "bbbb"]);
        let control = flight.headers[0].control;
        assert_eq!(control[0], 18);
        assert_eq!(control[2] as u16, 4);
    }
}
