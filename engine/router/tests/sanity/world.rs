//! One router that routes everything that begins with 7 to 127.0.0.2:5070, and a peer made of text.

#[path = "../sent/mod.rs"]
#[allow(dead_code, reason = "the tests of each binary read some of it")]
mod sent;

use std::sync::Arc;

use stack::{Outbox, Time};
use tipring_router::rdb::Table;
use tipring_router::{Config, Counters, Listener, Router};

pub(crate) use sent::Sent;
use sent::sent;

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

impl World {
    pub(crate) fn counters(&self) -> Counters {
        self.router.counters()
    }

    /// What the router sends because of this datagram, with whom it goes to.
    pub(crate) fn receive(&mut self, from: &str, text: &str) -> Vec<Sent> {
        let mut out = Outbox::new();
        sent::receive(&mut self.router, Time::ZERO, (0, from), text, &mut out);
        sent(out.iter())
    }

    /// The code a request of this peer is answered with.
    #[track_caller]
    pub(crate) fn code(&mut self, from: &str, text: &str) -> u16 {
        let sent = self.receive(from, text);
        let code = sent.iter().find_map(|sent| sent.kind().parse().ok());
        code.unwrap_or_else(|| panic!("no answer in {sent:?}"))
    }

    /// Calls 7; the INVITE the callee gets.
    #[track_caller]
    pub(crate) fn call(&mut self) -> Sent {
        let sent = self.receive(CALLER, &request("INVITE", "sip:7@router.example", "a", ""));
        let invite = sent.into_iter().find(|sent| sent.kind() == "INVITE");
        invite.expect("the INVITE leaves")
    }
}
