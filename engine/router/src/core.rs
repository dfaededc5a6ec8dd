//! What every call of a shard shares: transactions, timers, names, listeners, counters. A call's
//! methods borrow it whole, so that a call and its surroundings can change in one step.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use media::{Family, Media, StreamId};
use stack::dialog::Dialog;
use stack::pool::Pool;
use stack::timer::{TimerKey, Wheel};
use stack::{ClientId, Flow, Outbox, Random, ServerId, Time, Token, Transactions};
use wire::{Host, Uri, print};

use crate::abuse::Guard;
use crate::accounts::Accounts;
use crate::admission::{Admission, Feedback, OFFER};
use crate::application_server;
use crate::auth::Verifier;
use crate::call::Refusal;
use crate::calls::CallId;
use crate::config::{Config, Counters, Event, Limits, Listener, MediaEnded, SessionTimer, Timers};
use crate::directory::Directory;
use crate::events::StateAgent;
use crate::local;
use crate::location::Location;
use crate::names::{Lookup, Names};
use crate::outside::Methods;
use crate::peers::Peers;
use crate::proofs::Proofs;
use crate::reach::KeepAlive;
use crate::registrar::Registrar;

/// The port of a SIP URI over UDP that names none (RFC 3261 19.1.2).
pub(crate) const DEFAULT_PORT: u16 = 5060;

/// Which party of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Caller,
    Callee,
}

impl Side {
    pub(crate) fn other(self) -> Side {
        match self {
            Side::Caller => Side::Callee,
            Side::Callee => Side::Caller,
        }
    }
}

/// What a transaction is for: carried by the transaction layer, given back with every event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User {
    pub(crate) call: CallId,
    pub(crate) purpose: Purpose,
}

/// The part a transaction plays in its call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// The INVITE that made the call: the caller's server transaction, our client transaction.
    Invite,
    /// A re-INVITE from this side; both of its transactions.
    Reinvite(Side),
    /// Another in-dialog request from this side, to be answered on this server transaction.
    Relay(Side, ServerId),
    /// Our BYE; its answer is nobody's business but the call's own.
    Bye,
    /// A BYE to a fork that lost; nobody waits for it.
    Discard,
    /// Our PRACK; whether its 18x held the answer that the caller was given as final.
    Prack(bool),
    /// Our re-INVITE of a caller whose callee has answered with another session.
    Reoffer,
    /// OPTIONS inside a leg: does its dialog still live?
    Probe,
    /// OPTIONS to the application server; no call's.
    KeepAlive,
    /// A branch of a response context: the transaction it is answered on, and its number.
    Branch(ServerId, u8),
    /// A request that was forwarded without a context, to be answered on this server transaction.
    Onward(ServerId),
    /// The server transaction of a response context.
    Context,
    /// Our INVITE to the target of a transfer.
    Target,
    /// Our re-INVITE of a transferee, with the target's offer.
    Rejoin,
    /// A request outside any dialog, to be answered on this server transaction; whether the media of its
    /// route is steered.
    Exchange(ServerId, bool),
    /// The request that makes a subscription, to be answered on this server transaction.
    Subscribe(ServerId),
    /// A request from this side inside a subscription, to be answered on this server transaction.
    Subscribed(Side, ServerId),
    /// Our UPDATE or re-INVITE that refreshes the session of this side.
    Refresh(Side),
    /// OPTIONS to a contact of a user, under this number; no call's.
    Contact(u32),
    /// Our NOTIFY to a subscriber of ours.
    Notify,
}

impl Purpose {
    /// Whether it is a request that the proxy forwarded.
    pub(crate) fn is_proxied(self) -> bool {
        matches!(self, Purpose::Branch(..) | Purpose::Onward(_))
    }
}

/// A timer of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alarm {
    /// `noAnswerTimeout`.
    NoAnswer,
    /// `no18xTimeout`.
    No18x,
    /// The ringing limit that stands in when the route sets no `noAnswerTimeout`.
    Ringing,
    /// `maxCallDuration`.
    MaxDuration,
    /// The other side takes its time with a BYE: its sender is answered without it.
    ByeAnswer,
    /// No early dialog of a fork can still be answered: 64*T1 after the call ended.
    ForksOver,
    /// The caller was busy with another offer when we had one for it.
    OfferAgain,
    /// This leg is to be asked whether its dialog still lives.
    Probe(Side),
    /// Timer C of a response context's branch (RFC 3261 16.6 step 11).
    TimerC(u8),
    /// The target of a transfer does not answer.
    TargetSilent,
    /// A subscription was not refreshed.
    Expired,
    /// The session of this leg is to be refreshed, or was not.
    Session(Side),
    /// A subscriber may be told of what has changed.
    Notify,
}

