//! The start line: a request line or a status line (RFC 3261 7.1, 7.2). Strict: one space between
//! the elements and none anywhere else, as RFC 4475 3.1.2.8 to 3.1.2.10 have it.

use crate::error::ParseError;
use crate::lex::{is_token, number};
use crate::method::Method;
use crate::scan::is_uri;
use crate::span::Span;
use crate::uri::split_scheme;
use memchr::memchr;

/// The start line of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartLine<'a> {
    /// A request.
    Request {
        /// The method.
        method: Method,
        /// The method as written.
        token: &'a [u8],
        /// The Request-URI as written.
        uri: &'a [u8],
    },
    /// A response.
    Response {
        /// The status code, 100 to 699.
        code: u16,
        /// The reason phrase; may be empty.
        reason: &'a [u8],
    },
}

/// A start line as an index keeps it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    Request {
        method: Method,
        token: Span,
        uri: Span,
    },
    Response {
        code: u16,
        reason: Span,
    },
}

impl Start {
    pub(crate) const NONE: Start = Start::Response {
        code: 0,
        reason: Span { start: 0, end: 0 },
    };

    /// Reads `line`, the first bytes of a message up to, without, its first CRLF.
    pub(crate) fn parse(line: &[u8]) -> Result<Start, ParseError> {
        if is_status_line(line) {
            status_line(line)
        } else {
            request_line(line)
        }
    }

    pub(crate) fn of<'a>(&self, bytes: &'a [u8]) -> StartLine<'a> {
        match *self {
            Start::Request { method, token, uri } => StartLine::Request {
                method,
                token: token.of(bytes),
                uri: uri.of(bytes),
            },
            Start::Response { code, reason } => StartLine::Response {
                code,
                reason: reason.of(bytes),
            },
        }
    }
}

/// Whether `line` begins a response. No method can look so: `/` is not in a token.
pub(crate) fn is_status_line(line: &[u8]) -> bool {
    line.get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/"))
}

#[inline]
fn request_line(line: &[u8]) -> Result<Start, ParseError> {
    let token_end = memchr(b' ', line).ok_or(ParseError::BadStartLine)?;
    let uri_start = token_end + 1;
    let version_at = version_start(line).ok_or(ParseError::BadStartLine)?;
    let (token, uri) = (
        Span::new(0, token_end),
        Span::new(uri_start, version_at - 1),
    );
    if !is_token(token.of(line)) {
        return Err(ParseError::BadStartLine);
    }
    check_version(line.get(version_at..).unwrap_or_default())?;
    check_uri(uri.of(line))?;
    Ok(Start::Request {
        method: Method::parse(token.of(line)),
        token,
        uri,
    })
}

/// Where the version begins: after the last space.
#[inline]
fn version_start(line: &[u8]) -> Option<usize> {
    if line.ends_with(b" SIP/2.0") {
        return Some(line.len() - 7);
    }
    memchr::memrchr(b' ', line).map(|at| at + 1)
}

/// RFC 3261 7.1: the version ignores case; another one is answered 505 (21.5.6).
#[inline]
fn check_version(version: &[u8]) -> Result<(), ParseError> {
    match version.get(..4) {
        _ if version == b"SIP/2.0" || version.eq_ignore_ascii_case(b"SIP/2.0") => Ok(()),
        Some(start) if start.eq_ignore_ascii_case(b"SIP/") => Err(ParseError::BadVersion),
        _ => Err(ParseError::BadStartLine),
    }
}

/// A Request-URI must have a scheme and no white space. Its parts are read when asked for.
#[inline]
fn check_uri(uri: &[u8]) -> Result<(), ParseError> {
    match split_scheme(uri) {
        Some((_, rest)) if !rest.is_empty() && is_uri(uri) => Ok(()),
        _ => Err(ParseError::BadRequestUri),
    }
}

