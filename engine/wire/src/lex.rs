//! The lexical rules every header shares (RFC 3261 25.1): white space with folds, tokens, quoted
//! strings, numbers. Byte classes and slices only; nothing here knows a header.

use crate::scan::plain_run;

/// Bytes of a token: letters, digits and ``-.!%*_+`'~``.
pub(crate) const TOKEN: u8 = 1;
/// Linear white space. Inside a value a CR or LF can only be part of a fold, because the index
/// refuses any other, so all four count alike.
pub(crate) const LWS: u8 = 2;
/// What may stand in the value of a parameter without quotes: a token, a host, and whatever else
/// does not change where the value ends.
pub(crate) const VALUE: u8 = 4;
/// Letters, digits, hyphens, dots; underscores too, which no RFC allows in a host name and many
/// networks use.
pub(crate) const HOST: u8 = 8;
/// A display name without quotes: tokens and white space. Letters beyond ASCII, which the grammar
/// wants quoted, are let through.
pub(crate) const DISPLAY: u8 = 16;
/// What may stand in the scheme of a URI.
pub(crate) const SCHEME: u8 = 32;
/// What may stand in the userinfo of a URI, or after it: all of a URI but the `@` between.
pub(crate) const USERINFO: u8 = 64;
/// What may stand in a URI.
pub(crate) const URI: u8 = 128;

/// The classes of every byte.
#[expect(
    clippy::indexing_slicing,
    reason = "made by the compiler: an index out of bounds would fail the build"
)]
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut at = 0;
    while at < 256 {
        classes[at] = classes_of(at as u8);
        at += 1;
    }
    classes
};

const fn classes_of(byte: u8) -> u8 {
    let mut classes = match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' => TOKEN | HOST | DISPLAY | SCHEME,
        b'_' => TOKEN | HOST | DISPLAY,
        b'+' => TOKEN | DISPLAY | SCHEME,
        b'!' | b'%' | b'*' | b'`' | b'\'' | b'~' => TOKEN | DISPLAY,
        b' ' | b'\t' | b'\r' | b'\n' => LWS | DISPLAY,
        0x80.. => DISPLAY,
        _ => 0,
    };
    if byte > b' ' && !matches!(byte, b'"' | b',' | b';' | b'<' | b'>' | 0x7f) {
        classes |= VALUE;
    }
    if byte > b' ' && !matches!(byte, b'"' | b'<' | b'>' | 0x7f) {
        classes |= if byte == b'@' { URI } else { URI | USERINFO };
    }
    classes
}

/// Whether `byte` is in `class`.
#[inline]
#[expect(
    clippy::indexing_slicing,
    reason = "every byte has its place in a table of 256"
)]
pub(crate) fn is(byte: u8, class: u8) -> bool {
    CLASSES[usize::from(byte)] & class != 0
}

/// How many bytes at the beginning of `bytes` are in `class`.
#[inline]
pub(crate) fn run(bytes: &[u8], class: u8) -> usize {
    bytes
        .iter()
        .position(|&byte| !is(byte, class))
        .unwrap_or(bytes.len())
}

/// The same for what tends to be long and for a class that has all of [`plain_run`], `VALUE`,
/// `USERINFO` or `URI`: eight bytes at a time.
pub(crate) fn long_run(bytes: &[u8], class: u8) -> usize {
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(word) = rest.first_chunk() else {
            return at + run(rest, class);
        };
        at += match plain_run(word) {
            8 => 8,
            plain if rest.get(plain).is_some_and(|&byte| is(byte, class)) => plain + 1,
            plain => return at + plain,
        };
    }
}

/// The bytes in `class` at the beginning of `bytes`, and the rest.
#[inline]
pub(crate) fn split_run(bytes: &[u8], class: u8) -> (&[u8], &[u8]) {
    bytes
        .split_at_checked(run(bytes, class))
        .unwrap_or((bytes, &[]))
}

/// Whether `byte` is linear white space.
#[inline]
pub(crate) fn is_lws(byte: u8) -> bool {
    byte <= b' ' && is(byte, LWS)
}

