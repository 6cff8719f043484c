//! What to ask for: a request that can be sent more than once, because a 402 is answered by sending
//! it again.

use std::fmt;
use std::num::NonZeroU64;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use l402::flow::NotTaken;
use l402::{Msat, Secret};
use sha2::{Digest, Sha256};
use url::Url;

use crate::body::{Body, Source};
use crate::origin::Origin;
use crate::quote::Price;
use crate::target::Target;
use crate::terms::Terms;

/// One request, with what the caller agrees to for it.
#[derive(Clone)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) origin: Origin,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    pub(crate) terms: Option<Terms>,
    pub(crate) quoted: Option<Msat>,
    pub(crate) buy_again: bool,
    pub(crate) send_rate: Option<NonZeroU64>,
    pub(crate) redirects: u32,
    pub(crate) keep_post: Vec<StatusCode>,
    pub(crate) trust_redirects: bool,
}

/// Why a request is not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadRequest {
    /// Not a URL that we can send anything to. It is not quoted: there may be a password in it.
    #[error("the URL cannot be asked: {problem}")]
    Url {
        /// What is the matter with it.
        problem: &'static str,
    },
    /// A header's name or value has characters that none may have. It is not quoted: it may be a secret.
    #[error("a header's name or value has characters that cannot be sent")]
    Header,
    /// A value that has no JSON.
    #[error("the value to be sent cannot be written as JSON")]
    Json,
    /// The body is read as it is sent, and could not be sent again when payment is asked.
    #[error(
        "the body cannot be sent a second time, as a payment may need; send it from memory or from a file"
    )]
    NotReplayable,
    /// A body that would have to be kept is longer than was agreed to.
    #[error("the body is longer than the {longest} bytes that are kept to be sent again")]
    BodyTooLong {
        /// How long it may be, in bytes.
        longest: usize,
    },
    /// The body broke off before anything was sent.
    #[error("the body broke off before it was sent")]
    BodyBroke,
    /// A payment credential among the headers: the wallet would not know of it.
    #[error("the headers carry a payment credential; leave it out, the wallet sends its own")]
    OwnCredential,
}

impl Request {
    /// A request without headers of its own and without a body. What is behind `#` in the URL is
    /// dropped.
    ///
    /// # Errors
    /// See [`BadRequest`].
    pub fn new(method: Method, mut url: Url) -> Result<Self, BadRequest> {
        let origin = Origin::of(&url)?;
        url.set_fragment(None);
        Ok(Self {
            method,
            url,
            origin,
            headers: HeaderMap::new(),
            body: Body::default(),
            terms: None,
            quoted: None,
            buy_again: false,
            send_rate: None,
            redirects: 0,
            keep_post: Vec::new(),
            trust_redirects: false,
        })
    }

    /// `GET`, from a URL as text.
    ///
    /// # Errors
    /// See [`BadRequest`].
    pub fn get(url: &str) -> Result<Self, BadRequest> {
        let url = url.parse().map_err(|_| BadRequest::Url { problem: "it is no URL" })?;
        Self::new(Method::GET, url)
    }

    /// Adds a header. Several of one name are all sent. With an `Authorization` of its own a request
    /// pays nothing whose proof goes there, unless the client may send
    /// [a second one](crate::ClientBuilder::second_authorization).
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Replaces all headers.
    #[must_use]
    pub fn headers(mut self, headers: HeaderMap) -> Self {
        self.headers = headers;
        self
    }

    /// What to send. It is sent once more when a payment is asked.
    #[must_use]
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// Other terms than the client's.
    #[must_use]
    pub const fn terms(mut self, terms: Terms) -> Self {
        self.terms = Some(terms);
        self
    }

    /// Pays no more than was quoted, whatever the terms allow.
    #[must_use]
    pub const fn quoted(mut self, price: &Price) -> Self {
        self.quoted = Some(price.amount);
        self
    }

    /// Buys a new token even where one was paid for and never honoured.
    #[must_use]
    pub const fn buy_again(mut self) -> Self {
        self.buy_again = true;
        self
    }

    /// Sends the body no faster than so many bytes a second.
    #[must_use]
    pub const fn send_rate(mut self, bytes_per_second: NonZeroU64) -> Self {
        self.send_rate = Some(bytes_per_second);
        self
    }

