//! How servers are reached: the version of HTTP, proxies, addresses and sockets. Every flag becomes
//! a field of the client library's [`Transport`].

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::Args;
use tollway_client::{Family, HttpVersion, Local, ProxiedScheme, Proxy, Transport};
use url::Url;

use super::AskError;
use super::tls::TlsFlags;

#[derive(Debug, Args)]
#[command(next_help_heading = "The way to the server")]
pub(crate) struct ConnectionFlags {
    /// Speak HTTP 1.1
    #[arg(long = "http1.1", conflicts_with_all = ["http2", "http2_prior_knowledge"])]
    http1_1: bool,

    /// Speak HTTP 2 where the server does, over TLS; the default
    #[arg(long)]
    http2: bool,

    /// Speak HTTP 2 without asking, also without TLS
    #[arg(long)]
    http2_prior_knowledge: bool,

    /// Go through this proxy: http, https, socks4, socks4a, socks5 or socks5h. For an onion service,
    /// socks5h://127.0.0.1:9050
    #[arg(short = 'x', long, value_name = "URL", env = "ALL_PROXY", hide_env_values = true)]
    proxy: Option<String>,

    /// User name and password for the proxy, `NAME:PASSWORD`
    #[arg(short = 'U', long, value_name = "USER", requires = "proxy")]
    proxy_user: Option<String>,

    /// As --proxy socks5://HOST: names are looked up here
    #[arg(long, value_name = "HOST", conflicts_with = "proxy")]
    socks5: Option<String>,

    /// As --proxy socks5h://HOST: the proxy looks names up
    #[arg(long, value_name = "HOST", conflicts_with_all = ["proxy", "socks5"])]
    socks5_hostname: Option<String>,

    /// As --proxy socks4://HOST
    #[arg(long, value_name = "HOST", conflicts_with_all = ["proxy", "socks5", "socks5_hostname"])]
    socks4: Option<String>,

    /// As --proxy socks4a://HOST
    #[arg(long, value_name = "HOST", conflicts_with_all = ["proxy", "socks5", "socks5_hostname", "socks4"])]
    socks4a: Option<String>,

    /// Hosts to ask without the proxy, separated by commas; `*` is all
    #[arg(long, value_name = "HOSTS", env = "NO_PROXY")]
    noproxy: Option<String>,

    /// Connect to ADDRESS for HOST:PORT, `HOST:PORT:ADDRESS[,ADDRESS]`
    #[arg(long, value_name = "HOST:PORT:ADDRESS")]
    resolve: Vec<String>,

    /// Connect to HOST2:PORT2 for HOST1:PORT1; TLS and the wallet still go by HOST1
    #[arg(long, value_name = "HOST1:PORT1:HOST2:PORT2")]
    connect_to: Vec<String>,

    /// Connect to this socket, whatever the URL's host
    #[arg(long, value_name = "FILE", conflicts_with = "proxy")]
    unix_socket: Option<PathBuf>,

    /// Connect from this interface, or this address of ours
    #[arg(long, value_name = "NAME|ADDRESS")]
    interface: Option<String>,

    /// Use IPv4 addresses only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,

    /// Use IPv6 addresses only
    #[arg(short = '6', long)]
    ipv6: bool,

    #[command(flatten)]
    tls: TlsFlags,
}

