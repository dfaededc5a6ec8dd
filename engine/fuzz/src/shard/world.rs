//! The shard, its clock and what surrounds it, and the steps a world is made of.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use router::rdb::Table;
use shard::{Command, Counters, Event, Input, Resolved, Shard};
use stack::{Flow, Outbox, Time};
use wire::{Index, Limits, Message};

use super::body::{HOSTS, PORTS};
use super::letter::{Letter, Sealed};
use super::message::{self, Serial};
use super::settings::{self, LISTENERS, PAIRS, PEERS};
use crate::choices::Choices;

/// Letters of the past that may be continued.
const LETTERS_MAX: usize = 24;
/// Longer than anything lives after its call was ended.
const SILENCE: Duration = Duration::from_secs(3600);

pub(super) struct World {
    shard: Shard,
    now: Time,
    /// When the shard wants to be called again.
    next: Option<Time>,
    out: Outbox,
    letters: VecDeque<Sealed>,
    /// What the shard has sent: copies are not read again.
    sent: HashSet<u64, BuildHasherDefault<DefaultHasher>>,
    names: Vec<String>,
    /// Sockets of the ports that the shard has named in session descriptions.
    streams: Vec<u16>,
    serial: Serial,
}

impl World {
    pub(super) fn new(choices: &mut Choices<'_>) -> World {
        let now = Time::ZERO;
        World {
            shard: Shard::new(settings::config(choices.byte()), now),
            now,
            next: None,
            out: Outbox::new(),
            letters: VecDeque::new(),
            sent: HashSet::default(),
            names: Vec::new(),
            streams: Vec::new(),
            serial: Serial::default(),
        }
    }

