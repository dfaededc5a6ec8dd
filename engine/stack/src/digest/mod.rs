//! Digest authentication (RFC 7616, as RFC 8760 and RFC 3261 22 have it for SIP): what is hashed and how,
//! nonces that need no memory, and the counts that were seen of each. Who must prove what to whom, and who
//! the users are, is not known here.

mod algorithm;
mod challenge;
mod nonce;
mod proof;
mod windows;

pub use algorithm::{Algorithm, Hex, Sum};
pub use challenge::Challenge;
pub use nonce::{Context, Nonces, Secret};
pub use proof::{Proof, Qop, Use};
pub use windows::{Used, Windows};
