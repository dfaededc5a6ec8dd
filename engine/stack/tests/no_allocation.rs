//! After warm-up the transaction layer allocates nothing, whatever number of transactions passes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use stack::{Flow, Inbound, Outbox, Time, TimerConfig, Token, TransactionLimits, Transactions};
use wire::{Index, Limits, Message, Method, print};

/// The system's allocator and how often it was asked.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[expect(unsafe_code, reason = "an allocator cannot be written without")]
// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`, and System has the same one.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`, and System has the same one.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One transaction layer and the buffers around it, all of them used again.
struct Line {
    layer: Transactions<u32>,
    now: Time,
    out: Outbox,
    index: Index,
    text: Vec<u8>,
    branch: u64,
}

fn peer() -> Flow {
    Flow {
        listener: 0,
        remote: SocketAddr::from(([192, 0, 2, 1], 5060)),
    }
}

impl Line {
    fn new() -> Line {
        let limits = TransactionLimits {
            server: 10_000,
            client: 10_000,
        };
        Line {
            layer: Transactions::new(0, 1, TimerConfig::default(), limits, Time::ZERO),
            now: Time::ZERO,
            out: Outbox::new(),
            index: Index::new(),
            text: Vec::new(),
            branch: 0,
        }
    }

    /// One call's worth: an INVITE in and answered, one out and answered, a CANCEL, a BYE each way.
    fn call(&mut self) {
        self.branch += 1;
        self.serve("INVITE", &[180, 200]);
        self.serve("BYE", &[200]);
        self.branch += 1;
        self.serve("INVITE", &[180, 486]);
        self.receive_request("ACK");
        self.ask("INVITE", &[100, 180, 200]);
        self.ask("INVITE", &[180, 487]);
        self.ask("BYE", &[200]);
        self.now = self.now + Duration::from_millis(100);
        while self.layer.handle_timeout(self.now, &mut self.out).is_some() {}
        self.out.clear();
    }

    fn receive_request(&mut self, method: &str) -> Inbound {
        write_request(&mut self.text, self.branch, method, |text| {
            text.extend_from_slice(b"z9hG4bK");
            print::hex(text, self.branch, 16);
        });
        let limits = Limits::default();
        let request = Message::parse(&self.text, &mut self.index, &limits).unwrap();
        self.layer
            .receive_request(self.now, &request, peer(), &mut self.out)
    }

    fn serve(&mut self, method: &str, codes: &[u16]) {
        // The requests differ in their branches alone: all but the first are copies come another way.
        let (Inbound::New(id) | Inbound::Merged { server: id, .. }) = self.receive_request(method)
        else {
            panic!()
        };
        assert_eq!(self.receive_request(method), Inbound::Absorbed);
        for code in codes {
            let rest = |bytes: &mut Vec<u8>| print::end(bytes, &[b'x'; 300]);
            let out = &mut self.out;
            assert!(
                self.layer
                    .respond(self.now, id, *code, b"", Some(b"t"), rest, out)
            );
        }
        self.layer.acknowledge(self.now, id);
    }

    fn ask(&mut self, method: &str, codes: &[u16]) {
        let mut branch = None;
        let print = |bytes: &mut Vec<u8>, token: &Token| {
            write_request(bytes, 0, method, |text| token.print_branch(text));
            branch = Some(*token);
        };
        let named = Method::parse(method.as_bytes());
        // The printer clears what it is given, so it must be given nothing else.
        self.out.clear();
        let out = &mut self.out;
        let id = self
            .layer
            .request(self.now, peer(), named, 0, print, out)
            .unwrap();
        for code in codes {
            self.receive_response(*code, &branch.unwrap(), method);
            if *code == 180 && codes.contains(&487) {
                self.layer.cancel(self.now, id, b"", &mut self.out);
                self.receive_response(200, &branch.unwrap(), "CANCEL");
            }
        }
        if method == "INVITE" && codes.contains(&200) {
            let print = |bytes: &mut Vec<u8>, token: &Token| token.print_branch(bytes);
            let out = &mut self.out;
            self.layer
                .acknowledge_2xx(self.now, id, b"b", peer(), print, out);
            self.receive_response(200, &branch.unwrap(), method);
        }
    }

    fn receive_response(&mut self, code: u16, branch: &Token, method: &str) {
        let text = &mut self.text;
        text.clear();
        print::status_line(text, code, b"");
        text.extend_from_slice(b"Via: SIP/2.0/UDP 192.0.2.9;branch=");
        branch.print_branch(text);
        text.extend_from_slice(b"\r\nFrom: <sip:a@h>;tag=a\r\nTo: <sip:b@h>;tag=b\r\n");
        text.extend_from_slice(b"Call-ID: one\r\nCSeq: 1 ");
        text.extend_from_slice(method.as_bytes());
        text.extend_from_slice(b"\r\n");
        print::end(text, b"");
        let response = Message::parse(text, &mut self.index, &Limits::default()).unwrap();
        self.layer
            .receive_response(self.now, &response, peer(), &mut self.out);
    }
}

/// A request of its own call: the same identity on another branch would be a merged request.
fn write_request(text: &mut Vec<u8>, call: u64, method: &str, branch: impl FnOnce(&mut Vec<u8>)) {
    text.clear();
    print::request_line(text, method.as_bytes(), b"sip:bob@192.0.2.9");
    text.extend_from_slice(b"Via: SIP/2.0/UDP 192.0.2.1;branch=");
    branch(text);
    text.extend_from_slice(b"\r\nFrom: <sip:a@192.0.2.1>;tag=a\r\nTo: <sip:b@192.0.2.9>\r\n");
    text.extend_from_slice(b"Call-ID: ");
    print::hex(text, call, 16);
    text.extend_from_slice(b"\r\nCSeq: 1 ");
    text.extend_from_slice(method.as_bytes());
    text.extend_from_slice(b"\r\n");
    print::end(text, b"");
}

#[test]
fn ten_thousand_warm_transactions_allocate_nothing() {
    let mut line = Line::new();
    // 64*T1 is 320 calls: by then the oldest timers have run and everything is used again.
    for _ in 0..1000 {
        line.call();
    }
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    for _ in 0..2000 {
        line.call();
    }
    let during = ALLOCATIONS.load(Ordering::Relaxed) - before;
    let counters = line.layer.counters();
    assert_eq!((counters.servers, counters.clients), (9000, 12_000));
    assert_eq!(counters.strays.total(), 0);
    assert_eq!(during, 0);
}
