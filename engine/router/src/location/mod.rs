//! Where users are: the bindings of addresses-of-record (RFC 3261 10), as values that all shards share. Each shard
//! has all of them; the changes of one address-of-record are ordered by one shard, its owner, and told to the others.
//! Who may change them and how a REGISTER reads is not known here.

mod aor;
mod counters;
pub(crate) mod entrance;
mod lane;
mod letter;
mod ordering;
mod owner;
mod reachability;
mod registration;
mod replication;
#[cfg(test)]
mod samples;
mod service;
mod shard_set;
mod table;
#[cfg(test)]
mod tests;
mod update;
mod waiters;
mod watched;

pub use self::aor::Aor;
pub(crate) use self::aor::unescape;
pub use self::counters::LocationCounters;
pub(crate) use self::letter::Letter;
pub use self::registration::{Binding, LocationCause, LocationChange, Registration};
pub(crate) use self::service::Location;
pub(crate) use self::table::SEGMENTS;
pub(crate) use self::update::{Edit, Edits, Outcome, Refused, Update};
