//! Certificates from an authority, had from a real one (pebble): it looks for the proof over the
//! network, at the gateway's own port.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::json;
use tempfile::TempDir;
use testkit::{FakeNetwork, Origin};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tollway_gateway::{Config, Gateway};

use crate::inbound::{PATIENCE, handshake, trusting};
use crate::raw::{Raw, get};

const NAME: &str = "shop.example";
/// For how long certificates are good, in seconds. After two thirds of it they are replaced.
const SHORT: u64 = 12;
const LONG: u64 = 90 * 24 * 3600;

/// The binary that `TOLLWAY_PEBBLE` names, or else the one that the script has built. Where there is none,
/// it is said loudly, past the capture of the test's output.
fn program() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let found = find();
        if found.is_none() {
            let required = std::env::var_os("TOLLWAY_TEST_SERVERS").is_some_and(|v| v == "required");
            assert!(!required, "no pebble to test against; build it with tests/interop/pebble.sh");
            let _ = writeln!(
                std::io::stderr(),
                "\n*** SKIPPED: no pebble to test against; build it with tests/interop/pebble.sh ***\n"
            );
        }
        found
    });
    found.as_deref()
}

fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("TOLLWAY_PEBBLE") {
        let named = PathBuf::from(named);
        assert!(named.is_file(), "TOLLWAY_PEBBLE names no file: {}", named.display());
        return Some(named);
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/interop/pebble.sh");
    let built = std::process::Command::new("bash").args([script, "--if-built"]).output().ok()?;
    let path = String::from_utf8(built.stdout).ok()?;
    built.status.success().then(|| PathBuf::from(path.trim()))
}

/// A running authority, and whom to trust when talking to it. It forgets everything when it ends.
struct Authority {
    folder: TempDir,
    ports: [u16; 2],
    /// A shell that ends it when its own input ends: with this process, at the latest.
    shell: Option<Child>,
    web: reqwest::Client,
}

impl Authority {
    /// It looks for proofs at that port of this machine, whatever the name.
    async fn start(program: &Path, gateway: SocketAddr, lifetime: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        fs::write(folder.path().join("ca.pem"), cert.pem()).unwrap();
        fs::write(folder.path().join("key.pem"), signing_key.serialize_pem()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).unwrap();
        let web = reqwest::Client::builder().tls_backend_preconfigured(trusting(roots)).build();
        let ports = [free_port().await, free_port().await];
        let mut authority = Self { folder, ports, shell: None, web: web.unwrap() };
        authority.configure(gateway, lifetime);
        authority.run(program).await;
        authority
    }

