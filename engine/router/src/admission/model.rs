//! A shard in virtual time, for tests of the controller: messages in one queue, each with its cost, calls
//! that bring more messages later, callers that send again. Only the decisions are the real ones.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use stack::Time;

use super::{Admission, Overload, Verdict};

/// Costs in nanoseconds: ten times those measured on one core, so that there is less to play through. A
/// call is 230 us in three parts. Most of what a datagram costs is its way through the kernel, so that one which
/// is dropped after it was read costs nearly as much as a refusal.
const INVITE_NS: u64 = 80_000;
const ANSWER_NS: u64 = 80_000;
const BYE_NS: u64 = 70_000;
const REFUSAL_NS: u64 = 22_000;
const REFUSAL_ACK_NS: u64 = 8_000;
const DROP_NS: u64 = 15_000;
/// Calls a second that cost all of the time.
pub(super) const CAPACITY: f64 = 1e9 / (INVITE_NS + ANSWER_NS + BYE_NS) as f64;
/// Messages a turn takes at most.
const TURN_MESSAGES: usize = 16;
/// A caller without any answer sends again at these times after the first.
const AGAIN_MS: [u64; 4] = [500, 1_500, 3_500, 7_500];
const TARGET: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Message {
    /// Of a caller, with so many copies before it.
    Invite {
        caller: u64,
        copies: usize,
        urgent: bool,
    },
    Answer {
        caller: u64,
    },
    Bye {
        caller: u64,
    },
    RefusalAck,
}

/// What happened in a stretch of time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outcome {
    pub(super) completed: u64,
    pub(super) refused: u64,
    pub(super) urgent: u64,
    pub(super) urgent_taken: u64,
    /// The longest that a message of a call in progress waited.
    pub(super) longest_wait: Duration,
}

pub(super) struct Model {
    now: Time,
    pub(super) door: Admission,
    queue: VecDeque<(Time, Message)>,
    coming: BinaryHeap<Reverse<(Time, Message)>>,
    callers: u64,
    next_call: Time,
    /// From the INVITE to the answer, and from there to the BYE.
    ring: Duration,
    talk: Duration,
    ended: u64,
    passing: f64,
    chance: u64,
    pub(super) outcome: Outcome,
}

impl Model {
    pub(super) fn new(control: bool, ring: Duration, talk: Duration) -> Model {
        let settings = Overload {
            target: control.then_some(TARGET),
            ..Overload::default()
        };
        Model {
            now: Time::ZERO,
            door: Admission::new(settings, Time::ZERO),
            queue: VecDeque::new(),
            coming: BinaryHeap::new(),
            callers: 0,
            next_call: Time::ZERO,
            ring,
            talk,
            ended: 0,
            passing: 1.0,
            chance: 1,
            outcome: Outcome::default(),
        }
    }

    /// Offers `rate` calls a second for so long, one in a hundred of them urgent, and says what became
    /// of that time.
    pub(super) fn run(&mut self, rate: f64, lasts: Duration) -> Outcome {
        self.outcome = Outcome::default();
        let end = self.now + lasts;
        self.next_call = self.now;
        while self.now < end {
            self.arrive(rate);
            let idle = self.wait(end);
            self.door.note(self.now, idle, self.ended);
            if let Some(sieve) = self.door.look_at_sieve(self.now) {
                self.passing = sieve.map_or(1.0, |sieve| f64::from(sieve.passing) / 65_536.0);
            }
            for _ in 0..TURN_MESSAGES {
                let Some((came, message)) = self.queue.pop_front() else {
                    break;
                };
                self.work(came, message);
            }
        }
        self.outcome
    }

    /// What has come by now stands in the queue.
    fn arrive(&mut self, rate: f64) {
        while self.next_call <= self.now {
            self.callers += 1;
            let urgent = self.callers.is_multiple_of(100);
            self.outcome.urgent += u64::from(urgent);
            let invite = Message::Invite {
                caller: self.callers,
                copies: 0,
                urgent,
            };
            self.coming.push(Reverse((self.next_call, invite)));
            self.next_call = self.next_call + Duration::from_secs_f64(1.0 / rate);
        }
        while let Some(&Reverse((at, message))) = self.coming.peek().filter(|it| it.0.0 <= self.now)
        {
            self.coming.pop();
            if self.passes(message) {
                self.queue.push_back((at, message));
            } else if let Message::Invite {
                caller,
                copies,
                urgent,
            } = message
            {
                self.send_again(at, caller, copies, urgent);
            }
        }
    }

    fn passes(&mut self, message: Message) -> bool {
        self.chance = self
            .chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let drawn = (self.chance >> 33) as f64 / (1u64 << 31) as f64;
        !matches!(message, Message::Invite { urgent: false, .. }) || drawn < self.passing
    }

    /// Nothing to do until something comes.
    fn wait(&mut self, end: Time) -> Duration {
        if !self.queue.is_empty() {
            return Duration::ZERO;
        }
        let next = self.coming.peek().map_or(end, |it| it.0.0);
        let next = next.min(self.next_call).min(end);
        let idle = next.duration_since(self.now);
        self.now = next.max(self.now + Duration::from_nanos(1));
        idle
    }

    fn work(&mut self, came: Time, message: Message) {
        if !matches!(message, Message::Invite { .. }) {
            let waited = self.now.duration_since(came);
            self.outcome.longest_wait = self.outcome.longest_wait.max(waited);
        }
        let cost = match message {
            Message::Invite {
                caller,
                copies,
                urgent,
            } => self.invite(caller, copies, urgent),
            Message::Answer { caller } => {
                let bye = Message::Bye { caller };
                self.coming.push(Reverse((self.now + self.talk, bye)));
                ANSWER_NS
            }
            Message::Bye { .. } => {
                self.ended += 1;
                self.outcome.completed += 1;
                BYE_NS
            }
            Message::RefusalAck => REFUSAL_ACK_NS,
        };
        self.now = self.now + Duration::from_nanos(cost);
    }

    fn invite(&mut self, caller: u64, copies: usize, urgent: bool) -> u64 {
        let identity = caller.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        match self.door.decide(self.now, identity, urgent) {
            Verdict::Admit => {
                self.outcome.urgent_taken += u64::from(urgent);
                let answer = Message::Answer { caller };
                self.coming.push(Reverse((self.now + self.ring, answer)));
                INVITE_NS
            }
            Verdict::Refuse => {
                self.outcome.refused += 1;
                let ack = self.now + Duration::from_millis(1);
                self.coming.push(Reverse((ack, Message::RefusalAck)));
                REFUSAL_NS
            }
            Verdict::Drop => {
                self.send_again(self.now, caller, copies, urgent);
                DROP_NS
            }
        }
    }

    fn send_again(&mut self, at: Time, caller: u64, copies: usize, urgent: bool) {
        let before = copies
            .checked_sub(1)
            .and_then(|last| AGAIN_MS.get(last))
            .unwrap_or(&0);
        if let Some(again) = AGAIN_MS.get(copies) {
            let next = at + Duration::from_millis(again - before);
            let invite = Message::Invite {
                caller,
                copies: copies + 1,
                urgent,
            };
            self.coming.push(Reverse((next, invite)));
        }
    }
}
