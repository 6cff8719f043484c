//! Which certificate a client is shown, and how they change.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use rcgen::KeyPair;
use tokio::net::TcpStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tollway_gateway::{Config, Gateway, OpenError};

use super::{Authority, PATIENCE, connect, file, handshake, shop};
use crate::access_log::Lines;
use crate::raw::{Raw, get};

/// The certificate that a client is shown.
async fn shown(address: SocketAddr, config: ClientConfig, name: &str) -> CertificateDer<'static> {
    let stream = connect(address, config, name).await;
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

/// Tries until it holds.
async fn becomes(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let tried = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, tried).await.unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test]
async fn the_name_that_is_asked_for_chooses_the_certificate() {
    let authority = Authority::new();
    let [first, first_key] = authority.sign("a", "a.example", "a");
    let [second, second_key] = authority.sign("b", "*.b.example", "b");
    let list = |a: &Path, b: &Path| format!("['file:{}', 'file:{}']", a.display(), b.display());
    let (certificates, keys) = (list(&first, &second), list(&first_key, &second_key));
    let tls = format!("[tls]\ncertificate = {certificates}\nkey = {keys}");
    let shop = shop("", &tls).await;
    assert_eq!(shown(shop.address, authority.client(None), "a.example").await, file(&first));
    assert_eq!(shown(shop.address, authority.client(None), "x.b.example").await, file(&second));
    let stream = TcpStream::connect(shop.address).await.unwrap();
    let other = handshake(stream, authority.client(None), "c.example").await.unwrap_err();
    assert!(
        other.to_string().contains("not valid for"),
        "the first, which is for another: {other}"
    );
}

#[tokio::test]
async fn new_certificates_are_taken_and_connections_go_on() {
    let (lines, _guard) = Lines::capture();
    let authority = Authority::new();
    let [certificate, key] = authority.sign("own", "127.0.0.1", "before");
    let before = file(&certificate);
    let shop = shop("", &authority.tls("own", "")).await;
    let look = async || shown(shop.address, authority.client(None), "127.0.0.1").await;
    assert_eq!(look().await, before);
    let mut open = Raw::over(connect(shop.address, authority.client(None), "127.0.0.1").await);
    open.write(get("/echo", &[])).await;
    assert!(open.response().await.0.starts_with("HTTP/1.1 200"));

    authority.sign("own", "127.0.0.1", "after");
    let after = file(&certificate);
    becomes("the new certificate", async || look().await == after).await;
    open.write(get("/echo", &[])).await;
    assert!(open.response().await.0.starts_with("HTTP/1.1 200"), "it was not cut");

    // A key for another certificate: what was good stays, and what is good again is taken.
    std::fs::write(&key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    authority.sign("other", "127.0.0.1", "other");
    let error = Gateway::replace(&shop.gateway, &broken(&authority)).unwrap_err();
    assert!(error.to_string().contains("does not belong to the certificate"), "{error}");
    let told = "the certificates stay as they were";
    becomes("it is looked at", async || lines.text().contains(told)).await;
    assert_eq!(look().await, after);
    let [certificate, _] = authority.sign("own", "127.0.0.1", "again");
    becomes("the third", async || look().await == file(&certificate)).await;
}

/// A configuration with a pair that is none.
fn broken(authority: &Authority) -> Config {
    let (certificate, key) = (authority.path("other.pem"), authority.path("own.key"));
    let text = format!(
        "[tls]\ncertificate = 'file:{}'\nkey = 'file:{}'\n[[service]]\nname='a'\nauth='off'\nupstream='http://h'\n",
        certificate.display(),
        key.display()
    );
    Config::read(&text).unwrap()
}

#[tokio::test]
async fn a_new_configuration_brings_its_own_certificates() {
    let authority = Authority::new();
    authority.sign("a", "127.0.0.1", "a");
    let [second, _] = authority.sign("b", "127.0.0.1", "b");
    let shop = shop("", &authority.tls("a", "")).await;
    let service = "[[service]]\nname='api'\nauth='off'\nupstream='http://127.0.0.1:9'\n";
    let config = Config::read(&format!("{}{service}", authority.tls("b", ""))).unwrap();
    shop.gateway.replace(&config).unwrap();
    assert_eq!(shown(shop.address, authority.client(None), "127.0.0.1").await, file(&second));
    shop.gateway.replace(&Config::read(service).unwrap()).unwrap();
    assert_eq!(shop.get("/", &[]).await.status, 502, "no TLS any more");
}

#[tokio::test]
async fn files_that_cannot_be_used_are_refused_at_the_start() {
    let authority = Authority::new();
    authority.sign("own", "127.0.0.1", "own");
    let gone = authority.path("gone").display().to_string();
    let (_, seller) = testkit::FakeNetwork::pair();
    let service = "[[service]]\nname='a'\nauth='off'\nupstream='http://h'\n";
    let none = "[tls]\ncertificate = 'file:/dev/null'\nkey = 'file:/dev/null'\n".to_owned();
    for (tls, part) in [
        (none, "the certificate /dev/null: there is no certificate in it"),
        (authority.tls("own", &format!("client_ca = 'file:{gone}'")), gone.as_str()),
    ] {
        let config = Config::read(&format!("{tls}{service}")).unwrap();
        let keyring = l402::Keyring::new(l402::MasterKey::new([1; 32]), vec![]);
        let error = Gateway::open(&config, seller.invoicer(), keyring).await.unwrap_err();
        assert!(matches!(error, OpenError::Tls(_)));
        assert!(error.to_string().contains(part), "{error}");
    }
}
