//! The service's ledger: what each connection holds, has spent and has asked for. A hold is one
//! transaction, so that two requests cannot both have the last satoshi of a budget.

use std::time::SystemTime;

use l402::{Invoice, Msat, PaymentHash};
use rusqlite::{OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::book::{Book, BookError, Connection, damaged, now, read_connection, signed, unsigned};
use super::budget::Period;

const PAYMENT: &str = "hash, invoice, amount_msat, state, fee_msat, created, ended";
const INVOICE: &str = "hash, invoice, amount_msat, memo, created, expires, settled";
/// How many rows are read for a list.
const LISTED: u32 = 10_000;

/// A payment in the book.
#[derive(Clone, Debug)]
pub(crate) struct Payment {
    pub(crate) hash: PaymentHash,
    pub(crate) invoice: String,
    pub(crate) amount: Msat,
    pub(crate) state: State,
    pub(crate) fee: Option<Msat>,
    pub(crate) created: u64,
    pub(crate) ended: Option<u64>,
}

/// How a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Its end is not known.
    Held,
    Paid,
    NotPaid,
}

impl State {
    const fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Paid => "paid",
            Self::NotPaid => "not_paid",
        }
    }

    /// The table allows no other words.
    fn of_word(word: &str) -> Self {
        match word {
            "paid" => Self::Paid,
            "not_paid" => Self::NotPaid,
            _ => Self::Held,
        }
    }
}

/// What became of the wish to hold.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// It is on the disk: pay.
    Taken,
    /// This request was taken before.
    Repeated,
    /// The same connection pays it already.
    UnderWay,
    /// The same connection has paid it.
    PaidBefore,
    /// It is another connection's payment.
    Elsewhere,
    /// The budget does not reach; so much is left.
    OverBudget(Msat),
    /// The connection was revoked.
    Revoked,
}

/// An invoice in the book.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) hash: PaymentHash,
    pub(crate) invoice: String,
    pub(crate) amount: Msat,
    pub(crate) memo: String,
    pub(crate) created: u64,
    pub(crate) expires: u64,
    pub(crate) settled: Option<u64>,
}

/// A wish to pay.
struct Wish {
    connection: i64,
    request: String,
    hash: PaymentHash,
    invoice: String,
    amount: Msat,
    max_fee: Msat,
}

impl Book {
    /// Sets money aside for a payment, on the disk, or says why not. What is said of a request is its
    /// end: it is not taken again.
    pub(crate) async fn hold(
        &self,
        connection: &Connection,
        request: String,
        invoice: &Invoice,
        max_fee: Msat,
    ) -> Result<Held, BookError> {
        let wish = Wish {
            connection: connection.id,
            request,
            hash: invoice.payment_hash(),
            invoice: invoice.to_string(),
            amount: invoice.amount(),
            max_fee,
        };
        self.with("written", move |database| {
            let all = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let held = wish.take(&all, now())?;
            all.commit()?;
            Ok(held)
        })
        .await
    }

    /// Writes down the node's word on a payment that is held. A fee is what routing cost.
    pub(crate) async fn settle(
        &self,
        hash: PaymentHash,
        fee: Option<Msat>,
    ) -> Result<(), BookError> {
        let state = if fee.is_some() { State::Paid } else { State::NotPaid };
        let settle = move |database: &mut rusqlite::Connection| {
            let update = "UPDATE payment SET state = ?2, fee_msat = ?3, ended = ?4
                WHERE hash = ?1 AND state = 'held'";
            let fee = fee.map(|fee| signed(fee.msat()));
            database.execute(update, params![hash.to_string(), state.word(), fee, signed(now())])
        };
        self.with("written", settle).await.map(|_| ())
    }

    /// Every payment whose end is not known.
    pub(crate) async fn held(&self) -> Result<Vec<Payment>, BookError> {
        self.payments("state = 'held'", 0).await
    }

    /// That connection's payments, the newest first.
    pub(crate) async fn payments_of(&self, connection: i64) -> Result<Vec<Payment>, BookError> {
        self.payments("connection = ?1", connection).await
    }

