//! The table of what became of requests that needed proof of who sent them.

use super::{Metric, kind};

const CHALLENGES: &str = "Requests answered 401 or 407 by the router itself, by method.";
const PROVEN: &str = "Requests proven to be from the user they name, by method.";
const REGISTER: &str =
    "REGISTERs whose proof failed, by reason. A first request without credentials has not.";
const INVITE: &str =
    "INVITEs whose proof failed, by reason. A first request without credentials has not.";
const OTHER: &str = "Requests of other methods whose proof failed, by reason. A first request without credentials has not.";

/// What only grows.
pub(super) const COUNTERS: &[Metric] = &[
    kind(
        "tipring_auth_challenges_total",
        ("method", "register"),
        CHALLENGES,
        |s| s.shard.auth.register.challenges,
    ),
    kind(
        "tipring_auth_proven_total",
        ("method", "register"),
        PROVEN,
        |s| s.shard.auth.register.proven,
    ),
    kind(
        "tipring_auth_challenges_total",
        ("method", "invite"),
        CHALLENGES,
        |s| s.shard.auth.invite.challenges,
    ),
    kind(
        "tipring_auth_proven_total",
        ("method", "invite"),
        PROVEN,
        |s| s.shard.auth.invite.proven,
    ),
    kind(
        "tipring_auth_challenges_total",
        ("method", "other"),
        CHALLENGES,
        |s| s.shard.auth.other.challenges,
    ),
    kind(
        "tipring_auth_proven_total",
        ("method", "other"),
        PROVEN,
        |s| s.shard.auth.other.proven,
    ),
    kind(
        "tipring_auth_failed_register_total",
        ("reason", "wrong"),
        REGISTER,
        |s| s.shard.auth.register.wrong,
    ),
    kind(
        "tipring_auth_failed_register_total",
        ("reason", "stale"),
        REGISTER,
        |s| s.shard.auth.register.stale,
    ),
    kind(
        "tipring_auth_failed_register_total",
        ("reason", "replayed"),
        REGISTER,
        |s| s.shard.auth.register.replayed,
    ),
    kind(
        "tipring_auth_failed_register_total",
        ("reason", "unsupported"),
        REGISTER,
        |s| s.shard.auth.register.unsupported,
    ),
    kind(
        "tipring_auth_failed_register_total",
        ("reason", "malformed"),
        REGISTER,
        |s| s.shard.auth.register.malformed,
    ),
    kind(
        "tipring_auth_failed_register_total",
        ("reason", "forbidden"),
        REGISTER,
        |s| s.shard.auth.register.forbidden,
    ),
    kind(
        "tipring_auth_failed_invite_total",
        ("reason", "wrong"),
        INVITE,
        |s| s.shard.auth.invite.wrong,
    ),
    kind(
        "tipring_auth_failed_invite_total",
        ("reason", "stale"),
        INVITE,
        |s| s.shard.auth.invite.stale,
    ),
    kind(
        "tipring_auth_failed_invite_total",
        ("reason", "replayed"),
        INVITE,
        |s| s.shard.auth.invite.replayed,
    ),
    kind(
        "tipring_auth_failed_invite_total",
        ("reason", "unsupported"),
        INVITE,
        |s| s.shard.auth.invite.unsupported,
    ),
    kind(
        "tipring_auth_failed_invite_total",
        ("reason", "malformed"),
        INVITE,
        |s| s.shard.auth.invite.malformed,
    ),
    kind(
        "tipring_auth_failed_invite_total",
        ("reason", "forbidden"),
        INVITE,
        |s| s.shard.auth.invite.forbidden,
    ),
    kind(
        "tipring_auth_failed_other_total",
        ("reason", "wrong"),
        OTHER,
        |s| s.shard.auth.other.wrong,
    ),
    kind(
        "tipring_auth_failed_other_total",
        ("reason", "stale"),
        OTHER,
        |s| s.shard.auth.other.stale,
    ),
    kind(
        "tipring_auth_failed_other_total",
        ("reason", "replayed"),
        OTHER,
        |s| s.shard.auth.other.replayed,
    ),
    kind(
        "tipring_auth_failed_other_total",
        ("reason", "unsupported"),
        OTHER,
        |s| s.shard.auth.other.unsupported,
    ),
    kind(
        "tipring_auth_failed_other_total",
        ("reason", "malformed"),
        OTHER,
        |s| s.shard.auth.other.malformed,
    ),
    kind(
        "tipring_auth_failed_other_total",
        ("reason", "forbidden"),
        OTHER,
        |s| s.shard.auth.other.forbidden,
    ),
];