/// `bytes` without white space in front.
#[inline]
pub(crate) fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_lws(*first)
    {
        bytes = rest;
    }
    bytes
}

/// `bytes` without white space behind.
#[inline]
pub(crate) fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., last] = bytes
        && is_lws(*last)
    {
        bytes = rest;
    }
    bytes
}

/// `bytes` without white space at either end.
#[inline]
pub(crate) fn trim(bytes: &[u8]) -> &[u8] {
    trim_end(trim_start(bytes))
}

/// Whether `bytes` is a token.
#[inline]
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && run(bytes, TOKEN) == bytes.len()
}

/// Whether `name` is `wanted`, itself in lower case, in any case.
#[inline]
pub(crate) fn same(name: &[u8], wanted: &[u8]) -> bool {
    name == wanted || name.eq_ignore_ascii_case(wanted)
}

/// `bytes` up to `at` and after it, the byte at `at` in neither.
#[inline]
pub(crate) fn split_around(bytes: &[u8], at: usize) -> (&[u8], &[u8]) {
    let (before, rest) = bytes.split_at_checked(at).unwrap_or((bytes, &[]));
    (before, rest.get(1..).unwrap_or_default())
}

/// The first word of `bytes` and what follows the white space after it.
pub(crate) fn split_word(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes
        .iter()
        .position(|&byte| is_lws(byte))
        .unwrap_or(bytes.len());
    let (word, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
    (word, trim_start(rest))
}

/// The length of the quoted string `bytes` begins with, both quotes included; None when it does
/// not end. `bytes` begins with the opening quote.
#[inline]
pub(crate) fn quoted_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The decimal number `bytes` spells, digits only; None when it has another byte, is empty, or
/// is more than a u32 holds.
#[inline]
pub(crate) fn number(bytes: &[u8]) -> Option<u32> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0u32, |sum, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        sum.checked_mul(10)?.checked_add(u32::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_runs_end_where_short_ones_do() {
        for byte in 0..=u8::MAX {
            for at in 0..40 {
                let mut bytes = [b'a'; 40];
                bytes[at] = byte;
                assert_eq!(
                    long_run(&bytes, VALUE),
                    run(&bytes, VALUE),
                    "{byte} at {at}"
                );
                assert_eq!(long_run(&bytes, URI), run(&bytes, URI), "{byte} at {at}");
                let userinfo = run(&bytes, USERINFO);
                assert_eq!(long_run(&bytes, USERINFO), userinfo, "{byte} at {at}");
            }
        }
    }

    #[test]
    fn folds_are_white_space() {
        assert_eq!(trim(b" \r\n\t a b\r\n "), b"a b");
        assert_eq!(trim(b" \r\n "), b"");
        assert_eq!(
            split_word(b"0009\r\n  INVITE"),
            (&b"0009"[..], &b"INVITE"[..])
        );
    }

    #[test]
    fn quoted_strings_end_at_an_unescaped_quote() {
        assert_eq!(quoted_length(br#""a" b"#), Some(3));
        assert_eq!(quoted_length(br#""a\"b\\" c"#), Some(8));
        for open in [&br#"""#[..], br#""a"#, br#""a\""#, br#""a\"#] {
            assert_eq!(quoted_length(open), None, "{open:?}");
        }
    }

    #[test]
    fn numbers_are_digits_that_fit() {
        assert_eq!(number(b"0009"), Some(9));
        assert_eq!(number(b"4294967295"), Some(u32::MAX));
        for bad in [
            "4294967296",
            "-1",
            "+1",
            " 1",
            "1 ",
            "",
            "0x1",
            "99999999999999999999",
        ] {
            assert_eq!(number(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn tokens() {
        assert!(is_token(b"!interesting-Method0123456789_*+`.%indeed'~"));
        for bad in ["", "a b", "a:b", "\u{e9}", "a@b", "\"a\""] {
            assert!(!is_token(bad.as_bytes()), "{bad:?}");
        }
    }
}
