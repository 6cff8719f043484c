//! Over which time a limit counts. Minutes, hours, days and months are the calendar's, in UTC.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Over which time a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Window {
    /// From the start of the minute.
    Minute,
    /// From the start of the hour.
    Hour,
    /// From midnight, UTC.
    Day,
    /// From the first of the month, UTC.
    Month,
    /// The last so many seconds at every moment. Never zero.
    Rolling(Duration),
    /// From the beginning of the wallet, or from the last reset.
    Ever,
}

/// The text is no window.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no time to count over: write `minute`, `hour`, `day`, `month`, `ever` or, for example, `rolling 6h`"
)]
pub struct BadWindow(pub String);

/// From when to when a window is open at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// What was spent from then on counts; `None` for all there ever was.
    pub since: Option<SystemTime>,
    /// When everything that counts now counts no more; `None` where that is never, or moves on.
    pub until: Option<SystemTime>,
}

impl Window {
    /// From when to when it is open at `now`.
    pub fn at(self, now: SystemTime) -> Span {
        let never = Span { since: None, until: None };
        if let Self::Rolling(length) = self {
            let since = now.checked_sub(length).unwrap_or(SystemTime::UNIX_EPOCH);
            return Span { since: Some(since), until: None };
        }
        // Beyond the year 9999 there is no calendar: then all counts.
        let Ok(now) = Timestamp::try_from(now) else { return never };
        let now = TimeZone::UTC.to_datetime(now);
        let midnight = now.date().to_datetime(jiff::civil::Time::midnight());
        let (start, length) = match self {
            Self::Minute => {
                (midnight.with().hour(now.hour()).minute(now.minute()).build(), 1.minute())
            }
            Self::Hour => (midnight.with().hour(now.hour()).build(), 1.hour()),
            Self::Day => (Ok(midnight), 1.day()),
            Self::Month => (midnight.with().day(1).build(), 1.month()),
            Self::Rolling(_) | Self::Ever => return never,
        };
        let Ok(start) = start else { return never };
        let end = start.checked_add(length).ok();
        Span { since: utc(start), until: end.and_then(utc) }
    }
}

fn utc(at: DateTime) -> Option<SystemTime> {
    at.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp().into())
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::Ever => "ever",
            Self::Rolling(length) => {
                let length = SignedDuration::try_from(*length).unwrap_or(SignedDuration::MAX);
                return write!(f, "rolling {length:#}");
            }
        };
        f.write_str(word)
    }
}

impl FromStr for Window {
    type Err = BadWindow;

    fn from_str(text: &str) -> Result<Self, BadWindow> {
        let bad = || BadWindow(text.to_owned());
        Ok(match text.trim() {
            "minute" => Self::Minute,
            "hour" => Self::Hour,
            "day" => Self::Day,
            "month" => Self::Month,
            "ever" | "total" => Self::Ever,
            other => {
                let length = other.strip_prefix("rolling").ok_or_else(bad)?;
                let length: SignedDuration = length.trim().parse().map_err(|_| bad())?;
                let length = Duration::try_from(length).map_err(|_| bad())?;
                // What is kept on disk is kept in milliseconds.
                if length < Duration::from_millis(1) {
                    return Err(bad());
                }
                Self::Rolling(length)
            }
        })
    }
}

impl Serialize for Window {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SystemTime {
        text.parse::<Timestamp>().unwrap().into()
    }

    #[test]
    fn a_window_opens_and_closes_with_the_calendar() {
        let now = at("2028-02-29T23:59:59.999Z");
        for (window, since, until) in [
            (Window::Minute, "2028-02-29T23:59:00Z", "2028-03-01T00:00:00Z"),
            (Window::Hour, "2028-02-29T23:00:00Z", "2028-03-01T00:00:00Z"),
            (Window::Day, "2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z"),
            (Window::Month, "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
        ] {
            let span = Span { since: Some(at(since)), until: Some(at(until)) };
            assert_eq!(window.at(now), span, "{window}");
        }
        let six = Window::Rolling(Duration::from_secs(6 * 3600));
        assert_eq!(six.at(now), Span { since: Some(at("2028-02-29T17:59:59.999Z")), until: None });
        assert_eq!(Window::Ever.at(now), Span { since: None, until: None });
        // A clock that stands before 1970 is no reason to fall over.
        let long_ago = SystemTime::UNIX_EPOCH - Duration::from_secs(60);
        assert_eq!(Window::Day.at(long_ago).since, Some(at("1969-12-31T00:00:00Z")));
    }

    #[test]
    fn what_is_written_reads_back_and_nothing_else_does() {
        for text in ["minute", "hour", "day", "month", "ever", "rolling 6h", "rolling 90s"] {
            let window: Window = text.parse().unwrap();
            assert_eq!(window.to_string().parse(), Ok(window), "{text}");
        }
        for bad in ["", "week", "rolling", "rolling 0s", "rolling -1h", "6h", "rolling six"] {
            assert_eq!(bad.parse::<Window>(), Err(BadWindow(bad.to_owned())), "{bad}");
        }
    }
}
