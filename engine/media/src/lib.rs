//! Media through the router: RTP, RTCP and udptl from one party's address to the other's.
//!
//! [`Media`] owns every stream of one shard and the ports they use. It is told addresses and directions
//! as values; what an offer or an answer is, it does not know. Nothing here reads a clock, opens a
//! socket or parses SDP.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing)]
#![cfg_attr(not(test), deny(clippy::string_slice))]
#![deny(clippy::disallowed_methods)]

mod config;
mod echo;
mod family;
mod lane;
mod latch;
mod media;
mod party;
mod per_pair;
mod ports;
mod quality;
mod reception;
mod relay;
mod round_trip;
mod silence;

pub use config::*;
pub use family::Reserved;
pub use media::Media;
