//! URIs: sip, sips and tel taken apart, any other scheme kept whole (RFC 3261 19.1, RFC 3966).

use crate::error::ParseError;
use crate::host::{Host, host_port};
use crate::lex::{SCHEME, USERINFO, long_run, run, same, split_around};
use crate::scan::is_uri;
use memchr::memchr;

/// The scheme of a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme<'a> {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`
    Tel,
    /// Another, as written, without the colon.
    Other(&'a [u8]),
}

/// A URI in its parts. Escapes are left as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uri<'a> {
    /// The scheme.
    pub scheme: Scheme<'a>,
    /// The user without its password; the number of a tel URI; empty when there is none.
    pub user: &'a [u8],
    /// What follows the first colon of the userinfo.
    pub password: Option<&'a [u8]>,
    /// The host; `Host::None` in a tel URI or one of an unknown scheme.
    pub host: Host<'a>,
    /// The port, when written.
    pub port: Option<u16>,
    /// `;name=value...` as written, from the first `;` on; empty when there are none.
    pub params: &'a [u8],
    /// `?name=value&...` as written, from the `?` on; empty when there are none.
    pub headers: &'a [u8],
}

impl<'a> Uri<'a> {
    /// Reads a URI.
    ///
    /// # Errors
    /// `BadUri` when there is no scheme, when white space, a control character, a quote or an
    /// angle bracket is inside, or when the host or port of a sip or sips URI cannot be read.
    pub fn parse(bytes: &'a [u8]) -> Result<Uri<'a>, ParseError> {
        let (scheme, rest) = split_scheme(bytes).ok_or(ParseError::BadUri)?;
        match scheme {
            Scheme::Sip | Scheme::Sips => sip(scheme, rest),
            _ if rest.is_empty() || !is_uri(rest) => Err(ParseError::BadUri),
            Scheme::Tel => tel(rest),
            Scheme::Other(_) => Ok(Uri::without_host(scheme, &[], &[])),
        }
    }

    /// The value of the URI parameter `name`, in any case; empty for a flag such as `lr`.
    pub fn param(&self, name: &str) -> Option<&'a [u8]> {
        self.params
            .split(|&byte| byte == b';')
            .skip(1)
            .find_map(|param| {
                let end = param
                    .iter()
                    .position(|&byte| byte == b'=')
                    .unwrap_or(param.len());
                let (found, value) = split_around(param, end);
                same(found, name.as_bytes()).then_some(value)
            })
    }

    fn without_host(scheme: Scheme<'a>, user: &'a [u8], params: &'a [u8]) -> Uri<'a> {
        let (password, host, port, headers) = (None, Host::None, None, &[][..]);
        Uri {
            scheme,
            user,
            password,
            host,
            port,
            params,
            headers,
        }
    }
}

/// The scheme before the first colon, and what follows it.
#[inline]
pub(crate) fn split_scheme(bytes: &[u8]) -> Option<(Scheme<'_>, &[u8])> {
    if let [b's' | b'S', b'i' | b'I', b'p' | b'P', b':', rest @ ..] = bytes {
        return Some((Scheme::Sip, rest));
    }
    let (scheme, rest) = split_around(bytes, memchr(b':', bytes)?);
    if !scheme.first()?.is_ascii_alphabetic() || run(scheme, SCHEME) < scheme.len() {
        return None;
    }
    Some(match scheme {
        _ if same(scheme, b"sips") => (Scheme::Sips, rest),
        _ if same(scheme, b"tel") => (Scheme::Tel, rest),
        _ => (Scheme::Other(scheme), rest),
    })
}

/// `[user [":" password] "@"] host [":" port] params headers`. A user may hold `;` and `?`, while
/// `@` can stand nowhere else, so it is looked for first; on the way every byte is checked.
#[inline]
fn sip<'a>(scheme: Scheme<'a>, rest: &'a [u8]) -> Result<Uri<'a>, ParseError> {
    let (user, password, rest) = userinfo(rest)?;
    let (host, port, rest) = host_port(rest).ok_or(ParseError::BadUri)?;
    if !matches!(rest, [] | [b';' | b'?', ..]) {
        return Err(ParseError::BadUri);
    }
    let params_end = rest
        .iter()
        .position(|&byte| byte == b'?')
        .unwrap_or(rest.len());
    let (params, headers) = rest.split_at_checked(params_end).unwrap_or((rest, &[]));
    Ok(Uri {
        scheme,
        user,
        password,
        host,
        port,
        params,
        headers,
    })
}

type UserInfo<'a> = (&'a [u8], Option<&'a [u8]>, &'a [u8]);

