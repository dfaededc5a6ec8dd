//! Instructions the hot parts execute, counted by Valgrind: the same figure on every machine and under
//! every load, so that one percent more is seen. Needs `valgrind` and `gungraun-runner`.

#![allow(missing_docs, reason = "gungraun's macros make public items")]

mod basic_call;

use std::fmt::Write;
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use basic_call::{Ends, Fields, Live, Played, Replay};
use gungraun::prelude::*;
use router::rdb::{Matcher, Table};
use stack::timer::Wheel;
use stack::{Flow, Inbound, Outbox, Time, TimerConfig, Token, TransactionLimits, Transactions};
use tipring_shard::steer::shard_of;
use wire::{HeaderName, Index, Limits, Message, Method, print};

/// Calls played, or rounds made, before the one that is counted: every buffer has its size by then.
const WARM_UP: u64 = 100;
const ROUTES: usize = 100_000;
/// The steps of a basic call that stand for a request and for a response.
const INVITE: usize = 0;
const BYE: usize = 5;
const BYE_ANSWER: usize = 6;

// ---- wire

/// The text of a step of some call. Leaked, as everything that must outlive the set-up.
fn text(step: usize) -> &'static [u8] {
    let mut ends = Ends::new();
    ends.text(step, &Fields::new(1)).to_vec().leak()
}

