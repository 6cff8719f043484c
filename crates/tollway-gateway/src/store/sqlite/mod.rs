//! A store in one SQLite file, in write-ahead mode. Several gateways on one machine may share it. A use
//! is counted once the disk has it: neither a killed process nor a lost power line gives it back.

mod sales;
mod writer;

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use l402::caveat::Counter;
use l402::{Msat, PaymentHash, TokenId};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use rusqlite_migration::{M, Migrations};

use super::{
    Answer, Bill, Claim, Driver, Event, Horizon, OneTime, Pick, SharedStore, Span, StoreError,
    Take, TokenStore, Total, Which, in_order, sales::TooMuch, to_millis, until_millis,
};
use writer::{WriteError, Writer};

const NAME: &str = "sqlite";
/// How long to wait for another process's transaction.
const PATIENCE: Duration = Duration::from_secs(5);
/// What `max_size` is counted in: SQLite's own unit.
const PAGE: u64 = 4096;

/// How many bills are forgotten at a time: who counts a use waits for no more than that.
const FORGET: u32 = 2_000;

static MIGRATIONS: &[M<'static>] =
    &[M::up(include_str!("../schema/sqlite_1.sql")), M::up(include_str!("../schema/sqlite_2.sql"))];

/// A store in a file.
#[derive(Debug)]
pub struct SqliteStore {
    writer: Writer,
    /// Long reading, which keeps nobody waiting who writes.
    reader: Writer,
}

#[derive(Debug)]
pub(super) struct SqliteDriver;

/// What a URL says.
struct Place {
    path: PathBuf,
    max_size: Option<u64>,
}

#[async_trait]
impl Driver for SqliteDriver {
    fn schemes(&self) -> &'static [&'static str] {
        &["sqlite"]
    }

    fn check(&self, url: &str) -> Result<(), String> {
        place(url).map(drop)
    }

    async fn open(&self, url: &str) -> Result<SharedStore, StoreError> {
        let place = place(url).map_err(|problem| StoreError::Url { problem })?;
        let opening = tokio::task::spawn_blocking(move || open(&place));
        Ok(Arc::new(opening.await.map_err(StoreError::failed(NAME, "open"))??))
    }
}

/// Reads `sqlite:/path` and `sqlite:/path?max_size=64MB`.
fn place(url: &str) -> Result<Place, String> {
    let rest = url.strip_prefix("sqlite:").unwrap_or_default();
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    if path.is_empty() {
        return Err(
            "has a path after the colon, as `sqlite:/var/lib/tollway/gateway.db`".to_owned()
        );
    }
    const SIZE: &str = "takes `?max_size=64MB`, a whole number of megabytes from 1 on";
    let max_size = match query.split_once('=') {
        None if query.is_empty() => None,
        Some(("max_size", size)) => {
            let megabytes = size.strip_suffix("MB").and_then(|number| number.parse::<u64>().ok());
            let bytes = megabytes.filter(|n| *n > 0).and_then(|n| n.checked_mul(1024 * 1024));
            Some(bytes.ok_or(SIZE)?)
        }
        _ => return Err(SIZE.to_owned()),
    };
    Ok(Place { path: path.into(), max_size })
}

fn open(place: &Place) -> Result<SqliteStore, StoreError> {
    let _alone = make_private(&place.path).map_err(StoreError::failed(NAME, "open"))?;
    let connect = || -> rusqlite::Result<Connection> {
        let database = Connection::open(&place.path)?;
        database.busy_timeout(PATIENCE)?;
        database.pragma_update(None, "journal_mode", "WAL")?;
        database.pragma_update(None, "synchronous", "FULL")?;
        if let Some(bytes) = place.max_size {
            database.pragma_update(None, "max_page_count", bytes / PAGE)?;
        }
        Ok(database)
    };
    let mut database = connect().map_err(StoreError::failed(NAME, "open"))?;
    Migrations::from_slice(MIGRATIONS).to_latest(&mut database).map_err(|error| match error {
        rusqlite_migration::Error::MigrationDefinition(_) => StoreError::Unusable {
            store: NAME,
            problem: format!(
                "{} was written by a later version; use that one, or another file",
                place.path.display()
            ),
        },
        error => StoreError::failed(NAME, "bring the file up to date")(error),
    })?;
    let reading = connect().map_err(StoreError::failed(NAME, "open"))?;
    let start = |database, behavior| {
        Writer::start(database, behavior).map_err(StoreError::failed(NAME, "open"))
    };
    Ok(SqliteStore {
        writer: start(database, TransactionBehavior::Immediate)?,
        reader: start(reading, TransactionBehavior::Deferred)?,
    })
}

