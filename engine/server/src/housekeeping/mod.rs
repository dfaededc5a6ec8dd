//! The housekeeping thread: owner of the files the engine writes while it runs, on one glommio
//! executor off the shards' CPUs. It takes the laps of every shard's stopwatch, keeps the latest
//! percentiles for Prometheus, and writes the interval logs and the records of calls. Nothing here can hold a
//! shard up: a full disk or a slow one makes laps longer, lets records wait, and is said once.

pub(crate) mod journal;
mod log_files;
mod record_files;
mod record_lines;
mod series;
mod stamp;
mod summary;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use glommio::{LocalExecutor, LocalExecutorBuilder, Placement};
use reactor::affinity;
use reactor::probe::{Finding, Severity};
use stack::Time;

use crate::stopwatch::{Lap, Laps};
use log_files::{Limits, LogFiles};
use record_files::RecordFiles;
pub(crate) use record_files::{RecordSettings, Records};
pub(crate) use summary::{Quantile, Spread, Summaries, Summary};

/// How often it looks for laps and records. It bounds how old a record is when it is written, and how long the
/// end of the process waits for it.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A timer fires this often while a file operation is under way, so that the executor looks at its
/// rings again even if it should miss a wake-up.
const HEARTBEAT: Duration = Duration::from_millis(10);

/// How long the process waits at its end for the files; then a disk does not answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// A few file operations at a time need no more.
const RING_DEPTH: usize = 16;

/// The least the executor takes, registered with the kernel and charged to the memlock limit.
const IO_MEMORY: usize = 64 << 10;

/// What the thread is to do.
pub(crate) struct Housekeeping {
    /// Where laps come from, by shard.
    pub(crate) laps: Vec<Laps>,
    /// Where the latest percentiles go.
    pub(crate) summaries: Summaries,
    /// The logs to write; `None`: none.
    pub(crate) logs: Option<Logs>,
    /// The records of calls to write; `None`: none.
    pub(crate) records: Option<Records>,
    /// A CPU that no shard has.
    pub(crate) cpu: Option<usize>,
    /// The location journal; `None`: none is kept.
    pub(crate) journal: Option<journal::Work>,
}

/// The interval logs to write.
pub(crate) struct Logs {
    /// Where; made when it is missing.
    pub(crate) directory: PathBuf,
    /// When a log is followed by the next one.
    pub(crate) rotate_bytes: u64,
    /// How many are kept.
    pub(crate) rotate_files: usize,
    /// The wall clock at the start.
    pub(crate) base: SystemTime,
    /// The engine's clock then.
    pub(crate) zero: Time,
}

/// The running thread.
pub(crate) struct Housekeeper {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
    reload: Sender<RecordSettings>,
}

