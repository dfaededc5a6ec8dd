//! The reactor against plain sockets over loopback: what goes in comes out, in order, whatever else
//! happens.

#![allow(clippy::disallowed_methods)] // the other end of the wire is made of std sockets

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use reactor::{
    Coalesce, Completion, Reactor, ReactorConfig, SendBatch, SocketId, UdpOptions, bind_udp_group,
};

/// Far beyond anything that passes; only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(10);

fn reactor_on(addresses: &[&str], config: ReactorConfig) -> (Reactor, Vec<SocketAddr>) {
    let mut reactor = Reactor::new(&config).unwrap();
    let mut bound = Vec::new();
    for address in addresses {
        let address = address.parse().unwrap();
        let mut group = bind_udp_group(address, 1, &UdpOptions::default()).unwrap();
        let listener = group.remove(0);
        bound.push(listener.local_address());
        let id = reactor.add_udp(listener).unwrap();
        assert_eq!(usize::from(id.0), bound.len() - 1);
    }
    (reactor, bound)
}

fn small() -> ReactorConfig {
    ReactorConfig {
        ring_entries: 64,
        buffers: 256,
        ..Default::default()
    }
}

fn peer(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).unwrap();
    // Room for all a test sends; the default holds some two hundred datagrams.
    socket2::SockRef::from(&socket)
        .set_recv_buffer_size(4 << 20)
        .unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn padded_if(coalesced: bool) -> Coalesce {
    if coalesced {
        Coalesce::Padded
    } else {
        Coalesce::Never
    }
}

/// Turns until `count` datagrams arrived.
fn collect(reactor: &mut Reactor, count: usize) -> Vec<(SocketId, SocketAddr, Vec<u8>)> {
    let deadline = Instant::now() + PATIENCE;
    let mut arrived = Vec::new();
    while arrived.len() < count {
        assert!(
            Instant::now() < deadline,
            "{} of {count} arrived",
            arrived.len()
        );
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
                    assert!(!truncated);
                    arrived.push((socket, from, bytes.to_vec()));
                }
            })
            .unwrap();
    }
    arrived
}

/// Submits what was flushed.
fn submit(reactor: &mut Reactor) {
    reactor.turn(Some(Instant::now()), |_| {}).unwrap();
}

fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 65_536];
    let length = socket.recv(&mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}

#[test]
fn datagrams_come_in_and_go_out_on_their_own_socket() {
    let (mut reactor, bound) = reactor_on(&["127.0.0.1:0", "127.0.0.1:0"], small());
    let peers = [peer("127.0.0.1:0"), peer("127.0.0.1:0")];
    for (peer, to) in peers.iter().zip(&bound) {
        peer.send_to(b"hello", to).unwrap();
    }
    let mut batch = SendBatch::default();
    for (socket, from, bytes) in collect(&mut reactor, 2) {
        assert_eq!(bytes, b"hello");
        assert_eq!(from, peers[usize::from(socket.0)].local_addr().unwrap());
        batch.push(socket, from, Coalesce::Never, b"and back");
    }
    reactor.flush(&mut batch);
    assert!(batch.is_empty() && batch.bytes.is_empty());
    submit(&mut reactor);
    for (peer, address) in peers.iter().zip(bound) {
        let mut buffer = [0; 100];
        let (length, from) = peer.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..length], from), (b"and back".as_slice(), address));
    }
}

#[test]
fn what_is_submitted_leaves_without_a_turn() {
    let (mut reactor, bound) = reactor_on(&["127.0.0.1:0"], small());
    let peer = peer("127.0.0.1:0");
    let address = peer.local_addr().unwrap();
    let mut batch = SendBatch::default();
    for round in 0..200u8 {
        batch.push(SocketId(0), address, Coalesce::Never, &[round; 40]);
        batch.push(SocketId(0), address, Coalesce::Never, &[round; 40]);
        reactor.flush(&mut batch);
        reactor.submit().unwrap();
        // No turn yet, and both have arrived.
        assert!((0..2).all(|_| receive(&peer) == [round; 40]));
        // What comes in is still taken, and the memory of what was sent is used again.
        peer.send_to(&[round], bound[0]).unwrap();
        assert_eq!(collect(&mut reactor, 1)[0].2, [round]);
    }
    let submits = reactor.counters().submits;
    assert!(submits >= 200, "{submits}");
    reactor.submit().unwrap();
    assert_eq!(reactor.counters().submits, submits, "nothing was queued");
}

