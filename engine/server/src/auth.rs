//! From the section `[auth]` to what the shards know of it.

use std::sync::Arc;
use std::time::Duration;

use router::Policy;

use crate::config::{Algorithm, Auth, AuthDomain, Demand, Qop};

/// Who must prove who he is, and how.
pub(crate) fn rules(auth: &Auth) -> Arc<router::Auth> {
    let trusted = auth.trusted.iter();
    let trusted = trusted.map(|network| (network.0.addr(), network.0.prefix_len(), ()));
    let policy = Policy {
        algorithms: algorithms(&auth.algorithms),
        qop: qop(&auth.qop),
        register: auth.register,
        requests: auth.requests.into(),
    };
    let domains = auth.domain.iter();
    let domains = domains.map(|domain| {
        let name = domain.name.to_ascii_lowercase().into();
        (name, policy_of(domain, &policy))
    });
    Arc::new(router::Auth {
        domains: domains.collect(),
        policy,
        trusted: router::Networks::new(trusted),
        nonce_lifetime: Duration::from_secs(auth.nonce_lifetime_s),
        nonces: auth.nonces_max,
    })
}

fn policy_of(domain: &AuthDomain, default: &Policy) -> Policy {
    let own_algorithms = domain.algorithms.as_deref().map(algorithms);
    let own_qop = domain.qop.as_deref().map(qop);
    Policy {
        algorithms: own_algorithms.unwrap_or_else(|| default.algorithms.clone()),
        qop: own_qop.unwrap_or_else(|| default.qop.clone()),
        register: domain.register.unwrap_or(default.register),
        requests: domain
            .requests
            .map_or(default.requests, router::Demand::from),
    }
}

fn algorithms(names: &[Algorithm]) -> Vec<stack::digest::Algorithm> {
    let algorithm = |name: &Algorithm| match name {
        Algorithm::Md5 => stack::digest::Algorithm::Md5,
        Algorithm::Sha256 => stack::digest::Algorithm::Sha256,
        Algorithm::Sha512_256 => stack::digest::Algorithm::Sha512_256,
    };
    names.iter().map(algorithm).collect()
}

fn qop(names: &[Qop]) -> Vec<stack::digest::Qop> {
    let qop = |name: &Qop| match name {
        Qop::Auth => stack::digest::Qop::Auth,
        Qop::AuthInt => stack::digest::Qop::AuthInt,
    };
    names.iter().map(qop).collect()
}

impl From<Demand> for router::Demand {
    fn from(demand: Demand) -> router::Demand {
        match demand {
            Demand::Never => router::Demand::Never,
            Demand::Local => router::Demand::Local,
            Demand::Always => router::Demand::Always,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_differs_in_what_it_says_alone() {
        let text = "trusted = [\"192.0.2.0/24\"]\nnonce_lifetime_s = 60\n\
                    [[domain]]\nname = \"Example.com\"\nalgorithms = [\"SHA-512-256\"]\n\
                    [[domain]]\nname = \"other\"\nqop = [\"auth-int\", \"auth\"]\nrequests = \"never\"\n\
                    register = false\n";
        let auth: Auth = toml::from_str(text).expect("a section");
        let rules = rules(&auth);
        let first = &rules.domains["example.com"];
        assert_eq!(first.algorithms, [stack::digest::Algorithm::Sha512_256]);
        let expected = Policy {
            algorithms: first.algorithms.clone(),
            ..Policy::default()
        };
        assert_eq!(*first, expected);
        let other = Policy {
            qop: vec![stack::digest::Qop::AuthInt, stack::digest::Qop::Auth],
            requests: router::Demand::Never,
            register: false,
            ..Policy::default()
        };
        assert_eq!(rules.domains["other"], other);
        assert_eq!(rules.policy, Policy::default());
        assert_eq!(rules.nonce_lifetime, Duration::from_secs(60));
        let trusted = |text: &str| rules.trusted.of(text.parse().expect("an address"));
        assert_eq!(
            (trusted("192.0.2.9"), trusted("192.0.3.9")),
            (Some(()), None)
        );
    }

    #[test]
    fn what_is_not_written_is_as_the_router_has_it() {
        let (written, default) = (rules(&Auth::default()), router::Auth::default());
        assert_eq!(written.policy, default.policy);
        assert_eq!(written.nonce_lifetime, default.nonce_lifetime);
        assert_eq!(written.nonces, default.nonces);
    }
}
