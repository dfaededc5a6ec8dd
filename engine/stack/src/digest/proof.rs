//! The response of credentials (RFC 7616 3.4.1): how it is made, and whether one is the right one.

use subtle::ConstantTimeEq;

use super::{Algorithm, Hex, Sum};

/// What the hash covers beside H(A1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qop {
    /// The method and the URI.
    Auth,
    /// The body too.
    AuthInt,
}

impl Qop {
    /// Its name, as it stands in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Qop::Auth => "auth",
            Qop::AuthInt => "auth-int",
        }
    }

    /// The one with this name, in any case.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Qop> {
        let is = |it: &Qop| name.eq_ignore_ascii_case(it.name().as_bytes());
        [Qop::Auth, Qop::AuthInt].into_iter().find(is)
    }
}

/// How a nonce is used: the parameters that came with RFC 2617.
#[derive(Clone, Copy, Debug)]
pub struct Use<'a> {
    /// What is covered.
    pub qop: Qop,
    /// `qop` as written.
    pub token: &'a [u8],
    /// `nc` as written.
    pub nc: &'a [u8],
    /// `cnonce` as written, without its quotes.
    pub cnonce: &'a [u8],
}

/// What a response is made from beside H(A1).
#[derive(Clone, Copy, Debug)]
pub struct Proof<'a> {
    /// The hash function.
    pub algorithm: Algorithm,
    /// The method of the request.
    pub method: &'a [u8],
    /// `uri`, without its quotes.
    pub uri: &'a [u8],
    /// `nonce`, without its quotes.
    pub nonce: &'a [u8],
    /// `None`: credentials without `qop` (RFC 7616 3.4.1 does no more know them; RFC 8760 2.6 (8) lets
    /// those of RFC 3261's time come).
    pub usage: Option<Use<'a>>,
    /// The body of the request.
    pub body: &'a [u8],
}

