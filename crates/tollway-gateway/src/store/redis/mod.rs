//! A store in Valkey or Redis, for gateways on several machines. Each count is one script, which the
//! server runs whole while nobody else is served. What it promises is what the server keeps: one that
//! forgets on a restart, or evicts when it is full, forgets uses, and is warned about.

mod sales;

use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use l402::caveat::Counter;
use l402::{Msat, PaymentHash, TokenId};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands, Client, FromRedisValue, IntoConnectionInfo, RedisError, Script};

use super::{
    Answer, Bill, Claim, Driver, Event, Horizon, OneTime, Pick, SharedStore, Span, StoreError,
    Take, TokenStore, Total, Which, in_order, to_millis, until_millis,
};

const NAME: &str = "redis";
/// How long one answer, and one attempt to connect, may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How the keys are laid out; a later layout gets a later number.
const VERSION: &str = "2";
/// How many bills are brought to this layout at a time.
const MIGRATE: usize = 1_000;

// The braces keep all of it on one machine of a cluster: a script needs its keys together.
const USES: &str = "{tollway}:uses:";
const CLAIMS: &str = "{tollway}:claims:";
const BILL: &str = "{tollway}:bill:";
const BILLS: &str = "{tollway}:bills";
const UNPAID: &str = "{tollway}:bills:unpaid";
const PAID: &str = "{tollway}:bills:paid";
const SERVICES: &str = "{tollway}:bills:services";
const TOKENS: &str = "{tollway}:bills:tokens";
const REVOKED: &str = "{tollway}:revoked";
const LAYOUT: &str = "{tollway}:layout";

macro_rules! script {
    ($name:ident, $file:literal) => {
        static $name: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!($file)));
    };
}
script!(TAKE, "take.lua");
script!(GIVE_BACK, "give_back.lua");
script!(CLAIM, "claim.lua");
script!(ANSWER, "answer.lua");
script!(RECORD, "record.lua");
script!(LATEST, "bills.lua");
script!(COUNTS, "counts.lua");
script!(PRUNE, "prune.lua");
script!(MIGRATE_2, "migrate_2.lua");

/// A store on a Valkey or Redis server.
#[derive(Clone)]
pub struct RedisStore {
    connection: ConnectionManager,
}

#[derive(Debug)]
pub(super) struct RedisDriver;

#[async_trait]
impl Driver for RedisDriver {
    fn schemes(&self) -> &'static [&'static str] {
        &["redis", "rediss", "redis+unix", "valkey", "valkeys", "valkey+unix"]
    }

    fn check(&self, url: &str) -> Result<(), String> {
        // The library's own message may repeat a password.
        url.into_connection_info().map(drop).map_err(|_| {
            "is written `redis://user:password@host:6379/0`, or `rediss://…` with TLS".to_owned()
        })
    }

    async fn open(&self, url: &str) -> Result<SharedStore, StoreError> {
        let failed = || StoreError::failed::<RedisError>(NAME, "connect");
        let client = Client::open(url).map_err(failed())?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE))
            .set_number_of_retries(1);
        let connection = client.get_connection_manager_with_config(config).await;
        let store = RedisStore { connection: connection.map_err(failed())? };
        store.check_layout().await?;
        store.warn_if_it_forgets().await;
        Ok(Arc::new(store))
    }
}

impl RedisStore {
    /// Brings what an earlier version wrote to this layout, and refuses what a later one wrote.
    async fn check_layout(&self) -> Result<(), StoreError> {
        let mut connection = self.connection.clone();
        let check = async {
            let _: bool = connection.set_nx(LAYOUT, VERSION).await?;
            connection.get::<_, String>(LAYOUT).await
        };
        match check.await.map_err(StoreError::failed(NAME, "read its layout"))? {
            layout if layout == VERSION => Ok(()),
            layout if layout == "1" => self.migrate_2().await,
            _ => Err(StoreError::Unusable {
                store: NAME,
                problem: "it was written by a later version; use that one, or another database"
                    .to_owned(),
            }),
        }
    }

    /// Two that do it at once do it twice, which changes nothing.
    async fn migrate_2(&self) -> Result<(), StoreError> {
        const DOING: &str = "bring its layout up to date";
        let mut at = 0;
        loop {
            let keys = [BILLS, PAID, SERVICES, TOKENS].map(str::to_owned);
            let arguments = [BILL.into(), text(at), text(at + MIGRATE - 1)];
            let some: usize = self.run(DOING, &MIGRATE_2, keys, arguments).await?;
            if some == 0 {
                break;
            }
            at += some;
        }
        let mut connection = self.connection.clone();
        let set = connection.set(LAYOUT, VERSION).await;
        set.map_err(StoreError::failed(NAME, DOING))
    }

    async fn warn_if_it_forgets(&self) {
        let mut connection = self.connection.clone();
        let info: Result<String, _> = redis::cmd("INFO").query_async(&mut connection).await;
        // A server that does not tell may be in order.
        let Ok(info) = info else { return };
        let value = |key: &str| {
            let line = info.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
            line.unwrap_or_default().trim().to_owned()
        };
        if value("aof_enabled") == "0" {
            tracing::warn!("the store forgets uses when it restarts; set `appendonly yes` there");
        }
        if !matches!(&*value("maxmemory_policy"), "noeviction" | "") {
            tracing::warn!(
                "the store forgets uses when it is full; set `maxmemory-policy noeviction` there"
            );
        }
    }