impl Housekeeper {
    /// Starts the thread.
    ///
    /// # Errors
    /// No thread could be made.
    pub(crate) fn start(
        work: Housekeeping,
        reload: Sender<RecordSettings>,
    ) -> std::io::Result<Housekeeper> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("tipring-files".into())
            .spawn(move || work.run(&stopped))?;
        Ok(Housekeeper {
            stop,
            thread,
            reload,
        })
    }

    /// Writes records of calls in another way from now on, when it writes any.
    pub(crate) fn reload(&self, settings: RecordSettings) {
        // Without records nobody listens.
        let _ = self.reload.send(settings);
    }

    /// Writes what is left, when the shards have ended, and ends the thread.
    pub(crate) fn finish(self) {
        self.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        let until = Instant::now() + PATIENCE;
        while !self.thread.is_finished() {
            if Instant::now() > until {
                tracing::error!(
                    "the disk does not answer; the last latencies, call records and changes of bindings are lost"
                );
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Housekeeping {
    fn run(self, stop: &Arc<AtomicBool>) {
        if let Some(cpu) = self.cpu {
            // On any CPU it works as well.
            let _ = affinity::pin_to(cpu);
        }
        let Housekeeping {
            mut laps,
            summaries,
            logs,
            records,
            journal,
            ..
        } = self;
        if logs.is_none() && records.is_none() && journal.is_none() {
            return summarize_laps(&mut laps, &summaries, stop);
        }
        let executor = match executor() {
            Ok(executor) => executor,
            Err(reason) => {
                // The journal was refused at the start when this cannot be; it can only be lost since.
                let journal = journal.is_some();
                tracing::error!(
                    reason,
                    journal,
                    "no latency logs, no call records, no journal: the files' executor cannot run here; {MEMLOCK_ADVICE}"
                );
                return summarize_laps(&mut laps, &summaries, stop);
            }
        };
        let files = logs.map(|logs| {
            let limits = Limits::new(logs.rotate_bytes, logs.rotate_files);
            LogFiles::new(logs.directory, limits, (logs.base, logs.zero))
        });
        let records = records.map(RecordFiles::new);
        executor.run(async {
            let journal = journal::keep(journal, stop);
            write_files(&mut laps, &summaries, files, records, stop).await;
            journal.await;
        });
    }
}

const MEMLOCK_ADVICE: &str = "it needs io_uring and a memlock limit of 512 KiB beside the shards' \
                              (LimitMEMLOCK=infinity in the unit, ulimit -l unlimited in a shell)";

fn executor() -> Result<LocalExecutor, String> {
    LocalExecutorBuilder::new(Placement::Unbound)
        .name("tipring-files")
        .io_memory(IO_MEMORY)
        .ring_depth(RING_DEPTH)
        .make()
        .map_err(|error| error.to_string())
}

/// Without files: only the percentiles.
fn summarize_laps(laps: &mut [Laps], summaries: &Summaries, stop: &AtomicBool) {
    while !stop.load(Ordering::Acquire) {
        renew_summaries(laps, summaries);
        std::thread::park_timeout(LOOK_EVERY);
    }
}

fn renew_summaries(laps: &mut [Laps], summaries: &Summaries) {
    for (shard, laps) in laps.iter_mut().enumerate() {
        while let Some(lap) = laps.next() {
            summaries.renew(shard, &lap.set);
            laps.give_back(lap.set);
        }
    }
}

async fn write_files(
    laps: &mut [Laps],
    summaries: &Summaries,
    mut files: Option<LogFiles>,
    mut records: Option<RecordFiles>,
    stop: &AtomicBool,
) {
    loop {
        // Looked at first: what was handed over before it was set is found below.
        let stopping = stop.load(Ordering::Acquire);
        for (shard, laps) in laps.iter_mut().enumerate() {
            while let Some(lap) = laps.next() {
                summaries.renew(shard, &lap.set);
                if let Some(files) = &mut files {
                    attended(write_lap(files, shard, &lap, summaries)).await;
                }
                laps.give_back(lap.set);
            }
        }
        if let Some(records) = &mut records {
            while attended(records.look()).await {}
        }
        if stopping {
            return attended(close(files, records)).await;
        }
        glommio::timer::sleep(LOOK_EVERY).await;
    }
}

async fn close(files: Option<LogFiles>, records: Option<RecordFiles>) {
    if let Some(mut records) = records {
        records.close().await;
    }
    if let Some(mut files) = files {
        files.close().await;
    }
}

async fn write_lap(files: &mut LogFiles, shard: usize, lap: &Lap, summaries: &Summaries) {
    if lap.set.is_empty() {
        return;
    }
    if !files.write(shard, lap).await {
        summaries.count_lost();
    }
}

/// Waits for `work` with the heartbeat going.
async fn attended<T>(work: impl Future<Output = T>) -> T {
    let beat = glommio::spawn_local(async {
        loop {
            glommio::timer::sleep(HEARTBEAT).await;
        }
    });
    let done = work.await;
    beat.cancel().await;
    done
}

/// Whether records can be written here: the executor runs and the directory takes files.
///
/// # Errors
/// What is missing, for the operator.
pub(crate) fn try_records(directory: &std::path::Path) -> Result<(), String> {
    executor().map_err(|reason| format!("{reason}; {MEMLOCK_ADVICE}"))?;
    series::try_directory(directory).map_err(|error| format!("{}: {error}", directory.display()))
}

/// For `tipring doctor`: whether logs could be written.
pub(crate) fn finding(directory: &std::path::Path) -> Finding {
    writable("latency logs", directory, (Severity::Warn, LOG_ADVICE))
}

/// Whether files can be written to a directory, and what is to be said when not.
fn writable(
    topic: &'static str,
    directory: &std::path::Path,
    otherwise: (Severity, &'static str),
) -> Finding {
    let outcome = executor().map(drop).and_then(|()| {
        series::try_directory(directory)
            .map_err(|error| format!("{}: {error}", directory.display()))
    });
    let (severity, advice) = match &outcome {
        Ok(()) => (Severity::Ok, ""),
        Err(_) => otherwise,
    };
    Finding {
        topic,
        found: outcome.map_or_else(|reason| reason, |()| directory.display().to_string()),
        wanted: "io_uring for files, a directory to write to".to_owned(),
        severity,
        advice,
    }
}

const LOG_ADVICE: &str = "raise the memlock limit (LimitMEMLOCK=infinity), or let this user write to \
                          latency.directory (LogsDirectory= in the unit); without it calls are carried \
                          and no .hlog is written";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_cannot_be_made_is_a_warning() {
        let good = finding(&std::env::temp_dir());
        assert_eq!(good.severity, Severity::Ok, "{good:?}");
        let bad = finding(std::path::Path::new("/proc/no-such-place"));
        assert_eq!(bad.severity, Severity::Warn);
        assert!(bad.found.starts_with("/proc/no-such-place: ") && !bad.advice.is_empty());
    }
}
