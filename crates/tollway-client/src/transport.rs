//! How a server is reached: which version of HTTP, through which proxy, from which interface, to
//! which address, and under which TLS. A value that is written down in full before anything is
//! opened; the defaults are what a careful client does when it is told nothing.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use http::HeaderValue;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::client::Resumption;
use url::Url;

use crate::builder::BuildError;
use crate::timing;
use crate::tls::TlsOptions;

/// How servers are reached.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Transport {
    /// Which version of HTTP is spoken.
    pub version: HttpVersion,
    /// Tried in order; the first one that is for a URL takes it.
    pub proxies: Vec<Proxy>,
    /// Hosts that are asked directly all the same: names, domains with a dot before them, addresses
    /// or networks, separated by commas; `*` is all of them.
    pub no_proxy: String,
    /// Addresses of hosts that are not looked up. A port of 0 is the URL's.
    pub hosts: HashMap<String, Vec<SocketAddr>>,
    /// Which addresses of a host are used.
    pub family: Family,
    /// Connects to this socket, whatever the URL's host.
    pub unix_socket: Option<PathBuf>,
    /// Where connections come from.
    pub local: Option<Local>,
    /// How TLS is spoken.
    pub tls: TlsOptions,
    /// Cookies are sent from there, and kept there.
    pub cookies: Option<Arc<dyn Cookies>>,
    /// Whether the points on the way are measured: see [`Response::timings`](crate::Response::timings).
    pub measured: bool,
}

/// Which version of HTTP is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpVersion {
    /// What the server prefers of 1.1 and 2 over TLS, 1.1 without.
    #[default]
    Any,
    /// 1.1 only.
    Http1,
    /// 2 only, also without TLS, where nobody can ask whether the server speaks it.
    Http2PriorKnowledge,
}

/// Which of a host's addresses are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// All.
    #[default]
    Any,
    /// Those of IPv4.
    V4,
    /// Those of IPv6.
    V6,
}

/// Where connections come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Local {
    /// A network interface, as `eth0`.
    Interface(String),
    /// An address of this machine.
    Address(IpAddr),
}

/// One proxy, and the URLs it is for.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Which URLs go through it.
    pub scheme: ProxiedScheme,
    /// `http`, `https`, `socks4`, `socks4a`, `socks5` or `socks5h`. With `socks4a` and `socks5h` the
    /// proxy looks names up, as it must for an onion service.
    pub url: Url,
    /// User name and password; also taken from the URL.
    pub user: Option<(String, String)>,
}

/// Which URLs go through a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxiedScheme {
    /// `http`.
    Http,
    /// `https`.
    Https,
    /// Both.
    All,
}

/// Keeps cookies. Told of every answer; asked before every request that brings no `Cookie` header.
pub trait Cookies: fmt::Debug + Send + Sync {
    /// The `Cookie` header for that URL.
    fn for_url(&self, url: &Url) -> Option<HeaderValue>;

    /// `Set-Cookie` headers of an answer from that URL.
    fn received(&self, url: &Url, lines: &mut dyn Iterator<Item = &HeaderValue>);
}

impl Transport {
    /// Whether others can read what is sent to that URL, or be its server, for all that the URL
    /// promises: where nobody checks certificates, and where what stays within this machine by its
    /// URL passes another one on its way.
    pub fn exposes(&self, url: &Url) -> bool {
        if url.scheme() == "https" {
            return self.tls.dangerously_accept_any_certificate && self.tls.pins.is_empty();
        }
        // Who is exempted by `no_proxy` is the HTTP client's to say: here it counts as not exempted.
        let mut proxies = self.proxies.iter().filter(|proxy| proxy.scheme.is_for(url));
        proxies.next().is_some_and(|proxy| !proxy.is_within()) || self.sends_elsewhere(url)
    }

    /// Whether its host was given an address by hand that is not within this machine.
    fn sends_elsewhere(&self, url: &Url) -> bool {
        let fixed = url.host_str().and_then(|host| self.hosts.get(host));
        fixed.is_some_and(|addrs| addrs.iter().any(|addr| !addr.ip().is_loopback()))
    }

    /// Tells the HTTP client.
    pub(crate) fn apply(
        &self,
        mut http: reqwest::ClientBuilder,
    ) -> Result<reqwest::ClientBuilder, BuildError> {
        let failed = |e: reqwest::Error| BuildError::Http(e.into());
        let mut tls = self.tls.config(self.version)?;
        if self.measured {
            tls.resumption = Resumption::store(Arc::new(timing::Sessions::new()));
            http = http.connector_layer(timing::Connecting);
        }
        http = http.tls_backend_preconfigured(tls);
        http = match self.version {
            HttpVersion::Any => http,
            HttpVersion::Http1 => http.http1_only(),
            HttpVersion::Http2PriorKnowledge => http.http2_prior_knowledge(),
        };
        http = http.no_proxy();
        for proxy in &self.proxies {
            let made = proxy.build().map_err(failed)?;
            http = http.proxy(made.no_proxy(reqwest::NoProxy::from_string(&self.no_proxy)));
        }
        if !self.hosts.is_empty() || self.family != Family::Any || self.measured {
            let hosts = self.hosts.clone();
            http = http.dns_resolver(Names { hosts: Arc::new(hosts), family: self.family });
        }
        http = match &self.local {
            None => http,
            Some(Local::Interface(name)) => http.interface(name),
            Some(Local::Address(address)) => http.local_address(*address),
        };
        if let Some(path) = &self.unix_socket {
            http = http.unix_socket(path.as_path());
        }
        Ok(http)
    }

