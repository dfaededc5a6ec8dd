//! Who asks too much, or for what nobody asks who means well: requests that begin something are looked at
//! here before they cost a transaction, by where they come from. What a request means is not known here,
//! and calls in progress never come here.

pub(crate) mod entrance;
mod guard;
mod networks;
mod numbers;
mod pace;
mod scanners;
mod sources;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

pub(crate) use self::guard::{Guard, Rejection};
pub use self::networks::Networks;
pub use self::numbers::Probing;
pub use self::pace::Rate;
pub use self::scanners::Scanners;

/// What is asked of those who are not known to mean well. Rates are of all shards together, each applies
/// its part: a source's requests are spread over the shards by their Call-ID.
#[derive(Clone, Debug)]
pub struct Abuse {
    /// Networks that are treated apart from all others; the longest prefix counts.
    pub networks: Networks<Standing>,
    /// Requests of a source that begin something; what comes beyond is dropped.
    pub requests: Option<Rate>,
    /// Of these, calls.
    pub calls: Option<Rate>,
    /// What a call beyond that gets.
    pub over_calls: Reaction,
    /// Requests of a source that were refused with 4xx; who has more is banned.
    pub failures: Option<Rate>,
    /// Different numbers that do not exist; who calls so many is banned.
    pub numbers: Option<Probing>,
    /// Programs that look for open servers.
    pub scanners: Scanners,
    /// What they get.
    pub scanned: Reaction,
    /// What a banned source gets, at most once a second; all else is dropped.
    pub banned: Reaction,
    /// How long a first ban lasts. Each further one lasts twice as long as the one before it.
    pub ban: Duration,
    /// But no longer than this, and who did nothing for so long after it is as good as new.
    pub ban_max: Duration,
    /// So many bits of an IPv4 address, and of an IPv6 address, make a source.
    pub prefixes: (u8, u8),
    /// Sources remembered by each shard.
    pub sources: usize,
    /// A refused INVITE is answered once for each time it comes, instead of until its ACK comes: its
    /// source address may be another's (RFC 3261 26.3.2.4).
    pub refuse_once: bool,
}

impl Default for Abuse {
    fn default() -> Abuse {
        Abuse {
            networks: Networks::default(),
            requests: None,
            calls: None,
            over_calls: Reaction::Answer(503),
            failures: None,
            numbers: None,
            scanners: Scanners::new(Scanners::KNOWN),
            scanned: Reaction::Drop,
            banned: Reaction::Drop,
            ban: Duration::from_secs(60),
            ban_max: Duration::from_secs(3_600),
            prefixes: (32, 64),
            sources: 16_384,
            refuse_once: true,
        }
    }
}

impl Abuse {
    /// Whether anything asks for what a source did before.
    pub(crate) fn remembers(&self) -> bool {
        let rates = [self.requests, self.calls, self.failures];
        rates.iter().any(Option::is_some) || self.numbers.is_some()
    }
}

/// How a network is treated that is not treated as all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is not counted, limited or banned.
    Allowed,
    /// Nothing it sends is read.
    Denied,
}

/// What somebody gets who is not wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Nothing.
    Drop,
    /// A response with this code.
    Answer(u16),
}

/// Why a source was banned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offence {
    /// Too many of its requests were refused.
    Failures,
    /// It called too many numbers that do not exist.
    Probing,
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Offence::Failures => "too many refused requests",
            Offence::Probing => "too many numbers that do not exist",
        })
    }
}

/// A ban, as shards tell each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ban {
    /// An address of the source.
    pub address: IpAddr,
    /// The length of the prefix that is banned, bits.
    pub length: u8,
    /// Why.
    pub offence: Offence,
    /// For how long.
    pub duration: Duration,
    /// Bans in a row, this one included.
    pub bans: u8,
}

/// What was turned away so far, as plain numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AbuseCounters {
    /// Datagrams of denied networks.
    pub denied: u64,
    /// Requests beyond their source's rate.
    pub requests: u64,
    /// Calls beyond their source's rate.
    pub calls: u64,
    /// Requests of programs that look for open servers.
    pub scanner: u64,
    /// Requests of banned sources.
    pub banned: u64,
    /// Bans because of refused requests.
    pub bans_failures: u64,
    /// Bans because of numbers that do not exist.
    pub bans_probing: u64,
    /// Sources banned at this moment.
    pub banned_now: u64,
    /// Sources remembered at this moment.
    pub sources: u64,
    /// Requests whose source found no place to be remembered in.
    pub unremembered: u64,
}
