//! What the API tells, as far as it is shown. What it tells beside is passed over, and what an older router does not
//! tell is zero.

use serde::Deserialize;

/// `/api/v1/stats`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Stats {
    pub(super) now_unix_ms: u64,
    pub(super) version: String,
    pub(super) uptime_s: u64,
    pub(super) resident_bytes: u64,
    pub(super) registered_users: u64,
    pub(super) directory_users: u64,
    pub(super) total: Shard,
    pub(super) shards: Vec<Shard>,
    pub(super) latencies: Vec<Latency>,
    pub(super) limits: Vec<Limit>,
}

/// The numbers of one shard, or of all.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Shard {
    pub(super) calls: u64,
    pub(super) calls_started: u64,
    pub(super) calls_answered: u64,
    pub(super) calls_failed: u64,
    pub(super) calls_limited: u64,
    pub(super) retransmissions: u64,
    pub(super) kernel_drops: u64,
    pub(super) media_streams: u64,
    pub(super) overloaded: bool,
    pub(super) busy_permille: u64,
    pub(super) calls_per_s: f64,
    pub(super) datagrams_per_s: f64,
}

/// How long one thing took on one shard.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Latency {
    pub(super) shard: usize,
    pub(super) metric: String,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) p999_us: f64,
}

/// A configured bound.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Limit {
    pub(super) key: String,
    pub(super) value: u64,
}

/// A page of `/api/v1/session`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Sessions {
    pub(super) sessions: Vec<Session>,
}

/// One call.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Session {
    pub(super) state: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) caller: String,
    pub(super) callee: Option<String>,
    pub(super) began_unix_ms: u64,
}

/// The data of an event.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Told {
    r#type: String,
    from: Option<String>,
    to: Option<String>,
    code: Option<u16>,
    cause: Option<u8>,
    ended_by: Option<String>,
    aor: Option<String>,
    contacts: Option<u64>,
    address: Option<String>,
}

impl Told {
    /// In one line.
    pub(super) fn line(&self) -> String {
        let mut line = format!("{:<14}", self.r#type);
        let mut add = |text: String| {
            line.push(' ');
            line.push_str(&text);
        };
        if let (Some(from), Some(to)) = (&self.from, &self.to) {
            add(format!("{from} to {to}"));
        }
        if let (Some(code), Some(cause), Some(by)) = (self.code, self.cause, &self.ended_by) {
            add(format!("by {by}, {code}, cause {cause}"));
        }
        self.aor.iter().for_each(|aor| add(aor.clone()));
        self.contacts
            .iter()
            .for_each(|count| add(format!("contacts {count}")));
        self.address.iter().for_each(|address| add(address.clone()));
        line
    }
}

impl Stats {
    /// A configured bound.
    pub(super) fn limit(&self, key: &str) -> Option<u64> {
        let limit = self.limits.iter().find(|limit| limit.key == key);
        limit.map(|limit| limit.value)
    }

    /// How long this took on this shard.
    pub(super) fn latency(&self, shard: usize, metric: &str) -> Option<&Latency> {
        let of = |it: &&Latency| it.shard == shard && it.metric == metric;
        self.latencies.iter().find(of)
    }

    /// The slowest shard's: p50, p99 and p99.9.
    pub(super) fn slowest(&self, metric: &str) -> Option<[f64; 3]> {
        let all = self.latencies.iter().filter(|it| it.metric == metric);
        all.map(|it| [it.p50_us, it.p99_us, it.p999_us])
            .reduce(|a, b| [a[0].max(b[0]), a[1].max(b[1]), a[2].max(b[2])])
    }
}
