//! What a gateway is told to do. [`Config::read`] turns the text of a file into values that need no
//! further check, or says everything that is wrong with it. Nothing is opened here: no file but the
//! text itself, no socket, no node.

mod admin;
mod discovery;
mod limits;
mod mistake;
mod passage;
mod pricing;
mod proxies;
mod rates;
mod raw;
mod records;
mod schemes;
mod service;
mod tariff;
mod template;
mod tls;
mod traces;
mod upstream;
mod values;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use l402::NodeUrl;

use crate::store::StoreUrl;
use raw::{At, Keys, Reader};

pub use admin::AdminAddress;
pub use limits::{BadRate, By, Freebie, Limit, Rate, Unpaid};
pub use mistake::{Mistake, Mistakes, Problem};
pub use passage::{Edits, Origins, Passage};
pub use pricing::{Amount, Decimal, Quote, Source};
pub use proxies::{Proxies, Told};
pub use rates::Rates;
pub use records::Records;
pub use service::Service;
pub use template::{FetchError, Template};
pub use tls::{Acme, Clients, Pair, Tls};
pub use traces::Traces;
pub use upstream::{Address, Check, Protocol, Question, Server, Upstream};

/// Every key of `[[service]]`.
pub(crate) fn service_keys() -> &'static [&'static str] {
    &service::KEYS
}

/// Where a gateway listens unless told.
const LISTEN: &str = "127.0.0.1:8402";

/// Every key outside of `[[service]]`.
pub(crate) static KEYS: &[&str] = &[
    "listen",
    "admin",
    "node",
    "secret",
    "old_secrets",
    "node_timeout",
    "header_timeout",
    "stop_timeout",
    "trusted_proxies",
    "proxies_tell",
    "proxy_protocol",
    "blocked",
    "unpaid_per_ip",
    "unpaid_total",
    "unpaid_shared",
    "rates",
    "rates_pointer",
    "rates_ca",
    "rates_refresh",
    "rates_max_age",
    "store",
    "store_timeout",
    "record_bills",
    "keep_unpaid",
    "keep_paid",
    "discovery",
    "tls",
    "traces",
    "metrics",
    "authorize",
    "service",
];

/// A whole configuration, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen. `127.0.0.1:8402` unless told.
    pub listen: SocketAddr,
    /// Where administrators are served, when they are.
    pub admin: Option<AdminAddress>,
    /// The node to be paid on, when the file names one.
    pub node: Option<NodeUrl>,
    /// Where the master key is, when the file says.
    pub secret: Option<SecretSource>,
    /// Where older master keys are, whose tokens still open. The newest first.
    pub old_secrets: Vec<SecretSource>,
    /// How patient the gateway is.
    pub patience: Patience,
    /// Which proxies stand in front of it.
    pub proxies: Proxies,
    /// Who is turned away, whatever they ask for.
    pub blocked: Vec<IpNet>,
    /// How many bills may be written for who does not pay.
    pub unpaid: Unpaid,
    /// Where rates come from, for prices in other currencies.
    pub rates: Option<Rates>,
    /// Where it remembers what it must. In memory unless told.
    pub store: StoreUrl,
    /// What it writes down there.
    pub records: Records,
    /// Which documents it serves about itself, besides the price list.
    pub discovery: Vec<&'static str>,
    /// How connections to it are encrypted. They are not unless told.
    pub tls: Option<Tls>,
    /// Where other proxies ask whether a request may pass, when the file says.
    pub authorize: Option<SocketAddr>,
    /// Where its numbers can be read, when the file says.
    pub metrics: Option<SocketAddr>,
    /// Where it tells what became of which request, when the file says.
    pub traces: Option<Traces>,
    /// What is behind it.
    pub services: Vec<Service>,
}

/// How long a gateway waits for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For the node to make an invoice.
    pub node: Duration,
    /// For a client to send a request's head, and between two requests of one connection.
    pub header: Duration,
    /// For requests in flight, when it is told to stop.
    pub stop: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { node: seconds(10), header: seconds(30), stop: seconds(30) }
    }
}

/// Where a secret is kept. The secret itself is never in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// `file:/path`. A relative path is relative to the working directory.
    File(PathBuf),
    /// `env:NAME`. Whoever owns the process reads it; this library reads no environment.
    Env(String),
}