#[inline]
fn userinfo(rest: &[u8]) -> Result<UserInfo<'_>, ParseError> {
    let at = long_run(rest, USERINFO);
    if at == rest.len() {
        return Ok((&[], None, rest));
    }
    let (info, rest) = match rest.split_at_checked(at) {
        Some((info, [b'@', rest @ ..])) if long_run(rest, USERINFO) == rest.len() => (info, rest),
        _ => return Err(ParseError::BadUri),
    };
    let user_end = info
        .iter()
        .position(|&byte| byte == b':')
        .unwrap_or(info.len());
    let (user, password) = split_around(info, user_end);
    if user.is_empty() {
        return Err(ParseError::BadUri);
    }
    Ok((user, (user_end < info.len()).then_some(password), rest))
}

/// `number *(";" parameter)`; no headers and no host (RFC 3966 3).
fn tel(rest: &[u8]) -> Result<Uri<'_>, ParseError> {
    let end = memchr(b';', rest).unwrap_or(rest.len());
    let (number, params) = rest.split_at_checked(end).unwrap_or((rest, &[]));
    if number.is_empty() {
        return Err(ParseError::BadUri);
    }
    Ok(Uri::without_host(Scheme::Tel, number, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Uri<'_> {
        Uri::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn every_part_of_a_sip_uri() {
        let uri = parse("SIPS:a;b=%40?c:p:w@[2001:db8::1]:5061;transport=TLS;lr?Subject=x&y=");
        assert_eq!(uri.scheme, Scheme::Sips);
        assert_eq!(uri.user, b"a;b=%40?c");
        assert_eq!(uri.password, Some(&b"p:w"[..]));
        assert_eq!(uri.host, Host::Ip("2001:db8::1".parse().unwrap()));
        assert_eq!(uri.port, Some(5061));
        assert_eq!(uri.params, b";transport=TLS;lr");
        assert_eq!(uri.headers, b"?Subject=x&y=");
        assert_eq!(uri.param("Transport"), Some(&b"TLS"[..]));
        assert_eq!(uri.param("lr"), Some(&b""[..]));
        assert_eq!(uri.param("l"), None);
    }

    #[test]
    fn the_least_a_sip_uri_may_be() {
        let uri = parse("sip:example.com");
        assert_eq!((uri.user, uri.password, uri.port), (&b""[..], None, None));
        assert_eq!(uri.host, Host::Name(b"example.com"));
        assert_eq!(parse("sip:a:@b").password, Some(&b""[..]));
    }

    #[test]
    fn other_schemes() {
        let uri = parse("tel:+1-201-555-0123;phone-context=x?y");
        assert_eq!(
            (uri.scheme, uri.user),
            (Scheme::Tel, &b"+1-201-555-0123"[..])
        );
        assert_eq!(uri.param("phone-context"), Some(&b"x?y"[..]));
        assert_eq!(
            parse("soap.beep://192.0.2.103:3002").scheme,
            Scheme::Other(b"soap.beep")
        );
        assert_eq!(parse("urn:service:sos").host, Host::None);
    }

    #[test]
    fn what_is_no_uri() {
        for bad in [
            "",
            "sip",
            "sip:",
            "example.com",
            "sip:@b",
            "sip:a@",
            "sip:a@b@c",
            "sip:a@b:",
            "1a:b",
            "sip:a@b:70000",
            "sip:a b@c",
            "sip:a@b; lr",
            "<sip:a@b>",
            "sip:a@<b",
            "sip:2001:db8::1",
            "sip:a@b\u{7f}",
            "tel:",
            "tel:;x",
            "x y:z",
            ":a",
            "sip:\"a\"@b",
        ] {
            assert_eq!(Uri::parse(bad.as_bytes()), Err(ParseError::BadUri), "{bad}");
        }
    }
}
