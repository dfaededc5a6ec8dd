//! What an operator says about the control plane: where it listens, who may do what, how much. Secrets are
//! values that never print themselves.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Tokens;
use crate::tls::{self, TlsError};

/// Everything about the listener.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Where to listen.
    pub address: SocketAddr,
    /// Who may do what; empty: whoever reaches the address may do everything, which must be loopback.
    pub tokens: Vec<Token>,
    /// Certificate and key; `None`: no TLS.
    pub tls: Option<TlsFiles>,
    /// How much.
    pub bounds: Bounds,
}

/// One token.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// What its owner may do.
    pub role: Role,
    /// The token, or where it is found.
    pub secret: Secret,
}

/// What somebody may do; a later one includes the earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look at everything that is no secret.
    Read,
    /// Reload and hang up too.
    Operate,
    /// Change the directory too.
    Admin,
}

/// A token that never prints itself.
#[derive(Clone, PartialEq)]
pub enum Secret {
    /// The token itself.
    Inline(String),
    /// The file whose first line it is.
    File(PathBuf),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Secret::Inline(_) => f.write_str("(hidden)"),
            Secret::File(path) => path.fmt(f),
        }
    }
}

/// PEM files.
#[derive(Clone, Debug, PartialEq)]
pub struct TlsFiles {
    /// The certificate and those that lead to its root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// How much a client, or all of them, may ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    /// Bytes of a body; uploads of users are read line by line and have no such bound.
    pub body_bytes: usize,
    /// Requests a second from one address, in the mean; so many at once, too.
    pub requests_per_s: u32,
    /// Connections at once.
    pub connections: usize,
    /// How long a request, or a pause in one, may take.
    pub patience: Duration,
    /// Users in the directory, of all domains.
    pub users: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            body_bytes: 1 << 20,
            requests_per_s: 1_000,
            connections: 256,
            patience: Duration::from_secs(30),
            users: 2_000_000,
        }
    }
}

/// Why a listener cannot be made safe as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum SecurityError {
    /// Whoever reaches the address could do everything.
    #[error(
        "http.address: {0} can be reached from elsewhere and http.tokens is empty: add a token, or \
         listen on 127.0.0.1"
    )]
    Open(SocketAddr),
    /// A token that can be guessed, or that no header can carry.
    #[error("http.tokens[{0}]: must be 16 to 512 visible ASCII characters")]
    Weak(usize),
    /// A token's file.
    #[error("http.tokens[{index}].file: {path}: {reason}", path = path.display())]
    TokenFile {
        /// Which token.
        index: usize,
        /// Its file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Certificate or key.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// What [`Settings`] amount to: tokens that were read, a certificate that fits its key.
#[derive(Clone)]
pub struct Security {
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
}

/// Neither tokens nor keys.
impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Security")
    }
}

impl Settings {
    /// Reads the files that are named, and refuses what would be open to everybody.
    pub fn secure(&self) -> Result<Security, SecurityError> {
        if self.tokens.is_empty() && !self.address.ip().to_canonical().is_loopback() {
            return Err(SecurityError::Open(self.address));
        }
        let tokens = self.tokens.iter().enumerate();
        let tokens = tokens.map(|(index, token)| Ok((token.role, token.read(index)?)));
        let tokens = tokens.collect::<Result<Vec<_>, SecurityError>>()?;
        let tls = self.tls.as_ref().map(tls::load).transpose()?;
        Ok(Security {
            tokens: Arc::new(Tokens::new(tokens)),
            tls,
        })
    }
}

impl Token {
    fn read(&self, index: usize) -> Result<String, SecurityError> {
        let text = match &self.secret {
            Secret::Inline(text) => text.clone(),
            Secret::File(path) => {
                let text = fs::read_to_string(path).map_err(|error| SecurityError::TokenFile {
                    index,
                    path: path.clone(),
                    reason: error.to_string(),
                })?;
                text.lines().next().unwrap_or("").trim().to_owned()
            }
        };
        let strong = (16..=512).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        strong.then_some(text).ok_or(SecurityError::Weak(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(address: &str, tokens: &[&str]) -> Settings {
        let token = |text: &&str| Token {
            role: Role::Read,
            secret: Secret::Inline((*text).to_owned()),
        };
        Settings {
            address: address.parse().expect(address),
            tokens: tokens.iter().map(token).collect(),
            tls: None,
            bounds: Bounds::default(),
        }
    }

    #[test]
    fn a_public_address_needs_a_token() {
        for open in ["0.0.0.0:1", "192.0.2.1:1", "[::]:1", "[2001:db8::1]:1"] {
            let refused = settings(open, &[]).secure().unwrap_err();
            assert!(matches!(refused, SecurityError::Open(_)), "{refused}");
            assert!(settings(open, &["0123456789abcdef"]).secure().is_ok());
        }
        for own in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(settings(own, &[]).secure().is_ok(), "{own}");
        }
    }

    #[test]
    fn weak_tokens_and_missing_files_are_refused() {
        for weak in ["", "short", "sixteen and a space"] {
            let refused = settings("127.0.0.1:1", &[weak]).secure().unwrap_err();
            assert!(matches!(refused, SecurityError::Weak(0)), "{refused}");
        }
        let mut absent = settings("127.0.0.1:1", &[]);
        absent.tokens.push(Token {
            role: Role::Admin,
            secret: Secret::File("/nonexistent/token".into()),
        });
        let told = absent.secure().unwrap_err().to_string();
        assert!(
            told.starts_with("http.tokens[0].file: /nonexistent/token: "),
            "{told}"
        );
    }

    #[test]
    fn a_token_does_not_print_itself() {
        let settings = settings("127.0.0.1:1", &["0123456789abcdef"]);
        let security = settings.secure().unwrap();
        let printed = format!("{settings:?} {security:?}");
        assert!(!printed.contains("0123456789abcdef"), "{printed}");
    }
}
