//! The housekeeping thread: owner of the files the engine writes while it runs, on one glommio
//! executor off the shards' CPUs. It takes the laps of every shard's stopwatch, keeps the latest
//! percentiles for Prometheus, and writes the interval logs. Nothing here can hold a shard up: a full
//! disk or a slow one makes laps longer, and is said once.

mod log_files;
mod stamp;
mod summary;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use glommio::{LocalExecutor, LocalExecutorBuilder, Placement};
use reactor::affinity;
use reactor::probe::{Finding, Severity};

use crate::stopwatch::{Lap, Laps};
use log_files::{Limits, LogFiles};
pub(crate) use summary::{Quantile, Summaries, Summary};

/// How often it looks for laps. They come every few seconds, so this is idle time; it bounds how long
/// the end of the process waits for it.
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
    /// A CPU that no shard has.
    pub(crate) cpu: Option<usize>,
}

/// The interval logs to write.
pub(crate) struct Logs {
    /// Where; made when it is missing.
    pub(crate) directory: PathBuf,
    /// When a log is followed by the next one.
    pub(crate) rotate_bytes: u64,
    /// How many are kept.
    pub(crate) rotate_files: usize,
    /// The wall clock at the start of the engine's clock.
    pub(crate) base: SystemTime,
}

/// The running thread.
pub(crate) struct Housekeeper {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Housekeeper {
    /// Starts the thread.
    ///
    /// # Errors
    /// No thread could be made.
    pub(crate) fn start(work: Housekeeping) -> std::io::Result<Housekeeper> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("tipring-files".into())
            .spawn(move || work.run(&stopped))?;
        Ok(Housekeeper { stop, thread })
    }

    /// Writes what is left, when the shards have ended, and ends the thread.
    pub(crate) fn finish(self) {
        self.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        let until = Instant::now() + PATIENCE;
        while !self.thread.is_finished() {
            if Instant::now() > until {
                tracing::error!(
                    "the latency log's disk does not answer; the last intervals are lost"
                );
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Housekeeping {
    fn run(self, stop: &AtomicBool) {
        if let Some(cpu) = self.cpu {
            // On any CPU it works as well.
            let _ = affinity::pin_to(cpu);
        }
        let Housekeeping {
            mut laps,
            summaries,
            logs,
            ..
        } = self;
        match logs.map(|logs| (logs, executor())) {
            Some((logs, Ok(executor))) => {
                let files = LogFiles::new(
                    logs.directory,
                    Limits::new(logs.rotate_bytes, logs.rotate_files),
                    logs.base,
                );
                executor.run(write_laps(&mut laps, &summaries, files, stop));
            }
            Some((_, Err(reason))) => {
                tracing::warn!(
                    reason,
                    "no latency logs: the files' executor cannot run here; {MEMLOCK_ADVICE}"
                );
                summarize_laps(&mut laps, &summaries, stop);
            }
            None => summarize_laps(&mut laps, &summaries, stop),
        }
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
        for (shard, laps) in laps.iter_mut().enumerate() {
            while let Some(lap) = laps.next() {
                summaries.renew(shard, &lap.set);
                laps.give_back(lap.set);
            }
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
}

async fn write_laps(
    laps: &mut [Laps],
    summaries: &Summaries,
    mut files: LogFiles,
    stop: &AtomicBool,
) {
    loop {
        // Looked at first: what was handed over before it was set is found below.
        let stopping = stop.load(Ordering::Acquire);
        for (shard, laps) in laps.iter_mut().enumerate() {
            while let Some(lap) = laps.next() {
                summaries.renew(shard, &lap.set);
                attended(write_lap(&mut files, shard, &lap, summaries)).await;
                laps.give_back(lap.set);
            }
        }
        if stopping {
            return attended(files.close()).await;
        }
        glommio::timer::sleep(LOOK_EVERY).await;
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

/// For `tipring doctor`: whether logs could be written.
pub(crate) fn finding(directory: &std::path::Path) -> Finding {
    let outcome = executor().map(drop).and_then(|()| {
        log_files::try_directory(directory)
            .map_err(|error| format!("{}: {error}", directory.display()))
    });
    let (severity, advice) = match &outcome {
        Ok(()) => (Severity::Ok, ""),
        Err(_) => (Severity::Warn, LOG_ADVICE),
    };
    Finding {
        topic: "latency logs",
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
