//! From the section `[events]` to what the shards know of it.

use std::sync::Arc;

use router::EventsSettings;

use crate::config::{Events, Watchers};

/// The rules of event packages; `None`: there are none here.
pub(crate) fn settings(events: &Events) -> Option<Arc<EventsSettings>> {
    let settings = EventsSettings {
        min_expires_s: events.min_expires_s,
        default_expires_s: events.default_expires_s,
        max_expires_s: events.max_expires_s,
        watchers: match events.watchers {
            Watchers::Local => router::Watchers::Local,
            Watchers::Domain => router::Watchers::Domain,
            Watchers::User => router::Watchers::User,
        },
        subscriptions_per_user: events.subscriptions_per_user,
        publications: events.publications,
        publications_per_user: events.publications_per_user,
        body_bytes: events.body_bytes,
        mailboxes: events.mailboxes,
    };
    events.enabled.then(|| Arc::new(settings))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_the_routers_own() {
        let events = Events::default();
        let expected = EventsSettings::default();
        assert_eq!(settings(&events).as_deref(), Some(&expected));
        let off = Events {
            enabled: false,
            ..events
        };
        assert_eq!(settings(&off), None);
    }
}
