//! TLS towards clients: what they are shown, what is asked of them, and what changes while it is served.

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
use tollway_gateway::{Config, Gateway, OpenError};

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

/// The certificate that a client is shown.
async fn shown(address: SocketAddr, config: ClientConfig, name: &str) -> CertificateDer<'static> {
    let stream = connect(address, config, name).await;
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

fn file(path: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(path).unwrap()
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
    // Long enough for it to be looked at twice; nothing that can be seen happens then.
    tokio::time::sleep(Duration::from_millis(2500)).await;
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
