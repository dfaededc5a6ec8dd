//! How the shard of a world is configured: one route for each way a call can go, small tables, and what
//! the first byte of the input switches on.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use media::PortPair;
use router::rdb::Table;
use shard::{Accounting, ApplicationServer, Config, Limits, Listener, Outbound, Timers};

/// Where the shard listens: number 1 is IPv6.
pub(super) const LISTENERS: [&str; 2] = ["127.0.0.1:5060", "[::1]:5060"];
/// Port pairs of each family.
pub(super) const PAIRS: u16 = 4;
/// Who may send and be sent to; the callees of the routes are the second and third.
pub(super) const PEERS: [&str; 5] = [
    "10.0.0.1:5060",
    "10.0.0.2:5070",
    "[fd00::2]:5070",
    "10.0.0.9:5060",
    "10.0.0.1:5099",
];
/// Numbers to dial, one for each route, and one without.
pub(super) const NUMBERS: [&str; 10] = [
    "7001", "501", "91", "41", "31", "801", "601", "201", "101", "nobody",
];

const ROUTES: &str = r#"[
    {"userpartPattern": "^7", "routingRecord":
        {"outRuriHostport": "10.0.0.2:5070", "steerMedia": true, "maxCallDuration": 300}},
    {"userpartPattern": "^6", "routingRecord":
        {"outRuriHostport": "[fd00::2]:5070", "steerMedia": true}},
    {"userpartPattern": "^5(.*)", "routingRecord":
        {"outRuriHostport": "10.0.0.2:5070", "outRuriUserpart": "00$1", "no18xTimeout": 4,
         "noAnswerTimeout": 30}},
    {"userpartPattern": "^8", "routingRecord":
        {"outRuriHostport": "callee.example:5070", "steerMedia": true}},
    {"userpartPattern": "^9", "routingRecord":
        {"outRuriHostport": "10.0.0.2:5070", "steerMedia": true,
         "outCallFlow": "TransformEarlyToFinal"}},
    {"userpartPattern": "^4", "routingRecord":
        {"outRuriHostport": "10.0.0.2:5070", "outCallFlow": "TransformEarlyToFinal",
         "noAnswerTimeout": 20}},
    {"userpartPattern": "^3", "routingRecord":
        {"outCallFlow": "EchoResponder", "steerMedia": true, "maxCallDuration": 60}},
    {"userpartPattern": "^2", "routingRecord":
        {"outRuriHostport": "10.0.0.2:5070", "disallowSimilar18x": true,
         "disallowDifferent18x": true}},
    {"userpartPattern": "^1", "routingRecord": {}}
]"#;

static TABLE: LazyLock<Arc<Table>> =
    LazyLock::new(|| Arc::new(Table::parse(ROUTES).expect("the routes of the fuzzed shard")));

pub(super) fn table() -> Arc<Table> {
    TABLE.clone()
}

pub(super) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address of this file")
}

fn listener(text: &str) -> Listener {
    let (host, _) = text.rsplit_once(':').expect("host and port");
    let address = address(text);
    Listener {
        address,
        advertise_host: host.to_owned(),
        advertise_port: address.port(),
    }
}

/// The first port of each family.
const FIRST_PORTS: [u16; 2] = [40_000, 50_000];

/// The listener that a media port of the shard is.
pub(super) fn socket(port: u16) -> Option<u16> {
    let of = |(family, first): (u16, &u16)| {
        let offset = port
            .checked_sub(*first)
            .filter(|offset| *offset < 2 * PAIRS)?;
        Some(LISTENERS.len() as u16 + family * 2 * PAIRS + offset)
    };
    (0..).zip(&FIRST_PORTS).find_map(of)
}

fn pairs() -> Vec<PortPair> {
    let of = |host: &str, first: u16| {
        let host: IpAddr = host.parse().expect("an address of this file");
        (0..PAIRS).map(move |n| PortPair {
            bound: host,
            advertised: host,
            rtp_port: first + 2 * n,
        })
    };
    of("127.0.0.1", FIRST_PORTS[0])
        .chain(of("::1", FIRST_PORTS[1]))
        .collect()
}

/// An application server, an outbound proxy, or neither.
pub(super) fn outbound(which: u8) -> Outbound {
    let server = || ApplicationServer {
        address: address(PEERS[3]),
        sources: Vec::new(),
        keep_alive: Some(Duration::from_secs(10)),
        failures: 2,
    };
    Outbound {
        application_server: (which & 1 != 0).then(server),
        proxy: (which & 2 != 0).then(|| address(PEERS[4])),
    }
}

/// The settings that `bits` choose.
pub(super) fn config(bits: u8) -> Config {
    let small = bits & 0x10 != 0;
    let mut timers = Timers {
        in_dialog_probe: (bits & 4 != 0).then_some(Duration::from_secs(30)),
        ..Timers::default()
    };
    if bits & 8 != 0 {
        timers.stack.trying = Duration::ZERO;
    }
    Config {
        shards: if bits & 0x20 != 0 { 2 } else { 1 },
        timers,
        limits: Limits {
            calls: if small { 2 } else { 20 },
            transactions: if small { 4 } else { 100 },
            names: 2,
            ..Limits::default()
        },
        server_name: (bits & 0x40 != 0).then(|| "fuzz".to_owned()),
        media: media::Config {
            pairs: pairs(),
            first_listener: LISTENERS.len() as u16,
            silence: (bits & 0x80 != 0).then_some(Duration::from_secs(20)),
            seed: 3,
            ..media::Config::default()
        },
        outbound: outbound(bits),
        accounting: Accounting {
            calls: true,
            timeline: true,
            records: true,
        },
        ..Config::new(LISTENERS.map(listener).to_vec(), table())
    }
}
