//! The records of calls on disk: a row of files. A line is handed to the kernel within one look of the
//! housekeeping and to the disk soon after, so that a call's line is safe before its end is a second old.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant, SystemTime};

use reactor::clock::Clock;
use shard::CallRecord;
use stack::Time;

use super::record_lines::{self, Clocks};
use super::series::{GrowingFile, Series, SeriesError};
use crate::config::RecordFormat;
use crate::peers::PeerTable;

/// How the records are written. Comes again at a reload.
#[derive(Clone, Debug)]
pub(crate) struct RecordSettings {
    /// Where; made when it is missing.
    pub(crate) directory: PathBuf,
    /// One JSON object a line, or CSV.
    pub(crate) format: RecordFormat,
    /// A file longer than this is followed by the next one.
    pub(crate) rotate_bytes: u64,
    /// One older than this as well.
    pub(crate) rotate_every: Option<Duration>,
    /// How many are kept.
    pub(crate) keep: usize,
    /// Who has which address.
    pub(crate) peers: Arc<PeerTable>,
}

/// Where records come from and how they are written.
pub(crate) struct Records {
    /// Of all shards.
    pub(crate) queue: Receiver<Arc<CallRecord>>,
    /// Other settings, at a reload.
    pub(crate) reloads: Receiver<RecordSettings>,
    /// The first ones.
    pub(crate) settings: RecordSettings,
    /// The engine's clock.
    pub(crate) clock: Clock,
}

/// Lines that wait for a disk that cannot be written. Beyond that records are lost, and counted in the log.
const WAITING_MAX: usize = 64 << 20;
/// Records written at once, so that a burst is not one huge line of work.
const BATCH: usize = 4_096;
/// How often what was written is flushed to the disk.
const FLUSH_EVERY: Duration = Duration::from_millis(300);

pub(super) struct RecordFiles {
    records: Records,
    current: Option<(GrowingFile, Instant)>,
    /// Lines that are not written yet.
    waiting: Vec<u8>,
    unflushed: Option<Instant>,
    failing: bool,
    lost: u64,
}

impl RecordFiles {
    pub(super) fn new(records: Records) -> RecordFiles {
        RecordFiles {
            records,
            current: None,
            waiting: Vec::new(),
            unflushed: None,
            failing: false,
            lost: 0,
        }
    }

    /// Writes what has come; true when there may be more.
    pub(super) async fn look(&mut self) -> bool {
        self.reload().await;
        let more = self.take();
        if !self.waiting.is_empty() {
            let written = self.write().await;
            self.tell(written);
        }
        self.flush_if_due().await;
        self.rotate_by_age().await;
        more
    }

    /// Writes all that is left and closes the file.
    pub(super) async fn close(&mut self) {
        while self.look().await {}
        self.end_file().await;
        if !self.waiting.is_empty() || self.lost > 0 {
            let (bytes, lost) = (self.waiting.len(), self.lost);
            tracing::error!(bytes, lost, "call records: some could not be written");
        }
    }

    async fn reload(&mut self) {
        while let Ok(settings) = self.records.reloads.try_recv() {
            let before = &self.records.settings;
            if before.format != settings.format || before.directory != settings.directory {
                // Lines of one format stand in files of their own.
                while self.take() {}
                if !self.waiting.is_empty() {
                    let written = self.write().await;
                    self.tell(written);
                }
                self.lost += self.waiting.iter().filter(|&&byte| byte == b'\n').count() as u64;
                self.waiting.clear();
                self.end_file().await;
            }
            self.records.settings = settings;
        }
    }

