//! A basic call as its two ends play it: what they send, and the little they read of what the shard
//! sends. The text work is a few copies into ready messages, so that what a bench measures is the shard.
//!
//! No bench is here, and no opinion on what an answer should look like: tests have those.
#![allow(dead_code, reason = "each bench uses its part")]

mod template;
mod texts;
mod world;

pub(crate) use template::{Field, Fields};
pub(crate) use world::{Live, Replay, World};

use std::net::SocketAddr;
use std::time::Duration;

use stack::{Flow, Time};
use template::Template;
use texts::STEPS;
use tipring_shard::Shard;

/// Datagrams the ends send in one call: INVITE, 100, 180, 200, ACK, BYE, 200.
pub(crate) const DATAGRAMS: usize = STEPS.len();

/// Who of the two ends sends or receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Caller,
    Callee,
}

impl End {
    /// The address of this end; the port stands in the texts too.
    pub(crate) fn flow(self) -> Flow {
        let remote = match self {
            End::Caller => SocketAddr::from(([192, 0, 2, 10], 5060)),
            End::Callee => SocketAddr::from(([198, 51, 100, 7], 5060)),
        };
        Flow {
            listener: 0,
            remote,
        }
    }
}

/// What is copied out of the shard's datagram and stands in later messages of the ends.
struct Lesson {
    field: Field,
    /// The text before the value.
    marker: &'static [u8],
    /// Where the value was found last: our messages are of one layout, so it is there again.
    start: usize,
}

impl Lesson {
    fn learn(&mut self, bytes: &[u8], fields: &mut Fields) {
        let before = self.start.saturating_sub(self.marker.len());
        if bytes.get(before..self.start) != Some(self.marker) {
            let found = bytes
                .windows(self.marker.len())
                .position(|window| window == self.marker);
            self.start = found.expect("the value is in the message") + self.marker.len();
        }
        let value = fields.get_mut(self.field);
        value.copy_from_slice(&bytes[self.start..][..value.len()]);
    }
}

/// One message of the call: from whom, its text, and what its sender's peer reads of what comes of it.
struct Step {
    from: End,
    template: Template,
    to: End,
    lessons: Vec<Lesson>,
}

/// The two ends of every call.
pub(crate) struct Ends {
    steps: Vec<Step>,
    serial: u64,
}

impl Ends {
    pub(crate) fn new() -> Ends {
        let step = |text: &texts::Text| Step {
            from: text.from,
            template: Template::new(text.head, text.body),
            to: text.reader,
            lessons: text
                .reads
                .iter()
                .map(|&(field, marker)| Lesson {
                    field,
                    marker: marker.as_bytes(),
                    start: 0,
                })
                .collect(),
        };
        Ends {
            steps: STEPS.iter().map(step).collect(),
            serial: 0,
        }
    }

    /// A call that has sent nothing yet.
    pub(crate) fn call(&mut self) -> Fields {
        self.serial += 1;
        Fields::new(self.serial)
    }

    /// Sends the call's message of this step, and reads what comes of it.
    pub(crate) fn play<W: World>(
        &mut self,
        world: &mut W,
        now: Time,
        at: usize,
        call: &mut Fields,
    ) {
        let step = &mut self.steps[at];
        let text = step.template.fill(call);
        let out = world.apply(now, at, step.from.flow(), text);
        if step.lessons.is_empty() {
            return;
        }
        let reader = step.to.flow();
        let (_, bytes) = out
            .iter()
            .find(|(flow, _)| *flow == reader)
            .expect("a datagram for the peer");
        for lesson in &mut step.lessons {
            lesson.learn(bytes, call);
        }
    }

    /// One whole call at one instant, and the turn of the timers.
    pub(crate) fn play_call<W: World>(&mut self, world: &mut W, now: Time) {
        let mut call = self.call();
        for at in 0..DATAGRAMS {
            self.play(world, now, at, &mut call);
        }
        world.turn(now);
    }

    /// The text of this step for this call.
    pub(crate) fn text(&mut self, at: usize, call: &Fields) -> &[u8] {
        self.steps[at].template.fill(call)
    }
}

/// A shard that has played `calls` calls, `gap` apart, and the ends and the time to go on with.
pub(crate) struct Played {
    pub(crate) ends: Ends,
    pub(crate) live: Live,
    pub(crate) now: Time,
    gap: Duration,
}

impl Played {
    pub(crate) fn new(calls: u64, gap: Duration) -> Played {
        let mut played = Played {
            ends: Ends::new(),
            live: Live::new(),
            now: Time::ZERO,
            gap,
        };
        for _ in 0..calls {
            played.call();
        }
        assert_eq!(played.live.shard().counters().calls_ended, calls);
        played
    }

    /// One more call, `gap` later.
    pub(crate) fn call(&mut self) {
        self.now = self.now + self.gap;
        self.ends.play_call(&mut self.live, self.now);
    }

    /// Records what the shard sends at each step of one call.
    pub(crate) fn record(&mut self) -> Replay {
        let mut replay = Replay::default();
        let mut call = self.ends.call();
        for at in 0..DATAGRAMS {
            self.ends.play(&mut self.live, self.now, at, &mut call);
            replay.push(self.live.sent());
        }
        // 100 and INVITE; nothing; 180; 200; ACK; BYE; 200.
        assert_eq!(replay.counts(), [2, 0, 1, 1, 1, 1, 1]);
        replay
    }

    pub(crate) fn shard(&self) -> &Shard {
        self.live.shard()
    }

    /// Server and client transactions that live now.
    pub(crate) fn transactions(&self) -> (u64, u64) {
        let counters = self.shard().counters();
        (counters.server_transactions, counters.client_transactions)
    }
}
