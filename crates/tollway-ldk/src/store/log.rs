//! The payment log's rows: how each payment we sent or received stands, and lists of them.

use std::time::{SystemTime, UNIX_EPOCH};

use l402::{Msat, PaymentHash, Preimage, Why};
use rusqlite::{OptionalExtension, Transaction, params};

use super::Store;
use crate::node::{Direction, PaymentRecord, PaymentState};
use crate::payments::{Received, Sent};

/// Where a page of the list begins: after this payment, which stands at this time.
pub(crate) type Page = (u64, PaymentHash);

impl Store {
    pub(crate) fn sent(&self, hash: PaymentHash) -> rusqlite::Result<Option<Sent>> {
        let sql = "SELECT amount_msat, preimage, fee_msat, failed FROM sent WHERE hash = ?";
        let db = self.reader();
        db.prepare_cached(sql)?.query_row([&hash.0[..]], sent_row).optional()
    }

    /// The payments that had not ended when they were last written.
    pub(crate) fn unfinished(&self) -> rusqlite::Result<Vec<PaymentHash>> {
        let db = self.reader();
        let mut query =
            db.prepare("SELECT hash FROM sent WHERE preimage IS NULL AND failed IS NULL")?;
        query.query_map([], |row| row.get(0).map(PaymentHash))?.collect()
    }

    pub(crate) fn received(&self, hash: PaymentHash) -> rusqlite::Result<Option<Received>> {
        let sql = "SELECT amount_msat, claimed FROM received WHERE hash = ?";
        let row = |row: &rusqlite::Row<'_>| {
            let amount = Msat::from_msat(row.get(0)?);
            Ok(if row.get(1)? { Received::Claimed(amount) } else { Received::Claiming(amount) })
        };
        self.reader().prepare_cached(sql)?.query_row([&hash.0[..]], row).optional()
    }

    /// How many payments were received, and how much in all.
    pub(crate) fn received_total(&self) -> rusqlite::Result<(u64, Msat)> {
        let sql = "SELECT COUNT(*), COALESCE(SUM(amount_msat), 0) FROM received WHERE claimed";
        self.reader().query_row(sql, [], |row| Ok((row.get(0)?, Msat::from_msat(row.get(1)?))))
    }

    /// Payments of both directions, the newest first, after `page`. Those of one second are in the
    /// order of their hashes, and those from before times were kept come last.
    pub(crate) fn payments(
        &self,
        page: Option<Page>,
        limit: u32,
    ) -> rusqlite::Result<Vec<PaymentRecord>> {
        // The two halves are cut to the limit before they are put together: a page of a million
        // payments costs what one of ten does.
        let half = |table: &str, columns: &str| {
            format!(
                "SELECT * FROM (SELECT hash, at, {columns} FROM {table} WHERE (at, hash) < (?1, ?2)
                 ORDER BY at DESC, hash DESC LIMIT ?3)"
            )
        };
        let sql = format!(
            "{} UNION ALL {} ORDER BY at DESC, hash DESC LIMIT ?3",
            half("sent", "amount_msat, preimage, fee_msat, failed, 0 AS incoming"),
            half("received", "amount_msat, NULL, NULL, NULL, 1 + claimed"),
        );
        let (at, hash) = page.map_or((i64::MAX, [0xff; 32]), |(at, hash)| {
            (i64::try_from(at).unwrap_or(i64::MAX), hash.0)
        });
        let db = self.reader();
        let mut query = db.prepare_cached(&sql)?;
        query.query_map(params![at, hash, limit], record)?.collect()
    }
}

fn record(row: &rusqlite::Row<'_>) -> rusqlite::Result<PaymentRecord> {
    let hash = PaymentHash(row.get(0)?);
    let at: u64 = row.get(1)?;
    let amount: Option<u64> = row.get(2)?;
    let (preimage, fee, failed): (Option<[u8; 32]>, Option<u64>, Option<i64>) =
        (row.get(3)?, row.get(4)?, row.get(5)?);
    let incoming: u8 = row.get(6)?;
    let state = match (incoming, preimage, failed) {
        (2, ..) | (0, Some(_), _) => PaymentState::Paid,
        (0, None, Some(code)) => PaymentState::Failed(why_from(code)),
        _ => PaymentState::Pending,
    };
    Ok(PaymentRecord {
        hash,
        direction: if incoming == 0 { Direction::Sent } else { Direction::Received },
        amount: amount.filter(|msat| *msat > 0).map(Msat::from_msat),
        fee: fee.map(Msat::from_msat),
        state,
        at: (at > 0).then(|| UNIX_EPOCH + std::time::Duration::from_secs(at)),
    })
}

/// Unix seconds.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