    /// Turns what the shards have sent into lines; true when a whole batch came.
    fn take(&mut self) -> bool {
        let clocks = Clocks {
            wall: SystemTime::now(),
            engine: Time::from_nanos(self.records.clock.now_ns()),
        };
        let Records {
            queue, settings, ..
        } = &self.records;
        for _ in 0..BATCH {
            match queue.try_recv() {
                Ok(_) if self.waiting.len() >= WAITING_MAX => self.lost += 1,
                Ok(record) => {
                    let (format, peers) = (settings.format, &settings.peers);
                    record_lines::write(&mut self.waiting, format, &record, &clocks, peers);
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return false,
            }
        }
        true
    }

    async fn write(&mut self) -> Result<(), SeriesError> {
        let now = Instant::now();
        let (mut file, begun) = match self.current.take() {
            Some(current) => current,
            None => (self.begin().await?, now),
        };
        file.append(self.waiting.clone()).await?;
        self.waiting.clear();
        self.unflushed.get_or_insert(now);
        let full = file.bytes >= self.records.settings.rotate_bytes;
        self.current = Some((file, begun));
        if full {
            self.end_file().await;
        }
        Ok(())
    }

    async fn begin(&self) -> Result<GrowingFile, SeriesError> {
        let settings = &self.records.settings;
        let series = Series {
            directory: settings.directory.clone(),
            prefix: "calls-",
            suffix: settings.format.suffix(),
            keep: settings.keep,
        };
        let mut file = series.begin(SystemTime::now()).await?;
        let head = record_lines::head(settings.format);
        if !head.is_empty() {
            file.append(head.into_bytes()).await?;
        }
        Ok(file)
    }

    async fn flush_if_due(&mut self) {
        let due = self.unflushed.is_some_and(|at| at.elapsed() >= FLUSH_EVERY);
        if due {
            self.flush().await;
        }
    }

    async fn flush(&mut self) {
        if self.unflushed.take().is_none() {
            return;
        }
        if let Some((file, _)) = &self.current
            && let Err(error) = file.file.fdatasync().await
        {
            tracing::error!(%error, "call records: the disk did not take the last lines");
        }
    }

    async fn rotate_by_age(&mut self) {
        let longest = self.records.settings.rotate_every;
        let age = self.current.as_ref().map(|(_, begun)| begun.elapsed());
        if age
            .zip(longest)
            .is_some_and(|(age, longest)| age >= longest)
        {
            self.end_file().await;
        }
    }

    async fn end_file(&mut self) {
        self.flush().await;
        if let Some((file, _)) = self.current.take()
            && let Err(error) = file.file.close().await
        {
            tracing::error!(%error, "call records: a file could not be closed");
        }
    }

    /// Logs the first failure of a row, and its end.
    fn tell(&mut self, written: Result<(), SeriesError>) {
        match (written, self.failing) {
            (Ok(()), false) => {}
            (Ok(()), true) => {
                self.failing = false;
                let lost = std::mem::take(&mut self.lost);
                tracing::info!(lost, "call records: writing again");
            }
            (Err(_), true) => {}
            (Err(error), false) => {
                self.failing = true;
                let directory = self.records.settings.directory.display();
                tracing::error!(
                    %error, %directory,
                    "call records: cannot be written; calls go on, records wait for the disk"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;
    use std::sync::mpsc::{SyncSender, channel, sync_channel};

    use glommio::LocalExecutor;
    use shard::{EndedBy, LegRecord};

    struct Bench {
        directory: PathBuf,
        queue: SyncSender<Arc<CallRecord>>,
        reloads: std::sync::mpsc::Sender<RecordSettings>,
        files: RecordFiles,
    }

    impl Drop for Bench {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }

    fn settings(directory: &Path) -> RecordSettings {
        RecordSettings {
            directory: directory.to_owned(),
            format: RecordFormat::Json,
            rotate_bytes: 1 << 30,
            rotate_every: None,
            keep: 10,
            peers: Arc::default(),
        }
    }

    fn bench(name: &str, change: impl FnOnce(&mut RecordSettings)) -> Bench {
        let name = format!("tipring-records-{}-{name}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&directory);
        let (queue, records) = sync_channel(100_000);
        let (reloads, reloaded) = channel();
        let mut settings = settings(&directory);
        change(&mut settings);
        let files = RecordFiles::new(Records {
            queue: records,
            reloads: reloaded,
            settings,
            clock: Clock::start(),
        });
        Bench {
            directory,
            queue,
            reloads,
            files,
        }
    }

    impl Bench {
        fn send(&self, ids: std::ops::Range<usize>) {
            for id in ids {
                self.queue.send(record(id)).expect("room");
            }
        }

        /// The lines of each file, oldest first.
        fn lines(&self) -> Vec<Vec<String>> {
            let entries = fs::read_dir(&self.directory).expect("a directory");
            let mut paths: Vec<_> = entries.map(|entry| entry.expect("entry").path()).collect();
            paths.sort();
            let text = |path: &PathBuf| fs::read_to_string(path).expect("text");
            let lines = |text: String| text.lines().map(str::to_owned).collect();
            paths.iter().map(text).map(lines).collect()
        }
    }

    fn record(id: usize) -> Arc<CallRecord> {
        Arc::new(CallRecord {
            id: id.to_string(),
            caller: LegRecord {
                call_id: "call".to_owned(),
                from: String::new(),
                to: String::new(),
                request_uri: String::new(),
                address: None,
            },
            callee: None,
            route: String::new(),
            why: String::new(),
            began: Time::ZERO,
            rang: None,
            answered: None,
            ended: Time::ZERO,
            ended_by: EndedBy::Router,
            reason: String::new(),
            code: 404,
            cause: 1,
            transfers: 0,
            media: Vec::new(),
        })
    }

    fn ids(files: &[Vec<String>]) -> Vec<usize> {
        let id = |line: &String| {
            let json: serde_json::Value = serde_json::from_str(line).expect("JSON");
            json["id"]
                .as_str()
                .and_then(|id| id.parse().ok())
                .expect("an id")
        };
        files.iter().flatten().map(id).collect()
    }

    #[test]
    fn every_record_is_a_line_in_the_order_of_the_ends() {
        let mut bench = bench("order", |_| {});
        bench.send(0..2 * BATCH + 5);
        LocalExecutor::default().run(bench.files.close());
        let lines = bench.lines();
        assert_eq!(lines.len(), 1);
        assert_eq!(ids(&lines), (0..2 * BATCH + 5).collect::<Vec<_>>());
    }

    #[test]
    fn long_files_are_followed_by_others_and_the_oldest_go() {
        let mut bench = bench("size", |settings| {
            (settings.rotate_bytes, settings.keep) = (10, 3);
        });
        for id in 0..6 {
            bench.send(id..id + 1);
            LocalExecutor::default().run(bench.files.look());
        }
        LocalExecutor::default().run(bench.files.close());
        assert_eq!(
            bench.lines().iter().map(Vec::len).collect::<Vec<_>>(),
            [1, 1, 1]
        );
        assert_eq!(ids(&bench.lines()), [3, 4, 5]);
    }

    #[test]
    fn an_old_file_is_followed_by_another_one() {
        let mut bench = bench("age", |settings| {
            settings.rotate_every = Some(Duration::ZERO);
        });
        for id in 0..3 {
            bench.send(id..id + 1);
            LocalExecutor::default().run(bench.files.look());
        }
        assert_eq!(bench.lines().len(), 3);
    }

    #[test]
    fn each_csv_file_begins_with_its_columns() {
        let mut bench = bench("csv", |settings| {
            settings.format = RecordFormat::Csv;
            settings.rotate_bytes = 1;
        });
        for id in 0..2 {
            bench.send(id..id + 1);
            LocalExecutor::default().run(bench.files.look());
        }
        for file in bench.lines() {
            assert_eq!(file.len(), 2);
            assert!(file[0].starts_with("id,setup,ring,"));
        }
    }

    #[test]
    fn a_reload_to_another_format_begins_another_file() {
        let mut bench = bench("reload", |_| {});
        bench.send(0..1);
        let csv = RecordSettings {
            format: RecordFormat::Csv,
            ..settings(&bench.directory)
        };
        LocalExecutor::default().run(async {
            bench.files.look().await;
            // What came before the reload goes by the old settings.
            bench.send(1..2);
            bench.reloads.send(csv).expect("heard");
            bench.files.look().await;
            bench.send(2..3);
            bench.files.close().await;
        });
        let mut lens: Vec<_> = bench.lines().iter().map(Vec::len).collect();
        lens.sort();
        assert_eq!(lens, [2, 2], "{:?}", bench.lines());
    }

    #[test]
    fn records_wait_for_a_directory_that_cannot_be_made() {
        let mut bench = bench("blocked", |_| {});
        fs::write(&bench.directory, "in the way").expect("written");
        bench.send(0..3);
        LocalExecutor::default().run(bench.files.look());
        assert!(bench.files.failing);
        fs::remove_file(&bench.directory).expect("removed");
        bench.send(3..5);
        LocalExecutor::default().run(bench.files.close());
        assert_eq!(ids(&bench.lines()), [0, 1, 2, 3, 4]);
        assert!(!bench.files.failing);
    }
}
