//! A router with users of two domains, and phones that subscribe, publish and register.

#[path = "../sent/mod.rs"]
#[allow(dead_code, reason = "the tests of each binary read some of it")]
mod sent;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use stack::{Outbox, Time};
use tipring_router::rdb::Table;
use tipring_router::{
    Auth, Command, Config, Counters, Credentials, Demand, Directory, Domain, EventsSettings,
    Listener, Policy, Router,
};

pub(crate) use sent::Sent;

/// Where everybody sends from.
pub(crate) const PHONE: &str = "192.0.2.7:5060";

pub(crate) struct World {
    pub(crate) router: Router,
    out: Outbox,
    pub(crate) now: Time,
    branches: u32,
}

/// The users alice and bob of example.com, and carol of example.org.
pub(crate) fn directory() -> Directory {
    let mut directory = Directory::default();
    let users = |domain: &str, names: &[&'static str]| {
        let user = |name: &&'static str| (*name, Credentials::of(name, domain, "secret"));
        Domain::new(domain, None, names.iter().map(user))
    };
    directory.put_domain(users("example.com", &["alice", "bob"]));
    directory.put_domain(users("example.org", &["carol"]));
    directory
}

pub(crate) fn world() -> World {
    world_of(|_| {})
}

pub(crate) fn world_with(settings: EventsSettings) -> World {
    world_of(|config| config.events = Some(Arc::new(settings)))
}

pub(crate) fn world_of(change: impl FnOnce(&mut Config)) -> World {
    let listener = Listener {
        address: "192.0.2.1:5060".parse().expect("an address"),
        advertise_host: "192.0.2.1".to_owned(),
        advertise_port: 5060,
    };
    let table = Arc::new(Table::parse("[]").expect("a good table"));
    let mut config = Config {
        directory: Arc::new(directory()),
        registrar: Some(Arc::default()),
        events: Some(Arc::default()),
        auth: Arc::new(Auth {
            policy: Policy {
                register: false,
                requests: Demand::Never,
                ..Policy::default()
            },
            ..Auth::default()
        }),
        ..Config::new(vec![listener], table)
    };
    change(&mut config);
    let now = Time::ZERO + Duration::from_secs(100);
    World {
        router: Router::new(config, now),
        out: Outbox::new(),
        now,
        branches: 0,
    }
}

/// A request of a user's phone, and its dialog if it has one.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) method: &'static str,
    /// Whose name it is sent in.
    pub(crate) from: &'static str,
    /// Whom it is for.
    pub(crate) to: &'static str,
    pub(crate) call_id: String,
    pub(crate) cseq: u32,
    /// The router's tag.
    pub(crate) tag: String,
    /// Header lines.
    pub(crate) lines: String,
    pub(crate) body: String,
}

impl Asked {
    fn of(method: &'static str, from: &'static str, to: &'static str, lines: &str) -> Asked {
        // No two are copies of each other.
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Asked {
            method,
            from,
            to,
            call_id: format!("{number}@192.0.2.7"),
            cseq: 1,
            tag: String::new(),
            lines: lines.to_owned(),
            body: String::new(),
        }
    }

    pub(crate) fn subscribe(from: &'static str, to: &'static str, event: &str) -> Asked {
        let lines = format!("Event: {event}\r\nContact: <sip:phone@{PHONE}>\r\n");
        Asked::of("SUBSCRIBE", from, to, &lines)
    }

    /// A publication of this user's own presence.
    pub(crate) fn publish(user: &'static str, body: &str) -> Asked {
        let kind = "Content-Type: application/pidf+xml\r\n";
        let kind = if body.is_empty() { "" } else { kind };
        let mut asked = Asked::of("PUBLISH", user, user, &format!("Event: presence\r\n{kind}"));
        body.clone_into(&mut asked.body);
        asked
    }

    pub(crate) fn with(mut self, line: &str) -> Asked {
        self.lines += line;
        self.lines += "\r\n";
        self
    }

