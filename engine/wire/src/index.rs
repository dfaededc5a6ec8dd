//! The index of a message: where its start line, header lines and body are, and which known
//! header each line is. Made in one pass over the bytes; the values themselves are not looked at,
//! save Content-Length, which says where the message ends.

use crate::error::ParseError;
use crate::lex::{is_token, number, trim_end, trim_start};
use crate::name::HeaderName;
use crate::scan;
use crate::span::{Span, offset};
use crate::start_line::Start;
use memchr::memchr;
use smallvec::SmallVec;

/// What a message may have before it is refused. Sizes are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Header lines, at most 254 whatever is set.
    pub headers_max: usize,
    /// One header with its folds.
    pub header_bytes_max: usize,
    /// The start line.
    pub start_line_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            headers_max: 128,
            header_bytes_max: 8192,
            start_line_bytes_max: 8192,
        }
    }
}

/// One header line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    pub(crate) name: HeaderName,
    /// Offset after the name.
    pub(crate) token_end: u16,
    pub(crate) value: Span,
    /// The whole line, its final CRLF included.
    pub(crate) line: Span,
}

/// Lines kept without allocation; a message with more makes the index grow once, for good.
const LINES_INLINE: usize = 32;

/// No line of that name.
const NONE: u8 = u8::MAX;

/// Where everything is in one message. It holds no bytes and no lifetime, so that one index serves
/// message after message.
#[derive(Clone, Debug)]
pub struct Index {
    pub(crate) start: Start,
    pub(crate) lines: SmallVec<[Line; LINES_INLINE]>,
    /// Offset after the body: the length of the message.
    end: u16,
    body: u16,
    first: [u8; HeaderName::COUNT],
    /// One bit for each name that has several lines.
    repeated: u128,
}

impl Default for Index {
    fn default() -> Index {
        Index::new()
    }
}

impl Index {
    /// An index of nothing.
    pub fn new() -> Index {
        Index {
            start: Start::NONE,
            lines: SmallVec::new(),
            end: 0,
            body: 0,
            first: [NONE; HeaderName::COUNT],
            repeated: 0,
        }
    }

    pub(crate) fn clear(&mut self) {
        self.start = Start::NONE;
        self.lines.clear();
        self.first = [NONE; HeaderName::COUNT];
        self.repeated = 0;
        (self.body, self.end) = (0, 0);
    }

    /// Reads the datagram `bytes`, which begins with its start line. On success `length` tells how
    /// many of the bytes are the message.
    pub(crate) fn read(&mut self, bytes: &[u8], limits: &Limits) -> Result<(), ParseError> {
        self.clear();
        if bytes.is_empty() {
            return Err(ParseError::Empty);
        }
        if bytes.len() > usize::from(u16::MAX) {
            return Err(ParseError::TooLong);
        }
        let headers = self.read_start_line(bytes, limits)?;
        let body = self.read_headers(bytes, headers, limits)?;
        self.read_length(bytes, body)
    }

    /// The length of the message, its body included.
    pub(crate) fn length(&self) -> usize {
        usize::from(self.end)
    }

    pub(crate) fn body(&self) -> Span {
        Span {
            start: self.body,
            end: self.end,
        }
    }

    /// The position of the first line called `name`.
    #[inline]
    pub(crate) fn first(&self, name: HeaderName) -> Option<usize> {
        let at = self.first.get(name as usize).copied().unwrap_or(NONE);
        (at != NONE).then_some(usize::from(at))
    }

    /// Whether several lines are called `name`.
    #[inline]
    pub(crate) fn is_repeated(&self, name: HeaderName) -> bool {
        self.repeated >> (name as u8) & 1 == 1
    }

    /// Ends the message at `end`, without a body.
    pub(crate) fn end_at(&mut self, end: usize) {
        (self.body, self.end) = (offset(end), offset(end));
    }

    #[inline]
    pub(crate) fn push(&mut self, line: Line) {
        let at = u8::try_from(self.lines.len()).unwrap_or(NONE);
        if let Some(first) = self.first.get_mut(line.name as usize) {
            if *first == NONE {
                *first = at;
            } else {
                self.repeated |= 1 << (line.name as u8);
            }
        }
        self.lines.push(line);
    }

