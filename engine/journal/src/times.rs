//! The engine's time is nanoseconds since its own start, which means nothing to the next run. A journal
//! keeps milliseconds of the wall clock since 1970; here is how one becomes the other.

use stack::Time;

/// The engine's time and the wall clock at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// The engine's time.
    pub engine: Time,
    /// Milliseconds since 1970, UTC.
    pub unix_ms: u64,
}

const NANOS: i128 = 1_000_000;

impl Clocks {
    /// A time of the engine on the wall clock. Times before 1970 are 0.
    pub fn to_unix_ms(&self, time: Time) -> u64 {
        let since = i128::from(time.as_nanos()) - i128::from(self.engine.as_nanos());
        let ms = i128::from(self.unix_ms) + since.div_euclid(NANOS);
        u64::try_from(ms.max(0)).unwrap_or(u64::MAX)
    }

    /// A time of the wall clock in the engine's terms. Times before the engine's start are its start.
    pub fn to_engine(&self, unix_ms: u64) -> Time {
        let since = (i128::from(unix_ms) - i128::from(self.unix_ms)) * NANOS;
        let nanos = i128::from(self.engine.as_nanos()) + since;
        Time::from_nanos(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_is_the_same_millisecond() {
        let clocks = Clocks {
            engine: Time::from_nanos(5_000_000_001),
            unix_ms: 1_800_000_000_000,
        };
        let hour = Time::from_nanos(3_605_000_000_001);
        assert_eq!(clocks.to_unix_ms(hour), 1_800_003_600_000);
        assert_eq!(clocks.to_engine(1_800_003_600_000), hour);
        assert_eq!(clocks.to_engine(1_800_000_000_000 - 5_001), Time::ZERO);
        assert_eq!(clocks.to_unix_ms(Time::ZERO), 1_799_999_994_999);
        assert_eq!(clocks.to_engine(u64::MAX).as_nanos(), u64::MAX);
    }
}
