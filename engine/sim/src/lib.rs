//! The simulator: real shards in a virtual world.
//!
//! A [`Plan`] says who calls whom, what the parties do and how bad the network is; it is written by a
//! test or drawn from a seed. [`run()`] plays it in virtual time with the code that runs in production
//! from datagram in to datagram out, and looks at everything that crossed the router's edge. Whatever
//! is left to chance follows from the seed, so that a run that went wrong can be repeated.
#![forbid(unsafe_code)]
#![deny(clippy::disallowed_methods)]

mod agent;
mod check;
mod draw;
mod heard;
mod network;
mod packet;
mod plan;
mod run;
mod scene;
mod tape;
mod world;

pub use agent::{Agent, AgentId, Description, Dialog, End, Facts, Line, Side, Sort, View};
pub use check::Finding;
pub use draw::Draw;
pub use heard::Heard;
pub use media::Latching;
pub use network::Conditions;
pub use packet::{Form, Mark, Packet};
pub use plan::{
    Ack, CallPlan, CalleePlan, CallerPlan, Cancel, Cancelled, Change, Death, Flow, InsidePlan,
    MediaPlan, NamePlan, Nat, OrdealPlan, Order, Plan, RoutePlan, RouterPlan, Step, TalkPlan,
};
pub use run::{Run, in_all_weathers, run};
pub use scene::{
    Act, Answering, Leaving, Lived, Notifying, Outcome, PhonePlan, Place, Played, Referred, Scene,
    SceneRoute, play, play_in_all_weathers,
};
pub use tape::{Crossing, Peer};
