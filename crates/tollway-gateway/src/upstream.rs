//! Where permitted requests go: one pool of connections for each service, HTTP/1.1 or HTTP/2, with or
//! without TLS. A request can only be sent together with its [`Permit`].

use std::io;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{CONNECTION, HOST, HeaderValue, TE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, Uri, Version};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tower::Service;

use crate::body::Upload;
use crate::config::{self, Protocol};
use crate::gate::Permit;
use crate::headers;

/// How long a connection may lie idle before it is closed. Shorter than most servers' own limit, so
/// that we do not write into one that is being closed.
const IDLE: Duration = Duration::from_secs(30);

/// An opened upstream.
#[derive(Debug)]
pub(crate) struct Upstream {
    client: Client<Connector, Upload>,
    scheme: Scheme,
    authority: Authority,
    /// What stands before each request's path; without a slash at its end.
    base: String,
    h2: bool,
    answer_timeout: Duration,
}

/// Connects within a time: the connection and, for `https`, the handshake. (The inner one's own limit
/// is for each of a name's addresses.)
#[derive(Clone, Debug)]
struct Connector {
    inner: HttpsConnector<HttpConnector>,
    patience: Duration,
}

/// The upstream did not answer.
///
/// Exhaustive on purpose: each has its own answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    /// No connection, or none that can be trusted.
    #[error("the upstream cannot be reached")]
    Unreachable(#[source] ClientError),
    /// It took the request and said nothing in time.
    #[error("the upstream did not answer in time")]
    Silent,
    /// The connection broke, or what came back is not HTTP.
    #[error("the upstream broke off")]
    Broken(#[source] ClientError),
    /// It wants to speak another protocol, and nobody asked for that.
    #[error("the upstream switched protocols without being asked")]
    Switched,
}

/// An upstream cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file with the certificates to trust.
    #[error("service `{service}`: the certificates in {path}: {problem}")]
    Certificates {
        /// Whose.
        service: String,
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: CertificatesError,
    },
}

/// What is wrong with a file of certificates.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificatesError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] rustls::pki_types::pem::Error),
    /// It is there, and there is nothing in it to trust.
    #[error("there is no certificate in it")]
    Empty,
    /// One of them cannot be used.
    #[error(transparent)]
    Unusable(#[from] rustls::Error),
}

impl Upstream {
    /// Gets ready to connect. Nothing is connected before the first request.
    pub(crate) fn open(config: &config::Upstream) -> Result<Self, CertificatesError> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(config.connect_timeout));
        let tls = HttpsConnectorBuilder::new().with_tls_config(tls(config)?).https_or_http();
        let secure = config.url.scheme() == "https";
        let connector = match config.protocol {
            Some(Protocol::H1) => tls.enable_http1().wrap_connector(http),
            Some(Protocol::H2) => tls.enable_http2().wrap_connector(http),
            None => tls.enable_all_versions().wrap_connector(http),
        };
        let h2 = config.protocol == Some(Protocol::H2);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .timer(TokioTimer::new())
            .http2_keep_alive_interval(IDLE)
            .http2_only(h2)
            .build(Connector { inner: connector, patience: config.connect_timeout });
        let authority = match config.url.port() {
            Some(port) => format!("{}:{port}", config.url.host_str().unwrap_or_default()),
            None => config.url.host_str().unwrap_or_default().to_owned(),
        };
        Ok(Self {
            client,
            scheme: if secure { Scheme::HTTPS } else { Scheme::HTTP },
            authority: authority.parse().expect("a URL's host and port are an authority"),
            base: config.url.path().trim_end_matches('/').to_owned(),
            h2,
            answer_timeout: config.answer_timeout,
        })
    }

    /// Whether connections to it can be turned into something else than HTTP.
    pub(crate) fn can_upgrade(&self) -> bool {
        !self.h2
    }

    /// Sends a request and waits for the head of the answer. `host` is who the client thinks it is
    /// talking to; an HTTP/1.1 upstream sees it as `Host`, an HTTP/2 upstream sees its own address.
    ///
    /// The permit is used up: no request goes out without one.
    pub(crate) async fn send(
        &self,
        mut request: Request<Upload>,
        host: Option<HeaderValue>,
        takes_trailers: bool,
        _permit: Permit,
    ) -> Result<Response<Incoming>, UpstreamError> {
        *request.uri_mut() = self.uri(request.uri());
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
        let mut answer = pin!(self.client.request(request));
        loop {
            match tokio::time::timeout(self.answer_timeout, &mut answer).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(error)) if error.is_connect() => {
                    return Err(UpstreamError::Unreachable(error));
                }
                Ok(Err(error)) => return Err(UpstreamError::Broken(error)),
                // A long upload is not a silent upstream.
                Err(_) if progress.count() != moved => moved = progress.count(),
                Err(_) => return Err(UpstreamError::Silent),
            }
        }
    }

    fn uri(&self, asked: &Uri) -> Uri {
        let path = asked.path_and_query().cloned();
        let path = match (self.base.as_str(), path) {
            (_, None) => PathAndQuery::from_static("/"),
            ("", Some(path)) => path,
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

impl Service<Uri> for Connector {
    type Response = <HttpsConnector<HttpConnector> as Service<Uri>>::Response;
    type Error = <HttpsConnector<HttpConnector> as Service<Uri>>::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (patience, connecting) = (self.patience, self.inner.call(uri));
        Box::pin(async move {
            match tokio::time::timeout(patience, connecting).await {
                Ok(connected) => connected,
                Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
            }
        })
    }
}

impl UpstreamError {
    /// Whether it ran out of time, rather than failing.
    pub(crate) fn is_timeout(&self) -> bool {
        match self {
            Self::Silent => true,
            Self::Unreachable(error) => timed_out(error),
            Self::Broken(_) | Self::Switched => false,
        }
    }
}

fn timed_out(error: &(dyn std::error::Error + 'static)) -> bool {
    let is_timeout = |error: &(dyn std::error::Error + 'static)| {
        let io = error.downcast_ref::<io::Error>();
        io.is_some_and(|io| io.kind() == io::ErrorKind::TimedOut)
    };
    std::iter::successors(Some(error), |error| error.source()).any(is_timeout)
}

/// Trusts the public authorities, or those in the service's own file and no others. There is no
/// switch to trust everybody.
fn tls(config: &config::Upstream) -> Result<ClientConfig, CertificatesError> {
    let mut roots = RootCertStore::empty();
    match &config.ca {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            for certificate in CertificateDer::pem_file_iter(path)? {
                roots.add(certificate?)?;
            }
            if roots.is_empty() {
                return Err(CertificatesError::Empty);
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth())
}
