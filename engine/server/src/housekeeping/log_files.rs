//! The interval logs on disk: one is written, and followed by the next when it is long enough; the
//! oldest go. Each file stands for itself, with its own header, and is never renamed, so that it can be
//! read or copied at any time. A start never touches what an earlier run wrote, beyond removing what
//! is too many.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use glommio::io::BufferedFile;
use latency::{Header, LogWriter, Span, WriteError};
use stack::Time;

use super::stamp::stamp;
use crate::stopwatch::Lap;

const PREFIX: &str = "tipring-";
const SUFFIX: &str = ".hlog";

/// How much is kept.
pub(super) struct Limits {
    bytes: u64,
    files: usize,
}

impl Limits {
    /// Logs of `bytes`, at most `files` of them.
    pub(super) fn new(bytes: u64, files: usize) -> Limits {
        Limits { bytes, files }
    }
}

/// The logs of one directory.
pub(super) struct LogFiles {
    directory: PathBuf,
    limits: Limits,
    base: SystemTime,
    current: Option<LogFile>,
    /// The last write failed, and that was said.
    failing: bool,
}

/// The log that is being written.
struct LogFile {
    file: BufferedFile,
    writer: LogWriter<Vec<u8>>,
    /// Its length as far as it is whole.
    bytes: u64,
}

