//! The loop's one step. A turn submits what was flushed, waits for anything to happen, and hands
//! each completion to the caller. The rules:
//!
//! 1. Wait for one completion only. Waiting for more hangs with a multishot receive.
//! 2. The kernel does this ring's work only inside `io_uring_enter` (DEFER_TASKRUN), so a turn costs
//!    one system call and is never interrupted by the network.
//! 3. A buffer is the kernel's again only after the callback returned; the ring learns of all of
//!    them at once at the end of the turn, before receives that ran dry are armed again.
//! 4. Sleep only after the waker agreed (see [`crate::Waker`]).

use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use io_uring::{IoUring, cqueue, opcode, squeue, types};

use crate::address;
use crate::batch::SendBatch;
use crate::buffers::{Buffers, Shape};
use crate::config::ReactorConfig;
use crate::counters::Counters;
use crate::enter::RegisteredRing;
use crate::error::{SetupError, TurnError};
use crate::limits;
use crate::port::{Class, Notices, Port};
use crate::ring;
use crate::send::{Outlet, Sends, push_entry};
use crate::sieve::Sieve;
use crate::socket::{SocketId, UdpListener};
use crate::spin::Spin;
use crate::stamp::{self, Sampling, TurnTime};
use crate::ticket::Ticket;
use crate::waker::Waker;

/// Looks at the queue between two looks at the clock while spinning.
const LOOKS_PER_CLOCK: usize = 32;

/// Something that happened, as `turn` hands it over.
#[derive(Debug)]
pub enum Completion<'a> {
    /// A datagram arrived.
    Datagram {
        /// The socket it arrived on.
        socket: SocketId,
        /// Who sent it.
        from: SocketAddr,
        /// Its payload, valid during the call.
        bytes: &'a [u8],
        /// It was longer than a buffer; `bytes` is its beginning.
        truncated: bool,
        /// How long it waited in the socket's queue before this turn; only in the turns that
        /// [`ReactorConfig::receive_times_every`] chooses, and not on small sockets.
        waited: Option<Duration>,
    },
    /// The network reports that a peer cannot be reached (ICMP), or the kernel knows no way there.
    Unreachable {
        /// The socket that had sent.
        socket: SocketId,
        /// The peer.
        to: SocketAddr,
    },
    /// A [`Waker`] was used since the last turn. At most once a turn, and last in it.
    Woken,
}

/// One shard's ring, sockets and buffers. Made and used on one thread.
pub struct Reactor {
    // First, so that the ring is gone before anything the kernel reads or writes through it.
    ring: IoUring,
    registered: RegisteredRing,
    buffers: Buffers,
    small_buffers: Option<Buffers>,
    sends: Sends,
    ports: Vec<Port>,
    /// The class of each, close together: looked up for every datagram.
    classes: Vec<Class>,
    /// Those of class `Large`.
    large: Vec<u16>,
    ports_max: u16,
    sampling: Sampling,
    turn_time: TurnTime,
    waker: Waker,
    spin: Spin,
    counters: Counters,
    notices: Notices,
    /// Completions of this turn, copied out of the queue.
    reaped: Vec<cqueue::Entry>,
    /// Operations that ended and must be armed again.
    to_arm: Vec<Ticket>,
    _one_thread: PhantomData<*mut ()>,
}

impl Reactor {
    /// Makes a ring with its buffers, on the thread that will use it.
    ///
    /// # Errors
    /// [`SetupError`]: what this kernel or this process's limits lack, and what to do about it.
    pub fn new(config: &ReactorConfig) -> Result<Reactor, SetupError> {
        let (large, small) = shapes(config);
        let buffers = Buffers::new(large)?;
        let small_buffers = small.map(Buffers::new).transpose()?;
        let ring = ring::build(config)?;
        let failed = |step| move |source| SetupError::Ring { step, source };
        // One place behind the sockets is the waker's.
        ring.submitter()
            .register_files_sparse(u32::from(config.sockets_max) + 1)
            .map_err(|source| failed_files(config.sockets_max, source))?;
        for group in std::iter::once(&buffers).chain(&small_buffers) {
            group
                .register(&ring.submitter())
                .map_err(failed("registering buffers"))?;
        }
        let waker = Waker::new().map_err(failed("eventfd"))?;
        ring.submitter()
            .register_files_update(config.sockets_max.into(), &[waker.event_fd()])
            .map_err(failed("registering the eventfd"))?;
        // Last of what can fail, since a registration outlives the ring it names.
        let registered = RegisteredRing::new(&ring).map_err(failed("registering the ring"))?;
        Ok(Reactor {
            ring,
            registered,
            buffers,
            small_buffers,
            sends: Sends::new(config),
            ports: Vec::new(),
            classes: Vec::new(),
            large: Vec::new(),
            ports_max: config.sockets_max,
            sampling: Sampling::one_in(config.receive_times_every),
            turn_time: TurnTime::default(),
            waker,
            spin: Spin::new(config.spin),
            counters: Counters::default(),
            notices: Notices::default(),
            reaped: Vec::with_capacity(config.completion_entries() as usize),
            to_arm: vec![Ticket::Wake],
            _one_thread: PhantomData,
        })
    }