impl Alarm {
    /// Whether it ends a call.
    pub(crate) fn is_limit(self) -> bool {
        !matches!(
            self,
            Alarm::ByeAnswer
                | Alarm::ForksOver
                | Alarm::OfferAgain
                | Alarm::Probe(_)
                | Alarm::TargetSilent
                | Alarm::Expired
                | Alarm::Session(_)
                | Alarm::Notify
        )
    }
}

/// Who waits for a name: our request and the port it goes to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    pub(crate) user: User,
    pub(crate) client: ClientId,
    pub(crate) listener: u16,
    pub(crate) port: u16,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// To this address.
    Known(SocketAddr),
    /// To the address of this name, which the resolver has been asked for.
    Waiting(String, u16),
    /// Nowhere: the name has no address, or nobody can be asked.
    None,
}

/// A listener with the parts of messages that never change.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) listener: Listener,
    /// `Via: SIP/2.0/UDP host:port;rport;branch=`
    via: Vec<u8>,
    /// `host:port`
    pub(crate) host_port: Vec<u8>,
}

impl Door {
    fn new(listener: Listener) -> Door {
        let host_port = format!("{}:{}", listener.advertise_host, listener.advertise_port);
        let via = format!("Via: SIP/2.0/UDP {host_port};rport;branch=");
        Door {
            listener,
            via: via.into_bytes(),
            host_port: host_port.into_bytes(),
        }
    }

    /// The Via of a request that is forwarded: behind the branch's token stands its mark.
    pub(crate) fn print_forwarded_via(&self, out: &mut Vec<u8>, branch: &Token, mark: u64) {
        out.extend_from_slice(&self.via);
        branch.print_branch(out);
        out.push(b'.');
        print::hex(out, mark, 16);
        out.extend_from_slice(b"\r\n");
    }

    /// The same towards servers that overload is spoken of with (RFC 7339 4.1).
    fn speaking_of_overload(listener: Listener) -> Door {
        let door = Door::new(listener);
        let host_port = String::from_utf8_lossy(&door.host_port);
        let via = format!("Via: SIP/2.0/UDP {host_port};rport{OFFER};branch=");
        Door {
            via: via.into_bytes(),
            ..door
        }
    }

    pub(crate) fn print_via(&self, out: &mut Vec<u8>, branch: &Token) {
        out.extend_from_slice(&self.via);
        branch.print_branch(out);
        out.extend_from_slice(b"\r\n");
    }

    /// Whether this host and port are what this listener tells peers, however they are spelled.
    pub(crate) fn is_named_by(&self, host: &Host<'_>, port: Option<u16>) -> bool {
        let own = self.listener.advertise_host.as_bytes();
        let same_host = match (*host, Host::parse(own)) {
            (Host::Name(theirs), Some(Host::Name(own))) => theirs.eq_ignore_ascii_case(own),
            (theirs, own) => own == Some(theirs),
        };
        same_host && port.unwrap_or(DEFAULT_PORT) == self.listener.advertise_port
    }

    /// Whether a URI with this host and port leads here, by its name or by the address it is bound to.
    fn is_at(&self, host: Host<'_>, port: Option<u16>) -> bool {
        let port = port.unwrap_or(DEFAULT_PORT);
        let bound = host.ip().map(|ip| SocketAddr::new(ip, port));
        self.is_named_by(&host, Some(port)) || bound == Some(self.listener.address)
    }

    /// Our Contact on a leg: the leg's tag as the user, so that the next request finds the call.
    pub(crate) fn print_contact(&self, out: &mut Vec<u8>, tag: &Token) {
        out.extend_from_slice(b"Contact: <sip:");
        tag.print_tag(out);
        out.push(b'@');
        out.extend_from_slice(&self.host_port);
        out.extend_from_slice(b">\r\n");
    }
}

/// All listeners.
#[derive(Debug)]
pub(crate) struct Doors {
    all: Vec<Door>,
    first: Door,
    speaking_of_overload: Vec<Door>,
}

