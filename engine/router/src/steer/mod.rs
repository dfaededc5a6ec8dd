//! `steerMedia`: the media of a call through the router. What lives here: who has offered what
//! (`exchange`), the m= lines and what becomes of their streams (`slot`, `streams`), the descriptions as
//! the other leg gets them (`leg`, `body`). What may not live here: packets, which are the business of the media room, and the
//! messages, which are the call's.
//!
//! Every body that crosses a steered call goes through [`Steering::cross`].

mod body;
mod exchange;
mod leg;
mod slot;
mod streams;

use std::hash::BuildHasher;
use std::net::IpAddr;

use foldhash::fast::FixedState;
use media::{End, StreamId};
use smallvec::SmallVec;
use stack::{Flow, ServerId, Time, Token};
use wire::Message;
use wire::sdp::Session;

pub use body::{WITHHELD_ATTRIBUTES, WithheldAttribute};
pub(crate) use exchange::{Role, Untimely};
pub(crate) use streams::no_ports;

use crate::core::{Core, Side};
use exchange::Exchange;
use leg::Leg;
use slot::{Described, Slot};

/// Streams of one call. A conference with audio, video, slides and their spares has six; a call that
/// could ask for thousands would empty the pool of ports alone.
const LINES_MAX: usize = 16;
/// Answers of other forks remembered, as many as there are early dialogs.
const FORKS_MAX: usize = 16;

/// Why a message may not cross: the router answers it itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocked {
    /// Its description cannot be read, and passing it unread would tell the sender's addresses. 488.
    Unreadable,
    /// More lines than [`LINES_MAX`]. 488.
    TooMany,
    /// No ports are free. 503, or 500 inside a call, which a 503 might end.
    NoPorts,
    /// No ports are configured. The same.
    NotConfigured,
    /// It moves a stream to an address family without ports. 488.
    Unserved,
    /// It is an offer at the wrong time.
    Untimely(Untimely),
}

impl From<Untimely> for Blocked {
    fn from(untimely: Untimely) -> Blocked {
        Blocked::Untimely(untimely)
    }
}

/// The body of a message that crosses.
#[derive(Debug)]
pub(crate) enum Crossed {
    /// As it came.
    AsIs,
    /// Rewritten. The buffer is a scratch of the core: give it back.
    Edited(Vec<u8>),
    /// Not at all: it cannot be read, and it is too late to refuse its message.
    Withheld,
}

impl Crossed {
    /// The body to print.
    pub(crate) fn of<'a>(&'a self, message: &Message<'a>) -> &'a [u8] {
        match self {
            Crossed::AsIs => message.body(),
            Crossed::Edited(text) => text,
            Crossed::Withheld => b"",
        }
    }

    pub(crate) fn give_back(self, core: &mut Core) {
        if let Crossed::Edited(text) = self {
            core.return_scratch(text);
        }
    }
}

impl From<Side> for End {
    fn from(side: Side) -> End {
        match side {
            Side::Caller => End::Caller,
            Side::Callee => End::Callee,
        }
    }
}

/// What a fork of the callee's INVITE answered.
#[derive(Debug)]
struct Fork {
    /// Hash of its To tag.
    tag: u64,
    said: SmallVec<[Option<Described>; 2]>,
}

/// A description on its way: where it comes from and what it is.
#[derive(Clone, Copy)]
struct Crossing<'s, 'a> {
    now: Time,
    from: Side,
    /// Host of the sender's signalling.
    peer: IpAddr,
    session: &'s Session<'a>,
}

/// The media of one steered call.
#[derive(Debug)]
pub(crate) struct Steering {
    owner: u64,
    /// Our tag towards the caller, by which events name the call.
    call: [u8; Token::TAG_BYTES],
    /// The INVITE that made the call.
    invite: ServerId,
    legs: [Leg; 2],
    slots: SmallVec<[Slot; 1]>,
    exchange: Exchange,
    /// The fork whose answer is in force, and what others had said.
    speaking: Option<u64>,
    forks: Vec<Fork>,
    hasher: FixedState,
    over: bool,
}

impl Steering {
    /// Its streams, each with the index of its m= line.
    pub(crate) fn streams(&self) -> Vec<(usize, StreamId)> {
        let slots = self.slots.iter().enumerate();
        slots
            .filter_map(|(line, slot)| Some((line, slot.stream?)))
            .collect()
    }

    /// Of a new call between these two. `named` says that the callee is a name without an address yet.
    pub(crate) fn new(
        core: &mut Core,
        owner: u64,
        tag: &Token,
        invite: ServerId,
        [caller, callee]: [Flow; 2],
        named: bool,
    ) -> Steering {
        let [caller, callee] = [caller, callee].map(|flow| flow.remote.ip());
        let legs = [
            Leg::new(core, caller, Some(caller)),
            Leg::new(core, callee, Some(callee).filter(|_| !named)),
        ];
        Steering {
            owner,
            call: tag.tag_text(),
            invite,
            legs,
            slots: SmallVec::new(),
            exchange: Exchange::default(),
            speaking: None,
            forks: Vec::new(),
            hasher: FixedState::with_seed(core.random.next_u64()),
            over: false,
        }
    }

    fn leg(&self, side: Side) -> &Leg {
        let [caller, callee] = &self.legs;
        match side {
            Side::Caller => caller,
            Side::Callee => callee,
        }
    }

    fn leg_mut(&mut self, side: Side) -> &mut Leg {
        let [caller, callee] = &mut self.legs;
        match side {
            Side::Caller => caller,
            Side::Callee => callee,
        }
    }

