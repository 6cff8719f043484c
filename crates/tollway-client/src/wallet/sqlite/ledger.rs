//! The ledger in the wallet's file. A sum is taken and a row is written in one transaction, which has
//! the file to itself: no other process can come between the two.

use std::collections::BTreeMap;
use std::time::SystemTime;

use async_trait::async_trait;
use l402::{Msat, PaymentHash};
use rusqlite::{Connection, OptionalExtension, params};

use super::record::{from_ms, to_ms, to_sql};
use super::{Failed, SqliteWallet};
use crate::origin::Origin;
use crate::policy::{Account, Limit};
use crate::wallet::ledger::{self, Counted, Counts, Ledger, Reserve};
use crate::wallet::{Purchase, Token, WalletError};

/// Sets `asked` aside for a payment, when every limit allows it. Of a payment for which something is
/// set aside already, the larger of the two sums is.
pub(super) fn reserve(
    rows: &Connection,
    payment: &Payment<'_>,
    asked: Msat,
    mut limits: Vec<Limit>,
) -> Result<(), Failed> {
    let Payment { hash, origin, at } = *payment;
    limits.extend(kept(rows)?.into_iter().map(|(_, limit)| limit));
    let room = ledger::check(&Rows(rows), &limits, origin.host(), asked, Some(hash), at)?;
    room.map_err(WalletError::from)?;
    hold(rows, payment, asked)
}

/// Which payment, to whom, and when.
#[derive(Clone, Copy)]
pub(super) struct Payment<'a> {
    pub(super) hash: PaymentHash,
    pub(super) origin: &'a Origin,
    pub(super) at: SystemTime,
}

impl<'a> From<&'a Purchase> for Payment<'a> {
    fn from(purchase: &'a Purchase) -> Self {
        Self { hash: purchase.hash(), origin: &purchase.origin, at: purchase.begun_at }
    }
}

/// Sets `asked` aside whatever the limits say: it may have gone already.
pub(super) fn hold(rows: &Connection, payment: &Payment<'_>, asked: Msat) -> Result<(), Failed> {
    let Payment { hash, origin, at } = *payment;
    rows.execute(
        "INSERT INTO spending (hash, origin, at_ms, held_msat, spent_msat) \
         VALUES (?1, ?2, max(?3, (SELECT coalesce(max(at_ms), 0) FROM spending)), ?4, 0) \
         ON CONFLICT (hash) DO UPDATE SET held_msat = max(held_msat, excluded.held_msat)",
        params![hash.to_string(), origin.as_str(), to_ms(at), to_sql(asked)],
    )?;
    Ok(())
}

/// Puts what a payment cost in the place of what was set aside for it.
pub(super) fn spend(rows: &Connection, token: &Token) -> Result<(), Failed> {
    let cost = token.amount.checked_add(token.fee).unwrap_or(Msat::SUPPLY);
    spent(rows, token.hash, cost, token.paid_at)
}

/// The same for any payment for which something is set aside.
pub(super) fn spent(
    rows: &Connection,
    hash: PaymentHash,
    cost: Msat,
    at: SystemTime,
) -> Result<(), Failed> {
    rows.execute(
        "UPDATE spending SET held_msat = 0, spent_msat = ?2, \
         at_ms = max(?3, (SELECT coalesce(max(at_ms), 0) FROM spending)) WHERE hash = ?1",
        params![hash.to_string(), to_sql(cost), to_ms(at)],
    )?;
    Ok(())
}

/// The limits that the wallet itself keeps.
fn kept(rows: &Connection) -> Result<Vec<(String, Limit)>, Failed> {
    let mut statement =
        rows.prepare_cached("SELECT name, rule FROM spending_limit ORDER BY name")?;
    let read = statement.query_map([], |row| Ok((row.get("name")?, row.get("rule")?)))?;
    let mut all = Vec::new();
    for row in read {
        let (name, rule): (String, String) = row?;
        match serde_json::from_str(&rule) {
            Ok(limit) => all.push((name, limit)),
            Err(source) => return Err(WalletError::DamagedLimit { name, source }.into()),
        }
    }
    Ok(all)
}

/// The rows to count.
struct Rows<'a>(&'a Connection);

