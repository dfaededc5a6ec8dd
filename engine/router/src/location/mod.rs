//! Where users are: the bindings of addresses-of-record (RFC 3261 10), as values that all shards share. Each shard
//! has all of them; the changes of one address-of-record are ordered by one shard, its owner, and told to the others.
//! Who may change them and how a REGISTER reads is not known here.

mod aor;
pub(crate) mod entrance;
mod registration;
mod service;
mod table;
mod update;

pub use self::aor::Aor;
pub(crate) use self::aor::unescape;
pub use self::registration::{Binding, LocationCause, LocationChange, Registration};
pub(crate) use self::service::Location;
pub(crate) use self::update::{Edit, Edits, Outcome, Refused, Update};
