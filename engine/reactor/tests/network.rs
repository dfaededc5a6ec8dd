//! What a network does that a plain loopback does not: slow links, narrow paths, missing routes.
//! Each test makes a network namespace for its thread and is skipped, with the reason, where that
//! is not permitted.

#![allow(clippy::disallowed_methods)] // the other end of the wire is made of std sockets

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use reactor::{
    Coalesce, Completion, Reactor, ReactorConfig, SendBatch, SocketId, UdpOptions, bind_udp_group,
};

const PATIENCE: Duration = Duration::from_secs(10);

/// Moves this thread into a namespace whose loopback was set up by these commands.
fn network(commands: &[&str]) -> bool {
    // SAFETY: takes no pointers; only this thread, which the test harness made for this test,
    // changes its namespace.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        eprintln!("skipped: a network namespace is not permitted here");
        return false;
    }
    for command in ["ip link set lo up"].iter().chain(commands) {
        let mut words = command.split(' ');
        let done = Command::new(words.next().unwrap()).args(words).status();
        if !done.is_ok_and(|status| status.success()) {
            eprintln!("skipped: cannot do `{command}`");
            return false;
        }
    }
    true
}

fn reactor_with(options: &UdpOptions) -> Reactor {
    let config = ReactorConfig {
        ring_entries: 64,
        buffers: 64,
        ..Default::default()
    };
    let mut reactor = Reactor::new(&config).unwrap();
    let mut group = bind_udp_group("0.0.0.0:0".parse().unwrap(), 1, options).unwrap();
    reactor.add_udp(group.remove(0)).unwrap();
    reactor
}

fn peer() -> (UdpSocket, SocketAddr) {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_nonblocking(true).unwrap();
    let address = peer.local_addr().unwrap();
    (peer, address)
}

/// Turns until the peer has `count` datagrams; also says who was reported unreachable.
fn deliver(
    reactor: &mut Reactor,
    peer: &UdpSocket,
    count: usize,
) -> (Vec<Vec<u8>>, Vec<SocketAddr>) {
    let deadline = Instant::now() + PATIENCE;
    let (mut arrived, mut unreachable) = (Vec::new(), Vec::new());
    while arrived.len() < count {
        assert!(
            Instant::now() < deadline,
            "{} of {count}: {:?}",
            arrived.len(),
            reactor.counters()
        );
        let step = Some(Instant::now() + Duration::from_millis(2));
        reactor
            .turn(step, |completion| {
                if let Completion::Unreachable { to, .. } = completion {
                    unreachable.push(to);
                }
            })
            .unwrap();
        let mut buffer = [0; 4096];
        while let Ok(length) = peer.recv(&mut buffer) {
            arrived.push(buffer[..length].to_vec());
        }
    }
    (arrived, unreachable)
}

#[test]
fn a_slow_link_delays_and_loses_nothing() {
    if !network(&["tc qdisc add dev lo root tbf rate 8mbit burst 3k latency 10s"]) {
        return;
    }
    let small = UdpOptions {
        send_buffer_bytes: 4096,
        ..Default::default()
    };
    let mut reactor = reactor_with(&small);
    let (peer, to) = peer();
    let mut batch = SendBatch::default();
    for number in 0..100u32 {
        let payload = number.to_be_bytes().repeat(250);
        let coalesce = if number % 10 == 0 {
            Coalesce::Padded
        } else {
            Coalesce::Never
        };
        batch.push(SocketId(0), to, coalesce, &payload);
    }
    reactor.flush(&mut batch);
    let (arrived, _) = deliver(&mut reactor, &peer, 100);
    let mut numbers: Vec<u8> = arrived.iter().map(|payload| payload[3]).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..100).collect::<Vec<u8>>());
    assert!(
        reactor.counters().sends_waited > 0,
        "{:?}",
        reactor.counters()
    );
    assert_eq!(reactor.counters().send_errors(), 0);
}

#[test]
fn a_narrow_path_refuses_runs_and_gets_every_datagram() {
    if !network(&["ip link set lo mtu 1280"]) {
        return;
    }
    let mut reactor = reactor_with(&UdpOptions::default());
    let (peer, to) = peer();
    let mut batch = SendBatch::default();
    for number in 0..10u8 {
        batch.push(SocketId(0), to, Coalesce::Padded, &[number; 1400]);
    }
    reactor.flush(&mut batch);
    let (arrived, _) = deliver(&mut reactor, &peer, 10);
    for (number, payload) in arrived.iter().enumerate() {
        assert_eq!(payload, &[number as u8; 1400]);
    }
    assert_eq!(reactor.counters().coalesce_refused, 1);
    assert_eq!(reactor.counters().send_errors(), 0);
}

#[test]
fn a_missing_route_is_reported_and_costs_the_others_nothing() {
    if !network(&[
        "ip route add unreachable 192.0.2.0/24",
        "ip route add blackhole 198.51.100.0/24",
    ]) {
        return;
    }
    let mut reactor = reactor_with(&UdpOptions::default());
    let (peer, to) = peer();
    let nowhere = "192.0.2.9:5060".parse().unwrap();
    let black = "198.51.100.9:5060".parse().unwrap();
    let mut batch = SendBatch::default();
    for number in 0..20u8 {
        batch.push(SocketId(0), nowhere, Coalesce::Never, b"nobody");
        batch.push(SocketId(0), to, Coalesce::Never, &[number]);
        batch.push(SocketId(0), black, Coalesce::Never, b"nothing");
    }
    reactor.flush(&mut batch);
    let (arrived, unreachable) = deliver(&mut reactor, &peer, 20);
    assert_eq!(
        arrived,
        (0..20u8).map(|number| vec![number]).collect::<Vec<_>>()
    );
    assert!(
        unreachable.contains(&nowhere) && !unreachable.contains(&to),
        "{unreachable:?}"
    );
    let counters = reactor.counters();
    assert_eq!(
        (counters.send_unreachable, counters.send_other),
        (20, 20),
        "{counters:?}"
    );
}

/// The neighbour does not answer ARP: the kernel reports its own error, seconds later and out of
/// nowhere, on a socket that sleeps in a receive.
#[test]
fn a_neighbour_that_is_gone_is_reported() {
    if !network(&[
        "ip link add va type veth peer name vb",
        "ip address add 203.0.113.1/24 dev va",
        "ip link set va up",
        "ip link set vb up",
        "sysctl -qw net.ipv4.neigh.va.retrans_time_ms=10",
    ]) {
        return;
    }
    let mut reactor = reactor_with(&UdpOptions::default());
    let gone = "203.0.113.9:5060".parse().unwrap();
    let mut batch = SendBatch::default();
    batch.push(SocketId(0), gone, Coalesce::Never, b"anybody there?");
    reactor.flush(&mut batch);
    let deadline = Instant::now() + PATIENCE;
    let mut unreachable = Vec::new();
    while unreachable.is_empty() && Instant::now() < deadline {
        reactor
            .turn(Some(deadline), |completion| {
                if let Completion::Unreachable { to, .. } = completion {
                    unreachable.push(to);
                }
            })
            .unwrap();
    }
    assert_eq!(unreachable, [gone]);
    let (peer, to) = peer();
    batch.push(SocketId(0), to, Coalesce::Never, b"still sending");
    reactor.flush(&mut batch);
    assert_eq!(deliver(&mut reactor, &peer, 1).0, [b"still sending"]);
}
