//! A payment as a row of the wallet's table, and back. Token and invoice stand there as the text in
//! which they came, so that reading them again is the same check as reading them from a server.

use std::time::{Duration, SystemTime};

use http::Method;
use l402::{Invoice, Msat, PaymentHash, Preimage, Scheme, Secret, scheme};
use rusqlite::Row;

use super::rows::Rows;
use crate::origin::Origin;
use crate::target::Target;
use crate::wallet::{Entry, Purchase, Standing, Token, WalletError};

/// The columns, in the order in which [`purchase`] and [`token`] read them.
pub(super) const COLUMNS: &str = "hash, origin, method, path, scheme, token, invoice, \
                                  amount_msat, node, begun_ms, target, preimage, fee_msat, \
                                  paid_ms, standing, query";

/// Every version of the tables, each made from the one before. What stands here is in people's files:
/// it is added to, and never changed.
pub(super) const MIGRATIONS: &[&str] = &[PAYMENTS, SPENDING, TARGETS, VAULT, QUERIES];

/// `standing` is `begun` until the proof is there; amounts are
/// repeated from the invoice for whoever reads the file with other tools.
const PAYMENTS: &str = "
CREATE TABLE payment (
    hash        TEXT PRIMARY KEY,
    origin      TEXT NOT NULL,
    method      TEXT NOT NULL,
    path        TEXT NOT NULL,
    scheme      TEXT NOT NULL,
    token       TEXT NOT NULL,
    invoice     TEXT NOT NULL,
    amount_msat INTEGER NOT NULL,
    node        TEXT,
    begun_ms    INTEGER NOT NULL,
    preimage    TEXT,
    fee_msat    INTEGER,
    paid_ms     INTEGER,
    standing    TEXT NOT NULL,
    CHECK ((standing = 'begun') = (preimage IS NULL)),
    CHECK ((preimage IS NULL) = (fee_msat IS NULL) AND (preimage IS NULL) = (paid_ms IS NULL))
) STRICT;
CREATE INDEX payment_by_origin ON payment (origin, paid_ms);
";

/// What counts against limits: `held_msat` until a payment's end is known, then `spent_msat`. Payments
/// that were made before there were limits count as well.
const SPENDING: &str = "
CREATE TABLE spending (
    hash        TEXT PRIMARY KEY,
    origin      TEXT NOT NULL,
    at_ms       INTEGER NOT NULL,
    held_msat   INTEGER NOT NULL,
    spent_msat  INTEGER NOT NULL,
    CHECK (held_msat >= 0 AND spent_msat >= 0 AND (held_msat = 0 OR spent_msat = 0))
) STRICT;
CREATE INDEX spending_by_time ON spending (at_ms);
CREATE INDEX spending_held ON spending (hash) WHERE held_msat > 0;
CREATE TABLE spending_limit (
    name        TEXT PRIMARY KEY,
    rule        TEXT NOT NULL
) STRICT;
INSERT INTO spending (hash, origin, at_ms, held_msat, spent_msat)
    SELECT hash, origin, begun_ms, amount_msat, 0 FROM payment WHERE standing = 'begun';
INSERT INTO spending (hash, origin, at_ms, held_msat, spent_msat)
    SELECT hash, origin, paid_ms, 0, amount_msat + fee_msat FROM payment WHERE standing <> 'begun';
";

/// Which request a payment is for that is good for one request only.
const TARGETS: &str = "ALTER TABLE payment ADD COLUMN target TEXT;";

/// How a request that was not answered is sent again; sealed as tokens are.
const QUERIES: &str = "ALTER TABLE payment ADD COLUMN query TEXT;";

/// The key that tokens and preimages are sealed with, itself encrypted; no row when they are not.
const VAULT: &str = "
CREATE TABLE vault (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    key         TEXT NOT NULL
) STRICT;
";

/// What `standing` says of a payment that has no proof yet.
pub(super) const BEGUN: &str = "begun";

