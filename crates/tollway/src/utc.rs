//! Points in time for people: RFC 3339 in UTC, and how far away they are.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;

const DAY: u64 = 86_400;

/// `2026-08-01T12:30:00Z`, to the second below; `the far future` after the year 9999.
pub(crate) fn date(time: SystemTime) -> String {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Err(_) => "before 1970".to_owned(),
        Ok(_) => Timestamp::try_from(time).map_or_else(
            |_| "the far future".to_owned(),
            |timestamp| timestamp.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        ),
    }
}

/// `in 3 hours`, or `5 minutes ago`.
pub(crate) fn distance(time: SystemTime, now: SystemTime) -> String {
    match time.duration_since(now) {
        Ok(ahead) => format!("in {}", rough(ahead)),
        Err(behind) => format!("{} ago", rough(behind.duration())),
    }
}

/// The largest unit that fits, rounded down.
fn rough(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..DAY => (seconds / 3600, "hour"),
        _ => (seconds / DAY, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_207_200, "9999-12-30T22:00:00Z"),
            (253_402_300_800, "the far future"),
        ] {
            assert_eq!(date(at(seconds)), text);
        }
    }

    #[test]
    fn distances_are_in_the_largest_unit() {
        assert_eq!(distance(at(3 * 3600 + 100), at(0)), "in 3 hours");
        assert_eq!(distance(at(0), at(60)), "1 minute ago");
        assert_eq!(distance(at(5), at(5)), "in 0 seconds");
        assert_eq!(distance(at(9 * DAY), at(0)), "in 9 days");
    }
}