    async fn run<T: FromRedisValue>(
        &self,
        doing: &'static str,
        script: &Script,
        keys: impl IntoIterator<Item = String>,
        arguments: impl IntoIterator<Item = Vec<u8>>,
    ) -> Result<T, StoreError> {
        let mut call = script.prepare_invoke();
        for key in keys {
            call.key(key);
        }
        for argument in arguments {
            call.arg(argument);
        }
        let mut connection = self.connection.clone();
        call.invoke_async(&mut connection).await.map_err(StoreError::failed(NAME, doing))
    }
}

#[async_trait]
impl TokenStore for RedisStore {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn take(&self, counters: &[Counter], now: SystemTime) -> Result<Take, StoreError> {
        let counters = in_order(counters);
        // Never is 0 there: its numbers end at 2^53.
        let words = counters
            .iter()
            .flat_map(|counter| [text(counter.limit), text(counter.until.map_or(0, to_millis))]);
        let arguments = std::iter::once(text(to_millis(now))).chain(words);
        let taken: bool = self.run("count a use", &TAKE, keys(&counters), arguments).await?;
        Ok(if taken { Take::Taken } else { Take::Spent })
    }

    async fn give_back(&self, counters: &[Counter]) -> Result<(), StoreError> {
        self.run("give back a use", &GIVE_BACK, keys(&in_order(counters)), []).await
    }

    async fn claim(&self, payment: &OneTime, now: SystemTime) -> Result<Claim, StoreError> {
        let request = payment.request.map(Vec::from).unwrap_or_default();
        let arguments = [text(to_millis(now)), text(to_millis(payment.until)), request];
        type Theirs = Option<(Vec<u8>, Option<Vec<u8>>)>;
        let theirs: Theirs =
            self.run("claim a payment", &CLAIM, [claim_key(payment.hash)], arguments).await?;
        let Some((request, answer)) = theirs else { return Ok(Claim::First) };
        Ok(super::claimed(payment, request.try_into().ok(), answer.as_deref()))
    }

    async fn answer(&self, hash: PaymentHash, answer: &Answer) -> Result<(), StoreError> {
        self.run("keep an answer", &ANSWER, [claim_key(hash)], [answer.to_bytes()]).await
    }

    async fn release(&self, hash: PaymentHash) -> Result<(), StoreError> {
        let mut connection = self.connection.clone();
        let released = connection.del(claim_key(hash)).await;
        released.map_err(StoreError::failed(NAME, "release a payment"))
    }

    async fn revoke(&self, token: TokenId, until: Option<SystemTime>) -> Result<(), StoreError> {
        let mut connection = self.connection.clone();
        let until = until_millis(until);
        let revoked = connection.zadd(REVOKED, &token.0, until).await;
        revoked.map_err(StoreError::failed(NAME, "revoke a token"))
    }

    async fn revoked(&self) -> Result<Vec<TokenId>, StoreError> {
        let mut connection = self.connection.clone();
        let all: Result<Vec<Vec<u8>>, _> = connection.zrange(REVOKED, 0, -1).await;
        let all = all.map_err(StoreError::failed(NAME, "read the revoked tokens"))?;
        Ok(all.into_iter().filter_map(|token| Some(TokenId(token.try_into().ok()?))).collect())
    }

    async fn record(&self, events: &[Event]) -> Result<(), StoreError> {
        let arguments = std::iter::once(BILL.into()).chain(events.iter().flat_map(event));
        let keys = [BILLS, UNPAID, PAID, SERVICES, TOKENS].map(str::to_owned);
        self.run("write down what was sold", &RECORD, keys, arguments).await
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
        let times = [horizon.now, horizon.unpaid, horizon.paid].map(|at| text(to_millis(at)));
        loop {
            let arguments = std::iter::once(BILL.into()).chain(times.clone());
            let keys = [BILLS, UNPAID, PAID, REVOKED, TOKENS].map(str::to_owned);
            let gone: u64 = self.run("forget what is past", &PRUNE, keys, arguments).await?;
            if gone == 0 {
                return Ok(());
            }
        }
    }
}

fn keys(counters: &[Counter]) -> impl Iterator<Item = String> {
    counters.iter().map(|counter| format!("{USES}{}", PaymentHash(counter.key)))
}

fn claim_key(hash: PaymentHash) -> String {
    format!("{CLAIMS}{hash}")
}

fn text(number: impl ToString) -> Vec<u8> {
    number.to_string().into_bytes()
}

/// The seven words that `record.lua` reads.
fn event(event: &Event) -> [Vec<u8>; 7] {
    let msat = |price: &Option<Msat>| price.map(|price| text(price.msat())).unwrap_or_default();
    match event {
        Event::Issued(Bill { hash, token, service, price, issued, expires, .. }) => {
            let token = token.map(text).unwrap_or_default();
            let (service, at) = (service.clone().into_bytes(), text(to_millis(*issued)));
            let ends = expires.map(|ends| text(to_millis(ends))).unwrap_or_default();
            [b"issued".into(), text(hash), token, service, msat(price), at, ends]
        }
        Event::Settled { hash, service, price, at } => {
            let (service, at) = (service.clone().into_bytes(), text(to_millis(*at)));
            [b"settled".into(), text(hash), vec![], service, msat(price), at, vec![]]
        }
    }
}

impl std::fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The connection prints its address, and perhaps more.
        f.write_str("RedisStore")
    }
}
