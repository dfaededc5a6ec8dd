//! What a shard knows for its subscribers: who they are, what waits for users and what users have published, and whose
//! state has changed. Bindings are the location service's.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use stack::Time;
use stack::timer::Fifo;

use super::package::Package;
use super::publications::{Publication, Publications, Resource};
use super::settings::EventsSettings;
use super::summary::MessageWaiting;
use crate::calls::CallId;
use crate::location::Aor;

/// What is told to other shards is told once more after this long: the first word may have been lost.
const REPEAT_AFTER: Duration = Duration::from_secs(1);

/// A publication as one shard tells it to another.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Published {
    pub(super) resource: Resource,
    pub(super) publication: Publication,
}

/// The state of all event packages on one shard.
#[derive(Debug)]
pub(crate) struct StateAgent {
    settings: Option<Arc<EventsSettings>>,
    subscribers: HashMap<Resource, Vec<CallId>>,
    mailboxes: HashMap<Aor, MessageWaiting>,
    pub(super) publications: Publications,
    repeats: Fifo<(Resource, u64)>,
    changed: VecDeque<Resource>,
}

impl StateAgent {
    pub(crate) fn new(settings: Option<Arc<EventsSettings>>) -> StateAgent {
        StateAgent {
            settings,
            subscribers: HashMap::new(),
            mailboxes: HashMap::new(),
            publications: Publications::default(),
            repeats: Fifo::new(REPEAT_AFTER),
            changed: VecDeque::new(),
        }
    }

    /// Other settings, for what is to come.
    pub(crate) fn set(&mut self, settings: Option<Arc<EventsSettings>>) {
        self.settings = settings;
    }

    pub(super) fn settings(&self) -> Option<&Arc<EventsSettings>> {
        self.settings.as_ref()
    }

    /// Publications, and users whose messages are counted, at this moment.
    pub(crate) fn sizes(&self) -> (u64, u64) {
        (self.publications.len() as u64, self.mailboxes.len() as u64)
    }

    /// Nothing is to be told to other shards once more.
    pub(crate) fn is_quiet(&self) -> bool {
        self.repeats.is_empty()
    }
}

/// Subscribers.
impl StateAgent {
    /// Whether another one may subscribe to this.
    pub(super) fn has_room(&self, resource: &Resource) -> bool {
        let limit = self.settings().map_or(0, |it| it.subscriptions_per_user);
        self.subscribers(resource).len() < limit
    }

    pub(super) fn subscribers(&self, resource: &Resource) -> &[CallId] {
        self.subscribers.get(resource).map_or(&[], Vec::as_slice)
    }

    pub(super) fn add_subscriber(&mut self, resource: &Resource, id: CallId) {
        let all = self.subscribers.entry(resource.clone());
        all.or_default().push(id);
    }

    /// True when it was the last one.
    pub(super) fn remove_subscriber(&mut self, resource: &Resource, id: CallId) -> bool {
        let Some(all) = self.subscribers.get_mut(resource) else {
            return false;
        };
        all.retain(|it| *it != id);
        let is_last = all.is_empty();
        if is_last {
            self.subscribers.remove(resource);
        }
        is_last
    }

    /// What somebody subscribes to has changed.
    pub(super) fn note(&mut self, resource: Resource) {
        if self.subscribers.contains_key(&resource) {
            self.changed.push_back(resource);
        }
    }

    /// Some users are gone: that is a change to those who subscribe to them.
    pub(super) fn note_gone(&mut self, is_gone: impl Fn(&Aor) -> bool) {
        let gone = self.subscribers.keys().filter(|(aor, _)| is_gone(aor));
        self.changed.extend(gone.cloned());
    }

    /// The next resource whose subscribers are to be told.
    pub(super) fn poll_changed(&mut self) -> Option<Resource> {
        self.changed.pop_front()
    }
}

/// Mailboxes.
impl StateAgent {
    pub(super) fn mailbox(&self, aor: &Aor) -> MessageWaiting {
        self.mailboxes.get(aor).copied().unwrap_or_default()
    }

    /// What waits for a user now; false: there is no room for another one.
    pub(super) fn set_mailbox(&mut self, aor: &Aor, waiting: Option<MessageWaiting>) -> bool {
        let limit = self.settings().map_or(0, |it| it.mailboxes);
        let before = match waiting {
            Some(_) if self.mailboxes.len() >= limit && !self.mailboxes.contains_key(aor) => {
                return false;
            }
            Some(waiting) => self.mailboxes.insert(aor.clone(), waiting),
            None => self.mailboxes.remove(aor),
        };
        if before.unwrap_or_default() != waiting.unwrap_or_default() {
            self.note((aor.clone(), Package::MessageSummary));
        }
        true
    }

    /// Forgets the mailboxes of users who are gone.
    pub(super) fn retain_mailboxes(&mut self, keeps: impl Fn(&Aor) -> bool) {
        self.mailboxes.retain(|aor, _| keeps(aor));
    }
}

/// Publications.
impl StateAgent {
    /// A publication is as told here, unless something newer is known of it.
    pub(super) fn publish(&mut self, published: &Published) {
        let Published {
            resource,
            publication,
        } = published;
        let before = self.publications.get(resource, publication.id);
        // A refresh changes nothing for those who watch.
        let shown = |it: &Publication| (it.stamp, it.body.is_some());
        let changes = before.map(shown) != Some(shown(publication));
        let is_new = self.publications.put(resource, publication.clone());
        if is_new && changes {
            self.note(resource.clone());
        }
    }

    /// Whether a publication of another shard can be kept.
    pub(super) fn takes(&self, published: &Published) -> bool {
        let limit = self.settings().map_or(0, |it| it.publications);
        let Publication { id, body, .. } = &published.publication;
        let known = self.publications.get(&published.resource, *id).is_some();
        known || body.is_none() || self.publications.len() < limit
    }

    /// It is to be told once more.
    pub(super) fn repeat(&mut self, now: Time, published: &Published) {
        let repeat = (published.resource.clone(), published.publication.id);
        self.repeats.push(now, repeat);
    }

    /// The next one that is to be told once more, as it is now.
    pub(super) fn poll_repeat(&mut self, now: Time) -> Option<Published> {
        loop {
            let (resource, id) = self.repeats.expire(now)?;
            if let Some(publication) = self.publications.get(&resource, id).cloned() {
                return Some(Published {
                    resource,
                    publication,
                });
            }
        }
    }

    /// Forgets what has ended.
    pub(super) fn expire(&mut self, now: Time) {
        while let Some((resource, ended)) = self.publications.expire(now) {
            if ended.body.is_some() {
                self.note(resource);
            }
        }
    }

    /// When to come back.
    pub(crate) fn due(&self) -> Option<Time> {
        let all = [self.publications.due(), self.repeats.next_deadline()];
        all.into_iter().flatten().min()
    }
}
