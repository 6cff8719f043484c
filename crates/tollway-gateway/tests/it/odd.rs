//! Upstreams that do what the origin does not: answer with given headers, switch protocols, break.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::rustls::ServerConfig;

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
        Self::talking(move |stream| converse(stream, answer.clone())).await
    }

    /// Shows each request whole to `see`, and says nothing of use.
    pub(crate) async fn recording<F>(see: F) -> Self
    where
        F: Fn(http::request::Parts, Bytes) + Clone + Send + Sync + 'static,
    {
        Self::talking(move |stream| {
            let see = see.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let see = see.clone();
                async move {
                    let (head, body) = request.into_parts();
                    let body = http_body_util::BodyExt::collect(body).await.unwrap().to_bytes();
                    see(head, body);
                    let answer = Full::new(Bytes::from_static(b"seen"));
                    Ok::<_, Infallible>(Response::new(answer))
                }
            });
            async move {
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            }
        })
        .await
    }

    /// A gRPC server with one answer: a message, or a status that is not 0 and nothing else.
    pub(crate) async fn grpc<F>(answer: F) -> Self
    where
        F: Fn(&http::request::Parts) -> Result<Bytes, u8> + Clone + Send + Sync + 'static,
    {
        Self::talking(move |stream| {
            let answer = answer.clone();
            converse(stream, move |request| {
                let (head, _) = request.into_parts();
                let (message, status) = match answer(&head) {
                    Ok(message) => (message, 0),
                    Err(status) => (Bytes::new(), status),
                };
                let mut trailers = http::HeaderMap::new();
                trailers.insert("grpc-status", u16::from(status).into());
                let trailers = async move { Some(Ok(trailers)) };
                let body = http_body_util::BodyExt::with_trailers(Full::new(message), trailers);
                let response = Response::builder().header("content-type", "application/grpc");
                response.body(body).unwrap()
            })
        })
        .await
    }

    /// A gRPC server that sends every request's body back as it comes, and says in `x-asked` what it was
    /// called and whether its sender takes trailers.
    pub(crate) async fn grpc_mirror() -> Self {
        Self::talking(|stream| {
            converse(stream, |request: Request<Incoming>| {
                let headers = request.headers();
                let text = |name| headers.get(name).map_or("-", |value| value.to_str().unwrap());
                let asked = format!("{} {}", text("content-type"), text("te"));
                let mut trailers = http::HeaderMap::new();
                trailers.insert("grpc-status", 0.into());
                let trailers = async move { Some(Ok(trailers)) };
                let body = http_body_util::BodyExt::with_trailers(request.into_body(), trailers);
                let response = Response::builder().header("content-type", "application/grpc+proto");
                response.header("x-asked", asked).body(body).unwrap()
            })
        })
        .await
    }

    /// Says `ok` to everything, and counts the connections it is opened.
    pub(crate) async fn counting() -> (Self, Arc<AtomicUsize>) {
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        let odd = Self::talking(move |stream| {
            counter.fetch_add(1, Ordering::SeqCst);
            converse(stream, |_| Response::new(Full::from("ok")))
        });
        (odd.await, connections)
    }

    /// Speaks TLS with this certificate, and says `ok` to everything.
    pub(crate) async fn secure(tls: Arc<ServerConfig>) -> Self {
        Self::talking(move |stream| {
            let acceptor = tokio_rustls::TlsAcceptor::from(Arc::clone(&tls));
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    converse(stream, |_| Response::new(Full::from("ok"))).await;
                }
            }
        })
        .await
    }

    /// Takes connections and says nothing at all.
    pub(crate) async fn mute() -> Self {
        Self::talking(|mut stream| async move {
            let mut ignored = Vec::new();
            let _ = stream.read_to_end(&mut ignored).await;
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

    /// Takes each request and breaks off; counts the requests, and the connections it is opened.
    pub(crate) async fn breaking(requests: Arc<AtomicUsize>) -> (Self, Arc<AtomicUsize>) {
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        let odd = Self::talking(move |mut stream| {
            counter.fetch_add(1, Ordering::SeqCst);
            let requests = Arc::clone(&requests);
            async move {
                read_head(&mut stream).await;
                requests.fetch_add(1, Ordering::SeqCst);
            }
        });
        (odd.await, connections)
    }

    /// Answers on a Unix socket.
    pub(crate) fn on_socket<F>(path: &std::path::Path, answer: F) -> Self
    where
        F: Fn(Request<Incoming>) -> Response<Full<Bytes>> + Clone + Send + Sync + 'static,
    {
        let listener = tokio::net::UnixListener::bind(path).unwrap();
        let task = tokio::spawn(async move {
            let mut talks = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                talks.spawn(converse(stream, answer.clone()));
            }
        });
        Self { address: SocketAddr::from(([0, 0, 0, 0], 0)), task }
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

async fn converse<S, F, B>(stream: S, answer: F)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request<Incoming>) -> Response<B>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: std::error::Error + Send + Sync,
{
    let service = service_fn(|request| {
        let response = answer(request);
        async { Ok::<_, Infallible>(response) }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
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
