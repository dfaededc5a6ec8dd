//! Bans, told to the other shards and to the log; and the rules of `[abuse]` as a shard is given them.

use std::sync::Arc;
use std::time::Duration;

use reactor::mailbox::Sender;
use shard::{Ban, Command, Networks, Probing, Rate, Scanners, Standing};
use stack::Time;

use crate::config::{Abuse, Network};
use crate::letter::Letter;

/// A flood of bans is one line in this time.
const LOG_EVERY: Duration = Duration::from_secs(1);

/// The log of one shard's bans.
#[derive(Debug, Default)]
pub(crate) struct BanLog {
    next: Time,
    unsaid: u64,
}

impl BanLog {
    /// Tells of a ban: each of the `neighbours`, who may not see what earned it, and the log. Who does not hear
    /// it, because the mailbox is full, sees for itself.
    pub(crate) fn tell(
        &mut self,
        shard: u8,
        now: Time,
        ban: Ban,
        neighbours: &mut [Option<Sender<Letter>>],
    ) {
        for neighbour in neighbours.iter_mut().flatten() {
            let _ = neighbour.send(Letter::Command(Command::Ban(ban)));
        }
        if let Some(unsaid) = self.may_say(now) {
            let (address, length, seconds) = (ban.address, ban.length, ban.duration.as_secs());
            tracing::warn!(
                shard, source = %format_args!("{address}/{length}"), reason = %ban.offence, seconds,
                bans_in_a_row = ban.bans, unsaid, "source banned"
            );
        }
    }

    /// How many were not said since the last that was; `None` when this one is not to be, either.
    fn may_say(&mut self, now: Time) -> Option<u64> {
        if now < self.next {
            self.unsaid += 1;
            return None;
        }
        self.next = now + LOG_EVERY;
        Some(std::mem::take(&mut self.unsaid))
    }
}

/// The rules as shards know them.
pub(crate) fn rules(abuse: &Abuse) -> Arc<shard::Abuse> {
    let seconds = Duration::from_secs;
    Arc::new(shard::Abuse {
        networks: networks(abuse),
        requests: rate(abuse.requests_per_s, abuse.requests_burst),
        calls: rate(abuse.calls_per_s, abuse.calls_burst),
        over_calls: abuse.over_calls.into(),
        failures: failures(abuse.failures_per_minute),
        numbers: (abuse.probed_numbers > 0).then(|| Probing {
            distinct: abuse.probed_numbers,
            window: seconds(abuse.probing_window_s),
        }),
        scanners: scanners(abuse),
        scanned: abuse.scanners.into(),
        banned: abuse.banned.into(),
        ban: seconds(abuse.ban_s),
        ban_max: seconds(abuse.ban_max_s),
        prefixes: (abuse.prefix_ipv4, abuse.prefix_ipv6),
        sources: abuse.sources_max,
        refuse_once: abuse.refuse_once,
    })
}

fn networks(abuse: &Abuse) -> Networks<Standing> {
    let stand = |Network(net): &Network, standing| (net.addr(), net.prefix_len(), standing);
    let allowed = (abuse.allow.iter()).map(|network| stand(network, Standing::Allowed));
    let denied = (abuse.deny.iter()).map(|network| stand(network, Standing::Denied));
    Networks::new(allowed.chain(denied))
}

fn scanners(abuse: &Abuse) -> Scanners {
    let known = Scanners::KNOWN.iter().filter(|_| abuse.known_scanners);
    let further = abuse.scanner_user_agents.iter().map(String::as_str);
    Scanners::new(known.copied().chain(further))
}

fn rate(per_second: u32, burst: u32) -> Option<Rate> {
    let burst = match burst {
        0 => per_second.saturating_mul(2),
        burst => burst,
    };
    (per_second > 0).then(|| Rate {
        per_second: f64::from(per_second),
        burst,
    })
}

/// Those of a minute may come at once.
fn failures(per_minute: u32) -> Option<Rate> {
    (per_minute > 0).then(|| Rate {
        per_second: f64::from(per_minute) / 60.0,
        burst: per_minute,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_0_is_not_limited_and_a_burst_is_two_seconds_long() {
        let rules_of = |text: &str| rules(&toml::from_str(text).expect("a section"));
        let nothing = rules_of("");
        assert_eq!((nothing.requests, nothing.calls), (None, None));
        assert_eq!((nothing.failures, nothing.numbers), (None, None));
        let some = rules_of(
            "requests_per_s = 10\ncalls_per_s = 5\ncalls_burst = 7\nfailures_per_minute = 30",
        );
        let all = [some.requests, some.calls, some.failures];
        let [requests, calls, failures] = all.map(|rate| rate.map(|it| (it.per_second, it.burst)));
        assert_eq!((requests, calls), (Some((10.0, 20)), Some((5.0, 7))));
        assert_eq!(failures, Some((0.5, 30)));
    }

    #[test]
    fn networks_stand_as_they_are_listed() {
        let text = "allow = ['10.1.0.0/16']\ndeny = ['10.0.0.0/8', '2001:db8::/32']";
        let rules = rules(&toml::from_str(text).expect("a section"));
        let of = |ip: &str| rules.networks.of(ip.parse().expect(ip));
        assert_eq!(of("10.1.2.3"), Some(Standing::Allowed));
        assert_eq!(of("10.2.2.3"), Some(Standing::Denied));
        assert_eq!(of("2001:db8::7"), Some(Standing::Denied));
        assert_eq!(of("192.0.2.1"), None);
    }

    #[test]
    fn a_flood_of_bans_is_a_line_a_second() {
        let mut log = BanLog::default();
        let at = |ms: u64| Time::from_nanos(ms * 1_000_000);
        assert_eq!(log.may_say(at(5)), Some(0));
        assert_eq!(log.may_say(at(6)), None);
        assert_eq!(log.may_say(at(1004)), None);
        assert_eq!(log.may_say(at(1005)), Some(2));
    }
}
