//! The guard of one shard: who is denied, too fast or banned, and how one comes to be banned.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use stack::Time;
use wire::{HeaderName, Message, Method};

use super::numbers::Tried;
use super::pace::{Pace, Rate};
use super::sources::{Source, Sources};
use super::{Abuse, AbuseCounters, Ban, Offence, Reaction, Standing};

/// Why a request goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// A program that looks for open servers.
    Scanner,
    /// Its source is banned.
    Banned,
    /// Its source sends too many.
    Requests,
    /// Its source calls too often.
    Calls,
}

/// What banned sources are told: once a second.
const BANNED_ANSWERS: Rate = Rate {
    per_second: 1.0,
    burst: 1,
};
/// Sixteen doublings are longer than any ban may be.
const DOUBLINGS_MAX: u8 = 16;

/// The guard. Ask it with [`Guard::judge`], tell it of refusals with [`Guard::note_failure`].
#[derive(Debug)]
pub(crate) struct Guard {
    settings: Arc<Abuse>,
    shards: u8,
    seed: u64,
    requests: Option<Pace>,
    calls: Option<Pace>,
    failures: Option<Pace>,
    answers: Pace,
    /// Bits of [`super::numbers::Tried`] that are too many.
    numbers: Option<(u32, Duration)>,
    /// Empty while nothing asks for what a source did before.
    sources: Sources,
    /// When each ban ends, the next one first.
    bans: BinaryHeap<Reverse<Time>>,
    counters: AbuseCounters,
}

impl Guard {
    /// Nobody is remembered yet.
    pub(crate) fn new(settings: Arc<Abuse>, shards: u8, seed: u64) -> Guard {
        let pace = |rate: Option<Rate>| rate.map(|rate| Pace::of(rate, shards));
        let room = if settings.remembers() {
            settings.sources
        } else {
            0
        };
        Guard {
            shards,
            seed,
            requests: pace(settings.requests),
            calls: pace(settings.calls),
            failures: pace(settings.failures),
            answers: Pace::of(BANNED_ANSWERS, shards),
            numbers: settings.numbers.map(|it| (it.bits(shards), it.window)),
            sources: Sources::new(room, settings.prefixes, seed),
            bans: BinaryHeap::new(),
            counters: AbuseCounters::default(),
            settings,
        }
    }

    /// Other settings. What is remembered of sources stays, unless there is other room for it or a source
    /// is something else now.
    pub(crate) fn set(&mut self, settings: Arc<Abuse>) {
        let room = |it: &Abuse| (it.remembers(), it.sources, it.prefixes);
        let keeps = room(&self.settings) == room(&settings);
        let fresh = Guard::new(settings, self.shards, self.seed);
        let former = std::mem::replace(self, fresh);
        self.counters = former.counters;
        if keeps {
            (self.sources, self.bans) = (former.sources, former.bans);
        }
    }

    pub(crate) fn settings(&self) -> &Abuse {
        &self.settings
    }

    pub(crate) fn counters(&self) -> AbuseCounters {
        AbuseCounters {
            banned_now: self.bans.len() as u64,
            sources: self.sources.taken as u64,
            ..self.counters
        }
    }

    /// Whether nothing this address sends is to be read. Free while nobody is denied.
    pub(crate) fn denies(&mut self, address: IpAddr) -> bool {
        let denied = self.settings.networks.of(address) == Some(Standing::Denied);
        self.counters.denied += u64::from(denied);
        denied
    }

