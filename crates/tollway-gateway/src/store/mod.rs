//! What a gateway must remember beyond its keys: which tokens are revoked, how often a counted one was
//! used, which one-time payments were honoured, and what was asked for and paid. A token that is merely
//! paid needs none of it. One file for each place to remember in, one table, and one URL to choose.

mod answer;
mod memory;
mod postgres;
mod redis;
mod sales;
mod sqlite;
mod url;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use l402::caveat::Counter;
use l402::{Msat, PaymentHash, TokenId};

pub use answer::Answer;
pub use memory::MemoryStore;
pub use postgres::PostgresStore;
pub use redis::RedisStore;
pub use sales::{By, Pick, Place, Span, Total, Which};
pub use sqlite::SqliteStore;
pub use url::{Driver, STORES, StoreUrl};

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A gateway's memory. Any number of gateways may share one, and then act as one.
///
/// Every change is whole or not there at all, whoever else is changing what at the same time, and once
/// it is told it survives whatever the store itself survives. Time comes from the caller.
#[async_trait]
pub trait TokenStore: fmt::Debug + Send + Sync {
    /// Which kind of store this is, for messages.
    fn name(&self) -> &'static str;

    /// Takes one use from each counter, or from none of them when one has no use left. From the
    /// `until` that it was first taken with on, a counter counts from nothing again.
    ///
    /// Of any number of callers, in however many processes, no more than a counter's limit are told
    /// [`Take::Taken`]. A store that cannot promise that leaves this refusal as it is.
    async fn take(&self, _counters: &[Counter], _now: SystemTime) -> Result<Take, StoreError> {
        Err(StoreError::NotAtomic { store: self.name() })
    }

    /// Gives back what one [`TokenStore::take`] took, because nothing came of it.
    async fn give_back(&self, counters: &[Counter]) -> Result<(), StoreError>;

    /// Claims a payment that is good for one request. Of any number of claims to one payment exactly
    /// one is told [`Claim::First`], until the payment is released or forgotten.
    async fn claim(&self, payment: &OneTime, now: SystemTime) -> Result<Claim, StoreError>;

    /// Keeps the answer to the request that claimed a payment, for whoever asks the same again.
    async fn answer(&self, hash: PaymentHash, answer: &Answer) -> Result<(), StoreError>;

    /// Takes back a claim, because nothing came of it.
    async fn release(&self, hash: PaymentHash) -> Result<(), StoreError>;

    /// Revokes a token. After `until` it has expired by itself and may be forgotten; `None` is never.
    async fn revoke(&self, token: TokenId, until: Option<SystemTime>) -> Result<(), StoreError>;

    /// Every token that is revoked.
    async fn revoked(&self) -> Result<Vec<TokenId>, StoreError>;

    /// Writes down what was asked for and what was paid. Telling it again changes nothing.
    async fn record(&self, events: &[Event]) -> Result<(), StoreError>;

    /// What was asked for, the latest first: one page of it.
    async fn bills(&self, pick: &Pick) -> Result<Vec<Bill>, StoreError>;

    /// One bill, if it is known.
    async fn bill(&self, which: Which) -> Result<Option<Bill>, StoreError>;

    /// What was asked for and paid, by day and then by service. Where there is nothing there is no sum.
    async fn totals(&self, span: &Span) -> Result<Vec<Total>, StoreError>;

    /// Forgets what is past its time.
    async fn prune(&self, horizon: Horizon) -> Result<(), StoreError>;
}

/// Whether uses were taken.
///
/// Exhaustive on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Take {
    /// One from each counter.
    Taken,
    /// None at all: one counter has nothing left.
    Spent,
}

/// A payment that is good for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OneTime {
    /// Which payment.
    pub hash: PaymentHash,
    /// Names the request and its `Idempotency-Key`, when it has one: that request may come again.
    pub request: Option<[u8; 32]>,
    /// When nobody can use the payment any more, and the claim may be forgotten.
    pub until: SystemTime,
}

/// Whose a payment is.
///
/// Exhaustive on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Claim {
    /// The caller's: go on.
    First,
    /// It was used for another request.
    Spent,
    /// It was used for this very request, whose answer is not there yet.
    Running,
    /// It was used for this very request, which was answered with this.
    Answered(Answer),
}

/// Something to write down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A 402 asked for a payment.
    Issued(Bill),
    /// A payment was seen for the first time.
    Settled {
        /// Which.
        hash: PaymentHash,
        /// What it opened.
        service: String,
        /// What it was, when that is known.
        price: Option<Msat>,
        /// When it was seen.
        at: SystemTime,
    },
}

