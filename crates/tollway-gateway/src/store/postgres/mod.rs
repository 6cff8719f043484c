//! A store in PostgreSQL, for gateways on several machines. Each count is one statement that the server
//! runs whole, so it needs no lock of ours and no isolation beyond the default.

mod sales;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use l402::caveat::Counter;
use l402::{Msat, PaymentHash, TokenId};
use refinery::{Migration, Runner};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    Answer, Bill, Claim, Driver, Event, Horizon, OneTime, Pick, SharedStore, Span, StoreError,
    Take, TokenStore, Total, Which, in_order, to_millis, until_millis,
};
use crate::upstream::tls;

const NAME: &str = "postgres";
/// The most connections of one gateway.
const CONNECTIONS: usize = 16;
/// How long connecting may take, and waiting for a free connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// Held while the tables are made: two gateways that start at once would make them twice.
const MIGRATION_LOCK: i64 = 0x746f_6c6c_7761_7901;

/// How many bills are forgotten at a time.
const FORGET: u32 = 5_000;

static MIGRATIONS: &[(&str, &str)] = &[
    ("V1__tokens", include_str!("../schema/postgres_1.sql")),
    ("V2__sales", include_str!("../schema/postgres_2.sql")),
];

/// A store in a PostgreSQL database.
#[derive(Debug)]
pub struct PostgresStore {
    pool: Pool,
}

#[derive(Debug)]
pub(super) struct PostgresDriver;

/// What a URL says.
struct Place {
    config: Config,
    ca: Option<PathBuf>,
}

#[async_trait]
impl Driver for PostgresDriver {
    fn schemes(&self) -> &'static [&'static str] {
        &["postgres", "postgresql"]
    }

    fn check(&self, url: &str) -> Result<(), String> {
        place(url).map(drop)
    }

    async fn open(&self, url: &str) -> Result<SharedStore, StoreError> {
        let place = place(url).map_err(|problem| StoreError::Url { problem })?;
        let trusted = tls::trusting(place.ca.as_deref()).map_err(|problem| {
            StoreError::Unusable { store: NAME, problem: format!("its `ca`: {problem}") }
        })?;
        let manager = Manager::from_config(
            place.config,
            MakeRustlsConnect::new(trusted),
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS)
            .wait_timeout(Some(PATIENCE))
            .create_timeout(Some(PATIENCE))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(StoreError::failed(NAME, "open"))?;
        let mut client = pool.get().await.map_err(StoreError::failed(NAME, "connect"))?;
        migrate(&mut client).await?;
        drop(client);
        Ok(Arc::new(PostgresStore { pool }))
    }
}

/// Reads what libpq reads, and `ca=file:/path` besides.
fn place(url: &str) -> Result<Place, String> {
    // The library's own message may repeat a password.
    const FORM: &str = "is written `postgres://user@host/database`, with `?sslmode=disable`, `prefer` \
                        or `require`";
    let mut ca = None;
    let mut text = url.to_owned();
    if let Some((before, query)) = url.split_once('?') {
        let mut rest = Vec::new();
        for pair in query.split('&') {
            match pair.strip_prefix("ca=") {
                None => rest.push(pair),
                Some(value) => match value.strip_prefix("file:") {
                    Some(path) if !path.is_empty() => ca = Some(path.into()),
                    _ => return Err("says whom to trust as `ca=file:/path/ca.pem`".to_owned()),
                },
            }
        }
        text = format!("{before}?{}", rest.join("&"));
    }
    let config: Config = text.parse().map_err(|_| FORM.to_owned())?;
    match config.get_hosts().is_empty() {
        true => Err(FORM.to_owned()),
        false => Ok(Place { config, ca }),
    }
}

async fn migrate(client: &mut Object) -> Result<(), StoreError> {
    let unusable = |problem: String| StoreError::Unusable { store: NAME, problem };
    let migrations: Result<Vec<_>, _> =
        MIGRATIONS.iter().map(|(name, sql)| Migration::unapplied(name, sql)).collect();
    let migrations = migrations.map_err(|error| unusable(error.to_string()))?;
    let mut runner = Runner::new(&migrations);
    runner.set_migration_table_name("tollway_schema");
    // It is released with the session too, should we be killed here.
    let lock = |verb| format!("SELECT pg_advisory_{verb}({MIGRATION_LOCK})");
    const DOING: &str = "bring the tables up to date";
    client.batch_execute(&lock("lock")).await.map_err(StoreError::failed(NAME, DOING))?;
    let migrated = runner.run_async(&mut ***client).await;
    client.batch_execute(&lock("unlock")).await.map_err(StoreError::failed(NAME, DOING))?;
    migrated.map(drop).map_err(|error| match error.kind() {
        refinery::error::Kind::MissingVersion(_) => unusable(
            "its tables were made by a later version; use that one, or another database".to_owned(),
        ),
        _ => StoreError::failed(NAME, DOING)(error),
    })
}

