//! A registrar of example.com, and phones made of text.

#[path = "../sent/mod.rs"]
#[allow(dead_code, reason = "the tests of each binary read some of it")]
mod sent;

use std::sync::Arc;
use std::time::Duration;

use stack::{Outbox, Time};
use tipring_router::rdb::Table;
use tipring_router::{
    Auth, Binding, Command, Config, Counters, Credentials, Directory, Domain, Event, Listener,
    Policy, RegistrarSettings, Router,
};

pub(crate) use sent::Sent;

/// Where the phone's REGISTERs come from, and what it says in Via and Contact.
pub(crate) const PHONE: &str = "192.0.2.7:5060";
pub(crate) const INSTANCE: &str =
    "+sip.instance=\"<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>\"";

pub(crate) struct World {
    pub(crate) router: Router,
    out: Outbox,
    pub(crate) now: Time,
    branches: u32,
    cseq: u32,
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

pub(crate) fn world_with(settings: RegistrarSettings) -> World {
    world_of(|config| config.registrar = Some(Arc::new(settings)))
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
        // Proof is the business of other tests.
        auth: Arc::new(Auth {
            policy: Policy {
                register: false,
                ..Policy::default()
            },
            ..Auth::default()
        }),
        ..Config::new(vec![listener], table)
    };
    change(&mut config);
    World {
        router: Router::new(config, Time::ZERO),
        out: Outbox::new(),
        now: Time::ZERO,
        branches: 0,
        cseq: 0,
    }
}

/// A REGISTER before it is printed.
#[derive(Clone)]
pub(crate) struct Register<'a> {
    pub(crate) uri: &'a str,
    pub(crate) to: &'a str,
    pub(crate) call_id: &'a str,
    /// The next one where it is `None`.
    pub(crate) cseq: Option<u32>,
    pub(crate) via: &'a str,
    pub(crate) from: &'a str,
    pub(crate) more: String,
}

impl Register<'static> {
    /// Alice's, with these Contact values.
    pub(crate) fn contacts(contacts: &[&str]) -> Register<'static> {
        let contact = |value: &&str| format!("Contact: {value}\r\n");
        Register {
            uri: "sip:example.com",
            to: "sip:alice@example.com",
            call_id: "alice-1",
            cseq: None,
            via: "192.0.2.7",
            from: PHONE,
            more: contacts.iter().map(contact).collect(),
        }
    }

    pub(crate) fn with(mut self, header: &str) -> Register<'static> {
        self.more += header;
        self.more += "\r\n";
        self
    }
}

impl World {
    pub(crate) fn counters(&self) -> Counters {
        self.router.counters()
    }

    /// Sends it; the answer.
    #[track_caller]
    pub(crate) fn send(&mut self, register: &Register<'_>) -> Sent {
        self.branches += 1;
        self.cseq += 1;
        let text = format!(
            "REGISTER {} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bK{}\r\n\
             From: <{to}>;tag=a\r\nTo: <{to}>\r\nCall-ID: {}\r\nCSeq: {} REGISTER\r\n\
             Max-Forwards: 70\r\n{}Content-Length: 0\r\n\r\n",
            register.uri,
            register.via,
            self.branches,
            register.call_id,
            register.cseq.unwrap_or(self.cseq),
            register.more,
            to = register.to,
        );
        let sent = self.receive(register.from, &text);
        let [answer] = &sent[..] else {
            panic!("{sent:#?}");
        };
        answer.clone()
    }

    /// Alice registers these contacts; the answer.
    #[track_caller]
    pub(crate) fn register(&mut self, contacts: &[&str]) -> Sent {
        self.send(&Register::contacts(contacts))
    }

    /// The same, which must be accepted; what the answer lists.
    #[track_caller]
    pub(crate) fn registered(&mut self, contacts: &[&str]) -> Vec<String> {
        let answer = self.register(contacts);
        assert_eq!(answer.kind(), "200", "{}", answer.text);
        listed(&answer)
    }

    /// What is registered for alice.
    #[track_caller]
    pub(crate) fn fetched(&mut self) -> Vec<String> {
        self.registered(&[])
    }

    pub(crate) fn receive(&mut self, from: &str, text: &str) -> Vec<Sent> {
        sent::receive(&mut self.router, self.now, (0, from), text, &mut self.out);
        self.drain()
    }

    fn drain(&mut self) -> Vec<Sent> {
        let sent = sent::sent(self.out.iter());
        self.out.clear();
        sent
    }

    pub(crate) fn command(&mut self, command: &Command) {
        assert_eq!(self.ordered(command), []);
    }

    /// What is sent because of a command.
    pub(crate) fn ordered(&mut self, command: &Command) -> Vec<Sent> {
        self.router.command(self.now, command, &mut self.out);
        self.passed(Duration::ZERO)
    }

    /// What is sent when so much time has passed.
    pub(crate) fn passed(&mut self, time: Duration) -> Vec<Sent> {
        self.now = self.now + time;
        self.router.handle_timeout(self.now, &mut self.out);
        self.drain()
    }

    pub(crate) fn milliseconds(&mut self, milliseconds: u64) {
        let until = self.now + Duration::from_millis(milliseconds);
        while let Some((at, _)) = self.router.poll_timeout().filter(|(at, _)| *at <= until) {
            self.now = at.max(self.now);
            self.router.handle_timeout(self.now, &mut self.out);
            self.out.clear();
        }
        self.now = until;
    }

    pub(crate) fn seconds(&mut self, seconds: u64) {
        self.milliseconds(1_000 * seconds);
    }
}

/// The Contact values of an answer.
pub(crate) fn listed(answer: &Sent) -> Vec<String> {
    let values = answer.values("Contact").into_iter();
    values.map(str::to_owned).collect()
}

/// The bindings that the changes since the last call have left, of whoever they are.
pub(crate) fn changed(world: &mut World) -> Vec<Binding> {
    let mut bindings = Vec::new();
    while let Some(event) = world.router.poll_event() {
        if let Event::Location(change) = event {
            bindings = change.registration.bindings.to_vec();
        }
    }
    bindings
}
