//! Pages of other origins: which may read a service's answers, and the answer to the question that a
//! browser asks first. That question carries no credential and cannot pay, so it is never billed; and it
//! does not reach the upstream, so it is no way around paying either.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue, ORIGIN,
    VARY,
};
use http::request::Parts;
use http::{Method, Response, StatusCode};

use crate::body::Body;
use crate::config::Origins;

/// What a page needs to read to pay, and in gRPC-Web to read at all.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "WWW-Authenticate, Link, Retry-After, Payment-Receipt, Grpc-Status, Grpc-Message",
);
/// For how many seconds a browser need not ask again.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
const ANY: HeaderValue = HeaderValue::from_static("*");

/// Who may read a service's answers.
#[derive(Debug)]
pub(crate) struct Cors(Origins);

/// The method that a browser asks about before it sends a request, if that is what this is.
pub(crate) fn preflight(head: &Parts) -> Option<Method> {
    if head.method != Method::OPTIONS || !head.headers.contains_key(ORIGIN) {
        return None;
    }
    let wanted = head.headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
    Method::from_bytes(wanted.as_bytes()).ok()
}

impl Cors {
    pub(crate) fn new(origins: &Origins) -> Self {
        Self(origins.clone())
    }

    /// Who is told that it may read, if the request comes from a page that may.
    pub(crate) fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(ORIGIN)?;
        match &self.0 {
            Origins::Any => Some(ANY),
            Origins::Listed(listed) => listed.contains(origin).then(|| origin.clone()),
        }
    }

    /// The answer to a preflight from a page that may.
    pub(crate) fn answer(head: &Parts, method: &Method) -> Response<Body> {
        let mut response = Response::new(Body::own(bytes::Bytes::new()));
        *response.status_mut() = StatusCode::NO_CONTENT;
        let fields = response.headers_mut();
        let method = HeaderValue::from_str(method.as_str()).expect("a method is a token");
        fields.insert(ACCESS_CONTROL_ALLOW_METHODS, method);
        if let Some(wanted) = head.headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            fields.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
        fields.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        response
    }

    /// Says so on an answer. What the upstream says about it does not count: it does not know of the
    /// headers that a page needs to pay.
    pub(crate) fn permit(&self, allowed: Option<HeaderValue>, fields: &mut HeaderMap) {
        fields.remove(ACCESS_CONTROL_ALLOW_ORIGIN);
        fields.remove(ACCESS_CONTROL_ALLOW_CREDENTIALS);
        if self.0 != Origins::Any {
            fields.append(VARY, HeaderValue::from_static("Origin"));
        }
        if let Some(allowed) = allowed {
            fields.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
            fields.append(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }
}