    /// Takes a socket over and begins to receive on it with the next turn.
    ///
    /// # Errors
    /// [`SetupError::Config`] when there are `sockets_max` already.
    pub fn add_udp(&mut self, socket: UdpListener) -> Result<SocketId, SetupError> {
        if self.sampling.is_on() {
            socket.stamp_receives(true)?;
        }
        let ids = self.add(vec![socket], Class::Large)?;
        Ok(SocketId(ids.start))
    }

    /// Takes many sockets over at once, for short datagrams, which share the small buffers. They get
    /// numbers in a row; the first is returned.
    ///
    /// All of them are received on from the next turn, in use or not: an armed receive costs about
    /// 1 KiB of kernel memory and no time, and a port nobody uses keeps no stale datagrams for its
    /// next user.
    ///
    /// # Errors
    /// [`SetupError::Config`] when there would be more than `sockets_max`, or no small buffers.
    pub fn add_udp_small(&mut self, sockets: Vec<UdpListener>) -> Result<SocketId, SetupError> {
        if self.small_buffers.is_none() {
            return Err(SetupError::Config {
                what: "small_buffers",
                wanted: "1 or more, for small sockets",
                found: 0,
            });
        }
        let ids = self.add(sockets, Class::Small)?;
        Ok(SocketId(ids.start))
    }

    fn add(&mut self, sockets: Vec<UdpListener>, class: Class) -> Result<Range<u16>, SetupError> {
        let first = self.ports.len();
        let end = first + sockets.len();
        let Some(last) = u16::try_from(end).ok().filter(|&end| end <= self.ports_max) else {
            return Err(SetupError::Config {
                what: "sockets_max",
                wanted: "at least the number of sockets",
                found: self.ports_max.into(),
            });
        };
        let files: Vec<RawFd> = sockets.iter().map(UdpListener::fd).collect();
        self.ring
            .submitter()
            .register_files_update(first as u32, &files)
            .map_err(|source| SetupError::Ring {
                step: "registering sockets",
                source,
            })?;
        let ids = first as u16..last;
        let ports = sockets.into_iter().map(Port::new);
        self.ports.extend(ports);
        self.classes.resize(end, class);
        if class == Class::Large {
            self.large.extend(ids.clone());
        }
        // Armed from the end of the list, so in the order of their numbers.
        let receives = ids.clone().rev().map(|socket| Ticket::Receive { socket });
        self.to_arm.extend(receives);
        Ok(ids)
    }

    /// A handle that wakes this reactor from any thread.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// What this reactor has done so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// How long this reactor has waited for work so far. While it does not grow, the owner is never
    /// done: what arrives finds others before it.
    pub fn idle(&self) -> Duration {
        Duration::from_nanos(self.counters.idle_ns)
    }

    /// Has the kernel sieve what comes to the other than small sockets, or no more.
    ///
    /// # Errors
    /// What the kernel said of the first socket that could not be given the sieve: a program of more than
    /// 4,096 steps, or no memory.
    pub fn set_sieve(&mut self, sieve: Option<&Sieve>) -> io::Result<()> {
        for port in self.large_ports() {
            match sieve {
                Some(sieve) => sieve.attach(&port.listener)?,
                // One that has none says so.
                None => drop(port.listener.filter(None)),
            }
        }
        Ok(())
    }

    /// Datagrams the kernel dropped on this socket because its receive buffer was full. A system
    /// call; 0 for a socket that is not ours.
    pub fn kernel_drops(&self, socket: SocketId) -> u64 {
        self.ports
            .get(usize::from(socket.0))
            .map_or(0, |port| port.listener.kernel_drops())
    }

    /// Takes the batch's datagrams to send them; they leave with the next turn at the latest. The
    /// batch comes back empty, with memory to print the next ones into. Datagrams to one peer keep
    /// their order.
    pub fn flush(&mut self, batch: &mut SendBatch) {
        let (sends, mut outlet) = self.outlet();
        sends.flush(batch, &mut outlet);
    }