    fn read_start_line(&mut self, bytes: &[u8], limits: &Limits) -> Result<usize, ParseError> {
        let end = line_end(bytes, 0)?;
        if end > limits.start_line_bytes_max {
            return Err(ParseError::StartLineTooLong);
        }
        self.start = Start::parse(bytes.get(..end).unwrap_or_default())?;
        match bytes.get(end + 2) {
            Some(b' ' | b'\t') => Err(ParseError::BadStartLine),
            _ => Ok(end + 2),
        }
    }

    /// Reads header lines from `start` to the blank line; returns where the body begins.
    #[inline]
    fn read_headers(
        &mut self,
        bytes: &[u8],
        mut start: usize,
        limits: &Limits,
    ) -> Result<usize, ParseError> {
        let headers_max = limits.headers_max.min(usize::from(NONE) - 1);
        loop {
            let end = header_end(bytes, start)?;
            if end == start {
                return Ok(end + 2);
            }
            if end - start > limits.header_bytes_max {
                return Err(ParseError::HeaderTooLong);
            }
            if self.lines.len() == headers_max {
                return Err(ParseError::TooManyHeaders);
            }
            self.push(header_line(bytes, start, end)?);
            start = end + 2;
        }
    }

    /// RFC 3261 18.3: over a datagram transport the body is Content-Length bytes, what follows is
    /// discarded, and without Content-Length it is the rest of the datagram.
    #[inline]
    fn read_length(&mut self, bytes: &[u8], body: usize) -> Result<(), ParseError> {
        let rest = bytes.len().saturating_sub(body);
        let length = self.content_length(bytes)?.unwrap_or(rest);
        if length > rest {
            return Err(ParseError::TruncatedBody);
        }
        (self.body, self.end) = (offset(body), offset(body + length));
        Ok(())
    }

    #[inline]
    fn content_length(&self, bytes: &[u8]) -> Result<Option<usize>, ParseError> {
        let Some(first) = self.first(HeaderName::ContentLength) else {
            return Ok(None);
        };
        let lines = self.lines.get(first..).unwrap_or_default();
        let Some(line) = lines.first() else {
            return Ok(None);
        };
        let length = content_length(line.value.of(bytes))?;
        if self.is_repeated(HeaderName::ContentLength) {
            for line in lines
                .iter()
                .filter(|line| line.name == HeaderName::ContentLength)
            {
                if content_length(line.value.of(bytes))? != length {
                    return Err(ParseError::ConflictingContentLength);
                }
            }
        }
        Ok(Some(length))
    }
}

/// Digits that overflow can only mean more than any datagram has.
#[inline]
fn content_length(value: &[u8]) -> Result<usize, ParseError> {
    match number(value) {
        Some(length) => Ok(length as usize),
        None if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => Ok(usize::MAX),
        None => Err(ParseError::BadContentLength),
    }
}

/// The offset of the next CRLF. A CR or LF alone is refused: elsewhere it may count as a line end,
/// and what two parsers cut differently can smuggle a header past one of them.
#[inline(always)]
fn line_end(bytes: &[u8], from: usize) -> Result<usize, ParseError> {
    let at = scan::control(bytes, from).ok_or(ParseError::Unterminated)?;
    match bytes.get(at..) {
        Some([b'\r', b'\n', ..]) => Ok(at),
        _ => line_end_after_control(bytes, at),
    }
}

/// Goes on from a control at `at` that does not begin a CRLF: a tab, say.
#[cold]
fn line_end_after_control(bytes: &[u8], mut at: usize) -> Result<usize, ParseError> {
    loop {
        match bytes.get(at..).unwrap_or_default() {
            [b'\r', b'\n', ..] => return Ok(at),
            [b'\r' | b'\n', ..] => return Err(ParseError::BareLineEnd),
            _ => at = scan::control(bytes, at + 1).ok_or(ParseError::Unterminated)?,
        }
    }
}

/// The offset of the CRLF that ends the header at `from`: the first that no white space follows
/// (RFC 3261 7.3.1). The blank line is a header of no bytes.
#[inline(always)]
fn header_end(bytes: &[u8], from: usize) -> Result<usize, ParseError> {
    let end = line_end(bytes, from)?;
    match bytes.get(end + 2) {
        Some(b' ' | b'\t') if end > from => folded_end(bytes, end),
        _ => Ok(end),
    }
}

/// The same for a header that goes on after the CRLF at `end`.
#[cold]
fn folded_end(bytes: &[u8], mut end: usize) -> Result<usize, ParseError> {
    while let Some(b' ' | b'\t') = bytes.get(end + 2) {
        end = line_end(bytes, end + 2)?;
    }
    Ok(end)
}

