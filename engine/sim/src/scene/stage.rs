//! The stage of a scene: shards, phones and the network between them, and the loop that lets time pass.
//! Everything that is left to chance is chosen here or in the network.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use router::rdb::Table;
use router::{Limits, Transfers};
use shard::{Applied, Command, Config, Event, Input, Listener, Peer, Peers, Shard, Word};
use stack::{Flow, Outbox, Time};

use super::phone::{Persona, Phone};
use super::plan::{Place, Scene, SceneRoute};
use crate::check::Finding;
use crate::draw::Draw;
use crate::heard::Heard;
use crate::network::{Agenda, Network, earliest};
use crate::tape::{Crossing, Peer as End};
use crate::world::LISTENERS;

/// A scene that is not over by then has something that never ends. The longest: a call that nobody answers
/// rings until timer C (185 s), a few times over in a serial fork.
const TIME_MAX: Duration = Duration::from_secs(4_000);
/// A turn of the loop takes a nanosecond of virtual time at least.
const TURNS_MAX: u64 = 1_000_000;
/// As in worlds of calls: what is left when the last datagram has come or gone.
const LINGER_MAX: Duration = Duration::from_secs(37);
/// A subscription that nobody ends lives on for what was granted, and then for 64*T1.
const GRANTED_MAX: Duration = Duration::from_secs(640);
/// The address of a target that nobody has.
const NOWHERE: &str = "10.9.9.9:5060";

/// Something that reaches its place at a time.
#[derive(Debug)]
enum Arrival {
    Router {
        flow: Flow,
        bytes: Vec<u8>,
    },
    Mailbox {
        shard: usize,
        flow: Flow,
        bytes: Vec<u8>,
    },
    Phone {
        phone: usize,
        from: SocketAddr,
        bytes: Vec<u8>,
    },
    Word {
        shard: usize,
        word: Word,
    },
}

/// All of it.
pub(super) struct Stage<'p> {
    scene: &'p Scene,
    now: Time,
    draw: Draw,
    steer_key: u64,
    shards: Vec<Shard>,
    pub(super) phones: Vec<Phone>,
    addresses: HashMap<SocketAddr, usize>,
    listeners: Vec<SocketAddr>,
    network: Network,
    agenda: Agenda<Arrival>,
    outbox: Outbox,
    idle_since: Option<Time>,
    pub(super) tape: Vec<Crossing>,
    pub(super) findings: Vec<Finding>,
}

impl<'p> Stage<'p> {
    pub(super) fn new(scene: &'p Scene) -> Result<Stage<'p>, String> {
        let mut draw = Draw::new(scene.seed);
        let listeners: Vec<SocketAddr> = LISTENERS.iter().flat_map(|text| text.parse()).collect();
        let table = Table::parse(&routing_db(scene)).map_err(|errors| errors.to_string())?;
        let (table, steer_key) = (Arc::new(table), draw.bits());
        let shard = |shard| {
            let seed = draw.bits();
            Shard::new(
                config(scene, shard, (steer_key, seed), &listeners, &table),
                Time::ZERO,
            )
        };
        let shards = (0..scene.shards).map(shard).collect();
        let phones: Vec<Phone> = (0..scene.phones.len())
            .map(|id| {
                Phone::new(
                    persona(scene, id, &listeners, &mut draw),
                    scene,
                    draw.fork(),
                )
            })
            .collect();
        let addresses = phones.iter().enumerate();
        Ok(Stage {
            addresses: addresses.map(|(at, phone)| (phone.address(), at)).collect(),
            scene,
            now: Time::ZERO,
            steer_key,
            shards,
            phones,
            listeners,
            network: Network::new(scene.conditions, draw.fork()),
            draw,
            agenda: Agenda::default(),
            outbox: Outbox::new(),
            idle_since: None,
            tape: Vec::new(),
            findings: Vec::new(),
        })
    }

    pub(super) fn now(&self) -> Time {
        self.now
    }

    pub(super) fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// Lets time pass until nothing is left to happen.
    pub(super) fn run(&mut self) {
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
        }
        self.find("rest", "the loop is stuck".to_owned());
    }

    fn next(&self) -> Option<Time> {
        let shards = self.shards.iter().map(|it| Some(it.poll_timeout()?.0));
        let phones = self.phones.iter().map(Phone::next_deadline);
        earliest(shards.chain(phones).chain([self.agenda.next()]))
    }

    fn turn(&mut self) {
        while let Some(arrival) = self.agenda.take_due(self.now) {
            self.arrive(arrival);
        }
        for shard in 0..self.shards.len() {
            self.wake(shard);
        }
        for phone in 0..self.phones.len() {
            let due = self.phones[phone].next_deadline();
            if due.is_some_and(|due| due <= self.now) {
                self.phones[phone].handle_timeout(self.now);
                self.post(phone);
            }
        }
    }

