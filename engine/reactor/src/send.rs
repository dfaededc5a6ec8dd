//! The way out: a batch becomes send operations, and their memory is kept until the kernel is done.
//!
//! Each operation carries MSG_DONTWAIT and IOSQE_CQE_SKIP_SUCCESS. MSG_DONTWAIT makes io_uring
//! finish it, well or badly, inside the io_uring_enter that takes it from the queue: it is never
//! parked and never given to a worker thread. So once the submission queue is empty the memory is
//! free, without a completion for each send. Only failures are posted. Against counting completions
//! (examples/reflect.rs) that saves 5 to 8 % of a datagram's cost with runs of eight, and is within
//! the noise without coalescing; and no turn ends merely because its own sends went well. A failure
//! is looked at here:
//!
//! - EAGAIN, the send buffer is full: the operation is submitted again without MSG_DONTWAIT; the
//!   kernel keeps it until there is room, and its flight stays until that completes. What was sent
//!   to the same peer in the meantime overtakes it, as on any congested path.
//! - An errno that an ICMP error about another peer may have left on the socket: the error queue is
//!   read and the send repeated at once. The socket is then *careful* for a while: its sends are
//!   made one system call at a time, each repeated before the next, so that a dead peer
//!   never costs the living a datagram, and their order at most once in that while, when the first
//!   error hits a send whose successors have already left.
//! - A coalesced send the path does not take (EINVAL, EIO, EMSGSIZE): its datagrams go one by one.
//! - Anything else is counted under its cause.

use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;

use io_uring::{IoUring, opcode, squeue, types};

use crate::batch::SendBatch;
use crate::coalesce::{Plan, RunLimits};
use crate::config::ReactorConfig;
use crate::counters::Counters;
use crate::flight::{Departure, Flight};
use crate::icmp;
use crate::port::{Notices, Port};
use crate::socket::SocketId;
use crate::ticket::Ticket;

/// Batches in the kernel at once. More than a few means that a network device has stopped; what
/// comes on top is dropped and counted.
const FLIGHTS_MAX: usize = 256;
const _: () = assert!(FLIGHTS_MAX <= crate::ticket::FLIGHTS_MAX);
/// Tries of one careful send. Each pending error costs one; they come one at a time.
const TRIES_MAX: usize = 16;

/// What sending works with, lent by the reactor.
pub(crate) struct Outlet<'a> {
    pub(crate) ring: &'a mut IoUring,
    pub(crate) ports: &'a mut [Port],
    pub(crate) notices: &'a mut Notices,
    pub(crate) counters: &'a mut Counters,
}

/// Adds an operation to the submission queue, submitting what is there when it is full.
///
/// # Errors
/// The kernel's, when it would not make room.
///
/// # Safety
/// What the entry points at stays valid and in place until the operation has ended.
pub(crate) unsafe fn push_entry(ring: &mut IoUring, entry: &squeue::Entry) -> io::Result<()> {
    // SAFETY: passed on to the caller.
    if unsafe { ring.submission().push(entry) }.is_ok() {
        return Ok(());
    }
    ring.submit()?;
    // SAFETY: passed on to the caller.
    unsafe { ring.submission().push(entry) }
        .map_err(|_| io::Error::from_raw_os_error(libc::ENOBUFS))
}

/// The sending side of one reactor.
pub(crate) struct Sends {
    flights: Vec<Flight>,
    free: Vec<u16>,
    /// In the submission queue, or out of it but not yet looked at.
    submitted: Vec<u16>,
    plan: Plan,
    limits: RunLimits,
    padding: Box<[u8]>,
}

impl Sends {
    pub(crate) fn new(config: &ReactorConfig) -> Sends {
        let limits = RunLimits {
            segments: usize::from(config.segments_max).clamp(1, 64),
            segment_bytes: usize::from(config.segment_bytes_max),
            padding_percent: config.padding_percent_max as usize,
        };
        // Line ends: a text protocol that frames by a length in its header discards what follows,
        // and a peer that does not count sees empty lines, which such parsers skip. Zero bytes
        // would end a C string early and are logged as a defect by some servers.
        let padding = b"\r\n"
            .iter()
            .copied()
            .cycle()
            .take(limits.segment_bytes)
            .collect();
        Sends {
            flights: Vec::new(),
            free: Vec::new(),
            submitted: Vec::new(),
            plan: Plan::new(),
            limits,
            padding,
        }
    }

    /// Sends a batch: into the submission queue, or at once where a socket is careful.
    pub(crate) fn flush(&mut self, batch: &mut SendBatch, outlet: &mut Outlet<'_>) {
        drop_invalid(batch, outlet);
        if batch.sends.is_empty() {
            return batch.bytes.clear();
        }
        let Some(id) = self.take_flight() else {
            outlet.counters.send_no_room += batch.sends.len() as u64;
            batch.sends.clear();
            return batch.bytes.clear();
        };
        outlet.counters.datagrams_out += batch.sends.len() as u64;
        outlet.counters.bytes_out += batch.bytes.len() as u64;
        self.plan.make(&batch.sends, &self.limits);
        let flight = &mut self.flights[usize::from(id)];
        outlet.counters.padding_bytes += flight.load(batch, &self.plan, &self.padding);
        outlet.counters.sends += flight.departures().len() as u64;
        self.submitted.push(id);
        for departure in 0..self.flights[usize::from(id)].departures().len() {
            self.depart(id, departure, outlet);
        }
    }

