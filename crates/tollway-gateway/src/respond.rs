//! What a peer is told when its request does not reach the upstream: one match from what happened to
//! HTTP and to gRPC, without `_`, so that a new way to end does not compile until it has an answer.
//! The peer learns what it can do about it; the causes are for our log.

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::bill;
use crate::check::Unchecked;
use crate::claim::Again;
use crate::gate::Shut;
use crate::headers;
use crate::limits::TooOften;
use crate::metrics::Outcome;
use crate::pricer::PriceError;
use crate::route::BadRequest;
use crate::till::{Bill, TillError};
use crate::upstream::UpstreamError;

/// Seconds after which it is worth trying again when something of ours failed.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("5");
/// The longest detail we repeat to a peer, in bytes: it may hold what the peer sent.
const LONGEST_DETAIL: usize = 300;

static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
static GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Everything that can end a request before the upstream has answered it.
///
/// Exhaustive on purpose.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    /// It cannot be routed.
    #[error(transparent)]
    BadRequest(#[from] BadRequest),
    /// It came from where nobody is served.
    #[error("nobody is served here who comes from your address")]
    Blocked,
    /// A browser asks whether a page of another origin may send a request, and it may not, or the
    /// question would have to be paid for, which no browser can.
    #[error("pages of other origins may not use this")]
    Preflight,
    /// Its body is longer than the service takes.
    #[error("the request's body is longer than {0} bytes, which is all this service takes")]
    TooLarge(u64),
    /// It came too often.
    #[error("too many requests; come again in {} seconds", seconds(.0))]
    TooOften(TooOften),
    /// No service answers for its host and path.
    #[error("no service here has this host and path")]
    NoService,
    /// It was asked to pay. Not a failure.
    #[error("payment required")]
    Asked(Box<Bill>),
    /// Its credential opens nothing, and this service does not ask again.
    #[error(transparent)]
    Refused(Shut),
    /// It came with more than one credential, and which is meant is anybody's guess.
    #[error(transparent)]
    TwoCredentials(Shut),
    /// It was answered before. Not a failure.
    #[error("the request was answered before")]
    Again(Box<Again>),
    /// Its credential is good, and we could not check all of it.
    #[error(transparent)]
    Unchecked(#[from] Unchecked),
    /// Nobody could say what it costs.
    #[error(transparent)]
    Price(#[from] PriceError),
    /// Nobody could ask it to pay.
    #[error(transparent)]
    Till(#[from] TillError),
    /// Its permit was good, and the upstream was not.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

/// In which form a peer reads an answer.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    /// A status, headers and JSON.
    Http,
    /// The same without the body: the request was a `HEAD`.
    Head,
    /// gRPC's trailers-only form, in the content type the request came in.
    Grpc(HeaderValue),
}

/// One answer, before it has a form.
struct Answer {
    status: StatusCode,
    grpc: u8,
    body: Value,
    headers: HeaderMap,
}

impl Form {
    /// The form that this request's sender reads.
    pub(crate) fn of(head: &Parts) -> Self {
        match head.headers.get(CONTENT_TYPE) {
            Some(kind) if headers::is_grpc(&head.headers) => Self::Grpc(kind.clone()),
            _ if head.method == Method::HEAD => Self::Head,
            _ => Self::Http,
        }
    }
}

impl Ended {
    /// Two words for the access log: what became of the request, and why.
    pub(crate) fn words(&self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::BadRequest(_) => ("refused", Some("not a plain request")),
            Self::Blocked => ("refused", Some("blocked")),
            Self::Preflight => ("refused", Some("another origin's page")),
            Self::TooLarge(_) => ("refused", Some("the body is too large")),
            Self::TooOften(_) => ("refused", Some("too often")),
            Self::NoService => ("refused", Some("no such service")),
            Self::Asked(bill) => ("asked", Some(bill.why.word())),
            Self::Refused(why) | Self::TwoCredentials(why) => ("refused", Some(why.word())),
            Self::Again(_) => ("paid", Some("answered before")),
            Self::Unchecked(why) => ("failed", Some(why.word())),
            Self::Price(_) => ("failed", Some("no price")),
            Self::Till(_) => ("failed", Some("no invoice")),
            Self::Upstream(_) => ("failed", Some("upstream")),
        }
    }
}

impl Ended {
    /// The same for the numbers.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::BadRequest(_)
            | Self::Blocked
            | Self::Preflight
            | Self::TooLarge(_)
            | Self::NoService
            | Self::Refused(_)
            | Self::TwoCredentials(_) => Outcome::Refused,
            Self::TooOften(_) => Outcome::Limited,
            Self::Asked(_) => Outcome::Asked,
            Self::Again(_) => Outcome::Paid,
            Self::Unchecked(_) | Self::Price(_) | Self::Till(_) => Outcome::Failed,
            Self::Upstream(_) => Outcome::Upstream,
        }
    }
}

/// The answer to a request that ended like this.
pub(crate) fn respond(ended: &Ended, form: &Form) -> Response<Bytes> {
    match ended {
        Ended::Again(again) => match &**again {
            Again::Whole { status, headers, body } => {
                let mut response = Response::new(body.clone());
                *response.status_mut() = *status;
                *response.headers_mut() = headers.clone();
                response
            }
            Again::Running | Again::NotKept => write(answer(ended), form),
        },
        _ => write(answer(ended), form),
    }
}