    fn wake(&mut self, shard: usize) {
        let now = self.now;
        let due = |shard: &Shard| shard.poll_timeout().filter(|(due, _)| *due <= now);
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
        match arrival {
            Arrival::Router { flow, bytes } => {
                let shard = self.steer(&bytes);
                self.receive(shard, flow, &bytes, false);
            }
            Arrival::Mailbox { shard, flow, bytes } => self.receive(shard, flow, &bytes, true),
            Arrival::Phone { phone, from, bytes } => {
                self.phones[phone].receive(self.now, from, &bytes);
                self.post(phone);
            }
            Arrival::Word { shard, word } if shard < self.shards.len() => {
                self.apply(shard, Input::Command(&Command::FromShard(word)));
            }
            Arrival::Word { shard, .. } => self.find("hand-over", format!("a word for {shard}")),
        }
    }

    /// The kernel's choice: mostly right.
    fn steer(&mut self, bytes: &[u8]) -> usize {
        let wrong = self.draw.chance(self.scene.misdelivered_percent);
        let owner = Heard::read(bytes).ok().filter(|_| !wrong).map(|heard| {
            let call_id = heard.call_id.as_bytes();
            shard::steer::shard_of(call_id, self.scene.shards, self.steer_key)
        });
        let last = self.shards.len() as u64 - 1;
        owner.map_or_else(|| self.draw.between(0, last) as usize, usize::from)
    }

    fn receive(&mut self, shard: usize, flow: Flow, bytes: &[u8], handed_over: bool) {
        let entered = self.tape.len();
        self.record(true, shard, flow, bytes);
        let Applied::Foreign(owner) = self.apply(shard, Input::Datagram { flow, bytes }) else {
            return;
        };
        self.tape.truncate(entered);
        let owner = usize::from(owner);
        if handed_over || owner == shard || owner >= self.shards.len() {
            return self.find("hand-over", format!("shard {shard} hands over to {owner}"));
        }
        let at = self.now + self.draw.millis(0, 2);
        let mail = Arrival::Mailbox {
            shard: owner,
            flow,
            bytes: bytes.to_vec(),
        };
        self.agenda.plan(at, mail);
    }

    /// Applies an input to a shard and carries out what comes of it.
    fn apply(&mut self, shard: usize, input: Input<'_>) -> Applied {
        let mut outbox = std::mem::take(&mut self.outbox);
        let applied = self.shards[shard].apply(self.now, input, &mut outbox);
        for (flow, bytes) in outbox.iter() {
            self.send(shard, flow, bytes);
        }
        outbox.clear();
        self.outbox = outbox;
        while let Some(event) = self.shards[shard].poll_event() {
            if let Event::ToShard { shard, word } = event {
                let (at, shard) = (self.now + self.draw.millis(0, 2), usize::from(shard));
                self.agenda.plan(at, Arrival::Word { shard, word });
            }
        }
        applied
    }

    /// A datagram leaves the router: for a phone, or for the router itself.
    fn send(&mut self, shard: usize, flow: Flow, bytes: &[u8]) {
        self.record(false, shard, flow, bytes);
        let Some(&from) = self.listeners.get(usize::from(flow.listener)) else {
            return;
        };
        let phone = self.addresses.get(&flow.remote).copied();
        let own = self.listeners.iter().position(|it| *it == flow.remote);
        for at in self.network.arrivals(self.now, from, flow.remote, bytes) {
            let bytes = bytes.to_vec();
            match (phone, own) {
                (Some(phone), _) => self.agenda.plan(at, Arrival::Phone { phone, from, bytes }),
                (None, Some(listener)) => {
                    let flow = Flow {
                        listener: listener as u16,
                        remote: from,
                    };
                    self.agenda.plan(at, Arrival::Router { flow, bytes });
                }
                (None, None) => {}
            }
        }
    }

    /// The datagrams of a phone leave.
    fn post(&mut self, phone: usize) {
        let remote = self.phones[phone].address();
        for (to, bytes) in self.phones[phone].take_posts() {
            let listener = self.listeners.iter().position(|address| *address == to);
            let Some(listener) = listener else {
                self.find("targets", format!("phone {phone} was led to {to}"));
                continue;
            };
            let flow = Flow {
                listener: listener as u16,
                remote,
            };
            for at in self.network.arrivals(self.now, remote, to, &bytes) {
                let bytes = bytes.clone();
                self.agenda.plan(at, Arrival::Router { flow, bytes });
            }
        }
    }

