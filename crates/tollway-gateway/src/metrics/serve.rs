//! The numbers over HTTP, on a listener of their own: `GET /metrics`, and nothing else.

use std::future::Future;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::net::TcpListener;

use super::text::KIND;
use crate::gateway::Gateway;
use crate::own;

const PATH: &str = "/metrics";

impl Gateway {
    /// Serves [`Gateway::metrics_text`] at `/metrics` until `stop` is ready. Whoever can reach the
    /// listener can read it.
    pub async fn serve_metrics(&self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let gateway = self.clone();
        let answer = move |_, request: Request<Incoming>| {
            let response = answer(&gateway, request.method(), request.uri().path());
            async move { own::whole(response) }
        };
        own::serve(listener, self.patience().header, stop, answer).await;
    }
}

fn answer(gateway: &Gateway, method: &Method, path: &str) -> Response<Bytes> {
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    let (status, kind, text) = match (path, method) {
        (PATH, &Method::GET | &Method::HEAD) => {
            (StatusCode::OK, HeaderValue::from_static(KIND), gateway.metrics_text())
        }
        (PATH, _) => (StatusCode::METHOD_NOT_ALLOWED, plain, "GET is allowed here\n".to_owned()),
        _ => (StatusCode::NOT_FOUND, plain, format!("the numbers are at {PATH}\n")),
    };
    let mut response = Response::new(Bytes::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}