/// What one 402 asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bill {
    /// The payment it asked for.
    pub hash: PaymentHash,
    /// The token it offered; none for a payment that needs no token, and for one that was only ever
    /// seen paid.
    pub token: Option<TokenId>,
    /// What it was for.
    pub service: String,
    /// What it asked; `None` when only the payment was seen.
    pub price: Option<Msat>,
    /// When it was asked, in whole milliseconds.
    pub issued: SystemTime,
    /// Until when it can be paid; `None` when only the payment was seen, and in what earlier versions
    /// wrote down.
    pub expires: Option<SystemTime>,
    /// When its payment was first seen, if it was.
    pub settled: Option<SystemTime>,
}

/// What may be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizon {
    /// The present: what was only to be kept until then goes.
    pub now: SystemTime,
    /// Bills that were issued before that and never paid go.
    pub unpaid: SystemTime,
    /// Bills that were paid before that go.
    pub paid: SystemTime,
}

/// The store did not do what it was asked to. Nobody else is to blame, and nobody is asked for money
/// because of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The URL names no store. It may hold a password and is not repeated.
    #[error("the store's URL {problem}")]
    Url {
        /// What is the matter with it, and the remedy.
        problem: String,
    },
    /// It cannot be opened as it is; trying again changes nothing.
    #[error("the {store} store cannot be used: {problem}")]
    Unusable {
        /// Which kind of store.
        store: &'static str,
        /// What is the matter with it, and the remedy.
        problem: String,
    },
    /// It is down, full or broken. Try again later.
    #[error("the {store} store failed to {doing}")]
    Failed {
        /// Which kind of store.
        store: &'static str,
        /// What it was asked to do.
        doing: &'static str,
        /// What it says.
        source: Cause,
    },
    /// It did not answer. What was asked of it may or may not have been done.
    #[error("the {store} store did not answer within {patience:?}")]
    Silent {
        /// Which kind of store.
        store: &'static str,
        /// How long it was waited for.
        patience: Duration,
    },
    /// It cannot count in one step, so two requests could share one use.
    #[error("the {store} store cannot count uses atomically; choose another for counted tokens")]
    NotAtomic {
        /// Which kind of store.
        store: &'static str,
    },
}

impl Event {
    /// Which payment it is about.
    pub fn hash(&self) -> PaymentHash {
        match self {
            Self::Issued(bill) => bill.hash,
            Self::Settled { hash, .. } => *hash,
        }
    }
}

impl StoreError {
    /// Makes a [`StoreError::Failed`] out of whatever a store's own library says.
    pub(crate) fn failed<E: Into<Cause>>(
        store: &'static str,
        doing: &'static str,
    ) -> impl FnOnce(E) -> Self {
        move |error| Self::Failed { store, doing, source: error.into() }
    }
}

/// A store, ready for use, that any number of tasks may share.
pub type SharedStore = Arc<dyn TokenStore>;

/// Milliseconds since 1970: how stores keep a time. What lies outside is moved to the edge.
pub(crate) fn to_millis(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The same for a time that may never come.
fn until_millis(time: Option<SystemTime>) -> i64 {
    time.map_or(i64::MAX, to_millis)
}

fn from_millis(millis: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// Counters in an order that is the same for everybody, so that two who take from the same ones do
/// not wait for each other; each only once, with its lowest limit.
fn in_order(counters: &[Counter]) -> Vec<Counter> {
    let mut sorted = counters.to_vec();
    sorted.sort_by_key(|counter| (counter.key, counter.limit));
    sorted.dedup_by_key(|counter| counter.key);
    sorted
}

/// Whose a payment is that was claimed before, by this request (or `None`) and with this answer.
fn claimed(payment: &OneTime, request: Option<[u8; 32]>, answer: Option<&[u8]>) -> Claim {
    match answer {
        _ if payment.request.is_none() || request != payment.request => Claim::Spent,
        None => Claim::Running,
        // What this version cannot read, it cannot repeat.
        Some(bytes) => Claim::Answered(Answer::from_bytes(bytes).unwrap_or(Answer::NotKept)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_kept_to_the_millisecond() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        assert_eq!(from_millis(to_millis(time)), time);
        assert_eq!(until_millis(None), i64::MAX);
        assert_eq!(to_millis(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), 0);
    }

    #[test]
    fn a_counter_that_is_there_twice_counts_once_with_its_lower_limit() {
        let counter = |key, limit| Counter { key: [key; 32], limit, until: None };
        let sorted = in_order(&[counter(2, 9), counter(1, 5), counter(2, 3)]);
        assert_eq!(sorted, [counter(1, 5), counter(2, 3)]);
    }
}
