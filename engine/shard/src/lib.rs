//! One core's whole world behind one input and output pair.
//!
//! A [`Shard`] owns the transactions, dialogs, calls and routing caches of one core. The worker
//! chooses an [`Input`] and a time; [`Shard::apply`] is deterministic and fills an
//! [`Outbox`](stack::Outbox). The simulator replays the same function. Nothing here reads a clock,
//! opens a socket or knows of a ring.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing)]
#![cfg_attr(not(test), deny(clippy::string_slice))]
#![deny(clippy::disallowed_methods)]

mod shard;
pub mod steer;

pub use router::{
    Abuse, AbuseCounters, Accounting, AdmissionCounters, Answer, Aor, ApplicationServer, Ban,
    Binding, CallDetail, CallRecord, CallState, CallView, CallsPage, Command, Config, Counters,
    Durations, EndedBy, Event, LegRecord, LegView, Limits, Listener, LocationCause, LocationChange,
    LocationCounters, MediaEnded, Messages, Methods, Networks, Offence, Outbound, Overload, Peer,
    Peers, PriorityNumbers, Probed, Probing, Progress, ProofKeys, Query, Question, Rate, Reaction,
    Refreshes, Registration, Reliable, Resolved, ResourcePriorities, Said, Scanners, SessionTimer,
    Sieve, Standing, StreamRecord, StreamView, StreamsEnded, TimelineEntry, Timers, Traffic,
    Transfers, Wake, Word,
};
pub use shard::{Applied, Input, Shard};
