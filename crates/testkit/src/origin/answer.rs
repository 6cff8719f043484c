//! What the origin answers to each path.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde_json::json;
use tokio::sync::mpsc;

use super::{Received, Shared};

type Answer = Response<UnsyncBoxBody<Bytes, io::Error>>;

/// Records the request and answers it. An error closes the connection without an answer.
pub(super) async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> io::Result<Answer> {
    let (head, body) = request.into_parts();
    let mut received = Received {
        method: head.method,
        uri: head.uri,
        version: head.version,
        headers: head.headers,
        body: Bytes::new(),
    };
    if received.uri.path() == "/mirror" {
        shared.record(received);
        return Ok(Response::new(body.map_err(io::Error::other).boxed_unsync()));
    }
    received.body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    shared.record(received.clone());
    match received.uri.path() {
        "/echo" => Ok(echo(&received)),
        "/stream" => Ok(stream(shared)),
        "/drip" => Ok(drip(shared)),
        "/slow" => {
            let mut released = shared.released.subscribe();
            released.wait_for(|released| *released).await.map_err(io::Error::other)?;
            Ok(text("slow but sure\n"))
        }
        "/fail" => Err(io::Error::other("told to fail")),
        "/broken" => Ok(broken()),
        "/trailers" => Ok(trailers()),
        path => match path.strip_prefix("/status/").and_then(|code| code.parse().ok()) {
            Some(status) => Ok(with_status(status)),
            None => Ok(text(&format!("origin: {} {path}\n", received.method))),
        },
    }
}

fn text(text: &str) -> Answer {
    let mut answer = Response::new(whole(text));
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain"));
    answer
}

fn with_status(status: StatusCode) -> Answer {
    let mut answer = text(&format!("{status}\n"));
    *answer.status_mut() = status;
    answer
}

/// The headers are a list of pairs: a repeated one is seen twice.
fn echo(request: &Received) -> Answer {
    let lossy = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let headers: Vec<_> = request
        .headers
        .iter()
        .map(|(name, value)| json!([name.as_str(), lossy(value.as_bytes())]))
        .collect();
    let seen = json!({
        "method": request.method.as_str(),
        "path": request.uri.path_and_query().map(ToString::to_string),
        "headers": headers,
        "body": lossy(&request.body),
    });
    let mut answer = Response::new(whole(&seen.to_string()));
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    answer
}

fn stream(shared: Arc<Shared>) -> Answer {
    let (frames, body) = fed(&shared);
    tokio::spawn(async move {
        let chunk = Bytes::from_static(&[b'~'; 16 * 1024]);
        while frames.send(Ok(Frame::data(chunk.clone()))).await.is_ok() {}
    });
    Response::new(body)
}

fn drip(shared: Arc<Shared>) -> Answer {
    let (frames, body) = fed(&shared);
    tokio::spawn(async move {
        let mut drips = shared.drips.subscribe();
        for sent in 0.. {
            let more = drips.wait_for(|drips| drips.allowed > sent || drips.ended);
            let more = tokio::select! {
                more = more => more.is_ok_and(|drips| drips.allowed > sent),
                () = frames.closed() => false,
            };
            let chunk = Bytes::from(format!("drip {sent}\n"));
            if !more || frames.send(Ok(Frame::data(chunk))).await.is_err() {
                return;
            }
        }
    });
    Response::new(body)
}

fn broken() -> Answer {
    let mut answer = Response::new(Broken::Half.boxed_unsync());
    answer.headers_mut().insert(header::CONTENT_LENGTH, header::HeaderValue::from(1000));
    answer
}

fn trailers() -> Answer {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", header::HeaderValue::from_static("42"));
    let body = Full::new(Bytes::from_static(b"with trailers\n"))
        .with_trailers(async move { Some(Ok(trailers)) })
        .map_err(|never| match never {});
    let mut answer = Response::new(body.boxed_unsync());
    answer.headers_mut().insert(header::TRAILER, header::HeaderValue::from_static("x-checksum"));
    answer
}

fn whole(text: &str) -> UnsyncBoxBody<Bytes, io::Error> {
    Full::new(Bytes::copy_from_slice(text.as_bytes()))
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// A body that is written while it is read, one frame ahead at most.
fn fed(
    shared: &Arc<Shared>,
) -> (mpsc::Sender<io::Result<Frame<Bytes>>>, UnsyncBoxBody<Bytes, io::Error>) {
    let (sender, frames) = mpsc::channel(1);
    shared.open_bodies.send_modify(|open| *open += 1);
    (sender, Fed { frames, shared: Arc::clone(shared) }.boxed_unsync())
}

struct Fed {
    frames: mpsc::Receiver<io::Result<Frame<Bytes>>>,
    shared: Arc<Shared>,
}

impl Body for Fed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.frames.poll_recv(context)
    }
}

impl Drop for Fed {
    fn drop(&mut self) {
        self.shared.open_bodies.send_modify(|open| *open -= 1);
    }
}

/// Half of a body, and then an error.
enum Broken {
    Half,
    /// Nothing yet: the server writes out what it has when a body keeps it waiting.
    Flush,
    Error,
}

impl Body for Broken {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match *self {
            Self::Half => {
                *self = Self::Flush;
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 500])))))
            }
            Self::Flush => {
                *self = Self::Error;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Self::Error => Poll::Ready(Some(Err(io::Error::other("told to break")))),
        }
    }
}
