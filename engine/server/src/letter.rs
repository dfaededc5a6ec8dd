//! What threads write to a shard. Everything that reaches a shard other than through its own sockets
//! is one of these, in a mailbox of its own for each sender.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use shard::Command;
use stack::{Flow, Time};

use crate::peers::PeerTable;

/// One message to a shard.
#[derive(Debug)]
pub(crate) enum Letter {
    /// From another shard: a datagram that is yours.
    Datagram {
        /// Where it came in and from whom.
        flow: Flow,
        /// Its payload.
        bytes: Box<[u8]>,
        /// When the other shard read it.
        read: Time,
    },
    /// From another shard: the network says that this peer cannot be reached. All shards send from
    /// one address, so the kernel may tell any of them.
    Unreachable {
        /// The peer.
        remote: SocketAddr,
    },
    /// From the resolver.
    Resolved {
        /// The name asked for.
        host: String,
        /// Its addresses; empty when there is none.
        addresses: Vec<IpAddr>,
        /// How long that may be remembered.
        ttl: Duration,
    },
    /// From the supervisor, or from the shard that asks the application server, for the router.
    Command(Command),
    /// From the supervisor: the peers of a reload.
    Peers(Arc<PeerTable>),
    /// From the supervisor: send what is to be sent and end the thread.
    Stop,
}

/// A name a shard wants to know the addresses of.
#[derive(Debug)]
pub(crate) struct Question {
    /// Who asks.
    pub(crate) shard: u8,
    /// The name.
    pub(crate) host: String,
}

/// Where the outcome of a reload is awaited.
pub(crate) type Outcome = tokio::sync::oneshot::Sender<Result<control::Reloaded, Vec<String>>>;

/// What the supervisor waits for.
#[derive(Debug)]
pub(crate) enum Notice {
    /// From the operator.
    Signal(i32),
    /// From a shard: it was draining, and its last call is gone.
    Drained(u8),
    /// From the control room: read the configuration again, and say how that went.
    Reload(Outcome),
    /// From a shard: its thread has ended, asked to, or because of an error.
    Ended(u8, Result<(), reactor::TurnError>),
}
