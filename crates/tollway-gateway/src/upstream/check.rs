//! Asks each server now and then whether it is well.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::{CONTENT_TYPE, TE};
use http_body_util::{BodyExt, Full, Limited};
use tokio::task::AbortHandle;

use super::server::Server;
use crate::config::{Check, Question};

/// The longest answer that is read, in bytes.
const LONGEST: usize = 64 * 1024;
/// gRPC's own question (grpc.health.v1), and the path to ask it at.
const GRPC_PATH: &str = "/grpc.health.v1.Health/Check";
/// An empty gRPC message: not compressed, no bytes.
const GRPC_EMPTY: &[u8] = &[0; 5];
/// `status: SERVING` in a gRPC message.
const GRPC_SERVING: &[u8] = &[0, 0, 0, 0, 2, 0x08, 1];

/// The tasks that ask, which end when this is dropped.
#[derive(Debug)]
pub(super) struct Checks(Vec<AbortHandle>);

impl Checks {
    pub(super) fn start(check: &Check, servers: &[Arc<Server>]) -> Self {
        let start = |server: &Arc<Server>| {
            tokio::spawn(ask_on(check.clone(), Arc::clone(server))).abort_handle()
        };
        Self(servers.iter().map(start).collect())
    }
}

impl Drop for Checks {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

async fn ask_on(check: Check, server: Arc<Server>) {
    let mut ticks = tokio::time::interval(check.interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let good = ask(&check.question, check.timeout, &server).await;
        if server.health.checked(good) {
            match good {
                true => tracing::info!(server = server.name(), "a server is well again"),
                false => tracing::warn!(server = server.name(), "a server failed its check"),
            }
        }
    }
}

/// Whether the server gave a good answer in time.
async fn ask(question: &Question, timeout: Duration, server: &Server) -> bool {
    let asked = async {
        let request = match question {
            Question::Get(path) => Request::get(path.as_str()).body(Full::default()),
            Question::Grpc => Request::post(GRPC_PATH)
                .header(CONTENT_TYPE, "application/grpc")
                .header(TE, "trailers")
                .body(Full::new(Bytes::from_static(GRPC_EMPTY))),
        };
        let request = request.expect("a checked path makes a request");
        let answer = server.probe(request).await.ok()?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LONGEST).collect().await.ok()?.to_bytes();
        Some(match question {
            Question::Get(_) => status.is_success() || status.is_redirection(),
            Question::Grpc => status.is_success() && body == GRPC_SERVING,
        })
    };
    tokio::time::timeout(timeout, asked).await.ok().flatten().unwrap_or(false)
}
