//! Who must prove to be who he says he is, and whether he did (RFC 3261 22, RFC 8760, RFC 7616): the rules,
//! the judgement of credentials, and what is asked for when they will not do. What is hashed and how nonces
//! are made is `stack::digest`'s business; what a proven request then does is not known here.

mod consumed;
pub(crate) mod entrance;
mod verifier;

use std::collections::HashMap;
use std::time::Duration;

use stack::digest::{Algorithm, Qop};
use wire::Method;

use crate::abuse::Networks;

pub(crate) use consumed::without_own_credentials;
pub(crate) use verifier::Verifier;

/// Who must prove who he is, and how.
#[derive(Clone, Debug)]
pub struct Auth {
    /// For every domain that has no policy of its own, and for those who are of no local domain.
    pub policy: Policy,
    /// Policies of domains by their names, lower case.
    pub domains: HashMap<Box<str>, Policy>,
    /// Networks from which nothing is asked.
    pub trusted: Networks<()>,
    /// How long a nonce is good; whole seconds.
    pub nonce_lifetime: Duration,
    /// Nonces whose counts each shard remembers. Those of one that had to go make their nonce stale.
    pub nonces: usize,
}

impl Default for Auth {
    fn default() -> Auth {
        Auth {
            policy: Policy::default(),
            domains: HashMap::new(),
            trusted: Networks::default(),
            nonce_lifetime: Duration::from_secs(600),
            nonces: 65_536,
        }
    }
}

impl Auth {
    /// The policy of the domain with this name, lower case.
    pub(crate) fn policy_of(&self, domain: &str) -> &Policy {
        self.domains.get(domain).unwrap_or(&self.policy)
    }
}

/// What the users of a domain are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// One challenge for each, the most wanted first (RFC 8760 2.3). Not empty.
    pub algorithms: Vec<Algorithm>,
    /// What the hash may cover. Not empty.
    pub qop: Vec<Qop>,
    /// Whether REGISTER needs proof.
    pub register: bool,
    /// Which requests outside dialogs need it.
    pub requests: Demand,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
            qop: vec![Qop::Auth],
            register: true,
            requests: Demand::Local,
        }
    }
}

/// Which requests that begin something need proof. ACK and CANCEL never do (RFC 3261 22.1), nor do those
/// inside a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// None.
    Never,
    /// Those whose From is in a local domain.
    Local,
    /// All: those whose From is in no local domain are refused.
    Always,
}

/// What became of requests that needed proof, as plain numbers since the shard's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuthCounters {
    /// REGISTERs.
    pub register: AuthCounts,
    /// INVITEs.
    pub invite: AuthCounts,
    /// Others.
    pub other: AuthCounts,
}

impl AuthCounters {
    fn of(&mut self, method: Method) -> &mut AuthCounts {
        match method {
            Method::Register => &mut self.register,
            Method::Invite => &mut self.invite,
            _ => &mut self.other,
        }
    }
}

/// The same for one class of methods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuthCounts {
    /// Answered 401 or 407, whatever the reason.
    pub challenges: u64,
    /// Proven.
    pub proven: u64,
    /// With a response that is not the user's, or of a user that does not exist.
    pub wrong: u64,
    /// With a nonce that is too old, of another shard, of another address, or forgotten.
    pub stale: u64,
    /// With a count that was used before.
    pub replayed: u64,
    /// With an algorithm or qop that was not offered, a session variant, or a hashed user name.
    pub unsupported: u64,
    /// With credentials that cannot be read, or are for another user's URI.
    pub malformed: u64,
    /// Proven by one user in the name of another, or of nobody's here.
    pub forbidden: u64,
}
