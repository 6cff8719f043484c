//! The simulated chain as bitcoind: JSON-RPC over HTTP with a user name and a password, single calls
//! and batches. What each method answers is in [`methods`]; here are login, transport and waiting.

mod answers;
mod methods;
mod params;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use l402::Secret;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::params::{Fault, Params};
use super::Simulated;
use crate::chain::Tip;

/// bitcoind's limit for a request.
const MAX_REQUEST: usize = 32 * 1024 * 1024;

/// Who may call: any port on this machine is open to every user of it.
#[derive(Clone, Debug)]
pub struct RpcLogin {
    /// The user name. No colon, or nobody can log in.
    pub user: String,
    /// The password.
    pub password: Secret<String>,
}

/// A chain's JSON-RPC port. Closes when dropped.
pub struct RpcServer {
    address: SocketAddr,
    login: RpcLogin,
    stop: watch::Sender<bool>,
    task: JoinHandle<io::Result<()>>,
}

#[derive(Debug)]
struct Service {
    chain: Simulated,
    authorization: Secret<String>,
    stopped: watch::Receiver<bool>,
}

impl RpcServer {
    /// Opens the port; `127.0.0.1:0` takes a free one.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn bind(chain: Simulated, address: SocketAddr, login: RpcLogin) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let pair = Secret::new(format!("{}:{}", login.user, login.password.expose()));
        let authorization = Secret::new(format!("Basic {}", BASE64_STANDARD.encode(pair.expose())));
        let (stop, stopped) = watch::channel(false);
        let service = Arc::new(Service { chain, authorization, stopped: stopped.clone() });
        let router = Router::new()
            .fallback(handle)
            .layer(DefaultBodyLimit::max(MAX_REQUEST))
            .with_state(service);
        let listener = listener.tap_io(|stream| {
            // Without it a small answer may wait 40 ms for the acknowledgement of the last one.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "no TCP_NODELAY on an RPC connection");
            }
        });
        let serve = axum::serve(listener, router).with_graceful_shutdown(until_true(stopped));
        let task = tokio::spawn(async move { serve.await });
        Ok(Self { address, login, stop, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Who may call.
    pub fn login(&self) -> &RpcLogin {
        &self.login
    }

    /// The URL with user name and password, as [`Rpc`](crate::chain::Rpc) and others take it.
    pub fn url(&self) -> Secret<String> {
        let encode =
            |text| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC);
        let (user, password) = (encode(&self.login.user), encode(self.login.password.expose()));
        Secret::new(format!("http://{user}:{password}@{}", self.address))
    }

    /// Answers what is under way, and closes.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        if let Ok(Err(error)) = (&mut self.task).await {
            tracing::warn!(%error, "the chain's RPC port failed");
        }
    }
}

impl Drop for RpcServer {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

impl fmt::Debug for RpcServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RpcServer").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Returns when the value is `true` or nobody can set it any more.
async fn until_true(mut flag: watch::Receiver<bool>) {
    let _ = flag.wait_for(|flag| *flag).await;
}

async fn handle(State(service): State<Arc<Service>>, headers: HeaderMap, body: Bytes) -> Response {
    let given = headers.get(header::AUTHORIZATION).map_or(&[][..], |value| value.as_bytes());
    if !bool::from(given.ct_eq(service.authorization.expose().as_bytes())) {
        let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"jsonrpc\"")];
        return (StatusCode::UNAUTHORIZED, ask).into_response();
    }
    let (status, answer) = match serde_json::from_slice(&body) {
        Ok(Value::Array(calls)) => {
            let mut answers = Vec::with_capacity(calls.len());
            for call in &calls {
                answers.push(service.answer(call).await.1);
            }
            (StatusCode::OK, Value::Array(answers))
        }
        Ok(call) => service.answer(&call).await,
        Err(_) => refuse(&Fault::new(Fault::PARSE, "Parse error"), &Value::Null),
    };
    (status, [(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
}

/// An error, with the status bitcoind gives it.
fn refuse(fault: &Fault, id: &Value) -> (StatusCode, Value) {
    let status = match fault.code {
        Fault::METHOD_NOT_FOUND => StatusCode::NOT_FOUND,
        Fault::INVALID_REQUEST => StatusCode::BAD_REQUEST,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let error = json!({ "code": fault.code, "message": fault.message });
    (status, json!({ "result": null, "error": error, "id": id }))
}

impl Service {
    async fn answer(&self, call: &Value) -> (StatusCode, Value) {
        match self.result(call).await {
            Ok(result) => {
                (StatusCode::OK, json!({ "result": result, "error": null, "id": call["id"] }))
            }
            Err(fault) => refuse(&fault, &call["id"]),
        }
    }

    async fn result(&self, call: &Value) -> Result<Value, Fault> {
        let method = call["method"]
            .as_str()
            .ok_or_else(|| Fault::new(Fault::INVALID_REQUEST, "Method must be a string"))?;
        let params = Params::of(call)?;
        tracing::trace!(method, "chain RPC");
        match method {
            "waitfornewblock" => {
                let seen = match params.optional_hash(1)? {
                    Some(hash) => hash,
                    None => self.chain.best().hash,
                };
                self.wait(params.number(0).unwrap_or(0), |tip| tip.hash != seen).await
            }
            "waitforblockheight" => {
                let height = params.height(0)?;
                self.wait(params.number(1).unwrap_or(0), |tip| tip.height >= height).await
            }
            _ => methods::answer(&self.chain, method, &params),
        }
    }

    /// Waits for the tip to be such, or that many milliseconds (0: for ever); gives the tip.
    async fn wait(&self, millis: u64, until: impl FnMut(&Tip) -> bool) -> Result<Value, Fault> {
        let patience = match millis {
            0 => Duration::MAX,
            millis => Duration::from_millis(millis),
        };
        let mut tips = self.chain.tips();
        tokio::select! {
            _ = tips.wait_for(until) => {}
            () = until_true(self.stopped.clone()) => {}
            () = tokio::time::sleep(patience) => {}
        }
        let tip = self.chain.best();
        Ok(json!({ "hash": tip.hash, "height": tip.height }))
    }
}
