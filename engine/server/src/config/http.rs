//! The section `[http]`: where the API is served, who may use it, how much; and what it amounts to for the
//! control room. Doc comments become the schema's descriptions.

use std::path::PathBuf;
use std::time::Duration;

use control::{Bounds, Role, Security, Settings, TlsFiles, Token};
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fault::Faults;
use super::load::{LoadError, Origin, beside};
use super::registrar::Secret;
use super::rules::Broken;
use super::schema::{Config, within};
use super::value::ListenAddress;

/// The HTTP API: numbers, calls, registrations, directory, reload, events.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Http {
    /// "ip:port" to listen on. Left out: there is no API.
    #[garde(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<ListenAddress>,
    /// Who may do what. Empty: whoever is on this machine may do everything; `address` must then be loopback.
    #[garde(length(max = 64))]
    pub(crate) tokens: Vec<HttpToken>,
    /// PEM file with the certificate and those that lead to its root, relative to this file. Left out: no TLS.
    #[garde(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// PEM file with its private key.
    #[garde(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Bytes of a request's body. Users uploaded one a line have no such bound.
    #[garde(custom(within(1_024, 1 << 30)))]
    pub(crate) body_bytes: usize,
    /// Requests a second from one address, in the mean; so many at once, too.
    #[garde(custom(within(1, 1_000_000)))]
    pub(crate) requests_per_s: u32,
    /// Connections at once.
    #[garde(custom(within(1, 100_000)))]
    pub(crate) connections: usize,
    /// How long a request, a pause in one, or a silence between two may take, seconds.
    #[garde(custom(within(1, 3_600)))]
    pub(crate) timeout_s: u64,
}

impl Default for Http {
    fn default() -> Self {
        Http {
            address: None,
            tokens: Vec::new(),
            tls_certificate: None,
            tls_key: None,
            body_bytes: 1 << 20,
            requests_per_s: 1_000,
            connections: 256,
            timeout_s: 30,
        }
    }
}

impl Http {
    /// Whether all that differs in the other one can be taken over: tokens, and what files there are to read.
    pub(crate) fn takes_over(&self, wanted: &Http) -> bool {
        let same = Http {
            tokens: wanted.tokens.clone(),
            tls_certificate: wanted.tls_certificate.clone(),
            tls_key: wanted.tls_key.clone(),
            ..self.clone()
        };
        same == *wanted && self.tls_key.is_some() == wanted.tls_key.is_some()
    }
}

/// One bearer token.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpToken {
    /// "read": look at everything that is no secret. "operate": reload and hang up too. "admin": change the
    /// directory too.
    pub(crate) role: HttpRole,
    /// The token: 16 to 512 visible ASCII characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<Secret>,
    /// Or the file whose first line it is, relative to this file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<PathBuf>,
}

/// What the owner of a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HttpRole {
    /// Look.
    Read,
    /// Reload and hang up too.
    Operate,
    /// Change the directory too.
    Admin,
}

/// Rules that need more than one key.
pub(super) fn check(http: &Http, broken: &mut Vec<Broken>) {
    if let Some(address) = http.address.filter(|_| http.tokens.is_empty())
        && !address.0.ip().to_canonical().is_loopback()
    {
        let message = format!(
            "{address} can be reached from elsewhere and http.tokens is empty: add a token, or listen on 127.0.0.1"
        );
        broken.push(("http.address".into(), message));
    }
    for (index, token) in http.tokens.iter().enumerate() {
        if token.token.is_some() == token.file.is_some() {
            let message = "needs either token or file".to_owned();
            broken.push((format!("http.tokens[{index}]"), message));
        }
    }
    match (&http.tls_certificate, &http.tls_key) {
        (Some(_), None) => {
            broken.push(("http.tls_certificate".into(), "needs http.tls_key".into()))
        }
        (None, Some(_)) => {
            broken.push(("http.tls_key".into(), "needs http.tls_certificate".into()))
        }
        _ => {}
    }
}

