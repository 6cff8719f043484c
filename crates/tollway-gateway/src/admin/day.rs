//! Times as administrators write and read them: RFC 3339 in UTC, to the millisecond, and days.

use std::time::SystemTime;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

const EXAMPLE: &str =
    "write a day, `2026-11-21`, or a time, `2026-11-21T08:00:00Z`; both are in UTC";

/// The beginning of what is meant: a day's first moment, or that time.
pub(super) fn from(text: &str) -> Result<SystemTime, &'static str> {
    match text.parse::<Date>() {
        Ok(day) if text.len() == 10 => midnight(day),
        _ => text.parse::<Timestamp>().map(SystemTime::from).map_err(|_| EXAMPLE),
    }
}

/// The end of what is meant, which is not part of it: the moment after a day's last, or that time.
pub(super) fn to(text: &str) -> Result<SystemTime, &'static str> {
    match text.parse::<Date>() {
        Ok(day) if text.len() == 10 => midnight(day.checked_add(1.day()).map_err(|_| EXAMPLE)?),
        _ => text.parse::<Timestamp>().map(SystemTime::from).map_err(|_| EXAMPLE),
    }
}

fn midnight(day: Date) -> Result<SystemTime, &'static str> {
    day.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp().into()).map_err(|_| EXAMPLE)
}

/// `2026-11-21T08:00:00.000Z`.
pub(super) fn time(time: SystemTime) -> String {
    let timestamp = Timestamp::try_from(time).unwrap_or(Timestamp::MAX);
    timestamp.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// `2026-11-21`, from the number of days since 1970-01-01.
pub(super) fn day(number: i64) -> String {
    let days = jiff::Span::new().try_days(number);
    let day = days.and_then(|days| jiff::civil::date(1970, 1, 1).checked_add(days));
    day.unwrap_or(Date::MAX).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_all_of_it_and_a_time_is_that_time() {
        assert_eq!(time(from("2026-11-21").unwrap()), "2026-11-21T00:00:00.000Z");
        assert_eq!(time(to("2026-11-21").unwrap()), "2026-11-22T00:00:00.000Z");
        for read in [from, to] {
            assert_eq!(
                time(read("2026-11-21T10:00:00.5+02:00").unwrap()),
                "2026-11-21T08:00:00.500Z"
            );
            for bad in ["", "yesterday", "2026-11", "2026-13-01", "2026-11-21T08:00:00", "0"] {
                assert!(read(bad).is_err(), "{bad}");
            }
        }
        assert_eq!(
            [day(0), day(19_782), day(i64::MAX)],
            ["1970-01-01", "2024-02-29", "9999-12-31"]
        );
    }
}
