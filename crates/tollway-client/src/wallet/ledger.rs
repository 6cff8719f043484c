//! What was spent, and what is set aside, against limits that hold for every process that uses the
//! wallet. The sums are here; where the numbers stand is the wallet's own matter.
//!
//! Time goes forward only: what is written down is written at the clock's time or at that of the last
//! record, whichever is later, and windows are read at that time too. A clock that is set back opens
//! nothing anew.

use std::time::SystemTime;

use async_trait::async_trait;
use l402::{Msat, PaymentHash};

use super::WalletError;
use crate::policy::{Account, Limit, OverLimit, Scope};

/// What is set aside together with the record of a purchase, in one step.
#[derive(Clone, Copy, Debug)]
pub struct Reserve<'a> {
    /// The invoice's amount and the most that routing may cost, in millisatoshi.
    pub asked: Msat,
    /// The limits that it must be within, besides those that the wallet itself keeps.
    pub limits: &'a [Limit],
}

/// The buyer's budgets: limits, and what counts against them.
///
/// [`Wallet::begin`](super::Wallet::begin) sets money aside, [`finish`](super::Wallet::finish) puts
/// in its place what the payment cost, and [`forget`](super::Wallet::forget) gives it back.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// The limits that the wallet itself keeps, by name. They hold for every payment made with it.
    async fn limits(&self) -> Result<Vec<(String, Limit)>, WalletError>;

    /// Keeps a limit under that name, in place of the one that has it.
    async fn set_limit(&self, name: &str, limit: &Limit) -> Result<(), WalletError>;

    /// Drops the limit of that name; whether there was one.
    async fn drop_limit(&self, name: &str) -> Result<bool, WalletError>;

    /// How these limits, and those of the wallet, stand at `now`. Those that each host has for itself
    /// are there once for each host that anything counts for.
    async fn accounts(
        &self,
        limits: &[Limit],
        now: SystemTime,
    ) -> Result<Vec<Account>, WalletError>;

    /// Whether a payment to `host` could be begun at `now`; nothing is set aside.
    ///
    /// # Errors
    /// [`WalletError::OverLimit`].
    async fn has_room(
        &self,
        host: &str,
        reserve: Reserve<'_>,
        now: SystemTime,
    ) -> Result<(), WalletError>;

    /// Counts from now on as if nothing had been spent so far; receipts stay, and so does what is set
    /// aside. Returns how much no longer counts, in millisatoshi.
    async fn reset(&self) -> Result<Msat, WalletError>;
}

/// What counts at one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) host: String,
    pub(super) spent: Msat,
    pub(super) held: Msat,
}

/// What the sums are made from.
pub(super) trait Counts {
    type Error;

    /// The latest time at which anything was written down.
    fn latest(&self) -> Result<Option<SystemTime>, Self::Error>;

    /// What was spent from `since` on, and all that is held but for this payment, by host.
    fn since(
        &self,
        since: Option<SystemTime>,
        but_for: Option<PaymentHash>,
    ) -> Result<Vec<Counted>, Self::Error>;
}

/// Whether `asked` can be set aside for a payment to `host`.
pub(super) fn check<C: Counts>(
    counts: &C,
    limits: &[Limit],
    host: &str,
    asked: Msat,
    payment: Option<PaymentHash>,
    now: SystemTime,
) -> Result<Result<(), OverLimit>, C::Error> {
    let latest = counts.latest()?;
    let at = latest.map_or(now, |latest| latest.max(now));
    for limit in limits.iter().filter(|limit| limit.counts(host)) {
        let mut account = account(limit, limit.per.at(at).until);
        for counted in counts.since(limit.per.at(at).since, payment)? {
            let same = match &limit.of {
                Scope::EachHost => counted.host == host,
                Scope::All | Scope::Hosts(_) => limit.counts(&counted.host),
            };
            if same {
                account.add(&counted);
            }
        }
        let left = account.left();
        if asked > left {
            let (limit, clock_is_behind) = (limit.clone(), now < at);
            return Ok(Err(OverLimit { limit, asked, left, clock_is_behind }));
        }
    }
    Ok(Ok(()))
}

/// How each of these limits stands.
pub(super) fn accounts<C: Counts>(
    counts: &C,
    limits: impl IntoIterator<Item = (Option<String>, Limit)>,
    now: SystemTime,
) -> Result<Vec<Account>, C::Error> {
    let at = counts.latest()?.map_or(now, |latest| latest.max(now));
    let mut accounts = Vec::new();
    for (name, limit) in limits {
        let span = limit.per.at(at);
        let counted = counts.since(span.since, None)?;
        let mut own = Account { name, ..account(&limit, span.until) };
        if limit.of != Scope::EachHost {
            counted.iter().filter(|one| limit.counts(&one.host)).for_each(|one| own.add(one));
            accounts.push(own);
            continue;
        }
        accounts.extend(counted.into_iter().filter(Counted::is_something).map(|one| {
            let mut own = Account { host: Some(one.host.clone()), ..own.clone() };
            own.add(&one);
            own
        }));
    }
    Ok(accounts)
}

fn account(limit: &Limit, until: Option<SystemTime>) -> Account {
    let (spent, held) = (Msat::ZERO, Msat::ZERO);
    Account { name: None, limit: limit.clone(), host: None, spent, held, until }
}

impl Account {
    fn add(&mut self, counted: &Counted) {
        // More than all bitcoin is as good as all of it.
        let sum = |a: Msat, b: Msat| a.checked_add(b).unwrap_or(Msat::SUPPLY);
        self.spent = sum(self.spent, counted.spent);
        self.held = sum(self.held, counted.held);
    }
}

impl Counted {
    fn is_something(&self) -> bool {
        self.spent > Msat::ZERO || self.held > Msat::ZERO
    }
}
