//! A reactor with a thousand small sockets beside a large one, as a relay has them: what comes in on
//! one goes out on another, whatever the peers and the other sockets do.

#![allow(clippy::disallowed_methods)] // the other end of the wire is made of std sockets

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use reactor::{
    Coalesce, Completion, Reactor, ReactorConfig, SendBatch, SocketId, UdpListener, UdpOptions,
    bind_udp_group, bind_udp_pairs,
};

/// Far beyond anything that passes; only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn config() -> ReactorConfig {
    ReactorConfig {
        ring_entries: 64,
        buffers: 32,
        small_buffers: 64,
        small_buffer_bytes: 500,
        sockets_max: 1001,
        ..Default::default()
    }
}

fn options() -> UdpOptions {
    UdpOptions {
        receive_buffer_bytes: 64 << 10,
        send_buffer_bytes: 64 << 10,
        report_errors: false,
        ..Default::default()
    }
}

fn bind_large() -> UdpListener {
    let address = SocketAddr::new(LOOPBACK, 0);
    let group = bind_udp_group(address, 1, &UdpOptions::default()).unwrap();
    group.into_iter().next().unwrap()
}

/// Sockets on ports of the kernel's choice, so that tests do not meet.
fn bind_small(count: usize) -> Vec<UdpListener> {
    let address = SocketAddr::new(LOOPBACK, 0);
    let bind = |_| bind_udp_group(address, 1, &options()).unwrap().remove(0);
    (0..count).map(bind).collect()
}

/// A reactor with a large socket, number 0, and small ones from number 1 on; and their addresses.
fn reactor(count: usize, config: &ReactorConfig) -> (Reactor, Vec<SocketAddr>) {
    let mut reactor = Reactor::new(config).unwrap();
    let (large, small) = (bind_large(), bind_small(count));
    let addresses = std::iter::once(&large)
        .chain(&small)
        .map(UdpListener::local_address);
    let addresses = addresses.collect();
    assert_eq!(reactor.add_udp(large).unwrap(), SocketId(0));
    assert_eq!(reactor.add_udp_small(small).unwrap(), SocketId(1));
    (reactor, addresses)
}

fn peer() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket2::SockRef::from(&socket)
        .set_recv_buffer_size(4 << 20)
        .unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = vec![0; 65_536];
    let (length, from) = socket.recv_from(&mut buffer).unwrap();
    buffer.truncate(length);
    (buffer, from)
}

/// Turns until `count` datagrams were handed over, each given to `on`.
fn turn_for(
    reactor: &mut Reactor,
    count: usize,
    mut on: impl FnMut(SocketId, SocketAddr, &[u8], bool),
) {
    let (deadline, mut seen) = (Instant::now() + PATIENCE, 0);
    while seen < count {
        assert!(Instant::now() < deadline, "{seen} of {count} arrived");
        reactor
            .turn(Some(deadline), |completion| {
                if let Completion::Datagram {
                    socket,
                    from,
                    bytes,
                    truncated,
                    ..
                } = completion
                {
                    on(socket, from, bytes, truncated);
                    seen += 1;
                }
            })
            .unwrap();
    }
}

/// Submits what was flushed and arms what is to be armed.
fn submit(reactor: &mut Reactor) {
    reactor.turn(Some(Instant::now()), |_| {}).unwrap();
}

#[test]
fn a_thousand_sockets_relay_side_by_side() {
    const PAIRS: u16 = 500;
    const ROUNDS: u16 = 5;
    let (mut reactor, addresses) = reactor(2 * usize::from(PAIRS), &config());
    let (caller, callee) = (peer(), peer());
    let to = callee.local_addr().unwrap();
    submit(&mut reactor);
    for round in 0..ROUNDS {
        for pair in 0..PAIRS {
            let payload = [pair.to_be_bytes(), round.to_be_bytes()].concat();
            let port = addresses[1 + 2 * usize::from(pair)];
            caller.send_to(&payload, port).unwrap();
        }
        // What came on the first socket of a pair leaves by the second.
        let mut batch = SendBatch::default();
        turn_for(&mut reactor, PAIRS.into(), |socket, from, bytes, _| {
            assert_eq!(from, caller.local_addr().unwrap());
            assert_eq!(u16::from_be_bytes([bytes[0], bytes[1]]) * 2 + 1, socket.0);
            batch.push(SocketId(socket.0 + 1), to, Coalesce::Equal, bytes);
        });
        reactor.flush(&mut batch);
        submit(&mut reactor);
        let mut seen = vec![false; PAIRS.into()];
        for _ in 0..PAIRS {
            let (bytes, from) = receive(&callee);
            let pair = usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
            assert_eq!(bytes[2..], round.to_be_bytes());
            assert_eq!(from, addresses[2 + 2 * pair]);
            assert!(!std::mem::replace(&mut seen[pair], true), "{pair} twice");
        }
    }
    let counters = reactor.counters();
    assert_eq!(counters.datagrams_out, u64::from(PAIRS * ROUNDS));
    assert_eq!(
        (counters.send_errors(), counters.completions_overflowed),
        (0, 0)
    );
}

