//! Who is registered, as this room knows it: the registrations the shards have told of, in the order of
//! domains and users. They share the shards' memory; an entry costs little more than a pointer.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use router::Registration;

/// A registration in the order of its user.
#[derive(Debug)]
struct ByUser(Arc<Registration>);

impl Borrow<str> for ByUser {
    fn borrow(&self) -> &str {
        self.0.aor.user()
    }
}

impl Ord for ByUser {
    fn cmp(&self, other: &ByUser) -> Ordering {
        self.0.aor.user().cmp(other.0.aor.user())
    }
}

impl PartialOrd for ByUser {
    fn partial_cmp(&self, other: &ByUser) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ByUser {
    fn eq(&self, other: &ByUser) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for ByUser {}

/// All registrations.
#[derive(Debug, Default)]
pub(crate) struct Location {
    domains: BTreeMap<Box<str>, BTreeSet<ByUser>>,
    count: usize,
}

impl Location {
    /// Takes a registration over, unless a newer one is known; whether it was.
    pub(crate) fn take(&mut self, registration: Arc<Registration>) -> bool {
        let (domain, user) = (registration.aor.domain(), registration.aor.user());
        let known = self.of(domain, user).map(|known| known.version);
        if known.is_some_and(|version| version > registration.version) {
            return false;
        }
        match registration.bindings.is_empty() {
            true => self.remove(domain, user),
            false => {
                if !self.domains.contains_key(domain) {
                    self.domains.insert(domain.into(), BTreeSet::new());
                }
                let users = self.domains.get_mut(domain);
                let before = users.and_then(|users| users.replace(ByUser(registration)));
                self.count += usize::from(before.is_none());
            }
        }
        true
    }

    fn remove(&mut self, domain: &str, user: &str) {
        let Some(users) = self.domains.get_mut(domain) else {
            return;
        };
        self.count -= usize::from(users.remove(user));
        if users.is_empty() {
            self.domains.remove(domain);
        }
    }

    /// How many users are registered.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// How many users of a domain are registered.
    pub(crate) fn count_of(&self, domain: &str) -> usize {
        self.domains.get(domain).map_or(0, BTreeSet::len)
    }

    /// Where a user is; `None`: nowhere.
    pub(crate) fn of(&self, domain: &str, user: &str) -> Option<&Arc<Registration>> {
        self.domains.get(domain)?.get(user).map(|found| &found.0)
    }

    /// The registered users of a domain behind this name, in order.
    pub(crate) fn users<'l>(
        &'l self,
        domain: &str,
        after: Option<&str>,
    ) -> impl Iterator<Item = &'l Arc<Registration>> + use<'l> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let users = self.domains.get(domain);
        let users = users.map(|users| users.range::<str, _>((from, Bound::Unbounded)));
        users.into_iter().flatten().map(|found| &found.0)
    }

    /// All registered users behind this domain and user, in order.
    pub(crate) fn all<'l>(
        &'l self,
        after: Option<(&str, &str)>,
    ) -> impl Iterator<Item = &'l Arc<Registration>> + use<'l> {
        let rest = after.map(|(domain, user)| self.users(domain, Some(user)));
        let from = after.map_or(Bound::Unbounded, |(domain, _)| Bound::Excluded(domain));
        let further = self.domains.range::<str, _>((from, Bound::Unbounded));
        let further = further.flat_map(|(_, users)| users.iter().map(|found| &found.0));
        rest.into_iter().flatten().chain(further)
    }

    /// The users of this name, behind this domain and user, in order.
    pub(crate) fn named<'l>(
        &'l self,
        user: &'l str,
        after: Option<(&str, &str)>,
    ) -> impl Iterator<Item = &'l Arc<Registration>> + use<'l> {
        let from = after.map_or(Bound::Unbounded, |(domain, _)| Bound::Excluded(domain));
        let domains = self.domains.range::<str, _>((from, Bound::Unbounded));
        domains.filter_map(move |(_, users)| users.get(user).map(|found| &found.0))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use router::{Aor, Binding};
    use stack::{Flow, Time};

    pub(crate) fn registration(
        user: &str,
        domain: &str,
        version: u64,
        contacts: u16,
    ) -> Arc<Registration> {
        let binding = |n: u16| Binding {
            contact: format!("sip:{user}@192.0.2.1:{n}").into_bytes().into(),
            parameters: Box::default(),
            q: 1_000,
            instance: None,
            reg_id: None,
            call_id: b"c"[..].into(),
            cseq: 1,
            path: Box::default(),
            source: Flow {
                listener: 0,
                remote: ([192, 0, 2, 1], n).into(),
            },
            at_source: false,
            user_agent: b"phone"[..].into(),
            registered: Time::from_nanos(5_000_000_000),
            expires: Time::from_nanos(65_000_000_000),
            unanswered: 0,
            unreachable: false,
        };
        Arc::new(Registration {
            aor: Aor::new(user, domain).expect("an AOR"),
            version,
            bindings: (1..=contacts).map(binding).collect(),
        })
    }

    fn names<'l>(found: impl Iterator<Item = &'l Arc<Registration>>) -> Vec<String> {
        found.map(|one| one.aor.to_string()).collect()
    }

    #[test]
    fn users_are_in_order_and_gone_without_bindings() {
        let mut location = Location::default();
        for (user, domain) in [("2", "b"), ("1", "b"), ("9", "a"), ("10", "a")] {
            assert!(location.take(registration(user, domain, 1, 1)));
        }
        assert_eq!(location.count(), 4);
        assert_eq!(names(location.all(None)), ["10@a", "9@a", "1@b", "2@b"]);
        assert_eq!(
            names(location.all(Some(("a", "10")))),
            ["9@a", "1@b", "2@b"]
        );
        assert_eq!(names(location.all(Some(("aa", "x")))), ["1@b", "2@b"]);
        assert_eq!(names(location.users("b", Some("1"))), ["2@b"]);
        assert!(location.take(registration("9", "a", 2, 0)));
        assert!(location.take(registration("10", "a", 2, 0)));
        assert_eq!((location.count(), location.count_of("a")), (2, 0));
        assert!(location.of("a", "9").is_none() && location.of("b", "1").is_some());
    }

    #[test]
    fn an_older_word_changes_nothing() {
        let mut location = Location::default();
        location.take(registration("1", "a", 5, 2));
        assert!(!location.take(registration("1", "a", 4, 0)));
        assert_eq!(location.of("a", "1").map(|one| one.bindings.len()), Some(2));
        assert!(location.take(registration("1", "a", 6, 1)));
        assert_eq!(
            (location.count(), location.of("a", "1").unwrap().version),
            (1, 6)
        );
    }
}
