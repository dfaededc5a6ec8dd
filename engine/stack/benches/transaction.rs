//! What a transaction costs, with 100,000 others alive.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use stack::{
    Flow, Inbound, Outbox, Random, Time, TimerConfig, Token, TransactionLimits, Transactions,
};
use wire::{Index, Limits, Message, Method, print};

const LIVE: u64 = 100_000;
const LIMITS: TransactionLimits = TransactionLimits {
    server: 1 << 20,
    client: 1 << 20,
};

fn peer() -> Flow {
    Flow {
        listener: 0,
        remote: SocketAddr::from(([192, 0, 2, 1], 5060)),
    }
}

fn layer() -> Transactions<u64> {
    Transactions::new(0, 1, TimerConfig::default(), LIMITS, Time::ZERO)
}

fn write_request(out: &mut Vec<u8>, method: &str, branch: u64) {
    out.clear();
    out.extend_from_slice(method.as_bytes());
    out.extend_from_slice(b" sip:bob@192.0.2.9:5060 SIP/2.0\r\n");
    out.extend_from_slice(b"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK");
    print::hex(out, branch, 16);
    out.extend_from_slice(b"\r\nFrom: \"A\" <sip:alice@192.0.2.1>;tag=1928301774\r\n");
    out.extend_from_slice(b"To: <sip:bob@192.0.2.9>\r\nCall-ID: a84b4c76e66710@192.0.2.1\r\n");
    out.extend_from_slice(b"Max-Forwards: 70\r\nContact: <sip:alice@192.0.2.1>\r\nCSeq: 1 ");
    out.extend_from_slice(method.as_bytes());
    out.extend_from_slice(b"\r\n");
    print::end(out, b"");
}

fn receive(
    layer: &mut Transactions<u64>,
    now: Time,
    text: &[u8],
    index: &mut Index,
    out: &mut Outbox,
) -> Inbound {
    match Message::parse(text, index, &Limits::default()) {
        Ok(message) => layer.receive_request(now, &message, peer(), out),
        Err(_) => Inbound::Absorbed,
    }
}

/// What writing and parsing the request costs, to be taken off the next two.
fn parse(criterion: &mut Criterion) {
    let (mut text, mut index) = (Vec::new(), Index::new());
    criterion.bench_function("write and parse alone", |bencher| {
        bencher.iter(|| {
            write_request(&mut text, "OPTIONS", black_box(1));
            Message::parse(&text, &mut index, &Limits::default()).is_ok()
        });
    });
}

/// Receive an OPTIONS, answer it 200 and, 32 s later by virtual time, let it go: 100,000 live.
fn server(criterion: &mut Criterion) {
    let (mut layer, mut out) = (layer(), Outbox::new());
    let (mut text, mut index) = (Vec::new(), Index::new());
    let (mut now, mut branch) = (Time::ZERO, 0_u64);
    let step = Duration::from_nanos(32_000_000_000 / LIVE);
    let mut turn = || {
        now = now + step;
        branch += 1;
        write_request(&mut text, "OPTIONS", branch);
        let inbound = receive(&mut layer, now, &text, &mut index, &mut out);
        if let Inbound::New(id) = inbound {
            let end = |bytes: &mut Vec<u8>| print::end(bytes, b"");
            layer.respond(now, id, 200, b"", Some(b"ours"), end, &mut out);
        }
        out.clear();
        layer.handle_timeout(now, &mut out);
        layer.server_count()
    };
    for _ in 0..2 * LIVE {
        turn();
    }
    criterion.bench_function("server: receive, answer, expire; 100k live", |bencher| {
        bencher.iter(&mut turn);
    });
}

/// Look up one of 100,000 live server transactions: a retransmission of an unanswered request.
fn lookup(criterion: &mut Criterion) {
    let (mut layer, mut out) = (layer(), Outbox::new());
    let (mut text, mut index) = (Vec::new(), Index::new());
    for branch in 0..LIVE {
        write_request(&mut text, "OPTIONS", branch);
        receive(&mut layer, Time::ZERO, &text, &mut index, &mut out);
    }
    let mut random = Random::new(3);
    criterion.bench_function("server: find a retransmission among 100k", |bencher| {
        bencher.iter(|| {
            write_request(&mut text, "OPTIONS", random.next_u64() % LIVE);
            receive(&mut layer, Time::ZERO, &text, &mut index, &mut out)
        });
    });
}

/// Send an OPTIONS, receive its 200, let it go 5 s later by virtual time: 100,000 live.
fn client(criterion: &mut Criterion) {
    let (mut layer, mut out) = (layer(), Outbox::new());
    let (mut text, mut index) = (Vec::new(), Index::new());
    let mut now = Time::ZERO;
    let step = Duration::from_nanos(5_000_000_000 / LIVE);
    let mut turn = || {
        now = now + step;
        let mut sent = None;
        let print = |bytes: &mut Vec<u8>, token: &Token| {
            write_request(&mut text, "OPTIONS", 1);
            bytes.extend_from_slice(&text);
            sent = Some(*token);
        };
        layer.request(now, peer(), Method::Options, 1, print, &mut out);
        text.clear();
        text.extend_from_slice(b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=");
        if let Some(token) = sent {
            token.print_branch(&mut text);
        }
        text.extend_from_slice(b"\r\nFrom: <sip:a@h>;tag=a\r\nTo: <sip:b@h>;tag=b\r\n");
        text.extend_from_slice(b"Call-ID: one\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n");
        if let Ok(response) = Message::parse(&text, &mut index, &Limits::default()) {
            layer.receive_response(now, &response, peer(), &mut out);
        }
        out.clear();
        layer.handle_timeout(now, &mut out);
        layer.client_count()
    };
    for _ in 0..2 * LIVE {
        turn();
    }
    criterion.bench_function("client: request, response, expire; 100k live", |bencher| {
        bencher.iter(&mut turn);
    });
}

fn token(criterion: &mut Criterion) {
    let token = Token {
        shard: 1,
        slot: 0xabcdef,
        generation: 77,
        random: 0x0123_4567_89ab_cdef,
    };
    let mut text = Vec::new();
    token.print_branch(&mut text);
    criterion.bench_function("token: parse a branch", |bencher| {
        bencher.iter(|| Token::parse_branch(black_box(&text)));
    });
    criterion.bench_function("token: print a branch", |bencher| {
        bencher.iter(|| {
            text.clear();
            black_box(token).print_branch(&mut text);
        });
    });
}

criterion_group!(benches, token, parse, lookup, server, client);
criterion_main!(benches);
