//! One shard's hands: the io_uring it waits on, the sockets it owns, the eBPF program that steers
//! datagrams to it, its processor, its clock and its mailboxes. All `unsafe` code of the engine
//! lives here. What may not live here: anything that knows what the datagrams say. This crate has
//! never heard of SIP; the steering program looks for one header because its C source does, and no
//! Rust in this crate repeats it.
//!
//! The order of use: [`bind_udp_group`] once on the main thread, [`steering::attach`] on the group,
//! then on each shard's own pinned thread [`Reactor::new`], [`Reactor::add_udp`] and [`Reactor::add_udp_small`], and a loop of
//! [`Reactor::turn`] and [`Reactor::flush`].

// The purity lint guards the rooms that must not touch sockets, clocks and threads. This is the
// room that does.
#![allow(clippy::disallowed_methods)]

mod address;
mod advice;
pub mod affinity;
mod batch;
mod bpf;
mod buffers;
pub mod clock;
mod coalesce;
mod config;
mod counters;
mod enter;
mod error;
mod flight;
mod icmp;
mod limits;
pub mod mailbox;
mod pairs;
mod port;
pub mod probe;
mod reactor;
mod ring;
mod send;
mod sieve;
mod socket;
mod spin;
mod stamp;
pub mod steering;
mod ticket;
mod waker;

pub use batch::{Coalesce, Send, SendBatch};
pub use config::ReactorConfig;
pub use counters::Counters;
pub use error::{SetupError, SteeringError, TurnError};
pub use limits::raise_open_files;
pub use pairs::{UdpPairs, bind_udp_pairs};
pub use reactor::{Completion, Reactor};
pub use sieve::Sieve;
pub use socket::{SocketId, UdpListener, UdpOptions, bind_udp_group};
pub use waker::Waker;
