//! Payments as rows: looked up, listed, inserted, proven.

use l402::{Challenge, Invoice, PaymentHash, Secret};
use rusqlite::{Connection, OptionalExtension, params};

use super::Failed;
use super::record::{self, BEGUN, COLUMNS};
use crate::wallet::{Entry, Purchase, Token, WalletError};

pub(super) fn look_up(database: &Connection, hash: PaymentHash) -> Result<Option<Entry>, Failed> {
    let sql = format!("SELECT {COLUMNS} FROM payment WHERE hash = ?1");
    let mut statement = database.prepare_cached(&sql)?;
    let read = |row: &rusqlite::Row<'_>| Ok(record::entry(row));
    let found = statement.query_row([hash.to_string()], read).optional()?;
    Ok(found.transpose()?)
}

/// Every row that the rest of a statement picks.
pub(super) fn list<T>(
    database: &Connection,
    rest: &str,
    arguments: impl rusqlite::Params,
    read: fn(&rusqlite::Row<'_>) -> Result<T, WalletError>,
) -> Result<Vec<T>, Failed> {
    let mut statement =
        database.prepare_cached(&format!("SELECT {COLUMNS} FROM payment WHERE {rest}"))?;
    let rows = statement.query_map(arguments, |row| Ok(read(row)))?;
    let mut all = Vec::new();
    for row in rows {
        all.push(row??);
    }
    Ok(all)
}

/// A row of its own for a payment that is not there yet.
pub(super) fn insert(database: &Connection, entry: &Entry) -> Result<(), Failed> {
    let (scheme, token, invoice, target, node, begun_at) = match entry {
        Entry::Begun(Purchase { challenge, target, node, begun_at, .. }) => {
            let Challenge { scheme, token, invoice, .. } = challenge;
            (scheme, token, Some(invoice), target, node, begun_at)
        }
        Entry::Finished(Token { scheme, token, invoice, target, node, begun_at, .. }) => {
            (scheme, token, invoice.as_ref(), target, node, begun_at)
        }
    };
    database.execute(
        "INSERT INTO payment (hash, origin, method, path, scheme, token, invoice, amount_msat, \
         node, begun_ms, target, standing) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        params![
            entry.hash().to_string(),
            entry.origin().as_str(),
            entry.method().as_str(),
            entry.path(),
            scheme.name(),
            token.as_str(),
            invoice.map_or("", Invoice::as_str),
            record::to_sql(entry.amount()),
            node,
            record::to_ms(*begun_at),
            target.map(|target| target.to_string()),
            BEGUN,
        ],
    )?;
    entry.token().map_or(Ok(()), |token| prove(database, token))
}

/// The proof of a payment whose row is there.
pub(super) fn prove(database: &Connection, token: &Token) -> Result<(), Failed> {
    let preimage = Secret::new(token.preimage.expose_hex());
    database.execute(
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