    /// The callee's name has this address: its streams have the rule of that from now on. Those of the
    /// INVITE were opened when nobody knew it.
    pub(crate) fn callee_found(&mut self, core: &mut Core, address: IpAddr) {
        let latching = core.peers.of(address).latching;
        self.leg_mut(Side::Callee).latching = latching;
        for stream in self.slots.iter().filter_map(|slot| slot.stream) {
            core.media.set_latching(stream, End::Callee, latching);
        }
    }

    /// The body of `message` as the other leg gets it, and all that it changes. `server` is the
    /// transaction the message is in; of an ACK, that of its INVITE. A response or an ACK is never blocked.
    /// What is not `sent` on now goes through [`Steering::print_again`] before it is.
    pub(crate) fn cross(
        &mut self,
        core: &mut Core,
        now: Time,
        (from, peer): (Side, IpAddr),
        server: ServerId,
        message: &Message<'_>,
        sent: bool,
    ) -> Result<Crossed, Blocked> {
        let kind = message.content_type().unwrap_or_default();
        let places = wire::session_descriptions(kind, message.body());
        let invites = message.is_request() && message.method() == wire::Method::Invite;
        let Some(first) = places.first() else {
            if invites {
                self.exchange.begin_invite(server, false);
            }
            self.passed(core, now, server, message);
            return Ok(Crossed::AsIs);
        };
        let text = message.body().get(first.clone()).unwrap_or_default();
        let Ok(session) = Session::parse(text) else {
            if can_be_refused(message) {
                return Err(Blocked::Unreadable);
            }
            self.passed(core, now, server, message);
            return Ok(Crossed::Withheld);
        };
        let crossing = Crossing {
            now,
            from,
            peer,
            session: &session,
        };
        let role = self.play(core, crossing, server, message)?;
        if invites {
            self.exchange.begin_invite(server, true);
        }
        let printed = if sent { role } else { Role::Neither };
        let body = message.body();
        let out = self.print_body(core, from.other(), body, &places, &session, printed);
        self.passed(core, now, server, message);
        Ok(Crossed::Edited(out))
    }

    /// A description of this side that crosses to nobody: what it says is in force.
    pub(crate) fn take(
        &mut self,
        core: &mut Core,
        now: Time,
        (from, peer): (Side, IpAddr),
        message: &Message<'_>,
    ) {
        let Some(Ok(session)) = message.session_description().map(Session::parse) else {
            return;
        };
        if !self.over {
            let session = &session;
            let crossing = Crossing {
                now,
                from,
                peer,
                session,
            };
            self.answer(core, crossing, false);
        }
    }

    /// Does what the description asks for.
    fn play(
        &mut self,
        core: &mut Core,
        crossing: Crossing<'_, '_>,
        server: ServerId,
        message: &Message<'_>,
    ) -> Result<Role, Blocked> {
        let fork = self.fork_of(message);
        let text = self.hasher.hash_one(crossing.session.bytes());
        let role = self
            .exchange
            .role(crossing.from, server, message, (fork, text))?;
        if self.over {
            return Ok(Role::Neither);
        }
        let response = !message.is_request();
        let speaks = response && server == self.invite;
        if speaks && matches!(role, Role::Offer | Role::Answer | Role::Again) {
            self.speak(fork);
        }
        match role {
            Role::Offer => {
                self.offer(core, crossing, can_be_refused(message))?;
                self.exchange.offered(crossing.from, server, response);
            }
            Role::Answer | Role::Again => {
                self.answer(core, crossing, role == Role::Answer);
                if !(speaks && message.code() < 200) {
                    self.close_refused(core, crossing.now);
                }
            }
            Role::Repeat | Role::Neither => {}
        }
        if response && role != Role::Neither {
            self.exchange.note_response(server, (fork, text));
        }
        Ok(role)
    }

    /// Names the fork a response comes from.
    fn fork_of(&self, message: &Message<'_>) -> u64 {
        self.hasher.hash_one(message.to_tag().unwrap_or_default())
    }

    /// What follows from the message itself, once its description has done its part.
    fn passed(&mut self, core: &mut Core, now: Time, server: ServerId, message: &Message<'_>) {
        if message.is_request() {
            // RFC 3264: an offer in a 2xx that the ACK leaves without an answer is none.
            if message.method() == wire::Method::Ack && self.exchange.waits_on(server, true) {
                self.failed(core, now, server);
            }
            return;
        }
        match message.code() {
            ..200 => {}
            200..300 => {
                if self.exchange.waits_on(server, false) {
                    self.failed(core, now, server);
                }
                if server == self.invite && !self.exchange.waits(server) {
                    if !message.has_sdp() {
                        self.speak_again(core, now, self.fork_of(message));
                    }
                    self.forks = Vec::new();
                    self.close_refused(core, now);
                    // A party that sent nothing while it rang begins now, whenever its answer was given.
                    for stream in self.slots.iter().filter_map(|slot| slot.stream) {
                        core.media.listen_anew(now, stream);
                    }
                }
            }
            _ => self.failed(core, now, server),
        }
    }

    /// The transaction failed. Was its offer not answered, everything stays as it was before
    /// (RFC 3264 8, RFC 3261 14.1).
    pub(crate) fn failed(&mut self, core: &mut Core, now: Time, server: ServerId) {
        if self.exchange.waits(server) {
            self.exchange.settled();
            self.retract(core, now);
        }
    }

    /// The call is over: its streams end and their ports are free.
    pub(crate) fn end(&mut self, core: &mut Core, now: Time) {
        self.over = true;
        for line in 0..self.slots.len() {
            self.close(core, now, line);
        }
    }
}

/// A response and an ACK cannot be answered.
fn can_be_refused(message: &Message<'_>) -> bool {
    message.is_request() && message.method() != wire::Method::Ack
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steered_call_of_one_stream_stays_small() {
        let bytes = size_of::<Steering>();
        assert!(bytes <= 768, "{bytes}");
    }
}
