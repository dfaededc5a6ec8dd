//! The configuration file as values: its sections, their keys, defaults and single-key rules. Reading
//! the file and finding the line of a mistake is the `load` module's business; rules that need two
//! keys stand in `rules`. Doc comments here become the JSON schema's descriptions, so they are
//! written for operators.

use std::path::PathBuf;

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::abuse::Abuse;
use super::auth::{Auth, Demand};
use super::calls::{Cdr, Hep};
use super::events::Events;
use super::http::Http;
use super::journal::Journal;
use super::media::{LatchingMode, Media};
use super::overload::Overload;
use super::registrar::{Domain, Registrar};
use super::security::Security;
use super::value::{Advertise, HostAddress, ListenAddress, MetricsAddress, Network, ServerAddress};

/// Configuration of tipring. Every key may be left out; a key that is not known is an error.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Threads and their end.
    #[garde(dive)]
    pub(crate) engine: Engine,
    /// Addresses to receive SIP on; at least one.
    #[garde(length(max = 64))]
    pub(crate) listen: Vec<Listen>,
    /// How UDP is driven.
    #[garde(dive)]
    pub(crate) udp: Udp,
    /// Known peers. Whoever is in no list is treated as a phone.
    #[garde(dive)]
    pub(crate) peer: Vec<Peer>,
    /// Where calls go.
    #[garde(skip)]
    pub(crate) routing: Routing,
    /// Upper bounds. Reaching one refuses with 503; nothing grows beyond them.
    #[garde(dive)]
    pub(crate) limits: Limits,
    /// Protocol timers.
    #[garde(dive)]
    pub(crate) timers: Timers,
    /// The Prometheus listener.
    #[garde(skip)]
    pub(crate) metrics: Metrics,
    /// What is logged, and how.
    #[garde(skip)]
    pub(crate) log: Log,
    /// Latencies: what is measured, and where it is written.
    #[garde(dive)]
    pub(crate) latency: Latency,
    /// Media through the router, for routes with steerMedia or the flow EchoResponder.
    #[garde(dive)]
    pub(crate) media: Media,
    /// A server in front of the routing DB, which every call goes to.
    #[garde(dive)]
    pub(crate) application_server: ApplicationServer,
    /// Session timers (RFC 4028): who looks after calls whose end nobody was told of.
    #[garde(dive)]
    pub(crate) session_timer: SessionTimer,
    /// What happens to new calls when a shard has more to do than it can.
    #[garde(dive)]
    pub(crate) overload: Overload,
    /// What is asked of those who are not known to mean well.
    #[garde(dive)]
    pub(crate) abuse: Abuse,
    /// Bindings and the users that were pushed over HTTP, kept on disk.
    #[garde(dive)]
    pub(crate) journal: Journal,
    /// How users of the domains register.
    #[garde(dive)]
    pub(crate) registrar: Registrar,
    /// Local domains with their users.
    #[garde(dive)]
    pub(crate) domain: Vec<Domain>,
    /// The HTTP API.
    #[garde(dive)]
    pub(crate) http: Http,
    /// Who must prove who he is, and how.
    #[garde(dive)]
    pub(crate) auth: Auth,
    /// The records of calls.
    #[garde(dive)]
    pub(crate) cdr: Cdr,
    /// A collector of SIP messages (HEP3).
    #[garde(dive)]
    pub(crate) hep: Hep,
    /// What the router knows itself by.
    #[garde(dive)]
    pub(crate) security: Security,
    /// What users of the domains subscribe to and publish.
    #[garde(dive)]
    pub(crate) events: Events,
}

/// Threads and their end.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Engine {
    /// Shards: threads that carry calls, one per core. 0: one per CPU this process may use, or per
    /// entry of `cpus`.
    #[garde(custom(within(0, SHARDS_MAX)))]
    pub(crate) shards: u16,
    /// CPUs the shards are pinned to, in order. Empty: the first ones this process may use.
    #[garde(length(max = 255))]
    pub(crate) cpus: Vec<u16>,
    /// After SIGTERM, seconds that calls in progress have to end by themselves.
    #[garde(custom(within(0, DAY_S)))]
    pub(crate) drain_s: u64,
    /// Name sent in Server headers of the router's own answers. Left out: none is sent.
    #[garde(inner(custom(header_text)))]
    pub(crate) server_name: Option<String>,
}

impl Default for Engine {
    fn default() -> Self {
        Engine {
            shards: 0,
            cpus: Vec::new(),
            drain_s: 30,
            server_name: None,
        }
    }
}

