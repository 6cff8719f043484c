//! The price list, `/.well-known/l402.json` (the L402 repository's discovery-spec.md, section 5): free
//! for everybody, and only a hint. What a request really costs is what its 402 says.

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue,
};
use http::request::Parts;
use http::{Method, Response};
use l402::Msat;
use serde_json::{Value, json};

use crate::gateway::Service;
use crate::matching::{Methods, PathMatch};
use crate::route::Routes;
use crate::rule::Price;

const PATH: &str = "/.well-known/l402.json";
/// How each 402 points to the list (discovery-spec.md, section 5.1).
pub(crate) const LINK: &str = r#"</.well-known/l402.json>; rel="l402-manifest""#;

/// The list of what `host` sells, if that is what the request asks for and there is anything.
pub(crate) fn respond(
    routes: &Routes<Service>,
    host: Option<&HeaderValue>,
    head: &Parts,
) -> Option<Response<Bytes>> {
    if head.uri.path() != PATH || !matches!(head.method, Method::GET | Method::HEAD) {
        return None;
    }
    let services: Vec<Value> = routes.services(host).iter().map(|service| entry(service)).collect();
    if services.is_empty() {
        return None;
    }
    let list = json!({
        "version": "1.0",
        "provider": { "name": host.and_then(|host| host.to_str().ok()).unwrap_or("tollway") },
        "currencies": ["msat"],
        "macaroon_versions": [0],
        "payment_methods": ["bolt11"],
        "services": services,
    });
    let text = Bytes::from(list.to_string());
    let length = HeaderValue::from(text.len());
    let only_head = head.method == Method::HEAD;
    let mut response = Response::new(if only_head { Bytes::new() } else { text });
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_LENGTH, length);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    Some(response)
}

fn entry(service: &Service) -> Value {
    let tariff = &service.tariff;
    let nothing = Price::Fixed(Msat::ZERO);
    let price = if tariff.asks { tariff.price } else { nothing };
    let free = tariff.free.iter().map(|free| resource(free, None, nothing));
    let rules = tariff.rules.iter().flat_map(|rule| {
        let price = rule.own_price().unwrap_or(price);
        rule.paths().iter().map(move |path| resource(path, Some(rule.methods()), price))
    });
    let all = service.paths.iter().map(|path| resource(path, None, price));
    let resources: Vec<Value> = free.chain(rules).chain(all).collect();
    json!({ "name": tariff.name(), "resources": resources })
}

fn resource(path: &PathMatch, methods: Option<&Methods>, price: Price) -> Value {
    let pricing = match price {
        Price::Fixed(price) => json!({ "model": "fixed", "price_msat": price.msat() }),
        Price::Quoted { .. } => json!({ "model": "dynamic" }),
    };
    let mut resource = json!({ "path": listed(path), "pricing": pricing });
    let methods = methods.map(Methods::named).unwrap_or_default();
    if !methods.is_empty() {
        resource["methods"] = methods.iter().map(http::Method::as_str).collect();
    }
    resource
}

/// A path as the list has it: `/x` is that path, `/x/*` is all below it.
fn listed(path: &PathMatch) -> String {
    match path {
        PathMatch::Exact(path) => path.clone(),
        PathMatch::Below(prefix) => format!("{}/*", prefix.trim_end_matches('/')),
        PathMatch::Within(_) | PathMatch::Regex(_) => path.to_string(),
    }
}
