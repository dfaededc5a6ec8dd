//! The kernel's side of the generator: batches of datagrams in (`recvmmsg`, UDP_GRO) and out (`sendmmsg`, UDP_SEGMENT), drop
//! counters, pinning, the thread's CPU clock and Ctrl-C. The only file of this crate with `unsafe`; it knows no SIP.

#![allow(unsafe_code, reason = "the kernel's interfaces have no other")]

use std::ffi::c_void;
use std::io;
use std::mem;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

/// Datagrams asked of the kernel in one call.
pub(crate) const BATCH: usize = 64;
/// Bytes of one receive buffer that may get the kernel's largest super-packet (UDP_GRO). The odd part keeps the beginnings of
/// neighbouring buffers out of each other's cache sets.
const SUPER_PACKET_BYTES: usize = 65_536 + 832;
/// Bytes of one receive buffer for single datagrams.
const DATAGRAM_BYTES: usize = 2_048 + 832;
/// Room for a peer's address (`sockaddr_in6`).
const NAME_BYTES: usize = 28;
/// Room for one control message with an `int` in it.
const CONTROL_BYTES: usize = 32;
/// Socket buffer asked for, in bytes; the kernel may give less.
const SOCKET_BUFFER_BYTES: usize = 16 << 20;
/// Place of the drop counter in what SO_MEMINFO returns (`SK_MEMINFO_DROPS`, linux/sock_diag.h).
const MEMINFO_DROPS: usize = 8;

/// A peer's address in the kernel's layout, cheap to copy and compare.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Address {
    bytes: [u8; NAME_BYTES],
    length: u8,
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Address {
        let mut bytes = [0; NAME_BYTES];
        bytes[2..4].copy_from_slice(&address.port().to_be_bytes());
        let (family, length) = match address.ip() {
            IpAddr::V4(ip) => {
                bytes[4..8].copy_from_slice(&ip.octets());
                (libc::AF_INET, 16)
            }
            IpAddr::V6(ip) => {
                bytes[8..24].copy_from_slice(&ip.octets());
                (libc::AF_INET6, 28)
            }
        };
        bytes[..2].copy_from_slice(&(family as u16).to_ne_bytes());
        Address { bytes, length }
    }
}