impl PostgresStore {
    async fn client(&self) -> Result<Object, StoreError> {
        self.pool.get().await.map_err(StoreError::failed(NAME, "connect"))
    }

    async fn run(
        &self,
        doing: &'static str,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, StoreError> {
        let client = self.client().await?;
        let run = async { client.execute(&client.prepare_cached(sql).await?, values).await };
        run.await.map_err(StoreError::failed(NAME, doing))
    }

    async fn rows(
        &self,
        doing: &'static str,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let client = self.client().await?;
        let run = async { client.query(&client.prepare_cached(sql).await?, values).await };
        run.await.map_err(StoreError::failed(NAME, doing))
    }
}

const TAKE: &str = "INSERT INTO tollway_uses AS u VALUES ($1, 1, $2) ON CONFLICT (key) DO UPDATE SET \
    used = CASE WHEN u.until > $3 THEN u.used + 1 ELSE 1 END, \
    until = CASE WHEN u.until > $3 THEN u.until ELSE $2 END \
    WHERE u.used < $4 OR u.until <= $3";

#[async_trait]
impl TokenStore for PostgresStore {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn take(&self, counters: &[Counter], now: SystemTime) -> Result<Take, StoreError> {
        let (counters, now) = (in_order(counters), to_millis(now));
        if let [counter] = &counters[..] {
            let (key, until, limit) = words(counter);
            let taken = self.run("count a use", TAKE, &[&key, &until, &now, &limit]).await?;
            return Ok(if taken == 0 { Take::Spent } else { Take::Taken });
        }
        let mut client = self.client().await?;
        let taken = take_all(&mut client, &counters, now).await;
        taken.map_err(StoreError::failed(NAME, "count a use"))
    }

    async fn give_back(&self, counters: &[Counter]) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE tollway_uses SET used = used - 1 WHERE key = $1 AND used > 0";
        for counter in in_order(counters) {
            self.run("give back a use", SQL, &[&&counter.key[..]]).await?;
        }
        Ok(())
    }

    async fn claim(&self, payment: &OneTime, now: SystemTime) -> Result<Claim, StoreError> {
        const MAKE: &str = "INSERT INTO tollway_claims AS c VALUES ($1, $2, NULL, $3) \
            ON CONFLICT (hash) DO UPDATE SET request = $2, answer = NULL, until = $3 \
            WHERE c.until <= $4";
        const FIND: &str = "SELECT request, answer FROM tollway_claims WHERE hash = $1";
        const DOING: &str = "claim a payment";
        let (hash, until, now) = (&payment.hash.0[..], to_millis(payment.until), to_millis(now));
        let request = payment.request.as_ref().map(|request| &request[..]);
        if self.run(DOING, MAKE, &[&hash, &request, &until, &now]).await? == 1 {
            return Ok(Claim::First);
        }
        // Whoever had it may have let go of it in between; then it was theirs a moment ago.
        let Some(row) = self.rows(DOING, FIND, &[&hash]).await?.pop() else {
            return Ok(if request.is_some() { Claim::Running } else { Claim::Spent });
        };
        let request: Option<Vec<u8>> = row.get(0);
        let request = request.and_then(|bytes| bytes.try_into().ok());
        Ok(super::claimed(payment, request, row.get(1)))
    }

    async fn answer(&self, hash: PaymentHash, answer: &Answer) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE tollway_claims SET answer = $2 WHERE hash = $1";
        self.run("keep an answer", SQL, &[&&hash.0[..], &answer.to_bytes()]).await.map(drop)
    }

    async fn release(&self, hash: PaymentHash) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM tollway_claims WHERE hash = $1";
        self.run("release a payment", SQL, &[&&hash.0[..]]).await.map(drop)
    }

    async fn revoke(&self, token: TokenId, until: Option<SystemTime>) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO tollway_revoked VALUES ($1, $2) \
            ON CONFLICT (token) DO UPDATE SET until = $2";
        let until = until_millis(until);
        self.run("revoke a token", SQL, &[&&token.0[..], &until]).await.map(drop)
    }

    async fn revoked(&self) -> Result<Vec<TokenId>, StoreError> {
        const SQL: &str = "SELECT token FROM tollway_revoked";
        let rows = self.rows("read the revoked tokens", SQL, &[]).await?;
        Ok(rows.iter().filter_map(|row| Some(TokenId(bytes32(row.get(0))?))).collect())
    }

    async fn record(&self, events: &[Event]) -> Result<(), StoreError> {
        let mut client = self.client().await?;
        let recorded = record(&mut client, events).await;
        recorded.map_err(StoreError::failed(NAME, "write down what was sold"))
    }

    async fn bills(&self, pick: &Pick) -> Result<Vec<Bill>, StoreError> {
        self.page(pick).await
    }

    async fn bill(&self, which: Which) -> Result<Option<Bill>, StoreError> {
        self.one(which).await
    }

    async fn totals(&self, span: &Span) -> Result<Vec<Total>, StoreError> {
        self.sums(span).await
    }

    async fn prune(&self, horizon: Horizon) -> Result<(), StoreError> {
        const DOING: &str = "forget what is past";
        let [now, unpaid, paid] = [horizon.now, horizon.unpaid, horizon.paid].map(to_millis);
        for table in ["uses", "claims", "revoked"] {
            let sql = format!("DELETE FROM tollway_{table} WHERE until <= $1");
            self.run(DOING, &sql, &[&now]).await?;
        }
        const OLD: [&str; 2] = ["settled IS NULL AND issued < $1", "settled < $1"];
        for (old, before) in OLD.into_iter().zip([unpaid, paid]) {
            let sql = format!(
                "DELETE FROM tollway_bills WHERE hash IN \
                 (SELECT hash FROM tollway_bills WHERE {old} LIMIT {FORGET})"
            );
            while self.run(DOING, &sql, &[&before]).await? > 0 {}
        }
        Ok(())
    }
}

