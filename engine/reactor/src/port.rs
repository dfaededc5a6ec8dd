//! A socket while a reactor owns it, and what its error queue told: the notices that wait to be
//! handed over. How errors arise is told in `icmp`, what they mean for a send in `send`.

use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use crate::counters::Counters;
use crate::icmp;
use crate::socket::{SocketId, UdpListener};

/// How long a socket stays careful after an ICMP error was seen on it.
const CAREFUL: Duration = Duration::from_secs(1);

/// What a socket carries: few long datagrams that are waited for, or many short ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Large buffers, receive times if wanted.
    Large,
    /// Small buffers.
    Small,
}

/// A socket as the reactor keeps it.
pub(crate) struct Port {
    pub(crate) listener: UdpListener,
    careful_until: Option<Instant>,
}

impl Port {
    pub(crate) fn new(listener: UdpListener) -> Port {
        Port {
            listener,
            careful_until: None,
        }
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.listener.fd()
    }

    /// A peer's ICMP error may fail a call that is not about it.
    pub(crate) fn reports_errors(&self) -> bool {
        self.listener.reports_errors()
    }

    /// Had an ICMP error lately, so that its sends go one system call at a time.
    pub(crate) fn is_careful(&mut self) -> bool {
        let careful = self
            .careful_until
            .is_some_and(|until| Instant::now() < until);
        if !careful {
            self.careful_until = None;
        }
        careful
    }

    /// Reads the error queue into `notices`. If there was anything in it the socket is careful from
    /// now on; says so.
    pub(crate) fn read_errors(
        &mut self,
        id: u16,
        notices: &mut Notices,
        counters: &mut Counters,
    ) -> bool {
        let found = icmp::drain(self.fd(), |peer| {
            counters.unreachable += 1;
            notices.add(SocketId(id), peer);
        });
        if found > 0 {
            self.careful_until = Some(Instant::now() + CAREFUL);
        }
        found > 0
    }
}

/// Peers found unreachable and not yet reported.
#[derive(Default)]
pub(crate) struct Notices(pub(crate) Vec<(SocketId, SocketAddr)>);

impl Notices {
    pub(crate) fn add(&mut self, socket: SocketId, peer: SocketAddr) {
        // A dead peer answers each datagram of a burst; one report says it all.
        if !self.0.contains(&(socket, peer)) {
            self.0.push((socket, peer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_noticed_once_for_each_socket() {
        let mut notices = Notices::default();
        let peer = "192.0.2.1:5060".parse().unwrap();
        notices.add(SocketId(0), peer);
        notices.add(SocketId(0), peer);
        notices.add(SocketId(1), peer);
        assert_eq!(notices.0, [(SocketId(0), peer), (SocketId(1), peer)]);
    }

    #[test]
    fn an_empty_error_queue_makes_nobody_careful() {
        let address = "127.0.0.1:0".parse().unwrap();
        let mut group = crate::bind_udp_group(address, 1, &Default::default()).unwrap();
        let mut port = Port::new(group.remove(0));
        let (mut notices, mut counters) = Default::default();
        assert!(!port.read_errors(0, &mut notices, &mut counters));
        assert!(!port.is_careful());
        assert!(notices.0.is_empty() && counters == Counters::default());
    }
}