fn answer(ended: &Ended) -> Answer {
    // gRPC codes: 3 invalid argument, 4 deadline exceeded, 7 permission denied, 8 resource
    // exhausted, 10 aborted, 12 unimplemented, 13 internal (what the L402 text asks of a bill),
    // 14 unavailable, 16 unauthenticated.
    let detail = ended.to_string();
    match ended {
        Ended::BadRequest(_)
        | Ended::TwoCredentials(_)
        | Ended::Upstream(UpstreamError::Body(_) | UpstreamError::NotBase64(_)) => {
            plain(StatusCode::BAD_REQUEST, 3, "bad request", &detail)
        }
        Ended::Blocked | Ended::Preflight => plain(StatusCode::FORBIDDEN, 7, "forbidden", &detail),
        Ended::TooLarge(_) | Ended::Upstream(UpstreamError::TooLong(_)) => {
            plain(StatusCode::PAYLOAD_TOO_LARGE, 8, "content too large", &detail)
        }
        Ended::TooOften(wait) => {
            plain(StatusCode::TOO_MANY_REQUESTS, 8, "too many requests", &detail)
                .with(RETRY_AFTER, HeaderValue::from(seconds(wait)))
        }
        Ended::NoService => plain(StatusCode::NOT_FOUND, 12, "not found", &detail),
        Ended::Asked(bill) => {
            let status = StatusCode::PAYMENT_REQUIRED;
            Answer { status, grpc: 13, body: bill::body(bill), headers: bill::headers(bill) }
        }
        Ended::Again(again) => plain(StatusCode::CONFLICT, 10, "conflict", come_again(again))
            .with(RETRY_AFTER, RETRY_SECONDS),
        // RFC 9110 section 15.5.2 asks for a challenge; a bare one costs no invoice.
        Ended::Refused(_) => plain(StatusCode::UNAUTHORIZED, 16, "unauthorized", &detail)
            .with(WWW_AUTHENTICATE, HeaderValue::from_static("L402")),
        // Never a bill: they have paid, and what failed is ours.
        Ended::Unchecked(why) => unavailable(match why {
            Unchecked::Store(_) => "uses cannot be counted at the moment; try again later",
            Unchecked::Node(_) | Unchecked::Unsettled(_) => {
                "the payment has not been confirmed here yet; try again later"
            }
        }),
        Ended::Price(_)
        | Ended::Till(
            TillError::Node(_)
            | TillError::Silent(_)
            | TillError::Full
            | TillError::WrongAmount { .. }
            | TillError::Charge
            | TillError::Random(_),
        ) => unavailable("payment cannot be asked for at the moment; nothing is owed"),
        Ended::Upstream(
            why @ (UpstreamError::Unreachable(_)
            | UpstreamError::Silent
            | UpstreamError::Broken(_)
            | UpstreamError::Switched),
        ) => match why.is_timeout() {
            true => plain(StatusCode::GATEWAY_TIMEOUT, 4, "gateway timeout", &detail),
            false => plain(StatusCode::BAD_GATEWAY, 14, "bad gateway", &detail),
        },
    }
}

fn plain(status: StatusCode, grpc: u8, error: &str, detail: &str) -> Answer {
    let body = json!({ "error": error, "detail": shortened(detail) });
    Answer { status, grpc, body, headers: HeaderMap::new() }
}

fn unavailable(detail: &str) -> Answer {
    plain(StatusCode::SERVICE_UNAVAILABLE, 14, "unavailable", detail)
        .with(RETRY_AFTER, RETRY_SECONDS)
}

fn come_again(again: &Again) -> &'static str {
    match again {
        Again::Running => "the same request is being answered; try again later",
        Again::NotKept | Again::Whole { .. } => {
            "the request was answered, and the answer was too long to be kept"
        }
    }
}

impl Answer {
    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

/// Whole seconds to wait, at least one.
fn seconds(TooOften(wait): &TooOften) -> u64 {
    wait.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX).max(1)
}

fn write(answer: Answer, form: &Form) -> Response<Bytes> {
    let Answer { status, grpc, body, mut headers } = answer;
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let (status, bytes) = match form {
        Form::Http | Form::Head => {
            let mut text = body.to_string();
            text.push('\n');
            let json = HeaderValue::from_static("application/json");
            headers.entry(CONTENT_TYPE).or_insert(json);
            headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
            let only_head = matches!(form, Form::Head);
            (status, if only_head { Bytes::new() } else { Bytes::from(text) })
        }
        Form::Grpc(kind) => {
            headers.insert(CONTENT_TYPE, kind.clone());
            headers.insert(GRPC_STATUS.clone(), HeaderValue::from(u16::from(grpc)));
            headers.insert(GRPC_MESSAGE.clone(), grpc_message(&body));
            (StatusCode::OK, Bytes::new())
        }
    };
    let mut response = Response::new(bytes);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// For a bill exactly `payment required`: clients compare it. For the rest, what happened.
fn grpc_message(body: &Value) -> HeaderValue {
    let text = |key| body.get(key).and_then(Value::as_str).unwrap_or_default();
    let message = match text("error") {
        "payment required" => "payment required".to_owned(),
        error => format!("{error}: {}", text("detail")),
    };
    let encoded: String = message
        .bytes()
        .map(|byte| match byte {
            b' '..=b'~' if byte != b'%' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    HeaderValue::try_from(encoded).expect("printable ASCII")
}

pub(crate) fn shortened(text: &str) -> &str {
    let mut end = text.len().min(LONGEST_DETAIL);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
