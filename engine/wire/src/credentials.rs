//! Authorization and Proxy-Authorization (RFC 3261 20.7, 20.28): the credentials of digest authentication in
//! their parts (RFC 7616 3.4). Nothing is proven here.

use crate::error::ParseError;
use crate::lex::{VALUE, is_token, long_run, quoted_length, same, split_around, split_word, trim};
use crate::list::Values;

/// What stands in a quoted string, or a token: the same to those who compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// A token, or a quoted string (RFC 3261 25.1).
    fn parse(value: &'a [u8]) -> Option<Text<'a>> {
        match value {
            [b'"', inside @ .., b'"'] if quoted_length(value) == Some(value.len()) => {
                Some(Text(inside))
            }
            [] | [b'"', ..] => None,
            token if long_run(token, VALUE) == token.len() => Some(Text(token)),
            _ => None,
        }
    }

    /// As written, without the quotes: what is hashed (RFC 7616 3.3, `unq`).
    pub fn raw(&self) -> &'a [u8] {
        self.0
    }

    /// What it says: without the backslashes that escape.
    pub fn bytes(&self) -> impl Iterator<Item = u8> + 'a {
        let mut rest = self.0.iter();
        std::iter::from_fn(move || match rest.next()? {
            b'\\' => rest.next().or(Some(&b'\\')).copied(),
            byte => Some(*byte),
        })
    }

    /// Whether it says this.
    pub fn is(&self, text: &[u8]) -> bool {
        self.bytes().eq(text.iter().copied())
    }
}

/// The credentials of digest authentication. Absent parameters that are required make them malformed; of the
/// parameters not named here nothing is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DigestCredentials<'a> {
    /// `username`.
    pub username: Text<'a>,
    /// `realm`.
    pub realm: Text<'a>,
    /// `nonce`.
    pub nonce: Text<'a>,
    /// `uri`: what the sender took for the Request-URI.
    pub uri: Text<'a>,
    /// `response`.
    pub response: Text<'a>,
    /// `algorithm`; absent it is MD5.
    pub algorithm: Option<Text<'a>>,
    /// `cnonce`.
    pub cnonce: Option<Text<'a>>,
    /// `qop`; some senders quote it.
    pub qop: Option<Text<'a>>,
    /// `nc`: the eight digits as written.
    pub nc: Option<&'a [u8]>,
    /// `userhash=true`: the username is a hash of it.
    pub userhash: bool,
}

impl<'a> DigestCredentials<'a> {
    /// Reads the whole value of a line; `None` when it is of another scheme.
    ///
    /// # Errors
    /// `BadCredentials`: not a list of parameters, one of the required ones is missing, one that counts comes
    /// twice, or `nc` is not eight hexadecimal digits.
    pub fn parse(value: &'a [u8]) -> Result<Option<DigestCredentials<'a>>, ParseError> {
        let (scheme, rest) = split_word(trim(value));
        match same(scheme, b"digest") {
            true => parameters(rest).ok_or(ParseError::BadCredentials).map(Some),
            false => Ok(None),
        }
    }

    /// The number that `nc` is.
    pub fn nonce_count(&self) -> Option<u32> {
        let digits = std::str::from_utf8(self.nc?).ok()?;
        u32::from_str_radix(digits, 16).ok()
    }
}

fn parameters(list: &[u8]) -> Option<DigestCredentials<'_>> {
    let mut found = Found::default();
    for parameter in Values::new(list) {
        let equals = parameter.iter().position(|&byte| byte == b'=')?;
        let (name, value) = split_around(parameter, equals);
        found.take(trim(name), Text::parse(trim(value))?)?;
    }
    let nc = found.nc.map(|nc| nc.raw());
    if nc.is_some_and(|nc| nc.len() != 8 || !nc.iter().all(u8::is_ascii_hexdigit)) {
        return None;
    }
    Some(DigestCredentials {
        username: found.username?,
        realm: found.realm?,
        nonce: found.nonce?,
        uri: found.uri?,
        response: found.response?,
        algorithm: found.algorithm,
        cnonce: found.cnonce,
        qop: found.qop,
        nc,
        userhash: found.userhash.is_some_and(|it| same(it.raw(), b"true")),
    })
}

/// The parameters seen so far.
#[derive(Default)]
struct Found<'a> {
    username: Option<Text<'a>>,
    realm: Option<Text<'a>>,
    nonce: Option<Text<'a>>,
    uri: Option<Text<'a>>,
    response: Option<Text<'a>>,
    algorithm: Option<Text<'a>>,
    cnonce: Option<Text<'a>>,
    qop: Option<Text<'a>>,
    nc: Option<Text<'a>>,
    userhash: Option<Text<'a>>,
}

impl<'a> Found<'a> {
    /// `None` when the name is no token or the parameter came before.
    fn take(&mut self, name: &[u8], value: Text<'a>) -> Option<()> {
        if !is_token(name) {
            return None;
        }
        let Some(place) = self.place(name) else {
            return Some(());
        };
        place.replace(value).is_none().then_some(())
    }

