//! The transaction layer (RFC 3261 17 as amended by RFC 6026 and RFC 4320): requests and responses are
//! matched, repeated, absorbed and given up here, so that the transaction user sees each one once.
//!
//! The four machines are tables in files of their own; `server` and `client` perform what the tables
//! say. What a request or a response means is for the transaction user.

mod acks;
mod ahead;
mod alarms;
mod client;
mod client_machine;
mod clients;
mod counters;
mod derived;
mod invite_client;
mod invite_server;
mod key;
mod non_invite_client;
mod non_invite_server;
mod server;
mod server_machine;
mod servers;
mod table;

use std::collections::VecDeque;
use std::time::Duration;

use wire::{Index, Limits, Method};

use self::acks::KeptAck;
use self::alarms::{Alarm, Alarms};
use self::client_machine::ClientInput;
use self::clients::Clients;
use self::server_machine::ServerInput;
use self::servers::Servers;
use crate::pool::{Block, Pool};
use crate::slab::{Id, Slab};
use crate::{Flow, Outbox, Random, Time, Token};

pub use self::alarms::{TimerConfig, Wake};
pub use self::client::Claim;
pub use self::counters::{Counters, Stray, Strays};

/// Names a server transaction. An id whose transaction is gone is harmless: it finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ServerId(Id);

/// Names a client transaction. An id whose transaction is gone is harmless: it finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientId(Id);

/// How many transactions there may be at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionLimits {
    /// Server transactions; a CANCEL for an INVITE among them is let in above the limit.
    pub server: usize,
    /// Client transactions; the CANCELs of INVITEs among them come on top. At most 2^24 - 1.
    pub client: usize,
}

/// What a request is to the transaction user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inbound {
    /// A new request: answer it.
    New(ServerId),
    /// Nothing to do: a retransmission (answered again if it was answered), an ACK for a failure, or a
    /// request that cannot be read.
    Absorbed,
    /// An ACK for a 2xx, or for nothing known here: it is for the dialog.
    Ack,
    /// A CANCEL. Answer it (200, or 481 without an INVITE) and the INVITE (487, which is dropped when the
    /// INVITE has a final answer already: RFC 3261 9.2).
    Cancel {
        /// The CANCEL's own transaction.
        cancel: ServerId,
        /// The INVITE it names, answered or not.
        invite: Option<ServerId>,
    },
    /// Refused at the limit: answer 503 without a transaction.
    Full,
    /// A new request outside dialogs with the From tag, Call-ID and CSeq of another that is here and was
    /// not refused: the same request, come another way. A UAS answers 482 (RFC 3261 8.2.2.2).
    Merged {
        /// Its own transaction.
        server: ServerId,
        /// That of the first copy.
        ongoing: ServerId,
    },
}

/// A response that is for the transaction user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<U> {
    /// The transaction it belongs to.
    pub client: ClientId,
    /// The value given with the request.
    pub user: U,
    /// It is the first final response of the transaction.
    pub first_final: bool,
}

/// Something that happened by itself. The transaction it names is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<U> {
    /// No answer came in time: timer B or F, or no final one 64*T1 after the CANCEL.
    TimedOut {
        /// The transaction that was.
        client: ClientId,
        /// The value given with the request.
        user: U,
        /// The request's method.
        method: Method,
    },
    /// The request could not be delivered.
    Failed {
        /// The transaction that was.
        client: ClientId,
        /// The value given with the request.
        user: U,
        /// The request's method.
        method: Method,
    },
    /// Nobody acknowledged our 2xx within 64*T1 (RFC 3261 13.3.1.4: end the dialog with BYE).
    Unacknowledged {
        /// The transaction that was.
        server: ServerId,
        /// The value given by [`Transactions::set_server_user`].
        user: Option<U>,
    },
    /// Nobody acknowledged our 3xx-6xx: timer H.
    NoAck {
        /// The transaction that was.
        server: ServerId,
        /// The value given by [`Transactions::set_server_user`].
        user: Option<U>,
    },
}