    pub(super) fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.below(16) {
            0 => self.fresh(choices),
            1 => self.established(choices),
            2..=4 => self.inside(choices),
            5..=8 => self.answer(choices),
            9 => self.again(choices),
            10 => self.media(choices),
            11 => self.pass(choices.duration()),
            12 => self.jump(choices.duration()),
            13 => self.resolved(choices),
            14 => self.surroundings(choices),
            _ => self.raw(choices),
        }
    }

    fn fresh(&mut self, choices: &mut Choices<'_>) {
        let which = match choices.byte() {
            0..=0xc0 => 0,
            other => usize::from(other) % PEERS.len(),
        };
        let peer = PEERS[which];
        let flow = flow_of(peer);
        let text = message::fresh(choices, &mut self.serial, peer);
        self.deliver(choices, flow, text);
    }

    /// A call that is answered and acknowledged at once, with media: what comes next happens inside it.
    fn established(&mut self, choices: &mut Choices<'_>) {
        let (number, attributes) = (choices.byte(), choices.byte());
        let invite = [number, 0, 0, 2, 0, 0, 0, 0, 0, attributes];
        let flow = flow_of(PEERS[0]);
        let text = message::fresh(&mut Choices::new(&invite), &mut self.serial, PEERS[0]);
        self.deliver(&mut Choices::new(&[]), flow, text);
        // The newest request of the shard, and 200 with an answer; then ACK to what it made of that.
        self.answer(&mut Choices::new(&[
            0, 0, 0, 0, 2, 1, 0, 0, 0, 0, attributes,
        ]));
        self.inside(&mut Choices::new(&[0, 1]));
    }

    /// A letter of the past, mostly the latest.
    fn letter(
        &self,
        choices: &mut Choices<'_>,
        wanted: impl Fn(&Sealed) -> bool,
    ) -> Option<Letter> {
        let mut found = self.letters.iter().rev().filter(|letter| wanted(letter));
        match choices.byte() {
            0..=0x7f => found.next().map(Sealed::open),
            other => {
                let found: Vec<_> = found.collect();
                let which = usize::from(other) % found.len().max(1);
                found.get(which).map(|letter| letter.open())
            }
        }
    }

    fn inside(&mut self, choices: &mut Choices<'_>) {
        let Some(letter) = self.letter(choices, |letter| letter.from_shard) else {
            return self.fresh(choices);
        };
        let Some(flow) = letter.flow else { return };
        let text = message::inside(choices, &mut self.serial, &letter, &flow.remote.to_string());
        self.deliver(choices, flow, text);
    }

    fn answer(&mut self, choices: &mut Choices<'_>) {
        let asked = |letter: &Sealed| letter.from_shard && letter.is_request();
        let Some(letter) = self.letter(choices, asked) else {
            return self.fresh(choices);
        };
        let Some(flow) = letter.flow else { return };
        let text = message::response(choices, &letter, &flow.remote.to_string());
        self.deliver(choices, flow, text);
    }

    /// The network brings an old message again, or the shard's own back to it.
    fn again(&mut self, choices: &mut Choices<'_>) {
        let all = choices.rarely();
        let Some(letter) = self.letter(choices, |letter| all || !letter.from_shard) else {
            return;
        };
        if let Some(flow) = letter.flow {
            self.datagram(flow, letter.text.as_bytes());
        }
    }

    fn deliver(&mut self, choices: &mut Choices<'_>, mut flow: Flow, text: String) {
        if choices.rarely() {
            flow = flow_of(choices.of(&PEERS).unwrap_or(PEERS[0]));
        }
        if choices.rarely() {
            let bytes = message::damage(choices, text);
            return self.datagram(flow, &bytes);
        }
        self.remember(Sealed::new(text.as_bytes(), false, flow));
        self.datagram(flow, text.as_bytes());
    }

    fn raw(&mut self, choices: &mut Choices<'_>) {
        let length = usize::from(choices.byte());
        let flow = flow_of(choices.of(&PEERS).unwrap_or(PEERS[0]));
        let bytes = choices.bytes(length);
        self.datagram(flow, bytes);
    }

    fn media(&mut self, choices: &mut Choices<'_>) {
        let first = LISTENERS.len() as u16;
        let sockets = usize::from(4 * PAIRS);
        let host = choices
            .of(&HOSTS)
            .and_then(|host| host.parse::<IpAddr>().ok());
        let host = host.unwrap_or(IpAddr::from([10, 0, 0, 1]));
        let port = choices
            .of(&PORTS)
            .unwrap_or(4000)
            .wrapping_add(u16::from(choices.rarely()));
        let any = first + choices.below(sockets) as u16;
        let listener = choices.of(&self.streams).unwrap_or(any);
        let mut bytes = vec![0x80, choices.byte(), 0, choices.byte()];
        bytes.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
        if choices.rarely() {
            bytes.clear();
        }
        let length = choices.below(60);
        bytes.extend_from_slice(choices.bytes(length));
        let flow = Flow {
            listener,
            remote: (host, port).into(),
        };
        self.datagram(flow, &bytes);
    }

    fn datagram(&mut self, flow: Flow, bytes: &[u8]) {
        self.apply(Input::Datagram { flow, bytes });
    }

    fn resolved(&mut self, choices: &mut Choices<'_>) {
        let names = self.names.clone();
        let Some(host) = choices.of(&names) else {
            return;
        };
        let all = [
            IpAddr::from([10, 0, 0, 2]),
            IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 2]),
        ];
        let addresses = all.get(..choices.below(3)).unwrap_or_default();
        let ttl = choices.duration();
        self.apply(Input::Resolved(Resolved {
            host: &host,
            addresses,
            ttl,
        }));
    }

    fn surroundings(&mut self, choices: &mut Choices<'_>) {
        let command = match choices.below(8) {
            0..=2 => {
                let remote = settings::address(choices.of(&PEERS).unwrap_or(PEERS[0]));
                return self.apply(Input::Unreachable { remote });
            }
            3 => Command::Route(Arc::new(Table::empty())),
            4 => Command::Route(settings::table()),
            5 => Command::Outbound(settings::outbound(choices.byte())),
            6 => Command::ApplicationServer {
                up: choices.byte() & 1 == 0,
            },
            _ if choices.rarely() => Command::Drain,
            _ if choices.rarely() => Command::EndAll,
            _ => Command::Peers(Arc::default()),
        };
        self.apply(Input::Command(&command));
    }

    /// Time passes, timer by timer.
    fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(next) = self.next.filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.apply(Input::Timeout);
        }
        self.now = end;
    }

    /// Time passes at once, as when the machine slept.
    fn jump(&mut self, duration: Duration) {
        self.now = self.now + duration;
        self.apply(Input::Timeout);
    }

    fn apply(&mut self, input: Input<'_>) {
        let datagram = !matches!(input, Input::Timeout);
        self.shard.apply(self.now, input, &mut self.out);
        if datagram {
            // What a datagram made due at once is done in the same turn.
            self.shard.apply(self.now, Input::Timeout, &mut self.out);
        }
        self.next = self.shard.poll_timeout().map(|(next, _)| next);
        assert!(
            self.next.is_none_or(|next| next > self.now),
            "due and not done: {:?}",
            self.next
        );
        while let Some(event) = self.shard.poll_event() {
            if let Event::Resolve { host } = event {
                self.names.push(host);
            }
        }
        self.collect();
    }

    /// What the shard sent can be read by anybody, and may be answered.
    fn collect(&mut self) {
        let mut out = std::mem::take(&mut self.out);
        let mut index = Index::new();
        for (flow, bytes) in out.iter() {
            if usize::from(flow.listener) >= LISTENERS.len() {
                continue;
            }
            if !self.sent.insert(self.sent.hasher().hash_one((flow, bytes))) {
                continue;
            }
            check(&mut index, bytes);
            let letter = Sealed::new(bytes, true, flow);
            self.streams
                .extend(letter.media_ports().filter_map(settings::socket));
            self.remember(letter);
        }
        out.clear();
        self.out = out;
    }

    fn remember(&mut self, letter: Sealed) {
        if self.letters.len() == LETTERS_MAX {
            self.letters.pop_front();
        }
        self.letters.push_back(letter);
    }

    /// Ends every call and lets every timer run.
    pub(super) fn finish(mut self) -> Counters {
        self.apply(Input::Command(&Command::EndAll));
        self.apply(Input::Command(&Command::Outbound(settings::outbound(0))));
        self.pass(SILENCE);
        let counters = self.shard.counters();
        assert_eq!(self.shard.calls(), 0, "{counters:?}");
        assert!(self.shard.is_idle(), "{counters:?}");
        assert_eq!(
            counters.calls_answered, counters.calls_ended,
            "{counters:?}"
        );
        counters
    }
}

/// What the shard sends is a message with everything mandatory.
fn check(index: &mut Index, bytes: &[u8]) {
    let shown = || String::from_utf8_lossy(bytes);
    let message = Message::parse(bytes, index, &Limits::default());
    let message = message.unwrap_or_else(|error| panic!("{error}: {}", shown()));
    assert!(
        message.cseq().is_ok() || !message.is_request(),
        "{}",
        shown()
    );
    if message.is_request() {
        assert_eq!(message.check_mandatory(), Ok(()), "{}", shown());
    }
}

/// From this peer, on the listener of its family.
fn flow_of(peer: &str) -> Flow {
    let remote = settings::address(peer);
    Flow {
        listener: u16::from(remote.is_ipv6()),
        remote,
    }
}
