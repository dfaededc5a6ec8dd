//! A router with the users of two domains, and phones that answer its challenges, in virtual time.

#[path = "../sent/mod.rs"]
#[allow(dead_code, reason = "the tests of each binary read some of it")]
mod sent;

use std::sync::Arc;
use std::time::Duration;

use stack::digest::{Algorithm, Proof, Qop, Use};
use stack::{Outbox, Time};
use tipring_router::rdb::Table;
use tipring_router::{
    Auth, Config, Counters, Credentials, Directory, Domain, Event, Listener, RegistrarSettings,
    Router,
};

pub(crate) use sent::Sent;
use sent::sent;

const ROUTES: &str = r#"[
    {"userpartPattern": "^7", "routingRecord": {"outRuriHostport": "127.0.0.2:5070"}},
    {"userpartPattern": "^1", "routingRecord": {
        "mode": "proxy", "outRuriHostport": "127.0.0.2:5070"}}
]"#;

pub(crate) const PHONE: &str = "192.0.2.66:5080";
pub(crate) const CALLEE: &str = "127.0.0.2:5070";
pub(crate) const SECRET: &str = "open sesame";

pub(crate) struct World {
    pub(crate) router: Router,
    pub(crate) now: Time,
    out: Outbox,
    serial: u32,
}

pub(crate) fn directory() -> Directory {
    let mut directory = Directory::default();
    for domain in ["example.com", "other.example"] {
        let users = ["ann", "bob"].map(|user| (user, Credentials::of(user, domain, SECRET)));
        directory.put_domain(Domain::new(domain, None, users));
    }
    directory
}

/// A router with these rules and those users.
pub(crate) fn world(auth: Auth) -> World {
    world_with(auth, |_| {})
}

pub(crate) fn world_with(auth: Auth, change: impl FnOnce(&mut Config)) -> World {
    let listener = Listener {
        address: "127.0.0.1:5060".parse().expect("an address"),
        advertise_host: "127.0.0.1".to_owned(),
        advertise_port: 5060,
    };
    let table = Arc::new(Table::parse(ROUTES).expect("a good table"));
    let mut config = Config {
        auth: Arc::new(auth),
        directory: Arc::new(directory()),
        registrar: Some(Arc::new(RegistrarSettings::default())),
        ..Config::new(vec![listener], table)
    };
    change(&mut config);
    let now = Time::ZERO + Duration::from_secs(1000);
    World {
        router: Router::new(config, now),
        now,
        out: Outbox::new(),
        serial: 0,
    }
}

/// A request outside any dialog, without its credentials.
#[derive(Clone, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a str,
    pub(crate) uri: &'a str,
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
    pub(crate) source: &'a str,
    pub(crate) body: &'a str,
}

pub(crate) fn register(user: &str) -> Asked<'_> {
    Asked {
        method: "REGISTER",
        uri: "sip:example.com",
        from: user,
        to: user,
        source: PHONE,
        body: "",
    }
}

pub(crate) fn invite(uri: &str) -> Asked<'_> {
    Asked {
        method: "INVITE",
        uri,
        from: "sip:ann@example.com",
        to: "sip:callee@example.com",
        source: PHONE,
        body: "",
    }
}

/// What a phone answers a challenge with.
#[derive(Clone, Debug)]
pub(crate) struct Answering {
    pub(crate) user: String,
    pub(crate) secret: String,
    pub(crate) realm: String,
    pub(crate) nonce: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) qop: Option<Qop>,
    pub(crate) count: u32,
    /// Parameters more.
    pub(crate) more: String,
    /// The URI that is hashed; empty: the request's own.
    pub(crate) uri: String,
}

impl Answering {
    /// The right answer of Ann to the first challenge of a refusal.
    pub(crate) fn to(refusal: &Sent) -> Answering {
        let challenges = challenges(refusal);
        let challenge = challenges.first().expect("a challenge");
        let algorithm = parameter(challenge, "algorithm");
        Answering {
            user: "ann".to_owned(),
            secret: SECRET.to_owned(),
            realm: parameter(challenge, "realm").to_owned(),
            nonce: parameter(challenge, "nonce").to_owned(),
            algorithm: Algorithm::named(algorithm.as_bytes()).expect("an algorithm"),
            qop: Some(Qop::Auth),
            count: 1,
            more: String::new(),
            uri: String::new(),
        }
    }

