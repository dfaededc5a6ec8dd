//! The control thread: everything that may wait. It answers the shards' questions for names, serves the HTTP
//! API and, when wanted, Prometheus' scrapes, on one single-threaded tokio runtime. A slow client never slows
//! a call: between this thread and the shards there are only mailboxes and boards.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use control::{Beginning, Listening, Security, Settings, StartError};
use journal::DirectoryJournal;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use reactor::mailbox::Sender;

use crate::board::Board;
use crate::dns::{self, Families, Replies};
use crate::exposition::{self, Exposition};
use crate::housekeeping::Summaries;
use crate::housekeeping::journal::Figures;
use crate::http::{Doors, View};
use crate::journal_metrics::JournalGauges;
use crate::latency_metrics::LatencyGauges;
use crate::letter::{Letter, Notice, Question};
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
    /// The journal's numbers, when one is kept.
    pub(crate) journal: Option<Figures>,
    /// The HTTP API; `None`: there is none.
    pub(crate) api: Option<Api>,
}

/// What the HTTP API needs.
pub(crate) struct Api {
    /// As configured, and what was read for it.
    pub(crate) secured: (Settings, Security),
    /// What shards tell.
    pub(crate) listening: Listening,
    /// What there is at the start.
    pub(crate) beginning: Beginning,
    /// The journal's desk for changes of the directory; `None`: no journal is kept.
    pub(crate) pushed: Option<DirectoryJournal>,
    /// Ways to the shards.
    pub(crate) mailboxes: Vec<Sender<Letter>>,
    /// The configuration in force.
    pub(crate) view: View,
    /// The way to the supervisor.
    pub(crate) notices: mpsc::Sender<Notice>,
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
        /// What the kernel says.
        reason: std::io::Error,
    },
    /// The metrics' recorder: there is one already.
    #[error("metrics cannot be recorded: {0}")]
    Recorder(String),
    /// The HTTP API.
    #[error(transparent)]
    Api(#[from] StartError),
}

/// How often boards are copied into the metrics. The boards are renewed as often.
const COPY_EVERY: Duration = Duration::from_secs(1);

/// Starts the thread and waits until it listens.
pub(crate) fn start(control: Control) -> Result<JoinHandle<()>, ControlError> {
    let (started, outcome) = mpsc::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Names of controls and files of the system's roots are looked up in these.
        .max_blocking_threads(4)
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

async fn serve(mut control: Control, started: mpsc::Sender<Result<(), ControlError>>) {
    let outcome = open(&mut control).await;
    let failed = outcome.is_err();
    // Whoever started us waits for this word.
    let _ = started.send(outcome);
    if !failed {
        dns::serve(control.questions, control.replies, control.families).await;
    }
}

/// Listens to those who are to be served.
async fn open(control: &mut Control) -> Result<(), ControlError> {
    let api = control.api.take();
    if control.metrics.is_none() && api.is_none() {
        return Ok(());
    }
    let metrics = Exposition {
        recorded: record()?,
        boards: control.boards.clone(),
        latencies: control.latencies.clone(),
    };
    if let Some(address) = control.metrics {
        let listening = exposition::listen(address, metrics.clone()).await;
        let wrong = |reason| ControlError::Metrics { address, reason };
        listening.map_err(wrong)?;
    }
    let (boards, limits) = (control.boards.clone(), control.limits.clone());
    tokio::spawn(copy_boards(
        boards,
        limits,
        control.latencies.clone(),
        control.journal.take(),
    ));
    if let Some(api) = api {
        let doors = Doors {
            mailboxes: Mutex::new(api.mailboxes),
            boards: control.boards.clone(),
            latencies: control.latencies.take(),
            limits: control.limits.clone(),
            metrics,
            view: api.view,
            notices: api.notices,
            pushed: api.pushed,
        };
        let (settings, security) = api.secured;
        let doors = Box::new(doors);
        control::start(settings, security, doors, api.beginning, api.listening).await?;
    }
    Ok(())
}

/// Records metrics from here on.
fn record() -> Result<PrometheusHandle, ControlError> {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder)
        .map_err(|error| ControlError::Recorder(error.to_string()))?;
    Ok(handle)
}

async fn copy_boards(
    boards: Vec<Board>,
    limits: crate::config::Limits,
    latencies: Option<Summaries>,
    journal: Option<Figures>,
) {
    let journal = journal.map(JournalGauges::register);
    let latencies = latencies.map(|of| LatencyGauges::register(boards.len(), of));
    let gauges = Gauges::register(boards.len(), &limits);
    let mut ticks = tokio::time::interval(COPY_EVERY);
    loop {
        ticks.tick().await;
        for (shard, board) in boards.iter().enumerate() {
            gauges.copy(shard, &board.read());
        }
        crate::metrics::copy_memory();
        if let Some(latencies) = &latencies {
            latencies.copy();
        }
        if let Some(journal) = &journal {
            journal.copy();
        }
    }
}
