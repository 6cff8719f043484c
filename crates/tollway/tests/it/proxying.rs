//! `tollway pay-proxy`, asked by the real curl.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use crate::market::{Market, run};
use crate::run::{Said, tollway};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

struct Proxy {
    url: String,
    _child: Child,
}

impl Proxy {
    async fn start(market: &Market, more: &[&str]) -> Self {
        let node = market.node();
        let line = ["pay-proxy", "--listen", "127.0.0.1:0", "--node", &node, "--format", "json"];
        let mut command = Command::from(tollway(market.folder.path(), [&line[..], more].concat()));
        let mut child = command.kill_on_drop(true).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap();
        let said: serde_json::Value = serde_json::from_str(&line.expect("it says where")).unwrap();
        Self { url: said["listen"].as_str().unwrap().to_owned(), _child: child }
    }

    async fn curl(&self, market: &Market, flags: &[&str]) -> Said {
        curl(market.folder.path(), &[&["-x", &self.url], flags].concat()).await
    }
}

async fn curl(home: &Path, flags: &[&str]) -> Said {
    let mut command = Command::new("curl");
    command.arg("-s").args(flags).current_dir(home).env_clear().kill_on_drop(true);
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command.output().await.expect("curl is needed for these tests").into()
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_pays_once_by_way_of_the_proxy() {
    let market = Market::open().await;
    let proxy = Proxy::start(&market, &[]).await;
    let url = market.url("/weather/berlin");
    // curl asks servers of this machine by way of a proxy only when it is told so.
    let said = proxy.curl(&market, &["--noproxy", "", "-i", &url]).await;
    assert!(said.stdout.contains("/weather/berlin"), "{said:?}");
    assert!(said.stdout.contains("tollway-payment: bought; amount_msat=10000"), "{said:?}");
    let again = proxy.curl(&market, &["--noproxy", "", "-i", "-d", "x=1", &url]).await;
    assert!(again.stdout.contains("tollway-payment: token"), "{again:?}");
    assert_eq!(market.sold(), 1);
    assert_eq!(market.origin.received()[1].body, "x=1");

    let direct =
        curl(market.folder.path(), &["-o", "/dev/null", "-w", "%{http_code}", &proxy.url]).await;
    assert_eq!(direct.stdout, "400", "a page in a browser asks like that");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_allowed_is_402_and_says_why() {
    let market = Market::open().await;
    let proxy = Proxy::start(&market, &["--max-cost", "9"]).await;
    let said = proxy
        .curl(&market, &["--noproxy", "", "-w", " %{http_code}", &market.url("/weather/berlin")])
        .await;
    let (body, status) = said.stdout.rsplit_once(' ').unwrap();
    assert_eq!((status, market.sold()), ("402", 0), "{said:?}");
    let error: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(
        (&error["error"]["exit_code"], &error["error"]["money_moved"]),
        (&8.into(), &"no".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_password_spends_nothing() {
    let market = Market::open().await;
    std::fs::write(market.folder.path().join("pass"), "me:hunter22\n").unwrap();
    let proxy = Proxy::start(&market, &["--password", "file:pass"]).await;
    let url = market.url("/weather/berlin");
    let line = ["--noproxy", "", "-o", "/dev/null", "-w", "%{http_code}", &url];
    assert_eq!(proxy.curl(&market, &line).await.stdout, "407");
    let wrong = proxy.curl(&market, &[&["-U", "me:hunter23"], &line[..]].concat()).await;
    assert_eq!((wrong.stdout.as_str(), market.sold()), ("407", 0));
    let right = proxy.curl(&market, &[&["-U", "me:hunter22"], &line[..]].concat()).await;
    assert_eq!((right.stdout.as_str(), market.sold()), ("200", 1));

    let open = ["pay-proxy", "--listen", "0.0.0.0:0"];
    let refused = run(tollway(market.folder.path(), open)).await;
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("--password"), "{refused:?}");
}

/// TLS in front of the market's gateway, for `localhost` and `127.0.0.1`. Returns its port, and
/// writes its certificate down.
async fn tls(market: &Market) -> u16 {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
    std::fs::write(market.folder.path().join("server.pem"), certificate.pem()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let gateway = market.door.address().to_owned();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, gateway) = (acceptor.clone(), gateway.clone());
            tokio::spawn(async move {
                let mut outer = acceptor.accept(stream).await.ok()?;
                let mut inner = TcpStream::connect(gateway).await.ok()?;
                tokio::io::copy_bidirectional(&mut outer, &mut inner).await.ok()
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn https_is_paid_for_at_hosts_that_were_named_and_passes_unread_at_others() {
    let market = Market::open().await;
    let port = tls(&market).await;
    let more = ["--pay-host", "localhost", "--ca-dir", "ca", "--cacert", "server.pem"];
    let proxy = Proxy::start(&market, &more).await;
    let url = format!("https://localhost:{port}/weather/berlin");
    let said = proxy.curl(&market, &["--noproxy", "", "--cacert", "ca/ca.pem", "-i", &url]).await;
    assert!(said.stdout.contains("tollway-payment: bought"), "{said:?}");
    assert_eq!(market.sold(), 1);

    let url = format!("https://127.0.0.1:{port}/weather/paris");
    let line =
        ["--noproxy", "", "--cacert", "server.pem", "-o", "/dev/null", "-w", "%{http_code}", &url];
    let passed = proxy.curl(&market, &line).await;
    assert_eq!((passed.stdout.as_str(), market.sold()), ("402", 1), "{passed:?}");
    let line = ["--noproxy", "", "--cacert", "ca/ca.pem", &url];
    assert_eq!(proxy.curl(&market, &line).await.code, 60, "our authority vouches for nobody else");
}
