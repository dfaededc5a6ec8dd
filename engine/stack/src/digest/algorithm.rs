//! The hash functions of digest authentication, and what they yield.

use md5::Md5;
use sha2::digest::{Digest, Output};
use sha2::{Sha256, Sha512_256};

/// A hash function that a challenge may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// MD5: broken as a hash function, and all that many phones know.
    Md5,
    /// SHA-256: what RFC 8760 2.1 wants everybody to know.
    Sha256,
    /// SHA-512/256.
    Sha512_256,
}

impl Algorithm {
    /// Every one of them.
    pub const ALL: [Algorithm; 3] = [Algorithm::Md5, Algorithm::Sha256, Algorithm::Sha512_256];

    /// Its name in the registry of RFC 7616 6.1.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha512_256 => "SHA-512-256",
        }
    }

    /// The algorithm with this name, in any case. `None`: an unknown one, or a `-sess` variant, whose
    /// H(A1) would have to be kept for each nonce and client.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Algorithm> {
        let is = |it: &Algorithm| name.eq_ignore_ascii_case(it.name().as_bytes());
        Algorithm::ALL.into_iter().find(is)
    }

    /// The hash of these parts, with a colon between each two of them.
    #[must_use]
    pub fn hash(self, parts: &[&[u8]]) -> Sum {
        match self {
            Algorithm::Md5 => Sum::new(&joined::<Md5>(parts)),
            Algorithm::Sha256 => Sum::new(&joined::<Sha256>(parts)),
            Algorithm::Sha512_256 => Sum::new(&joined::<Sha512_256>(parts)),
        }
    }

    /// H(A1) of RFC 7616 3.4.2: all that need be kept of a secret, and as good as the secret in this realm.
    #[must_use]
    pub fn ha1(self, user: &str, realm: &str, secret: &str) -> Sum {
        self.hash(&[user.as_bytes(), realm.as_bytes(), secret.as_bytes()])
    }
}

fn joined<D: Digest>(parts: &[&[u8]]) -> Output<D> {
    let mut state = D::new();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            state.update(b":");
        }
        state.update(part);
    }
    state.finalize()
}

/// What a hash function yields. Never printed by `Debug`: an H(A1) is
/// a secret.
#[derive(Clone, Copy)]
pub struct Sum {
    bytes: [u8; Sum::BYTES_MAX],
    length: usize,
}

impl Sum {
    /// Bytes of the longest one.
    pub const BYTES_MAX: usize = 32;

    /// A sum of these bytes; what is beyond the longest one is left out.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Sum {
        let mut sum = Sum {
            bytes: [0; Sum::BYTES_MAX],
            length: bytes.len().min(Sum::BYTES_MAX),
        };
        let room = sum.bytes.iter_mut();
        room.zip(bytes).for_each(|(to, from)| *to = *from);
        sum
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&self.bytes)
    }
    /// Its text.
    #[must_use]
    pub fn hex(&self) -> Hex {
        Hex::of(self.bytes())
    }
}

/// The text of a sum: lower-case hexadecimal digits (RFC 7616 3.1), on the stack.
#[derive(Clone, Copy)]
pub struct Hex {
    digits: [u8; 2 * Sum::BYTES_MAX],
    length: usize,
}

impl Hex {
    /// The text of these bytes, of as many as the longest sum has.
    pub(super) fn of(bytes: &[u8]) -> Hex {
        let mut digits = [0; 2 * Sum::BYTES_MAX];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
            pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
        }
        Hex {
            digits,
            length: 2 * bytes.len().min(Sum::BYTES_MAX),
        }
    }

    /// The digits.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        self.digits.get(..self.length).unwrap_or(&self.digits)
    }
}

/// The lower-case digit of a value below 16.
pub(super) fn digit(nibble: u8) -> u8 {
    match nibble {
        0..10 => b'0' + nibble,
        _ => b'a' - 10 + nibble,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(algorithm: Algorithm, parts: &[&[u8]]) -> String {
        String::from_utf8(algorithm.hash(parts).hex().text().to_vec()).unwrap()
    }

    #[test]
    fn they_are_the_published_functions() {
        // RFC 1321 A.5; FIPS 180-4 as in NIST's examples for "abc".
        for (algorithm, expected) in [
            (Algorithm::Md5, "900150983cd24fb0d6963f7d28e17f72"),
            (
                Algorithm::Sha256,
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            (
                Algorithm::Sha512_256,
                "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23",
            ),
        ] {
            assert_eq!(hex(algorithm, &[b"abc"]), expected);
        }
    }

    #[test]
    fn a_colon_stands_between_parts() {
        for algorithm in Algorithm::ALL {
            let joined = hex(algorithm, &[b"a", b"", b"b"]);
            assert_eq!(joined, hex(algorithm, &[b"a::b"]));
        }
    }

    #[test]
    fn names_are_known_in_any_case_and_session_variants_are_not() {
        for algorithm in Algorithm::ALL {
            let name = algorithm.name();
            let lower = name.to_ascii_lowercase();
            assert_eq!(Algorithm::named(lower.as_bytes()), Some(algorithm));
            let session = format!("{name}-sess");
            assert_eq!(Algorithm::named(session.as_bytes()), None);
        }
        assert_eq!(Algorithm::named(b"SHA-512"), None);
        assert_eq!(Algorithm::named(b""), None);
    }
}
