//! Certificates from an authority that hands them out by itself (ACME, RFC 8555). It asks for a proof
//! that a name leads here, and takes it from the very port that is served (TLS-ALPN-01, RFC 8737), so
//! that no other port has to be open.

mod cache;
mod order;
mod renewal;
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
use renewal::{Life, Suggestion};

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

    /// Puts in force what the folder has for a name.
    fn recall(&self, domain: &str) -> Option<Life> {
        match self.cache.certificate(domain) {
            Ok(Some(Certificate { pair, life })) => {
                self.issued.add(domain, pair);
                Some(life)
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

/// One name: what is known of its certificate, and when something is to be done about it.
struct Round<'a> {
    domain: &'a str,
    /// The certificate that is in force, and since when this process has had it, where it was asked for
    /// here.
    life: Option<Life>,
    had: Option<SystemTime>,
    /// What the authority suggests, and when to ask for that again.
    suggestion: Option<Suggestion>,
    look: SystemTime,
    /// When to ask for a certificate.
    due: SystemTime,
    failures: u32,
}

/// Asks for every certificate that is missing or to be replaced, one after the other, for as long as it is
/// polled.
pub(super) async fn keep(acme: Arc<Acme>) {
    let mut rounds: Vec<Round<'_>> =
        acme.config.domains.iter().map(|domain| Round::begin(&acme, domain)).collect();
    while let Some(next) = rounds.iter_mut().min_by_key(|round| round.next()) {
        let now = SystemTime::now();
        match next.next().duration_since(now) {
            Ok(left) if !left.is_zero() => tokio::time::sleep(left.min(LOOK)).await,
            _ if next.due <= now => next.ask(&acme).await,
            _ => next.look(&acme).await,
        }
    }
}

impl<'a> Round<'a> {
    /// With what was kept.
    fn begin(acme: &Acme, domain: &'a str) -> Self {
        let (life, look) = (acme.recall(domain), SystemTime::now());
        let due = life.as_ref().map_or(look, Life::rule);
        Self { domain, life, had: None, suggestion: None, look, due, failures: 0 }
    }

    /// When there is something to do.
    fn next(&self) -> SystemTime {
        match self.life {
            Some(_) => self.due.min(self.look),
            None => self.due,
        }
    }

    /// Asks the authority when the certificate is to be replaced.
    async fn look(&mut self, acme: &Acme) {
        let Some(life) = &self.life else { return };
        let before = self.suggestion.as_ref().map(Suggestion::window);
        let (suggestion, again) = renewal::ask(acme, life, self.suggestion.take()).await;
        self.look = SystemTime::now() + again;
        // After a failure nobody comes again before the wait is over.
        if self.failures == 0 {
            let by = |suggestion| life.due(suggestion, self.had);
            self.due = suggestion.as_ref().map_or_else(|| life.rule(), by);
        }
        let window = suggestion.as_ref().map(Suggestion::window);
        if let Some([from, until]) = window.filter(|window| Some(*window) != before) {
            let (domain, window) = (self.domain, until.duration_since(from).unwrap_or_default());
            let due = self.due.duration_since(SystemTime::now()).unwrap_or_default();
            tracing::info!(
                domain,
                ?window,
                ?due,
                "the authority suggests when to replace a certificate"
            );
        }
        self.suggestion = suggestion;
    }

    /// Asks for a certificate.
    async fn ask(&mut self, acme: &Acme) {
        match ask(acme, self.domain, self.life.as_ref()).await {
            Ok(life) => {
                let now = SystemTime::now();
                (self.due, self.look, self.had) = (life.rule(), now, Some(now));
                (self.life, self.suggestion, self.failures) = (Some(life), None, 0);
            }
            Err(error) => {
                self.failures += 1;
                let (wait, domain, why) = (wait_after(self.failures), self.domain, chain(&error));
                tracing::error!(error = why, domain, ?wait, "no certificate was had; trying again");
                self.due = SystemTime::now() + wait;
            }
        }
    }
}

/// Gets a certificate for a name, in the place of `old`.
async fn ask(acme: &Acme, domain: &str, old: Option<&Life>) -> Result<Life, order::OrderError> {
    // Another gateway with the same folder may have been first.
    let other = acme.recall(domain).filter(|other| Some(other) != old);
    if let Some(other) = other.filter(|other| other.rule() > SystemTime::now()) {
        return Ok(other);
    }
    let pem = order::order(acme, domain, old).await?;
    let Certificate { pair, life } = cache::read(domain, pem.expose().as_bytes())?;
    acme.cache.keep_certificate(domain, &pem)?;
    acme.issued.add(domain, pair);
    tracing::info!(domain, "a new certificate is in force");
    Ok(life)
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
