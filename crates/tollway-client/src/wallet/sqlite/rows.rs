//! Payments as rows: looked up, listed, inserted, proven.

use l402::{PaymentHash, Secret};
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
    let hash = entry.hash();
    let Purchase { origin, method, path, challenge, node, begun_at } = entry.purchase();
    database.execute(
        "INSERT INTO payment (hash, origin, method, path, scheme, token, invoice, amount_msat, \
         node, begun_ms, standing) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        params![
            hash.to_string(),
            origin.as_str(),
            method.as_str(),
            path,
            challenge.scheme.name(),
            challenge.token.as_str(),
            challenge.invoice.as_str(),
            record::to_sql(challenge.invoice.amount()),
            node,
            record::to_ms(*begun_at),
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
            token.hash().to_string(),
            preimage.expose(),
            record::to_sql(token.fee),
            record::to_ms(token.paid_at),
            token.standing.name(),
        ],
    )?;
    Ok(())
}
