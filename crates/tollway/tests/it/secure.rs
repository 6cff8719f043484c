//! TLS and the versions of HTTP, with the real binary: whose certificate is taken, which of ours is
//! shown, what is spoken, and how long each step took.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PublicKeyData as _};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use testkit::Origin;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::market::run;
use crate::run::{Said, tollway};

/// A server behind TLS, which says in which version of HTTP it was asked, and what a user of it has:
/// the authority's certificate, and one of their own.
struct Bank {
    address: SocketAddr,
    home: TempDir,
    /// Of the server's public key, as curl writes it.
    pin: String,
}

impl Bank {
    /// One that asks who its visitors are, or not.
    async fn open(asks_who: bool, alpn: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let authority_key = KeyPair::generate().unwrap();
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = authority.self_signed(&authority_key).unwrap();
        let issuer = Issuer::new(authority, authority_key);
        let made = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            (params.signed_by(&key, &issuer).unwrap(), key)
        };
        let (server, server_key) = made("localhost");
        let (client, client_key) = made("somebody");
        let write =
            |name: &str, text: String| std::fs::write(home.path().join(name), text).unwrap();
        write("ca.pem", root.pem());
        write("cert.pem", client.pem());
        write("key.pem", client_key.serialize_pem());
        write("both.pem", format!("{}{}", client.pem(), client_key.serialize_pem()));

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = if asks_who {
            let mut roots = RootCertStore::empty();
            roots.add(root.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            config.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            config.with_no_client_auth()
        };
        let key = PrivatePkcs8KeyDer::from(server_key.serialize_der());
        let mut config = config.with_single_cert(vec![server.der().clone()], key.into()).unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let hash = Sha256::digest(server_key.subject_public_key_info());
        let pin = format!("sha256//{}", BASE64_STANDARD.encode(hash));
        Self { address: serve(TlsAcceptor::from(Arc::new(config))).await, home, pin }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/", self.address.port())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    async fn get(&self, flags: &[&str]) -> Said {
        let url = self.url();
        let line = [&["get", "--cacert", "ca.pem"], flags, &[url.as_str()]].concat();
        run(tollway(self.home.path(), line)).await
    }
}

async fn serve(tls: TlsAcceptor) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let tls = tls.clone();
            tokio::spawn(async move {
                let Ok(stream) = tls.accept(stream).await else { return };
                let service = service_fn(|request: Request<Incoming>| async move {
                    let text = format!("{:?}", request.version());
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(text))))
                });
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

const BOTH: &[&str] = &["h2", "http/1.1"];