    fn record(&mut self, inbound: bool, shard: usize, flow: Flow, bytes: &[u8]) {
        let peer = match self.addresses.get(&flow.remote) {
            Some(&phone) => End::Phone(phone),
            None if self.listeners.contains(&flow.remote) => End::Router,
            None => End::Nobody,
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

    /// Everything is over: nothing may be left.
    fn check_rest(&mut self) {
        let last = self.tape.last().map_or(Time::ZERO, |last| last.at);
        let lingered = self.idle_since.unwrap_or(self.now).duration_since(last);
        let watched = self.tape.iter().any(|crossing| {
            let heard = crossing.heard.as_ref();
            heard.is_ok_and(|heard| matches!(heard.method.as_str(), "SUBSCRIBE" | "NOTIFY"))
        });
        let limit = if watched { GRANTED_MAX } else { LINGER_MAX };
        if lingered > limit {
            self.find("rest", format!("something lingered for {lingered:?}"));
        }
        let busy = |shard: &&Shard| !shard.is_idle();
        for shard in self.shards.iter().filter(busy) {
            let (calls, counters) = (shard.calls(), shard.counters());
            let transactions = (counters.server_transactions, counters.client_transactions);
            let what = format!("a shard keeps {calls} calls, {transactions:?} transactions");
            self.findings.push(Finding {
                at: self.now,
                rule: "rest",
                what,
            });
        }
    }

    fn find(&mut self, rule: &'static str, what: String) {
        let at = self.now;
        self.findings.push(Finding { at, rule, what });
    }
}

fn config(
    scene: &Scene,
    shard: u8,
    (steer_key, seed): (u64, u64),
    listeners: &[SocketAddr],
    table: &Arc<Table>,
) -> Config {
    let listener = |address: &SocketAddr| Listener {
        address: *address,
        advertise_host: match address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        },
        advertise_port: address.port(),
    };
    let peers = scene.phones.iter().enumerate().map(|(id, phone)| {
        let transfers = match phone.handled {
            true => Transfers::Handle,
            false => Transfers::Pass,
        };
        let peer = Peer {
            transfers,
            ..Peer::default()
        };
        (address(scene, id).ip(), 128, peer)
    });
    Config {
        shard,
        shards: scene.shards,
        steer_key,
        seed,
        limits: limits(),
        peers: Arc::new(Peers::new(peers)),
        ..Config::new(listeners.iter().map(listener).collect(), table.clone())
    }
}

/// Tables of the size of a scene: those of a router take longer to make than a scene to play.
fn limits() -> Limits {
    Limits {
        calls: 1_000,
        transactions: 20_000,
        subscriptions: 1_000,
        ..Limits::default()
    }
}

fn persona(scene: &Scene, id: usize, listeners: &[SocketAddr], draw: &mut Draw) -> Persona {
    let address = address(scene, id);
    let near = match address.is_ipv6() {
        true => 2,
        false => draw.between(0, 1) as usize,
    };
    Persona {
        id,
        address,
        router: listeners[near],
    }
}

/// Where a phone lives: no address is the beginning of another's.
pub(super) fn address(scene: &Scene, id: usize) -> SocketAddr {
    let (host, port) = (id as u16 + 101, 5060 + id as u16 % 3);
    match scene.phones[id].ipv6 {
        true => SocketAddr::from(([0xfd03, 0, 0, 0, 0, 0, 0, host], port)),
        false => SocketAddr::from(([10, 3, 1, host as u8], port)),
    }
}

/// The number of a route.
pub(super) fn number(route: usize) -> String {
    format!("+4940{route:04}")
}

fn routing_db(scene: &Scene) -> String {
    let records = scene.routes.iter().enumerate();
    let records: Vec<String> = records.map(|(at, it)| record(scene, at, it)).collect();
    format!("[{}]", records.join(","))
}

fn record(scene: &Scene, at: usize, route: &SceneRoute) -> String {
    let target = |(place, q): &(Place, u16)| {
        let (host, user) = match place {
            Place::Phone(id) => (address(scene, *id).to_string(), String::new()),
            Place::Router(other) => (LISTENERS[0].to_owned(), number(*other)),
            Place::Nowhere => (NOWHERE.to_owned(), String::new()),
        };
        let q = match route.proxied {
            true => format!(r#","q":{}"#, f64::from(*q) / 1000.0),
            false => String::new(),
        };
        format!(r#""outRuriHostport":"{host}","outRuriUserpart":"{user}"{q}"#)
    };
    let targets: Vec<String> = route.targets.iter().map(target).collect();
    let seconds = |time: Option<Duration>| time.map_or(0.0, |time| time.as_secs_f64());
    let rest = format!(
        r#""noAnswerTimeout":{},"no18xTimeout":{}"#,
        seconds(route.no_answer),
        seconds(route.no_18x)
    );
    let lead = match route.proxied {
        true => format!(
            r#""mode":"proxy","recurse":{},"targets":[{{{}}}]"#,
            route.recurse,
            targets.join("},{")
        ),
        false => targets.join(","),
    };
    let pattern = format!("^\\\\+4940{at:04}$");
    format!(r#"{{"userpartPattern":"{pattern}","routingRecord":{{{lead},{rest}}}}}"#)
}
