//! Upstreams that do what the origin does not: answer with given headers, switch protocols, break.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A server on a port of its own, until it is dropped.
pub(crate) struct Odd {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Odd {
    /// Every request is answered by `answer`, over HTTP/1.1 or HTTP/2.
    pub(crate) async fn answering<F>(answer: F) -> Self
    where
        F: Fn(Request<Incoming>) -> Response<Full<Bytes>> + Clone + Send + Sync + 'static,
    {
        Self::talking(move |stream| {
            let answer = answer.clone();
            async move {
                let service = service_fn(move |request| {
                    let response = answer(request);
                    async { Ok::<_, Infallible>(response) }
                });
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            }
        })
        .await
    }

    /// Every connection is answered with these bytes once a request's head is there, and closed.
    pub(crate) async fn saying(bytes: &'static [u8]) -> Self {
        Self::talking(move |mut stream| async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(bytes).await;
        })
        .await
    }

    /// Agrees to speak `protocol`, and then sends back every byte in capitals.
    pub(crate) async fn switching(protocol: &'static str) -> Self {
        Self::talking(move |mut stream| async move {
            let head = read_head(&mut stream).await;
            let agreed = format!(
                "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: {protocol}\r\n\
                 x-asked: {}\r\n\r\n",
                head.to_ascii_lowercase().contains("upgrade: websocket")
            );
            let _ = stream.write_all(agreed.as_bytes()).await;
            let mut buffer = [0; 1024];
            while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                let _ = stream.write_all(&buffer[..read].to_ascii_uppercase()).await;
            }
        })
        .await
    }

    async fn talking<F, T>(talk: F) -> Self
    where
        F: Fn(TcpStream) -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut talks = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                talks.spawn(talk(stream));
            }
        });
        Self { address, task }
    }

    /// A free service in front of it, with more keys.
    pub(crate) fn service(&self, keys: &str) -> String {
        format!("[[service]]\nname='api'\nauth='off'\nupstream='http://{}'\n{keys}\n", self.address)
    }
}

impl Drop for Odd {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    while !read.windows(4).any(|w| w == b"\r\n\r\n") {
        if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
            break;
        }
    }
    String::from_utf8_lossy(&read).into_owned()
}

/// An address where nobody listens.
pub(crate) async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    listener.local_addr().unwrap()
}
