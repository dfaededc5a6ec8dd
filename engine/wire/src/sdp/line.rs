//! The lines of a description: `type=value` and their ends (RFC 8866 5, 9).

use super::attribute::Direction;
use crate::lex::{split_around, trim};
use crate::span::Span;
use memchr::{memchr, memchr2};

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its type; 0 for a line that is not `x=`.
    pub kind: u8,
    /// What follows the `=`, without the line end; the whole line when it is not `x=`.
    pub value: &'a [u8],
    /// The whole line, its end included.
    pub span: Span,
    /// The place of `value`.
    pub value_span: Span,
}

impl<'a> Line<'a> {
    /// Name and value of an a= line (RFC 8866 5.13); a flag has an empty value.
    pub fn attribute(&self) -> Option<(&'a [u8], &'a [u8])> {
        if self.kind != b'a' {
            return None;
        }
        let colon = memchr(b':', self.value).unwrap_or(self.value.len());
        let (name, value) = split_around(self.value, colon);
        Some((trim(name), trim(value)))
    }

    /// Whether this is the attribute `name`. RFC 8866 has names case-sensitive; a peer that writes them
    /// in another case means no other attribute.
    pub fn is_attribute(&self, name: &str) -> bool {
        self.attribute()
            .is_some_and(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes()))
    }
}

/// Lines in order. A line ends with CRLF, or with a lone LF or CR (RFC 8866 5 asks for tolerance of the
/// LF), or with the body.
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    bytes: &'a [u8],
    rest: Span,
}

impl<'a> Lines<'a> {
    pub(super) fn new(bytes: &'a [u8], rest: Span) -> Lines<'a> {
        Lines { bytes, rest }
    }

    /// Where these lines begin and end in the body.
    pub fn span(&self) -> Span {
        self.rest
    }

    /// The first line of this type.
    pub fn find_kind(mut self, kind: u8) -> Option<Line<'a>> {
        self.find(|line| line.kind == kind)
    }

    /// The values of the attributes called `name`.
    pub fn attributes(self, name: &'static str) -> Attributes<'a> {
        Attributes { lines: self, name }
    }

    /// The first direction said in these lines.
    pub fn direction(mut self) -> Option<Direction> {
        self.find_map(|line| Direction::parse(line.attribute()?.0))
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let rest = self.rest.of(self.bytes);
        if rest.is_empty() {
            return None;
        }
        let length = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        let ending = match rest.get(length..) {
            Some([b'\r', b'\n', ..]) => 2,
            Some([_, ..]) => 1,
            _ => 0,
        };
        let start = usize::from(self.rest.start);
        let (content, _) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        let (kind, skipped) = match content {
            [kind, b'=', ..] => (*kind, 2),
            _ => (0, 0),
        };
        let span = Span::new(start, start + length + ending);
        self.rest.start = span.end;
        Some(Line {
            kind,
            value: content.get(skipped..).unwrap_or_default(),
            span,
            value_span: Span::new(start + skipped, start + length),
        })
    }
}

/// The values of the attributes of one name.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    lines: Lines<'a>,
    name: &'static str,
}

impl<'a> Iterator for Attributes<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let line = self.lines.find(|line| line.is_attribute(self.name))?;
        line.attribute().map(|(_, value)| value)
    }
}

/// The words of a value and their places.
#[derive(Clone, Debug)]
pub(super) struct Words<'a> {
    value: &'a [u8],
    start: usize,
    at: usize,
}

impl<'a> Words<'a> {
    /// The words of `value`, which stands at `start` of the body.
    pub(super) fn new(value: &'a [u8], start: u16) -> Words<'a> {
        Words {
            value,
            start: usize::from(start),
            at: 0,
        }
    }

    /// What follows the words handed out, without white space in front.
    pub(super) fn rest(&self) -> &'a [u8] {
        trim(self.value.get(self.at..).unwrap_or_default())
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = (&'a [u8], Span);

    fn next(&mut self) -> Option<(&'a [u8], Span)> {
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        let rest = self.value.get(self.at..).unwrap_or_default();
        let skipped = rest.iter().position(|byte| !blank(byte))?;
        let rest = rest.get(skipped..).unwrap_or_default();
        let length = rest.iter().position(blank).unwrap_or(rest.len());
        let from = self.at + skipped;
        self.at = from + length;
        let span = Span::new(self.start + from, self.start + self.at);
        Some((rest.get(..length).unwrap_or_default(), span))
    }
}
