//! Packets flow if and only if both parties agreed: while they do, what one sends and the other wants
//! arrives there once, from the port that was named; what the other does not want, does not; and
//! after the end nothing flows. An echo is heard by who speaks.

use std::net::SocketAddr;

use ::media::Latching;
use stack::Time;

use super::{Finding, Index, WINDOW, find, is_media};
use crate::agent::{AgentId, Line, Side, Sort, View};
use crate::packet::{Form, Packet};
use crate::plan::{Flow, TalkPlan};
use crate::world::ports::outside;

pub(super) fn check(index: &Index<'_>, findings: &mut Vec<Finding>) {
    for packet in index.evidence.packets {
        let what = if packet.inbound {
            arrival_fault(index, packet)
        } else {
            departure_fault(index, packet)
        };
        if let Some(what) = what {
            findings.push(find(packet, "streams", what));
        }
    }
}

/// A stream that two parties, or a party and the echo, agree on.
struct Stream<'a> {
    speaker: AgentId,
    plan: &'a TalkPlan,
    /// The line as each says it, and the router's words to each.
    own: &'a Line,
    own_ours: &'a Line,
    heard: &'a Line,
    heard_ours: &'a Line,
    /// When the router had both sides' words.
    agreed: Time,
}

impl<'a> Stream<'a> {
    /// The stream that a packet belongs to, if it is agreed on in that moment.
    fn of(index: &Index<'a>, packet: &Packet) -> Option<Stream<'a>> {
        let mark = packet.mark?;
        let speaker = mark.author?;
        let (dialog, line) = (usize::from(mark.dialog), usize::from(mark.line));
        let own = index.view(speaker, dialog, packet.at)?;
        let echo = index.flow(speaker.call) == Flow::Echo;
        let partner = match echo {
            true => own,
            false => index.partner(speaker, own, packet.at)?,
        };
        let callee = match speaker.side {
            Side::Callee => dialog,
            Side::Caller => partner.dialog,
        };
        let tag = index.callee_tag(speaker.call, callee);
        if !echo && index.is_forking(speaker.call, packet.at) {
            return None;
        }
        if index.is_over(speaker.call, tag.filter(|_| !echo), packet.at) {
            return None;
        }
        let said = |view: &'a View| view.local.as_deref()?.lines.get(line);
        let named = |view: &'a View| view.remote.as_deref()?.lines.get(line);
        let first = |id: AgentId, view: &View| {
            index
                .first_said(id, &view.local.as_deref()?.id)
                .filter(|first| *first < packet.at)
        };
        let since = first(speaker, own)?;
        let other = if echo {
            since
        } else {
            first(index.listener(speaker), partner)?
        };
        if echo && index.evidence.is_unacknowledged(speaker, packet.at) {
            return None;
        }
        Some(Stream {
            speaker,
            plan: index.talk_plan(speaker)?,
            own: said(own)?,
            own_ours: named(own)?,
            heard: said(partner)?,
            heard_ours: named(partner)?,
            agreed: since.max(other),
        })
    }

    fn is_open(&self) -> bool {
        let lines = [self.own, self.own_ours, self.heard, self.heard_ours];
        lines
            .iter()
            .all(|line| line.is_open() && line.sort == self.own.sort)
    }

    /// Whether the packet came from and to where this stream says.
    fn owns(&self, packet: &Packet) -> bool {
        let (own, ours) = ends(self.own, self.own_ours, packet.form);
        let fits = match packet.form {
            Form::Udptl => self.own.sort == Sort::Fax,
            Form::Rtp | Form::Rtcp => self.own.sort != Sort::Fax,
        };
        let from = own.map(|own| outside(self.speaker, self.plan.nat, own));
        fits && from == Some(packet.remote) && ours == Some(packet.ours)
    }

    /// Whether who listens wants such packets.
    fn wants(&self, form: Form) -> bool {
        match form {
            Form::Rtp | Form::Udptl => self.heard.takes(),
            Form::Rtcp => self.heard.address().is_some(),
        }
    }
}

/// Where packets of this form come from on this side, and where they go to at the router.
fn ends(own: &Line, ours: &Line, form: Form) -> (Option<SocketAddr>, Option<SocketAddr>) {
    match form {
        Form::Rtp | Form::Udptl => (own.address(), ours.address()),
        Form::Rtcp => {
            let both = own.mux && ours.mux;
            (own.control(both), ours.control(both))
        }
    }
}

fn arrival_fault(index: &Index<'_>, packet: &Packet) -> Option<&'static str> {
    if packet.forged || packet.agent() != packet.author() {
        return None;
    }
    let stream = Stream::of(index, packet)?;
    if !stream.is_open() || !stream.owns(packet) {
        return None;
    }
    let echo = index.flow(stream.speaker.call) == Flow::Echo;
    let left = left_with(index, packet);
    let copies = copies(index, packet);
    if echo && packet.form == Form::Rtcp {
        return (!left.is_empty()).then_some("RTCP was echoed");
    }
    let admitted = admission(index, &stream, packet)?;
    if !admitted || !stream.wants(packet.form) {
        return (!left.is_empty()).then_some("it went on, though nobody wanted it");
    }
    if left.len() < copies {
        return Some("it did not arrive at the other party");
    }
    if left.len() > copies {
        return Some("it was sent on more than once");
    }
    left.iter()
        .find_map(|left| misled(index, &stream, packet, left))
}

/// What is wrong with where a packet went.
fn misled(
    index: &Index<'_>,
    stream: &Stream<'_>,
    packet: &Packet,
    left: &Packet,
) -> Option<&'static str> {
    let listener = index.listener(stream.speaker);
    let (inside, ours) = ends(stream.heard, stream.heard_ours, packet.form);
    let inside = inside?;
    let nat = index.talk_plan(listener)?.nat;
    let there = [inside, outside(listener, nat, inside)];
    // Behind a translator a late packet from a port left behind may be taken for the new one.
    let behind = nat.is_some() && index.has_been_at(listener, left.remote);
    let known = there.contains(&left.remote) || behind || index.has_intruders(ours?);
    if !known && index.has_spoken(listener, ours?, there[1], left.at) {
        return Some("it went elsewhere than to the other party's port");
    }
    if Some(left.ours) != ours {
        return Some("it came from another port than the one named");
    }
    let echo = index.flow(stream.speaker.call) == Flow::Echo;
    (echo && left.ssrc == packet.ssrc).then_some("it came back as its sender's own")
}

/// Packets that left in the moment in which this one came.
fn left_with<'a>(index: &Index<'a>, packet: &Packet) -> Vec<&'a Packet> {
    let Some(left) = packet.mark.and_then(|mark| index.left.get(&mark)) else {
        return Vec::new();
    };
    left.iter()
        .filter(|left| left.at == packet.at)
        .copied()
        .collect()
}

