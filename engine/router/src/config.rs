//! What a router is told at its start, and the commands and events it exchanges with its surroundings.
//! Plain values only; how they are written in the TOML file is the server's business.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use stack::TimerConfig;
use stack::digest::Secret;

use crate::abuse::{Abuse, AbuseCounters, Ban};
use crate::accounts::CallRecord;
use crate::admission::{AdmissionCounters, Overload, Sieve};
use crate::auth::{Auth, AuthCounters};
use crate::directory::Directory;
use crate::events::{EventsCounters, EventsSettings, MessageWaiting};
use crate::location::{Aor, LocationChange, LocationCounters, Registration};
use crate::outbound::{Outbound, Probed};
use crate::outside::Methods;
use crate::peers::Peers;
use crate::proofs::ProofKeys;
use crate::query::{Answer, CallView, Query};
use crate::rdb::Table;
use crate::reach::ReachCounters;
use crate::registrar::{RegistrarCounters, RegistrarSettings};
use crate::traffic::{Durations, StreamsEnded, Traffic};
use crate::transfer::Word;

/// The settings of one shard's router.
#[derive(Clone, Debug)]
pub struct Config {
    /// This shard's number, below `shards`.
    pub shard: u8,
    /// How many shards there are.
    pub shards: u8,
    /// Key of the steering function, the same on every shard and in the kernel.
    pub steer_key: u64,
    /// Seed of this shard's tokens and tags. Must not be guessable on a live system.
    pub seed: u64,
    /// The listening addresses; [`stack::Flow::listener`] is an index into them. Never empty.
    pub listeners: Vec<Listener>,
    /// Protocol timers.
    pub timers: Timers,
    /// Upper bounds of this shard's tables.
    pub limits: Limits,
    /// The routing DB the shard starts with.
    pub table: Arc<Table>,
    /// Value of the Server header in the router's own answers; `None` sends none.
    pub server_name: Option<String>,
    /// Ports and rules of media through this shard; without ports `steerMedia` and `EchoResponder`
    /// routes are refused.
    pub media: media::Config,
    /// How far the media of each peer may move.
    pub peers: Arc<Peers>,
    /// Where calls leave to beside what the routing DB says.
    pub outbound: Outbound,
    /// What is passed on outside any dialog, to where the routing DB says.
    pub relay: Methods,
    /// Session timers of the router's own on each leg; `None` lets the ends agree on theirs through it.
    pub session_timer: Option<SessionTimer>,
    /// When new calls are refused because the shard is overloaded.
    pub overload: Overload,
    /// What is asked of those who are not known to mean well.
    pub abuse: Arc<Abuse>,
    /// The local domains and their users.
    pub directory: Arc<Directory>,
    /// How users of these domains register; `None`: a REGISTER is answered 405.
    pub registrar: Option<Arc<RegistrarSettings>>,
    /// Who must prove to be a user of these domains, and how.
    pub auth: Arc<Auth>,
    /// Where the keys of nonces come from, the same on every shard. Must not be guessable on a live system.
    pub nonce_secret: Secret,
    /// Microseconds from the Unix epoch to [`stack::Time::ZERO`], so that what is numbered by time goes on after a
    /// restart.
    pub unix_us: u64,
    /// The same on every shard. Must not be guessable on a live system.
    pub proof_keys: ProofKeys,
    /// What is kept of calls for those who ask.
    pub accounting: Accounting,
    /// How users of these domains subscribe and publish; `None`: what they ask is passed on.
    pub events: Option<Arc<EventsSettings>>,
}

/// What is kept of calls beside what carries them. Memory and time are spent for what is asked for here only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accounting {
    /// Questions about calls are answered, and they can be hung up. The two below keep as much.
    pub calls: bool,
    /// Their messages too, and the last session descriptions.
    pub timeline: bool,
    /// The end of each call is told: [`Event::CallEnded`].
    pub records: bool,
}