impl Doors {
    fn new(listeners: Vec<Listener>) -> Doors {
        let nowhere = Listener {
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), DEFAULT_PORT),
            advertise_host: "invalid".to_owned(),
            advertise_port: DEFAULT_PORT,
        };
        Doors {
            first: Door::new(listeners.first().cloned().unwrap_or(nowhere)),
            speaking_of_overload: (listeners.iter().cloned())
                .map(Door::speaking_of_overload)
                .collect(),
            all: listeners.into_iter().map(Door::new).collect(),
        }
    }

    /// The listener with this index as a server sees it that overload is spoken of with, or is not.
    pub(crate) fn towards(&self, listener: u16, speaks_of_overload: bool) -> &Door {
        let speaking = self.speaking_of_overload.get(usize::from(listener));
        speaking
            .filter(|_| speaks_of_overload)
            .unwrap_or_else(|| self.of(listener))
    }

    /// Every listener.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Door> {
        self.all.iter()
    }

    /// The listener with this index. Flows carry only indices the worker made; a wrong one falls
    /// back to the first.
    pub(crate) fn of(&self, listener: u16) -> &Door {
        self.all.get(usize::from(listener)).unwrap_or(&self.first)
    }

    /// The listener with this host and port, as told or as bound.
    pub(crate) fn named(&self, host: Host<'_>, port: Option<u16>) -> Option<u16> {
        let at = self.all.iter().position(|door| door.is_at(host, port))?;
        u16::try_from(at).ok()
    }
}

/// Events kept for a surrounding that does not ask; what became of further streams is not told.
pub(crate) const EVENTS_MAX: usize = 4096;

/// The outbound proxy.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    /// Its Route value. A loose router: the Request-URI stays what the routing DB says.
    pub(crate) route: Vec<u8>,
}

impl Proxy {
    pub(crate) fn new(address: SocketAddr) -> Proxy {
        let route = format!("<sip:{address};lr>").into_bytes();
        Proxy { address, route }
    }
}

/// Everything of a shard's router but the calls and the routing DB.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) transactions: Transactions<User>,
    pub(crate) pool: Pool,
    pub(crate) alarms: Wheel<(CallId, Alarm)>,
    pub(crate) names: Names<Waiting>,
    pub(crate) doors: Doors,
    pub(crate) counters: Counters,
    pub(crate) random: Random,
    pub(crate) events: VecDeque<Event>,
    pub(crate) limits: Limits,
    pub(crate) timers: Timers,
    pub(crate) shard: u8,
    pub(crate) server_name: Option<String>,
    pub(crate) media: Media,
    pub(crate) peers: Arc<Peers>,
    /// The edits of the session description that is crossing.
    pub(crate) edits: wire::sdp::Edits,
    pub(crate) application_server: Option<application_server::Server>,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) proofs: Proofs,
    /// What is passed on outside any dialog.
    pub(crate) relay: Methods,
    scratch: Vec<u8>,
    pub(crate) shards: u8,
    pub(crate) session_timer: Option<SessionTimer>,
    pub(crate) admission: Admission,
    pub(crate) feedback: Feedback,
    pub(crate) guard: Guard,
    /// What the request at hand was refused with, if the router itself refused it.
    pub(crate) refused_with: Option<u16>,
    /// Where users are.
    pub(crate) location: Location,
    /// The local domains and their users.
    pub(crate) directory: Arc<Directory>,
    pub(crate) registrar: Registrar,
    pub(crate) accounts: Accounts,
    pub(crate) auth: Verifier,
    /// The transaction of a REFER that names a dialog of ours, at whatever address.
    pub(crate) refers_to_ours: Option<ServerId>,
    pub(crate) keep_alive: KeepAlive,
    pub(crate) state_agent: StateAgent,
}

impl Core {
    pub(crate) fn new(config: Config, now: Time) -> Core {
        let limits = stack::TransactionLimits {
            server: config.limits.transactions,
            client: config.limits.transactions,
        };
        let mut random = Random::new(config.seed);
        let seed = random.next_u64();
        let timers = config.timers.stack;
        let location = Location::new(&config, seed.rotate_left(16));
        Core {
            transactions: Transactions::new(config.shard, seed, timers, limits, now),
            pool: Pool::default(),
            alarms: Wheel::new(now),
            names: Names::new(random.next_u64(), config.limits.names),
            doors: Doors::new(config.listeners),
            counters: Counters::default(),
            random,
            events: VecDeque::new(),
            limits: config.limits,
            timers: config.timers,
            shard: config.shard,
            server_name: config.server_name,
            media: Media::new(config.media, now),
            peers: config.peers,
            edits: wire::sdp::Edits::new(),
            application_server: config
                .outbound
                .application_server
                .map(|server| application_server::Server::new(server, config.shard, now)),
            proxy: config.outbound.proxy.map(Proxy::new),
            proofs: Proofs::new(&config.proof_keys),
            relay: config.relay,
            scratch: Vec::with_capacity(256),
            shards: config.shards,
            session_timer: config.session_timer,
            admission: Admission::new(config.overload, now),
            feedback: Feedback::new(now),
            guard: Guard::new(config.abuse, config.shards, seed.rotate_left(32)),
            refused_with: None,
            directory: config.directory,
            registrar: Registrar::new(config.registrar, &config.proof_keys),
            accounts: Accounts::new(config.accounting),
            auth: Verifier::new(config.auth, config.nonce_secret, config.shard),
            location,
            refers_to_ours: None,
            keep_alive: KeepAlive::default(),
            state_agent: StateAgent::new(config.events),
        }
    }