/// Opens a non-blocking UDP socket with large buffers, and UDP_GRO when `gro`.
pub(crate) fn bind(address: SocketAddr, gro: bool) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES)?;
    socket.set_send_buffer_size(SOCKET_BUFFER_BYTES)?;
    // Beyond rmem_max when we may; refused without CAP_NET_ADMIN, and then the size above stays.
    let _ = set_option(
        socket.as_raw_fd(),
        libc::SOL_SOCKET,
        libc::SO_RCVBUFFORCE,
        64 << 20,
    );
    if gro {
        set_option(socket.as_raw_fd(), libc::SOL_UDP, libc::UDP_GRO, 1)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Has the kernel note when each datagram reached this host (SO_TIMESTAMPNS), for `Receiver::arrivals`.
pub(crate) fn note_arrivals(socket: &UdpSocket) -> io::Result<()> {
    set_option(
        socket.as_raw_fd(),
        libc::SOL_SOCKET,
        libc::SO_TIMESTAMPNS,
        1,
    )
}

/// Allows this process, and what it starts from now on, as many open files as its hard limit says.
pub(crate) fn raise_open_files() -> io::Result<()> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a live rlimit, written by the first call and read by the second.
    let result = unsafe {
        match libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) {
            0 => {
                limit.rlim_cur = limit.rlim_max;
                libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit)
            }
            failed => failed,
        }
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn set_option(fd: RawFd, level: i32, name: i32, value: i32) -> io::Result<()> {
    let length = mem::size_of::<i32>() as libc::socklen_t;
    // SAFETY: the value is a live i32 and `length` is its size.
    let result = unsafe { libc::setsockopt(fd, level, name, (&raw const value).cast(), length) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Datagrams the kernel dropped at this socket since it was opened (its queue was full).
pub(crate) fn drops(socket: &UdpSocket) -> io::Result<u64> {
    let mut counters = [0u32; 16];
    let mut length = mem::size_of_val(&counters) as libc::socklen_t;
    // SAFETY: the array is live and `length` is its size in bytes; the kernel writes no more than that.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            counters.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result == 0 {
        Ok(u64::from(counters[MEMINFO_DROPS]))
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Receive buffers for one `recvmmsg`, reused by every socket of the thread.
pub(crate) struct Receiver {
    buffers: Vec<u8>,
    stride: usize,
    names: Vec<[u8; NAME_BYTES]>,
    controls: Vec<[u64; CONTROL_BYTES / 8]>,
    _vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    used: usize,
}

impl Receiver {
    /// Buffers for `BATCH` datagrams, or as many super-packets when the sockets have UDP_GRO on.
    pub(crate) fn new(gro: bool) -> Receiver {
        let stride = if gro {
            SUPER_PACKET_BYTES
        } else {
            DATAGRAM_BYTES
        };
        let mut buffers = vec![0u8; BATCH * stride];
        let mut names = vec![[0u8; NAME_BYTES]; BATCH];
        let mut controls = vec![[0u64; CONTROL_BYTES / 8]; BATCH];
        let mut vectors: Vec<libc::iovec> = buffers
            .chunks_mut(stride)
            .map(|b| libc::iovec {
                iov_base: b.as_mut_ptr().cast(),
                iov_len: b.len(),
            })
            .collect();
        let headers = (0..BATCH)
            .map(|i| {
                let mut header = empty_header();
                header.msg_hdr.msg_name = names[i].as_mut_ptr().cast();
                header.msg_hdr.msg_namelen = NAME_BYTES as u32;
                header.msg_hdr.msg_iov = &raw mut vectors[i];
                header.msg_hdr.msg_iovlen = 1;
                header.msg_hdr.msg_control = controls[i].as_mut_ptr().cast();
                header.msg_hdr.msg_controllen = CONTROL_BYTES;
                header
            })
            .collect();
        Receiver {
            buffers,
            stride,
            names,
            controls,
            _vectors: vectors,
            headers,
            used: 0,
        }
    }

    /// Takes what waits at the socket, at most `BATCH`; zero when nothing does.
    pub(crate) fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        for header in &mut self.headers[..self.used] {
            header.msg_hdr.msg_namelen = NAME_BYTES as u32;
            header.msg_hdr.msg_controllen = CONTROL_BYTES;
        }
        self.used = 0;
        // SAFETY: every header points at its own name, control and iovec entry, all owned by `self` in vectors that are
        // never resized, so the pointers stay valid and do not overlap.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                BATCH as u32,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        if count >= 0 {
            self.used = count as usize;
            return Ok(self.used);
        }
        match io::Error::last_os_error() {
            e if e.kind() == io::ErrorKind::WouldBlock => Ok(0),
            // A port that nobody listens on yet is the peer's trouble, seen as missing answers.
            e if e.raw_os_error() == Some(libc::ECONNREFUSED) => Ok(0),
            e if e.kind() == io::ErrorKind::Interrupted => Ok(0),
            e => Err(e),
        }
    }

    /// The datagrams of the last `receive`: a super-packet of UDP_GRO comes apart into its datagrams.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = (Address, &[u8])> {
        (0..self.used).flat_map(move |i| {
            let header = &self.headers[i];
            let bytes = &self.buffers[i * self.stride..][..header.msg_len as usize];
            let length = header.msg_hdr.msg_namelen.min(NAME_BYTES as u32) as u8;
            let from = Address {
                bytes: self.names[i],
                length,
            };
            let segment = self.segment_bytes(i).unwrap_or(bytes.len()).max(1);
            bytes.chunks(segment).map(move |datagram| (from, datagram))
        })
    }

    /// The datagrams of the last `receive` on sockets that note arrivals (`note_arrivals`), each with its arrival in
    /// nanoseconds since 1970.
    pub(crate) fn arrivals(&self) -> impl Iterator<Item = (&[u8], Option<u64>)> {
        (0..self.used).map(move |i| {
            let length = self.headers[i].msg_len as usize;
            let bytes = &self.buffers[i * self.stride..][..length];
            (bytes, self.arrival_ns(i))
        })
    }

    /// The time an SO_TIMESTAMPNS control message names: header (length, level, type), then seconds and nanoseconds.
    fn arrival_ns(&self, i: usize) -> Option<u64> {
        if self.headers[i].msg_hdr.msg_controllen < CONTROL_BYTES {
            return None;
        }
        let [_, level_and_type, seconds, nanoseconds] = self.controls[i];
        let expected = (libc::SOL_SOCKET as u64) | ((libc::SCM_TIMESTAMPNS as u64) << 32);
        (level_and_type == expected).then_some(seconds * 1_000_000_000 + nanoseconds)
    }

    /// Writes one run per datagram of the last `receive` (without UDP_GRO), addressed by `route` from its source.
    pub(crate) fn route(&self, runs: &mut Vec<Run>, mut route: impl FnMut(Address) -> Address) {
        runs.clear();
        for (i, (from, bytes)) in self.datagrams().enumerate() {
            let start = (i * self.stride) as u32;
            let (end, segment) = (start + bytes.len() as u32, bytes.len() as u16);
            runs.push(Run {
                to: route(from),
                start,
                end,
                segment,
            });
        }
    }

    /// The buffers that the runs of `route` lie in.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffers
    }

    /// The datagram size a UDP_GRO control message names: header (length, level, type), then an int.
    fn segment_bytes(&self, i: usize) -> Option<usize> {
        if self.headers[i].msg_hdr.msg_controllen < mem::size_of::<libc::cmsghdr>() + 4 {
            return None;
        }
        let [_, level_and_type, value, _] = self.controls[i];
        let level = (level_and_type & 0xffff_ffff) as i32;
        let kind = (level_and_type >> 32) as i32;
        let segment = (value & 0xffff_ffff) as usize;
        (level == libc::SOL_UDP && kind == libc::UDP_GRO && segment > 0).then_some(segment)
    }
}