impl Config {
    /// The only shard, with these listeners and this routing DB, without media, peers and application
    /// server. Live systems set `seed`, `steer_key`, `nonce_secret` and `proof_keys` to what cannot be guessed.
    pub fn new(listeners: Vec<Listener>, table: Arc<Table>) -> Config {
        Config {
            shard: 0,
            shards: 1,
            steer_key: 1,
            seed: 1,
            listeners,
            timers: Timers::default(),
            limits: Limits::default(),
            table,
            server_name: None,
            media: media::Config::default(),
            peers: Arc::default(),
            outbound: Outbound::default(),
            relay: Methods::default(),
            session_timer: None,
            overload: Overload::default(),
            abuse: Arc::default(),
            directory: Arc::default(),
            registrar: None,
            auth: Arc::default(),
            nonce_secret: Secret::new([1; 32]),
            unix_us: 0,
            accounting: Accounting::default(),
            proof_keys: ProofKeys::new([1, 1], []),
            events: None,
        }
    }
}

/// Session timers (RFC 4028) of the router's own on each leg of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimer {
    /// The session interval the router asks for, seconds.
    pub session_expires_s: u32,
    /// The shortest one it accepts, seconds; RFC 4028 4 wants 90 or more.
    pub min_se_s: u32,
    /// Who refreshes, as far as the router may say.
    pub refreshes: Refreshes,
}

/// Who refreshes the session of a leg whose peer knows session timers. One that knows none is always
/// refreshed by the router.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refreshes {
    /// Whom the callee chooses; the caller, when it does not choose itself.
    #[default]
    Auto,
    /// The peer.
    Peer,
    /// The router, unless the caller has chosen itself.
    Router,
}

/// One listening address and how peers are told to reach it.
#[derive(Clone, Debug)]
pub struct Listener {
    /// The bound address.
    pub address: SocketAddr,
    /// Host (name, IPv4 or bracketed IPv6) written into Via and Contact.
    pub advertise_host: String,
    /// Port written into Via and Contact.
    pub advertise_port: u16,
}

/// Protocol timers of a shard.
#[derive(Clone, Copy, Debug)]
pub struct Timers {
    /// T1, T2, T4 and the delay of the automatic 100.
    pub stack: TimerConfig,
    /// An outgoing INVITE that rings this long without a final answer is cancelled, unless its
    /// route sets `noAnswerTimeout`. RFC 3261 16.6's timer C in what is proxied; must exceed 3 minutes there.
    pub ringing: Duration,
    /// How often each leg of a connected call is asked with OPTIONS whether its dialog still lives;
    /// `None` never.
    pub in_dialog_probe: Option<Duration>,
}

impl Default for Timers {
    fn default() -> Self {
        Timers {
            stack: TimerConfig::default(),
            ringing: Duration::from_secs(185),
            in_dialog_probe: None,
        }
    }
}

/// Upper bounds of one shard's tables. At a limit the answer is 503 with Retry-After.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Calls at once.
    pub calls: usize,
    /// Server transactions at once (they linger 32 s), and as many client transactions.
    pub transactions: usize,
    /// Host names waiting for, or remembered from, the resolver.
    pub names: usize,
    /// Seconds told to those who are refused (Retry-After), at least; at most twice as many, so that they
    /// do not all come back at once. 0: they are told nothing.
    pub retry_after_s: u32,
    /// What a message may hold.
    pub wire: wire::Limits,
    /// Subscriptions at once, those that a REFER outside a call makes among them.
    pub subscriptions: usize,
    /// Users with bindings at once. Every shard knows all, so this is no part of anything.
    pub registrations: usize,
    /// Bindings at once, of all users.
    pub bindings: usize,
    /// Bindings of one user.
    pub contacts: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            calls: 250_000,
            transactions: 1_000_000,
            names: 10_000,
            retry_after_s: 5,
            wire: wire::Limits::default(),
            subscriptions: 100_000,
            registrations: 1_000_000,
            bindings: 1_500_000,
            contacts: 10,
        }
    }
}

