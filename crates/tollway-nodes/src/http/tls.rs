//! Who is trusted at the other end. A node of one's own has a certificate that no authority signed,
//! so the certificate itself is given in a file, and only whoever holds its key is spoken to. There is
//! no way to trust everybody.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use crate::watched::{Unusable, Watched};

/// Whom to trust.
#[derive(Debug)]
pub(crate) enum Trust {
    /// The authorities that browsers trust.
    Public(Arc<ClientConfig>),
    /// The certificates in a file, read again when it changes.
    Pinned(Watched<ClientConfig>),
}

impl Trust {
    pub(crate) fn public() -> Self {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        Self::Public(Arc::new(settings().with_root_certificates(roots).with_no_client_auth()))
    }

    pub(crate) fn pinned(file: PathBuf) -> Self {
        Self::Pinned(Watched::new(file, pin))
    }

    /// # Errors
    /// The file of certificates cannot be read.
    pub(crate) fn now(&self) -> std::io::Result<Arc<ClientConfig>> {
        match self {
            Self::Public(settings) => Ok(Arc::clone(settings)),
            Self::Pinned(file) => file.now(),
        }
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn settings() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider has cipher suites of both versions")
}

/// What a PEM file of certificates allows.
fn pin(pem: &[u8]) -> Result<ClientConfig, Unusable> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|_| "is no PEM file of certificates")?;
    if certificates.is_empty() {
        return Err("has no certificate in it");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates.iter().cloned());
    let signed = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
    let verifier = Pinned { exactly: certificates, signed: signed.ok(), provider: provider() };
    let mut settings = settings()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    settings.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(settings)
}

/// Trusts the holder of the key of one of these certificates, whatever names and dates stand in it,
/// and whoever shows a certificate for the right name that one of these has signed.
#[derive(Debug)]
struct Pinned {
    exactly: Vec<CertificateDer<'static>>,
    signed: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.exactly.iter().any(|pinned| pinned == shown) {
            return Ok(ServerCertVerified::assertion());
        }
        match &self.signed {
            Some(signed) => signed.verify_server_cert(shown, between, name, ocsp, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