fn empty_header() -> libc::mmsghdr {
    // SAFETY: mmsghdr is plain data; null pointers with zero lengths are what the kernel takes as "absent".
    unsafe { mem::zeroed() }
}

/// A stretch of a byte buffer that goes to one address: one datagram, or several of `segment` bytes each (the last may be
/// shorter), cut apart by the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) to: Address,
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) segment: u16,
}

impl Run {
    fn bytes(&self) -> usize {
        (self.end - self.start) as usize
    }

    fn is_one_datagram(&self) -> bool {
        self.bytes() <= usize::from(self.segment)
    }
}

/// Send headers for one `sendmmsg`, reused by every socket of the thread.
pub(crate) struct Sender {
    names: Vec<Address>,
    controls: Vec<[u64; CONTROL_BYTES / 8]>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

impl Sender {
    /// Headers for `BATCH` runs.
    pub(crate) fn new() -> Sender {
        let nowhere = Address {
            bytes: [0; NAME_BYTES],
            length: 0,
        };
        let no_bytes = libc::iovec {
            iov_base: std::ptr::null_mut(),
            iov_len: 0,
        };
        Sender {
            names: vec![nowhere; BATCH],
            controls: vec![[0; CONTROL_BYTES / 8]; BATCH],
            vectors: vec![no_bytes; BATCH],
            headers: (0..BATCH).map(|_| empty_header()).collect(),
        }
    }

    /// Sends every run; returns how many runs the kernel refused.
    pub(crate) fn send(&mut self, socket: &UdpSocket, bytes: &[u8], runs: &[Run]) -> u64 {
        let mut refused = 0;
        for batch in runs.chunks(BATCH) {
            for (i, run) in batch.iter().enumerate() {
                self.prepare(i, bytes, run);
            }
            refused += self.send_prepared(socket, batch.len());
        }
        refused
    }

