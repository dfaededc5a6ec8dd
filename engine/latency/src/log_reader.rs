//! The `.hlog` interval log, reading: ours and those of other HDR tools. A last line that was cut off is
//! passed over with a note, since a process that is killed leaves one; any other damage is an error
//! with its line.

use std::time::Duration;

use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{
    IntervalLogHistogram, IntervalLogIterator, LogEntry,
};

use crate::error::ReadError;
use crate::set::Histogram;

/// One line of a log.
#[derive(Clone, Debug)]
pub struct Interval {
    /// Whose it is: what stands before the `/` of the tag, `s0` for shard 0. May be empty.
    pub source: String,
    /// What was measured: the rest of the tag. `untagged` without one.
    pub metric: String,
    /// Begin, since 1970 when the log says when it was, else since an unknown time.
    pub start: Duration,
    /// Length.
    pub length: Duration,
    /// Its values, nanoseconds.
    pub histogram: Histogram,
}

/// A log that was read.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Its intervals, in the order of the file.
    pub intervals: Vec<Interval>,
    /// The last line was cut off.
    pub truncated: bool,
}

/// In a log with a StartTime and no BaseTime, times this much smaller than it are relative to it: the
/// rule of Java's HistogramLogReader.
const YEAR: Duration = Duration::from_secs(365 * 86_400);

const VERSION_COMMENT: &str = "#[Histogram log format version ";

impl Log {
    /// Reads a whole log.
    ///
    /// # Errors
    /// [`ReadError`], with the line.
    pub fn read(bytes: &[u8]) -> Result<Log, ReadError> {
        if bytes.is_empty() {
            return Err(ReadError::Empty);
        }
        let mut reading = Reading::default();
        for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let number = index + 1;
            if line.ends_with(b"\n") {
                reading.line(number, line)?;
            } else {
                reading.last_line(number, line)?;
            }
        }
        Ok(reading.log)
    }
}

#[derive(Default)]
struct Reading {
    log: Log,
    /// Something that only a log has was seen.
    is_log: bool,
    start: Option<Duration>,
    base: Option<Duration>,
    deserializer: Deserializer,
}

