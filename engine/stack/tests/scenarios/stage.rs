//! One transaction layer, its virtual clock, and the words scenarios are written in. No scenario here.

use std::net::SocketAddr;
use std::time::Duration;

use stack::{
    Answer, ClientId, Event, Flow, Inbound, Outbox, ServerId, Time, TimerConfig, Token,
    TransactionLimits, Transactions,
};
use wire::{Index, Limits, Message, Method, print};

pub(crate) const LIMITS: TransactionLimits = TransactionLimits {
    server: 100,
    client: 100,
};

/// The peer everything comes from and goes to.
pub(crate) fn peer() -> Flow {
    Flow {
        listener: 3,
        remote: SocketAddr::from(([192, 0, 2, 1], 5060)),
    }
}

pub(crate) struct Stage {
    pub(crate) layer: Transactions<u32>,
    pub(crate) now: Time,
    pub(crate) out: Outbox,
    pub(crate) events: Vec<(u64, Event<u32>)>,
}

impl Stage {
    pub(crate) fn new() -> Stage {
        Stage::with(TimerConfig::default(), LIMITS)
    }

    pub(crate) fn with(timers: TimerConfig, limits: TransactionLimits) -> Stage {
        let now = Time::ZERO;
        let layer = Transactions::new(7, 42, timers, limits, now);
        Stage {
            layer,
            now,
            out: Outbox::new(),
            events: Vec::new(),
        }
    }

    /// Milliseconds since the scenario began.
    pub(crate) fn now_ms(&self) -> u64 {
        self.now.as_nanos() / 1_000_000
    }

    pub(crate) fn receive(&mut self, text: &str) -> Inbound {
        self.receive_from(text, peer())
    }

    pub(crate) fn receive_from(&mut self, text: &str, source: Flow) -> Inbound {
        let mut index = Index::new();
        let message = Message::parse(text.as_bytes(), &mut index, &Limits::default()).unwrap();
        self.layer
            .receive_request(self.now, &message, source, &mut self.out)
    }

    /// Receives a request that must get a transaction of its own, a copy of another or not.
    pub(crate) fn receive_new(&mut self, text: &str) -> ServerId {
        match self.receive(text) {
            Inbound::New(id) | Inbound::Merged { server: id, .. } => id,
            other => panic!("not new: {other:?}"),
        }
    }

    pub(crate) fn receive_response(&mut self, text: &str) -> Option<Answer<u32>> {
        let mut index = Index::new();
        let message = Message::parse(text.as_bytes(), &mut index, &Limits::default()).unwrap();
        self.layer
            .receive_response(self.now, &message, peer(), &mut self.out)
    }

    pub(crate) fn respond(&mut self, id: ServerId, code: u16) -> bool {
        let rest = |bytes: &mut Vec<u8>| print::end(bytes, b"");
        self.layer
            .respond(self.now, id, code, b"", Some(b"ours"), rest, &mut self.out)
    }

    /// Sends a request and returns it as it went out.
    pub(crate) fn request(&mut self, method: &str) -> (ClientId, String) {
        let print = |bytes: &mut Vec<u8>, token: &Token| print_request(bytes, method, token);
        let id = self
            .layer
            .request(
                self.now,
                peer(),
                Method::parse(method.as_bytes()),
                5,
                print,
                &mut self.out,
            )
            .unwrap();
        let sent = self.sent();
        assert_eq!(sent.len(), 1);
        (id, sent[0].clone())
    }

    /// Prints a request whose destination is not known yet.
    pub(crate) fn request_waiting(&mut self, method: &str) -> ClientId {
        let print = |bytes: &mut Vec<u8>, token: &Token| print_request(bytes, method, token);
        let method = Method::parse(method.as_bytes());
        self.layer
            .request_waiting(self.now, method, 5, print, &mut self.out)
            .unwrap()
    }

    pub(crate) fn cancel(&mut self, id: ClientId) {
        self.layer.cancel(self.now, id, b"", &mut self.out);
    }

