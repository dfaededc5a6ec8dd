//! Who the users are: the domains this router is registrar for, and what their users prove themselves with.
//! One immutable value for all shards; a change makes a new one that shares what stayed the same.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use hashbrown::HashMap;
use stack::digest::Algorithm;

/// How many parts the users of a domain are in: a change of one user copies one of them.
const SEGMENTS: usize = 1024;

/// H(A1) of RFC 7616 3.4.2, one for each algorithm: what is kept of a secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Credentials {
    /// MD5.
    pub md5: [u8; 16],
    /// SHA-256.
    pub sha256: [u8; 32],
    /// SHA-512/256.
    pub sha512_256: [u8; 32],
}

impl Credentials {
    /// Those of the user with this secret in clear text; the realm is the name of the user's domain, lower
    /// case (see [`Domain::name`]). The secret itself need not be kept.
    #[must_use]
    pub fn of(user: &str, realm: &str, secret: &str) -> Credentials {
        fn ha1<const N: usize>(algorithm: Algorithm, of: [&str; 3]) -> [u8; N] {
            let [user, realm, secret] = of;
            let mut bytes = [0; N];
            let sum = algorithm.ha1(user, realm, secret);
            bytes
                .iter_mut()
                .zip(sum.bytes())
                .for_each(|(to, from)| *to = *from);
            bytes
        }
        let of = [user, realm, secret];
        Credentials {
            md5: ha1(Algorithm::Md5, of),
            sha256: ha1(Algorithm::Sha256, of),
            sha512_256: ha1(Algorithm::Sha512_256, of),
        }
    }

    /// H(A1) for this algorithm.
    #[must_use]
    pub fn ha1(&self, algorithm: Algorithm) -> &[u8] {
        match algorithm {
            Algorithm::Md5 => &self.md5,
            Algorithm::Sha256 => &self.sha256,
            Algorithm::Sha512_256 => &self.sha512_256,
        }
    }
}

/// Secrets are never printed.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

/// All local domains.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Directory {
    domains: HashMap<Box<str>, Arc<Domain>>,
}

/// One local domain.
#[derive(Clone, Debug, PartialEq)]
pub struct Domain {
    /// Its name, lower case: also the digest realm.
    pub name: Box<str>,
    /// Who is told of registrations: an HTTP URL.
    pub control: Option<Box<str>>,
    users: Users,
}

type Segment = HashMap<Box<str>, Credentials>;

/// The users of a domain by name.
#[derive(Clone, Debug, Default, PartialEq)]
struct Users {
    /// Empty, or `SEGMENTS` of them.
    segments: Vec<Arc<Segment>>,
    count: usize,
}

impl Users {
    fn place(user: &str) -> usize {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(user);
        hash as usize % SEGMENTS
    }

    fn segment_mut(&mut self, user: &str) -> Option<&mut Segment> {
        if self.segments.is_empty() {
            self.segments.resize_with(SEGMENTS, Arc::default);
        }
        let segment = self.segments.get_mut(Users::place(user))?;
        Some(Arc::make_mut(segment))
    }

    fn insert(&mut self, user: &str, credentials: Credentials) {
        let before = self
            .segment_mut(user)
            .and_then(|it| it.insert(user.into(), credentials));
        self.count += usize::from(before.is_none());
    }

    fn remove(&mut self, user: &str) -> bool {
        let removed = self
            .segment_mut(user)
            .is_some_and(|it| it.remove(user).is_some());
        self.count -= usize::from(removed);
        removed
    }
}

impl Domain {
    /// A domain with these users; of two with one name the later one counts.
    pub fn new<'a>(
        name: &str,
        control: Option<&str>,
        users: impl IntoIterator<Item = (&'a str, Credentials)>,
    ) -> Domain {
        let mut domain = Domain {
            name: name.to_ascii_lowercase().into(),
            control: control.map(Into::into),
            users: Users::default(),
        };
        for (user, credentials) in users {
            domain.users.insert(user, credentials);
        }
        domain
    }

    /// The same domain with this control.
    #[must_use]
    pub fn with_control(mut self, control: Option<&str>) -> Domain {
        self.control = control.map(Into::into);
        self
    }

    /// What a user proves itself with; `None`: there is no such user.
    pub fn credentials(&self, user: &str) -> Option<&Credentials> {
        self.users.segments.get(Users::place(user))?.get(user)
    }

    /// How many users it has.
    pub fn user_count(&self) -> usize {
        self.users.count
    }

    /// The names of its users, in no order.
    pub fn users(&self) -> impl Iterator<Item = &str> {
        let segments = self.users.segments.iter();
        segments.flat_map(|segment| segment.keys().map(|name| &**name))
    }

    /// The names of its users behind this one, in an order that changes of other users do not change.
    pub fn users_after(&self, after: Option<&str>) -> impl Iterator<Item = &str> {
        let first = after.map_or(0, Users::place);
        let segments = self.users.segments.iter().skip(first).enumerate();
        segments.flat_map(move |(at, segment)| {
            let behind = after.filter(|_| at == 0);
            let names = segment.keys().map(|name| &**name);
            let mut names: Vec<&str> = names
                .filter(|name| behind.is_none_or(|after| *name > after))
                .collect();
            names.sort_unstable();
            names
        })
    }

    /// Adds a user, or changes what it proves itself with.
    pub fn put_user(&mut self, user: &str, credentials: Credentials) {
        self.users.insert(user, credentials);
    }

