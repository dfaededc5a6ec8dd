//! Sockets: a SO_REUSEPORT group for each listening address, one socket for each shard, with the
//! options the reactor relies upon. What travels through them is the reactor's.

use std::io;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, RawFd};

use socket2::{Domain, Protocol, Socket, Type};

use crate::error::SetupError;

/// A socket of one reactor: its place in the order of [`crate::Reactor::add_udp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId(pub u16);

/// What an operator may choose about a socket.
#[derive(Clone, Debug)]
pub struct UdpOptions {
    /// Receive buffer asked for, in bytes of payload and kernel bookkeeping.
    pub receive_buffer_bytes: usize,
    /// Send buffer asked for.
    pub send_buffer_bytes: usize,
    /// Differentiated services code point of what is sent (0..=63); 26 is usual for signalling.
    pub dscp: Option<u8>,
    /// Hear of peers that cannot be reached (ICMP). Without it neither a send nor a receive ever fails
    /// because of a peer: for sockets on which nobody acts upon the news.
    pub report_errors: bool,
}

impl Default for UdpOptions {
    fn default() -> UdpOptions {
        UdpOptions {
            receive_buffer_bytes: 8 << 20,
            send_buffer_bytes: 8 << 20,
            dscp: None,
            report_errors: true,
        }
    }
}

/// One bound UDP socket, on its way to its shard.
#[derive(Debug)]
pub struct UdpListener {
    socket: Socket,
    address: SocketAddr,
    reports_errors: bool,
}

impl UdpListener {
    /// The address it is bound to, port filled in.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// The receive buffer the kernel granted, in the unit it was asked for.
    pub fn receive_buffer_bytes(&self) -> usize {
        // The kernel doubles what it is given, for bookkeeping, and reports the double.
        self.socket.recv_buffer_size().unwrap_or(0) / 2
    }

