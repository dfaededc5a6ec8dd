//! The interval logs on disk: a row of files, each with its own header.

use std::path::PathBuf;
use std::time::SystemTime;

use latency::{Header, LogWriter, Span, WriteError};
use stack::Time;

use super::series::{GrowingFile, Series, SeriesError};
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
    series: Series,
    bytes_max: u64,
    base: SystemTime,
    /// The engine's time at `base`.
    zero: Time,
    current: Option<LogFile>,
    /// The last write failed, and that was said.
    failing: bool,
}

/// The log that is being written.
struct LogFile {
    file: GrowingFile,
    writer: LogWriter<Vec<u8>>,
}

#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error(transparent)]
    File(#[from] SeriesError),
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl LogFiles {
    /// Logs with times relative to `base`, when the engine's clock said `zero`. Nothing is opened yet.
    pub(super) fn new(
        directory: PathBuf,
        limits: Limits,
        (base, zero): (SystemTime, Time),
    ) -> LogFiles {
        LogFiles {
            series: Series {
                directory,
                prefix: PREFIX,
                suffix: SUFFIX,
                keep: limits.files,
            },
            bytes_max: limits.bytes,
            base,
            zero,
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
                    let directory = self.series.directory.display();
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
            && let Err(error) = current.file.file.close().await
        {
            tracing::error!(%error, "latency log: the last bytes may be lost");
        }
    }

    async fn try_write(&mut self, shard: usize, lap: &Lap) -> Result<(), FileError> {
        let mut log = match self.current.take() {
            Some(log) => log,
            None => self.begin(lap.from).await?,
        };
        let outcome = log.append(shard, lap, self.zero).await;
        if log.file.bytes < self.bytes_max && outcome.is_ok() {
            self.current = Some(log);
            return Ok(());
        }
        // Full, or broken: the next lap begins another one.
        log.file.file.close().await.map_err(SeriesError::from)?;
        outcome
    }

    async fn begin(&self, from: Time) -> Result<LogFile, FileError> {
        let started = self.base + from.duration_since(self.zero);
        let file = self.series.begin(started).await?;
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
        Ok(LogFile { file, writer })
    }
}

impl LogFile {
    /// Appends whole lines or, as far as the file lets us, nothing.
    async fn append(&mut self, shard: usize, lap: &Lap, zero: Time) -> Result<(), FileError> {
        let span = Span {
            start: lap.from.duration_since(zero),
            length: lap.until.duration_since(lap.from),
        };
        self.writer
            .write_set(&format!("s{shard}"), span, &lap.set)?;
        let lines = std::mem::take(self.writer.get_mut());
        Ok(self.file.append(lines).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use glommio::LocalExecutor;
    use glommio::io::BufferedFile;
    use latency::{Log, Metric, Set};
    use std::fs;
    use std::path::Path;
    use std::time::Duration;

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
        let base = (base, Time::ZERO);
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
                file: GrowingFile {
                    file: BufferedFile::create("/dev/full").await.expect("opened"),
                    bytes: 0,
                },
                writer: LogWriter::begin(Vec::new(), &header).expect("a header"),
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
