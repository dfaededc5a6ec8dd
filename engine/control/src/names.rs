//! Names of domains and users as they stand in paths and bodies: what is one, and what is not.

use serde::Deserialize;
use utoipa::IntoParams;

use crate::problem::Problem;

/// Which domain.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct DomainName {
    /// The domain: a host name or an address.
    #[param(pattern = "^[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?$")]
    domain: String,
}

impl DomainName {
    /// The domain in lower case.
    pub(crate) fn checked(self) -> Result<String, Problem> {
        domain(&self.domain)
    }
}

/// Which user.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct UserName {
    /// The domain: a host name or an address.
    #[param(pattern = "^[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?$")]
    domain: String,
    /// The user: visible ASCII.
    #[param(pattern = "^[!-~]{1,128}$")]
    user: String,
}

impl UserName {
    /// The domain in lower case, and the user.
    pub(crate) fn checked(self) -> Result<(String, String), Problem> {
        let domain = domain(&self.domain)?;
        user(&self.user, "user")?;
        Ok((domain, self.user))
    }
}

/// The longest secret.
const SECRET_BYTES: usize = 256;
/// The longest URL of a control.
const CONTROL_BYTES: usize = 256;

/// A domain's name in lower case; 400 for what is none.
pub(crate) fn domain(name: &str) -> Result<String, Problem> {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b':' | b'-');
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    let good = bytes.len() <= 253
        && bytes.iter().copied().all(inner)
        && ends(bytes.first())
        && ends(bytes.last());
    match good {
        true => Ok(name.to_ascii_lowercase()),
        false => Err(Problem::field(
            "domain",
            "must be a host name or an address: letters, digits, dots, hyphens, colons; 253 at most",
        )),
    }
}

/// Whether this can be a user's name.
pub(crate) fn user(name: &str, field: &str) -> Result<(), Problem> {
    let good = (1..=128).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
    good.then_some(()).ok_or_else(|| {
        Problem::field(
            field,
            "must be 1 to 128 visible ASCII characters without spaces",
        )
    })
}

/// Whether this can be a secret.
pub(crate) fn secret(secret: &str, field: &str) -> Result<(), Problem> {
    let good = (1..=SECRET_BYTES).contains(&secret.len());
    good.then_some(())
        .ok_or_else(|| Problem::field(field, "must be 1 to 256 bytes long"))
}

/// Whether this can be a control: an http or https URL without user, query or fragment.
pub(crate) fn control(url: &str, field: &str) -> Result<(), Problem> {
    let uri = url.parse::<hyper::Uri>().ok();
    let good = uri.is_some_and(|uri| {
        let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let port = authority
            .rsplit_once(':')
            .filter(|(_, port)| !port.ends_with(']'));
        let port = port.is_none_or(|(_, port)| port.parse::<u16>().is_ok_and(|port| port != 0));
        scheme
            && port
            && uri.host().is_some_and(|host| !host.is_empty())
            && !authority.contains('@')
            && uri.query().is_none()
    });
    match good && url.len() <= CONTROL_BYTES && !url.contains('#') {
        true => Ok(()),
        false => Err(Problem::field(
            field,
            "must be an http or https URL like http://host:port, without user, query or fragment",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains() {
        assert_eq!(domain("Example.COM").unwrap(), "example.com");
        assert_eq!(domain("2001:db8::1").unwrap(), "2001:db8::1");
        for wrong in ["", ".", "a b", "a/b", "-a", "a.", "ä", &"a".repeat(254)] {
            assert!(domain(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn users_and_secrets() {
        for good in ["1003", "a@b", "*100#", "+49"] {
            assert!(user(good, "user").is_ok(), "{good}");
        }
        for wrong in ["", "a b", "a\n", "ä", &"a".repeat(129)] {
            assert!(user(wrong, "user").is_err(), "{wrong}");
        }
        assert!(secret("ü", "secret").is_ok() && secret("", "secret").is_err());
    }

    #[test]
    fn controls() {
        for good in [
            "http://h",
            "https://h:8080/base",
            "http://[::1]:80",
            "http://[::1]",
        ] {
            assert!(control(good, "control").is_ok(), "{good}");
        }
        for wrong in [
            "",
            "h:80",
            "ftp://h",
            "http://",
            "http://a@h",
            "http://h?x",
            "http://h#x",
            "http://h:0",
            "http://h:x",
        ] {
            assert!(control(wrong, "control").is_err(), "{wrong}");
        }
    }
}