    async fn payments(
        &self,
        which: &'static str,
        connection: i64,
    ) -> Result<Vec<Payment>, BookError> {
        self.with("read", move |database| {
            let select = format!(
                "SELECT {PAYMENT} FROM payment WHERE {which} AND ?1 = ?1
                ORDER BY created DESC, rowid DESC LIMIT {LISTED}"
            );
            let mut select = database.prepare_cached(&select)?;
            let rows = select.query_map([connection], read_payment)?;
            rows.collect()
        })
        .await
    }

    /// How the payment of that hash stands, whosever it is.
    pub(crate) async fn any_payment(&self, hash: PaymentHash) -> Result<Option<State>, BookError> {
        let select = "SELECT state FROM payment WHERE hash = ?1";
        self.with("read", move |database| {
            let word =
                database.query_row(select, [hash.to_string()], |row| row.get(0)).optional()?;
            Ok(word.map(|word: String| State::of_word(&word)))
        })
        .await
    }

    /// A payment of that connection's.
    pub(crate) async fn payment(
        &self,
        connection: i64,
        hash: PaymentHash,
    ) -> Result<Option<Payment>, BookError> {
        let select = format!("SELECT {PAYMENT} FROM payment WHERE hash = ?1 AND connection = ?2");
        self.with("read", move |database| {
            let key = params![hash.to_string(), connection];
            database.query_row(&select, key, read_payment).optional()
        })
        .await
    }

    pub(crate) async fn insert_invoice(
        &self,
        connection: i64,
        invoice: &Invoice,
        memo: &str,
    ) -> Result<(), BookError> {
        let (text, amount) = (invoice.to_string(), signed(invoice.amount().msat()));
        let (hash, memo) = (invoice.payment_hash().to_string(), memo.to_owned());
        let created = invoice.created_at().duration_since(SystemTime::UNIX_EPOCH);
        let created = created.unwrap_or_default().as_secs();
        let expires = created.saturating_add(invoice.expiry().as_secs());
        let insert = "INSERT INTO invoice
            (hash, connection, invoice, amount_msat, memo, created, expires)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        self.with("written", move |database| {
            let row =
                params![hash, connection, text, amount, memo, signed(created), signed(expires)];
            database.execute(insert, row)
        })
        .await
        .map(|_| ())
    }

    /// That connection's invoices, the newest first.
    pub(crate) async fn invoices_of(&self, connection: i64) -> Result<Vec<Asked>, BookError> {
        let select = format!(
            "SELECT {INVOICE} FROM invoice WHERE connection = ?1
            ORDER BY created DESC, rowid DESC LIMIT {LISTED}"
        );
        self.with("read", move |database| {
            let mut select = database.prepare_cached(&select)?;
            let rows = select.query_map([connection], read_invoice)?;
            rows.collect()
        })
        .await
    }

    /// An invoice of that connection's.
    pub(crate) async fn invoice(
        &self,
        connection: i64,
        hash: PaymentHash,
    ) -> Result<Option<Asked>, BookError> {
        let select = format!("SELECT {INVOICE} FROM invoice WHERE hash = ?1 AND connection = ?2");
        self.with("read", move |database| {
            let key = params![hash.to_string(), connection];
            database.query_row(&select, key, read_invoice).optional()
        })
        .await
    }

    /// Writes down that an invoice was seen paid, and gives the moment of the first time.
    pub(crate) async fn invoice_settled(&self, hash: PaymentHash) -> Result<u64, BookError> {
        self.with("written", move |database| {
            let hash = hash.to_string();
            let update = "UPDATE invoice SET settled = ?2 WHERE hash = ?1 AND settled IS NULL";
            database.execute(update, params![hash, signed(now())])?;
            let select = "SELECT settled FROM invoice WHERE hash = ?1";
            let settled: Option<i64> = database.query_row(select, [hash], |row| row.get(0))?;
            Ok(settled.map_or_else(now, unsigned))
        })
        .await
    }

    /// Forgets requests that are too old to be taken again anyway.
    pub(crate) async fn forget_requests(&self, before: u64) -> Result<(), BookError> {
        self.with("written", move |database| {
            database.execute("DELETE FROM request WHERE seen < ?1", [signed(before)])
        })
        .await
        .map(|_| ())
    }
}

