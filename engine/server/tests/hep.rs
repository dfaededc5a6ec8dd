//! Copies of SIP messages for a collector, from end to end: what arrives there is read chunk by chunk, as the
//! HEP3 specification has them.

// Sockets are what these tests are about.
#![allow(clippy::disallowed_methods)]

mod lab;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use lab::{Desk, Engine, Phone, call, rdb};

const SIGTERM: i32 = 15;

/// A copy as the collector reads it.
#[derive(Debug)]
struct Copy {
    from: SocketAddr,
    to: SocketAddr,
    correlation: String,
    capture_id: u32,
    password: Option<String>,
    text: String,
}

fn read(packet: &[u8]) -> Copy {
    assert_eq!(&packet[..4], b"HEP3");
    let length = u16::from_be_bytes([packet[4], packet[5]]);
    assert_eq!(usize::from(length), packet.len());
    let mut chunks = BTreeMap::new();
    let mut rest = &packet[6..];
    while let [0, 0, kind_high, kind_low, high, low, ..] = *rest {
        let length = usize::from(u16::from_be_bytes([high, low]));
        let kind = u16::from_be_bytes([kind_high, kind_low]);
        let (chunk, behind) = rest.split_at(length);
        assert!(chunks.insert(kind, &chunk[6..]).is_none(), "{kind} twice");
        rest = behind;
    }
    assert!(rest.is_empty(), "{rest:?}");
    assert_eq!(
        (chunks[&1], chunks[&2], chunks[&11]),
        (&[2][..], &[17][..], &[1][..])
    );
    let four = |kind: u16| <[u8; 4]>::try_from(chunks[&kind]).expect("4 bytes");
    let port = |kind: u16| u16::from_be_bytes(chunks[&kind].try_into().expect("2 bytes"));
    let address = |ip, at| SocketAddr::new(IpAddr::V4(Ipv4Addr::from(four(ip))), port(at));
    let text = |kind: u16| String::from_utf8(chunks[&kind].to_vec()).expect("UTF-8");
    let seconds = u64::from(u32::from_be_bytes(four(9)));
    let now = std::time::SystemTime::now();
    let now = now
        .duration_since(std::time::UNIX_EPOCH)
        .expect("a clock")
        .as_secs();
    assert!(seconds.abs_diff(now) < 600 && u32::from_be_bytes(four(10)) < 1_000_000);
    Copy {
        from: address(3, 7),
        to: address(4, 8),
        correlation: text(17),
        capture_id: u32::from_be_bytes(four(12)),
        password: chunks.contains_key(&14).then(|| text(14)),
        text: text(15),
    }
}

/// A router with this collector, so many calls through it from begin to end, and its orderly end; what the
/// collector got.
fn copies(extra: &str, calls: usize) -> (Vec<Copy>, SocketAddr) {
    let collector = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let address = collector.local_addr().expect("bound");
    let desk = Desk::new();
    let mut phone = Phone::new(([127, 0, 0, 1], 9).into(), "callee");
    desk.write("rdb.json", &rdb("^100$", &phone.address().to_string()));
    let config = format!("[routing]\nrdb = \"rdb.json\"\n[hep]\naddress = \"{address}\"\n{extra}");
    let mut engine = Engine::start(&desk, &config);
    for number in 0..calls {
        let caller = Phone::new(engine.address, &format!("caller{number}"));
        let call = call(&engine, caller, phone, "100");
        call.hang_up();
        phone = call.callee;
    }
    engine.signal(SIGTERM);
    assert_eq!(engine.end().code(), Some(0));
    let brief = Duration::from_millis(200);
    collector.set_read_timeout(Some(brief)).expect("a timeout");
    let mut packet = [0; 65_535];
    let mut copies = Vec::new();
    while let Ok(length) = collector.recv(&mut packet) {
        copies.push(read(&packet[..length]));
    }
    (copies, engine.address)
}

/// What each message is, without those that were sent again.
fn kinds(copies: &[Copy], which: impl Fn(&&Copy) -> bool) -> Vec<String> {
    let kind = |copy: &Copy| {
        let mut words = copy.text.split(' ');
        match words.next().expect("a word") {
            "SIP/2.0" => words.next().expect("a code").to_owned(),
            method => method.to_owned(),
        }
    };
    let mut seen = BTreeSet::new();
    let first = |copy: &&Copy| seen.insert(copy.text.clone());
    copies
        .iter()
        .filter(which)
        .filter(first)
        .map(kind)
        .collect()
}

#[test]
fn every_message_of_a_call_is_copied_under_the_callers_call_id() {
    let extra = "capture_id = 2001\npassword = \"swordfish\"\n";
    let (copies, router) = copies(extra, 1);
    let in_all = kinds(&copies, |copy| copy.to == router);
    assert_eq!(in_all, ["INVITE", "200", "ACK", "BYE", "200"]);
    let mut out = kinds(&copies, |copy| copy.from == router);
    out.retain(|kind| kind != "100");
    assert_eq!(out, ["INVITE", "200", "ACK", "BYE", "200"]);
    let first = copies.first().expect("a copy");
    let call_id = first.text.split("Call-ID: ").nth(1).expect("a Call-ID");
    let call_id = call_id.lines().next().expect("a line");
    for copy in &copies {
        assert_eq!(copy.correlation, call_id, "{copy:#?}");
        assert_eq!(copy.capture_id, 2001);
        assert_eq!(copy.password.as_deref(), Some("swordfish"));
        assert!(copy.from == router || copy.to == router);
    }
    assert!(
        copies
            .iter()
            .any(|copy| copy.text.contains("Call-ID: tpr-"))
    );
}

#[test]
fn a_call_is_copied_whole_or_not_at_all() {
    let (copies, router) = copies("sample = 2\n", 24);
    let mut calls: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for copy in &copies {
        calls.entry(&copy.correlation).or_default();
    }
    assert!((1..24).contains(&calls.len()), "{}", calls.len());
    for (call, kinds) in &mut calls {
        *kinds = self::kinds(&copies, |copy| {
            copy.correlation == **call && copy.to == router
        });
        assert_eq!(*kinds, ["INVITE", "200", "ACK", "BYE", "200"], "{call}");
    }
}