/// The shard's number is one byte of every token the router gives out.
pub(crate) const SHARDS_MAX: u64 = 255;
pub(super) const DAY_S: u64 = 86_400;
/// Longer than anything is asked after.
const LONG_S: u64 = 10_000_000;
const HOUR_MS: u64 = 3_600_000;

/// Transports a listener may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Transport {
    /// UDP.
    Udp,
}

/// One address to receive SIP on.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listen {
    /// Only "udp" so far.
    #[serde(default = "udp")]
    pub(crate) transport: Transport,
    /// "ip:port"; IPv6 in brackets.
    pub(crate) address: ListenAddress,
    /// "host" or "host:port" that peers are told in Via and Contact. Left out: `address`. Required
    /// when `address` is 0.0.0.0 or `[::]`, which nobody can call back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) advertise: Option<Advertise>,
}

fn udp() -> Transport {
    Transport::Udp
}

/// How UDP is driven.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Udp {
    /// Whose datagrams may leave several in one system call (UDP_SEGMENT). This evens their sizes
    /// with bytes after the body, which RFC 3261 18.3 tells a receiver to discard.
    #[garde(skip)]
    pub(crate) coalesce: Coalesce,
    /// Which shard gets a datagram: decided in the kernel by an eBPF program ("auto": when it may be
    /// loaded; "require": or do not start), or by hand-over between shards ("off").
    #[garde(skip)]
    pub(crate) steering: SteeringMode,
    /// Kernel receive buffer of each socket. Above net.core.rmem_max it needs CAP_NET_ADMIN.
    #[garde(custom(within(4_096, 1 << 30)))]
    pub(crate) receive_buffer_bytes: usize,
    /// Kernel send buffer of each socket. Above net.core.wmem_max it needs CAP_NET_ADMIN.
    #[garde(custom(within(4_096, 1 << 30)))]
    pub(crate) send_buffer_bytes: usize,
    /// How long a busy shard polls before it sleeps. An idle one sleeps at once.
    #[garde(custom(within(0, 1_000)))]
    pub(crate) spin_us: u64,
    /// Submission queue entries of a shard's io_uring; a power of two.
    #[garde(custom(power_of_two(16, 32_768)))]
    pub(crate) ring_entries: u32,
    /// Receive buffers of a shard; a power of two. Each holds `limits.message_bytes`.
    #[garde(custom(power_of_two(32, 32_768)))]
    pub(crate) buffers: u16,
    /// DSCP of sent datagrams, 0 to 63. 24 is CS3, usual for signalling.
    #[garde(custom(within(0, 63)))]
    pub(crate) dscp: u8,
}

impl Default for Udp {
    fn default() -> Self {
        Udp {
            coalesce: Coalesce::Trunks,
            steering: SteeringMode::Auto,
            receive_buffer_bytes: 8 << 20,
            send_buffer_bytes: 8 << 20,
            spin_us: 30,
            ring_entries: 1024,
            buffers: 1024,
            dscp: 0,
        }
    }
}

/// Whose datagrams may be coalesced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Coalesce {
    /// Nobody's: one system call each.
    Off,
    /// Peers of class "trunk".
    Trunks,
    /// Everybody's.
    All,
}

/// How datagrams find their shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SteeringMode {
    /// In the kernel when it lets us, else by hand-over.
    Auto,
    /// By hand-over between shards.
    Off,
    /// In the kernel; not starting otherwise.
    Require,
}

/// A known peer.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct Peer {
    /// What this peer is called in logs.
    #[garde(length(min = 1, max = 64))]
    pub(crate) name: String,
    /// Its addresses: "192.0.2.7", "192.0.2.0/24", "2001:db8::/32". The longest prefix wins.
    #[garde(length(min = 1))]
    pub(crate) addresses: Vec<Network>,
    /// "trunk": a carrier or another server. "phone": anything else.
    #[garde(skip)]
    pub(crate) class: PeerClass,
    /// How far its media may come from elsewhere than its SDP says. Left out: `media.latching`.
    #[garde(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) media: Option<LatchingMode>,
    /// It belongs to the network whose members believe each other who is calling (RFC 3325 2.3).
    #[garde(skip)]
    #[serde(default)]
    pub(crate) trusted: bool,
    /// Who acknowledges this peer's reliable provisionals (RFC 3262) to callers without 100rel.
    #[garde(skip)]
    #[serde(default)]
    pub(crate) reliable_provisionals: ReliableProvisionals,
    /// Whether it and this router tell each other how much to hold back when overloaded (RFC 7339).
    #[garde(skip)]
    #[serde(default)]
    pub(crate) overload_control: bool,
    /// What becomes of its REFERs inside calls: "pass" or "handle".
    #[garde(skip)]
    #[serde(default)]
    pub(crate) transfers: TransferMode,
    /// Whether `[abuse]` leaves it alone. Left out: class "trunk" yes, "phone" no.
    #[garde(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) abuse_exempt: Option<bool>,
    /// Which of its requests need proof of who sent them: "never", also REGISTER; "local"; "always". Left out: as
    /// `[auth]` has it.
    #[garde(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) authenticate: Option<Demand>,
}