    /// What must be known of a URL before anything is sent: an address in it that the family rules
    /// out, which no look-up would.
    pub fn rules_out(&self, url: &Url) -> bool {
        let ip = match url.host() {
            Some(url::Host::Ipv4(ip)) => IpAddr::V4(ip),
            Some(url::Host::Ipv6(ip)) => IpAddr::V6(ip),
            Some(url::Host::Domain(_)) | None => return false,
        };
        !self.family.takes(ip)
    }
}

impl ProxiedScheme {
    fn is_for(self, url: &Url) -> bool {
        match self {
            Self::Http => url.scheme() == "http",
            Self::Https => url.scheme() == "https",
            Self::All => true,
        }
    }
}

impl Proxy {
    /// Whether it runs on this machine.
    fn is_within(&self) -> bool {
        match self.url.host() {
            Some(url::Host::Domain(name)) => name == "localhost" || is_loopback(name),
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        }
    }

    fn build(&self) -> reqwest::Result<reqwest::Proxy> {
        let url = self.url.clone();
        let proxy = match self.scheme {
            ProxiedScheme::Http => reqwest::Proxy::http(url),
            ProxiedScheme::Https => reqwest::Proxy::https(url),
            ProxiedScheme::All => reqwest::Proxy::all(url),
        }?;
        Ok(match &self.user {
            Some((user, password)) => proxy.basic_auth(user, password),
            None => proxy,
        })
    }
}

/// Without user and password.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.host_str().unwrap_or_default();
        write!(f, "Proxy({:?} {}://{host})", self.scheme, self.url.scheme())
    }
}

/// The host of a URL whose scheme is none of the web's is text, also when it is an address.
fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl Family {
    fn takes(self, ip: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => ip.is_ipv4(),
            Self::V6 => ip.is_ipv6(),
        }
    }
}

/// Looks names up: first in the table, then by the system.
struct Names {
    hosts: Arc<HashMap<String, Vec<SocketAddr>>>,
    family: Family,
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let fixed = self.hosts.get(name.as_str()).cloned();
        let family = self.family;
        Box::pin(async move {
            let found = match fixed {
                Some(addrs) => addrs,
                None => tokio::net::lookup_host((name.as_str(), 0)).await?.collect(),
            };
            timing::looked_up();
            let taken: Vec<_> = found.into_iter().filter(|addr| family.takes(addr.ip())).collect();
            if taken.is_empty() {
                return Err("the host has no address of the family that is asked for".into());
            }
            let addrs: Addrs = Box::new(taken.into_iter());
            Ok(addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transport(proxy: &str) -> Transport {
        let url = proxy.parse().unwrap();
        let proxy = Proxy { scheme: ProxiedScheme::All, url, user: None };
        Transport { proxies: vec![proxy], ..Transport::default() }
    }

    #[test]
    fn a_proxy_on_another_machine_sees_what_is_sent_in_plain() {
        let url = "http://127.0.0.1/x".parse().unwrap();
        assert!(!Transport::default().exposes(&url));
        assert!(!transport("socks5h://127.0.0.1:9050").exposes(&url));
        assert!(!transport("http://localhost:3128").exposes(&url));
        assert!(transport("http://proxy.example:3128").exposes(&url));
    }

    #[test]
    fn a_server_that_nobody_vouches_for_is_exposed_unless_it_is_pinned() {
        let (https, http) =
            ("https://a.example/".parse().unwrap(), "http://[::1]/".parse().unwrap());
        let mut transport = Transport::default();
        assert!(!transport.exposes(&https));
        transport.tls.dangerously_accept_any_certificate = true;
        assert!(transport.exposes(&https) && !transport.exposes(&http));
        transport.tls.pins.push([0; 32]);
        assert!(!transport.exposes(&https));
    }

    #[test]
    fn a_host_of_this_machine_that_is_sent_elsewhere_leaves_it() {
        let url = "http://localhost/x".parse().unwrap();
        let to = |ip: [u8; 4]| Transport {
            hosts: HashMap::from([("localhost".to_owned(), vec![(ip, 0).into()])]),
            ..Transport::default()
        };
        assert!(!to([127, 0, 0, 1]).exposes(&url));
        assert!(to([192, 0, 2, 1]).exposes(&url));
    }

    #[test]
    fn an_address_of_the_other_family_is_not_asked() {
        let v4 = Transport { family: Family::V4, ..Transport::default() };
        assert!(v4.rules_out(&"http://[::1]/".parse().unwrap()));
        assert!(!v4.rules_out(&"http://127.0.0.1/".parse().unwrap()));
        assert!(!v4.rules_out(&"http://localhost/".parse().unwrap()));
    }

    #[test]
    fn a_proxy_prints_no_password() {
        let url = "http://user:hunter2@proxy.example:1".parse().unwrap();
        let proxy = Proxy { scheme: ProxiedScheme::Http, url, user: None };
        assert!(!format!("{proxy:?}").contains("hunter2"));
    }
}
