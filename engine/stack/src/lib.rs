//! RFC 3261 below the transaction user: transport rules, transactions, timers and the values they share.
//!
//! Everything here is a value or a state machine without I/O: time comes in as [`Time`], datagrams
//! leave through an [`Outbox`], and nothing reads a clock or opens a socket. What a call *means* is
//! the business of the rooms above.

#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing)]
#![cfg_attr(not(test), deny(clippy::string_slice))]

pub mod dialog;
pub mod digest;
mod flow;
mod outbox;
pub mod pool;
mod random;
mod sip_hash;
mod slab;
mod time;
pub mod timer;
mod token;
mod transaction;
pub mod transport;

pub use flow::Flow;
pub use outbox::{Datagram, Outbox};
pub use random::Random;
pub use sip_hash::sip_hash;
pub use time::Time;
pub use token::Token;
pub use transaction::{
    Answer, Claim, ClientId, Counters, Event, Inbound, ServerId, Stray, Strays, TimerConfig,
    TransactionLimits, Transactions, Wake,
};
