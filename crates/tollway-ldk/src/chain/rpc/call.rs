//! One JSON-RPC call over HTTP: login, limits, and what can go wrong on the way.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use l402::Secret;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::chain::ChainError;

/// How long an ordinary call may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// A block in hexadecimal is at most 8 MB.
const MAX_ANSWER: usize = 32 * 1024 * 1024;

/// bitcoind's error while it starts.
const WARMING_UP: i64 = -28;

/// The URL of a chain source cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RpcUrlError {
    /// Not a URL.
    #[error("not a URL; write for example http://user:password@127.0.0.1:8332")]
    NotAUrl,
    /// bitcoind speaks HTTP and nothing else.
    #[error("the scheme must be http; put a tunnel in front for another machine")]
    Scheme,
    /// No host, or no port.
    #[error("host and port are needed; write for example http://user:password@127.0.0.1:8332")]
    Address,
    /// No user name or no password.
    #[error(
        "a login is needed: http://127.0.0.1:8332?cookie=file:/home/me/.bitcoin/.cookie, or \
         http://user@127.0.0.1:8332?password=file:/path"
    )]
    Login,
    /// Two logins, or half of one.
    #[error("give one login: `cookie` without a user name, or a user name with `password`")]
    OneLogin,
    /// Not a file.
    #[error("`cookie` and `password` name a file, as file:/path")]
    NotAFile,
    /// A path, or something unknown after it.
    #[error("nothing may follow the port but `cookie` or `password`")]
    Path,
}

/// Who we are to bitcoind.
enum Login {
    /// What is in the URL.
    Fixed(HeaderValue),
    /// `user:password` in a file that bitcoind writes anew at each of its starts.
    Cookie(PathBuf),
    /// A password in a file.
    Password { user: String, path: PathBuf },
}

impl Login {
    fn of(url: &Url) -> Result<Self, RpcUrlError> {
        let decode = |text| percent_encoding::percent_decode_str(text).decode_utf8();
        let user = decode(url.username()).map_err(|_| RpcUrlError::Login)?.into_owned();
        let given: Vec<_> = url.query_pairs().collect();
        match (&given[..], url.password()) {
            ([], Some(password)) => {
                let password = decode(password).map_err(|_| RpcUrlError::Login)?;
                Ok(Self::Fixed(basic(&Secret::new(format!("{user}:{password}")))))
            }
            ([], None) => Err(RpcUrlError::Login),
            ([(name, file)], None) => {
                let path = file.strip_prefix("file:").ok_or(RpcUrlError::NotAFile)?.into();
                match &**name {
                    "cookie" if user.is_empty() => Ok(Self::Cookie(path)),
                    "password" if !user.is_empty() => Ok(Self::Password { user, path }),
                    "cookie" | "password" => Err(RpcUrlError::OneLogin),
                    _ => Err(RpcUrlError::Path),
                }
            }
            _ => Err(RpcUrlError::OneLogin),
        }
    }

    /// Files are read each time: they are small, and change.
    fn authorization(&self, address: &str) -> Result<HeaderValue, ChainError> {
        let read = |path: &Path| {
            let unread = |source| ChainError::NoLogin {
                address: address.to_owned(),
                path: path.to_owned(),
                source,
            };
            std::fs::read_to_string(path).map(Secret::new).map_err(unread)
        };
        Ok(match self {
            Self::Fixed(value) => value.clone(),
            Self::Cookie(path) => basic(&Secret::new(read(path)?.expose().trim_end().to_owned())),
            Self::Password { user, path } => {
                let password = read(path)?;
                basic(&Secret::new(format!("{user}:{}", password.expose().trim_end())))
            }
        })
    }
}

fn basic(pair: &Secret<String>) -> HeaderValue {
    let basic = Secret::new(format!("Basic {}", BASE64_STANDARD.encode(pair.expose())));
    let mut value = HeaderValue::from_str(basic.expose()).expect("base64 is plain ASCII");
    value.set_sensitive(true);
    value
}

/// Where to call, and as whom.
#[derive(Clone)]
pub(super) struct Caller(Arc<Shared>);