    /// Follows up to that many redirects; none unless asked. A redirect never carries a credential
    /// to another origin, never goes from https to http, and another origin that it leads to is
    /// never paid.
    #[must_use]
    pub const fn follow(mut self, redirects: u32) -> Self {
        self.redirects = redirects;
        self
    }

    /// On a redirect of one of these statuses (301, 302 or 303) a `POST` stays one, with its body,
    /// and does not become a `GET`.
    #[must_use]
    pub fn keep_post(mut self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        self.keep_post = statuses.into_iter().collect();
        self
    }

    /// Lets the request's own `Authorization` and `Cookie` headers follow redirects to other
    /// origins. The wallet's credentials never do.
    #[must_use]
    pub const fn trust_redirects(mut self) -> Self {
        self.trust_redirects = true;
        self
    }

    /// Where it goes.
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The whole URL, without what is behind `#`.
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// The path, without the query.
    pub fn path(&self) -> &str {
        self.url.path()
    }

    /// Which request it is, as far as a payment for it alone goes.
    pub fn target(&self) -> Target {
        let body = match &self.body.0 {
            Source::Empty => &[],
            Source::Bytes(bytes) => &bytes[..],
            Source::File(path) => path.as_os_str().as_encoded_bytes(),
        };
        let query = self.url.query().unwrap_or_default();
        let [origin, path] = [self.origin.as_str(), self.path()];
        let head = [self.method.as_str(), origin, path, query].map(str::as_bytes);
        Target::of(&[&head[..], &[body]].concat())
    }

    /// By which it can be sent again when what it paid for did not come: its query, where it has no
    /// body.
    pub(crate) fn kept_query(&self) -> Option<Secret<String>> {
        let query = || Secret::new(self.url.query().unwrap_or_default().to_owned());
        matches!(self.body.0, Source::Empty).then(query)
    }

    /// Whether a challenge that names the body it is for names ours. What is in a file, only the
    /// server can compare.
    pub(crate) fn has_digest(&self, digest: Option<&str>) -> Result<(), NotTaken> {
        let body = match (&self.body.0, digest) {
            (_, None) | (Source::File(_), _) => return Ok(()),
            (Source::Empty, Some(_)) => &[],
            (Source::Bytes(bytes), Some(_)) => &bytes[..],
        };
        // RFC 9530 has colons around the value, and deployed servers leave them out.
        let said = digest.and_then(|digest| digest.strip_prefix("sha-256="));
        let said = said.map(|said| said.trim_matches(':'));
        let ours = STANDARD.encode(Sha256::digest(body));
        if said.is_none_or(|said| said == ours) { Ok(()) } else { Err(NotTaken::OtherBody) }
    }

    pub(crate) fn check(&self) -> Result<(), BadRequest> {
        let is_payment = |line: &HeaderValue| {
            let word = line.as_bytes().trim_ascii_start().split(|byte| byte.is_ascii_whitespace());
            word.take(1).any(|word| word.eq_ignore_ascii_case(b"Payment"))
        };
        let is_ours = |line: &HeaderValue| l402::credential::is_ours(line) || is_payment(line);
        let ours = self.headers.get_all(AUTHORIZATION).iter().any(is_ours)
            || self.headers.contains_key("payment-authorization");
        if ours { Err(BadRequest::OwnCredential) } else { Ok(()) }
    }
}

/// Without the query and the headers: both may hold secrets.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} {}{})", self.method, self.origin, self.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_prints_neither_its_query_nor_its_headers() {
        let secret = HeaderValue::from_static("Bearer hunter2");
        let request = Request::get("https://example.com/a?key=hunter2#part").unwrap();
        let request = request.header(AUTHORIZATION, secret);
        assert_eq!(format!("{request:?}"), "Request(GET https://example.com/a)");
        assert_eq!(request.check(), Ok(()));
    }

    #[test]
    fn a_credential_of_the_callers_own_is_refused() {
        let request = Request::get("https://example.com/a").unwrap();
        for own in ["lsat a:b", "Payment e30", "payment\te30"] {
            let request = request.clone().header(AUTHORIZATION, HeaderValue::from_static(own));
            assert_eq!(request.check(), Err(BadRequest::OwnCredential), "{own}");
        }
        let field = HeaderName::from_static("payment-authorization");
        let request = request.header(field, HeaderValue::from_static("Payment e30"));
        assert_eq!(request.check(), Err(BadRequest::OwnCredential));
    }
}
