//! What this room asks of the engine: a trait that the server implements, and the values that pass through
//! it. Nothing behind it may block: a door that is full says so.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use router::{Directory, Query};
use serde::Serialize;
use stack::Time;
use tokio::sync::oneshot;
use utoipa::ToSchema;

/// The engine as the control plane sees it.
pub trait Engine: Send + Sync + 'static {
    /// How many shards there are.
    fn shards(&self) -> u8;
    /// Asks a shard; its answer comes as [`News::Answer`](crate::News::Answer). False: its mailbox is full.
    fn ask(&self, shard: u8, query: Query) -> bool;
    /// Gives a shard the directory. False: its mailbox is full.
    fn give_directory(&self, shard: u8, directory: &Arc<Directory>) -> bool;
    /// Has a shard tell how its calls go, or not any more. False: its mailbox is full.
    fn watch(&self, shard: u8, watched: bool) -> bool;
    /// What each shard has counted, not older than some seconds.
    fn shard_stats(&self) -> Vec<ShardStats>;
    /// How long things took on each shard in its last whole interval; what did not happen then is left out.
    fn latencies(&self) -> Vec<Latency>;
    /// The bounds of tables.
    fn limits(&self) -> Vec<Limit>;
    /// All metrics in the text format of Prometheus.
    fn metrics(&self) -> String;
    /// The configuration in force, secrets left out.
    fn settings(&self) -> SettingsView;
    /// Reads the configuration again; `None`: nobody can now. The outcome comes back.
    fn reload(&self) -> Option<Reload>;
}

/// What a reload comes to: what is in force now, or every mistake that kept it from being so.
pub type Reload = oneshot::Receiver<Result<Reloaded, Vec<String>>>;

/// A reload that was taken over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Reloaded {
    /// Records of the routing DB.
    pub records: usize,
    /// Known peers.
    pub peers: usize,
    /// Sections that have changed and need a restart.
    pub needs_restart: Vec<String>,
}

/// The configuration in force.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct SettingsView {
    /// The file it came from, or `(built-in)`.
    pub origin: String,
    /// The routing DB.
    pub rdb: String,
    /// Sections whose file says something else by now, which needs a restart.
    pub needs_restart: Vec<String>,
    /// Every key.
    pub settings: Vec<Setting>,
}

/// One key of the configuration.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Setting {
    /// Its name, like `listen[0].address`.
    pub key: String,
    /// Its value; null when it has none.
    #[schema(value_type = Value)]
    pub value: serde_json::Value,
    /// Where that came from: `default`, a line of a file, or a variable of the environment.
    pub source: String,
}

/// What one shard has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct ShardStats {
    /// Calls in progress.
    pub calls: u64,
    /// Calls started.
    pub calls_started: u64,
    /// Of these: answered with a 2xx.
    pub calls_answered: u64,
    /// Of these: ended before an answer.
    pub calls_failed: u64,
    /// Answered calls that ended.
    pub calls_ended: u64,
    /// Calls refused because a limit was reached or the router drains.
    pub calls_limited: u64,
    /// Datagrams received.
    pub datagrams_received: u64,
    /// Datagrams sent.
    pub datagrams_sent: u64,
    /// Messages sent again.
    pub retransmissions: u64,
    /// Datagrams the kernel dropped because a socket's buffer was full.
    pub kernel_drops: u64,
    /// Transactions alive.
    pub transactions: u64,
    /// Subscriptions in progress outside calls.
    pub subscriptions: u64,
    /// Media streams open.
    pub media_streams: u64,
    /// What it told the control thread, which had no room for it.
    pub news_lost: u64,
    /// New calls are limited because the shard has more to do than it can.
    pub overloaded: bool,
    /// Thousandths of the last second in which it had something to do; of all together: those of the busiest.
    pub busy_permille: u64,
    /// Calls started, in the mean of the last second.
    pub calls_per_s: f64,
    /// Datagrams received, likewise.
    pub datagrams_per_s: f64,
    /// False while the application server does not answer; true too where there is none.
    pub application_server_up: bool,
}

/// How long one thing took on one shard, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct Latency {
    /// The shard's number.
    pub shard: u8,
    /// What: `invite_in_to_out` is what the router adds to the set-up of a call.
    pub metric: &'static str,
    /// Half of them took at most this.
    pub p50_us: f64,
    /// 99 of 100.
    pub p99_us: f64,
    /// 999 of 1,000.
    pub p999_us: f64,
    /// All.
    pub max_us: f64,
}

/// A configured bound.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct Limit {
    /// Its key, like `limits.calls`.
    pub key: &'static str,
    /// Its value.
    pub value: u64,
}

/// The time by the machine's clock, in milliseconds of Unix time.
pub(crate) fn now_unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

/// When the engine's clock was zero.
#[derive(Clone, Copy, Debug)]
pub struct Epoch(pub SystemTime);

impl Epoch {
    /// A time of the engine in milliseconds of Unix time.
    pub(crate) fn unix_ms(&self, time: Time) -> u64 {
        let since = (self.0 + Duration::from_nanos(time.as_nanos())).duration_since(UNIX_EPOCH);
        since.map_or(0, |since| since.as_millis() as u64)
    }

    /// The same in seconds.
    pub(crate) fn unix_s(&self, time: Time) -> u64 {
        self.unix_ms(time) / 1_000
    }

    /// How long the engine has run.
    pub(crate) fn age(&self) -> Duration {
        self.0.elapsed().unwrap_or_default()
    }
}