#[test]
fn ipv6_works_the_same() {
    let Ok(peer) = UdpSocket::bind("[::1]:0") else {
        return eprintln!("skipped: no IPv6 here");
    };
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    let (mut reactor, bound) = reactor_on(&["[::1]:0"], small());
    peer.send_to(b"six", bound[0]).unwrap();
    let arrived = collect(&mut reactor, 1);
    assert_eq!(arrived[0].1, peer.local_addr().unwrap());
    let mut batch = SendBatch::default();
    for text in ["first", "second one", "third"] {
        batch.push(SocketId(0), arrived[0].1, Coalesce::Padded, text.as_bytes());
    }
    reactor.flush(&mut batch);
    submit(&mut reactor);
    assert_eq!(receive(&peer), b"first\r\n\r\n\r");
    assert_eq!(receive(&peer), b"second one");
    assert_eq!(receive(&peer), b"third");
    assert_eq!(reactor.counters().coalesce_refused, 0);
}

#[test]
fn coalesced_datagrams_arrive_apart_in_order_and_padded_with_line_ends() {
    let (mut reactor, _) = reactor_on(&["127.0.0.1:0"], small());
    let peers = [
        peer("127.0.0.1:0"),
        peer("127.0.0.1:0"),
        peer("127.0.0.1:0"),
    ];
    let mut batch = SendBatch::default();
    let mut expected = [const { Vec::new() }; 3];
    for number in 0..200usize {
        let text = format!("{number:04}-").repeat(20 + number * 7 % 60);
        let to = number % 3;
        batch.push(
            SocketId(0),
            peers[to].local_addr().unwrap(),
            Coalesce::Padded,
            text.as_bytes(),
        );
        expected[to].push(text);
    }
    reactor.flush(&mut batch);
    submit(&mut reactor);
    let mut padding = 0;
    for (peer, expected) in peers.iter().zip(expected) {
        for text in expected {
            let got = receive(peer);
            let (body, rest) = got.split_at(text.len());
            assert_eq!(body, text.as_bytes());
            assert!(
                rest.chunks(2).all(|pair| b"\r\n".starts_with(pair)),
                "{rest:?}"
            );
            padding += rest.len() as u64;
        }
    }
    let counters = reactor.counters();
    assert_eq!(counters.padding_bytes, padding);
    assert_eq!(counters.datagrams_out, 200);
    assert_eq!(counters.coalesce_refused, 0);
    assert!(counters.segments > 150, "{counters:?}");
    assert!(counters.sends < 50, "{counters:?}");
}

#[test]
fn a_flush_larger_than_the_ring_keeps_the_order_of_each_peer() {
    let config = ReactorConfig {
        ring_entries: 16,
        ..small()
    };
    let (mut reactor, _) = reactor_on(&["127.0.0.1:0"], config);
    let peers = [peer("127.0.0.1:0"), peer("127.0.0.1:0")];
    let mut batch = SendBatch::default();
    for number in 0..300u32 {
        for (index, peer) in peers.iter().enumerate() {
            let coalesce = padded_if(index == 1 && number % 10 != 0);
            let to = peer.local_addr().unwrap();
            batch.push(SocketId(0), to, coalesce, &number.to_be_bytes());
        }
    }
    reactor.flush(&mut batch);
    submit(&mut reactor);
    for peer in &peers {
        for number in 0..300u32 {
            assert_eq!(receive(peer)[..4], number.to_be_bytes());
        }
    }
}

