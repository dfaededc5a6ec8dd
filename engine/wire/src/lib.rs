//! SIP messages, bytes to values and back.
//!
//! What lives here: finding the lines of a datagram ([`Index`]), reading a value out of them when
//! somebody asks ([`Message`] and the typed headers), and printing new messages in one pass
//! ([`mod@print`]); the same for the session descriptions in their bodies ([`sdp`]). Reading never
//! copies and never allocates (but once for a message of more than 32 headers): every value is a
//! slice of the datagram. What may not live here: state between messages, a clock, sockets, and any
//! opinion on what to do with a message.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing)]
#![cfg_attr(not(test), deny(clippy::string_slice))]

mod address;
mod body;
mod credentials;
mod cseq;
mod error;
mod host;
mod index;
mod lex;
mod list;
mod message;
mod method;
mod name;
mod params;
pub mod print;
pub mod rtcp;
pub mod rtp;
mod salvage;
mod scan;
pub mod sdp;
mod span;
mod start_line;
pub mod stun;
mod uri;
mod uri_comparison;
mod via;

pub use address::NameAddr;
pub use body::{Part, Parts, holds_sdp, session_descriptions};
pub use credentials::{DigestCredentials, Text};
pub use cseq::{CSeq, RAck};
pub use error::ParseError;
pub use host::Host;
pub use index::{Index, Limits};
pub use list::Values;
pub use message::{Header, Message};
pub use method::Method;
pub use name::HeaderName;
pub use params::{Param, Params};
pub use span::Span;
pub use start_line::StartLine;
pub use uri::{Scheme, Uri};
pub use uri_comparison::equivalent;
pub use via::Via;