/// An order from the control side.
#[derive(Clone, Debug)]
pub enum Command {
    /// A new routing DB; calls in progress keep what they were given.
    Route(Arc<Table>),
    /// Refuse new calls with 503; say [`Event::Drained`] when the last one has ended.
    Drain,
    /// End every call now: BYE, CANCEL, 503.
    EndAll,
    /// New rules for the media of peers; calls in progress keep what they were given.
    Peers(Arc<Peers>),
    /// Other ways for new calls. An application server that stays the same keeps its state.
    Outbound(Outbound),
    /// Other methods to pass on outside any dialog; subscriptions in progress go on.
    Relay(Methods),
    /// Another shard has asked the application server whether it lives.
    ApplicationServer {
        /// Whether calls may go there.
        up: bool,
    },
    /// What another shard says with [`Event::ToShard`].
    FromShard(Word),
    /// Other rules for those who are not known to mean well. Bans stay.
    Abuse(Arc<Abuse>),
    /// Another shard has banned a source.
    Ban(Ban),
    /// Other domains or users. Who is gone loses his bindings.
    Directory(Arc<Directory>),
    /// Other rules for the REGISTERs to come.
    Registrar(Option<Arc<RegistrarSettings>>),
    /// Other rules of who must prove who he is. Nonces stay good.
    Auth(Arc<Auth>),
    /// What an earlier run knew of users: to be given to every shard before anything else.
    Restore(Arc<[Arc<Registration>]>),
    /// A question about calls; [`Event::Answer`] follows.
    Query(Query),
    /// Somebody listens to [`Event::CallProgress`] and [`Event::CallEnded`], or nobody does any more.
    Watch(bool),
    /// Keep something else of calls that begin from now on.
    Accounting(Accounting),
    /// Other keys; what was proven with one that is not among them is not any longer.
    ProofKeys(ProofKeys),
    /// Other rules for the SUBSCRIBEs and PUBLISHs to come.
    Events(Option<Arc<EventsSettings>>),
    /// What waits in the mailbox of a user now. To be given to every shard; nothing of it outlives the process.
    MessageWaiting {
        /// The user.
        aor: Aor,
        /// `None`: it is not counted any more.
        waiting: Option<MessageWaiting>,
    },
}

/// What the router asks of its surroundings, or tells them.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Look this host name up (A and AAAA) and answer with its addresses, none on failure.
    Resolve {
        /// The name as it stood in a URI, lower-cased.
        host: String,
    },
    /// Draining is over: no call is left.
    Drained,
    /// A limit was reached for the first time since it was last clear of it.
    LimitReached {
        /// `calls`, `subscriptions`, `transactions`, `names` or `media.ports`.
        limit: &'static str,
        /// Its configured value.
        value: usize,
    },
    /// The shard has more to do than it can, and new calls are limited; or that is over.
    Overload {
        /// Whether it begins.
        begins: bool,
        /// New calls a second that are taken; 0 when it is over.
        rate: u64,
        /// Refused and dropped since the shard's start.
        turned_away: u64,
    },
    /// So many new calls come that reading them costs too much: the network may leave some out; `None`:
    /// no more.
    Sieve(Option<Box<Sieve>>),
    /// A stream of a steered call has ended.
    MediaEnded(Box<MediaEnded>),
    /// This shard has asked the application server whether it lives. Comes after every question, so
    /// that a shard which missed one word of it hears the next.
    ApplicationServer {
        /// Its address.
        address: SocketAddr,
        /// Whether calls may go there.
        up: bool,
        /// What changed its state; `None` when that is as it was.
        change: Option<Probed>,
    },
    /// To be delivered to another shard as [`Command::FromShard`]. One that is lost is made good by time.
    ToShard {
        /// Its number.
        shard: u8,
        /// What is said.
        word: Word,
    },
    /// A source was banned: the other shards are to be told.
    Banned(Ban),
    /// Bindings have changed. Told by one shard only, the owner of the address-of-record, in order.
    Location(LocationChange),
    /// The answer to a [`Command::Query`].
    Answer(Box<Answer>),
    /// A call has begun, rings or was answered; only while somebody listens ([`Command::Watch`]).
    CallProgress(Box<CallView>),
    /// A call has ended, or an INVITE was refused; when records are wanted ([`Accounting::records`]), or,
    /// of calls, while somebody listens.
    CallEnded(Arc<CallRecord>),
}

