//! What a timer costs: SIP arms one or two for each message and cancels nearly all of them.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use stack::timer::{Fifo, Wheel};
use stack::{Random, Time};

/// Arm and cancel while this many other timers wait.
const WAITING: u64 = 100_000;

fn wheel_of_many() -> Wheel<u64> {
    let mut random = Random::new(1);
    let mut wheel = Wheel::new(Time::ZERO);
    for _ in 0..WAITING {
        wheel.arm(Time::from_nanos(random.next_u64() % 32_000_000_000), 0);
    }
    wheel
}

fn wheel(criterion: &mut Criterion) {
    let mut wheel = wheel_of_many();
    criterion.bench_function("wheel: arm and cancel, 500 ms ahead", |bencher| {
        let mut now = Time::ZERO;
        bencher.iter(|| {
            now = now + Duration::from_micros(1);
            let key = wheel.arm(black_box(now) + Duration::from_millis(500), 0);
            wheel.cancel(key)
        });
    });
}

/// Every arming meets another slot and another neighbour, which are not in the cache.
fn scattered(criterion: &mut Criterion) {
    let mut wheel = wheel_of_many();
    criterion.bench_function("wheel: arm and cancel, anywhere in 4 s", |bencher| {
        let mut at = 0_u64;
        bencher.iter(|| {
            at = (at + 999_999_937) % 4_000_000_000;
            let key = wheel.arm(Time::from_nanos(black_box(at)), at);
            wheel.cancel(key)
        });
    });
}

fn expire(criterion: &mut Criterion) {
    criterion.bench_function("wheel: arm and fire 500 ms later", |bencher| {
        let mut wheel = Wheel::new(Time::ZERO);
        let mut now = Time::ZERO;
        bencher.iter(|| {
            now = now + Duration::from_micros(50);
            wheel.arm(now + Duration::from_millis(500), 0_u64);
            wheel.expire(now)
        });
    });
}

fn fifo(criterion: &mut Criterion) {
    criterion.bench_function("fifo: push and expire", |bencher| {
        let mut fifo = Fifo::new(Duration::from_secs(32));
        let mut now = Time::ZERO;
        bencher.iter(|| {
            now = now + Duration::from_millis(1);
            fifo.push(now, 0_u64);
            fifo.expire(now)
        });
    });
}

criterion_group!(benches, wheel, scattered, expire, fifo);
criterion_main!(benches);
