//! `[tls]`: how connections to the gateway are encrypted, and where its certificates come from.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use url::{Host, Url};

use super::duration;
use super::mistake::Problem;
use super::raw::{At, Keys, Reader};

/// Every key of `[tls]`.
pub(crate) static KEYS: &[&str] = &[
    "certificate",
    "key",
    "client_ca",
    "client_certificates",
    "handshake_timeout",
    "redirect_http",
    "redirect_port",
    "acme",
];

/// Every key of `[tls.acme]`.
pub(crate) static ACME_KEYS: &[&str] =
    &["domains", "terms_agreed", "contact", "cache", "directory", "directory_ca"];

/// Let's Encrypt's.
const DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// How connections are encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Certificates in files. Of several, the client's server name (SNI) chooses; the first one is for
    /// who names none, or an unknown one.
    pub pairs: Vec<Pair>,
    /// Whether clients show a certificate of their own, and who vouches for it.
    pub clients: Option<Clients>,
    /// How long a handshake may take, from the connection's first byte.
    pub handshake_timeout: Duration,
    /// Where to listen for plain HTTP, which is told to come again with TLS.
    pub redirect_http: Option<SocketAddr>,
    /// The port to which it is told to come. The one that the gateway listens on unless told.
    pub redirect_port: Option<u16>,
    /// Where certificates come from that are in no file.
    pub acme: Option<Acme>,
}

/// A certificate with its chain, and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// A PEM file, the server's own certificate first.
    pub certificate: PathBuf,
    /// A PEM file with one private key: PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
}

/// Certificates of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clients {
    /// A PEM file with the authorities that vouch for them.
    pub ca: PathBuf,
    /// Whether a client without one is turned away.
    pub required: bool,
}

/// Certificates from an authority that hands them out by itself (RFC 8555).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acme {
    /// For which names; each gets a certificate of its own.
    pub domains: Vec<String>,
    /// How the authority can reach somebody: `mailto:` URLs.
    pub contact: Vec<String>,
    /// A folder for the account's key and the certificates.
    pub cache: PathBuf,
    /// The authority's directory.
    pub directory: Url,
    /// A PEM file with the certificates by which the directory itself is known, instead of the public
    /// ones.
    pub directory_ca: Option<PathBuf>,
}

/// Reads `[tls]`, if it is there.
pub(super) fn read(reader: &mut Reader<'_>, keys: &mut Keys<'_>) -> Option<Tls> {
    let mut keys = reader.table(keys, "tls", "a table, `[tls]`")?;
    let pairs = pairs(reader, &mut keys);
    let clients = clients(reader, &mut keys);
    let handshake_timeout =
        duration(reader, &mut keys, "handshake_timeout").unwrap_or(Duration::from_secs(10));
    let redirect_http = reader.text(&mut keys, "redirect_http").and_then(|at| {
        let address = at.value.parse();
        let example = "write an address and a port, for example `0.0.0.0:80`";
        address.map_err(|_| reader.bad("redirect_http", &at, example)).ok()
    });
    let redirect_port = reader.number(&mut keys, "redirect_port", 1..=u64::from(u16::MAX));
    let redirect_port = redirect_port.and_then(|port| u16::try_from(port).ok());
    let (line, has_acme) = (keys.line, keys.has("acme"));
    let acme = acme(reader, &mut keys);
    reader.end(keys, "[tls]", KEYS);
    if pairs.as_ref().is_some_and(Vec::is_empty) && !has_acme {
        let place = "`[tls]`".to_owned();
        let example = "certificate = \"file:/etc/tollway/tls.pem\"`, or a table `[tls.acme]";
        reader.mistake(line, Problem::Missing { key: "certificate", place, example });
    }
    let pairs = pairs.unwrap_or_default();
    Some(Tls { pairs, clients, handshake_timeout, redirect_http, redirect_port, acme })
}

/// `None` after a mistake.
fn pairs(reader: &mut Reader<'_>, keys: &mut Keys<'_>) -> Option<Vec<Pair>> {
    let certificates = reader.texts(keys, "certificate");
    let secrets = reader.texts(keys, "key");
    if certificates.len() != secrets.len() {
        let (more, key, other) = match certificates.len() > secrets.len() {
            true => (&certificates, "certificate", "key"),
            false => (&secrets, "key", "certificate"),
        };
        let problem = format!("each `certificate` needs its `key`; there is no `{other}` for this");
        let at = &more[certificates.len().min(secrets.len())];
        reader.bad(key, at, problem);
        return None;
    }
    let mut pairs = Vec::new();
    for (certificate, key) in certificates.iter().zip(&secrets) {
        let certificate = file(reader, "certificate", certificate);
        let key = file(reader, "key", key);
        pairs.push(Pair { certificate: certificate?, key: key? });
    }
    Some(pairs)
}

