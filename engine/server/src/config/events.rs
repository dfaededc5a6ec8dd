//! The section `[events]`: what users of local domains subscribe to and publish.

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::Broken;
use super::schema::within;

/// Event packages of the users of local domains: reg (RFC 3680), message-summary (RFC 3842), presence (RFC 3856) and dialog
/// (RFC 4235), the last two as published (RFC 3903).
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Events {
    /// SUBSCRIBE and PUBLISH for these users are answered here. Off: they are passed on like all others.
    #[garde(skip)]
    pub(crate) enabled: bool,
    /// Who may subscribe to presence and dialog of a user: "local" users all, those of the same "domain", the "user" alone.
    #[garde(skip)]
    pub(crate) watchers: Watchers,
    /// Who wants to subscribe or publish for less gets 423 with this Min-Expires.
    #[garde(custom(within(1, EXPIRES_MAX_S)))]
    pub(crate) min_expires_s: u32,
    /// How long a subscription or publication lives that does not say.
    #[garde(custom(within(1, EXPIRES_MAX_S)))]
    pub(crate) default_expires_s: u32,
    /// The longest one: who asks for more is told this.
    #[garde(custom(within(1, EXPIRES_MAX_S)))]
    pub(crate) max_expires_s: u32,
    /// Subscriptions to one package of one user on one shard: each change is a NOTIFY to all of them.
    #[garde(custom(within(1, 100_000)))]
    pub(crate) subscriptions_per_user: usize,
    /// Publications at once. Every shard keeps all of them.
    #[garde(custom(within(1, 10_000_000)))]
    pub(crate) publications: usize,
    /// Publications of one package of one user.
    #[garde(custom(within(1, 1_000)))]
    pub(crate) publications_per_user: usize,
    /// The longest body of a publication, bytes: more gets 413.
    #[garde(custom(within(1, 65_535)))]
    pub(crate) body_bytes: usize,
    /// Users whose messages are counted.
    #[garde(custom(within(1, 10_000_000)))]
    pub(crate) mailboxes: usize,
}

/// RFC 3261 20.19: up to 2^32-1.
const EXPIRES_MAX_S: u64 = u32::MAX as u64;

impl Default for Events {
    fn default() -> Self {
        Events {
            enabled: true,
            watchers: Watchers::Local,
            min_expires_s: 60,
            default_expires_s: 3_600,
            max_expires_s: 7_200,
            subscriptions_per_user: 500,
            publications: 100_000,
            publications_per_user: 8,
            body_bytes: 16_384,
            mailboxes: 1_000_000,
        }
    }
}

/// Who may subscribe to the presence and dialogs of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Watchers {
    /// Every user of a local domain.
    Local,
    /// Users of the same domain.
    Domain,
    /// Nobody but the user.
    User,
}

/// Rules that need more than one key.
pub(super) fn check(events: &Events, broken: &mut Vec<Broken>) {
    let order = [
        (
            "default_expires_s",
            events.default_expires_s,
            "min_expires_s",
            events.min_expires_s,
        ),
        (
            "max_expires_s",
            events.max_expires_s,
            "default_expires_s",
            events.default_expires_s,
        ),
    ];
    for (key, value, below, least) in order {
        if value < least {
            let message = format!("must not be below {below}, which is {least}");
            broken.push((format!("events.{key}"), message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_intervals_are_in_order() {
        let broken = |default_expires_s, max_expires_s| {
            let events = Events {
                default_expires_s,
                max_expires_s,
                ..Events::default()
            };
            let mut broken = Vec::new();
            check(&events, &mut broken);
            let keys = broken.into_iter().map(|(key, _)| key);
            keys.collect::<Vec<_>>()
        };
        assert_eq!(broken(60, 60), [""; 0]);
        assert_eq!(
            broken(59, 58),
            ["events.default_expires_s", "events.max_expires_s"]
        );
    }
}
