//! What a whole basic call costs: 7 datagrams in, 7 out, played through `Shard::apply`.
//!
//! `lingering`: 10,000 calls a second by virtual time, so that the transactions of 320,000 calls wait
//! out their 32 s as in life. `few lingering`: the same work with tables that stay in the cache.
//! `interleaved`: as `lingering`, but 3,584 calls are in progress at any time, each a message further
//! every 51 ms: what a call left in the cache at its last message is gone at the next. `ends alone`: the
//! text work of the two ends, to be subtracted from the others.

#![allow(missing_docs, reason = "criterion's macros make public items")]

mod basic_call;

use std::cell::{LazyCell, RefCell};
use std::time::Duration;

use basic_call::{DATAGRAMS, Ends, Fields, Played, World};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use tipring_shard::Accounting;

/// 10,000 calls a second.
const GAP: Duration = Duration::from_micros(100);
/// Enough of them that the first ones' transactions are gone: 64 s.
const WARM_UP: u64 = 640_000;
/// Calls that start between two messages of one call, in `interleaved`.
const STRIDE: usize = 512;

/// A shard in the state it is in after [`WARM_UP`] calls. Only made when its bench runs.
fn warm() -> Played {
    let played = Played::new(WARM_UP, GAP);
    let (servers, clients) = played.transactions();
    assert!(servers >= 640_000 && clients >= 320_000);
    played
}

fn lingering(criterion: &mut Criterion) {
    let mut played = LazyCell::new(warm);
    criterion.bench_function("call: lingering", |bencher| {
        let played = &mut *played;
        bencher.iter(|| played.call());
    });
}

fn few_lingering(criterion: &mut Criterion) {
    let mut played = Played::new(1_000, Duration::from_secs(1));
    let (servers, clients) = played.transactions();
    assert!(servers + clients < 200);
    criterion.bench_function("call: few lingering", |bencher| {
        bencher.iter(|| played.call());
    });
}

/// The same with an account of each call: what it is for, and what is kept.
const ACCOUNTS: [(&str, Accounting); 3] = [
    (
        "calls",
        Accounting {
            calls: true,
            timeline: false,
            records: false,
        },
    ),
    (
        "timeline",
        Accounting {
            calls: true,
            timeline: true,
            records: false,
        },
    ),
    (
        "records",
        Accounting {
            calls: false,
            timeline: false,
            records: true,
        },
    ),
];

fn accounted(criterion: &mut Criterion) {
    for (name, accounting) in ACCOUNTS {
        let mut played = Played::new(1_000, Duration::from_secs(1));
        played.live.keep(accounting);
        criterion.bench_function(&format!("call: few lingering, {name}"), |bencher| {
            bencher.iter(|| played.call());
        });
    }
}

/// Calls in progress, each [`STRIDE`] calls behind the next at the same message.
struct Interleaved {
    played: Played,
    calls: Vec<Option<Fields>>,
    newest: usize,
}

impl Interleaved {
    fn new() -> Interleaved {
        let mut interleaved = Interleaved {
            played: warm(),
            calls: vec![None; STRIDE * DATAGRAMS],
            newest: 0,
        };
        for _ in 0..STRIDE * DATAGRAMS {
            interleaved.turn();
        }
        let in_progress = interleaved.played.shard().calls();
        assert_eq!(in_progress, STRIDE * (DATAGRAMS - 1));
        interleaved
    }

    /// One call starts, six others come one message further.
    fn turn(&mut self) {
        let Played {
            ends, live, now, ..
        } = &mut self.played;
        *now = *now + GAP;
        self.newest = (self.newest + 1) % self.calls.len();
        self.calls[self.newest] = Some(ends.call());
        for step in 0..DATAGRAMS {
            let at = (self.newest + (DATAGRAMS - step) * STRIDE) % self.calls.len();
            if let Some(call) = &mut self.calls[at] {
                ends.play(live, *now, step, call);
            }
        }
        live.turn(*now);
    }
}

fn interleaved(criterion: &mut Criterion) {
    let mut interleaved = LazyCell::new(Interleaved::new);
    criterion.bench_function("call: interleaved", |bencher| {
        let interleaved = &mut *interleaved;
        bencher.iter(|| interleaved.turn());
    });
}

fn ends_alone(criterion: &mut Criterion) {
    let mut played = Played::new(10, GAP);
    let mut replay = played.record();
    let mut ends = Ends::new();
    criterion.bench_function("call: ends alone", |bencher| {
        bencher.iter(|| ends.play_call(&mut replay, played.now));
    });
}

/// Each message alone, the ends' work included; 16 calls are brought to it at a time.
fn steps(criterion: &mut Criterion) {
    const NAMES: [&str; DATAGRAMS] = [
        "INVITE",
        "100",
        "180",
        "200 of the INVITE",
        "ACK",
        "BYE",
        "200 of the BYE",
    ];
    let mut played = LazyCell::new(warm);
    for (step, name) in NAMES.into_iter().enumerate() {
        criterion.bench_function(&format!("step: {name}"), |bencher| {
            let world = RefCell::new((&mut *played, Vec::new()));
            let bring = || {
                let (played, unfinished) = &mut *world.borrow_mut();
                finish(played, unfinished, step);
                bring_to(played, step)
            };
            let play = |mut call| {
                let (played, unfinished) = &mut *world.borrow_mut();
                let Played {
                    ends, live, now, ..
                } = &mut **played;
                ends.play(live, *now, step, &mut call);
                unfinished.push(call);
            };
            bencher.iter_batched(bring, play, BatchSize::NumIterations(16));
            let (played, mut unfinished) = world.into_inner();
            finish(played, &mut unfinished, step);
        });
    }
}

/// A new call that has played the steps before this one.
fn bring_to(played: &mut Played, step: usize) -> Fields {
    played.now = played.now + GAP;
    played.live.turn(played.now);
    let mut call = played.ends.call();
    for before in 0..step {
        let Played {
            ends, live, now, ..
        } = played;
        ends.play(live, *now, before, &mut call);
    }
    call
}

/// Plays the steps of these calls after this one.
fn finish(played: &mut Played, calls: &mut Vec<Fields>, step: usize) {
    let Played {
        ends, live, now, ..
    } = played;
    for mut call in calls.drain(..) {
        for after in step + 1..DATAGRAMS {
            ends.play(live, *now, after, &mut call);
        }
    }
}

criterion_group!(
    benches,
    few_lingering,
    accounted,
    lingering,
    interleaved,
    ends_alone,
    steps
);
criterion_main!(benches);
