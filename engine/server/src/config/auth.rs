//! The section `[auth]`: whose requests need proof of who sent them, and how that is given.

use std::collections::BTreeSet;

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::registrar::domain_name;
use super::rules::Broken;
use super::schema::{DAY_S, within};
use super::value::Network;

/// Digest authentication (RFC 7616, 8760) of the users of local domains. Requests inside dialogs, ACK and CANCEL are
/// never asked for it, nor are the application server's.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Auth {
    /// One challenge for each, the most wanted first: "SHA-256", "SHA-512-256", "MD5".
    #[garde(length(min = 1, max = 3))]
    pub(crate) algorithms: Vec<Algorithm>,
    /// What a response may cover: "auth" the method and the URI, "auth-int" the body too.
    #[garde(length(min = 1, max = 2))]
    pub(crate) qop: Vec<Qop>,
    /// Whether REGISTER needs proof, by the user whose contacts it is about.
    #[garde(skip)]
    pub(crate) register: bool,
    /// Which other requests need proof, by the user in From: "never" any, "local" those from local domains,
    /// "always" all: those from elsewhere are refused with 403.
    #[garde(skip)]
    pub(crate) requests: Demand,
    /// Networks that are not asked.
    #[garde(length(max = 65_536))]
    pub(crate) trusted: Vec<Network>,
    /// How long a nonce is good. An older one is answered with a new one.
    #[garde(custom(within(1, DAY_S)))]
    pub(crate) nonce_lifetime_s: u64,
    /// Nonces in use that each shard remembers, 40 bytes each. The oldest one beyond them is no longer good.
    #[garde(custom(within(1, 16_777_216)))]
    pub(crate) nonces_max: usize,
    /// Domains with rules of their own.
    #[garde(dive)]
    pub(crate) domain: Vec<AuthDomain>,
}

impl Default for Auth {
    fn default() -> Self {
        Auth {
            algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
            qop: vec![Qop::Auth],
            register: true,
            requests: Demand::Local,
            trusted: Vec::new(),
            nonce_lifetime_s: 600,
            nonces_max: 65_536,
            domain: Vec::new(),
        }
    }
}

/// What differs in one domain; keys left out are as in `[auth]`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuthDomain {
    /// Its name.
    #[garde(custom(domain_name))]
    pub(crate) name: String,
    /// See `auth.algorithms`.
    #[garde(inner(length(min = 1, max = 3)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) algorithms: Option<Vec<Algorithm>>,
    /// See `auth.qop`.
    #[garde(inner(length(min = 1, max = 2)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) qop: Option<Vec<Qop>>,
    /// See `auth.register`.
    #[garde(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) register: Option<bool>,
    /// See `auth.requests`.
    #[garde(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) requests: Option<Demand>,
}

/// A hash function.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema,
)]
pub(crate) enum Algorithm {
    /// All that many phones know; broken as a hash function.
    #[serde(rename = "MD5")]
    Md5,
    /// What RFC 8760 wants everybody to know.
    #[serde(rename = "SHA-256")]
    Sha256,
    /// SHA-512/256.
    #[serde(rename = "SHA-512-256")]
    Sha512_256,
}

/// What a response covers.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Qop {
    /// The method and the URI.
    Auth,
    /// The body too.
    AuthInt,
}

/// Which requests need proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Demand {
    /// None.
    Never,
    /// Those whose From is in a local domain.
    Local,
    /// All; those whose From is not are refused.
    Always,
}

/// Rules that need more than one key.
pub(super) fn check(auth: &Auth, broken: &mut Vec<Broken>) {
    distinct("auth.algorithms", &auth.algorithms, broken);
    distinct("auth.qop", &auth.qop, broken);
    let mut names = BTreeSet::new();
    for (index, domain) in auth.domain.iter().enumerate() {
        let key = format!("auth.domain[{index}]");
        if !names.insert(domain.name.to_ascii_lowercase()) {
            let message = format!("{} is already there", domain.name);
            broken.push((format!("{key}.name"), message));
        }
        let algorithms = domain.algorithms.as_deref().unwrap_or_default();
        distinct(&format!("{key}.algorithms"), algorithms, broken);
        distinct(
            &format!("{key}.qop"),
            domain.qop.as_deref().unwrap_or_default(),
            broken,
        );
    }
}

/// RFC 8760 2.3: each challenge of a realm has another algorithm.
fn distinct<T: Ord>(key: &str, values: &[T], broken: &mut Vec<Broken>) {
    if values.iter().collect::<BTreeSet<_>>().len() < values.len() {
        broken.push((key.into(), "must not name one twice".into()));
    }
}