/// Requests we printed ourselves are read again without the limits that protect against others.
const KEPT_LIMITS: Limits = Limits {
    headers_max: usize::MAX,
    header_bytes_max: usize::MAX,
    start_line_bytes_max: usize::MAX,
};

/// The transaction layer of one shard. `U` is the transaction user's own value carried with each
/// transaction.
///
/// Four groups of methods: from outside (`receive_request`, `receive_response`, `transport_error`);
/// commands (`respond`, `request`, `cancel` ...); time (`poll_timeout`, `handle_timeout`); what comes of
/// it (`poll_event`, `counters`). After each turn call `handle_timeout` until it returns `None`; the
/// datagrams are in the [`Outbox`] that was passed in.
#[derive(Debug)]
pub struct Transactions<U: Copy> {
    shard: u8,
    limits: TransactionLimits,
    trying_at_once: bool,
    servers: Servers<U>,
    clients: Clients<U>,
    acks: Slab<KeptAck>,
    alarms: Alarms,
    pool: Pool,
    random: Random,
    index: Index,
    /// The INVITE that the response just received has refused, and where it went.
    refused: Option<(Flow, Block)>,
    events: VecDeque<Event<U>>,
    counters: Counters,
    /// What responses tell of this server's load.
    load: Vec<u8>,
}

impl<U: Copy> Transactions<U> {
    /// An empty layer. Everything random in it follows from `seed`.
    #[must_use]
    pub fn new(
        shard: u8,
        seed: u64,
        timers: TimerConfig,
        limits: TransactionLimits,
        now: Time,
    ) -> Transactions<U> {
        let mut random = Random::new(seed);
        let client = limits.client.min(Token::SLOTS - 1);
        let server = limits.server.min(Token::SLOTS - 1);
        Transactions {
            shard,
            limits: TransactionLimits { server, client },
            trying_at_once: timers.trying == Duration::ZERO,
            servers: Servers::new(random.next_u64(), server),
            clients: Clients::new(client),
            acks: Slab::with_capacity(0),
            alarms: Alarms::new(timers, now),
            pool: Pool::new(),
            random,
            index: Index::new(),
            refused: None,
            events: VecDeque::new(),
            counters: Counters::default(),
            load: Vec::new(),
        }
    }

    /// When and why `handle_timeout` wants to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Time, Wake)> {
        self.alarms.next()
    }

    /// Does what is due at `now`, in the order of the deadlines, up to the next event. After `None`
    /// nothing is due and `poll_timeout` is later than `now`.
    pub fn handle_timeout(&mut self, now: Time, out: &mut Outbox) -> Option<Event<U>> {
        self.forget_refused();
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if !self.alarms.is_due(now) {
                return None;
            }
            self.read_ahead(now);
            if let Some(alarm) = self.alarms.expire(now) {
                self.ring(now, alarm, out);
            }
        }
    }

    fn ring(&mut self, now: Time, alarm: Alarm, out: &mut Outbox) {
        let (wake, id) = (alarm.wake(), alarm.id());
        let lives = match wake.is_client() {
            true => self.clients.get(id).is_some(),
            false => self.servers.get(id).is_some(),
        };
        if !lives {
            return;
        }
        if let Some(count) = self.counters.woken.get_mut(wake as usize) {
            *count += 1;
        }
        match wake.is_client() {
            true => self.drive_client(now, id, ClientInput::Fired(wake), out),
            false => {
                self.drive_server(now, id, ServerInput::Fired(wake), out);
            }
        }
    }

    /// The next event that came without time passing: from `transport_error` or `cancel`.
    pub fn poll_event(&mut self) -> Option<Event<U>> {
        self.events.pop_front()
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Live server transactions.
    #[must_use]
    pub fn server_count(&self) -> usize {
        self.servers.len()
    }

    /// Live client transactions, CANCELs included.
    #[must_use]
    pub fn client_count(&self) -> usize {
        self.clients.len()
    }

    /// Whether there is no transaction, and so no stored message and no event either.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.server_count() + self.client_count() + self.events.len() == 0
    }

    /// The memory of stored messages, for leak checkers and gauges.
    #[must_use]
    pub fn pool(&self) -> &Pool {
        &self.pool
    }
}