    /// The send buffer the kernel granted.
    pub fn send_buffer_bytes(&self) -> usize {
        self.socket.send_buffer_size().unwrap_or(0) / 2
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Whether ICMP errors are queued on it.
    pub(crate) fn reports_errors(&self) -> bool {
        self.reports_errors
    }

    /// Has the kernel say when each datagram came, or not. It goes on noting it once it was asked.
    pub(crate) fn stamp_receives(&self, on: bool) -> Result<(), SetupError> {
        let option = libc::SO_TIMESTAMPNS;
        let stamped = set_number(&self.socket, libc::SOL_SOCKET, option, usize::from(on));
        stamped.map_err(|source| SetupError::Socket {
            option: "SO_TIMESTAMPNS",
            source,
        })
    }

    /// Has the kernel look at each datagram with this program before it is queued, or no more.
    pub(crate) fn filter(&self, program: Option<&[libc::sock_filter]>) -> io::Result<()> {
        let fprog = program.map(|program| libc::sock_fprog {
            len: u16::try_from(program.len()).unwrap_or(u16::MAX),
            filter: program.as_ptr().cast_mut(),
        });
        let none = 0i32;
        let (option, value, length) = match &fprog {
            Some(fprog) => (
                libc::SO_ATTACH_FILTER,
                (&raw const *fprog).cast(),
                size_of_val(fprog),
            ),
            None => (
                libc::SO_DETACH_FILTER,
                (&raw const none).cast(),
                size_of_val(&none),
            ),
        };
        // SAFETY: the value is live and `length` bytes long; the program it points at is, too, and the
        // kernel copies it.
        let result = unsafe {
            libc::setsockopt(
                self.fd(),
                libc::SOL_SOCKET,
                option,
                value,
                length as libc::socklen_t,
            )
        };
        match result {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// The socket itself, for tests.
    #[cfg(test)]
    pub(crate) fn into_std(self) -> io::Result<std::net::UdpSocket> {
        self.socket.set_nonblocking(false)?;
        Ok(self.socket.into())
    }

    /// Datagrams the kernel dropped because the receive buffer was full.
    pub(crate) fn kernel_drops(&self) -> u64 {
        // SK_MEMINFO_DROPS is the ninth word of SO_MEMINFO's answer.
        const WORDS: usize = 9;
        let mut words = [0u32; WORDS];
        let mut length = size_of_val(&words) as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` bytes into `words`.
        let result = unsafe {
            libc::getsockopt(
                self.fd(),
                libc::SOL_SOCKET,
                libc::SO_MEMINFO,
                words.as_mut_ptr().cast(),
                &mut length,
            )
        };
        if result == 0 {
            u64::from(words[WORDS - 1])
        } else {
            0
        }
    }
}

/// Binds one socket for each of `shards` to one address, in shard order. Port 0 takes a free port,
/// the same for all. With one shard there is no group.
///
/// # Errors
/// [`SetupError::Bind`] when the address is not ours or is taken, also by a stranger's reuse group;
/// [`SetupError::Socket`] when an option is refused.
pub fn bind_udp_group(
    address: SocketAddr,
    shards: usize,
    options: &UdpOptions,
) -> Result<Vec<UdpListener>, SetupError> {
    if shards > 1 && address.port() != 0 {
        // A reuse group of the same user lets anybody join, so a second engine would silently
        // take half the datagrams. A plain bind says whether somebody is there.
        bind_one(address, false, options)?;
    }
    let mut group: Vec<UdpListener> = Vec::with_capacity(shards);
    for _ in 0..shards {
        let address = group.first().map_or(address, UdpListener::local_address);
        group.push(bind_one(address, shards > 1, options)?);
    }
    Ok(group)
}

/// Binds one socket; `shared` ones may be several at one address.
pub(crate) fn bind_one(
    address: SocketAddr,
    shared: bool,
    options: &UdpOptions,
) -> Result<UdpListener, SetupError> {
    let failed = |option| move |source| SetupError::Socket { option, source };
    // Blocking on purpose: io_uring takes O_NONBLOCK to mean that a receive must not wait.
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )
    .map_err(failed("socket"))?;
    if address.is_ipv6() {
        socket.set_only_v6(true).map_err(failed("IPV6_V6ONLY"))?;
    }
    if shared {
        socket
            .set_reuse_port(true)
            .map_err(failed("SO_REUSEPORT"))?;
    }
    set_buffers(&socket, options)?;
    if options.report_errors {
        report_errors(&socket, address)?;
    }
    if let Some(dscp) = options.dscp {
        set_dscp(&socket, address, dscp)?;
    }
    let bind_failed = |source| SetupError::Bind { address, source };
    socket.bind(&address.into()).map_err(bind_failed)?;
    let bound = socket.local_addr().map_err(bind_failed)?.as_socket();
    Ok(UdpListener {
        socket,
        address: bound.map_or(address, plain),
        reports_errors: options.report_errors,
    })
}

/// The address without flow label and without an IPv6 scope that means nothing.
fn plain(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => SocketAddrV4::new(*v4.ip(), v4.port()).into(),
        SocketAddr::V6(v6) => SocketAddrV6::new(*v6.ip(), v6.port(), 0, v6.scope_id()).into(),
    }
}

/// Asks with privilege first (beyond net.core.rmem_max), then without; what was granted can be read
/// from the listener and is the caller's to judge.
fn set_buffers(socket: &Socket, options: &UdpOptions) -> Result<(), SetupError> {
    let (receive, send) = (options.receive_buffer_bytes, options.send_buffer_bytes);
    if set_number(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, receive).is_err() {
        set_number(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, receive).map_err(|source| {
            SetupError::Socket {
                option: "SO_RCVBUF",
                source,
            }
        })?;
    }
    if set_number(socket, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, send).is_err() {
        set_number(socket, libc::SOL_SOCKET, libc::SO_SNDBUF, send).map_err(|source| {
            SetupError::Socket {
                option: "SO_SNDBUF",
                source,
            }
        })?;
    }
    Ok(())
}

/// ICMP errors go to the error queue, with the address they are about.
fn report_errors(socket: &Socket, address: SocketAddr) -> Result<(), SetupError> {
    let (level, name) = match address {
        SocketAddr::V4(_) => (libc::SOL_IP, libc::IP_RECVERR),
        SocketAddr::V6(_) => (libc::SOL_IPV6, libc::IPV6_RECVERR),
    };
    set_number(socket, level, name, 1).map_err(|source| SetupError::Socket {
        option: "IP_RECVERR",
        source,
    })
}

fn set_dscp(socket: &Socket, address: SocketAddr, dscp: u8) -> Result<(), SetupError> {
    if dscp > 63 {
        let found = u64::from(dscp);
        return Err(SetupError::Config {
            what: "dscp",
            wanted: "0 to 63",
            found,
        });
    }
    let (level, name) = match address {
        SocketAddr::V4(_) => (libc::SOL_IP, libc::IP_TOS),
        SocketAddr::V6(_) => (libc::SOL_IPV6, libc::IPV6_TCLASS),
    };
    set_number(socket, level, name, usize::from(dscp) << 2).map_err(|source| SetupError::Socket {
        option: "IP_TOS",
        source,
    })
}

fn set_number(socket: &Socket, level: i32, name: i32, value: usize) -> io::Result<()> {
    let value = i32::try_from(value).unwrap_or(i32::MAX);
    // SAFETY: the option's value is an int that outlives the call, with its size.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            std::ptr::from_ref(&value).cast(),
            size_of::<i32>() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(text: &str, shards: usize) -> Result<Vec<UdpListener>, SetupError> {
        bind_udp_group(text.parse().unwrap(), shards, &UdpOptions::default())
    }

    #[test]
    fn a_group_shares_one_free_port() {
        let group = bind("127.0.0.1:0", 3).unwrap();
        assert_eq!(group.len(), 3);
        assert_ne!(group[0].local_address().port(), 0);
        assert!(
            group
                .iter()
                .all(|l| l.local_address() == group[0].local_address())
        );
    }

    #[test]
    fn a_stranger_on_the_port_is_an_error_even_for_a_group() {
        let first = bind("127.0.0.1:0", 2).unwrap();
        let error = bind(&first[0].local_address().to_string(), 2).unwrap_err();
        assert!(matches!(error, SetupError::Bind { .. }), "{error}");
        assert!(error.to_string().contains("no other program has the port"));
    }

    #[test]
    fn an_address_that_is_not_ours_is_named() {
        let error = bind("192.0.2.1:5060", 1).unwrap_err();
        assert!(error.to_string().contains("192.0.2.1:5060"), "{error}");
    }

    #[test]
    fn the_granted_buffers_are_reported() {
        let options = UdpOptions {
            receive_buffer_bytes: 100_000,
            ..Default::default()
        };
        let group = bind_udp_group("127.0.0.1:0".parse().unwrap(), 1, &options).unwrap();
        assert_eq!(group[0].receive_buffer_bytes(), 100_000);
        assert_eq!(group[0].kernel_drops(), 0);
    }

    #[test]
    fn ipv6_does_not_take_ipv4() {
        let Ok(six) = bind("[::]:0", 1) else {
            return eprintln!("skipped: no IPv6 here");
        };
        bind(&format!("0.0.0.0:{}", six[0].local_address().port()), 1).unwrap();
    }

    #[test]
    fn a_code_point_is_checked_and_set() {
        let options = UdpOptions {
            dscp: Some(26),
            ..Default::default()
        };
        let group = bind_udp_group("127.0.0.1:0".parse().unwrap(), 1, &options).unwrap();
        assert_eq!(group[0].socket.tos_v4().unwrap(), 26 << 2);
        let wrong = UdpOptions {
            dscp: Some(64),
            ..Default::default()
        };
        assert!(bind_udp_group("127.0.0.1:0".parse().unwrap(), 1, &wrong).is_err());
    }
}