    fn configure(&self, gateway: SocketAddr, lifetime: u64) {
        let file = |name| self.folder.path().join(name);
        let config = json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{}", self.ports[0]),
            "managementListenAddress": format!("127.0.0.1:{}", self.ports[1]),
            "certificate": file("ca.pem"),
            "privateKey": file("key.pem"),
            "httpPort": gateway.port(),
            "tlsPort": gateway.port(),
            "keyAlgorithm": "ecdsa",
            "retryAfter": { "authz": 1, "order": 1 },
            "profiles": { "default": { "description": "-", "validityPeriod": lifetime } },
        }});
        fs::write(file("config.json"), config.to_string()).unwrap();
    }

    async fn run(&mut self, program: &Path) {
        let names = name_server().await;
        let script = r#""$@" >log 2>&1 </dev/null & server=$!; cat >/dev/null; kill -9 $server; wait $server"#;
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(program).args(["-config", "config.json"]);
        command.args(["-dnsserver", &names.to_string()]).current_dir(self.folder.path());
        // Proofs are looked for at once; a twentieth of all requests is refused with a new nonce.
        command.env("PEBBLE_VA_NOSLEEP", "1");
        self.shell = Some(command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
        let answers = async {
            while self.web.get(self.directory()).send().await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let log = self.folder.path().join("log");
        let started = tokio::time::timeout(PATIENCE, answers).await;
        started.unwrap_or_else(|_| panic!("{}", fs::read_to_string(log).unwrap()));
    }

    /// Ends it as a crash would.
    async fn crash(&mut self) {
        let mut shell = self.shell.take().unwrap();
        drop(shell.stdin.take());
        shell.wait().await.unwrap();
    }

    fn directory(&self) -> String {
        format!("https://127.0.0.1:{}/dir", self.ports[0])
    }

    /// The certificate under which it signs.
    async fn root(&self) -> CertificateDer<'static> {
        let url = format!("https://127.0.0.1:{}/roots/0", self.ports[1]);
        let pem = self.web.get(url).send().await.unwrap().bytes().await.unwrap();
        CertificateDer::from_pem_slice(&pem).unwrap()
    }

    /// Has it suggest this time for the replacement of the certificate in that folder.
    async fn suggest(&self, cache: &Path, [start, end]: [&str; 2]) {
        let mut files = fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().path());
        let kept = files.find(|path| path.extension().is_some_and(|end| end == "pem"));
        let kept = fs::read_to_string(kept.unwrap()).unwrap();
        let window = json!({ "suggestedWindow": { "start": start, "end": end } });
        let body = json!({
            "certificate": &kept[kept.find("-----BEGIN CERTIFICATE").unwrap()..],
            "ariResponse": window.to_string(),
        });
        let url = format!("https://127.0.0.1:{}/set-renewal-info/", self.ports[1]);
        let answer = self
            .web
            .post(url)
            .header("user-agent", "tollway")
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        let status = answer.status();
        assert!(status.is_success(), "{}", answer.text().await.unwrap());
    }

    /// A gateway's configuration that has its certificates from here.
    fn config(&self, cache: &Path, domains: &str, upstream: &str) -> Config {
        let (ca, cache) = (self.folder.path().join("ca.pem"), cache.display());
        let text = format!(
            "[tls.acme]\ndomains = {domains}\nterms_agreed = true\ncontact = 'mailto:a@example.com'\n\
             cache = '{cache}'\ndirectory = '{}'\ndirectory_ca = 'file:{}'\n\
             [[service]]\nname = 'api'\nauth = 'off'\nupstream = '{upstream}'\n",
            self.directory(),
            ca.display(),
        );
        Config::read(&text).unwrap()
    }
}

async fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    listener.local_addr().unwrap().port()
}

/// Answers every question for an address with 127.0.0.1, but for names below `nowhere.example`. Over TCP
/// (RFC 1035 section 4.2.2), as pebble asks.
async fn name_server() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                while let Ok(length) = stream.read_u16().await {
                    let mut asked = vec![0; length.into()];
                    stream.read_exact(&mut asked).await.unwrap();
                    let answer = named(&asked);
                    stream.write_u16(u16::try_from(answer.len()).unwrap()).await.unwrap();
                    stream.write_all(&answer).await.unwrap();
                }
            });
        }
    });
    address
}

