//! The shard: the door between the worker and the router. Finds out what a datagram is and whose it
//! is; everything a message means is decided in `router`.

use std::net::SocketAddr;
use std::time::Duration;

use router::{Command, Config, Counters, Event, Progress, Resolved, Router, Traffic, Wake};
use stack::{Flow, Outbox, Time, Token};

use crate::steer;

/// The To tag of responses that were sent without a transaction, as a parameter.
const STATELESS_TAG_PARAMETER: &[u8] = b";tag=tprs";

/// What may happen to a shard.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A datagram arrived, from the socket or handed over by another shard.
    Datagram {
        /// Where it came in and from whom.
        flow: Flow,
        /// Its payload.
        bytes: &'a [u8],
    },
    /// The network says that this peer cannot be reached (ICMP).
    Unreachable {
        /// The peer.
        remote: SocketAddr,
    },
    /// The resolver's answer.
    Resolved(Resolved<'a>),
    /// An order from the control side.
    Command(&'a Command),
    /// A turn of the shard's thread begins. To be told each time, or new calls are never limited.
    Load {
        /// How long the thread had nothing to do before it.
        idle: Duration,
    },
    /// Time has passed.
    Timeout,
}

/// What became of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was applied here.
    Done,
    /// The datagram belongs to this other shard; nothing was changed here.
    Foreign(u8),
}

/// One core's world. After each [`Shard::apply`] send what is in the outbox, drain
/// [`Shard::poll_event`], and come back no later than [`Shard::poll_timeout`] says.
#[derive(Debug)]
pub struct Shard {
    router: Router,
    index: wire::Index,
    wire_limits: wire::Limits,
    place: Place,
    /// Flows of listeners from here on are media.
    first_media: u16,
    traffic: Traffic,
}

/// Which shard this is, of how many.
#[derive(Clone, Copy, Debug)]
struct Place {
    shard: u8,
    shards: u8,
    key: u64,
}

impl Place {
    fn owner(self, message: &wire::Message<'_>) -> u8 {
        match self.shards {
            0 | 1 => self.shard,
            shards => steer::shard_of(message.call_id(), shards, self.key),
        }
    }
}

impl Shard {
    /// A shard with empty tables.
    pub fn new(config: Config, now: Time) -> Shard {
        Shard {
            index: wire::Index::new(),
            wire_limits: config.limits.wire,
            place: Place {
                shard: config.shard,
                shards: config.shards,
                key: config.steer_key,
            },
            first_media: u16::try_from(config.listeners.len()).unwrap_or(u16::MAX),
            router: Router::new(config, now),
            traffic: Traffic::default(),
        }
    }

    /// What this shard has counted so far.
    pub fn counters(&self) -> Counters {
        Counters {
            traffic: self.traffic,
            ..self.router.counters()
        }
    }

    /// How far the counters have come that tell what a turn passed on. Cheap: asked for every turn.
    pub fn progress(&self) -> Progress {
        self.router.progress()
    }

    /// The Call-ID of the caller's leg, by the one of ours on the other leg.
    pub fn caller_call_id(&mut self, token: &Token) -> Option<&[u8]> {
        self.router.caller_call_id(token)
    }

    /// Calls in progress, those that are just ending included.
    pub fn calls(&self) -> usize {
        self.router.calls()
    }

    /// Nothing is left: no call, no transaction, no timer. What a leak checker asks at the end.
    pub fn is_idle(&self) -> bool {
        self.router.is_idle()
    }

    /// Applies one input; datagrams to be sent are appended to `out`.
    pub fn apply(&mut self, now: Time, input: Input<'_>, out: &mut Outbox) -> Applied {
        let before = out.len();
        let applied = self.apply_input(now, input, out);
        for (flow, bytes) in out.iter_from(before) {
            if flow.listener < self.first_media {
                self.traffic.sent.count_printed(bytes);
            }
        }
        applied
    }

    fn apply_input(&mut self, now: Time, input: Input<'_>, out: &mut Outbox) -> Applied {
        match input {
            Input::Datagram { flow, bytes } => return self.receive(now, flow, bytes, out),
            Input::Unreachable { remote } => self.router.unreachable(now, remote, out),
            Input::Resolved(answer) => self.router.resolved(now, answer, out),
            Input::Command(command) => self.router.command(now, command, out),
            Input::Timeout => {}
            Input::Load { idle } => {
                self.router.note_load(now, idle);
                return Applied::Done;
            }
        }
        self.router.handle_timeout(now, out);
        Applied::Done
    }

    /// Whether this datagram is this shard's: a message that can be read and belongs to another is not.
    pub fn owns(&mut self, bytes: &[u8]) -> bool {
        match wire::Message::parse(bytes, &mut self.index, &self.wire_limits) {
            Ok(message) => self.place.owner(&message) == self.place.shard,
            Err(_) => true,
        }
    }

    /// When to come back with [`Input::Timeout`] at the latest, and why.
    pub fn poll_timeout(&self) -> Option<(Time, Wake)> {
        self.router.poll_timeout()
    }

    /// The next thing the surroundings must do or know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.router.poll_event()
    }

    fn receive(&mut self, now: Time, flow: Flow, bytes: &[u8], out: &mut Outbox) -> Applied {
        if flow.listener >= self.first_media {
            // A media port is its shard's own: nothing to steer.
            self.router.receive_media(now, flow, bytes, out);
            return Applied::Done;
        }
        if self.router.denies(flow.remote.ip()) {
            return Applied::Done;
        }
        if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            self.router.keep_alive();
            return Applied::Done;
        }
        if wire::stun::BindingRequest::looks_like(bytes) {
            self.router.receive_stun(flow, bytes, out);
            return Applied::Done;
        }
        if self.router.is_overloaded() && is_stateless_ack(bytes) {
            self.traffic.received.count_request(wire::Method::Ack);
            self.router.stateless_ack();
            return Applied::Done;
        }
        match wire::Message::parse(bytes, &mut self.index, &self.wire_limits) {
            Ok(message) => {
                let owner = self.place.owner(&message);
                if owner != self.place.shard {
                    self.router.foreign();
                    return Applied::Foreign(owner);
                }
                match message.is_request() {
                    true => self.traffic.received.count_request(message.method()),
                    false => self.traffic.received.count_response(message.code()),
                }
                self.router.receive(now, flow, &message, out);
            }
            Err(error) => {
                self.router
                    .malformed(now, flow, self.index.salvage(bytes), error, out);
            }
        }
        Applied::Done
    }
}

/// Half of what a refused call costs would be the reading of its ACK. The tag is the router's own and is in
/// no other: what has it in another place than To is no ACK of a call, either. One that its sender wrote
/// otherwise is read as any message.
fn is_stateless_ack(bytes: &[u8]) -> bool {
    bytes.starts_with(b"ACK ") && memchr::memmem::find(bytes, STATELESS_TAG_PARAMETER).is_some()
}