    fn prepare(&mut self, i: usize, bytes: &[u8], run: &Run) {
        let payload = &bytes[run.start as usize..run.end as usize];
        self.names[i] = run.to;
        self.vectors[i] = libc::iovec {
            iov_base: payload.as_ptr().cast_mut().cast(),
            iov_len: payload.len(),
        };
        let header = &mut self.headers[i].msg_hdr;
        header.msg_name = self.names[i].bytes.as_mut_ptr().cast::<c_void>();
        header.msg_namelen = u32::from(run.to.length);
        header.msg_iov = &raw mut self.vectors[i];
        header.msg_iovlen = 1;
        header.msg_control = std::ptr::null_mut();
        header.msg_controllen = 0;
        if !run.is_one_datagram() {
            // A cmsghdr (length 18, SOL_UDP, UDP_SEGMENT) and its u16, as words in native order.
            let kind = (libc::SOL_UDP as u64) | ((libc::UDP_SEGMENT as u64) << 32);
            self.controls[i] = [18, kind, u64::from(run.segment), 0];
            header.msg_control = self.controls[i].as_mut_ptr().cast();
            header.msg_controllen = 24;
        }
    }

    fn send_prepared(&mut self, socket: &UdpSocket, count: usize) -> u64 {
        let (mut done, mut refused, mut tries) = (0, 0, 0);
        while done < count {
            // SAFETY: headers[done..count] were filled by `prepare` just now; the names, controls and vectors they point at
            // live in `self`, the payload in the caller's slice, and the kernel only reads them.
            let sent = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    self.headers.as_mut_ptr().add(done),
                    (count - done) as u32,
                    libc::MSG_DONTWAIT,
                )
            };
            if sent > 0 {
                done += sent as usize;
                tries = 0;
            } else if io::Error::last_os_error().kind() == io::ErrorKind::WouldBlock && tries < 100
            {
                tries += 1;
            } else {
                refused += 1;
                done += 1;
            }
        }
        refused
    }
}

/// Pins the calling thread, and what it spawns from now on, to one CPU.
pub(crate) fn pin(cpu: usize) -> io::Result<()> {
    pin_to(cpu..=cpu)
}

/// Lets the calling thread, and what it spawns from now on, run anywhere.
pub(crate) fn unpin() -> io::Result<()> {
    pin_to(0..=libc::CPU_SETSIZE as usize - 1)
}

