//! What the people of a simulation are going to do: plain values, written by a test or drawn from a
//! seed (`random`). Nothing here acts.

mod random;
mod talk;

use std::time::Duration;

use router::{Reliable, SessionTimer};

use crate::network::Conditions;

pub use self::talk::{Change, Flow, MediaPlan, Nat, TalkPlan};

/// A whole simulation.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Everything that is left to chance follows from it.
    pub seed: u64,
    /// Shards of the router, 1 to 4.
    pub shards: u8,
    /// Percentage of datagrams that the kernel delivers to the wrong shard.
    pub misdelivered_percent: u64,
    /// The network.
    pub conditions: Conditions,
    /// The calls; the first agent pair is call 0.
    pub calls: Vec<CallPlan>,
    /// Calls that a shard may have at once.
    pub calls_max: usize,
    /// Orders to every shard, and when.
    pub orders: Vec<(Duration, Order)>,
    /// Garbage, forged and stray datagrams sent by a stranger.
    pub intrusions: u64,
    /// The router's ports for media and what happens to them; `None` for a router without.
    pub media: Option<MediaPlan>,
    /// How the router is set up.
    pub router: RouterPlan,
    /// What befalls the router's machine and the ways to it; `None` in a fair world.
    pub ordeal: Option<OrdealPlan>,
}

/// The router's own settings, beside those of its media.
#[derive(Clone, Copy, Debug, Default)]
pub struct RouterPlan {
    /// Session timers on each leg.
    pub session_timer: Option<SessionTimer>,
    /// How often it asks in each leg whether its dialog still lives.
    pub probe: Option<Duration>,
    /// Who does RFC 3262 with callees.
    pub reliable: Reliable,
}

/// What no timer of RFC 3261 reckons with. Whoever lives through it need not be told of everything in time,
/// but is to be left with nothing, and must say nothing wrong.
#[derive(Clone, Debug, Default)]
pub struct OrdealPlan {
    /// The router's clock leaps forward by so much: a machine that was asleep.
    pub leaps: Vec<(Duration, Duration)>,
    /// The router does nothing for so long, and then finds all that came meanwhile.
    pub pauses: Vec<(Duration, Duration)>,
    /// Old datagrams of the parties come again.
    pub ghosts: u64,
    /// ICMP errors for parties that are alive.
    pub alarms: u64,
}

/// An order to the router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Take no new calls.
    Drain,
    /// End all calls.
    EndAll,
    /// Replace the routing DB by an empty one.
    ForgetRoutes,
    /// Load the routing DB and the table of peers anew.
    Reload,
}

/// One call.
#[derive(Clone, Debug, Default)]
pub struct CallPlan {
    /// When and how the caller calls.
    pub caller: CallerPlan,
    /// What the callee does about it.
    pub callee: CalleePlan,
    /// What the routing DB says.
    pub route: RoutePlan,
}

/// A record of the routing DB, and how its target is found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoutePlan {
    /// There is no record for this call.
    pub missing: bool,
    /// `noAnswerTimeout`.
    pub no_answer: Option<Duration>,
    /// `no18xTimeout`.
    pub no_18x: Option<Duration>,
    /// `maxCallDuration`.
    pub max_duration: Option<Duration>,
    /// `disallowSimilar18x`.
    pub disallow_similar_18x: bool,
    /// `disallowDifferent18x`.
    pub disallow_different_18x: bool,
    /// The target is a host name.
    pub name: Option<NamePlan>,
    /// The call leaves over IPv6.
    pub ipv6: bool,
    /// `steerMedia`.
    pub steer: bool,
    /// `outCallFlow`.
    pub flow: Flow,
}

/// How the resolver deals with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamePlan {
    /// How long it takes.
    pub takes: Duration,
    /// It has no address.
    pub fails: bool,
}

/// The caller.
#[derive(Clone, Debug, Default)]
pub struct CallerPlan {
    /// When the INVITE leaves.
    pub starts: Duration,
    /// The INVITE holds no offer; it is in the 200 and the answer in the ACK (RFC 3264 4).
    pub delayed_offer: bool,
    /// Max-Forwards of its requests; 70 when `None`.
    pub max_forwards: Option<u32>,
    /// It gives up.
    pub cancel: Option<Cancel>,
    /// It ends the early dialog with BYE (RFC 3261 15), this long after the first 18x.
    pub early_bye: Option<Duration>,
    /// It sends this method in the early dialog, this long after the first 18x.
    pub early: Option<(Duration, &'static str)>,
    /// How it acknowledges the 2xx.
    pub ack: Ack,
    /// It understands 100rel.
    pub reliable: bool,
    /// What it does once the call is up.
    pub inside: InsidePlan,
    /// What it says of its media, and that it talks.
    pub talk: Option<TalkPlan>,
    /// Its INVITE replaces the caller of this other call (RFC 3891), if that is up by then.
    pub replaces: Option<usize>,
    /// It sends these outside any dialog to the same number, this long after its INVITE.
    pub asides: Vec<(Duration, &'static str)>,
}

/// When a caller gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancel {
    /// This long after its INVITE, waiting for a provisional as RFC 3261 9.1 demands.
    After(Duration),
    /// This long after its INVITE, whether a provisional came or not.
    Impatient(Duration),
    /// This long after the first 18x.
    AfterRinging(Duration),
}

/// How a caller acknowledges a 2xx.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ack {
    /// At once, and again for each copy.
    #[default]
    AtOnce,
    /// After a while; copies meanwhile are passed over.
    After(Duration),
    /// Never.
    Never,
    /// It sends BYE first, then the ACK.
    AfterBye,
}