impl Proof<'_> {
    /// The response for this H(A1), given as bytes.
    #[must_use]
    pub fn response(&self, ha1: &[u8]) -> Sum {
        let hash = |parts: &[&[u8]]| self.algorithm.hash(parts);
        let (ha1, ha2) = (Sum::new(ha1).hex(), self.ha2());
        let (ha1, ha2) = (ha1.text(), ha2.text());
        match &self.usage {
            Some(it) => hash(&[ha1, self.nonce, it.nc, it.cnonce, it.token, ha2]),
            None => hash(&[ha1, self.nonce, ha2]),
        }
    }

    /// RFC 7616 3.4.3. RFC 8760 2.6 (7): the hash of a body that is not there is that of nothing.
    fn ha2(&self) -> Hex {
        let hash = |parts: &[&[u8]]| self.algorithm.hash(parts).hex();
        match self.usage.is_some_and(|it| it.qop == Qop::AuthInt) {
            true => hash(&[self.method, self.uri, hash(&[self.body]).text()]),
            false => hash(&[self.method, self.uri]),
        }
    }

    /// Whether `given` is the response for this H(A1). How long that takes does not depend on where they
    /// differ.
    #[must_use]
    pub fn is_given(&self, ha1: &[u8], given: &[u8]) -> bool {
        let expected = self.response(ha1).hex();
        let expected = expected.text();
        // RFC 7616 3.4.1 has lower case; some senders do not.
        let mut lower = [0; 2 * Sum::BYTES_MAX];
        let room = lower.iter_mut().zip(given);
        room.for_each(|(to, from)| *to = from.to_ascii_lowercase());
        let lower = lower.get(..expected.len()).unwrap_or(&lower);
        bool::from(lower.ct_eq(expected)) && given.len() == expected.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(sum: &Sum) -> String {
        String::from_utf8(sum.hex().text().to_vec()).unwrap()
    }

    fn auth<'a>(cnonce: &'a [u8]) -> Option<Use<'a>> {
        Some(Use {
            qop: Qop::Auth,
            token: b"auth",
            nc: b"00000001",
            cnonce,
        })
    }

    /// RFC 7616 3.9.1.
    fn mufasa(algorithm: Algorithm) -> (Proof<'static>, Sum) {
        let proof = Proof {
            algorithm,
            method: b"GET",
            uri: b"/dir/index.html",
            nonce: b"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            usage: auth(b"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"),
            body: b"",
        };
        let ha1 = algorithm.ha1("Mufasa", "http-auth@example.org", "Circle of Life");
        (proof, ha1)
    }

    #[test]
    fn vectors_of_rfc_7616_3_9_1() {
        for (algorithm, expected) in [
            (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (
                Algorithm::Sha256,
                "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            ),
        ] {
            let (proof, ha1) = mufasa(algorithm);
            assert_eq!(text(&proof.response(ha1.bytes())), expected);
        }
    }

    /// RFC 7616 3.9.2 with the figures of its erratum 4897: those printed were made with another function.
    #[test]
    fn vector_of_rfc_7616_3_9_2() {
        let (user, realm) = ("J\u{e4}s\u{f8}n Doe", "api@example.org");
        let name = Algorithm::Sha512_256.hash(&[user.as_bytes(), realm.as_bytes()]);
        assert_eq!(
            text(&name),
            "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"
        );
        let proof = Proof {
            algorithm: Algorithm::Sha512_256,
            method: b"GET",
            uri: b"/doe.json",
            nonce: b"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
            usage: auth(b"NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v"),
            body: b"",
        };
        let ha1 = proof.algorithm.ha1(user, realm, "Secret, or not?");
        assert_eq!(
            text(&proof.response(ha1.bytes())),
            "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"
        );
    }

    #[test]
    fn vectors_of_rfc_2617_and_of_those_before_it() {
        let ha1 = |secret| Algorithm::Md5.ha1("Mufasa", "testrealm@host.com", secret);
        let proof = |usage| Proof {
            algorithm: Algorithm::Md5,
            method: b"GET",
            uri: b"/dir/index.html",
            nonce: b"dcd98b7102dd2f0e8b11d0f600bfb0c093",
            usage,
            body: b"",
        };
        let with = proof(auth(b"0a4f113b")).response(ha1("Circle Of Life").bytes());
        assert_eq!(text(&with), "6629fae49393a05397450978507c4ef1");
        // RFC 2069 2.4, erratum 749.
        let without = proof(None).response(ha1("CircleOfLife").bytes());
        assert_eq!(text(&without), "1949323746fe6a43ef61f9606e7febea");
    }

    /// RFC 8760 2.6 (7) has this hash of no body.
    #[test]
    fn auth_int_covers_the_body() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(text(&Algorithm::Sha256.hash(&[b""])), empty);
        let (mut proof, ha1) = mufasa(Algorithm::Sha256);
        proof.usage = proof.usage.map(|it| Use {
            qop: Qop::AuthInt,
            token: b"auth-int",
            ..it
        });
        let ha2 = format!("GET:/dir/index.html:{empty}");
        assert_eq!(
            proof.ha2().text(),
            Algorithm::Sha256.hash(&[ha2.as_bytes()]).hex().text()
        );
        let of_none = text(&proof.response(ha1.bytes()));
        proof.body = b"v=0\r\n";
        assert_ne!(text(&proof.response(ha1.bytes())), of_none);
    }

    #[test]
    fn only_the_whole_response_will_do() {
        for algorithm in Algorithm::ALL {
            let (proof, ha1) = mufasa(algorithm);
            let right = text(&proof.response(ha1.bytes()));
            let is_given = |text: &str| proof.is_given(ha1.bytes(), text.as_bytes());
            assert!(is_given(&right));
            assert!(is_given(&right.to_ascii_uppercase()));
            assert!(!is_given(""));
            assert!(!is_given(&right[..right.len() - 1]));
            assert!(!is_given(&format!("{right}0")));
            for at in 0..right.len() {
                let mut wrong = right.clone().into_bytes();
                wrong[at] = if wrong[at] == b'0' { b'1' } else { b'0' };
                assert!(!is_given(std::str::from_utf8(&wrong).unwrap()), "{at}");
            }
        }
    }
}
