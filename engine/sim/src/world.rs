//! The world of one simulation: shards, agents, the network and the resolver between them, and the loop
//! that lets time pass. Everything that is left to chance is chosen here or in the network; what the
//! router does about it follows from `Shard::apply` alone.

mod furniture;
mod intruder;
mod media;
mod ordeal;
pub(crate) mod ports;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use router::rdb::Table;
use shard::{Applied, Command, Counters, Event, Input, Peers, Resolved, Shard, Word};
use stack::{Flow, Outbox, Time};

use self::furniture::{agents, config, peers, routing_db};
use self::intruder::Intruder;
pub(crate) use self::intruder::OUTSIDE;
use self::ordeal::{Clock, Ordeal};
use self::ports::Parties;
use crate::agent::{Agent, Side};
use crate::check::Finding;
use crate::draw::Draw;
use crate::heard::Heard;
use crate::network::{Agenda, Network, earliest};
use crate::packet::Packet;
use crate::plan::{NamePlan, Order, Plan};
use crate::tape::{Crossing, Peer};

/// The router's addresses.
pub(crate) const LISTENERS: [&str; 3] = ["192.168.7.1:5060", "192.168.7.2:5070", "[fd07::1]:5060"];
/// A run that has not come to rest by then has something that never ends: the longest plans ring for
/// 185 s, talk for half a minute and give up after 32 s, a few times over.
const TIME_MAX: Duration = Duration::from_secs(3_000);
/// A turn of the loop takes a nanosecond of virtual time at least, so this many mean that it is stuck.
const TURNS_MAX: u64 = 2_000_000;
/// What is left when the last datagram has come or gone is over then: timers B, D, F, H, J, L and M take 64*T1
/// (RFC 3261 17). A request that nobody answers leaves for the last time up to T2 before timer F, and its
/// other side waits for J after that (RFC 4320 4.2).
const LINGER_MAX: Duration = Duration::from_secs(37);
/// Longer than anything that befalls the router.
const ORDEAL_MAX: Duration = Duration::from_secs(1_000);
/// How long a name of an agent that is no target takes to be resolved.
const USUAL_NAME: NamePlan = NamePlan {
    takes: Duration::from_millis(50),
    fails: false,
};

/// Something that reaches its place at a time.
#[derive(Debug)]
enum Arrival {
    /// At one of the router's sockets.
    Router { flow: Flow, bytes: Vec<u8> },
    /// In the mailbox of a shard, from another one.
    Mailbox {
        shard: usize,
        flow: Flow,
        bytes: Vec<u8>,
    },
    /// At an agent's socket.
    Agent {
        agent: usize,
        from: SocketAddr,
        bytes: Vec<u8>,
        sender: usize,
    },
    /// A packet at one of the router's ports.
    Packet {
        shard: usize,
        flow: Flow,
        bytes: Vec<u8>,
        forged: bool,
    },
    /// A packet at an agent.
    Heard { agent: usize },
    /// A packet of the stranger leaves.
    Spoof,
    /// An ICMP error at a shard.
    Unreachable { shard: usize, remote: SocketAddr },
    /// The resolver's answer at a shard.
    Resolved { shard: usize, host: String },
    /// An order at every shard.
    Order(Order),
    /// A datagram of the stranger leaves.
    Intrusion,
    /// Something befalls the router.
    Ordeal(Ordeal),
    /// In the mailbox of a shard, from another one's router.
    Word { shard: usize, word: Word },
}

/// All of it.
pub(crate) struct World<'p> {
    plan: &'p Plan,
    now: Time,
    draw: Draw,
    steer_key: u64,
    shards: Vec<Shard>,
    agents: Vec<Agent>,
    addresses: HashMap<SocketAddr, usize>,
    listeners: Vec<SocketAddr>,
    network: Network,
    agenda: Agenda<Arrival>,
    intruder: Intruder,
    outbox: Outbox,
    pub(crate) tape: Vec<Crossing>,
    pub(crate) findings: Vec<Finding>,
    parties: Parties,
    spoofed: u32,
    pub(crate) packets: Vec<Packet>,
    clock: Clock,
    /// Since when all shards have had nothing left to do.
    idle_since: Option<Time>,
    table: Arc<Table>,
}

