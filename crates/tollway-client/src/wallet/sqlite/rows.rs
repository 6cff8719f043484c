//! Payments as rows: looked up, listed, inserted, proven.

use std::ops::Deref;

use l402::{Invoice, PaymentHash, Secret};
use rusqlite::{Connection, OptionalExtension, params};

use super::Failed;
use super::record::{self, BEGUN, COLUMNS};
use super::sealing::place;
use crate::wallet::entry::Common;
use crate::wallet::seal::Vault;
use crate::wallet::{Entry, Token, WalletError};

/// The rows, and what seals the secrets in them.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) database: &'a Connection,
    pub(super) vault: &'a Vault,
}

impl Deref for Rows<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.database
    }
}

impl Rows<'_> {
    /// A secret as it is written into that payment's row.
    fn seal(&self, hash: PaymentHash, column: &str, text: &str) -> Result<String, Failed> {
        Ok(self.vault.seal(&place(&hash.to_string(), column), text)?)
    }

    /// A secret that was read from there.
    pub(super) fn open(
        &self,
        hash: &str,
        column: &'static str,
        written: String,
    ) -> Result<Secret<String>, WalletError> {
        let opened = self.vault.open(&place(hash, column), written);
        opened.map_err(|_| WalletError::Damaged { hash: hash.to_owned(), what: column })
    }
}

/// The payment of that hash, as far as it got.
pub(super) fn look_up(rows: &Rows<'_>, hash: PaymentHash) -> Result<Option<Entry>, Failed> {
    let sql = format!("SELECT {COLUMNS} FROM payment WHERE hash = ?1");
    let mut statement = rows.prepare_cached(&sql)?;
    let read = |row: &rusqlite::Row<'_>| Ok(record::entry(row, rows));
    let found = statement.query_row([hash.to_string()], read).optional()?;
    Ok(found.transpose()?)
}

/// Every row that the rest of a statement picks.
pub(super) fn list<T>(
    rows: &Rows<'_>,
    rest: &str,
    arguments: impl rusqlite::Params,
    read: fn(&rusqlite::Row<'_>, &Rows<'_>) -> Result<T, WalletError>,
) -> Result<Vec<T>, Failed> {
    let mut statement =
        rows.prepare_cached(&format!("SELECT {COLUMNS} FROM payment WHERE {rest}"))?;
    let found = statement.query_map(arguments, |row| Ok(read(row, rows)))?;
    let mut all = Vec::new();
    for row in found {
        all.push(row??);
    }
    Ok(all)
}

/// A row of its own for a payment that is not there yet.
pub(super) fn insert(rows: &Rows<'_>, entry: &Entry) -> Result<(), Failed> {
    let Common { scheme, token, invoice, target, query, node, begun_at } = entry.common();
    // With its mark before it, it is never taken for something sealed.
    let query = query.map(|query| Secret::new(format!("?{}", query.expose())));
    let query = query.map(|query| rows.seal(entry.hash(), "query", query.expose())).transpose()?;
    rows.execute(
        "INSERT INTO payment (hash, origin, method, path, scheme, token, invoice, amount_msat, \
         node, begun_ms, target, standing, query) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        params![
            entry.hash().to_string(),
            entry.origin().as_str(),
            entry.method().as_str(),
            entry.path(),
            scheme.name(),
            rows.seal(entry.hash(), "token", token.as_str())?,
            invoice.map_or("", Invoice::as_str),
            record::to_sql(entry.amount()),
            node,
            record::to_ms(begun_at),
            target.map(|target| target.to_string()),
            BEGUN,
            query,
        ],
    )?;
    entry.token().map_or(Ok(()), |token| prove(rows, token))
}

/// The proof of a payment whose row is there.
pub(super) fn prove(rows: &Rows<'_>, token: &Token) -> Result<(), Failed> {
    let preimage = Secret::new(token.preimage.expose_hex());
    let preimage = Secret::new(rows.seal(token.hash, "preimage", preimage.expose())?);
    rows.execute(
        "UPDATE payment SET preimage = ?2, fee_msat = ?3, paid_ms = ?4, standing = ?5 \
         WHERE hash = ?1",
        params![
            token.hash.to_string(),
            preimage.expose(),
            record::to_sql(token.fee),
            record::to_ms(token.paid_at),
            token.standing.name(),
        ],
    )?;
    Ok(())
}
