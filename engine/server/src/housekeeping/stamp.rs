//! A point in time as text, UTC and to the millisecond: in a line, and as the part of a file's name, which sorts
//! as the times do.

use std::time::{SystemTime, UNIX_EPOCH};

/// `20261121T145210.250Z`.
pub(super) fn stamp(time: SystemTime) -> String {
    rfc3339(time).replace(['-', ':'], "")
}

/// `2026-11-21T14:52:10.250Z` (RFC 3339).
pub(super) fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let ms = since.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Year, month and day of a day since 1970, in the Gregorian calendar.
fn date(mut days: u64) -> (u64, u64, u64) {
    let mut year = 1970;
    while days >= year_days(year) {
        days -= year_days(year);
        year += 1;
    }
    let mut month = 1;
    while days >= month_days(year, month) {
        days -= month_days(year, month);
        month += 1;
    }
    (year, month, days + 1)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn year_days(year: u64) -> u64 {
    365 + u64::from(is_leap(year))
}

fn month_days(year: u64, month: u64) -> u64 {
    match month {
        2 => 28 + u64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn known_times() {
        let of = |ms: u64| stamp(UNIX_EPOCH + Duration::from_millis(ms));
        assert_eq!(of(0), "19700101T000000.000Z");
        assert_eq!(of(951_782_400_000), "20000229T000000.000Z");
        assert_eq!(of(1_000_000_000_250), "20010909T014640.250Z");
        let text = rfc3339(UNIX_EPOCH + Duration::from_millis(1_000_000_000_250));
        assert_eq!(text, "2001-09-09T01:46:40.250Z");
        assert_eq!(of(4_107_542_399_999), "21000228T235959.999Z");
        assert_eq!(of(4_107_542_400_000), "21000301T000000.000Z");
    }
}
