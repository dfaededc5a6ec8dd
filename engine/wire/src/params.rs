//! Header parameters: `;name`, `;name=value`, `;name="quoted"`, white space anywhere between
//! (RFC 3261 25.1 generic-param). URI parameters have no quotes and live in `uri`.

use crate::lex::{TOKEN, VALUE, is_token, long_run, quoted_length, same, split_around, split_run};
use crate::lex::{trim, trim_start};

/// One parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param<'a> {
    /// The name; empty in a malformed parameter.
    pub name: &'a [u8],
    /// What follows `=`, quotes included; None for a flag.
    pub value: Option<&'a [u8]>,
    /// Whether the name is a token and the value whole.
    pub(crate) sound: bool,
}

/// The parameters of one value, in order.
#[derive(Clone, Copy, Debug)]
pub struct Params<'a> {
    rest: &'a [u8],
}

impl<'a> Params<'a> {
    /// Reads `bytes`, which begins at the first `;` (or is empty).
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Params<'a> {
        Params {
            rest: trim_start(bytes),
        }
    }

    /// The value of the first parameter called `name` (written in lower case), in any case; empty
    /// for a flag.
    #[inline]
    pub fn get(mut self, name: &str) -> Option<&'a [u8]> {
        self.find(|param| same(param.name, name.as_bytes()))
            .map(|param| param.value.unwrap_or_default())
    }

    /// Whether every parameter has a token for its name and a whole value.
    #[inline]
    pub fn well_formed(mut self) -> bool {
        self.all(|param| param.sound)
    }
}

impl<'a> Iterator for Params<'a> {
    type Item = Param<'a>;

    /// Bytes that no `;` introduces come out as one parameter without a name.
    #[inline(always)]
    fn next(&mut self) -> Option<Param<'a>> {
        let (&first, rest) = self.rest.split_first()?;
        if first != b';' {
            self.rest = &[];
            return Some(Param {
                name: &[],
                value: Some(rest),
                sound: false,
            });
        }
        let (param, rest) = tight(rest).unwrap_or_else(|| loose(rest));
        self.rest = rest;
        Some(param)
    }
}

/// Reads the parameter at the beginning of `bytes` when it is as most are: without white space and
/// without quotes.
#[inline(always)]
fn tight(bytes: &[u8]) -> Option<(Param<'_>, &[u8])> {
    let (name, rest) = split_run(bytes, TOKEN);
    let (value, rest) = match rest {
        [b'=', rest @ ..] => {
            let (value, rest) = rest.split_at_checked(long_run(rest, VALUE))?;
            (Some(value), rest)
        }
        _ => (None, rest),
    };
    let sound = !name.is_empty() && value != Some(b"");
    (sound && matches!(rest, [] | [b';', ..])).then_some((Param { name, value, sound }, rest))
}

/// Reads any other parameter.
#[cold]
fn loose(bytes: &[u8]) -> (Param<'_>, &[u8]) {
    let (param, rest) = bytes
        .split_at_checked(param_length(bytes))
        .unwrap_or((bytes, &[]));
    let equals = param.iter().position(|&byte| byte == b'=');
    let (name, value) = split_around(param, equals.unwrap_or(param.len()));
    let (name, value) = (trim(name), equals.map(|_| trim(value)));
    let sound = is_token(name) && value.is_none_or(is_value);
    (Param { name, value, sound }, rest)
}

/// How far the parameter at the beginning of `bytes` goes: to the next `;` outside quotes.
fn param_length(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b';' => return at,
            b'"' => at += quoted_length(bytes.get(at..).unwrap_or_default()).unwrap_or(bytes.len()),
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Whether `value` is a quoted string, or free of what only a quoted string may hold.
fn is_value(value: &[u8]) -> bool {
    match value.first() {
        None => false,
        Some(b'"') => quoted_length(value) == Some(value.len()),
        Some(_) => long_run(value, VALUE) == value.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lex::is_lws;
    use proptest::prelude::*;

    #[test]
    fn flags_values_quotes_and_white_space() {
        let params = Params::new(b" ; lr;tag = 98\r\n asjd8 ;x=\"a;b\\\";c\" ; Q=0.33");
        assert_eq!(params.get("lr"), Some(&b""[..]));
        assert_eq!(params.get("x"), Some(&b"\"a;b\\\";c\""[..]));
        assert_eq!(params.get("q"), Some(&b"0.33"[..]));
        assert_eq!(params.get("b"), None);
        assert_eq!(params.count(), 4);
    }

    #[test]
    fn malformed_ones_are_seen() {
        for good in [
            "",
            ";a",
            ";a=b;c",
            "; a = \"b;c\" ;d",
            ";received=[::1]",
            ";a=b=c",
        ] {
            assert!(Params::new(good.as_bytes()).well_formed(), "{good}");
        }
        for bad in [
            ";",
            ";;a",
            ";a=",
            "a=b",
            ";a b",
            ";a=\"b",
            ";a=b c",
            ";a=b,c",
            ";=b",
            ";a=\"b\"c",
        ] {
            assert!(!Params::new(bad.as_bytes()).well_formed(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn white_space_around_signs_changes_nothing(
            params in prop::collection::vec(("[a-z]{1,8}", "[a-z0-9]{0,8}"), 0..6),
            space in "(\\r\\n )?[ \\t]{0,3}",
        ) {
            let mut tight = String::new();
            let mut loose = String::new();
            for (name, value) in &params {
                tight.push_str(&format!(";{name}={value}"));
                loose.push_str(&format!("{space};{space}{name}{space}={space}{value}{space}"));
            }
            let loose: Vec<_> = Params::new(loose.as_bytes()).collect();
            prop_assert_eq!(Params::new(tight.as_bytes()).collect::<Vec<_>>(), loose);
        }

        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for param in Params::new(&bytes) {
                prop_assert!(param.name.first().is_none_or(|&byte| !is_lws(byte)));
            }
        }
    }
}
