//! What a gateway says about itself to whoever asks, for nothing: what there is and what it costs, for
//! programs, for tools that read OpenAPI, and for language models. All of it is made from the
//! configuration, and only a hint: what a request really costs is what its 402 says.

mod llms;
mod manifest;
mod openapi;

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue,
};
use http::request::Parts;
use http::{Method, Response};
use l402::Msat;
use l402::scheme::Field;

use crate::gateway::{Service, Snapshot};
use crate::matching::PathMatch;
use crate::rule::Price;

/// How each 402 points to the list (the L402 repository's discovery-spec.md, section 5.1).
pub(crate) const LINK: &str = r#"</.well-known/l402.json>; rel="l402-manifest""#;

/// One document. Adding one means one file and one line in [`DOCUMENTS`].
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) path: &'static str,
    kind: &'static str,
    write: fn(host: &str, offers: &[Offer<'_>]) -> String,
}

/// The one that each 402 points to, and that is always served.
pub(crate) const ALWAYS: &str = "/.well-known/l402.json";

/// Every document there is. A gateway serves those that its configuration names.
pub(crate) static DOCUMENTS: &[Document] = &[
    Document { path: ALWAYS, kind: "application/json", write: manifest::write },
    Document { path: "/openapi.json", kind: "application/json", write: openapi::write },
    Document { path: "/llms.txt", kind: "text/plain; charset=utf-8", write: llms::write },
];

/// Something that a service sells, or gives.
pub(crate) struct Offer<'a> {
    service: &'a Service,
    path: &'a PathMatch,
    /// None is every one.
    methods: &'a [Method],
    price: Price,
}

/// The document that this request asks for, if it is one of those that are served and `host` has
/// anything to tell in it.
pub(crate) fn respond(
    snapshot: &Snapshot,
    host: Option<&HeaderValue>,
    head: &Parts,
) -> Option<Response<Bytes>> {
    if !matches!(head.method, Method::GET | Method::HEAD) {
        return None;
    }
    let document = snapshot.documents.iter().find(|one| one.path == head.uri.path())?;
    let services = snapshot.routes.services(host);
    let offers: Vec<Offer<'_>> = services.iter().flat_map(|service| offers(service)).collect();
    if offers.is_empty() {
        return None;
    }
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or("tollway");
    let text = Bytes::from((document.write)(host, &offers));
    let length = HeaderValue::from(text.len());
    let only_head = head.method == Method::HEAD;
    let mut response = Response::new(if only_head { Bytes::new() } else { text });
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(document.kind));
    headers.insert(CONTENT_LENGTH, length);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    Some(response)
}

/// What a service has, the most exact first: what is free, what rules say, and the rest.
fn offers(service: &Service) -> Vec<Offer<'_>> {
    let tariff = &service.tariff;
    let nothing = Price::Fixed(Msat::ZERO);
    let price = if tariff.asks { tariff.price } else { nothing };
    let offer = |path, methods, price| Offer { service, path, methods, price };
    let free = tariff.free.iter().map(|free| offer(free, &[][..], nothing));
    let rules = tariff.rules.iter().flat_map(|rule| {
        let price = if tariff.asks { rule.own_price().unwrap_or(price) } else { nothing };
        rule.paths().iter().map(move |path| offer(path, rule.methods().named(), price))
    });
    let all = service.paths.iter().map(|path| offer(path, &[][..], price));
    free.chain(rules).chain(all).collect()
}

impl Offer<'_> {
    /// Whether it costs nothing.
    fn is_free(&self) -> bool {
        self.price == Price::Fixed(Msat::ZERO)
    }

    /// The price in words.
    fn price_text(&self) -> String {
        match self.price {
            Price::Fixed(Msat::ZERO) => "free".to_owned(),
            Price::Fixed(price) => price.to_string(),
            Price::Quoted { .. } => "asked for with each request".to_owned(),
        }
    }

    /// In which header a one-time payment goes, where there are such.
    fn charge(&self) -> Option<Field> {
        self.service.tariff.schemes.charge
    }

    /// Whether tokens are sold.
    fn tokens(&self) -> bool {
        self.service.tariff.schemes.l402
    }
}

/// A path as lists have it: `/x` is that path, `/x/*` is all below it.
fn listed(path: &PathMatch) -> String {
    match path {
        PathMatch::Exact(path) => path.clone(),
        PathMatch::Below(prefix) => format!("{}/*", prefix.trim_end_matches('/')),
        PathMatch::Within(_) | PathMatch::Regex(_) => path.to_string(),
    }
}