    /// The whole header line for this request.
    pub(crate) fn line(&self, header: &str, asked: &Asked<'_>) -> String {
        let uri = if self.uri.is_empty() {
            asked.uri
        } else {
            &self.uri
        };
        let count = format!("{:08x}", self.count);
        let usage = self.qop.map(|qop| Use {
            qop,
            token: qop.name().as_bytes(),
            nc: count.as_bytes(),
            cnonce: b"c0ffee",
        });
        let proof = Proof {
            algorithm: self.algorithm,
            method: asked.method.as_bytes(),
            uri: uri.as_bytes(),
            nonce: self.nonce.as_bytes(),
            usage,
            body: asked.body.as_bytes(),
        };
        let ha1 = self.algorithm.ha1(&self.user, &self.realm, &self.secret);
        let response = proof.response(ha1.bytes()).hex();
        let response = std::str::from_utf8(response.text()).expect("digits");
        let usage = self.qop.map_or(String::new(), |qop| {
            format!(", qop={}, nc={count}, cnonce=\"c0ffee\"", qop.name())
        });
        format!(
            "{header}: Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{uri}\", \
             response=\"{response}\", algorithm={}{usage}{}\r\n",
            self.user,
            self.realm,
            self.nonce,
            self.algorithm.name(),
            self.more
        )
    }
}

/// The challenges of a refusal, in order.
pub(crate) fn challenges(refusal: &Sent) -> Vec<&str> {
    let mut values = refusal.values("WWW-Authenticate");
    values.extend(refusal.values("Proxy-Authenticate"));
    values
}

/// A parameter of a challenge, without quotes; empty when there is none.
pub(crate) fn parameter<'c>(challenge: &'c str, name: &str) -> &'c str {
    let list = challenge.strip_prefix("Digest ").expect("Digest");
    let found = list
        .split(", ")
        .find_map(|it| it.strip_prefix(name)?.strip_prefix('='));
    found.unwrap_or_default().trim_matches('"')
}

pub(crate) fn is_stale(refusal: &Sent) -> bool {
    let stale = challenges(refusal)
        .into_iter()
        .map(|it| parameter(it, "stale"));
    stale.into_iter().all(|it| it == "true")
}

impl World {
    pub(crate) fn counters(&self) -> Counters {
        self.router.counters()
    }

    /// Hands the router this text; what it sends.
    pub(crate) fn receive(&mut self, source: &str, text: &str) -> Vec<Sent> {
        sent::receive(&mut self.router, self.now, (0, source), text, &mut self.out);
        self.drain()
    }

    fn drain(&mut self) -> Vec<Sent> {
        let sent = sent(self.out.iter());
        self.out.clear();
        sent
    }

    /// A request of a call of its own with these further header lines; what leaves because of it.
    pub(crate) fn sends(&mut self, asked: &Asked<'_>, more: &str) -> Vec<Sent> {
        self.serial += 1;
        let text = text(asked, more, self.serial);
        self.receive(asked.source, &text)
    }

    /// The same, and the final answer of the router itself.
    #[track_caller]
    pub(crate) fn answer(&mut self, asked: &Asked<'_>, more: &str) -> Sent {
        let sent = self.sends(asked, more);
        let is_final = |it: &Sent| it.kind().starts_with(['2', '3', '4', '5', '6']);
        let mut finals = sent.iter().filter(|it| is_final(it));
        finals
            .next()
            .cloned()
            .unwrap_or_else(|| panic!("no answer: {sent:#?}"))
    }

    /// Ann's answer to the challenge that this request brings.
    #[track_caller]
    pub(crate) fn answering(&mut self, asked: &Asked<'_>) -> Answering {
        Answering::to(&self.answer(asked, ""))
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        let until = self.now + Duration::from_secs(seconds);
        while let Some((at, _)) = self.router.poll_timeout().filter(|(at, _)| *at <= until) {
            self.now = at.max(self.now);
            self.router.handle_timeout(self.now, &mut self.out);
            self.out.clear();
        }
        self.now = until;
    }

    pub(crate) fn bans(&mut self) -> usize {
        let mut bans = 0;
        while let Some(event) = self.router.poll_event() {
            bans += usize::from(matches!(event, Event::Banned(_)));
        }
        bans
    }
}

fn text(asked: &Asked<'_>, more: &str, serial: u32) -> String {
    let Asked {
        method,
        uri,
        from,
        to,
        source,
        body,
    } = asked;
    let kind = match *body {
        "" => "",
        _ => "Content-Type: text/plain\r\n",
    };
    // A REGISTER only asks what there is: proof is needed for that, too, and other shards need not be heard.
    let contact = match *method {
        "REGISTER" => String::new(),
        _ => format!("Contact: <sip:ann@{source}>\r\n"),
    };
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {source};branch=z9hG4bKa{serial}\r\n\
         From: <{from}>;tag=a{serial}\r\nTo: <{to}>\r\nCall-ID: call-{serial}\r\nCSeq: 1 {method}\r\n\
         {contact}Max-Forwards: 70\r\n{more}{kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