/// How often this packet came in this moment.
fn copies(index: &Index<'_>, packet: &Packet) -> usize {
    let arrived = index.arrived(packet.ours);
    let start = arrived.partition_point(|other| other.at < packet.at);
    let now = arrived[start..]
        .iter()
        .take_while(|other| other.at == packet.at);
    now.filter(|other| other.mark == packet.mark).count()
}

/// Whether the router has to take packets of this speaker; `None` when somebody may have been faster,
/// or it spoke too late.
fn admission(index: &Index<'_>, stream: &Stream<'_>, packet: &Packet) -> Option<bool> {
    let inside = ends(stream.own, stream.own_ours, packet.form).0?;
    let translated = inside != packet.remote;
    let moves = match stream.plan.latching {
        Latching::Strict => return Some(!translated),
        Latching::LatchSameHost => packet.remote.ip() == inside.ip(),
        Latching::Latch => true,
    };
    // Packets from the signalled address are taken: it gets its stream back from anybody, within the
    // window. RTCP on the RTP port waits for the RTP that does.
    let apart = Some(packet.ours) != stream.own_ours.address();
    if !translated && (is_media(packet.form) || apart) {
        let late = packet.at >= stream.agreed + WINDOW;
        let since = index.first_named(stream.speaker, inside)?;
        let lost = late && index.intruded(packet.ours, since, packet, stream.plan.latching);
        return (!lost).then_some(true);
    }
    if !moves {
        return Some(false);
    }
    let since = index.first_named(stream.speaker, inside)?;
    if index.intruded(packet.ours, since, packet, stream.plan.latching) {
        return None;
    }
    if !translated {
        return Some(true);
    }
    if packet.form == Form::Rtcp && apart {
        return None;
    }
    let arrived = index.arrived(packet.ours);
    let start = arrived.partition_point(|other| other.at <= stream.agreed);
    let proves = |other: &&&Packet| is_media(other.form) && other.remote == packet.remote;
    let first = arrived[start..].iter().find(proves)?;
    (first.at < stream.agreed + WINDOW && first.at <= packet.at).then_some(true)
}

