//! Certificates from an authority that hands them out by itself (ACME, RFC 8555). It asks for a proof
//! that a name leads here, and takes it from the very port that is served (TLS-ALPN-01, RFC 8737), so
//! that no other port has to be open.

mod cache;
mod order;
mod web;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::error::TlsError;
use crate::config;
use crate::course::chain;
use crate::upstream::{Connector, tls};
use cache::{Cache, Certificate};

/// The one protocol in which proofs are asked for (RFC 8737 section 6.2).
pub(super) const CHALLENGE_PROTOCOL: &[u8] = b"acme-tls/1";

/// How long the authority may take to be connected to.
const CONNECT: Duration = Duration::from_secs(10);
/// The longest time between two looks at the clock: it may be set, or the machine may sleep.
const LOOK: Duration = Duration::from_secs(3600);
/// How long to wait after the first failure, and after many. Authorities count failures: the best
/// known one allows five in an hour.
const FIRST_WAIT: Duration = Duration::from_secs(60);
const LONGEST_WAIT: Duration = Duration::from_secs(6 * 3600);

/// What is asked of an authority, and what it gave.
#[derive(Debug)]
pub(super) struct Acme {
    config: config::Acme,
    cache: Cache,
    connector: Connector,
    issued: Arc<Issued>,
    challenges: Arc<Challenges>,
    challenge_server: Arc<ServerConfig>,
}

/// Certificates that the authority gave, by their names.
#[derive(Debug, Default)]
pub(super) struct Issued(ArcSwap<BTreeMap<String, Arc<CertifiedKey>>>);

/// Proofs that are being asked for, by the names that they are for.
#[derive(Debug, Default)]
struct Challenges(Mutex<BTreeMap<String, Arc<CertifiedKey>>>);

impl Acme {
    /// With what is in the folder already. Nobody is asked for anything yet.
    pub(super) fn open(config: &config::Acme) -> Result<Self, TlsError> {
        let cache = Cache::open(&config.cache, &config.directory)?;
        let trusted = tls::trusting(config.directory_ca.as_deref()).map_err(|problem| {
            TlsError::DirectoryCa { path: config.directory_ca.clone().unwrap_or_default(), problem }
        })?;
        let connector = Connector::tcp(trusted, None, CONNECT);
        let challenges = Arc::new(Challenges::default());
        let challenge_server = Arc::new(challenge_server(Arc::clone(&challenges)));
        let (config, issued) = (config.clone(), Arc::default());
        let acme = Self { config, cache, connector, issued, challenges, challenge_server };
        for domain in &acme.config.domains {
            acme.recall(domain);
        }
        Ok(acme)
    }

    pub(super) fn issued(&self) -> Arc<Issued> {
        Arc::clone(&self.issued)
    }

    /// What answers those who ask for a proof.
    pub(super) fn challenge_server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.challenge_server)
    }

    /// Puts in force what the folder has for a name, and says when it is to be replaced.
    fn recall(&self, domain: &str) -> Option<SystemTime> {
        match self.cache.certificate(domain) {
            Ok(Some(Certificate { pair, renew_at })) => {
                self.issued.add(domain, pair);
                Some(renew_at)
            }
            Ok(None) => None,
            Err(error) => {
                tracing::warn!(%error, domain, "a certificate that was kept cannot be used");
                None
            }
        }
    }
}

impl Issued {
    pub(super) fn find(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        self.0.load().get(name).cloned()
    }

    /// For who names nobody.
    pub(super) fn first(&self) -> Option<Arc<CertifiedKey>> {
        self.0.load().values().next().cloned()
    }

    fn add(&self, name: &str, pair: CertifiedKey) {
        let pair = Arc::new(pair);
        self.0.rcu(|all| {
            let mut all = BTreeMap::clone(all);
            all.insert(name.to_owned(), Arc::clone(&pair));
            all
        });
    }
}

impl Challenges {
    fn set(&self, name: &str, proof: Option<CertifiedKey>) {
        let mut all = self.0.lock().expect("nobody panics while holding it");
        match proof {
            Some(proof) => drop(all.insert(name.to_owned(), Arc::new(proof))),
            None => drop(all.remove(name)),
        }
    }
}

impl ResolvesServerCert for Challenges {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?.to_ascii_lowercase();
        self.0.lock().expect("nobody panics while holding it").get(&name).cloned()
    }
}

fn challenge_server(challenges: Arc<Challenges>) -> ServerConfig {
    let mut server = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has the default versions")
        .with_no_client_auth()
        .with_cert_resolver(challenges);
    server.alpn_protocols = vec![CHALLENGE_PROTOCOL.to_vec()];
    server
}

/// One name, and when to ask for its certificate.
struct Round<'a> {
    domain: &'a str,
    due: SystemTime,
    failures: u32,
}

/// Asks for every certificate that is missing or will soon be over, one after the other, for as long as
/// it is polled.
pub(super) async fn keep(acme: Arc<Acme>) {
    let now = SystemTime::now();
    let mut rounds: Vec<Round<'_>> = acme
        .config
        .domains
        .iter()
        .map(|domain| Round { domain, due: acme.recall(domain).unwrap_or(now), failures: 0 })
        .collect();
    while let Some(next) = rounds.iter_mut().min_by_key(|round| round.due) {
        if let Ok(left) = next.due.duration_since(SystemTime::now()) {
            tokio::time::sleep(left.min(LOOK)).await;
            continue;
        }
        next.failures = match ask(&acme, next.domain).await {
            Ok(due) => {
                next.due = due;
                0
            }
            Err(error) => {
                let (failures, domain) = (next.failures + 1, next.domain);
                let wait = wait_after(failures);
                let why = chain(&error);
                tracing::error!(error = why, domain, ?wait, "no certificate was had; trying again");
                next.due = SystemTime::now() + wait;
                failures
            }
        };
    }
}

/// Gets a certificate for a name, and says when it is to be replaced.
async fn ask(acme: &Acme, domain: &str) -> Result<SystemTime, order::OrderError> {
    // Another gateway with the same folder may have been first.
    if let Some(due) = acme.recall(domain).filter(|due| *due > SystemTime::now()) {
        return Ok(due);
    }
    let pem = order::order(acme, domain).await?;
    let Certificate { pair, renew_at } = cache::read(domain, pem.expose().as_bytes())?;
    acme.cache.keep_certificate(domain, &pem)?;
    acme.issued.add(domain, pair);
    tracing::info!(domain, "a new certificate is in force");
    Ok(renew_at)
}

/// How long to wait after so many failures in a row.
fn wait_after(failures: u32) -> Duration {
    let factor = 4_u32.saturating_pow(failures.saturating_sub(1));
    FIRST_WAIT.saturating_mul(factor).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_waited_for_longer_and_longer() {
        let waits: Vec<u64> = (1..8).map(|failures| wait_after(failures).as_secs()).collect();
        assert_eq!(waits, [60, 240, 960, 3840, 15360, 21600, 21600]);
        assert_eq!(wait_after(u32::MAX), LONGEST_WAIT);
    }
}
