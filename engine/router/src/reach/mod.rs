//! Users as those who are called: from a Request-URI of a local domain to the contacts it leads to, and whether these
//! still answer.
//!
//! `targets` looks up, `keep_alive` asks contacts with OPTIONS. How a request gets there is the proxy's business, which
//! user has which contacts the location service's. What may not live here: the order of changes, REGISTER.

mod counters;
mod keep_alive;
mod settings;
mod targets;

pub(crate) use keep_alive::{KeepAlive, found, handle_timeout, on_answer, on_failed, poll_timeout};
pub(crate) use targets::{Contact, Leads, Way, leads_to};

pub use counters::ReachCounters;
pub use settings::{ContactKeepAlive, Order, Reach};
