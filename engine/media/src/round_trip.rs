//! The way from this router to one end and back, measured by the reports that pass (RFC 3550 6.4.1).
//!
//! When a sender report passes towards an end we note when; when that end's report about it comes by,
//! the time between, less what the end says it waited, is the round trip between router and end.

use std::time::Duration;

use stack::Time;

/// The last sender reports of one end that passed: the middle of their clock, and when.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Passed {
    /// Four, because a report may answer to one before the last.
    reports: [(u32, Time); 4],
    next: u8,
}

impl Passed {
    /// A sender report passed.
    pub(crate) fn note(&mut self, now: Time, ntp_middle: u32) {
        if let Some(report) = self.reports.get_mut(usize::from(self.next)) {
            *report = (ntp_middle, now);
        }
        self.next = (self.next + 1) % 4;
    }

    /// The round trip that a report block tells, by its LSR and DLSR. `None` when the report it answers
    /// did not pass here, or the delay it claims is longer than the time since.
    pub(crate) fn round_trip(&self, now: Time, last: u32, delay: u32) -> Option<Duration> {
        if last == 0 {
            return None;
        }
        let (_, passed) = self.reports.iter().find(|(middle, _)| *middle == last)?;
        now.duration_since(*passed).checked_sub(of_units(delay))
    }
}

/// A clock of 64 bits as NTP writes it. RFC 3550 6.4.1 lets a source without a wall clock count from any
/// origin: ours is the shard's.
pub(crate) fn ntp(now: Time) -> u64 {
    const SECOND: u64 = 1_000_000_000;
    let (seconds, rest) = (now.as_nanos() / SECOND, now.as_nanos() % SECOND);
    (seconds << 32) + (rest << 32) / SECOND
}

/// A duration in units of 1/65536 s, as DLSR is told.
pub(crate) fn units(duration: Duration) -> u32 {
    let units = (duration.as_nanos() << 16) / 1_000_000_000;
    u32::try_from(units).unwrap_or(u32::MAX)
}

fn of_units(units: u32) -> Duration {
    Duration::from_nanos((u64::from(units) * 1_000_000_000) >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(ms: u64) -> Time {
        Time::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn the_round_trip_is_the_time_since_less_the_delay() {
        let mut passed = Passed::default();
        passed.note(millis(1000), 77);
        let delay = units(Duration::from_millis(500));
        let trip = passed.round_trip(millis(1600), 77, delay);
        assert_eq!(trip, Some(Duration::from_millis(100)));
    }

    #[test]
    fn what_did_not_pass_or_lies_tells_nothing() {
        let mut passed = Passed::default();
        assert_eq!(passed.round_trip(millis(5), 0, 0), None);
        passed.note(millis(1000), 77);
        assert_eq!(passed.round_trip(millis(1600), 78, 0), None);
        assert_eq!(passed.round_trip(millis(1600), 77, 65_536), None);
        assert_eq!(passed.round_trip(millis(1600), 77, u32::MAX), None);
    }

    #[test]
    fn four_reports_are_remembered() {
        let mut passed = Passed::default();
        for n in 1..=5 {
            passed.note(millis(n), n as u32);
        }
        assert_eq!(passed.round_trip(millis(9), 1, 0), None);
        for n in 2..=5 {
            assert!(passed.round_trip(millis(9), n, 0).is_some());
        }
    }

    #[test]
    fn clocks_are_written_as_ntp_does() {
        assert_eq!(ntp(millis(1500)), 0x1_8000_0000);
        assert_eq!(units(Duration::from_millis(1500)), 0x1_8000);
        assert_eq!(units(Duration::MAX), u32::MAX);
        ntp(Time::from_nanos(u64::MAX));
    }
}
