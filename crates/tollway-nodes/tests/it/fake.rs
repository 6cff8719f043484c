//! An HTTP server that says whatever a test tells it to, byte by byte if need be, in the clear or by
//! TLS, and remembers what it was asked.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What is said to one request.
#[derive(Clone, Debug)]
pub(crate) enum Say {
    /// JSON with this status.
    Json(u16, String),
    /// JSON in an answer that goes on afterwards, as a stream of messages does.
    Stream(String),
    /// These bytes, and then the end of the connection.
    Bytes(String),
    /// The end of the connection.
    HangUp,
    /// Nothing, for ever.
    Nothing,
}

/// One request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

type Saying = Pin<Box<dyn Future<Output = Say> + Send>>;
type Script = Arc<dyn Fn(Asked) -> Saying + Send + Sync>;

pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    connections: Arc<AtomicUsize>,
    folder: TempDir,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    /// Speaks HTTP in the clear.
    pub(crate) async fn plain<F, S>(script: F) -> Self
    where
        F: Fn(Asked) -> S + Send + Sync + 'static,
        S: Future<Output = Say> + Send + 'static,
    {
        Self::start(Arc::new(move |asked| Box::pin(script(asked)) as Saying), None).await
    }

    /// Speaks HTTP over TLS, with a certificate of its own making.
    pub(crate) async fn tls<F, S>(script: F) -> Self
    where
        F: Fn(Asked) -> S + Send + Sync + 'static,
        S: Future<Output = Say> + Send + 'static,
    {
        let made = rcgen::generate_simple_self_signed(["node.example".to_owned()]).unwrap();
        Self::start(Arc::new(move |asked| Box::pin(script(asked)) as Saying), Some(made)).await
    }

    async fn start(script: Script, made: Option<rcgen::CertifiedKey<rcgen::KeyPair>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tls = made.map(|made| {
            std::fs::write(folder.path().join("cert"), made.cert.pem()).unwrap();
            let key = made.signing_key.serialize_der().try_into().unwrap();
            let ring = Arc::new(rustls::crypto::ring::default_provider());
            let server = rustls::ServerConfig::builder_with_provider(ring)
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![made.cert.der().clone()], key);
            TlsAcceptor::from(Arc::new(server.unwrap()))
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let (book, count) = (Arc::clone(&asked), Arc::clone(&connections));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Relaxed);
                let (tls, script, book) = (tls.clone(), Arc::clone(&script), Arc::clone(&book));
                tokio::spawn(async move {
                    match tls {
                        None => talk(stream, script, book).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                talk(stream, script, book).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, asked, connections, folder, task }
    }

    pub(crate) fn cert(&self) -> PathBuf {
        self.folder.path().join("cert")
    }

    /// Keeps a secret in a file of its folder.
    pub(crate) fn keep(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        format!("file:{}", path.display())
    }

    /// How many connections were made to it.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Relaxed)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn talk<S>(mut stream: S, script: Script, book: Arc<Mutex<Vec<Asked>>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(asked) = read(&mut stream).await {
        book.lock().unwrap().push(asked.clone());
        let head = |status: u16, length: &str| {
            format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{length}\r\n\r\n")
        };
        // Whoever has read enough may hang up.
        let (bytes, goes_on) = match script(asked).await {
            Say::Json(status, body) => {
                (head(status, &format!("content-length: {}", body.len())) + &body, true)
            }
            Say::Stream(line) => {
                let chunk = format!("{:x}\r\n{line}\n\r\n", line.len() + 1);
                let _ = stream
                    .write_all((head(200, "transfer-encoding: chunked") + &chunk).as_bytes())
                    .await;
                let _ = stream.flush().await;
                std::future::pending().await
            }
            Say::Bytes(bytes) => (bytes, false),
            Say::HangUp => return,
            Say::Nothing => std::future::pending().await,
        };
        if stream.write_all(bytes.as_bytes()).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        if !goes_on {
            let _ = stream.shutdown().await;
            return;
        }
    }
}

/// The next request, or nothing at the end of the connection.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Asked> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).unwrap();
    let mut lines = text.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = bytes.split_off(head + 4);
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Asked { method, path, headers, body: String::from_utf8(body).unwrap() })
}
