//! The price list, `/.well-known/l402.json` (the L402 repository's discovery-spec.md, section 5): free
//! for everybody, and only a hint. What a request really costs is what its 402 says.

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue,
};
use http::request::Parts;
use http::{Method, Response};
use serde_json::{Value, json};

use crate::gateway::Service;
use crate::route::Routes;
use crate::tariff::{FreePath, Tariff};

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
    let services: Vec<Value> =
        routes.services(host).map(|service| entry(&service.tariff, &service.path)).collect();
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

fn entry(tariff: &Tariff, path: &str) -> Value {
    let resource = |path: String, msat: u64| json!({ "path": path, "pricing": { "model": "fixed", "price_msat": msat } });
    let all = format!("{}/*", path.trim_end_matches('/'));
    let price = tariff.price().map_or(0, l402::Msat::msat);
    let free = tariff.free.iter().map(|free| match free {
        FreePath::Exactly(path) => resource(path.clone(), 0),
        FreePath::Below(prefix) => resource(format!("{prefix}*"), 0),
    });
    let resources: Vec<Value> = free.chain([resource(all, price)]).collect();
    json!({ "name": tariff.name(), "resources": resources })
}
