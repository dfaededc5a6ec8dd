//! A router and what is said to it and by it, over a clock that the test moves.

#[path = "../sent/mod.rs"]
#[allow(dead_code, reason = "the tests of each binary read some of it")]
mod sent;

use std::sync::Arc;
use std::time::Duration;

use stack::{Outbox, Time};
use tipring_router::rdb::Table;
use tipring_router::{Command, Config, Counters, Event, Listener, Outbound, Router, Timers};

pub(crate) use sent::Sent;
use sent::sent;

const ROUTES: &str = r#"[
    {"userpartPattern": "^7", "routingRecord": {"outRuriHostport": "127.0.0.2:5070"}},
    {"userpartPattern": "^8", "routingRecord": {"outRuriHostport": "callee.example"}},
    {"userpartPattern": "^6", "routingRecord": {}}
]"#;

pub(crate) const CALLER: &str = "127.0.0.9:5080";
pub(crate) const CALLEE: &str = "127.0.0.2:5070";

pub(crate) struct World {
    pub(crate) router: Router,
    now: Time,
    sent: u32,
}

impl World {
    pub(crate) fn new(outbound: Outbound, in_dialog_probe: Option<u64>) -> World {
        World::of_shard(0, outbound, in_dialog_probe)
    }

    pub(crate) fn of_shard(shard: u8, outbound: Outbound, in_dialog_probe: Option<u64>) -> World {
        let listener = Listener {
            address: "127.0.0.1:5060".parse().expect("an address"),
            advertise_host: "127.0.0.1".to_owned(),
            advertise_port: 5060,
        };
        let config = Config {
            shard,
            shards: 4,
            timers: Timers {
                in_dialog_probe: in_dialog_probe.map(Duration::from_secs),
                ..Timers::default()
            },
            outbound,
            ..Config::new(
                vec![listener],
                Arc::new(Table::parse(ROUTES).expect("a good table")),
            )
        };
        World {
            router: Router::new(config, Time::ZERO),
            now: Time::ZERO,
            sent: 0,
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        self.router.counters()
    }

    pub(crate) fn command(&mut self, command: &Command) {
        self.router.command(self.now, command, &mut Outbox::new());
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.router.poll_event()).collect()
    }

    /// Delivers a message; what the router says to that.
    pub(crate) fn receive(&mut self, from: &str, text: &str) -> Vec<Sent> {
        let mut out = Outbox::new();
        sent::receive(&mut self.router, self.now, (0, from), text, &mut out);
        sent(out.iter())
    }

    /// A new call.
    pub(crate) fn invite(&mut self, from: &str, uri: &str) -> Vec<Sent> {
        self.sent += 1;
        let text = format!(
            "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{n}\r\n\
             From: <sip:a@a.example>;tag=a\r\nTo: <sip:b@b.example>\r\nCall-ID: c{n}\r\n\
             CSeq: 1 INVITE\r\nContact: <sip:a@{from}>\r\nContent-Length: 0\r\n\r\n",
            n = self.sent
        );
        self.receive(from, &text)
    }

    /// A request of the caller of the last call, inside the dialog that `answered` made.
    pub(crate) fn in_dialog(&mut self, method: &str, answered: &Sent, cseq: u32) -> Vec<Sent> {
        let text = format!(
            "{method} sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {CALLER};branch=z9hG4bK{method}{n}\r\n\
             {from}{to}{call_id}CSeq: {cseq} {method}\r\nContact: <sip:a@{CALLER}>\r\n\
             Content-Length: 0\r\n\r\n",
            n = self.sent,
            from = answered.lines("From"),
            to = answered.lines("To"),
            call_id = answered.lines("Call-ID"),
        );
        self.receive(CALLER, &text)
    }

    /// Answers a request of the router from where it was sent to, with `more` header lines.
    pub(crate) fn answer(&mut self, request: &Sent, status: &str, more: &str) -> Vec<Sent> {
        let to = request.header("To").expect("To");
        let tag = if to.contains(";tag=") { "" } else { ";tag=b" };
        let text = format!(
            "SIP/2.0 {status}\r\n{via}{from}To: {to}{tag}\r\n{call_id}{cseq}{more}\
             Content-Length: 0\r\n\r\n",
            via = request.lines("Via"),
            from = request.lines("From"),
            call_id = request.lines("Call-ID"),
            cseq = request.lines("CSeq"),
        );
        self.receive(&request.to.to_string(), &text)
    }

    /// A call from the caller to the callee that has been answered and ACKed; the caller's 200.
    pub(crate) fn connect(&mut self) -> Sent {
        let sent = self.invite(CALLER, "sip:7@127.0.0.1");
        let invite = sent.iter().find(|sent| sent.kind() == "INVITE");
        let contact = format!("Contact: <sip:b@{CALLEE}>\r\n");
        let answered = self.answer(invite.expect("the INVITE leaves"), "200 OK", &contact);
        let answered = answered.first().expect("a 200").clone();
        let ack = self.in_dialog("ACK", &answered, 1);
        assert_eq!(ack.first().map(Sent::kind), Some("ACK"));
        answered
    }

    /// Lets time pass; what the router says meanwhile.
    pub(crate) fn pass(&mut self, seconds: f64) -> Vec<Sent> {
        let until = self.now + Duration::from_secs_f64(seconds);
        let mut all = Vec::new();
        while let Some((at, _)) = self.router.poll_timeout().filter(|(at, _)| *at <= until) {
            self.now = self.now.max(at);
            let mut out = Outbox::new();
            self.router.handle_timeout(self.now, &mut out);
            all.extend(sent(out.iter()));
        }
        self.now = until;
        all
    }

    /// The network says that nobody is there.
    pub(crate) fn unreachable(&mut self, remote: &str) {
        let remote = remote.parse().expect("an address");
        self.router
            .unreachable(self.now, remote, &mut Outbox::new());
    }
}

/// The requests of this method among them.
pub(crate) fn requests<'s>(sent: &'s [Sent], method: &str) -> Vec<&'s Sent> {
    sent.iter().filter(|sent| sent.kind() == method).collect()
}
