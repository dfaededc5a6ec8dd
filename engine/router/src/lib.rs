//! The transaction users of one shard: admission, routing DB, back-to-back user agent, proxy.
//!
//! [`Router`] takes parsed messages and time, and answers through an outbox. It owns the
//! transactions, the calls and the caches of its shard; it knows no socket, no clock, no thread.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]
#![deny(clippy::disallowed_methods)]

mod abuse;
mod accounts;
mod admission;
mod application_server;
mod auth;
mod call;
mod calls;
mod config;
mod core;
mod directory;
mod echo;
mod entry;
mod events;
mod headers;
mod identity;
mod local;
mod location;
mod names;
mod outbound;
mod outside;
mod peers;
mod proofs;
mod proxy;
mod query;
pub mod rdb;
mod reach;
mod registrar;
mod router;
mod sanity;
mod steer;
mod target;
mod traffic;
mod transfer;

pub use abuse::{
    Abuse, AbuseCounters, Ban, Networks, Offence, Probing, Rate, Reaction, Scanners, Standing,
};
pub use accounts::{CallRecord, EndedBy, LegRecord, StreamRecord};
pub use admission::{AdmissionCounters, Overload, PriorityNumbers, ResourcePriorities, Sieve};
pub use auth::{Auth, AuthCounters, AuthCounts, Demand, Policy};
pub use config::*;
pub use directory::{Credentials, Directory, Domain};
pub use events::{EventsCounters, EventsSettings, MessageCounts, MessageWaiting, Watchers};
pub use headers::{WITHHELD, Withheld};
pub use location::{Aor, Binding, LocationCause, LocationChange, LocationCounters, Registration};
pub use outbound::{ApplicationServer, Outbound, Probed};
pub use outside::Methods;
pub use peers::{Peer, Peers, Reliable, Transfers};
pub use proofs::ProofKeys;
pub use query::{
    Answer, CallDetail, CallState, CallView, CallsPage, LegView, Query, Question, Said, StreamView,
    TimelineEntry,
};
pub use reach::{ContactKeepAlive, Order, Reach, ReachCounters};
pub use registrar::{Nat, RegistrarCounters, RegistrarSettings, UnsupportedPath};
pub use router::Router;
pub use steer::{WITHHELD_ATTRIBUTES, WithheldAttribute};
pub use traffic::{Durations, Messages, StreamsEnded, Traffic};
pub use transfer::Word;