    /// A send's completion: a failure, or the end of a wait.
    pub(crate) fn complete(
        &mut self,
        (id, generation, departure, waiting): (u16, u16, u32, bool),
        result: i32,
        outlet: &mut Outlet<'_>,
    ) {
        let departure = departure as usize;
        let Some(flight) = self.flights.get_mut(usize::from(id)) else {
            return;
        };
        // A failure that was posted too late for its flight, after a completion overflow.
        if flight.generation != generation || departure >= flight.departures().len() {
            return;
        }
        if result < 0 {
            self.retry(id, departure, -result, outlet);
        }
        if waiting {
            self.end_wait(id);
        }
    }

    /// Frees the flights the kernel is done with. To be called when it has taken every operation
    /// and every failure was looked at.
    pub(crate) fn settle(&mut self) {
        for id in self.submitted.drain(..) {
            let flight = &mut self.flights[usize::from(id)];
            flight.settled = true;
            if flight.waiting == 0 {
                self.free.push(id);
            }
        }
    }

    fn take_flight(&mut self) -> Option<u16> {
        if let Some(id) = self.free.pop() {
            return Some(id);
        }
        let id = self.flights.len();
        (id < FLIGHTS_MAX).then(|| {
            self.flights.push(Flight::new());
            id as u16
        })
    }

    fn depart(&mut self, id: u16, departure: usize, outlet: &mut Outlet<'_>) {
        let flight = &self.flights[usize::from(id)];
        let Departure { socket, count, .. } = flight.departures()[departure];
        if count > 1 {
            outlet.counters.segments += u64::from(count);
        }
        if outlet.ports[usize::from(socket)].is_careful() {
            // What is still queued was asked for earlier.
            let _ = outlet.ring.submit();
            outlet.counters.sends_careful += 1;
            return self.send_now(id, departure, outlet);
        }
        let flags = libc::MSG_DONTWAIT;
        let entry = entry(flight, id, departure, flags).flags(squeue::Flags::SKIP_SUCCESS);
        // SAFETY: everything the entry points at lies in the flight or in the padding; the flight
        // is not touched before `settle`, when the kernel has ended all its operations.
        if unsafe { push_entry(outlet.ring, &entry) }.is_err() {
            outlet.counters.send_no_room += u64::from(count);
        }
    }

    /// What to do about a send that failed.
    fn retry(&mut self, id: u16, departure: usize, errno: i32, outlet: &mut Outlet<'_>) {
        if errno == libc::EAGAIN {
            return self.wait_for_room(id, departure, outlet);
        }
        let flight = &self.flights[usize::from(id)];
        let Departure { socket, count, .. } = flight.departures()[departure];
        let port = &mut outlet.ports[usize::from(socket)];
        if icmp::may_be_anothers(errno) && port.reports_errors() {
            port.read_errors(socket, outlet.notices, outlet.counters);
            outlet.counters.sends_retried += 1;
            self.send_now(id, departure, outlet);
        } else if count > 1 && is_refusal(errno) {
            self.send_singly(id, departure, outlet);
        } else {
            outlet.counters.note_send_error(errno, u64::from(count));
        }
    }

    /// Lets the kernel keep the operation until the send buffer has room.
    fn wait_for_room(&mut self, id: u16, departure: usize, outlet: &mut Outlet<'_>) {
        outlet.counters.sends_waited += 1;
        let flight = &mut self.flights[usize::from(id)];
        let entry = entry(flight, id, departure, 0).user_data(
            Ticket::Send {
                flight: id,
                generation: flight.generation,
                departure: departure as u32,
                waiting: true,
            }
            .pack(),
        );
        // SAFETY: the flight is kept until `waiting` is zero again, which its completion does.
        match unsafe { push_entry(outlet.ring, &entry) } {
            Ok(()) => flight.waiting += 1,
            Err(_) => {
                let count = u64::from(flight.departures()[departure].count);
                outlet.counters.note_send_error(libc::ENOBUFS, count);
            }
        }
    }

    fn end_wait(&mut self, id: u16) {
        let flight = &mut self.flights[usize::from(id)];
        flight.waiting -= 1;
        if flight.waiting == 0 && flight.settled {
            self.free.push(id);
        }
    }

