//! Time as a value: nanoseconds since an origin the caller chose. No clock is read here.

use std::ops::Add;
use std::time::Duration;

/// A point in time: nanoseconds since the caller's origin, never going backwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The origin.
    pub const ZERO: Time = Time(0);

    /// The point `nanos` nanoseconds after the origin.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Time {
        Time(nanos)
    }

    /// Nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not after it.
    #[must_use]
    pub const fn duration_since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    /// Saturates at the end of time (584 years after the origin).
    fn add(self, duration: Duration) -> Time {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Time(self.0.saturating_add(nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_and_subtracts() {
        let later = Time::from_nanos(5) + Duration::from_nanos(7);
        assert_eq!(later.as_nanos(), 12);
        assert_eq!(
            later.duration_since(Time::from_nanos(2)),
            Duration::from_nanos(10)
        );
    }

    #[test]
    fn saturates_at_both_ends() {
        let early = Time::from_nanos(3);
        assert_eq!(early.duration_since(Time::from_nanos(9)), Duration::ZERO);
        assert_eq!((early + Duration::MAX).as_nanos(), u64::MAX);
    }
}
