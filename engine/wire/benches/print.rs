//! What printing costs: the head of a response, and the INVITE of the other leg.
#![allow(missing_docs, reason = "criterion's macros make public items")]

mod messages;

use criterion::{Criterion, criterion_group, criterion_main};
use messages::invite;
use std::hint::black_box;
use std::net::SocketAddr;
use wire::{HeaderName, Index, Limits, Message, print};

/// What a B2BUA writes itself.
const OWN: print::Policy = print::Policy::dropping(&[
    HeaderName::Via,
    HeaderName::MaxForwards,
    HeaderName::From,
    HeaderName::To,
    HeaderName::CallId,
    HeaderName::CSeq,
    HeaderName::Contact,
    HeaderName::RecordRoute,
    HeaderName::Route,
    HeaderName::ContentLength,
]);

fn other_leg(out: &mut Vec<u8>, message: &Message<'_>) {
    print::request_line(out, b"INVITE", b"sip:+12015550123@198.51.100.7:5060");
    print::header(
        out,
        "Via",
        b"SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKtpr0123456789abcdef",
    );
    print::header(out, "Max-Forwards", b"69");
    print::header(out, "From", message.header(HeaderName::From).unwrap());
    print::header(out, "To", message.header(HeaderName::To).unwrap());
    print::header(out, "Call-ID", b"tpr-0123456789abcdef0123456789abcdef");
    print::header(out, "CSeq", b"1 INVITE");
    print::header(out, "Contact", b"<sip:tpr0123456789abcdef@192.0.2.1:5060>");
    print::passing_headers(out, message, &OWN);
    print::end(out, message.body());
}

fn printing(criterion: &mut Criterion) {
    let invite = invite();
    let mut index = Index::new();
    let message = Message::parse(&invite, &mut index, &Limits::default()).unwrap();
    let source: SocketAddr = "192.0.2.10:5060".parse().unwrap();
    let mut out = Vec::with_capacity(2048);
    let mut group = criterion.benchmark_group("print");
    group.bench_function("response_head", |bencher| {
        bencher.iter(|| {
            out.clear();
            print::response_head(&mut out, black_box(&message), source);
            out.len()
        });
    });
    group.bench_function("other_leg", |bencher| {
        bencher.iter(|| {
            out.clear();
            other_leg(&mut out, black_box(&message));
            out.len()
        });
    });
    group.finish();
}

criterion_group!(benches, printing);
criterion_main!(benches);
