//! Taking a node's URL apart: `scheme://host:port/path?name=value`. Whatever is not asked for by the
//! driver is refused by name, and a secret is never in the URL itself: only where it is kept.

use std::path::PathBuf;

use l402::{NodeUrl, OpenError};
use percent_encoding::percent_decode_str;
use url::{Host, Url};

use crate::http::{Trust, Web};
use crate::watched::Kept;

/// The one parameter that a URL may have more than once: Nostr Wallet Connect names its relays so.
const REPEATED: &str = "relay";

/// What is said of a secret that stands where only its place may stand.
pub(crate) const IN_THE_URL: &str = "must say where it is kept, for URLs are seen by others: write it \
                                     into a file that only you can read, and give file:/path/to/it, \
                                     env:NAME for an environment variable, or keyring:NAME";

/// A URL with a host, and what of it the driver has not asked for yet.
#[derive(Debug)]
pub(crate) struct Address {
    driver: &'static str,
    /// As in a `Host` header: an IPv6 address has its brackets.
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    /// What comes after the port, `/` at the least.
    pub(crate) path: String,
    /// What stands before an `@`.
    pub(crate) user: String,
    parameters: Parameters,
}

/// The parameters of a URL that the driver has not asked for yet.
#[derive(Debug)]
pub(crate) struct Parameters {
    driver: &'static str,
    /// For what was brought along for it.
    url: NodeUrl,
    left: Vec<(String, String)>,
}

/// A secret, or where it is kept.
pub(crate) enum Either {
    Plain(String),
    Kept(Kept),
}

/// What is the matter with a part of a URL.
pub(crate) fn bad(driver: &'static str, part: &str, problem: impl Into<String>) -> OpenError {
    OpenError::BadUrl { driver, parameter: part.to_owned(), problem: problem.into() }
}

impl Address {
    pub(crate) fn parse(
        driver: &'static str,
        url: &NodeUrl,
        example: &str,
    ) -> Result<Self, OpenError> {
        let like = || format!("cannot be read; it looks like {example}");
        let parsed = Url::parse(url.expose()).map_err(|_| bad(driver, "url", like()))?;
        let host = match parsed.host() {
            Some(Host::Domain(name)) if is_name(name) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => format!("[{address}]"),
            Some(Host::Domain(_)) | None => return Err(bad(driver, "host", like())),
        };
        if parsed.password().is_some() {
            return Err(bad(driver, "password", "must not stand in the URL; keep it in a file"));
        }
        if parsed.fragment().is_some() {
            return Err(bad(driver, "#", "has no meaning in a node's URL"));
        }
        let path = match parsed.path() {
            "" => "/",
            path => path,
        };
        Ok(Self {
            driver,
            host,
            port: parsed.port(),
            path: path.to_owned(),
            user: parsed.username().to_owned(),
            parameters: Parameters::parse(driver, url, parsed.query().unwrap_or_default())?,
        })
    }

    /// Its parameters, once it is known to have no path and no user.
    pub(crate) fn only_parameters(self) -> Result<Parameters, OpenError> {
        if self.path != "/" {
            return Err(bad(self.driver, "path", "is not known; the port is followed by `?`"));
        }
        self.no_user()
    }

    /// Its parameters, once it is known to have no user.
    pub(crate) fn no_user(self) -> Result<Parameters, OpenError> {
        if !self.user.is_empty() {
            return Err(bad(self.driver, "user", "is not possible before the host"));
        }
        Ok(self.parameters)
    }
}

/// The server of a URL that names nothing but a host, and its parameters: by TLS, checked against `cert`
/// where that is given, or in the clear.
pub(crate) fn server(
    driver: &'static str,
    url: &NodeUrl,
    example: &str,
    by_tls: bool,
    port: u16,
) -> Result<(Web, Parameters), OpenError> {
    let address = Address::parse(driver, url, example)?;
    let (host, port) = (address.host.clone(), address.port.unwrap_or(port));
    let mut parameters = address.only_parameters()?;
    let trust = match by_tls {
        true => Some(parameters.take_file("cert")?.map_or_else(Trust::public, Trust::pinned)),
        false => None,
    };
    Ok((Web::new(&host, port, trust), parameters))
}

/// Whether this is a host's name, and nothing that would mean more in a request's header.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
}

impl Parameters {
    pub(crate) fn parse(
        driver: &'static str,
        url: &NodeUrl,
        query: &str,
    ) -> Result<Self, OpenError> {
        let mut left: Vec<(String, String)> = Vec::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = percent_decode_str(value).decode_utf8();
            let value = value.map_err(|_| bad(driver, name, "is not UTF-8"))?;
            if name != REPEATED && left.iter().any(|(known, _)| known == name) {
                return Err(bad(driver, name, "is there twice"));
            }
            left.push((name.to_owned(), value.into_owned()));
        }
        Ok(Self { driver, url: url.clone(), left })
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.left.iter().position(|(known, _)| known == name)?;
        Some(self.left.swap_remove(at).1)
    }

    /// Takes a parameter that may be there more than once.
    pub(crate) fn take_all(&mut self, name: &str) -> Vec<String> {
        let (taken, left) = self.left.drain(..).partition(|(known, _)| known == name);
        self.left = left;
        let taken: Vec<(String, String)> = taken;
        taken.into_iter().map(|(_, value)| value).collect()
    }

    /// A path, with or without `file:` before it.
    pub(crate) fn take_file(&mut self, name: &str) -> Result<Option<PathBuf>, OpenError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        self.absolute(name, value.strip_prefix("file:").unwrap_or(&value)).map(Some)
    }

    /// A secret itself where that may stand in the URL, or else where it is kept.
    pub(crate) fn take_plain_or_secret(
        &mut self,
        name: &str,
        may_be_plain: bool,
    ) -> Result<Option<Either>, OpenError> {
        let plain = |(known, value): &(String, String)| known == name && !value.contains(':');
        if may_be_plain && self.left.iter().any(plain) {
            return Ok(self.take(name).map(Either::Plain));
        }
        Ok(self.take_secret(name)?.map(Either::Kept))
    }

    /// Where a secret is kept: `file:/path`, or a place where somebody has found it for us. Anything
    /// else may be the secret itself, so the refusal does not repeat it.
    pub(crate) fn take_secret(&mut self, name: &str) -> Result<Option<Kept>, OpenError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        if let Some(path) = value.strip_prefix("file:") {
            return self.absolute(name, path).map(|path| Some(Kept::File(path)));
        }
        match self.url.secret(&value) {
            Some(secret) => Ok(Some(Kept::Given { place: value, secret })),
            None => Err(bad(self.driver, name, IN_THE_URL)),
        }
    }

    fn absolute(&self, name: &str, path: &str) -> Result<PathBuf, OpenError> {
        if !path.starts_with('/') {
            return Err(bad(self.driver, name, "must be an absolute path, as in file:/path/to/it"));
        }
        Ok(PathBuf::from(path))
    }

    pub(crate) fn take_yes_or_no(&mut self, name: &str) -> Result<bool, OpenError> {
        match self.take(name).as_deref() {
            None | Some("no") => Ok(false),
            Some("yes") => Ok(true),
            Some(_) => Err(bad(self.driver, name, "is `yes` or `no`")),
        }
    }

    /// Nothing may be left.
    pub(crate) fn finish(self, known: &str) -> Result<(), OpenError> {
        match self.left.first() {
            None => Ok(()),
            Some((name, _)) => Err(bad(self.driver, name, format!("is not known; {known}"))),
        }
    }
}
