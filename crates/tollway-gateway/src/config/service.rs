//! One `[[service]]`: which requests are its own, what they cost, and where they go.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use l402::Msat;
use url::Url;

use super::duration;
use super::mistake::Problem;
use super::raw::{At, Keys, Reader};
use super::values;
use crate::tariff::{BadCredential, Tariff, TariffError};

/// Every key of `[[service]]`.
pub(crate) static KEYS: &[&str] = &[
    "name",
    "host",
    "path",
    "upstream",
    "protocol",
    "ca",
    "connect_timeout",
    "answer_timeout",
    "price",
    "auth",
    "free",
    "valid_for",
    "strict_caveats",
    "bad_credential",
    "memo",
    "invoice_expiry",
];

/// One service: which requests belong to it, on what terms, and who answers them.
#[derive(Clone, Debug)]
pub struct Service {
    /// What it costs and what opens it.
    pub tariff: Tariff,
    /// The hosts it answers for, in lower case and without port. Empty: every host.
    pub hosts: Vec<String>,
    /// The prefix of its paths, by whole segments.
    pub path: String,
    /// Where its requests go.
    pub upstream: Upstream,
}

/// Where requests go once they may pass.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// `http` or `https`, host and port, and a path to put in front of each request's own.
    pub url: Url,
    /// What it speaks. `None`: HTTP/1.1 over plain TCP, whatever TLS settles on otherwise.
    pub protocol: Option<Protocol>,
    /// A PEM file with the certificates to trust instead of the public ones.
    pub ca: Option<PathBuf>,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long it may be silent before its answer begins, not counting the time in which the
    /// request's body still moves.
    pub answer_timeout: Duration,
}

/// What an upstream speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    H1,
    /// HTTP/2; over plain TCP with prior knowledge.
    H2,
}

/// Reads every `[[service]]` and checks them against each other.
pub(super) fn read_all(reader: &mut Reader<'_>, keys: &mut Keys<'_>) -> Vec<Service> {
    let tables = reader.tables(keys, "service");
    if tables.is_empty() {
        let (place, example) = ("the configuration".to_owned(), "[[service]]");
        reader.mistake(1, Problem::Missing { key: "service", place, example });
    }
    let mut services: Vec<(usize, Service)> = Vec::new();
    for table in tables {
        let line = table.line;
        if let Some(service) = read(reader, table) {
            services.push((line, service));
        }
    }
    check_unique(reader, &services);
    services.into_iter().map(|(_, service)| service).collect()
}

