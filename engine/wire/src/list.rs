//! Comma-separated lists of values (RFC 3261 7.3.1), split where a comma separates and not where
//! it is part of a quoted string or of a URI in angle brackets.

use crate::lex::{quoted_length, split_around, trim};
use crate::scan::value_run;
use memchr::memchr;

/// The values of one header line, in order, trimmed; empty elements are passed over.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    rest: &'a [u8],
}

impl<'a> Values<'a> {
    /// Splits `value`, the whole value of a line.
    #[inline]
    pub fn new(value: &'a [u8]) -> Values<'a> {
        Values { rest: value }
    }

    /// What follows the value handed out last and its comma, as written.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let (value, rest) = split_around(self.rest, value_length(self.rest));
            self.rest = rest;
            let value = trim(value);
            if !value.is_empty() {
                return Some(value);
            }
        }
        None
    }
}

/// How far the first value goes: to the first separating comma. A quote or bracket that never
/// closes takes the rest of the line with it.
#[inline]
fn value_length(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        at += value_run(bytes.get(at..).unwrap_or_default());
        let rest = bytes.get(at..).unwrap_or_default();
        let skipped = match rest.first() {
            None | Some(b',') => return at,
            Some(b'"') => quoted_length(rest),
            Some(_) => memchr(b'>', rest).map(|end| end + 1),
        };
        match skipped {
            Some(length) => at += length,
            None => return bytes.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(value: &str) -> Vec<&str> {
        Values::new(value.as_bytes())
            .map(|value| str::from_utf8(value).unwrap())
            .collect()
    }

    #[test]
    fn commas_in_quotes_and_brackets_do_not_separate() {
        assert_eq!(split("a, b\r\n ,c"), ["a", "b", "c"]);
        assert_eq!(
            split(r#""Bell, \", A" <sip:a,b@c;d>;q="1,2" ,<sip:x?y=1,2>"#),
            [r#""Bell, \", A" <sip:a,b@c;d>;q="1,2""#, "<sip:x?y=1,2>"]
        );
    }

    #[test]
    fn empty_elements_are_passed_over_and_open_quotes_end_the_list() {
        assert_eq!(split(" , ,a,,"), ["a"]);
        assert_eq!(split(""), [""; 0]);
        assert_eq!(split("a, \"b, c"), ["a", "\"b, c"]);
        assert_eq!(split("a, <b, c"), ["a", "<b, c"]);
    }
}