    /// The next request in the dialog that this answer has made.
    pub(crate) fn next(&self, answer: &Sent) -> Asked {
        Asked {
            cseq: self.cseq + 1,
            tag: answer.tag("To").to_owned(),
            ..self.clone()
        }
    }
}

impl World {
    pub(crate) fn counters(&self) -> Counters {
        self.router.counters()
    }

    /// Sends it; what the router sends then.
    pub(crate) fn send(&mut self, asked: &Asked) -> Vec<Sent> {
        self.branches += 1;
        let tag = match asked.tag.is_empty() {
            true => String::new(),
            false => format!(";tag={}", asked.tag),
        };
        let text = format!(
            "{method} sip:{to} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK{}\r\n\
             From: <sip:{}>;tag=a\r\nTo: <sip:{to}>{tag}\r\nCall-ID: {}\r\nCSeq: {} {method}\r\n\
             Max-Forwards: 70\r\n{}Content-Length: {}\r\n\r\n{}",
            self.branches,
            asked.from,
            asked.call_id,
            asked.cseq,
            asked.lines,
            asked.body.len(),
            asked.body,
            method = asked.method,
            to = asked.to,
        );
        self.receive(&text)
    }

    /// Sends what is answered with one message.
    #[track_caller]
    pub(crate) fn answered(&mut self, asked: &Asked) -> Sent {
        let sent = self.send(asked);
        let [answer] = &sent[..] else {
            panic!("{sent:#?}");
        };
        answer.clone()
    }

    /// Subscribes; the 200 and the first NOTIFY, which is answered.
    #[track_caller]
    pub(crate) fn subscribed(&mut self, asked: &Asked) -> (Sent, Sent) {
        let sent = self.send(asked);
        let [answer, notify] = &sent[..] else {
            panic!("{sent:#?}");
        };
        assert_eq!((answer.kind(), notify.kind()), ("200", "NOTIFY"));
        assert_eq!(self.answer(notify, 200), []);
        (answer.clone(), notify.clone())
    }

    /// Alice registers this contact.
    pub(crate) fn register(&mut self, contact: &str, cseq: u32) -> Vec<Sent> {
        let user = "alice@example.com";
        let mut asked = Asked::of("REGISTER", user, user, &format!("Contact: {contact}\r\n"));
        asked.cseq = cseq;
        self.branches += 1;
        let text = format!(
            "REGISTER sip:example.com SIP/2.0\r\n\
             Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK{}\r\nFrom: <sip:{user}>;tag=a\r\n\
             To: <sip:{user}>\r\nCall-ID: registers\r\nCSeq: {cseq} REGISTER\r\n{}\
             Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
            self.branches, asked.lines,
        );
        self.receive(&text)
    }

    /// Answers a NOTIFY.
    pub(crate) fn answer(&mut self, notify: &Sent, code: u16) -> Vec<Sent> {
        let lines: String = ["Via", "From", "To", "Call-ID", "CSeq"]
            .into_iter()
            .map(|name| notify.lines(name))
            .collect();
        self.receive(&format!(
            "SIP/2.0 {code} Answer\r\n{lines}Content-Length: 0\r\n\r\n"
        ))
    }

    fn receive(&mut self, text: &str) -> Vec<Sent> {
        sent::receive(&mut self.router, self.now, (0, PHONE), text, &mut self.out);
        self.drain()
    }

    pub(crate) fn drain(&mut self) -> Vec<Sent> {
        let sent = sent::sent(self.out.iter());
        self.out.clear();
        sent
    }

    /// What is sent because of a command.
    pub(crate) fn ordered(&mut self, command: &Command) -> Vec<Sent> {
        self.router.command(self.now, command, &mut self.out);
        self.drain()
    }

    /// What is sent until so much time has passed.
    pub(crate) fn milliseconds(&mut self, milliseconds: u64) -> Vec<Sent> {
        let until = self.now + Duration::from_millis(milliseconds);
        while let Some((at, _)) = self.router.poll_timeout().filter(|(at, _)| *at <= until) {
            self.now = at.max(self.now);
            self.router.handle_timeout(self.now, &mut self.out);
        }
        self.now = until;
        self.drain()
    }
}