/// `file:/path`.
fn file(reader: &mut Reader<'_>, key: &'static str, at: &At<String>) -> Option<PathBuf> {
    match at.value.strip_prefix("file:") {
        Some(path) if !path.is_empty() => Some(PathBuf::from(path)),
        _ => {
            // Somebody may have put the key itself here.
            let hidden = At { line: at.line, value: "(not shown)".to_owned() };
            reader.bad(key, &hidden, "write which file: `file:/etc/tollway/tls.pem`");
            None
        }
    }
}

fn clients(reader: &mut Reader<'_>, keys: &mut Keys<'_>) -> Option<Clients> {
    let ca = reader.text(keys, "client_ca");
    let wanted = reader.text(keys, "client_certificates");
    let required = match &wanted {
        None => true,
        Some(at) => match at.value.as_str() {
            "required" => true,
            "optional" => false,
            _ => {
                reader.bad("client_certificates", at, "write `required` or `optional`");
                return None;
            }
        },
    };
    match (ca, wanted) {
        (Some(ca), _) => Some(Clients { ca: file(reader, "client_ca", &ca)?, required }),
        (None, Some(at)) => {
            reader.bad("client_certificates", &at, "it needs `client_ca`, which says whose");
            None
        }
        (None, None) => None,
    }
}

fn acme(reader: &mut Reader<'_>, keys: &mut Keys<'_>) -> Option<Acme> {
    let mut keys = reader.table(keys, "acme", "a table, `[tls.acme]`")?;
    let missing = |reader: &mut Reader<'_>, line, key, example| {
        let place = "`[tls.acme]`".to_owned();
        reader.mistake(line, Problem::Missing { key, place, example });
    };
    let line = keys.line;
    if !keys.has("domains") {
        missing(reader, line, "domains", "domains = [\"api.example.com\"]");
    }
    let domains = domains(reader, &mut keys);
    match reader.flag(&mut keys, "terms_agreed") {
        Some(true) => {}
        // Nobody but the operator can agree to somebody's terms.
        _ => missing(
            reader,
            line,
            "terms_agreed = true",
            "terms_agreed = true` when you agree to the terms of service of `directory",
        ),
    }
    let contact = contact(reader, &mut keys);
    let cache = reader.text(&mut keys, "cache");
    if cache.is_none() {
        missing(reader, line, "cache", "cache = \"/var/lib/tollway/acme\"");
    }
    let directory = directory(reader, &mut keys);
    let directory_ca = reader.text(&mut keys, "directory_ca");
    let directory_ca = directory_ca.and_then(|at| file(reader, "directory_ca", &at));
    reader.end(keys, "[tls.acme]", ACME_KEYS);
    let (cache, directory) = (PathBuf::from(cache?.value), directory?);
    Some(Acme { domains, contact, cache, directory, directory_ca })
}

fn domains(reader: &mut Reader<'_>, keys: &mut Keys<'_>) -> Vec<String> {
    let mut domains: Vec<String> = Vec::new();
    for at in reader.texts(keys, "domains") {
        let problem = match Host::parse(&at.value) {
            _ if at.value.starts_with("*.") => {
                "a certificate for all names below one cannot be had this way; name each of them"
            }
            Ok(Host::Domain(name)) if domains.contains(&name) => "it is there twice",
            Ok(Host::Domain(name)) if name.contains('.') && !name.ends_with('.') => {
                domains.push(name);
                continue;
            }
            _ => "write a name that leads here from everywhere, for example `api.example.com`",
        };
        reader.bad("domains", &at, problem);
    }
    domains
}

fn contact(reader: &mut Reader<'_>, keys: &mut Keys<'_>) -> Vec<String> {
    let written = reader.texts(keys, "contact");
    let mut read = |at: &At<String>| match at.value.strip_prefix("mailto:") {
        Some(address) if address.contains('@') => Some(at.value.clone()),
        _ => {
            reader.bad("contact", at, "write for example `mailto:admin@example.com`");
            None
        }
    };
    written.iter().filter_map(&mut read).collect()
}

fn directory(reader: &mut Reader<'_>, keys: &mut Keys<'_>) -> Option<Url> {
    let Some(at) = reader.text(keys, "directory") else {
        return Some(DIRECTORY.parse().expect("the default is a URL"));
    };
    match at.value.parse::<Url>() {
        Ok(url) if url.scheme() == "https" && url.has_host() => Some(url),
        _ => {
            reader.bad("directory", &at, format!("write for example `{DIRECTORY}`"));
            None
        }
    }
}
