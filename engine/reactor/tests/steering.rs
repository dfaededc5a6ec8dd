//! The kernel's steering program and `shard::steer` are one function: every datagram of every style
//! lands on the socket that user space computes. Real datagrams over loopback to a group of four.

#![allow(clippy::disallowed_methods)] // the other end of the wire is a std socket

use std::net::UdpSocket;
use std::process::Command;
use std::time::{Duration, Instant};

use reactor::steering::{self, Steering};
use reactor::{Completion, Reactor, ReactorConfig, SteeringError, UdpOptions, bind_udp_group};

use shard::steer::shard_of;

const SHARDS: u8 = 4;
const KEY: u64 = 0x5bd1_e995_1234_5678;
const CALL_IDS: usize = 10_000;
/// Datagrams on their way at once; fewer than the socket buffers hold.
const CHUNK: usize = 250;

/// A steered group whose sockets all belong to one reactor: the socket's number is the shard's.
struct Group {
    reactor: Reactor,
    sender: UdpSocket,
    _steering: Steering,
}

impl Group {
    /// None, with the reason printed, where bpf() is not permitted.
    fn new() -> Option<Group> {
        let address = "127.0.0.1:0".parse().unwrap();
        let group = bind_udp_group(address, SHARDS.into(), &UdpOptions::default()).unwrap();
        let steering = match steering::attach(&group, KEY) {
            Err(SteeringError::Denied) => {
                eprintln!("skipped: {}", SteeringError::Denied);
                return None;
            }
            other => other.unwrap(),
        };
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.connect(group[0].local_address()).unwrap();
        let mut reactor = Reactor::new(&ReactorConfig::default()).unwrap();
        for listener in group {
            reactor.add_udp(listener).unwrap();
        }
        Some(Group {
            reactor,
            sender,
            _steering: steering,
        })
    }

    /// Sends each message behind a header with its number and says where each landed.
    fn landings(&mut self, messages: &[Vec<u8>]) -> Vec<u8> {
        let mut landed = vec![None; messages.len()];
        for (chunk, messages) in messages.chunks(CHUNK).enumerate() {
            for message in messages {
                self.sender.send(message).unwrap();
            }
            self.collect(chunk * CHUNK + messages.len(), &mut landed);
        }
        landed.into_iter().map(Option::unwrap).collect()
    }

    fn collect(&mut self, until: usize, landed: &mut [Option<u8>]) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while landed[..until].iter().any(Option::is_none) {
            assert!(Instant::now() < deadline, "a datagram was lost");
            self.reactor
                .turn(Some(deadline), |completion| {
                    if let Completion::Datagram { socket, bytes, .. } = completion {
                        landed[number_of(bytes)] = Some(socket.0 as u8);
                    }
                })
                .unwrap();
        }
    }
}

/// The number every test message ends with.
fn number_of(bytes: &[u8]) -> usize {
    let text = &bytes[bytes.len() - 6..];
    std::str::from_utf8(text).unwrap().parse().unwrap()
}

/// Small deterministic numbers for shapes and letters.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }
}

/// Call-IDs as the world writes them: short and long, with hosts, with punctuation and with bytes
/// that are no ASCII, of every length around the hash's words and around its limit of 64.
fn call_ids() -> Vec<Vec<u8>> {
    const LETTERS: &[u8] = b"abcdefxyzABCXYZ0123456789-.!%*_+`'~()<>:\\\"/[]?{}@\xc3\xa4";
    let mut dice = Dice(4711);
    (0..CALL_IDS)
        .map(|number| {
            let length = 1 + (number + dice.roll(7)) % 90;
            (0..length)
                .map(|_| LETTERS[dice.roll(LETTERS.len())])
                .collect()
        })
        .collect()
}

