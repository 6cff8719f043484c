//! TLS towards clients: what they are shown, what is asked of them, and what changes while it is served.

mod certificates;
mod clients;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::Version;
use http_body_util::BodyExt;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use testkit::Origin;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::odd::Odd;
use crate::raw::{Raw, get};
use crate::shop::{Shop, l402};

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// An authority of the test's own, and a folder for what it signs.
struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "the test's authority");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        let certificate = certificate.der().clone();
        Self { folder, issuer: Issuer::new(params, key), certificate }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes `{file}.pem` and `{file}.key` for a name.
    fn sign(&self, file: &str, name: &str, subject: &str) -> [PathBuf; 2] {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, subject);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let paths = [self.path(&format!("{file}.pem")), self.path(&format!("{file}.key"))];
        std::fs::write(&paths[0], certificate.pem()).unwrap();
        std::fs::write(&paths[1], key.serialize_pem()).unwrap();
        paths
    }

    /// The table for one pair that was signed, with more keys.
    fn tls(&self, file: &str, keys: &str) -> String {
        let path = |end| self.path(&format!("{file}.{end}")).display().to_string();
        let (certificate, key) = (path("pem"), path("key"));
        format!("[tls]\ncertificate = 'file:{certificate}'\nkey = 'file:{key}'\n{keys}\n")
    }

    /// What a client trusts, and shows where `file` is named.
    fn client(&self, file: Option<&str>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let Some(file) = file else { return trusting(roots) };
        let certificate = CertificateDer::from_pem_file(self.path(&format!("{file}.pem")));
        let key = PrivateKeyDer::from_pem_file(self.path(&format!("{file}.key")));
        showing(roots, certificate.unwrap(), key.unwrap())
    }
}

pub(crate) fn trusting(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

fn showing(
    roots: RootCertStore,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate], key)
        .unwrap()
}

fn file(path: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(path).unwrap()
}

/// A shop with `[tls]`, where `/echo` is free.
async fn shop(top: &str, tls: &str) -> Shop {
    let service = |origin: &Origin| {
        let url = origin.url("");
        format!(
            "{top}\n{tls}\n[[service]]\nname='api'\nprice='10 sat'\nfree='/echo'\nupstream='{url}'\n"
        )
    };
    Shop::configured(service).await
}

pub(crate) async fn handshake(
    stream: TcpStream,
    config: ClientConfig,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

async fn connect(address: SocketAddr, config: ClientConfig, name: &str) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    handshake(stream, config, name).await.unwrap()
}

#[tokio::test]
async fn both_versions_of_http_are_spoken_inside() {
    let authority = Authority::new();
    authority.sign("own", "127.0.0.1", "own");
    let shop = shop("", &authority.tls("own", "")).await;
    for (h2, version) in [(true, Version::HTTP_2), (false, Version::HTTP_11)] {
        let https =
            HttpsConnectorBuilder::new().with_tls_config(authority.client(None)).https_only();
        let connector =
            if h2 { https.enable_all_versions().build() } else { https.enable_http1().build() };
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let mut request = shop.request("GET", "/echo", &[]);
        *request.uri_mut() = shop.url("/echo").replace("http:", "https:").parse().unwrap();
        let answer = client.request(request).await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, version));
        answer.into_body().collect().await.unwrap();
        let received = shop.origin.received();
        let headers = &received.last().unwrap().headers;
        assert_eq!(headers["x-forwarded-proto"], "https");
        assert_eq!(headers["x-forwarded-for"], "127.0.0.1");
    }
}

#[tokio::test]
async fn a_websocket_is_joined_inside_tls() {
    let authority = Authority::new();
    authority.sign("own", "127.0.0.1", "own");
    let odd = Odd::switching("websocket").await;
    let text = format!("{}{}", authority.tls("own", ""), odd.service(""));
    let shop = Shop::configured(|_| text).await;
    let stream = connect(shop.address, authority.client(None), "127.0.0.1").await;
    let mut raw = Raw::over(stream);
    raw.write(get("/chat", &["connection: Upgrade", "upgrade: websocket"])).await;
    assert!(raw.head().await.starts_with("HTTP/1.1 101"));
    raw.write("hello").await;
    assert_eq!(raw.read_to("HELLO").await, "HELLO");
}