    /// An empty buffer for text that is needed for a moment; give it back.
    pub(crate) fn scratch(&mut self) -> Vec<u8> {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        scratch
    }

    pub(crate) fn return_scratch(&mut self, scratch: Vec<u8>) {
        self.scratch = scratch;
    }

    /// The listener with this index: see [`Doors::of`].
    pub(crate) fn door(&self, listener: u16) -> &Door {
        self.doors.of(listener)
    }

    /// The listener to reach `address` from: `preferred` when the family fits, else the first that does.
    pub(crate) fn listener_for(&self, address: IpAddr, preferred: u16) -> Option<u16> {
        let fits = |door: &Door| door.listener.address.is_ipv4() == address.is_ipv4();
        if fits(self.doors.of(preferred)) {
            return Some(preferred);
        }
        self.doors
            .all
            .iter()
            .position(fits)
            .and_then(|index| u16::try_from(index).ok())
    }

    /// Via parameters that tell this client our load (RFC 7339 5.2); empty when it is not spoken of with it.
    pub(crate) fn load_told(&self, client: Option<IpAddr>) -> &[u8] {
        match client.is_some_and(|client| self.peers.speaks_of_overload(client)) {
            true => self.feedback.text(),
            false => b"",
        }
    }

    /// Where a URI's host is reached (RFC 3263 as far as A and AAAA over UDP); asks the resolver.
    pub(crate) fn locate(&mut self, now: Time, host: &Host<'_>, port: Option<u16>) -> Destination {
        let port = port.unwrap_or(DEFAULT_PORT);
        match host {
            Host::Ip(address) => Destination::Known(SocketAddr::new(*address, port)),
            Host::Name(name) => self.locate_name(now, name, port),
            Host::None => Destination::None,
        }
    }

