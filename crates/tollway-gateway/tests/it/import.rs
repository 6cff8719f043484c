//! A configuration of Aperture becomes one of ours, and what does not is said.

use std::time::Duration;

use tollway_gateway::import::{self, Imported};
use tollway_gateway::{Config, matching};

const WHOLE: &str = r#"
listenaddr: "localhost:8081"
insecure: true
strictverify: true
dbbackend: "sqlite"
sqlite:
  dbfile: "/x/aperture.db"
postgres:
  requireSSL: true
blocklist: ["1.2.3.4"]
prometheus: {enabled: true, listenaddr: "localhost:9402"}
admin: {enabled: true}
autocert: true
servername: "api.example.com"
idletimeout: 2m
lisenaddr: "typo"
authenticator:
  lndhost: "localhost:10009"
  tlspath: "/lnd/tls.cert"
  macdir: "/lnd/macs/"
  enablempp: true
  network: "mainnet"
services:
  - name: "weather"
    hostregexp: '^api\.example\.com$'
    pathregexp: '^/weather/.*$'
    address: "127.0.0.1:9000"
    protocol: https
    tlscertpath: "/w/tls.cert"
    auth: "freebie 3"
    price: 12
    timeout: 3600
    capabilities: "add, subtract"
    constraints:
      method: "GET"
      colour: "red"
    headers:
      Authorization: "Bearer ${TOKEN}"
      Grpc-Metadata-macaroon: "!file+hex:/m"
      X-Key: "!file+base64:/m"
      X-Bad: "a {b}"
    authwhitelistpaths: ['^/weather/health$']
    authskipinvoicecreationpaths: ['^/weather/stream']
    ratelimits:
      - {pathregexp: '^/weather/x', requests: 10, per: 1s, burst: 20}
    rewrite: {prefix: "/v2"}
    colour: "blue"
  - name: "dynamic"
    address: "127.0.0.1:9001"
    protocol: http
    auth: "onn"
    authscheme: "lsat"
    dynamicprice: {enabled: true, grpcaddress: "127.0.0.1:10010", insecure: true, metered: true}
  - {name: "open", address: "127.0.0.1:9002", protocol: http, pathregexp: "^/open", auth: off}
"#;

fn note<'a>(imported: &'a Imported, key: &str) -> &'a str {
    let note = imported.notes.iter().find(|note| note.key == key);
    &note.unwrap_or_else(|| panic!("{key}: {:#?}", imported.notes)).text
}

#[test]
fn what_has_a_counterpart_is_carried_over() {
    let imported = import::aperture(WHOLE).unwrap();
    let config = Config::read(&imported.toml).unwrap_or_else(|e| panic!("{e}\n{}", imported.toml));
    assert_eq!(config.listen, "127.0.0.1:8081".parse().unwrap());
    assert_eq!(config.node.as_ref().unwrap().scheme(), "lnd");
    let [weather, dynamic, open] = &config.services[..] else { panic!("three services") };
    assert_eq!(weather.tariff.price(), Some("12 sat".parse().unwrap()));
    assert!(matches!(&weather.paths[..], [matching::PathMatch::Regex(_)]));
    assert_eq!((weather.limits.len(), weather.limits[0].rate.burst.get()), (1, 20));
    assert_eq!(weather.limits[0].rate.per, Duration::from_secs(1));
    assert_eq!(weather.passage.add_prefix.as_deref(), Some("/v2"));
    assert_eq!(weather.passage.request.set.len(), 3);
    assert_eq!(config.blocked, ["1.2.3.4/32".parse().unwrap()]);
    assert_eq!(config.metrics, Some("127.0.0.1:9402".parse().unwrap()));
    let both = imported.toml.matches("schemes = [\"l402\", \"mpp\"]").count();
    assert_eq!(both, 1, "where Aperture takes both, and nowhere else");
    assert_eq!(weather.upstream.as_ref().unwrap().ca.as_deref(), Some("/w/tls.cert".as_ref()));
    assert_eq!((dynamic.quotes.len(), dynamic.tariff.price()), (1, None));
    assert!(dynamic.tariff.asks() && !open.tariff.asks());
    for line in [
        "valid_for = \"3600s\"",
        "capabilities = [\"add\", \"subtract\"]",
        "auth = \"freebie 3\"",
        "strict_settlement = true",
    ] {
        assert!(imported.toml.contains(line), "{line}\n{}", imported.toml);
    }
}

#[test]
fn what_was_not_carried_over_is_said_key_by_key() {
    let imported = import::aperture(WHOLE).unwrap();
    for (key, part) in [
        ("idletimeout", "no counterpart"),
        ("prometheus.listenaddr", "other names"),
        ("admin", "tollway admin bake"),
        ("autocert", "api.example.com"),
        ("lisenaddr", "does not know this key and ignores it"),
        ("sqlite.dbfile", "it reads `sqlite.databasefilename`"),
        ("postgres.requireSSL", "it reads `postgres.requiressl`"),
        ("authenticator.lndhost", "REST port"),
        ("authenticator.network", "no counterpart"),
        ("services[0].protocol", "this is verified"),
        ("services[0].constraints.colour", "never checks it"),
        ("services[0].headers.X-Bad", "cannot be written here"),
        ("services[1].authscheme", "`lsat` is no scheme"),
        ("services[0].colour", "does not know this key"),
        ("services[1].auth", "takes `onn` for `off`"),
        ("services[1].dynamicprice.metered", "not metered here"),
        ("dbbackend", "tokens that Aperture has sold"),
    ] {
        assert!(note(&imported, key).contains(part), "{key}: {}", note(&imported, key));
    }
    assert!(!imported.toml.contains("colour"));
}

#[test]
fn what_aperture_takes_and_we_refuse_is_said() {
    let yaml = "services: [{name: 'a b', address: '127.0.0.1:1', protocol: http}]";
    let imported = import::aperture(yaml).unwrap();
    assert!(
        imported.notes.iter().any(|note| note.text.contains("letters, digits")),
        "{imported:?}"
    );
    assert!(note(&imported, "services[0].price").contains("1 sat"));
    for bad in ["[", "- a", "just text"] {
        assert!(import::aperture(bad).is_err(), "{bad}");
    }
}