impl<'p> World<'p> {
    pub(crate) fn new(plan: &'p Plan) -> Result<World<'p>, String> {
        let mut draw = Draw::new(plan.seed);
        let listeners: Vec<SocketAddr> = LISTENERS
            .iter()
            .filter_map(|address| address.parse().ok())
            .collect();
        let table = Table::parse(&routing_db(plan)).map_err(|errors| errors.to_string())?;
        let (table, steer_key) = (Arc::new(table), draw.bits());
        let shards = (0..plan.shards)
            .map(|shard| {
                let config = config(plan, shard, steer_key, draw.bits(), &listeners, &table);
                Shard::new(config, Time::ZERO)
            })
            .collect();
        let agents = agents(plan, &listeners, &mut draw);
        let addresses = agents.iter().enumerate();
        let addresses = addresses
            .map(|(at, agent)| (agent.identity.address, at))
            .collect();
        let network = Network::new(plan.conditions, draw.fork());
        let mut world = World {
            plan,
            parties: Parties::new(&agents),
            clock: Clock::default(),
            idle_since: None,
            table,
            spoofed: 0,
            packets: Vec::new(),
            now: Time::ZERO,
            steer_key,
            shards,
            agents,
            addresses,
            listeners,
            network,
            agenda: Agenda::default(),
            intruder: Intruder::new(draw.fork()),
            draw,
            outbox: Outbox::new(),
            tape: Vec::new(),
            findings: Vec::new(),
        };
        world.plan_ahead();
        Ok(world)
    }

    fn plan_ahead(&mut self) {
        for (after, order) in &self.plan.orders {
            self.agenda
                .plan(Time::ZERO + *after, Arrival::Order(*order));
        }
        for _ in 0..self.plan.intrusions {
            let at = Time::ZERO + self.draw.millis(0, 30_000);
            self.agenda.plan(at, Arrival::Intrusion);
        }
        let spoofs = self.plan.media.as_ref().map_or(0, |media| media.spoofs);
        for _ in 0..spoofs {
            let at = Time::ZERO + self.draw.millis(0, 30_000);
            self.agenda.plan(at, Arrival::Spoof);
        }
        self.plan_ordeals();
    }

    /// The agents and shards as they are at the end.
    pub(crate) fn into_agents(self) -> Vec<Agent> {
        self.agents
    }

    pub(crate) fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// How much virtual time has passed.
    pub(crate) fn now(&self) -> Time {
        self.now
    }

    /// Lets time pass until nothing is left to happen.
    pub(crate) fn run(&mut self) {
        for _ in 0..TURNS_MAX {
            let Some(now) = self.next() else {
                return self.check_rest();
            };
            if now > Time::ZERO + TIME_MAX {
                return self.find("rest", format!("still busy after {TIME_MAX:?}"));
            }
            self.now = self.now.max(now);
            self.turn();
            let idle = self.shards.iter().all(Shard::is_idle);
            self.idle_since = idle.then(|| self.idle_since.unwrap_or(self.now));
            if self.is_deserted() {
                return self.check_rest();
            }
        }
        self.find("rest", "the loop is stuck".to_owned());
    }

    /// After an ordeal a party may never learn that its call is over, and talk to nobody for ever.
    fn is_deserted(&self) -> bool {
        let deserted = |since: Time| self.now > since + ORDEAL_MAX;
        !self.plan.is_fair() && self.idle_since.is_some_and(deserted)
    }

    fn next(&self) -> Option<Time> {
        let shards = self.shards.iter().map(|shard| {
            shard
                .poll_timeout()
                .map(|(due, _)| self.clock.world_time(due))
        });
        let agents = self.agents.iter().map(Agent::next_deadline);
        earliest(shards.chain(agents).chain([self.agenda.next()]))
    }

    fn turn(&mut self) {
        while let Some(arrival) = self.agenda.take_due(self.now) {
            self.arrive(arrival);
        }
        for shard in 0..self.shards.len() {
            self.wake_shard(shard);
        }
        for agent in 0..self.agents.len() {
            if self.agents[agent]
                .next_deadline()
                .is_some_and(|due| due <= self.now)
            {
                self.introduce(agent);
                self.agents[agent].handle_timeout(self.now);
                self.post(agent);
            }
        }
    }

    /// Who is to replace another caller is told of its dialog.
    fn introduce(&mut self, agent: usize) {
        let id = self.agents[agent].identity.id;
        let plan = self.plan.calls.get(id.call);
        let replaced = plan.and_then(|call| call.caller.replaces);
        let replaced = replaced.filter(|_| id.side == Side::Caller);
        let line = replaced.and_then(|call| self.agents.get(call * 2)?.replaces_line());
        if let Some(line) = line {
            self.agents[agent].will_replace(line);
        }
    }

    fn wake_shard(&mut self, shard: usize) {
        let (now, clock) = (self.now, self.clock);
        let due = |shard: &Shard| {
            let due = shard.poll_timeout();
            due.filter(|(due, _)| clock.world_time(*due) <= now)
        };
        if due(&self.shards[shard]).is_none() {
            return;
        }
        self.apply(shard, Input::Timeout);
        if let Some((due, wake)) = due(&self.shards[shard]) {
            let what = format!("shard {shard}: {wake:?} at {due:?} is due after Input::Timeout");
            self.find("timers", what);
            self.now = self.now + Duration::from_millis(1);
        }
    }

    fn arrive(&mut self, arrival: Arrival) {
        let Some(arrival) = self.hold(arrival) else {
            return;
        };
        match arrival {
            Arrival::Router { flow, bytes } => {
                let shard = self.steer(&bytes);
                self.receive(shard, flow, &bytes, false);
            }
            Arrival::Mailbox { shard, flow, bytes } => self.receive(shard, flow, &bytes, true),
            Arrival::Agent {
                agent,
                from,
                bytes,
                sender,
            } => {
                self.reach_agent(agent, from, &bytes, sender);
            }
            Arrival::Packet {
                shard,
                flow,
                bytes,
                forged,
            } => self.receive_packet(shard, flow, &bytes, forged),
            Arrival::Heard { agent } => self.agents[agent].receive_packet(),
            Arrival::Spoof => self.spoof(),
            Arrival::Unreachable { shard, remote } => {
                self.apply(shard, Input::Unreachable { remote });
            }
            Arrival::Resolved { shard, host } => self.resolved(shard, &host),
            Arrival::Order(order) => self.order(order),
            Arrival::Intrusion => self.intrude(),
            Arrival::Ordeal(ordeal) => self.befall(ordeal),
            Arrival::Word { shard, word } if shard < self.shards.len() => {
                self.apply(shard, Input::Command(&Command::FromShard(word)));
            }
            Arrival::Word { shard, .. } => self.find("hand-over", format!("a word for {shard}")),
        }
    }

    /// The kernel's choice: mostly right.
    fn steer(&mut self, bytes: &[u8]) -> usize {
        let count = self.shards.len() as u64;
        let wrong = self.draw.chance(self.plan.misdelivered_percent);
        let owner = Heard::read(bytes).ok().filter(|_| !wrong).map(|heard| {
            let call_id = heard.call_id.as_bytes();
            shard::steer::shard_of(call_id, self.plan.shards, self.steer_key)
        });
        owner.map_or_else(|| self.draw.between(0, count - 1) as usize, usize::from)
    }

    fn receive(&mut self, shard: usize, flow: Flow, bytes: &[u8], handed_over: bool) {
        let entered = self.tape.len();
        self.record(true, shard, flow, bytes);
        match self.apply(shard, Input::Datagram { flow, bytes }) {
            Applied::Done => {}
            Applied::Foreign(owner) => {
                self.tape.truncate(entered);
                let owner = usize::from(owner);
                if handed_over || owner == shard || owner >= self.shards.len() {
                    return self.find("hand-over", format!("shard {shard} hands over to {owner}"));
                }
                let at = self.now + self.draw.millis(0, 2);
                let bytes = bytes.to_vec();
                self.agenda.plan(
                    at,
                    Arrival::Mailbox {
                        shard: owner,
                        flow,
                        bytes,
                    },
                );
            }
        }
    }

    fn reach_agent(&mut self, agent: usize, from: SocketAddr, bytes: &[u8], sender: usize) {
        if self.agents[agent].is_refusing() {
            let remote = self.agents[agent].identity.address;
            let at = self.now + Duration::from_millis(1);
            return self.agenda.plan(
                at,
                Arrival::Unreachable {
                    shard: sender,
                    remote,
                },
            );
        }
        self.agents[agent].receive(self.now, from, bytes);
        self.post(agent);
    }

    fn resolved(&mut self, shard: usize, host: &str) {
        let found = self.find_name(host);
        let address = found
            .filter(|(name, _)| !name.fails)
            .map(|(_, address)| address);
        let addresses: Vec<IpAddr> = address.into_iter().collect();
        let ttl = Duration::from_secs(self.draw.between(0, 20));
        self.apply(
            shard,
            Input::Resolved(Resolved {
                host,
                addresses: &addresses,
                ttl,
            }),
        );
    }

    fn find_name(&self, host: &str) -> Option<(NamePlan, IpAddr)> {
        let agent = self
            .agents
            .iter()
            .find(|agent| agent.identity.host_name == host)?;
        let route = &self.plan.calls.get(agent.identity.id.call)?.route;
        Some((
            route.name.unwrap_or(USUAL_NAME),
            agent.identity.address.ip(),
        ))
    }

    fn order(&mut self, order: Order) {
        let command = match order {
            Order::Drain => Command::Drain,
            Order::EndAll => Command::EndAll,
            Order::ForgetRoutes => Command::Route(Arc::new(Table::empty())),
            Order::Reload => {
                self.order_all(&Command::Peers(Arc::new(Peers::new(peers(self.plan)))));
                Command::Route(self.table.clone())
            }
        };
        self.order_all(&command);
    }

    fn order_all(&mut self, command: &Command) {
        for shard in 0..self.shards.len() {
            self.apply(shard, Input::Command(command));
        }
    }

    fn intrude(&mut self) {
        if let Some((listener, bytes)) = self.intruder.datagram(&self.tape) {
            let flow = Flow {
                listener,
                remote: intruder::address(),
            };
            self.agenda.plan(self.now, Arrival::Router { flow, bytes });
        }
    }

    /// Applies an input to a shard and carries out what comes of it.
    fn apply(&mut self, shard: usize, input: Input<'_>) -> Applied {
        let mut outbox = std::mem::take(&mut self.outbox);
        let applied =
            self.shards[shard].apply(self.clock.router_time(self.now), input, &mut outbox);
        for (flow, bytes) in outbox.iter() {
            self.send(shard, flow, bytes);
        }
        outbox.clear();
        self.outbox = outbox;
        while let Some(event) = self.shards[shard].poll_event() {
            match event {
                Event::Resolve { host } => {
                    let takes = self
                        .find_name(&host)
                        .map_or(Duration::ZERO, |(name, _)| name.takes);
                    self.agenda
                        .plan(self.now + takes, Arrival::Resolved { shard, host });
                }
                Event::ToShard { shard, word } => {
                    let (at, shard) = (self.now + self.draw.millis(0, 2), usize::from(shard));
                    self.agenda.plan(at, Arrival::Word { shard, word });
                }
                _ => {}
            }
        }
        applied
    }

    /// A datagram leaves the router.
    fn send(&mut self, shard: usize, flow: Flow, bytes: &[u8]) {
        if usize::from(flow.listener) >= self.listeners.len() {
            return self.send_packet(shard, flow, bytes);
        }
        self.record(false, shard, flow, bytes);
        let from = self.listeners.get(usize::from(flow.listener)).copied();
        let (Some(from), Some(&agent)) = (from, self.addresses.get(&flow.remote)) else {
            return;
        };
        for at in self.network.arrivals(self.now, from, flow.remote, bytes) {
            let bytes = bytes.to_vec();
            self.agenda.plan(
                at,
                Arrival::Agent {
                    agent,
                    from,
                    bytes,
                    sender: shard,
                },
            );
        }
    }

    /// The datagrams of an agent leave.
    fn post(&mut self, agent: usize) {
        self.post_packets(agent);
        let remote = self.agents[agent].identity.address;
        for post in self.agents[agent].take_posts() {
            let listener = self
                .listeners
                .iter()
                .position(|address| *address == post.to);
            let Some(listener) = listener else {
                self.find("targets", format!("an agent was led to {}", post.to));
                continue;
            };
            let flow = Flow {
                listener: listener as u16,
                remote,
            };
            for at in self
                .network
                .arrivals(self.now, remote, post.to, &post.bytes)
            {
                let bytes = post.bytes.clone();
                self.agenda.plan(at, Arrival::Router { flow, bytes });
            }
        }
    }

    fn record(&mut self, inbound: bool, shard: usize, flow: Flow, bytes: &[u8]) {
        let agent = self
            .addresses
            .get(&flow.remote)
            .map(|&at| self.agents[at].identity.id);
        let peer = match agent {
            Some(id) => Peer::Agent(id),
            None if flow.remote.ip() == intruder::address().ip() => Peer::Stranger,
            None => Peer::Nobody,
        };
        self.tape.push(Crossing {
            at: self.now,
            inbound,
            shard: shard as u8,
            listener: flow.listener,
            remote: flow.remote,
            peer,
            size: bytes.len(),
            heard: Heard::read(bytes),
        });
    }

    /// Everything is over: nothing may be left, and the books must balance.
    fn check_rest(&mut self) {
        let last = self.tape.last().map_or(Time::ZERO, |last| last.at);
        let idle = self.idle_since.unwrap_or(self.now);
        if self.plan.is_fair() && idle > last + LINGER_MAX {
            let lingered = idle.duration_since(last);
            self.find("rest", format!("something lingered for {lingered:?}"));
        }
        for at in 0..self.shards.len() {
            let shard = &self.shards[at];
            let (calls, counters) = (shard.calls(), shard.counters());
            if !shard.is_idle() {
                let (servers, clients) =
                    (counters.server_transactions, counters.client_transactions);
                let what = format!(
                    "shard {at} keeps {calls} calls, {servers} server, {clients} client transactions"
                );
                self.find("rest", what);
            } else if let Some(what) = ports_in_use(&counters.media) {
                self.find("ports", format!("shard {at}: {what}"));
            } else if !balances(&counters) {
                self.find("counters", format!("shard {at}: {counters:?}"));
            }
        }
    }

    fn find(&mut self, rule: &'static str, what: String) {
        self.findings.push(Finding {
            at: self.now,
            rule,
            what,
        });
    }
}

/// No stream and no port may outlive the calls.
pub(crate) fn ports_in_use(counters: &::media::Counters) -> Option<String> {
    let ::media::Counters {
        streams,
        pairs_used,
        ..
    } = *counters;
    (streams > 0 || pairs_used > 0).then(|| format!("{streams} streams, {pairs_used} port pairs"))
}

/// Every call that started was answered, failed or was cancelled, and every answered one ended.
fn balances(counters: &Counters) -> bool {
    let Counters {
        calls_started,
        calls_answered,
        calls_failed,
        calls_cancelled,
        ..
    } = *counters;
    calls_started == calls_answered + calls_failed + calls_cancelled
        && calls_answered == counters.calls_ended
}
