//! Where a server of chain data is. One on another machine is spoken to by TLS: whoever can change its
//! answers on the way can hide that a channel was closed.

use std::net::IpAddr;

use url::{Host, Url};

/// The address of a server cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerUrlError {
    /// Not a URL, or one of another kind of server.
    #[error("write for example {0}")]
    NotAUrl(&'static str),
    /// In the clear, and not to this machine.
    #[error(
        "the server is not on this machine: use {0}, so that nobody on the way can change what it says"
    )]
    Plain(&'static str),
    /// A user name, a query or a fragment.
    #[error("no user name, query or fragment belongs there; write for example {0}")]
    Extra(&'static str),
}

/// How the URL of one kind of server looks.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) tls: &'static str,
    pub(super) plain: &'static str,
    pub(super) example: &'static str,
    pub(super) path: bool,
}

impl Form {
    /// Reads the URL.
    pub(super) fn read(&self, text: &str) -> Result<Url, ServerUrlError> {
        let url = Url::parse(text).map_err(|_| ServerUrlError::NotAUrl(self.example))?;
        let is_ours = url.scheme() == self.tls || url.scheme() == self.plain;
        if !is_ours || url.host().is_none() {
            return Err(ServerUrlError::NotAUrl(self.example));
        }
        let has_path = !matches!(url.path(), "" | "/");
        let has_login = !url.username().is_empty() || url.password().is_some();
        if has_login
            || url.query().is_some()
            || url.fragment().is_some()
            || (has_path && !self.path)
        {
            return Err(ServerUrlError::Extra(self.example));
        }
        if url.scheme() == self.plain && !is_here(&url) {
            return Err(ServerUrlError::Plain(self.tls));
        }
        Ok(url)
    }
}

/// Host and port, for errors.
pub(super) fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        // Of other schemes than http, the URL's own parser takes an address for a name.
        Some(Host::Domain(name)) => {
            name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: Form = Form { tls: "ssl", plain: "tcp", example: "ssl://host:50002", path: false };

    #[test]
    fn a_server_elsewhere_is_spoken_to_by_tls() {
        for good in ["ssl://electrum.example:50002", "tcp://127.0.0.1:50001", "tcp://localhost:1"] {
            FORM.read(good).unwrap();
        }
        for bad in
            ["tcp://192.168.1.2:50001", "tcp://electrum.example:50001", "tcp://127.0.0.1.x:1"]
        {
            assert_eq!(FORM.read(bad), Err(ServerUrlError::Plain("ssl")), "{bad}");
        }
    }

    #[test]
    fn what_does_not_belong_there_is_refused() {
        for bad in ["ssl://u:p@h:1", "ssl://h:1/path", "ssl://h:1?x=1", "ssl://h:1#x"] {
            assert!(matches!(FORM.read(bad), Err(ServerUrlError::Extra(_))), "{bad}");
        }
        for bad in ["", "h:1", "https://h:1", "ssl://"] {
            assert!(matches!(FORM.read(bad), Err(ServerUrlError::NotAUrl(_))), "{bad}");
        }
    }
}
