//! The router's numbers: as one JSON object, and as Prometheus reads them.

use std::fs;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use crate::engine::{Latency, Limit, ShardStats};
use crate::history::Sample;
use crate::plane::Plane;

/// The numbers of the whole router. Counters count from its start.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Stats {
    /// The router's clock, in milliseconds of Unix time.
    now_unix_ms: u64,
    /// The version that runs.
    version: &'static str,
    /// How long it has run.
    uptime_s: u64,
    /// Memory it has in RAM, in bytes; 0 where that is not told.
    resident_bytes: u64,
    /// Users that are registered.
    registered_users: usize,
    /// Users in the directory.
    directory_users: usize,
    /// All shards together.
    total: ShardStats,
    /// Each shard, by number.
    shards: Vec<ShardStats>,
    /// How long things took on each shard in its last whole interval of `latency.interval_s`; what did not
    /// happen then, or is not measured, is left out.
    latencies: Vec<Latency>,
    /// Configured bounds.
    limits: Vec<Limit>,
}

/// Numbers of the router and its shards.
#[utoipa::path(get, path = "/api/v1/stats", tag = "router", responses((status = 200, body = Stats)))]
pub(crate) async fn stats(State(plane): State<Plane>) -> Json<Stats> {
    let shards = plane.engine.shard_stats();
    let directory = plane.book.current();
    Json(Stats {
        now_unix_ms: crate::engine::now_unix_ms(),
        version: env!("CARGO_PKG_VERSION"),
        uptime_s: plane.epoch.age().as_secs(),
        resident_bytes: resident_bytes(),
        registered_users: plane.location().count(),
        directory_users: directory.domains().map(|domain| domain.user_count()).sum(),
        total: shards.iter().copied().reduce(sum).unwrap_or_default(),
        shards,
        latencies: plane.engine.latencies(),
        limits: plane.engine.limits(),
    })
}

/// The last minutes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Minutes {
    /// One a second at most, oldest first.
    samples: Vec<Sample>,
}

/// The last five minutes of the main numbers.
#[utoipa::path(get, path = "/api/v1/history", tag = "router", responses((status = 200, body = Minutes)))]
pub(crate) async fn history(State(plane): State<Plane>) -> Json<Minutes> {
    let samples = plane.history.samples();
    Json(Minutes { samples })
}

fn sum(total: ShardStats, shard: ShardStats) -> ShardStats {
    ShardStats {
        calls: total.calls + shard.calls,
        calls_started: total.calls_started + shard.calls_started,
        calls_answered: total.calls_answered + shard.calls_answered,
        calls_failed: total.calls_failed + shard.calls_failed,
        calls_ended: total.calls_ended + shard.calls_ended,
        calls_limited: total.calls_limited + shard.calls_limited,
        datagrams_received: total.datagrams_received + shard.datagrams_received,
        datagrams_sent: total.datagrams_sent + shard.datagrams_sent,
        retransmissions: total.retransmissions + shard.retransmissions,
        kernel_drops: total.kernel_drops + shard.kernel_drops,
        transactions: total.transactions + shard.transactions,
        subscriptions: total.subscriptions + shard.subscriptions,
        news_lost: total.news_lost + shard.news_lost,
        media_streams: total.media_streams + shard.media_streams,
        overloaded: total.overloaded || shard.overloaded,
        calls_per_s: total.calls_per_s + shard.calls_per_s,
        datagrams_per_s: total.datagrams_per_s + shard.datagrams_per_s,
        busy_permille: total.busy_permille.max(shard.busy_permille),
        application_server_up: total.application_server_up && shard.application_server_up,
    }
}

/// proc_pid_statm(5): the second number is pages in RAM.
fn resident_bytes() -> u64 {
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * 4_096
}

/// Metrics in the text format of Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "router",
    responses((status = 200, description = "Metrics", body = String, content_type = "text/plain"))
)]
pub(crate) async fn metrics(State(plane): State<Plane>) -> impl IntoResponse {
    let kind = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    (kind, plane.engine.metrics())
}