    /// Its users with what they prove themselves with, in no order.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Credentials)> {
        let segments = self.users.segments.iter();
        segments.flat_map(|segment| segment.iter().map(|(name, of)| (&**name, of)))
    }
}

impl Directory {
    /// The domain with this name, in any case; `None`: it is not local.
    pub fn domain(&self, name: &str) -> Option<&Arc<Domain>> {
        match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => self.domains.get(name.to_ascii_lowercase().as_str()),
            false => self.domains.get(name),
        }
    }

    /// Every domain, in no order.
    pub fn domains(&self) -> impl Iterator<Item = &Arc<Domain>> {
        self.domains.values()
    }

    /// Whether there is no domain at all.
    pub fn is_empty(&self) -> bool {
        self.domains.is_empty()
    }

    /// Adds a domain, or replaces the one of this name.
    pub fn put_domain(&mut self, domain: Domain) {
        self.domains.insert(domain.name.clone(), Arc::new(domain));
    }

    /// Removes a domain; whether it was there.
    pub fn remove_domain(&mut self, name: &str) -> bool {
        self.domains
            .remove(name.to_ascii_lowercase().as_str())
            .is_some()
    }

    /// Adds a user to a domain, or changes what it proves itself with; whether there is such a domain.
    pub fn put_user(&mut self, domain: &str, user: &str, credentials: Credentials) -> bool {
        let domain = self.domain_mut(domain);
        domain
            .map(|domain| domain.users.insert(user, credentials))
            .is_some()
    }

    /// Removes a user; whether it was there.
    pub fn remove_user(&mut self, domain: &str, user: &str) -> bool {
        let domain = self.domain_mut(domain);
        domain.is_some_and(|domain| domain.users.remove(user))
    }

    fn domain_mut(&mut self, name: &str) -> Option<&mut Domain> {
        let domain = self.domains.get_mut(name.to_ascii_lowercase().as_str())?;
        Some(Arc::make_mut(domain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(byte: u8) -> Credentials {
        Credentials {
            md5: [byte; 16],
            sha256: [byte; 32],
            sha512_256: [byte; 32],
        }
    }

    #[test]
    fn a_change_shares_what_stays_the_same_and_leaves_the_old_one_alone() {
        let users: Vec<String> = (0..5_000).map(|n| format!("u{n}")).collect();
        let mut old = Directory::default();
        let all = users.iter().map(|name| (name.as_str(), credentials(1)));
        old.put_domain(Domain::new("Example.com", None, all));
        let mut new = old.clone();
        assert!(new.put_user("EXAMPLE.com", "u7", credentials(2)));
        assert!(new.remove_user("example.com", "u8") && !new.remove_user("example.com", "u8"));
        let (old, new) = (
            old.domain("example.COM").unwrap(),
            new.domain("example.com").unwrap(),
        );
        assert_eq!((old.user_count(), new.user_count()), (5_000, 4_999));
        assert_eq!(old.credentials("u7"), Some(&credentials(1)));
        assert_eq!(new.credentials("u7"), Some(&credentials(2)));
        assert_eq!(new.credentials("u8"), None);
        let same = old.users.segments.iter().zip(&new.users.segments);
        let copied = same.filter(|(old, new)| !Arc::ptr_eq(old, new)).count();
        assert!((1..=2).contains(&copied), "{copied}");
    }

    #[test]
    fn credentials_of_a_secret_are_hashes_of_user_realm_and_secret() {
        let of = Credentials::of("Mufasa", "http-auth@example.org", "Circle of Life");
        // H(A1) of RFC 7616 3.9.1, made with another program.
        let hex = |bytes: &[u8]| {
            bytes
                .iter()
                .map(|it| format!("{it:02x}"))
                .collect::<String>()
        };
        assert_eq!(
            hex(of.ha1(Algorithm::Md5)),
            "3d78807defe7de2157e2b0b6573a855f"
        );
        assert_eq!(
            hex(of.ha1(Algorithm::Sha256)),
            "7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794232"
        );
        assert_eq!(
            hex(of.ha1(Algorithm::Sha512_256)),
            "fb174f5c3c7802721517cae13b98e2b8dae2e0118cb705d94ee29946319204ce"
        );
        assert_eq!(format!("{of:?}"), "Credentials");
    }

    #[test]
    fn users_are_paged_while_others_change() {
        let mut domain = Domain::new("a", None, []);
        let names: Vec<String> = (0..3_000).map(|n| n.to_string()).collect();
        names
            .iter()
            .for_each(|name| domain.put_user(name, credentials(1)));
        let mut seen = Vec::new();
        while let page @ [.., last] = &*domain
            .users_after(seen.last().map(String::as_str))
            .take(7)
            .map(str::to_owned)
            .collect::<Vec<_>>()
        {
            seen.extend_from_slice(page);
            domain.put_user(&format!("more{last}"), credentials(1));
        }
        seen.retain(|name| !name.starts_with("more"));
        seen.sort_unstable_by_key(|name| name.parse::<u32>().unwrap());
        assert_eq!(seen, names);
    }

    #[test]
    fn domains_come_and_go() {
        let mut directory = Directory::default();
        assert!(!directory.put_user("a", "u", credentials(0)));
        directory.put_domain(Domain::new("a", Some("http://h:1"), []));
        assert!(directory.put_user("A", "u", credentials(0)));
        assert_eq!(
            directory.domain("a").unwrap().users().collect::<Vec<_>>(),
            ["u"]
        );
        assert!(directory.remove_domain("A") && directory.is_empty());
    }
}
