//! What kind a body is: media types and the parts of a multipart (RFC 2046 5.1). What a session
//! description says is not read here.

use crate::lex::{split_around, trim, trim_end};
use crate::name::HeaderName;
use crate::params::Params;
use memchr::memmem;
use smallvec::SmallVec;
use std::ops::Range;

/// How deep multiparts in multiparts are looked into.
const DEPTH_MAX: usize = 3;

/// Whether a body of type `content_type` is a session description, or a multipart that holds one.
/// An empty body never is.
pub fn holds_sdp(content_type: &[u8], body: &[u8]) -> bool {
    !session_descriptions(content_type, body).is_empty()
}

/// Where in `body` the session descriptions are: all of it, or parts of a multipart.
pub fn session_descriptions(content_type: &[u8], body: &[u8]) -> SmallVec<[Range<usize>; 2]> {
    let mut found = SmallVec::new();
    find(content_type, body, 0, DEPTH_MAX, &mut found);
    found
}

fn find(
    content_type: &[u8],
    body: &[u8],
    offset: usize,
    depth: usize,
    found: &mut SmallVec<[Range<usize>; 2]>,
) {
    if body.is_empty() {
        return;
    }
    if is_type(content_type, b"application/sdp") {
        found.push(offset..offset + body.len());
    } else if depth > 0
        && let Some(parts) = Parts::new(content_type, body)
    {
        for part in parts {
            let offset = offset + part.offset;
            find(part.content_type, part.body, offset, depth - 1, found);
        }
    }
}

/// Whether `content_type`, its parameters aside, is `wanted` (in lower case).
fn is_type(content_type: &[u8], wanted: &[u8]) -> bool {
    media_type(content_type).eq_ignore_ascii_case(wanted)
}

fn media_type(content_type: &[u8]) -> &[u8] {
    let (kind, _) = content_type
        .split_at_checked(params_start(content_type))
        .unwrap_or_default();
    trim(kind)
}

fn params_start(content_type: &[u8]) -> usize {
    memchr::memchr(b';', content_type).unwrap_or(content_type.len())
}

/// One part of a multipart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Its Content-Type; `text/plain`, the default of RFC 2046 5.2, when it has none.
    pub content_type: &'a [u8],
    /// Its body.
    pub body: &'a [u8],
    /// Where its body begins in that of the message.
    pub offset: usize,
}

/// The parts of a multipart body, in order. A part the body ends within is the last one.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    boundary: &'a [u8],
    rest: &'a [u8],
    /// Length of the whole body.
    length: usize,
}

impl<'a> Parts<'a> {
    /// Takes apart `body`; None when `content_type` is not a multipart with a boundary.
    pub fn new(content_type: &'a [u8], body: &'a [u8]) -> Option<Parts<'a>> {
        let (kind, _) = media_type(content_type).split_at_checked(b"multipart/".len())?;
        if !kind.eq_ignore_ascii_case(b"multipart/") {
            return None;
        }
        let params = content_type.get(params_start(content_type)..)?;
        let boundary = unquoted(Params::new(params).get("boundary")?);
        let mut parts = Parts {
            boundary,
            rest: body,
            length: body.len(),
        };
        // What stands before the first delimiter is no part.
        (!boundary.is_empty()).then(|| {
            parts.until_delimiter();
            parts
        })
    }

    /// Takes the bytes up to the next delimiter line, and the delimiter. After the closing one
    /// nothing is left.
    fn until_delimiter(&mut self) -> &'a [u8] {
        let whole = self.rest;
        for at in memmem::find_iter(whole, b"--") {
            let before = whole.get(..at).unwrap_or_default();
            let after = whole
                .get(at + 2..)
                .and_then(|rest| rest.strip_prefix(self.boundary));
            if let Some(after) = after
                && (before.is_empty() || before.ends_with(b"\r\n"))
                && let Some(rest) = after_delimiter(after)
            {
                self.rest = rest;
                return before.strip_suffix(b"\r\n").unwrap_or(before);
            }
        }
        self.rest = &[];
        whole
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let offset = self.length - self.rest.len();
        Some(part(self.until_delimiter(), offset))
    }
}

/// What follows a delimiter: the next line, or nothing after the closing `--`; None when the
/// boundary was only the beginning of a longer word.
fn after_delimiter(after: &[u8]) -> Option<&[u8]> {
    if after.starts_with(b"--") {
        return Some(&[]);
    }
    let end = memmem::find(after, b"\r\n")?;
    let (padding, _) = after.split_at_checked(end)?;
    trim_end(padding)
        .is_empty()
        .then(|| after.get(end + 2..).unwrap_or_default())
}

/// Splits the headers of a part, which begins at `offset`, from its body.
fn part(bytes: &[u8], offset: usize) -> Part<'_> {
    if let Some(body) = bytes.strip_prefix(b"\r\n") {
        return Part {
            content_type: b"text/plain",
            body,
            offset: offset + 2,
        };
    }
    let end = memmem::find(bytes, b"\r\n\r\n").unwrap_or(bytes.len());
    let headers = bytes.get(..end).unwrap_or_default();
    let body = bytes.get(end + 4..).unwrap_or_default();
    Part {
        content_type: content_type(headers).unwrap_or(b"text/plain"),
        body,
        offset: offset + bytes.len() - body.len(),
    }
}