#[tokio::test]
async fn a_proxy_header_comes_before_the_handshake() {
    use tokio::io::AsyncWriteExt;
    let authority = Authority::new();
    authority.sign("own", "127.0.0.1", "own");
    let top = "trusted_proxies = '127.0.0.1'\nproxy_protocol = true";
    let shop = shop(top, &authority.tls("own", "")).await;
    let mut stream = TcpStream::connect(shop.address).await.unwrap();
    stream.write_all(b"PROXY TCP4 198.51.100.7 127.0.0.1 4711 443\r\n").await.unwrap();
    let stream = handshake(stream, authority.client(None), "127.0.0.1").await.unwrap();
    let mut raw = Raw::over(stream);
    raw.write(get("/echo", &["x-forwarded-proto: http"])).await;
    assert!(raw.response().await.0.starts_with("HTTP/1.1 200"));
    let headers = &shop.origin.received()[0].headers;
    assert_eq!(headers["x-forwarded-for"], "198.51.100.7");
    assert_eq!(headers["x-forwarded-proto"], "https");
}

#[tokio::test]
async fn who_does_not_speak_tls_is_told_so_or_left() {
    let authority = Authority::new();
    authority.sign("own", "127.0.0.1", "own");
    let shop = shop("", &authority.tls("own", "handshake_timeout = '200ms'")).await;
    let mut plain = Raw::connect(shop.address).await;
    plain.write(get("/echo", &[])).await;
    let (head, body) = plain.response().await;
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
    assert_eq!(body, "this port speaks TLS; write https:// instead.\n");

    // Nothing, and half of a handshake: each is given up in time.
    for begin in ["", "\x16\x03\x01\x02"] {
        let mut silent = Raw::connect(shop.address).await;
        silent.write(begin).await;
        let rest = tokio::time::timeout(PATIENCE, silent.rest()).await.expect("it is closed");
        assert_eq!(rest, "");
    }

    // TLS 1.1, by hand: no client library speaks it any more.
    // A version, random bytes, no session, one cipher, no compression, and signatures by extension.
    let rest = [0, 0, 2, 0xc0, 0x13, 1, 0, 0, 8, 0, 13, 0, 4, 0, 2, 8, 4];
    let body = [&[3, 2][..], &[7; 32], &rest].concat();
    let length = u8::try_from(body.len()).unwrap();
    let hello = [&[0x16, 3, 1, 0, length + 4, 1, 0, 0, length][..], &body].concat();
    let mut old = Raw::connect(shop.address).await;
    old.write(&hello).await;
    let alert = old.rest().await;
    assert_eq!(alert.as_bytes(), [0x15, 3, 3, 0, 2, 2, 70], "protocol_version");
    assert_eq!(shop.hits(), 0);
}

#[tokio::test]
async fn plain_http_is_sent_to_the_encrypted_port() {
    let authority = Authority::new();
    authority.sign("own", "127.0.0.1", "own");
    let shop = shop("", &authority.tls("own", "redirect_port = 8443")).await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let gateway = shop.gateway.clone();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let door = tokio::spawn(async move {
        gateway.redirect(listener, 443, async { drop(stopped.await) }).await
    });
    let paid = format!("authorization: {}", l402(&shop.mint(&["services=api:0"])));
    let mut raw = Raw::connect(address).await;
    raw.write(get("/a?b=c", &[&paid])).await;
    let head = raw.head().await;
    assert!(head.starts_with("HTTP/1.1 308"), "{head}");
    assert!(head.contains("location: https://x:8443/a?b=c\r\n"), "{head}");
    raw.write("GET / HTTP/1.1\r\nhost: a@b\r\n\r\n").await;
    assert!(raw.head().await.starts_with("HTTP/1.1 400"));
    assert_eq!(shop.hits(), 0);
    stop.send(()).unwrap();
    assert_eq!(door.await.unwrap().cut, 0);
}
