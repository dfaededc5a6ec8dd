//! `steerMedia`: the media of a call through the router. What lives here: who has offered what
//! (`exchange`), the m= lines and their streams (`slot`), the descriptions as the other leg gets them
//! (`body`). What may not live here: packets, which are the business of the media room, and the
//! messages, which are the call's.
//!
//! Every body that crosses a steered call goes through [`Steering::cross`].

mod body;
mod exchange;
mod slot;

use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;

use foldhash::fast::FixedState;
use media::{End, Family, Latching, Terms};
use smallvec::SmallVec;
use stack::{Flow, ServerId, Time, Token};
use wire::Message;
use wire::sdp::Session;

pub use body::{WITHHELD_ATTRIBUTES, WithheldAttribute};
pub(crate) use exchange::{Role, Untimely};

use crate::config::{Event, MediaEnded};
use crate::core::{Core, Side};
use body::{Identity, Shown};
use exchange::Exchange;
use slot::{Described, Slot, is_steered};

/// Streams of one call. A conference with audio, video, slides and their spares has six; a call that
/// could ask for thousands would empty the pool of ports alone.
const LINES_MAX: usize = 16;
/// Answers of other forks remembered, as many as there are early dialogs.
const FORKS_MAX: usize = 16;
/// Events kept for a surrounding that does not ask; what became of further streams is not told.
const EVENTS_MAX: usize = 4096;

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

/// What the router is on one leg, as its descriptions tell.
#[derive(Debug)]
struct Leg {
    family: Family,
    latching: Latching,
    identity: Identity,
    /// Hash of the last description printed there.
    printed: Option<u64>,
}

