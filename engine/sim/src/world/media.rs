//! Packets of media in the world: from the parties to the router's ports and back, through translators
//! and the network, and those of the stranger.

use std::net::SocketAddr;

use shard::Input;
use stack::Flow;

use super::{Arrival, World, intruder, ports};
use crate::agent::Description;
use crate::packet::{Form, Mark, Packet, print};
use crate::tape::Peer;

/// Sources that the stranger uses.
const STRANGE_SOURCE: u32 = 0x5000_0000;

impl World<'_> {
    /// The packets of an agent leave.
    pub(super) fn post_packets(&mut self, agent: usize) {
        for post in self.agents[agent].take_packets() {
            let from = self.parties.leave(&self.agents[agent], post.from, post.to);
            let Some((shard, listener)) = ports::socket(self.plan, post.to) else {
                self.find("targets", format!("an agent sends media to {}", post.to));
                continue;
            };
            let flow = Flow {
                listener,
                remote: from,
            };
            for at in self.network.arrivals(self.now, from, post.to, &post.bytes) {
                let (bytes, forged) = (post.bytes.clone(), false);
                let arrival = Arrival::Packet {
                    shard,
                    flow,
                    bytes,
                    forged,
                };
                self.agenda.plan(at, arrival);
            }
        }
    }

    /// A packet comes to one of the router's ports.
    pub(super) fn receive_packet(&mut self, shard: usize, flow: Flow, bytes: &[u8], forged: bool) {
        if let Some(mut packet) = self.packet(true, shard, flow, bytes) {
            packet.forged = forged;
            self.packets.push(packet);
        }
        self.apply(shard, Input::Datagram { flow, bytes });
    }

    fn packet(&self, inbound: bool, shard: usize, flow: Flow, bytes: &[u8]) -> Option<Packet> {
        let ours = ports::address(self.plan, shard, flow.listener)?;
        let mut packet = Packet::new(self.now, inbound, [ours, flow.remote], bytes);
        packet.peer = match self.parties.at(flow.remote) {
            Some(at) => Peer::Agent(self.agents[at].identity.id),
            None if flow.remote.ip() == intruder::address().ip() => Peer::Stranger,
            None => Peer::Nobody,
        };
        Some(packet)
    }

    /// A packet leaves the router.
    pub(super) fn send_packet(&mut self, shard: usize, flow: Flow, bytes: &[u8]) {
        let Some(packet) = self.packet(false, shard, flow, bytes) else {
            return self.find("form", format!("a packet leaves by no port: {flow:?}"));
        };
        let (from, to) = (packet.ours, packet.remote);
        self.packets.push(packet);
        let Some(agent) = self.parties.at(to) else {
            return;
        };
        if self.parties.lets_in(&self.agents[agent], from, to) {
            for at in self.network.arrivals(self.now, from, to, bytes) {
                self.agenda.plan(at, Arrival::Heard { agent });
            }
        }
    }

    /// The stranger sends a packet to a port that was named to somebody, or to any.
    pub(super) fn spoof(&mut self) {
        let named = self.named_port().filter(|_| self.draw.chance(80));
        let any = ports::nth(self.plan, self.draw.bits() >> 8);
        let Some(mut to) = named.or(any) else { return };
        let form = match self.draw.between(0, 4) {
            0 => Form::Udptl,
            1 => Form::Rtcp,
            _ => Form::Rtp,
        };
        if form == Form::Rtcp && to.port() % 2 == 0 && self.draw.chance(80) {
            to.set_port(to.port() + 1);
        }
        let forged = self.plan.media.as_ref().is_some_and(|media| media.forged);
        let stolen = self.stolen_address(to).filter(|_| forged);
        let stolen = stolen.filter(|_| self.draw.chance(50));
        self.send_spoofed(to, form, stolen);
    }

    fn send_spoofed(&mut self, to: SocketAddr, form: Form, stolen: Option<SocketAddr>) {
        let Some((shard, listener)) = ports::socket(self.plan, to) else {
            return;
        };
        self.spoofed += 1;
        let mark = Mark {
            author: None,
            dialog: 0,
            line: 0,
            serial: self.spoofed,
        };
        let bytes = print(form, STRANGE_SOURCE + self.spoofed, &mark);
        let flow = Flow {
            listener,
            remote: stolen.unwrap_or(intruder::address()),
        };
        let forged = stolen.is_some();
        let arrival = Arrival::Packet {
            shard,
            flow,
            bytes,
            forged,
        };
        self.agenda.plan(self.now, arrival);
    }

    /// A port in a description that the router gave somebody: rather a new one.
    fn named_port(&mut self) -> Option<SocketAddr> {
        let sent = self
            .tape
            .iter()
            .rev()
            .filter_map(|crossing| crossing.sent());
        let bodies = sent.filter(|(_, heard)| heard.sdp).take(8);
        let read = bodies.filter_map(|(_, heard)| Description::read(&heard.body));
        let lines: Vec<SocketAddr> = read
            .flat_map(|said| said.lines)
            .filter_map(|line| line.address())
            .collect();
        (!lines.is_empty()).then(|| self.draw.pick(&lines))
    }

    /// Where packets to this port came from last.
    fn stolen_address(&self, to: SocketAddr) -> Option<SocketAddr> {
        let mut inbound = self.packets.iter().rev().filter(|packet| packet.inbound);
        let last = inbound.find(|packet| packet.ours == to && packet.agent().is_some());
        last.map(|packet| packet.remote)
    }
}
