//! What can go wrong with a log.

use hdrhistogram::serialization::{DeserializeError, V2DeflateSerializeError};

/// A log could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The place it is written to fails: disk full, no permission.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A histogram has no serial form: a defect of ours.
    #[error("a histogram cannot be serialized: {0}")]
    Histogram(V2DeflateSerializeError),
    /// A tag with a comma, a space or a line end would break the line.
    #[error("{0:?} cannot be a tag: it has a comma, a space or a line end")]
    Tag(String),
}

/// A log could not be read. The file's fault, all of them.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Nothing of it looks like a log.
    #[error("not an HDR interval log (.hlog): line {line} is neither a comment nor an interval")]
    NotALog {
        /// Where that was seen first.
        line: usize,
    },
    /// Nothing is in it.
    #[error("not an HDR interval log (.hlog): the file is empty")]
    Empty,
    /// Written by something newer.
    #[error("version {0:?} of the HDR interval log format is not known; 1.x is")]
    Version(String),
    /// It begins well, but a line that is not the last is broken.
    #[error("line {line} is damaged: neither a comment nor an interval")]
    Damaged {
        /// The line.
        line: usize,
    },
    /// The histogram of a line is not base64.
    #[error("line {line}: the histogram is not base64")]
    Base64 {
        /// The line.
        line: usize,
    },
    /// The histogram of a line cannot be decoded.
    #[error("line {line}: the histogram cannot be decoded: {source}")]
    Histogram {
        /// The line.
        line: usize,
        /// Why.
        source: DeserializeError,
    },
}

/// Logs could not be merged.
#[derive(Debug, thiserror::Error)]
#[error("the histograms of these logs cannot be added up: {0}")]
pub struct MergeError(pub(crate) hdrhistogram::AdditionError);