/// Reads the header line `start..end` of `bytes`, its CRLF after it.
#[inline(always)]
pub(crate) fn header_line(bytes: &[u8], start: usize, end: usize) -> Result<Line, ParseError> {
    let rest = bytes.get(start..).unwrap_or_default();
    let (name, token_end, colon) = match HeaderName::before_colon(rest) {
        Some((name, length)) if length < end - start => (name, start + length, start + length),
        _ => any_name(bytes, start, end)?,
    };
    Ok(Line {
        name,
        token_end: offset(token_end),
        value: trimmed(bytes, colon + 1, end),
        line: Span::new(start, end + 2),
    })
}

/// The name at `start`, where it ends and where its colon is, for names that are not among the
/// short known ones or have white space before their colon (HCOLON).
#[inline(never)]
fn any_name(
    bytes: &[u8],
    start: usize,
    end: usize,
) -> Result<(HeaderName, usize, usize), ParseError> {
    let line = bytes.get(start..end).unwrap_or_default();
    let colon = memchr(b':', line).ok_or(ParseError::HeaderWithoutColon)?;
    let mut token = line.get(..colon).unwrap_or_default();
    while let [before @ .., b' ' | b'\t'] = token {
        token = before;
    }
    let name = HeaderName::parse(token);
    if name == HeaderName::Other && !is_token(token) {
        return Err(ParseError::BadHeaderName);
    }
    Ok((name, start + token.len(), start + colon))
}

/// The span of `start..end`, what follows a colon, without white space at its ends.
#[inline(always)]
fn trimmed(bytes: &[u8], start: usize, end: usize) -> Span {
    let value = bytes.get(start..end).unwrap_or_default();
    match value {
        // As most are written: one space, and none behind.
        [b' ', first, .., last] if *first > b' ' && *last > b' ' => Span::new(start + 1, end),
        _ => any_trimmed(value, start),
    }
}

#[inline(never)]
fn any_trimmed(value: &[u8], start: usize) -> Span {
    let trimmed = trim_start(value);
    let start = start + value.len() - trimmed.len();
    Span::new(start, start + trim_end(trimmed).len())
}

