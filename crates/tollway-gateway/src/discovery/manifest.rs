//! The price list, `/.well-known/l402.json` (the L402 repository's discovery-spec.md, section 5).

use serde_json::{Value, json};

use super::{Offer, listed};
use crate::rule::Price;

pub(super) fn write(host: &str, offers: &[Offer<'_>]) -> String {
    let mut services: Vec<(&str, Vec<Value>)> = Vec::new();
    for offer in offers {
        let name = offer.service.tariff.name();
        match services.last_mut() {
            Some((last, resources)) if *last == name => resources.push(resource(offer)),
            _ => services.push((name, vec![resource(offer)])),
        }
    }
    let services: Vec<Value> = services
        .into_iter()
        .map(|(name, resources)| json!({ "name": name, "resources": resources }))
        .collect();
    let list = json!({
        "version": "1.0",
        "provider": { "name": host },
        "currencies": ["msat"],
        "macaroon_versions": [0],
        "payment_methods": ["bolt11"],
        "openapi": "/openapi.json",
        "services": services,
    });
    list.to_string()
}

/// How a price is written, here and in OpenAPI.
pub(super) fn pricing(price: Price) -> Value {
    match price {
        Price::Fixed(price) => json!({ "model": "fixed", "price_msat": price.msat() }),
        Price::Quoted { .. } => json!({ "model": "dynamic" }),
    }
}

fn resource(offer: &Offer<'_>) -> Value {
    let mut resource = json!({ "path": listed(offer.path), "pricing": pricing(offer.price) });
    if !offer.methods.is_empty() {
        resource["methods"] = offer.methods.iter().map(http::Method::as_str).collect();
    }
    resource
}