    /// Whether the address belongs to those who are not looked at.
    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        self.settings.networks.of(address) == Some(Standing::Allowed)
    }

    /// Whether any source is banned.
    pub(crate) fn bans_any(&mut self, now: Time) -> bool {
        self.forget_ended_bans(now);
        !self.bans.is_empty()
    }

    /// Counts bans that are over no more. To be called now and then.
    pub(crate) fn forget_ended_bans(&mut self, now: Time) {
        while self.bans.peek().is_some_and(|Reverse(end)| *end <= now) {
            self.bans.pop();
        }
    }

    /// Whether what a source did before counts.
    pub(crate) fn remembers(&self) -> bool {
        self.settings.remembers()
    }

    /// Whether the request comes from a program that looks for open servers.
    pub(crate) fn is_scanner(&self, request: &Message<'_>) -> bool {
        let scanners = &self.settings.scanners;
        !scanners.is_empty()
            && (request.header(HeaderName::UserAgent)).is_some_and(|name| scanners.know(name))
    }

    /// Whether the source is banned. If so the request is counted.
    pub(crate) fn is_banned(&mut self, now: Time, address: IpAddr) -> bool {
        let banned = self.bans_any(now)
            && (self.sources.find(address)).is_some_and(|source| source.is_banned(now));
        self.counters.banned += u64::from(banned);
        banned
    }

    /// Judges a request that begins something and was not seen before.
    pub(crate) fn judge(
        &mut self,
        now: Time,
        address: IpAddr,
        method: Method,
    ) -> Result<(), Rejection> {
        let Some(source) = self.sources.take(now, address) else {
            self.counters.unremembered += 1;
            return Ok(());
        };
        let has = |pace: Option<Pace>, meter: &mut Time| pace.is_none_or(|it| it.take(meter, now));
        let (count, rejection) = if source.is_banned(now) {
            (&mut self.counters.banned, Rejection::Banned)
        } else if !has(self.requests, &mut source.requests) {
            (&mut self.counters.requests, Rejection::Requests)
        } else if method == Method::Invite && !has(self.calls, &mut source.calls) {
            (&mut self.counters.calls, Rejection::Calls)
        } else {
            return Ok(());
        };
        *count += 1;
        Err(rejection)
    }

    /// A request of a scanner was rejected.
    pub(crate) fn note_scanner(&mut self) {
        self.counters.scanner += 1;
    }

    /// What the sender of a rejected request gets.
    pub(crate) fn reaction(
        &mut self,
        now: Time,
        address: IpAddr,
        rejection: Rejection,
    ) -> Reaction {
        let (scanned, banned) = (self.settings.scanned, self.settings.banned);
        match rejection {
            Rejection::Scanner => scanned,
            Rejection::Requests => Reaction::Drop,
            Rejection::Calls => self.settings.over_calls,
            Rejection::Banned if banned == Reaction::Drop => banned,
            Rejection::Banned if self.may_tell(now, address) => banned,
            Rejection::Banned => Reaction::Drop,
        }
    }

    fn may_tell(&mut self, now: Time, address: IpAddr) -> bool {
        let source = self.sources.find(address);
        source.is_some_and(|source| self.answers.take(&mut source.answers, now))
    }

    /// A request of this source was refused; `number` is the hash of the number it was for, when that does
    /// not exist. Returns the ban it brought, if one did.
    pub(crate) fn note_failure(
        &mut self,
        now: Time,
        address: IpAddr,
        number: Option<u64>,
    ) -> Option<Ban> {
        let source = self.sources.take(now, address)?;
        if source.is_banned(now) {
            return None;
        }
        let probes = number.zip(self.numbers);
        let probes = probes
            .is_some_and(|(number, (limit, window))| source.tried.note(now, number, window, limit));
        let fails = |pace: Pace| !pace.take(&mut source.failures, now);
        let offence = if probes {
            self.counters.bans_probing += 1;
            Offence::Probing
        } else if self.failures.is_some_and(fails) {
            self.counters.bans_failures += 1;
            Offence::Failures
        } else {
            return None;
        };
        let duration = punish(source, now, &self.settings);
        let bans = source.bans;
        self.bans.push(Reverse(now + duration));
        Some(Ban {
            address,
            length: self.sources.length(address),
            offence,
            duration,
            bans,
        })
    }

    /// Another shard has banned a source.
    pub(crate) fn ban(&mut self, now: Time, ban: &Ban) {
        let Some(source) = self.sources.take(now, ban.address) else {
            return;
        };
        if !source.is_banned(now) {
            self.bans.push(Reverse(now + ban.duration));
        }
        source.bans = source.bans.max(ban.bans);
        source.banned_until = source.banned_until.max(now + ban.duration);
    }
}

