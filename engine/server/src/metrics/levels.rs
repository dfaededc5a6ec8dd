//! The table of what goes up and down.

use super::{Metric, count, kind};

const STATE: &str = "Calls in progress, by state: answered, or early: those not answered yet, or ending unanswered.";

/// Calls that were answered and have not ended.
fn answered(shard: &shard::Counters) -> u64 {
    shard.calls_answered.saturating_sub(shard.calls_ended)
}

/// What goes up and down.
pub(super) const LEVELS: &[Metric] = &[
    count(
        "tipring_overloaded",
        "1 while new calls are limited because the shard has more to do than it can.",
        |s| s.shard.admission.overloaded,
    ),
    count(
        "tipring_admission_rate",
        "New calls a second that are taken while overloaded; 0 while all are.",
        |s| s.shard.admission.rate,
    ),
    count(
        "tipring_sieving",
        "1 while a sieve in the kernel leaves out some of the new calls; they count as kernel drops.",
        |s| s.shard.admission.sieving,
    ),
    count(
        "tipring_behind_us",
        "Microseconds the shard had worked without a free moment when this was published.",
        |s| s.shard.admission.behind_us,
    ),
    count(
        "tipring_limiting_servers",
        "Servers that have lately asked for fewer calls (RFC 7339).",
        |s| s.shard.limiting_servers,
    ),
    count("tipring_abuse_banned", "Sources that are banned.", |s| {
        s.shard.abuse.banned_now
    }),
    count(
        "tipring_abuse_sources",
        "Sources remembered for [abuse]; abuse.sources_max is their bound.",
        |s| s.shard.abuse.sources,
    ),
    count(
        "tipring_auth_nonces",
        "Nonces in use; auth.nonces_max is the bound of each shard.",
        |s| s.shard.nonces,
    ),
    count("tipring_calls", "Calls in progress.", |s| s.shard.calls),
    kind(
        "tipring_calls_by_state",
        ("state", "answered"),
        STATE,
        |s| answered(&s.shard),
    ),
    kind("tipring_calls_by_state", ("state", "early"), STATE, |s| {
        s.shard.calls.saturating_sub(answered(&s.shard))
    }),
    count(
        "tipring_busy_permille",
        "Thousandths of the last second in which the shard had something to do.",
        |s| s.pace.busy_permille,
    ),
    count(
        "tipring_subscriptions",
        "Subscriptions in progress outside calls.",
        |s| s.shard.subscriptions,
    ),
    count(
        "tipring_publications",
        "Publications of users. Every shard knows all of them: the shards' numbers agree, and do not add up.",
        |s| s.shard.events.publications,
    ),
    count(
        "tipring_mailboxes",
        "Users whose messages are counted. Every shard knows all of them: the shards' numbers agree, and do not add up.",
        |s| s.shard.events.mailboxes,
    ),
    count(
        "tipring_registrations",
        "Users with bindings. Every shard knows all of them: the shards' numbers agree, and do not add up.",
        |s| s.shard.location.registrations,
    ),
    count(
        "tipring_bindings",
        "Bindings of users. Every shard knows all of them: the shards' numbers agree, and do not add up.",
        |s| s.shard.location.bindings,
    ),
    count(
        "tipring_location_unconfirmed",
        "Changes of bindings that this shard has ordered and not every other shard has confirmed.",
        |s| s.shard.location.unconfirmed,
    ),
    count(
        "tipring_server_transactions",
        "Server transactions alive.",
        |s| s.shard.server_transactions,
    ),
    count(
        "tipring_client_transactions",
        "Client transactions alive.",
        |s| s.shard.client_transactions,
    ),
    count("tipring_media_streams", "Media streams open.", |s| {
        s.shard.media.streams
    }),
    count(
        "tipring_media_port_pairs_used",
        "Media port pairs in use.",
        |s| s.shard.media.pairs_used,
    ),
    count(
        "tipring_media_port_pairs",
        "Media port pairs there are.",
        |s| s.shard.media.pairs,
    ),
    count(
        "tipring_application_server_up",
        "0 while the application server is down, else 1, also without one.",
        |s| s.shard.application_server_up,
    ),
];