fn pin_to(cpus: RangeInclusive<usize>) -> io::Result<()> {
    // SAFETY: a cpu_set_t is plain bits, all zero is the empty set, and CPU_SET checks its bound.
    let result = unsafe {
        let mut set: libc::cpu_set_t = mem::zeroed();
        for cpu in cpus {
            libc::CPU_SET(cpu, &mut set);
        }
        libc::sched_setaffinity(0, mem::size_of::<libc::cpu_set_t>(), &raw const set)
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// CPU time this thread has used, in nanoseconds.
pub(crate) fn thread_cpu_ns() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a live timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Lets sleeps of this thread end on time rather than up to 50 us late.
pub(crate) fn sharpen_sleep() {
    // SAFETY: PR_SET_TIMERSLACK takes one number and touches no memory of ours.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1u64, 0u64, 0u64, 0u64) };
}

/// Waits until a socket is readable or the time is over.
pub(crate) fn wait_readable(socket: &UdpSocket, limit: Duration) {
    let mut poll = libc::pollfd {
        fd: socket.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    let milliseconds = limit.as_millis().min(i32::MAX as u128) as i32;
    // SAFETY: one live pollfd, and the count says one.
    unsafe { libc::poll(&raw mut poll, 1, milliseconds) };
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

extern "C" fn on_interrupt(_signal: i32) {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// From now on Ctrl-C (and SIGTERM) only sets the flag that `interrupted` reads; a second one ends the process.
pub(crate) fn watch_interrupts() {
    // SAFETY: the action is zeroed plain data with a handler that only stores to an atomic, which is async-signal-safe.
    unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        action.sa_sigaction = on_interrupt as *const () as usize;
        action.sa_flags = libc::SA_RESETHAND;
        libc::sigaction(libc::SIGINT, &raw const action, std::ptr::null_mut());
        libc::sigaction(libc::SIGTERM, &raw const action, std::ptr::null_mut());
    }
}

/// Whether somebody asked the run to end.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Asks a process to end (SIGTERM). For children not yet waited for, whose pid can name no other process.
pub(crate) fn terminate(child: &std::process::Child) {
    // SAFETY: kill touches no memory of ours.
    unsafe { libc::kill(child.id() as i32, libc::SIGTERM) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    /// Receives until `count` datagrams came, a second at most.
    fn take(receiver: &mut Receiver, socket: &UdpSocket, count: usize) -> Vec<Vec<u8>> {
        let mut taken = Vec::new();
        for _ in 0..100 {
            wait_readable(socket, Duration::from_millis(10));
            receiver.receive(socket).unwrap();
            taken.extend(receiver.datagrams().map(|(_, bytes)| bytes.to_vec()));
            if taken.len() >= count {
                break;
            }
        }
        taken
    }

    fn send_run(gro: bool) -> Vec<Vec<u8>> {
        let (a, b) = (
            bind(loopback(), false).unwrap(),
            bind(loopback(), gro).unwrap(),
        );
        let to = Address::from(b.local_addr().unwrap());
        let bytes = b"aaaabbbbcc".to_vec();
        let run = Run {
            to,
            start: 0,
            end: 10,
            segment: 4,
        };
        assert_eq!(Sender::new().send(&a, &bytes, &[run]), 0);
        take(&mut Receiver::new(gro), &b, 3)
    }

    #[test]
    fn a_run_arrives_as_its_datagrams_with_and_without_gro() {
        for gro in [false, true] {
            assert_eq!(
                send_run(gro),
                [b"aaaa".to_vec(), b"bbbb".to_vec(), b"cc".to_vec()]
            );
        }
    }

    #[test]
    fn the_sender_is_named_by_its_address() {
        let (a, b) = (
            bind(loopback(), false).unwrap(),
            bind(loopback(), true).unwrap(),
        );
        a.send_to(b"x", b.local_addr().unwrap()).unwrap();
        let mut receiver = Receiver::new(true);
        assert_eq!(take(&mut receiver, &b, 1), [b"x".to_vec()]);
        let (from, _) = receiver.datagrams().next().unwrap();
        assert_eq!(from, Address::from(a.local_addr().unwrap()));
    }

    #[test]
    fn the_kernel_notes_when_a_datagram_came() {
        let (a, b) = (
            bind(loopback(), false).unwrap(),
            bind(loopback(), false).unwrap(),
        );
        note_arrivals(&b).unwrap();
        let since_1970 = || {
            let now = std::time::SystemTime::now();
            let since = now.duration_since(std::time::UNIX_EPOCH).unwrap();
            since.as_nanos() as u64
        };
        let before = since_1970();
        a.send_to(b"x", b.local_addr().unwrap()).unwrap();
        let mut receiver = Receiver::new(false);
        assert_eq!(take(&mut receiver, &b, 1), [b"x".to_vec()]);
        let (bytes, arrival_ns) = receiver.arrivals().next().unwrap();
        assert_eq!(bytes, b"x");
        assert!((before..=since_1970()).contains(&arrival_ns.unwrap()));
    }

    #[test]
    fn ipv6_addresses_reach_the_kernel_as_they_are() {
        let Ok(b) = bind("[::1]:0".parse().unwrap(), false) else {
            return;
        };
        let a = bind("[::1]:0".parse().unwrap(), false).unwrap();
        let run = Run {
            to: Address::from(b.local_addr().unwrap()),
            start: 0,
            end: 2,
            segment: 2,
        };
        assert_eq!(Sender::new().send(&a, b"v6", &[run]), 0);
        let mut receiver = Receiver::new(false);
        assert_eq!(take(&mut receiver, &b, 1), [b"v6".to_vec()]);
        let (from, _) = receiver.datagrams().next().unwrap();
        assert_eq!(from, Address::from(a.local_addr().unwrap()));
    }

    #[test]
    fn a_full_socket_counts_its_drops() {
        let (a, b) = (
            bind(loopback(), false).unwrap(),
            bind(loopback(), false).unwrap(),
        );
        set_option(b.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, 4096).unwrap();
        for _ in 0..100 {
            a.send_to(&[0; 1000], b.local_addr().unwrap()).unwrap();
        }
        assert!(drops(&b).unwrap() > 0);
        assert_eq!(drops(&a).unwrap(), 0);
    }
}
