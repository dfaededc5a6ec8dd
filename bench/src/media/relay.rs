//! The floor of the media path: the engine's reactor with as many sockets as a router has for so many calls, and nothing above
//! it. What comes to a socket leaves from its partner to one fixed address: no signalling, no header read, nothing counted.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use reactor::{
    Coalesce, Completion, Reactor, ReactorConfig, SendBatch, SocketId, UdpListener, UdpOptions,
    bind_udp_pairs,
};

use crate::io::{interrupted, raise_open_files};
use crate::media::sdp::Remote;

/// Sockets of a call: RTP and RTCP towards the caller, RTP and RTCP towards the callee.
pub(crate) const SOCKETS_PER_CALL: u16 = 4;
/// Kernel buffers of a socket in bytes and receive buffers in number: the router's defaults.
const SOCKET_BUFFER_BYTES: usize = 256 << 10;
const BUFFERS: u16 = 512;
/// How often it looks whether it is to end.
const LOOK: Duration = Duration::from_millis(200);

/// The relay's sockets, on consecutive ports.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) address: IpAddr,
    pub(crate) port_first: u16,
    pub(crate) calls: u16,
    /// RTP addresses of callers and callees, each call's by its number in turn; RTCP is one port above.
    pub(crate) peers: [Vec<SocketAddr>; 2],
}

impl Layout {
    /// Number of sockets; `None` when there are not so many ports.
    pub(crate) fn sockets(&self) -> Option<u16> {
        let sockets = self.calls.checked_mul(SOCKETS_PER_CALL)?;
        self.port_first.checked_add(sockets).map(|_| sockets)
    }

    fn port(&self, socket: u16) -> SocketAddr {
        SocketAddr::new(self.address, self.port_first + socket)
    }

    /// Where caller (0) and callee (1) of a call send to.
    pub(crate) fn remotes(&self, call: u16) -> [Remote; 2] {
        [0, 2].map(|first| Remote {
            rtp: self.port(call * SOCKETS_PER_CALL + first),
            rtcp: self.port(call * SOCKETS_PER_CALL + first + 1),
        })
    }

    /// Who gets what leaves from this socket.
    fn peer(&self, socket: u16) -> Option<SocketAddr> {
        let (call, place) = (
            usize::from(socket / SOCKETS_PER_CALL),
            socket % SOCKETS_PER_CALL,
        );
        let peers = &self.peers[usize::from(place / 2)];
        let mut peer = *peers.get(call.checked_rem(peers.len())?)?;
        peer.set_port(peer.port() + place % 2);
        Some(peer)
    }
}

/// The socket towards the other party, of the same kind.
fn partner(socket: u16) -> u16 {
    socket ^ 2
}

/// Relays until interrupted.
pub(crate) fn relay(layout: &Layout) -> io::Result<()> {
    let (mut reactor, peers) = open(layout)?;
    let mut batch = SendBatch::default();
    while !interrupted() {
        let turned = reactor.turn(Some(Instant::now() + LOOK), |completion| {
            if let Completion::Datagram { socket, bytes, .. } = completion {
                let out = partner(socket.0);
                let to = peers[usize::from(out)];
                batch.push(SocketId(out), to, Coalesce::Never, bytes);
            }
        });
        turned.map_err(io::Error::other)?;
        reactor.flush(&mut batch);
    }
    Ok(())
}

fn open(layout: &Layout) -> io::Result<(Reactor, Vec<SocketAddr>)> {
    let too_many = || io::Error::other("more calls than there are ports");
    let no_peer = || io::Error::other("a relay needs callers and callees");
    raise_open_files()?;
    let sockets = layout.sockets().ok_or_else(too_many)?;
    let config = ReactorConfig {
        sockets_max: sockets,
        small_buffers: BUFFERS,
        ..ReactorConfig::default()
    };
    let mut reactor = Reactor::new(&config).map_err(io::Error::other)?;
    let listeners = bind(layout, sockets)?;
    reactor.add_udp_small(listeners).map_err(io::Error::other)?;
    let peers = (0..sockets).map(|socket| layout.peer(socket).ok_or_else(no_peer));
    Ok((reactor, peers.collect::<io::Result<_>>()?))
}

/// All sockets, in the order of their ports.
fn bind(layout: &Layout, sockets: u16) -> io::Result<Vec<UdpListener>> {
    let options = UdpOptions {
        receive_buffer_bytes: SOCKET_BUFFER_BYTES,
        send_buffer_bytes: SOCKET_BUFFER_BYTES,
        report_errors: false,
        ..UdpOptions::default()
    };
    let ports = (0..sockets)
        .step_by(2)
        .map(|socket| layout.port_first + socket);
    let bound = bind_udp_pairs(layout.address, ports, &options).map_err(io::Error::other)?;
    match bound.skipped.first() {
        None => Ok(bound.pairs.into_iter().flatten().collect()),
        Some(port) => Err(io::Error::other(format!(
            "port {port} or the next is in use"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Layout {
            address: [127, 0, 0, 1].into(),
            port_first: 10_000,
            calls: 3,
            peers: [
                vec![address(100), address(102)],
                vec![address(200), address(202)],
            ],
        }
    }

    #[test]
    fn what_a_caller_sends_leaves_to_its_callee_and_back() {
        let layout = layout();
        let socket_of = |address: SocketAddr| address.port() - layout.port_first;
        for call in 0..3 {
            let [caller, callee] = layout.remotes(call);
            let lane = 2 * (call % 2);
            let leaves = |address| layout.peer(partner(socket_of(address))).unwrap().port();
            assert_eq!(leaves(caller.rtp), 200 + lane);
            assert_eq!(leaves(caller.rtcp), 201 + lane);
            assert_eq!(leaves(callee.rtp), 100 + lane);
            assert_eq!(leaves(callee.rtcp), 101 + lane);
        }
    }

    #[test]
    fn ports_do_not_run_out_unnoticed() {
        let sockets = |port_first, calls| {
            Layout {
                port_first,
                calls,
                ..layout()
            }
            .sockets()
        };
        assert_eq!(sockets(10_000, 1_000), Some(4_000));
        assert_eq!(sockets(10_000, 16_000), None);
        assert_eq!(sockets(65_000, 200), None);
    }
}
