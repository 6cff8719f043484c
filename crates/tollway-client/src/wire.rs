//! Sends one request, once. What becomes of the answer is decided elsewhere; here is only what is
//! true of every one: time limits that no payment and no download is part of, no redirects, and the
//! way to the server that the transport says.

use std::sync::Arc;
use std::time::Duration;

use http::header::{COOKIE, SET_COOKIE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use l402::{Challenge, Manner, PaymentHash, Preimage};
use reqwest::redirect::Policy;
use url::Url;

use crate::builder::BuildError;
use crate::error::{HttpError, HttpErrorKind};
use crate::origin::Origin;
use crate::request::Request;
use crate::timing::{self, Timings};
use crate::transport::Transport;
use crate::wallet::Token;
use crate::way::{Source, Way};

const ACCEPT_AUTHENTICATE: &str = "accept-authenticate";
const ACCEPT_PAYMENT: &str = "accept-payment";
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// How much of a 402's body is read, in bytes, and for how long, to keep the connection.
const WORTH_DRAINING: u64 = 64 * 1024;
const DRAINING: Duration = Duration::from_secs(1);

/// How long to wait for a server. None of it counts the time that a payment takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the connection, TLS included.
    pub connect: Duration,
    /// From sending a request to the answer's head.
    pub answer: Duration,
    /// Between two pieces of the answer's body. The whole may take as long as it likes.
    pub idle: Duration,
}

impl Default for Timeouts {
    /// 10 s, 2 min, 1 min.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(120),
            idle: Duration::from_secs(60),
        }
    }
}

/// The HTTP client behind a [`Client`](crate::Client).
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    http: Carrier,
    timeouts: Timeouts,
    transport: Arc<Transport>,
}

/// What carries requests to the server.
#[derive(Clone, Debug)]
enum Carrier {
    /// Our own connections.
    Own(reqwest::Client),
    /// Somebody else's.
    Given(Arc<dyn Way>),
}

impl Wire {
    /// Nothing is connected to yet.
    pub(crate) fn new(timeouts: Timeouts, transport: Transport) -> Result<Self, BuildError> {
        let http =
            reqwest::Client::builder().connect_timeout(timeouts.connect).redirect(Policy::none());
        let http = transport.apply(http)?.build().map_err(|e| BuildError::Http(e.into()))?;
        Ok(Self { http: Carrier::Own(http), timeouts, transport: Arc::new(transport) })
    }

    /// The same by another way. What the transport says of connections and cookies is not for it.
    pub(crate) fn by(&self, way: Arc<dyn Way>) -> Self {
        let transport = Arc::new(Transport::default());
        Self { http: Carrier::Given(way), timeouts: self.timeouts, transport }
    }

    /// Whether the way there keeps what is sent private, as far as the URL does.
    pub(crate) fn is_kept_private(&self, url: &Url) -> bool {
        !self.transport.exposes(url)
    }

    /// Sends it, and returns when the answer's head is there.
    pub(crate) async fn send(
        &self,
        request: &Request,
        proof: Option<&Proof>,
    ) -> Result<Answer, HttpError> {
        let failed = |kind| {
            move |source: Source| HttpError {
                origin: request.origin.clone(),
                kind,
                source: Some(source),
            }
        };
        let mut headers = with_ours(request, proof);
        if let Some(cookies) =
            self.transport.cookies.as_ref().and_then(|jar| jar.for_url(&request.url))
            && !request.headers.contains_key(COOKIE)
        {
            headers.insert(COOKIE, cookies);
        }
        let body = request.body.open(request.send_rate).await;
        let body = body.map_err(|e| failed(HttpErrorKind::RequestBody)(e.into()))?;
        let sending = self.http.send(request, headers, body);
        let sending = tokio::time::timeout(self.timeouts.answer, sending);
        let (sent, timings) = match self.transport.measured {
            true => timing::measure(sending).await,
            false => (sending.await, Timings::default()),
        };
        match sent {
            Ok(Ok(head)) => {
                if let Some(jar) = &self.transport.cookies {
                    jar.received(&request.url, &mut head.headers().get_all(SET_COOKIE).iter());
                }
                let (origin, idle) = (request.origin.clone(), self.timeouts.idle);
                Ok(Answer { head, origin, idle, timings })
            }
            Ok(Err(error)) => Err(error),
            Err(elapsed) => Err(failed(HttpErrorKind::Timeout)(elapsed.into())),
        }
    }
}

impl Carrier {
    async fn send(
        &self,
        request: &Request,
        headers: HeaderMap,
        body: Option<reqwest::Body>,
    ) -> Result<reqwest::Response, HttpError> {
        let (method, url) = (request.method.clone(), &request.url);
        match self {
            Self::Own(http) => {
                let mut sending = http.request(method, url.clone()).headers(headers);
                if let Some(body) = body {
                    sending = sending.body(body);
                }
                sending.send().await.map_err(|error| http_error(&request.origin, error))
            }
            Self::Given(way) => {
                let broken = |source: Source| HttpError {
                    origin: request.origin.clone(),
                    kind: HttpErrorKind::Broken,
                    source: Some(source),
                };
                let sent = http::Request::builder().method(method).uri(url.as_str());
                let mut sent =
                    sent.body(body.unwrap_or_default()).map_err(|error| broken(error.into()))?;
                *sent.headers_mut() = headers;
                way.send(sent).await.map_err(broken)
            }
        }
    }
}