struct Shared {
    client: Client<HttpConnector, Full<Bytes>>,
    uri: Uri,
    address: String,
    login: Login,
    next_id: AtomicU64,
}

/// A call that did not give a result.
#[derive(Debug)]
pub(super) enum Failure {
    /// The source answered with an error of its own.
    Refused {
        code: i64,
        message: String,
    },
    Chain(ChainError),
}

#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    result: Value,
    error: Option<AnswerError>,
    id: Value,
}

#[derive(Debug, Deserialize)]
struct AnswerError {
    code: i64,
    message: String,
}

impl Caller {
    pub(super) fn new(url: &str) -> Result<Self, RpcUrlError> {
        let url = Url::parse(url).map_err(|_| RpcUrlError::NotAUrl)?;
        if url.scheme() != "http" {
            return Err(RpcUrlError::Scheme);
        }
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(RpcUrlError::Path);
        }
        let host = url.host_str().ok_or(RpcUrlError::Address)?;
        let port = url.port_or_known_default().ok_or(RpcUrlError::Address)?;
        let address = format!("{host}:{port}");
        let uri = format!("http://{address}/").parse().map_err(|_| RpcUrlError::Address)?;
        let login = Login::of(&url)?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let next_id = AtomicU64::new(0);
        Ok(Self(Arc::new(Shared { client, uri, address, login, next_id })))
    }

    /// Calls a method of which no error is expected.
    pub(super) async fn ask(
        &self,
        method: &'static str,
        params: Value,
    ) -> Result<Value, ChainError> {
        self.call(method, params).await.map_err(|failure| failure.into_error(method))
    }

    pub(super) async fn call(&self, method: &'static str, params: Value) -> Result<Value, Failure> {
        self.call_within(PATIENCE, method, params).await
    }

    pub(super) async fn call_within(
        &self,
        patience: Duration,
        method: &'static str,
        params: Value,
    ) -> Result<Value, Failure> {
        let id = self.0.next_id.fetch_add(1, Ordering::Relaxed);
        let call = json!({ "jsonrpc": "1.0", "id": id, "method": method, "params": params });
        let exchange = tokio::time::timeout(patience, self.exchange(call.to_string()));
        let (status, body) =
            exchange.await.map_err(|error| self.unreachable(error))?.map_err(Failure::Chain)?;
        if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN {
            return Err(ChainError::Unauthorized { address: self.0.address.clone() }.into());
        }
        let unread = |answer| ChainError::Protocol { method, answer };
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|_| unread(format!("HTTP status {status} and no JSON-RPC answer")))?;
        if answer.id != json!(id) {
            return Err(unread("the answer to another call".to_owned()).into());
        }
        match answer.error {
            Some(AnswerError { code: WARMING_UP, message }) => {
                Err(self.unreachable(message).into())
            }
            Some(AnswerError { code, message }) => Err(Failure::Refused { code, message }),
            None => Ok(answer.result),
        }
    }

    async fn exchange(&self, body: String) -> Result<(StatusCode, Bytes), ChainError> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.0.uri)
            .header(AUTHORIZATION, self.0.login.authorization(&self.0.address)?)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(body))
            .expect("every part of the request was checked");
        let response =
            self.0.client.request(request).await.map_err(|error| self.unreachable(error))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await;
        Ok((head.status, body.map_err(|error| self.unreachable(error))?.to_bytes()))
    }

    fn unreachable(
        &self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> ChainError {
        ChainError::Unreachable { address: self.0.address.clone(), source: source.into() }
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Caller").field(&self.0.address).finish()
    }
}

impl Failure {
    /// Where no error was expected, one is a breach of the protocol.
    pub(super) fn into_error(self, method: &'static str) -> ChainError {
        match self {
            Self::Chain(error) => error,
            Self::Refused { code, message } => {
                ChainError::Protocol { method, answer: format!("error {code}: {message}") }
            }
        }
    }
}

impl From<ChainError> for Failure {
    fn from(error: ChainError) -> Self {
        Self::Chain(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { code, message } => write!(f, "error {code}: {message}"),
            Self::Chain(error) => error.fmt(f),
        }
    }
}
