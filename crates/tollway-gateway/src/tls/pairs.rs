//! Certificates with their keys, and which of them a client is shown.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;

use super::acme::Issued;
use super::error::{KeyError, TlsError};
use crate::config;
use crate::upstream::CertificatesError;

/// Certificates by the names that they are for.
#[derive(Debug)]
pub(super) struct Pairs {
    /// Whole names, and `*.example.com`; in lower case.
    by_name: HashMap<String, Arc<CertifiedKey>>,
    /// For who names none that is known.
    first: Option<Arc<CertifiedKey>>,
    /// Those from an authority, which change by themselves.
    issued: Option<Arc<Issued>>,
}

impl Pairs {
    pub(super) fn load(
        pairs: &[config::Pair],
        issued: Option<Arc<Issued>>,
        provider: &CryptoProvider,
    ) -> Result<Self, TlsError> {
        let (mut by_name, mut first) = (HashMap::new(), None);
        for pair in pairs {
            let key = Arc::new(load(pair, provider)?);
            for name in names(&key.cert[0]) {
                by_name.entry(name).or_insert_with(|| Arc::clone(&key));
            }
            first.get_or_insert(key);
        }
        Ok(Self { by_name, first, issued })
    }

    /// The one to show to a client that wants to talk to `name`.
    fn find(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let name = name.map(str::to_ascii_lowercase);
        let issued = self.issued.as_deref();
        let named = name.and_then(|name| {
            let whole = self.by_name.get(&name);
            // A star stands for one label, and the first only (RFC 9525 section 6.3).
            let star = || {
                name.split_once('.').and_then(|(_, rest)| self.by_name.get(&format!("*.{rest}")))
            };
            whole.or_else(star).cloned().or_else(|| issued?.find(&name))
        });
        named.or_else(|| self.first.clone()).or_else(|| issued?.first())
    }
}

impl ResolvesServerCert for Pairs {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(hello.server_name())
    }
}

/// Reads a certificate and its key, which have to belong together.
fn load(pair: &config::Pair, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let problem = |problem| TlsError::Certificate { path: pair.certificate.clone(), problem };
    let chain = certificates(&pair.certificate).map_err(problem)?;
    let key = PrivateKeyDer::from_pem_file(&pair.key).map_err(KeyError::Read);
    let key = key.and_then(|key| Ok(provider.key_provider.load_private_key(key)?));
    let key = key.map_err(|problem| TlsError::Key { path: pair.key.clone(), problem })?;
    together(chain, key).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            let (certificate, key) = (pair.certificate.clone(), pair.key.clone());
            TlsError::NoPair { certificate, key }
        }
        other => problem(other.into()),
    })
}

/// A chain and the key of its first certificate.
pub(super) fn together(
    chain: Vec<CertificateDer<'static>>,
    key: Arc<dyn rustls::sign::SigningKey>,
) -> Result<CertifiedKey, rustls::Error> {
    let pair = CertifiedKey::new(chain, key);
    pair.keys_match()?;
    Ok(pair)
}

/// Every certificate in a PEM file; at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificatesError> {
    let all = CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>()?;
    if all.is_empty() { Err(CertificatesError::Empty) } else { Ok(all) }
}

/// The names that a certificate is for. Those of one that cannot be read are none; it can still be the
/// first.
pub(super) fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else {
        return Vec::new();
    };
    let Ok(Some(names)) = parsed.subject_alternative_name() else { return Vec::new() };
    let domain = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    };
    names.value.general_names.iter().filter_map(domain).collect()
}

#[cfg(test)]
mod tests {
    use rcgen::generate_simple_self_signed;

    use super::*;

    fn pair(folder: &Path, names: &[&str]) -> config::Pair {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let made = generate_simple_self_signed(names.clone()).unwrap();
        let (certificate, key) =
            (folder.join(format!("{}.pem", names[0])), folder.join(format!("{}.key", names[0])));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        config::Pair { certificate, key }
    }

    fn open(pairs: &[config::Pair]) -> Result<Pairs, TlsError> {
        Pairs::load(pairs, None, &rustls::crypto::ring::default_provider())
    }

    #[test]
    fn the_name_that_a_client_asks_for_chooses() {
        let folder = tempfile::tempdir().unwrap();
        let own = |names| pair(folder.path(), names);
        let pairs = open(&[own(&["a.example"]), own(&["b.example", "*.b.example"])]).unwrap();
        let shown = |name: Option<&str>| names(&pairs.find(name).unwrap().cert[0])[0].clone();
        assert_eq!(shown(None), "a.example");
        assert_eq!(shown(Some("A.example")), "a.example");
        assert_eq!(shown(Some("b.example")), "b.example");
        assert_eq!(shown(Some("x.B.example")), "b.example");
        for other in ["y.x.b.example", "example", "nobody.example", "x.a.example"] {
            assert_eq!(shown(Some(other)), "a.example", "{other}");
        }
        assert!(open(&[]).unwrap().find(Some("a.example")).is_none());
    }

    #[test]
    fn what_does_not_belong_together_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (pair(folder.path(), &["a.example"]), pair(folder.path(), &["b.example"]));
        let mixed = config::Pair { certificate: a.certificate.clone(), key: b.key.clone() };
        assert!(matches!(open(&[mixed]), Err(TlsError::NoPair { .. })));
        let swapped = config::Pair { certificate: a.key.clone(), key: a.certificate.clone() };
        let error = open(&[swapped]).unwrap_err().to_string();
        assert!(error.contains("a.example.key: there is no certificate"), "{error}");
        let gone = config::Pair { key: folder.path().join("gone"), ..b };
        assert!(matches!(open(&[gone]), Err(TlsError::Key { .. })));
    }
}