/// `bytes` without the line ends in front of its start line (RFC 3261 7.5).
#[inline]
pub(crate) fn skip_line_ends(mut bytes: &[u8]) -> &[u8] {
    while let Some(rest) = bytes.strip_prefix(b"\r\n") {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Index, ParseError> {
        let mut index = Index::new();
        index
            .read(text.as_bytes(), &Limits::default())
            .map(|()| index)
    }

    #[test]
    fn finds_lines_and_names_them() {
        let text =
            "OPTIONS sip:a SIP/2.0\r\nv:1\r\nX-Y : 2 \r\nVIA:\r\n 3\r\n\t4\r\nTo:\r\n\r\nbody";
        let index = read(text).unwrap();
        let lines: Vec<_> = index
            .lines
            .iter()
            .map(|line| {
                (
                    line.name,
                    str::from_utf8(line.value.of(text.as_bytes())).unwrap(),
                )
            })
            .collect();
        assert_eq!(
            lines,
            [
                (HeaderName::Via, "1"),
                (HeaderName::Other, "2"),
                (HeaderName::Via, "3\r\n\t4"),
                (HeaderName::To, ""),
            ]
        );
        assert_eq!(index.first(HeaderName::Via), Some(0));
        assert_eq!(index.first(HeaderName::From), None);
        assert!(index.is_repeated(HeaderName::Via) && !index.is_repeated(HeaderName::To));
        assert_eq!(index.body().of(text.as_bytes()), b"body");
    }

    #[test]
    fn content_length_cuts_the_body() {
        let body = |headers: &str| {
            let text = format!("OPTIONS sip:a SIP/2.0\r\n{headers}\r\n12345");
            read(&text).map(|index| index.body().of(text.as_bytes()).len())
        };
        assert_eq!(body("Content-Length: 3\r\n"), Ok(3));
        assert_eq!(body("l : 0005 \r\n"), Ok(5));
        assert_eq!(body("l: 2\r\nContent-Length: 02\r\n"), Ok(2));
        assert_eq!(body(""), Ok(5));
        for (headers, error) in [
            ("l: 6\r\n", ParseError::TruncatedBody),
            ("l: 99999999999999999999999\r\n", ParseError::TruncatedBody),
            ("l: -1\r\n", ParseError::BadContentLength),
            ("l:\r\n", ParseError::BadContentLength),
            ("l: 5, 5\r\n", ParseError::BadContentLength),
            ("l: 2\r\nl: 3\r\n", ParseError::ConflictingContentLength),
        ] {
            assert_eq!(body(headers), Err(error), "{headers:?}");
        }
    }

    #[test]
    fn what_is_no_message() {
        for (text, error) in [
            ("", ParseError::Empty),
            ("OPTIONS sip:a SIP/2.0", ParseError::Unterminated),
            ("OPTIONS sip:a SIP/2.0\r\n", ParseError::Unterminated),
            (
                "OPTIONS sip:a SIP/2.0\r\nTo: a\r\n",
                ParseError::Unterminated,
            ),
            ("OPTIONS sip:a SIP/2.0\nTo: a\n\n", ParseError::BareLineEnd),
            (
                "OPTIONS sip:a SIP/2.0\r\nTo: a\nFrom: b\r\n\r\n",
                ParseError::BareLineEnd,
            ),
            (
                "OPTIONS sip:a SIP/2.0\r\nTo: a\rFrom: b\r\n\r\n",
                ParseError::BareLineEnd,
            ),
            (
                "OPTIONS sip:a SIP/2.0\r\n To: a\r\n\r\n",
                ParseError::BadStartLine,
            ),
            (
                "OPTIONS sip:a SIP/2.0\r\nTo\r\n\r\n",
                ParseError::HeaderWithoutColon,
            ),
            (
                "OPTIONS sip:a SIP/2.0\r\nTo\r\nFrom: a\r\n\r\n",
                ParseError::HeaderWithoutColon,
            ),
            (
                "OPTIONS sip:a SIP/2.0\r\nA-rather-long-name\r\n\r\n",
                ParseError::HeaderWithoutColon,
            ),
            (
                "OPTIONS sip:a SIP/2.0\r\n: a\r\n\r\n",
                ParseError::BadHeaderName,
            ),
            (
                "OPTIONS sip:a SIP/2.0\r\nT o: a\r\n\r\n",
                ParseError::BadHeaderName,
            ),
            (
                "OPTIONS sip:a SIP/2.0\r\nTo\r\n : a\r\n\r\n",
                ParseError::BadHeaderName,
            ),
        ] {
            assert_eq!(read(text).err(), Some(error), "{text:?}");
        }
    }

    #[test]
    fn a_body_may_begin_with_white_space() {
        let index = read("OPTIONS sip:a SIP/2.0\r\nTo: a\r\n\r\n x").unwrap();
        assert_eq!(index.lines.len(), 1);
        assert_eq!(index.length(), 34);
    }

    #[test]
    fn limits() {
        let limits = Limits {
            headers_max: 2,
            header_bytes_max: 8,
            start_line_bytes_max: 21,
        };
        let read = |text: &str| Index::new().read(text.as_bytes(), &limits);
        assert_eq!(
            read("OPTIONS sip:a SIP/2.0\r\nA: 45678\r\nB: 1\r\n\r\n"),
            Ok(())
        );
        for (text, error) in [
            (
                "OPTIONS sip:ab SIP/2.0\r\n\r\n",
                ParseError::StartLineTooLong,
            ),
            (
                "OPTIONS sip:a SIP/2.0\r\nA: 456789\r\n\r\n",
                ParseError::HeaderTooLong,
            ),
            (
                "OPTIONS sip:a SIP/2.0\r\nA: 4\r\n  89\r\n\r\n",
                ParseError::HeaderTooLong,
            ),
            (
                "OPTIONS sip:a SIP/2.0\r\nA:1\r\nB:2\r\nC:3\r\n\r\n",
                ParseError::TooManyHeaders,
            ),
        ] {
            assert_eq!(read(text), Err(error), "{text:?}");
        }
        let long = vec![b'x'; 65_536];
        assert_eq!(Index::new().read(&long, &limits), Err(ParseError::TooLong));
    }

    #[test]
    fn more_headers_than_the_index_can_number_are_refused_whatever_the_limit() {
        let limits = Limits {
            headers_max: 10_000,
            ..Limits::default()
        };
        let message = |count| format!("OPTIONS sip:a SIP/2.0\r\n{}\r\n", "A:1\r\n".repeat(count));
        assert_eq!(Index::new().read(message(254).as_bytes(), &limits), Ok(()));
        let error = Index::new().read(message(255).as_bytes(), &limits);
        assert_eq!(error, Err(ParseError::TooManyHeaders));
    }
}