#[test]
fn the_largest_datagram_goes_both_ways_alone() {
    let (mut reactor, bound) = reactor_on(&["127.0.0.1:0"], small());
    let peer = peer("127.0.0.1:0");
    let large: Vec<u8> = (0..65_507u32).map(|i| (i * 7 + i / 251) as u8).collect();
    peer.send_to(&large, bound[0]).unwrap();
    let arrived = collect(&mut reactor, 1);
    assert_eq!(arrived[0].2, large);
    let mut batch = SendBatch::default();
    let to = peer.local_addr().unwrap();
    batch.push(SocketId(0), to, Coalesce::Padded, b"before");
    batch.push(SocketId(0), to, Coalesce::Padded, &large);
    batch.push(SocketId(0), to, Coalesce::Padded, b"behind");
    reactor.flush(&mut batch);
    submit(&mut reactor);
    assert_eq!(receive(&peer), b"before");
    assert_eq!(receive(&peer), large);
    assert_eq!(receive(&peer), b"behind");
}

#[test]
fn what_is_too_long_is_cut_and_said_so() {
    let config = ReactorConfig {
        buffer_bytes: 1000,
        ..small()
    };
    let (mut reactor, bound) = reactor_on(&["127.0.0.1:0"], config);
    let peer = peer("127.0.0.1:0");
    peer.send_to(&[7; 1000], bound[0]).unwrap();
    peer.send_to(&[8; 1001], bound[0]).unwrap();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        reactor
            .turn(Some(Instant::now() + PATIENCE), |completion| {
                if let Completion::Datagram {
                    bytes, truncated, ..
                } = completion
                {
                    seen.push((bytes.len(), bytes[0], truncated));
                }
            })
            .unwrap();
    }
    assert_eq!(seen, [(1000, 7, false), (1000, 8, true)]);
    assert_eq!(reactor.counters().truncated, 1);
}

#[test]
fn what_udp_cannot_carry_is_counted_and_loses_no_other() {
    let (mut reactor, _) = reactor_on(&["127.0.0.1:0"], small());
    let peer = peer("127.0.0.1:0");
    let to = peer.local_addr().unwrap();
    let mut batch = SendBatch::default();
    batch.push(SocketId(0), to, Coalesce::Never, &[0; 65_508]);
    batch.push(SocketId(0), to, Coalesce::Never, b"fine");
    batch.push(SocketId(9), to, Coalesce::Never, b"no such socket");
    batch.push(
        SocketId(0),
        "[::1]:9".parse().unwrap(),
        Coalesce::Never,
        b"the other family",
    );
    batch.push(SocketId(0), to, Coalesce::Never, b"");
    batch.push(SocketId(0), to, Coalesce::Never, b"fine too");
    batch.sends[5].end += 1;
    batch.push(SocketId(0), to, Coalesce::Never, b"last");
    batch.sends[6].end += 1;
    reactor.flush(&mut batch);
    submit(&mut reactor);
    assert_eq!(receive(&peer), b"fine");
    assert_eq!(receive(&peer), b"");
    assert_eq!(
        receive(&peer),
        b"fine tool",
        "a range inside the batch is taken as it is"
    );
    let counters = reactor.counters();
    assert_eq!(
        (counters.send_oversize, counters.send_other),
        (1, 3),
        "{counters:?}"
    );
    assert_eq!(counters.datagrams_out, 5);
}

#[test]
fn a_burst_beyond_all_buffers_is_taken_whole() {
    // Fewer than the 32 datagrams one run of a multishot receive takes.
    let config = ReactorConfig {
        buffers: 16,
        ..small()
    };
    let (mut reactor, bound) = reactor_on(&["127.0.0.1:0"], config);
    let peer = peer("127.0.0.1:0");
    const BURST: u32 = 10_000;
    // Armed before the burst, so that the receive meets it with 16 buffers.
    submit(&mut reactor);
    for number in 0..BURST {
        peer.send_to(&number.to_be_bytes(), bound[0]).unwrap();
    }
    let arrived = collect(&mut reactor, BURST as usize);
    for (number, (.., bytes)) in arrived.iter().enumerate() {
        assert_eq!(bytes[..], (number as u32).to_be_bytes());
    }
    assert_eq!(reactor.kernel_drops(SocketId(0)), 0);
    let counters = reactor.counters();
    assert_eq!(counters.datagrams_in, u64::from(BURST));
    assert!(counters.buffers_exhausted > 0, "{counters:?}");
    assert_eq!(counters.completions_overflowed, 0);
    // And it still receives.
    peer.send_to(b"after", bound[0]).unwrap();
    assert_eq!(collect(&mut reactor, 1)[0].2, b"after");
}

