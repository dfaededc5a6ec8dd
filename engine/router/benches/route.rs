//! Route lookup in DBs of 10, 10,000 and 100,000 records, and the time to load them.
//!
//! The DBs are mixed as large dial plans are: 60 % literal numbers, 39 % prefixes and dial-plan
//! patterns, 1 % regular expressions of other kinds. Users are random: three quarters hit a literal
//! or a prefix, the rest go anywhere.

#![allow(missing_docs)]

use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::{Value, json};
use std::hint::black_box;
use std::sync::Arc;
use tipring_router::rdb::{Matcher, Table};

const SIZES: [usize; 3] = [10, 10_000, 100_000];
/// Different users of one run: more than fit the first caches of the processor.
const USERS: usize = 16_384;

/// The n-th of a fixed sequence of seemingly random numbers (splitmix64).
fn random(n: usize) -> usize {
    let mut z = (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (z ^ (z >> 27)) as usize
}

/// A number of 9 digits with a country code.
fn number(n: usize) -> String {
    format!("49{:09}", random(n) % 1_000_000_000)
}

fn pattern(n: usize) -> String {
    let number = number(n);
    match n % 100 {
        0 => match n / 100 % 4 {
            0 => format!("{}$", &number[4..]),
            1 => format!(r"^(\+|00)?{}\d+{}$", &number[..6], &number[9..]),
            2 => format!(r"^0?{}.*[357]$", &number[..7]),
            _ => format!("(?i)room-{}", &number[6..]),
        },
        1..20 => format!("^{}", &number[..8]),
        20..40 => format!(r"^(\+|00)?{}(\d{{2,}})$", &number[..8]),
        _ => format!("^{number}$"),
    }
}

fn record(n: usize) -> Value {
    let pattern = pattern(n);
    let out = if pattern.contains("(\\d") { "0$2" } else { "" };
    json!({"userpartPattern": pattern, "routingRecord": {
        "noAnswerTimeout": 60, "no18xTimeout": 10, "maxCallDuration": 7200, "outRuriUserpart": out,
        "outRuriHostport": format!("10.0.{}.{}:5060", n % 200, n % 250), "outCallFlow": "Transparent",
        "disallowSimilar18x": false, "disallowDifferent18x": false, "steerMedia": false}})
}

fn db(records: usize) -> String {
    json!((0..records).map(record).collect::<Vec<_>>()).to_string()
}

fn users(records: usize) -> Vec<String> {
    let user = |n: usize| match n % 4 {
        0 => number(records + n),
        _ => number(random(n) % records),
    };
    (0..USERS).map(user).collect()
}

fn route(criterion: &mut Criterion) {
    for records in SIZES {
        let json = db(records);
        let table = Arc::new(Table::parse(&json).expect("the DB is right"));
        let mut matcher = Matcher::new(Arc::clone(&table));
        let users = users(records);
        let mut next = users.iter().cycle();
        criterion.bench_function(&format!("route/find/{records}"), |bencher| {
            bencher.iter(|| {
                matcher
                    .find(black_box(next.next().expect("endless")))
                    .map(|r| r.index)
            });
        });
        let (mut next, mut out) = (users.iter().cycle(), Vec::new());
        criterion.bench_function(&format!("route/find_and_write/{records}"), |bencher| {
            bencher.iter(|| {
                let user = next.next().expect("endless");
                out.clear();
                matcher
                    .find(black_box(user))
                    .is_some_and(|mut r| r.write_user(user, &mut out))
            });
        });
        eprintln!(
            "{records} records: file {} KiB, index {} KiB, caches of one matcher {} KiB",
            json.len() >> 10,
            table.index_bytes() >> 10,
            matcher.bytes() >> 10
        );
    }
}

fn load(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("route/load");
    group.sample_size(10);
    for records in SIZES {
        let json = db(records);
        group.bench_function(records.to_string(), |bencher| {
            bencher.iter(|| Table::parse(black_box(&json)).expect("the DB is right"));
        });
    }
}

criterion_group!(benches, route, load);
criterion_main!(benches);
