//! The transaction layer under whatever may happen to it: requests and responses of a small grammar that
//! repeat and cross each other, answers and commands to transactions that live or are gone, silence, and
//! jumps of the clock. Nothing panics, what is sent can be read, the tables stay within their limits, and
//! once everything is answered and the timers have run nothing is left.

use std::time::Duration;

use stack::{
    Answer, ClientId, Event, Flow, Inbound, Outbox, ServerId, Time, TimerConfig, Token,
    TransactionLimits, Transactions,
};
use wire::{Index, Limits, Message, Method, print};

use crate::choices::Choices;

const METHODS: [&str; 7] = ["INVITE", "ACK", "CANCEL", "BYE", "PRACK", "OPTIONS", "PING"];
const CODES: [u16; 10] = [100, 180, 183, 200, 202, 302, 404, 408, 487, 600];
const TAGS: [&str; 3] = ["b", "c", "d"];
/// Longer than any transaction lives that is answered: twice 64*T1, and T4.
const SILENCE: Duration = Duration::from_secs(200);
/// Steps of one world, so that no input takes long.
const STEPS_MAX: usize = 400;

/// Plays the world `bytes` describe.
pub fn run(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let mut world = World::new(&mut choices);
    for _ in 0..STEPS_MAX {
        if choices.is_empty() {
            break;
        }
        world.step(&mut choices);
        world.remember_sent();
        world.check();
    }
    world.finish();
}

struct World {
    layer: Transactions<u32>,
    now: Time,
    out: Outbox,
    limits: TransactionLimits,
    servers: Vec<ServerId>,
    clients: Vec<ClientId>,
    /// Requests that left, for the peer to answer.
    requests: Vec<String>,
}

fn peer(which: usize) -> Flow {
    Flow {
        listener: 3,
        remote: ([192, 0, 2, which as u8 + 1], 5060).into(),
    }
}

impl World {
    fn new(choices: &mut Choices<'_>) -> World {
        let settings = choices.byte();
        let most = if settings & 1 == 0 { 100 } else { 3 };
        let limits = TransactionLimits {
            server: most,
            client: most,
        };
        let mut timers = TimerConfig::default();
        if settings & 2 != 0 {
            timers.trying = Duration::ZERO;
        }
        World {
            layer: Transactions::new(7, 42, timers, limits, Time::ZERO),
            now: Time::ZERO,
            out: Outbox::new(),
            limits,
            servers: Vec::new(),
            clients: Vec::new(),
            requests: Vec::new(),
        }
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.below(13) {
            0 | 1 => self.receive_request(choices),
            2 | 3 => self.respond(choices),
            4 => self.request(choices),
            5 | 6 => self.receive_response(choices),
            7 => self.pass(choices.duration()),
            8 => self.acknowledge_2xx(choices),
            9 => self.cancel(choices),
            10 => self.waiting(choices),
            11 => self
                .layer
                .transport_error(self.now, peer(choices.below(3)).remote),
            _ => self.jump(choices.duration()),
        }
    }

    fn receive_request(&mut self, choices: &mut Choices<'_>) {
        let method = choices.of(&METHODS).unwrap_or("INVITE");
        let branch = choices.below(8);
        let to = if choices.byte() & 1 == 0 {
            ""
        } else {
            ";tag=ours"
        };
        // RFC 2543 peers make no branch of ours: such requests are matched otherwise (17.2.3).
        let cookie = if choices.rarely() { "old" } else { "z9hG4bK" };
        let text = format!(
            "{method} sip:bob@192.0.2.9 SIP/2.0\r\n\
             Via: SIP/2.0/UDP 192.0.2.1;branch={cookie}{branch}\r\n\
             From: <sip:a@192.0.2.1>;tag=a\r\nTo: <sip:b@192.0.2.9>{to}\r\nCall-ID: one{}\r\n\
             CSeq: 1 {method}\r\nTimestamp: 54\r\nContent-Length: 0\r\n\r\n",
            branch / 4,
        );
        let source = peer(choices.below(2));
        let inbound = self.read(&text, |layer, now, message, out| {
            layer.receive_request(now, message, source, out)
        });
        if let Inbound::New(id)
        | Inbound::Cancel { cancel: id, .. }
        | Inbound::Merged { server: id, .. } = inbound
        {
            self.servers.push(id);
        }
    }

