//! The section `[abuse]`: who is not heard, how much others may ask, and how long who asks for the wrong things
//! is banned.

use garde::Validate;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::Broken;
use super::schema::{DAY_S, within};
use super::value::Network;

/// Requests from those who are not known to mean well, by where they come from. Exempt are `allow`, peers of
/// class "trunk" and the application server.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Abuse {
    /// Networks that are never limited or banned. Of `allow` and `deny` the longest prefix counts.
    #[garde(length(max = 65_536))]
    pub(crate) allow: Vec<Network>,
    /// Networks from which nothing is read.
    #[garde(length(max = 65_536))]
    pub(crate) deny: Vec<Network>,
    /// Requests a second of one source that begin something; what comes beyond is dropped. 0: any number.
    #[garde(custom(within(0, RATE_MAX)))]
    pub(crate) requests_per_s: u32,
    /// How many of them at once. 0: those of two seconds.
    #[garde(custom(within(0, RATE_MAX)))]
    pub(crate) requests_burst: u32,
    /// Of these, calls. 0: any number.
    #[garde(custom(within(0, RATE_MAX)))]
    pub(crate) calls_per_s: u32,
    /// How many of them at once. 0: those of two seconds.
    #[garde(custom(within(0, RATE_MAX)))]
    pub(crate) calls_burst: u32,
    /// What a call beyond that gets.
    #[garde(skip)]
    pub(crate) over_calls: Answer,
    /// A source that has more requests refused with 4xx is banned. 0: none is.
    #[garde(custom(within(0, RATE_MAX)))]
    pub(crate) failures_per_minute: u32,
    /// A source that calls so many different numbers that do not exist within `probing_window_s` is banned.
    /// 0: none is.
    #[garde(custom(within(0, shard::Probing::DISTINCT_MAX as u64)))]
    pub(crate) probed_numbers: u32,
    /// See `probed_numbers`.
    #[garde(custom(within(1, DAY_S)))]
    pub(crate) probing_window_s: u64,
    /// How long the first ban lasts; each further one twice as long.
    #[garde(custom(within(1, DAY_S)))]
    pub(crate) ban_s: u64,
    /// But never longer than this. Who did nothing for so long after a ban begins with `ban_s` again.
    #[garde(custom(within(1, DAY_S)))]
    pub(crate) ban_max_s: u64,
    /// What a banned source gets, at most once a second.
    #[garde(skip)]
    pub(crate) banned: Answer,
    /// Whether the well-known programs that look for open servers are turned away, by their User-Agent.
    #[garde(skip)]
    pub(crate) known_scanners: bool,
    /// Further such programs: parts of their User-Agent, in any case.
    #[garde(length(max = 256), inner(length(min = 3, max = 64), ascii))]
    pub(crate) scanner_user_agents: Vec<String>,
    /// What they get.
    #[garde(skip)]
    pub(crate) scanners: Answer,
    /// So many bits of an IPv4 address make a source.
    #[garde(custom(within(8, 32)))]
    pub(crate) prefix_ipv4: u8,
    /// So many bits of an IPv6 address make a source.
    #[garde(custom(within(16, 128)))]
    pub(crate) prefix_ipv6: u8,
    /// Sources each shard remembers, 80 bytes each; beyond them those that matter least are forgotten.
    #[garde(custom(within(8, 16_777_216)))]
    pub(crate) sources_max: usize,
    /// Whether a refused INVITE is answered once for each time it comes, not until its ACK comes.
    #[garde(skip)]
    pub(crate) refuse_once: bool,
}

const RATE_MAX: u64 = 1_000_000;

impl Default for Abuse {
    fn default() -> Self {
        Abuse {
            allow: Vec::new(),
            deny: Vec::new(),
            requests_per_s: 0,
            requests_burst: 0,
            calls_per_s: 0,
            calls_burst: 0,
            over_calls: Answer::Unavailable,
            failures_per_minute: 0,
            probed_numbers: 0,
            probing_window_s: 60,
            ban_s: 60,
            ban_max_s: 3_600,
            banned: Answer::Drop,
            known_scanners: true,
            scanner_user_agents: Vec::new(),
            scanners: Answer::Drop,
            prefix_ipv4: 32,
            prefix_ipv6: 64,
            sources_max: 16_384,
            refuse_once: true,
        }
    }
}

/// What somebody gets who is not wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) enum Answer {
    /// Nothing.
    #[serde(rename = "drop")]
    Drop,
    /// 403 (Forbidden).
    #[serde(rename = "403")]
    Forbidden,
    /// 503 (Service Unavailable) with Retry-After.
    #[serde(rename = "503")]
    Unavailable,
    /// 603 (Decline).
    #[serde(rename = "603")]
    Decline,
}

impl From<Answer> for shard::Reaction {
    fn from(answer: Answer) -> shard::Reaction {
        match answer {
            Answer::Drop => shard::Reaction::Drop,
            Answer::Forbidden => shard::Reaction::Answer(403),
            Answer::Unavailable => shard::Reaction::Answer(503),
            Answer::Decline => shard::Reaction::Answer(603),
        }
    }
}

/// Rules that need more than one key.
pub(super) fn check(abuse: &Abuse, broken: &mut Vec<Broken>) {
    if abuse.ban_max_s < abuse.ban_s {
        let message = format!("must not be less than abuse.ban_s, {}", abuse.ban_s);
        broken.push(("abuse.ban_max_s".into(), message));
    }
    let allowed: Vec<IpNet> = abuse
        .allow
        .iter()
        .map(|network| network.0.trunc())
        .collect();
    for (index, denied) in abuse.deny.iter().enumerate() {
        if allowed.contains(&denied.0.trunc()) {
            let message = format!("{denied} is also in abuse.allow");
            broken.push((format!("abuse.deny[{index}]"), message));
        }
    }
}