#[test]
fn kernel_drops_are_seen() {
    let mut reactor = Reactor::new(&small()).unwrap();
    let options = UdpOptions {
        receive_buffer_bytes: 20_000,
        ..Default::default()
    };
    let mut group = bind_udp_group("127.0.0.1:0".parse().unwrap(), 1, &options).unwrap();
    let listener = group.remove(0);
    let to = listener.local_address();
    let id = reactor.add_udp(listener).unwrap();
    let peer = peer("127.0.0.1:0");
    for _ in 0..200 {
        peer.send_to(&[0; 1000], to).unwrap();
    }
    let drops = reactor.kernel_drops(id);
    assert!(drops > 0);
    assert_eq!(
        collect(&mut reactor, 200 - drops as usize).len() as u64,
        200 - drops
    );
}

#[test]
fn a_dead_peer_is_reported_and_costs_the_living_nothing() {
    let (mut reactor, bound) = reactor_on(&["127.0.0.1:0"], small());
    let living = peer("127.0.0.1:0");
    let dead = peer("127.0.0.1:0").local_addr().unwrap();
    let mut unreachable = 0;
    let mut expected = 0u32;
    for round in 0..50 {
        let mut batch = SendBatch::default();
        for _ in 0..10 {
            batch.push(
                SocketId(0),
                dead,
                padded_if(round % 2 == 0),
                b"anybody there?",
            );
            batch.push(
                SocketId(0),
                living.local_addr().unwrap(),
                Coalesce::Never,
                &expected.to_be_bytes(),
            );
            expected += 1;
        }
        reactor.flush(&mut batch);
        reactor
            .turn(Some(Instant::now()), |completion| {
                if let Completion::Unreachable { socket, to } = completion {
                    assert_eq!((socket, to), (SocketId(0), dead));
                    unreachable += 1;
                }
            })
            .unwrap();
    }
    submit(&mut reactor);
    let mut numbers: Vec<u32> = (0..expected)
        .map(|_| u32::from_be_bytes(receive(&living).try_into().unwrap()))
        .collect();
    // The first error of a good time may be found only when the next datagram has left; from then
    // on the socket is careful and the order holds.
    assert!(numbers[20..].is_sorted(), "{numbers:?}");
    numbers.sort_unstable();
    assert_eq!(numbers, (0..expected).collect::<Vec<_>>());
    assert!(unreachable > 0);
    assert_eq!(
        reactor.counters().send_errors(),
        0,
        "{:?}",
        reactor.counters()
    );
    living.send_to(b"still here", bound[0]).unwrap();
    assert_eq!(collect(&mut reactor, 1)[0].2, b"still here");
}

#[test]
fn an_error_that_arrives_while_asleep_ends_the_turn() {
    let (mut reactor, bound) = reactor_on(&["127.0.0.1:0"], small());
    let living = peer("127.0.0.1:0");
    submit(&mut reactor);
    let dead = peer("127.0.0.1:0").local_addr().unwrap();
    let mut batch = SendBatch::default();
    batch.push(SocketId(0), dead, Coalesce::Never, b"anybody there?");
    reactor.flush(&mut batch);
    let mut reported = None;
    let deadline = Instant::now() + PATIENCE;
    while reported.is_none() && Instant::now() < deadline {
        reactor
            .turn(Some(deadline), |completion| {
                if let Completion::Unreachable { to, .. } = completion {
                    reported = Some(to);
                }
            })
            .unwrap();
    }
    assert_eq!(reported, Some(dead));
    living.send_to(b"and on", bound[0]).unwrap();
    assert_eq!(collect(&mut reactor, 1)[0].2, b"and on");
}

