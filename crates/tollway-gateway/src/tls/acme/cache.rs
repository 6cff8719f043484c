//! The folder for what an authority hands out: the account, and each name's certificate with its key. A
//! file there is whole or not there, and on disk before it is used: authorities hand out only so many
//! of the same.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hex::DisplayHex;
use l402::Secret;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};
use url::Url;
use x509_parser::time::ASN1Time;

use super::renewal::Life;
use crate::tls::error::TlsError;
use crate::tls::pairs::together;

/// The folder.
#[derive(Debug)]
pub(super) struct Cache {
    folder: PathBuf,
    /// Tells one authority's files from another's.
    tag: String,
}

/// A certificate that can be used.
#[derive(Debug)]
pub(super) struct Certificate {
    pub(super) pair: CertifiedKey,
    pub(super) life: Life,
}

/// What is in a file is no certificate for the name.
#[derive(Debug, thiserror::Error)]
pub(super) enum CertificateError {
    /// The file itself.
    #[error("{path}: {source}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is not what it should be.
    #[error("it cannot be read: {0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// The key does not fit, or is of a kind that is not known.
    #[error("it cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
    /// Not an X.509 certificate, or not one for this name.
    #[error("it is no certificate for {0}")]
    OtherName(String),
}

impl Cache {
    /// The folder is made when it is not there.
    pub(super) fn open(folder: &Path, directory: &Url) -> Result<Self, TlsError> {
        let failed = |source| TlsError::Cache { path: folder.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        let mode = fs::metadata(folder).map_err(failed)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(TlsError::CacheOpen { path: folder.to_owned(), mode });
        }
        let digest = Sha256::digest(directory.as_str().as_bytes());
        let tag = digest[..8].to_lower_hex_string();
        Ok(Self { folder: folder.to_owned(), tag })
    }

    /// The account with the authority, if there is one.
    pub(super) fn account(&self) -> io::Result<Option<Secret<Vec<u8>>>> {
        self.read(&self.account_file())
    }

    pub(super) fn keep_account(&self, account: &[u8]) -> io::Result<()> {
        self.write(&self.account_file(), account)
    }

    /// The authority does not know it any more.
    pub(super) fn forget_account(&self) -> io::Result<()> {
        fs::remove_file(self.account_file())
    }

    /// A name's certificate, if there is one.
    pub(super) fn certificate(
        &self,
        domain: &str,
    ) -> Result<Option<Certificate>, CertificateError> {
        let path = self.certificate_file(domain);
        let text = self.read(&path).map_err(|source| CertificateError::Io { path, source })?;
        text.map(|text| read(domain, text.expose())).transpose()
    }

    pub(super) fn keep_certificate(&self, domain: &str, pem: &Secret<String>) -> io::Result<()> {
        self.write(&self.certificate_file(domain), pem.expose().as_bytes())
    }

    fn account_file(&self) -> PathBuf {
        self.folder.join(format!("account-{}.json", self.tag))
    }

    fn certificate_file(&self, domain: &str) -> PathBuf {
        self.folder.join(format!("{domain}-{}.pem", self.tag))
    }

    fn read(&self, path: &Path) -> io::Result<Option<Secret<Vec<u8>>>> {
        match fs::read(path) {
            Ok(bytes) => Ok(Some(Secret::new(bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut unique = [0; 8];
        getrandom::fill(&mut unique).map_err(io::Error::other)?;
        let draft = self.folder.join(format!(".draft-{}", unique.as_hex()));
        let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft);
        let done = written
            .and_then(|mut file| {
                file.write_all(bytes)?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&draft, path))
            .and_then(|()| File::open(&self.folder)?.sync_all());
        if done.is_err() {
            // It may be renamed already; then there is nothing to remove.
            let _ = fs::remove_file(&draft);
        }
        done
    }
}

/// Reads a key and the chain that belongs to it, the first of which has to be for `domain`.
pub(super) fn read(domain: &str, pem: &[u8]) -> Result<Certificate, CertificateError> {
    let key = PrivateKeyDer::from_pem_slice(pem)?;
    let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>()?;
    let other = || CertificateError::OtherName(domain.to_owned());
    let first = chain.first().ok_or_else(other)?;
    let (_, parsed) = x509_parser::parse_x509_certificate(first).map_err(|_| other())?;
    if !crate::tls::pairs::names(first).iter().any(|name| name == domain) {
        return Err(other());
    }
    let [begin, end] = [parsed.validity().not_before, parsed.validity().not_after].map(moment);
    let life = Life { certificate: first.clone(), begin, end };
    let key = default_provider().key_provider.load_private_key(key)?;
    Ok(Certificate { pair: together(chain, key)?, life })
}

/// Never before 1970: nothing can be due earlier than long ago.
fn moment(time: ASN1Time) -> SystemTime {
    let seconds = u64::try_from(time.timestamp()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn pem(name: &str) -> Secret<String> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.not_before, params.not_after) =
            (date_time_ymd(2026, 1, 1), date_time_ymd(2026, 1, 31));
        let certificate = params.self_signed(&key).unwrap();
        Secret::new(format!("{}{}", key.serialize_pem(), certificate.pem()))
    }

    fn directory() -> Url {
        "https://authority.example/directory".parse().unwrap()
    }

    #[test]
    fn what_is_kept_is_there_again_and_for_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("new/acme");
        let cache = Cache::open(&place, &directory()).unwrap();
        assert!(cache.certificate("a.example").unwrap().is_none());
        cache.keep_certificate("a.example", &pem("a.example")).unwrap();
        cache.keep_account(b"{}").unwrap();

        let again = Cache::open(&place, &directory()).unwrap();
        let kept = again.certificate("a.example").unwrap().unwrap();
        let day = Duration::from_secs(24 * 3600);
        let begin = SystemTime::UNIX_EPOCH + day * (56 * 365 + 14);
        assert_eq!([kept.life.begin, kept.life.end], [begin, begin + day * 30]);
        assert_eq!(again.account().unwrap().unwrap().expose(), b"{}");
        again.forget_account().unwrap();
        assert!(again.account().unwrap().is_none());

        let staging = "https://staging.example/directory".parse().unwrap();
        let other = Cache::open(&place, &staging).unwrap();
        assert!(other.certificate("a.example").unwrap().is_none(), "another authority");
        for entry in fs::read_dir(&place).unwrap() {
            assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_folder_that_others_can_use_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o750)).unwrap();
        let error = Cache::open(folder.path(), &directory()).unwrap_err().to_string();
        assert!(error.contains("mode 750") && error.contains("chmod 700"), "{error}");
    }

    #[test]
    fn what_is_no_certificate_for_the_name_is_not_used() {
        assert!(read("a.example", pem("a.example").expose().as_bytes()).is_ok());
        let own = pem("a.example");
        let chain = &own.expose()[own.expose().find("-----BEGIN CERT").unwrap()..];
        let other = pem("a.example");
        let key = &other.expose()[..other.expose().find("-----BEGIN CERT").unwrap()];
        for bad in [chain, key, "", &format!("{key}{chain}"), pem("b.example").expose()] {
            assert!(read("a.example", bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
