//! The name of a user: an address-of-record in the one spelling that is compared.

use std::fmt;
use std::sync::Arc;

use wire::{Host, Uri};

/// An address-of-record, `user@domain` (RFC 3261 10.3 step 5): without scheme, port and parameters, the user unescaped,
/// the domain in lower case. Cloning shares the text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Aor {
    text: Arc<str>,
}

impl Aor {
    /// The AOR of a user of a domain. `None` when the domain is empty or either holds white space, a control
    /// character, or the domain an `@`.
    pub fn new(user: &str, domain: &str) -> Option<Aor> {
        let plain = |text: &str| !text.chars().any(|c| c.is_control() || c.is_whitespace());
        let proper = plain(user) && plain(domain) && !domain.is_empty() && !domain.contains('@');
        proper.then(|| Aor {
            text: format!("{user}@{}", domain.to_ascii_lowercase()).into(),
        })
    }

    /// The AOR a sip or sips URI stands for; `None` when it names no host or its user is no UTF-8.
    pub fn of(uri: &Uri<'_>) -> Option<Aor> {
        let host = match uri.host {
            Host::None => return None,
            Host::Name(name) => std::str::from_utf8(name).ok()?.to_owned(),
            host => host.ip()?.to_string(),
        };
        let user = unescape(uri.user)?;
        Aor::new(&user, host.trim_end_matches('.'))
    }

    /// The whole of it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What stands before the last `@`.
    pub fn user(&self) -> &str {
        self.parts().0
    }

    /// What stands behind it.
    pub fn domain(&self) -> &str {
        self.parts().1
    }

    fn parts(&self) -> (&str, &str) {
        self.text.rsplit_once('@').unwrap_or(("", &self.text))
    }
}

impl fmt::Display for Aor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// RFC 3261 19.1.4: an escaped character is the same as that character.
pub(crate) fn unescape(user: &[u8]) -> Option<String> {
    let mut plain = Vec::with_capacity(user.len());
    let mut rest = user;
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = tail
            .get(..2)
            .filter(|_| first == b'%')
            .and_then(hexadecimal);
        plain.push(escaped.unwrap_or(first));
        rest = match escaped {
            Some(_) => tail.get(2..).unwrap_or_default(),
            None => tail,
        };
    }
    String::from_utf8(plain).ok()
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    // `from_str_radix` would read a sign.
    let sound = digits.iter().all(u8::is_ascii_hexdigit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| sound)?;
    u8::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(uri: &str) -> Option<String> {
        Aor::of(&Uri::parse(uri.as_bytes()).expect("a URI")).map(|aor| aor.to_string())
    }

    #[test]
    fn an_aor_has_one_spelling() {
        let alice = Some("alice@example.com".to_owned());
        assert_eq!(of("sip:alice@example.com"), alice);
        assert_eq!(
            of("sips:%61lice@Example.COM.:5061;transport=tcp?a=b"),
            alice
        );
        assert_eq!(
            of("sip:Alice@example.com"),
            Some("Alice@example.com".to_owned())
        );
        assert_eq!(
            of("sip:a%40b@[2001:DB8::0:1]"),
            Some("a@b@2001:db8::1".to_owned())
        );
        assert_eq!(of("sip:100%2@h"), Some("100%2@h".to_owned()));
        assert_eq!(of("sip:%+1@h"), Some("%+1@h".to_owned()));
        assert_eq!(of("tel:+12125551212"), None);
        assert_eq!(of("sip:a%00@h"), None);
        assert_eq!(of("sip:%ff@h"), None);
    }

    #[test]
    fn the_parts_are_told() {
        let aor = Aor::new("a@b", "H").expect("an AOR");
        assert_eq!((aor.user(), aor.domain()), ("a@b", "h"));
        assert_eq!(Aor::new("a", ""), None);
        assert_eq!(Aor::new("a b", "h"), None);
    }
}
