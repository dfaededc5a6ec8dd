//! What users have published (RFC 3903), as every shard holds it. A publication may be changed by whatever shard its next
//! PUBLISH comes to; which of two states is the newer one is told by the states themselves, so that all shards come to
//! hold the same whatever order they hear of them in.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use stack::Time;

use super::package::Package;
use crate::location::Aor;

/// How long the removal of a publication is remembered, so that word of it from before does not bring it back. Longer
/// than a word between shards is under way or repeated; shorter than a transaction lingers, so there are never more of
/// them than transactions.
const REMOVED_FOR: Duration = Duration::from_secs(10);

/// Whose state, and of what kind.
pub(super) type Resource = (Aor, Package);

/// The state of a publication.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Publication {
    /// The same as long as it lives.
    pub(super) id: u64,
    /// Which PUBLISH of it this is.
    pub(super) version: u64,
    /// By when its body came, and to which shard.
    pub(super) stamp: (Time, u8),
    /// What the next PUBLISH must name.
    pub(super) tag: u64,
    pub(super) expires: Time,
    /// What was published; `None`: it was removed.
    pub(super) body: Option<Arc<[u8]>>,
}

impl Publication {
    /// The same, removed.
    pub(super) fn removed(self, now: Time) -> Publication {
        Publication {
            expires: now + REMOVED_FOR,
            body: None,
            ..self
        }
    }

    fn is_newer_than(&self, other: &Publication) -> bool {
        let age = |it: &Publication| (it.version, it.body.is_none(), it.stamp, it.tag);
        age(self) > age(other)
    }

    fn is_alive(&self, now: Time) -> bool {
        self.body.is_some() && self.expires > now
    }
}

/// All publications that a shard knows.
#[derive(Debug, Default)]
pub(super) struct Publications {
    of: HashMap<Resource, Vec<Publication>>,
    expiry: BTreeSet<(Time, Resource, u64)>,
    alive: usize,
}

impl Publications {
    /// Those that were not removed.
    pub(super) fn len(&self) -> usize {
        self.alive
    }

    /// Those of one resource.
    pub(super) fn count(&self, now: Time, resource: &Resource) -> usize {
        let all = self.all(resource);
        all.iter().filter(|it| it.is_alive(now)).count()
    }

    /// The one with this tag.
    pub(super) fn find(&self, now: Time, resource: &Resource, tag: u64) -> Option<&Publication> {
        let mut all = self.all(resource).iter();
        all.find(|it| it.tag == tag && it.is_alive(now))
    }

    /// The one with this id, removed or not.
    pub(super) fn get(&self, resource: &Resource, id: u64) -> Option<&Publication> {
        self.all(resource).iter().find(|it| it.id == id)
    }

    /// The body that came last.
    pub(super) fn newest(&self, now: Time, resource: &Resource) -> Option<&Arc<[u8]>> {
        let alive = self.all(resource).iter().filter(|it| it.is_alive(now));
        alive.max_by_key(|it| it.stamp)?.body.as_ref()
    }

    /// Puts it in the place of an older state; false: what is there is as new.
    pub(super) fn put(&mut self, resource: &Resource, publication: Publication) -> bool {
        let all = self.of.entry(resource.clone()).or_default();
        let (id, expires) = (publication.id, publication.expires);
        self.alive += usize::from(publication.body.is_some());
        match all.iter_mut().find(|it| it.id == id) {
            Some(held) if !publication.is_newer_than(held) => {
                self.alive -= usize::from(publication.body.is_some());
                return false;
            }
            Some(held) => {
                let before = std::mem::replace(held, publication);
                self.alive -= usize::from(before.body.is_some());
                self.expiry.remove(&(before.expires, resource.clone(), id));
            }
            None => all.push(publication),
        }
        self.expiry.insert((expires, resource.clone(), id));
        true
    }

    /// When the next one ends.
    pub(super) fn due(&self) -> Option<Time> {
        self.expiry.first().map(|(at, ..)| *at)
    }

    /// Takes out one whose time is over.
    pub(super) fn expire(&mut self, now: Time) -> Option<(Resource, Publication)> {
        self.due().filter(|due| *due <= now)?;
        let (_, resource, id) = self.expiry.pop_first()?;
        let all = self.of.get_mut(&resource)?;
        let at = all.iter().position(|it| it.id == id)?;
        let ended = all.swap_remove(at);
        if all.is_empty() {
            self.of.remove(&resource);
        }
        self.alive -= usize::from(ended.body.is_some());
        Some((resource, ended))
    }

    fn all(&self, resource: &Resource) -> &[Publication] {
        self.of.get(resource).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    fn resource() -> Resource {
        (Aor::new("a", "h").expect("an AOR"), Package::Presence)
    }

    fn publication(id: u64, version: u64, came: u64, body: &str) -> Publication {
        Publication {
            id,
            version,
            stamp: (at(came), 0),
            tag: 100 * id + version,
            expires: at(came + 60),
            body: Some(body.as_bytes().into()),
        }
    }

    fn shown(publications: &Publications, now: u64) -> Option<&[u8]> {
        let newest = publications.newest(at(now), &resource());
        newest.map(|body| &body[..])
    }

    #[test]
    fn the_newest_body_is_shown_and_the_one_before_when_it_ends() {
        let mut all = Publications::default();
        assert!(all.put(&resource(), publication(1, 0, 10, "one")));
        assert!(all.put(&resource(), publication(2, 0, 5, "two")));
        assert_eq!(shown(&all, 11), Some(&b"one"[..]));
        let removed = publication(1, 1, 10, "").removed(at(12));
        assert!(all.put(&resource(), removed));
        assert_eq!((shown(&all, 12), all.len()), (Some(&b"two"[..]), 1));
        assert_eq!(shown(&all, 65), None);
    }

    #[test]
    fn word_from_before_brings_nothing_back() {
        let mut all = Publications::default();
        let removed = publication(1, 2, 10, "").removed(at(12));
        assert!(all.put(&resource(), removed.clone()));
        assert!(!all.put(&resource(), publication(1, 1, 10, "late")));
        assert!(!all.put(&resource(), removed));
        assert_eq!((shown(&all, 12), all.len()), (None, 0));
        assert_eq!(all.expire(at(21)), None);
        assert!(all.expire(at(22)).is_some() && all.due().is_none());
    }

    #[test]
    fn any_order_leads_to_the_same() {
        let states = [
            publication(1, 0, 1, "a"),
            publication(1, 1, 2, "b"),
            publication(1, 1, 3, "c"),
            publication(1, 2, 3, "c"),
        ];
        let mut forth = Publications::default();
        for state in states.iter().cloned() {
            forth.put(&resource(), state);
        }
        let mut back = Publications::default();
        for state in states.into_iter().rev() {
            back.put(&resource(), state);
        }
        assert_eq!(forth.get(&resource(), 1), back.get(&resource(), 1));
        assert_eq!((forth.len(), back.len(), forth.expiry.len()), (1, 1, 1));
    }

    #[test]
    fn only_the_tag_of_the_last_state_is_known() {
        let mut all = Publications::default();
        all.put(&resource(), publication(1, 0, 1, "a"));
        all.put(&resource(), publication(1, 1, 1, "b"));
        assert!(all.find(at(2), &resource(), 100).is_none());
        assert!(all.find(at(2), &resource(), 101).is_some());
        assert!(all.find(at(61), &resource(), 101).is_none());
    }
}