/// Who does RFC 3262 with a callee whose caller does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ReliableProvisionals {
    /// Nobody: they pass as they are.
    Pass,
    /// The router, when the callee insists on it or sends them unasked.
    #[default]
    Interwork,
    /// The router, which offers 100rel to the callee from the first.
    Offer,
}

impl From<ReliableProvisionals> for shard::Reliable {
    fn from(who: ReliableProvisionals) -> shard::Reliable {
        match who {
            ReliableProvisionals::Pass => shard::Reliable::Pass,
            ReliableProvisionals::Interwork => shard::Reliable::Interwork,
            ReliableProvisionals::Offer => shard::Reliable::Offer,
        }
    }
}

/// What becomes of a REFER inside a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TransferMode {
    /// It crosses: the other party calls the target.
    #[default]
    Pass,
    /// The router calls the target, where it can.
    Handle,
}

impl From<TransferMode> for shard::Transfers {
    fn from(mode: TransferMode) -> shard::Transfers {
        match mode {
            TransferMode::Pass => shard::Transfers::Pass,
            TransferMode::Handle => shard::Transfers::Handle,
        }
    }
}

/// What kind of peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PeerClass {
    /// A carrier or another server.
    Trunk,
    /// A telephone, and whoever is in no list.
    Phone,
}

/// Where calls go.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Routing {
    /// The routing DB (rdb.json), relative to this file. Left out: the built-in example.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rdb: Option<PathBuf>,
    /// "ip:port" that calls leave through which the routing DB decides on, whatever their target. Left
    /// out: they go to the target itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outbound_proxy: Option<ServerAddress>,
    /// Methods that go where calls go when they come outside any dialog; those left out are answered 405,
    /// INFO and NOTIFY 481.
    pub(crate) relay: Vec<Relayed>,
}

impl Default for Routing {
    fn default() -> Self {
        use Relayed::{Info, Message, Options, Publish, Refer, Subscribe};
        Routing {
            rdb: None,
            outbound_proxy: None,
            relay: vec![Message, Publish, Subscribe, Info, Options, Refer],
        }
    }
}

/// A method that may be passed on outside any dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Relayed {
    /// Pager messages (RFC 3428).
    Message,
    /// Event state (RFC 3903).
    Publish,
    /// Subscriptions, with the NOTIFYs inside them (RFC 6665).
    Subscribe,
    /// INFO of no call, an old custom.
    Info,
    /// OPTIONS to a number (RFC 3261 11); the router answers those to itself.
    Options,
    /// REFER outside a call (RFC 3515), with the NOTIFYs about it.
    Refer,
    /// NOTIFY that nobody subscribed to, a custom of some voicemail systems.
    Notify,
}

/// Upper bounds of the whole engine; `calls`, `transactions`, `names` and `subscriptions` are divided
/// evenly among the shards.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// Calls at once, all shards together.
    #[garde(custom(within(1, 100_000_000)))]
    pub(crate) calls: usize,
    /// Server transactions at once, and as many client transactions, all shards together. Each
    /// lingers 32 s, so allow 64 for each new call per second.
    #[garde(custom(within(1, 1_000_000_000)))]
    pub(crate) transactions: usize,
    /// Host names waiting for, or remembered from, the resolver, all shards together.
    #[garde(custom(within(1, 10_000_000)))]
    pub(crate) names: usize,
    /// Header lines of one message.
    #[garde(custom(within(16, 4_096)))]
    pub(crate) headers: usize,
    /// Bytes of one header line, folded lines together.
    #[garde(custom(within(256, 65_535)))]
    pub(crate) header_bytes: usize,
    /// Bytes of one datagram. RFC 3261 18.1.1 wants the largest UDP can carry.
    #[garde(custom(within(1_024, UDP_PAYLOAD_MAX.into())))]
    pub(crate) message_bytes: u32,
    /// Retry-After of a 503, seconds: a random number from this to twice this. 0: no such header.
    #[garde(custom(within(0, DAY_S)))]
    pub(crate) retry_after_s: u32,
    /// Subscriptions at once, all shards together.
    #[garde(custom(within(1, 100_000_000)))]
    pub(crate) subscriptions: usize,
    /// Users that may be pushed over HTTP, all domains together.
    #[garde(custom(within(1, 100_000_000)))]
    pub(crate) users: usize,
    /// Users with bindings at once. Every shard knows all of them: this is not divided.
    #[garde(custom(within(1, 100_000_000)))]
    pub(crate) registrations: usize,
    /// Bindings at once, of all users. Not divided.
    #[garde(custom(within(1, 200_000_000)))]
    pub(crate) bindings: usize,
    /// Bindings of one user.
    #[garde(custom(within(1, 1_000)))]
    pub(crate) contacts: usize,
}