/// Reads one, and notes every mistake in it. What it returns after a mistake is never used.
fn read(reader: &mut Reader<'_>, mut keys: Keys<'_>) -> Option<Service> {
    let mut missing: Vec<(&str, &str)> = [
        ("name", r#"name = "weather""#),
        ("upstream", r#"upstream = "http://127.0.0.1:9000""#),
        ("price", r#"price = "10 sat"`, or `auth = "off""#),
    ]
    .into_iter()
    .filter(|(key, _)| !keys.has(key))
    .collect();
    let name = reader.text(&mut keys, "name");
    let auth = auth(reader, &mut keys);
    missing.retain(|(key, _)| auth || *key != "price");
    for (key, example) in missing {
        let place = match &name {
            Some(name) => format!("service `{}`", name.value),
            None => "the service".to_owned(),
        };
        reader.mistake(keys.line, Problem::Missing { key, place, example });
    }
    let hosts = reader.texts(&mut keys, "host");
    let hosts = hosts
        .iter()
        .filter_map(|at| values::host(&at.value).map_err(|why| reader.bad("host", at, why)).ok())
        .collect();
    let path = match reader.text(&mut keys, "path") {
        None => "/".to_owned(),
        Some(at) => values::prefix(&at.value).unwrap_or_else(|why| {
            reader.bad("path", &at, why);
            String::new()
        }),
    };
    let upstream = upstream(reader, &mut keys);
    let tariff = tariff(reader, &mut keys, name.as_ref(), auth);
    reader.end(keys, "[[service]]", KEYS);
    Some(Service { tariff: tariff?, hosts, path, upstream: upstream? })
}

fn upstream(reader: &mut Reader<'_>, keys: &mut Keys<'_>) -> Option<Upstream> {
    let protocol = reader.text(keys, "protocol").and_then(|at| match at.value.as_str() {
        "h1" => Some(Protocol::H1),
        "h2" => Some(Protocol::H2),
        _ => {
            reader.bad("protocol", &at, "write `h1` for HTTP/1.1 or `h2` for HTTP/2");
            None
        }
    });
    let ca = reader.text(keys, "ca");
    let connect_timeout = duration(reader, keys, "connect_timeout");
    let answer_timeout = duration(reader, keys, "answer_timeout");
    let at = reader.text(keys, "upstream")?;
    let url = values::upstream(&at.value).map_err(|why| reader.bad("upstream", &at, why)).ok()?;
    let ca = ca.and_then(|at| match at.value.strip_prefix("file:") {
        _ if url.scheme() == "http" => {
            reader.bad("ca", &at, "the upstream is `http://`, so no certificate will be seen");
            None
        }
        Some(path) if !path.is_empty() => Some(PathBuf::from(path)),
        _ => {
            reader.bad("ca", &at, "write where the certificates are: `file:/path/ca.pem`");
            None
        }
    });
    Some(Upstream {
        url,
        protocol,
        ca,
        connect_timeout: connect_timeout.unwrap_or(Duration::from_secs(5)),
        answer_timeout: answer_timeout.unwrap_or(Duration::from_secs(60)),
    })
}

fn auth(reader: &mut Reader<'_>, keys: &mut Keys<'_>) -> bool {
    match reader.text(keys, "auth") {
        None => true,
        Some(at) => match at.value.as_str() {
            "on" => true,
            "off" => false,
            _ => {
                reader.bad("auth", &at, "write `on` or `off`");
                true
            }
        },
    }
}

/// Applies each key to the tariff; one that does not fit is a mistake and is left out. Without a name
/// there is no tariff, and the other keys are still worth reading.
fn tariff(
    reader: &mut Reader<'_>,
    keys: &mut Keys<'_>,
    name: Option<&At<String>>,
    auth: bool,
) -> Option<Tariff> {
    let mut tariff = Tariff::off("nameless").expect("letters only");
    let price = reader.text(keys, "price");
    let price = price.and_then(|at| {
        let price = at.value.parse::<Msat>();
        price.map_err(|why| reader.bad("price", &at, why.to_string())).ok()
    });
    if let Some(at) = name {
        tariff = apply(reader, "name", at, tariff, |_| match price {
            // A missing price is a mistake already, and is never nothing.
            Some(price) if auth => Tariff::new(&at.value, price),
            _ => Tariff::off(&at.value),
        });
    }
    for at in reader.texts(keys, "free") {
        tariff = apply(reader, "free", &at, tariff, |tariff| tariff.free(&at.value));
    }
    // In this order: an invoice's expiry is checked against its token's.
    type Change = fn(Tariff, Duration) -> Result<Tariff, TariffError>;
    let times: [(_, Change); 2] =
        [("valid_for", Tariff::valid_for), ("invoice_expiry", Tariff::invoice_expiry)];
    for (key, change) in times {
        let Some(at) = reader.text(keys, key) else { continue };
        match values::duration(&at.value) {
            Ok(time) => tariff = apply(reader, key, &at, tariff, |tariff| change(tariff, time)),
            Err(why) => reader.bad(key, &at, why),
        }
    }
    if let Some(at) = reader.text(keys, "memo") {
        tariff = apply(reader, "memo", &at, tariff, |tariff| tariff.memo(&at.value));
    }
    if reader.flag(keys, "strict_caveats") == Some(true) {
        tariff = tariff.strict_caveats();
    }
    if let Some(at) = reader.text(keys, "bad_credential") {
        match at.value.as_str() {
            "challenge" => {}
            "refuse" => tariff = tariff.bad_credential(BadCredential::Refuse),
            _ => reader.bad("bad_credential", &at, "write `challenge` (402) or `refuse` (401)"),
        }
    }
    name.map(|_| tariff)
}

fn apply(
    reader: &mut Reader<'_>,
    key: &'static str,
    at: &At<String>,
    tariff: Tariff,
    change: impl FnOnce(Tariff) -> Result<Tariff, TariffError>,
) -> Tariff {
    match change(tariff.clone()) {
        Ok(changed) => changed,
        Err(why) => {
            reader.bad(key, at, why.to_string());
            tariff
        }
    }
}

/// Two services must differ in name, and in host or path.
fn check_unique(reader: &mut Reader<'_>, services: &[(usize, Service)]) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (line, service) in services {
        let any = [String::new()];
        let hosts = if service.hosts.is_empty() { &any[..] } else { &service.hosts[..] };
        let routes = hosts.iter().map(|host| match host.as_str() {
            "" => format!("the path `{}` on every host", service.path),
            host => format!("the path `{}` on `{host}`", service.path),
        });
        let name = format!("the name `{}`", service.tariff.name());
        for what in std::iter::once(name).chain(routes) {
            match seen.get(&what) {
                Some(&other) => reader.mistake(*line, Problem::Twice { what, other }),
                None => drop(seen.insert(what, *line)),
            }
        }
    }
}