impl Wish {
    fn take(&self, all: &Transaction<'_>, at: u64) -> rusqlite::Result<Held> {
        let seen = "INSERT INTO request (id, seen) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        if all.execute(seen, params![self.request, signed(at)])? == 0 {
            return Ok(Held::Repeated);
        }
        let select = "SELECT id, name, client, secret, relays, budget_msat, period, created
            FROM connection WHERE revoked IS NULL AND id = ?1";
        let live = all.query_row(select, [self.connection], read_connection).optional()?;
        let Some(live) = live else { return Ok(Held::Revoked) };
        let before = "SELECT connection, state FROM payment WHERE hash = ?1";
        let before = all.query_row(before, [self.hash.to_string()], |row| {
            Ok((row.get::<_, i64>(0)?, State::of_word(&row.get::<_, String>(1)?)))
        });
        match before.optional()? {
            None | Some((_, State::NotPaid)) => {}
            Some((owner, _)) if owner != self.connection => return Ok(Held::Elsewhere),
            Some((_, State::Held)) => return Ok(Held::UnderWay),
            Some((_, State::Paid)) => return Ok(Held::PaidBefore),
        }
        if let Some(budget) = live.budget {
            let used = used(all, self.connection, budget.period, at)?;
            let left = budget.amount.checked_sub(used).unwrap_or(Msat::ZERO);
            let most = self.amount.checked_add(self.max_fee).unwrap_or(Msat::SUPPLY);
            if most > left {
                return Ok(Held::OverBudget(left));
            }
        }
        self.write(all, at)?;
        Ok(Held::Taken)
    }

    fn write(&self, all: &Transaction<'_>, at: u64) -> rusqlite::Result<usize> {
        let write = "INSERT INTO payment
            (hash, connection, request, invoice, amount_msat, max_fee_msat, state, created)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'held', ?7)
            ON CONFLICT (hash) DO UPDATE SET connection = ?2, request = ?3, invoice = ?4,
            amount_msat = ?5, max_fee_msat = ?6, state = 'held', created = ?7,
            fee_msat = NULL, ended = NULL";
        let [amount, max_fee] = [self.amount, self.max_fee].map(|amount| signed(amount.msat()));
        let (hash, at) = (self.hash.to_string(), signed(at));
        let Self { connection, request, invoice, .. } = self;
        all.execute(write, params![hash, connection, request, invoice, amount, max_fee, at])
    }
}

/// What was spent since the period began, and all that is held, whenever that began.
pub(super) fn used(
    database: &rusqlite::Connection,
    connection: i64,
    period: Period,
    now: u64,
) -> rusqlite::Result<Msat> {
    let (start, _) = period.bounds(now);
    let sum = "SELECT
        coalesce(sum(CASE state WHEN 'held' THEN amount_msat + max_fee_msat
                     ELSE amount_msat + fee_msat END), 0)
        FROM payment WHERE connection = ?1
        AND (state = 'held' OR state = 'paid' AND created >= ?2)";
    let used: i64 =
        database.query_row(sum, params![connection, signed(start)], |row| row.get(0))?;
    Ok(Msat::from_msat(unsigned(used)))
}

fn read_payment(row: &Row<'_>) -> rusqlite::Result<Payment> {
    let amount = |column| Ok::<_, rusqlite::Error>(Msat::from_msat(unsigned(row.get(column)?)));
    let hash: String = row.get(0)?;
    let fee: Option<i64> = row.get(4)?;
    let ended: Option<i64> = row.get(6)?;
    Ok(Payment {
        hash: hash.parse().map_err(|_| damaged(0, "no payment hash"))?,
        invoice: row.get(1)?,
        amount: amount(2)?,
        state: State::of_word(&row.get::<_, String>(3)?),
        fee: fee.map(|fee| Msat::from_msat(unsigned(fee))),
        created: unsigned(row.get(5)?),
        ended: ended.map(unsigned),
    })
}

fn read_invoice(row: &Row<'_>) -> rusqlite::Result<Asked> {
    let hash: String = row.get(0)?;
    let settled: Option<i64> = row.get(6)?;
    Ok(Asked {
        hash: hash.parse().map_err(|_| damaged(0, "no payment hash"))?,
        invoice: row.get(1)?,
        amount: Msat::from_msat(unsigned(row.get(2)?)),
        memo: row.get(3)?,
        created: unsigned(row.get(4)?),
        expires: unsigned(row.get(5)?),
        settled: settled.map(unsigned),
    })
}
