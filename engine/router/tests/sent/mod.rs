//! What a router sends, as the tests read it, and how a message of text gets into one. Who the parties are
//! and what they say is each test's own world.

use std::net::SocketAddr;

use stack::{Flow, Outbox, Time};
use tipring_router::Router;

/// A message as it left the router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) to: SocketAddr,
    pub(crate) text: String,
}

impl Sent {
    /// The start line.
    pub(crate) fn start(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    /// The first word of a request, the code of a response.
    pub(crate) fn kind(&self) -> &str {
        let mut words = self.text.split(' ');
        match words.next().unwrap_or_default() {
            "SIP/2.0" => words.next().unwrap_or_default(),
            method => method,
        }
    }

    /// The Request-URI.
    pub(crate) fn uri(&self) -> &str {
        self.text.split(' ').nth(1).unwrap_or_default()
    }

    /// The value of the first line of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.values(name).first().copied()
    }

    /// The same, empty without such a line.
    pub(crate) fn value(&self, name: &str) -> &str {
        self.header(name).unwrap_or_default()
    }

    /// The values of every line of this name.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let head = self.text.split("\r\n\r\n").next().unwrap_or_default();
        let lines = head.split("\r\n").skip(1);
        let mut values = Vec::new();
        for line in lines {
            let rest = line.strip_prefix(name);
            values.extend(rest.and_then(|rest| rest.strip_prefix(": ")));
        }
        values
    }

    /// The lines of this name, complete.
    pub(crate) fn lines(&self, name: &str) -> String {
        let line = |value| format!("{name}: {value}\r\n");
        self.values(name).into_iter().map(line).collect()
    }

    /// The tag of From or To.
    pub(crate) fn tag(&self, name: &str) -> &str {
        self.value(name).split_once(";tag=").unwrap_or_default().1
    }

    /// The URI of the Contact.
    pub(crate) fn contact(&self) -> &str {
        self.value("Contact").trim_matches(['<', '>'])
    }

    pub(crate) fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").unwrap_or_default().1
    }
}

/// The messages among what leaves, in their order.
pub(crate) fn sent<'b>(leaving: impl Iterator<Item = (Flow, &'b [u8])>) -> Vec<Sent> {
    let datagram = |(flow, bytes): (Flow, &[u8])| Sent {
        to: flow.remote,
        text: String::from_utf8(bytes.to_vec()).expect("UTF-8"),
    };
    leaving.map(datagram).collect()
}

/// Hands the router this text as it came in by this listener.
#[track_caller]
pub(crate) fn receive(
    router: &mut Router,
    now: Time,
    (listener, from): (u16, &str),
    text: &str,
    out: &mut Outbox,
) {
    let remote = from.parse().expect("an address");
    let mut index = wire::Index::new();
    let message = wire::Message::parse(text.as_bytes(), &mut index, &wire::Limits::default());
    let message = message.unwrap_or_else(|error| panic!("{error:?} in {text}"));
    router.receive(now, Flow { listener, remote }, &message, out);
}
