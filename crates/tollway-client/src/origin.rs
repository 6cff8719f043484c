//! Who we speak to: scheme, host and port. A token belongs to the origin that issued it and is sent
//! to no other. This file also decides which origins may see a credential at all.

use std::fmt;
use std::str::FromStr;

use l402::NodeId;
use url::{Host, Url};

use crate::request::BadRequest;

/// Scheme, host and port, as in `https://api.example.com` (RFC 6454). The port is left out when it
/// is the scheme's own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    text: String,
    kept_private: bool,
}

impl Origin {
    /// The origin of an `http` or `https` URL.
    ///
    /// # Errors
    /// [`BadRequest::Url`] for any other URL, and for one with a user name in it.
    pub fn of(url: &Url) -> Result<Self, BadRequest> {
        let bad = |problem| BadRequest::Url { problem };
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("only http and https are spoken here"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("a user name in it would take the header that carries the proof"));
        }
        let host = url.host().ok_or_else(|| bad("it has no host"))?;
        let kept_private = url.scheme() == "https" || stays_here(&host);
        Ok(Self { text: url.origin().ascii_serialization(), kept_private })
    }

    /// What a payee counts as whose invoice is paid by itself: a host that is named by its key.
    pub fn of_payee(id: NodeId) -> Self {
        format!("https://{id}").parse().expect("a key's digits are a host")
    }

    /// `scheme://host` or `scheme://host:port`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host by itself, in lower case and without a dot at its end. An IPv6 address is in brackets.
    pub fn host(&self) -> &str {
        let host = self.text.split_once("://").map_or(&*self.text, |(_, host)| host);
        // A colon behind the last bracket is the port's.
        let port = host.rfind(':').filter(|at| !host[*at..].contains(']'));
        let host = &host[..port.unwrap_or(host.len())];
        host.strip_suffix('.').unwrap_or(host)
    }

    /// Whether nobody on the way sees what is sent: TLS, an onion service, or this very machine.
    /// Credentials and payments go nowhere else unless the caller insists.
    pub const fn is_kept_private(&self) -> bool {
        self.kept_private
    }
}

fn stays_here(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            name == "localhost" || name.ends_with(".localhost") || name.ends_with(".onion")
        }
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.to_canonical().is_loopback(),
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads what [`Origin::as_str`] wrote.
impl FromStr for Origin {
    type Err = BadRequest;

    fn from_str(text: &str) -> Result<Self, BadRequest> {
        let url: Url = text.parse().map_err(|_| BadRequest::Url { problem: "it is no URL" })?;
        Self::of(&url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str) -> Result<Origin, BadRequest> {
        url.parse()
    }

    #[test]
    fn another_scheme_host_or_port_is_another_origin() {
        let one = origin("https://API.example.com/a?b").unwrap();
        assert_eq!(one.as_str(), "https://api.example.com");
        assert_eq!(one, origin("https://api.example.com:443/").unwrap());
        for other in
            ["http://api.example.com", "https://example.com", "https://api.example.com:8443"]
        {
            assert_ne!(one, origin(other).unwrap(), "{other}");
        }
        assert_eq!(one.as_str().parse(), Ok(one));
    }

    #[test]
    fn the_host_is_without_port_and_without_a_dot_at_its_end() {
        for (url, host) in [
            ("https://API.example.com:8443/a:b", "api.example.com"),
            ("https://example.com.", "example.com"),
            ("https://example.com.:81", "example.com"),
            ("http://[::1]:8080", "[::1]"),
            ("http://[::1]", "[::1]"),
            ("http://127.0.0.1:80", "127.0.0.1"),
        ] {
            assert_eq!(origin(url).unwrap().host(), host, "{url}");
        }
    }

    #[test]
    fn only_tls_onions_and_this_machine_are_kept_private() {
        for private in [
            "https://example.com",
            "http://localhost:8080",
            "http://a.localhost",
            "http://127.0.0.1",
            "http://127.8.9.1:1",
            "http://[::1]:80",
            "http://[::ffff:127.0.0.1]",
            "http://abcdefghij.onion",
        ] {
            assert!(origin(private).unwrap().is_kept_private(), "{private}");
        }
        for open in [
            "http://example.com",
            "http://192.168.1.1",
            "http://localhost.example.com",
            "http://onion",
            "http://[::2]",
        ] {
            assert!(!origin(open).unwrap().is_kept_private(), "{open}");
        }
    }

    #[test]
    fn only_http_urls_without_a_user_have_one() {
        for bad in ["ftp://example.com", "file:///etc/passwd", "http://a:b@example.com", "x"] {
            assert!(matches!(origin(bad), Err(BadRequest::Url { .. })), "{bad}");
        }
    }
}