fn parsed(text: &'static [u8]) -> Message<'static> {
    let index = Box::leak(Box::new(Index::new()));
    Message::parse(text, index, &Limits::default()).expect("a good message")
}

fn text_and_warm_index(step: usize) -> (&'static [u8], Index) {
    let (text, mut index) = (text(step), Index::new());
    assert!(Message::parse(text, &mut index, &Limits::default()).is_ok());
    (text, index)
}

#[library_benchmark]
#[bench::invite(text_and_warm_index(INVITE))]
#[bench::bye(text_and_warm_index(BYE))]
fn parse((text, mut index): (&'static [u8], Index)) -> (bool, Index) {
    let good = Message::parse(black_box(text), &mut index, &Limits::default()).is_ok();
    (good, index)
}

#[library_benchmark]
#[bench::invite(parsed(text(INVITE)))]
fn check_mandatory(message: Message<'static>) -> bool {
    black_box(&message).check_mandatory().is_ok()
}

/// What a back-to-back user agent writes itself.
const OWN: print::Policy = print::Policy::dropping(&[
    HeaderName::Via,
    HeaderName::MaxForwards,
    HeaderName::From,
    HeaderName::To,
    HeaderName::CallId,
    HeaderName::CSeq,
    HeaderName::Contact,
    HeaderName::ContentLength,
]);

fn invite_and_buffer() -> (Message<'static>, Vec<u8>) {
    (parsed(text(INVITE)), Vec::with_capacity(4096))
}

#[library_benchmark]
#[bench::invite(invite_and_buffer())]
fn print_relayed((message, mut out): (Message<'static>, Vec<u8>)) -> Vec<u8> {
    let message = black_box(&message);
    print::request_line(&mut out, b"INVITE", b"sip:+12015550123@198.51.100.7:5060");
    print::header(
        &mut out,
        "Via",
        b"SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bKtpr0123456789abcdef",
    );
    print::header(&mut out, "Max-Forwards", b"69");
    for (name, header) in [("From", HeaderName::From), ("To", HeaderName::To)] {
        print::header(&mut out, name, message.header(header).unwrap_or_default());
    }
    print::header(&mut out, "Call-ID", b"tpr-0123456789abcdef0123456789abcdef");
    print::header(&mut out, "CSeq", b"1 INVITE");
    print::header(
        &mut out,
        "Contact",
        b"<sip:tpr0123456789abcdef@192.0.2.1:5060>",
    );
    print::passing_headers(&mut out, message, &OWN);
    print::end(&mut out, message.body());
    out
}

// ---- stack

fn peer() -> Flow {
    Flow {
        listener: 0,
        remote: SocketAddr::from(([192, 0, 2, 10], 5060)),
    }
}

/// A transaction layer and the moment it has come to.
struct Layer {
    transactions: Transactions<u64>,
    out: Outbox,
    now: Time,
}

impl Layer {
    fn new() -> Layer {
        let limits = TransactionLimits {
            server: 1 << 16,
            client: 1 << 16,
        };
        let transactions = Transactions::new(0, 1, TimerConfig::default(), limits, Time::ZERO);
        Layer {
            transactions,
            out: Outbox::new(),
            now: Time::ZERO,
        }
    }

    /// Receives the request, answers it 200 and lets 32 s pass.
    fn serve(&mut self, request: &Message<'_>) {
        let Layer {
            transactions, out, ..
        } = self;
        let inbound = transactions.receive_request(self.now, request, peer(), out);
        if let Inbound::New(id) = inbound {
            let end = |bytes: &mut Vec<u8>| print::end(bytes, b"");
            transactions.respond(self.now, id, 200, b"", Some(b"ours"), end, out);
        }
        self.pass(Duration::from_secs(33));
        assert_eq!(self.transactions.server_count(), 0);
    }

    /// Sends the request; its branch.
    fn request(&mut self, text: &[u8]) -> Option<Token> {
        let mut branch = None;
        let print = |bytes: &mut Vec<u8>, token: &Token| {
            bytes.extend_from_slice(text);
            branch = Some(*token);
        };
        self.transactions
            .request(self.now, peer(), Method::Bye, 1, print, &mut self.out);
        branch
    }

    /// Sends the request, receives its answer and lets timer K pass.
    fn ask(&mut self, text: &[u8], answer: &Message<'_>) {
        self.request(text);
        self.transactions
            .receive_response(self.now, answer, peer(), &mut self.out);
        self.pass(Duration::from_secs(6));
        assert_eq!(self.transactions.client_count(), 0);
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.out.clear();
        assert!(
            self.transactions
                .handle_timeout(self.now, &mut self.out)
                .is_none()
        );
    }
}

/// The answer to a BYE with this branch.
fn answer_to(branch: Token) -> Message<'static> {
    let mut branch_text = Vec::new();
    branch.print_branch(&mut branch_text);
    let mut call = Fields::new(1);
    call.get_mut(basic_call::Field::Branch)
        .copy_from_slice(&branch_text);
    parsed(Ends::new().text(BYE_ANSWER, &call).to_vec().leak())
}

fn warm_server() -> (Layer, Message<'static>) {
    let (mut layer, request) = (Layer::new(), parsed(text(BYE)));
    for _ in 0..WARM_UP {
        layer.serve(&request);
    }
    (layer, request)
}

/// A layer's tokens follow from its seed: a twin tells the branch of the request that is counted.
fn warm_client() -> (Layer, &'static [u8], Message<'static>) {
    let bye = text(BYE);
    let rounds = |layer: &mut Layer, twin: &mut Layer| {
        let answer = answer_to(twin.request(bye).expect("room"));
        let mut other = Outbox::new();
        twin.transactions
            .receive_response(twin.now, &answer, peer(), &mut other);
        twin.pass(Duration::from_secs(6));
        layer.ask(bye, &answer);
    };
    let (mut layer, mut twin) = (Layer::new(), Layer::new());
    for _ in 0..WARM_UP {
        rounds(&mut layer, &mut twin);
    }
    let answer = answer_to(twin.request(bye).expect("room"));
    (layer, bye, answer)
}

#[library_benchmark]
#[bench::answer_and_expire(warm_server())]
fn server_transaction((mut layer, request): (Layer, Message<'static>)) -> Layer {
    layer.serve(black_box(&request));
    layer
}

#[library_benchmark]
#[bench::answer_and_expire(warm_client())]
fn client_transaction(
    (mut layer, text, answer): (Layer, &'static [u8], Message<'static>),
) -> Layer {
    layer.ask(black_box(text), black_box(&answer));
    layer
}

fn warm_wheel() -> Wheel<u64> {
    let mut wheel = Wheel::new(Time::ZERO);
    for n in 0..1_000 {
        wheel.arm(Time::from_nanos(n * 32_000_000), n);
    }
    let key = wheel.arm(Time::from_nanos(500_000_000), 0);
    wheel.cancel(key);
    wheel
}

#[library_benchmark]
#[bench::arm_and_cancel(warm_wheel())]
fn timer(mut wheel: Wheel<u64>) -> Wheel<u64> {
    let key = wheel.arm(black_box(Time::from_nanos(500_000_000)), 1);
    black_box(wheel.cancel(key));
    wheel
}

// ---- router

/// 60 % numbers, 40 % prefixes, none of them beginning with 9; one number is asked for first, so that
/// the caches are there.
fn routes(user: &'static str) -> (Matcher, &'static str) {
    let mut json = String::from("[");
    for n in 0..ROUTES {
        let comma = if n == 0 { "" } else { "," };
        let (number, end) = match n % 10 {
            0..6 => (490_000_000_000 + n * 1_000, "$"),
            _ => (4_400_000 + n, ""),
        };
        let written = write!(
            json,
            "{comma}{{\"userpartPattern\":\"^{number}{end}\",\"routingRecord\":\
             {{\"outRuriHostport\":\"198.51.100.7:5060\"}}}}"
        );
        written.expect("a String grows");
    }
    json.push(']');
    let mut matcher = Matcher::new(Arc::new(Table::parse(&json).expect("a good table")));
    matcher.find(user);
    (matcher, user)
}

#[library_benchmark]
#[bench::literal(routes("490054321000"))]
#[bench::prefix(routes("44543261234"))]
#[bench::miss(routes("990054321000"))]
fn route((mut matcher, user): (Matcher, &'static str)) -> (Option<usize>, Matcher) {
    let found = matcher.find(black_box(user)).map(|route| route.index);
    (found, matcher)
}

// ---- shard

#[library_benchmark]
#[bench::hashed(b"0123456789ab@192.0.2.10")]
#[bench::ours(b"tpr-02000123000000170123456789abcdef")]
fn steer(call_id: &[u8]) -> u8 {
    shard_of(black_box(call_id), 16, 7)
}

fn warm_shard() -> Played {
    Played::new(WARM_UP, Duration::from_millis(1))
}

fn warm_replay() -> (Ends, Replay) {
    let mut replay = warm_shard().record();
    let mut ends = Ends::new();
    ends.play_call(&mut replay, Time::ZERO);
    (ends, replay)
}

#[library_benchmark]
#[bench::whole(warm_shard())]
fn basic_call_of_shard_and_ends(mut played: Played) -> Played {
    played.call();
    played
}

#[library_benchmark]
#[bench::whole(warm_replay())]
fn basic_call_of_ends_alone((mut ends, mut replay): (Ends, Replay)) -> (Ends, Replay) {
    ends.play_call(&mut replay, Time::ZERO);
    (ends, replay)
}

/// A shard, the ends, and a call that has played every step before this one.
fn brought_to(step: usize) -> (Ends, Live, Time, usize, Fields) {
    let Played {
        mut ends,
        mut live,
        now,
        ..
    } = warm_shard();
    let mut call = ends.call();
    for before in 0..step {
        ends.play(&mut live, now, before, &mut call);
    }
    (ends, live, now, step, call)
}

#[library_benchmark]
#[bench::invite(brought_to(0))]
#[bench::trying(brought_to(1))]
#[bench::ringing(brought_to(2))]
#[bench::answer(brought_to(3))]
#[bench::ack(brought_to(4))]
#[bench::bye(brought_to(5))]
#[bench::bye_answer(brought_to(6))]
fn step(
    (mut ends, mut live, now, step, mut call): (Ends, Live, Time, usize, Fields),
) -> (Ends, Live) {
    ends.play(&mut live, now, step, &mut call);
    (ends, live)
}

library_benchmark_group!(
    name = parts,
    benchmarks = [
        parse,
        check_mandatory,
        print_relayed,
        server_transaction,
        client_transaction,
        timer,
        route,
        steer
    ]
);
library_benchmark_group!(
    name = calls,
    benchmarks = [basic_call_of_shard_and_ends, basic_call_of_ends_alone, step]
);
main!(library_benchmark_groups = parts, calls);
