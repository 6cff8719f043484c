//! The client as one knows it from `reqwest`: `client.get(url).header(…).json(&value).send().await`.
//! What is wrong with a request is said when it is sent.

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method};
use serde::Serialize;
use url::Url;

use crate::body::Body;
use crate::client::Client;
use crate::error::Error;
use crate::observe::Observer;
use crate::quote::{Price, Quote};
use crate::request::{BadRequest, Request};
use crate::response::Response;
use crate::terms::Terms;

/// A request of a client, being put together.
#[derive(Debug)]
#[must_use = "nothing is sent before `send`"]
pub struct RequestBuilder<'a> {
    client: &'a Client,
    request: Result<Request, BadRequest>,
}

impl Client {
    /// A `GET`.
    pub fn get(&self, url: &str) -> RequestBuilder<'_> {
        self.request(Method::GET, url)
    }

    /// A `POST`.
    pub fn post(&self, url: &str) -> RequestBuilder<'_> {
        self.request(Method::POST, url)
    }

    /// A `PUT`.
    pub fn put(&self, url: &str) -> RequestBuilder<'_> {
        self.request(Method::PUT, url)
    }

    /// A `PATCH`.
    pub fn patch(&self, url: &str) -> RequestBuilder<'_> {
        self.request(Method::PATCH, url)
    }

    /// A `DELETE`.
    pub fn delete(&self, url: &str) -> RequestBuilder<'_> {
        self.request(Method::DELETE, url)
    }

    /// A `HEAD`.
    pub fn head(&self, url: &str) -> RequestBuilder<'_> {
        self.request(Method::HEAD, url)
    }

    /// A request with any method.
    pub fn request(&self, method: Method, url: &str) -> RequestBuilder<'_> {
        let url = Url::parse(url).map_err(|_| BadRequest::Url { problem: "it is no URL" });
        RequestBuilder { client: self, request: url.and_then(|url| Request::new(method, url)) }
    }
}

impl RequestBuilder<'_> {
    /// Adds a header. Several of one name are all sent.
    pub fn header<N, V>(self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        self.and(|request| {
            let name = name.try_into().map_err(|_| BadRequest::Header)?;
            let value = value.try_into().map_err(|_| BadRequest::Header)?;
            Ok(request.header(name, value))
        })
    }

    /// Adds to the URL's query, encoded.
    pub fn query(self, name: &str, value: &str) -> Self {
        self.and(|mut request| {
            request.url.query_pairs_mut().append_pair(name, value);
            Ok(request)
        })
    }

    /// What to send. It is sent once more when a payment is asked.
    pub fn body(self, body: impl Into<Body>) -> Self {
        self.and(|request| Ok(request.body(body)))
    }

    /// Sends this as JSON, with the `Content-Type` for it unless there is one.
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> Self {
        self.and(|request| {
            let text = serde_json::to_vec(value).map_err(|_| BadRequest::Json)?;
            Ok(with_default(request, CONTENT_TYPE, "application/json").body(text))
        })
    }

    /// Sends these as a form, with the `Content-Type` for it unless there is one.
    pub fn form<K: AsRef<str>, V: AsRef<str>>(self, fields: &[(K, V)]) -> Self {
        self.and(|request| {
            let mut text = url::form_urlencoded::Serializer::new(String::new());
            text.extend_pairs(fields);
            let kind = "application/x-www-form-urlencoded";
            Ok(with_default(request, CONTENT_TYPE, kind).body(text.finish()))
        })
    }

    /// Asks for JSON, unless an `Accept` is there.
    pub fn accept_json(self) -> Self {
        self.and(|request| Ok(with_default(request, ACCEPT, "application/json")))
    }

    /// Other terms than the client's.
    pub fn terms(self, terms: Terms) -> Self {
        self.and(|request| Ok(request.terms(terms)))
    }

    /// Pays no more than was quoted, whatever the terms allow.
    pub fn quoted(self, price: &Price) -> Self {
        self.and(|request| Ok(request.quoted(price)))
    }

    /// Follows up to that many redirects: see [`Request::follow`].
    pub fn follow(self, redirects: u32) -> Self {
        self.and(|request| Ok(request.follow(redirects)))
    }

    /// Buys a new token even where one was paid for and never honoured.
    pub fn buy_again(self) -> Self {
        self.and(|request| Ok(request.buy_again()))
    }

    /// The request as a value, which can be sent any number of times.
    ///
    /// # Errors
    /// See [`BadRequest`].
    pub fn build(self) -> Result<Request, BadRequest> {
        self.request
    }

    /// Sends it, and pays if that is asked and allowed: see [`Client::fetch`].
    ///
    /// # Errors
    /// As [`Client::fetch`].
    pub async fn send(self) -> Result<Response, Error> {
        self.client.fetch(&self.request?).await
    }

    /// As [`RequestBuilder::send`], and tells `observer` of each step.
    ///
    /// # Errors
    /// As [`Client::fetch`].
    pub async fn send_observed(self, observer: &dyn Observer) -> Result<Response, Error> {
        self.client.fetch_observed(&self.request?, observer).await
    }

    /// Sends it, and where payment is asked says what would be paid instead: see [`Client::quote`].
    ///
    /// # Errors
    /// As [`Client::quote`].
    pub async fn quote(self) -> Result<Quote, Error> {
        self.client.quote(&self.request?).await
    }

    fn and(self, change: impl FnOnce(Request) -> Result<Request, BadRequest>) -> Self {
        Self { client: self.client, request: self.request.and_then(change) }
    }
}

fn with_default(mut request: Request, name: HeaderName, value: &'static str) -> Request {
    request.headers.entry(name).or_insert(HeaderValue::from_static(value));
    request
}
