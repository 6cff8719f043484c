//! The user's own certificate authority, by which connections to hosts that were named are opened.
//! It can vouch for these hosts and what is below them and for nobody else: that is written into its
//! certificate, so that a stolen key is worth no more.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;

use crate::files;

/// After how long a host's certificate is made anew; it is good for a week.
const RENEWED: Duration = Duration::from_secs(24 * 60 * 60);

/// The authority, and what it has signed.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    hosts: Vec<String>,
    /// The certificate that programs must trust.
    certificate: PathBuf,
    signed: Mutex<HashMap<String, (Instant, Arc<ServerConfig>)>>,
}

/// The authority cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthorityError {
    /// Its folder cannot be read or written.
    #[error("the folder `{}` of the certificate authority", .0.display())]
    Folder(PathBuf, #[source] io::Error),
    /// A host that no certificate can be limited to.
    #[error("`{0}` is no host's name: write for example `api.example.com`")]
    Host(String),
    /// It was made for other hosts.
    #[error("the authority in `{}` is for {made_for}, and not for {wanted}", .folder.display())]
    OtherHosts {
        /// Where it is.
        folder: PathBuf,
        /// What it was made for.
        made_for: String,
        /// What is asked for now.
        wanted: String,
    },
    /// A key or a certificate cannot be made or read.
    #[error("the authority's key or certificate cannot be made or read")]
    Certificate(#[from] rcgen::Error),
}

impl Authority {
    /// Opens the authority in that folder, and makes one where there is none. The folder is for its
    /// owner only, and so is the key in it.
    pub(crate) fn open(folder: &Path, hosts: &[String]) -> Result<Self, AuthorityError> {
        let mut hosts: Vec<String> =
            hosts.iter().map(|host| name(host)).collect::<Result<_, _>>()?;
        hosts.sort();
        hosts.dedup();
        let failed = |source| AuthorityError::Folder(folder.to_owned(), source);
        let paths = ["ca.key", "ca.pem", "hosts"].map(|name| folder.join(name));
        let [key_file, certificate, list] = paths;
        let params = params(&hosts)?;
        let key = if key_file.exists() {
            let made_for = fs::read_to_string(&list).map_err(failed)?;
            if made_for.lines().ne(hosts.iter().map(String::as_str)) {
                let made_for = made_for.lines().collect::<Vec<_>>().join(", ");
                let (folder, wanted) = (folder.to_owned(), hosts.join(", "));
                return Err(AuthorityError::OtherHosts { folder, made_for, wanted });
            }
            KeyPair::from_pem(&fs::read_to_string(&key_file).map_err(failed)?)?
        } else {
            let key = KeyPair::generate()?;
            fs::create_dir_all(folder).map_err(failed)?;
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(failed)?;
            let signed = params.self_signed(&key)?;
            fs::write(&certificate, signed.pem()).map_err(failed)?;
            fs::write(&list, hosts.join("\n") + "\n").map_err(failed)?;
            // Last: with it, the authority is there.
            files::write_private(&key_file, key.serialize_pem().as_bytes()).map_err(failed)?;
            key
        };
        let issuer = Issuer::new(params, key);
        Ok(Self { issuer, hosts, certificate, signed: Mutex::default() })
    }

    /// What programs must trust.
    pub(crate) fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// What to answer a program with that wants to speak to that host; `None` where the connection
    /// is not to be opened.
    pub(crate) fn config_for(&self, host: &str) -> Option<Arc<ServerConfig>> {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let below = |known: &String| {
            host.strip_suffix(known.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        if !self.hosts.iter().any(below) {
            return None;
        }
        let mut signed = self.signed.lock().expect("nothing panics under this lock");
        if let Some((_, config)) = signed.get(&host).filter(|(at, _)| at.elapsed() < RENEWED) {
            return Some(Arc::clone(config));
        }
        let config = self.sign(&host);
        let config =
            config.inspect_err(|error| tracing::warn!(%host, %error, "no certificate")).ok()?;
        signed.insert(host, (Instant::now(), Arc::clone(&config)));
        Some(config)
    }

    fn sign(&self, host: &str) -> Result<Arc<ServerConfig>, Box<dyn std::error::Error>> {
        let mut params = CertificateParams::new(vec![host.to_owned()])?;
        valid(&mut params, 7);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// What the authority's certificate says; the same for the same hosts, whenever it is made.
fn params(hosts: &[String]) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "Tollway pay-proxy on this machine");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let permitted_subtrees = hosts.iter().cloned().map(GeneralSubtree::DnsName).collect();
    params.name_constraints =
        Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
    valid(&mut params, 2 * 365);
    Ok(params)
}

/// From yesterday, for clocks that are behind, for so many days.
fn valid(params: &mut CertificateParams, days: i64) {
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let at = |ahead: i64| {
        let day = today.checked_add(ahead.days()).unwrap_or(today);
        let part = |number: i8| u8::try_from(number).expect("months and days are positive");
        date_time_ymd(i32::from(day.year()), part(day.month()), part(day.day()))
    };
    (params.not_before, params.not_after) = (at(-1), at(days));
}

/// A host as it stands in a certificate.
fn name(host: &str) -> Result<String, AuthorityError> {
    match url::Host::parse(host) {
        Ok(url::Host::Domain(name)) => Ok(name.trim_end_matches('.').to_owned()),
        _ => Err(AuthorityError::Host(host.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_that_were_named_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let hosts = ["api.example.com".to_owned()];
        let authority = Authority::open(folder.path(), &hosts).unwrap();
        for opened in ["api.example.com", "API.example.com.", "a.api.example.com"] {
            assert!(authority.config_for(opened).is_some(), "{opened}");
        }
        for passed in ["example.com", "evilapi.example.com", "bank.example"] {
            assert!(authority.config_for(passed).is_none(), "{passed}");
        }
        let mode = fs::metadata(folder.path().join("ca.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(Authority::open(folder.path(), &hosts).is_ok(), "it is used again");
        let other = Authority::open(folder.path(), &["bank.example".to_owned()]);
        assert!(matches!(other, Err(AuthorityError::OtherHosts { .. })));
        let address = Authority::open(folder.path(), &["127.0.0.1".to_owned()]);
        assert!(matches!(address, Err(AuthorityError::Host(_))));
    }
}