/// The API as configured, with its tokens and certificate read; `None`: there is none.
pub(super) fn secured(
    config: &Config,
    origin: &Origin,
) -> Result<Option<(Settings, Security)>, LoadError> {
    let Some(settings) = settings(config, origin) else {
        return Ok(None);
    };
    match settings.secure() {
        Ok(security) => Ok(Some((settings, security))),
        Err(error) => Err(LoadError {
            parts: vec![Faults::whole_file(&origin.to_string(), error.to_string())],
        }),
    }
}

fn settings(config: &Config, origin: &Origin) -> Option<Settings> {
    let http = &config.http;
    let tls = http.tls_certificate.as_ref().zip(http.tls_key.as_ref());
    Some(Settings {
        address: http.address?.0,
        tokens: http
            .tokens
            .iter()
            .map(|token| of_token(token, origin))
            .collect(),
        tls: tls.map(|(certificate, key)| TlsFiles {
            certificate: beside(origin, certificate),
            key: beside(origin, key),
        }),
        bounds: Bounds {
            body_bytes: http.body_bytes,
            requests_per_s: http.requests_per_s,
            connections: http.connections,
            patience: Duration::from_secs(http.timeout_s),
            users: config.limits.users,
        },
    })
}

fn of_token(token: &HttpToken, origin: &Origin) -> Token {
    let secret = match (&token.token, &token.file) {
        (_, Some(file)) => control::Secret::File(beside(origin, file)),
        (Some(text), None) => control::Secret::Inline(text.0.clone()),
        // Refused by `check`; what is empty is no token.
        (None, None) => control::Secret::Inline(String::new()),
    };
    let role = match token.role {
        HttpRole::Read => Role::Read,
        HttpRole::Operate => Role::Operate,
        HttpRole::Admin => Role::Admin,
    };
    Token { role, secret }
}

#[cfg(test)]
mod tests {
    use super::super::environment::Environment;
    use super::super::load::of_text;

    fn faults(http: &str) -> String {
        let text = format!("[[listen]]\naddress = '127.0.0.1:5060'\n[http]\n{http}");
        match of_text("x.toml", &text, &Environment::of(&[])) {
            Err(error) => error.to_string(),
            Ok(loaded) => format!("{:?}", loaded.http),
        }
    }

    #[test]
    fn what_would_be_open_is_refused() {
        insta::assert_snapshot!(faults("address = '0.0.0.0:8060'\n"), @r"
        error: x.toml:4:11: http.address: 0.0.0.0:8060 can be reached from elsewhere and http.tokens is empty: add a token, or listen on 127.0.0.1
          |
        4 | address = '0.0.0.0:8060'
          |           ^^^^^^^^^^^^^^
        ");
        insta::assert_snapshot!(faults("tokens = [{ role = 'read' }]\ntls_key = 'key.pem'\n"), @r"
        error: x.toml:4:11: http.tokens[0]: needs either token or file
          |
        4 | tokens = [{ role = 'read' }]
          |           ^^^^^^^^^^^^^^^^^

        error: x.toml:5:11: http.tls_key: needs http.tls_certificate
          |
        5 | tls_key = 'key.pem'
          |           ^^^^^^^^^
        ");
        let weak = "address = '0.0.0.0:8060'\ntokens = [{ role = 'admin', token = 'tiny' }]\n";
        assert_eq!(
            faults(weak),
            "error: x.toml: http.tokens[0]: must be 16 to 512 visible ASCII characters"
        );
    }

    #[test]
    fn without_an_address_there_is_no_api() {
        assert_eq!(faults("requests_per_s = 5\n"), "None");
        let some = faults(
            "address = '[::1]:0'\ntokens = [{ role = 'admin', token = '0123456789abcdef' }]\n",
        );
        assert!(
            some.starts_with("Some(") && !some.contains("0123456789abcdef"),
            "{some}"
        );
    }
}