/// What became of one stream of a steered call.
#[derive(Clone, Debug, PartialEq)]
pub struct MediaEnded {
    /// The call: our tag towards its caller.
    pub call: String,
    /// Index of the stream's m= line in the session description.
    pub line: usize,
    /// What each party sent.
    pub summary: media::Summary,
}

/// The answer to [`Event::Resolve`].
#[derive(Clone, Copy, Debug)]
pub struct Resolved<'a> {
    /// The name that was asked for.
    pub host: &'a str,
    /// Its addresses in the order of preference; empty when the name has none or nobody answered.
    pub addresses: &'a [IpAddr],
    /// How long the answer may be remembered.
    pub ttl: Duration,
}

/// Why the router wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// A transaction timer.
    Transaction(stack::Wake),
    /// A timer of a call: no answer, no 18x, longest duration, ringing.
    Call,
    /// A stream: a report to send, silence to look for.
    Media,
    /// The application server, or contacts of users, are to be asked whether they live.
    KeepAlive,
    /// An INVITE has waited too long for another shard's word.
    Held,
    /// A binding ends, or another shard has not confirmed one.
    Location,
    /// A publication ends, or is to be told once more.
    Events,
}

/// What happened, as plain numbers since the start of the shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams given to this shard.
    pub received: u64,
    /// Keep-alives: datagrams of nothing but CRLF and NUL.
    pub keep_alives: u64,
    /// Datagrams that belonged to another shard.
    pub foreign: u64,
    /// Malformed messages answered 400.
    pub malformed_answered: u64,
    /// Malformed messages dropped.
    pub malformed_dropped: u64,
    /// Requests received that are not retransmissions.
    pub requests: u64,
    /// Responses received that belonged to a transaction.
    pub responses: u64,
    /// Requests answered by the router itself with an error.
    pub refused: u64,
    /// Calls started: INVITEs that left towards a callee, or to the echo.
    pub calls_started: u64,
    /// Those of them that the router answered itself, as an echo.
    pub calls_echoed: u64,
    /// Calls answered with a 2xx.
    pub calls_answered: u64,
    /// Calls that ended before an answer.
    pub calls_failed: u64,
    /// Answered calls that ended.
    pub calls_ended: u64,
    /// Calls refused because a limit was reached or the router drains.
    pub calls_limited: u64,
    /// Calls without a route.
    pub calls_unrouted: u64,
    /// Calls cancelled by their caller.
    pub calls_cancelled: u64,
    /// Calls ended by noAnswerTimeout, no18xTimeout, maxCallDuration or the ringing limit.
    pub calls_timed_out: u64,
    /// Answered calls ended because their media fell silent.
    pub calls_silent: u64,
    /// In-dialog requests relayed to the other leg.
    pub relayed: u64,
    /// Calls at this moment.
    pub calls: u64,
    /// Server transactions at this moment.
    pub server_transactions: u64,
    /// Client transactions at this moment.
    pub client_transactions: u64,
    /// What the transaction layer counted.
    pub transactions: stack::Counters,
    /// What the media counted.
    pub media: media::Counters,
    /// OPTIONS sent inside calls to probe their legs.
    pub probes: u64,
    /// Of these: without an answer, or answered that there is no such dialog.
    pub probes_failed: u64,
    /// Calls ended because a probe failed.
    pub calls_unresponsive: u64,
    /// OPTIONS sent to the application server.
    pub application_server_probes: u64,
    /// Of these: without an answer, or answered 503.
    pub application_server_probes_failed: u64,
    /// Calls refused because the application server is down.
    pub calls_refused_down: u64,
    /// 0 while the application server is down, else 1, also without one.
    pub application_server_up: u64,
    /// Requests that were passed on to the other leg: INVITE, ACK, BYE and the others of a call. A CANCEL
    /// ends here, the one that follows it is the router's own.
    pub forwarded: u64,
    /// Requests, ACKs among them, that the proxy forwarded; each branch of a fork counts.
    pub proxied: u64,
    /// Targets of proxied INVITEs, and of other requests with several targets, that were tried.
    pub proxied_branches: u64,
    /// Redirections whose Contacts the proxy tried.
    pub proxied_recursions: u64,
    /// REFERs passed on to the other leg.
    pub referred: u64,
    /// INVITEs that named a dialog, by Replaces, Join, Target-Dialog or our Contact, and went to its other
    /// end.
    pub dialogs_found: u64,
    /// Those that named a dialog which is not there, or cannot be replaced.
    pub dialogs_not_found: u64,
    /// Those whose dialog was asked for at another shard.
    pub dialogs_asked: u64,
    /// REFERs that the router carries out itself.
    pub transfers_begun: u64,
    /// Of these: the target was joined to the transferee.
    pub transfers_done: u64,
    /// Of these: it was not.
    pub transfers_failed: u64,
    /// Requests outside any dialog that were passed on.
    pub exchanges: u64,
    /// Subscriptions at this moment.
    pub subscriptions: u64,
    /// Requests to make a subscription that were passed on.
    pub subscriptions_started: u64,
    /// Requests to make one that were refused: limit reached, or draining.
    pub subscriptions_limited: u64,
    /// Subscriptions that ended because nobody refreshed them.
    pub subscriptions_expired: u64,
    /// Requests outside any dialog without a route.
    pub exchanges_unrouted: u64,
    /// Refreshes of sessions sent by the router itself (RFC 4028 10).
    pub session_refreshes: u64,
    /// Calls ended because a session was not refreshed.
    pub sessions_expired: u64,
    /// Requests refused with 422: they asked for refreshes too often.
    pub session_intervals_refused: u64,
    /// 422 received: a peer wanted fewer refreshes.
    pub session_intervals_raised: u64,
    /// PRACKs of the router's own (RFC 3262), for callers that do no 100rel or have their answer already.
    pub pracks: u64,
    /// Reliable provisionals that went no further: repeated, out of order, or while another one waits for
    /// its PRACK.
    pub provisionals_discarded: u64,
    /// INVITEs sent once more, with 100rel, after a 421.
    pub invites_extended: u64,
    /// Offers and UPDATEs refused with 491 or 500 because another one has no answer yet.
    pub untimely: u64,
    /// Requests answered 482: a copy of one that is here, come another way (RFC 3261 8.2.2.2).
    pub merged: u64,
    /// Requests answered 482: sent by this router and come back unchanged (RFC 3261 16.3).
    pub looped: u64,
    /// What became of new requests at the door.
    pub admission: AdmissionCounters,
    /// ACKs for responses that were sent without a transaction.
    pub stateless_acks: u64,
    /// Calls and other requests that begin something, not sent on because the server they were for had asked
    /// for fewer (RFC 7339).
    pub calls_withheld: u64,
    /// Servers that have lately asked for fewer calls.
    pub limiting_servers: u64,
    /// What was turned away because of where it came from.
    pub abuse: AbuseCounters,
    /// What became of REGISTERs.
    pub registrar: RegistrarCounters,
    /// What became of requests that needed proof of who sent them.
    pub auth: AuthCounters,
    /// Nonces whose counts are remembered at this moment.
    pub nonces: u64,
    /// What the location service did.
    pub location: LocationCounters,
    /// Requests to users of local domains, and whether these answer.
    pub reach: ReachCounters,
    /// What became of subscriptions to, and publications of, the state of users.
    pub events: EventsCounters,
    /// SIP messages by kind and direction. Counted by the shard.
    pub traffic: Traffic,
    /// From an INVITE to the first ringing its caller heard of. Only of calls with an account.
    pub rang_after: Durations,
    /// From an INVITE to its 2xx, likewise.
    pub answered_after: Durations,
    /// What was counted of streams that have ended.
    pub streams_ended: StreamsEnded,
}

/// The few counters that are asked for after every turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// [`Counters::calls_started`].
    pub invites: u64,
    /// [`Counters::forwarded`].
    pub requests: u64,
    /// Media packets sent on: [`media::Counters::relayed`].
    pub media: u64,
}