    fn locate_name(&mut self, now: Time, name: &[u8], port: u16) -> Destination {
        let Ok(name) = std::str::from_utf8(name) else {
            return Destination::None;
        };
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return self.find_name(now, &name.to_ascii_lowercase(), port);
        }
        self.find_name(now, name, port)
    }

    fn find_name(&mut self, now: Time, name: &str, port: u16) -> Destination {
        match self.names.find(now, name) {
            Lookup::Found(address) => Destination::Known(SocketAddr::new(address, port)),
            Lookup::Asked => Destination::Waiting(name.to_owned(), port),
            Lookup::Failed => Destination::None,
            Lookup::Full => {
                self.limit_reached("names", self.limits.names);
                Destination::None
            }
        }
    }

    /// Where the next request of a dialog goes: its next hop, or, while that is a name without a
    /// known address, where the peer's last message came from.
    pub(crate) fn next_hop(&mut self, now: Time, dialog: &Dialog, peer: Flow) -> Flow {
        let Ok(uri) = Uri::parse(dialog.next_hop()) else {
            return peer;
        };
        match self.locate_uri(now, &uri) {
            Destination::Known(address) => self.flow_to(address, peer),
            Destination::Waiting(..) | Destination::None => peer,
        }
    }

    /// Where a request to this URI goes: to its `maddr`, if that is an address, else to its host (RFC 3261
    /// 19.1.1).
    pub(crate) fn locate_uri(&mut self, now: Time, uri: &Uri<'_>) -> Destination {
        let maddr = uri.param("maddr").and_then(Host::parse);
        let host = maddr.filter(|host| host.ip().is_some()).unwrap_or(uri.host);
        self.locate(now, &host, uri.port)
    }

    fn flow_to(&self, remote: SocketAddr, peer: Flow) -> Flow {
        match self.listener_for(remote.ip(), peer.listener) {
            Some(listener) => Flow { listener, remote },
            None => peer,
        }
    }

    /// Closes a stream of the call with this tag and tells what became of it; `line` is its m= line.
    pub(crate) fn end_stream(&mut self, now: Time, stream: StreamId, tag: &[u8], line: usize) {
        let summary = self.media.close(now, stream);
        if let Some(summary) = &summary {
            self.counters.streams_ended.note(summary);
        }
        if let Some((summary, token)) = summary.zip(Token::parse_tag(tag))
            && let Some(account) = self.accounts.of(CallId::of_token(&token))
        {
            account.note_stream(line, summary);
        }
        if let Some(summary) = summary.filter(|_| self.events.len() < EVENTS_MAX) {
            let call = String::from_utf8_lossy(tag).into_owned();
            let ended = MediaEnded {
                call,
                line,
                summary,
            };
            self.events.push_back(Event::MediaEnded(Box::new(ended)));
        }
    }

    /// The family of media to a party that signals from here: the same, unless only the other has ports.
    pub(crate) fn media_family(&self, signalling: IpAddr) -> Family {
        let family = Family::of(signalling.to_canonical());
        let other = family.other();
        if self.media.serves(family) || !self.media.serves(other) {
            family
        } else {
            other
        }
    }

    pub(crate) fn arm(
        &mut self,
        now: Time,
        call: CallId,
        alarm: Alarm,
        after: Option<Duration>,
    ) -> Option<TimerKey> {
        // Near to now it lies in a fine slot: a coarse one would wake the shard before its time, and look late.
        self.alarms.pass(now);
        after.map(|after| self.alarms.arm(now + after, (call, alarm)))
    }

    pub(crate) fn disarm(&mut self, key: &mut Option<TimerKey>) {
        if let Some(key) = key.take() {
            self.alarms.cancel(key);
        }
    }

    /// Answers a request on its own transaction with no more than the status needs.
    pub(crate) fn refuse(
        &mut self,
        now: Time,
        server: ServerId,
        code: u16,
        extra: &[u8],
        out: &mut Outbox,
    ) {
        self.counters.refused += 1;
        self.refused_with = Some(code);
        let tag = self.own_tag();
        let name = self.server_name.as_deref();
        let rest = |out: &mut Vec<u8>| {
            out.extend_from_slice(extra);
            if let Some(name) = name {
                print::header(out, "Server", name.as_bytes());
            }
            print::end(out, b"");
        };
        self.transactions
            .respond(now, server, code, b"", Some(&tag.tag_text()), rest, out);
    }

    /// Answers a request that could not be passed on.
    pub(crate) fn refuse_with(
        &mut self,
        now: Time,
        server: ServerId,
        refusal: &Refusal,
        out: &mut Outbox,
    ) {
        self.counters.refused += 1;
        self.refused_with = Some(refusal.code);
        let tag = self.own_tag();
        self.answer(now, server, refusal.status(), &tag, &refusal.extra, out);
    }

    /// Answers a request with this status, a tag of ours and complete header lines, without a body.
    pub(crate) fn answer(
        &mut self,
        now: Time,
        server: ServerId,
        (code, phrase): (u16, &str),
        tag: &Token,
        extra: &[u8],
        out: &mut Outbox,
    ) {
        let rest = |out: &mut Vec<u8>| {
            out.extend_from_slice(extra);
            print::end(out, b"");
        };
        let (phrase, tag) = (phrase.as_bytes(), tag.tag_text());
        self.transactions
            .respond(now, server, code, phrase, Some(&tag), rest, out);
    }

    /// Answers a request that would need a transaction of ours when there is none left.
    pub(crate) fn refuse_at_transaction_limit(
        &mut self,
        now: Time,
        server: ServerId,
        out: &mut Outbox,
    ) {
        self.limit_reached("transactions", self.limits.transactions);
        let retry_after = self.retry_after();
        self.refuse(now, server, 503, &retry_after, out);
    }

    /// When to come back, for a request that is refused because of load.
    pub(crate) fn retry_after(&mut self) -> Vec<u8> {
        local::retry_after_spread(self.limits.retry_after_s, self.random.next_u64())
    }

    /// A tag for answers that make no dialog.
    pub(crate) fn own_tag(&mut self) -> Token {
        let random = self.random.next_u64();
        // No call lives in the last slot: such a tag never names one.
        Token {
            shard: self.shard,
            slot: Token::SLOT_MAX,
            generation: 0,
            random,
        }
    }

    /// Tells the surroundings of a limit, once until it is clear again.
    pub(crate) fn limit_reached(&mut self, limit: &'static str, value: usize) {
        let event = Event::LimitReached { limit, value };
        if !self.events.contains(&event) {
            self.events.push_back(event);
        }
    }
}