    pub(crate) fn acknowledge_2xx(&mut self, id: ClientId, tag: &str) {
        let print = |bytes: &mut Vec<u8>, token: &Token| {
            print_request(bytes, "ACK", token);
            bytes.extend_from_slice(tag.as_bytes());
        };
        let out = &mut self.out;
        self.layer
            .acknowledge_2xx(self.now, id, tag.as_bytes(), peer(), print, out);
    }

    /// What was sent since the last look; all of it must have gone to the peer.
    pub(crate) fn sent(&mut self) -> Vec<String> {
        assert!(self.out.iter().all(|(flow, _)| flow == peer()));
        let sent = self
            .out
            .iter()
            .map(|(_, bytes)| String::from_utf8(bytes.to_vec()).unwrap());
        let sent = sent.collect();
        self.out.clear();
        sent
    }

    /// The start lines of what was sent since the last look, without the version.
    pub(crate) fn sent_lines(&mut self) -> Vec<String> {
        self.sent().iter().map(|text| start_line(text)).collect()
    }

    /// Lets time pass, timer by timer; returns when (in ms since the beginning) what was sent.
    pub(crate) fn pass(&mut self, duration: Duration) -> Vec<(u64, String)> {
        let end = self.now + duration;
        let mut sent = Vec::new();
        while let Some((next, _)) = self.layer.poll_timeout().filter(|(next, _)| *next <= end) {
            self.now = self.now.max(next);
            while let Some(event) = self.layer.handle_timeout(self.now, &mut self.out) {
                self.events.push((self.now_ms(), event));
            }
            assert!(
                self.layer
                    .poll_timeout()
                    .is_none_or(|(next, _)| next > self.now)
            );
            let now_ms = self.now_ms();
            sent.extend(self.sent_lines().into_iter().map(|line| (now_ms, line)));
        }
        self.now = end;
        sent
    }

    /// Like [`Stage::pass`], when only the times matter.
    pub(crate) fn pass_times(&mut self, duration: Duration) -> Vec<u64> {
        self.pass(duration).into_iter().map(|(ms, _)| ms).collect()
    }

    /// Nothing is left: no transaction, no stored message.
    pub(crate) fn assert_empty(&self) {
        assert_eq!(
            (self.layer.server_count(), self.layer.client_count()),
            (0, 0)
        );
        assert!(self.layer.is_empty());
        assert_eq!(self.layer.pool().live(), 0);
    }
}

pub(crate) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn start_line(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .replace("SIP/2.0", "")
        .trim()
        .to_owned()
}

/// A request of the peer, with this branch behind the cookie.
pub(crate) fn request(method: &str, branch: &str) -> String {
    format!(
        "{method} sip:bob@192.0.2.9 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{branch}\r\n\
         From: <sip:a@192.0.2.1>;tag=a\r\nTo: <sip:b@192.0.2.9>\r\nCall-ID: one\r\n\
         CSeq: 1 {method}\r\nTimestamp: 54\r\nContent-Length: 0\r\n\r\n"
    )
}

fn print_request(out: &mut Vec<u8>, method: &str, token: &Token) {
    print::request_line(out, method.as_bytes(), b"sip:c@192.0.2.1");
    out.extend_from_slice(b"Via: SIP/2.0/UDP 192.0.2.9;branch=");
    token.print_branch(out);
    out.extend_from_slice(b"\r\nMax-Forwards: 70\r\nFrom: <sip:r@192.0.2.9>;tag=r\r\n");
    out.extend_from_slice(b"To: <sip:c@192.0.2.1>\r\nCall-ID: two\r\nCSeq: 9 ");
    out.extend_from_slice(method.as_bytes());
    out.extend_from_slice(b"\r\n");
    print::end(out, b"");
}

/// The peer's response to a request of ours, with this To tag.
pub(crate) fn response_to(request: &str, code: u16, tag: &str) -> String {
    let line = |name: &str| request.lines().find(|line| line.starts_with(name)).unwrap();
    format!(
        "SIP/2.0 {code} x\r\n{}\r\n{}\r\nTo: <sip:c@192.0.2.1>;tag={tag}\r\n{}\r\n{}\r\n\
         Content-Length: 0\r\n\r\n",
        line("Via:"),
        line("From:"),
        line("Call-ID:"),
        line("CSeq:")
    )
}
