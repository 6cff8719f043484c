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
use crate::matching::PathMatch;
use crate::route::Routes;

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
    let resource = |path: String, msat: u64| json!({ "path": path, "pricing": { "model": "fixed", "price_msat": msat } });
    let price = tariff.price().map_or(0, l402::Msat::msat);
    let free = tariff.free.iter().map(|free| resource(listed(free), 0));
    let all = service.paths.iter().map(|path| resource(listed(path), price));
    let resources: Vec<Value> = free.chain(all).collect();
    json!({ "name": tariff.name(), "resources": resources })
}

/// A path as the list has it: `/x` is that path, `/x/*` is all below it.
fn listed(path: &PathMatch) -> String {
    match path {
        PathMatch::Exact(path) => path.clone(),
        PathMatch::Below(prefix) => format!("{}/*", prefix.trim_end_matches('/')),
        PathMatch::Within(_) | PathMatch::Regex(_) => path.to_string(),
    }
}
