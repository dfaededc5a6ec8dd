//! Nobody gets into a stream but its party, save within the window before that party's first packet
//! where the route of a stream may be learned from packets; and nothing goes anywhere but to what was
//! signalled or learned.

use std::collections::HashMap;
use std::net::SocketAddr;

use ::media::Latching;
use stack::Time;

use super::{Finding, Index, Said, WINDOW, find, is_media};
use crate::agent::AgentId;
use crate::packet::Packet;
use crate::plan::Flow;
use crate::world::ports::outside;

pub(super) fn check(index: &Index<'_>, findings: &mut Vec<Finding>) {
    let mut first: HashMap<(SocketAddr, SocketAddr), &Packet> = HashMap::new();
    for packet in index.evidence.packets {
        if packet.inbound {
            first.entry((packet.ours, packet.remote)).or_insert(packet);
        } else if let Some(what) = fault(index, packet, &first) {
            findings.push(find(packet, "intruders", what));
        }
    }
}

type First<'a> = HashMap<(SocketAddr, SocketAddr), &'a Packet>;

fn fault(index: &Index<'_>, left: &Packet, first: &First<'_>) -> Option<&'static str> {
    let learned = first.get(&(left.ours, left.remote));
    let party = left.agent();
    if let Some(origin) = index.origin(left)
        && let Some(to) = party
        && left.author().is_none_or(|author| author.call != to.call)
        && !origin.forged
        && !may_move(index, Some(index.listener(to)), origin, left.at)
    {
        return Some("an intruder is heard");
    }
    let signalled = party.is_some_and(|party| is_signalled(index, party, left));
    if signalled {
        return None;
    }
    let owner = left.author().map(|author| index.listener(author));
    match learned {
        None => Some("it goes to where nobody said or sent anything"),
        Some(origin) if origin.agent().is_some() => None,
        Some(origin) if may_move(index, owner, origin, left.at) => None,
        Some(_) => Some("an intruder hears it"),
    }
}

/// Whether the party has named this address of its own before.
fn is_signalled(index: &Index<'_>, party: AgentId, left: &Packet) -> bool {
    let said = index.said.iter().filter(|said| said.from == party);
    let before = said.take_while(|said| said.at <= left.at);
    before.into_iter().any(|said| said.names(left.remote))
}

/// Whether the packets of this stranger could move the stream of a port, in the window and before the
/// first packet of the port's party.
fn may_move(index: &Index<'_>, owner: Option<AgentId>, stranger: &Packet, until: Time) -> bool {
    let arrived = index.arrived(stranger.ours);
    let strange = arrived
        .iter()
        .filter(|packet| packet.remote == stranger.remote);
    strange
        .take_while(|packet| packet.at <= until)
        .any(|packet| moves_at(index, owner, packet))
        || stranger.ours.port() % 2 == 1 && follows(index, owner, stranger, until)
}

/// RTCP on a port of its own may follow to the host to which its RTP was moved.
fn follows(index: &Index<'_>, owner: Option<AgentId>, control: &Packet, until: Time) -> bool {
    let mut rtp = control.ours;
    rtp.set_port(rtp.port() & !1);
    let mut arrived = index.arrived(rtp).iter();
    arrived.any(|packet| {
        let same = packet.remote.ip() == control.remote.ip();
        same && packet.at <= until && moves_at(index, owner, packet)
    })
}

/// Whether this very packet could.
fn moves_at(index: &Index<'_>, owner: Option<AgentId>, stranger: &Packet) -> bool {
    // On a port for RTP everything is taken for RTP, RTCP included where that was not agreed on.
    if !is_media(stranger.form) && stranger.ours.port() % 2 == 1 {
        return false;
    }
    // Without a packet of the party nobody can tell whose port it is: the window alone counts.
    let Some(party) = owner.or_else(|| party_of(index, stranger)) else {
        return true;
    };
    let rule = index.talk_plan(party).map(|plan| plan.latching);
    let spoken = |said: &&Said| said.from.call == party.call && said.at <= stranger.at;
    let window = index
        .said
        .iter()
        .filter(spoken)
        .any(|said| stranger.at < said.at + WINDOW);
    let unlatched = !is_latched(index, party, stranger);
    match rule {
        Some(Latching::Latch) => window && unlatched,
        Some(Latching::LatchSameHost) | Some(Latching::Strict) | None => false,
    }
}

/// Whether the party's own packets had claimed the port already, from where it last said they come.
fn is_latched(index: &Index<'_>, party: AgentId, stranger: &Packet) -> bool {
    let Some(plan) = index.talk_plan(party) else {
        return false;
    };
    let said = index.said.iter().filter(|said| said.from == party);
    let newest = said.take_while(|said| said.at <= stranger.at).last();
    let Some(newest) = newest else { return false };
    let named: Vec<SocketAddr> = newest
        .what
        .lines
        .iter()
        .filter_map(|line| line.address())
        .map(|inside| outside(party, plan.nat, inside))
        .collect();
    let arrived = index.arrived(stranger.ours).iter();
    let before = arrived.take_while(|packet| packet.at < stranger.at);
    before.into_iter().any(|packet| {
        let own = packet.author() == Some(party) && is_media(packet.form);
        own && named.contains(&packet.remote) && index.was_taken(packet)
    })
}

/// Whose port this is, when nobody but the stranger is echoed there: that of the party that was echoed
/// last, or will be next.
fn party_of(index: &Index<'_>, stranger: &Packet) -> Option<AgentId> {
    let arrived = index.arrived(stranger.ours);
    let (before, after) =
        arrived.split_at(arrived.partition_point(|packet| packet.at < stranger.at));
    let owns = |packet: &&&Packet| {
        let echoed = packet
            .author()
            .is_some_and(|id| index.flow(id.call) == Flow::Echo);
        echoed && packet.author() == packet.agent() && index.was_taken(packet)
    };
    let last = before
        .iter()
        .rfind(owns)
        .or_else(|| after.iter().find(owns));
    last.and_then(|packet| packet.author())
}
