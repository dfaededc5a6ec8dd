//! Whether two URIs name the same resource (RFC 3261 19.1.4): what a registrar asks of two Contacts.

use crate::host::Host;
use crate::lex::{same, split_around};
use crate::uri::{Scheme, Uri};

/// Parameters that must be in both URIs or in neither. The prose of RFC 3261 19.1.4 leaves `transport` out, and its
/// examples do not.
const NEVER_ALONE: [&[u8]; 5] = [b"user", b"ttl", b"method", b"maddr", b"transport"];

/// Whether two URIs are equivalent (RFC 3261 19.1.4). Those of other schemes than sip and sips are when they are the
/// same but for case. Not transitive: a parameter that only one of them has is ignored, unless it changes where the
/// request goes.
pub fn equivalent(a: &[u8], b: &[u8]) -> bool {
    if a == b {
        return true;
    }
    match (Uri::parse(a), Uri::parse(b)) {
        (Ok(one), Ok(other)) if is_sip(&one) || is_sip(&other) => equivalent_sip(&one, &other),
        _ => a.eq_ignore_ascii_case(b),
    }
}

fn is_sip(uri: &Uri<'_>) -> bool {
    matches!(uri.scheme, Scheme::Sip | Scheme::Sips)
}

fn equivalent_sip(a: &Uri<'_>, b: &Uri<'_>) -> bool {
    a.scheme == b.scheme
        && a.port == b.port
        && same_host(a.host, b.host)
        && Escaped(a.user).eq(Escaped(b.user))
        && same_password(a.password, b.password)
        && includes_parameters(a.params, b.params)
        && includes_parameters(b.params, a.params)
        && same_headers(a.headers, b.headers)
}

fn same_host(a: Host<'_>, b: Host<'_>) -> bool {
    match (a, b) {
        (Host::Name(a), Host::Name(b)) => same(a, b),
        (a, b) => a == b,
    }
}

fn same_password(a: Option<&[u8]>, b: Option<&[u8]>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Escaped(a).eq(Escaped(b)),
        (a, b) => a == b,
    }
}

/// Whether each parameter of `a` that counts is in `b` with the same value.
fn includes_parameters(a: &[u8], b: &[u8]) -> bool {
    pairs(a, b';').all(|(name, value)| {
        let twin = pairs(b, b';').find(|(other, _)| same_ignoring_case(name, other));
        match twin {
            Some((_, other)) => same_ignoring_case(value, other),
            None => !NEVER_ALONE.iter().any(|it| same_ignoring_case(name, it)),
        }
    })
}

/// Headers are never ignored, and come in any order.
fn same_headers(a: &[u8], b: &[u8]) -> bool {
    let includes = |a, b| {
        pairs(a, b'&').all(|(name, value)| {
            pairs(b, b'&').any(|(other, theirs)| {
                same_ignoring_case(name, other) && same_ignoring_case(value, theirs)
            })
        })
    };
    let count = |headers| pairs(headers, b'&').count();
    count(a) == count(b) && includes(a, b) && includes(b, a)
}

/// Names and values, the first byte of `text` being what introduces them.
fn pairs(text: &[u8], separator: u8) -> impl Iterator<Item = (&[u8], &[u8])> {
    let text = text.get(1..).unwrap_or_default();
    let parts = text.split(move |&byte| byte == separator);
    parts.filter(|part| !part.is_empty()).map(|part| {
        let end = part.iter().position(|&byte| byte == b'=');
        split_around(part, end.unwrap_or(part.len()))
    })
}

fn same_ignoring_case(a: &[u8], b: &[u8]) -> bool {
    let lower =
        |text| Escaped(text).map(|(byte, kept): (u8, bool)| (byte.to_ascii_lowercase(), kept));
    lower(a).eq(lower(b))
}