#[test]
fn what_must_not_be_padded_arrives_as_it_was() {
    let (mut reactor, _) = reactor(1, &config());
    let peer = peer();
    let to = peer.local_addr().unwrap();
    let lengths = [172, 172, 172, 60, 60, 200, 172, 1, 1, 172];
    let mut batch = SendBatch::default();
    for (number, length) in lengths.into_iter().enumerate() {
        let payload = vec![number as u8; length];
        batch.push(SocketId(1), to, Coalesce::Equal, &payload);
    }
    reactor.flush(&mut batch);
    submit(&mut reactor);
    for (number, length) in lengths.into_iter().enumerate() {
        assert_eq!(receive(&peer).0, vec![number as u8; length]);
    }
    let counters = reactor.counters();
    assert_eq!((counters.padding_bytes, counters.coalesce_refused), (0, 0));
    // 172 172 172 60, 60, 200 172, 1 1, 172
    assert_eq!((counters.sends, counters.segments), (5, 8));
}

#[test]
fn a_flood_on_small_sockets_leaves_the_large_one_its_buffers() {
    let (mut reactor, addresses) = reactor(100, &config());
    let peer = peer();
    submit(&mut reactor);
    for port in &addresses[1..] {
        for number in 0..10u8 {
            peer.send_to(&[number; 100], port).unwrap();
        }
    }
    peer.send_to(&[7; 5000], addresses[0]).unwrap();
    let mut next = vec![0u8; addresses.len()];
    turn_for(&mut reactor, 1001, |socket, _, bytes, truncated| {
        assert!(!truncated);
        match socket {
            SocketId(0) => assert_eq!(bytes, [7; 5000]),
            SocketId(small) => {
                let expected = &mut next[usize::from(small)];
                assert_eq!(bytes, [*expected; 100], "order on socket {small}");
                *expected += 1;
            }
        }
    });
    assert!(reactor.counters().buffers_exhausted > 0);
}

#[test]
fn a_small_socket_cuts_what_is_too_long_for_its_buffers() {
    let (mut reactor, addresses) = reactor(1, &config());
    let peer = peer();
    peer.send_to(&[1; 500], addresses[1]).unwrap();
    peer.send_to(&[2; 501], addresses[1]).unwrap();
    let mut seen = Vec::new();
    turn_for(&mut reactor, 2, |_, _, bytes, truncated| {
        seen.push((bytes.len(), bytes[0], truncated));
    });
    assert_eq!(seen, [(500, 1, false), (500, 2, true)]);
}

#[test]
fn a_dead_peer_of_a_small_socket_is_nobodys_news() {
    let (mut reactor, addresses) = reactor(1, &config());
    let living = peer();
    let dead = peer().local_addr().unwrap();
    for number in 0..50u8 {
        let mut batch = SendBatch::default();
        batch.push(SocketId(1), dead, Coalesce::Equal, b"anybody there?");
        let to = living.local_addr().unwrap();
        batch.push(SocketId(1), to, Coalesce::Equal, &[number]);
        reactor.flush(&mut batch);
        let news = |completion: Completion<'_>| panic!("{completion:?}");
        reactor.turn(Some(Instant::now()), news).unwrap();
        assert_eq!(receive(&living).0, [number]);
    }
    let counters = reactor.counters();
    assert_eq!((counters.unreachable, counters.sends_careful), (0, 0));
    assert_eq!(counters.send_errors(), 0);
    living.send_to(b"still here", addresses[1]).unwrap();
    turn_for(&mut reactor, 1, |_, _, bytes, _| {
        assert_eq!(bytes, b"still here")
    });
}

#[test]
fn a_peer_without_a_route_is_counted_and_told_to_nobody() {
    let (mut reactor, _) = reactor(1, &config());
    // A socket on loopback has no way off this machine: the kernel refuses at once.
    let nowhere = "192.0.2.1:4000".parse().unwrap();
    let living = peer();
    let mut batch = SendBatch::default();
    batch.push(SocketId(1), nowhere, Coalesce::Equal, b"lost");
    batch.push(
        SocketId(1),
        living.local_addr().unwrap(),
        Coalesce::Equal,
        b"found",
    );
    reactor.flush(&mut batch);
    for _ in 0..2 {
        let news = |completion: Completion<'_>| panic!("{completion:?}");
        reactor.turn(Some(Instant::now()), news).unwrap();
    }
    assert_eq!(receive(&living).0, b"found");
    assert_eq!(reactor.counters().send_errors(), 1);
}