fn named(asked: &[u8]) -> Vec<u8> {
    let question = &asked[12..];
    let name = question.iter().position(|&byte| byte == 0).unwrap();
    let is_address = question[name + 1..name + 3] == [0, 1];
    let known = !question[..name].windows(7).any(|word| word == b"nowhere");
    let answers = u8::from(is_address && known);
    let mut answer = asked[..2].to_vec();
    answer.extend([0x81, 0x80, 0, 1, 0, answers, 0, 0, 0, 0]);
    answer.extend(&question[..name + 5]);
    if answers == 1 {
        // The name of the question, an address, for a minute, of four bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    }
    answer
}

async fn serve(config: &Config, listener: TcpListener) -> JoinHandle<()> {
    let (_, seller) = FakeNetwork::pair();
    let keyring = l402::Keyring::new(l402::MasterKey::new([7; 32]), vec![]);
    let gateway = Gateway::open(config, seller.invoicer(), keyring).await.unwrap();
    tokio::spawn(async move {
        let _ = gateway.serve(listener, std::future::pending()).await;
    })
}

/// Waits until a client that trusts `root` can talk to `NAME`, and returns what it was shown.
async fn certificate(
    address: SocketAddr,
    root: &CertificateDer<'static>,
    unlike: Option<&CertificateDer<'static>>,
) -> CertificateDer<'static> {
    let asked = async {
        loop {
            let mut roots = RootCertStore::empty();
            roots.add(root.clone()).unwrap();
            let stream = TcpStream::connect(address).await.unwrap();
            if let Ok(stream) = handshake(stream, trusting(roots), NAME).await {
                let shown = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
                let mut raw = Raw::over(stream);
                raw.write(get("/echo", &[])).await;
                assert!(raw.head().await.starts_with("HTTP/1.1 200"));
                if unlike != Some(&shown) {
                    return shown.into_owned();
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(2 * PATIENCE, asked).await.expect("a certificate is had")
}

#[tokio::test]
async fn a_certificate_is_had_kept_and_had_again() {
    let Some(program) = program() else { return };
    let origin = Origin::start().await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut authority = Authority::start(program, address, LONG).await;
    let cache = authority.folder.path().join("cache");
    // A name that leads elsewhere takes nothing from the others.
    let domains = format!("['api.nowhere.example', '{NAME}']");
    let config = authority.config(&cache, &domains, &origin.url(""));
    let task = serve(&config, listener).await;
    let root = authority.root().await;
    let first = certificate(address, &root, None).await;
    let names: Vec<String> = fs::read_dir(&cache)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600);
            entry.file_name().into_string().unwrap()
        })
        .collect();
    assert_eq!(names.len(), 2, "an account and a certificate: {names:?}");
    assert_eq!(fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o700);

    // What was kept is there at the next start, whether the authority is or not.
    task.abort();
    authority.crash().await;
    let config = authority.config(&cache, &format!("'{NAME}'"), &origin.url(""));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let again = listener.local_addr().unwrap();
    let task = serve(&config, listener).await;
    assert_eq!(certificate(again, &root, None).await, first);

    // The certificate is lost, and the authority has forgotten the account.
    task.abort();
    let lost = names.iter().find(|name| name.starts_with(NAME)).unwrap();
    fs::remove_file(cache.join(lost)).unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let third = listener.local_addr().unwrap();
    authority.configure(third, LONG);
    authority.run(program).await;
    let task = serve(&config, listener).await;
    certificate(third, &authority.root().await, None).await;
    task.abort();
}

#[tokio::test]
async fn a_certificate_is_replaced_before_it_is_over() {
    let Some(program) = program() else { return };
    let origin = Origin::start().await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let authority = Authority::start(program, address, SHORT).await;
    let cache = authority.folder.path().join("cache");
    let config = authority.config(&cache, &format!("'{NAME}'"), &origin.url(""));
    let task = serve(&config, listener).await;
    let root = authority.root().await;
    let first = certificate(address, &root, None).await;
    let second = certificate(address, &root, Some(&first)).await;
    certificate(address, &root, Some(&second)).await;
    task.abort();
}

#[tokio::test]
async fn the_authority_says_when_a_certificate_is_replaced() {
    let Some(program) = program() else { return };
    let origin = Origin::start().await;
    // The port stays taken from one gateway to the next: proofs are looked for there.
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    port.set_nonblocking(true).unwrap();
    let listener = || TcpListener::from_std(port.try_clone().unwrap()).unwrap();
    let address = port.local_addr().unwrap();
    let authority = Authority::start(program, address, LONG).await;
    let cache = authority.folder.path().join("cache");
    let config = authority.config(&cache, &format!("'{NAME}'"), &origin.url(""));
    let task = serve(&config, listener()).await;
    let root = authority.root().await;
    let first = certificate(address, &root, None).await;
    task.abort();
    let _ = task.await;

    // It is good for ninety days, and the authority wants it replaced yesterday.
    authority.suggest(&cache, ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]).await;
    let task = serve(&config, listener()).await;
    let second = certificate(address, &root, Some(&first)).await;
    assert_ne!(second, first);
    let log = fs::read_to_string(authority.folder.path().join("log")).unwrap();
    assert!(log.contains("is a replacement of"), "it is told which one is replaced: {log}");
    task.abort();
    let _ = task.await;

    // The new one is as good as it says: nobody wants it replaced, and it is kept at the next start.
    let task = serve(&config, listener()).await;
    assert_eq!(certificate(address, &root, None).await, second);
    task.abort();
}

#[tokio::test]
async fn a_folder_that_others_can_use_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let text = format!(
        "[tls.acme]\ndomains = '{NAME}'\nterms_agreed = true\ncache = '{}'\n\
         [[service]]\nname = 'api'\nauth = 'off'\nupstream = 'http://h'\n",
        folder.path().display()
    );
    let (_, seller) = FakeNetwork::pair();
    let keyring = l402::Keyring::new(l402::MasterKey::new([7; 32]), vec![]);
    let config = Config::read(&text).unwrap();
    let error = Gateway::open(&config, seller.invoicer(), keyring).await.unwrap_err().to_string();
    assert!(error.contains("chmod 700"), "{error}");
}
