//! Where users are: the bindings of addresses-of-record (RFC 3261 10), as values that all shards share.
//! Who may change them and how a REGISTER reads is not known here.

mod aor;
mod registration;

pub use self::aor::Aor;
pub use self::registration::{Binding, LocationCause, LocationChange, Registration};