/// An answer of which the head is there.
#[derive(Debug)]
pub(crate) struct Answer {
    head: reqwest::Response,
    origin: Origin,
    idle: Duration,
    timings: Timings,
}

impl Answer {
    pub(crate) fn into_head(self) -> reqwest::Response {
        self.head
    }

    pub(crate) const fn timings(&self) -> Timings {
        self.timings
    }

    pub(crate) const fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(crate) const fn head(&self) -> &reqwest::Response {
        &self.head
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.head.status()
    }

    /// Whether it says that the credential, if there was one, does not open this: 402, or a 401 that
    /// names one of our schemes. A 401 that does not is the business of whoever is behind the gate.
    pub(crate) fn refuses(&self) -> bool {
        match self.status() {
            StatusCode::PAYMENT_REQUIRED => true,
            StatusCode::UNAUTHORIZED => {
                let lines = self.head.headers().get_all(WWW_AUTHENTICATE);
                l402::challenges(lines).iter().any(|raw| l402::scheme::find(&raw.scheme).is_some())
            }
            _ => false,
        }
    }

    /// The next piece of the body.
    pub(crate) async fn chunk(&mut self) -> Result<Option<bytes::Bytes>, HttpError> {
        match tokio::time::timeout(self.idle, self.head.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(error)) => Err(http_error(&self.origin, error)),
            Err(elapsed) => Err(HttpError {
                origin: self.origin.clone(),
                kind: HttpErrorKind::Timeout,
                source: Some(elapsed.into()),
            }),
        }
    }

    /// Keeps the headers, and reads the body away where that is cheaper than a new connection.
    pub(crate) async fn into_headers(mut self) -> HeaderMap {
        let headers = std::mem::take(self.head.headers_mut());
        let reading = async {
            let mut read = 0;
            while let Ok(Some(piece)) = self.head.chunk().await {
                read += piece.len() as u64;
                if read > WORTH_DRAINING {
                    return;
                }
            }
        };
        // A body that dawdles costs us the connection, no more.
        let _ = tokio::time::timeout(DRAINING, reading).await;
        headers
    }
}

/// A proof of payment, and where it goes.
pub(crate) struct Proof {
    name: &'static HeaderName,
    value: HeaderValue,
    /// For a payment that is good for one request: by this the server knows the request again.
    idempotency_key: Option<HeaderValue>,
}

impl Proof {
    pub(crate) fn of(challenge: &Challenge, preimage: &Preimage) -> Self {
        let (manner, hash) = (challenge.manner(), challenge.invoice.payment_hash());
        Self::new(&manner, challenge.authorization(preimage), hash)
    }

    fn new(manner: &Manner, value: HeaderValue, hash: PaymentHash) -> Self {
        // The same each time that the same payment is shown, and no secret.
        let key = || HeaderValue::try_from(hash.to_string()).expect("it is hexadecimal");
        let idempotency_key = manner.single_use.then(key);
        Self { name: manner.field.name(), value, idempotency_key }
    }
}

impl From<&Token> for Proof {
    fn from(token: &Token) -> Self {
        let (_, value) = token.credential();
        Self::new(&token.manner(), value, token.hash)
    }
}

/// The caller's headers and ours. Where both go into one field, ours stands first; whether that may
/// be was decided before.
fn with_ours(request: &Request, proof: Option<&Proof>) -> HeaderMap {
    let theirs = &request.headers;
    let mut headers = theirs.clone();
    // What we can answer to, so that nobody has to make an invoice in vain.
    for (name, value) in [(ACCEPT_AUTHENTICATE, "L402"), (ACCEPT_PAYMENT, "lightning/charge")] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    let Some(proof) = proof else { return headers };
    headers.insert(proof.name, proof.value.clone());
    for value in theirs.get_all(proof.name) {
        headers.append(proof.name, value.clone());
    }
    // Whoever asks for the same once more asks for it once (httpbis-idempotency-key-header).
    if let Some(key) = &proof.idempotency_key
        && !request.method.is_safe()
    {
        headers.entry(IDEMPOTENCY_KEY).or_insert(key.clone());
    }
    headers
}

fn http_error(origin: &Origin, error: reqwest::Error) -> HttpError {
    let kind = if error.is_connect() {
        HttpErrorKind::Connect
    } else if error.is_timeout() {
        HttpErrorKind::Timeout
    } else {
        HttpErrorKind::Broken
    };
    HttpError { origin: origin.clone(), kind, source: Some(error.without_url().into()) }
}