impl Config {
    /// Reads the text of a configuration file (TOML).
    ///
    /// ```
    /// let config = tollway_gateway::Config::read(r#"
    ///     [[service]]
    ///     name = "weather"
    ///     upstream = "http://127.0.0.1:9000"
    ///     price = "10 sat"
    /// "#)?;
    /// assert_eq!(config.services[0].tariff.price(), Some("10 sat".parse()?));
    ///
    /// let mistakes = tollway_gateway::Config::read("lissten = 1\n[[service]]\nname = 'a'").unwrap_err();
    /// assert_eq!(mistakes.to_string(), "\
    /// line 1: `lissten` is not a key of the configuration; did you mean `listen`?
    /// line 2: service `a` has no `upstream`; write for example `upstream = \"http://127.0.0.1:9000\"`
    /// line 2: service `a` has no `price`; write for example `price = \"10 sat\"`, or `auth = \"off\"`");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its line.
    pub fn read(text: &str) -> Result<Self, Mistakes> {
        let (mut reader, mut keys) = Reader::new(text);
        let listen = listen(&mut reader, &mut keys);
        let admin = admin::read(&mut reader, &mut keys, listen);
        let node = node(&mut reader, &mut keys);
        let secret = reader.text(&mut keys, "secret");
        let secret = secret.and_then(|at| source(&mut reader, "secret", &at));
        let old_secrets = reader.texts(&mut keys, "old_secrets");
        let old_secrets =
            old_secrets.iter().filter_map(|at| source(&mut reader, "old_secrets", at)).collect();
        let default = Patience::default();
        let mut wait = |key, default| duration(&mut reader, &mut keys, key).unwrap_or(default);
        let patience = Patience {
            node: wait("node_timeout", default.node),
            header: wait("header_timeout", default.header),
            stop: wait("stop_timeout", default.stop),
        };
        let proxies = proxies::read(&mut reader, &mut keys);
        let blocked = proxies::networks(&mut reader, &mut keys, "blocked");
        let unpaid = limits::unpaid(&mut reader, &mut keys);
        let has_rates = keys.has("rates");
        let rates = rates::read(&mut reader, &mut keys);
        let (store, records) = records::read(&mut reader, &mut keys);
        let discovery = discovery::read(&mut reader, &mut keys);
        let tls = tls::read(&mut reader, &mut keys);
        let traces = traces::read(&mut reader, &mut keys);
        let metrics = own_listener(&mut reader, &mut keys, "metrics", listen);
        let metrics = metrics.map(|(_, address)| address);
        let authorize = authorize(&mut reader, &mut keys, listen, &proxies);
        let services = service::read_all(&mut reader, &mut keys, has_rates);
        reader.end(keys, "the configuration", KEYS);
        reader.finish()?;
        Ok(Self {
            listen,
            admin,
            node,
            secret,
            old_secrets,
            patience,
            proxies,
            blocked,
            unpaid,
            rates,
            store,
            records,
            discovery,
            tls,
            traces,
            metrics,
            authorize,
            services,
        })
    }
}

fn listen(reader: &mut Reader<'_>, keys: &mut Keys<'_>) -> SocketAddr {
    let default = LISTEN.parse().expect("the default is an address");
    let Some(at) = reader.text(keys, "listen") else { return default };
    at.value.parse().unwrap_or_else(|_| {
        reader.bad("listen", &at, "write an address and a port, for example `127.0.0.1:8402`");
        default
    })
}

/// Where other proxies ask. Who may ask has to be said, too.
fn authorize(
    reader: &mut Reader<'_>,
    keys: &mut Keys<'_>,
    public: SocketAddr,
    proxies: &Proxies,
) -> Option<SocketAddr> {
    let (at, address) = own_listener(reader, keys, "authorize", public)?;
    if proxies.networks.is_empty() {
        reader.bad("authorize", &at, "nobody may ask there; name the proxies in `trusted_proxies`");
    }
    Some(address)
}

/// Where something is served that is not for the buyers.
fn own_listener(
    reader: &mut Reader<'_>,
    keys: &mut Keys<'_>,
    key: &'static str,
    public: SocketAddr,
) -> Option<(At<String>, SocketAddr)> {
    let at = reader.text(keys, key)?;
    match at.value.parse::<SocketAddr>() {
        Ok(address) if address == public && address.port() != 0 => {
            reader.bad(key, &at, "that is where the gateway listens; give it a port of its own");
            None
        }
        Ok(address) => Some((at, address)),
        Err(_) => {
            reader.bad(key, &at, "write an address and a port, for example `127.0.0.1:9402`");
            None
        }
    }
}

fn node(reader: &mut Reader<'_>, keys: &mut Keys<'_>) -> Option<NodeUrl> {
    let at = reader.text(keys, "node")?;
    let url = NodeUrl::new(at.value.as_str());
    if url.scheme().is_empty() {
        // The value may hold a secret, so it is not repeated.
        let hidden = At { line: at.line, value: "(not shown)".to_owned() };
        reader.bad("node", &hidden, "a node's URL begins with its driver's name, as `lnd:` does");
        return None;
    }
    Some(url)
}

fn source(reader: &mut Reader<'_>, key: &'static str, at: &At<String>) -> Option<SecretSource> {
    match at.value.split_once(':') {
        Some(("file", path)) if !path.is_empty() => Some(SecretSource::File(path.into())),
        Some(("env", name)) if !name.is_empty() => Some(SecretSource::Env(name.to_owned())),
        _ => {
            // Somebody may have put the secret itself here.
            let hidden = At { line: at.line, value: "(not shown)".to_owned() };
            reader.bad(key, &hidden, "write where the secret is: `file:/path` or `env:NAME`");
            None
        }
    }
}

fn duration(reader: &mut Reader<'_>, keys: &mut Keys<'_>, key: &'static str) -> Option<Duration> {
    let at = reader.text(keys, key)?;
    values::duration(&at.value).map_err(|problem| reader.bad(key, &at, problem)).ok()
}

#[cfg(test)]
mod tests;