/// The file is made with nobody else's rights before SQLite sees it; its own files beside it take
/// over its mode. Somebody who can write here can hand out uses. Returns a lock that keeps others from
/// opening it at the same time: two cannot change its mode or make its tables at once.
fn make_private(path: &Path) -> std::io::Result<File> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push("-lock");
    let lock = options.clone().create(true).truncate(false).open(lock_path)?;
    lock.lock()?;
    // A file that is there is left alone: closing it would end SQLite's own locks on it in this
    // process (POSIX, fcntl).
    match options.create_new(true).open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(lock),
    }
}

impl SqliteStore {
    async fn run<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.run(work).await.map_err(StoreError::failed::<WriteError>(NAME, doing))
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let read = self.reader.run(work).await;
        read.map_err(StoreError::failed::<WriteError>(NAME, "read what was sold"))
    }
}

#[async_trait]
impl TokenStore for SqliteStore {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn take(&self, counters: &[Counter], now: SystemTime) -> Result<Take, StoreError> {
        let (counters, now) = (in_order(counters), to_millis(now));
        self.run("count a use", move |database| take(database, &counters, now)).await
    }

    async fn give_back(&self, counters: &[Counter]) -> Result<(), StoreError> {
        let counters = in_order(counters);
        self.run("give back a use", move |database| {
            let mut back = database
                .prepare_cached("UPDATE uses SET used = used - 1 WHERE key = ? AND used > 0")?;
            counters.iter().try_for_each(|counter| back.execute([counter.key]).map(drop))
        })
        .await
    }

    async fn claim(&self, payment: &OneTime, now: SystemTime) -> Result<Claim, StoreError> {
        let (payment, now) = (*payment, to_millis(now));
        self.run("claim a payment", move |database| claim(database, &payment, now)).await
    }

    async fn answer(&self, hash: PaymentHash, answer: &Answer) -> Result<(), StoreError> {
        let answer = answer.to_bytes();
        self.run("keep an answer", move |database| {
            let mut keep =
                database.prepare_cached("UPDATE claims SET answer = ? WHERE hash = ?")?;
            keep.execute(params![answer, hash.0]).map(drop)
        })
        .await
    }

    async fn release(&self, hash: PaymentHash) -> Result<(), StoreError> {
        self.run("release a payment", move |database| {
            database.execute("DELETE FROM claims WHERE hash = ?", [hash.0]).map(drop)
        })
        .await
    }

    async fn revoke(&self, token: TokenId, until: Option<SystemTime>) -> Result<(), StoreError> {
        let until = until_millis(until);
        self.run("revoke a token", move |database| {
            let sql = "INSERT INTO revoked VALUES (?, ?) ON CONFLICT DO UPDATE SET until = excluded.until";
            database.execute(sql, params![token.0, until]).map(drop)
        })
        .await
    }

    async fn revoked(&self) -> Result<Vec<TokenId>, StoreError> {
        self.run("read the revoked tokens", |database| {
            let mut all = database.prepare_cached("SELECT token FROM revoked")?;
            let rows = all.query_map([], |row| row.get(0).map(TokenId))?;
            rows.collect()
        })
        .await
    }

    async fn record(&self, events: &[Event]) -> Result<(), StoreError> {
        let events = events.to_vec();
        self.run("write down what was sold", move |database| record(database, &events)).await
    }

    async fn bills(&self, pick: &Pick) -> Result<Vec<Bill>, StoreError> {
        let pick = pick.clone();
        self.read(move |database| sales::bills(database, &pick)).await
    }

    async fn bill(&self, which: Which) -> Result<Option<Bill>, StoreError> {
        self.read(move |database| sales::one(database, which)).await
    }

    async fn totals(&self, span: &Span) -> Result<Vec<Total>, StoreError> {
        let span = span.clone();
        let totals = self.read(move |database| sales::totals(database, &span)).await?;
        totals.map_err(TooMuch::at(NAME))
    }

