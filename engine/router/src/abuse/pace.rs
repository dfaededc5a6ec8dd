//! A token bucket as one point in time: the moment at which the bucket would be full again. Nothing runs
//! while nobody comes, and no fraction of a token is lost (the generic cell rate algorithm of ITU-T I.371).

use std::time::Duration;

use stack::Time;

/// So many a second, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Tokens that come back in a second. More than 0.
    pub per_second: f64,
    /// Tokens there are at most.
    pub burst: u32,
}

/// A rate as it is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    interval: Duration,
    room: Duration,
}

impl Pace {
    /// One shard's part of the rate: a source's requests are spread over the shards evenly, by Call-ID.
    pub(super) fn of(rate: Rate, shards: u8) -> Pace {
        let shards = u32::from(shards.max(1));
        let per_second = rate.per_second.max(f64::MIN_POSITIVE) / f64::from(shards);
        let interval = Duration::try_from_secs_f64(per_second.recip()).unwrap_or(Duration::MAX);
        let burst = rate.burst.div_ceil(shards).max(1);
        Pace {
            interval,
            room: interval.saturating_mul(burst),
        }
    }

    /// Takes a token. False when there is none; then nothing is changed.
    pub(super) fn take(self, meter: &mut Time, now: Time) -> bool {
        let next = (*meter).max(now) + self.interval;
        let fits = next.duration_since(now) <= self.room;
        if fits {
            *meter = next;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time::from_nanos(ms * 1_000_000)
    }

    /// How many of 100 tries at this moment have success.
    fn taken(pace: Pace, meter: &mut Time, now: Time) -> usize {
        (0..100).filter(|_| pace.take(meter, now)).count()
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let rate = Rate {
            per_second: 10.0,
            burst: 5,
        };
        let (pace, mut meter) = (Pace::of(rate, 1), Time::ZERO);
        assert_eq!(taken(pace, &mut meter, at(0)), 5);
        assert_eq!(taken(pace, &mut meter, at(99)), 0);
        assert_eq!(taken(pace, &mut meter, at(100)), 1);
        assert_eq!(taken(pace, &mut meter, at(400)), 3);
        assert_eq!(taken(pace, &mut meter, at(60_000)), 5);
    }

    #[test]
    fn shards_have_equal_parts_of_which_none_is_nothing() {
        let rate = Rate {
            per_second: 8.0,
            burst: 6,
        };
        let (pace, mut meter) = (Pace::of(rate, 4), Time::ZERO);
        assert_eq!(taken(pace, &mut meter, at(0)), 2);
        assert_eq!(taken(pace, &mut meter, at(500)), 1);
        let (pace, mut meter) = (Pace::of(rate, 255), Time::ZERO);
        assert_eq!(taken(pace, &mut meter, at(0)), 1);
    }
}