impl Reading {
    /// A line without its end: whole, from a tool that leaves the end out, or cut off.
    fn last_line(&mut self, number: usize, line: &[u8]) -> Result<(), ReadError> {
        let ended = [line, b"\n"].concat();
        match self.line(number, &ended) {
            Err(error) if !self.is_log => Err(error),
            Err(_) => {
                self.log.truncated = true;
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn line(&mut self, number: usize, line: &[u8]) -> Result<(), ReadError> {
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        self.check_version(line)?;
        match IntervalLogIterator::new(line).next() {
            // A comment or the legend.
            None => Ok(()),
            Some(Ok(LogEntry::StartTime(time))) => {
                self.is_log = true;
                self.start = Some(time);
                Ok(())
            }
            Some(Ok(LogEntry::BaseTime(time))) => {
                self.is_log = true;
                self.base = Some(time);
                Ok(())
            }
            Some(Ok(LogEntry::Interval(interval))) => self.interval(number, &interval),
            Some(Err(_)) if self.is_log => Err(ReadError::Damaged { line: number }),
            Some(Err(_)) => Err(ReadError::NotALog { line: number }),
        }
    }

    fn check_version(&mut self, line: &[u8]) -> Result<(), ReadError> {
        let Some(rest) = line.strip_prefix(VERSION_COMMENT.as_bytes()) else {
            return Ok(());
        };
        self.is_log = true;
        let version = String::from_utf8_lossy(rest);
        let version = version.split(']').next().unwrap_or_default();
        match version.starts_with("1.") {
            true => Ok(()),
            false => Err(ReadError::Version(version.to_owned())),
        }
    }

    fn interval(
        &mut self,
        line: usize,
        interval: &IntervalLogHistogram<'_>,
    ) -> Result<(), ReadError> {
        let bytes = crate::base64::decode(interval.encoded_histogram())
            .ok_or(ReadError::Base64 { line })?;
        let mut histogram: Histogram = self
            .deserializer
            .deserialize(&mut bytes.as_slice())
            .map_err(|source| ReadError::Histogram { line, source })?;
        // So that longer ones of other intervals can be added.
        histogram.auto(true);
        let (source, metric) = names(interval.tag().map(|tag| tag.as_str()));
        self.is_log = true;
        self.log.intervals.push(Interval {
            source,
            metric,
            start: self.absolute(interval.start_timestamp()),
            length: interval.duration(),
            histogram,
        });
        Ok(())
    }

    fn absolute(&self, time: Duration) -> Duration {
        match (self.base, self.start) {
            (Some(base), _) => base.saturating_add(time),
            (None, Some(start)) if time < start.saturating_sub(YEAR) => start.saturating_add(time),
            (None, _) => time,
        }
    }
}

fn names(tag: Option<&str>) -> (String, String) {
    let tag = tag.unwrap_or("untagged");
    let (source, metric) = tag.split_once('/').unwrap_or(("", tag));
    (source.to_owned(), metric.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Header, LogWriter, Set, Span};
    use proptest::prelude::*;
    use std::time::SystemTime;

    const BASE: Duration = Duration::from_secs(1_700_000_000);

    fn written(values: &[u64]) -> Vec<u8> {
        let base = SystemTime::UNIX_EPOCH + BASE;
        let header = Header {
            comment: "made by a test",
            started: base,
            base,
        };
        let mut log = LogWriter::begin(Vec::new(), &header).unwrap();
        for (second, value) in values.iter().enumerate() {
            let mut set = Set::new(&["turn", "other"]);
            set.record(0, *value, 1 + second as u64);
            set.record(1, *value, 1);
            let span = Span {
                start: Duration::from_secs(second as u64),
                length: Duration::from_secs(1),
            };
            log.write_set("s3", span, &set).unwrap();
        }
        log.into_inner()
    }

    #[test]
    fn what_was_written_is_read() {
        let log = Log::read(&written(&[5_000, 7_000])).unwrap();
        assert_eq!(log.intervals.len(), 4);
        let one = &log.intervals[2];
        assert_eq!((one.source.as_str(), one.metric.as_str()), ("s3", "turn"));
        assert_eq!(one.start, BASE + Duration::from_secs(1));
        assert_eq!(one.length, Duration::from_secs(1));
        assert_eq!(one.histogram.len(), 2);
        assert!(one.histogram.equivalent(one.histogram.max(), 7_000));
        assert!(!log.truncated);
    }

    proptest! {
        #[test]
        fn any_values_come_back(values in prop::collection::vec(0..crate::HIGHEST_NS, 1..8)) {
            let log = Log::read(&written(&values)).unwrap();
            let maxima = log.intervals.iter().filter(|one| one.metric == "turn");
            for (one, value) in maxima.zip(&values) {
                prop_assert!(one.histogram.equivalent(one.histogram.max(), *value));
            }
            prop_assert_eq!(log.intervals.len(), 2 * values.len());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Log::read(&bytes);
        }

        /// A killed process leaves a log that ends anywhere.
        #[test]
        fn a_log_cut_anywhere_after_its_header_is_read(cut in 0.0..1.0f64) {
            let bytes = written(&[5_000, 7_000, 9_000]);
            let header = bytes.windows(4).position(|four| four == b"Tag=").unwrap();
            let end = header + ((bytes.len() - header) as f64 * cut) as usize;
            let log = Log::read(&bytes[..end]).unwrap();
            let whole = bytes[header..end].iter().filter(|byte| **byte == b'\n').count();
            prop_assert!(log.intervals.len() == whole || !log.truncated);
        }
    }

    #[test]
    fn a_cut_last_line_is_noted() {
        let bytes = written(&[5_000, 7_000]);
        let log = Log::read(&bytes[..bytes.len() - 20]).unwrap();
        assert_eq!((log.intervals.len(), log.truncated), (3, true));
        // Without its line end it is whole.
        let log = Log::read(&bytes[..bytes.len() - 1]).unwrap();
        assert_eq!((log.intervals.len(), log.truncated), (4, false));
    }

    #[test]
    fn damage_is_placed() {
        let text = String::from_utf8(written(&[5_000, 7_000])).unwrap();
        let error = |text: &str| Log::read(text.as_bytes()).unwrap_err().to_string();
        let damaged = text.replacen("Tag=s3/other,0.000", "Tag=s3/other,zero", 1);
        assert!(error(&damaged).starts_with("line 8 is damaged"));
        let damaged = text.replacen("HISTF", "HI-TF", 1);
        assert_eq!(error(&damaged), "line 7: the histogram is not base64");
        let damaged = text.replacen("HISTF", "AAAAA", 1);
        assert!(error(&damaged).starts_with("line 7: the histogram cannot be decoded"));
        let newer = text.replace("version 1.3", "version 2.0");
        assert!(error(&newer).starts_with("version \"2.0\""));
    }

    #[test]
    fn what_is_no_log_is_said_to_be_none() {
        let error = |text: &str| Log::read(text.as_bytes()).unwrap_err().to_string();
        assert!(error("[engine]\nshards = 1\n").starts_with("not an HDR interval log"));
        assert!(error("{}").starts_with("not an HDR interval log"));
        assert!(error("").ends_with("the file is empty"));
    }

    #[test]
    fn times_are_taken_as_the_java_tools_take_them() {
        let interval = "1.500,1.000,0.005,";
        let text = String::from_utf8(written(&[5_000])).unwrap();
        let histogram = text.lines().nth(6).unwrap().rsplit(',').next().unwrap();
        let read = |header: &str| {
            let text = format!("{header}{interval}{histogram}\n");
            let log = Log::read(text.as_bytes()).unwrap();
            let one = &log.intervals[0];
            assert_eq!((one.source.as_str(), one.metric.as_str()), ("", "untagged"));
            one.start.as_secs_f64()
        };
        assert_eq!(read(""), 1.5);
        let start = "#[StartTime: 1700000000.000 (seconds since epoch)]\n";
        assert_eq!(read(start), 1_700_000_001.5);
        let base = "#[BaseTime: 1600000000.000 (seconds since epoch)]\n";
        assert_eq!(read(&format!("{start}{base}")), 1_600_000_001.5);
        let legend = "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\"\n";
        assert_eq!(read(legend), 1.5);
    }
}