#[tokio::test(flavor = "multi_thread")]
async fn the_version_of_http_is_the_one_that_is_asked_for() {
    let bank = Bank::open(false, BOTH).await;
    for (flags, version) in [
        (&[][..], "2"),
        (&["--http1.1"], "1.1"),
        (&["--http2"], "2"),
        (&["--http2-prior-knowledge"], "2"),
    ] {
        let said = bank.get(&[flags, &["-w", " %{http_version}"]].concat()).await;
        let spoken = if version == "2" { "HTTP/2.0" } else { "HTTP/1.1" };
        assert_eq!((said.code, said.stdout), (0, format!("{spoken} {version}")), "{flags:?}");
    }
    let old = Bank::open(false, &["http/1.1"]).await;
    assert_eq!(old.get(&["--http2"]).await.stdout, "HTTP/1.1", "the server speaks no other");
    assert_eq!(old.get(&["--http2-prior-knowledge"]).await.code, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_without_tls_is_spoken_where_that_is_known() {
    let (origin, home) = (Origin::start().await, tempfile::tempdir().unwrap());
    for (flag, version) in
        [("--http2-prior-knowledge", "2"), ("--http2", "1.1"), ("--http1.1", "1.1")]
    {
        let url = origin.url("/x");
        let line = ["get", flag, "-o", "/dev/null", "-w", "%{http_version}", &url];
        let said = run(tollway(home.path(), line)).await;
        assert_eq!((said.code, said.stdout.as_str()), (0, version), "{flag}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_nobody_vouches_for_is_not_asked() {
    let bank = Bank::open(false, BOTH).await;
    let url = bank.url();
    let said = run(tollway(bank.home.path(), ["get", &url])).await;
    assert_eq!((said.code, said.stdout.as_str()), (4, ""), "{said:?}");
    let folder = bank.home.path().join("authorities");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(bank.file("ca.pem"), folder.join("one.pem")).unwrap();
    let line = ["get", "--capath", "authorities", &url];
    assert_eq!(run(tollway(bank.home.path(), line)).await.code, 0);
    assert_eq!(run(tollway(bank.home.path(), ["get", "-k", &url])).await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_our_own_is_shown_to_a_server_that_asks() {
    let bank = Bank::open(true, BOTH).await;
    assert_eq!(bank.get(&[]).await.code, 4, "it wants to know who asks");
    for flags in [&["--cert", "cert.pem", "--key", "key.pem"][..], &["-E", "both.pem"]] {
        let said = bank.get(flags).await;
        assert_eq!((said.code, said.stdout.as_str()), (0, "HTTP/2.0"), "{flags:?}: {said:?}");
    }
    let wrong = bank.get(&["--cert", "cert.pem"]).await;
    assert_eq!(wrong.code, 2, "there is no key in it: {wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_pinned_key_is_spoken_to() {
    let bank = Bank::open(false, BOTH).await;
    let other = format!("sha256//{}", BASE64_STANDARD.encode([7; 32]));
    let several = format!("{other};{}", bank.pin);
    for (pin, flags, code) in [
        (&bank.pin, &[][..], 0),
        (&several, &[], 0),
        (&other, &[], 4),
        (&other, &["-k"], 4),
        (&bank.pin, &["-k"], 0),
    ] {
        let said = bank.get(&[&["--pinnedpubkey", pin], flags].concat()).await;
        assert_eq!(said.code, code, "{pin} {flags:?}: {said:?}");
        if code == 4 {
            assert!(said.stderr.contains("not the pinned one"), "{said:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_step_of_a_transfer_has_its_time() {
    const FORMAT: &str = "%{time_namelookup} %{time_connect} %{time_appconnect} %{time_pretransfer} \
                          %{time_starttransfer} %{time_total}\\n";
    let bank = Bank::open(false, BOTH).await;
    let url = bank.url();
    for flags in [&["--http1.1"][..], &["--http2"], &["--tlsv1.3"], &["--tls-max", "1.2"]] {
        let line = [&["-o", "/dev/null", "-o", "/dev/null", "-w", FORMAT], flags, &[&url]].concat();
        let said = bank.get(&line).await;
        assert_eq!(said.code, 0, "{said:?}");
        let lines: Vec<Vec<f64>> = said
            .stdout
            .lines()
            .map(|line| line.split(' ').map(|time| time.parse().unwrap()).collect())
            .collect();
        let [first, second] = &lines[..] else { panic!("{said:?}") };
        assert!(first[0] > 0.0 && first.is_sorted(), "{flags:?}: {first:?}");
        assert_eq!(second[..3], [0.0; 3], "{flags:?}: the connection was there: {second:?}");
        assert!(second[3] > 0.0 && second[3..].is_sorted(), "{flags:?}: {second:?}");
    }
    let by_address = Origin::start().await;
    let url = by_address.url("/x");
    let line = ["get", "-o", "/dev/null", "-w", FORMAT, &url];
    let said = run(tollway(bank.home.path(), line)).await;
    let times: Vec<f64> =
        said.stdout.split_whitespace().map(|time| time.parse().unwrap()).collect();
    assert_eq!((times[0], times[2]), (0.0, 0.0), "no name, and no TLS: {times:?}");
    assert!(times[1] > 0.0 && times[3] >= times[1], "{times:?}");
}