/// 65,535 bytes of IPv4 packet less its header and UDP's.
const UDP_PAYLOAD_MAX: u32 = 65_507;

impl Default for Limits {
    fn default() -> Self {
        Limits {
            calls: 250_000,
            transactions: 1_000_000,
            names: 10_000,
            headers: 128,
            header_bytes: 8_192,
            message_bytes: UDP_PAYLOAD_MAX,
            retry_after_s: 5,
            subscriptions: 100_000,
            users: 2_000_000,
            registrations: 1_000_000,
            bindings: 1_500_000,
            contacts: 10,
        }
    }
}

/// Protocol timers, in milliseconds unless their name says otherwise.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Timers {
    /// RFC 3261 T1, the estimated round trip; the first retransmission's delay.
    #[garde(custom(within(10, 60_000)))]
    pub(crate) t1_ms: u64,
    /// RFC 3261 T2, the longest delay between retransmissions.
    #[garde(custom(within(10, 600_000)))]
    pub(crate) t2_ms: u64,
    /// RFC 3261 T4, how long a message may live in the network.
    #[garde(custom(within(10, 600_000)))]
    pub(crate) t4_ms: u64,
    /// An INVITE unanswered this long gets a 100 (Trying). 0: at once.
    #[garde(custom(within(0, HOUR_MS)))]
    pub(crate) trying_ms: u64,
    /// A call that rings this long without an answer is cancelled, unless its routing record sets
    /// noAnswerTimeout. Timer C of what is proxied.
    #[garde(custom(within(1, DAY_S)))]
    pub(crate) ringing_s: u64,
    /// How often each leg of a connected call is asked with OPTIONS whether its dialog still lives. No
    /// answer or 481 ends the call. 0: never.
    #[garde(custom(within(0, LONG_S)))]
    pub(crate) in_dialog_probe_s: u64,
}

impl Default for Timers {
    fn default() -> Self {
        Timers {
            t1_ms: 500,
            t2_ms: 4_000,
            t4_ms: 5_000,
            trying_ms: 200,
            ringing_s: 185,
            in_dialog_probe_s: 0,
        }
    }
}

/// A server in front of the routing DB, which every call goes to.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ApplicationServer {
    /// "ip:port" every call goes to that does not come from there. Calls from there go by the routing
    /// DB. Left out: there is none, every call goes by the routing DB.
    #[garde(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<ServerAddress>,
    /// Further addresses whose calls count as the server's, from any port.
    #[garde(length(max = 64))]
    pub(crate) sources: Vec<HostAddress>,
    /// How often it is asked with OPTIONS whether it lives. 0: never, it then counts as up.
    #[garde(custom(within(0, LONG_S)))]
    pub(crate) keep_alive_s: u64,
    /// It is down after so many failures in a row; then calls to it are refused with 503 until it
    /// answers again.
    #[garde(custom(within(1, 1_000)))]
    pub(crate) failures: u32,
}

impl Default for ApplicationServer {
    fn default() -> Self {
        ApplicationServer {
            address: None,
            sources: Vec::new(),
            keep_alive_s: 30,
            failures: 2,
        }
    }
}

/// Session timers (RFC 4028): who looks after calls whose end nobody was told of.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SessionTimer {
    /// "pass": the two ends agree on a timer, or on none, through the router. "on": the router agrees with
    /// each end for itself, and refreshes for an end that cannot.
    #[garde(skip)]
    pub(crate) mode: SessionTimerMode,
    /// The session interval the router asks for, seconds.
    #[garde(custom(within(1, DAY_S)))]
    pub(crate) session_expires_s: u32,
    /// The shortest interval it accepts, seconds: what asks for less gets 422. RFC 4028 4 wants 90 or more.
    #[garde(custom(within(1, DAY_S)))]
    pub(crate) min_se_s: u32,
    /// Who refreshes, as far as the router may say. "auto": whom the callee chooses, and the caller. "peer":
    /// the peer. "router": the router.
    #[garde(skip)]
    pub(crate) refresher: Refresher,
}