/// `SIP/2.0 SP 3DIGIT SP reason`. A missing space before an empty reason is forgiven.
fn status_line(line: &[u8]) -> Result<Start, ParseError> {
    let version_end = memchr(b' ', line).ok_or(ParseError::BadStartLine)?;
    check_version(line.get(..version_end).unwrap_or_default())?;
    let rest = line.get(version_end + 1..).unwrap_or_default();
    let code_end = memchr(b' ', rest).unwrap_or(rest.len());
    let code = status_code(rest.get(..code_end).unwrap_or_default())?;
    let reason_start = (version_end + 1 + code_end + 1).min(line.len());
    Ok(Start::Response {
        code,
        reason: Span::new(reason_start, line.len()),
    })
}

fn status_code(digits: &[u8]) -> Result<u16, ParseError> {
    number(digits)
        .filter(|code| digits.len() == 3 && (100..700).contains(code))
        .and_then(|code| u16::try_from(code).ok())
        .ok_or(ParseError::BadStatusCode)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<StartLine<'_>, ParseError> {
        Start::parse(line.as_bytes()).map(|start| start.of(line.as_bytes()))
    }

    #[test]
    fn requests() {
        let expected = StartLine::Request {
            method: Method::Invite,
            token: b"INVITE",
            uri: b"sip:a@b",
        };
        assert_eq!(parse("INVITE sip:a@b SIP/2.0"), Ok(expected));
        assert_eq!(parse("INVITE sip:a@b sip/2.0"), Ok(expected));
        let expected = StartLine::Request {
            method: Method::Other,
            token: b"FOO",
            uri: b"x:y",
        };
        assert_eq!(parse("FOO x:y SIP/2.0"), Ok(expected));
    }

    #[test]
    fn responses() {
        let response = |code, reason| Ok(StartLine::Response { code, reason });
        assert_eq!(parse("SIP/2.0 200 OK"), response(200, b"OK"));
        assert_eq!(
            parse("SIP/2.0 486 Busy  Here "),
            response(486, b"Busy  Here ")
        );
        assert_eq!(parse("SIP/2.0 100 "), response(100, b""));
        assert_eq!(parse("SIP/2.0 100"), response(100, b""));
    }

    #[test]
    fn what_is_no_start_line() {
        use ParseError::*;
        for (line, error) in [
            ("", BadStartLine),
            ("INVITE", BadStartLine),
            ("INVITE sip:a@b", BadStartLine),
            ("INVITE  sip:a@b SIP/2.0", BadRequestUri),
            ("INVITE sip:a@b  SIP/2.0", BadRequestUri),
            ("INVITE sip:a@b SIP/2.0 ", BadStartLine),
            (" INVITE sip:a@b SIP/2.0", BadStartLine),
            ("INVITE\tsip:a@b SIP/2.0", BadStartLine),
            ("INVITE sip:a@b;\tlr SIP/2.0", BadRequestUri),
            ("INVITE SIP/2.0", BadRequestUri),
            ("INVITE  SIP/2.0", BadRequestUri),
            ("IN@VITE sip:a@b SIP/2.0", BadStartLine),
            ("INVITE a@b SIP/2.0", BadRequestUri),
            ("INVITE sip: SIP/2.0", BadRequestUri),
            ("INVITE sip:a@b SIP/7.0", BadVersion),
            ("INVITE sip:a@b HTTP/1.1", BadStartLine),
            ("SIP/2.0", BadStartLine),
            ("SIP/2.0  200 OK", BadStatusCode),
            ("SIP/2.0 20 OK", BadStatusCode),
            ("SIP/2.0 099 OK", BadStatusCode),
            ("SIP/2.0 700 OK", BadStatusCode),
            ("SIP/2.0 4294967301 OK", BadStatusCode),
            ("SIP/3.0 200 OK", BadVersion),
        ] {
            assert_eq!(parse(line), Err(error), "{line:?}");
        }
    }
}