/// A time that was written down.
pub(super) fn from_ms(ms: i64) -> SystemTime {
    let since = Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Milliseconds since 1970. Only times of our own clock are written.
pub(super) fn to_ms(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Millisatoshi as SQLite counts.
pub(super) fn to_sql(amount: Msat) -> i64 {
    i64::try_from(amount.msat()).unwrap_or(i64::MAX)
}

/// Reads a row, as far as its payment got.
pub(super) fn entry(row: &Row<'_>, rows: &Rows<'_>) -> Result<Entry, WalletError> {
    let is_begun = row.get::<_, String>("standing").is_ok_and(|standing| standing == BEGUN);
    if is_begun {
        purchase(row, rows).map(Entry::Begun)
    } else {
        token(row, rows).map(Entry::Finished)
    }
}

/// Reads the columns that are there from the beginning.
pub(super) fn purchase(row: &Row<'_>, rows: &Rows<'_>) -> Result<Purchase, WalletError> {
    let fields = Fields(row, rows);
    let (scheme, token) = fields.token()?;
    let invoice = fields.invoice()?.ok_or_else(|| fields.damaged("invoice"))?;
    let challenge = scheme.restore(token, invoice).map_err(|_| fields.damaged("invoice"))?;
    if challenge.invoice.payment_hash() != fields.hash()? {
        return Err(fields.damaged("hash"));
    }
    Ok(Purchase {
        origin: fields.origin()?,
        method: fields.method()?,
        path: fields.text("path")?,
        target: fields.target()?,
        query: fields.query()?,
        challenge,
        node: row.get("node").map_err(|_| fields.damaged("node"))?,
        begun_at: fields.time("begun_ms")?,
    })
}

/// Reads all of them.
pub(super) fn token(row: &Row<'_>, rows: &Rows<'_>) -> Result<Token, WalletError> {
    let fields = Fields(row, rows);
    let (hash, (scheme, token), invoice) = (fields.hash()?, fields.token()?, fields.invoice()?);
    if let Some(invoice) = &invoice {
        let again = scheme.restore(token.clone(), invoice.clone());
        let again = again.map_err(|_| fields.damaged("invoice"))?;
        if again.invoice.payment_hash() != hash {
            return Err(fields.damaged("hash"));
        }
    }
    let preimage = fields.secret("preimage")?;
    let preimage: Preimage = preimage.expose().parse().map_err(|_| fields.damaged("preimage"))?;
    if !preimage.opens(hash) {
        return Err(fields.damaged("preimage"));
    }
    let standing = Standing::from_name(&fields.text("standing")?);
    let amount = Msat::from_msat(fields.count("amount_msat")?);
    Ok(Token {
        origin: fields.origin()?,
        method: fields.method()?,
        path: fields.text("path")?,
        target: fields.target()?,
        query: fields.query()?,
        scheme,
        token,
        hash,
        amount: invoice.as_ref().map_or(amount, Invoice::amount),
        invoice,
        node: row.get("node").map_err(|_| fields.damaged("node"))?,
        begun_at: fields.time("begun_ms")?,
        preimage,
        fee: Msat::from_msat(fields.count("fee_msat")?),
        paid_at: fields.time("paid_ms")?,
        standing: standing.ok_or_else(|| fields.damaged("standing"))?,
    })
}

/// One row, read field by field so that an error names the field.
struct Fields<'a>(&'a Row<'a>, &'a Rows<'a>);

impl Fields<'_> {
    fn text(&self, name: &'static str) -> Result<String, WalletError> {
        self.0.get(name).map_err(|_| self.damaged(name))
    }

    /// One that may be sealed.
    fn secret(&self, name: &'static str) -> Result<Secret<String>, WalletError> {
        self.1.open(&self.text("hash")?, name, self.text(name)?)
    }

    fn hash(&self) -> Result<PaymentHash, WalletError> {
        self.text("hash")?.parse().map_err(|_| self.damaged("hash"))
    }

    fn origin(&self) -> Result<Origin, WalletError> {
        self.text("origin")?.parse().map_err(|_| self.damaged("origin"))
    }

    fn method(&self) -> Result<Method, WalletError> {
        self.text("method")?.parse().map_err(|_| self.damaged("method"))
    }

    fn token(&self) -> Result<(&'static dyn Scheme, l402::Token), WalletError> {
        let scheme = scheme::find(&self.text("scheme")?).ok_or_else(|| self.damaged("scheme"))?;
        let token = self.secret("token")?;
        let token = l402::Token::new(token.expose()).map_err(|_| self.damaged("token"))?;
        Ok((scheme, token))
    }

    /// There is none with a token that another program has bought.
    fn invoice(&self) -> Result<Option<Invoice>, WalletError> {
        let text = self.text("invoice")?;
        let read = || Invoice::parse(&text).map_err(|_| self.damaged("invoice"));
        if text.is_empty() { Ok(None) } else { read().map(Some) }
    }

    fn target(&self) -> Result<Option<Target>, WalletError> {
        let text: Option<String> = self.0.get("target").map_err(|_| self.damaged("target"))?;
        text.map(|text| text.parse().map_err(|_| self.damaged("target"))).transpose()
    }

    fn query(&self) -> Result<Option<Secret<String>>, WalletError> {
        let text: Option<String> = self.0.get("query").map_err(|_| self.damaged("query"))?;
        let Some(text) = text else { return Ok(None) };
        let marked = self.1.open(&self.text("hash")?, "query", text)?;
        let query = marked.expose().strip_prefix('?').ok_or_else(|| self.damaged("query"))?;
        Ok(Some(Secret::new(query.to_owned())))
    }

    fn count(&self, name: &'static str) -> Result<u64, WalletError> {
        let number: i64 = self.0.get(name).map_err(|_| self.damaged(name))?;
        u64::try_from(number).map_err(|_| self.damaged(name))
    }

    fn time(&self, name: &'static str) -> Result<SystemTime, WalletError> {
        let since = Duration::from_millis(self.count(name)?);
        SystemTime::UNIX_EPOCH.checked_add(since).ok_or_else(|| self.damaged(name))
    }

    fn damaged(&self, what: &'static str) -> WalletError {
        let hash = self.0.get("hash").unwrap_or_else(|_| "(no hash)".to_owned());
        WalletError::Damaged { hash, what }
    }
}
