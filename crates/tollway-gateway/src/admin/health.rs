//! Whether everything works: each part is asked now, and named when it does not answer.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::Json;
use axum::extract::State;
use l402::PaymentHash;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::task::JoinSet;

use super::Office;
use super::answer::Refused;
use super::day;
use crate::upstream::Standing;

/// How long each part may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How everything is.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Health {
    /// `ok` when every part is.
    status: &'static str,
    /// This program's version.
    version: &'static str,
    /// Since when it runs.
    started: String,
    /// For how many seconds.
    uptime_s: u64,
    /// The node to be paid on.
    node: Part,
    /// Where the gateway remembers what it must.
    store: Part,
    /// What is in force.
    config: Standings,
    /// The servers behind each service.
    upstreams: Vec<Upstream>,
}

/// One part.
#[derive(Debug, Serialize, JsonSchema)]
struct Part {
    /// Whether it answers.
    ok: bool,
    /// Which one it is: a network, or a kind of store.
    kind: String,
    /// How long it took, in milliseconds.
    took_ms: u64,
    /// What it says when it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Whether the file is in force.
#[derive(Debug, Serialize, JsonSchema)]
struct Standings {
    /// Whether the file could be put in force when it was last read.
    ok: bool,
    /// How many configurations have been in force since the start.
    generation: u64,
    /// Since when this one is.
    since: String,
    /// The keys of it that take effect at the next start only.
    at_next_start: Vec<&'static str>,
}

/// One server of a service.
#[derive(Debug, Serialize, JsonSchema)]
struct Upstream {
    /// Of which service.
    service: String,
    /// Which server.
    server: String,
    /// Whether it can be reached, and answered what it was asked last.
    ok: bool,
    /// Whether it could be connected to just now.
    reachable: bool,
    /// Whether requests are sent there, by what earlier ones and its checks have found.
    in_use: bool,
    /// Whether requests are answered there, by what earlier ones and its checks have found.
    healthy: bool,
    /// How many requests it did not answer since the start, or since it was first configured.
    failures: u64,
    /// How often it was left alone for a while.
    ejections: u64,
    /// How many requests are under way there, where there are several servers to choose from.
    in_flight: usize,
}

/// `GET /v1/health`.
pub(super) async fn get(State(office): State<Arc<Office>>) -> Result<Json<Health>, Refused> {
    let (node, store, upstreams) = tokio::join!(node(&office), store(&office), upstreams(&office));
    let standing = office.file.standing();
    let config = Standings {
        ok: standing.refused.is_none(),
        generation: standing.generation,
        since: day::time(standing.since),
        at_next_start: standing.at_next_start,
    };
    let ok = node.ok && store.ok && config.ok && upstreams.iter().all(|upstream| upstream.ok);
    let uptime = SystemTime::now().duration_since(office.started).unwrap_or_default();
    Ok(Json(Health {
        status: if ok { "ok" } else { "degraded" },
        version: env!("CARGO_PKG_VERSION"),
        started: day::time(office.started),
        uptime_s: uptime.as_secs(),
        node,
        store,
        config,
        upstreams,
    }))
}

/// Asks the node about a payment that nobody has made.
async fn node(office: &Office) -> Part {
    let mut hash = [0; 32];
    let random = getrandom::fill(&mut hash);
    debug_assert!(random.is_ok(), "any other hash does as well");
    let kind = office.invoicer.network().to_string();
    ask(kind, async { office.invoicer.is_settled(PaymentHash(hash)).await.map(drop) }).await
}

/// Takes nothing from no counter: that is a change, if none at all, and so the store must be able to
/// write.
async fn store(office: &Office) -> Part {
    let store = office.gateway.store();
    let kind = store.name().to_owned();
    ask(kind, async { store.take(&[], SystemTime::now()).await.map(drop) }).await
}

async fn ask<E>(kind: String, question: impl Future<Output = Result<(), E>>) -> Part
where
    E: std::error::Error + Send + Sync,
{
    let started = Instant::now();
    let answer = tokio::time::timeout(PATIENCE, question).await;
    let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let error = match answer {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("it did not answer within {PATIENCE:?}")),
    };
    Part { ok: error.is_none(), kind, took_ms, error }
}

/// Connects to each server of each service, all at once.
async fn upstreams(office: &Office) -> Vec<Upstream> {
    let snapshot = office.gateway.snapshot();
    let mut asked = JoinSet::new();
    for (index, service) in snapshot.services().enumerate() {
        let servers = service.upstream.iter().flat_map(|upstream| upstream.standings());
        for (number, server) in servers.enumerate() {
            let name = service.tariff.name().to_owned();
            asked.spawn(async move {
                let reaching = tokio::time::timeout(PATIENCE, server.reach());
                ((index, number), name, reaching.await.unwrap_or(false), server)
            });
        }
    }
    let mut found = asked.join_all().await;
    found.sort_by_key(|(at, ..)| *at);
    let upstream = |(_, service, reachable, server): (_, String, bool, Standing)| {
        let in_use = server.is_good();
        let (healthy, in_flight) = (server.is_well(), server.in_flight());
        let (failures, ejections) = (server.failures(), server.ejections());
        let (ok, server) = (reachable && healthy, server.name().to_owned());
        Upstream { service, server, ok, reachable, in_use, healthy, failures, ejections, in_flight }
    };
    found.into_iter().map(upstream).collect()
}
