//! TLS flags. The default checks everything. `--insecure` connects all the same, but pays nothing and
//! shows no token there.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::{Args, ValueEnum};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tollway_client::{Identity, TlsOptions, TlsVersion};

use super::AskError;

#[derive(Debug, Args)]
#[command(next_help_heading = "TLS")]
pub(crate) struct TlsFlags {
    /// Take any certificate. Nothing is paid and no token is shown over such a connection, unless
    /// --allow-plain-http says so
    #[arg(short = 'k', long)]
    insecure: bool,

    /// Trust the authorities in this file, PEM, and no others
    #[arg(long, value_name = "FILE", env = "SSL_CERT_FILE", hide_env_values = true)]
    cacert: Option<PathBuf>,

    /// Trust the authorities in the files of this folder, PEM, and no others
    #[arg(long, value_name = "FOLDER")]
    capath: Option<PathBuf>,

    /// Show this certificate, PEM; the key may be in the same file
    #[arg(short = 'E', long, value_name = "FILE")]
    cert: Option<PathBuf>,

    /// Its key, PEM and not encrypted
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,

    /// Speak TLS 1.2 or newer, which is the default
    #[arg(long = "tlsv1.2", alias = "tlsv1")]
    tlsv1_2: bool,

    /// Speak TLS 1.3 only
    #[arg(long = "tlsv1.3")]
    tlsv1_3: bool,

    /// Speak no newer version
    #[arg(long, value_name = "VERSION")]
    tls_max: Option<Version>,

    /// The server's public key must hash to one of these: `sha256//BASE64`, several joined by `;`
    #[arg(long, value_name = "HASHES")]
    pinnedpubkey: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Version {
    #[value(name = "1.2")]
    V12,
    #[value(name = "1.3", alias = "default")]
    V13,
}

impl TlsFlags {
    /// Reads the files.
    pub(crate) fn read(&self) -> Result<TlsOptions, AskError> {
        let mut options = TlsOptions::default();
        if let Some(file) = &self.cacert {
            options.roots.extend(certificates("--cacert", file)?);
        }
        if let Some(folder) = &self.capath {
            options.roots.extend(folder_of(folder)?);
        }
        options.only_roots = self.cacert.is_some() || self.capath.is_some();
        if let Some(cert) = &self.cert {
            let chain = certificates("--cert", cert)?;
            let file = self.key.as_ref().unwrap_or(cert);
            let key = PrivateKeyDer::from_pem_file(file).map_err(|_| AskError::Secret {
                flag: "--key",
                problem: "the file has no private key in PEM that is not encrypted",
            })?;
            options.identity = Some(Identity::new(chain, key));
        }
        options.least = match (self.tlsv1_3, self.tlsv1_2) {
            (true, _) => Some(TlsVersion::V13),
            (false, true) => Some(TlsVersion::V12),
            (false, false) => None,
        };
        options.most = self.tls_max.map(|version| match version {
            Version::V12 => TlsVersion::V12,
            Version::V13 => TlsVersion::V13,
        });
        if self.tlsv1_3 && matches!(self.tls_max, Some(Version::V12)) {
            let why = "no version is left";
            return Err(AskError::Together { one: "--tlsv1.3", other: "--tls-max 1.2", why });
        }
        if let Some(pins) = &self.pinnedpubkey {
            options.pins = pins.split(';').map(pin).collect::<Result<_, _>>()?;
        }
        options.dangerously_accept_any_certificate = self.insecure;
        Ok(options)
    }
}

fn pin(text: &str) -> Result<[u8; 32], AskError> {
    let hash = text.strip_prefix("sha256//").and_then(|text| BASE64_STANDARD.decode(text).ok());
    hash.and_then(|hash| hash.try_into().ok()).ok_or_else(|| AskError::Value {
        flag: "--pinnedpubkey",
        value: text.to_owned(),
        problem: "write `sha256//` and the hash of the key in base64; files of keys are not read",
    })
}

fn certificates(flag: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, AskError> {
    let path = || file.display().to_string();
    let bytes = std::fs::read(file).map_err(|source| AskError::Unreadable {
        flag,
        path: path(),
        source,
    })?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => {
            Err(AskError::Value { flag, value: path(), problem: "it holds no certificate in PEM" })
        }
    }
}

/// Every file of a folder that has certificates in it.
fn folder_of(folder: &Path) -> Result<Vec<CertificateDer<'static>>, AskError> {
    let unreadable = |source| AskError::Unreadable {
        flag: "--capath",
        path: folder.display().to_string(),
        source,
    };
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_file() {
            all.extend(certificates("--capath", &path).unwrap_or_default());
        }
    }
    if all.is_empty() {
        let problem = "no file in it holds a certificate in PEM";
        let value = folder.display().to_string();
        return Err(AskError::Value { flag: "--capath", value, problem });
    }
    Ok(all)
}