    fn place(&mut self, name: &[u8]) -> Option<&mut Option<Text<'a>>> {
        let places: [(&[u8], &mut Option<Text<'a>>); 10] = [
            (b"username", &mut self.username),
            (b"realm", &mut self.realm),
            (b"nonce", &mut self.nonce),
            (b"uri", &mut self.uri),
            (b"response", &mut self.response),
            (b"algorithm", &mut self.algorithm),
            (b"cnonce", &mut self.cnonce),
            (b"qop", &mut self.qop),
            (b"nc", &mut self.nc),
            (b"userhash", &mut self.userhash),
        ];
        let mut places = places.into_iter();
        Some(places.find(|(known, _)| same(name, known))?.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 3261 20.7 with the count of RFC 7616.
    const GOOD: &str = "Digest username=\"Alice\", realm=\"atlanta.com\",\
         \r\n nonce=\"84a4cc6f3082121f32b42a2187831a9e\", uri=\"sip:b@c\", qop=auth, nc=0000000a,\
         cnonce = \"0a4f113b\", opaque=\"\" ,response=\"7587245234b3434cc3412213e5f113a5432\"";

    fn parse(text: &str) -> Result<Option<DigestCredentials<'_>>, ParseError> {
        DigestCredentials::parse(text.as_bytes())
    }

    fn good(text: &str) -> DigestCredentials<'_> {
        parse(text).unwrap().unwrap()
    }

    #[test]
    fn the_parameters_are_found() {
        let credentials = good(GOOD);
        assert!(credentials.username.is(b"Alice"));
        assert!(credentials.realm.is(b"atlanta.com"));
        assert!(credentials.uri.is(b"sip:b@c"));
        assert_eq!(credentials.qop.map(|it| it.raw()), Some(&b"auth"[..]));
        assert_eq!(
            credentials.cnonce.map(|it| it.raw()),
            Some(&b"0a4f113b"[..])
        );
        assert_eq!(credentials.nonce_count(), Some(10));
        assert_eq!(credentials.algorithm, None);
        assert!(!credentials.userhash);
        let more = GOOD.replace("qop=auth", "QOP=\"auth\",Algorithm=SHA-256,userhash=TRUE");
        let more = good(&more);
        assert!(more.userhash && more.algorithm.unwrap().is(b"SHA-256"));
        assert!(more.qop.unwrap().is(b"auth"));
    }

    #[test]
    fn quotes_hide_commas_and_escapes_are_taken_off() {
        let text = GOOD.replace("\"Alice\"", r#""Al\"i, ce\\""#);
        let credentials = good(&text);
        assert!(credentials.username.is(br#"Al"i, ce\"#));
        assert_eq!(credentials.username.raw(), br#"Al\"i, ce\\"#);
    }

    #[test]
    fn other_schemes_are_nobodys_business_here() {
        assert_eq!(parse("Basic QWxhZGRpbjpvcGVu"), Ok(None));
        assert_eq!(parse("Bearer a=b,c"), Ok(None));
        assert_eq!(parse(""), Ok(None));
    }

    #[test]
    fn malformed_ones_are_refused() {
        for (from, to) in [
            ("username=\"Alice\",", ""),
            ("realm=", "x="),
            ("nonce=", "x="),
            ("uri=", "x="),
            ("response=", "x="),
            ("nc=0000000a", "nc=0000000g"),
            ("nc=0000000a", "nc=a"),
            ("nc=0000000a", "nc=+000000a"),
            ("qop=auth", "qop=auth,qop=auth"),
            ("qop=auth", "qop"),
            ("qop=auth", "qop="),
            ("qop=auth", "=auth"),
            ("qop=auth", "q op=auth"),
            ("qop=auth", "qop=\"auth"),
            ("qop=auth", "qop=\"auth\"x"),
            ("Digest ", "Digest, x"),
        ] {
            let text = GOOD.replacen(from, to, 1);
            let expected = match to.starts_with("Digest,") {
                true => Ok(None),
                false => Err(ParseError::BadCredentials),
            };
            assert_eq!(parse(&text), expected, "{to}");
        }
    }

    proptest! {
        #[test]
        fn what_is_quoted_is_read_back(name in "[ -~]{0,20}", realm in "\\PC{0,12}") {
            let quote = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            let text = format!(
                "digest response=\"r\",uri=\"u\",nonce=\"n\",realm=\"{}\",username=\"{}\"",
                quote(&realm), quote(&name),
            );
            let credentials = DigestCredentials::parse(text.as_bytes()).unwrap().unwrap();
            prop_assert!(credentials.username.is(name.as_bytes()));
            prop_assert!(credentials.realm.is(realm.as_bytes()));
        }

        #[test]
        fn never_panics(text in "(Digest )?[a-z=\",\\\\ ]{0,60}", bytes: Vec<u8>) {
            if let Ok(Some(credentials)) = DigestCredentials::parse(text.as_bytes()) {
                let _ = credentials.username.bytes().count();
            }
            let _ = DigestCredentials::parse(&bytes);
        }
    }
}