impl Leg {
    fn new(core: &mut Core, peer: IpAddr) -> Leg {
        let peer = peer.to_canonical();
        let family = Family::of(peer);
        let other = match family {
            Family::V4 => Family::V6,
            Family::V6 => Family::V4,
        };
        let family = if core.media.serves(family) || !core.media.serves(other) {
            family
        } else {
            other
        };
        Leg {
            family,
            latching: core.peers.latching(peer),
            identity: Identity {
                // RFC 8866 5.2 wants digits; 63 bits, because some read a signed number.
                session_id: core.random.next_u64() >> 1,
                version: 1,
                address: None,
                family,
            },
            printed: None,
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
    /// When something last crossed.
    seen: Time,
    over: bool,
}

impl Steering {
    /// Of a new call, between these two.
    pub(crate) fn new(
        core: &mut Core,
        now: Time,
        owner: u64,
        tag: &Token,
        invite: ServerId,
        [caller, callee]: [Flow; 2],
    ) -> Steering {
        let legs = [caller, callee].map(|flow| Leg::new(core, flow.remote.ip()));
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
            seen: now,
            over: false,
        }
    }

    /// The body of `message` as the other leg gets it, and all that it changes. `server` is the
    /// transaction the message is in; of an ACK, that of its INVITE. A response or an ACK is never blocked.
    pub(crate) fn cross(
        &mut self,
        core: &mut Core,
        now: Time,
        (from, peer): (Side, IpAddr),
        server: ServerId,
        message: &Message<'_>,
    ) -> Result<Crossed, Blocked> {
        self.seen = now;
        let kind = message.content_type().unwrap_or_default();
        let places = wire::session_descriptions(kind, message.body());
        let invites = message.is_request() && message.method() == wire::Method::Invite;
        let Some((first, others)) = places.split_first() else {
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
        let mut out = core.scratch();
        out.extend_from_slice(message.body().get(..first.start).unwrap_or_default());
        self.print(core, from.other(), &session, role, &mut out);
        let mut at = first.end;
        for other in others {
            // A second description, an early session of RFC 3959 perhaps, has no ports here.
            out.extend_from_slice(message.body().get(at..other.start).unwrap_or_default());
            let text = message.body().get(other.clone()).unwrap_or_default();
            self.print_closed(core, from.other(), text, &mut out);
            at = other.end;
        }
        out.extend_from_slice(message.body().get(at..).unwrap_or_default());
        self.passed(core, now, server, message);
        Ok(Crossed::Edited(out))
    }

    /// Does what the description asks for.
    fn play(
        &mut self,
        core: &mut Core,
        crossing: Crossing<'_, '_>,
        server: ServerId,
        message: &Message<'_>,
    ) -> Result<Role, Blocked> {
        let tag = message.to_tag().unwrap_or_default();
        let text = self.hash(&[tag, crossing.session.bytes()]);
        let role = self.exchange.role(crossing.from, server, message, text)?;
        if self.over {
            return Ok(Role::Neither);
        }
        let response = !message.is_request();
        let speaks = response && server == self.invite;
        match role {
            Role::Offer => {
                self.offer(core, crossing, can_be_refused(message))?;
                self.exchange.offered(crossing.from, server, response);
            }
            Role::Answer | Role::Again => {
                if speaks {
                    self.speak(self.hash(&[tag]));
                }
                self.answer(core, crossing, role == Role::Answer);
                if !(speaks && message.code() < 200) {
                    self.close_refused(core, crossing.now);
                }
            }
            Role::Repeat | Role::Neither => {}
        }
        if response && role != Role::Neither {
            self.exchange.note_response(server, text);
        }
        Ok(role)
    }

    fn hash(&self, pieces: &[&[u8]]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        for piece in pieces {
            hasher.write(piece);
            hasher.write_usize(piece.len());
        }
        hasher.finish()
    }

    /// Opens what the offer has that is not open yet. All of it, or nothing when `refusable`; else
    /// what finds no ports is shown as port 0.
    fn offer(
        &mut self,
        core: &mut Core,
        crossing: Crossing<'_, '_>,
        refusable: bool,
    ) -> Result<(), Blocked> {
        let sections = crossing.session.media();
        let wanted = sections.iter().filter(|media| is_steered(&media.media));
        if refusable && sections.len() > LINES_MAX && wanted.count() > 0 {
            return Err(Blocked::TooMany);
        }
        let lines = sections.len().min(LINES_MAX).max(self.slots.len());
        self.slots.resize_with(lines, Slot::default);
        for line in 0..lines {
            let described = sections
                .get(line)
                .map(|section| Described::read(section, crossing.peer));
            self.slots[line].proposed = Some(described.unwrap_or_default());
            let opened = self.open(core, crossing.now, crossing.from, line);
            if let Err(blocked) = opened
                && refusable
            {
                self.retract(core, crossing.now);
                return Err(blocked);
            }
        }
        let end = End::from(crossing.from);
        for slot in &mut self.slots {
            // A later offer moves nothing before it is answered (RFC 3264 8.3.1); of a new stream
            // there is nothing to move.
            if slot.fresh {
                slot.say(end, slot.proposed.clone());
                slot.apply(&mut core.media, crossing.now);
            }
        }
        Ok(())
    }

    fn open(&mut self, core: &mut Core, now: Time, from: Side, line: usize) -> Result<(), Blocked> {
        let slot = &mut self.slots[line];
        let Some(described) = slot.proposed.as_ref().filter(|described| described.open) else {
            return Ok(());
        };
        if slot.stream.is_some() {
            return Ok(());
        }
        let kind = described.kind();
        let mut families = [self.legs[0].family, self.legs[1].family];
        if let Some(family) = described
            .family()
            .filter(|&family| core.media.serves(family))
        {
            families[from as usize] = family;
        }
        let terms = Terms {
            owner: self.owner,
            kind,
            families,
            latching: [self.legs[0].latching, self.legs[1].latching],
        };
        let Some(stream) = core.media.open(now, terms) else {
            return Err(no_ports(core));
        };
        slot.opened(stream, kind);
        Ok(())
    }

    /// The other side's answer: what was offered is in force, or is not wanted. `completes` says that it
    /// is the answer of the pending offer, and not one of another fork.
    fn answer(&mut self, core: &mut Core, crossing: Crossing<'_, '_>, completes: bool) {
        let answerer = End::from(crossing.from);
        for (line, slot) in self.slots.iter_mut().enumerate() {
            let section = crossing.session.media().get(line);
            let said = section.map(|section| Described::read(section, crossing.peer));
            let said = said.unwrap_or_default();
            if completes {
                slot.agree(answerer.other(), said);
            } else {
                slot.say(answerer, Some(said));
                slot.weigh();
            }
            slot.apply(&mut core.media, crossing.now);
        }
        if completes {
            self.exchange.settled();
        }
    }

    /// This fork's answer is in force from now on; that of the one before is remembered.
    fn speak(&mut self, tag: u64) {
        let before = self.speaking.replace(tag);
        let Some(before) = before.filter(|&before| before != tag) else {
            return;
        };
        self.forks.retain(|fork| fork.tag != before);
        if self.forks.len() < FORKS_MAX {
            let said = self
                .slots
                .iter()
                .map(|slot| slot.said(End::Callee).cloned());
            let said = said.collect();
            self.forks.push(Fork { tag: before, said });
        }
    }

    /// A 2xx without a description is of a fork that has answered before: that answer counts.
    fn speak_again(&mut self, core: &mut Core, now: Time, tag: u64) {
        let Some(at) = self.forks.iter().position(|fork| fork.tag == tag) else {
            return;
        };
        let fork = self.forks.swap_remove(at);
        self.speaking = Some(tag);
        for (slot, said) in self.slots.iter_mut().zip(fork.said) {
            slot.say(End::Callee, said);
            slot.weigh();
            slot.apply(&mut core.media, now);
        }
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
                        let tag = self.hash(&[message.to_tag().unwrap_or_default()]);
                        self.speak_again(core, now, tag);
                    }
                    self.forks = Vec::new();
                    self.close_refused(core, now);
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

    fn retract(&mut self, core: &mut Core, now: Time) {
        for line in 0..self.slots.len() {
            self.slots[line].proposed = None;
            if self.slots[line].fresh {
                self.close(core, now, line);
            }
        }
    }

    fn close_refused(&mut self, core: &mut Core, now: Time) {
        for line in 0..self.slots.len() {
            if self.slots[line].refused {
                self.close(core, now, line);
            }
        }
    }

    /// Closes the stream of a line and tells what became of it.
    fn close(&mut self, core: &mut Core, now: Time, line: usize) {
        let slot = std::mem::take(&mut self.slots[line]);
        let Some(stream) = slot.stream else { return };
        if let Some(summary) = core.media.close(now, stream)
            && core.events.len() < EVENTS_MAX
        {
            let call = String::from_utf8_lossy(&self.call).into_owned();
            core.events
                .push_back(Event::MediaEnded(Box::new(MediaEnded {
                    call,
                    line,
                    summary,
                })));
        }
    }

    /// The call is over: its streams end and their ports are free.
    pub(crate) fn end(&mut self, core: &mut Core, now: Time) {
        self.over = true;
        for line in 0..self.slots.len() {
            self.close(core, now, line);
        }
    }

    /// The same when nobody knows the time: that of the last message.
    pub(crate) fn end_unseen(&mut self, core: &mut Core) {
        self.end(core, self.seen);
    }

    fn print(
        &mut self,
        core: &mut Core,
        to: Side,
        session: &Session<'_>,
        role: Role,
        out: &mut Vec<u8>,
    ) {
        let shown = self.shown(core, to, session);
        let mut edits = std::mem::take(&mut core.edits);
        let ours = |shown: &Shown| match shown {
            Shown::Ours(local) => Some(local.address),
            Shown::Theirs | Shown::Closed => None,
        };
        let identity = &mut self.legs[to as usize].identity;
        identity.address = shown.iter().find_map(ours).or(identity.address);
        let start = out.len();
        let mut print = |identity: &Identity, out: &mut Vec<u8>| {
            out.truncate(start);
            edits.clear();
            body::edit(&mut edits, session, &shown, identity);
            edits.print(session.bytes(), out);
        };
        print(identity, out);
        let text = |out: &[u8]| self.hasher.hash_one(out.get(start..));
        let leg = &mut self.legs[to as usize];
        if role != Role::Neither {
            // RFC 3264 8: the version rises with every change, by one, and with nothing else.
            if leg.printed.is_some_and(|printed| printed != text(out)) {
                leg.identity.version += 1;
                print(&leg.identity, out);
            }
            leg.printed = Some(text(out));
        }
        core.edits = edits;
    }

    /// A description that is not the call's: no line of it is open. One that cannot be read is left out.
    fn print_closed(&self, core: &mut Core, to: Side, text: &[u8], out: &mut Vec<u8>) {
        let Ok(session) = Session::parse(text) else {
            return;
        };
        let shown: SmallVec<[Shown; 8]> = session.media().iter().map(|_| Shown::Closed).collect();
        core.edits.clear();
        body::edit(
            &mut core.edits,
            &session,
            &shown,
            &self.legs[to as usize].identity,
        );
        core.edits.print(text, out);
    }

    fn shown(&self, core: &Core, to: Side, session: &Session<'_>) -> SmallVec<[Shown; 8]> {
        let show = |(line, section): (usize, &wire::sdp::Media<'_>)| {
            if section.media.port == 0 {
                return Shown::Closed;
            }
            if !is_steered(&section.media) {
                return Shown::Theirs;
            }
            let stream = self.slots.get(line).and_then(|slot| slot.stream);
            let local = stream.and_then(|stream| core.media.local(stream, to.into()));
            local.map_or(Shown::Closed, Shown::Ours)
        };
        session.media().iter().enumerate().map(show).collect()
    }
}

/// A response and an ACK cannot be answered.
fn can_be_refused(message: &Message<'_>) -> bool {
    message.is_request() && message.method() != wire::Method::Ack
}

/// There is no pair of ports for a stream: none at all, or none free.
fn no_ports(core: &mut Core) -> Blocked {
    let pairs = usize::try_from(core.media.counters().pairs).unwrap_or(usize::MAX);
    if pairs == 0 {
        return Blocked::NotConfigured;
    }
    core.limit_reached("media.ports", pairs);
    Blocked::NoPorts
}