/// Bans the source; for how long.
fn punish(source: &mut Source, now: Time, settings: &Abuse) -> Duration {
    if now.duration_since(source.banned_until) >= settings.ban_max {
        source.bans = 0;
    }
    let doublings = source.bans.min(DOUBLINGS_MAX);
    let duration = settings.ban.saturating_mul(1 << doublings);
    let duration = duration.min(settings.ban_max.max(settings.ban));
    source.bans = source.bans.saturating_add(1);
    source.banned_until = now + duration;
    // It begins anew when that is over.
    (source.failures, source.tried) = (Time::ZERO, Tried::default());
    duration
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abuse::Probing;

    const BAD: &str = "192.0.2.66";

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn at(s: u64) -> Time {
        Time::ZERO + Duration::from_secs(s)
    }

    fn rate(per_second: f64, burst: u32) -> Option<Rate> {
        Some(Rate { per_second, burst })
    }

    /// Two failures a minute, bans of 10 s and at most 40 s.
    fn guard() -> Guard {
        let settings = Abuse {
            failures: rate(2.0 / 60.0, 2),
            ban: Duration::from_secs(10),
            ban_max: Duration::from_secs(40),
            ..Abuse::default()
        };
        Guard::new(Arc::new(settings), 1, 7)
    }

    /// Fails until that brings a ban.
    fn earn_ban(guard: &mut Guard, now: Time) -> Ban {
        let ban = (0..100).find_map(|_| guard.note_failure(now, ip(BAD), None));
        ban.expect("a ban")
    }

    #[test]
    fn bans_grow_and_are_forgotten_after_a_quiet_time() {
        let mut guard = guard();
        let mut now = at(1000);
        for (bans, seconds) in [(1, 10), (2, 20), (3, 40), (4, 40)] {
            let ban = earn_ban(&mut guard, now);
            assert_eq!((ban.bans, ban.duration.as_secs()), (bans, seconds));
            assert!(guard.is_banned(now + Duration::from_millis(seconds * 1000 - 1), ip(BAD)));
            now = now + ban.duration;
            assert!(!guard.is_banned(now, ip(BAD)));
        }
        let ban = earn_ban(&mut guard, now + Duration::from_secs(40));
        assert_eq!((ban.bans, ban.duration.as_secs()), (1, 10));
        assert_eq!(guard.counters().bans_failures, 5);
    }

    #[test]
    fn a_ban_is_for_one_source_and_its_failures_do_not_lengthen_it() {
        let mut guard = guard();
        earn_ban(&mut guard, at(100));
        assert_eq!(guard.note_failure(at(101), ip(BAD), None), None);
        assert_eq!(
            guard.judge(at(101), ip(BAD), Method::Options),
            Err(Rejection::Banned)
        );
        assert_eq!(
            guard.judge(at(101), ip("192.0.2.67"), Method::Invite),
            Ok(())
        );
        assert_eq!(guard.counters().banned_now, 1);
        assert_eq!(guard.judge(at(110), ip(BAD), Method::Invite), Ok(()));
        assert!(!guard.bans_any(at(110)));
    }

    #[test]
    fn another_shards_ban_counts_and_the_next_one_is_longer() {
        let mut guard = guard();
        let mut other = guard_of_settings(&guard);
        let ban = earn_ban(&mut guard, at(100));
        other.ban(at(101), &ban);
        assert!(other.is_banned(at(110), ip(BAD)));
        assert!(!other.is_banned(at(111), ip(BAD)));
        assert_eq!(earn_ban(&mut other, at(112)).bans, 2);
    }

    fn guard_of_settings(guard: &Guard) -> Guard {
        Guard::new(Arc::clone(&guard.settings), 1, 8)
    }

    #[test]
    fn requests_and_calls_have_rates_of_their_own() {
        let settings = Abuse {
            requests: rate(5.0, 5),
            calls: rate(1.0, 2),
            ..Abuse::default()
        };
        let mut guard = Guard::new(Arc::new(settings), 1, 7);
        let mut judge = |method| guard.judge(at(1), ip(BAD), method);
        assert_eq!(judge(Method::Invite), Ok(()));
        assert_eq!(judge(Method::Invite), Ok(()));
        assert_eq!(judge(Method::Invite), Err(Rejection::Calls));
        assert_eq!(judge(Method::Options), Ok(()));
        assert_eq!(judge(Method::Options), Ok(()));
        assert_eq!(judge(Method::Options), Err(Rejection::Requests));
        let counters = guard.counters();
        assert_eq!((counters.calls, counters.requests), (1, 1));
    }

    #[test]
    fn banned_sources_are_told_once_a_second_at_most() {
        let settings = Abuse {
            banned: Reaction::Answer(403),
            ..Abuse::clone(guard().settings())
        };
        let mut guard = Guard::new(Arc::new(settings), 1, 7);
        earn_ban(&mut guard, at(100));
        let mut told = |now| guard.reaction(now, ip(BAD), Rejection::Banned);
        assert_eq!(told(at(101)), Reaction::Answer(403));
        assert_eq!(told(at(101)), Reaction::Drop);
        assert_eq!(told(at(102)), Reaction::Answer(403));
    }

    #[test]
    fn other_settings_leave_bans_as_they_are() {
        let mut guard = guard();
        earn_ban(&mut guard, at(100));
        let slower = Abuse {
            ban: Duration::from_secs(1),
            ..Abuse::clone(guard.settings())
        };
        guard.set(Arc::new(slower));
        assert!(guard.is_banned(at(101), ip(BAD)));
        guard.set(Arc::default());
        assert!(!guard.is_banned(at(101), ip(BAD)));
        assert_eq!(guard.counters().bans_failures, 1);
    }

    #[test]
    fn one_who_tries_many_numbers_is_banned_and_one_who_tries_one_is_not() {
        let settings = Abuse {
            numbers: Some(Probing {
                distinct: 5,
                window: Duration::from_secs(60),
            }),
            ..Abuse::default()
        };
        let mut guard = Guard::new(Arc::new(settings), 1, 7);
        let patient = ip("192.0.2.1");
        assert!((0..50).all(|_| guard.note_failure(at(100), patient, Some(3)).is_none()));
        let mut bans = (0..50).filter_map(|n| guard.note_failure(at(100), ip(BAD), Some(n)));
        assert_eq!(bans.next().map(|ban| ban.offence), Some(Offence::Probing));
    }
}
