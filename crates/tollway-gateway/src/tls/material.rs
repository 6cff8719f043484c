//! What handshakes are made with: read from files, and replaced whole when they change.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, ServerConfig, WebPkiClientVerifier};
use rustls::{RootCertStore, version};

use super::acme::Issued;
use super::error::TlsError;
use super::pairs::{Pairs, certificates};
use super::watch::Stamp;
use crate::config;
use crate::upstream::CertificatesError;

/// What is spoken inside, the better first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The files, and what is made of them.
#[derive(Debug)]
pub(super) struct Material {
    config: config::Tls,
    issued: Option<Arc<Issued>>,
    server: ArcSwap<ServerConfig>,
    /// How the files looked when they were read last, whatever came of it.
    read: Mutex<Stamp>,
}

impl Material {
    pub(super) fn open(
        config: &config::Tls,
        issued: Option<Arc<Issued>>,
    ) -> Result<Self, TlsError> {
        // Looked at before they are read: what is written in between is seen as a change.
        let stamp = Stamp::of(&files(config));
        let server = ArcSwap::from_pointee(server(config, issued.clone())?);
        Ok(Self { config: config.clone(), issued, server, read: Mutex::new(stamp) })
    }

    /// What is in force.
    pub(super) fn server(&self) -> Arc<ServerConfig> {
        self.server.load_full()
    }

    /// The files that it is made of.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        files(&self.config)
    }

    /// How the files looked when they were read last.
    pub(super) fn stamp(&self) -> Stamp {
        self.read.lock().expect("nobody panics while holding it").clone()
    }

    /// Reads the files again, which look like `stamp`. Where they cannot be used, what was in force
    /// stays so.
    pub(super) fn reload(&self, stamp: Stamp) -> Result<(), TlsError> {
        *self.read.lock().expect("nobody panics while holding it") = stamp;
        self.server.store(Arc::new(server(&self.config, self.issued.clone())?));
        Ok(())
    }
}

fn files(config: &config::Tls) -> Vec<PathBuf> {
    let pairs = config.pairs.iter().flat_map(|pair| [&pair.certificate, &pair.key]);
    pairs.chain(config.clients.as_ref().map(|clients| &clients.ca)).cloned().collect()
}

fn server(config: &config::Tls, issued: Option<Arc<Issued>>) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(default_provider());
    let pairs = Pairs::load(&config.pairs, issued, &provider)?;
    let verifier = match &config.clients {
        None => Arc::new(NoClientAuth),
        Some(clients) => verifier(clients, &provider)?,
    };
    // 1.2 and 1.3, and nothing before.
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .expect("the provider has ciphers for both")
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(pairs));
    server.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
    Ok(server)
}

fn verifier(
    clients: &config::Clients,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let problem = |problem| TlsError::ClientCa { path: clients.ca.clone(), problem };
    let mut roots = RootCertStore::empty();
    for authority in certificates(&clients.ca).map_err(problem)? {
        roots.add(authority).map_err(|error| problem(CertificatesError::Unusable(error)))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(provider));
    let builder = if clients.required { builder } else { builder.allow_unauthenticated() };
    Ok(builder.build().expect("there is an authority, and no revocation list to be broken"))
}