impl Index<'_> {
    /// Anybody but one branch of a port's party has sent to it.
    fn has_intruders(&self, ours: SocketAddr) -> bool {
        let mut arrived = self.arrived(ours).iter();
        let first = arrived.next().map(|packet| packet.speaker());
        first.is_some_and(|first| first.0.is_none())
            || arrived.any(|packet| first.is_some_and(|first| first != packet.speaker()))
    }

    /// A packet that went on.
    pub(super) fn was_taken(&self, packet: &Packet) -> bool {
        let left = packet.mark.and_then(|mark| self.left.get(&mark));
        left.is_some_and(|left| left.iter().any(|left| left.at == packet.at))
    }

    /// Whether an address is one that a party had named, as seen from outside.
    fn has_been_at(&self, id: AgentId, outside_address: SocketAddr) -> bool {
        let nat = self.talk_plan(id).and_then(|plan| plan.nat);
        let said = self.said.iter().filter(|said| said.from == id);
        let mut lines = said.flat_map(|said| &said.what.lines);
        lines.any(|line| {
            let named = [line.address(), line.control(false)];
            let mut seen = named.into_iter().flatten();
            seen.any(|inside| outside(id, nat, inside) == outside_address)
        })
    }

    /// Whether a party has sent to a port from this address: until then it may be looked for where it
    /// was before.
    fn has_spoken(&self, id: AgentId, ours: SocketAddr, from: SocketAddr, until: Time) -> bool {
        let mut before = self
            .arrived(ours)
            .iter()
            .take_while(|packet| packet.at < until);
        before.any(|packet| packet.author() == Some(id) && packet.remote == from)
    }

    /// Whether anybody else may have moved the stream of this packet since.
    fn intruded(&self, ours: SocketAddr, since: Time, packet: &Packet, rule: Latching) -> bool {
        let arrived = self.arrived(ours).iter();
        let before = arrived.take_while(|other| other.at <= packet.at);
        // One that was taken before the party named its address may have it still.
        let before = before.filter(|other| other.at >= since || self.was_taken(other));
        let mut strange = before.filter(|other| {
            let own = other.speaker() == packet.speaker();
            // Behind a translator nobody can tell a party's own late packets from another's.
            other.remote != packet.remote && (!own || other.at >= since && self.was_taken(other))
        });
        strange.any(|other| match rule {
            Latching::Latch => true,
            Latching::LatchSameHost => other.remote.ip() == packet.remote.ip(),
            Latching::Strict => false,
        })
    }
}

/// A packet that may not have left, whatever came before.
fn departure_fault(index: &Index<'_>, packet: &Packet) -> Option<&'static str> {
    let to = packet.agent()?;
    let Some(author) = packet.author() else {
        let own = packet.mark.is_none();
        let report = packet.form == Form::Rtcp && index.flow(to.call) == Flow::Echo;
        return (own && !report).then_some("the router has nothing of its own to say");
    };
    if author.call != to.call {
        return None;
    }
    if index.listener(author) != to {
        return Some("it went to the wrong party");
    }
    index
        .has_ended(to.call, packet.at)
        .then_some("it flows after the end")
}
