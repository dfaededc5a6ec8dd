//! What reading costs: the index alone, and with the fields a B2BUA reads of every request.
#![allow(missing_docs, reason = "criterion's macros make public items")]

mod messages;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use messages::invite;
use std::hint::black_box;
use wire::{HeaderName, Index, Limits, Message};

/// Reads what a B2BUA needs to take a call.
fn read_call(message: &Message<'_>) -> usize {
    let via = message.top_via().unwrap();
    let (from, to) = (message.from().unwrap(), message.to().unwrap());
    let contact = message.contact().unwrap().unwrap();
    message.request_uri().len()
        + message.call_id().len()
        + message.cseq().unwrap().number as usize
        + via.branch.unwrap().len()
        + from.tag().unwrap().len()
        + to.uri.len()
        + contact.uri.len()
        + message.max_forwards().unwrap().unwrap() as usize
        + message.body().len()
}

fn parse(criterion: &mut Criterion) {
    let invite = invite();
    assert_eq!(invite.len(), 734);
    let limits = Limits::default();
    let mut index = Index::new();
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Bytes(invite.len() as u64));
    group.bench_function("index", |bencher| {
        bencher.iter(|| {
            let message = Message::parse(black_box(&invite), &mut index, &limits).unwrap();
            message.header(HeaderName::Via).unwrap().len()
        });
    });
    group.bench_function("index+call", |bencher| {
        bencher.iter(|| {
            let message = Message::parse(black_box(&invite), &mut index, &limits).unwrap();
            read_call(&message)
        });
    });
    group.bench_function("index+mandatory", |bencher| {
        bencher.iter(|| {
            let message = Message::parse(black_box(&invite), &mut index, &limits).unwrap();
            message.check_mandatory()
        });
    });
    let mut index = Index::new();
    let message = Message::parse(&invite, &mut index, &limits).unwrap();
    group.bench_function("call", |bencher| {
        bencher.iter(|| read_call(black_box(&message)))
    });
    group.bench_function("via", |bencher| {
        bencher.iter(|| black_box(&message).top_via())
    });
    group.bench_function("from", |bencher| {
        bencher.iter(|| black_box(&message).from())
    });
    group.bench_function("mandatory", |bencher| {
        bencher.iter(|| black_box(&message).check_mandatory());
    });
    group.finish();
}

criterion_group!(benches, parse);
criterion_main!(benches);
