//! HTTP/1.1 to a node. What matters here is to tell a request that was never sent from one whose
//! answer was lost: the first is an order not given, the second a payment that may have been made.

mod pace;
mod tls;
mod unix;
mod web;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use pace::Pace;
pub(crate) use tls::Trust;
pub(crate) use unix::UnixSocket;
pub(crate) use web::Web;

/// How many idle connections are kept.
const MOST_IDLE: usize = 32;
/// How long an idle connection may carry an order. Servers close idle connections after many
/// seconds; an order that crosses with that would look like a payment in doubt.
const FRESH: Duration = Duration::from_secs(2);
/// How long a connection may take to put its last answer away. It is done when that is read, or never.
const TIDY: Duration = Duration::from_millis(50);

type Connection = SendRequest<Full<Bytes>>;

/// A byte stream to a server.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// How a server is reached.
pub(crate) trait Dial: fmt::Debug + Send + Sync {
    /// The longest answer that is read, in bytes.
    const LONGEST_ANSWER: usize;
    /// What goes into the `Host` header.
    fn host(&self) -> &str;
    /// Connects. Nothing of a request is sent before this has succeeded.
    fn dial(&self) -> impl Future<Output = Result<Box<dyn Stream>, NoAnswer>> + Send;
}

/// A server, with the connections to it that are idle.
#[derive(Debug)]
pub(crate) struct Http<D> {
    dial: D,
    idle: Arc<Pool>,
    pace: Arc<Pace>,
}

/// Connections on which nothing is under way.
#[derive(Debug, Default)]
struct Pool(Mutex<Vec<Idle>>);

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
}

/// One request, in the form in which it can be sent twice.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A complete answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
    /// What the server's clock showed, where it says it.
    pub(crate) clock: Option<SystemTime>,
}

impl Answer {
    fn new(head: &response::Parts, body: Bytes) -> Self {
        let date = head.headers.get(header::DATE).and_then(|date| date.to_str().ok());
        let clock = date.and_then(|date| httpdate::parse_http_date(date).ok());
        Self { status: head.status, body, clock }
    }
}

/// An answer that goes on. Dropping it ends its connection.
#[derive(Debug)]
pub(crate) struct Lines {
    pub(crate) status: StatusCode,
    body: Incoming,
    read: BytesMut,
    most: usize,
    _open: Connection,
}

