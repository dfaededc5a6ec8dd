//! The control thread: everything that may wait. It answers the shards' questions for names and, when
//! wanted, Prometheus' scrapes, on one single-threaded tokio runtime. A slow scrape never slows a
//! call: between this thread and the shards there are only mailboxes and boards.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;

use crate::board::Board;
use crate::dns::{self, Families, Replies};
use crate::housekeeping::Summaries;
use crate::latency_metrics::LatencyGauges;
use crate::letter::{News, Question};
use crate::metrics::Gauges;

/// What the control thread needs.
pub(crate) struct Control {
    /// Questions of all shards.
    pub(crate) questions: tokio::sync::mpsc::Receiver<Question>,
    /// Ways back.
    pub(crate) replies: Replies,
    /// What addresses are of use.
    pub(crate) families: Families,
    /// Where to listen for scrapes; `None`: nowhere.
    pub(crate) metrics: Option<SocketAddr>,
    /// The shards' numbers.
    pub(crate) boards: Vec<Board>,
    /// The configured limits.
    pub(crate) limits: crate::config::Limits,
    /// The shards' latencies, when they are measured.
    pub(crate) latencies: Option<Summaries>,
    /// What the shards tell of calls.
    pub(crate) news: tokio::sync::mpsc::Receiver<News>,
}

/// The control thread could not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    /// No thread or no runtime: a limit of this machine.
    #[error("the control thread could not start: {0}")]
    Thread(#[from] std::io::Error),
    /// The metrics listener: the address is not ours, or taken.
    #[error("metrics.address {address}: {reason}")]
    Metrics {
        /// The configured address.
        address: SocketAddr,
        /// What the exporter says.
        reason: String,
    },
}

/// How often boards are copied into the metrics. The boards are renewed as often.
const COPY_EVERY: Duration = Duration::from_secs(1);

/// Starts the thread and waits until it listens.
pub(crate) fn start(control: Control) -> Result<JoinHandle<()>, ControlError> {
    let (started, outcome) = mpsc::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let thread = std::thread::Builder::new()
        .name("tipring-control".into())
        .spawn(move || {
            runtime.block_on(serve(control, started));
        })?;
    match outcome.recv() {
        Ok(Err(error)) => Err(error),
        Ok(Ok(())) | Err(mpsc::RecvError) => Ok(thread),
    }
}

async fn serve(control: Control, started: mpsc::Sender<Result<(), ControlError>>) {
    let Control {
        questions,
        replies,
        families,
        metrics,
        boards,
        limits,
        latencies,
        news,
    } = control;
    // Nobody asks about calls yet, and so no shard tells anything.
    drop(news);
    let outcome = metrics.map_or(Ok(()), |address| {
        export(address)?;
        tokio::spawn(copy_boards(boards, limits, latencies));
        Ok(())
    });
    let failed = outcome.is_err();
    // Whoever started us waits for this word.
    let _ = started.send(outcome);
    if !failed {
        dns::serve(questions, replies, families).await;
    }
}

fn export(address: SocketAddr) -> Result<(), ControlError> {
    let failed = |reason: String| ControlError::Metrics { address, reason };
    let (recorder, listener) = PrometheusBuilder::new()
        .with_http_listener(address)
        .build()
        .map_err(|error| failed(error.to_string()))?;
    metrics::set_global_recorder(recorder).map_err(|error| failed(error.to_string()))?;
    tokio::spawn(async move {
        if listener.await.is_err() {
            tracing::error!(%address, "the metrics listener has ended");
        }
    });
    Ok(())
}

async fn copy_boards(
    boards: Vec<Board>,
    limits: crate::config::Limits,
    latencies: Option<Summaries>,
) {
    let latencies = latencies.map(|of| LatencyGauges::register(boards.len(), of));
    let gauges = Gauges::register(boards.len(), &limits);
    let mut ticks = tokio::time::interval(COPY_EVERY);
    loop {
        ticks.tick().await;
        for (shard, board) in boards.iter().enumerate() {
            gauges.copy(shard, &board.read());
        }
        if let Some(latencies) = &latencies {
            latencies.copy();
        }
    }
}