#[test]
fn no_wake_from_another_thread_is_lost() {
    let (mut reactor, _) = reactor_on(&["127.0.0.1:0"], small());
    let waker = reactor.waker();
    let (mut sender, mut receiver) = reactor::mailbox::mailbox(1000, waker);
    let thread = std::thread::spawn(move || {
        for number in 0..1000 {
            sender.send(number).unwrap();
            if number % 10 == 0 {
                std::thread::sleep(Duration::from_micros(300));
            }
        }
    });
    // Letters are only looked at after a wake, so a lost one would leave some behind for good.
    let (mut next, begun) = (0, Instant::now());
    while next < 1000 {
        assert!(begun.elapsed() < PATIENCE, "a wake was lost at {next}");
        let mut woken = false;
        let patience = Some(begun + PATIENCE);
        reactor
            .turn(patience, |completion| {
                woken |= matches!(completion, Completion::Woken)
            })
            .unwrap();
        while woken && let Some(number) = receiver.receive() {
            assert_eq!(number, next);
            next += 1;
        }
    }
    thread.join().unwrap();
}

#[test]
fn a_deadline_ends_a_turn_and_a_past_one_does_not_wait() {
    let (mut reactor, _) = reactor_on(&["127.0.0.1:0"], small());
    let mut completions = 0;
    let deadline = Instant::now() + Duration::from_millis(20);
    while Instant::now() < deadline {
        reactor.turn(Some(deadline), |_| completions += 1).unwrap();
    }
    let sleeps = reactor.counters().sleeps;
    assert!((1..20).contains(&sleeps), "{sleeps}");
    reactor.turn(Some(deadline), |_| completions += 1).unwrap();
    assert_eq!(reactor.counters().sleeps, sleeps);
    assert_eq!(completions, 0);
}

#[test]
fn an_idle_reactor_uses_no_processor_time() {
    let (mut reactor, bound) = reactor_on(&["127.0.0.1:0"], small());
    let peer = peer("127.0.0.1:0");
    for _ in 0..1000 {
        peer.send_to(b"warm", bound[0]).unwrap();
    }
    collect(&mut reactor, 1000);
    let turns = reactor.counters().turns;
    let before = thread_cpu();
    let deadline = Instant::now() + Duration::from_millis(500);
    while Instant::now() < deadline {
        reactor.turn(Some(deadline), |_| {}).unwrap();
    }
    // Not a matter of speed: an idle loop that spins would make thousands of turns.
    assert!(reactor.counters().turns - turns < 20);
    assert!(thread_cpu() - before < Duration::from_millis(50));
}

fn thread_cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

#[test]
fn a_full_send_buffer_delays_and_loses_nothing() {
    let mut reactor = Reactor::new(&small()).unwrap();
    let options = UdpOptions {
        send_buffer_bytes: 4_096,
        ..Default::default()
    };
    let mut group = bind_udp_group("127.0.0.1:0".parse().unwrap(), 1, &options).unwrap();
    reactor.add_udp(group.remove(0)).unwrap();
    let peer = peer("127.0.0.1:0");
    let mut batch = SendBatch::default();
    for number in 0..100u32 {
        batch.push(
            SocketId(0),
            peer.local_addr().unwrap(),
            Coalesce::Never,
            &number.to_be_bytes(),
        );
    }
    reactor.flush(&mut batch);
    submit(&mut reactor);
    for number in 0..100u32 {
        assert_eq!(receive(&peer), number.to_be_bytes());
    }
}

#[test]
fn too_many_sockets_are_refused() {
    let config = ReactorConfig {
        sockets_max: 1,
        ..small()
    };
    let (mut reactor, _) = reactor_on(&["127.0.0.1:0"], config);
    let address = "127.0.0.1:0".parse().unwrap();
    let mut group = bind_udp_group(address, 1, &UdpOptions::default()).unwrap();
    let error = reactor.add_udp(group.remove(0)).unwrap_err();
    assert!(error.to_string().contains("sockets_max"), "{error}");
}

#[test]
fn reactors_come_and_go() {
    for _ in 0..50 {
        let (mut reactor, bound) = reactor_on(&["127.0.0.1:0"], small());
        let peer = peer("127.0.0.1:0");
        peer.send_to(b"once", bound[0]).unwrap();
        assert_eq!(collect(&mut reactor, 1).len(), 1);
        let mut batch = SendBatch::default();
        batch.push(
            SocketId(0),
            peer.local_addr().unwrap(),
            Coalesce::Padded,
            b"never submitted",
        );
        reactor.flush(&mut batch);
    }
}
