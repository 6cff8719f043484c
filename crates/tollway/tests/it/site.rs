//! A free web site with everything in it that a client's flags are about: parts of files, conditions,
//! redirects, cookies, compression, names, and failures that pass.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path as Part, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::BodyExt;
use tokio::net::{TcpListener, UnixListener};

pub(crate) const TEXT: &str = "0123456789abcdefghijklmnopqrstuvwxyz";

/// The site, on a port of its own.
pub(crate) struct Site {
    address: SocketAddr,
    /// How many requests came to `/flaky`.
    asked: Arc<AtomicUsize>,
}

impl Site {
    pub(crate) async fn open() -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = router(Arc::clone(&asked));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, asked }
    }

    /// The same site on a socket.
    pub(crate) fn on_socket(path: &Path) {
        let listener = UnixListener::bind(path).unwrap();
        let router = router(Arc::default());
        tokio::spawn(async move { axum::serve(listener, router).await });
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn router(asked: Arc<AtomicUsize>) -> Router {
    Router::new()
        .route("/echo", any(echo))
        .route("/file", get(file))
        .route("/file/{name}", get(|| async { TEXT }))
        .route(
            "/named",
            get(|| async {
                ([("content-disposition", "attachment; filename=\"../given.txt\"")], TEXT)
            }),
        )
        .route("/gzip", get(gzip))
        .route("/login", get(|| async { ([("set-cookie", "session=hunter2; Path=/")], "hello") }))
        .route("/away", any(|| async { (StatusCode::FOUND, [("location", "/echo")]) }))
        .route(
            "/status/{code}",
            get(|Part(code): Part<u16>| async move { StatusCode::from_u16(code).unwrap() }),
        )
        .route("/flaky/{times}", get(flaky))
        .with_state(asked)
}

/// What came, as JSON.
async fn echo(request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let headers: serde_json::Map<String, serde_json::Value> = head
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    let seen = serde_json::json!({
        "method": head.method.as_str(),
        "target": head.uri.to_string(),
        "headers": headers,
        "body": String::from_utf8_lossy(&body),
    });
    axum::Json(seen).into_response()
}

/// A file that is sent in parts, if it is still the one that is meant.
async fn file(headers: HeaderMap) -> Response {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let etag = [("etag", "\"v1\""), ("last-modified", "Sat, 31 Jan 2026 12:00:00 GMT")];
    if text("if-none-match").is_some_and(|known| known == "\"v1\"") {
        return (StatusCode::NOT_MODIFIED, etag).into_response();
    }
    let is_same = text("if-range").is_none_or(|known| known == "\"v1\"");
    let from = text("range")
        .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    match from.filter(|_| is_same) {
        None => (etag, TEXT).into_response(),
        Some(from) if from >= TEXT.len() => {
            let range = format!("bytes */{}", TEXT.len());
            (StatusCode::RANGE_NOT_SATISFIABLE, [("content-range", range)]).into_response()
        }
        Some(from) => {
            let range = format!("bytes {from}-{}/{}", TEXT.len() - 1, TEXT.len());
            let head = [("content-range", range)];
            (StatusCode::PARTIAL_CONTENT, etag, head, &TEXT[from..]).into_response()
        }
    }
}

async fn gzip(headers: HeaderMap) -> Response {
    let takes =
        headers.get("accept-encoding").is_some_and(|v| v.to_str().unwrap().contains("gzip"));
    if !takes {
        return TEXT.into_response();
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    std::io::Write::write_all(&mut encoder, TEXT.as_bytes()).unwrap();
    let body = Body::from(encoder.finish().unwrap());
    ([("content-encoding", "gzip")], body).into_response()
}

/// Fails so often, and then does not.
async fn flaky(State(asked): State<Arc<AtomicUsize>>, Part(times): Part<usize>) -> Response {
    if asked.fetch_add(1, Ordering::SeqCst) < times {
        return (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "0")]).into_response();
    }
    TEXT.into_response()
}