/// There is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// Nothing was sent: no connection could be made.
    #[error("{place}: {source}")]
    NotConnected { place: String, source: io::Error },
    /// Nothing was sent: the server on this machine is another user's.
    #[error("{place} is served by user {owner}, and you are user {own}")]
    Stranger { place: String, owner: u32, own: u32 },
    /// Nothing was sent: the secret would have crossed the network readable by all on the way.
    #[error("{place} is not on this machine and speaks no TLS; use an https URL")]
    Plaintext { place: String },
    /// Nothing was sent: whoever answers does not prove to be the server.
    #[error("{place} shows a certificate that is not trusted: {source}")]
    Impostor { place: String, source: io::Error },
    /// Nothing was sent: the connection broke before.
    #[error("the connection broke before the request was sent")]
    NotSent(#[source] hyper::Error),
    /// The request was sent, in part or whole, and may have been carried out.
    #[error("the connection was lost before the answer came")]
    Lost(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl NoAnswer {
    /// Whether the request may have been carried out.
    pub(crate) fn is_lost(&self) -> bool {
        matches!(self, Self::Lost(_))
    }
}

impl Call {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    pub(crate) fn delete(path: impl Into<String>) -> Self {
        Self { method: Method::DELETE, ..Self::get(path) }
    }

    pub(crate) fn post(path: impl Into<String>, body: &impl serde::Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("these shapes are JSON");
        let json = HeaderValue::from_static("application/json");
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, json)]);
        Self { method: Method::POST, path: path.into(), headers, body: body.into() }
    }

    /// A form, as `application/x-www-form-urlencoded`.
    pub(crate) fn form(path: impl Into<String>, fields: &[(&str, &str)]) -> Self {
        let body =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, form)]);
        Self { method: Method::POST, path: path.into(), headers, body: body.into() }
    }

    pub(crate) fn with(mut self, name: http::HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

impl<D: Dial> Http<D> {
    pub(crate) fn new(dial: D) -> Self {
        Self { dial, idle: Arc::default(), pace: Arc::default() }
    }

    /// Sends a call that may be carried out twice, on an idle connection if there is one. The server
    /// may have closed that one meanwhile, so its loss is followed by a fresh connection.
    pub(crate) async fn ask(&self, call: &Call) -> Result<Answer, NoAnswer> {
        while let Some(idle) = self.idle.take(Duration::MAX).await {
            if let Ok(answer) = self.send(idle, call).await {
                return Ok(answer);
            }
        }
        self.ask_once(call).await
    }

    /// Sends a call once, on a connection of its own, so that [`NoAnswer`] says exactly whether it
    /// can have been carried out.
    pub(crate) async fn ask_once(&self, call: &Call) -> Result<Answer, NoAnswer> {
        let connection = self.connect().await?;
        self.send(connection, call).await
    }

    /// As [`Self::ask_once`], and spares the handshake where a connection was in use a moment ago.
    pub(crate) async fn order(&self, call: &Call) -> Result<Answer, NoAnswer> {
        if let Some(fresh) = self.idle.take(FRESH).await {
            match self.send(fresh, call).await {
                Err(NoAnswer::NotSent(_)) => {}
                ended => return ended,
            }
        }
        self.ask_once(call).await
    }

    /// Sends a call and reads its answer up to the end of the first line that is not empty, where
    /// servers put one JSON value a line and keep the connection open. An answer without one is
    /// given whole.
    pub(crate) async fn first_line(&self, call: &Call) -> Result<Answer, NoAnswer> {
        let mut connection = match self.idle.take(FRESH).await {
            Some(fresh) => fresh,
            None => self.connect().await?,
        };
        let response = match self.head(&mut connection, call).await {
            Err(NoAnswer::NotSent(_)) => {
                connection = self.connect().await?;
                self.head(&mut connection, call).await?
            }
            head => head?,
        };
        let (head, mut body) = response.into_parts();
        let mut read = BytesMut::new();
        let end = loop {
            let Some(frame) = body.frame().await else {
                self.idle.keep(connection);
                break read.len();
            };
            let frame = frame.map_err(|source| NoAnswer::Lost(source.into()))?;
            read.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
            if read.len() > D::LONGEST_ANSWER {
                return Err(NoAnswer::Lost("the answer is longer than any real one".into()));
            }
            if let Some(end) = line_end(&read) {
                // The stream that follows is not waited for, but its end frees the connection.
                let (idle, rest) = (Arc::clone(&self.idle), timeout(FRESH, body.collect()));
                tokio::spawn(async move {
                    if let Ok(Ok(_)) = rest.await {
                        idle.keep(connection);
                    }
                });
                break end;
            }
        };
        read.truncate(end);
        Ok(Answer::new(&head, read.freeze()))
    }

    /// Sends a call on a connection of its own and reads its answer line by line, where servers put one
    /// JSON value a line for as long as they have any.
    pub(crate) async fn lines(&self, call: &Call) -> Result<Lines, NoAnswer> {
        let mut connection = self.connect().await?;
        let (head, body) = self.head(&mut connection, call).await?.into_parts();
        let most = D::LONGEST_ANSWER;
        Ok(Lines { status: head.status, body, read: BytesMut::new(), most, _open: connection })
    }

    async fn connect(&self) -> Result<Connection, NoAnswer> {
        let stream = self.dial.dial().await?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (connection, task) = handshake.map_err(NoAnswer::NotSent)?;
        tokio::spawn(task);
        Ok(connection)
    }

    async fn send(&self, mut connection: Connection, call: &Call) -> Result<Answer, NoAnswer> {
        let (head, body) = self.head(&mut connection, call).await?.into_parts();
        let body = Limited::new(body, D::LONGEST_ANSWER).collect().await.map_err(NoAnswer::Lost)?;
        self.idle.keep(connection);
        Ok(Answer::new(&head, body.to_bytes()))
    }

    async fn head(
        &self,
        connection: &mut Connection,
        call: &Call,
    ) -> Result<Response<Incoming>, NoAnswer> {
        self.pace.keep();
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(&call.path)
            .header(header::HOST, self.dial.host())
            .body(Full::new(call.body.clone()))
            .expect("paths and hosts are checked where they are read");
        request.headers_mut().extend(call.headers.clone());
        let sent = connection.try_send_request(request).await;
        sent.map_err(|mut lost| match lost.take_message() {
            Some(_never_sent) => NoAnswer::NotSent(lost.into_error()),
            None => NoAnswer::Lost(lost.into_error().into()),
        })
    }
}

impl Lines {
    /// The next line that is not empty; none at the end. What a server says without ending the line is
    /// the last one.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, NoAnswer> {
        loop {
            if let Some(end) = line_end(&self.read) {
                return Ok(Some(self.read.split_to(end + 1).freeze()));
            }
            if self.read.len() > self.most {
                return Err(NoAnswer::Lost("the line is longer than any real one".into()));
            }
            match self.body.frame().await {
                Some(frame) => {
                    let frame = frame.map_err(|source| NoAnswer::Lost(source.into()))?;
                    self.read.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
                }
                None if self.read.iter().all(u8::is_ascii_whitespace) => return Ok(None),
                None => return Ok(Some(self.read.split().freeze())),
            }
        }
    }
}

impl Pool {
    /// The one that was used last, if that was within this time.
    async fn take(&self, youth: Duration) -> Option<Connection> {
        loop {
            let Idle { mut connection, since } = self.lock().pop()?;
            // Whoever has read an answer may be here before the connection's own task.
            let is_ready = connection.is_ready()
                || matches!(timeout(TIDY, connection.ready()).await, Ok(Ok(())));
            if is_ready && since.elapsed() <= youth {
                return Some(connection);
            }
        }
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.lock();
        if idle.len() < MOST_IDLE && !connection.is_closed() {
            idle.push(Idle { connection, since: Instant::now() });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.0.lock().expect("no code under this lock can panic")
    }
}

/// Where the first line that is not empty ends.
fn line_end(read: &[u8]) -> Option<usize> {
    let start = read.iter().position(|byte| !byte.is_ascii_whitespace())?;
    read[start..].iter().position(|byte| *byte == b'\n').map(|end| start + end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_is_not_empty_ends_at_its_newline() {
        for (read, end) in [
            (&b""[..], None),
            (b"\n\n", None),
            (b"{\"a\":1}", None),
            (b"{\"a\":1}\n", Some(7)),
            (b"\n{}\n{}\n", Some(3)),
        ] {
            assert_eq!(line_end(read), end, "{read:?}");
        }
    }
}
