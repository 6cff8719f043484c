//! A purse that serves, and the smallest client that can speak to it.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use l402::{Invoice, Invoicer as _, Msat, Node};
use serde_json::{Value, json};
use testkit::FakeNode;
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tollway_purse::{Purse, Stopped};

pub(crate) struct Running {
    path: PathBuf,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Stopped>,
    _folder: tempfile::TempDir,
}

impl Running {
    /// Serves `node`, with all the time it can need to stop.
    pub(crate) async fn start(node: Node) -> Self {
        Self::start_with_grace(node, Duration::from_secs(60)).await
    }

    pub(crate) async fn start_with_grace(node: Node, grace: Duration) -> Self {
        let folder = private_folder();
        let path = folder.path().join("purse.sock");
        let purse = Purse::bind(&path, node).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let stopped = async move { stopped.await.unwrap() };
        let served = tokio::spawn(purse.serve(stopped, grace));
        Self { path, stop, served, _folder: folder }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        call(&self.path, Request::get(path).body(Full::default()).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        post(&self.path, path, body).await
    }

    pub(crate) async fn post_text(&self, path: &str, body: String) -> (StatusCode, Value) {
        call(&self.path, Request::post(path).body(Full::from(body)).unwrap()).await
    }

    /// Orders a payment, and says how it ended.
    pub(crate) async fn pay(&self, invoice: &Invoice, patience_ms: u64) -> Value {
        let (status, ended) = self.post("/v1/pay", &pay_request(invoice, patience_ms)).await;
        assert_eq!(status, StatusCode::OK, "{ended}");
        ended
    }

    pub(crate) async fn held(&self) -> (u64, u64) {
        let (_, info) = self.get("/v1/info").await;
        (info["holds"].as_u64().unwrap(), info["held_msat"].as_u64().unwrap())
    }

    /// Asks it to stop, without waiting for it.
    pub(crate) fn stop(self) -> JoinHandle<Stopped> {
        self.stop.send(()).unwrap();
        self.served
    }
}

/// A temporary folder that nobody else can enter.
pub(crate) fn private_folder() -> tempfile::TempDir {
    let private = Permissions::from_mode(0o700);
    tempfile::Builder::new().permissions(private).tempdir().unwrap()
}

pub(crate) async fn post(socket: &Path, path: &str, body: &Value) -> (StatusCode, Value) {
    call(socket, Request::post(path).body(Full::from(body.to_string())).unwrap()).await
}

pub(crate) fn pay_request(invoice: &Invoice, patience_ms: u64) -> Value {
    json!({ "invoice": invoice.to_string(), "max_fee_msat": 1000, "patience_ms": patience_ms })
}

pub(crate) async fn invoice(seller: &FakeNode) -> Invoice {
    let amount = Msat::from_sat(10).unwrap();
    seller.invoice(amount, "test", Duration::from_secs(600)).await.unwrap()
}

async fn call(socket: &Path, request: Request<Full<Bytes>>) -> (StatusCode, Value) {
    let stream = UnixStream::connect(socket).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let response = sender.send_request(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (head.status, serde_json::from_slice(&body).expect("every answer is JSON"))
}