impl Counts for Rows<'_> {
    type Error = Failed;

    fn latest(&self) -> Result<Option<SystemTime>, Failed> {
        let mut statement = self.0.prepare_cached("SELECT max(at_ms) FROM spending")?;
        let latest: Option<Option<i64>> = statement.query_row([], |row| row.get(0)).optional()?;
        Ok(latest.flatten().map(from_ms))
    }

    fn since(
        &self,
        since: Option<SystemTime>,
        but_for: Option<PaymentHash>,
    ) -> Result<Vec<Counted>, Failed> {
        let mut statement = self.0.prepare_cached(
            "SELECT origin, sum(spent), sum(held) FROM ( \
                 SELECT origin, spent_msat AS spent, 0 AS held FROM spending \
                 WHERE at_ms >= ?1 AND held_msat = 0 \
                 UNION ALL \
                 SELECT origin, 0, held_msat FROM spending \
                 WHERE held_msat > 0 AND hash IS NOT ?2 \
             ) GROUP BY origin",
        )?;
        let but_for = but_for.map(|hash| hash.to_string());
        let since = since.map_or(i64::MIN, to_ms);
        let mut by_host = BTreeMap::new();
        let mut rows = statement.query(params![since, but_for])?;
        while let Some(row) = rows.next()? {
            let origin: Origin = row.get::<_, String>(0)?.parse().map_err(|_| {
                WalletError::Damaged { hash: "(in the sums)".to_owned(), what: "origin" }
            })?;
            let msat = |at| row.get(at).map(|sum: i64| Msat::from_msat(sum.unsigned_abs()));
            let (spent, held): (Msat, Msat) = (msat(1)?, msat(2)?);
            let sums = by_host.entry(origin.host().to_owned()).or_insert((Msat::ZERO, Msat::ZERO));
            let add = |a: Msat, b: Msat| a.checked_add(b).unwrap_or(Msat::SUPPLY);
            *sums = (add(sums.0, spent), add(sums.1, held));
        }
        let counted = |(host, (spent, held))| Counted { host, spent, held };
        Ok(by_host.into_iter().map(counted).collect())
    }
}

#[async_trait]
impl Ledger for SqliteWallet {
    async fn limits(&self) -> Result<Vec<(String, Limit)>, WalletError> {
        self.with("read", |database| kept(database)).await
    }

    async fn set_limit(&self, name: &str, limit: &Limit) -> Result<(), WalletError> {
        let rule = serde_json::to_string(limit).expect("a limit is numbers and text");
        let name = name.to_owned();
        self.write(move |rows| {
            rows.execute("INSERT OR REPLACE INTO spending_limit VALUES (?1, ?2)", [name, rule])?;
            Ok(())
        })
        .await
    }

    async fn drop_limit(&self, name: &str) -> Result<bool, WalletError> {
        let name = name.to_owned();
        self.write(move |rows| {
            Ok(rows.execute("DELETE FROM spending_limit WHERE name = ?1", [name])? > 0)
        })
        .await
    }

    async fn accounts(
        &self,
        limits: &[Limit],
        now: SystemTime,
    ) -> Result<Vec<Account>, WalletError> {
        let given: Vec<_> = limits.iter().map(|limit| (None, limit.clone())).collect();
        self.with("read", move |database| {
            // One transaction: no payment is counted in one account and not yet in the next.
            let rows = database.unchecked_transaction()?;
            let own = kept(&rows)?.into_iter().map(|(name, limit)| (Some(name), limit));
            ledger::accounts(&Rows(&rows), given.into_iter().chain(own), now)
        })
        .await
    }

    async fn has_room(
        &self,
        host: &str,
        reserve: Reserve<'_>,
        now: SystemTime,
    ) -> Result<(), WalletError> {
        let (host, asked, mut limits) = (host.to_owned(), reserve.asked, reserve.limits.to_vec());
        self.with("read", move |database| {
            limits.extend(kept(database)?.into_iter().map(|(_, limit)| limit));
            let room = ledger::check(&Rows(database), &limits, &host, asked, None, now)?;
            Ok(room.map_err(WalletError::from)?)
        })
        .await
    }

    async fn reset(&self) -> Result<Msat, WalletError> {
        self.write(|rows| {
            let sum = "SELECT coalesce(sum(spent_msat), 0) FROM spending WHERE held_msat = 0";
            let gone: i64 = rows.query_row(sum, [], |row| row.get(0))?;
            rows.execute("DELETE FROM spending WHERE held_msat = 0", [])?;
            // A clock that was wrong once no longer counts either.
            rows.execute("UPDATE spending SET at_ms = 0", [])?;
            Ok(Msat::from_msat(gone.unsigned_abs()))
        })
        .await
    }
}