fn content_type(headers: &[u8]) -> Option<&[u8]> {
    let mut rest = headers;
    while !rest.is_empty() {
        let end = memmem::find_iter(rest, b"\r\n")
            .find(|&end| !matches!(rest.get(end + 2), Some(b' ' | b'\t')))
            .unwrap_or(rest.len());
        let line = rest.get(..end).unwrap_or_default();
        let (name, value) = split_around(line, memchr::memchr(b':', line).unwrap_or(line.len()));
        if HeaderName::parse(trim_end(name)) == HeaderName::ContentType {
            return Some(trim(value));
        }
        rest = rest.get(end + 2..).unwrap_or_default();
    }
    None
}

/// A boundary has no character that needs an escape, so quotes are all there is to take off.
fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIXED: &str = "preamble\r\n\
         --b1\r\nContent-Type: text/plain\r\n\r\nhello --b1\r\n--b1x\r\n\
         --b1 \r\nContent-ID: 1\r\nc :\r\n Application/SDP;charset=x\r\n\r\nv=0\r\n\r\n\
         --b1--\r\nepilogue";

    #[test]
    fn a_session_description_is_told_by_its_type() {
        for kind in ["application/sdp", "Application/SDP ; charset=utf-8"] {
            assert!(holds_sdp(kind.as_bytes(), b"v=0"), "{kind}");
            assert!(!holds_sdp(kind.as_bytes(), b""), "{kind}");
        }
        for kind in [
            "application/sdpx",
            "text/plain",
            "",
            "multipart/mixed",
            ";boundary=b1",
        ] {
            assert!(!holds_sdp(kind.as_bytes(), MIXED.as_bytes()), "{kind}");
        }
    }

    #[test]
    fn parts_are_cut_at_delimiter_lines_only() {
        let parts: Vec<_> = Parts::new(b"Multipart/Mixed;boundary=\"b1\"", MIXED.as_bytes())
            .unwrap()
            .map(|part| (str::from_utf8(part.content_type), str::from_utf8(part.body)))
            .collect();
        assert_eq!(
            parts,
            [
                (Ok("text/plain"), Ok("hello --b1\r\n--b1x")),
                (Ok("Application/SDP;charset=x"), Ok("v=0\r\n")),
            ]
        );
        assert!(holds_sdp(b"multipart/mixed; boundary=b1", MIXED.as_bytes()));
    }

    #[test]
    fn parts_without_headers_and_without_end() {
        let parts: Vec<_> = Parts::new(
            b"multipart/x;boundary=b",
            b"--b\r\n\r\nx\0\r\n--b\r\nc: y\r\n\r\nz",
        )
        .unwrap()
        .collect();
        assert_eq!(
            parts,
            [
                Part {
                    content_type: b"text/plain",
                    body: b"x\0",
                    offset: 7
                },
                Part {
                    content_type: b"y",
                    body: b"z",
                    offset: 24
                },
            ]
        );
    }

    #[test]
    fn descriptions_are_found_where_they_stand() {
        let found = |kind: &str, body: &str| -> Vec<String> {
            session_descriptions(kind.as_bytes(), body.as_bytes())
                .into_iter()
                .map(|place| body[place].to_owned())
                .collect()
        };
        assert_eq!(found("application/SDP", "v=0"), ["v=0"]);
        assert!(found("application/sdp", "").is_empty() && found("text/x", "v=0").is_empty());
        assert_eq!(found("multipart/mixed;boundary=b1", MIXED), ["v=0\r\n"]);
        let inner = format!(
            "--o\r\nc: multipart/x;boundary=b1\r\n\r\n{MIXED}\r\n--o\r\nc: application/sdp\r\n\r\nv=1\r\n--o--"
        );
        assert_eq!(found("multipart/y;boundary=o", &inner), ["v=0\r\n", "v=1"]);
    }

    #[test]
    fn nesting_is_followed_to_a_depth() {
        let mut body = "v=0".to_owned();
        let mut kind = "application/sdp".to_owned();
        for depth in 0..5 {
            assert_eq!(
                holds_sdp(kind.as_bytes(), body.as_bytes()),
                depth <= DEPTH_MAX,
                "{depth}"
            );
            body = format!("--b{depth}\r\nContent-Type: {kind}\r\n\r\n{body}\r\n--b{depth}--");
            kind = format!("multipart/mixed;boundary=b{depth}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end(body in "(--b|\\r\\n|-|c:|x| |\\PC){0,60}") {
            let parts = Parts::new(b"multipart/x;boundary=b", body.as_bytes()).unwrap();
            let mut size = 0;
            for part in parts {
                size += part.body.len();
                let there = body.as_bytes().get(part.offset..part.offset + part.body.len());
                prop_assert_eq!(there, Some(part.body));
            }
            prop_assert!(size <= body.len());
        }
    }
}