#[test]
fn a_thousand_idle_sockets_use_no_processor_time() {
    let (mut reactor, _) = reactor(1000, &config());
    submit(&mut reactor);
    let (turns, rearms) = (reactor.counters().turns, reactor.counters().rearms);
    let deadline = Instant::now() + Duration::from_millis(300);
    while Instant::now() < deadline {
        reactor.turn(Some(deadline), |_| {}).unwrap();
    }
    assert!(reactor.counters().turns - turns < 20);
    assert_eq!(reactor.counters().rearms, rearms);
}

#[test]
fn pairs_are_handed_over_as_they_were_bound() {
    // Any free even port will do; another test's engine may sit on some of them.
    let ports = (40_000..60_000).step_by(2);
    let mut found = None;
    for chunk in ports.collect::<Vec<u16>>().chunks(3) {
        let bound = bind_udp_pairs(LOOPBACK, chunk.iter().copied(), &options()).unwrap();
        assert_eq!(bound.pairs.len() + bound.skipped.len(), chunk.len());
        if !bound.pairs.is_empty() {
            found = Some(bound);
            break;
        }
    }
    let bound = found.expect("a free pair among thousands");
    let sockets: Vec<UdpListener> = bound.pairs.into_iter().flatten().collect();
    let addresses: Vec<SocketAddr> = sockets.iter().map(UdpListener::local_address).collect();
    let mut reactor = Reactor::new(&config()).unwrap();
    reactor.add_udp_small(sockets).unwrap();
    let peer = peer();
    for (number, address) in addresses.iter().enumerate() {
        peer.send_to(&[number as u8], address).unwrap();
        turn_for(&mut reactor, 1, |socket, _, bytes, _| {
            assert_eq!(
                (usize::from(socket.0), bytes),
                (number, &[number as u8][..])
            );
        });
    }
}

#[test]
fn more_small_sockets_than_agreed_are_refused() {
    let narrow = ReactorConfig {
        sockets_max: 3,
        ..config()
    };
    let mut reactor = Reactor::new(&narrow).unwrap();
    let error = reactor.add_udp_small(bind_small(4)).unwrap_err();
    assert!(error.to_string().contains("sockets_max"), "{error}");
    let without = ReactorConfig {
        small_buffers: 0,
        ..config()
    };
    let mut reactor = Reactor::new(&without).unwrap();
    let error = reactor.add_udp_small(bind_small(1)).unwrap_err();
    assert!(error.to_string().contains("small_buffers"), "{error}");
}

/// How long a datagram on the large socket and one on a small socket are said to have waited, after
/// both were left in their queues for a while.
fn waits(
    reactor: &mut Reactor,
    addresses: &[SocketAddr],
    pause: Duration,
) -> [Option<Duration>; 2] {
    let peer = peer();
    for address in &addresses[..2] {
        peer.send_to(b"early", address).unwrap();
    }
    std::thread::sleep(pause);
    let (mut seen, mut waits) = (0, [None; 2]);
    while seen < 2 {
        let note = |completion: Completion<'_>| {
            if let Completion::Datagram { socket, waited, .. } = completion {
                waits[usize::from(socket.0)] = waited;
                seen += 1;
            }
        };
        reactor.turn(Some(Instant::now() + PATIENCE), note).unwrap();
    }
    waits
}

#[test]
fn the_time_in_the_queue_is_told_when_it_was_asked_for() {
    let pause = Duration::from_millis(20);
    let (mut reactor, addresses) = reactor(1, &config());
    assert_eq!(waits(&mut reactor, &addresses, pause), [None, None]);

    let asked = ReactorConfig {
        receive_times_every: 1,
        ..config()
    };
    let (mut reactor, addresses) = self::reactor(1, &asked);
    let begun = Instant::now();
    // The kernel begins to stamp a moment after it was asked to; until then a stamp is the time of
    // the read. Other sockets of the machine may have asked before.
    loop {
        let [large, small] = waits(&mut reactor, &addresses, pause);
        assert_eq!(small, None);
        if large.expect("a time") >= pause / 2 {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "never stamped: {large:?}");
    }
}

#[test]
fn only_the_chosen_turns_tell_times() {
    let every_third = ReactorConfig {
        receive_times_every: 3,
        ..config()
    };
    let (mut reactor, addresses) = reactor(1, &every_third);
    let peer = peer();
    let mut told = [Vec::new(), Vec::new()];
    for turn in 0..12 {
        // A datagram a turn: it is there before the turn begins.
        peer.send_to(b"one", addresses[0]).unwrap();
        let note = |completion: Completion<'_>| {
            if let Completion::Datagram { waited, .. } = completion {
                told[usize::from(turn % 3 == 0)].push(waited.is_some());
            }
        };
        reactor.turn(Some(Instant::now() + PATIENCE), note).unwrap();
    }
    let [others, chosen] = told;
    assert!(
        !chosen.is_empty() && chosen.iter().all(|told| *told),
        "{chosen:?}"
    );
    assert!(!others.is_empty() && !others.contains(&true), "{others:?}");
}
