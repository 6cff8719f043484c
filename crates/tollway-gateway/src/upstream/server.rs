//! One server of an upstream: a pool of connections to it, and what is known of its health.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderValue, TE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, Uri, Version};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower::ServiceExt;

use super::error::{CertificatesError, UpstreamError};
use super::health::Health;
use super::stream::Connector;
use super::tls;
use crate::config::{self, Address, Protocol};
use crate::gate::Permit;
use crate::grpc_web::NotBase64;
use crate::headers;
use crate::upload::{Stopped, Upload};
use crate::workers::PerWorker;

/// How long a connection may lie idle before it is closed. Shorter than most servers' own limit, so
/// that we do not write into one that is being closed.
const IDLE: Duration = Duration::from_secs(30);

/// What goes out: a client's body, or a short one of our own.
pub(super) type Outgoing = Either<Upload, Full<Bytes>>;

#[derive(Debug)]
pub(super) struct Server {
    /// What it was opened from.
    config: config::Server,
    name: String,
    /// Each thread keeps its own connections.
    clients: PerWorker<Client<Connector, Outgoing>>,
    connector: Connector,
    scheme: Scheme,
    authority: Authority,
    /// What stands before each request's path; without a slash at its end.
    base: String,
    pub(super) h2: bool,
    answer_timeout: Duration,
    pub(super) health: Arc<Health>,
}

impl Server {
    /// Gets ready to connect. Nothing is connected before the first request.
    pub(super) fn open(
        server: &config::Server,
        config: &config::Upstream,
        health: Arc<Health>,
    ) -> Result<Self, CertificatesError> {
        let patience = config.connect_timeout;
        let connector = match &server.address {
            Address::Url(_) => {
                let tls = tls::trusting(config.ca.as_deref())?;
                Connector::tcp(tls, server.protocol, patience)
            }
            Address::Unix(path) => Connector::unix(path, patience),
        };
        let h2 = server.protocol == Some(Protocol::H2);
        let reaching = connector.clone();
        let clients = PerWorker::new(|| {
            Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLE)
                .timer(TokioTimer::new())
                .http2_keep_alive_interval(IDLE)
                .http2_only(h2)
                .build(connector.clone())
        });
        let (scheme, authority, base) = match &server.address {
            Address::Unix(_) => (Scheme::HTTP, "localhost".to_owned(), String::new()),
            Address::Url(url) => {
                let host = url.host_str().unwrap_or_default();
                let authority = match url.port() {
                    Some(port) => format!("{host}:{port}"),
                    None => host.to_owned(),
                };
                let secure = url.scheme() == "https";
                let scheme = if secure { Scheme::HTTPS } else { Scheme::HTTP };
                (scheme, authority, url.path().trim_end_matches('/').to_owned())
            }
        };
        let name = match &server.address {
            Address::Unix(path) => format!("unix:{}", path.display()),
            Address::Url(_) => format!("{authority}{base}"),
        };
        Ok(Self {
            config: server.clone(),
            name,
            clients,
            connector: reaching,
            scheme,
            authority: authority.parse().expect("a URL's host and port are an authority"),
            base,
            h2,
            answer_timeout: config.answer_timeout,
            health,
        })
    }

    /// Where it is, for those who look after it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it was opened from that.
    pub(super) fn is(&self, config: &config::Server) -> bool {
        self.config == *config
    }

    /// Sends a request and waits for the head of the answer. See [`super::Upstream::send`].
    pub(super) async fn send(
        &self,
        mut request: Request<Upload>,
        host: Option<HeaderValue>,
        takes_trailers: bool,
        _permit: &Permit,
    ) -> Result<Response<Incoming>, UpstreamError> {
        *request.uri_mut() = self.uri(request.uri().path_and_query());
        *request.version_mut() = Version::HTTP_11;
        let fields = request.headers_mut();
        if self.h2 {
            fields.remove(HOST);
        } else {
            headers::join_cookies(fields);
            host.map(|host| fields.insert(HOST, host));
        }
        if takes_trailers {
            fields.insert(TE, HeaderValue::from_static("trailers"));
            if !self.h2 {
                // RFC 9110 section 10.1.4.
                fields.append(CONNECTION, HeaderValue::from_static("te"));
            }
        }
        let progress = request.body().progress();
        let mut moved = progress.count();
        let mut answer = pin!(self.clients.here().request(request.map(Either::Left)));
        loop {
            match tokio::time::timeout(self.answer_timeout, &mut answer).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(error)) => {
                    return Err(match progress.stopped() {
                        Some(Stopped::TooLong(most)) => UpstreamError::TooLong(most),
                        Some(Stopped::NotBase64) => UpstreamError::NotBase64(NotBase64),
                        Some(Stopped::Broken) => UpstreamError::Body(error),
                        None if error.is_connect() => UpstreamError::Unreachable(error),
                        None => UpstreamError::Broken(error),
                    });
                }
                // A long upload is not a silent upstream.
                Err(_) if progress.count() != moved => moved = progress.count(),
                Err(_) => return Err(UpstreamError::Silent),
            }
        }
    }

    /// Sends a request of our own, to see whether the server is there.
    pub(super) async fn probe(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, ClientError> {
        *request.uri_mut() = self.uri(request.uri().path_and_query());
        self.clients.here().request(request.map(Either::Right)).await
    }

    /// Whether it can be connected to.
    pub(super) async fn reach(&self) -> bool {
        self.connector.clone().oneshot(self.uri(None)).await.is_ok()
    }

    fn uri(&self, asked: Option<&PathAndQuery>) -> Uri {
        let path = match (self.base.as_str(), asked) {
            (_, None) => PathAndQuery::from_static("/"),
            ("", Some(path)) => path.clone(),
            (base, Some(path)) => PathAndQuery::try_from(format!("{base}{path}"))
                .expect("two plain paths make a path"),
        };
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).expect("scheme, authority and path make a URI")
    }
}
