//! Why the gateway's own TLS cannot be put in force.

use std::io;
use std::path::PathBuf;

use crate::upstream::CertificatesError;

/// What is wrong with what `[tls]` names.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The server's own certificates.
    #[error("the certificate {path}: {problem}")]
    Certificate {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: CertificatesError,
    },
    /// The private key. What is in the file is not repeated.
    #[error("the key {path}: {problem}")]
    Key {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: KeyError,
    },
    /// Certificate and key are both good, and not for each other.
    #[error("the key {key} does not belong to the certificate {certificate}")]
    NoPair {
        /// The file with the certificate.
        certificate: PathBuf,
        /// The file with the key.
        key: PathBuf,
    },
    /// The authorities for clients' certificates.
    #[error("the authorities in {path}: {problem}")]
    ClientCa {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: CertificatesError,
    },
    /// The certificates by which the directory is known.
    #[error("the authorities in {path}: {problem}")]
    DirectoryCa {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: CertificatesError,
    },
    /// The folder for what the authority hands out.
    #[error("the folder {path}: {source}")]
    Cache {
        /// Which folder, or which file in it.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others on this machine could take the keys.
    #[error("the folder {path} can be used by others (mode {mode:o}); run `chmod 700` on it")]
    CacheOpen {
        /// Which folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

/// What is wrong with a file that should hold a private key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It cannot be read, or there is none in it.
    #[error(transparent)]
    Read(#[from] rustls::pki_types::pem::Error),
    /// It is of a kind that is not known.
    #[error(transparent)]
    Unusable(#[from] rustls::Error),
}