#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error(transparent)]
    Directory(#[from] io::Error),
    #[error(transparent)]
    File(#[from] glommio::GlommioError<()>),
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl LogFiles {
    /// Logs with times relative to `base`. Nothing is opened yet.
    pub(super) fn new(directory: PathBuf, limits: Limits, base: SystemTime) -> LogFiles {
        LogFiles {
            directory,
            limits,
            base,
            current: None,
            failing: false,
        }
    }

    /// Writes a lap; false when it could not be written. The first failure of a row is logged, and its
    /// end.
    pub(super) async fn write(&mut self, shard: usize, lap: &Lap) -> bool {
        match (self.try_write(shard, lap).await, self.failing) {
            (Ok(()), false) => {}
            (Ok(()), true) => {
                self.failing = false;
                tracing::info!("latency log: writing again");
            }
            (Err(error), said) => {
                self.failing = true;
                if !said {
                    let directory = self.directory.display();
                    tracing::error!(
                        %error, %directory,
                        "latency log: cannot be written; calls go on, intervals are lost until it can"
                    );
                }
            }
        }
        !self.failing
    }

    /// Closes the log.
    pub(super) async fn close(&mut self) {
        if let Some(current) = self.current.take()
            && let Err(error) = current.file.close().await
        {
            tracing::error!(%error, "latency log: the last bytes may be lost");
        }
    }

    async fn try_write(&mut self, shard: usize, lap: &Lap) -> Result<(), FileError> {
        let mut log = match self.current.take() {
            Some(log) => log,
            None => self.begin(lap.from).await?,
        };
        let outcome = log.append(shard, lap).await;
        if log.bytes < self.limits.bytes && outcome.is_ok() {
            self.current = Some(log);
            return Ok(());
        }
        // Full, or broken: the next lap begins another one.
        log.file.close().await?;
        outcome
    }

    async fn begin(&self, from: Time) -> Result<LogFile, FileError> {
        fs::create_dir_all(&self.directory)?;
        remove_oldest(&self.directory, self.limits.files.saturating_sub(1))?;
        let started = self.base + since_zero(from);
        let path = free_path(&self.directory, started);
        let file = BufferedFile::create(&path).await?;
        let header = Header {
            comment: concat!(
                "tipring ",
                env!("CARGO_PKG_VERSION"),
                ", latencies of its shards"
            ),
            started,
            base: self.base,
        };
        let writer = LogWriter::begin(Vec::new(), &header)?;
        Ok(LogFile {
            file,
            writer,
            bytes: 0,
        })
    }
}

impl LogFile {
    /// Appends whole lines or, as far as the file lets us, nothing.
    async fn append(&mut self, shard: usize, lap: &Lap) -> Result<(), FileError> {
        let span = Span {
            start: since_zero(lap.from),
            length: lap.until.duration_since(lap.from),
        };
        self.writer
            .write_set(&format!("s{shard}"), span, &lap.set)?;
        let lines = std::mem::take(self.writer.get_mut());
        let wanted = lines.len() as u64;
        if let Err(error) = self.write_all(lines).await {
            // Half a line would be damage in the middle of the file.
            let _ = self.file.truncate(self.bytes).await;
            return Err(error);
        }
        self.bytes += wanted;
        Ok(())
    }

    async fn write_all(&self, mut lines: Vec<u8>) -> Result<(), FileError> {
        let mut at = self.bytes;
        while !lines.is_empty() {
            let rest = lines.clone();
            let taken = self.file.write_at(rest, at).await?;
            if taken == 0 {
                return Err(io::Error::from(io::ErrorKind::WriteZero).into());
            }
            lines.drain(..taken.min(lines.len()));
            at += taken as u64;
        }
        Ok(())
    }
}

/// The engine's time as a duration.
fn since_zero(time: Time) -> Duration {
    time.duration_since(Time::ZERO)
}

/// A name by the log's begin that is not taken.
fn free_path(directory: &Path, started: SystemTime) -> PathBuf {
    let mut time = started;
    loop {
        let path = directory.join(format!("{PREFIX}{}{SUFFIX}", stamp(time)));
        if !path.exists() {
            return path;
        }
        time += Duration::from_millis(1);
    }
}

/// Removes the oldest logs until at most `keep` are left. Their names say how old they are.
fn remove_oldest(directory: &Path, keep: usize) -> io::Result<()> {
    let mut logs = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(PREFIX) && name.ends_with(SUFFIX) {
            logs.push(directory.join(&*name));
        }
    }
    logs.sort();
    let excess = logs.len().saturating_sub(keep);
    logs.iter().take(excess).try_for_each(fs::remove_file)
}

/// Makes the directory and a file in it, and removes the file.
pub(super) fn try_directory(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let path = directory.join(format!(".tipring-{}", std::process::id()));
    fs::write(&path, b"")?;
    fs::remove_file(&path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use glommio::LocalExecutor;
    use latency::{Log, Metric, Set};

    struct Desk(PathBuf);

    impl Desk {
        fn new(name: &str) -> Desk {
            let name = format!("tipring-logs-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            let _ = fs::remove_dir_all(&path);
            Desk(path)
        }

        fn logs(&self) -> Vec<PathBuf> {
            let entries = fs::read_dir(&self.0).expect("a directory");
            let mut logs: Vec<_> = entries.map(|entry| entry.expect("entry").path()).collect();
            logs.sort();
            logs
        }
    }

    impl Drop for Desk {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn files(directory: &Path, bytes: u64, files: usize) -> LogFiles {
        let base = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        LogFiles::new(directory.to_owned(), Limits { bytes, files }, base)
    }

    fn lap(second: u64) -> Lap {
        let mut set = Set::new(&Metric::NAMES);
        set.record(Metric::Turn.index(), 5_000 + second, 1 + second);
        let at = |second: u64| Time::from_nanos(second * 1_000_000_000);
        Lap {
            set: Box::new(set),
            from: at(second),
            until: at(second + 1),
        }
    }

    fn write(files: &mut LogFiles, laps: std::ops::Range<u64>) -> Vec<bool> {
        LocalExecutor::default().run(async {
            let mut outcomes = Vec::new();
            for second in laps {
                outcomes.push(files.write(second as usize % 2, &lap(second)).await);
            }
            files.close().await;
            outcomes
        })
    }

    fn read(path: &Path) -> Log {
        Log::read(&fs::read(path).expect("a log")).expect("a good log")
    }

    #[test]
    fn a_log_reads_back() {
        let desk = Desk::new("reads");
        write(&mut files(&desk.0.join("deep/er"), 1 << 20, 4), 0..3);
        let desk = Desk(desk.0.join("deep/er"));
        let logs = desk.logs();
        assert_eq!(logs.len(), 1);
        assert!(logs[0].ends_with("tipring-20231114T221320.000Z.hlog"));
        let log = read(&logs[0]);
        let found: Vec<_> = log
            .intervals
            .iter()
            .map(|one| {
                (
                    one.source.as_str(),
                    one.metric.as_str(),
                    one.histogram.len(),
                )
            })
            .collect();
        assert_eq!(
            found,
            [("s0", "turn", 1), ("s1", "turn", 2), ("s0", "turn", 3)]
        );
        assert_eq!(log.intervals[2].start, Duration::from_secs(1_700_000_002));
        drop(Desk(desk.0.join("../..")));
    }

    #[test]
    fn long_logs_are_followed_by_others_and_the_oldest_go() {
        let desk = Desk::new("rotates");
        // Each line is longer than that: a log for each lap.
        write(&mut files(&desk.0, 10, 3), 0..6);
        let logs = desk.logs();
        let starts: Vec<_> = logs
            .iter()
            .map(|log| read(log).intervals[0].start.as_secs())
            .collect();
        assert_eq!(starts, [1_700_000_003, 1_700_000_004, 1_700_000_005]);
    }

    #[test]
    fn another_run_begins_another_log_beside_the_old_ones() {
        let desk = Desk::new("again");
        write(&mut files(&desk.0, 1 << 20, 4), 0..1);
        let first = fs::read(&desk.logs()[0]).expect("a log");
        fs::write(desk.0.join("notes.txt"), "not ours").expect("written");
        write(&mut files(&desk.0, 1 << 20, 1), 5..6);
        write(&mut files(&desk.0, 1 << 20, 4), 5..6);
        let names: Vec<_> = desk.logs();
        assert_eq!(names.len(), 3, "{names:?}");
        assert!(names[0].ends_with("notes.txt"));
        assert!(
            names
                .iter()
                .skip(1)
                .all(|log| fs::read(log).expect("a log") != first)
        );
    }

    #[test]
    fn a_directory_that_cannot_be_made_loses_laps_until_it_can() {
        let desk = Desk::new("blocked");
        fs::write(&desk.0, "a file where the directory should be").expect("written");
        let mut files = files(&desk.0, 1 << 20, 4);
        assert_eq!(write(&mut files, 0..2), [false, false]);
        fs::remove_file(&desk.0).expect("removed");
        assert_eq!(write(&mut files, 2..4), [true, true]);
        assert_eq!(read(&desk.logs()[0]).intervals.len(), 2);
    }

    #[test]
    fn a_full_disk_is_told_and_survived() {
        let desk = Desk::new("full");
        let mut files = files(&desk.0, 1 << 20, 4);
        assert_eq!(write(&mut files, 0..1), [true]);
        let outcome = LocalExecutor::default().run(async {
            let header = Header {
                comment: "",
                started: SystemTime::UNIX_EPOCH,
                base: SystemTime::UNIX_EPOCH,
            };
            files.current = Some(LogFile {
                file: BufferedFile::create("/dev/full").await.expect("opened"),
                writer: LogWriter::begin(Vec::new(), &header).expect("a header"),
                bytes: 0,
            });
            let full = files.write(0, &lap(1)).await;
            let after = files.write(0, &lap(2)).await;
            files.close().await;
            (full, after)
        });
        assert_eq!(outcome, (false, true));
        assert_eq!(desk.logs().len(), 2);
    }
}
