//! What stands at the ends of a segment: its header, and the end of a snapshot. Between them marks tell
//! the wall clock.

use std::net::SocketAddr;

use crate::fields::{Fields, put_address};
use crate::frame::{Frame, append};
use crate::kind::Kind;

/// The format this code writes. A higher one is refused: it may mean other things.
const VERSION: u16 = 1;
/// The first bytes of a header's payload.
const NAME: [u8; 8] = *b"tipring\0";

/// What a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Changes in their order.
    Log,
    /// Everything the logs before its number amount to.
    Snapshot,
}

/// The first frame of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it is.
    pub sort: Sort,
    /// Its place among the others.
    pub number: u64,
    /// When it was begun, milliseconds since 1970.
    pub begun_ms: u64,
    /// Of a log: the log before it, and how long that was when it was left. What stands behind is a write
    /// that failed and was done again in this one.
    pub before: Option<(u64, u64)>,
    /// The local addresses by the number that flows have in this segment.
    pub listeners: Vec<SocketAddr>,
}

/// Why the first frame is no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// It is damaged, or the file is none of ours.
    NoHeader,
    /// A later version of the program wrote it, in this version of the format.
    Newer(u16),
}

impl Header {
    /// Appends it.
    pub fn append(&self, out: &mut Vec<u8>) {
        append(out, Kind::Header, |out| {
            out.extend_from_slice(&NAME);
            out.extend_from_slice(&VERSION.to_le_bytes());
            out.push(u8::from(self.sort == Sort::Snapshot));
            out.extend_from_slice(&self.number.to_le_bytes());
            out.extend_from_slice(&self.begun_ms.to_le_bytes());
            let (number, length) = self.before.unwrap_or_default();
            out.push(u8::from(self.before.is_some()));
            out.extend_from_slice(&number.to_le_bytes());
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(&(self.listeners.len() as u16).to_le_bytes());
            let listeners = self.listeners.iter();
            listeners.for_each(|address| put_address(out, *address));
        });
    }

    /// Reads it.
    ///
    /// # Errors
    /// It is none, or one of a later version.
    pub fn of(frame: Frame<'_>) -> Result<Header, HeaderError> {
        let mut fields = Fields(frame.payload);
        let ours = frame.kind == Some(Kind::Header) && fields.octets() == Some(NAME);
        match fields.u16().filter(|_| ours) {
            None => Err(HeaderError::NoHeader),
            Some(version) if version > VERSION => Err(HeaderError::Newer(version)),
            Some(_) => Header::read(fields).ok_or(HeaderError::NoHeader),
        }
    }

    fn read(mut fields: Fields<'_>) -> Option<Header> {
        let sort = match fields.u8()? {
            0 => Sort::Log,
            1 => Sort::Snapshot,
            _ => return None,
        };
        let (number, begun_ms) = (fields.u64()?, fields.u64()?);
        let has_before = fields.u8()? != 0;
        let before = (fields.u64()?, fields.u64()?);
        let count = fields.u16()?;
        Some(Header {
            sort,
            number,
            begun_ms,
            before: has_before.then_some(before),
            listeners: (0..count)
                .map(|_| fields.address())
                .collect::<Option<_>>()?,
        })
    }
}

/// Appends the wall clock, milliseconds since 1970: what follows was written then.
pub fn append_mark(out: &mut Vec<u8>, unix_ms: u64) {
    append(out, Kind::Mark, |out| {
        out.extend_from_slice(&unix_ms.to_le_bytes());
    });
}

pub(crate) fn mark(payload: &[u8]) -> Option<u64> {
    Fields(payload).u64()
}

/// Appends the end of a snapshot of so many addresses-of-record and domains.
pub fn append_end(out: &mut Vec<u8>, registrations: u64, domains: u64) {
    append(out, Kind::End, |out| {
        out.extend_from_slice(&registrations.to_le_bytes());
        out.extend_from_slice(&domains.to_le_bytes());
    });
}

pub(crate) fn end(payload: &[u8]) -> Option<(u64, u64)> {
    let mut fields = Fields(payload);
    Some((fields.u64()?, fields.u64()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Frames;

    fn header() -> Header {
        Header {
            sort: Sort::Log,
            number: 7,
            begun_ms: 1_800_000_000_000,
            before: Some((6, 4_711)),
            listeners: vec![
                "192.0.2.1:5060".parse().expect("v4"),
                "[::1]:5060".parse().expect("v6"),
            ],
        }
    }

    fn read(bytes: &[u8]) -> Result<Header, HeaderError> {
        Header::of(Frames::new(bytes).next().expect("a frame"))
    }

    #[test]
    fn a_header_comes_back() {
        let mut bytes = Vec::new();
        header().append(&mut bytes);
        assert_eq!(read(&bytes), Ok(header()));
    }

    #[test]
    fn a_later_version_is_known_for_what_it_is() {
        let mut bytes = Vec::new();
        append(&mut bytes, Kind::Header, |out| {
            out.extend_from_slice(&NAME);
            out.extend_from_slice(&[2, 0, 99]);
        });
        assert_eq!(read(&bytes), Err(HeaderError::Newer(2)));
        bytes.clear();
        append_mark(&mut bytes, 1);
        assert_eq!(read(&bytes), Err(HeaderError::NoHeader));
    }
}
