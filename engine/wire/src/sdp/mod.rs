//! Session descriptions (RFC 8866) over bytes: their lines and media sections, the values a router
//! asks for, and the printing of a changed body from the old one. Reading never copies. A line that
//! nobody here understands is kept as it is; what a description means to a call (RFC 3264) is not
//! known here.

mod attribute;
mod connection;
mod edit;
mod line;
mod media;

pub use attribute::{Direction, Rtcp, RtpMap};
pub use connection::{Connection, Origin, print_address};
pub use edit::Edits;
pub use line::{Attributes, Line, Lines};
pub use media::{Kind, Media, MediaLine};

use crate::span::Span;
use smallvec::SmallVec;

/// Why a body is no session description. The peer is at fault in every one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum SdpError {
    /// More than 65,535 bytes.
    #[error("Session Description Too Long")]
    TooLong,
    /// The first line is not `v=0` (RFC 8866 5.1).
    #[error("Missing v= Line")]
    NoVersion,
    /// An m= line without a media type, a port or a protocol (RFC 8866 5.14).
    #[error("Malformed m= Line")]
    BadMediaLine,
}

/// A session description: the session level and the media sections, each some lines of the body.
///
/// The getters answer for the session level; [`Media`] answers for a section, with the session level
/// behind it where the RFC has it so.
#[derive(Clone, Debug)]
pub struct Session<'a> {
    bytes: &'a [u8],
    lines: Lines<'a>,
    media: SmallVec<[Media<'a>; 4]>,
}

impl<'a> Session<'a> {
    /// Finds the sections of `bytes`. Nothing but the first line and the m= lines is judged.
    pub fn parse(bytes: &'a [u8]) -> Result<Session<'a>, SdpError> {
        if bytes.len() > usize::from(u16::MAX) {
            return Err(SdpError::TooLong);
        }
        let all = Lines::new(bytes, Span::new(0, bytes.len()));
        let first = all.clone().next().ok_or(SdpError::NoVersion)?;
        if first.kind != b'v' || crate::lex::trim(first.value) != b"0" {
            return Err(SdpError::NoVersion);
        }
        let mut starts = all.filter(|line| line.kind == b'm').peekable();
        let end = Span::new(bytes.len(), bytes.len());
        let after = |next: Option<&Line<'a>>| next.map_or(end.start, |line| line.span.start);
        let session = Span {
            start: 0,
            end: after(starts.peek()),
        };
        let lines = Lines::new(bytes, session);
        let mut media = SmallVec::new();
        while let Some(line) = starts.next() {
            let inside = Span {
                start: line.span.end,
                end: after(starts.peek()),
            };
            let inside = Lines::new(bytes, inside);
            media.push(Media::new(line, lines.clone(), inside).ok_or(SdpError::BadMediaLine)?);
        }
        Ok(Session {
            bytes,
            lines,
            media,
        })
    }

    /// The whole description.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The lines of the session level.
    pub fn lines(&self) -> Lines<'a> {
        self.lines.clone()
    }

    /// The media sections, in order.
    pub fn media(&self) -> &[Media<'a>] {
        &self.media
    }

    /// The o= line, when it can be read.
    pub fn origin(&self) -> Option<Origin<'a>> {
        Origin::parse(self.lines().find_kind(b'o')?.value)
    }

    /// The value of the s= line.
    pub fn name(&self) -> Option<&'a [u8]> {
        Some(self.lines().find_kind(b's')?.value)
    }

    /// The c= line of the session level, when it can be read.
    pub fn connection(&self) -> Option<Connection<'a>> {
        Connection::parse(self.lines().find_kind(b'c')?.value)
    }

    /// The direction said at session level.
    pub fn direction(&self) -> Option<Direction> {
        self.lines().direction()
    }
}

#[cfg(test)]
mod tests;
