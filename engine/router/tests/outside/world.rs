//! One router, and parties that are but addresses. The tests say what each of them sends; here it is put
//! into messages, and what the router sends is read.

#[path = "../sent/mod.rs"]
#[allow(dead_code, reason = "the tests of each binary read some of it")]
mod sent;

use std::sync::Arc;
use std::time::Duration;

use stack::{Outbox, Time};
use tipring_router::rdb::Table;
use tipring_router::{Command, Config, Counters, Event, Listener, Resolved, Router};

pub(crate) use sent::Sent;
use sent::sent;

const ROUTES: &str = r#"[
    {"userpartPattern": "^7", "routingRecord": {
        "outRuriUserpart": "9", "outRuriHostport": "127.0.0.2:5070"}},
    {"userpartPattern": "^8", "routingRecord": {"outRuriHostport": "callee.example:5071"}},
    {"userpartPattern": "^6", "routingRecord": {"outCallFlow": "EchoResponder"}},
    {"userpartPattern": "^5", "routingRecord": {
        "outRuriHostport": "127.0.0.2:5070", "steerMedia": true}}
]"#;

/// Who asks, and who is asked.
pub(crate) const NEAR: &str = "127.0.0.9:5080";
pub(crate) const FAR: &str = "127.0.0.2:5070";
/// Another that a proxy on the way may have asked.
pub(crate) const FORK: &str = "127.0.0.3:5070";

/// A request of a party.
#[derive(Clone, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a str,
    pub(crate) uri: &'a str,
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
    pub(crate) call_id: &'a str,
    pub(crate) cseq: u32,
    /// Complete header lines.
    pub(crate) more: &'a str,
    pub(crate) body: &'a str,
}

/// A request outside any dialog.
pub(crate) fn asked<'a>(method: &'a str, uri: &'a str) -> Asked<'a> {
    Asked {
        method,
        uri,
        from: "Ann <sip:a@127.0.0.9>;tag=near",
        to: "<sip:b@127.0.0.1>",
        call_id: "near-call",
        cseq: 5,
        more: "",
        body: "",
    }
}

pub(crate) struct World {
    pub(crate) router: Router,
    now: Time,
    branches: u32,
}

pub(crate) fn world() -> World {
    world_with(|_| {})
}

pub(crate) fn world_with(change: impl FnOnce(&mut Config)) -> World {
    let listener = Listener {
        address: "127.0.0.1:5060".parse().expect("an address"),
        advertise_host: "127.0.0.1".to_owned(),
        advertise_port: 5060,
    };
    let table = Arc::new(Table::parse(ROUTES).expect("a good table"));
    let mut config = Config::new(vec![listener], table);
    change(&mut config);
    World {
        router: Router::new(config, Time::ZERO),
        now: Time::ZERO,
        branches: 0,
    }
}

/// The one message that was sent.
#[track_caller]
pub(crate) fn only(sent: &[Sent]) -> Sent {
    let [only] = sent else {
        panic!("not one message: {sent:#?}");
    };
    only.clone()
}

/// The one message, which is of this kind and goes to this party.
#[track_caller]
pub(crate) fn one(sent: &[Sent], to: &str, kind: &str) -> Sent {
    let only = only(sent);
    assert_eq!(
        (only.to.to_string().as_str(), only.kind()),
        (to, kind),
        "{}",
        only.text
    );
    only
}

impl World {
    pub(crate) fn counters(&self) -> Counters {
        self.router.counters()
    }

    /// A datagram from this address; what the router sends because of it.
    pub(crate) fn receive(&mut self, from: &str, text: &str) -> Vec<Sent> {
        let mut out = Outbox::new();
        sent::receive(&mut self.router, self.now, (0, from), text, &mut out);
        sent(out.iter())
    }

    /// A request of the party at this address, with a Contact and a new branch.
    pub(crate) fn asks(&mut self, party: &str, asked: &Asked<'_>) -> Vec<Sent> {
        self.branches += 1;
        let contact = format!("Contact: <sip:party@{party}>\r\n");
        // Outside a dialog a number is used once: a second one would be a copy (RFC 3261 8.2.2.2).
        let cseq = match asked.to.contains(";tag=") {
            true => asked.cseq,
            false => asked.cseq + self.branches - 1,
        };
        let plain = ["MESSAGE", "PUBLISH"].contains(&asked.method);
        let text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {party};branch=z9hG4bK{branch}\r\n\
             From: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n{contact}{more}\
             Content-Length: {length}\r\n\r\n{body}",
            method = asked.method,
            uri = asked.uri,
            branch = self.branches,
            from = asked.from,
            to = asked.to,
            call_id = asked.call_id,
            contact = if plain { "" } else { &contact },
            more = asked.more,
            length = asked.body.len(),
            body = asked.body,
        );
        self.receive(party, &text)
    }

    /// Answers a request from where it was sent to, with this tag, a Contact and `more` header lines.
    pub(crate) fn answers(
        &mut self,
        request: &Sent,
        status: &str,
        tag: &str,
        more: &str,
        body: &str,
    ) -> Vec<Sent> {
        let party = request.to.to_string();
        self.answers_from(&party, request, status, tag, more, body)
    }

    pub(crate) fn answers_from(
        &mut self,
        party: &str,
        request: &Sent,
        status: &str,
        tag: &str,
        more: &str,
        body: &str,
    ) -> Vec<Sent> {
        let to = request.value("To");
        let tag = match to.contains(";tag=") {
            true => String::new(),
            false => format!(";tag={tag}"),
        };
        let text = format!(
            "SIP/2.0 {status}\r\nVia: {via}\r\nFrom: {from}\r\nTo: {to}{tag}\r\nCall-ID: {call_id}\r\n\
             CSeq: {cseq}\r\nContact: <sip:party@{party}>\r\n{more}Content-Length: {length}\r\n\r\n{body}",
            via = request.value("Via"),
            from = request.value("From"),
            call_id = request.value("Call-ID"),
            cseq = request.value("CSeq"),
            length = body.len(),
        );
        self.receive(party.as_ref(), &text)
    }

    /// Lets time pass, waking the router whenever it wants to be.
    pub(crate) fn seconds(&mut self, seconds: u64) -> Vec<Sent> {
        let until = self.now + Duration::from_secs(seconds);
        let mut all = Vec::new();
        while let Some((at, _)) = self.router.poll_timeout().filter(|(at, _)| *at <= until) {
            self.now = at.max(self.now);
            let mut out = Outbox::new();
            self.router.handle_timeout(self.now, &mut out);
            all.extend(sent(out.iter()));
        }
        self.now = until;
        all
    }

    pub(crate) fn command(&mut self, command: &Command) -> Vec<Sent> {
        let mut out = Outbox::new();
        self.router.command(self.now, command, &mut out);
        sent(out.iter())
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.router.poll_event()).collect()
    }

    /// The resolver answers with these addresses.
    pub(crate) fn resolves(&mut self, host: &str, addresses: &[&str]) -> Vec<Sent> {
        let addresses: Vec<_> = addresses
            .iter()
            .map(|address| address.parse().expect("an address"))
            .collect();
        let resolved = Resolved {
            host,
            addresses: &addresses,
            ttl: Duration::from_secs(60),
        };
        let mut out = Outbox::new();
        self.router.resolved(self.now, resolved, &mut out);
        sent(out.iter())
    }

    /// No subscription, no timer, no transaction is left.
    #[track_caller]
    pub(crate) fn assert_idle(&mut self) {
        let late = self.seconds(70);
        assert!(self.router.is_idle(), "{:#?}\n{late:#?}", self.counters());
    }
}
