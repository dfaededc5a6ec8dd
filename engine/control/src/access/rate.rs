//! How often an address may ask: a bucket of requests for each, refilled with time. Addresses beyond the
//! table's bound share one bucket, so that a flood from many is held back too.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Addresses with a bucket of their own.
const ADDRESSES: usize = 4_096;
/// What a wrong token costs: guessing goes so many times slower than asking.
const PUNISHMENT: f64 = 100.0;

#[derive(Clone, Copy, Debug)]
struct Bucket {
    level: f64,
    seen: Instant,
}

/// All buckets.
pub(crate) struct Rates {
    per_s: f64,
    buckets: Mutex<HashMap<Option<IpAddr>, Bucket>>,
}

impl Rates {
    /// So many requests a second for each address.
    pub(crate) fn new(per_s: u32) -> Rates {
        Rates {
            per_s: f64::from(per_s.max(1)),
            buckets: Mutex::default(),
        }
    }

    /// Takes one request; the seconds to wait when there is none.
    pub(crate) fn take(&self, from: Option<IpAddr>, now: Instant) -> Option<u32> {
        self.with(from, now, |bucket| {
            if bucket.level < 1.0 {
                let wait = Duration::from_secs_f64((1.0 - bucket.level) / self.per_s);
                return Some(wait.as_secs() as u32 + 1);
            }
            bucket.level -= 1.0;
            None
        })
    }

    /// Makes whoever did not know a token wait.
    pub(crate) fn punish(&self, from: Option<IpAddr>, now: Instant) {
        let floor = -60.0 * self.per_s;
        let cost = PUNISHMENT.min(self.per_s);
        self.with(from, now, |bucket| {
            bucket.level = (bucket.level - cost).max(floor)
        });
    }

    fn with<T>(&self, from: Option<IpAddr>, now: Instant, act: impl FnOnce(&mut Bucket) -> T) -> T {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = from.map(|ip| ip.to_canonical());
        if buckets.len() >= ADDRESSES && !buckets.contains_key(&key) {
            // A bucket that is full again says nothing.
            buckets.retain(|_, bucket| self.refilled(bucket, now) < self.per_s);
            if buckets.len() >= ADDRESSES {
                key = None;
            }
        }
        let full = Bucket {
            level: self.per_s,
            seen: now,
        };
        let bucket = buckets.entry(key).or_insert(full);
        bucket.level = self.refilled(bucket, now);
        bucket.seen = now;
        act(bucket)
    }

    fn refilled(&self, bucket: &Bucket, now: Instant) -> f64 {
        let gained = now.saturating_duration_since(bucket.seen).as_secs_f64() * self.per_s;
        (bucket.level + gained).min(self.per_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(n: u32) -> Option<IpAddr> {
        Some(IpAddr::from(n.to_be_bytes()))
    }

    #[test]
    fn a_burst_then_the_mean() {
        let (rates, now) = (Rates::new(10), Instant::now());
        assert!((0..10).all(|_| rates.take(ip(1), now).is_none()));
        assert_eq!(rates.take(ip(1), now), Some(1));
        assert_eq!(rates.take(ip(2), now), None, "another address has its own");
        let later = now + Duration::from_millis(250);
        assert_eq!(
            [0; 3].map(|_| rates.take(ip(1), later).is_none()),
            [true, true, false]
        );
    }

    #[test]
    fn a_wrong_token_costs_more() {
        let (rates, now) = (Rates::new(1_000), Instant::now());
        (0..11).for_each(|_| rates.punish(ip(1), now));
        assert!(rates.take(ip(1), now).is_some());
        assert!(rates.take(ip(1), now + Duration::from_secs(1)).is_none());
    }

    #[test]
    fn the_table_is_bounded() {
        let (rates, now) = (Rates::new(2), Instant::now());
        (0..20_000).for_each(|n| drop(rates.take(ip(n), now)));
        assert!(rates.buckets.lock().unwrap().len() <= ADDRESSES + 1);
        assert!(
            rates.take(ip(30_000), now).is_some(),
            "those beyond it share one"
        );
        let later = now + Duration::from_secs(2);
        assert!(rates.take(ip(30_000), later).is_none());
    }
}
