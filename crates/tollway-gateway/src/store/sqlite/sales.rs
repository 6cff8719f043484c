//! Reading back what was sold, on a connection of its own: however long it takes, nobody who counts a
//! use waits for it.

use l402::{Msat, PaymentHash, TokenId};
use rusqlite::{OptionalExtension, Row, ToSql, Transaction};

use crate::store::sales::{Bounds, TooMuch, Totals};
use crate::store::{Bill, By, Pick, Span, Total, Which, from_millis};

const COLUMNS: &str = "hash, token, service, msat, issued, expires, settled";

/// One page.
pub(super) fn bills(database: &Transaction<'_>, pick: &Pick) -> rusqlite::Result<Vec<Bill>> {
    let Bounds { from, after, hash } = pick.bounds();
    let mut values: Vec<&dyn ToSql> = vec![&from, &after, &hash.0, &pick.limit];
    if let Some(service) = &pick.service {
        values.push(service);
    }
    let mut page = database.prepare_cached(&page_of(pick))?;
    page.query_map(&values[..], bill)?.collect()
}

fn page_of(pick: &Pick) -> String {
    let moment = match pick.by {
        By::Issued => "issued",
        By::Settled => "settled",
    };
    let of_service = if pick.service.is_some() { "service = ?5 AND " } else { "" };
    format!(
        "SELECT {COLUMNS} FROM bills \
         WHERE {of_service}{moment} >= ?1 AND ({moment}, hash) < (?2, ?3) \
         ORDER BY {moment} DESC, hash DESC LIMIT ?4"
    )
}

/// One bill.
pub(super) fn one(database: &Transaction<'_>, which: Which) -> rusqlite::Result<Option<Bill>> {
    let (column, key) = match which {
        Which::Payment(hash) => ("hash", hash.0),
        Which::Token(token) => ("token", token.0),
    };
    let sql = format!("SELECT {COLUMNS} FROM bills WHERE {column} = ?");
    database.prepare_cached(&sql)?.query_row([key], bill).optional()
}

/// Sums.
pub(super) fn totals(
    database: &Transaction<'_>,
    span: &Span,
) -> rusqlite::Result<Result<Vec<Total>, TooMuch>> {
    let (from, to) = span.millis();
    let mut values: Vec<&dyn ToSql> = vec![&from, &to];
    let mut of_service = "";
    if let Some(service) = &span.service {
        of_service = "service = ?3 AND ";
        values.push(service);
    }
    let mut totals = Totals::default();
    let mut asked = database.prepare_cached(&asked_of(of_service))?;
    let mut rows = asked.query(&values[..])?;
    while let Some(row) = rows.next()? {
        totals.of(&row.get::<_, String>(0)?, row.get(1)?).challenges = row.get(2)?;
    }
    // `total` would be a float, and `sum` an error where it is too much.
    let mut paid = database.prepare_cached(&paid_of(of_service))?;
    let mut rows = paid.query(&values[..])?;
    while let Some(row) = rows.next()? {
        let total = totals.of(&row.get::<_, String>(0)?, row.get(1)?);
        (total.payments, total.unpriced) = (row.get(2)?, row.get(3)?);
        total.revenue = match u64::try_from(row.get::<_, i64>(4)?) {
            Ok(msat) => Msat::from_msat(msat),
            Err(_) => return Ok(Err(TooMuch)),
        };
    }
    Ok(Ok(totals.finish()))
}

fn asked_of(service: &str) -> String {
    format!(
        "SELECT service, issued / 86400000 AS day, count(*) FROM bills \
         WHERE {service}issued >= ?1 AND issued < ?2 GROUP BY service, day"
    )
}

fn paid_of(service: &str) -> String {
    format!(
        "SELECT service, settled / 86400000 AS day, count(*), count(*) - count(msat), \
         coalesce(sum(msat), 0) FROM bills \
         WHERE {service}settled >= ?1 AND settled < ?2 GROUP BY service, day"
    )
}

fn bill(row: &Row<'_>) -> rusqlite::Result<Bill> {
    Ok(Bill {
        hash: PaymentHash(row.get(0)?),
        token: row.get::<_, Option<[u8; 32]>>(1)?.map(TokenId),
        service: row.get(2)?,
        price: row.get::<_, Option<u64>>(3)?.map(Msat::from_msat),
        issued: from_millis(row.get(4)?),
        expires: row.get::<_, Option<i64>>(5)?.map(from_millis),
        settled: row.get::<_, Option<i64>>(6)?.map(from_millis),
    })
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;
    use rusqlite_migration::Migrations;

    use super::*;

    /// How SQLite goes about it.
    fn plan(sql: &str) -> String {
        let mut database = Connection::open_in_memory().unwrap();
        Migrations::from_slice(super::super::MIGRATIONS).to_latest(&mut database).unwrap();
        let mut explained = database.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let mut rows = explained.raw_query();
        let mut plan = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            plan.push(row.get::<_, String>(3).unwrap());
        }
        plan.join("; ")
    }

    #[test]
    fn a_page_is_found_by_an_index_that_has_its_order() {
        for (by, service, index) in [
            (By::Issued, None, "bills_issued"),
            (By::Settled, None, "bills_settled"),
            (By::Issued, Some("a"), "bills_service"),
            (By::Settled, Some("a"), "bills_sold"),
        ] {
            let pick = Pick { by, service: service.map(str::to_owned), ..Pick::default() };
            let plan = plan(&page_of(&pick));
            assert!(plan.starts_with("SEARCH bills USING INDEX"), "{plan}");
            assert!(plan.contains(index) && !plan.contains("TEMP"), "{by:?} {service:?}: {plan}");
        }
    }

    #[test]
    fn sums_read_nothing_but_an_index() {
        for service in ["", "service = ?3 AND "] {
            for sql in [asked_of(service), paid_of(service)] {
                let plan = plan(&sql);
                assert!(plan.starts_with("SEARCH bills USING COVERING INDEX"), "{plan}");
            }
        }
    }
}
