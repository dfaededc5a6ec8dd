//! A router with settings of its own, and messages by hand: text in, text out, in virtual time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use stack::{Flow, Outbox, Time};
use tipring_router::rdb::Table;
use tipring_router::{Abuse, Config, Counters, Event, Listener, Peer, Peers, Router};

const ROUTES: &str = r#"[
    {"userpartPattern": "^7", "routingRecord": {"outRuriHostport": "127.0.0.2:5070"}}
]"#;
/// Nobody known.
pub(crate) const STRANGER: &str = "192.0.2.66:5080";
/// Somebody else nobody knows.
pub(crate) const NEIGHBOUR: &str = "192.0.2.67:5080";
/// A configured trunk.
pub(crate) const TRUNK: &str = "192.0.2.10:5060";
/// Where numbers beginning with 7 are.
pub(crate) const CALLEE: &str = "127.0.0.2:5070";

pub(crate) struct World {
    pub(crate) router: Router,
    pub(crate) now: Time,
    /// Everything sent, in order.
    pub(crate) sent: Vec<(SocketAddr, String)>,
    serial: u32,
}

impl World {
    pub(crate) fn new(abuse: Abuse) -> World {
        World::with(abuse, |_| {})
    }

    pub(crate) fn with(abuse: Abuse, change: impl FnOnce(&mut Config)) -> World {
        let listener = Listener {
            address: "127.0.0.1:5060".parse().expect("an address"),
            advertise_host: "127.0.0.1".to_owned(),
            advertise_port: 5060,
        };
        let exempt = Peer {
            exempt: true,
            ..Peer::default()
        };
        let trunk: SocketAddr = TRUNK.parse().expect("an address");
        let mut config = Config {
            abuse: Arc::new(abuse),
            peers: Arc::new(Peers::new([(trunk.ip(), 32, exempt)])),
            ..Config::new(
                vec![listener],
                Arc::new(Table::parse(ROUTES).expect("a good table")),
            )
        };
        change(&mut config);
        let now = Time::ZERO + Duration::from_secs(1000);
        World {
            router: Router::new(config, now),
            now,
            sent: Vec::new(),
            serial: 0,
        }
    }

    /// Receives a datagram; returns what was sent to its sender in answer.
    pub(crate) fn receive(&mut self, from: &str, text: &str) -> Vec<String> {
        let remote: SocketAddr = from.parse().expect("an address");
        let flow = Flow {
            listener: 0,
            remote,
        };
        let mut index = wire::Index::new();
        let mut out = Outbox::new();
        match wire::Message::parse(text.as_bytes(), &mut index, &wire::Limits::default()) {
            Ok(message) => self.router.receive(self.now, flow, &message, &mut out),
            Err(error) => {
                let salvaged = index.salvage(text.as_bytes());
                self.router
                    .malformed(self.now, flow, salvaged, error, &mut out);
            }
        }
        let before = self.sent.len();
        self.take(&out);
        let sent = self.sent.iter().skip(before);
        sent.filter(|(to, _)| to.ip() == remote.ip())
            .map(|(_, text)| text.clone())
            .collect()
    }

    /// The code of the only answer to a request; 0 when there was none.
    pub(crate) fn code(&mut self, from: &str, text: &str) -> u16 {
        let answers = self.receive(from, text);
        assert!(answers.len() <= 1, "{answers:?}");
        let code = answers
            .first()
            .and_then(|it| it.split(' ').nth(1)?.parse().ok());
        code.unwrap_or_default()
    }

    /// Lets time pass, timers and all.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some((at, _)) = self.router.poll_timeout().filter(|(at, _)| *at <= end) {
            self.now = at.max(self.now);
            let mut out = Outbox::new();
            self.router.handle_timeout(self.now, &mut out);
            self.take(&out);
        }
        self.now = end;
    }

    fn take(&mut self, out: &Outbox) {
        let sent = out.iter().map(|(flow, bytes)| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            (flow.remote, text)
        });
        self.sent.extend(sent);
    }

    /// The last message sent to this address.
    pub(crate) fn last_to(&self, to: &str) -> &str {
        let to: SocketAddr = to.parse().expect("an address");
        let last = self.sent.iter().rev().find(|(remote, _)| *remote == to);
        &last.expect("a message").1
    }

    /// How many messages to this address begin so.
    pub(crate) fn count(&self, to: &str, beginning: &str) -> usize {
        let to: SocketAddr = to.parse().expect("an address");
        let begin =
            |(remote, text): &&(SocketAddr, String)| *remote == to && text.starts_with(beginning);
        self.sent.iter().filter(begin).count()
    }

    pub(crate) fn counters(&self) -> Counters {
        self.router.counters()
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.router.poll_event()).collect()
    }

    /// A request that begins something, never the same twice; `more` are further header lines.
    pub(crate) fn request(&mut self, method: &str, user: &str, from: &str, more: &str) -> String {
        self.serial += 1;
        let serial = self.serial;
        // With a user it would be for the callee (RFC 3261 11).
        let uri = match method {
            "OPTIONS" => "sip:127.0.0.1:5060".to_owned(),
            _ => format!("sip:{user}@127.0.0.1"),
        };
        format!(
            "{method} {uri} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {from};branch=z9hG4bK{serial};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:a@{from}>;tag=a{serial}\r\nTo: <sip:{user}@127.0.0.1>\r\n\
             Call-ID: c{serial}\r\nCSeq: 1 {method}\r\nContact: <sip:a@{from}>\r\n{more}\
             Content-Length: 0\r\n\r\n"
        )
    }

    pub(crate) fn invite(&mut self, user: &str, from: &str) -> String {
        self.request("INVITE", user, from, "")
    }
}

pub(crate) fn header<'m>(message: &'m str, name: &str) -> &'m str {
    let start = format!("{name}: ");
    let line = message.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap_or_else(|| panic!("{name} in {message}"))
}

/// The callee's answer to a request that reached it.
pub(crate) fn answer(request: &str, code: u16) -> String {
    let line = |name: &str| format!("{name}: {}\r\n", header(request, name));
    format!(
        "SIP/2.0 {code} Scripted\r\n{}{}{};tag=b\r\n{}{}Contact: <sip:b@{CALLEE}>\r\nContent-Length: 0\r\n\r\n",
        line("Via"),
        line("From"),
        line("To").trim_end(),
        line("Call-ID"),
        line("CSeq"),
    )
}

/// The same request later in its dialog, or with another method: `tag` goes into To.
pub(crate) fn later(invite: &str, method: &str, cseq: u32, tag: &str, branch: &str) -> String {
    let to = header(invite, "To");
    let via = header(invite, "Via");
    let via_later = via.replace("branch=z9hG4bK", &format!("branch=z9hG4bK{branch}"));
    invite
        .replacen("INVITE", method, 1)
        .replace(&format!("To: {to}"), &format!("To: {to}{tag}"))
        .replace(&format!("Via: {via}"), &format!("Via: {via_later}"))
        .replace("CSeq: 1 INVITE", &format!("CSeq: {cseq} {method}"))
}

/// The tag of the To of a message, as a parameter.
pub(crate) fn to_tag(message: &str) -> String {
    let to = header(message, "To");
    let tag = to.split_once(";tag=").expect("a tag").1;
    format!(";tag={tag}")
}