impl Default for SessionTimer {
    fn default() -> Self {
        SessionTimer {
            mode: SessionTimerMode::Pass,
            session_expires_s: 1_800,
            min_se_s: 90,
            refresher: Refresher::Auto,
        }
    }
}

/// Whose session timers there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SessionTimerMode {
    /// The ends'.
    Pass,
    /// The router's, on each leg.
    On,
}

/// Who refreshes a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Refresher {
    /// Whom the callee chooses, and the caller.
    Auto,
    /// The peer.
    Peer,
    /// The router.
    Router,
}

/// The Prometheus listener.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Metrics {
    /// "ip:port" of the HTTP listener that answers scrapes. Left out: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<MetricsAddress>,
}

/// Latencies: what is measured, and where it is written. They are measured when somebody can see them:
/// with a `directory`, or with `metrics.address` or `http.address`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Latency {
    /// false: nothing is measured.
    #[garde(skip)]
    pub(crate) enabled: bool,
    /// Where interval logs (.hlog) are written, relative to this file; made when it is missing. Left
    /// out: none are written.
    #[garde(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) directory: Option<PathBuf>,
    /// Length of an interval, seconds.
    #[garde(custom(within(1, 3_600)))]
    pub(crate) interval_s: u64,
    /// In one turn of so many, how long SIP datagrams waited in their socket is measured. 0: never, which
    /// spares the machine the noting of times.
    #[garde(custom(within(0, 1_000_000)))]
    pub(crate) kernel_wait_every: u32,
    /// A log longer than this is followed by a new one.
    #[garde(custom(within(65_536, 1 << 40)))]
    pub(crate) rotate_bytes: u64,
    /// Logs kept in the directory, the one being written included; the oldest go.
    #[garde(custom(within(1, 100_000)))]
    pub(crate) rotate_files: usize,
}

impl Config {
    /// Latencies are measured when somebody can see them.
    pub(crate) fn measures_latency(&self) -> bool {
        let scraped = self.metrics.address.is_some() || self.http.address.is_some();
        self.latency.enabled && (self.latency.directory.is_some() || scraped)
    }
}

impl Default for Latency {
    fn default() -> Self {
        Latency {
            enabled: true,
            directory: None,
            interval_s: 10,
            kernel_wait_every: 64,
            rotate_bytes: 64 << 20,
            rotate_files: 16,
        }
    }
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    /// The least important kind of line that is written.
    pub(crate) level: LogLevel,
    /// "text" for people, "json" for machines.
    pub(crate) format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Log {
            level: LogLevel::Info,
            format: LogFormat::Text,
        }
    }
}

/// How important a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogLevel {
    /// Something the operator must act upon.
    Error,
    /// Something that may need action.
    Warn,
    /// Starts, reloads, limits.
    Info,
    /// Calls too.
    Debug,
    /// Everything.
    Trace,
}

/// The shape of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A keyword as it stands in the file, for logs and summaries.
pub(crate) fn word(keyword: &impl Serialize) -> String {
    match serde_json::to_value(keyword) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

pub(super) fn within<T>(least: u64, most: u64) -> impl Fn(&T, &()) -> garde::Result
where
    T: Copy + TryInto<u64>,
{
    move |value, ()| match (*value).try_into() {
        Ok(value) if (least..=most).contains(&value) => Ok(()),
        _ => Err(garde::Error::new(format!("must be from {least} to {most}"))),
    }
}

pub(super) fn power_of_two<T>(least: u64, most: u64) -> impl Fn(&T, &()) -> garde::Result
where
    T: Copy + Into<u64>,
{
    move |value, ()| match (*value).into() {
        value if value.is_power_of_two() && (least..=most).contains(&value) => Ok(()),
        _ => Err(garde::Error::new(format!(
            "must be a power of two from {least} to {most}"
        ))),
    }
}

/// A name goes into a header as it is: visible ASCII and single spaces between, so that it can
/// neither end the line nor start another.
fn header_text(value: &str, _: &()) -> garde::Result {
    let fits = |b: u8| b.is_ascii_graphic() || b == b' ';
    match !value.trim().is_empty() && value.len() <= 128 && value.bytes().all(fits) {
        true => Ok(()),
        false => Err(garde::Error::new(
            "must be 1 to 128 visible ASCII characters",
        )),
    }
}
