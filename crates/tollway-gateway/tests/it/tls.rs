//! An upstream behind TLS is the one it says it is, or it gets nothing.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tollway_gateway::{Config, Gateway, OpenError};

use crate::odd::Odd;
use crate::shop::Shop;

/// An upstream with a certificate for `name`, and a folder with that certificate in `ca.pem`.
async fn upstream(name: &str, protocols: &[&str]) -> (Odd, TempDir) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed([name.to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let mut tls = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    tls.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    (Odd::secure(Arc::new(tls)).await, folder)
}

fn service(upstream: &Odd, keys: &str) -> String {
    let address = upstream.address;
    format!("[[service]]\nname='a'\nauth='off'\nupstream='https://{address}'\n{keys}\n")
}

fn ca(folder: &TempDir) -> String {
    format!("ca = 'file:{}'\n", folder.path().join("ca.pem").display())
}

#[tokio::test]
async fn an_upstream_whose_certificate_nobody_vouches_for_gets_nothing() {
    let (odd, _folder) = upstream("127.0.0.1", &[]).await;
    let shop = Shop::configured(|_| service(&odd, "")).await;
    let answer = shop.get("/", &[]).await;
    assert_eq!(answer.status, 502);
    assert!(answer.body.contains("cannot be reached"), "{}", answer.body);
}

#[tokio::test]
async fn an_upstream_is_trusted_by_the_file_of_its_service() {
    for (alpn, protocol) in [
        (&["http/1.1"][..], ""),
        (&["h2", "http/1.1"], ""),
        (&["h2"], "protocol = 'h2'"),
        (&["http/1.1"], "protocol = 'h1'"),
        (&[], "protocol = 'h1'"),
    ] {
        let (odd, folder) = upstream("127.0.0.1", alpn).await;
        let shop = Shop::configured(|_| service(&odd, &(ca(&folder) + protocol))).await;
        let answer = shop.get("/", &[]).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, "ok"), "{alpn:?}");
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_or_of_another_is_refused() {
    let (odd, folder) = upstream("elsewhere.example", &[]).await;
    let named = Shop::configured(|_| service(&odd, &ca(&folder))).await;
    assert_eq!(named.get("/", &[]).await.status, 502);
    let (odd, _) = upstream("127.0.0.1", &[]).await;
    let signed = Shop::configured(|_| service(&odd, &ca(&folder))).await;
    assert_eq!(signed.get("/", &[]).await.status, 502);
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_given_up() {
    let mute = Odd::mute().await;
    let shop = Shop::configured(|_| service(&mute, "connect_timeout = '20ms'")).await;
    let answer = shop.get("/", &[]).await;
    assert_eq!(answer.status, 504);
    assert!(answer.body.contains("cannot be reached"), "{}", answer.body);
}

#[tokio::test]
async fn certificates_that_cannot_be_used_are_refused_at_the_start() {
    let (odd, folder) = upstream("127.0.0.1", &[]).await;
    let config = Config::read(&service(&odd, &ca(&folder))).unwrap();
    let (_, seller) = testkit::FakeNetwork::pair();
    let keyring = l402::Keyring::new(l402::MasterKey::new([1; 32]), vec![]);
    let path = folder.path().join("ca.pem");
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (text, part) in [("", "no certificate"), (broken, "")] {
        std::fs::write(&path, text).unwrap();
        let error = Gateway::open(&config, seller.invoicer(), keyring.clone()).await.unwrap_err();
        assert!(matches!(error, OpenError::Certificates { .. }));
        let said = error.to_string();
        assert!(said.contains("ca.pem") && said.contains("`a`") && said.contains(part), "{said}");
    }
    std::fs::remove_file(&path).unwrap();
    assert!(Gateway::open(&config, seller.invoicer(), keyring).await.is_err());
}
