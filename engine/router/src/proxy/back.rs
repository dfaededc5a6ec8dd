//! A response on its way back through the proxy (RFC 3261 16.7): what of it passes to the client, by who the
//! two are to each other (RFC 3325), and what our load is told in it (RFC 7339). Which response goes back, and
//! when, is not decided here.

use std::net::IpAddr;

use stack::{Flow, Outbox, ServerId, Time};
use wire::print::{self, Policy};
use wire::{HeaderName, Message};

use super::RESPONSE;
use crate::core::Core;
use crate::identity;

/// A response that came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard<'a, 'm> {
    pub(super) response: &'a Message<'m>,
    sender: IpAddr,
    /// `None` when nobody waits for it any more.
    client: Option<IpAddr>,
}

impl<'a, 'm> Heard<'a, 'm> {
    /// A response from `source` to what the client of `server` has asked.
    pub(super) fn new(
        core: &Core,
        source: Flow,
        server: ServerId,
        response: &'a Message<'m>,
    ) -> Heard<'a, 'm> {
        let client = core.transactions.server_flow(server);
        Heard {
            response,
            sender: source.remote.ip(),
            client: client.map(|flow| flow.remote.ip()),
        }
    }

    pub(super) fn code(&self) -> u16 {
        self.response.code()
    }

    /// Complete header lines of this name.
    pub(super) fn lines(&self, name: HeaderName) -> impl Iterator<Item = &'m [u8]> {
        self.response.lines(name).map(|header| header.line)
    }

    /// What goes back of it: the headers that `policy` lets pass, and `extra`.
    pub(super) fn print(&self, core: &Core, out: &mut Vec<u8>, policy: &Policy, extra: &[u8]) {
        let load = core.load_told(self.client);
        let veil = identity::between(core, self.sender, self.client);
        match veil.and_then(|veil| veil.hides_proxied(self.response)) {
            None => print::forwarded_response(out, self.response, policy, load, extra),
            Some(hidden) => {
                let (policy, lines) = (hidden.policy(policy), [hidden.lines(), extra].concat());
                print::forwarded_response(out, self.response, &policy, load, &lines);
            }
        }
    }

    /// Passes it back at once, as it is but for our Via.
    pub(super) fn forward(&self, core: &mut Core, now: Time, server: ServerId, out: &mut Outbox) {
        let mut text = core.scratch();
        self.print(core, &mut text, &RESPONSE, b"");
        let print = |out: &mut Vec<u8>| out.extend_from_slice(&text);
        core.transactions
            .forward(now, server, self.code(), print, out);
        core.return_scratch(text);
    }
}
