//! What the ends talk to: a shard, or a record of what a shard said.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use router::rdb::Table;
use stack::{Flow, Outbox, Time, TimerConfig};
use tipring_shard::{Accounting, Command, Config, Event, Input, Listener, Shard, Timers};

const ROUTES: &str = r#"[{"userpartPattern": "^\\+1201",
    "routingRecord": {"outRuriHostport": "198.51.100.7:5060"}}]"#;

/// Something that takes the ends' datagrams and answers.
pub(crate) trait World {
    /// Applies the datagram of step `at`; returns what is sent because of it.
    fn apply(&mut self, now: Time, at: usize, flow: Flow, bytes: &[u8]) -> &Outbox;

    /// The end of a turn: events and timers.
    fn turn(&mut self, now: Time);
}

/// A shard as the worker drives it.
pub(crate) struct Live {
    shard: Shard,
    out: Outbox,
}

impl Live {
    /// A shard without calls, whose one route leads to the callee and which sends its 100 at once.
    pub(crate) fn new() -> Live {
        let listener = Listener {
            address: ([192, 0, 2, 1], 5060).into(),
            advertise_host: "192.0.2.1".to_owned(),
            advertise_port: 5060,
        };
        let stack = TimerConfig {
            trying: Duration::ZERO,
            ..TimerConfig::default()
        };
        let config = Config {
            timers: Timers {
                stack,
                ..Timers::default()
            },
            server_name: Some("tipring".to_owned()),
            ..Config::new(
                vec![listener],
                Arc::new(Table::parse(ROUTES).expect("a good table")),
            )
        };
        Live {
            shard: Shard::new(config, Time::ZERO),
            out: Outbox::new(),
        }
    }

    pub(crate) fn shard(&self) -> &Shard {
        &self.shard
    }

    /// Keeps other accounts of calls from now on.
    #[allow(dead_code, reason = "one of the two benches asks for it")]
    pub(crate) fn keep(&mut self, accounting: Accounting) {
        let command = Command::Accounting(accounting);
        self.shard
            .apply(Time::ZERO, Input::Command(&command), &mut self.out);
        self.out.clear();
    }

    /// What the last datagram brought.
    pub(crate) fn sent(&self) -> &Outbox {
        &self.out
    }
}

impl World for Live {
    fn apply(&mut self, now: Time, _at: usize, flow: Flow, bytes: &[u8]) -> &Outbox {
        self.out.clear();
        let input = Input::Datagram { flow, bytes };
        self.shard.apply(now, input, &mut self.out);
        &self.out
    }

    fn turn(&mut self, now: Time) {
        // The records of calls, where they are kept; nothing else is told of such calls.
        while let Some(event) = self.shard.poll_event() {
            assert!(matches!(event, Event::CallEnded(_)), "{event:?}");
        }
        if self
            .shard
            .poll_timeout()
            .is_some_and(|(time, _)| time <= now)
        {
            self.out.clear();
            self.shard.apply(now, Input::Timeout, &mut self.out);
        }
    }
}

/// What a shard sent at each step of one call, said again: what is left is the cost of the ends.
#[derive(Default)]
pub(crate) struct Replay {
    outs: Vec<Outbox>,
}

impl Replay {
    pub(crate) fn push(&mut self, sent: &Outbox) {
        let mut out = Outbox::new();
        for (flow, bytes) in sent.iter() {
            out.push_bytes(flow, bytes);
        }
        self.outs.push(out);
    }

    /// How many datagrams each step brings.
    pub(crate) fn counts(&self) -> Vec<usize> {
        self.outs.iter().map(Outbox::len).collect()
    }
}

impl World for Replay {
    fn apply(&mut self, now: Time, at: usize, flow: Flow, bytes: &[u8]) -> &Outbox {
        black_box((now, flow, bytes));
        &self.outs[at]
    }

    fn turn(&mut self, now: Time) {
        black_box(now);
    }
}