pub(super) fn write_sent(
    tx: &Transaction<'_>,
    hash: PaymentHash,
    sent: &Sent,
) -> rusqlite::Result<()> {
    let (amount, preimage, fee, failed) = match sent {
        Sent::Begun { amount } => (Some(amount.msat()), None, None, None),
        Sent::Paid { preimage, fee } => {
            (None, Some(&preimage.expose()[..]), Some(fee.msat()), None)
        }
        Sent::Failed { why } => (None, None, None, Some(why_code(*why))),
    };
    let sql = "INSERT INTO sent (hash, amount_msat, preimage, fee_msat, failed, at)
               VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (hash) DO UPDATE SET
               amount_msat = COALESCE(excluded.amount_msat, amount_msat),
               preimage = excluded.preimage, fee_msat = excluded.fee_msat,
               failed = excluded.failed";
    let values = params![hash.0, amount, preimage, fee, failed, now()];
    tx.prepare_cached(sql)?.execute(values).map(drop)
}

pub(super) fn write_received(
    tx: &Transaction<'_>,
    hash: PaymentHash,
    received: Received,
) -> rusqlite::Result<()> {
    let (amount, claimed) = match received {
        Received::Claiming(amount) => (amount, false),
        Received::Claimed(amount) => (amount, true),
    };
    let sql = "INSERT INTO received (hash, amount_msat, claimed, at) VALUES (?, ?, ?, ?)
               ON CONFLICT (hash) DO UPDATE SET amount_msat = excluded.amount_msat,
               claimed = excluded.claimed";
    tx.prepare_cached(sql)?.execute(params![hash.0, amount.msat(), claimed, now()]).map(drop)
}

fn sent_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Sent> {
    let amount: Option<u64> = row.get(0)?;
    let (preimage, fee, failed): (Option<[u8; 32]>, Option<u64>, Option<i64>) =
        (row.get(1)?, row.get(2)?, row.get(3)?);
    let msat = |msat: Option<u64>| Msat::from_msat(msat.unwrap_or_default());
    Ok(match (preimage, failed) {
        (Some(preimage), _) => Sent::Paid { preimage: Preimage::new(preimage), fee: msat(fee) },
        (None, Some(code)) => Sent::Failed { why: why_from(code) },
        (None, None) => Sent::Begun { amount: msat(amount) },
    })
}

/// The reasons as they are written; a reason that a later version adds reads as `Refused`.
fn why_code(why: Why) -> i64 {
    match why {
        Why::NoRoute => 1,
        Why::Balance => 2,
        Why::Expired => 3,
        Why::PayeeRefused => 4,
        Why::WrongNetwork => 5,
        _ => 0,
    }
}

fn why_from(code: i64) -> Why {
    match code {
        1 => Why::NoRoute,
        2 => Why::Balance,
        3 => Why::Expired,
        4 => Why::PayeeRefused,
        5 => Why::WrongNetwork,
        _ => Why::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Write;

    #[test]
    fn a_payment_reads_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let (hash, amount) = (PaymentHash([1; 32]), Msat::from_msat(5));
        assert_eq!(store.sent(hash).unwrap(), None);
        let preimage = Preimage::new([2; 32]);
        for sent in [
            Sent::Begun { amount },
            Sent::Failed { why: Why::Balance },
            Sent::Paid { preimage, fee: Msat::from_msat(1) },
        ] {
            let unfinished = matches!(sent, Sent::Begun { .. });
            store.commit(&[Write::Sent { hash, sent: sent.clone() }], b"").unwrap();
            assert_eq!(store.sent(hash).unwrap(), Some(sent));
            assert_eq!(store.unfinished().unwrap().len(), usize::from(unfinished));
        }
    }

    #[test]
    fn the_list_is_read_page_by_page_and_misses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let mut hashes = std::collections::BTreeSet::new();
        for number in 1..=25_u8 {
            let (hash, amount) = (PaymentHash([number; 32]), Msat::from_msat(number.into()));
            let write = match number % 2 {
                0 => Write::Sent { hash, sent: Sent::Begun { amount } },
                _ => Write::Received { hash, received: Received::Claimed(amount) },
            };
            store.commit(&[write], b"").unwrap();
            hashes.insert(hash.0);
        }
        // Some from before times were kept.
        store.writer().execute_batch("UPDATE sent SET at = 0 WHERE amount_msat > 20").unwrap();
        let (mut page, mut seen) = (None, Vec::new());
        loop {
            let records = store.payments(page, 4).unwrap();
            let Some(last) = records.last() else { break };
            page = Some(last.page());
            seen.extend(records.iter().map(|record| record.hash.0));
        }
        assert_eq!(seen.len(), 25);
        assert_eq!(seen.into_iter().collect::<std::collections::BTreeSet<_>>(), hashes);
    }
}
