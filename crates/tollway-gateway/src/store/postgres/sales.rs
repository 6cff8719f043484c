//! Reading back what was sold.

use l402::{Msat, PaymentHash, TokenId};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::{NAME, PostgresStore, bytes32};
use crate::store::sales::{Bounds, TooMuch, Totals};
use crate::store::{Bill, By, Pick, Span, StoreError, Total, Which, from_millis};

const DOING: &str = "read what was sold";
const COLUMNS: &str = "hash, token, service, msat, issued, expires, settled";

/// Values for a statement.
type Values<'a> = Vec<&'a (dyn ToSql + Sync)>;

impl PostgresStore {
    /// One page.
    pub(super) async fn page(&self, pick: &Pick) -> Result<Vec<Bill>, StoreError> {
        let Bounds { from, after, hash } = pick.bounds();
        let (hash, limit) = (&hash.0[..], i64::from(pick.limit));
        let moment = match pick.by {
            By::Issued => "issued",
            By::Settled => "settled",
        };
        let mut values: Values<'_> = vec![&from, &after, &hash, &limit];
        let of_service = of_service(&pick.service, &mut values);
        let sql = format!(
            "SELECT {COLUMNS} FROM tollway_bills \
             WHERE {of_service}{moment} >= $1 AND ({moment}, hash) < ($2, $3) \
             ORDER BY {moment} DESC, hash DESC LIMIT $4"
        );
        Ok(self.rows(DOING, &sql, &values).await?.iter().filter_map(bill).collect())
    }

    /// One bill.
    pub(super) async fn one(&self, which: Which) -> Result<Option<Bill>, StoreError> {
        let (column, key) = match which {
            Which::Payment(hash) => ("hash", hash.0),
            Which::Token(token) => ("token", token.0),
        };
        let sql = format!("SELECT {COLUMNS} FROM tollway_bills WHERE {column} = $1");
        Ok(self.rows(DOING, &sql, &[&&key[..]]).await?.iter().find_map(bill))
    }

    /// Sums.
    pub(super) async fn sums(&self, span: &Span) -> Result<Vec<Total>, StoreError> {
        let (from, to) = span.millis();
        let mut values: Values<'_> = vec![&from, &to];
        let of_service = of_service(&span.service, &mut values);
        let mut totals = Totals::default();
        let asked = format!(
            "SELECT service, issued / 86400000 AS day, count(*) FROM tollway_bills \
             WHERE {of_service}issued >= $1 AND issued < $2 GROUP BY service, day"
        );
        for row in self.rows(DOING, &asked, &values).await? {
            totals.of(row.get(0), row.get(1)).challenges = count(&row, 2);
        }
        let paid = format!(
            "SELECT service, settled / 86400000 AS day, count(*), count(*) - count(msat), \
             coalesce(sum(msat), 0)::TEXT FROM tollway_bills \
             WHERE {of_service}settled >= $1 AND settled < $2 GROUP BY service, day"
        );
        for row in self.rows(DOING, &paid, &values).await? {
            let total = totals.of(row.get(0), row.get(1));
            (total.payments, total.unpriced) = (count(&row, 2), count(&row, 3));
            // The server adds up in decimal, which has no end.
            let sum: &str = row.get(4);
            let msat = sum.parse().map_err(|_| TooMuch::at(NAME)(TooMuch))?;
            total.revenue = Msat::from_msat(msat);
        }
        Ok(totals.finish())
    }
}

fn of_service<'a>(service: &'a Option<String>, values: &mut Values<'a>) -> String {
    match service {
        None => String::new(),
        Some(service) => {
            values.push(service);
            format!("service = ${} AND ", values.len())
        }
    }
}

fn count(row: &Row, column: usize) -> u64 {
    u64::try_from(row.get::<_, i64>(column)).unwrap_or(0)
}

fn bill(row: &Row) -> Option<Bill> {
    let token = row.get::<_, Option<&[u8]>>(1).and_then(bytes32);
    let price = row.get::<_, Option<i64>>(3).and_then(|msat| u64::try_from(msat).ok());
    Some(Bill {
        hash: PaymentHash(bytes32(row.get(0))?),
        token: token.map(TokenId),
        service: row.get(2),
        price: price.map(Msat::from_msat),
        issued: from_millis(row.get(4)),
        expires: row.get::<_, Option<i64>>(5).map(from_millis),
        settled: row.get::<_, Option<i64>>(6).map(from_millis),
    })
}
