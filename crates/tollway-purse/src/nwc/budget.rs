//! What a connection may spend, and when that begins anew. Periods are those of NIP-47's
//! `get_budget`, and follow the calendar in UTC.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use l402::Msat;

/// A limit on what a connection spends, routing included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The most, in millisatoshi. Zero makes a connection that can only be paid.
    pub amount: Msat,
    /// When it begins anew.
    pub period: Period,
}

/// When a budget begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// It does not.
    Never,
    /// At midnight.
    Daily,
    /// On Mondays.
    Weekly,
    /// On the first day of a month.
    Monthly,
    /// On the first of January.
    Yearly,
}

impl Period {
    const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::Never, "never", ""),
        (Self::Daily, "daily", "day"),
        (Self::Weekly, "weekly", "week"),
        (Self::Monthly, "monthly", "month"),
        (Self::Yearly, "yearly", "year"),
    ];

    /// NIP-47's word.
    pub fn word(self) -> &'static str {
        let mut all = Self::ALL.into_iter();
        all.find(|(period, ..)| *period == self).map_or("never", |(_, word, _)| word)
    }

    /// The period of NIP-47's word.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|(_, known, _)| *known == word).map(|(period, ..)| period)
    }

    /// The seconds since 1970 at which the period of that second began, and at which the next one
    /// begins.
    pub(crate) fn bounds(self, now: u64) -> (u64, Option<u64>) {
        let day = Timestamp::from_second(i64::try_from(now).unwrap_or(i64::MAX))
            .unwrap_or(Timestamp::MAX)
            .to_zoned(TimeZone::UTC)
            .date();
        let (start, next) = match self {
            Self::Never => return (0, None),
            Self::Daily => (Some(day), day.checked_add(1.day()).ok()),
            Self::Weekly => {
                let since = i64::from(day.weekday().since(Weekday::Monday));
                let start = day.checked_sub(since.days()).ok();
                (start, start.and_then(|start| start.checked_add(7.days()).ok()))
            }
            Self::Monthly => {
                let start = day.first_of_month();
                (Some(start), start.checked_add(1.month()).ok())
            }
            Self::Yearly => {
                let start = day.first_of_year();
                (Some(start), start.checked_add(1.year()).ok())
            }
        };
        (start.and_then(midnight).unwrap_or(0), next.and_then(midnight))
    }
}

fn midnight(day: Date) -> Option<u64> {
    let midnight = day.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second();
    u64::try_from(midnight).ok()
}

/// The text is no budget.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no budget; write an amount and when it begins anew, as `10000 sat/month` (day, week, month or year), or `10000 sat` for once and for all"
)]
pub struct NotABudget(String);

impl FromStr for Budget {
    type Err = NotABudget;

    /// `10000 sat/month`; without a period, once and for all. A bare number is satoshi.
    fn from_str(text: &str) -> Result<Self, NotABudget> {
        let bad = || NotABudget(text.to_owned());
        let (amount, period) = match text.split_once('/') {
            None => (text, Period::Never),
            Some((amount, word)) => {
                let word = word.trim();
                let known = Period::ALL.into_iter().find(|(.., each)| *each == word);
                let known = known.filter(|_| !word.is_empty());
                (amount, known.map(|(period, ..)| period).ok_or_else(bad)?)
            }
        };
        let amount = amount.trim();
        let bare = !amount.is_empty() && amount.bytes().all(|byte| byte.is_ascii_digit());
        let unit = if bare { " sat" } else { "" };
        let amount = format!("{amount}{unit}").parse().map_err(|_| bad())?;
        Ok(Self { amount, period })
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = Period::ALL.into_iter();
        match all.find(|(period, ..)| *period == self.period) {
            Some((Period::Never, ..)) | None => write!(f, "{}", self.amount),
            Some((.., each)) => write!(f, "{}/{each}", self.amount),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_written_as_it_is_read() {
        for (text, msat, period, shown) in [
            ("10000 sat/month", 10_000_000, Period::Monthly, "10000 sat/month"),
            ("5/day", 5_000, Period::Daily, "5 sat/day"),
            ("0", 0, Period::Never, "0 sat"),
        ] {
            let budget: Budget = text.parse().unwrap();
            assert_eq!(budget, Budget { amount: Msat::from_msat(msat), period });
            assert_eq!(budget.to_string(), shown);
            assert_eq!(budget.to_string().parse(), Ok(budget));
        }
        for bad in ["", "/day", "5/", "5/hour", "-1", "5 sat/day/day", "5.5 sat"] {
            assert!(bad.parse::<Budget>().is_err(), "{bad}");
        }
    }

    #[test]
    fn periods_follow_the_calendar() {
        let at =
            |text: &str| u64::try_from(text.parse::<Timestamp>().unwrap().as_second()).unwrap();
        let wednesday = at("2026-01-07T12:30:00Z");
        for (period, start, next) in [
            (Period::Daily, "2026-01-07T00:00:00Z", "2026-01-08T00:00:00Z"),
            (Period::Weekly, "2026-01-05T00:00:00Z", "2026-01-12T00:00:00Z"),
            (Period::Monthly, "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
            (Period::Yearly, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ] {
            assert_eq!(period.bounds(wednesday), (at(start), Some(at(next))), "{period:?}");
            assert_eq!(period.bounds(at(start)).0, at(start));
            assert_eq!(period.bounds(at(next)).0, at(next));
            assert_eq!(Period::of_word(period.word()), Some(period));
        }
        assert_eq!(Period::Never.bounds(wednesday), (0, None));
    }
}
