//! What was sold, as it is read back: a page of bills at a time, and sums by service and by day. The
//! questions are few and each store has an index for every one of them, so that a page costs the same
//! among a thousand bills and among a million.

use std::collections::BTreeMap;
use std::time::SystemTime;

use l402::{Msat, PaymentHash, TokenId};

use super::{Bill, StoreError, to_millis};

/// Milliseconds of a day. Days are those of UTC.
const DAY: i64 = 86_400_000;

/// By which of its two moments a bill is found and ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// When it was written.
    #[default]
    Issued,
    /// When its payment was first seen. Bills that were not paid are not among these.
    Settled,
}

/// Which bills are wanted, the latest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pick {
    /// The moment that counts, here and in the order.
    pub by: By,
    /// Only those of this service.
    pub service: Option<String>,
    /// Only those from then on.
    pub from: Option<SystemTime>,
    /// Only those before then.
    pub to: Option<SystemTime>,
    /// Only those that come after this place, in the order of the pages: where the page before ended.
    pub after: Option<Place>,
    /// At most so many.
    pub limit: u32,
}

/// Where one bill stands among the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Its moment.
    pub at: SystemTime,
    /// Which it is, among those of the same millisecond.
    pub hash: PaymentHash,
}

/// Which one bill is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// That of this payment.
    Payment(PaymentHash),
    /// That which came with this token.
    Token(TokenId),
}

/// Over which time, and which service, sums are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// From then on.
    pub from: Option<SystemTime>,
    /// Before then.
    pub to: Option<SystemTime>,
    /// Only this service.
    pub service: Option<String>,
}

/// What one service asked for and was paid on one day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Which service.
    pub service: String,
    /// Which day of UTC, counted from 1970-01-01.
    pub day: i64,
    /// How many bills were written on it.
    pub challenges: u64,
    /// How many payments were first seen on it.
    pub payments: u64,
    /// How many of these are payments whose price is not known, because their bill was not written down.
    pub unpriced: u64,
    /// What the others came to.
    pub revenue: Msat,
}

impl By {
    /// The moment of a bill, when it has one.
    pub fn of(self, bill: &Bill) -> Option<SystemTime> {
        match self {
            Self::Issued => Some(bill.issued),
            Self::Settled => bill.settled,
        }
    }
}

impl Pick {
    /// Where a bill stands among those that are picked.
    pub fn place(&self, bill: &Bill) -> Option<Place> {
        Some(Place { at: self.by.of(bill)?, hash: bill.hash })
    }

    /// Whether a bill is of the service that is wanted.
    pub(super) fn is_of(&self, bill: &Bill) -> bool {
        self.service.as_ref().is_none_or(|service| *service == bill.service)
    }

    /// From which millisecond on, before which, and after which place; without a limit, the edges.
    pub(super) fn bounds(&self) -> Bounds {
        let (from, to) = millis(self.from, self.to);
        let after = match self.after {
            None => (to, PaymentHash([0; 32])),
            Some(Place { at, hash }) => (to_millis(at), hash).min((to, PaymentHash([0; 32]))),
        };
        Bounds { from, after: after.0, hash: after.1 }
    }
}

/// A page in a store's own terms: `from <= at`, and `(at, hash)` before `(after, hash)`.
pub(super) struct Bounds {
    pub(super) from: i64,
    pub(super) after: i64,
    pub(super) hash: PaymentHash,
}

impl Span {
    /// From which millisecond on, and before which.
    pub(super) fn millis(&self) -> (i64, i64) {
        millis(self.from, self.to)
    }
}

fn millis(from: Option<SystemTime>, to: Option<SystemTime>) -> (i64, i64) {
    (from.map_or(0, to_millis), to.map_or(i64::MAX, to_millis))
}

/// The day of UTC that a millisecond is of.
pub(super) fn day(millis: i64) -> i64 {
    millis.div_euclid(DAY)
}

/// Sums that are put together piece by piece.
#[derive(Debug, Default)]
pub(super) struct Totals(BTreeMap<(i64, String), Total>);

impl Totals {
    /// The sum of that service and that day.
    pub(super) fn of(&mut self, service: &str, day: i64) -> &mut Total {
        self.0.entry((day, service.to_owned())).or_insert_with(|| Total {
            service: service.to_owned(),
            day,
            ..Total::default()
        })
    }

    /// One payment more.
    pub(super) fn paid(&mut self, bill: &Bill) -> Result<(), TooMuch> {
        let Some(settled) = bill.settled else { return Ok(()) };
        let total = self.of(&bill.service, day(to_millis(settled)));
        total.payments += 1;
        match bill.price {
            None => total.unpriced += 1,
            Some(price) => total.revenue = total.revenue.checked_add(price).ok_or(TooMuch)?,
        }
        Ok(())
    }

    /// All of them, by day and then by service.
    pub(super) fn finish(self) -> Vec<Total> {
        self.0.into_values().collect()
    }
}

/// More than there is bitcoin, many times over.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the sum of all payments is more than can be counted")]
pub(super) struct TooMuch;

impl TooMuch {
    pub(super) fn at(store: &'static str) -> impl FnOnce(Self) -> StoreError {
        StoreError::failed::<Self>(store, "add up what was paid")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(millis: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
    }

    #[test]
    fn a_page_begins_where_the_one_before_ended_and_never_after_the_end() {
        let place = |millis| Place { at: at(millis), hash: PaymentHash([7; 32]) };
        let bounds = |to: Option<u64>, after: Option<u64>| {
            let pick = Pick {
                to: to.map(at),
                after: after.map(place),
                from: Some(at(3)),
                ..Pick::default()
            };
            let Bounds { from, after, hash } = pick.bounds();
            (from, after, hash.0[0])
        };
        assert_eq!(bounds(None, None), (3, i64::MAX, 0));
        assert_eq!(bounds(Some(9), None), (3, 9, 0));
        assert_eq!(bounds(Some(9), Some(5)), (3, 5, 7));
        assert_eq!(bounds(Some(9), Some(9)), (3, 9, 0), "9 itself is not before 9");
        assert_eq!(bounds(Some(9), Some(20)), (3, 9, 0));
    }

    #[test]
    fn a_day_is_one_of_utc() {
        assert_eq!([day(0), day(DAY - 1), day(DAY)], [0, 0, 1]);
    }
}
