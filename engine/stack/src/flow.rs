//! The two ends of a datagram's way, as values. What a socket is stays in the reactor.

use std::net::SocketAddr;

/// Where a datagram came from, or where one goes: one of our listeners and the address at the far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Index of the `[[listen]]` section the datagram came in by or leaves by.
    pub listener: u16,
    /// The far end.
    pub remote: SocketAddr,
}
