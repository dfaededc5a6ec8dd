//! A request that leaves: where it goes and how it is printed (RFC 3261 16.6). It is the one that came,
//! with a Via more, a hop less, and the Request-URI of its target.

use std::net::IpAddr;

use smallvec::SmallVec;
use stack::{ClientId, Flow, Outbox, Time, Token};
use wire::{Message, Method, NameAddr, Uri, print};

use super::REQUEST;
use super::admission::Admitted;
use super::best::told;
use super::path::{Path, record_route};
use crate::admission::entrance;
use crate::call::Refusal;
use crate::core::{Core, Destination, User, Waiting};
use crate::identity::{self, Hidden};

/// Which path the next hop follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The routing DB chose the target. RFC 3261 16.6 step 7: this local policy outweighs the Routes that a
    /// request may have brought along; they travel on with it.
    Routed,
    /// The request is inside a dialog: its Routes lead, and then its Request-URI.
    InDialog,
}

/// One copy of a request.
#[derive(Debug)]
pub(super) struct Onward<'a> {
    request: &'a Message<'a>,
    source: Flow,
    uri: &'a [u8],
    routes: SmallVec<[&'a [u8]; 4]>,
    /// The target behind a strict router (RFC 3261 16.6 step 6).
    last_route: Option<&'a [u8]>,
    kind: Kind,
    listener: u16,
    admitted: Admitted,
}

/// How a copy was sent.
enum Way {
    Known(Flow),
    Waiting(String, u16),
}

impl Way {
    /// Who gets it, when that is known.
    fn receiver(&self) -> Option<IpAddr> {
        match self {
            Way::Known(flow) => Some(flow.remote.ip()),
            Way::Waiting(..) => None,
        }
    }
}

/// Why a copy was not sent.
#[derive(Debug)]
pub(super) enum Unsent {
    /// There is no way to its next hop, or no transaction left (RFC 3261 16.9).
    NoWay,
    /// Its next hop has asked for fewer requests (RFC 7339).
    Withheld,
    /// It asks for privacy that it must have, and a proxy cannot give it (RFC 3323 5).
    Private(Refusal),
}

impl Unsent {
    /// The code it counts as among those of other branches.
    pub(super) fn code(&self) -> u16 {
        match self {
            Unsent::NoWay | Unsent::Withheld => 503,
            Unsent::Private(refusal) => refusal.code,
        }
    }
}

impl From<Unsent> for Refusal {
    fn from(unsent: Unsent) -> Refusal {
        match unsent {
            Unsent::NoWay => Refusal::code(told(503)),
            // RFC 7339 5.10: 503 without Retry-After, which sends nobody away for good.
            Unsent::Withheld => Refusal::code(503),
            Unsent::Private(refusal) => refusal,
        }
    }
}

