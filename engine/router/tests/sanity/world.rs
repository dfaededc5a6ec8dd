//! One router that routes everything that begins with 7 to 127.0.0.2:5070, and a peer made of text.

use std::net::SocketAddr;
use std::sync::Arc;

use stack::{Flow, Outbox, Time};
use tipring_router::rdb::Table;
use tipring_router::{Config, Counters, Listener, Router};

const ROUTES: &str =
    r#"[{"userpartPattern": "^7", "routingRecord": {"outRuriHostport": "127.0.0.2:5070"}}]"#;

pub(crate) const CALLER: &str = "127.0.0.9:5080";
pub(crate) const CALLEE: &str = "127.0.0.2:5070";

pub(crate) struct World {
    pub(crate) router: Router,
}

pub(crate) fn world() -> World {
    let listener = Listener {
        address: "127.0.0.1:5060".parse().expect("an address"),
        advertise_host: "router.example".to_owned(),
        advertise_port: 5060,
    };
    let table = Arc::new(Table::parse(ROUTES).expect("a good table"));
    World {
        router: Router::new(Config::new(vec![listener], table), Time::ZERO),
    }
}

/// A request of the caller outside dialogs, with these complete header lines more.
pub(crate) fn request(method: &str, uri: &str, branch: &str, more: &str) -> String {
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {CALLER};branch=z9hG4bK{branch}\r\n{more}\
         From: <sip:a@a.example>;tag=a\r\nTo: <sip:b@b.example>\r\nCall-ID: one\r\n\
         CSeq: 1 {method}\r\nContact: <sip:a@{CALLER}>\r\nContent-Length: 0\r\n\r\n"
    )
}

/// The value of the first line of this name.
#[track_caller]
pub(crate) fn header<'a>(text: &'a str, name: &str) -> &'a str {
    let mut lines = text.split("\r\n");
    let found = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    found.unwrap_or_else(|| panic!("no {name} in {text}"))
}

impl World {
    pub(crate) fn counters(&self) -> Counters {
        self.router.counters()
    }

    /// What the router sends because of this datagram, with whom it goes to.
    pub(crate) fn receive(&mut self, from: &str, text: &str) -> Vec<(SocketAddr, String)> {
        let flow = Flow {
            listener: 0,
            remote: from.parse().expect("an address"),
        };
        let mut index = wire::Index::new();
        let message = wire::Message::parse(text.as_bytes(), &mut index, &wire::Limits::default());
        let message = message.unwrap_or_else(|error| panic!("{error:?} in {text}"));
        let mut out = Outbox::new();
        self.router.receive(Time::ZERO, flow, &message, &mut out);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        out.iter()
            .map(|(flow, bytes)| (flow.remote, text(bytes)))
            .collect()
    }

    /// The code a request of this peer is answered with.
    #[track_caller]
    pub(crate) fn code(&mut self, from: &str, text: &str) -> u16 {
        let sent = self.receive(from, text);
        let answer = sent
            .iter()
            .find_map(|(_, text)| text.strip_prefix("SIP/2.0 "));
        let code = answer.and_then(|rest| rest.get(..3)?.parse().ok());
        code.unwrap_or_else(|| panic!("no answer in {sent:?}"))
    }

    /// Calls 7; the INVITE the callee gets.
    #[track_caller]
    pub(crate) fn call(&mut self) -> String {
        let sent = self.receive(CALLER, &request("INVITE", "sip:7@router.example", "a", ""));
        let invite = sent
            .into_iter()
            .find(|(_, text)| text.starts_with("INVITE "));
        invite.expect("the INVITE leaves").1
    }
}
