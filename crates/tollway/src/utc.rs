//! Points in time for people: RFC 3339 in UTC, and how far away they are.

use std::time::{Duration, SystemTime};

const DAY: u64 = 86_400;

/// `2026-08-01T12:30:00Z`, to the second below; `the far future` after the year 9999.
pub(crate) fn date(time: SystemTime) -> String {
    let Ok(since) = time.duration_since(SystemTime::UNIX_EPOCH) else {
        return "before 1970".to_owned();
    };
    let (days, rest) = (since.as_secs() / DAY, since.as_secs() % DAY);
    let Some((year, month, day)) = civil(days) else { return "the far future".to_owned() };
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
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

/// Year, month and day of a day since 1970-01-01, or `None` after 9999. Counts in eras of 400
/// years, which are all equally long, and in years that begin in March, so that the leap day is
/// the last one.
fn civil(days: u64) -> Option<(u64, u64, u64)> {
    const ERA: u64 = 146_097;
    // Day 0 becomes 0000-03-01.
    let day = days.checked_add(719_468)?;
    let (era, day_of_era) = (day / ERA, day % ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year <= 9999).then_some((year, month, day_of_month))
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
            (253_402_300_799, "9999-12-31T23:59:59Z"),
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
