//! The `.hlog` interval log, writing: HdrHistogram's format 1.3, histograms in its V2 form, deflated, one
//! line for each interval and tag, so that every tool of that family reads it. A tag is
//! `source/metric`, for instance `s0/turn`.

use std::io::Write;
use std::time::{Duration, SystemTime};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{
    IntervalLogWriterBuilder, IntervalLogWriterError, Tag,
};

use crate::error::WriteError;
use crate::set::{Histogram, Set};

/// The format that Java's HdrHistogram names; the lines of tags came with it.
pub(crate) const VERSION: &str = "1.3";

/// The maximum of a line is in milliseconds, as the Java tools have it.
const MAX_DIVISOR: f64 = 1e6;

/// The first lines of a log.
#[derive(Clone, Debug)]
pub struct Header<'h> {
    /// What wrote it and what it measures; a comment.
    pub comment: &'h str,
    /// When this log begins.
    pub started: SystemTime,
    /// The time that the starts of intervals count from.
    pub base: SystemTime,
}

/// Where an interval lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its begin, counted from [`Header::base`].
    pub start: Duration,
    /// Its length.
    pub length: Duration,
}

/// Writes a log to `out`.
pub struct LogWriter<W> {
    out: W,
    serializer: V2DeflateSerializer,
    /// One line, before it goes out.
    line: Vec<u8>,
    tag: String,
}

impl<W: Write> LogWriter<W> {
    /// Begins a log with its header.
    ///
    /// # Errors
    /// [`WriteError::Io`] from `out`.
    pub fn begin(mut out: W, header: &Header<'_>) -> Result<LogWriter<W>, WriteError> {
        let mut serializer = V2DeflateSerializer::new();
        IntervalLogWriterBuilder::new()
            .add_comment(header.comment)
            .add_comment(&format!("[Histogram log format version {VERSION}]"))
            .add_comment("values in nanoseconds, Interval_Max in milliseconds")
            .with_start_time(header.started)
            .with_base_time(header.base)
            .with_max_value_divisor(MAX_DIVISOR)
            .begin_log_with(&mut out, &mut serializer)?;
        Ok(LogWriter {
            out,
            serializer,
            line: Vec::new(),
            tag: String::new(),
        })
    }

    /// Writes one histogram.
    ///
    /// # Errors
    /// [`WriteError`]; then the line is missing, or broken when `out` took part of it.
    pub fn write(
        &mut self,
        tag: &str,
        span: Span,
        histogram: &Histogram,
    ) -> Result<(), WriteError> {
        let checked = Tag::new(tag).ok_or_else(|| WriteError::Tag(tag.to_owned()))?;
        self.line.clear();
        // It says the divisor again each time it begins; only what comes after goes out.
        IntervalLogWriterBuilder::new()
            .with_max_value_divisor(MAX_DIVISOR)
            .begin_log_with(&mut self.line, &mut self.serializer)?
            .write_histogram(histogram, span.start, span.length, Some(checked))
            .map_err(|error| match error {
                IntervalLogWriterError::SerializeError(error) => WriteError::Histogram(error),
                IntervalLogWriterError::IoError(error) => WriteError::Io(error),
            })?;
        let line = match self.line.iter().position(|byte| *byte == b'\n') {
            Some(end) => &self.line[end + 1..],
            None => &self.line,
        };
        self.out.write_all(line)?;
        Ok(())
    }

    /// Writes every histogram of a set in which something was recorded, tagged `source/name`.
    ///
    /// # Errors
    /// [`WriteError`]; what was written before stays.
    pub fn write_set(&mut self, source: &str, span: Span, set: &Set) -> Result<(), WriteError> {
        let mut tag = std::mem::take(&mut self.tag);
        let mut used = set.iter().filter(|(_, histogram)| !histogram.is_empty());
        let result = used.try_for_each(|(name, histogram)| {
            tag.clear();
            tag.push_str(source);
            tag.push('/');
            tag.push_str(name);
            self.write(&tag, span, histogram)
        });
        self.tag = tag;
        result
    }

    /// What is written to.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// Ends the log; it has no last line.
    pub fn into_inner(self) -> W {
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    const AT: Duration = Duration::from_millis(1_700_000_000_250);

    fn log() -> LogWriter<Vec<u8>> {
        let header = Header {
            comment: "made by a test",
            started: SystemTime::UNIX_EPOCH + AT,
            base: SystemTime::UNIX_EPOCH + AT,
        };
        LogWriter::begin(Vec::new(), &header).unwrap()
    }

    fn span(start: u64) -> Span {
        Span {
            start: Duration::from_secs(start),
            length: Duration::from_secs(1),
        }
    }

    #[test]
    fn a_header_and_a_line_for_each_used_histogram() {
        let mut log = log();
        let mut set = Set::new(&["a", "b", "c"]);
        set.record(0, 1_000, 1);
        set.record(2, 2_000_000, 1);
        log.write_set("s0", span(3), &set).unwrap();
        log.write_set("s1", span(4), &set).unwrap();
        let text = String::from_utf8(log.into_inner()).unwrap();
        let starts: Vec<&str> = text
            .lines()
            .map(|line| line.split(",HISTF").next().unwrap())
            .collect();
        assert_eq!(
            starts,
            [
                "#made by a test",
                "#[Histogram log format version 1.3]",
                "#values in nanoseconds, Interval_Max in milliseconds",
                "#[StartTime: 1700000000.250 (seconds since epoch)]",
                "#[BaseTime: 1700000000.250 (seconds since epoch)]",
                "#[MaxValueDivisor: 1000000.000]",
                "Tag=s0/a,3.000,1.000,0.001",
                "Tag=s0/c,3.000,1.000,2.001",
                "Tag=s1/a,4.000,1.000,0.001",
                "Tag=s1/c,4.000,1.000,2.001",
            ]
        );
    }

    #[test]
    fn the_reader_of_hdrhistogram_takes_every_line() {
        let mut log = log();
        let mut set = Set::new(&["a"]);
        set.record(0, 1_000, 1);
        log.write_set("s0", span(0), &set).unwrap();
        let bytes = log.into_inner();
        let entries: Vec<_> = IntervalLogIterator::new(&bytes)
            .map(Result::unwrap)
            .collect();
        assert_eq!(entries[0], LogEntry::StartTime(AT));
        assert_eq!(entries[1], LogEntry::BaseTime(AT));
        assert!(matches!(&entries[2], LogEntry::Interval(one)
                if one.tag().map(|tag| tag.as_str()) == Some("s0/a")));
        assert_eq!(entries.len(), 3);
    }

    #[test]
    fn a_tag_that_would_break_the_line_is_refused() {
        let mut log = log();
        for wrong in ["a b", "a,b", "a\nb"] {
            let refused = log.write(wrong, span(0), &crate::histogram());
            assert!(matches!(refused, Err(WriteError::Tag(_))), "{wrong:?}");
        }
    }
}
