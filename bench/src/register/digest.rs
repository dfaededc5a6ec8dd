//! A phone's part of digest authentication (RFC 7616 3.4), written apart from the router's: a fault of one is not the other's
//! too. qop is always auth; one client nonce serves all, since nobody is to be kept from guessing here.

use clap::ValueEnum;
use md5::Md5;
use serde::Serialize;
use sha2::digest::Digest;
use sha2::{Sha256, Sha512_256};

const CNONCE: &[u8] = b"0a4f113b";
const METHOD: &[u8] = b"REGISTER";

/// The hash function that is asked for and used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
pub(crate) enum Algorithm {
    #[value(name = "MD5")]
    #[serde(rename = "MD5")]
    Md5,
    #[value(name = "SHA-256")]
    #[serde(rename = "SHA-256")]
    Sha256,
    #[value(name = "SHA-512-256")]
    #[serde(rename = "SHA-512-256")]
    Sha512_256,
}

impl Algorithm {
    /// Its name in challenges.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha512_256 => "SHA-512-256",
        }
    }

    /// The hash of the parts, a colon between each two, in hex digits.
    fn hash(self, parts: &[&[u8]]) -> Hex {
        match self {
            Algorithm::Md5 => hashed::<Md5>(parts),
            Algorithm::Sha256 => hashed::<Sha256>(parts),
            Algorithm::Sha512_256 => hashed::<Sha512_256>(parts),
        }
    }
}

fn hashed<D: Digest>(parts: &[&[u8]]) -> Hex {
    let mut state = D::new();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            state.update(b":");
        }
        state.update(part);
    }
    Hex::of(&state.finalize())
}

/// A hash in hex digits.
struct Hex {
    digits: [u8; 64],
    length: usize,
}

impl Hex {
    fn of(bytes: &[u8]) -> Hex {
        let mut digits = [0; 64];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
            pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
            pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
        }
        Hex {
            digits,
            length: 2 * bytes.len().min(32),
        }
    }

    fn text(&self) -> &[u8] {
        &self.digits[..self.length]
    }
}

/// The nonce of the challenge that names this algorithm (MD5 when it names none) in a 401.
pub(crate) fn nonce_of(answer: &[u8], algorithm: Algorithm) -> Option<&[u8]> {
    let lines = answer.split(|&byte| byte == b'\n');
    let headers = lines.take_while(|line| line.len() > 1);
    let challenges = headers.filter_map(|line| value_of(line, b"WWW-Authenticate"));
    let mut wanted = challenges.filter(|challenge| {
        let named = parameter(challenge, b"algorithm").unwrap_or(b"MD5");
        named.eq_ignore_ascii_case(algorithm.name().as_bytes())
    });
    parameter(wanted.next()?, b"nonce")
}

fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (given, value) = line.split_at_checked(name.len())?;
    let value = value.strip_prefix(b":")?;
    given
        .eq_ignore_ascii_case(name)
        .then_some(value.trim_ascii())
}

/// The parameter's value without its quotes. Commas inside quotes do not end a parameter.
fn parameter<'a>(challenge: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut rest = challenge.trim_ascii().strip_prefix(b"Digest ")?;
    loop {
        let mut quoted = false;
        let end = rest.iter().position(|&byte| {
            quoted ^= byte == b'"';
            byte == b',' && !quoted
        });
        let one = rest[..end.unwrap_or(rest.len())].trim_ascii();
        if let Some(value) = one.strip_prefix(name).and_then(|it| it.strip_prefix(b"=")) {
            let inside = value
                .strip_prefix(b"\"")
                .and_then(|it| it.strip_suffix(b"\""));
            return Some(inside.unwrap_or(value));
        }
        rest = &rest[end? + 1..];
    }
}

/// Who proves himself, and with what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Credentials<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) user: &'a str,
    pub(crate) realm: &'a str,
    pub(crate) secret: &'a str,
    pub(crate) uri: &'a str,
    pub(crate) nonce: &'a [u8],
    /// How often the nonce was used, this time included.
    pub(crate) count: u32,
}