impl<'a> Onward<'a> {
    /// The request on this path to `uri`, with the breadth that is in `admitted`.
    pub(super) fn new(
        request: &'a Message<'a>,
        source: Flow,
        path: &'a Path<'_>,
        uri: &'a [u8],
        kind: Kind,
        admitted: Admitted,
    ) -> Onward<'a> {
        let mut onward = Onward {
            request,
            source,
            uri,
            routes: path.routes.iter().copied().collect(),
            last_route: None,
            kind,
            listener: path.listener.unwrap_or(source.listener),
            admitted,
        };
        if kind == Kind::InDialog {
            onward.yield_to_strict_router();
        }
        onward
    }

    /// RFC 3261 16.6 step 6: a next hop without `lr` wants to find itself in the Request-URI, and the target
    /// as the last Route.
    fn yield_to_strict_router(&mut self) {
        let Some(next) = self.routes.first().and_then(|value| uri_of(value)) else {
            return;
        };
        if Uri::parse(next).is_ok_and(|uri| uri.param("lr").is_none()) {
            self.routes.remove(0);
            self.last_route = Some(std::mem::replace(&mut self.uri, next));
        }
    }

    /// RFC 3261 16.6 step 7.
    fn destination(&self, core: &mut Core, now: Time) -> Destination {
        if let Some(proxy) = core.proxy.as_ref().filter(|_| self.kind == Kind::Routed) {
            return Destination::Known(proxy.address);
        }
        let route = match self.kind {
            Kind::InDialog if self.last_route.is_none() => self.routes.first(),
            _ => None,
        };
        let hop = route.map_or(Some(self.uri), |value| uri_of(value));
        match hop.map(Uri::parse) {
            Some(Ok(uri)) => core.locate_uri(now, &uri),
            _ => Destination::None,
        }
    }

    fn way(&self, core: &mut Core, now: Time) -> Option<Way> {
        match self.destination(core, now) {
            Destination::Known(remote) => {
                let listener = core.listener_for(remote.ip(), self.listener)?;
                Some(Way::Known(Flow { listener, remote }))
            }
            Destination::Waiting(name, port) => Some(Way::Waiting(name, port)),
            Destination::None => None,
        }
    }

    /// Sends the request in a transaction of its own.
    ///
    /// # Errors
    /// Why it was not.
    pub(super) fn send(
        &self,
        core: &mut Core,
        now: Time,
        user: User,
        out: &mut Outbox,
    ) -> Result<ClientId, Unsent> {
        let way = self.way(core, now).ok_or(Unsent::NoWay)?;
        let hidden = self.hidden(core, way.receiver())?;
        let method = self.request.method();
        let sent = match way {
            Way::Known(Flow { remote, .. })
                if entrance::withholds(core, now, self.source, remote, self.request) =>
            {
                return Err(Unsent::Withheld);
            }
            Way::Known(flow) => {
                let speaks = core.peers.speaks_of_overload(flow.remote.ip());
                let (print, transactions) =
                    self.printed_by(core, (flow.listener, speaks), hidden.as_ref());
                transactions.request(now, flow, method, user, print, out)
            }
            Way::Waiting(name, port) => {
                let (print, transactions) =
                    self.printed_by(core, (self.listener, false), hidden.as_ref());
                let client = transactions.request_waiting(now, method, user, print, out);
                if let Some(client) = client {
                    let waiting = Waiting {
                        user,
                        client,
                        listener: self.listener,
                        port,
                    };
                    core.names.wait(&name, waiting);
                }
                client
            }
        };
        let Some(client) = sent else {
            core.limit_reached("transactions", core.limits.transactions);
            return Err(Unsent::NoWay);
        };
        core.transactions.mark_forwarded(client);
        core.counters.forwarded += 1;
        core.counters.proxied += 1;
        Ok(client)
    }

    /// Sends an ACK for a 2xx, which has no transaction (RFC 3261 16.11). While the name of the next hop is
    /// looked up it is dropped: the 2xx comes again and brings another.
    pub(super) fn send_ack(&self, core: &mut Core, now: Time, out: &mut Outbox) {
        let Some(Way::Known(flow)) = self.way(core, now) else {
            return;
        };
        let branch = core.transactions.new_branch();
        let (source, receiver) = (self.source.remote.ip(), flow.remote.ip());
        let veil = identity::between(core, source, Some(receiver));
        let hidden = veil.and_then(|veil| veil.hides_proxied(self.request));
        let speaks = core.peers.speaks_of_overload(receiver);
        let (print, _) = self.printed_by(core, (flow.listener, speaks), hidden.as_ref());
        out.push(flow, |bytes| print(bytes, &branch));
        core.counters.forwarded += 1;
        core.counters.proxied += 1;
    }

    /// What its receiver is not to know. Privacy that must be given is asked for outside dialogs alone: a BYE
    /// must arrive.
    fn hidden(&self, core: &Core, receiver: Option<IpAddr>) -> Result<Option<Hidden>, Unsent> {
        let sender = self.source.remote.ip();
        let Some(veil) = identity::between(core, sender, receiver) else {
            return Ok(None);
        };
        if self.kind == Kind::Routed {
            veil.check_proxied(self.request).map_err(Unsent::Private)?;
        }
        Ok(veil.hides_proxied(self.request))
    }

    /// What prints the request when it leaves by this listener, to a server that overload is spoken of with or
    /// not, and the transactions beside it.
    fn printed_by<'s>(
        &'s self,
        core: &'s mut Core,
        (listener, speaks_of_overload): (u16, bool),
        hidden: Option<&'s Hidden>,
    ) -> (
        impl FnOnce(&mut Vec<u8>, &Token) + 's,
        &'s mut stack::Transactions<User>,
    ) {
        let Core {
            transactions,
            doors,
            proofs,
            proxy,
            ..
        } = core;
        let proxy = proxy.as_ref().filter(|_| self.kind == Kind::Routed);
        let print = move |out: &mut Vec<u8>, branch: &Token| {
            print::request_line(out, self.request.method_token(), self.uri);
            let door = doors.towards(listener, speaks_of_overload);
            door.print_forwarded_via(out, branch, self.admitted.mark);
            print::vias(out, self.request, self.source.remote);
            if self.is_recorded() {
                let call_id = self.request.call_id();
                record_route(out, door, proofs, call_id);
                // RFC 5658 4: another listener on the other side is another URI.
                if listener != self.source.listener {
                    record_route(out, doors.of(self.source.listener), proofs, call_id);
                }
            }
            if let Some(proxy) = proxy {
                print::header(out, "Route", &proxy.route);
            }
            self.print_path(out);
            match hidden {
                None => print::passing_headers(out, self.request, &REQUEST),
                Some(hidden) => {
                    print::passing_headers(out, self.request, &hidden.policy(&REQUEST));
                    out.extend_from_slice(hidden.lines());
                }
            }
            print::end(out, self.request.body());
        };
        (print, transactions)
    }

    fn print_path(&self, out: &mut Vec<u8>) {
        for route in &self.routes {
            print::header(out, "Route", route);
        }
        if let Some(target) = self.last_route {
            out.extend_from_slice(b"Route: <");
            out.extend_from_slice(target);
            out.extend_from_slice(b">\r\n");
        }
        number(out, "Max-Forwards", self.admitted.max_forwards);
        // RFC 5393 5.3.3: every proxied request has one, an ACK too.
        number(out, "Max-Breadth", self.admitted.breadth);
    }

    /// Requests that make a dialog (RFC 3261 16.6 step 4), and every NOTIFY, which may be the first that its
    /// subscriber hears of one (RFC 6665 4.3).
    fn is_recorded(&self) -> bool {
        match self.request.method() {
            Method::Invite | Method::Subscribe | Method::Refer => self.kind == Kind::Routed,
            Method::Notify => true,
            _ => false,
        }
    }
}

fn uri_of(value: &[u8]) -> Option<&[u8]> {
    NameAddr::parse(value).ok().map(|address| address.uri)
}

fn number(out: &mut Vec<u8>, name: &str, value: u32) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    print::number(out, value.into());
    out.extend_from_slice(b"\r\n");
}
