//! One `[[service]]`: which requests are its own, what they cost, and where they go.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::limits::{self, Limit};
use super::mistake::Problem;
use super::passage::{self, Passage};
use super::pricing::{Quote, Shared};
use super::raw::{At, Keys, Reader};
use super::tariff;
use super::upstream::{self, Upstream};
use crate::matching::{HostMatch, Methods, PathMatch};
use crate::tariff::Tariff;

/// Every key of `[[service]]`: its own, and those of its upstream and of the way there.
pub(crate) static KEYS: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| [OWN, upstream::KEYS, passage::KEYS].into_iter().flatten().copied().collect());

static OWN: &[&str] = &[
    "name",
    "host",
    "path",
    "method",
    "upstream",
    "grpc_web",
    "price",
    "pricer",
    "pricer_ca",
    "pricer_timeout",
    "pricer_keep",
    "rule",
    "auth",
    "freebie_window",
    "limit",
    "free",
    "no_invoice",
    "valid_for",
    "capabilities",
    "constraints",
    "request_count",
    "strict_caveats",
    "strict_settlement",
    "schemes",
    "payment_header",
    "bad_credential",
    "memo",
    "invoice_expiry",
];

/// One service: which requests belong to it, on what terms, and who answers them.
#[derive(Clone, Debug)]
pub struct Service {
    /// What it costs and what opens it.
    pub tariff: Tariff,
    /// Those of its prices that are not fixed. The tariff counts them by their place here.
    pub quotes: Vec<Quote>,
    /// How often somebody may come.
    pub limits: Vec<Limit>,
    /// The hosts it answers for. Empty: every host.
    pub hosts: Vec<HostMatch>,
    /// The paths it answers for; at least one.
    pub paths: Vec<PathMatch>,
    /// The methods it answers for.
    pub methods: Methods,
    /// Where its requests go. `None`: somebody else serves it, and asks whether a request may pass.
    pub upstream: Option<Upstream>,
    /// What changes on the way there and back.
    pub passage: Passage,
}

/// Reads every `[[service]]` and checks them against each other.
pub(super) fn read_all(
    reader: &mut Reader<'_>,
    keys: &mut Keys<'_>,
    has_rates: bool,
) -> Vec<Service> {
    let tables = reader.tables(keys, "service", "one or more `[[service]]` tables");
    if tables.is_empty() {
        let (place, example) = ("the configuration".to_owned(), "[[service]]");
        reader.mistake(1, Problem::Missing { key: "service", place, example });
    }
    let mut services: Vec<(usize, Service)> = Vec::new();
    for table in tables {
        let line = table.line;
        if let Some(service) = read(reader, table, has_rates) {
            services.push((line, service));
        }
    }
    check_unique(reader, &services);
    services.into_iter().map(|(_, service)| service).collect()
}

/// Reads one, and notes every mistake in it. What it returns after a mistake is never used.
fn read(reader: &mut Reader<'_>, mut keys: Keys<'_>, has_rates: bool) -> Option<Service> {
    let mut missing: Vec<(&str, &str)> = [
        ("name", r#"name = "weather""#),
        ("upstream", r#"upstream = "http://127.0.0.1:9000""#),
        ("price", r#"price = "10 sat"`, or `auth = "off""#),
    ]
    .into_iter()
    .filter(|(key, _)| !keys.has(key) && (*key != "price" || !keys.has("pricer")))
    .collect();
    let name = reader.text(&mut keys, "name");
    let auth = tariff::auth(reader, &mut keys);
    missing.retain(|(key, _)| auth.asks || *key != "price");
    for (key, example) in missing {
        let place = match &name {
            Some(name) => format!("service `{}`", name.value),
            None => "the service".to_owned(),
        };
        reader.mistake(keys.line, Problem::Missing { key, place, example });
    }
    let hosts = hosts(reader, &mut keys);
    let paths = paths(reader, &mut keys);
    let methods = methods(reader, &mut keys);
    upstream::refuse_idle(reader, &mut keys, passage::KEYS);
    let upstream = upstream::read(reader, &mut keys);
    let passage = passage::read(reader, &mut keys, upstream.as_ref());
    let limits = limits::read_all(reader, &mut keys);
    let shared = Shared::read(reader, &mut keys, has_rates);
    let mut quotes = Vec::new();
    let tariff = tariff::read(reader, &mut keys, name.as_ref(), &auth, &shared, &mut quotes);
    reader.end(keys, "[[service]]", &KEYS);
    let (tariff, upstream) = (tariff?, upstream);
    Some(Service { tariff, quotes, limits, hosts, paths, methods, upstream, passage })
}

fn hosts(reader: &mut Reader<'_>, keys: &mut Keys<'_>) -> Vec<HostMatch> {
    let written = reader.texts(keys, "host");
    let mut read = |at: &At<String>| {
        HostMatch::read(&at.value).map_err(|why| reader.bad("host", at, why)).ok()
    };
    written.iter().filter_map(&mut read).collect()
}

/// The paths of a service or a rule; all of them when it names none.
pub(super) fn paths(reader: &mut Reader<'_>, keys: &mut Keys<'_>) -> Vec<PathMatch> {
    let written = reader.texts(keys, "path");
    let mut read = |at: &At<String>| {
        PathMatch::read(&at.value).map_err(|why| reader.bad("path", at, why)).ok()
    };
    match written.is_empty() {
        true => vec![PathMatch::all()],
        false => written.iter().filter_map(&mut read).collect(),
    }
}

/// The methods of a service or a rule.
pub(super) fn methods(reader: &mut Reader<'_>, keys: &mut Keys<'_>) -> Methods {
    let mut methods = Methods::default();
    for at in reader.texts(keys, "method") {
        if let Err(why) = methods.add(&at.value) {
            reader.bad("method", &at, why);
        }
    }
    methods
}

/// Two services must differ in name, and in host, path or method.
fn check_unique(reader: &mut Reader<'_>, services: &[(usize, Service)]) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (line, service) in services {
        let hosts: Vec<String> = match service.hosts.is_empty() {
            true => vec!["every host".to_owned()],
            false => service.hosts.iter().map(|host| format!("`{host}`")).collect(),
        };
        let methods: Vec<String> = match service.methods.named() {
            [] => vec![String::new()],
            named => named.iter().map(|method| format!("{method} on ")).collect(),
        };
        let mut properties = vec![format!("the name `{}`", service.tariff.name())];
        for path in &service.paths {
            for method in &methods {
                let route = |host| format!("{method}the path `{path}` on {host}");
                properties.extend(hosts.iter().map(route));
            }
        }
        for what in properties {
            match seen.get(&what) {
                Some(&other) if other != *line => {
                    reader.mistake(*line, Problem::Twice { what, other });
                }
                Some(_) => {}
                None => drop(seen.insert(what, *line)),
            }
        }
    }
}