impl Credentials<'_> {
    /// The response of RFC 7616 3.4.1 with qop auth.
    fn response(&self) -> Hex {
        let hash = |parts: &[&[u8]]| self.algorithm.hash(parts);
        let texts = [self.user, self.realm, self.secret, self.uri];
        let [user, realm, secret, uri] = texts.map(str::as_bytes);
        let (of_secret, of_request) = (hash(&[user, realm, secret]), hash(&[METHOD, uri]));
        let count = format!("{:08x}", self.count);
        hash(&[
            of_secret.text(),
            self.nonce,
            count.as_bytes(),
            CNONCE,
            b"auth",
            of_request.text(),
        ])
    }

    /// Appends the Authorization line.
    pub(crate) fn print(&self, out: &mut Vec<u8>) {
        let text = |out: &mut Vec<u8>, pieces: &[&[u8]]| {
            pieces.iter().for_each(|piece| out.extend_from_slice(piece));
        };
        let count = format!("{:08x}", self.count);
        text(
            out,
            &[b"Authorization: Digest username=\"", self.user.as_bytes()],
        );
        text(out, &[b"\", realm=\"", self.realm.as_bytes()]);
        text(out, &[b"\", nonce=\"", self.nonce]);
        text(out, &[b"\", uri=\"", self.uri.as_bytes()]);
        text(out, &[b"\", response=\"", self.response().text()]);
        text(out, &[b"\", algorithm=", self.algorithm.name().as_bytes()]);
        text(out, &[b", cnonce=\"", CNONCE]);
        text(out, &[b"\", qop=auth, nc=", count.as_bytes(), b"\r\n"]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] = b"SIP/2.0 401 Unauthorized\r\nVia: x\r\n\
        WWW-Authenticate: Digest realm=\"a,nonce=b\", nonce=\"n1\", qop=\"auth,auth-int\", algorithm=SHA-256\r\n\
        www-authenticate: Digest realm=\"a\", nonce=\"n2\", qop=\"auth\"\r\n\r\n\
        WWW-Authenticate: Digest nonce=\"body\", algorithm=SHA-512-256\r\n\r\n";

    #[test]
    fn the_challenge_of_the_algorithm_is_taken() {
        assert_eq!(nonce_of(ANSWER, Algorithm::Sha256), Some(&b"n1"[..]));
        assert_eq!(nonce_of(ANSWER, Algorithm::Md5), Some(&b"n2"[..]));
        assert_eq!(nonce_of(ANSWER, Algorithm::Sha512_256), None);
    }

    fn response(algorithm: Algorithm) -> String {
        let credentials = Credentials {
            algorithm,
            user: "alice",
            realm: "example.com",
            secret: "secret",
            uri: "sip:example.com",
            nonce: b"abc",
            count: 1,
        };
        String::from_utf8(credentials.response().text().to_vec()).unwrap()
    }

    #[test]
    fn responses_are_those_of_other_programs() {
        // Made with coreutils' md5sum and sha256sum from the strings of RFC 7616 3.4.
        assert_eq!(response(Algorithm::Md5), "3ca1ae76f3fee697262b5c531e4ac569");
        assert_eq!(
            response(Algorithm::Sha256),
            "b6ba6bab54141d13fbfe31679a8a111e99c0bdceea003468743fa040a27cebce"
        );
    }

    #[test]
    fn a_line_is_whole() {
        let mut line = Vec::new();
        let credentials = Credentials {
            algorithm: Algorithm::Md5,
            user: "alice",
            realm: "r",
            secret: "s",
            uri: "sip:r",
            nonce: b"abc",
            count: 26,
        };
        credentials.print(&mut line);
        let line = String::from_utf8(line).unwrap();
        assert!(line.starts_with("Authorization: Digest username=\"alice\", realm=\"r\", nonce=\"abc\", uri=\"sip:r\", response=\""));
        assert!(
            line.ends_with("\", algorithm=MD5, cnonce=\"0a4f113b\", qop=auth, nc=0000001a\r\n")
        );
    }
}
