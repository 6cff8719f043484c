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
use reqwest::ResponseBuilderExt;
use tower::{Service, ServiceExt};
use url::Url;

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
        let asks = speaks_grpc && asks_in_grpc(head.status, &head.headers);
        let status = if asks { StatusCode::PAYMENT_REQUIRED } else { head.status };
        let mut answer = http::Response::builder().status(status).version(head.version).url(url);
        if let Some(headers) = answer.headers_mut() {
            *headers = head.headers;
        }
        Ok(answer.body(RequestBody::wrap(Unshared::new(body)))?.into())
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(http::HeaderValue::as_bytes);
    kind.is_some_and(|kind| kind.starts_with(b"application/grpc"))
}

/// gRPC has no status for it: payment is asked with 200, `grpc-status` 13 (or 2) and a message, in
/// headers that stand for trailers (L402 protocol-specification.md, "gRPC"; aperture
/// `l402/client_interceptor.go`).
fn asks_in_grpc(status: StatusCode, headers: &HeaderMap) -> bool {
    let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let says = value("grpc-message").map(|message| message.replace("%20", " "));
    status == StatusCode::OK
        && matches!(value("grpc-status"), Some("13" | "2"))
        && says.is_some_and(|says| says.to_ascii_lowercase().contains("payment required"))
        && headers.contains_key(WWW_AUTHENTICATE)
}

/// A body that one thread at a time looks at.
struct Unshared<B>(Mutex<Pin<Box<B>>>);

impl<B> Unshared<B> {
    fn new(body: B) -> Self {
        Self(Mutex::new(Box::pin(body)))
    }
}

impl<B> http_body::Body for Unshared<B>
where
    B: http_body::Body<Data = Bytes>,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let body = self.get_mut().0.get_mut().expect("it is never locked");
        body.as_mut().poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().expect("nothing panics under this lock").is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().expect("nothing panics under this lock").size_hint()
    }
}

impl fmt::Debug for dyn Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Way")
    }
}