/// Call-IDs with the engine's own prefix: good, of shards that do not exist, and near misses.
fn own_call_ids() -> Vec<Vec<u8>> {
    let mut dice = Dice(42);
    (0..CALL_IDS)
        .map(|number| {
            let tail = format!("{:06x}{:08x}", dice.roll(1 << 24), dice.roll(1 << 31));
            match number % 8 {
                0..5 => format!("tpr-{:02x}{tail}", number % usize::from(SHARDS)),
                5 => format!("tpr-{:02x}{tail}", dice.roll(256)),
                6 => format!("tpr-{:02X}{tail}", 160 + dice.roll(96)),
                _ => format!("tpr-{}", &tail[..dice.roll(7)]),
            }
            .into_bytes()
        })
        .collect()
}

const BEFORE: &str = "INVITE sip:bob@192.0.2.4 SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK776asdhds;i:x\r\n\
    Max-Forwards: 70\r\nCall-Info: <http://192.0.2.1/call-id:x>\r\nIn-Reply-To: i: 70710\r\n";
const BEHIND: &str = "CSeq: 314159 INVITE\r\nContent-Length: 6\r\n\r\n";

/// A message from what stands before the Call-ID, its line up to the value, and what follows it.
fn message(before: &str, name: &str, value: &[u8], ending: &str, number: usize) -> Vec<u8> {
    let number = format!("{number:06}");
    [
        before.as_bytes(),
        name.as_bytes(),
        value,
        ending.as_bytes(),
        BEHIND.as_bytes(),
        number.as_bytes(),
    ]
    .concat()
}

struct Style {
    what: &'static str,
    before: String,
    name: &'static str,
    ending: &'static str,
}

fn style(what: &'static str, name: &'static str, ending: &'static str) -> Style {
    Style {
        what,
        before: BEFORE.to_owned(),
        name,
        ending,
    }
}

fn styles() -> Vec<Style> {
    let response = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n";
    let long = format!("{BEFORE}X-Long: {}\r\n", "i: call-id: ".repeat(100));
    // The 64th byte of the value is the window's last.
    let edge = format!(
        "{BEFORE}X: {}\r\n",
        "e".repeat(2048 - BEFORE.len() - 5 - 9 - 64)
    );
    vec![
        style("as the RFC writes it", "Call-ID: ", "\r\n"),
        style("compact", "i: ", "\r\n"),
        style("compact, upper case, no blank", "I:", "\r\n"),
        style("lower case", "call-id: ", "\r\n"),
        style("upper case", "CALL-ID: ", "\r\n"),
        style("mixed case", "cALl-iD: ", "\r\n"),
        style("no blank", "Call-ID:", "\r\n"),
        style("blanks before the colon", "Call-ID \t : ", "\r\n"),
        style("compact, tabs", "i\t:\t\t", "\r\n"),
        style(
            "many blanks behind the colon",
            "Call-ID:           ",
            "\r\n",
        ),
        style("blanks behind the value", "Call-ID: ", "  \t\r\n"),
        style("folded behind the value", "Call-ID: ", "\r\n \r\n"),
        style(
            "a second one behind",
            "Call-ID: ",
            "\r\nCall-ID: other\r\ni: third\r\n",
        ),
        style(
            "near misses before",
            "Call-IDs: no\r\nCall.ID: no\r\nCall-I: no\r\ni-: no\r\nCall-ID: ",
            "\r\n",
        ),
        style("short lines before", "a:\r\nb:\r\nc: 1\r\ni: ", "\r\n"),
        Style {
            before: response.to_owned(),
            ..style("in a response", "Call-ID: ", "\r\n")
        },
        Style {
            before: "BYE sip:x SIP/2.0\r\n".into(),
            ..style("first", "Call-ID: ", "\r\n")
        },
        Style {
            before: "\r\n\r\nBYE sip:x SIP/2.0\r\n".into(),
            ..style("empty lines", "i: ", "\r\n")
        },
        Style {
            before: long,
            ..style("behind a long header", "Call-ID: ", "\r\n")
        },
        Style {
            before: edge,
            ..style("at the window's edge", "Call-ID: ", "\r\n")
        },
    ]
}

