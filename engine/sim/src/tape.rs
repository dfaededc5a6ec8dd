//! What crosses the router's edge, both ways, in order: the evidence of the checkers and the text of a
//! trace. Nothing is judged here.

use std::fmt;
use std::net::SocketAddr;

use stack::Time;

use crate::agent::{AgentId, Side};
use crate::heard::Heard;

/// Whose address the far end of a crossing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// An agent's.
    Agent(AgentId),
    /// The stranger's, who sends garbage.
    Stranger,
    /// A phone's, by its number in the scene.
    Phone(usize),
    /// One of the router's own.
    Router,
    /// Nobody has it.
    Nobody,
}

/// A datagram that entered or left the router.
#[derive(Clone, Debug)]
pub struct Crossing {
    /// When.
    pub at: Time,
    /// It entered.
    pub inbound: bool,
    /// By or for which shard.
    pub shard: u8,
    /// Index of the listener.
    pub listener: u16,
    /// The far end's address.
    pub remote: SocketAddr,
    /// Whose that is.
    pub peer: Peer,
    /// Bytes of the datagram.
    pub size: usize,
    /// The message, or why it is none.
    pub heard: Result<Heard, String>,
}

impl Crossing {
    /// The agent at the far end.
    pub fn agent(&self) -> Option<AgentId> {
        match self.peer {
            Peer::Agent(id) => Some(id),
            _ => None,
        }
    }

    /// The phone at the far end.
    pub(crate) fn phone(&self) -> Option<usize> {
        match self.peer {
            Peer::Phone(id) => Some(id),
            _ => None,
        }
    }

    /// The message, when it is one and comes from an agent.
    pub(crate) fn received(&self) -> Option<(AgentId, &Heard)> {
        self.inbound.then(|| self.known()).flatten()
    }

    /// The message, when it is one and goes to an agent.
    pub(crate) fn sent(&self) -> Option<(AgentId, &Heard)> {
        (!self.inbound).then(|| self.known()).flatten()
    }

    fn known(&self) -> Option<(AgentId, &Heard)> {
        Some((self.agent()?, self.heard.as_ref().ok()?))
    }
}

impl fmt::Display for Crossing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrow = if self.inbound { "->" } else { "<-" };
        let who = name_of(self.peer);
        let (seconds, shard) = (seconds(self.at), self.shard);
        write!(f, "{seconds:>11.6}  {who:<10} {arrow} shard {shard}  ")?;
        match &self.heard {
            Ok(heard) => {
                let lines = heard.head_text();
                writeln!(f, "{}  ({})", heard.title(), self.remote)?;
                for line in lines.lines() {
                    writeln!(f, "{:>24}{line}", "")?;
                }
                if heard.sdp {
                    for line in String::from_utf8_lossy(&heard.body).lines() {
                        writeln!(f, "{:>26}{line}", "")?;
                    }
                }
                write!(f, "{:>24}[body of {} bytes]", "", heard.body.len())
            }
            Err(error) => write!(f, "no message: {error}  ({})", self.remote),
        }
    }
}

/// What a trace calls somebody.
pub(crate) fn name_of(peer: Peer) -> String {
    match peer {
        Peer::Agent(AgentId { call, side }) => match side {
            Side::Caller => format!("caller {call}"),
            Side::Callee => format!("callee {call}"),
        },
        Peer::Stranger => "stranger".to_owned(),
        Peer::Phone(id) => format!("phone {id}"),
        Peer::Router => "itself".to_owned(),
        Peer::Nobody => "nobody".to_owned(),
    }
}

/// A time in seconds since the start.
pub(crate) fn seconds(time: Time) -> f64 {
    time.duration_since(Time::ZERO).as_secs_f64()
}