/// The callee.
#[derive(Clone, Debug, Default)]
pub struct CalleePlan {
    /// What it does about the INVITE, one after the other.
    pub steps: Vec<Step>,
    /// What it does about a CANCEL.
    pub cancelled: Cancelled,
    /// Its Contact holds a host name.
    pub named_contact: bool,
    /// What it does once the call is up.
    pub inside: InsidePlan,
    /// What it says of its media, and that it talks.
    pub talk: Option<TalkPlan>,
}

/// A step of the callee. `fork` tells the branches of a forked INVITE apart, each with a To tag of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Does nothing for so long.
    Wait(Duration),
    /// Sends a provisional response; a reliable one is repeated until its PRACK, which the next step
    /// waits for.
    Provisional {
        /// Status code.
        code: u16,
        /// It holds a session description.
        sdp: bool,
        /// RFC 3262.
        reliable: bool,
        /// The branch that sends it.
        fork: usize,
    },
    /// Sends the 200.
    Answer {
        /// The branch that sends it.
        fork: usize,
    },
    /// Sends another final response.
    Reject(u16),
}

impl Step {
    /// An 18x without anything else.
    pub fn ringing(code: u16) -> Step {
        Step::Provisional {
            code,
            sdp: false,
            reliable: false,
            fork: 0,
        }
    }
}

/// What a callee does about a CANCEL of its INVITE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cancelled {
    /// 487, as RFC 3261 9.2 says.
    #[default]
    Ends,
    /// It answered 200 that very moment.
    Answers,
    /// It answers the CANCEL but leaves the INVITE alone.
    Ignores,
}

/// What either party does inside the call.
#[derive(Clone, Debug, Default)]
pub struct InsidePlan {
    /// It hangs up this long after the ACK.
    pub hang_up: Option<Duration>,
    /// It sends these, this long after the ACK.
    pub requests: Vec<(Duration, &'static str)>,
    /// How long it takes to acknowledge the 2xx to a re-INVITE of its own.
    pub reinvite_ack_after: Duration,
    /// How it answers a re-INVITE; 200 when `None`.
    pub reinvite_code: Option<u16>,
    /// How it answers other requests; 200 when `None`.
    pub request_code: Option<u16>,
    /// How long it takes to answer requests.
    pub replies_after: Duration,
    /// It does not answer requests other than BYE.
    pub mute: bool,
    /// It misses the first so many messages with this title (`ACK`, `200 INVITE`).
    pub misses: Option<(&'static str, u32)>,
    /// How it answers requests other than BYE, one after the other, and over again; codes below 200 come
    /// before a 200. `reinvite_code` and `request_code` say it for all requests of a kind.
    pub answers: Vec<u16>,
    /// It sends again, with credentials or after the time that was asked for, what was refused for now.
    pub retries: bool,
    /// It knows session timers, and accepts intervals from so many seconds on.
    pub min_se: Option<u32>,
    /// The interval that it asks for as a caller.
    pub session_expires: Option<u32>,
    /// It refreshes the sessions whose refresher it is, and takes that upon itself where it may (RFC 4028).
    pub refreshes: bool,
    /// It dies at this time after the start of the simulation.
    pub dies: Option<Death>,
}

/// The end of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Death {
    /// When, after the start of the simulation.
    pub at: Duration,
    /// Its host lives on and answers with ICMP port unreachable.
    pub refusing: bool,
}

impl Plan {
    /// One call over a perfect network and one shard.
    pub fn of(call: CallPlan) -> Plan {
        Plan {
            seed: 1,
            shards: 1,
            misdelivered_percent: 0,
            conditions: Conditions::PERFECT,
            calls: vec![call],
            calls_max: 1_000,
            orders: Vec::new(),
            intrusions: 0,
            media: None,
            router: RouterPlan::default(),
            ordeal: None,
        }
    }

    /// Whether everybody is heard and woken in time, so that calls end as they should.
    pub fn is_fair(&self) -> bool {
        self.ordeal.is_none()
    }

    /// The same with this network and seed.
    #[must_use]
    pub fn over(self, conditions: Conditions, seed: u64) -> Plan {
        Plan {
            conditions,
            seed,
            ..self
        }
    }
}

impl CallPlan {
    /// Whether the parties of this call and of that one may have to do with each other.
    pub(crate) fn meets(&self, own: usize, that: &CallPlan, other: usize) -> bool {
        self.caller.replaces == Some(other) || that.caller.replaces == Some(own)
    }

    /// The callee rings, answers, and the caller hangs up after 10 s.
    pub fn answered() -> CallPlan {
        let second = Duration::from_secs(1);
        CallPlan {
            caller: CallerPlan {
                inside: InsidePlan {
                    hang_up: Some(10 * second),
                    ..InsidePlan::default()
                },
                ..CallerPlan::default()
            },
            callee: CalleePlan {
                steps: vec![
                    Step::ringing(180),
                    Step::Wait(second),
                    Step::Answer { fork: 0 },
                ],
                ..CalleePlan::default()
            },
            route: RoutePlan::default(),
        }
    }

    /// The callee does this, and the caller waits for it.
    pub fn with_steps(steps: &[Step]) -> CallPlan {
        let mut call = CallPlan::answered();
        call.callee.steps = steps.to_vec();
        call
    }
}