/// The bytes of a text with its escapes read, each with whether it is one that differs from its plain self: a
/// character of the reserved set (RFC 2396 2.2) that was escaped.
struct Escaped<'a>(&'a [u8]);

impl Iterator for Escaped<'_> {
    type Item = (u8, bool);

    fn next(&mut self) -> Option<(u8, bool)> {
        let (&first, rest) = self.0.split_first()?;
        if let Some((code, after)) = escape(first, rest) {
            self.0 = after;
            return Some((code, b";/?:@&=+$,%".contains(&code)));
        }
        self.0 = rest;
        Some((first, false))
    }
}

/// The byte that `%` and two hexadecimal digits stand for, and what follows them.
fn escape(first: u8, rest: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, after) = rest.split_at_checked(2).filter(|_| first == b'%')?;
    let sound = digits.iter().all(u8::is_ascii_hexdigit);
    let digits = str::from_utf8(digits).ok().filter(|_| sound)?;
    Some((u8::from_str_radix(digits, 16).ok()?, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equal(a: &str, b: &str) -> bool {
        let one = equivalent(a.as_bytes(), b.as_bytes());
        let other = equivalent(b.as_bytes(), a.as_bytes());
        assert_eq!(one, other, "{a} and {b} must compare the same both ways");
        one
    }

    #[test]
    fn the_pairs_that_the_rfc_calls_equivalent() {
        for (a, b) in [
            (
                "sip:%61lice@atlanta.com;transport=TCP",
                "sip:alice@AtLanTa.CoM;Transport=tcp",
            ),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            (
                "sip:carol@chicago.com;newparam=5",
                "sip:carol@chicago.com;security=on",
            ),
            (
                "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            ),
            (
                "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
            ),
            (
                "sip:carol@chicago.com",
                "sip:carol@chicago.com;security=off",
            ),
        ] {
            assert!(equal(a, b), "{a} and {b}");
        }
    }

    #[test]
    fn the_pairs_that_it_calls_different() {
        for (a, b) in [
            (
                "SIP:ALICE@AtLanTa.CoM;Transport=udp",
                "sip:alice@AtLanTa.CoM;Transport=UDP",
            ),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            (
                "sip:bob@biloxi.com",
                "sip:bob@biloxi.com:6000;transport=tcp",
            ),
            (
                "sip:carol@chicago.com",
                "sip:carol@chicago.com?Subject=next%20meeting",
            ),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            (
                "sip:carol@chicago.com;security=on",
                "sip:carol@chicago.com;security=off",
            ),
            ("sip:a@b", "sips:a@b"),
            ("sip:a@b", "sip:b"),
            ("sip:a:x@b", "sip:a@b"),
            ("sip:a:x@b", "sip:a:X@b"),
            ("sip:a@b;maddr=1.2.3.4", "sip:a@b"),
            ("sip:a%3bb@c", "sip:a;b@c"),
            ("sip:a@b?x=1&x=1", "sip:a@b?x=1"),
            ("sip:a@b?x=1&x=1", "sip:a@b?x=1&y=1"),
            ("tel:+1234", "sip:+1234@b"),
        ] {
            assert!(!equal(a, b), "{a} and {b}");
        }
    }

    #[test]
    fn what_is_written_in_two_ways() {
        assert!(equal(
            "sip:a@[2001:DB8::1]:5060",
            "sip:a@[2001:db8:0::1]:5060"
        ));
        assert!(equal("sip:a%3bb@c", "sip:a%3Bb@c"));
        assert!(equal("sip:a:%78@b;LR", "SIP:a:x@B;lr"));
        assert!(equal("TEL:+1234", "tel:+1234"));
        assert!(equal("sip:100%2@h", "sip:100%2@H"));
        assert!(!equal("sip:%+1@h", "sip:%01@h"));
        assert!(!equal("sip:100%2525@h", "sip:100%25@h"));
        assert!(equal("not a URI", "not a URI") && !equal("not a URI", "sip:a@b"));
    }
}
