//! Another way to the server than the client's own: a tower service, or whatever a middleware stands
//! in front of. The conversation is the same, and so are its books.

use std::fmt;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use reqwest::ResponseBuilderExt;
use tower::{Service, ServiceExt};
use url::Url;

const GRPC_STATUS: &str = "grpc-status";

/// The body of a request that a given service is called with.
pub type RequestBody = reqwest::Body;
/// The body of a response, as it arrives.
pub type ResponseBody = reqwest::Body;

pub(crate) type Source = Box<dyn std::error::Error + Send + Sync>;

/// Sends one request, once, and follows no redirect.
#[async_trait]
pub(crate) trait Way: Send + Sync {
    async fn send(&self, request: http::Request<RequestBody>) -> Result<reqwest::Response, Source>;
}

/// A tower service.
pub(crate) struct Given<S>(Mutex<S>);

impl<S> Given<S> {
    pub(crate) fn new(service: S) -> Self {
        Self(Mutex::new(service))
    }
}

#[async_trait]
impl<S, B> Way for Given<S>
where
    S: Service<http::Request<RequestBody>, Response = http::Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Source>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Source>,
{
    async fn send(&self, request: http::Request<RequestBody>) -> Result<reqwest::Response, Source> {
        let url: Url = request.uri().to_string().parse()?;
        let speaks_grpc = is_grpc(request.headers());
        let service = self.0.lock().expect("nothing panics under this lock").clone();
        let (head, body) = service.oneshot(request).await.map_err(Into::into)?.into_parts();
        let mut body = Unshared::new(body);
        let may_ask = speaks_grpc
            && head.status == StatusCode::OK
            && head.headers.contains_key(WWW_AUTHENTICATE);
        let asks = may_ask
            && match head.headers.contains_key(GRPC_STATUS) {
                true => asks_in_grpc(&head.headers),
                // Nothing is for sale behind a body that has begun.
                false => body.trailers_first().await.is_some_and(asks_in_grpc),
            };
        let status = if asks { StatusCode::PAYMENT_REQUIRED } else { head.status };
        let mut answer = http::Response::builder().status(status).version(head.version).url(url);
        if let Some(headers) = answer.headers_mut() {
            *headers = head.headers;
        }
        Ok(answer.body(RequestBody::wrap(body))?.into())
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(http::HeaderValue::as_bytes);
    kind.is_some_and(|kind| kind.starts_with(b"application/grpc"))
}

/// gRPC has no status for it: payment is asked with 200 and the challenge in headers, `grpc-status` 13
/// (or 2) and a message in the trailers, or in headers that stand for them (L402
/// protocol-specification.md, "gRPC"; aperture `l402/client_interceptor.go`).
fn asks_in_grpc(trailers: &HeaderMap) -> bool {
    let value = |name: &str| trailers.get(name).and_then(|value| value.to_str().ok());
    let says = value("grpc-message").map(|message| message.replace("%20", " "));
    matches!(value(GRPC_STATUS), Some("13" | "2"))
        && says.is_some_and(|says| says.to_ascii_lowercase().contains("payment required"))
}

/// A body that one thread at a time looks at.
struct Unshared<B>(Mutex<Looked<B>>);

/// A body, and the frame of it that was looked at.
struct Looked<B> {
    first: Option<Result<Frame<Bytes>, Source>>,
    body: Pin<Box<B>>,
}

impl<B> Unshared<B>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Source>,
{
    fn new(body: B) -> Self {
        Self(Mutex::new(Looked { first: None, body: Box::pin(body) }))
    }

    /// The trailers, where nothing stands before them.
    async fn trailers_first(&mut self) -> Option<&HeaderMap> {
        let looked = self.0.get_mut().expect("it is never locked");
        loop {
            let frame = looked.body.frame().await?.map_err(Into::into);
            let data = frame.as_ref().ok().and_then(Frame::data_ref);
            if !data.is_some_and(Bytes::is_empty) {
                // An error, too, is for whoever reads the body.
                return looked.first.insert(frame).as_ref().ok()?.trailers_ref();
            }
        }
    }
}

impl<B> http_body::Body for Unshared<B>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Source>,
{
    type Data = Bytes;
    type Error = Source;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Source>>> {
        let looked = self.get_mut().0.get_mut().expect("it is never locked");
        match looked.first.take() {
            Some(frame) => Poll::Ready(Some(frame)),
            None => looked.body.as_mut().poll_frame(context).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        let looked = self.0.lock().expect("nothing panics under this lock");
        looked.first.is_none() && looked.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let looked = self.0.lock().expect("nothing panics under this lock");
        let first = looked.first.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
        let first = first.map_or(0, Bytes::len);
        let first = u64::try_from(first).expect("it is in memory");
        let mut hint = looked.body.size_hint();
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(first));
        }
        hint.set_lower(hint.lower().saturating_add(first));
        hint
    }
}

impl fmt::Debug for dyn Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Way")
    }
}
