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
const STORES: [(&str, &[&str]); 4] = [
    ("sqlite", &["skipmigrations", "databasefilename"]),
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
    ),
    ("etcd", &["host", "user", "password"]),
    ("admin", &["enabled", "macaroonpath", "corsorigins"]),
];

/// Writes ours.
pub(super) fn write(mut keys: Keys, notes: &mut Notes) -> String {
    let mut toml = Toml::default();
    listen(&mut keys, &mut toml, notes);
    node(keys.table("authenticator"), &mut toml, notes);
    toml.text("secret", "file:gateway.key");
    notes.add(
        "dbbackend".to_owned(),
        "tokens that Aperture has sold do not open anything here: their keys are in its database. \
         A master key is made in `gateway.key` when the gateway starts",
    );
    keys.take("dbbackend");
    for (name, known) in STORES {
        let table = keys.table(name);
        if !table.table.is_empty() {
            let spelt: Vec<&String> =
                table.table.keys().filter(|key| known.contains(&key.as_str())).collect();
            if !spelt.is_empty() {
                notes.add(name.to_owned(), "has no counterpart here and was left out");
            }
            let rest = table.table.into_iter().filter(|(key, _)| !known.contains(&key.as_str()));
            Keys::new(format!("{name}."), rest.collect()).end(known, notes);
        }
    }
    let strict = keys.flag("strictverify");
    for service in keys.tables("services") {
        service::write(service, strict, &mut toml, notes);
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
    let local = written.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let all = written.strip_prefix(':').map(|port| format!("0.0.0.0:{port}"));
    let address = local.or(all).unwrap_or(written);
    match address.parse::<std::net::SocketAddr>() {
        Ok(_) => toml.text("listen", &address),
        Err(_) => notes.add(name, format!("`{address}` is a name; write an address and a port")),
    }
}

fn node(mut keys: Keys, toml: &mut Toml, notes: &mut Notes) {
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
}