    /// Hands what was flushed to the kernel now instead of with the next turn, and returns when it has
    /// left: for an owner who wants to know when that is. One system call, which the next turn saves
    /// unless it would have slept at once. Takes no completions.
    ///
    /// # Errors
    /// As [`Reactor::turn`].
    pub fn submit(&mut self) -> Result<(), TurnError> {
        let queued = self.ring.submission().len() as u32;
        if queued == 0 {
            return Ok(());
        }
        self.counters.submits += 1;
        may_go_on(self.registered.submit(queued))
    }

    /// Submits, waits until something happened or the deadline passed, and hands every completion
    /// to `on`. Without a deadline it waits until a datagram or a waker ends it. It may also end
    /// with nothing to hand over (a signal, a receive to arm again): call it in a loop.
    ///
    /// # Errors
    /// [`TurnError`] for what another turn would not mend; the reactor is of no more use then.
    pub fn turn(
        &mut self,
        deadline: Option<Instant>,
        mut on: impl FnMut(Completion<'_>),
    ) -> Result<(), TurnError> {
        self.counters.turns += 1;
        self.sample();
        self.arm()?;
        self.wait(deadline)?;
        let all_taken = self.ring.submission().is_empty();
        self.reap(&mut on)?;
        if all_taken {
            self.sends.settle();
        }
        self.report(&mut on);
        Ok(())
    }

    /// Has receive times told in this turn, or no more.
    fn sample(&mut self) {
        if let Some(on) = self.sampling.next_turn() {
            // It was accepted when the socket came.
            self.large_ports()
                .for_each(|port| drop(port.listener.stamp_receives(on)));
        }
    }

    fn large_ports(&self) -> impl Iterator<Item = &Port> {
        let large = self.large.iter();
        large.filter_map(|&socket| self.ports.get(usize::from(socket)))
    }

    fn outlet(&mut self) -> (&mut Sends, Outlet<'_>) {
        let Reactor {
            ring,
            sends,
            ports,
            notices,
            counters,
            ..
        } = self;
        (
            sends,
            Outlet {
                ring,
                ports,
                notices,
                counters,
            },
        )
    }

    // --- waiting

    fn wait(&mut self, deadline: Option<Instant>) -> Result<(), TurnError> {
        if self.has_news() {
            return self.enter();
        }
        let spin = self.spin.until(deadline);
        if let Some(until) = spin {
            self.counters.spins += 1;
            // The sends first: others wait for them.
            if !self.ring.submission().is_empty() {
                self.enter()?;
            }
            if self.spin_until(until) {
                self.counters.spins_paid += 1;
                self.spin.note_paid();
                return self.enter_unless_ready();
            }
        }
        self.sleep(deadline, spin.is_some())
    }

    /// Something to hand over without waiting.
    fn has_news(&self) -> bool {
        !self.notices.0.is_empty() || self.waker.is_pending()
    }

    /// Looks for work until then; whether there is some. The clock is read only while there is none.
    fn spin_until(&mut self, until: Instant) -> bool {
        if self.has_work() {
            return true;
        }
        let begun = Instant::now();
        loop {
            let found = (0..LOOKS_PER_CLOCK).any(|_| {
                std::hint::spin_loop();
                self.has_work()
            });
            let now = Instant::now();
            if found || now >= until {
                self.note_idle(now - begun);
                return found;
            }
        }
    }

    fn has_work(&mut self) -> bool {
        self.ring.submission().taskrun()
            || !self.ring.completion().is_empty()
            || self.waker.is_pending()
    }

    fn note_idle(&mut self, waited: Duration) {
        let waited = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
        self.counters.idle_ns = self.counters.idle_ns.saturating_add(waited);
    }

    /// Submits and runs deferred work, without waiting.
    fn enter(&mut self) -> Result<(), TurnError> {
        let queued = self.ring.submission().len() as u32;
        may_go_on(self.registered.enter(queued, 0, None))
    }

    /// There is work: runs what was deferred, unless completions are there already.
    fn enter_unless_ready(&mut self) -> Result<(), TurnError> {
        if self.ring.completion().is_empty() {
            self.enter()
        } else {
            Ok(())
        }
    }

    /// Submits and sleeps until one completion, the deadline or a waker; `spun` before in vain.
    fn sleep(&mut self, deadline: Option<Instant>, spun: bool) -> Result<(), TurnError> {
        // The sends first: they are work, and what follows is counted as a wait.
        if !self.ring.submission().is_empty() {
            self.enter()?;
            if self.has_work() {
                return self.enter_unless_ready();
            }
        }
        let begun = Instant::now();
        let left = match deadline {
            Some(deadline) if deadline <= begun => return self.enter(),
            deadline => deadline.map(|deadline| deadline - begun),
        };
        if !self.waker.fall_asleep() {
            return self.enter();
        }
        self.counters.sleeps += 1;
        let queued = self.ring.submission().len() as u32;
        let result = self.registered.enter(queued, 1, left);
        self.waker.awake();
        let found_work = !self.ring.completion().is_empty();
        let slept = begun.elapsed();
        self.note_idle(slept);
        self.spin.note_sleep(slept, found_work, spun);
        may_go_on(result)
    }

    // --- completions

    fn reap(&mut self, on: &mut impl FnMut(Completion<'_>)) -> Result<(), TurnError> {
        let mut reaped = std::mem::take(&mut self.reaped);
        let mut queue = self.ring.completion();
        self.counters.completions_overflowed = u64::from(queue.overflow());
        reaped.extend(&mut queue);
        drop(queue);
        let mut result = Ok(());
        for entry in reaped.drain(..) {
            let outcome = self.complete(&entry, on);
            result = result.and(outcome);
        }
        self.reaped = reaped;
        self.turn_time.forget();
        self.buffers.publish();
        if let Some(small) = &mut self.small_buffers {
            small.publish();
        }
        result
    }

    fn complete(
        &mut self,
        entry: &cqueue::Entry,
        on: &mut impl FnMut(Completion<'_>),
    ) -> Result<(), TurnError> {
        let ticket = Ticket::unpack(entry.user_data());
        match ticket {
            Some(Ticket::Receive { socket }) => {
                if !cqueue::more(entry.flags()) {
                    self.counters.rearms += 1;
                    self.to_arm.push(Ticket::Receive { socket });
                }
                self.receive(socket, entry, on)
            }
            Some(Ticket::Send {
                flight,
                generation,
                departure,
                waiting,
            }) => {
                let (sends, mut outlet) = self.outlet();
                let place = (flight, generation, departure, waiting);
                sends.complete(place, entry.result(), &mut outlet);
                Ok(())
            }
            Some(Ticket::Wake) if !cqueue::more(entry.flags()) => {
                self.to_arm.push(Ticket::Wake);
                Ok(())
            }
            Some(Ticket::Wake) | None => Ok(()),
        }
    }

    fn receive(
        &mut self,
        socket: u16,
        entry: &cqueue::Entry,
        on: &mut impl FnMut(Completion<'_>),
    ) -> Result<(), TurnError> {
        if let Some(buffer) = cqueue::buffer_select(entry.flags()) {
            if entry.result() >= 0 {
                self.hand_over(SocketId(socket), buffer, entry.result() as usize, on);
            }
            if let Some(buffers) = self.buffers_of(socket) {
                buffers.give_back(buffer);
            }
        }
        match -entry.result() {
            libc::ENOBUFS => self.counters.buffers_exhausted += 1,
            errno @ (libc::EBADF
            | libc::EINVAL
            | libc::ENOTSOCK
            | libc::EOPNOTSUPP
            | libc::EFAULT) => {
                let source = io::Error::from_raw_os_error(errno);
                return Err(TurnError::Receive { socket, source });
            }
            errno if errno > 0 => {
                if let Some(port) = self.ports.get_mut(usize::from(socket)) {
                    port.read_errors(socket, &mut self.notices, &mut self.counters);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn hand_over(
        &mut self,
        socket: SocketId,
        buffer: u16,
        length: usize,
        on: &mut impl FnMut(Completion<'_>),
    ) {
        let buffers = match self.classes.get(usize::from(socket.0)) {
            Some(Class::Large) => Some(&self.buffers),
            Some(Class::Small) => self.small_buffers.as_ref(),
            None => None,
        };
        let Some(message) = buffers.and_then(|buffers| buffers.message(buffer, length)) else {
            return;
        };
        let Some(from) = address::read(message.name_data()) else {
            return;
        };
        let bytes = message.payload_data();
        let truncated = message.is_payload_truncated();
        self.counters.datagrams_in += 1;
        self.counters.bytes_in += bytes.len() as u64;
        self.counters.truncated += u64::from(truncated);
        on(Completion::Datagram {
            socket,
            from,
            bytes,
            truncated,
            waited: self.turn_time.since_stamp(message.control_data()),
        });
    }

    /// The buffers a socket's datagrams come in.
    fn buffers_of(&mut self, socket: u16) -> Option<&mut Buffers> {
        match self.classes.get(usize::from(socket))? {
            Class::Large => Some(&mut self.buffers),
            Class::Small => self.small_buffers.as_mut(),
        }
    }

    /// What is told last in a turn: unreachable peers, and that somebody woke us.
    fn report(&mut self, on: &mut impl FnMut(Completion<'_>)) {
        for (socket, to) in self.notices.0.drain(..) {
            on(Completion::Unreachable { socket, to });
        }
        if self.waker.take() {
            self.counters.wakes += 1;
            on(Completion::Woken);
        }
    }

    /// Queues the long-running operations that have ended or not yet begun.
    fn arm(&mut self) -> Result<(), TurnError> {
        while let Some(&ticket) = self.to_arm.last() {
            let entry = match ticket {
                Ticket::Receive { socket } => match self.buffers_of(socket) {
                    Some(buffers) => buffers.receive(socket),
                    None => {
                        self.to_arm.pop();
                        continue;
                    }
                },
                _ => {
                    let file = types::Fixed(self.ports_max.into());
                    opcode::PollAdd::new(file, libc::POLLIN as u32)
                        .multi(true)
                        .build()
                }
            };
            // SAFETY: what a receive points at belongs to its buffers, which outlive the ring.
            let pushed = unsafe { push_entry(&mut self.ring, &entry.user_data(ticket.pack())) };
            if pushed.is_err() {
                // No room now; the next turn tries again.
                return may_go_on(pushed);
            }
            self.to_arm.pop();
        }
        Ok(())
    }

    /// Ends each receive by its ticket, which the kernel finds by a hash. Ending "everything" looks
    /// at all it has ended before for each one more: 0.3 s for 8,000 receives, 4 s for 16,000. What
    /// is left over here, if anything, that one ends.
    fn end_receives(&mut self) {
        for socket in 0..self.ports.len() as u16 {
            let ticket = Ticket::Receive { socket }.pack();
            let entry = opcode::AsyncCancel::new(ticket).build();
            let entry = entry.flags(squeue::Flags::SKIP_SUCCESS);
            // SAFETY: the entry points at nothing.
            if unsafe { push_entry(&mut self.ring, &entry) }.is_err() {
                return;
            }
        }
        while self.enter().is_ok() && self.ring.completion().count() > 0 {}
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        // End what the kernel still holds (receives, waiting sends) before its memory goes.
        self.end_receives();
        let patience = types::Timespec::new().sec(1);
        let all = types::CancelBuilder::any();
        let _ = self
            .ring
            .submitter()
            .register_sync_cancel(Some(patience), all);
        self.registered.unregister(&self.ring);
    }
}

impl std::fmt::Debug for Reactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reactor")
            .field("sockets", &self.ports.len())
            .finish_non_exhaustive()
    }
}

/// Sorts the answers of `io_uring_enter`: what a later turn mends is no error.
fn may_go_on(result: io::Result<()>) -> Result<(), TurnError> {
    match result {
        Ok(()) => Ok(()),
        Err(error) => match error.raw_os_error() {
            // Time is up; a signal; completions to be reaped first; no memory at this moment.
            Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN | libc::ENOBUFS) => Ok(()),
            _ => Err(TurnError::Enter(error)),
        },
    }
}

/// The two groups of buffers of a configuration.
fn shapes(config: &ReactorConfig) -> (Shape, Option<Shape>) {
    let large = Shape {
        group: 0,
        key: "buffers",
        count: config.buffers,
        payload_bytes: config.buffer_bytes,
        control_bytes: if config.receive_times_every > 0 {
            stamp::CONTROL_BYTES
        } else {
            0
        },
    };
    let small = Shape {
        group: 1,
        key: "small_buffers",
        count: config.small_buffers,
        payload_bytes: config.small_buffer_bytes,
        control_bytes: 0,
    };
    (large, (config.small_buffers > 0).then_some(small))
}

/// The kernel makes no table of registered files longer than the limit on open files.
fn failed_files(sockets_max: u16, source: io::Error) -> SetupError {
    match (source.raw_os_error(), limits::open_files()) {
        (Some(libc::EMFILE), Ok((allowed, _))) => SetupError::Files {
            needed: u64::from(sockets_max) + 1,
            allowed,
        },
        _ => SetupError::Ring {
            step: "registering files",
            source,
        },
    }
}
