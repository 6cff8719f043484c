//! A proxy in a process of its own: on a socket in a folder of its own, or on a listener that it is
//! handed as its standard input.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use http::Request;
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::shop::Answer;

/// How long a proxy may take to be there.
const PATIENCE: Duration = Duration::from_secs(60);
/// `required`: a proxy that is not installed fails the test instead of skipping it.
const REQUIRED: &str = "TOLLWAY_TEST_SERVERS";
/// The folder that `tests/interop/proxies.sh` has filled.
const FETCH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/interop/proxies.sh");

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A proxy that runs. It ends with the test, however that ends.
pub(super) struct Front {
    folder: TempDir,
    place: Place,
    child: Child,
}

/// Where a proxy takes connections.
enum Place {
    Socket(PathBuf),
    Port(SocketAddr),
}

/// A program, or a loud word that the test is skipped.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let fetched = Command::new(FETCH).arg("--if-there").output().ok();
    let fetched = fetched.filter(|output| output.status.success());
    let fetched = fetched.map(|output| String::from_utf8(output.stdout).unwrap());
    let mut folders: Vec<PathBuf> = fetched.iter().map(|line| line.trim().into()).collect();
    folders.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
    folders.extend(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file());
    if found.is_none() {
        let required = std::env::var(REQUIRED).is_ok_and(|value| value == "required");
        assert!(!required, "{name} is not installed, and {REQUIRED}=required");
        eprintln!(
            "SKIPPED: {name} is not installed (tests/interop/proxies.sh fetches all but nginx)"
        );
    }
    found
}

/// A folder for one proxy, short enough for a socket's name.
pub(super) fn folder() -> TempDir {
    tempfile::Builder::new().prefix("tollway").tempdir().unwrap()
}

pub(super) fn socket(folder: &Path) -> PathBuf {
    folder.join("front.sock")
}

impl Front {
    /// Starts it, and waits until it takes connections on [`socket`].
    pub(super) async fn start(folder: TempDir, command: &mut Command) -> Self {
        command.stdin(Stdio::null());
        let place = Place::Socket(socket(folder.path()));
        Self::start_at(place, folder, command).await
    }

    /// The same for one that listens on its file descriptor 0, which is TCP.
    pub(super) async fn start_with_port(folder: TempDir, command: &mut Command) -> Self {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        command.stdin(Stdio::from(OwnedFd::from(listener)));
        Self::start_at(Place::Port(address), folder, command).await
    }

    async fn start_at(place: Place, folder: TempDir, command: &mut Command) -> Self {
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let home = folder.path();
        command.current_dir(home).env("HOME", home).env("XDG_CONFIG_HOME", home);
        command.env("XDG_DATA_HOME", home);
        let mut front = Self { child: command.spawn().unwrap(), folder, place };
        let deadline = Instant::now() + PATIENCE;
        while front.connect().await.is_err() {
            let ended = front.child.try_wait().unwrap();
            let late = Instant::now() > deadline;
            assert!(ended.is_none() && !late, "{ended:?}\n{}", front.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        front
    }

    async fn connect(&self) -> std::io::Result<Box<dyn Stream>> {
        Ok(match &self.place {
            Place::Socket(path) => Box::new(UnixStream::connect(path).await?),
            Place::Port(address) => Box::new(TcpStream::connect(address).await?),
        })
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub(super) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, "").await
    }

    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &'static str,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header("host", "api.example.com");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(bytes::Bytes::from_static(body.as_bytes()))).unwrap();
        let stream = self.connect().await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let answered = tokio::time::timeout(PATIENCE, sender.send_request(request)).await;
        let answered = answered.unwrap().unwrap_or_else(|error| panic!("{error}\n{}", self.log()));
        let answer = Answer::read(answered).await;
        connection.abort();
        answer
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("the proxy says:\n{}", self.log());
        }
    }
}