    /// Sends by system call, repeating it while the failure may be another's.
    fn send_now(&mut self, id: u16, departure: usize, outlet: &mut Outlet<'_>) {
        let flight = &self.flights[usize::from(id)];
        let Departure {
            socket, to, count, ..
        } = flight.departures()[departure];
        let result = persist(socket, outlet, |fd| send_departure(fd, flight, departure));
        match result {
            Ok(()) => {}
            Err(libc::EAGAIN) => self.wait_for_room(id, departure, outlet),
            Err(errno) if count > 1 && is_refusal(errno) => self.send_singly(id, departure, outlet),
            Err(errno) => fail(socket, to, errno, u64::from(count), outlet),
        }
    }

    /// The datagrams of a coalesced send the kernel would not take, one by one.
    fn send_singly(&mut self, id: u16, departure: usize, outlet: &mut Outlet<'_>) {
        outlet.counters.coalesce_refused += 1;
        let flight = &self.flights[usize::from(id)];
        let Departure { socket, to, .. } = flight.departures()[departure];
        for payload in flight.payloads(departure) {
            let to_peer = &flight.departures()[departure];
            if let Err(errno) = persist(socket, outlet, |fd| send_payload(fd, to_peer, payload)) {
                fail(socket, to, errno, 1, outlet);
            }
        }
    }
}

/// Throws out sends whose socket or range does not exist: the caller's defect, and not a reason to
/// lose the others.
fn drop_invalid(batch: &mut SendBatch, outlet: &mut Outlet<'_>) {
    let SendBatch { bytes, sends } = batch;
    let before = sends.len();
    sends.retain(|send| {
        let range_exists = send.start <= send.end && send.end as usize <= bytes.len();
        range_exists && usize::from(send.socket.0) < outlet.ports.len()
    });
    outlet.counters.send_other += (before - sends.len()) as u64;
}

/// Errnos with which the kernel turns a coalesced send down that single ones may survive.
fn is_refusal(errno: i32) -> bool {
    matches!(errno, libc::EINVAL | libc::EIO | libc::EMSGSIZE)
}

fn fail(socket: u16, to: SocketAddr, errno: i32, datagrams: u64, outlet: &mut Outlet<'_>) {
    outlet.counters.note_send_error(errno, datagrams);
    let reports = outlet.ports[usize::from(socket)].reports_errors();
    if icmp::may_be_anothers(errno) && reports {
        // It was not another's: the kernel itself knows no way to this peer.
        outlet.notices.add(SocketId(socket), to);
    }
}

/// Repeats a system call while it fails with what may be another peer's error. It is not when the
/// error queue has nothing to say, twice: once may be a coincidence, since the kernel queues an error
/// a moment before it makes it the pending one.
fn persist(
    socket: u16,
    outlet: &mut Outlet<'_>,
    mut call: impl FnMut(RawFd) -> Result<(), i32>,
) -> Result<(), i32> {
    let port = &mut outlet.ports[usize::from(socket)];
    let mut result = Err(libc::EAGAIN);
    let mut silences = 0;
    for _ in 0..TRIES_MAX {
        result = call(port.fd());
        match result {
            Err(libc::EINTR) => {}
            Err(errno) if icmp::may_be_anothers(errno) => {
                silences += u32::from(!port.read_errors(socket, outlet.notices, outlet.counters));
                if silences == 2 {
                    break;
                }
            }
            _ => break,
        }
    }
    result
}

fn send_departure(fd: RawFd, flight: &Flight, departure: usize) -> Result<(), i32> {
    let way = &flight.departures()[departure];
    if !way.is_coalesced() {
        return send_payload(fd, way, flight.payload(departure));
    }
    // SAFETY: the header and all it points at belong to the flight, which outlives the call.
    outcome(unsafe { libc::sendmsg(fd, flight.header(departure), libc::MSG_DONTWAIT) })
}

fn send_payload(fd: RawFd, way: &Departure, payload: &[u8]) -> Result<(), i32> {
    let address = std::ptr::from_ref(&way.address).cast();
    // SAFETY: payload and address outlive the call and come with their lengths.
    outcome(unsafe {
        libc::sendto(
            fd,
            payload.as_ptr().cast(),
            payload.len(),
            libc::MSG_DONTWAIT,
            address,
            way.address_length,
        )
    })
}

fn outcome(result: libc::ssize_t) -> Result<(), i32> {
    match result {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()
            .raw_os_error()
            .unwrap_or(libc::EIO)),
    }
}

/// The operation for one departure.
fn entry(flight: &Flight, id: u16, departure: usize, flags: i32) -> squeue::Entry {
    let way = &flight.departures()[departure];
    let file = types::Fixed(u32::from(way.socket));
    let entry = if way.is_coalesced() {
        opcode::SendMsg::new(file, flight.header(departure))
            .flags(flags as u32)
            .build()
    } else {
        let payload = flight.payload(departure);
        opcode::Send::new(file, payload.as_ptr(), payload.len() as u32)
            .dest_addr(std::ptr::from_ref(&way.address).cast())
            .dest_addr_len(way.address_length)
            .flags(flags)
            .build()
    };
    let ticket = Ticket::Send {
        flight: id,
        generation: flight.generation,
        departure: departure as u32,
        waiting: false,
    };
    entry.user_data(ticket.pack())
}
