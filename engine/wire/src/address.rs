//! The values of From, To, Contact, Route and their like: a name-addr or an addr-spec with header
//! parameters (RFC 3261 20.10).

use crate::error::ParseError;
use crate::lex::{DISPLAY, URI, VALUE, long_run, quoted_length, run};
use crate::lex::{trim, trim_end, trim_start};
use crate::params::Params;
use crate::scan::is_uri;
use crate::uri::{Uri, split_scheme};

/// One address: `"Display" <uri>;params`, `<uri>;params` or `uri;params`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// The display name as written, quotes included; may be empty.
    pub display: &'a [u8],
    /// The URI without angle brackets.
    pub uri: &'a [u8],
    /// The header parameters, from the first `;` on; empty when there are none.
    pub params: &'a [u8],
}

impl<'a> NameAddr<'a> {
    /// Reads one value (of a list, the caller has split off one).
    ///
    /// # Errors
    /// `BadAddress`: a quote or bracket does not close, the display name is neither quoted nor
    /// tokens, the URI has no scheme or white space in it, a URI without brackets has a `?` or `,`
    /// (RFC 3261 20), or a parameter is malformed. The URI is not taken apart here.
    pub fn parse(value: &'a [u8]) -> Result<NameAddr<'a>, ParseError> {
        let address = split(trim(value)).ok_or(ParseError::BadAddress)?;
        let sound = split_scheme(address.uri).is_some_and(|(_, rest)| !rest.is_empty())
            && Params::new(address.params).well_formed();
        if sound {
            Ok(address)
        } else {
            Err(ParseError::BadAddress)
        }
    }

    /// The value of the header parameter `name`, in any case; empty for a flag.
    #[inline]
    pub fn param(&self, name: &str) -> Option<&'a [u8]> {
        Params::new(self.params).get(name)
    }

    /// The tag, when there is one.
    #[inline]
    pub fn tag(&self) -> Option<&'a [u8]> {
        match self.params {
            // As most are written: the tag comes first.
            [b';', b't', b'a', b'g', b'=', rest @ ..] => {
                first_value(rest).or_else(|| self.param("tag"))
            }
            params => Params::new(params).get("tag"),
        }
    }

    /// The URI in its parts.
    ///
    /// # Errors
    /// As [`Uri::parse`].
    pub fn uri_parsed(&self) -> Result<Uri<'a>, ParseError> {
        Uri::parse(self.uri)
    }
}

/// The value `rest` begins with, when it is without quotes and white space.
#[inline]
fn first_value(rest: &[u8]) -> Option<&[u8]> {
    match rest.split_at_checked(long_run(rest, VALUE))? {
        ([], _) => None,
        (value, [] | [b';', ..]) => Some(value),
        _ => None,
    }
}

/// The parts of one value, its URI already free of what may not be in one.
#[inline]
fn split(value: &[u8]) -> Option<NameAddr<'_>> {
    let display_end = match value.first()? {
        b'"' => quoted_length(value)?,
        _ => run(value, DISPLAY),
    };
    let (display, rest) = value.split_at_checked(display_end)?;
    match trim_start(rest) {
        [b'<', rest @ ..] => {
            let (uri, rest) = rest.split_at_checked(long_run(rest, URI))?;
            Some(NameAddr {
                display: trim_end(display),
                uri,
                params: trim_start(rest.strip_prefix(b">")?),
            })
        }
        [b':', ..] => addr_spec(value),
        _ => None,
    }
}

/// A URI without brackets: its parameters are the header's. Quotes before the colon are refused
/// with any other scheme that is none.
fn addr_spec(value: &[u8]) -> Option<NameAddr<'_>> {
    let uri_end = value
        .iter()
        .position(|&byte| byte == b';')
        .unwrap_or(value.len());
    let (uri, params) = value.split_at_checked(uri_end)?;
    let uri = trim_end(uri);
    let bare = is_uri(uri) && !uri.iter().any(|byte| matches!(byte, b'?' | b','));
    bare.then_some(NameAddr {
        display: &[],
        uri,
        params,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(value: &str) -> (&str, &str, &str) {
        let address =
            NameAddr::parse(value.as_bytes()).unwrap_or_else(|error| panic!("{value}: {error}"));
        let text = |bytes| str::from_utf8(bytes).unwrap();
        (
            text(address.display),
            text(address.uri),
            text(address.params),
        )
    }

    #[test]
    fn the_three_forms() {
        assert_eq!(
            parts(r#""J \"R\" <x>"  <sip:j@example.com;lr?a=b> ; tag = 98"#),
            (r#""J \"R\" <x>""#, "sip:j@example.com;lr?a=b", "; tag = 98")
        );
        assert_eq!(
            parts("caller<sip:c@d>;tag=1"),
            ("caller", "sip:c@d", ";tag=1")
        );
        assert_eq!(
            parts("Anne\r\n Marie <tel:+1>"),
            ("Anne\r\n Marie", "tel:+1", "")
        );
        assert_eq!(parts("sip:c@d ;tag=1"), ("", "sip:c@d", ";tag=1"));
        assert_eq!(parts(" <isbn:2983792873> "), ("", "isbn:2983792873", ""));
        assert_eq!(parts("Ren\u{e9} <sip:r@d>").0, "Ren\u{e9}");
    }

    #[test]
    fn a_bracket_in_a_parameter_is_not_a_display_name() {
        assert_eq!(parts("sip:a@b;x=\"<y>\""), ("", "sip:a@b", ";x=\"<y>\""));
    }

    #[test]
    fn tags() {
        let address = NameAddr::parse(b"<sip:a@b;tag=no>; x ;TAG = 98asjd8").unwrap();
        assert_eq!(address.tag(), Some(&b"98asjd8"[..]));
        assert_eq!(address.param("x"), Some(&b""[..]));
        assert_eq!(NameAddr::parse(b"sip:a@b").unwrap().tag(), None);
    }

    #[test]
    fn what_is_no_address() {
        for bad in [
            "",
            "*",
            "sip",
            "<sip:a@b",
            "\"a <sip:a@b>",
            "\"a\" sip:a@b",
            "Bell, A <sip:a@b>",
            "<>",
            "< sip:a@b >",
            "<sip:a@b >",
            "sip:a@b?Route=c",
            "<a>",
            "<sip:>",
            "<sip:a@b>x",
            "a b",
            "<sip:a@b>;;",
            "<sip:a@b>;tag=",
            "sip:a b@c",
            "sip:a@b, sip:c@d",
            "<sip:a@b>, <sip:c@d>",
            "<sip:a@b>;tag=1, <sip:c@d>",
        ] {
            assert_eq!(
                NameAddr::parse(bad.as_bytes()),
                Err(ParseError::BadAddress),
                "{bad}"
            );
        }
    }
}
