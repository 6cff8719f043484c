//! What TLS checks. Everything is checked unless the caller says otherwise, and the one way to check
//! nothing has a name that says so.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
};
use sha2::{Digest, Sha256};

use crate::builder::BuildError;
use crate::transport::HttpVersion;

/// What TLS checks and shows.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct TlsOptions {
    /// Certificate authorities that are trusted. DER.
    pub roots: Vec<CertificateDer<'static>>,
    /// Whether they are trusted instead of the public ones, and not besides them.
    pub only_roots: bool,
    /// What we show a server that asks who we are.
    pub identity: Option<Identity>,
    /// The oldest version that is spoken; 1.2 unless set.
    pub least: Option<TlsVersion>,
    /// The newest version that is spoken; 1.3 unless set.
    pub most: Option<TlsVersion>,
    /// SHA-256 of the public keys (SubjectPublicKeyInfo, DER) of which the server must have one.
    /// Checked besides everything else, and also where nothing else is.
    pub pins: Vec<[u8; 32]>,
    /// Takes any certificate for any host: whoever is on the way can be the server. Nothing is paid
    /// and no credential is shown over such a connection, unless a pin says who the server is or the
    /// caller [insists](crate::ClientBuilder::allow_plain_http).
    pub dangerously_accept_any_certificate: bool,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// 1.2.
    V12,
    /// 1.3.
    V13,
}

/// A certificate of our own, with its chain, and its key.
#[derive(Clone)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
}

impl Identity {
    /// The certificate first, then what signed it.
    pub fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Self {
        Self { chain, key: Arc::new(key) }
    }
}

/// Without the key.
impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({} certificates)", self.chain.len())
    }
}

impl TlsOptions {
    /// What rustls takes.
    pub(crate) fn config(&self, http: HttpVersion) -> Result<ClientConfig, BuildError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = self.versions();
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .map_err(BuildError::Tls)?;
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(Check {
            chain: self.chain_check(&provider)?,
            pins: self.pins.clone(),
            provider,
        }));
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(Identity { chain, key }) => builder
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .map_err(BuildError::Identity)?,
        };
        config.alpn_protocols = match http {
            HttpVersion::Any => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            HttpVersion::Http1 => vec![b"http/1.1".to_vec()],
            HttpVersion::Http2PriorKnowledge => vec![b"h2".to_vec()],
        };
        Ok(config)
    }

    fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        let least = self.least.unwrap_or(TlsVersion::V12);
        let most = self.most.unwrap_or(TlsVersion::V13);
        let all = [
            (TlsVersion::V13, &rustls::version::TLS13),
            (TlsVersion::V12, &rustls::version::TLS12),
        ];
        let wanted = all.into_iter().filter(|(version, _)| (least..=most).contains(version));
        wanted.map(|(_, version)| version).collect()
    }

    /// Checks that somebody we trust vouches for the server; `None` where nobody has to.
    fn chain_check(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Option<Arc<WebPkiServerVerifier>>, BuildError> {
        if self.dangerously_accept_any_certificate {
            return Ok(None);
        }
        let mut roots = RootCertStore::empty();
        for root in &self.roots {
            roots.add(root.clone()).map_err(BuildError::Root)?;
        }
        if !self.only_roots {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        let (roots, provider) = (Arc::new(roots), Arc::clone(provider));
        let built = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
        built.map(Some).map_err(|error| BuildError::Roots(Box::new(error)))
    }
}

/// The check of a server's certificate.
#[derive(Debug)]
struct Check {
    chain: Option<Arc<WebPkiServerVerifier>>,
    pins: Vec<[u8; 32]>,
    provider: Arc<CryptoProvider>,
}

impl Check {
    fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.provider.signature_verification_algorithms
    }
}

impl ServerCertVerifier for Check {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(chain) = &self.chain {
            chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        }
        if !self.pins.is_empty() && !self.pins.contains(&pin(end_entity)?) {
            return Err(Error::General("the server's public key is not the pinned one".to_owned()));
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, self.algorithms())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, self.algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms().supported_schemes()
    }
}

/// SHA-256 of the certificate's public key, as `--pinnedpubkey` of curl counts it.
fn pin(certificate: &CertificateDer<'_>) -> Result<[u8; 32], Error> {
    let parsed = webpki::EndEntityCert::try_from(certificate)
        .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
    Ok(Sha256::digest(&*parsed.subject_public_key_info()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_between_the_least_and_the_most() {
        let versions = |least, most| {
            let options = TlsOptions { least, most, ..TlsOptions::default() };
            options.versions().iter().map(|v| v.version).collect::<Vec<_>>()
        };
        use rustls::ProtocolVersion::{TLSv1_2, TLSv1_3};
        assert_eq!(versions(None, None), [TLSv1_3, TLSv1_2]);
        assert_eq!(versions(Some(TlsVersion::V13), None), [TLSv1_3]);
        assert_eq!(versions(None, Some(TlsVersion::V12)), [TLSv1_2]);
        let none = TlsOptions {
            least: Some(TlsVersion::V13),
            most: Some(TlsVersion::V12),
            ..TlsOptions::default()
        };
        assert!(matches!(none.config(HttpVersion::Any), Err(BuildError::Tls(_))));
    }

    #[test]
    fn trusting_nobody_at_all_is_refused() {
        let none = TlsOptions { only_roots: true, ..TlsOptions::default() };
        assert!(matches!(none.config(HttpVersion::Any), Err(BuildError::Roots(_))));
    }
}