    async fn prune(&self, horizon: Horizon) -> Result<(), StoreError> {
        let [now, unpaid, paid] = [horizon.now, horizon.unpaid, horizon.paid].map(to_millis);
        self.run("forget what is past", move |database| {
            database.execute("DELETE FROM uses WHERE until <= ?", [now])?;
            database.execute("DELETE FROM claims WHERE until <= ?", [now])?;
            database.execute("DELETE FROM revoked WHERE until <= ?", [now]).map(drop)
        })
        .await?;
        const OLD: [&str; 2] = ["settled IS NULL AND issued < ?", "settled < ?"];
        for (old, before) in OLD.into_iter().zip([unpaid, paid]) {
            let sql = format!(
                "DELETE FROM bills WHERE rowid IN (SELECT rowid FROM bills WHERE {old} LIMIT {FORGET})"
            );
            let some = |sql: String| {
                self.run("forget what is past", move |database| database.execute(&sql, [before]))
            };
            while some(sql.clone()).await? > 0 {}
        }
        Ok(())
    }
}

/// Looks at every counter before it changes one: nobody else writes in the meantime.
fn take(database: &Transaction<'_>, counters: &[Counter], now: i64) -> rusqlite::Result<Take> {
    let mut used = database.prepare_cached("SELECT used FROM uses WHERE key = ? AND until > ?")?;
    for counter in counters {
        let used: Option<u64> =
            used.query_row(params![counter.key, now], |row| row.get(0)).optional()?;
        if used.unwrap_or(0) >= counter.limit {
            return Ok(Take::Spent);
        }
    }
    let mut one_more = database.prepare_cached(
        "INSERT INTO uses VALUES (?1, 1, ?2) ON CONFLICT DO UPDATE SET \
         used = CASE WHEN until > ?3 THEN used + 1 ELSE 1 END, \
         until = CASE WHEN until > ?3 THEN until ELSE ?2 END",
    )?;
    for counter in counters {
        one_more.execute(params![counter.key, until_millis(counter.until), now])?;
    }
    Ok(Take::Taken)
}

fn claim(database: &Transaction<'_>, payment: &OneTime, now: i64) -> rusqlite::Result<Claim> {
    let mut made = database.prepare_cached(
        "INSERT INTO claims VALUES (?1, ?2, NULL, ?3) ON CONFLICT DO UPDATE SET \
         request = ?2, answer = NULL, until = ?3 WHERE until <= ?4",
    )?;
    let until = to_millis(payment.until);
    if made.execute(params![payment.hash.0, payment.request, until, now])? == 1 {
        return Ok(Claim::First);
    }
    let mut find = database.prepare_cached("SELECT request, answer FROM claims WHERE hash = ?")?;
    let (request, answer): (Option<[u8; 32]>, Option<Vec<u8>>) =
        find.query_row([payment.hash.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(super::claimed(payment, request, answer.as_deref()))
}

fn record(database: &Transaction<'_>, events: &[Event]) -> rusqlite::Result<()> {
    let mut issued = database.prepare_cached(
        "INSERT INTO bills (hash, token, service, msat, issued, expires) VALUES (?, ?, ?, ?, ?, ?) \
         ON CONFLICT DO UPDATE SET token = coalesce(token, excluded.token), \
         msat = coalesce(msat, excluded.msat), expires = coalesce(expires, excluded.expires)",
    )?;
    let mut settled = database.prepare_cached(
        "INSERT INTO bills (hash, service, msat, issued, settled) VALUES (?1, ?2, ?3, ?4, ?4) \
         ON CONFLICT DO UPDATE SET settled = coalesce(settled, excluded.settled), \
         msat = coalesce(msat, excluded.msat)",
    )?;
    for event in events {
        match event {
            Event::Issued(bill) => {
                let Bill { hash, token, service, price, issued: at, expires, .. } = bill;
                let (token, msat) = (token.map(|token| token.0), price.map(Msat::msat));
                let (at, expires) = (to_millis(*at), expires.map(to_millis));
                issued.execute(params![hash.0, token, service, msat, at, expires])?;
            }
            Event::Settled { hash, service, price, at } => {
                let msat = price.map(Msat::msat);
                settled.execute(params![hash.0, service, msat, to_millis(*at)])?;
            }
        }
    }
    Ok(())
}
