//! One request of a program: asked and paid for on its behalf, or passed on unread.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, PROXY_AUTHENTICATE, TRAILER};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tempfile::NamedTempFile;
use tokio::net::TcpStream;
use tollway_client::{Body, HttpError, Payment};
use tollway_gateway::strip_one_hop;
use url::Url;

use super::PayProxy;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fetch::talk;
use crate::terminal::escape_json;

/// What goes back.
type Outgoing = UnsyncBoxBody<Bytes, HttpError>;

/// The longest body that is sent on, in bytes; it may have to be sent twice, so it is kept first.
const LONGEST: u64 = 1 << 30;
/// From which length on it is kept in a file.
const IN_MEMORY: usize = 1 << 20;
/// How long a connection that is passed on may take to be made.
const CONNECTING: Duration = Duration::from_secs(30);

impl PayProxy {
    /// Answers one request.
    pub(super) async fn ask(self: Arc<Self>, request: Request<Incoming>) -> Response<Outgoing> {
        if !self.is_known(request.headers()) {
            let mut response = plain(
                StatusCode::PROXY_AUTHENTICATION_REQUIRED,
                "this proxy spends its owner's money: give its name and password\n",
            );
            let basic = HeaderValue::from_static("Basic realm=\"tollway\"");
            response.headers_mut().insert(PROXY_AUTHENTICATE, basic);
            return response;
        }
        if request.method() == Method::CONNECT {
            return self.connect(request);
        }
        // A page in a browser can make it send `GET /` here, and nothing with a whole URL.
        match Url::parse(&request.uri().to_string()) {
            Ok(url) if url.scheme() == "http" => self.pay(request, url).await,
            _ => plain(StatusCode::BAD_REQUEST, "this is a proxy: ask it for a whole http URL\n"),
        }
    }

    /// Opens the connection where that was agreed to, and passes it on unread where not.
    fn connect(self: Arc<Self>, request: Request<Incoming>) -> Response<Outgoing> {
        let Some(authority) = request.uri().authority().cloned() else {
            return plain(StatusCode::BAD_REQUEST, "CONNECT names a host and a port\n");
        };
        let (host, port) = (authority.host().to_owned(), authority.port_u16().unwrap_or(443));
        tokio::spawn(async move {
            let Ok(upgraded) = hyper::upgrade::on(request).await else { return };
            let mut stream = TokioIo::new(upgraded);
            let tls = self.authority.as_ref().and_then(|authority| authority.config_for(&host));
            if let Some(config) = tls {
                let accepted = tokio_rustls::TlsAcceptor::from(config).accept(stream).await;
                match accepted {
                    Ok(stream) => self.inside(TokioIo::new(stream), host, port).await,
                    Err(error) => tracing::warn!(%host, %error, "does the program trust ca.pem?"),
                }
                return;
            }
            let to = host.trim_start_matches('[').trim_end_matches(']').to_owned();
            let connecting = tokio::time::timeout(CONNECTING, TcpStream::connect((to, port)));
            match connecting.await {
                Ok(Ok(mut server)) => {
                    let passed = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
                    tracing::debug!(%host, ?passed, "a connection was passed on unread");
                }
                failed => tracing::warn!(%host, ?failed, "cannot connect"),
            }
        });
        Response::new(empty())
    }

    /// What is within a connection that was opened.
    async fn inside<S>(self: Arc<Self>, stream: TokioIo<S>, host: String, port: u16)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let service = service_fn(move |request: Request<Incoming>| {
            let proxy = Arc::clone(&self);
            let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
            let url = Url::parse(&format!("https://{host}:{port}{target}"));
            async move {
                Ok::<_, std::convert::Infallible>(match url {
                    Ok(url) => proxy.pay(request, url).await,
                    Err(_) => plain(StatusCode::BAD_REQUEST, "the target is no path\n"),
                })
            }
        });
        if let Err(error) = http1::Builder::new().serve_connection(stream, service).await {
            tracing::debug!(%error, "a connection broke");
        }
    }

    /// Asks, and pays if that is wanted and allowed.
    async fn pay(&self, request: Request<Incoming>, url: Url) -> Response<Outgoing> {
        let (mut head, body) = request.into_parts();
        let (body, _kept) = match keep(body).await {
            Ok(kept) => kept,
            Err(problem) => return plain(StatusCode::PAYLOAD_TOO_LARGE, problem),
        };
        strip_one_hop(&mut head.headers);
        [HOST, CONTENT_LENGTH, TRAILER].iter().for_each(|name| drop(head.headers.remove(name)));
        let request = match tollway_client::Request::new(head.method, url) {
            Ok(request) => request.headers(head.headers).body(body),
            Err(error) => return failed(&Failure::Fetch(Box::new(error.into()))),
        };
        match self.client.fetch(&request).await {
            Ok(response) => {
                if let Some(line) = talk::sum_up(response.payment()) {
                    self.shell.say(&line);
                }
                hand_on(response)
            }
            Err(error) => {
                let failure = Failure::Fetch(Box::new(error));
                self.shell.report(&failure, Exit::of(&failure));
                failed(&failure)
            }
        }
    }
}

