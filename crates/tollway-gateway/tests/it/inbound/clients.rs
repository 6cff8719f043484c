//! Certificates of clients: who is let in, and what the upstream is told.

use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::{Authority, file, handshake, shop, showing};
use crate::raw::{Raw, get};
use crate::shop::Shop;

/// The upstream's view of the client's certificate.
fn told(shop: &Shop) -> Option<String> {
    let received = shop.origin.received();
    let headers = &received.last().unwrap().headers;
    assert_eq!(
        headers.contains_key("client-cert"),
        headers.contains_key("x-client-cert-subject"),
        "both or none"
    );
    headers.get("x-client-cert-subject").map(|subject| subject.to_str().unwrap().to_owned())
}

async fn ask(shop: &Shop, config: ClientConfig) -> std::io::Result<u16> {
    let stream = TcpStream::connect(shop.address).await.unwrap();
    let mut raw = Raw::over(handshake(stream, config, "127.0.0.1").await?);
    let forged = ["x-client-cert-subject: CN=root", "client-cert: :AAAA:", "connection: close"];
    raw.write(get("/echo", &forged)).await;
    // Where a certificate is missing, TLS 1.3 says so only after the client's first bytes.
    let all = raw.rest().await;
    match all.get(9..12) {
        Some(status) => Ok(status.parse().unwrap()),
        None => Err(std::io::ErrorKind::ConnectionReset.into()),
    }
}

#[tokio::test]
async fn a_clients_certificate_is_passed_on_when_it_was_verified() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    authority.sign("own", "127.0.0.1", "own");
    authority.sign("alice", "alice.example", "alice, of Berlin");
    stranger.sign("mallory", "alice.example", "alice, of Berlin");
    let alice = || authority.client(Some("alice"));
    let mallory = || {
        let certificate = file(&stranger.path("mallory.pem"));
        let key = PrivateKeyDer::from_pem_file(stranger.path("mallory.key")).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate.clone()).unwrap();
        showing(roots, certificate, key)
    };
    let ca = format!("client_ca = 'file:{}'", authority.path("ca.pem").display());
    let subject = Some(r"CN=alice\, of Berlin".to_owned());

    let strict = shop("", &authority.tls("own", &ca)).await;
    assert_eq!(ask(&strict, alice()).await.unwrap(), 200);
    assert_eq!(told(&strict), subject);
    assert!(ask(&strict, authority.client(None)).await.is_err(), "none shown");
    assert!(ask(&strict, mallory()).await.is_err(), "nobody vouches for it");
    assert_eq!(strict.hits(), 1);

    let lenient = format!("{ca}\nclient_certificates = 'optional'");
    let lenient = shop("", &authority.tls("own", &lenient)).await;
    assert_eq!(ask(&lenient, alice()).await.unwrap(), 200);
    assert_eq!(told(&lenient), subject);
    assert_eq!(ask(&lenient, authority.client(None)).await.unwrap(), 200);
    assert_eq!(told(&lenient), None, "what it says of itself is not believed");
    assert!(ask(&lenient, mallory()).await.is_err());

    let plain = shop("", "").await;
    plain.get("/echo", &[("x-client-cert-subject", "CN=root"), ("client_cert", ":AA:")]).await;
    assert_eq!(told(&plain), None);
}