    fn read<T>(
        &mut self,
        text: &str,
        receive: impl FnOnce(&mut Transactions<u32>, Time, &Message<'_>, &mut Outbox) -> T,
    ) -> T {
        let mut index = Index::new();
        let message = Message::parse(text.as_bytes(), &mut index, &Limits::default());
        let message = message.expect("a message of the grammar");
        receive(&mut self.layer, self.now, &message, &mut self.out)
    }

    fn respond(&mut self, choices: &mut Choices<'_>) {
        let Some(id) = choices.of(&self.servers) else {
            return;
        };
        let code = choices.of(&CODES).unwrap_or(200);
        if choices.rarely() {
            return self.layer.acknowledge(self.now, id);
        }
        self.layer.set_server_user(id, 9);
        let tag = Some(&b"ours"[..]);
        let rest = |out: &mut Vec<u8>| print::end(out, b"");
        self.layer
            .respond(self.now, id, code, b"", tag, rest, &mut self.out);
    }

    fn request(&mut self, choices: &mut Choices<'_>) {
        let method = self.our_method(choices);
        let print = |out: &mut Vec<u8>, token: &Token| print_request(out, method, token);
        let known = Method::parse(method.as_bytes());
        let flow = peer(choices.below(3));
        let id = self
            .layer
            .request(self.now, flow, known, 5, print, &mut self.out);
        self.clients.extend(id);
    }

    /// ACK and CANCEL are the layer's own to send.
    fn our_method(&self, choices: &mut Choices<'_>) -> &'static str {
        let method = choices.of(&METHODS).unwrap_or("INVITE");
        if matches!(method, "ACK" | "CANCEL") {
            "INVITE"
        } else {
            method
        }
    }

    fn receive_response(&mut self, choices: &mut Choices<'_>) {
        let Some(request) = choices.of(&self.requests) else {
            return;
        };
        let code = choices.of(&CODES).unwrap_or(200);
        let tag = choices.of(&TAGS).unwrap_or("b");
        let Some(text) = response_to(&request, code, tag) else {
            return;
        };
        let source = peer(0);
        let answer = self.read(&text, |layer, now, message, out| {
            layer.receive_response(now, message, source, out)
        });
        if let Some(Answer { client, user, .. }) = answer {
            assert_eq!(user, 5);
            assert!(self.clients.contains(&client));
        }
    }

    fn acknowledge_2xx(&mut self, choices: &mut Choices<'_>) {
        let Some(id) = choices.of(&self.clients) else {
            return;
        };
        let tag = choices.of(&TAGS).unwrap_or("b");
        let print = |out: &mut Vec<u8>, token: &Token| print_request(out, "ACK", token);
        let (now, out) = (self.now, &mut self.out);
        self.layer
            .acknowledge_2xx(now, id, tag.as_bytes(), peer(0), print, out);
    }

    fn cancel(&mut self, choices: &mut Choices<'_>) {
        if let Some(id) = choices.of(&self.clients) {
            self.layer.cancel(self.now, id, b"", &mut self.out);
        }
    }

    /// A request whose destination is not known yet; or it is found, or will never be.
    fn waiting(&mut self, choices: &mut Choices<'_>) {
        let method = self.our_method(choices);
        let act = choices.below(3);
        let Some(id) = choices.of(&self.clients).filter(|_| act > 0) else {
            let print = |out: &mut Vec<u8>, token: &Token| print_request(out, method, token);
            let known = Method::parse(method.as_bytes());
            let id = self
                .layer
                .request_waiting(self.now, known, 5, print, &mut self.out);
            return self.clients.extend(id);
        };
        match act {
            1 => self
                .layer
                .destination_found(self.now, id, peer(0), &mut self.out),
            _ => self.layer.fail(self.now, id),
        }
    }

    /// Time passes, timer by timer.
    fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some((next, _)) = self.layer.poll_timeout().filter(|(next, _)| *next <= end) {
            self.now = self.now.max(next);
            self.fire();
        }
        self.now = end;
    }

    /// Time passes at once, as when the machine slept.
    fn jump(&mut self, duration: Duration) {
        self.now = self.now + duration;
        self.fire();
    }

    fn fire(&mut self) {
        while let Some(event) = self.layer.handle_timeout(self.now, &mut self.out) {
            self.heard(event);
            self.remember_sent();
        }
        let next = self.layer.poll_timeout();
        assert!(
            next.is_none_or(|(next, _)| next > self.now),
            "a timer that is due has not run"
        );
    }

    fn heard(&self, event: Event<u32>) {
        match event {
            Event::TimedOut { user, .. } | Event::Failed { user, .. } => assert_eq!(user, 5),
            Event::Unacknowledged { user, .. } | Event::NoAck { user, .. } => {
                assert_eq!(user, Some(9));
            }
        }
    }

    /// What was sent is readable, and requests may be answered.
    fn remember_sent(&mut self) {
        let mut index = Index::new();
        for (_, bytes) in self.out.iter() {
            let message = Message::parse(bytes, &mut index, &Limits::default());
            let message = message.expect("the layer sends messages");
            assert_eq!(message.check_mandatory(), Ok(()));
            if message.is_request() && message.method() != Method::Ack {
                self.requests
                    .extend(str::from_utf8(bytes).map(str::to_owned));
            }
        }
        self.out.clear();
    }

    fn check(&self) {
        let counters = self.layer.counters();
        // A CANCEL is let in above the limit, one for each INVITE below it.
        assert!(self.layer.server_count() <= 2 * self.limits.server);
        assert!(self.layer.client_count() <= 2 * self.limits.client);
        assert!(counters.servers >= self.layer.server_count() as u64);
        assert!(counters.clients >= self.layer.client_count() as u64);
    }

    /// Answers what is open and lets every timer run.
    fn finish(mut self) {
        for id in self.servers.clone() {
            self.layer.set_server_user(id, 9);
            let rest = |out: &mut Vec<u8>| print::end(out, b"");
            self.layer
                .respond(self.now, id, 500, b"", None, rest, &mut self.out);
        }
        for id in self.clients.clone() {
            self.layer.cancel(self.now, id, b"", &mut self.out);
        }
        self.remember_sent();
        self.pass(SILENCE);
        while let Some(event) = self.layer.poll_event() {
            self.heard(event);
        }
        assert_eq!(
            (self.layer.server_count(), self.layer.client_count()),
            (0, 0)
        );
        assert!(self.layer.is_empty());
        assert_eq!(self.layer.pool().live(), 0);
        assert_eq!(self.layer.poll_timeout(), None);
    }
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

/// The peer's response to a request of ours.
fn response_to(request: &str, code: u16, tag: &str) -> Option<String> {
    let line = |name: &str| request.lines().find(|line| line.starts_with(name));
    Some(format!(
        "SIP/2.0 {code} x\r\n{}\r\n{}\r\nTo: <sip:c@192.0.2.1>;tag={tag}\r\n{}\r\n{}\r\n\
         Content-Length: 0\r\n\r\n",
        line("Via:")?,
        line("From:")?,
        line("Call-ID:")?,
        line("CSeq:")?
    ))
}