/// The server's answer, piece by piece, with what was paid in a header of its own.
fn hand_on(response: tollway_client::Response) -> Response<Outgoing> {
    let mut headers = response.headers().clone();
    strip_one_hop(&mut headers);
    // Only its body is handed on.
    headers.remove(TRAILER);
    if let Some(value) = payment(response.payment()) {
        headers.insert(HeaderName::from_static("tollway-payment"), value);
    }
    let status = response.status();
    let pieces = stream::unfold(Some(response), |response| async move {
        let mut response = response?;
        match response.chunk().await {
            Ok(Some(piece)) => Some((Ok(Frame::data(piece)), Some(response))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    });
    let mut answer = Response::new(StreamBody::new(pieces).boxed_unsync());
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    answer
}

fn payment(payment: &Payment) -> Option<HeaderValue> {
    let by = match payment {
        Payment::None => return None,
        Payment::Bought(_) => "bought",
        Payment::Token(_) => "token",
        Payment::Recovered(_) => "recovered",
    };
    let receipt = payment.receipt()?;
    let (amount, fee, hash) = (receipt.amount.msat(), receipt.fee.msat(), receipt.hash);
    let text = format!("{by}; amount_msat={amount}; fee_msat={fee}; payment_hash={hash}");
    HeaderValue::try_from(text).ok()
}

/// A failure as an answer: whose fault it is in the status, everything else in JSON.
fn failed(failure: &Failure) -> Response<Outgoing> {
    let exit = Exit::of(failure);
    let status = match exit {
        Exit::Usage => StatusCode::BAD_REQUEST,
        Exit::Network => StatusCode::BAD_GATEWAY,
        Exit::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        // It is being found out; asking again is the way to learn it.
        Exit::MayHavePaid | Exit::General => StatusCode::SERVICE_UNAVAILABLE,
        Exit::OverLimit | Exit::NotTried | Exit::NotPaid | Exit::NotTrusted => {
            StatusCode::PAYMENT_REQUIRED
        }
        Exit::Ok | Exit::Refused | Exit::RateLimited | Exit::WouldPay | Exit::HttpStatus => {
            StatusCode::BAD_GATEWAY
        }
    };
    let text = escape_json(&serde_json::json!({ "error": failure.json(exit) }));
    let mut answer = Response::new(full(text + "\n"));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let kind = HeaderValue::from_static(failure.kind());
    answer.headers_mut().insert(HeaderName::from_static("tollway-error"), kind);
    answer
}

/// Keeps a body so that it can be sent twice.
async fn keep(mut body: Incoming) -> Result<(Body, Option<NamedTempFile>), &'static str> {
    let broken = "the request's body broke off\n";
    let full = "the request's body cannot be kept\n";
    let mut memory = Vec::new();
    let mut file: Option<NamedTempFile> = None;
    let mut length = 0u64;
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|_| broken)?.into_data() else { continue };
        length += piece.len() as u64;
        if length > LONGEST {
            return Err("the request's body is longer than is sent on\n");
        }
        match &mut file {
            Some(file) => file.write_all(&piece).map_err(|_| full)?,
            None => memory.extend_from_slice(&piece),
        }
        if file.is_none() && memory.len() > IN_MEMORY {
            let mut new = NamedTempFile::new().map_err(|_| full)?;
            new.write_all(&memory).map_err(|_| full)?;
            memory = Vec::new();
            file = Some(new);
        }
    }
    Ok(match file {
        Some(file) => (Body::file(file.path()), Some(file)),
        None if memory.is_empty() => (Body::default(), None),
        None => (Bytes::from(memory).into(), None),
    })
}

fn plain(status: StatusCode, text: &'static str) -> Response<Outgoing> {
    let mut response = Response::new(full(text.to_owned()));
    *response.status_mut() = status;
    response
}

fn full(text: String) -> Outgoing {
    Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync()
}

fn empty() -> Outgoing {
    full(String::new())
}