#[test]
fn every_style_lands_where_user_space_says() {
    let Some(mut group) = Group::new() else {
        return;
    };
    for call_ids in [call_ids(), own_call_ids()] {
        for style in styles() {
            let messages: Vec<Vec<u8>> = call_ids
                .iter()
                .enumerate()
                .map(|(n, id)| message(&style.before, style.name, id, style.ending, n))
                .collect();
            let landed = group.landings(&messages);
            for (id, shard) in call_ids.iter().zip(landed) {
                let expected = shard_of(id, SHARDS, KEY);
                assert_eq!(
                    shard,
                    expected,
                    "{}: {}",
                    style.what,
                    String::from_utf8_lossy(id)
                );
            }
        }
    }
}

/// What the program is not sure of is left to the kernel, which sends all of one sender's datagrams
/// to one socket: none may be lost and none steered by bytes that are no Call-ID.
#[test]
fn what_cannot_be_seen_is_passed_and_arrives() {
    let Some(mut group) = Group::new() else {
        return;
    };
    let far = format!("{BEFORE}X: {}\r\n", "far".repeat(700));
    let cut = format!(
        "{BEFORE}X: {}\r\n",
        "e".repeat(2048 - BEFORE.len() - 5 - 9 - 10)
    );
    let cases = [
        ("no Call-ID", BEFORE, "X-Id: ", "\r\n"),
        ("beyond the window", far.as_str(), "Call-ID: ", "\r\n"),
        ("cut by the window", cut.as_str(), "Call-ID: ", "\r\n"),
        ("folded behind the colon", BEFORE, "Call-ID:\r\n ", "\r\n"),
        (
            "more blanks than anybody writes",
            BEFORE,
            "Call-ID:                      ",
            "\r\n",
        ),
        ("no colon", BEFORE, "Call-ID ", "\r\n"),
    ];
    for (what, before, name, ending) in cases {
        let message = |n: usize| {
            message(
                before,
                name,
                format!("{n:030}@192.0.2.1").as_bytes(),
                ending,
                n,
            )
        };
        let landed = group.landings(&(0..200).map(message).collect::<Vec<_>>());
        assert!(
            landed.iter().all(|shard| *shard == landed[0]),
            "{what}: {landed:?}"
        );
    }
}

#[test]
fn stumps_and_garbage_arrive() {
    let Some(mut group) = Group::new() else {
        return;
    };
    let mut dice = Dice(7);
    let messages: Vec<Vec<u8>> = (0..5_000)
        .map(|number| {
            let mut bytes: Vec<u8> = (0..dice.roll(300))
                .map(|_| b"\r\n\r\n\r\n: iIcCaAlL-dD\t\0\x0b\xffx"[dice.roll(24)])
                .collect();
            bytes.extend(format!("{number:06}").bytes());
            bytes
        })
        .collect();
    assert_eq!(group.landings(&messages).len(), 5_000);
}

/// The committed bytecode is what the committed source makes, where the same clang is at hand.
#[test]
fn the_bytecode_is_the_sources() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/bpf");
    let version = Command::new("clang").arg("--version").output();
    let version = version.map(|out| String::from_utf8_lossy(&out.stdout).into_owned());
    if !version.is_ok_and(|text| text.contains("version 14.")) {
        return eprintln!("skipped: the bytecode is made with clang 14, which is not installed");
    }
    let made = std::env::temp_dir().join(format!("steer-{}.bin", std::process::id()));
    let status = Command::new(format!("{directory}/build.sh"))
        .arg(&made)
        .status()
        .unwrap();
    assert!(status.success());
    let fresh = std::fs::read(&made).unwrap();
    std::fs::remove_file(&made).unwrap();
    assert!(
        fresh == std::fs::read(format!("{directory}/steer.bin")).unwrap(),
        "run bpf/build.sh"
    );
}