/// From several counters, all or none. They come in an order that is the same for everybody, so two
/// who want the same ones do not wait for each other in a circle.
async fn take_all(
    client: &mut Object,
    counters: &[Counter],
    now: i64,
) -> Result<Take, tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    for counter in counters {
        let statement = transaction.prepare_cached(TAKE).await?;
        let (key, until, limit) = words(counter);
        let values: [&(dyn ToSql + Sync); 4] = [&key, &until, &now, &limit];
        if transaction.execute(&statement, &values).await? == 0 {
            transaction.rollback().await?;
            return Ok(Take::Spent);
        }
    }
    transaction.commit().await?;
    Ok(Take::Taken)
}

async fn record(client: &mut Object, events: &[Event]) -> Result<(), tokio_postgres::Error> {
    const ISSUED: &str = "INSERT INTO tollway_bills AS b (hash, token, service, msat, issued, expires) \
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (hash) DO UPDATE SET \
        token = coalesce(b.token, $2), msat = coalesce(b.msat, $4), expires = coalesce(b.expires, $6)";
    const SETTLED: &str = "INSERT INTO tollway_bills AS b (hash, service, msat, issued, settled) \
        VALUES ($1, $2, $3, $4, $4) ON CONFLICT (hash) DO UPDATE SET \
        settled = coalesce(b.settled, $4), msat = coalesce(b.msat, $3)";
    // In one order for everybody, so that two batches do not wait for each other in a circle.
    let mut events: Vec<&Event> = events.iter().collect();
    events.sort_by_key(|event| event.hash());
    let transaction = client.transaction().await?;
    let issued = transaction.prepare_cached(ISSUED).await?;
    let settled = transaction.prepare_cached(SETTLED).await?;
    for event in events {
        match event {
            Event::Issued(Bill { hash, token, service, price, issued: at, expires, .. }) => {
                let (hash, token) = (&hash.0[..], token.as_ref().map(|token| &token.0[..]));
                let (msat, at, ends) = (price.map(msat), to_millis(*at), expires.map(to_millis));
                transaction.execute(&issued, &[&hash, &token, service, &msat, &at, &ends]).await?;
            }
            Event::Settled { hash, service, price, at } => {
                let (hash, msat, at) = (&hash.0[..], price.map(msat), to_millis(*at));
                transaction.execute(&settled, &[&hash, service, &msat, &at]).await?;
            }
        }
    }
    transaction.commit().await
}

/// A counter as `TAKE` has it. A limit that does not fit is never reached.
fn words(counter: &Counter) -> (&[u8], i64, i64) {
    let limit = i64::try_from(counter.limit).unwrap_or(i64::MAX);
    (&counter.key, until_millis(counter.until), limit)
}

fn msat(price: Msat) -> i64 {
    i64::try_from(price.msat()).expect("all bitcoin fit into 62 bits")
}

fn bytes32(bytes: &[u8]) -> Option<[u8; 32]> {
    bytes.try_into().ok()
}
