//! The keys outside of `services`.

use super::service;
use super::write::Toml;
use super::{Keys, Notes};

/// Every key that Aperture reads at the top of its file, and those that it reads below.
const KNOWN: &[&str] = &[
    "listenaddr",
    "servername",
    "autocert",
    "insecure",
    "staticroot",
    "servestatic",
    "dbbackend",
    "sqlite",
    "postgres",
    "etcd",
    "authenticator",
    "tor",
    "services",
    "hashmail",
    "prometheus",
    "admin",
    "debuglevel",
    "configfile",
    "basedir",
    "profile",
    "idletimeout",
    "readtimeout",
    "writetimeout",
    "invoicebatchsize",
    "strictverify",
    "logging",
    "wspinginterval",
    "wspongwait",
    "blocklist",
];
const AUTHENTICATOR: &[&str] = &[
    "network",
    "disable",
    "lndhost",
    "tlspath",
    "macdir",
    "passphrase",
    "mailboxaddress",
    "devserver",
    "wavelengthgateway",
    "wavelengthmacaroonpath",
    "enablempp",
    "mpprealm",
    "enablesessions",
    "sessiondepositmultiplier",
    "sessionidletimeout",
];
/// Tables that are not carried over, with their keys, and what to write instead.
const LEFT_OUT: [(&str, &[&str], &str); 4] = [
    ("sqlite", &["skipmigrations", "databasefilename"], STORE),
    (
        "postgres",
        &[
            "skipmigrations",
            "host",
            "port",
            "user",
            "password",
            "dbname",
            "maxopenconnections",
            "requiressl",
        ],
        STORE,
    ),
    ("etcd", &["host", "user", "password"], STORE),
    (
        "admin",
        &["enabled", "macaroonpath", "corsorigins"],
        "was left out; write `admin = \"127.0.0.1:8403\"`, and make credentials with `tollway admin bake`",
    ),
];
const STORE: &str = "was left out: what is in Aperture's database cannot be used here; name one of its \
                     own in `store`";

/// Writes ours.
pub(super) fn write(mut keys: Keys, notes: &mut Notes) -> String {
    let mut toml = Toml::default();
    listen(&mut keys, &mut toml, notes);
    let mpp = node(keys.table("authenticator"), &mut toml, notes);
    toml.text("secret", "file:gateway.key");
    notes.add(
        "dbbackend".to_owned(),
        "tokens that Aperture has sold do not open anything here: their keys are in its database. \
         A master key is made in `gateway.key` when the gateway starts",
    );
    keys.take("dbbackend");
    toml.texts("blocked", &keys.texts("blocklist"));
    metrics(keys.table("prometheus"), &mut toml, notes);
    if keys.flag("autocert") {
        let name = keys.text("servername").unwrap_or_default();
        notes.add(
            "autocert".to_owned(),
            format!("write a table `[tls.acme]` with `domains = [\"{name}\"]`; nobody but you can agree to an authority's terms"),
        );
    }
    for (name, known, instead) in LEFT_OUT {
        let table = keys.table(name);
        if !table.table.is_empty() {
            let spelt: Vec<&String> =
                table.table.keys().filter(|key| known.contains(&key.as_str())).collect();
            if !spelt.is_empty() {
                notes.add(name.to_owned(), instead);
            }
            let rest = table.table.into_iter().filter(|(key, _)| !known.contains(&key.as_str()));
            Keys::new(format!("{name}."), rest.collect()).end(known, notes);
        }
    }
    let all = service::All { strict: keys.flag("strictverify"), mpp };
    for service in keys.tables("services") {
        service::write(service, all, &mut toml, notes);
    }
    keys.end(KNOWN, notes);
    toml.into_text()
}

fn listen(keys: &mut Keys, toml: &mut Toml, notes: &mut Notes) {
    let name = keys.name("listenaddr");
    let insecure = keys.flag("insecure");
    if !insecure {
        notes.add(
            "insecure".to_owned(),
            "Aperture serves TLS here, with a certificate of its own; what was written serves none",
        );
    }
    let Some(written) = keys.text("listenaddr") else { return };
    let address = address(&written);
    match address.parse::<std::net::SocketAddr>() {
        Ok(_) => toml.text("listen", &address),
        Err(_) => notes.add(name, format!("`{address}` is a name; write an address and a port")),
    }
}

/// Where its numbers are read.
fn metrics(mut keys: Keys, toml: &mut Toml, notes: &mut Notes) {
    let (enabled, place) = (keys.flag("enabled"), keys.name("listenaddr"));
    let written = keys.text("listenaddr").filter(|_| enabled);
    match written.as_deref().map(address) {
        Some(address) if address.parse::<std::net::SocketAddr>().is_ok() => {
            toml.text("metrics", &address);
            notes.add(place, "the numbers have other names here; docs/operating.md lists them");
        }
        Some(address) => {
            notes.add(place, format!("`{address}` is a name; write an address and a port"));
        }
        None => {}
    }
    keys.end(&["enabled", "listenaddr"], notes);
}

/// An address as Go writes it, in ours.
fn address(written: &str) -> String {
    let local = written.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let all = written.strip_prefix(':').map(|port| format!("0.0.0.0:{port}"));
    local.or(all).unwrap_or_else(|| written.to_owned())
}

/// Writes which node is paid on. Returns whether its `enablempp` is set.
fn node(mut keys: Keys, toml: &mut Toml, notes: &mut Notes) -> bool {
    let mpp = keys.flag("enablempp");
    let (host, cert, folder) = (keys.text("lndhost"), keys.text("tlspath"), keys.text("macdir"));
    match (host, cert, folder) {
        (Some(host), Some(cert), Some(folder)) => {
            let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
            let folder = folder.trim_end_matches('/');
            let macaroon = format!("{folder}/invoice.macaroon");
            toml.text(
                "node",
                &format!("lnd://{name}:8080?cert=file:{cert}&macaroon=file:{macaroon}"),
            );
            notes.add(
                keys.name("lndhost"),
                format!("`{host}` is lnd's gRPC port; the REST port is used here, 8080 unless you say otherwise"),
            );
        }
        _ => notes.add(
            "authenticator".to_owned(),
            "no node was carried over; write `node`, or name one when the gateway starts",
        ),
    }
    keys.end(AUTHENTICATOR, notes);
    mpp
}
