//! `/openapi.json`: what can be called, and what it costs, in OpenAPI 3.1, with the extensions of both
//! payment schemes (discovery-spec.md's OpenAPI profile, and draft-payment-discovery). What the calls
//! take and return only the upstream knows.

use l402::scheme::Field;
use serde_json::{Map, Value, json};

use super::{Offer, manifest};
use crate::matching::PathMatch;
use crate::rule::Price;

/// What a path that takes every method is written with: OpenAPI has no word for all of them.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

pub(super) fn write(host: &str, offers: &[Offer<'_>]) -> String {
    let mut paths = Map::new();
    for offer in offers {
        for (path, below) in templates(offer.path) {
            let item = paths.entry(path).or_insert_with(|| json!({}));
            if below {
                item["parameters"] = json!([{
                    "name": "path", "in": "path", "required": true,
                    "description": "everything below; it may contain `/`",
                    "schema": { "type": "string" },
                }]);
            }
            for method in methods(offer) {
                // The most exact comes first, and stays.
                if item.get(&method).is_none() {
                    item[&method] = operation(offer);
                }
            }
        }
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": host,
            "version": "1",
            "description": "Paid by the request over Lightning. What a request costs is what its 402 says.",
            "x-l402-version": "1.0",
        },
        "x-service-info": { "docs": { "llms": "/llms.txt" } },
        "paths": paths,
    });
    let schemes = security(offers);
    if !schemes.is_empty() {
        document["components"] = json!({ "securitySchemes": schemes });
    }
    document.to_string()
}

/// A path in OpenAPI's words, and whether it stands for everything below. A pattern has none; it is in
/// the other lists.
fn templates(path: &PathMatch) -> Vec<(String, bool)> {
    let below = |prefix: &str| (format!("{}/{{path}}", prefix.trim_end_matches('/')), true);
    match path {
        PathMatch::Exact(path) => vec![(path.clone(), false)],
        PathMatch::Below(prefix) => vec![(prefix.clone(), false), below(prefix)],
        PathMatch::Within(prefix) => vec![below(prefix)],
        PathMatch::Regex(_) => Vec::new(),
    }
}

/// Those that OpenAPI can name.
fn methods(offer: &Offer<'_>) -> Vec<String> {
    let all = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
    let named = offer.methods.iter().map(|method| method.as_str().to_ascii_lowercase());
    match offer.methods.is_empty() {
        true => METHODS.map(str::to_owned).into(),
        false => named.filter(|method| all.contains(&method.as_str())).collect(),
    }
}

fn operation(offer: &Offer<'_>) -> Value {
    let service = offer.service.tariff.name();
    let mut operation = json!({
        "tags": [service],
        "responses": { "default": { "description": "the upstream's answer" } },
        "x-l402-service": service,
        "x-l402-pricing": manifest::pricing(offer.price),
    });
    if offer.is_free() {
        return operation;
    }
    operation["responses"]["402"] = json!({
        "description": "Payment Required: the challenges are in `WWW-Authenticate`",
    });
    let mut ways = Vec::new();
    if offer.tokens() {
        ways.push(json!({ "l402": [] }));
    }
    if let Some(field) = offer.charge() {
        ways.push(json!({ charge_name(field): [] }));
        // In whole satoshis, rounded up, as the challenge will be.
        let amount = match offer.price {
            Price::Fixed(price) => price.sat_ceil().sat().to_string().into(),
            Price::Quoted { .. } => Value::Null,
        };
        operation["x-payment-info"] = json!({ "offers": [{
            "intent": "charge", "method": "lightning", "amount": amount, "currency": "sat",
            "description": service,
        }] });
    }
    operation["security"] = ways.into();
    operation
}

fn security(offers: &[Offer<'_>]) -> Map<String, Value> {
    let mut schemes = Map::new();
    for offer in offers.iter().filter(|offer| !offer.is_free()) {
        if offer.tokens() {
            schemes.insert(
                "l402".to_owned(),
                json!({
                    "type": "apiKey", "in": "header", "name": "Authorization",
                    "description": "`L402 <token>:<preimage>`, both from a 402 and its payment",
                    "x-l402-scheme": "L402",
                }),
            );
        }
        if let Some(field) = offer.charge() {
            schemes.insert(
                charge_name(field).to_owned(),
                json!({
                    "type": "apiKey", "in": "header", "name": header(field),
                    "description": "`Payment <credential>`, good for one request",
                }),
            );
        }
    }
    schemes
}

fn charge_name(field: Field) -> &'static str {
    match field {
        Field::Authorization => "payment",
        Field::PaymentAuthorization => "paymentAuthorization",
    }
}

fn header(field: Field) -> &'static str {
    match field {
        Field::Authorization => "Authorization",
        Field::PaymentAuthorization => "Payment-Authorization",
    }
}
