//! The judge of one shard: whether a request's credentials prove that its sender knows a user's secret.

use std::net::IpAddr;
use std::sync::Arc;

use stack::Time;
use stack::digest::{Algorithm, Context, Hex, Nonces, Proof, Qop, Secret, Use, Used, Windows};
use wire::{DigestCredentials, HeaderName, Message, Uri};

use super::{Auth, AuthCounters, Policy};
use crate::directory::{Credentials, Domain};

/// Why a request is not proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It has no credentials for this realm.
    Absent,
    /// Its credentials cannot be read, or are for another user's URI.
    Malformed,
    /// They are made in a way that was not offered.
    Unsupported,
    /// Their nonce is not, or no longer, good here.
    Stale,
    /// There is no such user, or this is not its secret.
    Wrong,
    /// Their nonce was used with this count before.
    Replayed,
}

/// The rules and what is remembered of nonces.
#[derive(Debug)]
pub(crate) struct Verifier {
    pub(super) rules: Arc<Auth>,
    nonces: Nonces,
    windows: Windows,
    /// Stands in for a user that does not exist, so that as much is done for it as for one that does.
    nobody: Credentials,
    pub(super) counters: AuthCounters,
}

impl Verifier {
    pub(crate) fn new(rules: Arc<Auth>, secret: Secret, shard: u8) -> Verifier {
        Verifier {
            nobody: nobody(&secret),
            nonces: Nonces::new(secret, shard, rules.nonce_lifetime),
            windows: Windows::new(rules.nonces),
            counters: AuthCounters::default(),
            rules,
        }
    }

    /// Other rules. What is remembered of nonces stays.
    pub(crate) fn set(&mut self, rules: Arc<Auth>) {
        if rules.nonce_lifetime != self.rules.nonce_lifetime {
            self.nonces.set_lifetime(rules.nonce_lifetime);
        }
        self.windows.set_limit(rules.nonces);
        self.rules = rules;
    }

    pub(crate) fn counters(&self) -> AuthCounters {
        self.counters
    }

    /// Nonces whose counts are remembered.
    pub(crate) fn nonces(&self) -> usize {
        self.windows.len()
    }

    pub(super) fn give_nonce(&mut self, now: Time, context: Context<'_>) -> Hex {
        self.nonces.give(now, context)
    }

    /// The user of this domain that the request proves to be from.
    pub(super) fn judge(
        &mut self,
        now: Time,
        source: IpAddr,
        domain: &Domain,
        request: &Message<'_>,
    ) -> Result<String, Failure> {
        let given = credentials(domain, request)?;
        let policy = self.rules.policy_of(&domain.name);
        let (algorithm, usage) = usage(policy, &given).ok_or(Failure::Unsupported)?;
        // Before the secret is looked at: nothing said of a nonce tells anything of a user.
        let realm = &domain.name;
        let nonce = self
            .nonces
            .number(now, Context { source, realm }, given.nonce.raw());
        let nonce = nonce.ok_or(Failure::Stale)?;
        if !is_for_same_user(&given, request) {
            return Err(Failure::Malformed);
        }
        let proof = Proof {
            algorithm,
            method: request.method_token(),
            uri: given.uri.raw(),
            nonce: given.nonce.raw(),
            usage,
            body: request.body(),
        };
        let user = given.username.bytes().collect();
        let user = String::from_utf8(user).unwrap_or_default();
        if !self.knows(domain, &user, &proof, given.response.raw()) {
            return Err(Failure::Wrong);
        }
        // Only who knows the secret spends counts. Without qop there is none: such a nonce is good once.
        let count = usage.map_or(Some(1), |_| given.nonce_count());
        match self.windows.take(nonce, count.unwrap_or(0)) {
            Ok(()) => Ok(user),
            Err(Used::Replayed) => Err(Failure::Replayed),
            Err(Used::Forgotten) => Err(Failure::Stale),
        }
    }

    /// The same is hashed and compared whether there is such a user or not.
    fn knows(&self, domain: &Domain, user: &str, proof: &Proof<'_>, response: &[u8]) -> bool {
        let known = domain.credentials(user);
        let ha1 = known.unwrap_or(&self.nobody).ha1(proof.algorithm);
        proof.is_given(ha1, response) && known.is_some()
    }
}

fn nobody(secret: &Secret) -> Credentials {
    let sha256 = secret.derive(b"nobody");
    let mut md5 = [0; 16];
    md5.iter_mut().zip(sha256).for_each(|(to, from)| *to = from);
    Credentials {
        md5,
        sha256,
        sha512_256: sha256,
    }
}

/// The credentials for this realm: of two the first. RFC 8760 2.7: those without a nonce are no more than the
/// sender's name, for it has not been challenged yet.
fn credentials<'m>(
    domain: &Domain,
    request: &Message<'m>,
) -> Result<DigestCredentials<'m>, Failure> {
    let mut failure = Failure::Absent;
    for name in [HeaderName::Authorization, HeaderName::ProxyAuthorization] {
        for line in request.lines(name) {
            match DigestCredentials::parse(line.value) {
                Ok(Some(given)) if given.realm.is(domain.name.as_bytes()) => {
                    return match given.nonce.raw() {
                        b"" => Err(Failure::Absent),
                        _ => Ok(given),
                    };
                }
                Ok(_) => {}
                Err(_) => failure = Failure::Malformed,
            }
        }
    }
    Err(failure)
}

/// The algorithm and the use of the nonce, when that is as offered.
fn usage<'m>(
    policy: &Policy,
    given: &DigestCredentials<'m>,
) -> Option<(Algorithm, Option<Use<'m>>)> {
    let algorithm = match given.algorithm {
        // RFC 7616 3.4: MD5 when there is none.
        None => Algorithm::Md5,
        Some(name) => Algorithm::named(name.raw())?,
    };
    if given.userhash || !policy.algorithms.contains(&algorithm) {
        return None;
    }
    let Some(token) = given.qop else {
        // RFC 8760 2.6 (8): those of RFC 3261 may leave it out.
        return policy.qop.contains(&Qop::Auth).then_some((algorithm, None));
    };
    let qop = Qop::named(token.raw()).filter(|qop| policy.qop.contains(qop))?;
    let usage = Use {
        qop,
        token: token.raw(),
        nc: given.nc?,
        cnonce: given.cnonce?.raw(),
    };
    Some((algorithm, Some(usage)))
}

/// RFC 8760 2.6 (6) lets proxies change the Request-URI on the way. Its user must not have changed: else who
/// hears credentials could call somebody else with them. Some senders (sipp) name no user, but the host alone.
fn is_for_same_user(given: &DigestCredentials<'_>, request: &Message<'_>) -> bool {
    match (
        Uri::parse(given.uri.raw()),
        Uri::parse(request.request_uri()),
    ) {
        (Ok(given), Ok(asked)) => given.user.is_empty() || given.user == asked.user,
        _ => false,
    }
}