impl ConnectionFlags {
    /// The transport for these URLs. `variable` reads the environment.
    pub(crate) async fn read(
        &self,
        urls: &[Url],
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Transport, AskError> {
        let mut transport = Transport::default();
        transport.version = match (self.http1_1, self.http2_prior_knowledge) {
            (true, _) => HttpVersion::Http1,
            (false, true) => HttpVersion::Http2PriorKnowledge,
            (false, false) => HttpVersion::Any,
        };
        transport.family = match (self.ipv4, self.ipv6) {
            (true, _) => Family::V4,
            (false, true) => Family::V6,
            (false, false) => Family::Any,
        };
        transport.proxies = self.proxies(&variable)?;
        let lower = || variable("no_proxy");
        transport.no_proxy = self.noproxy.clone().or_else(lower).unwrap_or_default();
        transport.unix_socket.clone_from(&self.unix_socket);
        transport.local = self.interface.as_deref().map(|name| match name.parse::<IpAddr>() {
            Ok(address) => Local::Address(address),
            Err(_) => Local::Interface(name.trim_start_matches("if!").to_owned()),
        });
        transport.tls = self.tls.read()?;
        for text in &self.resolve {
            let (host, port, addrs) = read_resolve(text)?;
            add_host(&mut transport, urls, "--resolve", (&host, port), &addrs)?;
        }
        for text in &self.connect_to {
            self.connect(text, urls, &mut transport).await?;
        }
        if let Some(url) = urls.iter().find(|url| transport.rules_out(url)) {
            let problem = "its address is not of the family that --ipv4 or --ipv6 asks for";
            return Err(AskError::Url { url: url.to_string(), problem: problem.to_owned() });
        }
        Ok(transport)
    }

    fn proxies(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Vec<Proxy>, AskError> {
        use ProxiedScheme::{All, Http, Https};
        let user = self.proxy_user.as_deref().map(read_user).transpose()?;
        let socks = [
            ("socks5", &self.socks5),
            ("socks5h", &self.socks5_hostname),
            ("socks4", &self.socks4),
            ("socks4a", &self.socks4a),
        ];
        let mut named = socks.iter().filter_map(|(scheme, host)| Some((scheme, host.as_ref()?)));
        if let Some((scheme, host)) = named.next() {
            return Ok(vec![read_proxy(All, "--socks5", &format!("{scheme}://{host}"), None)?]);
        }
        // Lower case first, as curl has it; upper-case HTTP_PROXY is what a CGI request can set.
        let from = |names: &[&str]| names.iter().find_map(|name| variable(name));
        let own = [(Http, from(&["http_proxy"])), (Https, from(&["https_proxy", "HTTPS_PROXY"]))];
        let mut proxies = Vec::new();
        let from_flag =
            self.proxy.as_ref().filter(|url| variable("ALL_PROXY").as_ref() != Some(url));
        if let Some(url) = from_flag {
            if !url.is_empty() {
                proxies.push(read_proxy(All, "--proxy", url, user)?);
            }
            return Ok(proxies);
        }
        for (scheme, url) in own {
            if let Some(url) = url.filter(|url| !url.is_empty()) {
                let variable = if scheme == Http { "http_proxy" } else { "https_proxy" };
                proxies.push(read_proxy(scheme, variable, &url, user.clone())?);
            }
        }
        let all = from(&["all_proxy"]).or_else(|| self.proxy.clone()).filter(|url| !url.is_empty());
        if let Some(url) = all {
            proxies.push(read_proxy(All, "ALL_PROXY", &url, user)?);
        }
        Ok(proxies)
    }

    async fn connect(
        &self,
        text: &str,
        urls: &[Url],
        transport: &mut Transport,
    ) -> Result<(), AskError> {
        const FLAG: &str = "--connect-to";
        let bad = |problem| AskError::Value { flag: FLAG, value: text.to_owned(), problem };
        let parts = split_hosts(text);
        let [host, port, to, to_port] = parts[..] else {
            return Err(bad("write `HOST1:PORT1:HOST2:PORT2`; each of them may be empty"));
        };
        let number = |text: &str| match text {
            "" => Ok(0),
            text => text.parse::<u16>().map_err(|_| bad("a port is a number up to 65535")),
        };
        let (port, to_port) = (number(port)?, number(to_port)?);
        for url in urls {
            let here = url.host_str().unwrap_or_default();
            let of_url = url.port_or_known_default().unwrap_or_default();
            if !host.is_empty() && host != here || port != 0 && port != of_url {
                continue;
            }
            if to_port != 0 && to_port != of_url && url.port().is_some() {
                return Err(bad("the port can only be changed where the URL names none"));
            }
            if url::Host::parse(here).is_ok_and(|host| !matches!(host, url::Host::Domain(_))) {
                return Err(bad("the URL's host is an address, which is not looked up"));
            }
            let to = if to.is_empty() { here } else { to };
            let to = to.trim_start_matches('[').trim_end_matches(']');
            let found = tokio::net::lookup_host((to, to_port)).await;
            let found: Vec<_> =
                found.map_err(|_| bad("its second host cannot be looked up"))?.collect();
            transport.hosts.insert(here.to_owned(), found);
        }
        Ok(())
    }
}

/// A host is given its addresses where a URL names host and port.
fn add_host(
    transport: &mut Transport,
    urls: &[Url],
    flag: &'static str,
    (host, port): (&str, Option<u16>),
    addrs: &[SocketAddr],
) -> Result<(), AskError> {
    let host = host.to_ascii_lowercase();
    let of_host: Vec<_> =
        urls.iter().filter(|url| host == "*" || url.host_str() == Some(host.as_str())).collect();
    let is_meant = |url: &&&Url| port.is_none() || url.port_or_known_default() == port;
    let meant = of_host.iter().filter(is_meant).count();
    if meant > 0 && meant < of_host.len() {
        // One look-up serves all ports of a host.
        let problem = "other URLs name another port of this host; ask for them by themselves";
        return Err(AskError::Value { flag, value: host, problem });
    }
    for url in of_host.iter().filter(is_meant) {
        let name = url.host_str().unwrap_or_default().to_owned();
        transport.hosts.insert(name, addrs.to_vec());
    }
    Ok(())
}

/// `[+]HOST:PORT:ADDRESS[,ADDRESS]`; a port of `*` is any.
fn read_resolve(text: &str) -> Result<(String, Option<u16>, Vec<SocketAddr>), AskError> {
    let bad = |problem| AskError::Value { flag: "--resolve", value: text.to_owned(), problem };
    let form = || bad("write `HOST:PORT:ADDRESS`");
    if text.starts_with('-') {
        return Err(bad("nothing is remembered that could be taken out"));
    }
    let (host, rest) = text.trim_start_matches('+').split_once(':').ok_or_else(form)?;
    let (port, addresses) = rest.split_once(':').ok_or_else(form)?;
    let port = match port {
        "*" => None,
        port => Some(port.parse().map_err(|_| bad("a port is a number up to 65535"))?),
    };
    let read = |address: &str| {
        let address = address.trim().trim_start_matches('[').trim_end_matches(']');
        let ip: IpAddr = address.parse().map_err(|_| bad("an address is one of IPv4 or IPv6"))?;
        Ok(SocketAddr::new(ip, 0))
    };
    let addrs: Result<Vec<_>, AskError> = addresses.split(',').map(read).collect();
    Ok((host.to_owned(), port, addrs?))
}

/// Splits at colons, but not at those within brackets.
fn split_hosts(text: &str) -> Vec<&str> {
    let mut depth = 0;
    text.split(|c| {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        c == ':' && depth == 0
    })
    .collect()
}

fn read_user(text: &str) -> Result<(String, String), AskError> {
    let problem = "write `NAME:PASSWORD`";
    let parts = text.split_once(':').ok_or(AskError::Secret { flag: "--proxy-user", problem })?;
    Ok((parts.0.to_owned(), parts.1.to_owned()))
}

/// A proxy's URL; without a scheme it is `http`.
fn read_proxy(
    scheme: ProxiedScheme,
    flag: &'static str,
    text: &str,
    user: Option<(String, String)>,
) -> Result<Proxy, AskError> {
    // Not quoted: there may be a password in it.
    let bad = |problem| AskError::Secret { flag, problem };
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url: Url = whole.parse().map_err(|_| bad("it is no URL of a proxy"))?;
    if !matches!(url.scheme(), "http" | "https" | "socks4" | "socks4a" | "socks5" | "socks5h") {
        return Err(bad("a proxy is http, https, socks4, socks4a, socks5 or socks5h"));
    }
    Ok(Proxy { scheme, url, user })
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches as _;

    use super::*;

    async fn transport(
        line: &[&str],
        url: &str,
        env: &[(&str, &str)],
    ) -> Result<Transport, AskError> {
        let command = ConnectionFlags::augment_args(clap::Command::new("get"));
        let args = command.try_get_matches_from([&["get"], line].concat()).expect("known flags");
        let flags = ConnectionFlags::from_arg_matches(&args).unwrap();
        let variable = |name: &str| {
            env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        flags.read(&[url.parse().unwrap()], variable).await
    }

    fn proxies(transport: &Transport) -> Vec<String> {
        transport.proxies.iter().map(|proxy| format!("{proxy:?}")).collect()
    }

    #[tokio::test]
    async fn a_proxy_is_named_by_a_flag_or_by_the_environment() {
        let url = "https://a.example/";
        let env =
            [("http_proxy", "p1:1"), ("https_proxy", "http://p2:2"), ("HTTP_PROXY", "evil:1")];
        let by_env = transport(&[], url, &env).await.unwrap();
        assert_eq!(proxies(&by_env), ["Proxy(Http http://p1)", "Proxy(Https http://p2)"]);
        let by_flag = transport(&["-x", "socks5h://127.0.0.1:9050"], url, &env).await.unwrap();
        assert_eq!(proxies(&by_flag), ["Proxy(All socks5h://127.0.0.1)"]);
        let none = transport(&["-x", ""], url, &env).await.unwrap();
        assert_eq!(proxies(&none), [""; 0]);
        let error = transport(&["-x", "ftp://u:hunter2@h"], url, &[]).await.unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[tokio::test]
    async fn a_host_is_given_an_address() {
        let url = "http://a.example:8080/";
        let line = ["--resolve", "A.example:8080:127.0.0.1,[::1]"];
        let found = transport(&line, url, &[]).await.unwrap();
        let addrs: Vec<SocketAddr> =
            vec!["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()];
        assert_eq!(found.hosts["a.example"], addrs);
        let other = transport(&["--resolve", "a.example:80:127.0.0.1"], url, &[]).await.unwrap();
        assert!(other.hosts.is_empty(), "another port");
        for bad in ["a.example", "a.example:80:nowhere", "-a.example:80", "a.example:x:127.0.0.1"] {
            let error = transport(&[&format!("--resolve={bad}")], url, &[]).await;
            assert!(matches!(error, Err(AskError::Value { .. })), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_connection_goes_elsewhere() {
        let line = ["--connect-to", "a.example:443:[::1]:8443"];
        let found = transport(&line, "https://a.example/", &[]).await.unwrap();
        assert_eq!(found.hosts["a.example"], ["[::1]:8443".parse().unwrap()]);
        let line = ["--connect-to", "::127.0.0.1:81"];
        assert!(transport(&line, "http://a.example:80/", &[]).await.is_ok());
        let refused = transport(&line, "http://a.example:8080/", &[]).await.unwrap_err();
        assert!(refused.to_string().contains("names none"), "{refused}");
    }

    #[tokio::test]
    async fn an_address_of_the_wrong_family_is_refused_before_anything_is_sent() {
        assert!(transport(&["-4"], "http://[::1]/", &[]).await.is_err());
        assert!(transport(&["-6"], "http://localhost/", &[]).await.is_ok());
    }
}
