//! A proxy that stands before a server, on TCP or on a Unix socket, and can hold back one exchange
//! at one point. What a process can do next is then known, and it can be killed there.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;

/// Where an exchange is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// The request has come, and the server has not seen it.
    Request,
    /// The server has answered, and nothing of it was sent on.
    Answer,
    /// Half of the answer's head was sent on.
    HalfHead,
    /// The answer's head and half of its body were sent on.
    HalfBody,
    /// The whole answer was sent on. (Nothing is held; that it was sent is known.)
    End,
}

/// Which exchange: the `nth` (from 0) whose request begins with this text.
#[derive(Clone, Debug)]
struct Point {
    request: &'static str,
    nth: usize,
    at: At,
}

/// The proxy. Held exchanges end when it is released or dropped.
pub(crate) struct Gate {
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
    address: String,
}

struct Shared {
    upstream: Upstream,
    point: Mutex<Option<Point>>,
    /// The first line of each request, as they came.
    seen: Mutex<Vec<String>>,
    reached: watch::Sender<bool>,
    released: watch::Sender<bool>,
}

enum Upstream {
    Tcp(std::net::SocketAddr),
    Unix(PathBuf),
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Gate {
    /// Before a web server.
    pub(crate) async fn tcp(upstream: std::net::SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Shared::new(Upstream::Tcp(upstream));
        let task = tokio::spawn(accept(Arc::clone(&shared), async move || {
            Box::new(listener.accept().await.unwrap().0) as Box<dyn Stream>
        }));
        Self { shared, task, address }
    }

    /// Before a server on a Unix socket, as another socket at `path`.
    pub(crate) async fn unix(path: &Path, upstream: &Path) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let shared = Shared::new(Upstream::Unix(upstream.to_owned()));
        let task = tokio::spawn(accept(Arc::clone(&shared), async move || {
            Box::new(listener.accept().await.unwrap().0) as Box<dyn Stream>
        }));
        Self { shared, task, address: path.display().to_string() }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Holds the `nth` exchange from now whose request begins with `request`.
    pub(crate) fn hold(&self, request: &'static str, nth: usize, at: At) {
        self.shared.seen.lock().unwrap().clear();
        self.shared.reached.send_replace(false);
        self.shared.released.send_replace(false);
        *self.shared.point.lock().unwrap() = Some(Point { request, nth, at });
    }

    /// Waits until that exchange is at that point.
    pub(crate) async fn reached(&self) {
        self.shared.reached.subscribe().wait_for(|reached| *reached).await.unwrap();
    }

    /// Lets everything through, from now on.
    pub(crate) fn release(&self) {
        *self.shared.point.lock().unwrap() = None;
        self.shared.released.send_replace(true);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(shared: Arc<Shared>, next: impl AsyncFn() -> Box<dyn Stream>) {
    loop {
        let stream = next().await;
        let shared = Arc::clone(&shared);
        // A client that was killed closes its end, which is the point of it.
        tokio::spawn(async move { shared.exchange(stream).await });
    }
}

impl Shared {
    fn new(upstream: Upstream) -> Arc<Self> {
        Arc::new(Self {
            upstream,
            point: Mutex::new(None),
            seen: Mutex::new(Vec::new()),
            reached: watch::Sender::new(false),
            released: watch::Sender::new(false),
        })
    }

    /// One request and its answer; then the connection is closed.
    async fn exchange(&self, mut client: Box<dyn Stream>) -> std::io::Result<()> {
        let Some(request) = read_message(&mut client).await? else { return Ok(()) };
        let at = self.note(&request);
        self.hold_if(at == Some(At::Request)).await;
        let answer = self.forward(&request).await?;
        let head = find(&answer, b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
        let cut = match at {
            Some(At::Answer) => 0,
            Some(At::HalfHead) => head / 2,
            Some(At::HalfBody) => head + (answer.len() - head) / 2,
            Some(At::Request | At::End) | None => answer.len(),
        };
        client.write_all(&answer[..cut]).await?;
        client.flush().await?;
        if at == Some(At::End) {
            self.reached.send_replace(true);
        } else {
            self.hold_if(cut < answer.len()).await;
        }
        client.write_all(&answer[cut..]).await?;
        client.shutdown().await
    }

    /// Takes note of a request, and says where its exchange is to be held.
    fn note(&self, request: &[u8]) -> Option<At> {
        let first = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let line = String::from_utf8_lossy(first).into_owned();
        let mut seen = self.seen.lock().unwrap();
        seen.push(line.clone());
        let point = self.point.lock().unwrap().clone()?;
        let count = seen.iter().filter(|line| line.starts_with(point.request)).count();
        (line.starts_with(point.request) && count == point.nth + 1).then_some(point.at)
    }

    async fn hold_if(&self, held: bool) {
        if held {
            self.reached.send_replace(true);
            // An error means that the test is over.
            let _ = self.released.subscribe().wait_for(|released| *released).await;
        }
    }

    /// The whole answer of the server, which is told to close the connection behind it.
    async fn forward(&self, request: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut server: Box<dyn Stream> = match &self.upstream {
            Upstream::Tcp(address) => Box::new(TcpStream::connect(address).await?),
            Upstream::Unix(path) => Box::new(UnixStream::connect(path).await?),
        };
        let end = find(request, b"\r\n\r\n").expect("a whole request was read");
        server.write_all(&request[..end]).await?;
        server.write_all(b"\r\nconnection: close").await?;
        server.write_all(&request[end..]).await?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer).await?;
        Ok(answer)
    }
}

/// One HTTP/1.1 message with a body of known length, or nothing if the connection was not used.
async fn read_message(stream: &mut Box<dyn Stream>) -> std::io::Result<Option<Vec<u8>>> {
    let mut message = Vec::new();
    loop {
        if let Some(end) = find(&message, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&message[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length = length.map_or(0, |text| text.trim().parse().expect("a length"));
            if message.len() >= end + 4 + length {
                return Ok(Some(message));
            }
        }
        if stream.read_buf(&mut message).await? == 0 {
            return Ok(None);
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
